package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlim/store"
)

// startedDatabase is a database that a start has made, and its configuration.
func startedDatabase(t *testing.T) (dir, config string) {
	t.Helper()
	dir = t.TempDir()
	config = write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret: x}\nstore: {dsn: tlim.db}\nmetrics: {listen: '"+freeAddr(t)+"'}\n")
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(dir, "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, config
}

func TestMigrateStatus(t *testing.T) {
	_, config := startedDatabase(t)
	code, out, errs := runCommand(t, "migrate", "status", "--config", config)
	if code != 0 || errs != "" || !strings.HasPrefix(out, "ofmessage: 0 rows\n  id_ varchar(64)\n") || !strings.Contains(out, "key tlim_message_id (msg_id)\n") || !strings.HasSuffix(out, "nothing is missing\n") {
		t.Errorf("got %d, %s, %s, want the tables, and that nothing is missing", code, out, errs)
	}
	code, out, _ = runCommand(t, "migrate", "status", "--json", "--config", config)
	var l store.Layout
	if err := json.Unmarshal([]byte(out), &l); code != 0 || err != nil || len(l.Tables) != 24 || l.Missing == nil || l.Engine != "sqlite" {
		t.Errorf("got %d, %v, %d tables, want 24 and an empty list of what is missing", code, err, len(l.Tables))
	}
}

func TestMigrateUp(t *testing.T) {
	dir, config := startedDatabase(t)
	if code, out, errs := runCommand(t, "migrate", "up", "--config", config); code != 0 || out != "nothing was missing\n" || errs != "" {
		t.Errorf("got %d, %s, %s, want nothing to do", code, out, errs)
	}
	// Of an empty file all is made.
	if err := os.WriteFile(filepath.Join(dir, "empty.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "migrate", "up", "--config", config, "--set", "store.dsn="+filepath.Join(dir, "empty.db"))
	if code != 0 || !strings.Contains(out, "made: table tlim_state\n") || errs != "" {
		t.Errorf("got %d, %s, %s, want the tables made", code, out, errs)
	}
	// Beside a process that has the file open it is refused, in one line.
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(dir, "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs = runCommand(t, "migrate", "up", "--config", config)
	if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "another process is at it") {
		t.Errorf("got %d, %s, %s, want one line that says who is there", code, out, errs)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is wrong is one line with its remedy, without a password, and nothing is made.
func TestMigrateRefuses(t *testing.T) {
	dir, _ := startedDatabase(t)
	for what, c := range map[string]struct {
		store string
		want  string
	}{
		"a file that is not there": {"{dsn: none.db}", "there is no such file"},
		"a server that is away":    {"{driver: mysql, dsn: 'u:s3cret@tcp(127.0.0.1:1)/db'}", "Remedy: start the database"},
		"an address of another":    {"{dsn: 'mysql://u:s3cret@127.0.0.1:1/db'}", "set store.driver: mysql"},
	} {
		t.Run(what, func(t *testing.T) {
			wrong := write(t, dir, "wrong.yaml", "xmpp: {domain: im.test, secret: x}\nstore: "+c.store+"\n")
			code, out, errs := runCommand(t, "migrate", "up", "--config", wrong)
			if code == 0 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) || strings.Contains(errs, "s3cret") {
				t.Errorf("got %d, %s, %s, want one line with %q", code, out, errs, c.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); err == nil {
		t.Error("none.db was made, want no file")
	}
}

// What is not taken back is printed first, and done with --yes alone, while nobody serves.
func TestMigrateDown(t *testing.T) {
	dir, config := startedDatabase(t)
	code, out, errs := runCommand(t, "migrate", "down", "--config", config)
	if code != 0 || errs != "" || !strings.Contains(out, "would go: table tlim_state, 1 rows: where delivery stands") || !strings.HasSuffix(out, "nothing was changed; tlim migrate down --yes does it\n") {
		t.Errorf("got %d, %s, %s, want what would go", code, out, errs)
	}
	if _, out, _ := runCommand(t, "migrate", "status", "--config", config); !strings.HasSuffix(out, "nothing is missing\n") {
		t.Errorf("after the plan: got %s, want all as it was", out)
	}
	code, out, errs = runCommand(t, "migrate", "down", "--yes", "--config", config)
	if code != 0 || errs != "" || !strings.Contains(out, "gone: column ofmessage.flags\n") || strings.Contains(out, "would") {
		t.Errorf("got %d, %s, %s, want what went", code, out, errs)
	}
	if _, out, _ := runCommand(t, "migrate", "status", "--config", config); strings.Contains(out, "\ntlim_") || !strings.Contains(out, "missing: table tlim_state\n") {
		t.Errorf("after it: got %s, want the plugin's tables alone", out)
	}
	if code, out, _ := runCommand(t, "migrate", "down", "--config", config); code != 0 || out != "nothing of tlim is there\n" {
		t.Errorf("again: got %d, %s, want nothing to do", code, out)
	}

	// A process that serves is in the way, by its own word.
	serving := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := health{Component: "tlim.im.test", Link: partState{State: "up", OK: true}}
		if err := json.NewEncoder(w).Encode(h); err != nil {
			t.Error(err)
		}
	}))
	defer serving.Close()
	served := write(t, dir, "served.yaml", "xmpp: {domain: im.test, secret: x}\nstore: {dsn: tlim.db}\nmetrics: {listen: '"+serving.Listener.Addr().String()+"'}\n")
	for _, command := range []string{"down", "utf8mb4"} {
		t.Run(command, func(t *testing.T) {
			code, out, errs := runCommand(t, "migrate", command, "--yes", "--config", served)
			if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "a tlim serves (metrics.listen") {
				t.Errorf("%s: got %d, %s, %s, want one line that says who serves", command, code, out, errs)
			}
		})
	}
}

func TestMigrateConvertElsewhere(t *testing.T) {
	_, config := startedDatabase(t)
	for _, args := range [][]string{{"migrate", "utf8mb4"}, {"migrate", "utf8mb4", "--yes"}} {
		t.Run(strings.Join(args[1:], " "), func(t *testing.T) {
			code, out, errs := runCommand(t, append(args, "--config", config)...)
			if code != exitFailed || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "in sqlite there is nothing to convert") {
				t.Errorf("%q: got %d, %s, %s, want one line", args, code, out, errs)
			}
		})
	}
}
