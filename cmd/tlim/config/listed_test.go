package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestList: every key once, with the highest source that names it, and no secret.
func TestList(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tlim.yaml")
	const hidden = "a-secret-that-nobody-sees"
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(hidden), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "xmpp: {domain: im.example.com, server: '127.0.0.1:5275', secret_file: secret}\nstore: {driver: mysql, dsn: 'root:" + hidden + "@tcp(db:3306)/openfire'}\n" +
		"http: {keys: [{name: oa, key: " + hidden + ", scopes: [business]}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TLIM_XMPP_SERVER", "10.0.0.1:5275")
	from := Sources{File: file, Set: []string{"limits.body=32KiB"}}
	cfg, _, err := Load(from)
	if err != nil {
		t.Fatal(err)
	}
	path, list, err := cfg.List(from)
	if err != nil || path != file || len(list) != len(keys) {
		t.Fatalf("got %s, %d keys, %v, want %s, %d", path, len(list), err, file, len(keys))
	}
	found := map[string]Listed{}
	for _, k := range list {
		found[k.Key] = k
		if strings.Contains(k.Value, hidden) {
			t.Errorf("%s: got %s, want its secret masked", k.Key, k.Value)
		}
	}
	for key, want := range map[string]Listed{
		"xmpp.server":       {Value: "10.0.0.1:5275", Source: "environment"},
		"xmpp.domain":       {Value: "im.example.com", Source: "file"},
		"xmpp.secret":       {Value: masked, Source: "file"},
		"limits.body":       {Value: "32KiB", Source: "command line"},
		"xmpp.copies":       {Value: "off", Source: "default"},
		"offline.grace":     {Value: "5s", Source: "default"},
		"http.cors_origins": {Value: `- '*'`, Source: "default"},
	} {
		t.Run(key, func(t *testing.T) {
			if want.Key = key; found[key] != want {
				t.Errorf("got %+v, want %+v", found[key], want)
			}
		})
	}
	if !strings.Contains(found["http.keys"].Value, "name: oa") {
		t.Errorf("got %q, want the name of the key", found["http.keys"].Value)
	}
}
