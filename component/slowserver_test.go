package component

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tlim/component/inflight"
	"tlim/component/presence"
	"tlim/component/stanza"
	"tlim/store"
)

// slowServer routes what it was sent when a test says so, and notes the most that was in flight.
type slowServer struct {
	*recordingSender
	mu      sync.Mutex
	flight  []flight
	now     inflight.Load // in flight
	highest inflight.Load
}

type flight struct {
	inflight.Load
	done func(error) // of a ping
}

func (s *slowServer) Deliver(ctx context.Context, list []stanza.Delivery, runs ...stanza.Run) error {
	if err := s.recordingSender.Deliver(ctx, list, runs...); err != nil {
		return err
	}
	list = stanza.Joined(list, runs)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		l := inflight.LoadOf(&list[i])
		s.flight = append(s.flight, flight{Load: l})
		s.now.Copies += l.Copies
		s.now.Bytes += l.Bytes
	}
	s.highest.Copies, s.highest.Bytes = max(s.highest.Copies, s.now.Copies), max(s.highest.Bytes, s.now.Bytes)
	return nil
}

func (s *slowServer) Barrier(done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = append(s.flight, flight{done: done})
}

// route routes all that is in flight now, and says whether there was anything.
func (s *slowServer) route() bool {
	s.mu.Lock()
	list := s.flight
	s.flight = nil
	s.mu.Unlock()
	for _, f := range list {
		s.mu.Lock()
		s.now.Copies -= f.Copies
		s.now.Bytes -= f.Bytes
		s.mu.Unlock()
		if f.done != nil {
			f.done(nil)
		}
	}
	return len(list) > 0
}

// keepRouting routes until the returned function is called: while the conveyor waits for it.
func (s *slowServer) keepRouting() (stop func()) {
	end := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(time.Millisecond):
				s.route()
			}
		}
	})
	return func() {
		close(end)
		work.Wait()
	}
}

// busyStart is a Service before a busy server that has room for bound copies, with a group of n members.
func busyStart(t *testing.T, bound, n int, prepare func(*harness), change func(*Config)) (h *harness, server *slowServer, group string) {
	t.Helper()
	h = newHarness(t)
	h.server.err = presence.ErrNoSnapshots // who is absent gets copies all the same
	if prepare != nil {
		prepare(h)
	}
	server = &slowServer{recordingSender: h.sender}
	h.link = server
	h.tune = func(s *Service) {
		s.conveyor.inFlight.Min, s.conveyor.inFlight.Bound, s.conveyor.inFlight.Max = bound, bound, bound
	}
	stop := func() {}
	t.Cleanup(func() { stop() })
	h.begin(change)
	t.Cleanup(func() { stop = server.keepRouting() }) // while it ends
	names := make([]string, n)
	users := make([]store.User, n)
	for i := range n {
		names[i] = fmt.Sprintf("member%04d", i)
		users[i] = store.User{ID: names[i], Name: names[i]}
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	group = h.makeGroup(names[0], names...)
	server.routeAll(h)
	h.sender.take()
	return h, server, group
}

// routeAll routes until nothing waits any more.
func (s *slowServer) routeAll(h *harness) {
	h.t.Helper()
	for quiet := 0; quiet < 3; {
		h.turns(1)
		if quiet++; s.route() || h.intake.items.Load() > 0 || h.conveyor.backlog.copies.Load() > 0 {
			quiet = 0
		}
	}
}

// fillUp lets a message be in flight that takes all room there is.
func (s *slowServer) fillUp(h *harness, bound int) {
	h.conveyor.inFlight.Sent(s, inflight.Load{Copies: bound})
}

// copiesOfSome lists where copies of a message went up to now, and takes nothing.
func copiesOfSome(r *recordingSender, id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return addresses(r.deliveries, id)
}

// copiesTo counts copies.
func copiesTo(d []stanza.Delivery) (n int) {
	for _, one := range d {
		n += len(one.To)
	}
	return n
}
