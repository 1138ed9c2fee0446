package config

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"
)

func asUTF16(text string, order binary.AppendByteOrder, mark bool) string {
	if mark {
		text = byteOrderMark + text
	}
	var data []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, unit)
	}
	return string(data)
}

func asGBK(t *testing.T, text string) string {
	t.Helper()
	data, err := simplifiedchinese.GBK.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const wellMeant = "# 配置\nxmpp: {domain: im.test, secret: s3cret}\nlog:\n  level: debug\n"

// What Windows' editors make of a file is taken where it is certain what is meant.
func TestEditorsThatAreUnderstood(t *testing.T) {
	for name, text := range map[string]string{
		"UTF-8":                         wellMeant,
		"byte order mark":               byteOrderMark + wellMeant,
		"line ends of Windows":          byteOrderMark + strings.ReplaceAll(wellMeant, "\n", "\r\n"),
		"UTF-16, low byte first":        asUTF16(wellMeant, binary.LittleEndian, true),
		"UTF-16, high byte first":       asUTF16(wellMeant, binary.BigEndian, true),
		"wide signs in a comment":       "# 配置：“a”，b\n" + wellMeant + "# ｛\n",
		"wide signs in quotation marks": wellMeant + "push: {webhook: {kinds: [ 'MTB-' ]}} # ：\n",
		"a tab before a comment":        wellMeant + "files: {max_size: 1MiB}\t# tab\n",
	} {
		t.Run(name, func(t *testing.T) {
			cfg, problems := parse([]byte(text), "tlim.yaml", "/etc", nil, nil)
			if len(problems) > 0 || cfg.Log.Level != "debug" {
				t.Errorf("got %q, level %s, want no problems, Level debug", problems, cfg.Log.Level)
			}
		})
	}
	// and of a variable and a secret's file
	for name, text := range map[string]string{"mark": byteOrderMark + "s3cret", "CRLF": "s3cret\r\n", "both": byteOrderMark + "s3cret\r\n", "UTF-16": asUTF16("s3cret\r\n", binary.LittleEndian, true)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "secret", text)
			cfg, problems := parse([]byte("xmpp: {domain: im.test, secret_file: secret}"), "tlim.yaml", dir, nil, nil)
			if len(problems) > 0 || cfg.XMPP.Secret.Reveal() != "s3cret" {
				t.Errorf("secret's file, %s: got %q, want no problems, secret s3cret", name, problems)
			}
			if strings.Contains(text, "\x00") {
				return
			}
			t.Setenv("TLIM_XMPP_SECRET", text)
			t.Setenv("TLIM_LOG_LEVEL", strings.ReplaceAll(text, "s3cret", "debug"))
			if cfg, problems = parse([]byte("xmpp: {domain: im.test}"), "tlim.yaml", dir, nil, nil); len(problems) > 0 || cfg.XMPP.Secret.Reveal() != "s3cret" || cfg.Log.Level != "debug" {
				t.Errorf("variable, %s: %q, level %q, want no problems, secret s3cret, Level debug", name, problems, cfg.Log.Level)
			}
			t.Setenv("TLIM_XMPP_SECRET", "")
			t.Setenv("TLIM_LOG_LEVEL", "")
		})
	}
}

