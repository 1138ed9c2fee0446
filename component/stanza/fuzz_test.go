package stanza

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A stream that encoding/xml reads is cut into the same elements with the same attributes, children and text, however it
// arrives; what encoding/xml refuses neither panics nor makes a difference between reads of one size and another.
func FuzzFramer(f *testing.F) {
	for _, s := range []string{
		`<message to="a@b" from='c@d/e' id="1&amp;2" type="chat"><body>x&lt;y</body><x xmlns="urn:x"><body>z</body></x></message>`,
		`<iq/><presence type="unavailable"/>`, `<message><![CDATA[</message>]]></message>`, `<message><!-- " --><a b=">"/></message><foo/>`,
		`<p:message xmlns:p="jabber:client"/><message xmlns="urn:x"/>`, "<message\n\tto = 'a'><body>\r\n&#13;&#x1F600;😀</body></message>",
		`<message><a xmlns:q="urn:q"><q:b/></a></message></stream:stream>`, `text`, `<!DOCTYPE a>`, `<message`, `<message></iq>`, `<?pi <message/>?>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		doc := header + s
		limits := Limits{Stanza: 1 << 20}
		got, err := collect(strings.NewReader(doc), limits)
		slow, slowErr := collect(iotest.OneByteReader(strings.NewReader(doc)), limits)
		if fmt.Sprint(got) != fmt.Sprint(slow) || fmt.Sprint(err) != fmt.Sprint(slowErr) {
			t.Fatalf("at once %+v, %v\nbyte by byte %+v, %v\nwant the same both ways", got, err, slow, slowErr)
		}
		if _, err := collect(strings.NewReader(doc), Limits{Stanza: 64, Answer: 64}); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, ErrSyntax) {
			t.Fatalf("with a low limit: got %v, want the end, %v or %v", err, io.ErrUnexpectedEOF, ErrSyntax)
		}
		for _, st := range got {
			walk(st.Children(), 0)
		}
		want, comparable := decode(doc)
		if !comparable {
			return
		}
		if err != nil {
			t.Fatalf("%q is refused: %v, want it taken, as encoding/xml does", s, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d elements, want %d: %+v", len(got), len(want), got)
		}
		for i := range want {
			compare(t, got[i], want[i])
		}
	})
}

func collect(r io.Reader, limits Limits) ([]Stanza, error) {
	f := NewFramer(r, limits)
	var all []Stanza
	for {
		frame, err := f.Next()
		switch {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return all, err
		case frame.Kind == KindEnd:
			return all, nil
		case frame.Kind != KindHeader:
			frame.Stanza.ns = nil // addresses do not compare
			if frame.Kind == KindStanza {
				all = append(all, frame.Stanza)
			} else {
				all = append(all, Stanza{Name: frame.Stanza.Name})
			}
		}
	}
}

// walk reads everything that there is to read.
func walk(children func(func(Child) bool), depth int) {
	for c := range children {
		_, _, _ = c.Text(), c.Attr("id"), c.Stanza()
		if depth < 20 {
			walk(c.Children(), depth+1)
		}
	}
}

type xmlElement struct {
	start    xml.StartElement
	inner    string
	children []string // name and text
}

// decode reads a stream with encoding/xml. It is not comparable when that refuses it, and where the two differ by design.
func decode(doc string) (all []xmlElement, comparable bool) {
	d := xml.NewDecoder(strings.NewReader(doc))
	depth := 0
	var at int64
	whole := false // the last token ended where the text ends
	for {
		before := d.InputOffset()
		token, err := d.Token()
		if err != nil {
			// At the end of s the stream is still open, which is all that may be wrong.
			var syntax *xml.SyntaxError
			return all, depth == 1 && whole && errors.As(err, &syntax) && syntax.Msg == "unexpected EOF"
		}
		whole = d.InputOffset() == int64(len(doc))
		switch token := token.(type) {
		case xml.StartElement:
			seen := map[xml.Name]bool{}
			for _, a := range token.Attr {
				if seen[a.Name] || strings.Contains(a.Name.Local, ":") || a.Name.Space == "xmlns" && a.Name.Local == "xmlns" {
					return nil, false
				}
				seen[a.Name] = true
			}
			if strings.Contains(token.Name.Local, ":") || depth == 1 && (token.Name.Local == "stream" || token.Name.Local == "error") {
				return nil, false
			}
			switch depth {
			case 1:
				all = append(all, xmlElement{start: token.Copy()})
				at = d.InputOffset()
			case 2:
				last := &all[len(all)-1]
				last.children = append(last.children, token.Name.Local+" ")
			}
			depth++
		case xml.EndElement:
			depth--
			switch depth {
			case 0:
				return all, true
			case 1:
				if before >= at {
					all[len(all)-1].inner = doc[at:before]
				}
			}
		case xml.CharData:
			switch depth {
			case 1:
				if strings.Trim(string(token), " \t\r\n") != "" || strings.Contains(doc[before:d.InputOffset()], "&") || strings.HasPrefix(doc[before:], "<![") {
					return nil, false
				}
			case 3:
				last := &all[len(all)-1]
				last.children[len(last.children)-1] += string(token)
			}
		case xml.Directive:
			return nil, false
		}
	}
}

func compare(t *testing.T, got Stanza, want xmlElement) {
	t.Helper()
	if got.Name != want.start.Name.Local {
		t.Fatalf("element %q, want %q", got.Name, want.start.Name.Local)
	}
	if got.Inner == nil {
		return
	}
	if string(got.Inner) != want.inner {
		t.Fatalf("content %q, want %q", got.Inner, want.inner)
	}
	flat := strings.NewReplacer("\n", " ", "\t", " ")
	for _, a := range want.start.Attr {
		if a.Name.Space != "" {
			continue
		}
		value := flat.Replace(a.Value)
		for name, is := range map[string]string{"from": got.From, "to": got.To, "id": got.ID, "type": got.Type} {
			if a.Name.Local == name && flat.Replace(is) != value {
				t.Fatalf("attribute %s %q, want %q", name, is, value)
			}
		}
	}
	var children []string
	for c := range got.Children() {
		children = append(children, c.Name+" "+c.Text())
		if !bytes.HasPrefix(c.Raw, []byte("<")) || !bytes.HasSuffix(c.Raw, []byte(">")) {
			t.Fatalf("raw child %q, want the whole element from < to >", c.Raw)
		}
	}
	if fmt.Sprintf("%q", children) != fmt.Sprintf("%q", want.children) {
		t.Fatalf("children %q, want %q", children, want.children)
	}
}
