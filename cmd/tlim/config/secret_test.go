package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestEverySecretIsMasked gives every secret and every database a value from each source and looks for it in all that may be
// printed.
func TestEverySecretIsMasked(t *testing.T) {
	cfg := Default()
	root, hidden := reflect.ValueOf(&cfg).Elem(), 0
	dir := t.TempDir()
	write(t, dir, "secret", "hush-0123456789\n")
	for _, k := range keys {
		if !k.secret() {
			continue
		}
		hidden++
		text := "hush-0123456789"
		if _, ok := root.FieldByIndex(k.field).Interface().(DSN); ok {
			text = "tlim:hush-@:/0123456789@tcp(10.0.0.1:3306)/im?password=hush"
			write(t, dir, "secret", text)
		} else {
			write(t, dir, "secret", text+"\n")
		}
		t.Setenv(k.env+"_FILE", dir+"/secret")
		read, problems := parse(nil, "tlim.yaml", dir, os.Environ(), nil)
		t.Setenv(k.env+"_FILE", "")
		got := reflect.ValueOf(&read).Elem().FieldByIndex(k.field).Interface().(interface{ Reveal() string }).Reveal()
		if !strings.HasSuffix(got, text) { // a DSN of the default driver is a file below the folder
			t.Errorf("%s_file gives %q, problems %q, want ending in %q", k.name, got, problems, text)
		}
		if strings.Contains(strings.Join(problems, "\n"), "hush") {
			t.Errorf("%s is in a problem: got %q, want problems without hush", k.name, problems)
		}
		root.FieldByIndex(k.field).Addr().Interface().(secretValue).reveal(text)
	}
	if hidden < 9 {
		t.Errorf("got %d secrets, want at least 9", hidden)
	}
	cfg.HTTP.Keys = []Key{{Name: "crm", Key: Secret{"hush-0123456789abcdef"}}}

	shown, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "database", cfg.Store.DSN, "secret", cfg.XMPP.Secret, "all", cfg)
	for _, text := range []string{string(shown), string(asJSON), log.String(), fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg)} {
		if strings.Contains(text, "hush") || !strings.Contains(text, masked) {
			t.Errorf("a secret is shown:\n%s\nwant %[2]q in its place", text, masked)
		}
	}
}

// What is shown of an address of the web says where it leads.
func TestMaskedURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"https://push.test/hook":              "https://push.test/hook",
		"ws://im.test:7070/ws/":               "ws://im.test:7070/ws/",
		"https://u:hush@push.test:8443/a%20b": "https://********@push.test:8443/a%20b",
		"https://push.test/hook?token=hush#x": "https://push.test/hook?********#********",
		"https://u:hu/hush@push.test/":        "********",
		"https://u:12/hush@push.test/":        "https://********",
		"https://u:h@hush?hush@push.test/":    "https://********",
		"https://u:%zzhush@push.test/":        "********",
		"u:hush@push.test":                    "********",
		"hush":                                "********",
		"ftp://u:hush@push.test/":             "********",
		"s3.test:9000":                        "s3.test:9000",
		"s3.test":                             "s3.test",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			if got := maskURL(text); got != want {
				t.Errorf("%s: got %s, want %s", text, got, want)
			}
		})
	}
}
