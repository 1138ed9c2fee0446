package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
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
		t.Run(c.args, func(t *testing.T) {
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
	if got := versionOf(info); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := versionOf(&debug.BuildInfo{GoVersion: "go1.26"}); got != "(devel), go1.26" {
		t.Errorf(`without a commit: got %s, want "(devel), go1.26"`, got)
	}
}
