package component

import (
	"context"
	"errors"
	"time"

	"tlim/component/inflight"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// deferThrottle says when and how many of the rows that follow their messages are written: between two batches, in transactions of their own.
// A message that comes meanwhile waits for one of them, so each takes about as long as a batch does; and while messages are under way
// they have a part of the time only. It belongs to the conveyor.
type deferThrottle struct {
	above   int           // rows that a message may write itself
	maxRows int           // rows of the next transaction
	batch   time.Duration // that the commit of a batch takes, lately
	next    time.Time     // not before, while messages are under way
	turn    bool          // nobody else needs the database now
}

const (
	deferTime    = 4 * time.Millisecond // of one transaction, or what a batch takes if that is more
	minDeferRows = 100                  // rows of a transaction
	maxDeferRows = 4000
	// What part of the time they have while messages are under way: one eighth, and half once half of their memory is full.
	deferShare   = 8
	deferPressed = 2
)

// done learns from a transaction that has been written.
func (d *deferThrottle) done(rows int, took time.Duration, now time.Time, share int) {
	switch maxTime := max(deferTime, d.batch); {
	case took > maxTime:
		d.maxRows = max(minDeferRows, d.maxRows*3/4)
	case rows >= d.maxRows && took < maxTime*3/4:
		d.maxRows = min(maxDeferRows, d.maxRows*5/4)
	}
	d.next = now.Add(time.Duration(share-1) * took)
}

// timed learns how long the commit of a batch took, whether or not it succeeded.
func (d *deferThrottle) timed(took time.Duration) { d.batch += (took - d.batch) / 8 }

// deferIdle says whether rows may be written because nobody else needs the database, nor the server the machine.
func (c *conveyor) deferIdle() bool {
	load, _ := c.inFlight.Now()
	return c.s.storeErr.Load() == nil && c.arranged.Ready() == 0 && c.backlog.empty() && load.Copies < inflight.AskCopies && c.s.unconfirmed.DeferDue(c.s.now().UnixMilli())
}

// writeDeferred writes some of the rows that follow their messages, if it is time for that. Its error is fatal.
func (c *conveyor) writeDeferred(ctx context.Context) error {
	idle := c.deferring.turn
	c.deferring.turn = false
	now := c.s.now()
	if c.s.storeErr.Load() != nil || !idle && now.Before(c.deferring.next) || !c.s.unconfirmed.DeferDue(now.UnixMilli()) {
		return nil
	}
	share := deferShare
	if bytes := c.s.unconfirmed.Count().DeferredBytes; idle {
		share = 1
	} else if bytes >= unconfirmed.MaxDeferred/2 {
		share = deferPressed
	}
	n, err := c.writeSlice(ctx)
	if end := c.s.now(); err == nil && n > 0 {
		c.deferring.done(n, end.Sub(now), end, share)
	}
	return err
}

// writeSlice writes the next rows, and says how many. What could not be written now is tried again. Its error is fatal.
func (c *conveyor) writeSlice(ctx context.Context) (int, error) {
	rows := c.s.unconfirmed.TakeDeferred(c.deferring.maxRows)
	if len(rows) == 0 {
		return 0, nil
	}
	for i := range rows {
		rows[i].ID = protocol.NewID()
	}
	err := c.apply(ctx, &batch{changes: []store.Change{{Offline: rows}}})
	switch {
	case err == nil:
		c.s.unconfirmed.WrittenDeferred()
		return len(rows), nil
	case errors.Is(err, store.ErrFenced), errors.As(err, new(*store.UnknownError)):
		return 0, err
	case errors.Is(err, store.ErrData): // the queue's table cannot hold some of them
		if err := c.writeRows(ctx, rows); err != nil {
			return 0, err
		}
		c.s.unconfirmed.WrittenDeferred()
		return len(rows), nil
	}
	c.s.noteStore(err)
	c.s.unconfirmed.UntakeDeferred()
	return 0, nil
}

// finishDeferred writes all of them, until ctx ends. Its error is fatal.
func (c *conveyor) finishDeferred(ctx, work context.Context) error {
	c.deferring.maxRows = maxDeferRows // nobody waits
	for ctx.Err() == nil {
		n, err := c.writeSlice(work)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

// later says where the rows of a message are gathered; nil when they are its own transaction's: it has few, or is not stored, so that a
// crash would lose them.
func (d *decision) later() *unconfirmed.Later {
	s := d.b.s
	if d.group == nil || !d.kind.Stored || !d.kind.Queued || len(d.to) <= d.b.c.deferring.above || len(d.to) < len(d.group.Members) || s.unconfirmed.DeferBusy() {
		return nil
	}
	if d.group.Roster == nil { // made of the members alone, so it holds if the batch fails, too
		d.group.Roster = s.unconfirmed.RosterOf(d.group.ID, d.group.Members)
	}
	return unconfirmed.NewLater(d.group.Roster)
}

// follow lets rows follow their message, if they are many. The first one does not: what the queue's table cannot hold is refused.
func (d *decision) follow(m *unconfirmed.Message, l *unconfirmed.Later) {
	if l == nil {
		return
	}
	own := func(i, status int) { d.queue(m.Row, d.to[i], status) }
	if l.Count() <= d.b.c.deferring.above {
		l.Each(own)
		return
	}
	own(l.Pop())
	d.b.deferrals = append(d.b.deferrals, unconfirmed.NewDeferral(m, l))
}
