package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

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
			from := config.Sources{Set: append([]string{"http.language=en", "xmpp.server=127.0.0.1:1", "metrics.listen=" + metrics, "http.listen=127.0.0.1:0"}, c.set...)}
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

// The command speaks the language of the site, and what programs read stays.
func TestDoctorInChinese(t *testing.T) {
	dir, ctx, metrics := t.TempDir(), testContext(t), freeAddr(t)
	t.Chdir(dir)
	from := config.Sources{Set: []string{"xmpp.domain=im.test", "xmpp.secret_file=" + write(t, dir, "secret", "hush-hush\n"), "xmpp.server=127.0.0.1:1", "metrics.listen=" + metrics, "http.listen=127.0.0.1:0"}}
	var text, document bytes.Buffer
	if err := examine(ctx, &text, from, false); err == nil {
		t.Error("nobody listens on the component port: got no error, want one")
	}
	for _, want := range []string{"失败 openfire.port: 127.0.0.1:1 拒绝连接", "处理：启动 XMPP 服务器", "跳过 openfire.secret: 要先处理 openfire.port（外部组件端口）", "项检查："} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &text, want)
		}
	}
	for line := range strings.Lines(text.String()) {
		if _, said, found := strings.Cut(line, ": "); found && !strings.ContainsFunc(said, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("got the line %q, want it in Chinese", line)
		}
	}
	if err := examine(ctx, &document, from, true); err == nil || !strings.Contains(document.String(), `"status": "failure"`) || !strings.Contains(document.String(), "拒绝连接") {
		t.Errorf("--json: got %v %s, want its outcomes in English and its sentences in Chinese", err, &document)
	}
}
