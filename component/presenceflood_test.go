package component

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// TestDevicesAtMost: a user who logs in without end is sent no more copies for it; who is known stays known.
func TestDevicesAtMost(t *testing.T) {
	clock := &testClock{t: time.UnixMilli(1_600_000_000_000)}
	p := newPresence(testServer, clock.now)
	session := func(local string, i int) Session {
		return Session{JID: stanza.JID{Local: local, Domain: testServer, Resource: fmt.Sprintf("r%04d", i)}}
	}
	var log bytes.Buffer
	source := &fakeServer{sessions: map[string]Session{}}
	w := &watcher{table: p, source: source, log: slog.New(slog.NewTextHandler(&log, nil)), learn: func([]string) {}}
	look := func(from, to int) {
		t.Helper()
		source.sessions = map[string]Session{"lisi": session("lisi", 0)}
		for i := from; i < to; i++ {
			source.sessions[fmt.Sprint(i)] = session("evil", i)
		}
		clock.move(time.Second)
		if _, err := w.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look(1000, 1000+maxDevices)
	first := fmt.Sprint(p.devices("evil"))
	if n := len(p.devices("evil")); n != maxDevices || log.Len() != 0 {
		t.Errorf("%d devices known, %s", n, &log)
	}
	p.takeChanges()
	look(0, 3000)
	if got := fmt.Sprint(p.devices("evil")); got != first || len(changesOf(p)) != 0 {
		t.Errorf("others are known now: %s", got)
	}
	look(0, 3000)
	if n := strings.Count(log.String(), `example"=evil`); n != 1 || len(p.devices("lisi")) != 1 {
		t.Errorf("said %d times: %s", n, &log)
	}
	p.heard(session("evil", 9999).JID, nil, 0)
	if n := len(p.devices("evil")); n != maxDevices {
		t.Errorf("%d devices after one more was heard", n)
	}
	look(1000+maxDevices/2, 1000+2*maxDevices)
	if n := len(p.devices("evil")); n != maxDevices {
		t.Errorf("%d devices after half of them left", n)
	}
}

func changesOf(p *presence) []presenceChange {
	changes, _ := p.takeChanges()
	return changes
}

// TestPresenceFlood: who comes and goes while the conveyor is busy leaves as many changes as devices, not as stanzas, and is sent what
// he has missed a few times a second.
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
	h.presence.mu.Lock()
	n := len(h.presence.changes)
	h.presence.mu.Unlock()
	if n != 31 {
		t.Errorf("%d changes wait", n)
	}
	release()
	for range 3 {
		if d, _ := h.sender.take(); len(d) != maxComings {
			t.Errorf("%d copies of what was missed: %s", len(d), copiesOf(d))
		}
		h.clock.move(time.Second)
		h.sync()
	}
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Errorf("copies twice: %s", copiesOf(d))
	}
	h.send("zhangsan/p", text("m2", "zhangsan", "evil", "x"))
	if d, _ := h.sender.take(); len(d) != 1 || len(d[0].To) != 30 {
		t.Errorf("a message to all devices: %s", copiesOf(d))
	}
}

// TestSignalsAtMost: what a stanza without a body has us pass on is small, whatever it holds.
func TestSignalsAtMost(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p", "lisi/q")
	state := `<composing xmlns="http://jabber.org/protocol/chatstates"/>`
	marker := `<displayed xmlns="urn:xmpp:chat-markers:0" id="m1"/>`
	for name, c := range map[string]struct {
		inner string
		most  int
	}{
		"both":          {state + marker, 300},
		"many":          {strings.Repeat(state, 4000), maxSignal + 100},
		"a long id":     {`<displayed xmlns="urn:xmpp:chat-markers:0" id="` + strings.Repeat("x", 200_000) + `"/>` + state, 300},
		"the stanza id": {state, 300},
	} {
		h.Stanza(stanza.Stanza{Name: "message", ID: strings.Repeat("i", 200_000), From: "zhangsan@im.test/p", To: "lisi@" + testComponent, Inner: []byte(c.inner)})
		h.sync()
		d, _ := h.sender.take()
		if len(d) != 1 || len(d[0].Payload) > c.most || len(d[0].ID) > maxStanzaID || !bytes.Contains(d[0].Payload, []byte("composing")) {
			t.Errorf("%s: %d deliveries, %.400s", name, len(d), fmt.Sprint(d))
		}
	}
	h.Stanza(stanza.Stanza{Name: "message", ID: strings.Repeat("i", 200_000), From: "zhangsan@im.test/p", To: testComponent, Inner: []byte("<body>x</body>")})
	h.sync()
	if _, posts := h.sender.take(); len(posts) != 1 || len(posts[0]) > 1000 {
		t.Errorf("an error of %d answers, %d bytes", len(posts), len(posts[0]))
	}
	h.sendRaw("lisi/p", testComponent, `<received xmlns="urn:xmpp:receipts" id="`+strings.Repeat("x", 200_000)+`"/>`)
	for _, c := range h.rec.take() {
		for _, key := range c.DropPending {
			if len(key.MsgID) > 4*protocol.MaxID {
				t.Errorf("a key of %d bytes reaches the database", len(key.MsgID))
			}
		}
	}
}
