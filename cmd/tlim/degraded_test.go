package main

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/doubles"
	"tlim/store"
)

// What refuses everyday's messages comes before what else is wrong.
func TestDegraded(t *testing.T) {
	now := time.UnixMilli(1_764_000_000_000)
	report := store.Report{Degraded: []string{"the queue", "the messages"}, Warnings: []string{"other"}}
	for _, c := range []struct {
		state store.State
		ahead bool
	}{
		{store.State{}, false}, {store.State{Clock: now.UnixMilli(), Delivered: now.UnixMilli()}, false}, {store.State{Clock: now.Add(59 * time.Second).UnixMilli()}, false},
		{store.State{Clock: now.Add(3 * time.Hour).UnixMilli()}, true}, {store.State{Delivered: now.Add(3 * time.Hour).UnixMilli()}, true}, {store.State{Settled: now.Add(3 * time.Hour).UnixMilli()}, true},
	} {
		t.Run(fmt.Sprintf("%+v", c.state), func(t *testing.T) {
			got := degraded(report, c.state, now)
			if !slices.Equal(got[:2], report.Degraded) || (len(got) == 3) != c.ahead || len(report.Degraded) != 2 {
				t.Errorf("%+v: got %q, want %q and, %v, that the clock is ahead", c.state, got, report.Degraded, c.ahead)
			}
			if c.ahead && (!strings.Contains(got[2], "3h0m0s ahead of this machine's (2025-11-24 16:00:00)") || !strings.Contains(got[2], "UPDATE tlim_state SET clock = 1764000000000,")) {
				t.Errorf("got %q, want by how much the clock is ahead, and what to do", got[2])
			}
		})
	}
}

// days90 less the time that a start takes.
var days90 = regexp.MustCompile(` (2160h0m0s|2159h\d+m\d+s) ahead`)

// A stored clock that runs ahead is named at the start and by /readyz, and what they advise ends it.
func TestStoredClockAhead(t *testing.T) {
	dir := t.TempDir()
	cfg := unlinked(t, dir, "")
	look := func() (h health, log string) {
		t.Helper()
		var said doubles.Log
		app := New(cfg, slog.New(slog.NewTextHandler(&said, nil)))
		if err := app.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		h = app.health(t.Context())
		if err := app.Stop(20 * time.Second); err != nil {
			t.Fatal(err)
		}
		return h, said.String()
	}
	run := func(statement string) {
		t.Helper()
		db, err := sql.Open("sqlite", dir+"/tlim.db")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatalf("%s: got %v, want no error", statement, err)
		}
	}
	const named = "the stored clock runs ahead of this machine's"
	if h, log := look(); h.Degraded || len(h.Warnings) > 0 || strings.Contains(log, named) {
		t.Fatalf("a new database: got %+v\n%s\nwant no warning, and no %q in the log", h, log, named)
	}
	future := time.Now().Add(90 * 24 * time.Hour).UnixMilli()
	run(fmt.Sprintf("UPDATE tlim_state SET clock = %d, delivered = %d, settled = %d", future, future, future))
	run(fmt.Sprintf("INSERT INTO ofmessage (id_, msg_id, msg_time) VALUES ('1', 'm1', '%d')", future))
	h, log := look()
	if !h.Degraded || len(h.Warnings) != 1 || !h.Database.OK || strings.Count(log, named) != 1 || !days90.MatchString(h.Warnings[0]) {
		t.Fatalf("got %+v\n%s\nwant it degraded, with one warning of 90 days, logged once", h, log)
	}
	_, advice, found := strings.Cut(h.Warnings[0], "stop tlim and run: ")
	if !found {
		t.Fatalf("got warnings %v, want the one of the clock", h.Warnings)
	}
	for statement := range strings.SplitSeq(advice, "; ") {
		run(statement)
	}
	if h, log := look(); h.Degraded || strings.Contains(log, named) {
		t.Errorf("after what was advised: got %+v\n%s\nwant it not degraded, and no %q in the log", h, log, named)
	}
}
