package component

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

const (
	batchItems = 128     // beyond, multi-row statements gain little
	batchBytes = 1 << 20 //
	owedRows   = 1000    // rows that one batch takes over from memory, or twice that
	learnUsers = 500     // users that one batch learns
	tickPeriod = 250 * time.Millisecond
	storeTime  = 5 * time.Second // of one read or write; the queue holds what comes meanwhile
	firstLook  = 12 * time.Second
)

// convey is the conveyor: one goroutine that takes what waits, in order, until ctx ends. What was begun is finished under
// work, which outlives ctx: a stop must not turn a commit into an unknown one.
func (s *Service) convey(ctx, work context.Context) error {
	ticker := time.NewTicker(tickPeriod)
	defer ticker.Stop()
	for {
		items, stopped := s.collect(ctx, work, ticker.C)
		if stopped {
			return s.drain(work)
		}
		if s.deferring.turn { // nothing else has come
			if err := s.writeDeferred(work); err != nil {
				return err
			}
			continue
		}
		if err := s.process(work, items); err != nil {
			return err
		}
		if err := s.writeDeferred(work); err != nil {
			return err
		}
		if len(items) == 0 && s.replayAgain {
			s.linkChanged(ctx)
		}
	}
}

// collect waits for work and takes what is there. An empty list is a tick. Copies that wait for the server are handed over meanwhile.
func (s *Service) collect(ctx, work context.Context, tick <-chan time.Time) (items []*item, stopped bool) {
	select { // what must happen before any message
	case <-s.linkEvents:
		s.linkChanged(ctx)
	default:
	}
	var hurry <-chan time.Time
	confirmed := s.confirmations.wake
	if s.storeErr.Load() != nil { // it waits for the tick that finds the database back
		confirmed = nil
	}
	for {
		s.arrange()
		s.intake.arranged.unpark(s.mayGo)
		hold := !s.impatient && s.inFlight.busy() && s.intake.arranged.ready < batchItems
		if !hold {
			if items := s.fill(); len(items) > 0 {
				s.impatient = false
				return items, false
			}
		} else if hurry == nil && s.intake.arranged.ready > 0 && !s.backlog.empty() {
			timer := time.NewTimer(holdTime)
			defer timer.Stop()
			hurry = timer.C
		}
		if s.rowsWait > 2*owedRows && s.storeErr.Load() == nil && ctx.Err() == nil { // nobody else needs the database now
			return nil, false
		}
		var spare <-chan struct{}
		if s.deferIdle() {
			spare = always
		}
		select {
		case <-ctx.Done():
			return nil, true
		case <-spare:
			s.deferring.turn = true
			return nil, false
		case <-s.linkEvents:
			s.linkChanged(ctx)
			return nil, false
		case <-tick:
			s.impatient = true
			return nil, false
		case <-hurry:
			s.impatient = true
		case <-s.presence.Wake:
			return nil, false
		case <-confirmed:
			return nil, false
		case <-s.users.wake:
			return nil, false
		case <-s.inFlight.wake:
			s.pump(work)
		case it := <-s.intake.queue:
			s.arrangeOne(it)
		case it := <-s.intake.passed:
			s.arrangeOne(it)
		}
	}
}

// always is ready.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// holdTime is how long a message is held back for a larger batch while copies of large groups wait: until those are gone the server
// is always busy, and there is no better moment.
const holdTime = 20 * time.Millisecond

// first says whether an item must begin a batch.
func (it *item) first() bool {
	if it.task != nil {
		return it.task.first || it.task.alone
	}
	return it.msg.env != nil && it.msg.kind.first
}

// process takes one batch through: look, decide, commit, acknowledge, deliver. Its error is fatal.
func (s *Service) process(ctx context.Context, items []*item) error {
	return s.processBatch(ctx, s.newBatch(items))
}