// The rest is one line: where, which character, and what to do.
func TestEditorsThatAreNot(t *testing.T) {
	head := "xmpp: {domain: im.test, secret: s3cret}\n"
	const meant = ", or quotation marks around the value when it is meant"
	for _, c := range []struct{ name, text, want string }{
		{"tab", head + "log:\n\tlevel: debug\n", "tlim.yaml:3:1: a tab (U+0009): YAML is indented by blanks"},
		{"tab behind blanks", head + "log:\n  format: text\n \tlevel: debug\n", "tlim.yaml:4:2: a tab (U+0009): YAML is indented by blanks"},
		{"wide colon", head + "log:\n  level：debug\n", `tlim.yaml:3:8: '：' (U+FF1A): write ":" and a blank` + meant},
		{"wide colon of a section", head + "log：\n  level: debug\n", `tlim.yaml:2:4: '：' (U+FF1A): write ":" and a blank` + meant},
		{"wide colon and a neighbour", head + "log:\n  level：debug\n  format: text\n", `tlim.yaml:3:8: '：' (U+FF1A): write ":" and a blank` + meant},
		{"wide comma in braces", head + "log: {level: debug， format: text}\n", `tlim.yaml:2:19: '，' (U+FF0C): write "," and a blank` + meant},
		{"wide comma in a value", head + "log:\n  level: debug，\n", `tlim.yaml:3:15: '，' (U+FF0C): write "," and a blank` + meant},
		{"wide braces", head + "log: ｛level: debug｝\n", `tlim.yaml:2:6: '｛' (U+FF5B): write "{"` + meant},
		{"wide quotation marks", head + "log: {level: “debug”}\n", "tlim.yaml:2:14: '“' (U+201C): write a straight quotation mark" + meant},
		{"wide blank", head + "log:\n　level: debug\n", "tlim.yaml:3:1: a blank of full width (U+3000): write blanks" + meant},
		{"no-break space", head + "log:\n\u00a0 level: debug\n", "tlim.yaml:3:1: a no-break space (U+00A0): write blanks" + meant},
		{"no blank", head + "log:\n  level:debug\n", `tlim.yaml:3:8: no colon with a blank behind level: write "level: "`},
		{"equals", head + "log:\n  level = debug\n", `tlim.yaml:3:8: no colon with a blank behind level: write "level: "`},
		{"GBK", asGBK(t, "# 配置\n") + head, `tlim.yaml:1:3: a GBK (ANSI) character, "配", bytes C5 E4, is no UTF-8: save the file as UTF-8`},
		{"GBK in a value", head + "log: {level: " + asGBK(t, "调试") + "}\n", `tlim.yaml:2:14: a GBK (ANSI) character, "调", bytes B5 F7, is no UTF-8: save the file as UTF-8`},
		{"a broken byte", head + "log: {level: \xff}\n", "tlim.yaml:2:14: the byte FF is no UTF-8: save the file as UTF-8"},
		{"UTF-16 without a mark", asUTF16(head, binary.LittleEndian, false), "tlim.yaml:1:1: the file is UTF-16 without a byte order mark: save it as UTF-8"},
		{"UTF-16 without a mark, high byte first", asUTF16(head, binary.BigEndian, false), "tlim.yaml:1:1: the file is UTF-16 without a byte order mark: save it as UTF-8"},
		{"half UTF-16", asUTF16(head, binary.LittleEndian, true) + "x", "tlim.yaml:1:1: the file is UTF-16 and ends within a character: save it as UTF-8"},
		{"control character", head + "log: {level: debug\x1b}\n", "tlim.yaml:2:19: a control character (U+001B): remove it"},
		{"alias", head + "log: {level: *debug}\n", "tlim.yaml: is no YAML: a value that begins with * or & needs quotation marks"},
		{"percent sign", head + "log:\n  level: %debug\n", "tlim.yaml:3: is no YAML here or in the next line: a value that begins with @, % or ` needs quotation marks"},
		{"open quotation mark", head + "log: {level: 'debug}\n", "tlim.yaml:2: is no YAML here or in the next line: a quotation mark is not closed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, problems := parse([]byte(c.text), "tlim.yaml", "/etc", nil, nil); !slices.Equal(problems, Problems{c.want}) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(problems, "\n"), c.want)
			}
		})
	}
	t.Setenv("TLIM_LOG_LEVEL", asGBK(t, "调试"))
	t.Setenv("TLIM_XMPP_SECRET", asGBK(t, "调试"))
	_, problems := parse([]byte("xmpp: {domain: im.test}"), "tlim.yaml", "/etc", nil, nil)
	for _, want := range []string{"environment: TLIM_LOG_LEVEL: " + notUTF8, "environment: TLIM_XMPP_SECRET: " + notUTF8} {
		if !slices.Contains(problems, want) {
			t.Errorf("got %q, want %s", problems, want)
		}
	}
}
