package component

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"tlim/component/fairqueue"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// received is what a client library answers a request to confirm with (XEP-0184).
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
			if refusals(posts) != "acknowledgement" || !strings.Contains(posts[0], "own") {
				t.Errorf("answers: got %s, want an acknowledgement of own", posts)
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
	if refusals(posts) != "acknowledgement" || copiesOf(d) != "own>zhangsan@im.test/p" {
		t.Errorf(`got %s, copies %s, want acknowledgement, copies "own>zhangsan@im.test/p"`, refusals(posts), copiesOf(d))
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
// beyond is ignored.
func TestConfirmationsAreReadInBounds(t *testing.T) {
	h := confirming(t, func(c *Config) { c.UserRate, c.UserBurst = 10, 10 })
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	large := envelopeOf("c", "MTC-000", "lisi", "zhangsan", naming("none", 1, "")+strings.Repeat(" ", 60<<10))
	const more = 10
	for range readingBurst/len("<body>"+large+"</body>") + more {
		h.postRaw("lisi/p", testComponent, "<body>"+string(stanza.AppendEscaped(nil, large))+"</body>")
	}
	h.send("lisi/p", text("own", "lisi", "zhangsan", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" || h.ignored(ignoredUnread) != more {
		t.Errorf("got answers %q, %v ignored, want an acknowledgement of its own message, %d", refusals(posts), h.ignored(ignoredUnread), more)
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

// TestOddConfirmations: one that hides its type is a message, and settles; a chat state that comes with a confirmation goes its way.
func TestOddConfirmations(t *testing.T) {
	h := confirming(t, nil)
	for name, odd := range map[string]struct{ id, text string }{
		"its type by an escape": {"n1", strings.Replace(confirms("lisi", "n1"), "MTC-", `MTC\u002d`, 1)},
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
	if refusals(posts) != "acknowledgement" || own < 0 || own > fairqueue.Quantum {
		t.Errorf("got %s, the message of the same two as number %d; want acknowledgement, 0 to %d", refusals(posts), own, fairqueue.Quantum)
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
	const five = "acknowledgement acknowledgement acknowledgement acknowledgement acknowledgement"
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
		if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" { // one names it once, for all of a batch
			t.Errorf("answers: got %s, want acknowledgement", refusals(posts))
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

// TestReceivedBesideBody: a stanza with a confirmation and a body is both. The confirmation settles and costs nothing, whatever becomes of the message.
func TestReceivedBesideBody(t *testing.T) {
	beside := func(h *harness, id, envelope string) {
		h.sendRaw("lisi/p", testComponent, received(id)+`<tlim xmlns="im.itonglian.com" ack="1"/><body>`+string(stanza.AppendEscaped(nil, envelope))+`</body>`)
	}
	for name, c := range map[string]struct {
		envelope, answers string
		copies            int
		charged           float64
	}{
		"a message":           {text("own", "lisi", "zhangsan", "x"), "acknowledgement", 1, 1},
		"a refused message":   {text("own", "wangwu", "lisi", "x"), "error-011", 0, 1},
		"no JSON":             {"hello", "error-005", 0, 1},
		"another one by JSON": {confirms("lisi", "n2"), "", 1, 0},
		"a malformed one":     {envelopeOf("c", "MTC-000", "wangwu", "lisi", naming("n", 1, "")), "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := confirming(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 10 })
			h.send("zhangsan/p", text("n1", "zhangsan", "lisi", "x"))
			h.sender.take()
			tokens := h.intake.sender("lisi").limiter.TokensAt(h.clock.Now())
			beside(h, "n1", c.envelope)
			d, posts := h.sender.take()
			if got := unconfirmedIDs(t, h, "lisi"); got != "" || refusals(posts) != c.answers || len(d) != c.copies {
				t.Errorf("got %q unconfirmed, answers %q, %d copies, want none, %q, %d", got, refusals(posts), len(d), c.answers, c.copies)
			}
			if got := tokens - h.intake.sender("lisi").limiter.TokensAt(h.clock.Now()); got != c.charged {
				t.Errorf("charged: got %v, want %v", got, c.charged)
			}
		})
	}
	t.Run("over the rate", func(t *testing.T) {
		h := confirming(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 1 })
		h.send("zhangsan/p", text("n1", "zhangsan", "lisi", "x"))
		h.send("lisi/p", text("own", "lisi", "wangwu", "x")) // that is all it may send
		h.sender.take()
		beside(h, "n1", text("own2", "lisi", "wangwu", "x"))
		if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) || unconfirmedIDs(t, h, "lisi") != "" {
			t.Errorf("got %q, %q unconfirmed, want %s for the message, and the confirmation taken", refusals(posts), unconfirmedIDs(t, h, "lisi"), protocol.TryLater)
		}
	})
}

// TestConfirmationsGetNoError: whatever is wrong with a stanza that confirms, nobody is told an error, and it is counted.
func TestConfirmationsGetNoError(t *testing.T) {
	body := func(envelope string) []byte {
		return []byte("<body>" + string(stanza.AppendEscaped(nil, envelope)) + "</body>")
	}
	long := strings.Repeat(" ", maxReadConfirmation)
	quoted := strings.NewReplacer(`"`, "&quot;")
	big := func(envelope string) []byte {
		return []byte(quoted.Replace(envelope[:30] + envelope[len(envelope)-90:]))
	}
	for name, c := range map[string]struct {
		st       stanza.Stanza
		code     string // "" for a confirmation
		draining bool
	}{
		"a field twice":             {st: stanza.Stanza{Inner: body(strings.Replace(confirms("lisi", "n"), "{", `{"msg_from":"x",`, 1))}},
		"a field in another case":   {st: stanza.Stanza{Inner: body(strings.Replace(confirms("lisi", "n"), "{", `{"MSG_FROM":"x",`, 1))}},
		"a number of two readings":  {st: stanza.Stanza{Inner: body(strings.Replace(confirms("lisi", "n"), "{", `{"msg_time":1e3,`, 1))}},
		"its type twice":            {st: stanza.Stanza{Inner: body(strings.Replace(confirms("lisi", "n"), "{", `{"msg_type":"MTT-000",`, 1))}, code: "error-005"},
		"larger than is read":       {st: stanza.Stanza{Inner: body(long + confirms("lisi", "n"))}},
		"larger than a stanza":      {st: stanza.Stanza{Oversize: true, Ends: big(confirms("lisi", strings.Repeat("n", 100)))}},
		"a large text":              {st: stanza.Stanza{Oversize: true, Ends: big(text("m", "lisi", "zhangsan", strings.Repeat("n", 100)))}, code: "error-012"},
		"a text that speaks of one": {st: stanza.Stanza{Inner: body(long + text("m", "wangwu", "lisi", `"msg_type":"MTC-000"`))}, code: "error-011"},
		"another server's":          {st: stanza.Stanza{From: "lisi@other.test/p", Inner: body(confirms("lisi", "n"))}},
		"from another server":       {st: stanza.Stanza{From: "lisi@other.test/p", Inner: []byte(received("n"))}},
		"another server's text":     {st: stanza.Stanza{From: "lisi@other.test/p", Inner: body(text("m", "lisi", "zhangsan", "x"))}, code: "error-011"},
		"an odd address":            {st: stanza.Stanza{From: "LiSi@im.test/p", Inner: body(confirms("lisi", "n"))}},
		"from an odd address":       {st: stanza.Stanza{From: "LiSi@im.test/p", Inner: []byte(received("n"))}},
		"an odd address's text":     {st: stanza.Stanza{From: "LiSi@im.test/p", Inner: body(text("m", "lisi", "zhangsan", "x"))}, code: "error-011"},
		"a large one at the end":    {st: stanza.Stanza{Inner: body(long + confirms("lisi", "n"))}, draining: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 10 })
			c.st.Name, c.st.To = "message", testComponent
			if c.st.From == "" {
				c.st.From = "lisi@im.test/p"
			}
			h.draining.Store(c.draining)
			h.Stanza(c.st)
			h.draining.Store(false)
			h.sync()
			_, posts := h.sender.take()
			if got := refusals(posts); got != c.code {
				t.Errorf("answers: got %q, want %q", got, c.code)
			}
			if got := h.ignored(ignoredMalformed); (got == 1) != (c.code == "") {
				t.Errorf("counted as malformed: got %v for an answer of %q, want 1 where there is none", got, c.code)
			}
			if got := h.intake.sender("lisi").limiter.TokensAt(h.clock.Now()); c.code == "" && got != 10 {
				t.Errorf("the rate: %v of 10 are left, want all", got)
			}
		})
	}
}

// TestCopiedConfirmations: one that comes as a packet copy costs its sender nothing either.
func TestCopiedConfirmations(t *testing.T) {
	h := confirming(t, func(c *Config) { c.UserRate, c.UserBurst, c.Copies = 1, 1, true })
	h.send("zhangsan/p", text("n1", "zhangsan", "lisi", "x"))
	h.sender.take()
	copied := func(envelope string) {
		h.CopiedMessage(stanza.Stanza{Name: "message", From: "lisi@im.test/p", To: testServer, Inner: append(stanza.AppendEscaped([]byte("<body>"), envelope), "</body>"...)})
		h.sync()
	}
	copied(envelopeOf("c1", "MTC-000", "lisi", "zhangsan", naming("n", maxNamed+1, "")))
	copied(envelopeOf("c2", "MTC-000", "lisi", "zhangsan", `"n"`))
	copied(envelopeOf("c3", "MTC-000", "wangwu", "zhangsan", naming("n", 1, "")))
	if got := h.ignored(ignoredMalformed); got != 3 {
		t.Errorf("counted as malformed: got %v, want 3", got)
	}
	copied(confirms("lisi", "n1"))
	if got := unconfirmedIDs(t, h, "lisi"); got != "" {
		t.Errorf("got %q unconfirmed, want none", got)
	}
	h.sender.take()
	h.send("lisi/p", text("own", "lisi", "zhangsan", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("its own message: got %q, want acknowledgement", refusals(posts))
	}
}

// TestAdminConfirms: who logs in as admin has a phone like others.
func TestAdminConfirms(t *testing.T) {
	h := start(t, nil)
	h.online("admin/p", "zhangsan/p")
	h.send("zhangsan/p", text("n1", "zhangsan", "admin", "x"))
	h.sender.take()
	h.send("admin/p", confirms("admin", "n1"))
	d, posts := h.sender.take()
	if got := unconfirmedIDs(t, h, "admin"); got != "" || len(posts) != 0 || len(d) != 1 || h.ignored(ignoredMalformed) != 0 {
		t.Errorf("got %q unconfirmed, %d answers, %d copies, %v malformed, want none, 0, 1, 0", got, len(posts), len(d), h.ignored(ignoredMalformed))
	}
}

// TestAcknowledgedWithoutID: a read receipt that has no msg_id is acknowledged by the id of its stanza.
func TestAcknowledgedWithoutID(t *testing.T) {
	for _, c := range []struct{ stanza, want string }{{"s-1", "s-1"}, {"", ""}, {"a\x01b", ""}, {`"<&`, `"<&`}} {
		t.Run(fmt.Sprintf("%q", c.stanza), func(t *testing.T) {
			h := start(t, nil)
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			h.sender.take()
			h.Stanza(stanza.Stanza{Name: "message", ID: c.stanza, From: "lisi@im.test/p", To: testComponent,
				Inner: []byte(`<tlim xmlns="im.itonglian.com" ack="1"/><body>{"msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}</body>`)})
			h.sync()
			_, posts := h.sender.take()
			got := ""
			for _, p := range posts {
				st, err := stanza.Parse([]byte(p))
				if err != nil {
					t.Fatal(err)
				}
				text, _ := st.Child("body", "")
				env, _, err := protocol.ParseEnvelope(text.Text(), h.kinds.rules, protocol.Limits{Body: 1 << 20})
				if err != nil || env.Type != "MTC-100" {
					t.Fatalf("got %s, %v, want an MTC-100", p, err)
				}
				got += gjson.Get(env.Body, "0.msg_id").Str
			}
			if got != c.want {
				t.Errorf("the stanza %q: got an MTC-100 of %q, want %q", c.stanza, got, c.want)
			}
		})
	}
}