func (s *Service) processBatch(ctx context.Context, b *batch) error {
	if err := b.look(ctx); err != nil {
		s.noteStore(err)
		s.refuseAll(b.items, err)
		return nil
	}
	if !b.bare {
		b.comings(ctx)
	}
	if err := b.decide(ctx); err != nil {
		return s.again(ctx, b)
	}
	items := b.items
	b.pushes(ctx)
	if b.bare {
		b.positions = s.persisted
		b.positions.Clock = s.clock.last
	} else {
		b.housekeeping(ctx)
	}
	if !b.writes() {
		b.finish(ctx)
		return nil
	}

	err := s.apply(ctx, b)
	switch {
	case err == nil:
		s.noteStore(nil)
		b.finish(ctx)
	case errors.Is(err, store.ErrFenced):
		s.refuseAll(items, err)
		return err
	case errors.As(err, new(*store.UnknownError)): // nobody may be told either way; who repeats finds out
		for _, it := range items {
			if it.task != nil {
				it.task.answer(err)
			}
		}
		b.release()
		return err
	case errors.Is(err, store.ErrDuplicate) && b.trusting:
		s.careful = b.now.Add(carefulTime)
		return s.again(ctx, b)
	case (errors.Is(err, store.ErrData) || errors.Is(err, store.ErrDuplicate)) && (len(b.accepted) > 1 || !b.bare):
		// Something of the batch cannot be stored. Decided anew one by one, only the guilty message gets its error, and one
		// that counted on it does not get a receipt for what is not there.
		b.undo()
		for _, it := range items {
			single := s.newBatch([]*item{it})
			single.bare = true
			if err := s.processBatch(ctx, single); err != nil {
				return err
			}
		}
		if err := s.writeConfirmed(ctx, s.confirmations.take(func(string) bool { return false })); err != nil {
			return err
		}
		return s.writeRows(ctx, s.owed.Take(owedRows, nil))
	case errors.Is(err, store.ErrData):
		b.undo()
		s.metrics.unstorable.Inc()
		s.log.Error("the database cannot hold a message; its sender was told", "error", err)
		b.fail(protocol.Refuse(protocol.TooLarge, "the database cannot hold this message"))
	case errors.Is(err, store.ErrCollation):
		b.undo()
		s.metrics.unstorable.Inc()
		s.log.Warn("the database takes an id for another one; its sender was told", "error", err)
		if items[0].task != nil {
			b.fail(protocol.Refuse(protocol.UserIDInvalid, "the database takes an id for another one, see the warnings of its collations at the start"))
		} else {
			b.fail(protocol.Refuse(protocol.IDConflict, "the database takes msg_id for that of another message"))
		}
	default:
		b.undo()
		if !errors.Is(err, store.ErrDuplicate) { // a key that another writer took meanwhile: the retry finds it
			s.noteStore(err)
		}
		b.fail(protocol.ErrUnavailable)
	}
	return nil
}

// again decides a batch anew with all its ids looked up.
func (s *Service) again(ctx context.Context, b *batch) error {
	b.undo()
	looking := s.newBatch(b.items)
	looking.careful = true
	return s.processBatch(ctx, looking)
}

