package stream

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
)

// A server is reached when one of its addresses answers the head of a stream, also one that refuses the name, and is asked nothing more. A port that is
// open and silent, or is another one, proves nothing.
func TestReach(t *testing.T) {
	const head = `<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" `
	refused := func(condition string) string {
		return `from="tlim.im.test"><stream:error><` + condition + ` xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`
	}
	for _, c := range []struct {
		name   string
		off    []string // addresses that refuse
		answer string   // of those that do not; "": none
		want   bool
		taken  bool // the name is another's
	}{
		{"one that would take us", nil, head + `id="7n9">`, true, false},
		{"the name is another's", nil, head + refused("conflict"), true, true},
		{"the name is another's, at one of three", []string{nodeA, nodeC}, head + refused("conflict"), true, true},
		{"the name is not known", nil, head + refused("host-unknown"), true, false},
		{"a newer Openfire, which does not say why", nil, head + `from="tlim.im.test">`, true, true},
		{"one of three", []string{nodeA, nodeC}, head + `id="7n9">`, true, false},
		{"none of three", []string{nodeA, nodeB, nodeC}, "", false, false},
		{"it hangs", nil, "", false, false},
		{"a port of something else", nil, "HTTP/1.1 400 Bad Request\r\n\r\n", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(t, Config{})
				f.set(errOff, c.off...)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				var serving sync.WaitGroup
				serve := func(p *peer) {
					defer p.conn.Close()
					frame, err := p.framer.Next()
					if err != nil { // it has had its answer from another one
						return
					}
					if frame.Kind != stanza.KindHeader || frame.Stanza.To != "tlim.im.test" {
						t.Errorf("got %+v, want a header to our domain", frame)
					}
					_, _ = io.WriteString(p.conn, c.answer)
					if strings.HasPrefix(c.answer, head) && !strings.Contains(c.answer, ` id="`) {
						return
					}
					if frame, err := p.framer.Next(); err == nil {
						t.Errorf("got %+v behind the header, want nothing more", frame)
					}
				}
				serving.Go(func() {
					for {
						select {
						case p := <-f.rig.dials:
							serving.Go(func() { serve(p) })
						case <-ctx.Done():
							return
						}
					}
				})
				asking, done := context.WithTimeout(ctx, time.Second)
				defer done()
				if err := f.Taken(asking); (err != nil) != c.taken || c.taken && !strings.Contains(err.Error(), "conflict") {
					t.Errorf("is the name taken: got %v, want %v", err, c.taken)
				}
				err := f.Reach(ctx)
				if (err == nil) != c.want || !c.want && len(c.off) == 3 && !errors.Is(err, errOff) {
					t.Errorf("got %v, want it reached: %v", err, c.want)
				}
				if status := f.Status(); status.Up || status.Reason != ReasonConnecting {
					t.Errorf("got the status %+v, want the links to know nothing of it", status)
				}
				cancel()
				serving.Wait()
			})
		})
	}
}

// What another machine may have more luck with is told from what the server itself says.
func TestCut(t *testing.T) {
	for reason, want := range map[Reason]bool{
		ReasonUp: false, ReasonConnecting: false, ReasonConflict: false, ReasonSecret: false, ReasonHostUnknown: false, ReasonDomain: false, ReasonStreamEnd: false, ReasonClosed: false,
		ReasonRefused: true, ReasonDNS: true, ReasonUnreachable: true, ReasonLost: true, ReasonDeaf: true, ReasonStalled: true,
	} {
		t.Run(string(reason), func(t *testing.T) {
			if got := (Status{Up: reason == ReasonUp, Reason: reason}).Cut(); got != want {
				t.Errorf("got cut off %v, want %v", got, want)
			}
		})
	}
}
