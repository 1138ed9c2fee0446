package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Report is the document of --json.
type Report struct {
	Version  string   `json:"version"`  // of the tlim that looked
	Serving  bool     `json:"serving"`  // a process serves on metrics.listen: the link is as it says
	Failures int      `json:"failures"` // checks
	Warnings int      `json:"warnings"`
	Skipped  int      `json:"skipped"`
	Checks   []Result `json:"checks"`

	chinese bool // what is for people
}

// Conclude counts.
func Conclude(version string, serving bool, results []Result) Report {
	return Report{Version: version, Serving: serving, Failures: Count(results, Failure), Warnings: Count(results, Warning), Skipped: Count(results, Skipped), Checks: results}
}

// Print writes a line for each finding, and one that counts the checks.
func (r Report) Print(out io.Writer) error {
	w := englishWords
	if r.chinese {
		w = chineseWords
	}
	for _, result := range r.Checks {
		for _, f := range result.Findings {
			if _, err := fmt.Fprintln(out, r.line(w, result, f)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(out, w.counts, len(r.Checks), r.Failures, r.Warnings, r.Skipped)
	return err
}

// line is one finding as people read it.
func (r Report) line(w words, result Result, f Finding) string {
	text := fmt.Sprintf("%s %s: %s", r.outcome(f.Status), result.ID, f.Seen)
	if f.Remedy != "" {
		text = fmt.Sprintf(w.remedy, text, f.Remedy)
	}
	return strings.ReplaceAll(text, "\n", " ")
}
