package component

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/fairqueue"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// received is what a client library answers the request for a receipt with.
func received(id string) string { return `<received xmlns="urn:xmpp:receipts" id="` + id + `"/>` }

// postRaw puts a stanza into the queue without waiting.
func (h *harness) postRaw(device, to, inner string) {
	local, resource, _ := strings.Cut(device, "/")
	h.Stanza(stanza.Stanza{Name: "message", Type: "chat", ID: "s1", From: local + "@" + testServer + "/" + resource, To: to, Inner: []byte(inner)})
}

func (h *harness) ignored(what string) float64 {
	return counter(h.t, h.metrics.ignoredConfirmations.WithLabelValues(what))
}

// TestConfirmationsCostNobody: a phone that gets hundreds of messages at once and confirms all of them, twice, is told no error, and its
// own next message is taken.
func TestConfirmationsCostNobody(t *testing.T) {
	const messages = 400
	for name, limits := range map[string]func(*Config){
		"defaults": func(c *Config) { c.UserRate, c.UserBurst, c.UserInflight = 50, 200, 64 },
		"of 1":     func(c *Config) { c.UserRate, c.UserBurst, c.UserInflight = 1, 1, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			h := confirming(t, func(c *Config) {
				limits(c)
				c.Grace = time.Hour
			})
			for i := range messages {
				h.clock.Move(time.Second)
				h.send("zhangsan/p", text(fmt.Sprintf("n%d", i), "zhangsan", "lisi", "x"))
			}
			if _, posts := h.sender.take(); strings.Contains(refusals(posts), "error") {
				t.Fatalf("the messages: got %s, want none refused", refusals(posts))
			}
			h.together(func() {
				for i := range messages {
					id := fmt.Sprintf("n%d", i)
					h.postRaw("lisi/p", "zhangsan@"+testComponent, received(id))
					h.post("lisi/p", fmt.Sprintf(`{"msg_id":"c%d","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":%q}]}`, i, id))
				}
				if got := unconfirmedIDs(t, h, "lisi"); got != "" {
					t.Errorf(`still unconfirmed: got %s, want ""`, got)
				}
				h.post("lisi/p", text("own", "lisi", "wangwu", "x"))
			})
			d, posts := h.sender.take()
			if refusals(posts) != "receipt" || !strings.Contains(posts[0], "own") {
				t.Errorf("answers: got %s, want a receipt of own", posts)
			}
			for i := range messages {
				if addresses(d, fmt.Sprintf("c%d", i)) != "zhangsan@im.test/p" {
					t.Fatalf("confirmation %d went to %q, want zhangsan@im.test/p", i, addresses(d, fmt.Sprintf("c%d", i)))
				}
			}
			if got := h.ignored(ignoredUntrue) + h.ignored(ignoredPassing) + h.ignored(ignoredRow); got != 0 || h.queue("lisi") != "" {
				t.Errorf(`got %v ignored, queue %q, want none, an empty queue`, got, h.queue("lisi"))
			}
			h.confirmations.mu.Lock()
			defer h.confirmations.mu.Unlock()
			if h.confirmations.rows.Len() != 0 {
				t.Errorf("got %d rows to be looked for, want none: all was settled", h.confirmations.rows.Len())
			}
		})
	}
}

// TestConfirmedInTrouble: whatever the product cannot do now, a confirmation settles, and nobody hears of an error.
func TestConfirmedInTrouble(t *testing.T) {
	confirm := func(h *harness) {
		h.postRaw("lisi/p", "zhangsan@"+testComponent, received("n1"))
		h.post("lisi/p", confirms("lisi", "n2"))
	}
	for name, trouble := range map[string]func(h *harness){
		"the database is away": func(h *harness) {
			h.rec.breakWith(store.ErrUnavailable)
			h.rec.set(func(r *recordingStore) { r.users = func([]string) error { return store.ErrUnavailable } })
			h.users.Drop("lisi")
			confirm(h)
			h.sync()
		},
		"it is shutting down": func(h *harness) {
			h.draining.Store(true)
			confirm(h)
			h.draining.Store(false)
		},
		"too much waits": func(h *harness) {
			h.together(func() {
				for i := range 2000 {
					h.post(fmt.Sprintf("u%d/p", i), text(fmt.Sprintf("w%d", i), fmt.Sprintf("u%d", i), "wangwu", "x"))
				}
				h.sender.take()
				h.post("lisi/p", text("own", "lisi", "wangwu", "x"))
				if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) {
					h.t.Errorf("a message: got %q, want %s", refusals(posts), protocol.TryLater)
				}
				confirm(h)
				if _, posts := h.sender.take(); len(posts) != 0 {
					h.t.Errorf("answers: got %s, want none", refusals(posts))
				}
			})
			h.sender.take()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := confirming(t, nil)
			h.send("zhangsan/p", text("n1", "zhangsan", "lisi", "x"))
			h.send("zhangsan/p", text("n2", "zhangsan", "lisi", "x"))
			h.sender.take()
			trouble(h)
			if _, posts := h.sender.take(); len(posts) != 0 {
				t.Errorf("answers: %s, want none", refusals(posts))
			}
			h.rec.breakWith(nil)
			h.rec.set(func(r *recordingStore) { r.users = nil })
			if got := unconfirmedIDs(t, h, "lisi"); got != "" {
				t.Errorf(`still unconfirmed: got %s, want ""`, got)
			}
		})
	}
}

