package doctor

import (
	"context"
	"fmt"
	"time"
)

// Status is how a check came out.
type Status string

// The outcomes, from the best to the worst but for the last, of a check that could not be made.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failure Status = "failure"
	Skipped Status = "skipped"
)

// Finding is one thing that a check saw.
type Finding struct {
	Status Status `json:"status"`
	Seen   string `json:"seen"`
	Remedy string `json:"remedy,omitempty"` // of a warning or a failure: the property and its page, the statement, the file
}

func ok(format string, args ...any) []Finding {
	return []Finding{{Status: OK, Seen: fmt.Sprintf(format, args...)}}
}

func skipped(format string, args ...any) []Finding {
	return []Finding{{Status: Skipped, Seen: fmt.Sprintf(format, args...)}}
}

func failure(remedy, format string, args ...any) []Finding {
	return []Finding{{Failure, fmt.Sprintf(format, args...), remedy}}
}

func warning(remedy, format string, args ...any) []Finding {
	return []Finding{{Warning, fmt.Sprintf(format, args...), remedy}}
}

// Check is one question about the set-up.
type Check struct {
	ID   string // for programs; its first part says of what it is
	Name string // for people
	// Needs are the ids of checks without which it cannot be made.
	Needs []string
	// After are the ids of checks that are waited for, whatever they find.
	After []string
	// Run answers, with one Finding at least, by the end of ctx.
	Run func(ctx context.Context) []Finding
}

// Result is what a Check found.
type Result struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Status   Status    `json:"status"` // the worst of its findings
	Findings []Finding `json:"findings"`
}

const (
	// MaxTime is how long all checks together take at most.
	MaxTime = 30 * time.Second
	// maxCheckTime bounds one check; what others wait for must leave them time.
	maxCheckTime = 10 * time.Second
)

// Run makes all checks and returns their results in the order of the list.
func Run(ctx context.Context, checks []Check) []Result {
	return run(ctx, checks, MaxTime-2*time.Second, maxCheckTime)
}

func run(ctx context.Context, checks []Check, limit, each time.Duration) []Result {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	results := make([]Result, len(checks))
	done := map[string]chan struct{}{} // closed when the check's result is there
	place := map[string]int{}
	for i, c := range checks {
		done[c.ID], place[c.ID] = make(chan struct{}), i
	}
	for i, c := range checks {
		go func() {
			defer close(done[c.ID])
			for _, need := range c.Needs {
				<-done[need] // it ends in bounded time
				if r := results[place[need]]; r.Status == Failure || r.Status == Skipped {
					results[i] = conclude(c, skipped("%s (%s) comes first", need, r.Name))
					return
				}
			}
			for _, other := range c.After {
				<-done[other]
			}
			results[i] = conclude(c, bounded(ctx, c, each))
		}()
	}
	for _, c := range checks {
		<-done[c.ID]
	}
	return results
}

// bounded runs a check. One that does not come back in time is left behind: the process ends soon.
func bounded(ctx context.Context, c Check, limit time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found := make(chan []Finding, 1) // nobody takes it after the time
	go func() { found <- c.Run(ctx) }()
	select {
	case f := <-found:
		return f
	case <-ctx.Done():
	}
	select {
	case f := <-found: // it gave up itself, and knows more
		return f
	case <-time.After(limit / 20):
	}
	return failure("what is asked hangs: cmd/tlim/CONFIG.md (tlim doctor) says what "+c.ID+" asks; see that it answers from this host, and look again", "%s gave no answer within %v", c.Name, limit)
}

// conclude makes a result of what a check found.
func conclude(c Check, findings []Finding) Result {
	r := Result{ID: c.ID, Name: c.Name, Status: OK, Findings: findings}
	for _, f := range findings {
		if rank(f.Status) > rank(r.Status) {
			r.Status = f.Status
		}
	}
	return r
}

func rank(s Status) int {
	for i, known := range []Status{OK, Skipped, Warning, Failure} {
		if s == known {
			return i
		}
	}
	return -1
}

// Count says how many results have a status.
func Count(results []Result, s Status) (n int) {
	for _, r := range results {
		if r.Status == s {
			n++
		}
	}
	return n
}
