package lab

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
)

// The stock client sends, gets its receipt and a message of its peer; the component is played here.
func TestInterop(t *testing.T) {
	ctx := within(t, patience)
	s := stopped(t, must[*Server](t)(StartProsody(ctx, Options{Dir: t.TempDir(), Users: users("zhangsan", "lisi")})))

	component := must[net.Conn](t)(net.Dial("tcp", s.Component))
	defer component.Close()
	fmt.Fprintf(component, `<stream:stream xmlns="jabber:component:accept" xmlns:stream="http://etherx.jabber.org/streams" to="tlim.%s">`, s.Domain)
	f := newFramer(component)
	header := must[[]byte](t)(f.header())
	sum := sha1.Sum([]byte(attribute(header, "id") + s.Secret))
	fmt.Fprintf(component, "<handshake>%s</handshake>", hex.EncodeToString(sum[:]))
	if answer := must[[]byte](t)(f.next()); name(answer) != "handshake" {
		t.Fatalf("handshake: %s, want name handshake", answer)
	}

	got := make(chan Message, 1)
	go func() {
		defer close(got)
		for {
			raw, err := f.next()
			if err != nil {
				return
			}
			m := parseMessage(raw)
			if name(raw) != "message" || m.Body == "" {
				continue
			}
			e, err := m.Envelope()
			if err != nil {
				return
			}
			receipt := NewEnvelope("MTC-100", "admin", "zhangsan", "", marshal([]map[string]string{{"msg_id": e.ID, "msg_time": "1"}}))
			for _, body := range []string{receipt, Text("lisi", "zhangsan", "back", "hi")} {
				fmt.Fprintf(component, `<message type="chat" from="tlim.%s" to="%s" id="back"><body>%s</body></message>`, s.Domain, Escape(m.From), Escape(body))
			}
			got <- m
			return
		}
	}()

	events, err := Interop(ctx, s, "zhangsan", "secret-zhangsan", "--to", "lisi", "--peer", "lisi", "--text", "\u4f60\U0001f600")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range events {
		order = append(order, strings.TrimSpace(fmt.Sprint(e["event"], " ", or(e["kind"]))))
	}
	if fmt.Sprint(order) != "[online sent received MTC-100 received MTT-000 done]" {
		t.Errorf(`events: got %v, want "[online sent received MTC-100 received MTT-000 done]"`, order)
	}
	m, ok := <-got
	if !ok {
		t.Fatal("the component got no message, want the client's")
	}
	e := must[Envelope](t)(m.Envelope())
	objects, err := e.Objects()
	if err != nil || objects[0]["text"] != "\u4f60\U0001f600" || e.From != "zhangsan" || e.To != "lisi" || attribute(m.Child("tlim", tlimNS), "ack") != "1" {
		t.Errorf(`the client sent %s, want the text "你😀" from zhangsan to lisi with ack="1"`, m.Raw)
	}
}

func or(v any) any {
	if v == nil {
		return ""
	}
	return v
}
