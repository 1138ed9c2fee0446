package component

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// crowd makes a group of zhangsan with n members, them included, of whom nobody is there.
func (h *harness) crowd(n int) string {
	h.t.Helper()
	members := []string{"zhangsan"}
	var users []store.User
	for i := 1; i < n; i++ {
		id := fmt.Sprintf("member%d", i)
		members, users = append(members, id), append(users, store.User{ID: id})
	}
	if err := h.AddUsers(h.t.Context(), users); err != nil {
		h.t.Fatal(err)
	}
	return h.makeGroup("zhangsan", members...)
}

// naming is a body that names n messages.
func naming(prefix string, n int, session string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"msg_id":"%s%d","session_id":%q}`, prefix, i, session)
	}
	return "[" + b.String()[1:] + "]"
}

func envelopeOf(id, kind, from, to, body string) string {
	return fmt.Sprintf(`{"msg_id":%q,"msg_type":%q,"msg_from":%q,"msg_to":%q,"msg_time":"1","body":%s}`, id, kind, from, to, body)
}

// TestNamesAtMost: every kind by which a sender names messages takes maxNamed of them; of more nothing is done at all.
func TestNamesAtMost(t *testing.T) {
	h := start(t, nil)
	h.blind()
	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.rec.take() // that was the group
	tried := 0
	for name, kind := range h.kinds.named {
		if kind.names == namesNothing {
			continue
		}
		tried++
		to := "lisi"
		if kind.scope == scopeGroup {
			to = g
		}
		for n, want := range map[int]string{maxNamed: "", maxNamed + 1: string(protocol.TooLarge)} {
			t.Run(fmt.Sprint(name, " naming ", n), func(t *testing.T) {
				h.send("zhangsan/p", envelopeOf(fmt.Sprint(name, n), name, "zhangsan", to, naming(name, n, g)))
				d, posts := h.sender.take()
				changes := h.rec.take()
				answer := want
				if kind.names == namesConfirmed { // it gets none, whatever it is
					answer = ""
				}
				if got := strings.ReplaceAll(refusals(posts), "acknowledgement", ""); got != answer {
					t.Errorf("got %q, want %q", got, answer)
				}
				if want != "" && len(d)+len(changes) > 0 {
					t.Errorf("refused: got copies %v, changes %v, want none", copiesOf(d), changes)
				}
			})
		}
	}
	if tried != 5 {
		t.Errorf("%d kinds name messages, want 5", tried)
	}
	h.send("zhangsan/p", envelopeOf("same", "MTT-100", "zhangsan", "lisi", "["+strings.Repeat(`{"msg_id":"x"},`, maxNamed)+`{"msg_id":"x"}]`))
	if d, posts := h.sender.take(); len(d) != 1 || refusals(posts) != "acknowledgement" {
		t.Errorf("one message named %d times: got %d deliveries, %v, want 1, an acknowledgement", maxNamed+1, len(d), posts)
	}
}

// TestUnknownRevokeIsKept: a revoke that comes before its message works, and costs its sender what it names.
func TestUnknownRevokeIsKept(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", envelopeOf("v", "MTT-101", "zhangsan", "lisi", naming("m", maxNamed, "")))
	h.sender.take()
	h.send("zhangsan/p", text("m199", "zhangsan", "lisi", "too late"))
	if d, posts := h.sender.take(); len(d) != 0 || refusals(posts) != "acknowledgement" {
		t.Errorf("revoked before it came: got copies %q, answers %q, want no copies, an acknowledgement", copiesOf(d), refusals(posts))
	}
}

// TestCharge: what each message counts against its sender's rate.
func TestCharge(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 10_000 })
	g := h.crowd(200)
	h.blind() // everybody is sent copies
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", groupText("g0", "zhangsan", g, "x"))
	received := `<received xmlns="urn:xmpp:receipts" id="x"/>`
	padded := func(envelope string, bytes int) string {
		return strings.Replace(envelope, "{", `{"new":"`+strings.Repeat("x", bytes)+`",`, 1)
	}
	for _, c := range []struct {
		what, device, envelope string
		raw                    string
		want                   float64
	}{
		{"a text", "zhangsan/p", text("m1", "zhangsan", "lisi", "x"), "", 1},
		{"it again", "zhangsan/p", text("m1", "zhangsan", "lisi", "x"), "", 1},
		{"a large text", "zhangsan/p", padded(text("m2", "zhangsan", "lisi", "x"), 60_000), "", 1 + 7},
		{"no JSON, and large", "zhangsan/p", strings.Repeat("x", 60_000), "", 1 + 7},
		{"a read receipt of few", "zhangsan/p", envelopeOf("r1", "MTT-100", "zhangsan", "lisi", naming("m", 9, "")), "", 1},
		{"a read receipt of 100", "zhangsan/p", envelopeOf("r2", "MTT-100", "zhangsan", "lisi", naming("m", 100, "")), "", 1 + 10},
		{"a revoke of 100", "zhangsan/p", envelopeOf("v1", "MTT-101", "zhangsan", "lisi", naming("q", 100, "")), "", 1 + 10},
		{"a revoke of another's", "lisi/p", envelopeOf("v2", "MTT-101", "lisi", "zhangsan", strings.Replace(naming("n", 100, ""), "n99", "m0", 1)), "", 1 + 10},
		{"a confirmation of 200", "zhangsan/p", envelopeOf("c1", "MTC-000", "zhangsan", "lisi", naming("m", 200, strings.Repeat("x", 60))), "", 0},
		{"a confirmation by XEP-0184", "zhangsan/p", "", received, 0},
		{"a group text", "zhangsan/p", groupText("g1", "zhangsan", g, "x"), "", 1 + 4},
		{"the group text again", "zhangsan/p", groupText("g1", "zhangsan", g, "x"), "", 1},
		{"a large group text", "zhangsan/p", padded(groupText("g2", "zhangsan", g, "x"), 20_000), "", 1 + 2 + 20*4},
		{"a read receipt to one author in a group", "member1/p", envelopeOf("r3", "MTS-100", "member1", g, `[{"session_id":"`+g+`","msg_id":"g0"}]`), "", 1},
		{"a stranger's group text", "wangwu/p", groupText("g3", "wangwu", g, "x"), "", 1 + 4},
		{"a revoke in a group", "zhangsan/p", envelopeOf("v3", "MTS-101", "zhangsan", g, naming("g", 20, g)), "", 1 + 2 + 2*4},
		{"a notice that names 400", "zhangsan/p", envelopeOf("n1", "MTS-106", "zhangsan", g,
			`[{"session_id":"`+g+`","subscribers":[`+strings.Repeat(`{"user_id":"x"},`, 399)+`{"user_id":"x"}]}]`), "", 1 + 7*(400+200)/50},
	} {
		t.Run(c.what, func(t *testing.T) {
			local, _, _ := strings.Cut(c.device, "/")
			tokens := func() float64 {
				if u, ok := h.intake.senders.Get(local); ok {
					return u.limiter.TokensAt(h.clock.Now())
				}
				return 10_000
			}
			before := tokens()
			if c.raw != "" {
				h.sendRaw(c.device, "lisi@"+testComponent, c.raw)
			} else {
				h.send(c.device, c.envelope)
			}
			if got := before - tokens(); got != c.want {
				_, posts := h.sender.take()
				t.Errorf("it counts %v, want %v: %s", got, c.want, refusals(posts))
			}
		})
	}
}

// TestChargeOfAbsent: who is not there, and is sent nothing, counts a fiftieth.
func TestChargeOfAbsent(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 10_000 })
	g := h.crowd(2601)
	for i := range 51 {
		h.online(fmt.Sprintf("member%d/p", i+1))
	}
	h.sender.take()
	h.send("zhangsan/p", groupText("g1", "zhangsan", g, "x"))
	d, _ := h.sender.take()
	if copies := len(d[0].To); copies != 52 {
		t.Errorf("%d copies, want 52", copies)
	}
	u, _ := h.intake.senders.Get("zhangsan")
	if got := 10_000 - u.limiter.TokensAt(h.clock.Now()); got != 1+(52+2549/50)/50 {
		t.Errorf("it counts %v, want %v", got, 1+(52+2549/50)/50)
	}
	if cost := h.cost("zhangsan/p", groupText("g2", "zhangsan", g, "x")); cost != itemCost+52+2549/50 {
		t.Errorf("it costs %d copies, want %d", cost, itemCost+52+2549/50)
	}
}

// TestChargedOnce: a batch that has to be decided again counts once.
func TestChargedOnce(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 1000 })
	g := h.crowd(200)
	h.blind()
	h.together(func() {
		h.post("zhangsan/p", groupText("g1", "zhangsan", g, "x"))
		h.post("zhangsan/p", groupText("g1", "zhangsan", g, "x")) // for which the ids of all are looked up
	})
	h.failWhenFirst(store.ErrData)
	h.together(func() {
		h.post("zhangsan/p", groupText("g2", "zhangsan", g, "x"))
		h.post("zhangsan/p", groupText("g3", "zhangsan", g, "x")) // and which is then taken one by one
	})
	u, _ := h.intake.senders.Get("zhangsan")
	if got := 1000 - u.limiter.TokensAt(h.clock.Now()); got != 4+4*3 {
		t.Errorf("four messages, of which one is a retry, count %v, want %v", got, 4+4*3)
	}
}

// TestFailedCommitChargesNothing: who repeats what the database did not take pays for it once; of what it cannot hold every try counts.
func TestFailedCommitChargesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		fail error
		want float64
	}{
		"the database is away": {store.ErrUnavailable, 1 + 1 + 4},
		"it cannot hold it":    {store.ErrData, 2 * (1 + 4)},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 1000 })
			g := h.crowd(200)
			h.blind()
			h.rec.failWhen(func(change store.Change) error {
				if change.Message == nil {
					return nil
				}
				return c.fail
			})
			h.send("zhangsan/p", groupText("g1", "zhangsan", g, "x"))
			if _, posts := h.sender.take(); !strings.HasPrefix(refusals(posts), "error") {
				t.Fatalf("got %s, want an error", refusals(posts))
			}
			h.rec.failWhen(nil)
			h.send("zhangsan/p", groupText("g1", "zhangsan", g, "x"))
			if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
				t.Fatalf("repeated: got %s, want an acknowledgement", refusals(posts))
			}
			u, _ := h.intake.senders.Get("zhangsan")
			if got := 1000 - u.limiter.TokensAt(h.clock.Now()); got != c.want {
				t.Errorf("the message and its repetition count %v, want %v", got, c.want)
			}
		})
	}
}

// failWhenFirst lets the next write fail.
func (h *harness) failWhenFirst(err error) {
	failed := false
	h.rec.failWhen(func(store.Change) error {
		if failed {
			return nil
		}
		failed = true
		return err
	})
}

// TestDebt: who has sent what costs much is held up for it, messages that wait already included, and nobody else is. What was
// decided stands.
func TestDebt(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 10 })
	h.blind()
	g := h.crowd(500)
	h.together(func() {
		for i := range 5 {
			h.post("zhangsan/p", groupText(fmt.Sprint("g", i), "zhangsan", g, "x")) // 1 + 10 each
		}
		h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
		h.post("lisi/p", text("m2", "lisi", "wangwu", "x"))
	})
	d, posts := h.sender.take()
	var copies int
	for i := range d {
		if strings.HasPrefix(d[i].ID, "g") {
			copies += len(d[i].To)
		}
	}
	answers := map[string]int{}
	for _, p := range posts {
		who := "lisi"
		if strings.Contains(p, "zhangsan@") {
			who = "zhangsan"
		}
		answers[who+" "+refusals([]string{p})]++
	}
	if copies != 500 || answers["zhangsan error-013"] != 5 || answers["zhangsan acknowledgement"] != 1 || answers["lisi acknowledgement"] != 1 || addresses(d, "m2") == "" {
		t.Errorf("%d copies, answers %v, want 500 copies, m2 delivered, and for zhangsan 5 times error-013, 1 acknowledgement, for lisi 1", copies, answers)
	}
	// 6 were counted where they came in, and 10 for the receivers: 4 - 10 are missing.
	h.clock.Move(5 * time.Second)
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) {
		t.Errorf("before the debt is paid: got %s, want %s", refusals(posts), string(protocol.TryLater))
	}
	h.clock.Move(2 * time.Second)
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("after it: got %s, want acknowledgement", refusals(posts))
	}
}

// TestDebtHoldsBack: ids are counted when a message is read, so a queue of such messages is not looked up as a whole.
func TestDebtHoldsBack(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 50 })
	h.together(func() {
		for i := range 40 {
			h.post("zhangsan/p", envelopeOf(fmt.Sprint("v", i), "MTT-101", "zhangsan", "lisi", naming(fmt.Sprint("x", i), maxNamed, "")))
		}
	})
	rows := 0
	for _, c := range h.rec.take() {
		rows += len(c.SetIDs)
	}
	if _, posts := h.sender.take(); rows != maxNamed || strings.Count(refusals(posts), string(protocol.TryLater)) != 39 {
		t.Errorf("%d rows, answers %s, want %d rows, 39 times %s", rows, refusals(posts), maxNamed, protocol.TryLater)
	}
}

// TestDebtOfLargeOnes: what is debited already when it is read, for its size or the messages that it names, is refused for the debt
// of those before it like any other, so a queue of them makes no more debt than one.
func TestDebtOfLargeOnes(t *testing.T) {
	for what, message := range map[string]func(g string, i int) string{
		"large": func(g string, i int) string {
			return strings.Replace(groupText(fmt.Sprint("g", i), "zhangsan", g, "x"), "{", `{"new":"`+strings.Repeat("x", 9000)+`",`, 1)
		},
		"naming many": func(g string, i int) string {
			return envelopeOf(fmt.Sprint("v", i), "MTS-101", "zhangsan", g, naming(fmt.Sprint("x", i), 2*idsPerCount, g))
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 1, 100 })
			g := h.crowd(1000)
			h.blind()
			h.together(func() {
				for i := range 30 {
					h.post("zhangsan/p", message(g, i))
				}
			})
			d, posts := h.sender.take()
			copies := 0
			for i := range d {
				copies += len(d[i].To)
			}
			refused := strings.Count(refusals(posts), string(protocol.TryLater))
			u, _ := h.intake.senders.Get("zhangsan")
			if debt := -u.limiter.TokensAt(h.clock.Now()); copies == 0 || copies > 3*1000 || refused < 27 || debt > 250 {
				t.Errorf("%d copies, %d refused, a debt of %v; want 1 to %d copies, at least 27 refused, a debt of at most 250", copies, refused, debt, 3*1000)
			}
		})
	}
}

// cost is what the conveyor takes a message for before it is decided.
func (h *harness) cost(device, envelope string) (cost int) {
	h.t.Helper()
	local, resource, _ := strings.Cut(device, "/")
	it := &arrival{from: stanza.JID{Local: local, Domain: testServer, Resource: resource}, st: stanza.Stanza{Name: "message", Type: "chat", From: local + "@" + testServer + "/" + resource, To: testComponent,
		Inner: append(stanza.AppendEscaped([]byte("<body>"), envelope), "</body>"...)}}
	if err := h.do(h.t.Context(), &task{plan: func(context.Context, *batch) error {
		if err := h.decode(it); err != nil {
			return err
		}
		cost = it.request().classify(h.conveyor).cost
		return nil
	}}); err != nil {
		h.t.Fatal(err)
	}
	return cost
}
