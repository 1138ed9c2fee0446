package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the whole run: what is printed, and the raw figures for the file.
type report struct {
	Began  time.Time `json:"began"`
	Took   float64   `json:"seconds"`
	Commit string    `json:"commit"`
	Go     string    `json:"go"`
	CPUs   int       `json:"cpus"`
	Load   string    `json:"load"` // of the minute before the run
	Rounds int       `json:"rounds"`
	Round  float64   `json:"round_seconds"`
	Lines  []*line   `json:"results"`
}

// line is one row of the table.
type line struct {
	*Series
	Ratio float64 `json:"ratio,omitempty"` // to the part's measure; 0: none
	// Work is the same by the CPU time of all processes, the measure's over this one's: what the ratio is when they have the machine for
	// themselves and fill it. 0: none.
	Work  float64 `json:"work_ratio,omitempty"`
	Goals []Goal  `json:"goals,omitempty"`
}

func newReport(root string, began time.Time, p plan) *report {
	commit := "?" // outside of a checkout
	describe := exec.Command("git", "describe", "--always", "--dirty")
	describe.Dir = root
	if out, err := describe.Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return &report{Began: began, Commit: commit, Go: runtime.Version(), CPUs: runtime.NumCPU(), Load: loadAverage(), Rounds: p.rounds, Round: p.round.Seconds()}
}

// add puts a series into the table, with its ratio to the lowest of the measures, if there are any.
func (r *report) add(s *Series, measures ...*Series) {
	l := &line{Series: s}
	if len(measures) > 0 {
		l.Ratio = s.ratio(measures...)
		if all := s.perItem(cpuOfAll); len(measures) == 1 && all > 0 {
			l.Work = measures[0].perItem(cpuOfAll) / all
		}
	}
	r.Lines = append(r.Lines, l)
}

// memory puts in what a watch of a process saw: the highest counts.
func (r *report) memory(part, mode string, resident []float64) *Series {
	s := &Series{Part: part, Mode: mode + ", highest", Unit: "MiB"}
	s.add(Sample{Value: slices.Max(resident), All: resident})
	r.add(s)
	return s
}

// goal holds a goal against a series that is in the table.
func (r *report) goal(s *Series, g Goal) {
	i := slices.IndexFunc(r.Lines, func(l *line) bool { return l.Series == s })
	r.Lines[i].Goals = append(r.Lines[i].Goals, g)
}

// print writes the table.
func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "tlim %s, %s, %d CPUs, load %s before the run; medians of %d rounds of %.1f s, %.0f s in all. CPU: us per delivery, message, row, approval, commit or MiB.\n\n",
		r.Commit, r.Go, r.CPUs, r.Load, r.Rounds, r.Round, r.Took)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PART\tMODE\tMEDIAN\tMIN - MAX\tUNIT\tRATIO\tBY CPU\tCPU OURS\tSERVER\tDRIVER\tACKS/MSG\tANSWERS/COPY\tGOAL")
	last := ""
	for _, l := range r.Lines {
		part := l.Part
		if part == last {
			part = ""
		}
		last = l.Part
		values := l.values()
		if len(l.Samples) == 1 && len(l.Samples[0].All) > 0 { // the range is within the only round
			values = l.Samples[0].All
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s - %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", part, l.Mode, number(l.median()),
			number(slices.Min(values)), number(slices.Max(values)), l.Unit, orDash(l.Ratio), orDash(l.Work), orDash(l.perItem(cpuOf)), orDash(l.perItem(javaOf)), orDash(l.perItem(driverOf)),
			orDash(l.acksPerItem()), orDash(l.answersPerItem()), l.verdicts())
	}
	return t.Flush()
}

// acksPerItem is per message; a group message makes one delivery per member.
func (l *line) acksPerItem() float64 {
	if l.Part == "group" || l.Part == "absent" {
		return l.ackStanzasPerMessage() * groupSize
	}
	return l.ackStanzasPerMessage()
}

func (l *line) verdicts() string {
	texts := make([]string, len(l.Goals))
	for i, g := range l.Goals {
		texts[i] = fmt.Sprintf("%s (%s)", g.verdict(), number(g.Got))
	}
	return strings.Join(texts, "; ")
}

func orDash(v float64) string {
	if v == 0 {
		return "-"
	}
	return number(v)
}

// write keeps the raw figures.
func (r *report) write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("keep the results: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("keep the results: %w", err)
	}
	return nil
}