// TestUntrueConfirmations: what a user makes up buys them neither work of the database nor copies, costs them no message of their own, and
// is not answered.
func TestUntrueConfirmations(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 10, 10 })
	h.online("lisi/p", "zhangsan/p")
	h.rec.take()
	const more = 500
	for i := range untrueBurst + more {
		h.postRaw("lisi/p", testComponent, received(fmt.Sprintf("none%d", i)))
	}
	h.send("lisi/p", confirms("lisi", "none"))
	h.send("lisi/p", envelopeOf("c", "MTC-000", "lisi", "zhangsan", naming("none", maxNamed+1, ""))) // malformed
	h.send("lisi/p", text("own", "lisi", "zhangsan", "x"))
	d, posts := h.sender.take()
	if refusals(posts) != "receipt" || copiesOf(d) != "own>zhangsan@im.test/p" {
		t.Errorf(`got %s, copies %s, want receipt, copies "own>zhangsan@im.test/p"`, refusals(posts), copiesOf(d))
	}
	if got, malformed := h.ignored(ignoredUntrue), h.ignored(ignoredMalformed); got != more+1 || malformed != 1 {
		t.Errorf("got %v ignored, %v malformed, want %d, 1", got, malformed, more+1)
	}
	for h.confirmations.waits() {
		h.turns(1)
	}
	looks := 0
	for _, c := range h.rec.take() {
		looks += len(c.DropOffline)
	}
	if looks != untrueBurst {
		t.Errorf("got %d looked for, want %d", looks, untrueBurst)
	}
	h.clock.Move(time.Second)
	for i := range untrueRate*10 + 1 {
		h.postRaw("lisi/p", testComponent, received(fmt.Sprintf("later%d", i)))
	}
	if got := h.ignored(ignoredUntrue); got != more+2 {
		t.Errorf("a second later: got %v ignored, want %d", got, more+2)
	}
}

// TestConfirmationsAreReadInBounds: to read confirmations where they come in takes everybody's time, so one user has a part of it; what is
// beyond counts as messages.
func TestConfirmationsAreReadInBounds(t *testing.T) {
	h := confirming(t, func(c *Config) { c.UserRate, c.UserBurst = 10, 10 })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	large := envelopeOf("c", "MTC-000", "lisi", "zhangsan", naming("none", 1, "")+strings.Repeat(" ", 60<<10))
	for range 2*readingBurst/(60<<10) + 1 {
		h.postRaw("lisi/p", testComponent, "<body>"+string(stanza.AppendEscaped(nil, large))+"</body>")
	}
	h.sync()
	if _, posts := h.sender.take(); !strings.Contains(refusals(posts), string(protocol.TryLater)) {
		t.Errorf("answers: got %q, want %s for some", refusals(posts), protocol.TryLater)
	}
	h.clock.Move(time.Second)
	h.send("lisi/p", confirms("lisi", "m1"))
	if got := unconfirmedIDs(t, h, "lisi"); got != "" {
		t.Errorf(`a second later: got %q unconfirmed, want ""`, got)
	}
}

