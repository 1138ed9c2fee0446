package stanza

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string][2]string{
		"":                             {"", ""},
		"plain 你好 😀":                   {"plain 你好 😀", "plain 你好 😀"},
		`{"a":"b<c>&'"}`:               {`{"a":"b&lt;c&gt;&amp;'"}`, `{&quot;a&quot;:&quot;b&lt;c&gt;&amp;'&quot;}`},
		"a\tb\nc\rd":                   {"a\tb\nc&#13;d", "a&#9;b&#10;c&#13;d"},
		"]]>":                          {"]]&gt;", "]]&gt;"},
		"a\x00b\x1f\x7f":               {"a\uFFFDb\uFFFD\x7f", "a\uFFFDb\uFFFD\x7f"},
		"\xff|\xed\xa0\xbd|\xf0\x9f":   {"\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD", "\uFFFD|\uFFFD\uFFFD\uFFFD|\uFFFD\uFFFD"},
		"\uFFFE\uFFFF\uFFFD\U0010FFFF": {"\uFFFD\uFFFD\uFFFD\U0010FFFF", "\uFFFD\uFFFD\uFFFD\U0010FFFF"},
	} {
		t.Run(fmt.Sprintf("%q", in), func(t *testing.T) {
			if got := string(AppendEscaped([]byte("x"), in)); got != "x"+want[0] {
				t.Errorf("text %q becomes %q, want %q", in, got[1:], want[0])
			}
			if got := string(AppendAttr([]byte("x"), in)); got != "x"+want[1] {
				t.Errorf("attribute %q becomes %q, want %q", in, got[1:], want[1])
			}
		})
	}
}

func TestValidXML(t *testing.T) {
	for _, s := range []string{"", "a\t\n\r", "\x7f\u0080\u0085", "你好😀\U0010FFFF", "\uFFFD", "\uE000"} {
		t.Run(fmt.Sprintf("%+q", s), func(t *testing.T) {
			if !ValidXML(s) {
				t.Errorf("ValidXML refuses %q, want it taken", s)
			}
		})
	}
	for _, s := range []string{"\x00", "a\x0b", "\x1f", "\uFFFE", "a\uFFFF", "\xff", "\xed\xa0\x80", "a\xc3", "\xf4\x90\x80\x80", "\xc0\x80"} {
		t.Run(fmt.Sprintf("%+q", s), func(t *testing.T) {
			if ValidXML(s) {
				t.Errorf("ValidXML takes %q, want it refused", s)
			}
		})
	}
}

// What is escaped is read back as it was, by another parser, whatever it is, when XML can hold it.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a&b<c>\"'", "\t\r\n", "\r\n", "你好😀", "\x00\xff\uFFFE", "]]>", "&amp;&#1;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var doc []byte
		doc = append(doc, `<a b="`...)
		doc = AppendAttr(doc, s)
		doc = append(doc, `">`...)
		doc = AppendEscaped(doc, s)
		doc = append(doc, "</a>"...)
		var got struct {
			B    string `xml:"b,attr"`
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal(doc, &got); err != nil {
			t.Fatalf("%q is not well-formed: %v, want the escaped text readable", doc, err)
		}
		var clean strings.Builder
		for i := 0; i < len(s); {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || !ValidXML(s[i:i+size]) {
				clean.WriteString("\uFFFD")
			} else {
				clean.WriteString(s[i : i+size])
			}
			i += size
		}
		want := clean.String()
		if ValidXML(s) != (want == s) {
			t.Fatalf("ValidXML(%q) is %v, want %v", s, ValidXML(s), want == s)
		}
		if got.B != want || got.Text != want {
			t.Fatalf("%q is read as the attribute %q and the text %q, want both %q", s, got.B, got.Text, want)
		}
		st, err := Parse(doc)
		if err != nil || st.Name != "a" {
			t.Fatalf("%q: %+v, %v, want an element a and no error", doc, st, err)
		}
		c := Child{Inner: st.Inner, tag: doc[1:bytes.IndexByte(doc, '>')]}
		if c.Text() != want || c.Attr("b") != want {
			t.Fatalf("Child reads %q as the text %q and the attribute %q, want both %q", s, c.Text(), c.Attr("b"), want)
		}
	})
}
