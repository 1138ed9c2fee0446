package stanza

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseJID(t *testing.T) {
	for in, want := range map[string]JID{
		"lisi@im.test":                           {"lisi", "im.test", ""},
		"LiSi@IM.Test/Web[1]":                    {"lisi", "im.test", "Web[1]"},
		"im.test":                                {"", "im.test", ""},
		"im.test./r":                             {"", "im.test", "r"},
		"component.im.test/a@b/c d":              {"", "component.im.test", "a@b/c d"},
		"张三@im.test/手机 1":                        {"张三", "im.test", "手机 1"},
		"ＬｉＳｉ@ｉｍ.test/ｘ":                         {"lisi", "im.test", "x"},
		`zhang\20san@im.test`:                    {`zhang\20san`, "im.test", ""},
		"Straße@im.test":                         {"strasse", "im.test", ""},
		"so\u00ADft@im.test/so\u00ADft":          {"soft", "im.test", "soft"},
		"a@Bücher.test":                          {"a", "bücher.test", ""},
		"a@[::1]/r":                              {"a", "[::1]", "r"},
		"a@my_host.test":                         {"a", "my_host.test", ""},
		"שלום@im.test":                           {"שלום", "im.test", ""},
		"a@im.test/😀":                            {"a", "im.test", "😀"}, // other servers than Openfire allow it
		"a@im.test/" + strings.Repeat("r", 1023): {"a", "im.test", strings.Repeat("r", 1023)},
	} {
		t.Run(fmt.Sprintf("%.60q", in), func(t *testing.T) {
			got, err := ParseJID(in)
			if err != nil || got != want {
				t.Errorf("%q is %+v, %v; want %+v", in, got, err, want)
				return
			}
			again, err := ParseJID(got.String())
			if err != nil || again != got {
				t.Errorf("%q prepared again is %+v, %v, want %+v as before and no error", got.String(), again, err, got)
			}
		})
	}
	for _, in := range []string{
		"", "@im.test", "a@", "a@/r", "/r", "a@im.test/", "a b@im.test", "a\"b@im.test", "a<b@im.test", "a@b@im.test", "a@im test", "a@im<test",
		"a\u00A0b@im.test", "a\u0000@im.test", "a@im.test/a\u0007", "a@im.test/\uFFFE", "\xff@im.test", "a@im.test/\xff", "a@\xff", ".", "..", "a..b", ".a", "a..", "a@ｂ．.", "😀@im.test",
		"a\u0627@im.test", "a＠b@im.test", "a@im＠test", "\u00AD@im.test", "a@im.test/\u2028",
		strings.Repeat("a", 1024) + "@im.test", "a@im.test/" + strings.Repeat("r", 1024), "a@" + strings.Repeat("d", 1024),
		strings.Repeat("\uFDFA", 200) + "@im.test", // 3 bytes that normalisation makes 33
	} {
		t.Run(fmt.Sprintf("%.60q", in), func(t *testing.T) {
			if got, err := ParseJID(in); err == nil {
				t.Errorf("%q is taken as %+v, want it refused", in, got)
			}
		})
	}
}

func TestJIDString(t *testing.T) {
	for _, c := range []struct {
		jid        JID
		bare, full string
	}{
		{JID{"a", "d", "r"}, "a@d", "a@d/r"}, {JID{"a", "d", ""}, "a@d", "a@d"}, {JID{"", "d", "r"}, "d", "d/r"}, {JID{"", "d", ""}, "d", "d"},
	} {
		t.Run(fmt.Sprintf("%+v", c.jid), func(t *testing.T) {
			if c.jid.Bare() != c.bare || c.jid.String() != c.full {
				t.Errorf("%+v is %q and in full %q, want %q and %q", c.jid, c.jid.Bare(), c.jid.String(), c.bare, c.full)
			}
		})
	}
}

func TestLocalpart(t *testing.T) {
	for in, want := range map[string]string{
		"lisi": "lisi", "LiSi": "lisi", "张三": "张三", "ＺＨＡＮＧ": "zhang", "0a1b-2c": "0a1b-2c",
		"zhang san":               `zhang\20san`,
		`a"&'/:<>@b`:              `a\22\26\27\2f\3a\3c\3e\40b`,
		"Li@Mail.example":         `li\40mail.example`,
		`zhang\20san`:             `zhang\20san`, // escaped already
		`a\b`:                     `a\b`,
		`A\2FB`:                   `a\2fb`,
		strings.Repeat("a", 1023): strings.Repeat("a", 1023),
	} {
		t.Run(fmt.Sprintf("%.60q", in), func(t *testing.T) {
			got, err := Localpart(in)
			if err != nil || got != want {
				t.Errorf("%q is %q, %v; want %q", in, got, err, want)
				return
			}
			if again, err := Localpart(got); err != nil || again != got {
				t.Errorf("%q escaped again is %q, %v, want it unchanged and no error", got, again, err)
			}
			if j, err := ParseJID(got + "@im.test"); err != nil || j.Local != got {
				t.Errorf("%q as an address is %+v, %v, want it as the local part and no error", got, j, err)
			}
		})
	}
	for _, in := range []string{
		"", " ", " a", "a ", `\20a`, "\u00AD a", "a\tb", "a\nb", "a\u0000", "\xff", "😀", "a\uFFFE", "a\u3000b", "a＠b",
		strings.Repeat("a", 1024), strings.Repeat("/", 400), strings.Repeat("张", 342), "a\u0627",
	} {
		t.Run(fmt.Sprintf("%.60q", in), func(t *testing.T) {
			if got, err := Localpart(in); err == nil {
				t.Errorf("%q is taken as %q, want it refused", in, got)
			}
		})
	}
}

func TestParseJIDAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseJID("zhangsan@im.test/8f3c[web]") }); n != 0 {
		t.Errorf("%v allocations for plain ASCII, want 0", n)
	}
}

// A prepared address stays what it is, and none can carry a part over into another.
func FuzzJID(f *testing.F) {
	for _, s := range []string{"a@b/c", "A@B/C", "张三@im.test/[web]", "@", "/", "a@b@c/d@e/f", "ＡＢ＠c", "\u00ADa@b", "a\\20b@c", "ß@ß/ß", "İ@x", "\u1E9E@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if j, err := ParseJID(s); err == nil {
			if j.Domain == "" || strings.ContainsAny(j.Local, ` "&'/:<>@`) || strings.ContainsAny(j.Domain, "@/ ") {
				t.Fatalf("%q is %+v, want a domain, and no separator in a part", s, j)
			}
			if again, err := ParseJID(j.String()); err != nil || again != j {
				t.Fatalf("%q is %+v, and prepared again %+v, %v, want the same and no error", s, j, again, err)
			}
		}
		if local, err := Localpart(s); err == nil {
			if j, err := ParseJID(local + "@d"); err != nil || j.Domain != "d" || j.Resource != "" {
				t.Fatalf("the user id %q is %q, which makes the address %+v, %v, want a bare one of the domain d and no error", s, local, j, err)
			}
		}
	})
}
