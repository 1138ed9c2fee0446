package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/store"
)

// write makes a file in a folder of the test and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openStore is the database of a configuration in dir that names none, until the test ends.
func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(dir, "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// ledStore is the same, as a process that serves has it.
func ledStore(t *testing.T, dir string) (db *store.Store, epoch int64) {
	t.Helper()
	db = openStore(t, dir)
	state, err := db.TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return db, state.Epoch
}

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// unlinked is the configuration of a product whose server is away, with its files in dir and more sections of YAML.
func unlinked(t *testing.T, dir, more string) config.Config {
	t.Helper()
	file := write(t, dir, "tlim.yaml", "xmpp: {domain: im.test, secret: x, server: '"+freeAddr(t)+"'}\nhttp: {listen: '127.0.0.1:0'}\nmetrics: {listen: '127.0.0.1:0'}\n"+more)
	cfg, _, err := config.Load(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.yaml", "xmpp: {domain: im.test, secret: x}\n")
	bad := write(t, dir, "bad.yaml", "xmpp: {domain: im.test, sercet: x, ping: 8}\n")
	broken := write(t, dir, "broken.yaml", "xmpp: [\n")
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string // parts of them
	}{
		{"version", 0, "tlim ", ""},
		{"--version", 0, "tlim " + version() + "\n", ""},
		{"version --json", 0, "\"go\": \"" + runtime.Version() + "\"", ""},
		{"", 0, "Available Commands", ""},
		{"config check --config " + good, 0, "good.yaml: fit to run", ""},
		{"config show --config " + good, 0, "secret: '********'", ""},
		{"config check --config " + bad, 2, "", "tlim: " + bad + ":1: unknown key xmpp.sercet; the nearest known one is xmpp.secret\ntlim: " + bad + ":1: xmpp.ping"},
		{"config show --config " + bad, 2, "ping: 8s", "unknown key xmpp.sercet"},
		{"serve --config " + bad, 2, "", "unknown key xmpp.sercet"},
		{"serve --config " + broken, 2, "", "broken.yaml:1: is no YAML here or in the next line: "},
		{"config check --config " + dir + "/none.yaml", 2, "", "tlim: read the configuration: " + dir + "/none.yaml: no such file"},
		{"serve --confg x", 2, "", "unknown flag --confg; the nearest one is --config"},
		{"enrol", 2, "", "unknown command; tlim has " + strings.Join(commandNames(), ", ")},
		{"config check x", 2, "", "wrong arguments; write: tlim config check [flags]"},
		{"serve x", 2, "", "wrong arguments; write: tlim serve [flags]"},
	} {
		t.Run(fmt.Sprintf("%q", c.args), func(t *testing.T) {
			code, stdout, stderr := runCommand(t, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit code %d\nstdout: %s\nstderr: %s\nwant %d, stdout with %q, stderr with %q", code, stdout, stderr, c.code, c.stdout, c.stderr)
			}
			if c.stderr == "" && stderr != "" {
				t.Errorf(`stderr: got %s, want ""`, stderr)
			}
		})
	}
}

// Programs read what commands print.
func TestEveryCommandPrintsJSON(t *testing.T) {
	var look func(c *cobra.Command)
	looked := 0
	look = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			look(sub)
		}
		if c.HasSubCommands() || c.Name() == "completion" { // which prints a script
			return
		}
		looked++
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%s has no flag --json, want one", c.CommandPath())
		}
	}
	look(rootCommand())
	if looked < 15 {
		t.Errorf("got %d commands, want all", looked)
	}
	dir := t.TempDir()
	good := write(t, dir, "good.yaml", "xmpp: {domain: im.test, secret: hush-hush}\nmetrics: {listen: '"+freeAddr(t)+"'}\n")
	bad := write(t, dir, "bad.yaml", "xmpp: {domain: im.test, secret: hush-hush, ping: 8}\n")
	database := " --set store.dsn=" + filepath.Join(dir, "some.db") + " --config " + good
	opened, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(dir, "some.db")})
	if err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"config check --config " + good, 0, `"problems": []`},
		{"config check --config " + bad, exitUsage, `"fit": false`},
		{"config show --config " + good, 0, `"domain": "im.test"`},
		{"version", 0, `"platform": "` + runtime.GOOS + "/" + runtime.GOARCH + `"`},
		{"token revoke zhangsan" + database, 0, `"known": false`},
		{"migrate up" + database, 0, `"created": []`},
		{"migrate down" + database, 0, `"tlim_id"`},
		{"migrate down --yes" + database, 0, `"done": true`},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := runCommand(t, append(strings.Fields(c.args), "--json")...)
			if code != c.code || !json.Valid([]byte(out)) || !strings.Contains(out, c.want) || strings.Contains(out+errs, "hush-hush") {
				t.Errorf("got %d\n%s\n%s\nwant %d and a document with %s, without the secret", code, out, errs, c.code, c.want)
			}
		})
	}
}

func TestPrintJSON(t *testing.T) {
	var out strings.Builder
	if err := printJSON(&out, map[string]string{"remedy": "set <key> & start"}); err != nil || out.String() != "{\n  \"remedy\": \"set <key> & start\"\n}\n" {
		t.Errorf("got %q, %v, want it indented, with < > & as they are", out.String(), err)
	}
}

// commandNames are the first words of all commands, as people are told of them.
func commandNames() (names []string) {
	root := rootCommand()
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return names
}

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: runtime.Version(), Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2026-11-23T22:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	want := "v1.2.3, commit 0123456789ab of 2026-11-23T22:00:00Z, changed, " + runtime.Version()
	if got := buildOf(info).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := buildOf(&debug.BuildInfo{GoVersion: "go1.26"}).String(); got != "(devel), go1.26" {
		t.Errorf(`without a commit: got %s, want "(devel), go1.26"`, got)
	}
}
