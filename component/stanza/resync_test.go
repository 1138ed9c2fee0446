package stanza

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// What Openfire 4.2 makes of namespaces that a client wrote, and other ways to lose the thread: the first one is what it sent.
var poisons = []string{
	"<iq type=\"get\" id=\"1\" to=\"c\" from=\"a@im.test/r\"><query xmlns=\"urn:example:\"\n'>\" a=\"&quot;/&gt;\"></query></iq>",
	`<iq type="get" id="1"><query xmlns="urn:q:""></query></iq>`,
	`<iq type="get" id="1"><query xmlns="urn:q:<&>"></query></iq>`,
	`<iq type="get" id="1"><query xmlns="urn:q" xmlns:p=""evil" p:x="&quot;&lt;"></query></iq>`,
	`<presence><x xmlns:p="urn:q:"/><evil/>"></x></presence>`,
	`<message><x xmlns="urn:q:"></x></message></message><message a=""></x></message>`,
	`<message><x xmlns="urn:q:"><message><x a=""></x></message>`,
	`<message><x xmlns="urn:q:"><a><b><c></d></e><x a=""></x></message>`,
	`<message><x xmlns="urn:q:"><!-- "></x></message>`,
	`<message><x xmlns="urn:q:"><![CDATA["></x></message>`,
	`<message><x xmlns="urn:q:"><?pi "></x></message>`,
	`<message><x xmlns="urn:q:"/></message><?pi <message a=""></x></message>`,
	`<message><x xmlns="urn:q:"/></message><foo a=""></x></message>`,
	`<message><x xmlns="urn:q:"/></message>text<foo a=""></x></message>`,
	`<message><x xmlns="urn:q:"/></message><stream:stream a=""></x></message>`,
	`<message><x xmlns="urn:q:"/></message><iq type='result' id='no secret" a=""></x></message>`,
	`<message><x xmlns="urn:q:` + strings.Repeat("<a>", 300) + `"></x></message>`,
	`<message><x xmlns="urn:q:"/></message></` + strings.Repeat("a", 300) + `<message a=""></x></message>`,
	`<message><x xmlns="urn:q:"/></message><!--` + strings.Repeat("a", 300) + `<message a=""></x></message>`,
}

const (
	secret = "f00dbeef"
	pong   = `<iq type="result" id="` + secret + `7" from="im.test" to="tlim.im.test"/>`
	after  = `<message id="after"><body>x</body></message>`
)

// readers cut what is read in every way.
func readers(doc string) map[string]io.Reader {
	return map[string]io.Reader{
		"at once":      strings.NewReader(doc),
		"byte by byte": iotest.OneByteReader(strings.NewReader(doc)),
		"halves":       iotest.HalfReader(strings.NewReader(doc)),
	}
}

// An answer to our own question is found whatever came before it, and so is all that follows.
func TestResync(t *testing.T) {
	for _, poison := range poisons {
		t.Run(fmt.Sprintf("%.40q of %d bytes", poison, len(poison)), func(t *testing.T) {
			for way, r := range readers(header + `<message id="before"/>` + poison + pong + after + poison + poison + pong + pong + after + `</stream:stream>`) {
				f := NewFramer(r, Limits{Stanza: 250, Own: secret})
				count := map[string]int{}
				broken := 0
				for {
					frame, err := f.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatalf("read in %s: got %v, want frames until %v", way, err, io.EOF)
					}
					switch frame.Kind {
					case KindBroken:
						broken++
					case KindStanza:
						count[frame.Stanza.ID]++
					}
				}
				if count["before"] != 1 || count[secret+"7"] != 3 || count["after"] != 2 || broken < 2 {
					t.Errorf("%s: got %v, broken %d times, want before once, the ping 3 times, after twice, broken at least twice", way, count, broken)
				}
			}
		})
	}
}

// Where nothing is broken the answers change nothing, also inside of other stanzas and in an element that is skipped.
func TestInSync(t *testing.T) {
	doc := header + pong + `<message id="1"><body>` + secret + `</body><x id="` + secret + `"/></message>` + pong +
		`<iq to="tlim.im.test" from="im.test" type="result" id="` + secret + `8"><query/></iq><presence id="2"/>` +
		`<message id="3">` + strings.Repeat("<e/>", 200) + `</message>` + pong + after + `</stream:stream>`
	for way, r := range readers(doc) {
		f := NewFramer(r, Limits{Stanza: 300, Own: secret})
		var got []string
		for {
			frame, err := f.Next()
			if err != nil {
				break
			}
			if frame.Kind == KindBroken {
				t.Errorf("%s: broken after %q, want Kind other than %v", way, got, KindBroken)
			}
			got = append(got, frame.Stanza.ID)
		}
		if want := "7n9 f00dbeef7 1 f00dbeef7 f00dbeef8 2 3 f00dbeef7 after "; strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %v", way, got, want)
		}
	}
}

// Nothing that a client can make the server send keeps an answer and what follows it from being seen.
func FuzzResync(f *testing.F) {
	for i, poison := range poisons {
		f.Add(poison, i)
	}
	f.Fuzz(func(t *testing.T, poison string, cut int) {
		if strings.Contains(poison, secret) {
			return // nobody else knows it
		}
		doc := header + poison + pong + after
		for way, r := range map[string]io.Reader{"at once": strings.NewReader(doc), "byte by byte": iotest.OneByteReader(strings.NewReader(doc)),
			"in two": io.MultiReader(strings.NewReader(doc[:uint(cut)%uint(len(doc))]), strings.NewReader(doc[uint(cut)%uint(len(doc)):]))} {
			framer := NewFramer(r, Limits{Stanza: 250, Own: secret})
			var last []string
			for {
				frame, err := framer.Next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Fatalf("%s: got %v, want %v", way, err, io.EOF)
					}
					break
				}
				if frame.Kind == KindStanza {
					last = append(last, frame.Stanza.ID)
				}
			}
			if len(last) < 2 || last[len(last)-2] != secret+"7" || last[len(last)-1] != "after" {
				t.Fatalf("%s: got %q, want last of length at least 2, last %v, last after", way, last, secret+"7")
			}
		}
	})
}
