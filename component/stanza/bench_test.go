package stanza

import (
	"io"
	"strings"
	"testing"
)

// A message as a web client sends it: 300 bytes of JSON, escaped by the server.
var wireStanza = `<message to="tlim.im.test" type="chat" id="5f0c8a52-8a53-4e2f-b8ab-3c1f7a2b9c11" from="zhangsan@im.test/8f3c[web]"><tlim xmlns="im.itonglian.com" location="web" ack="1"/><body>` +
	string(AppendAttr(nil, `{"compress":"0","encode":"1","encrypt":"0","msg_id":"5f0c8a52-8a53-4e2f-b8ab-3c1f7a2b9c11","msg_type":"MTT-000","msg_from":"zhangsan","msg_to":"lisi","msg_time":"1599218283837","version":"2.0.0","body":[{"text":"`+strings.Repeat("你好 ok ", 8)+`"}]}`)) +
	`</body></message>`

// endless reads a header and then the same bytes for ever.
func endless(b *testing.B, s string) *Framer {
	b.Helper()
	f := NewFramer(io.MultiReader(strings.NewReader(header), &repeater{piece: s}), Limits{})
	if _, err := f.Next(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	return f
}

func BenchmarkFrame(b *testing.B) {
	f := endless(b, wireStanza)
	for b.Loop() {
		if _, err := f.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFrameAndBody(b *testing.B) {
	f := endless(b, wireStanza)
	for b.Loop() {
		frame, err := f.Next()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ParseJID(frame.Stanza.From); err != nil {
			b.Fatal(err)
		}
		text := ""
		for c := range frame.Stanza.Children() {
			if c.Name == "body" {
				text = c.Text()
			}
		}
		if len(text) < 250 {
			b.Fatalf("got %v, want text of length at least 250", text)
		}
	}
}

func BenchmarkFanOut(b *testing.B) {
	st, err := Parse([]byte(wireStanza))
	if err != nil {
		b.Fatal(err)
	}
	d := Delivery{ID: st.ID, From: "zhangsan@tlim.im.test", Payload: st.Inner}
	for range 200 {
		d.To = append(d.To, Target{JID: "lisi@im.test"})
	}
	var buf, head []byte
	n := 0
	for b.Loop() {
		if n%len(d.To) == 0 {
			buf = buf[:0]
		}
		n++
		if n%len(d.To) == 1 {
			head = d.AppendHead(make([]byte, 0, 256))
		}
		buf = d.AppendCopy(buf, head, d.To[n%len(d.To)])
	}
	b.ReportAllocs()
}

func BenchmarkParseJID(b *testing.B) {
	for name, s := range map[string]string{"ascii": "zhangsan@im.test/8f3c[web]", "chinese": "张三@im.test/8f3c[web]"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseJID(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
