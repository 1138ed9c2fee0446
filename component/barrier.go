package component

import (
	"sync"
	"time"
)

// barrier asks the server for proof that what was sent has been routed (an XEP-0199 ping: a stream is processed in order).
// One is under way at a time, and they are spaced: each costs the server a round trip.
type barrier struct {
	mu      sync.Mutex
	waiting bool
	dirty   bool // something was sent since the last one
	asked   time.Time
	life    uint64 // of the connection that it belongs to
}

const barrierSpacing = 50 * time.Millisecond

// ask sends a barrier when one is due. All messages up to c.clock.last must have been handed to the sender or to the backlog. It
// belongs to the conveyor.
func (b *barrier) ask(c *conveyor, sent bool) {
	s := c.s
	now := s.now()
	b.mu.Lock()
	b.dirty = b.dirty || sent
	if !b.dirty || b.waiting || now.Sub(b.asked) < barrierSpacing {
		b.mu.Unlock()
		return
	}
	b.waiting, b.dirty, b.asked = true, false, now
	life := b.life
	b.mu.Unlock()

	at, connection := c.backlog.position(c.clock.last), c.readyOn
	c.clock.floor = max(c.clock.floor, at) // what comes after must not hide at or below the position that this one proves
	s.sender.Barrier(func(err error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.life != life {
			return
		}
		b.waiting = false
		// Another connection proves nothing about what the one before it lost.
		if err == nil && s.connection.Load() == connection && s.delivered.Load() < at {
			s.delivered.Store(at)
		}
	})
}

// reset forgets what was asked on a connection that is gone.
func (b *barrier) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life++
	b.waiting, b.dirty = false, false
	b.asked = time.Time{}
}
