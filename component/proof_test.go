package component

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Answers to a ping.
const (
	pong        = ""
	goneRepeats = `<ping xmlns="urn:xmpp:ping"/><error code="503" type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`
	unavailable = `<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`
	unknownPing = `<error type="cancel"><feature-not-implemented xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`
	notResumed  = `<error type="cancel"><recipient-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`
)

// pinged takes the pings that went out behind copies, and says what they stand behind: "lisi/p: m1 m2".
func (h *harness) pinged() (ids []string, behind string) {
	h.sender.mu.Lock()
	defer h.sender.mu.Unlock()
	var list []string
	for _, p := range h.sender.pings {
		var copies []string
		for _, c := range p.copies {
			copies = append(copies, c.ID)
		}
		ids = append(ids, p.run.Ping)
		list = append(list, strings.Replace(p.run.JID, "@"+testServer, "", 1)+": "+strings.Join(copies, " "))
	}
	h.sender.pings = nil
	return ids, strings.Join(list, ", ")
}

// answerPing lets a device answer a ping, and the one in front of its copies before it, and returns when that has had its effect.
func (h *harness) answerPing(device, id, inner string) bool {
	h.t.Helper()
	local, resource, _ := strings.Cut(device, "/")
	from := stanza.JID{Local: local, Domain: testServer, Resource: resource}
	st := stanza.Stanza{Name: "iq", Type: "result", ID: id, From: from.String(), To: testComponent, Inner: []byte(inner)}
	if inner != pong {
		st.Type = "error"
	}
	h.sender.mu.Lock()
	front := h.sender.fronts[id]
	h.sender.mu.Unlock()
	if front != "" {
		first := st
		first.ID = front
		h.Answered(first, from)
	}
	known := h.Answered(st, from)
	h.sync()
	return known
}

// sharedPing is after what time a message has a ping of its own in front.
const sharedPing = 100 * time.Millisecond

// pinging starts with a user lisi whose phone p is online and known to answer pings.
func pinging(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := start(t, change)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	ids, behind := h.pinged()
	if behind != "lisi/p: m0" {
		t.Fatalf(`pinged: got %s, want "lisi/p: m0"`, behind)
	}
	h.answerPing("lisi/p", ids[0], pong)
	h.graceOver()
	h.sender.take()
	h.rec.take()
	return h
}

// graceOver is when what was answered is settled, and the rest are rows.
func (h *harness) graceOver() {
	h.clock.Move(h.cfg.Grace)
	h.snapshot()
	h.clock.Move(time.Millisecond)
	h.sync()
}

