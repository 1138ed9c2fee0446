package stream

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/stanza"
)

// ask is a question that is answered at once.
func ask(from string) string {
	return `<iq type="get" id="q" from="` + from + `" to="tlim.im.test"><ping xmlns="urn:xmpp:ping"/></iq>`
}

// stalled is a link whose server reads nothing more and whose buffer is full of copies. Nothing but the reserve is left.
func stalled(t *testing.T, r *rig) *peer {
	t.Helper()
	p := r.up("")
	r.expect("up")
	d := stanza.Delivery{ID: "copy", From: "a@tlim.im.test", Payload: bytes.Repeat([]byte("x"), 1000)}
	for i := range 200 {
		d.To = append(d.To, stanza.Target{JID: fmt.Sprintf("u%d@im.test", i)})
	}
	go func() { _ = r.Deliver(t.Context(), []stanza.Delivery{d}) }() // the test ends the link
	synctest.Wait()
	if r.current.Load().intake().out.waiting() < r.cfg.BufferBytes {
		t.Fatal("the buffer has room, want it full")
	}
	return p
}

// rest reads what was queued behind the copies, and counts it by the receiver and the type.
func (p *peer) rest(n int) map[string]int {
	p.t.Helper()
	got := map[string]int{}
	for range n {
		st := p.work()
		for st.ID == "copy" {
			st = p.work()
		}
		got[st.To+" "+st.Type]++
	}
	return got
}

// One sender who provokes answers while the link is stalled leaves the reserve to others, and acknowledgements have a part of it of
// their own.
func TestOneSenderDoesNotFillTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, Config{BufferBytes: 64 << 10, ReserveBytes: 64 << 10, WriteTimeout: time.Hour, PingAfter: time.Hour, Registerer: reg}).start()
		p := stalled(t, r)
		r.onStanza = func(st stanza.Stanza) { // as the product refuses
			r.Answer(st.From, []byte(`<message type="error" id="refused" to="`+st.From+`"/>`))
		}
		for range 1000 {
			p.send(ask("evil@im.test/r"))
			p.send(`<message id="m" from="evil@im.test/other" to="tlim.im.test"/>`)
		}
		p.send(ask("good@im.test/r") + `<message id="m" from="good@im.test/r" to="tlim.im.test"/>`)
		synctest.Wait()
		dropped := int(metric(t, reg, "tlim_link_answers_over_budget_total"))
		if n := metric(t, reg, "tlim_link_unanswered_total"); n != 0 || dropped < 1900 {
			t.Errorf("got %v without room, %d over the budget, want 0, at least 1900", n, dropped)
		}
		if n := r.lines("sender=evil@im.test"); n != 1 || r.lines("sender=good@im.test") != 0 {
			t.Errorf("the log names the sender %d times, want once, and nobody else: %s", n, r.log)
		}

		// Hundreds of senders can fill their part, and no more.
		for i := range 2000 {
			p.send(ask(fmt.Sprintf("crowd%d@im.test/r", i)))
		}
		synctest.Wait()
		refused := metric(t, reg, "tlim_link_unanswered_total")
		if refused < 100 {
			t.Errorf("got %v of a crowd's answers without room, want at least 100", refused)
		}
		ack := []byte(`<message id="ack" type="chat" to="good@im.test/r">` + strings.Repeat("x", 400) + `</message>`)
		acks := 0
		for r.Post(ack) {
			acks++
		}
		if bytes := acks * len(ack); bytes < 30<<10 {
			t.Errorf("got room for %d bytes of acknowledgements, want at least %d", bytes, 30<<10)
		}

		got := p.rest(2002 - dropped + 2000 - int(refused) + acks)
		if got["good@im.test/r result"] != 1 || got["good@im.test/r error"] != 1 || got["good@im.test/r chat"] != acks {
			t.Errorf("the other sender got %v, want 1 result, 1 error, %d messages", got, acks)
		}
		if n := got["evil@im.test/r result"] + got["evil@im.test/other error"]; n != 2000-dropped || n < 2 {
			t.Errorf("the sender who floods got %d answers, want %d, at least 2", n, 2000-dropped)
		}

		// What was written is no burden any more, once the writer has seen that it was.
		synctest.Wait()
		p.send(ask("evil@im.test/r"))
		if got := p.rest(1); got["evil@im.test/r result"] != 1 {
			t.Errorf("after the flood: got %v, want evil@im.test/r result 1", got)
		}
		p.drain()
	})
}

// A sender who is answered as fast as they ask has a rate all the same: they may not read what they provoke.
func TestAnswerRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, Config{AnswerRate: 2, PingAfter: time.Hour, Registerer: reg}).start()
		p := r.up("")
		r.expect("up")
		// answered sends so many questions, and the one of a bystander who has the last answer.
		bystanders := 0
		answered := func(n int, from func(int) string) (got int) {
			t.Helper()
			bystanders++
			last := fmt.Sprintf("bystander%d@im.test/r", bystanders)
			go func() {
				for i := range n {
					p.send(ask(from(i)))
				}
				p.send(ask(last))
			}()
			for p.work().To != last {
				got++
			}
			return got
		}
		evil := func(i int) string { return fmt.Sprintf("evil@im.test/r%d", i) }
		if n := answered(30, evil); n != 2*budgetBurst {
			t.Errorf("got %d of 30 questions of one user answered, want %d", n, 2*budgetBurst)
		}
		pass(5 * time.Second)
		if n := answered(30, evil); n != 10 {
			t.Errorf("got %d answers after 5 s, want 10", n)
		}
		if n := answered(30, func(i int) string { return fmt.Sprintf("user%d@elsewhere.test/r", i) }); n != 2*budgetBurst {
			t.Errorf("got %d answers to users of another server, want %d", n, 2*budgetBurst)
		}
		if n := answered(30, func(i int) string { return fmt.Sprintf("user%d@im.test/r", i) }); n != 30 {
			t.Errorf("got %d answers to 30 users, want 30", n)
		}
		if n := metric(t, reg, "tlim_link_answers_over_budget_total"); n != 10+20+10 {
			t.Errorf("got %v dropped, want %v", n, 10+20+10)
		}
		p.drain()
	})
}
