package stream

import (
	"testing"
	"testing/synctest"

	"tlim/component/stanza"
)

// A client can make Openfire 4.2 write anything into our stream. The connection stays, also when that says that the stream ends, and what
// comes after the answer to the next ping, which is sent at once, is taken.
func TestBroken(t *testing.T) {
	for name, poison := range map[string]string{
		"open quote":     `<message><x xmlns="urn:q:"'></x></message>`,
		"text":           `<message id="p"/>text`,
		"end of stream":  `<message id="p"/></stream:stream><message a=""></x></message>`,
		"end, then calm": `<message id="p"/></stream:stream>"></x></message>`,
		"stream error":   `<message id="p"/><stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream><message a=""></x></message>`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				p := r.up("")
				r.expect("up")
				p.send(poison)
				ping := p.next()
				if _, ok := ping.Child("ping", "urn:xmpp:ping"); !ok {
					t.Fatalf("got %+v, want a ping", ping)
				}
				p.send(`<iq type="result" id="` + ping.ID + `" from="im.test" to="tlim.im.test"/><message id="after"/>`)
				p.drain()
				for got := ""; got != "message after "; {
					switch got = <-r.events; got {
					case "message p ", "message after ":
					default:
						t.Fatalf("got the event %q, want messages p and after alone", got)
					}
				}
				pass(3 * lastWords)
				r.quiet()
				if !r.Status().Up || r.lines("what it should not") != 1 {
					t.Errorf("got %+v\n%s\nwant the link up, and what is broken logged once", r.Status(), r.log)
				}
			})
		})
	}
}

// Pings whose answers got lost in what was skipped are answered by the next one: a server works them off in order.
func TestPingsBeforeAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		got := make(chan error, 2)
		r.Barrier(func(err error) { got <- err })
		r.Barrier(func(err error) { got <- err })
		var last stanza.Stanza
		for range 2 {
			last = p.next()
		}
		p.send(`<iq type="result" id="` + last.ID + `" from="im.test" to="tlim.im.test"/>`)
		for range 2 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
	})
}
