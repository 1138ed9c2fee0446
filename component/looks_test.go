package component

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/presence"
	"tlim/component/stanza"
	"tlim/store"
)

func TestPresenceAnswers(t *testing.T) {
	h := start(t, nil)
	want := map[string]string{"zhangsan": "available", "lisi": "away", "wangwu": "offline", "zhaoliu": "offline", "chatty": "offline", "extended": "offline", "second": "available"}
	if err := h.AddUsers(t.Context(), []store.User{{ID: "chatty"}, {ID: "extended"}, {ID: "second"}}); err != nil {
		t.Fatal(err)
	}
	id := h.makeGroup("zhangsan", slices.Collect(maps.Keys(want))...)
	shown := func(jid, inner string) {
		h.Stanza(stanza.Stanza{Name: "presence", From: jid, To: testComponent, Inner: []byte(inner)})
	}
	shown("zhangsan@im.test/p", "")
	shown("lisi@im.test/p", "<show>away</show><priority>5</priority>")
	shown("lisi@im.test/x[web]", "<priority>1</priority>")
	shown("wangwu@im.test/p", "<show>dnd</show>")
	shown("chatty@im.test/p", "<show>chat</show>")
	shown("extended@im.test/p", "<show>xa</show>")
	shown("second@im.test/p", "<show>away</show>") // of equal ones the available one is the best
	shown("second@im.test/x[web]", "")
	shown("evil@else.test/p", "")
	check := func() {
		t.Helper()
		list, err := h.Presence(t.Context(), id)
		if err != nil || len(list) != len(want) {
			t.Fatalf("got %v, %v, want %d members and no error", list, err, len(want))
		}
		for _, m := range list {
			if m.Status != want[m.UserID] {
				t.Errorf("%s: got status %q, want %q", m.UserID, m.Status, want[m.UserID])
			}
		}
	}
	check()
	shown("lisi@im.test/p", "<show>away</show><priority>-1</priority>") // the best of two is the web now
	want["lisi"] = "available"
	check()
	h.server.mu.Lock()
	h.server.sessions = map[string]presence.Session{}
	h.server.mu.Unlock()
	h.snapshot()
	for user := range want {
		want[user] = "offline"
	}
	check()
	if list, err := h.Presence(t.Context(), "nowhere"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("a group that is gone: got %v, %v, want an empty list that is not nil", list, err)
	}
}

// TestFreshLook: who fetches their queue or registers for pushes has just come, so the server is asked at once who is there. The
// phone that it then names gets what waited for it.
func TestFreshLook(t *testing.T) {
	h := newHarness(t)
	h.looks = true
	h.begin(nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	asked := make(chan struct{})
	h.server.mu.Lock()
	h.server.sessions["lisi@im.test/p"] = presence.Session{JID: stanza.JID{Local: "lisi", Domain: testServer, Resource: "p"}}
	h.server.asked = asked
	h.server.mu.Unlock()
	for name, call := range map[string]func() error{
		"getOffline":          func() error { return second(h.waits("lisi", "", 0)) },
		"registerAppPushCode": func() error { return h.RegisterPush(t.Context(), "lisi", "code") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-asked:
			case <-time.After(time.Minute): // the next look by itself is after an hour
				t.Fatal("nobody was asked in a minute, want one question")
			}
		})
	}
	h.server.mu.Lock() // the second answer is on its way, so the first was taken
	h.server.asked = nil
	h.server.mu.Unlock()
	h.sync()
	if d, _ := h.sender.take(); copiesOf(d) != "m1>lisi@im.test/p" {
		t.Errorf(`delivered: got %s, want "m1>lisi@im.test/p"`, copiesOf(d))
	}
}

// TestSnapshotIsOld: an answer says nothing of a device that was heard of after the question; of all others it is the truth.
func TestSnapshotIsOld(t *testing.T) {
	h := start(t, nil)
	asked := h.clock.Now()
	h.clock.Move(time.Millisecond)
	h.online("lisi/p", "wangwu/p:away")
	there := func(want string) {
		t.Helper()
		got := ""
		for _, local := range []string{"lisi", "wangwu"} {
			for _, d := range h.presence.Devices(local) {
				got += d.Full + d.Show + " "
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("known: %q, want %q", got, want)
		}
	}
	h.presence.Merge(nil, asked)
	there("lisi@im.test/p wangwu@im.test/paway")
	wangwu := stanza.JID{Local: "wangwu", Domain: testServer, Resource: "p"}
	other, bare := wangwu, wangwu
	other.Domain, bare.Resource = "evil.test", ""
	h.presence.Merge([]presence.Session{{JID: wangwu}, {JID: other, Show: "x"}, {JID: bare, Show: "x"}}, h.clock.Now())
	there("wangwu@im.test/p")
}

// TestLookAmidBatch: a look that is taken while a batch is decided, and has a phone no more, is no proof for the copies that were sent to it.
func TestLookAmidBatch(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(minBarrierSpacing)
	h.sync() // it is known to be routed
	h.clock.Move(h.cfg.Grace)
	if err := h.do(t.Context(), &task{alone: true, plan: func(context.Context, *batch) error {
		h.presence.Merge(nil, h.clock.Now())
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue: got %q, want m1/0", got)
	}
}

// TestCameBack: a device that the server did not have when it was asked, and that says something after that, went and came back:
// what was sent to it before is lost.
func TestCameBack(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(time.Millisecond)
	asked := h.clock.Now()
	h.clock.Move(time.Millisecond)
	h.online("lisi/p:away")
	h.presence.Merge(nil, asked)
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
}

// TestWithoutSnapshots: a server that cannot tell who is there. Nobody is known until they say something, and the grace alone
// decides what a phone has received.
func TestWithoutSnapshots(t *testing.T) {
	h := start(t, nil)
	h.server.mu.Lock()
	h.server.err = presence.ErrNoSnapshots
	h.server.mu.Unlock()
	h.Down(nil)
	h.Up()
	h.sync()
	if h.presence.Known() {
		t.Fatal("presence is known, want it unknown: no snapshot can have been taken")
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
	first, _ := h.sender.take()
	if got := addresses(first, "m1"); got != "lisi@im.test zhangsan@im.test" || !strings.Contains(string(first[1].Payload), "ASYNC") {
		t.Errorf(`m1 went to %s, want "lisi@im.test zhangsan@im.test", the latter as ASYNC: nobody can know the sender's other devices`, got)
	}
	h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@im.test/p", To: testComponent})
	h.send("zhangsan/q", text("m2", "zhangsan", "lisi", "x"))
	d, _ := h.sender.take()
	if got := addresses(d, "m2"); got != "lisi@im.test/p zhangsan@im.test/p" {
		t.Errorf(`m2 went to %s, want "lisi@im.test/p zhangsan@im.test/p"`, got)
	}
	h.clock.Move(minBarrierSpacing)
	h.sync() // it is known to be routed
	h.clock.Move(h.cfg.Grace)
	h.sync()
	h.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: "lisi@im.test/p", To: testComponent})
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0: m2 was settled by the grace", got)
	}
	var err error
	if _, err = h.waits("lisi", "", 0); err != nil { // asks for a snapshot that nobody answers
		t.Error(err)
	}
}
