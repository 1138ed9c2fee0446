package component

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// CallConfig is idempotency.* of CONFIG.md.
type CallConfig struct {
	Window       time.Duration // for how long repeated calls are known; 0 is 24 hours
	ByBusinessID bool          // also by bizId and taskId, receiver by receiver
}

// CallStore is what notice calls need of the database. *store.Store implements it.
type CallStore interface {
	Call(ctx context.Context, id string) (store.Call, bool, error)
	CallByKey(ctx context.Context, key string) (store.Call, bool, error)
	CallsAbout(ctx context.Context, business, since string) ([]string, error)
	OpenCalls(ctx context.Context) ([]store.Call, error)
	CallParts(ctx context.Context, id string, first, limit int) ([]store.CallPart, error)
	IDsBetween(ctx context.Context, author, from, to string, limit int) ([]store.ID, error)
	CountIDs(ctx context.Context, author, from, to string) (int, error)
	MessageHeads(ctx context.Context, msgIDs []string) (map[string]store.Message, error)
	PushesOf(ctx context.Context, msgIDs []string) (map[string][]store.Push, error)
	DeleteCalls(ctx context.Context, epoch int64, before string, limit int) (int, error)
}

const (
	callSweep     = 10 * time.Minute // between two looks for calls that need not be remembered any more
	callSweepRows = 500
	callPause     = 50 * time.Millisecond // between two transactions of it; and the first wait for the database, doubled up to
	callMaxPause  = 5 * time.Second
)

// What became of calls, as a metric has it.
const (
	callNew         = "new"
	callRepeated    = "repeated"
	callOverlapping = "overlapping"
	callConflicting = "conflicting"
)

// calls are the notice calls under way. One that is done in its first transaction is over with it; the others are finished
// here, one after the other, by one goroutine: whether their callers wait or not, and those of a process that crashed as well.
type calls struct {
	s    *Service
	wake trigger.Trigger // room for one: queue is not empty

	mu      sync.Mutex
	claimed map[string]*underway // by Key and Business: so no two calls of one are under way
	queue   []*underway          // begun and not finished, oldest first
}

// underway is a call from its claim to its end.
type underway struct {
	store.Call
	keys    []string      // Key and Business, those that it has
	expired string        // ID of a row to be removed because its Key is used again
	over    chan struct{} // closed at the end
	err     error         // how it ended; set before
}

func newUnderway(c store.Call) *underway {
	u := &underway{Call: c, over: make(chan struct{})}
	for _, k := range [...]string{c.Key, c.Business} {
		if k != "" {
			u.keys = append(u.keys, k)
		}
	}
	return u
}

func newCalls(s *Service) *calls {
	return &calls{s: s, wake: trigger.New(), claimed: map[string]*underway{}}
}

// load takes up, before any call is taken, what the last process has begun. It may be repeated.
func (c *calls) load(ctx context.Context) error {
	open, err := c.s.store.OpenCalls(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = nil
	for _, row := range open {
		u := newUnderway(row)
		c.hold(u)
		c.queue = append(c.queue, u)
	}
	if len(open) > 0 {
		c.s.log.Info("notice calls that were cut short are being finished", "calls", len(open))
		c.wake.Fire()
	}
	return nil
}

func (c *calls) hold(u *underway) {
	for _, k := range u.keys {
		c.claimed[k] = u
	}
}

// claim waits until no other call with a key of u is under way. Every claim is ended.
func (c *calls) claim(ctx context.Context, u *underway) error {
	for len(u.keys) > 0 {
		c.mu.Lock()
		var other *underway
		for _, k := range u.keys {
			if other == nil {
				other = c.claimed[k]
			}
		}
		if other == nil {
			c.hold(u)
		}
		c.mu.Unlock()
		if other == nil {
			return nil
		}
		if err := c.await(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

// await returns when u is over; an error says that nobody can tell yet.
func (c *calls) await(ctx context.Context, u *underway) error {
	select {
	case <-u.over:
		return nil
	case <-ctx.Done():
		return protocol.ErrUnavailable
	case <-c.s.ended:
		return protocol.ErrUnavailable
	}
}

// begun puts a call into the queue of those to be finished.
func (c *calls) begun(u *underway) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, u)
	c.wake.Fire()
}

// end tells all who wait for u.
func (c *calls) end(u *underway, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range u.keys {
		delete(c.claimed, k)
	}
	c.queue = slices.DeleteFunc(c.queue, func(q *underway) bool { return q == u })
	u.err = err
	close(u.over)
}

func (c *calls) next() *underway {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return nil
	}
	return c.queue[0]
}

// owns says whether a msg_id is one that a call under way will give to a receiver. Whoever got an early message of the call knows
// what the ids of the later ones will be.
func (c *calls) owns(msgID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.queue, func(u *underway) bool { return strings.HasPrefix(msgID, u.ID[:callStem]) })
}

