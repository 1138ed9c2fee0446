package httpapi

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestKeyFile: the first start makes an admin key that only its owner can read, and tells where, never what.
func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tlim.key")
	fromFile := func(c *Config) { c.Keys, c.KeyFile = nil, path }
	l := newLab(t, fromFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(content))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || len(key) < 26 {
		t.Errorf("the file has mode %v and a key of %d characters: %v, want mode 0600, at least 26 characters, no error", info.Mode(), len(key), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v, want 1 entry, no error", entries, err)
	}
	if log := l.log.String(); !strings.Contains(log, path) || strings.Contains(log, key) {
		t.Errorf("got log %s, want %q in it, not %q", log, path, key)
	}
	if a := l.do(t, "GET", "findSessions", "user_id=x", "", "Authorization", "Bearer "+key); a.status != 200 {
		t.Errorf("the new key: got %d, want 200", a.status)
	}

	// The second start uses the same one.
	again := newLab(t, fromFile)
	if a := again.do(t, "GET", "findSessions", "user_id=x", "", "Authorization", "Bearer "+key); a.status != 200 {
		t.Errorf("after a restart: got %d, want 200", a.status)
	}
	// Changed, it counts from the next reload on.
	if err := os.WriteFile(path, []byte("another-key-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.ReloadKeys(nil); err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]int{key: 401, "another-key-0123456789": 200} {
		t.Run(strconv.Itoa(want), func(t *testing.T) {
			if a := again.do(t, "GET", "findSessions", "user_id=x", "", "Authorization", "Bearer "+secret); a.status != want {
				t.Errorf("after a reload: got %d, want %d", a.status, want)
			}
		})
	}
	// Open to others: a warning.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := again.ReloadKeys(nil); err != nil || !strings.Contains(again.log.String(), "chmod 600") {
		t.Errorf(`a file that others can read: got %v, log %s, want no error, "chmod 600"`, err, again.log.String())
	}
	// Empty: nobody gets in by an empty key, and the keys of before stay.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := again.ReloadKeys(nil); err == nil {
		t.Error("an empty key file is taken, want an error")
	}
	if a := again.do(t, "GET", "findSessions", "user_id=x", "", "Authorization", "Bearer another-key-0123456789"); a.status != 200 {
		t.Errorf("after a failed reload: got %d, want 200", a.status)
	}
}

func TestKeyFileMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tlim.key")
	var wg sync.WaitGroup
	made := make([]string, 8)
	for i := range made {
		wg.Go(func() {
			keys, err := fileKeys(path, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Error(err)
				return
			}
			made[i] = keys[0].Key
		})
	}
	wg.Wait()
	for _, key := range made {
		if key == "" || key != made[0] {
			t.Errorf("starts at once made %q, want a key, key %v", made, made[0])
		}
	}
	if _, err := fileKeys(filepath.Join(path, "below-a-file"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file that cannot be made: got no error, want one")
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	good := Key{Name: "a", Key: "0123456789abcdef", Scopes: []string{"business"}}
	for want, keys := range map[string][]Key{
		"needs a name":  {{Key: "k", Scopes: []string{"admin"}}},
		"key is empty":  {{Name: "a", Scopes: []string{"admin"}}},
		"no scopes":     {{Name: "a", Key: "k"}},
		"unknown scope": {{Name: "a", Key: "k", Scopes: []string{"root"}}},
		"used twice":    {good, good},
		"rate -1":       {{Name: "a", Key: "k", Scopes: []string{"admin"}, Rate: -1}},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := newKeyring(keys, nil, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
		})
	}
	if _, err := (Config{AllowAnonymous: "some", Language: "fr"}).withDefaults(); err == nil ||
		!strings.Contains(err.Error(), "some") || !strings.Contains(err.Error(), "fr") || !strings.Contains(err.Error(), "key_file") {
		t.Errorf("not all that is wrong is said: got %v, want an error, error with some, with fr, with key_file", err)
	}
}
