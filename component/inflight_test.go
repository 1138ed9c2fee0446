package component

import (
	"errors"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/presence"
)

// heldSender keeps the answers to barriers until a test gives them.
type heldSender struct {
	Sender
	asked []func(error)
}

func (s *heldSender) Barrier(done func(error)) { s.asked = append(s.asked, done) }

func TestBusy(t *testing.T) {
	p, sender := newInFlight(time.Now), &heldSender{}
	want := func(what string, full bool) {
		t.Helper()
		if got := p.busy(); got != full {
			t.Errorf("%s: full is %v, want %v", what, got, full)
		}
	}
	p.sent(sender, load{copies: askCopies - 1})
	if len(sender.asked) != 0 {
		t.Error("a ping behind few copies")
	}
	p.sent(sender, load{copies: 2 * paceCopies})
	want("one batch, however large", false)
	p.sent(sender, load{copies: askCopies})
	want("two", true)
	if len(sender.asked) != 2 {
		t.Fatalf("%d pings, want 2", len(sender.asked))
	}
	sender.asked[0](nil)
	select {
	case <-p.wake:
	default:
		t.Error("nobody is told that there is room")
	}
	want("the first is routed", false)

	for range 3 {
		p.sent(sender, load{copies: paceCopies / 3})
	}
	want("small ones add up", true)
	sender.asked[1](nil)
	want("it stays full", true)
	sender.asked[2](nil)
	want("until half is left", true)
	sender.asked[3](errors.New("the link was lost"))
	want("or the link is lost", false)

	p.sent(sender, load{copies: paceCopies})
	p.reset()
	for range 2 {
		p.sent(sender, load{copies: paceCopies})
	}
	sender.asked[5](nil) // of the connection before
	want("an answer that came late", true)
}

// TestBusyLets: a server that never says that it has routed anything holds a message up no longer than until the next tick.
func TestBusyLets(t *testing.T) {
	h := start(t, nil)
	stuck := &heldSender{}
	for range 2 {
		h.conveyor.inFlight.sent(stuck, load{copies: paceCopies})
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x")) // waits for the receipt
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
	if !h.conveyor.inFlight.busy() {
		t.Error("it is not full any more")
	}
	stuck.asked[0](nil)
	stuck.asked[1](nil)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	if h.conveyor.inFlight.busy() {
		t.Error("it is full for ever")
	}
}

// TestBusyHolds: what waits is not taken while the server has enough to do, unless it fills a batch or a tick has passed.
func TestBusyHolds(t *testing.T) {
	s := &Service{now: time.Now, presence: &presence.Table{}, users: directory.New(directory.Config{}, directory.Deps{}), confirmations: &confirmations{}}
	s.intake = &intake{s: s, queue: make(chan queued, batchItems)}
	s.conveyor = newConveyor(s)
	stuck := &heldSender{}
	for range 2 {
		s.conveyor.inFlight.sent(stuck, load{copies: paceCopies})
	}
	tick := make(chan time.Time, 1)
	for range 20 { // a choice among two that are ready is random
		s.intake.queue <- &task{}
		tick <- time.Time{}
		if items, _ := s.conveyor.collect(t.Context(), t.Context(), tick); len(items) != 0 {
			t.Fatal("a message was taken while the server had enough to do")
		}
		if items, _ := s.conveyor.collect(t.Context(), t.Context(), nil); len(items) != 1 {
			t.Fatal("none was taken after a tick")
		}
	}
	for range batchItems {
		s.intake.queue <- &task{}
	}
	if items, _ := s.conveyor.collect(t.Context(), t.Context(), nil); len(items) != batchItems {
		t.Errorf("a full batch waited: got %d, want %d", len(items), batchItems)
	}
}
