package component

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestArrivalAtALostLink: who came after the last look of a connection that was lost has what was sent meanwhile by the next one, although
// the server has routed all of it to those who were known.
func TestArrivalAtALostLink(t *testing.T) {
	h := start(t, nil)
	h.online("zhangsan/z")
	h.clock.Move(time.Second)
	h.send("zhangsan/z", text("m1", "zhangsan", "lisi", "before the look"))
	h.clock.Move(time.Second)
	h.sync()
	h.snapshot()
	h.clock.Move(time.Second)
	h.send("zhangsan/z", text("m2", "zhangsan", "lisi", "lisi's web is there by now, and nobody knows"))
	h.clock.Move(time.Second)
	h.sync()
	if h.delivered.Load() < h.timeOf("m2") {
		t.Fatalf("delivered up to %d, want at least m2 at %d", h.delivered.Load(), h.timeOf("m2"))
	}
	h.sender.take()
	h.arrive("lisi/w[web]")
	h.Down(errors.New("cut"))
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); copiesOf(d) != "m2>lisi@im.test/w[web] m2>zhangsan@im.test/z" {
		t.Errorf(`on the next connection: got %s, want "m2>lisi@im.test/w[web] m2>zhangsan@im.test/z"`, copiesOf(d))
	}
}

// TestPurgeAfterTheLook: what a dissolved group leaves stays until no device can have missed the notices.
func TestPurgeAfterTheLook(t *testing.T) {
	h := start(t, nil)
	h.online("zhangsan/z[web]") // a phone would hold the purge by what it has not confirmed
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	look := func() {
		h.clock.Move(time.Second)
		h.sync()
		h.snapshot()
		h.sync()
		h.clock.Move(time.Second)
		if err := h.purger.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.sender.take()
	}
	look()
	if err := h.Dissolve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(2 * idleWrite)
	dissolved := h.state().Clock
	h.sync() // it is routed
	h.send("zhangsan/z[web]", text("p", "zhangsan", "wangwu", "carries the positions"))
	if st := h.state(); st.Settled < dissolved {
		t.Fatalf("got position %+v, want settled up to at least %v", st, dissolved)
	}
	if err := h.purger.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.arrive("lisi/w[web]")
	h.sender.take()
	h.Down(errors.New("cut"))
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); !strings.Contains(copiesOf(d), ">lisi@im.test/w[web]") {
		t.Errorf(`on the next connection: got %q, want the notice to lisi@im.test/w[web]`, copiesOf(d))
	}
	look()
	if list, err := h.db.Purges(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("after the next look: got purges %v, %v, want none, no error", list, err)
	}
}

// TestLastLook: before an orderly end who has come is sent what was missed, and the next start delivers nothing again.
func TestLastLook(t *testing.T) {
	h := newHarness(t)
	h.looks = true
	h.begin(nil)
	h.online("zhangsan/z")
	h.send("zhangsan/z", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	h.arrive("lisi/w[web]")
	h.clock.Move(time.Second)
	h.halt()
	if d, _ := h.sender.take(); copiesOf(d) != "m1>lisi@im.test/w[web]" {
		t.Errorf(`before the end: got %s, want "m1>lisi@im.test/w[web]"`, copiesOf(d))
	}
	h.run(nil)
	if st := h.state(); min(st.Delivered, st.Settled) < st.Clock {
		t.Errorf("positions after an orderly end: got %+v, want delivered and settled up to the clock", st)
	}
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); len(d) != 0 {
		t.Errorf("delivered again: %s, want none", copiesOf(d))
	}
}
