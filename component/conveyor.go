package component

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"tlim/component/cache"
	"tlim/component/clock"
	"tlim/component/fairqueue"
	"tlim/component/inflight"
	"tlim/component/logged"
	"tlim/component/protocol"
	"tlim/component/unasked"
	"tlim/component/unconfirmed"
	"tlim/store"
)

const (
	maxBatchItems      = 128     // beyond, multi-row statements gain little
	maxBatchBytes      = 1 << 20 // of their stanzas
	maxUnconfirmedRows = 1000    // rows that one batch takes over from memory, or twice that
	maxLearnedUsers    = 500     // users that one batch learns
	tickPeriod         = 250 * time.Millisecond
	storeTime          = 5 * time.Second // of one read or write; the queue holds what comes meanwhile
	firstLook          = 12 * time.Second
)

// conveyor is the one goroutine that decides about messages, and what no other goroutine touches, but for inFlight, the backlog's count of copies
// and the answers to barriers, which take care of themselves. What it shares with readers of the link, callers of the API and jobs is the
// [Service]'s.
type conveyor struct {
	s *Service

	// What waits.
	arranged  *fairqueue.Queue[request]     // by conversation
	told      *lru.Cache[string, time.Time] // groups that the log has told of
	impatient bool                          // a tick has passed: what waits is taken, however busy the server is

	// What decisions rest on.
	clock       clock.Clock
	groups      *cache.Groups
	chats       *cache.Chats
	lookupUntil time.Time // until then ids are looked up before they are written
	legacy      bool      // the tables hold messages that tlim_id does not know

	unasked *unasked.Clients // nil: acknowledgements are not for those who ask

	// What is written.
	persisted store.Positions
	wrote     time.Time // when positions were last written
	ticked    time.Time
	rowsWait  int // copies that wait to become rows, as of the last batch
	deferring deferThrottle

	// What goes to the server.
	ready       bool        // replay is done: batches are delivered
	readyOn     uint64      // the connection that this holds for
	replayAgain bool        // it failed, and the next tick tries again
	replaySaid  logged.Text // why
	inFlight    *inflight.Window
	backlog     *backlog
	barrier     barrier

	// What devices that come have missed.
	covered    covered
	recent     *recent
	cuts       rate.Sometimes                    // bounds what is logged about it
	caughtUp   *simplelru.LRU[string, time.Time] // when a device was last sent what it had missed
	comings    *simplelru.LRU[string, comings]   // how many of a user were, in this second
	spacing    time.Duration                     // catchUpSpacing, but in tests
	maxComings int                               // maxComings, but in tests
}

func newConveyor(s *Service) *conveyor {
	c := &conveyor{s: s, arranged: fairqueue.New[request](), groups: cache.NewGroups(s.now, s.cfg.Server), chats: cache.NewChats(),
		deferring: deferThrottle{above: unconfirmed.DeferAbove, maxRows: minDeferRows}, inFlight: inflight.New(s.now), backlog: newBacklog(),
		recent: newRecent(), spacing: catchUpSpacing, maxComings: maxComings}
	c.told, _ = lru.New[string, time.Time](maxToldGroups) // these fail for a size below 1 only
	c.comings, _ = simplelru.NewLRU[string, comings](maxCaughtUp, nil)
	c.caughtUp, _ = simplelru.NewLRU[string, time.Time](maxCaughtUp, nil)
	c.cuts.Interval = strangerPause
	return c
}

// delivers says whether what is committed goes to the server: there is a link, and replay on it is done.
func (c *conveyor) delivers() bool { return c.ready && c.s.connection.Load() == c.readyOn }

// convey takes what waits, in order, until ctx ends. What was begun is finished under
// work, which outlives ctx: a stop must not turn a commit into an unknown one.
func (c *conveyor) convey(ctx, work context.Context) error {
	ticker := time.NewTicker(tickPeriod)
	defer ticker.Stop()
	for {
		requests, stopped := c.collect(ctx, work, ticker.C)
		if stopped {
			return c.drain(work)
		}
		if c.deferring.turn { // nothing else has come
			if err := c.writeDeferred(work); err != nil {
				return err
			}
			continue
		}
		if err := c.process(work, requests); err != nil {
			return err
		}
		if err := c.writeDeferred(work); err != nil {
			return err
		}
		if len(requests) == 0 && c.replayAgain {
			c.linkChanged(ctx)
		}
	}
}

