package main

import (
	"bytes"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tlim/cmd/tlim/config"
	"tlim/component"
	"tlim/component/doubles"
	"tlim/store"
)

// Each wrong call of a shadow run has its line and its exit code.
func TestShadowRefuses(t *testing.T) {
	t.Setenv("TLIM_XMPP_SECRET", "s")
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db")
	db, err := sql.Open("sqlite", empty)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE another (a varchar(64))"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	base := []string{"--set", "xmpp.domain=im.test", "--set", "metrics.listen=127.0.0.1:0"}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"json alone":        {[]string{"serve", "--json"}, exitUsage, "are for a shadow run: add --shadow"},
		"report alone":      {[]string{"serve", "--report", "2m"}, exitUsage, "are for a shadow run: add --shadow"},
		"reports too often": {[]string{"serve", "--shadow", "--report", "1ms"}, exitUsage, "--report: at least 1s"},
		"no domain":         {[]string{"serve", "--shadow"}, exitUsage, "xmpp.domain: is missing"},
		"no database":       {append([]string{"serve", "--shadow", "--set", "store.dsn=" + filepath.Join(dir, "nosuch.db")}, base...), exitFailed, "open the sqlite database"},
		"not the plugin's":  {append([]string{"serve", "--shadow", "--set", "store.dsn=" + empty}, base...), exitFailed, "there is no table ofmessage; is store.dsn the database in which the old plugin has its messages?"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := runCommand(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("got exit code %d, %s, want %d, %s", code, stderr, c.code, c.want)
			}
		})
	}
}

// What is taken otherwise is said, and only that.
func TestShadowTakesOtherwise(t *testing.T) {
	cfg := config.Default()
	cfg.Cleanup.Enabled, cfg.Directory.CreateAccounts, cfg.XMPP.Connections = true, true, 3
	cfg, told := shadowConfig(cfg)
	text := strings.Join(told, "; ")
	for _, want := range []string{"xmpp.copies: on", "store.migrate: off", "offline.confirm: presence", "limits.per_user_rate: 0", "http.listen: not opened", "cleanup.enabled: false", "create_accounts", "xmpp.connections"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %s in it", text, want)
		}
	}
	c := componentConfig(cfg)
	if !c.Copies || c.Confirm != component.ConfirmByPresence || c.UserRate != 0 || c.Acknowledgements != component.AcknowledgementsNever || c.Cleanup.Enabled ||
		c.Directory.CreateAccounts || cfg.Store.Migrate != store.MigrateOff || cfg.XMPP.Connections != 1 {
		t.Errorf("got %+v, want a run that changes nothing", c)
	}
	if _, again := shadowConfig(cfg); len(again) != 1 {
		t.Errorf("of a configuration that is so already: got %q, want http.listen alone", again)
	}
}

// A signal ends a run whose server never answers, with a report of nothing, and that is no success.
func TestShadowWithoutServer(t *testing.T) {
	t.Setenv("TLIM_XMPP_SECRET", "s")
	dir := t.TempDir()
	file := filepath.Join(dir, "old.db")
	db, err := store.Open(t.Context(), store.Config{DSN: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	from := config.Sources{Set: []string{"xmpp.domain=im.test", "xmpp.server=127.0.0.1:1", "metrics.listen=127.0.0.1:0", "store.dsn=" + file}}
	log := &doubles.Log{}
	signals := make(chan os.Signal, 2)
	ended := make(chan error, 1)
	var out bytes.Buffer
	go func() { ended <- serveShadow(from, &out, log, signals, shadowing{on: true, every: shadowEvery}) }()
	poll(t, testContext(t), func() bool {
		return log.Count("msg=started") == 1 && log.Count("link is down") > 0 || len(ended) > 0
	})
	signals <- syscall.SIGTERM
	err = <-ended
	if err == nil || !strings.Contains(err.Error(), "nothing was compared: no packet copies came (127.0.0.1:1 refuses connections") {
		t.Errorf("got %v, want that nothing was compared, and why", err)
	}
	if !strings.HasPrefix(out.String(), "the server has handed out no packet copies until ") || !strings.Contains(out.String(), "messages: 0 compared, 0 the same") {
		t.Errorf("got %s, want a report of nothing", out.String())
	}
	if text := log.String(); !strings.Contains(text, "packet copies load the server") || !strings.Contains(text, "a tlim has had these tables before") {
		t.Errorf("got log %s, want what copies cost, and whose tables these are", text)
	}
}