// A phone that has come back under the same resource answers for itself only: what went to the session before it stays unconfirmed.
func TestAnswerOfTheSuccessor(t *testing.T) {
	h := pinging(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x")) // into a session that is dead, and nobody knows
	lost, _ := h.pinged()
	h.clock.Move(sharedPing)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x")) // into that of the phone which is back
	ids, behind := h.pinged()
	if behind != "lisi/p: m2" {
		t.Fatalf(`pinged: got %s, want "lisi/p: m2"`, behind)
	}
	h.answerPing("lisi/p", ids[0], pong)
	h.graceOver()
	if got := unconfirmedIDs(t, h, "lisi") + ";" + h.queue("lisi"); got != ";m1/0" {
		t.Errorf("unconfirmed; queue: got %q, want ;m1/0: only the lost session got m1", got)
	}
	h.answerPing("lisi/p", lost[0], pong) // it was resumed after all
	h.graceOver()
	if got := h.queue("lisi"); got != "" {
		t.Errorf(`after the late answer: got %q, want ""`, got)
	}
	if h.answerPing("lisi/p", lost[0], pong) {
		t.Error("a second answer: got it taken, want it refused")
	}
}

// What is answered is not settled before the grace is over: the answers may be those of a session that has replaced the one which the copies went
// to, or, to a user's own address, that is not available yet. Who logs in finds the copies.
func TestAnswerIsHeld(t *testing.T) {
	for _, asUser := range []bool{false, true} {
		answered := func(t *testing.T) *harness {
			h := pinging(t, func(cfg *Config) { cfg.SenderAsUser = asUser })
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			ids, _ := h.pinged()
			h.answerPing("lisi/p", ids[0], pong)
			if got := unconfirmedIDs(t, h, "lisi"); got != "m1" {
				t.Fatalf("a phone that asks for its queue now: got %q, want m1", got)
			}
			return h
		}
		t.Run(fmt.Sprintf("sender user %v, stays", asUser), func(t *testing.T) {
			h := answered(t)
			h.graceOver()
			if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "" {
				t.Errorf(`after the grace: got %q, want ""`, got)
			}
		})
		t.Run(fmt.Sprintf("sender user %v, not looked at", asUser), func(t *testing.T) {
			h, want := answered(t), ""
			if asUser {
				want = "m1"
			}
			h.clock.Move(h.cfg.Grace)
			h.sync()
			if got := unconfirmedIDs(t, h, "lisi"); got != want {
				t.Errorf("after the grace without a snapshot: got %q, want %q", got, want)
			}
			h.snapshot()
			h.clock.Move(tickPeriod)
			h.sync()
			if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "" {
				t.Errorf(`after a snapshot: got %q, want ""`, got)
			}
		})
		t.Run(fmt.Sprintf("sender user %v, was not there", asUser), func(t *testing.T) {
			h := answered(t)
			h.clock.Move(time.Millisecond)
			h.offline("lisi/p")
			h.snapshot()
			if got := h.queue("lisi"); got != "m1/0" {
				t.Errorf("queue: got %q, want m1/0", got)
			}
		})
		t.Run(fmt.Sprintf("sender user %v, another phone goes", asUser), func(t *testing.T) {
			h := answered(t)
			h.online("lisi/q")
			ids, _ := h.pinged() // it is sent m1, too
			for _, id := range ids {
				h.answerPing("lisi/q", id, pong)
			}
			h.clock.Move(time.Millisecond)
			h.offline("lisi/q")
			h.snapshot()
			h.graceOver()
			if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "" {
				t.Errorf(`the one that has it is there: got %q, want ""`, got)
			}
		})
		t.Run(fmt.Sprintf("sender user %v, takes no place of pings under way", asUser), func(t *testing.T) {
			h := answered(t)
			for i := range unconfirmed.MaxOpen + 1 {
				h.send("zhangsan/p", text(fmt.Sprint("n", i), "zhangsan", "lisi", "x"))
				ids, _ := h.pinged()
				if len(ids) != 1 || !h.answerPing("lisi/p", ids[0], pong) {
					t.Fatalf("after %d answers: got %d pings behind the next message, want 1 that is asked", i+1, len(ids))
				}
			}
			h.graceOver()
			if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "" {
				t.Errorf(`after the grace: got %q, want ""`, got)
			}
		})
		t.Run(fmt.Sprintf("sender user %v, late", asUser), func(t *testing.T) {
			h := answered(t)
			h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
			ids, _ := h.pinged()
			h.graceOver()
			h.answerPing("lisi/p", ids[0], pong)
			if got := h.queue("lisi"); got != "m2/0" {
				t.Errorf("queue of who logs in now: got %q, want m2/0", got)
			}
			h.graceOver()
			if got := h.queue("lisi"); got != "" {
				t.Errorf(`after the grace: got %q, want ""`, got)
			}
		})
	}
}

// The server routes stanza by stanza, so a phone that comes back under the same resource may get the ping without the copy in front of it.
// So one more stands in front of the copies, and both are needed, in any order.
func TestSuccessorInBetween(t *testing.T) {
	h := pinging(t, nil)
	sends := func(id string) (front, behind string) {
		t.Helper()
		h.send("zhangsan/p", text(id, "zhangsan", "lisi", "x"))
		ids, _ := h.pinged()
		h.sender.mu.Lock()
		defer h.sender.mu.Unlock()
		front = h.sender.fronts[ids[0]]
		delete(h.sender.fronts, ids[0]) // answered by itself
		return front, ids[0]
	}
	// Right behind an answer as well: beside the server a login takes 4 ms.
	front, behind := sends("m2")
	if front == "" || !h.answerPing("lisi/p", behind, pong) || unconfirmedIDs(t, h, "lisi") != "m2" {
		t.Errorf("the one behind alone: got %q pinged in front, unconfirmed %q, want a ping in front too, m2 unconfirmed", front, unconfirmedIDs(t, h, "lisi"))
	}
	h.answerPing("lisi/p", front, pong) // by another thread of the client
	h.graceOver()
	if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "" {
		t.Errorf(`after both: got %q, want ""`, got)
	}
	front, behind = sends("m3")
	h.answerPing("lisi/p", behind, pong)
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := h.queue("lisi"); got != "m3/0" {
		t.Errorf("queue: got %q, want m3/0", got)
	}
	if h.answerPing("lisi/p", behind, pong) {
		t.Error("a second answer: got it taken, want it refused")
	}
	h.answerPing("lisi/p", front, pong) // it was there after all
	h.graceOver()
	if got := h.queue("lisi"); got != "" {
		t.Errorf(`after the late answer: got %q, want ""`, got)
	}
	front, _ = sends("m4")
	h.answerPing("lisi/p", front, goneRepeats)
	if got := h.queue("lisi"); got != "m4/0" {
		t.Errorf("gone: got %q, want m4/0", got)
	}
}

// One ping stands behind all copies of a batch for a phone, and confirms those.
func TestPingBehindABatch(t *testing.T) {
	h := pinging(t, nil)
	h.online("wangwu/a", "wangwu/w[web]", "zhangsan/p")
	g := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.sender.take()
	h.together(func() {
		h.post("zhangsan/p", groupText("g1", "zhangsan", g, "x"))
		h.post("zhangsan/p", groupText("g2", "zhangsan", g, "x"))
		h.post("lisi/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"wangwu","body":[{"msg_id":"gone"}]}`)
	})
	ids, behind := h.pinged()
	want := "lisi/p: g1 g2, wangwu/a: g1 g2 r1"
	if got := strings.Split(behind, ", "); strings.Join(slices.Sorted(slices.Values(got)), ", ") != want {
		t.Fatalf("pinged: got %s, want %s", behind, want)
	}
	if strings.HasPrefix(behind, "wangwu") {
		slices.Reverse(ids)
	}
	if h.answerPing("wangwu/w[web]", ids[1], pong) || h.answerPing("zhangsan/p", ids[1], pong) || h.answerPing("lisi/p", ids[1], pong) {
		t.Error("the answer of another one: got it taken, want it refused")
	}
	h.answerPing("wangwu/a", ids[1], pong)
	h.graceOver()
	if got := h.queue("wangwu") + "; " + h.queue("lisi"); got != "; g1/0 g2/0" {
		t.Errorf(`queues: got %q, want "; g1/0 g2/0"`, got)
	}
	if how := h.users.Confirms("wangwu"); how != store.ConfirmsByPings {
		t.Errorf("remembered of wangwu: got %v, want %v", how, store.ConfirmsByPings)
	}
	h.halt()
	h.run(nil)
	h.sync()
	if how := h.users.Confirms("wangwu"); how != store.ConfirmsByPings {
		t.Errorf("after a restart: got %v, want %v", how, store.ConfirmsByPings)
	}
}

// Where the server says that the session is gone, the copies are rows and the device is known to be gone, at once.
func TestBounce(t *testing.T) {
	for name, answer := range map[string]string{"repeated": goneRepeats, "not resumed": notResumed, "as clients write it": unavailable} {
		t.Run(name, func(t *testing.T) {
			h := pinging(t, nil)
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			ids, _ := h.pinged()
			h.answerPing("lisi/p", ids[0], answer)
			if got := h.queue("lisi"); got != "m1/0" {
				t.Errorf("queue: got %q, want m1/0", got)
			}
			if d := h.presence.Devices("lisi"); len(d) > 0 {
				t.Errorf("still known: got %v, want none", d)
			}
			h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
			if _, behind := h.pinged(); behind != "" || h.queue("lisi") != "m1/0 m2/0" {
				t.Errorf(`the next: pinged %q, queue %q, want no ping, "m1/0 m2/0"`, behind, h.queue("lisi"))
			}
		})
	}
}

// What the phone has not confirmed is a row when its time is over, when it has confirmed before. Of others nobody knows.
func TestUnansweredPing(t *testing.T) {
	h := pinging(t, nil)
	h.online("wangwu/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "x"))
	late, _ := h.pinged()
	h.clock.Move(h.cfg.Grace)
	h.snapshot()
	h.clock.Move(time.Second)
	h.snapshot()
	if got := h.queue("lisi") + "; " + h.queue("wangwu"); got != "m1/0; " {
		t.Errorf(`queues: got %q, want "m1/0; "`, got)
	}
	// The one that has never answered is asked to confirm by XEP-0184 now, and seldom pinged.
	h.sender.take()
	for i := range 3 {
		h.send("zhangsan/p", text(fmt.Sprint("n", i), "zhangsan", "wangwu", "x"))
	}
	if _, behind := h.pinged(); behind != "wangwu/p: n0" {
		t.Errorf(`pinged: got %q, want "wangwu/p: n0"`, behind)
	}
	d, _ := h.sender.take()
	if !requests(d, "n0", "wangwu@"+testServer+"/p") {
		t.Error("a phone that answers no pings: got no <request/>, want one")
	}
	// It answers late: it does answer.
	h.answerPing("wangwu/p", late[1], pong)
	h.send("zhangsan/p", text("n3", "zhangsan", "wangwu", "x"))
	if d, _ := h.sender.take(); requests(d, "n3", "wangwu@"+testServer+"/p") {
		t.Error("a phone that answers pings: got a <request/>, want none")
	}
}

// requests says whether the copy for an address asks for a confirmation (XEP-0184).
func requests(list []stanza.Delivery, id, jid string) bool {
	for _, d := range list {
		for _, to := range d.To {
			if d.ID == id && to.JID == jid {
				return to.Request
			}
		}
	}
	return false
}

// A client that knows no pings answers with an error of its own, which proves the same. Where the server answers in the same words for
// those who are gone nobody can tell whose it is: the copy becomes a row, because the phone may have left without a word.
func TestErrorOfTheClient(t *testing.T) {
	for _, repeats := range []bool{true, false} {
		for _, answer := range []string{unknownPing, unavailable} {
			t.Run(fmt.Sprintf("the server repeats %v, the phone answers %s", repeats, answer), func(t *testing.T) {
				h := start(t, nil)
				h.online("lisi/p")
				shape := unavailable
				if repeats {
					shape = goneRepeats
				}
				asked := h.sender.nobody()
				if h.answerPing("zhangsan/p", asked, goneRepeats) {
					t.Error("an answer of the server's shape: got it taken for the server's, want it taken for the client's")
				}
				if !h.answerPing("nobody/"+asked, asked, shape) {
					t.Fatal("the server's answer for who is gone: got no question for it, want one")
				}
				h.online("wangwu/p") // its errors say nothing of the server's
				h.send("zhangsan/p", text("m0", "zhangsan", "wangwu", "x"))
				odd, _ := h.pinged()
				h.answerPing("wangwu/p", odd[0], goneRepeats)
				h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
				ids, _ := h.pinged()
				h.answerPing("lisi/p", ids[0], answer)
				want, devices := "m1/0", 0 // nobody can tell: the copy is kept
				if repeats || answer == unknownPing {
					want, devices = "", 1
					h.graceOver()
				}
				if got := unconfirmedIDs(t, h, "lisi"); got != "" || h.queue("lisi") != want || len(h.presence.Devices("lisi")) != devices {
					t.Errorf("got unconfirmed %q, queue %q, %d devices, want none, %q, %d", got, h.queue("lisi"), len(h.presence.Devices("lisi")), want, devices)
				}
				h.halt()
			})
		}
	}
}

// Of a client that never answers no more is kept than it may be asked: there are thousands.
func TestPingsNeverAnswered(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	for i := range 3 * unconfirmed.MaxUnknown {
		h.send("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "x"))
		h.clock.Move(h.cfg.Grace)
		h.snapshot()
	}
	if n := h.unconfirmed.Count().Questions; n > 2*(unconfirmed.MaxUnknown+1) {
		t.Errorf("got %d pings remembered, want at most %d", n, 2*(unconfirmed.MaxUnknown+1))
	}
}

// Of two phones one is enough; when both are gone what was sent to them is a row.
func TestTwoPhones(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprint("both gone ", both), func(t *testing.T) {
			h := pinging(t, nil)
			h.online("lisi/q")
			h.pinged()
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			ids, behind := h.pinged()
			if behind == "lisi/q: m1, lisi/p: m1" {
				slices.Reverse(ids)
			} else if behind != "lisi/p: m1, lisi/q: m1" {
				t.Fatalf(`pinged: got %s, want "lisi/p: m1, lisi/q: m1"`, behind)
			}
			h.answerPing("lisi/p", ids[0], goneRepeats)
			if got := unconfirmedIDs(t, h, "lisi") + ";" + h.queue("lisi"); got != "m1;" {
				t.Errorf(`the other one may still answer: got %q, want "m1;"`, got)
			}
			want := ""
			if both {
				h.answerPing("lisi/q", ids[1], goneRepeats)
				want = "m1/0"
			} else {
				h.answerPing("lisi/q", ids[1], pong)
				h.graceOver()
			}
			if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			h.halt()
		})
	}
}

// A phone has a bounded number of pings under way. What has none becomes a row, if nothing else confirms it.
func TestPingsUnderWayAreBounded(t *testing.T) {
	h := pinging(t, nil)
	h.online("wangwu/p")
	for i := range unconfirmed.MaxOpen + 5 {
		h.send("zhangsan/p", text(fmt.Sprint("k", i), "zhangsan", "lisi", "x"))
	}
	ids, _ := h.pinged()
	if len(ids) != unconfirmed.MaxOpen {
		t.Errorf("got %d pings under way, want %d", len(ids), unconfirmed.MaxOpen)
	}
	for _, id := range ids {
		h.answerPing("lisi/p", id, pong)
	}
	h.graceOver()
	if got := h.queue("lisi"); len(strings.Fields(got)) != 5 {
		t.Errorf("queue: got %q, want 5 messages", got)
	}
	for i := range unconfirmed.MaxUnknown + 5 {
		h.send("zhangsan/p", text(fmt.Sprint("n", i), "zhangsan", "wangwu", "x"))
	}
	if ids, _ := h.pinged(); len(ids) != unconfirmed.MaxUnknown {
		t.Errorf("got %d pings under way to a phone that has never answered, want %d", len(ids), unconfirmed.MaxUnknown)
	}
}

// A client whose errors look like the server's is taken for gone only a few times: it is there each time.
func TestClientThatBounces(t *testing.T) {
	h := start(t, nil)
	for i := range 2 * unconfirmed.DeafBounces {
		h.online("lisi/p")
		h.send("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "x"))
		ids, _ := h.pinged()
		for _, id := range ids {
			h.answerPing("lisi/p", id, goneRepeats)
		}
	}
	if len(h.presence.Devices("lisi")) == 0 {
		t.Error("got no devices, want the phone taken for being there")
	}
	if got := strings.Fields(h.queue("lisi")); len(got) >= unconfirmed.DeafBounces {
		t.Errorf("rows: got %v, want fewer than %v", got, unconfirmed.DeafBounces)
	}
}

// With the link the questions are gone: what is sent again is asked about again, and its rows go with the answer.
func TestPingsOfALostLink(t *testing.T) {
	h := pinging(t, nil)
	h.clock.Move(time.Second)
	h.sync()
	h.snapshot()
	h.sender.set(func(r *recordingSender) { r.hold = true }) // nothing is known to be routed
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	old, _ := h.pinged()
	h.sender.set(func(r *recordingSender) { r.hold, r.barriers = false, nil })
	h.Down(nil)
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Fatalf("queue: got %q, want m1/0", got)
	}
	h.Up()
	h.sync()
	if h.answerPing("lisi/p", old[0], pong) {
		t.Error("an answer of the connection before: got it taken, want it refused")
	}
	ids, behind := h.pinged()
	if behind != "lisi/p: m1" {
		t.Fatalf(`pinged: got %q, want "lisi/p: m1"`, behind)
	}
	h.answerPing("lisi/p", ids[0], pong)
	h.graceOver()
	if got := h.queue("lisi"); got != "" {
		t.Errorf(`queue: got %q, want ""`, got)
	}
}

// The phone's first answer tells that it answers: what was sent to it before, and is not answered, becomes a row.
func TestFirstAnswer(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(sharedPing)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	ids, _ := h.pinged()
	if d, _ := h.sender.take(); !requests(d, "m1", "lisi@"+testServer+"/p") {
		t.Error("a phone of which nothing is known: got no <request/>, want one")
	}
	h.answerPing("lisi/p", ids[1], pong)
	h.clock.Move(h.cfg.Grace)
	h.snapshot()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue: got %q, want m1/0", got)
	}
}

// Nobody is pinged where nothing is unconfirmed.
func TestNoPings(t *testing.T) {
	h := start(t, func(c *Config) { c.Confirm = ConfirmByPresence })
	h.online("lisi/p", "lisi/w[web]")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if _, behind := h.pinged(); behind != "" {
		t.Errorf(`by presence: got %s, want ""`, behind)
	}
	h = start(t, nil)
	h.online("lisi/w[web]", "zhangsan/p", "zhangsan/q")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if _, behind := h.pinged(); behind != "" {
		t.Errorf(`pages, and the sender's other phones: got %s, want ""`, behind)
	}
}

// TestLooseIDs: a read receipt may have any msg_id, also one of a message that waits for its receiver. That message's row stays, whatever
// their phone answers.
func TestLooseIDs(t *testing.T) {
	forged := `{"msg_id":"m1","msg_type":"MTT-100","msg_from":"wangwu","msg_to":"lisi","body":[{"msg_id":"gone"}]}`
	h := pinging(t, nil)
	h.offline("lisi/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(time.Minute)
	h.snapshot()
	h.clock.Move(time.Second)
	h.snapshot()
	h.send("wangwu/p", forged)
	h.online("lisi/p") // it gets what came after the last look: the read receipt
	ids, behind := h.pinged()
	for _, id := range ids {
		h.answerPing("lisi/p", id, pong)
	}
	if got := h.queue("lisi"); !strings.Contains(got, "m1/0") {
		t.Errorf("sent late (pinged %q): got %q, want m1/0 in it", behind, got)
	}
	h.clock.Move(time.Minute)
	h.send("zhaoliu/p", strings.ReplaceAll(forged, "wangwu", "zhaoliu"))
	late, behind := h.pinged()
	h.clock.Move(h.cfg.Grace)
	h.sync()
	for _, id := range late {
		h.answerPing("lisi/p", id, pong)
	}
	rows, err := h.db.Offline(t.Context(), "lisi", "", "", "", 1000)
	if err != nil || len(late) == 0 || !slices.ContainsFunc(rows, func(row store.OfflineMessage) bool { return row.MsgID == "m1" && row.From == "zhangsan" }) {
		t.Errorf("answered late (pinged %q): got %v, %v, want m1 of zhangsan", behind, rows, err)
	}
}

// TestOwnCopies: what a user writes on the web goes to their phone, too, and is in its queue unless the phone confirms it. No app sends a receipt for what
// its user wrote, so a phone that sends receipts alone is not waited for.
func TestOwnCopies(t *testing.T) {
	answer := func(inner string) func(h *harness, ids []string) {
		return func(h *harness, ids []string) {
			for _, id := range ids {
				h.answerPing("lisi/p", id, inner)
			}
		}
	}
	cases := map[string]struct {
		start  func(*testing.T, func(*Config)) *harness
		change func(*Config)
		from   string
		then   func(h *harness, ids []string)
		asked  bool
		queued bool
	}{
		"answered":                {start: pinging, from: "lisi/w[web]", then: answer(pong), asked: true},
		"not answered":            {start: pinging, from: "lisi/w[web]", then: func(*harness, []string) {}, asked: true, queued: true},
		"gone":                    {start: pinging, from: "lisi/w[web]", then: answer(goneRepeats), asked: true, queued: true},
		"written on a phone":      {start: pinging, from: "lisi/q", then: func(*harness, []string) {}},
		"receipts alone":          {start: confirming, from: "lisi/w[web]", then: func(*harness, []string) {}, asked: true},
		"by presence":             {start: start, change: func(c *Config) { c.Confirm = ConfirmByPresence }, from: "lisi/w[web]", then: func(*harness, []string) {}},
		"only receipts may do it": {start: start, change: func(c *Config) { c.Confirm = ConfirmByReceipt }, from: "lisi/w[web]", then: func(*harness, []string) {}, asked: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := c.start(t, c.change)
			group := h.makeGroup("zhangsan", "zhangsan", "lisi")
			h.online("lisi/p", c.from)
			h.pinged()
			h.together(func() {
				h.post(c.from, text("m1", "lisi", "zhangsan", "x"))
				h.post(c.from, groupText("g1", "lisi", group, "x"))
			})
			ids, behind := h.pinged()
			if got := strings.Contains(behind, "lisi/p: m1 g1"); got != c.asked || !c.asked && strings.Contains(behind, "lisi/p") {
				t.Errorf("pinged: got %q, want lisi's phone behind both: %v", behind, c.asked)
			}
			c.then(h, ids)
			h.graceOver()
			h.sync()
			got := map[string]string{}
			for _, row := range h.queueRows("lisi") {
				got[fmt.Sprintf("%s/%d", row.MsgID, row.Status)] = row.SessionID
			}
			want := map[string]string{}
			if c.queued { // as something that its user has seen on the web
				want = map[string]string{"m1/1": "zhangsan", "g1/1": group}
			}
			if !maps.Equal(got, want) {
				t.Errorf("queue and sessions: got %v, want %v", got, want)
			}
		})
	}
}

// TestOwnCopiesAfterACrash: what a user has written is in the queue for a phone that proves by pings what it has, and has not yet, under the conversation as they
// see it. Nothing tells any more what they wrote on a phone, so that is there, too. It is in no queue twice.
func TestOwnCopiesAfterACrash(t *testing.T) {
	bare := func(c *Config) { c.Delivery = DeliverToBare }
	presenceOnly := func(c *Config) { c.Confirm = ConfirmByPresence }
	for name, c := range map[string]struct {
		start  func(*testing.T, func(*Config)) *harness
		then   func(*Config) // of the process that comes
		queued bool
	}{
		"pings":       {start: pinging, queued: true},
		"receipts":    {start: confirming},
		"nothing":     {start: start},
		"bare":        {start: pinging, then: bare},
		"by presence": {start: pinging, then: presenceOnly},
	} {
		t.Run(name, func(t *testing.T) {
			h := c.start(t, nil)
			group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
			h.send("lisi/w[web]", text("m1", "lisi", "lisi", "x")) // to herself, as anybody's
			h.online("lisi/p", "lisi/w[web]", "wangwu/w[web]")
			h.send("lisi/w[web]", text("m2", "lisi", "zhangsan", "x"))
			h.send("lisi/w[web]", groupText("m3", "lisi", group, "x"))
			h.send("lisi/p", text("m4", "lisi", "zhangsan", "x"))
			h.send("wangwu/w[web]", text("m5", "wangwu", "lisi", "x")) // who has no phone: it is a row of theirs already
			h.kill()
			h.run(c.then)
			h.sync()
			got := map[string]string{}
			for _, row := range h.queueRows("lisi") {
				got[row.MsgID] += row.SessionID + row.To
			}
			want := map[string]string{"m1": "lisilisi", "m5": "wangwuwangwu"}
			if c.queued {
				want["m2"], want["m3"], want["m4"] = "zhangsanzhangsan", group+group, "zhangsanzhangsan"
			}
			if !maps.Equal(got, want) {
				t.Errorf("queue and sessions: got %v, want %v", got, want)
			}
			if got := h.queue("wangwu"); got != "m3/1 m5/1" {
				t.Errorf("queue of wangwu: got %q, want \"m3/1 m5/1\"", got)
			}
		})
	}
}

// TestOwnCopiesInBareMode: no ping can stand beside a copy to a bare JID, so none stands beside those that go to full ones either: a phone that answered it
// would count as one that answers for everything, and each message to it would be in its queue.
func TestOwnCopiesInBareMode(t *testing.T) {
	h := start(t, func(c *Config) { c.Delivery = DeliverToBare })
	h.online("zhangsan/p", "lisi/w[web]")
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("lisi/w[web]", text("m1", "lisi", "zhangsan", "x"))
	h.online("lisi/p") // it is sent its user's copy by its full JID, as it has just come
	h.together(func() {
		h.post("lisi/w[web]", text("m2", "lisi", "zhangsan", "x"))
		h.post("lisi/w[web]", groupText("g1", "lisi", group, "x"))
	})
	ids, behind := h.pinged()
	for _, id := range ids {
		h.answerPing("lisi/p", id, pong)
	}
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	h.graceOver()
	if got := h.queue("lisi"); behind != "" || got != "m1/1" { // the phone was not there yet
		t.Errorf("pinged %q, queue %q, want none, m1/1", behind, got)
	}
}

// TestOwnCopiesOfAnErasedChat: what a user wrote a moment before the chat is erased is in the queue for phones that prove by pings what they have, and for no
// others.
func TestOwnCopiesOfAnErasedChat(t *testing.T) {
	for name, c := range map[string]struct {
		start func(*testing.T, func(*Config)) *harness
		want  string
	}{"pings": {pinging, "m1/1"}, "receipts": {confirming, ""}, "nothing": {start, ""}} {
		t.Run(name, func(t *testing.T) {
			h := c.start(t, nil)
			h.online("lisi/p", "lisi/w[web]")
			h.send("lisi/w[web]", text("m1", "lisi", "zhangsan", "x"))
			if err := h.ClearChat(t.Context(), "lisi", "zhangsan"); err != nil {
				t.Fatal(err)
			}
			h.graceOver()
			h.clock.Move(tickPeriod)
			h.sync()
			if got := h.queue("lisi") + unconfirmedIDs(t, h, "lisi"); got != c.want {
				t.Errorf("queue and unconfirmed: got %q, want %q", got, c.want)
			}
		})
	}
}
