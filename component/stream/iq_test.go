package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/stanza"
)

type asked struct {
	st  stanza.Stanza
	err error
}

// askAsync asks in the background.
func (r *rig) askAsync(ctx context.Context) chan asked {
	done := make(chan asked, 1)
	go func() {
		st, err := r.IQ(ctx, "set", "IM.test", []byte("<command/>"))
		done <- asked{st, err}
	}()
	return done
}

func TestIQ(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, Config{Registerer: reg}).start()
		if _, err := r.IQ(t.Context(), "get", "im.test", nil); !errors.Is(err, ErrDown) {
			t.Errorf("without a link: got %v, want %v", err, ErrDown)
		}
		p := r.up("")
		r.expect("up")

		done := r.askAsync(t.Context())
		q := p.next()
		if got := line(q); !strings.HasPrefix(got, "iq set tlim.im.test>im.test ") || !strings.HasSuffix(got, "|<command/>") || len(q.ID) < 16 {
			t.Errorf(`got question %s, want "iq set tlim.im.test>im.test …|<command/>" with an id of at least 16 characters`, got)
		}
		// What any user can send, and what is for somebody else, changes nothing.
		for _, from := range []string{"mallory@im.test/x", "im.test/x", "tlim.im.test", "", "a b@im.test", "conference.im.test"} {
			p.answer(q, "result", from, "<forged/>")
		}
		p.answer(stanza.Stanza{ID: "other", From: q.From}, "result", "im.test", "<stray/>")
		p.answer(q, "result", "im.test", "<true/>")
		p.answer(q, "result", "im.test", "<twice/>")
		if got := <-done; got.err != nil || string(got.st.Inner) != "<true/>" {
			t.Errorf(`got answer %+v, want "<true/>", no error`, got)
		}

		done = r.askAsync(t.Context())
		p.answer(p.next(), "error", "im.test", `<error type="auth"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)
		got := <-done
		if e, ok := errors.AsType[*stanza.IQError](got.err); !ok || e.Condition != "forbidden" {
			t.Errorf("got answer %+v, want the error forbidden", got)
		}
		if n := metric(t, reg, "tlim_link_stray_answers_total"); n != 8 {
			t.Errorf("got %v stray answers counted, want 8", n)
		}
		r.quiet() // an IQ is never the handler's
		p.drain()
	})
}

func TestIQWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		p.drain()
		began := time.Now()
		if _, err := r.IQ(t.Context(), "get", "im.test", nil); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != questionTimeout {
			t.Errorf("after %v: got %v, want %v after %v", time.Since(began), err, context.DeadlineExceeded, questionTimeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.IQ(ctx, "get", "im.test", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: got %v, want %v", err, context.DeadlineExceeded)
		}
		if _, err := r.IQ(t.Context(), "get", "@", nil); err == nil {
			t.Error("a question to no address was asked, want an error")
		}
		done := r.askAsync(t.Context())
		synctest.Wait()
		p.send("</stream:stream>")
		_ = p.conn.Close()
		if got := <-done; !errors.Is(got.err, ErrDown) {
			t.Errorf("at the loss: got %v, want %v", got.err, ErrDown)
		}
		if n := len(r.asksOf()); n != 0 {
			t.Errorf("got %d questions kept, want 0", n)
		}
	})
}

// asksOf are the questions that the running connection keeps.
func (r *rig) asksOf() map[string]question {
	s := r.current.Load()
	if s == nil {
		return nil
	}
	s.asks.mu.Lock()
	defer s.asks.mu.Unlock()
	return s.asks.waiting
}

func TestLargeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		for size, want := range map[int]error{5 << 20: nil, stanza.DefaultAnswer + 1: ErrOversize} {
			done := r.askAsync(t.Context())
			p.answer(p.next(), "result", "im.test", strings.Repeat("x", size))
			if got := <-done; !errors.Is(got.err, want) || want == nil && len(got.st.Inner) != size {
				t.Errorf("%d bytes: got %d, %v, want %v", size, len(got.st.Inner), got.err, want)
			}
		}
		r.quiet()
		p.drain()
	})
}

// What the component is asked, it answers itself; what it does not know is not there; and nothing is answered to an answer.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := func(st stanza.Stanza) ([]byte, bool) {
			if _, ok := st.Child("later", "urn:ours"); ok {
				return nil, true
			}
			_, ok := st.Child("ours", "urn:ours")
			for c := range st.Children() {
				ok = ok || c.Attr("node") == "ours"
			}
			return []byte("<yes/>"), ok
		}
		r := newRig(t, Config{IQ: hook, Connections: 2, Features: []string{"urn:ours"}}).start()
		sending, intake := r.up(""), r.up("")
		r.expect("up")
		const missing = `<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`
		const info = `<query xmlns="http://jabber.org/protocol/disco#info"><identity name="tlim" category="component" type="generic"></identity>` +
			`<feature var="http://jabber.org/protocol/disco#info"></feature><feature var="http://jabber.org/protocol/disco#items"></feature>` +
			`<feature var="urn:xmpp:ping"></feature><feature var="jabber:iq:version"></feature><feature var="vcard-temp"></feature><feature var="urn:ours"></feature></query>`
		for _, c := range []struct{ typ, to, content, want string }{
			{"get", "tlim.im.test", `<query xmlns="http://jabber.org/protocol/disco#info"/>`, "result|" + info},
			{"get", "u@tlim.im.test", `<query xmlns="http://jabber.org/protocol/disco#info"/>`, "result|" + info},
			{"get", "tlim.im.test", `<query xmlns="http://jabber.org/protocol/disco#info" node="x"/>`, `error|<error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`},
			{"get", "tlim.im.test", `<query xmlns="http://jabber.org/protocol/disco#items" node="ours"/>`, "result|<yes/>"},
			{"get", "tlim.im.test", `<query xmlns="http://jabber.org/protocol/disco#items"/>`, `result|<query xmlns="http://jabber.org/protocol/disco#items"></query>`},
			{"get", "u@tlim.im.test/x", `<ping xmlns="urn:xmpp:ping"/>`, "result|"},
			{"get", "tlim.im.test", `<query xmlns="jabber:iq:version"/>`, `result|<query xmlns="jabber:iq:version"><name>tlim</name><version>1.2</version></query>`},
			{"get", "u@tlim.im.test", `<vCard xmlns="vcard-temp"/>`, `result|<vCard xmlns="vcard-temp"><FN>tlim</FN></vCard>`},
			{"set", "tlim.im.test", `<vCard xmlns="vcard-temp"><FN>evil</FN></vCard>`, "error|" + missing},
			{"get", "tlim.im.test", `<x xmlns="urn:x"/><query xmlns="jabber:iq:version"/>`, "error|" + missing},
			{"set", "tlim.im.test", `<ours xmlns="urn:ours"/>`, "result|<yes/>"},
			{"get", "tlim.im.test", ``, "error|" + missing},
		} {
			intake.send(`<iq type="` + c.typ + `" id="q&quot;1" from="a@im.test/r&lt;" to="` + c.to + `">` + c.content + `</iq>`)
			got := intake.next()
			if got.Type+"|"+string(got.Inner) != c.want || got.From != c.to || got.To != "a@im.test/r<" || got.ID != `q"1` {
				t.Errorf("%s %s: got %s, want %s from %s to a@im.test/r<, with its id", c.typ, c.content, line(got), c.want, c.to)
			}
		}
		// What the hook answers later is not answered here; nor are these. The ping behind them is the next that is said.
		intake.send(`<iq type="get" id="1" from="a@im.test/r" to="tlim.im.test"><later xmlns="urn:ours"/></iq>`)
		intake.send(`<iq type="result" id="1" from="a@im.test/r" to="tlim.im.test"/><iq type="error" id="1" from="a@im.test/r" to="tlim.im.test"/>` +
			`<iq type="odd" id="1" from="a@im.test/r" to="tlim.im.test"/><iq type="get" id="1" to="tlim.im.test"/>` +
			`<iq type="get" id="behind" from="a@im.test/r" to="tlim.im.test"><ping xmlns="urn:xmpp:ping"/></iq>`)
		if got := intake.next(); got.ID != "behind" {
			t.Errorf("got an answer to %s, want it to behind", line(got))
		}

		// A sending link answers for itself; a message to it is told that nobody reads there, an error is not answered.
		sending.send(`<iq type="get" id="1" from="im.test" to="tlim-2.im.test"><query xmlns="jabber:iq:version"/></iq>`)
		if got := sending.next(); got.Type != "result" || got.From != "tlim-2.im.test" {
			t.Errorf("a sending link: got answer %s, want a result from tlim-2.im.test", line(got))
		}
		sending.send(`<message type="error" id="2" from="a@im.test/r" to="tlim-2.im.test"/><presence from="a@im.test/r" to="tlim-2.im.test"/>` +
			`<message id="3" from="a@im.test/r" to="x@tlim-2.im.test"><body>lost?</body></message>`)
		if got := line(sending.next()); got != "message error x@tlim-2.im.test>a@im.test/r 3|"+missing {
			t.Errorf("a sending link: got answer %s, want %s", got, "message error x@tlim-2.im.test>a@im.test/r 3|"+missing)
		}
		r.quiet()
		sending.drain()
		intake.drain()
	})
}

// Answers use the reserve; when that is full too, they are counted instead of waited for.
func TestAnswersNeverBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, Config{BufferBytes: 1000, ReserveBytes: 1000, Registerer: reg}).start()
		p := r.up("")
		r.expect("up")
		for i := range 50 {
			p.send(ask(fmt.Sprintf("a%d@im.test/r", i)))
		}
		p.send(`<message id="read"/>`)
		r.expect("message read ")
		if n := metric(t, reg, "tlim_link_unanswered_total"); n < 10 || n > 45 {
			t.Errorf("got %v unanswered, want 10 to 45", n)
		}
		p.drain()
	})
}
