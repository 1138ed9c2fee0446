package component

import (
	"context"
	"errors"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// deferPace says when and how many of the rows that follow their messages are written: between two batches, in transactions of their own.
// A message that comes meanwhile waits for one of them, so each takes about as long as a batch does; and while messages are under way
// they have a part of the time only. It belongs to the conveyor.
type deferPace struct {
	above int           // rows that a message may write itself
	most  int           // rows of the next transaction
	batch time.Duration // that the commit of a batch takes, lately
	next  time.Time     // not before, while messages are under way
	turn  bool          // nobody else needs the database now
}

const (
	deferWait  = 250 * time.Millisecond // for more of the same group to be written with them
	deferTime  = 4 * time.Millisecond   // of one transaction, or what a batch takes if that is more
	deferLeast = 100                    // rows of a transaction
	deferMost  = 4000
	// What part of the time they have while messages are under way: one eighth, and half once half of their memory is full.
	deferShare   = 8
	deferPressed = 2
)

// done learns from a transaction that has been written.
func (p *deferPace) done(rows int, took time.Duration, now time.Time, share int) {
	switch most := max(deferTime, p.batch); {
	case took > most:
		p.most = max(deferLeast, p.most*3/4)
	case rows >= p.most && took < most*3/4:
		p.most = min(deferMost, p.most*5/4)
	}
	p.next = now.Add(time.Duration(share-1) * took)
}

// committed learns from the commit of a batch.
func (p *deferPace) committed(took time.Duration) { p.batch += (took - p.batch) / 8 }

// deferIdle says whether rows may be written because nobody else needs the database, nor the server the machine.
func (s *Service) deferIdle() bool {
	load, _ := s.inFlight.counts()
	return s.storeErr.Load() == nil && s.intake.arranged.ready == 0 && s.backlog.empty() && load.copies < askCopies && s.owed.deferDue(s.now().UnixMilli())
}

// writeDeferred writes some of the rows that follow their messages, if it is time for that. Its error is fatal.
func (s *Service) writeDeferred(ctx context.Context) error {
	idle := s.deferring.turn
	s.deferring.turn = false
	now := s.now()
	if s.storeErr.Load() != nil || !idle && now.Before(s.deferring.next) || !s.owed.deferDue(now.UnixMilli()) {
		return nil
	}
	share := deferShare
	if _, bytes := s.owed.deferredCounts(); idle {
		share = 1
	} else if bytes >= maxDeferred/2 {
		share = deferPressed
	}
	n, err := s.writeSlice(ctx)
	if end := s.now(); err == nil && n > 0 {
		s.deferring.done(n, end.Sub(now), end, share)
	}
	return err
}

// writeSlice writes the next rows, and says how many. What could not be written now is tried again. Its error is fatal.
func (s *Service) writeSlice(ctx context.Context) (int, error) {
	rows := s.owed.takeDeferred(s.deferring.most)
	if len(rows) == 0 {
		return 0, nil
	}
	for i := range rows {
		rows[i].ID = protocol.NewID()
	}
	err := s.apply(ctx, &batch{changes: []store.Change{{Offline: rows}}})
	switch {
	case err == nil:
		s.owed.writtenDeferred()
		return len(rows), nil
	case errors.Is(err, store.ErrFenced), errors.As(err, new(*store.UnknownError)):
		return 0, err
	case errors.Is(err, store.ErrData): // the queue's table cannot hold some of them
		if err := s.writeRows(ctx, rows); err != nil {
			return 0, err
		}
		s.owed.writtenDeferred()
		return len(rows), nil
	}
	s.noteStore(err)
	s.owed.untakeDeferred()
	return 0, nil
}

// finishDeferred writes all of them, until ctx ends. Its error is fatal.
func (s *Service) finishDeferred(ctx, work context.Context) error {
	s.deferring.most = deferMost // nobody waits
	for ctx.Err() == nil {
		n, err := s.writeSlice(work)
		if err != nil || n == 0 {
			return err
		}
	}
	return nil
}

// laterRows gathers the rows of one message that may follow it.
type laterRows struct {
	roster    *roster
	left, web bitSet
}

// later says where the rows of a message are gathered; nil when they are its own transaction's: it has few, or is not stored, so that a
// crash would lose them.
func (t *turn) later() *laterRows {
	s := t.b.s
	if t.group == nil || !t.kind.Stored || !t.kind.Queued || len(t.to) <= s.deferring.above || len(t.to) < len(t.group.members) || s.owed.deferBusy() {
		return nil
	}
	r := s.owed.rosterOf(t.group)
	return &laterRows{roster: r, left: newBitSet(len(r.ids))}
}

// take notes that a member is to get a row. Who is none, and is told of a removal all the same, is not in the roster.
func (l *laterRows) take(i int, p protocol.Person, status int) bool {
	if l == nil || i >= len(l.roster.ids) || l.roster.ids[i] != p.ID {
		return false
	}
	l.left.set(i)
	if status == 1 {
		if l.web == nil {
			l.web = newBitSet(len(l.roster.ids))
		}
		l.web.set(i)
	}
	return true
}

// follow lets rows follow their message, if they are many. The first one does not: what the queue's table cannot hold is refused.
func (t *turn) follow(m *owedMessage, l *laterRows) {
	if l == nil {
		return
	}
	d := newDeferral(m, l.roster, l.left, l.web)
	own := func(i int) { t.queue(m.row, t.to[i], int(d.status(i))) }
	if d.rows <= t.b.s.deferring.above {
		l.left.each(own)
		return
	}
	first := l.left.first()
	own(first)
	l.left.clear(first)
	d.rows--
	t.b.deferrals = append(t.b.deferrals, d)
}