// collect waits for work and takes what is there. An empty list is a tick. Copies that wait for the server are handed over meanwhile.
func (c *conveyor) collect(ctx, work context.Context, tick <-chan time.Time) (requests []request, stopped bool) {
	select { // what must happen before any message
	case <-c.s.linkEvents:
		c.linkChanged(ctx)
	default:
	}
	var hurry <-chan time.Time
	confirmed := c.s.confirmations.wake
	if c.s.storeErr.Load() != nil { // it waits for the tick that finds the database back
		confirmed = nil
	}
	for {
		c.arrange()
		c.arranged.Unpark(c.mayGo)
		hold := !c.impatient && c.inFlight.Busy() && c.arranged.Ready() < maxBatchItems
		if !hold {
			if requests := c.fill(); len(requests) > 0 {
				c.impatient = false
				return requests, false
			}
		} else if hurry == nil && c.arranged.Ready() > 0 && !c.backlog.empty() {
			timer := time.NewTimer(holdTime)
			defer timer.Stop()
			hurry = timer.C
		}
		if c.rowsWait > 2*maxUnconfirmedRows && c.s.storeErr.Load() == nil && ctx.Err() == nil { // nobody else needs the database now
			return nil, false
		}
		var spare <-chan struct{}
		if c.deferIdle() {
			spare = always
		}
		select {
		case <-ctx.Done():
			return nil, true
		case <-spare:
			c.deferring.turn = true
			return nil, false
		case <-c.s.linkEvents:
			c.linkChanged(ctx)
			return nil, false
		case <-tick:
			c.impatient = true
			return nil, false
		case <-hurry:
			c.impatient = true
		case <-c.s.presence.Wake():
			return nil, false
		case <-confirmed:
			return nil, false
		case <-c.s.users.Seen():
			return nil, false
		case <-c.inFlight.Wake():
			c.pump(work)
		case q := <-c.s.intake.queue:
			c.arrangeOne(q)
		case a := <-c.s.intake.passed:
			c.arrangeOne(a)
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

// process takes one batch through: look, decide, commit, acknowledge, deliver. Its error is fatal.
func (c *conveyor) process(ctx context.Context, requests []request) error {
	return c.processBatch(ctx, c.newBatch(requests))
}

func (c *conveyor) processBatch(ctx context.Context, b *batch) error {
	if err := b.look(ctx); err != nil {
		c.s.noteStore(err)
		refuseAll(c.s, b.requests, err)
		return nil
	}
	b.comings(ctx)
	if err := b.decide(ctx); err != nil {
		return c.again(ctx, b)
	}
	requests := b.requests
	b.pushes(ctx)
	if b.isolated {
		b.positions = c.persisted
		b.positions.Clock = c.clock.Last
	} else {
		b.housekeeping(ctx)
	}
	err := b.events(ctx)
	if err == nil && !b.writes() {
		b.finish(ctx)
		return nil
	}

	if err == nil {
		err = c.apply(ctx, b)
	}
	switch {
	case err == nil:
		c.s.noteStore(nil)
		b.finish(ctx)
	case errors.As(err, new(*store.UnknownError)): // nobody may be told either way; who repeats finds out
		for _, r := range requests {
			r.lost(err)
		}
		b.release()
		return err
	case errors.Is(err, store.ErrFenced):
		refuseAll(c.s, requests, err)
		return err
	case errors.Is(err, store.ErrDuplicate) && b.optimistic:
		c.lookupUntil = b.now.Add(lookupTime)
		return c.again(ctx, b)
	case (errors.Is(err, store.ErrData) || errors.Is(err, store.ErrDuplicate)) && (len(b.accepted) > 1 || !b.isolated):
		// Something of the batch cannot be stored. Decided anew one by one, only the guilty message gets its error, and one
		// that counted on it does not get an acknowledgement for what is not there.
		b.undo()
		for _, r := range requests {
			single := c.newBatch([]request{r})
			single.isolated = true
			if err := c.processBatch(ctx, single); err != nil {
				return err
			}
		}
		if err := c.writeConfirmed(ctx, c.s.confirmations.take(func(string) bool { return false })); err != nil {
			return err
		}
		return c.writeRows(ctx, c.s.unconfirmed.Take(maxUnconfirmedRows, nil))
	case errors.Is(err, store.ErrData):
		b.undo()
		b.debit()
		c.s.metrics.unstorable.Inc()
		c.s.log.Error("the database cannot hold a message; its sender was told", "error", err)
		b.refuse(protocol.Refuse(protocol.TooLarge, "the database cannot hold this message"))
	case errors.Is(err, store.ErrCollation):
		b.undo()
		b.debit()
		c.s.metrics.unstorable.Inc()
		c.s.log.Warn("the database takes an id for another one; its sender was told", "error", err)
		b.refuse(requests[0].mistaken())
	default:
		b.undo()
		if !errors.Is(err, store.ErrDuplicate) { // a key that another writer took meanwhile: the retry finds it
			c.s.noteStore(err)
		}
		b.refuse(protocol.ErrUnavailable)
	}
	return nil
}

// again decides a batch anew with all its ids looked up.
func (c *conveyor) again(ctx context.Context, b *batch) error {
	b.undo()
	looking := c.newBatch(b.requests)
	looking.lookup = true
	return c.processBatch(ctx, looking)
}

// writeRows writes queue rows by themselves. A row that the queue's table cannot hold (an old latin1 one) is given up, loudly:
// the message itself is stored. Its error is fatal; rows that could not be written now are kept.
func (c *conveyor) writeRows(ctx context.Context, rows []store.OfflineMessage) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		rows[i].ID = protocol.NewID()
	}
	err := c.apply(ctx, &batch{changes: []store.Change{{Offline: rows}}})
	switch {
	case err == nil:
		c.s.unconfirmed.Written()
		return nil
	case errors.Is(err, store.ErrFenced), errors.As(err, new(*store.UnknownError)):
		return err
	case errors.Is(err, store.ErrData) && len(rows) == 1:
		c.s.metrics.unqueued.Inc()
		c.s.log.Error("the queue table cannot hold a message; it is in the history only", "msg_id", rows[0].MsgID, "owner", rows[0].Owner, "error", err)
		return nil
	case errors.Is(err, store.ErrData):
		for i := range rows {
			if err := c.writeRows(ctx, rows[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	c.s.noteStore(err)
	c.s.unconfirmed.GiveBack(rows)
	return nil
}

// apply commits. When the answer to the COMMIT was lost it asks until it knows: before that nobody may hear of an error,
// and the next batch must not overtake. What comes meanwhile is told to come later. An *store.UnknownError means that ctx
// ended before it knew.
func (c *conveyor) apply(ctx context.Context, b *batch) error {
	began := c.s.now()
	tctx, cancel := context.WithTimeout(ctx, storeTime)
	err := c.s.store.Apply(tctx, c.s.epoch, b.positions, b.changes)
	cancel()
	took := c.s.now().Sub(began)
	c.s.metrics.commit.Observe(took.Seconds())
	if len(b.requests) > 0 {
		c.deferring.timed(took)
	}
	var unknown *store.UnknownError
	if !errors.As(err, &unknown) {
		return err
	}
	c.s.log.Warn("the answer to a COMMIT was lost, looking it up", "batch", unknown.Batch)
	c.s.noteStore(err)
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		tctx, cancel := context.WithTimeout(ctx, storeTime)
		happened, lookErr := c.s.store.Committed(tctx, unknown)
		cancel()
		switch {
		case errors.Is(lookErr, store.ErrFenced):
			return fmt.Errorf("%w, before it could tell: %w", lookErr, err)
		case lookErr == nil && happened:
			c.s.log.Info("the lost COMMIT had happened", "batch", unknown.Batch)
			return nil
		case lookErr == nil:
			c.s.log.Info("the lost COMMIT had not happened", "batch", unknown.Batch)
			return store.ErrUnavailable
		}
		if ctx.Err() != nil {
			return fmt.Errorf("stopped before the database could tell: %w", err)
		}
		c.refuseWaiting(ctx, wait)
	}
}

// refuseWaiting answers what comes with error-013 for a while: the database is away.
func (c *conveyor) refuseWaiting(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case q := <-c.s.intake.queue:
			refuseAll(c.s, []queued{q}, protocol.ErrUnavailable)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// linkChanged follows the link. After it came up: the first presence snapshot, then what the server may have lost, then
// the queue.
func (c *conveyor) linkChanged(ctx context.Context) {
	if c.delivers() { // it was lost and came up again before anybody looked
		return
	}
	c.ready, c.replayAgain = false, false
	c.s.replayed.Store(false)
	c.barrier.reset()
	c.inFlight.Reset()
	c.backlog.clear()
	c.recent.clear()
	c.s.link.Lock()
	connection, first := c.s.connection.Load(), c.s.link.first
	up := c.s.link.cancel != nil
	c.s.link.Unlock()
	if !up {
		return
	}
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	select {
	case <-first:
	case <-timer.C:
		c.s.log.Warn("no presence snapshot yet; delivering without")
	case <-ctx.Done():
		return
	}
	c.readyOn = connection
	err := c.s.sender.Deliver(ctx, nil, c.s.unconfirmed.AskNobody(c.s.cfg.Server))
	if err == nil {
		err = c.replay(ctx)
	}
	if err != nil {
		if ctx.Err() != nil || c.s.connection.Load() != connection {
			return
		}
		c.replayAgain = true
		if c.replaySaid.Changes(logged.Reason(err)) { // it is tried at each tick
			c.s.log.Warn("delivering again what the server may have lost was interrupted; it is tried again", "error", err)
		}
		return
	}
	c.replaySaid = ""
	c.ready = true
	c.s.replayed.Store(c.s.connection.Load() == connection)
}
