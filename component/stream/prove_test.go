package stream

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// half is a server that has taken the handshake and not yet answered the first ping.
func (r *rig) half(more string) *peer {
	r.t.Helper()
	p := r.accept()
	p.header("7n9nd2351p")
	p.take(more)
	return p
}

// asks is what Openfire asks a new component.
func asks(server string) string {
	return `<iq type="get" id="893-1" from="component.` + server + `" to="tlim.im.test"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>`
}

func (r *rig) domainIsWrong(text string) {
	r.t.Helper()
	synctest.Wait()
	if s := r.Status(); s.Up || s.Reason != ReasonDomain || !strings.Contains(s.Text, text) || !strings.Contains(s.Text, "im.test") || strings.Contains(s.Text, "{") {
		r.t.Errorf("got status %+v, want down, %v, with %q and im.test in its text", s, ReasonDomain, text)
	}
	if r.lines("link is down") != 1 || r.lines("link is up") != 0 {
		r.t.Errorf("got log\n%s\nwant \"link is down\" once, \"link is up\" never", r.log)
	}
	r.quiet() // the handler never hears of it: nothing is delivered to a foreign domain
}

// A server that says that the domain is foreign, in each way that one was seen to, is not handed anything.
func TestWrongDomain(t *testing.T) {
	for name, c := range map[string]struct {
		play func(r *rig)
		text string
	}{
		"the server appends its own, Openfire up to 4.7": {func(r *rig) {
			p := r.accept()
			if _, err := p.framer.Next(); err != nil {
				r.t.Error(err)
			}
			p.send(`<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" from="tlim.im.test.chat.example" id="7n9">`)
			if p.closed() {
				r.t.Error("the stream was ended in order, want it cut")
			}
		}, "calls itself chat.example, and xmpp.domain says im.test: set xmpp.domain to chat.example"},
		"not found, and a question in its own name, Openfire": {func(r *rig) {
			p := r.half(asks("chat.example"))
			p.answer(p.next(), "error", "im.test", `<ping xmlns="urn:xmpp:ping"/><error code="404" type="cancel"><remote-server-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)
			p.closed()
		}, "calls itself chat.example, and xmpp.domain says im.test"},
		"not allowed, Prosody": {func(r *rig) {
			p := r.half("")
			p.answer(p.next(), "error", "im.test", `<error type="cancel"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">Communication with remote domains is not enabled</text></error>`)
			p.closed()
		}, "does not answer for im.test"},
		"unavailable, with a question in its own name": {func(r *rig) {
			p := r.half(asks("chat.example"))
			p.answer(p.next(), "error", "im.test", `<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)
			p.closed()
		}, "calls itself chat.example"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				for range 3 { // however often it is tried
					c.play(r)
					r.domainIsWrong(c.text)
				}
				r.up("").drain()
				r.expect("up")
			})
		})
	}
}

// Silence names the domain after a second, and not for longer than it lasts.
func TestDomainWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.half(asks("chat.example"))
		p.next()
		pass(900 * time.Millisecond)
		if s := r.Status(); s.Up || s.Reason != ReasonConnecting {
			t.Errorf("got status %+v, want down, %v", s, ReasonConnecting)
		}
		pass(200 * time.Millisecond)
		r.domainIsWrong("calls itself chat.example")
		began := time.Now()
		p.closed()
		if took := time.Since(began); took < 8*time.Second || took > 10*time.Second {
			t.Errorf("given up after %v, want %v to %v", took, 8*time.Second, 10*time.Second)
		}
		r.domainIsWrong("calls itself chat.example")
		// The server is still busy with the first one: the reason stays.
		p = r.accept()
		p.header("")
		_ = p.conn.Close()
		r.domainIsWrong("calls itself chat.example")
		r.up("").drain()
		r.expect("up")
		if s := r.Status(); !s.Up || r.lines("link is up") != 1 {
			t.Errorf("got status %+v\n%s\nwant up, logged once", s, r.log)
		}
	})
}

// What comes before the proof is handed over behind it, in order; questions are answered then. A server that knows no pings
// proves as much.
func TestProof(t *testing.T) {
	for name, answer := range map[string][2]string{
		"answered": {"result", ""},
		"unknown":  {"error", `<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				var more strings.Builder
				for i := range 20 {
					fmt.Fprintf(&more, `<message id="%d" from="a@im.test/r" to="tlim.im.test"/>`, i)
				}
				p := r.half(asks("im.test") + more.String())
				ping := p.next()
				if !isPing(ping) || ping.From != "tlim.im.test" {
					t.Fatalf("got %s first, want a ping from tlim.im.test", line(ping))
				}
				p.answer(ping, "result", "mallory@im.test/x", "")
				p.answer(ping, "result", "", "")
				r.quiet()
				pass(3 * time.Second)
				r.domainIsWrong("does not answer for im.test") // as far as one can tell
				go p.answer(ping, answer[0], "im.test", answer[1])
				if st := p.work(); st.ID != "893-1" || st.Type != "result" {
					t.Errorf("got %s, want the result of 893-1", line(st))
				}
				r.expect("up")
				for i := range 20 {
					r.expect(fmt.Sprintf("message %d ", i))
				}
				p.send(`<message id="later"/>`)
				r.expect("message later ")
				if s := r.Status(); !s.Up {
					t.Errorf("got status %+v, want up", s)
				}
				p.drain()
			})
		})
	}
}

// The end comes at once, also while the proof is waited for; and each way in which the stream ends meanwhile keeps its own name.
func TestEndBeforeTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.half("")
		p.next()
		began := time.Now()
		r.cancel()
		<-r.ended
		if time.Since(began) > 0 {
			t.Errorf("the end took %v, want it at once", time.Since(began))
		}
		r.quiet()
	})
	for sent, reason := range map[string]Reason{
		"</stream:stream>": ReasonStreamEnd,
		`<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`: ReasonConflict,
	} {
		t.Run(sent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				p := r.half("")
				p.next()
				p.send(sent)
				_ = p.conn.Close()
				synctest.Wait()
				if s := r.Status(); s.Reason != reason {
					t.Errorf("got status %+v, want %v", s, reason)
				}
				r.quiet()
			})
		})
	}
}

// What clients send before the proof is bounded.
func TestFloodBeforeTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.half("")
		p.next()
		flood := `<message id="1"><body>` + strings.Repeat("x", 200_000) + `</body></message>`
		sent := 0
		for ; sent < 2*maxHeldBytes; sent += len(flood) {
			if _, err := p.conn.Write([]byte(flood)); err != nil {
				break
			}
		}
		synctest.Wait()
		if s := r.Status(); s.Reason != ReasonDeaf || sent < maxHeldBytes/10*9 || sent >= 2*maxHeldBytes {
			t.Errorf("after %d bytes: got status %+v, want %v after %d to %d bytes", sent, s, ReasonDeaf, maxHeldBytes/10*9, 2*maxHeldBytes)
		}
		r.quiet()
	})
}

// Settled waits for what becomes of the first attempt, and not for the proof that does not come.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.half(asks("chat.example"))
		p.next()
		began := time.Now()
		s := r.Settled(t.Context())
		if took := time.Since(began); s.Reason != ReasonDomain || took != nameAfter {
			t.Errorf("got %+v after %v, want Reason %v after %v", s, took, ReasonDomain, nameAfter)
		}
		p.closed()
		r.up("").drain()
		r.expect("up")
	})
}
