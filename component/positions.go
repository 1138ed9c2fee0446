package component

import (
	"context"
	"math"
	"sync"
	"time"
)

// covered is the position up to which no device can have missed a message unnoticed. All messages up to it were committed before the newest
// look, a snapshot of who is there, was asked for. A device that this look did not show came later, and gets them by its getOffline. Messages
// above the position are sent from memory to devices that become known; memory and the table of devices end with the connection. So replay
// begins at this position, and not at what was routed. Where the server gives no looks, no device is found in this way, and the position
// holds nothing back.
//
// The position itself is Service.covered: jobs read it.
type covered struct {
	marks []coverMark // oldest first
	ended bool        // the process ends, and all was looked at and routed
}

// coverMark says that all up to a position was committed by a time.
type coverMark struct {
	when time.Time
	at   int64
}

const (
	minCoverSpacing = 10 * time.Millisecond // between two marks; less often, more is sent again than need be
	maxCoverMarks   = 2000
)

// cover notes what was committed before a batch, and moves the position on with the newest look. It stops at what a device was found to have
// missed and was not sent yet.
func (c *conveyor) cover(b *batch) {
	marks := c.covered.marks
	if n := len(marks); n == 0 || n < maxCoverMarks && b.now.Sub(marks[n-1].when) >= minCoverSpacing {
		marks = append(marks, coverMark{b.now, b.clock})
		c.covered.marks = marks
	}
	looks := c.s.presence.Known()
	switch {
	case c.covered.ended, !c.delivers(): // what the connection before has left open is still to be delivered
		return
	case !looks:
		c.s.covered.Store(math.MaxInt64)
		return
	}
	n := 0
	for n < len(marks) && !marks[n].when.After(b.absent) {
		n++
	}
	if n > 0 {
		c.s.covered.Store(max(marks[n-1].at, c.persisted.Delivered)) // after a start that is above the last time given out
		c.covered.marks = marks[n-1:]
	}
}

// from is where replay begins: what is routed, and was not missed by any device.
func (s *Service) from() int64 { return min(s.delivered.Load(), s.covered.Load()) }

// lastLook looks once more at who is there, before the process ends: memory alone knows what a device has missed that came since the look
// before. The time for it is bounded, and when it fails the stop goes on.
func (c *conveyor) lastLook(ctx context.Context) {
	if c.s.watcher == nil || !c.s.presence.Known() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastLookTime)
	defer cancel()
	c.s.watcher.Look(ctx)
}

// lastLookTime bounds lastLook: a look of 10,000 sessions takes 0.1 s, and may have to wait for 20 times that.
const lastLookTime = 2 * time.Second

// barrier asks the server for proof that what was sent has been routed (an XEP-0199 ping: a stream is processed in order).
// One is under way at a time, and they are spaced: each costs the server a round trip.
type barrier struct {
	mu      sync.Mutex
	waiting bool
	dirty   bool // something was sent since the last one
	asked   time.Time
	life    uint64 // of the connection that it belongs to
}

const minBarrierSpacing = 50 * time.Millisecond

// ask sends a barrier when one is due. All messages up to c.clock.Last must have been handed to the sender or to the backlog. It
// belongs to the conveyor.
func (b *barrier) ask(c *conveyor, sent bool) {
	s := c.s
	now := s.now()
	b.mu.Lock()
	b.dirty = b.dirty || sent
	if !b.dirty || b.waiting || now.Sub(b.asked) < minBarrierSpacing {
		b.mu.Unlock()
		return
	}
	b.waiting, b.dirty, b.asked = true, false, now
	life := b.life
	b.mu.Unlock()

	at, connection := c.backlog.position(c.clock.Last), c.readyOn
	c.clock.Floor = max(c.clock.Floor, at) // what comes after must not hide at or below the position that this one proves
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
