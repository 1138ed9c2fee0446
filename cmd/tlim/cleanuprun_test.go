package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/store"
)

// TestCleanupRunAsks: where a process serves, it is the one that cleans up, in its own turn, and writes down who asked.
func TestCleanupRunAsks(t *testing.T) {
	dir := t.TempDir()
	database := "store: {dsn: '" + dir + "/tlim.db'}\n"
	cfg := unlinked(t, dir, database)
	cfg.HTTP.KeyFile = config.Path(dir + "/tlim.key")
	app := New(cfg, slog.New(slog.DiscardHandler))
	defer func() {
		if err := app.Stop(testTime); err != nil {
			t.Error(err)
		}
	}()
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), storeConfig(cfg, slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.AddAudit(t.Context(), store.AuditEvent{ID: "0", Time: time.Now().AddDate(0, 0, -401).UnixMilli(), What: "keys/new", Outcome: store.AuditDone}); err != nil {
		t.Fatal(err)
	}
	asker := write(t, dir, "asker.yaml", database+"http: {listen: '"+app.HTTPAddr()+"', key_file: '"+dir+"/tlim.key'}\n")
	for i, want := range []string{"tlim_audit 1", "nothing"} {
		code, out, errs := runCommand(t, "cleanup", "run", "--json", "--config", asker)
		var done cleaned
		if err := json.Unmarshal([]byte(out), &done); err != nil || code != 0 || done.By != "the process that serves" || done.State != "done" || done.removed() != want {
			t.Errorf("run %d: got %d %s %s %v, want %s removed by the process", i, code, out, errs, err, want)
		}
	}
	events, err := db.AuditEvents(t.Context(), "", 10)
	if err != nil || len(events) != 2 {
		t.Fatalf("got %+v, %v, want 2 events", events, err)
	}
	if e := events[1]; e.What != "cleanup/run" || e.Outcome != store.AuditDone || e.Who == "" || e.Detail != "removed tlim_audit 1" || e.Address == store.CommandLine {
		t.Errorf("got %+v, want it in the name of the key", e)
	}
	// A key that holds no more is refused in words, and nothing is begun beside the process.
	wrong := write(t, dir, "wrong.yaml", database+"http: {listen: '"+app.HTTPAddr()+"', keys: [{name: a, key: wrong-wrong-wrong-wrong, scopes: [admin]}]}\n")
	if code, out, errs := runCommand(t, "cleanup", "run", "--config", wrong); code != exitFailed || out != "" || !strings.Contains(errs, "401") {
		t.Errorf("got %d %q %q, want %d and the refusal", code, out, errs, exitFailed)
	}
	business := write(t, dir, "business.yaml", database+"http: {listen: '"+app.HTTPAddr()+"', keys: [{name: a, key: wrong-wrong-wrong-wrong, scopes: [business]}]}\n")
	if code, out, errs := runCommand(t, "cleanup", "run", "--config", business); code != exitFailed || out != "" || !strings.Contains(errs, "no key with the scope admin") {
		t.Errorf("got %d %q %q, want %d and what is missing", code, out, errs, exitFailed)
	}
}

// playedCleanup is a process that serves, as far as clean-ups are concerned: one that ends when it is told to.
type playedCleanup struct {
	refuse, restarted, gone bool
	asked                   chan struct{} // closed at the first question how far it is
	polls                   atomic.Int32
	stopped                 atomic.Bool
}

func (p *playedCleanup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := `{"result": "ok", "run": {"started": 1, "state": "%s", "table": "ofmessage", "removed": [{"table": "ofmessage", "rows": 500}]}}`
	switch r.Method + r.URL.Path {
	case "POST/plugins/tlim/admin/cleanup/run":
		if p.refuse {
			answer = `{"result": "fail", "result_detail": "wait for its end"}%.0s`
		}
		answer = fmt.Sprintf(answer, "running")
	case "GET/plugins/tlim/admin/cleanup":
		if p.polls.Add(1) == 1 {
			close(p.asked)
		}
		state := "running"
		if p.stopped.Load() {
			state = "stopped"
		}
		switch {
		case p.restarted:
			answer = `{"result": "ok"}`
		case p.gone:
			w.WriteHeader(http.StatusBadGateway)
			answer = `<html>`
		default:
			answer = fmt.Sprintf(answer, state)
		}
	case "POST/plugins/tlim/admin/cleanup/stop":
		p.stopped.Store(true)
		answer = `{"result": "ok"}`
	}
	_, _ = io.WriteString(w, answer) // the caller is gone when this fails
}

func TestCleanupAsked(t *testing.T) {
	nobody := func(string, cleaned) {}
	asks := func(p *playedCleanup) *server {
		p.asked = make(chan struct{})
		s := httptest.NewServer(p)
		t.Cleanup(s.Close)
		return &server{base: s.URL + "/plugins/tlim/", key: "k", client: s.Client()}
	}
	for want, p := range map[string]*playedCleanup{
		"wait for its end": {refuse: true}, "was started again": {restarted: true}, "nobody says how it goes on": {gone: true},
	} {
		t.Run(want, func(t *testing.T) {
			if c, err := cleanupAsked(t.Context(), asks(p), nobody); err == nil || !strings.Contains(err.Error(), want) || c.State != "" {
				t.Errorf("got %+v, %v, want %q", c, err, want)
			}
		})
	}
	// The end of the command has it stopped, and tells what was removed.
	p := &playedCleanup{}
	s := asks(p)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-p.asked
		cancel()
	}()
	c, err := cleanupAsked(ctx, s, nobody)
	if err != nil || c.State != "stopped" || c.removed() != "ofmessage 500" || !p.stopped.Load() {
		t.Errorf("got %+v, %v, want it stopped behind 500 messages", c, err)
	}
}
