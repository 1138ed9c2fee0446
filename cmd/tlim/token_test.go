package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/component"
	"tlim/store"
)

// TestTokenRevoke: the command works beside a process that serves from the same database.
func TestTokenRevoke(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "xmpp: {secret: x}\n")
	if code, _, errs := runCommand(t, "token", "revoke", "lisi", "--config", config); code != exitFailed || !strings.Contains(errs, "tlim migrate up") {
		t.Errorf("without tables: %d %s", code, errs)
	}
	db, err := store.Open(t.Context(), store.Config{DSN: filepath.Join(dir, "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	tokens := component.NewTokens(db, time.Hour, nil)
	token, _, err := tokens.Issue(t.Context(), "lisi")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := tokens.Issue(t.Context(), "zhangsan")
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "token", "revoke", "LiSi", "--config", config)
	if code != 0 || !strings.HasPrefix(out, "the tokens of lisi have ended\n") || !strings.Contains(out, "is it spelled right") || errs != "" {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if user, err := tokens.User(t.Context(), token); err == nil {
		t.Errorf("a revoked token is still that of %s", user)
	}
	if user, err := tokens.User(t.Context(), other); user != "zhangsan" || err != nil {
		t.Errorf("another user's token: %s %v", user, err)
	}
	if code, out, _ = runCommand(t, "token", "revoke", "lisi", "--config", config); code != 0 || out != "the tokens of lisi have ended\n" {
		t.Errorf("again: %d %s", code, out)
	}
	for _, args := range [][]string{{"token", "revoke"}, {"token", "revoke", "a", "b"}, {"token", "revoke", "a@b@c\u00a0"}, {"token", "nonsense"}} {
		if code, _, errs := runCommand(t, append(args, "--config", config)...); code != exitUsage || errs == "" {
			t.Errorf("%q: %d %s", args, code, errs)
		}
	}
}
