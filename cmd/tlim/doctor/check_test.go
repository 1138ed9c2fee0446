package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func says(status Status) func(context.Context) []Finding {
	return func(context.Context) []Finding { return []Finding{{status, string(status), ""}} }
}

// What a check needs is looked at first, and what could not be had is named.
func TestNeeds(t *testing.T) {
	results := Run(t.Context(), []Check{
		{ID: "a", Name: "first", Run: says(OK)}, {ID: "b", Name: "second", Needs: []string{"a"}, Run: says(Failure)},
		{ID: "c", Needs: []string{"a", "b"}, Run: says(OK)}, {ID: "d", Needs: []string{"c"}, Run: says(OK)},
		{ID: "e", Needs: []string{"f"}, Run: says(OK)}, {ID: "f", Run: says(Warning)},
	})
	var got []string
	for _, r := range results {
		got = append(got, Report{}.line(englishWords, r, r.Findings[0]))
	}
	want := "ok       a: ok\nfailure  b: failure\nskipped  c: b (second) comes first\nskipped  d: c () comes first\nok       e: ok\nwarning  f: warning"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// The worst finding is the check's outcome.
func TestWorst(t *testing.T) {
	r := conclude(Check{ID: "x"}, []Finding{{OK, "", ""}, {Failure, "", ""}, {Warning, "", ""}, {Skipped, "", ""}})
	if r.Status != Failure {
		t.Errorf("got %s, want %s", r.Status, Failure)
	}
}

// All checks end in time, those that hear nothing of the end of their context too, and what waits for them.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		checks := []Check{{ID: "deaf", Run: func(context.Context) []Finding { <-release; return nil }}}
		for _, id := range []string{"1", "2", "3", "4"} { // in a row they would take 40 s
			need := checks[len(checks)-1].ID
			checks = append(checks, Check{ID: id, Needs: []string{need}, Run: func(ctx context.Context) []Finding { <-ctx.Done(); return says(Warning)(ctx) }})
		}
		checks = append(checks, Check{ID: "slow", Run: func(ctx context.Context) []Finding { <-ctx.Done(); return says(Warning)(ctx) }})
		for _, id := range []string{"5", "6", "7", "8"} {
			need := checks[len(checks)-1].ID
			checks = append(checks, Check{ID: id, Needs: []string{need}, Run: func(ctx context.Context) []Finding { <-ctx.Done(); return says(Warning)(ctx) }})
		}
		began := time.Now()
		results := Run(t.Context(), checks)
		if took := time.Since(began); took > MaxTime {
			t.Errorf("took %v, want at most %v", took, MaxTime)
		}
		if got := results[0]; got.Status != Failure || !strings.Contains(got.Findings[0].Seen, "gave no answer within 10s") {
			t.Errorf("got %+v, want a failure that says so", got)
		}
		if got := results[1].Status; got != Skipped {
			t.Errorf("behind it: got %s, want %s", got, Skipped)
		}
		if got := results[len(results)-1].Status; got != Warning {
			t.Errorf("at the end of a slow row: got %s, want %s", got, Warning)
		}
		close(release)
	})
}

// Both forms say the same.
func TestReport(t *testing.T) {
	r := Conclude("v1", true, []Result{conclude(Check{ID: "a.b", Name: "n"}, []Finding{{Failure, "seen\nthere", "do <this>"}, {Warning, "w", "r"}}), conclude(Check{ID: "c"}, ok("fine"))})
	var text bytes.Buffer
	if err := r.Print(&text); err != nil {
		t.Fatal(err)
	}
	want := "failure  a.b: seen there. Remedy: do <this>\nwarning  a.b: w. Remedy: r\nok       c: fine\n2 checks: 1 failed, 0 with warnings, 0 skipped\n"
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	document, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var read Report
	if err := json.Unmarshal(document, &read); err != nil || read.Failures != 1 || !read.Serving || len(read.Checks) != 2 || read.Checks[0].Findings[0].Remedy != "do <this>" {
		t.Errorf("got %v, %s, want 1 failure, a process that serves, 2 checks, the remedy \"do <this>\"", err, document)
	}
}