// TestMalformedConfirmation: a confirmation gets no error, whatever is wrong with it, and counts against nobody's rate.
func TestMalformedConfirmation(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 1 })
	h.send("lisi/p", text("own", "lisi", "zhangsan", "x")) // that is all it may send
	h.sender.take()
	for name, envelope := range map[string]string{
		"too many":         envelopeOf("c1", "MTC-000", "lisi", "zhangsan", naming("n", maxNamed+1, "")),
		"another's":        envelopeOf("c2", "MTC-000", "wangwu", "zhangsan", naming("n", 1, "")),
		"nobody's":         envelopeOf("c3", "MTC-000", "", "zhangsan", naming("n", 1, "")),
		"an id too long":   envelopeOf(strings.Repeat("c", protocol.MaxID+1), "MTC-000", "lisi", "zhangsan", naming("n", 1, "")),
		"a body of a text": envelopeOf("c4", "MTC-000", "lisi", "zhangsan", `"n"`),
		"no body":          `{"msg_id":"c5","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan"}`,
	} {
		t.Run(name, func(t *testing.T) {
			before := h.ignored(ignoredMalformed)
			h.send("lisi/p", envelope)
			if d, posts := h.sender.take(); len(posts) != 0 || len(d) != 0 || h.ignored(ignoredMalformed) != before+1 {
				t.Errorf("got %q, %d copies, %v ignored, want no answer, none, 1", refusals(posts), len(d), h.ignored(ignoredMalformed)-before)
			}
		})
	}
	h.send("lisi/p", envelopeOf("c3", "MTT-000", "lisi", "zhangsan", `[{"text":"MTC-000"}]`))
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) {
		t.Errorf("a text that speaks of one: got %q, want %q", refusals(posts), string(protocol.TryLater))
	}
}

// TestOddConfirmations: one that is too large to be read at once, or that hides its type, is a message, and settles; a chat state that
// comes with a receipt goes its way.
func TestOddConfirmations(t *testing.T) {
	h := confirming(t, nil)
	for name, odd := range map[string]struct{ id, text string }{
		"too large to read at once": {"n0", strings.Repeat(" ", maxReadConfirmation) + confirms("lisi", "n0")},
		"its type by an escape":     {"n1", strings.Replace(confirms("lisi", "n1"), "MTC-", `MTC\u002d`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			h.send("zhangsan/p", text(odd.id, "zhangsan", "lisi", "x"))
			h.sender.take()
			h.send("lisi/p", odd.text)
			if d, posts := h.sender.take(); len(posts) != 0 || len(d) != 1 || unconfirmedIDs(t, h, "lisi") != "" {
				t.Errorf(`got answers %v, %d copies, unconfirmed %q, want no answers, 1 copy, nothing unconfirmed`, refusals(posts), len(d), unconfirmedIDs(t, h, "lisi"))
			}
		})
	}
	h.send("zhangsan/p", text("n9", "zhangsan", "lisi", "x"))
	h.sender.take()
	h.sendRaw("lisi/p", "zhangsan@"+testComponent, received("n9")+`<active xmlns="http://jabber.org/protocol/chatstates"/>`)
	if d, _ := h.sender.take(); len(d) != 1 || !strings.HasPrefix(string(d[0].Payload), "<active") || unconfirmedIDs(t, h, "lisi") != "" {
		t.Errorf(`with a chat state: got %v, want 1 delivery that begins with <active, and nothing unconfirmed`, d)
	}
}

// TestPassingOnIsBounded: what one user's phones confirm waits in a turn of its own and in a bounded room; what is beyond is not passed
// on, without an error.
func TestPassingOnIsBounded(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p", "zhangsan/p")
	h.together(func() {
		for i := range maxPassedPerUser + 5 {
			h.post("lisi/x[web]", fmt.Sprintf(`{"msg_id":"c%d","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m"}]}`, i))
		}
		h.post("lisi/p", text("own", "lisi", "zhangsan", "x"))
	})
	d, posts := h.sender.take()
	own, passed := -1, 0
	for i := range d {
		switch d[i].ID {
		case "own":
			own = i
		default:
			passed++
		}
	}
	if refusals(posts) != "receipt" || own < 0 || own > fairqueue.Quantum {
		t.Errorf("got %s, the message of the same two as number %d; want receipt, 0 to %d", refusals(posts), own, fairqueue.Quantum)
	}
	if passed != maxPassedPerUser || h.ignored(ignoredPassing) != 5 {
		t.Errorf("got %d passed on, %v not, want %d, 5", passed, h.ignored(ignoredPassing), maxPassedPerUser)
	}
	if n := h.intake.passedBytes.Load(); n != 0 {
		t.Errorf("got %d bytes waiting for ever, want 0", n)
	}
}

