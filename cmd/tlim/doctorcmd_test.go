package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
)

// Without a configuration file the first line says so, and where one was looked for; with the settings in the environment that is
// as it should be.
func TestDoctorWithoutFile(t *testing.T) {
	for name, c := range map[string]struct {
		set   []string
		wants []string
		fails bool
	}{
		"the wrong folder": {nil, []string{"warning  configuration: no configuration file was read", "--config FILE"}, true},
		"all is set":       {[]string{"xmpp.domain=im.test"}, []string{"ok       configuration: no configuration file was read"}, false},
		"a misspelt key":   {[]string{"xmpp.sercet=x"}, []string{"failure  configuration: ", "no configuration file was read"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, ctx, metrics := t.TempDir(), testContext(t), freeAddr(t) // the last two look for the checkout
			t.Chdir(dir)
			var out bytes.Buffer
			from := config.Sources{Set: append([]string{"xmpp.server=127.0.0.1:1", "metrics.listen=" + metrics, "http.listen=127.0.0.1:0"}, c.set...)}
			if err := examine(ctx, &out, from, false); (err != nil) != c.fails {
				t.Errorf("got the error %v, want one: %v", err, c.fails)
			}
			first, _, _ := strings.Cut(out.String(), "\n")
			for _, want := range append(c.wants, filepath.Join(dir, "tlim.yaml")) {
				if !strings.Contains(first, want) {
					t.Errorf("got %q, want it to hold %q", first, want)
				}
			}
		})
	}
}
