package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

type received struct {
	ID       string `xml:"id,attr"`
	Type     string `xml:"type,attr"`
	From     string `xml:"from,attr"`
	To       string `xml:"to,attr"`
	Body     string `xml:"body"`
	Children []struct {
		XMLName xml.Name
		Ack     string `xml:"ack,attr"`
	} `xml:",any"`
}

func parse(t *testing.T, b []byte) []received {
	t.Helper()
	var all struct {
		Messages []received `xml:"message"`
	}
	if err := xml.Unmarshal([]byte("<stream>"+string(b)+"</stream>"), &all); err != nil {
		t.Fatalf("got %v, want well-formed XML:\n%s", err, b)
	}
	return all.Messages
}

// asServer is a client's stanza as Openfire passes it on: with its sender, and empty elements with an end tag.
func asServer(stanza, from string) string {
	stanza = strings.Replace(stanza, " id=", ` from="`+from+`" id=`, 1)
	return strings.Replace(stanza, `ack="1"/>`, `ack="1"></tlim>`, 1)
}

// feed gives b the text in pieces, as a network does, and returns what it writes.
func feed(b *bare, text string, pieces int) []byte {
	var out []byte
	for i := range pieces {
		b.in = append(b.in, text[len(text)*i/pieces:len(text)*(i+1)/pieces]...)
		out = append(out, b.work()...)
	}
	return out
}

func TestBareGroup(t *testing.T) {
	w := newGroupWriter("m00", "bare.im.test", "chat", "s1", true)
	sent := w.batch(1)
	text := `<iq type="get" id="q" from="im.test"><query xmlns="x"></query></iq>` + asServer(sent, "m00@im.test/phone")
	b := &bare{name: "bare.im.test", domain: "im.test", members: []string{"m00@im.test", "m01@im.test", "m02@im.test"}}
	got := parse(t, feed(b, text, 1))
	if len(got) != 4 {
		t.Fatalf("got %d stanzas, want an acknowledgement and three copies", len(got))
	}
	original := parse(t, []byte(sent))[0]
	ack, copies := got[0], got[1:]
	if ack.To != "m00@im.test/phone" || !strings.Contains(ack.Body, "MTC-100") || !strings.Contains(ack.Body, original.ID) {
		t.Errorf("got %+v, want an MTC-100 of %q to m00@im.test/phone", ack, original.ID)
	}
	for i, c := range copies {
		if c.To != b.members[i] || c.From != "m00@bare.im.test" || c.ID != original.ID || c.Body != original.Body || c.Type != "chat" {
			t.Errorf("got copy %+v of %+v, want the same from m00@bare.im.test to %v", c, original, b.members[i])
		}
		if len(c.Children) != 3 || c.Children[0].Ack != "1" || c.Children[1].XMLName.Local != "no-store" || c.Children[2].XMLName.Local != "request" {
			t.Errorf("got children %+v, want tlim with ack, no-store, request", c.Children)
		}
	}
}

// Acknowledgements of what was read together are one stanza per device, and pieces lose nothing.
func TestBareChat(t *testing.T) {
	first, second := newChatWriter("m00", "m10", "bare.im.test"), newChatWriter("m01", "m11", "bare.im.test")
	var text string
	for range 3 {
		text += asServer(first.batch(1), "m00@im.test/a") + asServer(second.batch(1), "m01@im.test/b")
	}
	for _, pieces := range []int{1, 7, len(text)} {
		t.Run(fmt.Sprintf("pieces of %d", pieces), func(t *testing.T) {
			b := &bare{name: "bare.im.test", domain: "im.test"}
			got := parse(t, feed(b, text, pieces))
			copies, acks, stanzas := map[string]int{}, map[string]int{}, 0
			for _, m := range got {
				if strings.Contains(m.Body, "MTC-100") {
					stanzas++
					acks[m.To] += strings.Count(m.Body, "msg_id") - 1
				} else {
					copies[m.To]++
				}
			}
			if copies["m10@im.test"] != 3 || copies["m11@im.test"] != 3 || acks["m00@im.test/a"] != 3 || acks["m01@im.test/b"] != 3 || len(copies)+len(acks) != 4 {
				t.Errorf("in %d pieces: copies %v, messages acknowledged %v, want 3 of each for m10, m11, m00 and m01, and for nobody else", pieces, copies, acks)
			}
			if pieces == 1 && stanzas != 2 {
				t.Errorf("got %d acknowledgements for two devices, want 2", stanzas)
			}
		})
	}
}

func TestBareAcknowledgesNothingUnasked(t *testing.T) {
	w := newGroupWriter("m00", "bare.im.test", "chat", "s1", false)
	b := &bare{name: "bare.im.test", domain: "im.test", members: []string{"m01@im.test"}}
	if got := parse(t, feed(b, asServer(w.batch(2), "m00@im.test/phone"), 1)); len(got) != 2 {
		t.Errorf("got %d stanzas, want two copies and no acknowledgement", len(got))
	}
}

// The handshake with a server that sends more in the same segment, and one that refuses.
func TestBareHandshake(t *testing.T) {
	for _, c := range []struct{ answer, refused string }{
		{`<handshake></handshake>` + asServer(newGroupWriter("m00", "bare.im.test", "chat", "s1", true).batch(1), "m00@im.test/phone"), ""},
		{`<stream:error><not-authorized/></stream:error></stream:stream>`, "not-authorized"},
	} {
		t.Run(fmt.Sprintf("refused: %q", c.refused), func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			written := make(chan string, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					written <- err.Error()
					return
				}
				defer conn.Close()
				buf := make([]byte, 4096)
				var got bytes.Buffer
				until := func(mark string) {
					for !strings.Contains(got.String(), mark) {
						n, err := conn.Read(buf)
						if got.Write(buf[:n]); err != nil {
							return
						}
					}
				}
				until(`to="bare.im.test">`)
				io.WriteString(conn, `<?xml version='1.0'?><stream:stream id="abc" from="bare.im.test">`)
				until("</handshake>")
				io.WriteString(conn, c.answer)
				if c.refused == "" {
					until("MTS-000")
				}
				written <- got.String()
			}()
			var said bytes.Buffer
			b := &bare{name: "bare.im.test", domain: "im.test", members: []string{"m01@im.test"}}
			err = serveBare(ctx, b, listener.Addr().String(), "secret", &said)
			got := <-written
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || said.Len() > 0 {
					t.Errorf("refused: got %v, said %q, want an error, error with %q, an empty log", err, said.String(), c.refused)
				}
				return
			}
			if !errors.Is(err, io.EOF) || said.String() != "ready\n" {
				t.Errorf("got %v, said %q, want %v, said %q", err, said.String(), io.EOF, "ready\n")
			}
			// sha1("abcsecret")
			if !strings.Contains(got, "<handshake>de0a408ef519cd62e7379039634152874895c50c</handshake>") || !strings.Contains(got, `to="m01@im.test"`) {
				t.Errorf(`written: got %s, want the handshake, and %q in it`, got, `to="m01@im.test"`)
			}
		})
	}
}
