package component

import (
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/inflight"
	"tlim/component/presence"
)

// TestBusyLets: a server that never says that it has routed anything holds a message up no longer than until the next tick.
func TestBusyLets(t *testing.T) {
	h := start(t, nil)
	stuck := &heldSender{}
	for range 2 {
		h.conveyor.inFlight.Sent(stuck, inflight.Load{Copies: inflight.BusyCopies})
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x")) // waits for the acknowledgement
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
	if !h.conveyor.inFlight.Busy() {
		t.Error("not busy with a full window, want busy")
	}
	stuck.asked[0](nil)
	stuck.asked[1](nil)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	if h.conveyor.inFlight.Busy() {
		t.Error("still busy when all is routed, want not busy")
	}
}

// TestBusyHolds: what waits is not taken while the server has enough to do, unless it fills a batch or a tick has passed.
func TestBusyHolds(t *testing.T) {
	s := &Service{now: time.Now, presence: &presence.Table{}, users: directory.New(directory.Config{}, directory.Deps{}), confirmations: &confirmations{}}
	s.intake = &intake{s: s, queue: make(chan queued, maxBatchItems)}
	s.conveyor = newConveyor(s)
	stuck := &heldSender{}
	for range 2 {
		s.conveyor.inFlight.Sent(stuck, inflight.Load{Copies: inflight.BusyCopies})
	}
	tick := make(chan time.Time, 1)
	for range 20 { // a choice among two that are ready is random
		s.intake.queue <- &task{}
		tick <- time.Time{}
		if items, _ := s.conveyor.collect(t.Context(), t.Context(), tick); len(items) != 0 {
			t.Fatalf("took %d messages while the server had enough to do, want none", len(items))
		}
		if items, _ := s.conveyor.collect(t.Context(), t.Context(), nil); len(items) != 1 {
			t.Fatal("no message was taken after a tick, want 1")
		}
	}
	for range maxBatchItems {
		s.intake.queue <- &task{}
	}
	if items, _ := s.conveyor.collect(t.Context(), t.Context(), nil); len(items) != maxBatchItems {
		t.Errorf("a full batch waited: got %d, want %d", len(items), maxBatchItems)
	}
}

// heldSender keeps the answers to barriers until a test gives them.
type heldSender struct {
	Sender
	asked []func(error)
}

func (h *heldSender) Barrier(done func(error)) { h.asked = append(h.asked, done) }