// waiting counts the calls that are begun and not finished.
func (c *calls) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// run finishes calls until ctx ends, and forgets old ones.
func (c *calls) run(ctx context.Context) {
	sweep := time.NewTicker(callSweep)
	defer sweep.Stop()
	for wait := callPause; ; {
		u := c.next()
		if u == nil {
			select {
			case <-ctx.Done():
				return
			case <-c.wake:
			case <-sweep.C:
				if err := c.sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
					c.s.log.Warn("old calls could not be forgotten; it is tried again", "error", err)
				}
			}
			continue
		}
		err := c.finish(ctx, u)
		switch {
		case err == nil:
			wait = callPause
		case pause.For(ctx, wait) != nil:
			return
		default:
			wait = min(2*wait, callMaxPause)
		}
	}
}

// sweep forgets the calls whose window is over.
func (c *calls) sweep(ctx context.Context) error {
	s := c.s
	for {
		n, err := s.store.DeleteCalls(ctx, s.epoch, callIDFrom(s.now().Add(-s.cfg.Calls.Window)), callSweepRows)
		if err != nil || n < callSweepRows {
			return err
		}
		if pause.For(ctx, callPause) != nil {
			return ctx.Err()
		}
	}
}

// finish serves the receivers that are left, part by part. An error means that it is to be called again.
func (c *calls) finish(ctx context.Context, u *underway) error {
	for {
		parts, err := c.s.store.CallParts(ctx, u.ID, 0, 2)
		if err != nil {
			return err
		}
		change := &store.Change{}
		var to []protocol.Person
		first := 0
		if len(parts) > 0 {
			first, change.DropCallParts = parts[0].First, parts[:1]
			for _, id := range parts[0].To {
				to = append(to, protocol.NewPerson(id, c.s.cfg.Server))
			}
		}
		last := len(parts) < 2
		if last {
			u.conclude(change)
		}
		err = c.s.serve(ctx, u, first, to, change, nil)
		var refused *protocol.Error
		switch {
		case errors.As(err, &refused) && len(to) > 0:
			if err := c.narrow(ctx, u, parts[0], refused); err != nil {
				return err
			}
		case err != nil:
			return err
		case last:
			c.end(u, u.answer())
			return nil
		}
	}
}

// narrow makes two parts of one that the database cannot hold, and leaves out the receiver who is the reason.
func (c *calls) narrow(ctx context.Context, u *underway, part store.CallPart, refused *protocol.Error) error {
	change := &store.Change{DropCallParts: []store.CallPart{part}}
	if n := len(part.To) / 2; n > 0 {
		change.CallParts = []store.CallPart{{CallID: u.ID, First: part.First, To: part.To[:n]}, {CallID: u.ID, First: part.First + n, To: part.To[n:]}}
		return c.s.serve(ctx, u, 0, nil, change, nil)
	}
	c.s.log.Error("one receiver of a notice call could not be served", "call_id", u.ID, "receiver", part.To[0], "error", refused)
	u.Answer = string(refused.Code)
	change.EditCalls = []store.CallEdit{{ID: u.ID, Answer: u.Answer}}
	return c.s.serve(ctx, u, 0, nil, change, nil)
}

// conclude ends a call in the transaction that serves its last receiver. What nobody can ask for again is forgotten at once.
func (u *underway) conclude(change *store.Change) {
	if len(u.keys) == 0 {
		change.DropCalls = []string{u.ID}
		return
	}
	change.EditCalls = []store.CallEdit{{ID: u.ID, Answer: u.Answer, Done: true}}
}

// answer is what the caller is told of a call that is done.
func (u *underway) answer() error {
	if u.Answer == "" {
		return nil
	}
	return protocol.Refuse(protocol.Code(u.Answer), "the messages to some of the receivers could not be stored; findNotice tells to whom they were")
}

// serve gives receivers of a call, of whom the first has number first, their messages, in one transaction with change. change
// may be nil. over, if any, is called when it is known what became of that, also when nobody waits for it any more.
func (s *Service) serve(ctx context.Context, u *underway, first int, to []protocol.Person, change *store.Change, over func(error)) error {
	return s.do(ctx, &task{size: int64(len(to) * (len(u.Body) + 400)), about: aboutNotices, cost: len(to), over: over, plan: func(_ context.Context, b *batch) error {
		for i, p := range to {
			b.notice(u.Type, u.Body, noticeID(u.ID, first+i), p)
		}
		if change != nil {
			b.changes = append(b.changes, *change)
		}
		return nil
	}})
}