// TestRepeatedReadReceipt: each repetition of a read receipt is acknowledged, and one row of it waits for each receiver.
func TestRepeatedReadReceipt(t *testing.T) {
	read := func(id, from, to, msgID string) string {
		return envelopeOf(id, "MTT-100", from, to, `[{"msg_id":"`+msgID+`"}]`)
	}
	const five = "receipt receipt receipt receipt receipt"
	t.Run("who is absent", func(t *testing.T) {
		h := start(t, nil)
		h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.offline("zhangsan/p")
		h.sender.take()
		for range 5 {
			h.send("lisi/b[web]", read("r1", "lisi", "zhangsan", "m1"))
		}
		if _, posts := h.sender.take(); refusals(posts) != five {
			t.Errorf("answers: got %s, want %s", refusals(posts), five)
		}
		if got := h.queue("zhangsan"); got != "r1/0" {
			t.Errorf("the author's queue: got %q, want r1/0", got)
		}
		if got := h.queue("lisi"); got != "m1/0 r1/1" { // their phone catches up
			t.Errorf(`the reader's queue: got %q, want "m1/0 r1/1"`, got)
		}
	})
	t.Run("in one batch", func(t *testing.T) {
		h := start(t, nil)
		h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.offline("zhangsan/p")
		h.sender.take()
		h.together(func() {
			for range 5 {
				h.post("lisi/p", read("r1", "lisi", "zhangsan", "m1"))
			}
		})
		if _, posts := h.sender.take(); refusals(posts) != "receipt" { // one names it once, for all of a batch
			t.Errorf("answers: got %s, want receipt", refusals(posts))
		}
		if got := h.queue("zhangsan"); got != "r1/0" {
			t.Errorf("queue: got %q, want r1/0", got)
		}
	})
	t.Run("who does not confirm", func(t *testing.T) {
		h := start(t, nil)
		h.online("zhangsan/p", "lisi/p")
		h.confirmations.mark("zhangsan", store.ConfirmsByPings)
		h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		for range 3 {
			h.send("lisi/p", read("r1", "lisi", "zhangsan", "m1"))
		}
		if got := unconfirmedIDs(t, h, "zhangsan"); got != "r1" {
			t.Errorf("unconfirmed: got %q, want r1", got)
		}
		h.rec.failWhen(func(c store.Change) error { // the row waits in memory
			if c.Message == nil && len(c.Offline) > 0 {
				return store.ErrUnavailable
			}
			return nil
		})
		h.clock.Move(h.cfg.Grace)
		h.sync()
		h.send("lisi/p", read("r1", "lisi", "zhangsan", "m1"))
		h.rec.failWhen(nil)
		h.send("lisi/p", read("r1", "lisi", "zhangsan", "m1"))
		h.clock.Move(h.cfg.Grace)
		h.sync()
		h.sync()
		if got := h.queue("zhangsan"); got != "r1/0" {
			t.Errorf("queue: got %q, want r1/0", got)
		}
	})
	t.Run("in a group", func(t *testing.T) {
		h := start(t, nil)
		g := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
		h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
		h.send("wangwu/p", groupText("m2", "wangwu", g, "x"))
		h.offline("zhangsan/p")
		h.offline("wangwu/p")
		for range 5 {
			h.send("lisi/p", envelopeOf("r1", "MTS-100", "lisi", g, `[{"session_id":"`+g+`","msg_id":"m1"},{"session_id":"`+g+`","msg_id":"m2"}]`))
		}
		if got := strings.Count(h.queue("zhangsan")+" "+h.queue("wangwu"), "r1/0"); got != 2 {
			t.Errorf(`queues: got %q and %q, want r1/0 twice in all`, h.queue("zhangsan"), h.queue("wangwu"))
		}
	})
	t.Run("under an id that others use", func(t *testing.T) {
		h := start(t, nil)
		h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "x"))
		h.offline("zhangsan/p")
		h.send("wangwu/p", text("m3", "wangwu", "zhangsan", "x"))
		for _, from := range []string{"lisi", "wangwu"} {
			for range 2 {
				h.send(from+"/p", read("m3", from, "zhangsan", map[string]string{"lisi": "m1", "wangwu": "m2"}[from]))
			}
		}
		if got := h.queue("zhangsan"); got != "m3/0 m3/0 m3/0" {
			t.Errorf(`queue: got %q, want "m3/0 m3/0 m3/0"`, got)
		}
	})
}