// writeRows writes queue rows by themselves. A row that the queue's table cannot hold (an old latin1 one) is given up, loudly:
// the message itself is stored. Its error is fatal; rows that could not be written now are kept.
func (s *Service) writeRows(ctx context.Context, rows []store.OfflineMessage) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		rows[i].ID = protocol.NewID()
	}
	err := s.apply(ctx, &batch{changes: []store.Change{{Offline: rows}}})
	switch {
	case err == nil:
		s.owed.Written()
		return nil
	case errors.Is(err, store.ErrFenced), errors.As(err, new(*store.UnknownError)):
		return err
	case errors.Is(err, store.ErrData) && len(rows) == 1:
		s.metrics.unqueued.Inc()
		s.log.Error("the queue table cannot hold a message; it is in the history only", "msg_id", rows[0].MsgID, "owner", rows[0].Owner, "error", err)
		return nil
	case errors.Is(err, store.ErrData):
		for i := range rows {
			if err := s.writeRows(ctx, rows[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	s.noteStore(err)
	s.owed.GiveBack(rows)
	return nil
}

// apply commits. When the answer to the COMMIT was lost it asks until it knows: before that nobody may hear of an error,
// and the next batch must not overtake. What comes meanwhile is told to come later. An *store.UnknownError means that ctx
// ended before it knew.
func (s *Service) apply(ctx context.Context, b *batch) error {
	began := s.now()
	tctx, cancel := context.WithTimeout(ctx, storeTime)
	err := s.store.Apply(tctx, s.epoch, b.positions, b.changes)
	cancel()
	took := s.now().Sub(began)
	s.metrics.commit.Observe(took.Seconds())
	if len(b.items) > 0 {
		s.deferring.committed(took)
	}
	var unknown *store.UnknownError
	if !errors.As(err, &unknown) {
		return err
	}
	s.log.Warn("the answer to a COMMIT was lost, looking it up", "batch", unknown.Batch)
	s.noteStore(err)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		tctx, cancel := context.WithTimeout(ctx, storeTime)
		happened, lookErr := s.store.Committed(tctx, unknown)
		cancel()
		switch {
		case errors.Is(lookErr, store.ErrFenced):
			return lookErr
		case lookErr == nil && happened:
			s.log.Info("the lost COMMIT had happened", "batch", unknown.Batch)
			return nil
		case lookErr == nil:
			s.log.Info("the lost COMMIT had not happened", "batch", unknown.Batch)
			return store.ErrUnavailable
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped before the database could tell: %w", err)
		}
		s.refuseWaiting(ctx, wait)
	}
}

// refuseWaiting answers what comes with error-013 for a while: the database is away.
func (s *Service) refuseWaiting(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case it := <-s.intake.queue:
			s.refuseAll([]*item{it}, protocol.ErrUnavailable)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// refuseAll tells the senders of a batch that it was not taken.
func (s *Service) refuseAll(items []*item, err error) {
	for _, it := range items {
		s.reject(it, err)
		s.intake.release(it)
	}
}

// reject answers one item with an error.
func (s *Service) reject(it *item, err error) {
	if it.task != nil {
		var refusal *protocol.Error
		if !errors.As(err, &refusal) {
			err = protocol.ErrUnavailable
		}
		it.task.answer(err)
		return
	}
	s.refuse(it, err)
}

// linkChanged follows the link. After it came up: the first presence snapshot, then what the server may have lost, then
// the queue.
func (s *Service) linkChanged(ctx context.Context) {
	if s.ready && s.connection.Load() == s.readyOn { // it was lost and came up again before anybody looked
		return
	}
	s.ready, s.replayAgain = false, false
	s.replayed.Store(false)
	s.barrier.reset()
	s.inFlight.reset()
	s.backlog.clear()
	s.recent.clear()
	s.link.Lock()
	connection, first := s.connection.Load(), s.link.first
	up := s.link.cancel != nil
	s.link.Unlock()
	if !up {
		return
	}
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	select {
	case <-first:
	case <-timer.C:
		s.log.Warn("no presence snapshot yet; delivering without")
	case <-ctx.Done():
		return
	}
	s.readyOn = connection
	err := s.sender.Deliver(ctx, nil, s.owed.AskNobody(s.cfg.Server))
	if err == nil {
		err = s.replay(ctx)
	}
	if err != nil {
		if ctx.Err() != nil || s.connection.Load() != connection {
			return
		}
		s.replayAgain = true
		if text := err.Error(); text != s.replaySaid { // it is tried at each tick
			s.log.Warn("delivering again what the server may have lost was interrupted; it is tried again", "error", err)
			s.replaySaid = text
		}
		return
	}
	s.replaySaid = ""
	s.ready = true
	s.replayed.Store(s.connection.Load() == connection)
}

// drain finishes what was accepted when the process stops.
func (s *Service) drain(ctx context.Context) error {
	s.draining.Store(true)
	writing, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout*3/4)
	defer cancel()
	for {
		s.arrange()
		items := s.fill()
		if len(items) == 0 {
			break
		}
		if err := s.process(ctx, items); err != nil {
			return err
		}
	}

	// What was delivered must be known to have been routed before the position says so.
	patience, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout/2) // the rest is for the last writes
	defer cancel()
	if s.ready && s.connection.Load() == s.readyOn {
		if s.lastLook(patience); s.storeErr.Load() == nil {
			if err := s.process(ctx, nil); err != nil { // who has come is sent what was missed
				return err
			}
		}
	}
	s.flush(patience)
	if s.ready && s.connection.Load() == s.readyOn {
		routed := make(chan error, 1)
		at := s.backlog.position(s.clock.last)
		s.sender.Barrier(func(err error) { routed <- err })
		select {
		case err := <-routed:
			if err == nil {
				s.delivered.Store(max(s.delivered.Load(), at))
				s.covered.ended = true
				s.covered.at.Store(math.MaxInt64) // the next start delivers nothing again
			}
		case <-patience.Done():
		}
	}
	for ctx.Err() == nil && s.confirmations.waits() && s.storeErr.Load() == nil {
		if err := s.process(ctx, nil); err != nil {
			return err
		}
	}
	s.owed.LinkLost()
	for ctx.Err() == nil && s.owed.Waits() {
		if err := s.writeRows(ctx, s.owed.Take(owedRows, nil)); err != nil { // it may take none: those that were confirmed meanwhile
			return err
		}
		if s.storeErr.Load() != nil {
			s.log.Error("what is owed to phones could not be written; the next start queues it")
			break
		}
	}
	if err := s.finishDeferred(writing, ctx); err != nil {
		return err
	}
	if rows := s.owed.Count().Deferred; rows > 0 {
		s.log.Warn("not all that waits for absent members could be written in time; the next start goes on", "rows", rows)
	}
	return s.process(ctx, nil) // the last positions
}

// turnAway answers what waits, at the end.
func (s *Service) turnAway() {
	s.intake.arranged.each(func(it *item) { s.refuseAll([]*item{it}, protocol.ErrUnavailable) })
	s.intake.arranged.clear()
	for {
		select {
		case it := <-s.intake.queue:
			s.refuseAll([]*item{it}, protocol.ErrUnavailable)
		case it := <-s.intake.passed:
			s.refuseAll([]*item{it}, protocol.ErrUnavailable)
		default:
			return
		}
	}
}

// receiptStanza is the server receipt (PROTOCOL.md section 4): one for all messages of a sender's batch.
func (s *Service) receiptStanza(id, full, userID string, now int64, body []byte) []byte {
	text := protocol.NewEnvelope(acknowledgement, id, protocol.AdminID, userID, protocol.FormatTime(now), string(body), s.cfg.ArrayBodies)
	b := make([]byte, 0, len(text)+256)
	b = append(b, `<message type="chat" id="`...)
	b = append(b, id...)
	b = append(b, `" from="`...)
	b = append(b, s.cfg.Component...)
	b = append(b, `" to="`...)
	b = stanza.AppendAttr(b, full)
	b = append(b, `"><body>`...)
	b = stanza.AppendEscaped(b, text)
	return append(b, `</body><no-store xmlns="urn:xmpp:hints"/><private xmlns="urn:xmpp:carbons:2"/></message>`...)
}
