package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A real process without a server is not ready, and says so.
func TestStatusOfAProcess(t *testing.T) {
	dir := t.TempDir()
	app := New(unlinked(t, dir, ""), slog.New(slog.DiscardHandler))
	defer func() {
		if err := app.Stop(testTime); err != nil {
			t.Error(err)
		}
	}()
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	asker := write(t, dir, "asker.yaml", "metrics: {listen: '"+app.AdminAddr()+"'}\n")
	code, out, errs := runCommand(t, "status", "--config", asker)
	if code != exitFailed || !strings.HasPrefix(out, "status     not ready\nrole       leader\ncomponent  tlim.im.test\nversion    ") || !strings.Contains(out, "\nreason     ") ||
		errs != "tlim: not ready: messages are not taken, or not delivered\n" {
		t.Errorf("got %d\n%s\n%s\nwant %d, not ready, and why", code, out, errs, exitFailed)
	}
	code, out, _ = runCommand(t, "status", "--json", "--config", asker)
	var got struct {
		Version   string    `json:"version"`
		Started   time.Time `json:"started"`
		Component string    `json:"component"`
		Ready     bool      `json:"ready"`
		Link      partState `json:"link"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("got %v, want JSON in\n%s", err, out)
	}
	if code != exitFailed || got.Version != version() || got.Ready || got.Component != "tlim.im.test" || got.Link.OK || time.Since(got.Started) > time.Hour {
		t.Errorf("got %d, %+v, want %d, version %s, this component, not ready, started just now", code, got, exitFailed, version())
	}
}

func TestStatus(t *testing.T) {
	code, ready := http.StatusOK, `{"component": "tlim.im.test", "ready": true, "degraded": true, "reasons": [], "warnings": ["no Chinese: mend it"],
		"link": {"ok": true, "state": "up", "since": "2026-12-01T08:00:00Z"}, "database": {"ok": true}, "users": {"ok": true, "state": "api"}, "messages": {"ok": true, "state": "up"}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := "# TYPE tlim_build_info gauge\ntlim_build_info{version=\"v1.2.3\"} 1\n"
		if r.URL.Path == "/readyz" {
			w.WriteHeader(code)
			text = ready
		}
		_, _ = io.WriteString(w, text) // the caller is gone when this fails
	}))
	defer server.Close()
	config := write(t, t.TempDir(), "tlim.yaml", "metrics: {listen: '"+strings.TrimPrefix(server.URL, "http://")+"'}\n")
	want := `status     ready, degraded
component  tlim.im.test
version    v1.2.3
link       up since 2026-12-01T08:00:00Z
database   ok
users      api
messages   up
warning    no Chinese: mend it
`
	if got, out, errs := runCommand(t, "status", "--config", config); got != 0 || out != want || errs != "" {
		t.Errorf("got %d\n%s\n%s\nwant 0\n%s", got, out, errs, want)
	}
	// Of two, each shows the other one; a standby is in order while its leader lives.
	for _, c := range []struct {
		name, role, other string // other may bring a key of its own behind it
		ready             bool
		code              int
		want              string
	}{
		{"a leader", `"leader"`, `{"role": "standby", "host": "m2", "pid": 7, "address": "10.0.0.2:9090", "version": "v1.2.4", "alive": true}`, true, 0,
			"status     ready\nrole       leader\nstandby    m2, process 7, 10.0.0.2:9090, tlim v1.2.4: alive\n"},
		{"a standby", `"standby"`, `{"role": "leader", "host": "m1", "pid": 6, "address": "10.0.0.1:9090", "version": "v1.2.3", "alive": true}`, false, 0,
			"status     standing by\nrole       standby\nleader     m1, process 6, 10.0.0.1:9090, tlim v1.2.3: alive\n"},
		{"a standby whose leader is silent", `"standby"`, `{"role": "leader", "host": "m1", "pid": 6, "address": "10.0.0.1:9090", "version": "v1.2.3", "alive": false}`, false, exitFailed,
			"status     not ready\nrole       standby\nleader     m1, process 6, 10.0.0.1:9090, tlim v1.2.3: silent\n"},
		{"a standby that cannot see its leader", `"standby"`, `{"role": "leader", "host": "m1", "pid": 6, "address": "10.0.0.1:9090", "version": "v1.2.3", "alive": false}, "hindered": "the leader cannot be looked at"`, false, exitFailed,
			"status     not ready\nrole       standby\nleader     m1, process 6, 10.0.0.1:9090, tlim v1.2.3: not seen\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, ready = http.StatusServiceUnavailable, fmt.Sprintf(`{"component": "tlim.im.test", "ready": %v, "role": %s, "other": %s, "database": {"ok": true}}`, c.ready, c.role, c.other)
			if got, out, _ := runCommand(t, "status", "--config", config); got != c.code || !strings.HasPrefix(out, c.want) {
				t.Errorf("got %d\n%s\nwant %d\n%s", got, out, c.code, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		code int
		text string
	}{"another program": {200, "<html>"}, "another program's JSON": {200, `{"ready": true}`}, "a proxy": {502, ready}} {
		t.Run(name, func(t *testing.T) {
			code, ready = c.code, c.text
			if got, out, errs := runCommand(t, "status", "--config", config); got != exitSilent || out != "" || !strings.Contains(errs, "no tlim answers on ") {
				t.Errorf("got %d, %q, %q, want %d and that no tlim answers", got, out, errs, exitSilent)
			}
		})
	}
	server.Close()
	if got, _, errs := runCommand(t, "status", "--config", config); got != exitSilent || !strings.Contains(errs, "no tlim answers on ") {
		t.Errorf("nobody: got %d, %q, want %d and that no tlim answers", got, errs, exitSilent)
	}
}
