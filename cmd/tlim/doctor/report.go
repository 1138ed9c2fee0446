package doctor

import (
	"fmt"
	"io"
)

// Report is the document of --json.
type Report struct {
	Version  string   `json:"version"`  // of the tlim that looked
	Serving  bool     `json:"serving"`  // a process serves on metrics.listen: the link is as it says
	Failures int      `json:"failures"` // checks
	Warnings int      `json:"warnings"`
	Skipped  int      `json:"skipped"`
	Checks   []Result `json:"checks"`
}

// Conclude counts.
func Conclude(version string, serving bool, results []Result) Report {
	return Report{version, serving, Count(results, Failure), Count(results, Warning), Count(results, Skipped), results}
}

// Print writes a line for each finding, and one that counts the checks.
func (r Report) Print(out io.Writer) error {
	for _, result := range r.Checks {
		for _, f := range result.Findings {
			if _, err := fmt.Fprintln(out, line(result, f)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(out, "%d checks: %d failed, %d with warnings, %d skipped\n", len(r.Checks), r.Failures, r.Warnings, r.Skipped)
	return err
}
