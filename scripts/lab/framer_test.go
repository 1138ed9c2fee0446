package lab

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const stream = `<?xml version='1.0'?>` + "\n" + `<stream:stream xmlns='jabber:client' xmlns:stream="http://etherx.jabber.org/streams" id="a>b">` +
	`<a/> ` + "\n" + `<b x="/>" y='>"<'>t<c/></b><!-- <x> --><m><body><![CDATA[</m>]]></body></m><m a='1'>` + "\u4f60\U0001f600" + `<!----><n></n></m></stream:stream>`

func TestFramer(t *testing.T) {
	wanted := []string{`<a/>`, `<b x="/>" y='>"<'>t<c/></b>`, `<m><body><![CDATA[</m>]]></body></m>`, `<m a='1'>` + "\u4f60\U0001f600" + `<!----><n></n></m>`}
	readers := map[string]io.Reader{
		"at once":      strings.NewReader(stream),
		"byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
	}
	for name, r := range readers {
		t.Run(name, func(t *testing.T) {
			f := newFramer(r)
			header, err := f.header()
			if err != nil || !strings.HasPrefix(string(header), "<stream:stream ") || attribute(header, "id") != "a>b" {
				t.Fatalf(`header %q: got %v, want header beginning with "<stream:stream ", attribute "a>b", no error`, header, err)
			}
			for _, w := range wanted {
				got, err := f.next()
				if err != nil || string(got) != w {
					t.Fatalf("got %q (%v), want %q", got, err, w)
				}
			}
			if _, err := f.next(); !errors.Is(err, errStreamEnd) {
				t.Fatalf("end of the stream: got %v, want %v", err, errStreamEnd)
			}
		})
	}
}

func TestFramerGrows(t *testing.T) {
	long := "<m>" + strings.Repeat("x", 3*firstBuffer) + "</m>"
	f := newFramer(strings.NewReader("<s>" + long + long + "<cut"))
	if _, err := f.header(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := f.next(); err != nil || string(got) != long {
			t.Fatalf("got %d bytes, %v, want the element of %d", len(got), err, len(long))
		}
	}
	if _, err := f.next(); !errors.Is(err, io.EOF) {
		t.Fatalf("a stream that breaks off: got %v, want %v", err, io.EOF)
	}
}

func TestFramerRefuses(t *testing.T) {
	for _, bad := range []string{"<s>text<a/>", "<s><!DOCTYPE x><a/>"} {
		t.Run(bad, func(t *testing.T) {
			f := newFramer(strings.NewReader(bad))
			if _, err := f.header(); err != nil {
				t.Fatal(err)
			}
			if got, err := f.next(); err == nil {
				t.Errorf("taken as %q, want an error", got)
			}
		})
	}
}

func TestParseMessage(t *testing.T) {
	m := parseMessage([]byte(`<message from='g1@tlim.im.test' to="a@im.test/w[web]" id='&lt;1&gt;' type='chat'>` +
		`<x xmlns='urn:x'><body>not this</body></x><subject>ASYNC</subject><body>{&quot;a&quot;:&apos;&#x1F600;&#20320;&amp;&unknown;</body>` +
		`<request xmlns='urn:xmpp:receipts'/></message>`))
	if m.From != "g1@tlim.im.test" || m.To != "a@im.test/w[web]" || m.ID != "<1>" || m.Type != "chat" || m.Subject != "ASYNC" {
		t.Errorf(`attributes: got %+v, want <1>, a chat message with ASYNC from g1@tlim.im.test to a@im.test/w[web]`, m)
	}
	if m.Body != `{"a":'`+"\U0001f600\u4f60"+`&&unknown;` {
		t.Errorf("body %q, want %q", m.Body, `{"a":'`+"\U0001f600\u4f60"+`&&unknown;`)
	}
	if !m.Has("request", receiptsNS) || m.Has("request", "urn:other") || m.Has("body2", "") {
		t.Errorf("got %s, want a child request of %s, and no other", m.Raw, receiptsNS)
	}
	if m := parseMessage([]byte(`<message/>`)); m.Body != "" || m.From != "" {
		t.Errorf(`empty: got %+v, want no body and no sender`, m)
	}
	if m := parseMessage([]byte(`<message><body>a<![CDATA[<&amp;>]]>b<i>no</i>c</body></message>`)); m.Body != "a<&amp;>bc" {
		t.Errorf(`CDATA: got %q, want "a<&amp;>bc"`, m.Body)
	}
}

func TestFailure(t *testing.T) {
	m := parseMessage([]byte(`<message type="error"><error type="wait"><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">error-013: later</text>` +
		`<resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><code xmlns="urn:tlim:errors">error-013</code></error></message>`))
	if condition, kind, code := m.Failure(); condition != "resource-constraint" || kind != "wait" || code != "error-013" {
		t.Errorf("got %q %q %q, want resource-constraint, kind wait, error-013", condition, kind, code)
	}
}

func TestEnvelope(t *testing.T) {
	m := Message{Body: GroupText("a", "s1", "id1", "\u4f60\U0001f600 <&>\"'")}
	e, err := m.Envelope()
	if err != nil || !m.Is("MTS-000", "id1") || e.To != "s1" {
		t.Fatalf("got %+v, %v, want the MTS-000 id1 to s1 and no error", e, err)
	}
	objects, err := e.Objects()
	if err != nil || objects[0]["text"] != "\u4f60\U0001f600 <&>\"'" || objects[0]["session_id"] != "s1" {
		t.Errorf("got %v, %v, want the text %q in the session s1 and no error", objects, err, "\u4f60\U0001f600 <&>\"'")
	}
	m = Message{Body: `{"msg_type":"MTC-100","body":"[{\"msg_id\":\"a\",\"msg_time\":\"1\"},{\"msg_id\":\"b\",\"msg_time\":\"2\"}]"}`}
	if at, yes := m.Acknowledges("b"); !yes || at != "2" {
		t.Errorf("receipt in a string: got %q %v, want yes, at 2", at, yes)
	}
	if _, yes := m.Acknowledges("c"); yes {
		t.Error("it acknowledges c, want a and b alone")
	}
}

func TestSamples(t *testing.T) {
	got, err := samples([]byte("# HELP a b\na_total{kind=\"x y\"} 3\na_total{kind=\"z\"} 1e3\nb 0.5\n"))
	if err != nil || Sum(got, "a_total") != 1003 || got["b"] != 0.5 || len(got) != 3 {
		t.Errorf("got %v, %v, want 3 samples, a_total 1003 in all, b 0.5, and no error", got, err)
	}
}
