package component

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// TestPresenceFlood: who comes and goes while the conveyor is busy leaves as many changes as devices, not as stanzas, and is sent what
// they have missed a few times a second.
func TestPresenceFlood(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "evil", "x"))
	h.sender.take()
	release := h.busy()
	for range 1000 {
		for i := range 30 {
			h.Stanza(stanza.Stanza{Name: "presence", From: fmt.Sprintf("evil@%s/r%d", testServer, i), To: testComponent})
		}
		for i := range 30 {
			h.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: fmt.Sprintf("evil@%s/r%d", testServer, i), To: testComponent})
		}
	}
	for i := range 30 {
		h.Stanza(stanza.Stanza{Name: "presence", From: fmt.Sprintf("evil@%s/r%d", testServer, i), To: testComponent})
	}
	release()
	for range 3 {
		if d, _ := h.sender.take(); len(d) != maxComings {
			t.Errorf("got %d copies of what was missed (%s), want %d", len(d), copiesOf(d), maxComings)
		}
		h.clock.Move(time.Second)
		h.sync()
	}
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Errorf("copies twice: got %s, want none", copiesOf(d))
	}
	h.send("zhangsan/p", text("m2", "zhangsan", "evil", "x"))
	if d, _ := h.sender.take(); len(d) != 1 || len(d[0].To) != 30 {
		t.Errorf("a message to all devices: got %s, want 1 delivery to 30", copiesOf(d))
	}
}

// TestSignalsAtMost: what a stanza without a body has us pass on is small, whatever it holds.
func TestSignalsAtMost(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p", "lisi/q")
	state := `<composing xmlns="http://jabber.org/protocol/chatstates"/>`
	marker := `<displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/>`
	for name, c := range map[string]struct {
		inner    string
		maxBytes int
	}{
		"both":          {state + marker, 300},
		"many":          {strings.Repeat(state, 4000), maxSignal + 100},
		"a long id":     {`<displayed xmlns="urn:xmpp:chat-markers:0" id="` + strings.Repeat("x", 200_000) + `"/>` + state, 300},
		"the stanza id": {state, 300},
	} {
		t.Run(name, func(t *testing.T) {
			h.Stanza(stanza.Stanza{Name: "message", ID: strings.Repeat("i", 200_000), From: "zhangsan@im.test/p", To: "lisi@" + testComponent, Inner: []byte(c.inner)})
			h.sync()
			d, _ := h.sender.take()
			if len(d) != 1 || len(d[0].Payload) > c.maxBytes || len(d[0].ID) > maxStanzaID || !bytes.Contains(d[0].Payload, []byte("composing")) {
				t.Errorf("got %d deliveries, want 1 of at most %d bytes with composing: %.400s", len(d), c.maxBytes, fmt.Sprint(d))
			}
		})
	}
	h.Stanza(stanza.Stanza{Name: "message", ID: strings.Repeat("i", 200_000), From: "zhangsan@im.test/p", To: testComponent, Inner: []byte("<body>x</body>")})
	h.sync()
	if _, posts := h.sender.take(); len(posts) != 1 || len(posts[0]) > 1000 {
		t.Errorf("got %d answers, the first of %d bytes, want 1 of at most 1000", len(posts), len(posts[0]))
	}
	h.sendRaw("lisi/p", testComponent, `<received xmlns="urn:xmpp:receipts" id="`+strings.Repeat("x", 200_000)+`"/>`)
	for _, c := range h.rec.take() {
		for _, key := range c.DropOffline {
			if len(key.MsgID) > 4*protocol.MaxID {
				t.Errorf("got a key of %d bytes in the database, want at most %d", len(key.MsgID), 4*protocol.MaxID)
			}
		}
	}
}
