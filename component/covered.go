package component

import (
	"context"
	"math"
	"time"
)

// covered is the position up to which no device can have missed a message unnoticed: all up to it were committed before the newest
// look was asked for, and whoever that look did not have came later, and has them by his getOffline. What is above it is sent from
// memory to devices that become known, but memory and table end with the connection: so replay begins here and not at what was routed.
// Without looks nobody would ever be found so, and it holds nothing back.
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
	coverSpacing = 10 * time.Millisecond // between two marks; less often, more is sent again than need be
	coverMarks   = 2000
)

// cover notes what was committed before a batch, and moves on with the newest look.
func (c *conveyor) cover(b *batch) {
	marks := c.covered.marks
	if n := len(marks); n == 0 || n < coverMarks && b.now.Sub(marks[n-1].when) >= coverSpacing {
		marks = append(marks, coverMark{b.now, b.clock})
		c.covered.marks = marks
	}
	looks := c.s.presence.Known()
	asked := c.s.presence.LookedAt()
	switch {
	case c.covered.ended, !c.delivers(): // what the connection before has left open is still to be delivered
		return
	case !looks:
		c.s.covered.Store(math.MaxInt64)
		return
	}
	n := 0
	for n < len(marks) && !marks[n].when.After(asked) {
		n++
	}
	if n > 0 {
		c.s.covered.Store(max(marks[n-1].at, c.persisted.Delivered)) // after a start that is above the last time given out
		c.covered.marks = marks[n-1:]
	}
}

// from is where replay begins: what is routed, and was not missed by any device.
func (s *Service) from() int64 { return min(s.delivered.Load(), s.covered.Load()) }

// lastLook looks once more at who is there, before the process ends: what a device has missed that came since the look before is in memory
// only. It is bounded, and when it fails the stop goes on.
func (c *conveyor) lastLook(ctx context.Context) {
	if c.s.watcher == nil || !c.s.presence.Known() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastLookTime)
	defer cancel()
	c.s.watcher.Look(ctx)
}

// lastLookTime bounds it: a look of 10,000 sessions takes 0.1 s, and may have to wait for 20 times that.
const lastLookTime = 2 * time.Second
