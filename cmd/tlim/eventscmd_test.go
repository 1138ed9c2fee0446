package main

import (
	"strings"
	"testing"

	"tlim/store"
)

// TestEventsCommands: what was given up is listed and replayed on the database of a process that serves, and the audit log says by whom.
func TestEventsCommands(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "{}\n")
	events := func(args ...string) (int, string, string) {
		t.Helper()
		return runCommand(t, append(append([]string{"events"}, args...), "--config", config)...)
	}
	db, epoch := ledStore(t, dir)
	rows := []store.Event{{ID: "1", Kind: "message.stored", Conversation: "a\x1b[2Jb", Body: "{}", Made: 1, Due: 2, Dead: true, Reason: "status 500"},
		{ID: "2", Kind: "message.read", Conversation: "c", Body: "{}", Made: 1, Due: 2, Dead: true, Reason: "status 400"},
		{ID: "3", Kind: "group.changed", Conversation: "d", Body: "{}", Made: 1, Due: 2, Tries: 1, Reason: "status 500"}}
	if err := db.Apply(t.Context(), epoch, store.Positions{}, []store.Change{{Events: rows}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args      string
		code      int
		out, errs string
	}{
		{"list", 0, "status 500", ""},
		{"list --state failing --json", 0, `"event_id": "3"`, ""},
		{"list --state waiting", 0, "group.changed", ""},
		{"list --state odd", exitUsage, "", "--state is dead, waiting or failing"},
		{"list --limit 0", exitUsage, "", "--limit is 1 to 10000"},
		{"replay", exitUsage, "", "name one event, or give --all"},
		{"replay 1 --all", exitUsage, "", "name one event, or give --all"},
		{"replay 3", exitFailed, "", "no event 3 was given up"},
		{"replay 1", 0, "1 events wait again", ""},
		{"replay 1", exitFailed, "", "no event 1 was given up"},
		{"replay --all --json", 0, `"replayed": 1`, ""},
		{"replay --all", 0, "0 events wait again", ""},
	} {
		code, out, errs := events(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || strings.Contains(out, "\x1b") {
			t.Errorf("%s: got %d %q %q, want %d, %q and %q", c.args, code, out, errs, c.code, c.out, c.errs)
		}
	}
	log, err := db.AuditEvents(t.Context(), "", 10)
	if err != nil || len(log) != 2 || log[0].Target != "all" || log[1].Target != "1" || log[1].What != "events/replay" {
		t.Errorf("the audit log: got %+v, %v, want both replays that did something", log, err)
	}
}
