package component

import (
	"context"
	"math"

	"tlim/component/protocol"
)

// drain finishes what was accepted when the process stops.
func (c *conveyor) drain(ctx context.Context) error {
	c.s.draining.Store(true)
	writing, cancel := context.WithTimeout(ctx, c.s.cfg.ShutdownTimeout*3/4)
	defer cancel()
	for {
		c.arrange()
		requests := c.fill()
		if len(requests) == 0 {
			break
		}
		if err := c.process(ctx, requests); err != nil {
			return err
		}
	}

	// What was delivered must be known to have been routed before the position says so.
	patience, cancel := context.WithTimeout(ctx, c.s.cfg.ShutdownTimeout/2) // the rest is for the last writes
	defer cancel()
	if c.delivers() {
		if c.lastLook(patience); c.s.storeErr.Load() == nil {
			if err := c.process(ctx, nil); err != nil { // who has come is sent what was missed
				return err
			}
		}
	}
	c.flush(patience)
	if c.delivers() {
		routed := make(chan error, 1)
		at := c.backlog.position(c.clock.Last)
		c.s.sender.Barrier(func(err error) { routed <- err })
		select {
		case err := <-routed:
			if err == nil {
				c.s.delivered.Store(max(c.s.delivered.Load(), at))
				c.covered.ended = true
				c.s.covered.Store(math.MaxInt64) // the next start delivers nothing again
			}
		case <-patience.Done():
		}
	}
	for ctx.Err() == nil && c.s.confirmations.waits() && c.s.storeErr.Load() == nil {
		if err := c.process(ctx, nil); err != nil {
			return err
		}
	}
	c.s.unconfirmed.LinkLost()
	for ctx.Err() == nil && c.s.unconfirmed.Waits() {
		if err := c.writeRows(ctx, c.s.unconfirmed.Take(maxUnconfirmedRows, nil)); err != nil { // it may take none: those that were confirmed meanwhile
			return err
		}
		if c.s.storeErr.Load() != nil {
			c.s.log.Error("what phones have not confirmed could not be written; the next start queues it")
			break
		}
	}
	if err := c.finishDeferred(writing, ctx); err != nil {
		return err
	}
	if rows := c.s.unconfirmed.Count().Deferred; rows > 0 {
		c.s.log.Warn("not all that waits for absent members could be written in time; the next start goes on", "rows", rows)
	}
	return c.process(ctx, nil) // the last positions
}

// refuseRest answers what waits, at the end.
func (c *conveyor) refuseRest() {
	c.arranged.Each(func(r request) { refuseAll(c.s, []request{r}, protocol.ErrUnavailable) })
	c.arranged.Clear()
	for {
		select {
		case q := <-c.s.intake.queue:
			refuseAll(c.s, []queued{q}, protocol.ErrUnavailable)
		case a := <-c.s.intake.passed:
			refuseAll(c.s, []queued{a}, protocol.ErrUnavailable)
		default:
			return
		}
	}
}
