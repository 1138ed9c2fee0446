package system

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"tlim/scripts/lab"
	"tlim/store"
)

// diagnosis is the document of `tlim doctor --json`.
type diagnosis struct {
	Serving                     bool
	Failures, Warnings, Skipped int
	Checks                      []struct {
		ID, Name, Status string
		Findings         []struct{ Status, Seen, Remedy string }
	}
}

// doctor runs the command on a configuration and returns its document, exit code and duration. Both forms of output are free of the
// secrets that the configuration holds.
func doctor(t *testing.T, config map[string]any) (d diagnosis, code int, took time.Duration) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "tlim.yaml")
	nested := map[string]any{"http": map[string]any{"listen": "127.0.0.1:0"}}
	for key, value := range config {
		section, name, _ := strings.Cut(key, ".")
		if nested[section] == nil {
			nested[section] = map[string]any{}
		}
		nested[section].(map[string]any)[name] = value
	}
	check(t, os.WriteFile(file, must[[]byte](t)(yaml.Marshal(nested)), 0o600))
	binary := must[string](t)(lab.Build(within(t, patience)))
	cmd := exec.CommandContext(within(t, time.Minute), binary, "doctor", "--json", "--config", file)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	took = time.Since(began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	check(t, json.Unmarshal(out.Bytes(), &d))
	if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 1 {
		t.Errorf("the folder has %v, want the configuration alone", left)
	}
	return d, cmd.ProcessState.ExitCode(), took
}

// finds fails the test unless a check has a finding of this status that says so and, when it is bad, a remedy with that.
func (d diagnosis) finds(t *testing.T, id, status, seen, remedy string) {
	t.Helper()
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if c.ID == id && f.Status == status && strings.Contains(f.Seen, seen) && strings.Contains(f.Remedy, remedy) {
				return
			}
		}
	}
	t.Errorf("want of %s: %s with %q, remedy with %q; got\n%s", id, status, seen, remedy, d.lines(id))
}

// lines are what a check found; all of them, when there is no such check.
func (d diagnosis) lines(id string) string {
	var b strings.Builder
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if strings.HasPrefix(c.ID, id) {
				b.WriteString(c.ID + " " + f.Status + ": " + f.Seen + " | " + f.Remedy + "\n")
			}
		}
	}
	return b.String()
}

// Each fault of the link is named by its check, on the real server.
func TestDoctorLink(t *testing.T) {
	s := must[*lab.Server](t)(openfire())
	silent := listen(t)
	nobody := must[string](t)(lab.FreeAddr())
	const components = "External Components"
	for _, c := range []struct {
		name, key                string
		value                    any
		id, status, seen, remedy string
	}{
		{"nothing is wrong", "xmpp.server", s.Component, "openfire.domain", "ok", "answers for im.test", ""},
		{"nobody listens", "xmpp.server", nobody, "openfire.port", "failure", "refuses connections", components},
		{"a port that swallows", "xmpp.server", silent, "openfire.port", "failure", "does not answer in time", "firewall"},
		{"no such host", "xmpp.server", "nowhere.invalid:5275", "openfire.port", "failure", "has no address", "xmpp.server"},
		{"the port of clients", "xmpp.server", s.C2S, "openfire.port", "failure", "takes no component", components},
		{"TLS on the plain port", "xmpp.tls", "on", "openfire.port", "failure", "no TLS", "the port is the TLS one"},
		{"another secret", "xmpp.secret", "wrong-" + s.Secret, "openfire.secret", "failure", "does not accept the secret", components},
		{"another domain", "xmpp.domain", "chat.example", "openfire.domain", "failure", "calls itself im.test", "set xmpp.domain to im.test"},
		{"its parent", "xmpp.domain", "test", "openfire.domain", "failure", "calls itself im.test", "set xmpp.domain to im.test"},
		{"no domain", "xmpp.domain", "", "openfire.port", "failure", "xmpp.domain is not set", "XMPP Domain Name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := doctored(t, s)
			config[c.key] = c.value
			d, code, took := doctor(t, config)
			d.finds(t, c.id, c.status, c.seen, c.remedy)
			if wrong := c.status == "failure"; wrong != (code == 1) || wrong != (d.Failures > 0) {
				t.Errorf("exit code %d, %d failures\n%s", code, d.Failures, d.lines(""))
			}
			most := 20 * time.Second
			if c.id == "openfire.domain" {
				most = 5 * time.Second // it is named within a second; the rest is for a busy machine
			}
			if took > most {
				t.Errorf("took %v, want at most %v", took, most)
			}
			t.Logf("%v", took)
		})
	}
}

// doctored is the configuration of a tlim on s with nothing wrong, of which no process runs.
func doctored(t *testing.T, s *lab.Server) map[string]any {
	t.Helper()
	return map[string]any{"xmpp.server": s.Component, "xmpp.domain": s.Domain, "xmpp.secret": s.Secret,
		"metrics.listen": must[string](t)(lab.FreeAddr()), "store.dsn": filepath.Join(t.TempDir(), "tlim.db")}
}

// Each fault of a database is named by its check, on the real one.
func TestDoctorDatabase(t *testing.T) {
	server := must[*lab.Server](t)(mariadb())
	for _, c := range []struct {
		name                     string
		plant                    []string
		id, status, seen, remedy string
	}{
		{"nothing is wrong", nil, "database.charsets", "ok", "every table holds every character", ""},
		{"a queue of latin1", []string{"ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET latin1"},
			"database.charsets", "failure", "ofcustomoffline has the character set latin1", "ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET utf8mb4"},
		{"messages of utf8", []string{"ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8 COLLATE utf8_bin"},
			"database.charsets", "warning", "ofmessage has the character set utf8", "ALTER TABLE ofmessage CONVERT TO CHARACTER SET utf8mb4"},
		{"a column is missing", []string{"ALTER TABLE ofsession DROP COLUMN session_pic"},
			"database.schema", "failure", "column ofsession.session_pic is missing", "store.dsn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dsn := newDatabase(t, server)
			check(t, must[*store.Store](t)(store.Open(within(t, soon), store.Config{Driver: "mysql", DSN: dsn})).Close())
			db := must[*sql.DB](t)(sql.Open("mysql", dsn))
			defer db.Close()
			for _, statement := range c.plant {
				_, err := db.ExecContext(within(t, soon), statement)
				check(t, err)
			}
			d, _, _ := doctor(t, map[string]any{"xmpp.domain": "im.test", "xmpp.secret": "x", "xmpp.server": "127.0.0.1:1",
				"metrics.listen": must[string](t)(lab.FreeAddr()), "store.driver": "mysql", "store.dsn": dsn})
			d.finds(t, c.id, c.status, c.seen, c.remedy)
		})
	}
}

// listen is a port that takes connections and says nothing.
func listen(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	l := must[net.Listener](t)(config.Listen(context.Background(), "tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
