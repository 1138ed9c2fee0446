package calls

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// Store is what finishing calls needs of the database. *store.Store implements it.
type Store interface {
	OpenCalls(ctx context.Context) ([]store.Call, error)
	CallParts(ctx context.Context, id string, first, limit int) ([]store.CallPart, error)
	DeleteCalls(ctx context.Context, epoch int64, before string, limit int) (int, error)
}

const (
	sweepPeriod  = 10 * time.Minute // between two looks for calls that need not be remembered any more
	maxSweepRows = 500
	sweepPause   = 50 * time.Millisecond // between two transactions of it; and the first wait for the database, doubled up to
	maxPause     = 5 * time.Second
)

// Deps are the parts that calls work with.
type Deps struct {
	Store Store
	// Serve gives receivers of a call, of whom the first has number first, their messages, in one transaction with change. It returns when they
	// are committed, or why they are not: a refusal ([protocol.Error]) of what the database cannot hold, or that it is to be tried again.
	Serve func(ctx context.Context, u *Underway, first int, to []string, change *store.Change) error
	Epoch func() int64    // the term in which this process owns the database
	Keep  time.Duration   // for how long calls are remembered; 0 is for ever
	Ended <-chan struct{} // closed when no call is taken any more
	Log   *slog.Logger
	Now   func() time.Time
}

// Table are the notice calls under way. One that is done in its first transaction is over with it; the others are finished
// here, one after the other, by one goroutine: whether their callers wait or not, and those of a process that crashed as well.
type Table struct {
	Deps
	wake trigger.Trigger // fires when a call joins the queue

	mu      sync.Mutex
	claimed map[string]*Underway // the calls under way by their Keys and Businesses: two with the same one wait for each other
	queue   []*Underway          // calls that are begun and not finished, oldest first
}

// Underway is a call from its claim to its end.
type Underway struct {
	store.Call
	keys     []string      // its Key and its Business, as far as it has them
	Expired  string        // ID of a row that is to lose its Key, which is used again
	Overlaps bool          // an earlier call about the same business has served some of its receivers
	over     chan struct{} // closed when the call is over
	err      error         // how the call ended; set before over is closed
}

// Over is closed when the call is over; [Underway.Err] says how then.
func (u *Underway) Over() <-chan struct{} { return u.over }

// Err is how the call ended, once it is over.
func (u *Underway) Err() error { return u.err }

// NewUnderway makes a call that is still to be claimed.
func NewUnderway(c store.Call) *Underway {
	u := &Underway{Call: c, over: make(chan struct{})}
	for _, k := range [...]string{c.Key, c.Business} {
		if k != "" {
			u.keys = append(u.keys, k)
		}
	}
	return u
}

// New makes a Table without calls.
func New(deps Deps) *Table {
	return &Table{Deps: deps, wake: trigger.New(), claimed: map[string]*Underway{}}
}

// Load takes up, before any call is taken, what the last process has begun. It may be repeated.
func (t *Table) Load(ctx context.Context) error {
	open, err := t.Store.OpenCalls(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = nil
	for _, row := range open {
		u := NewUnderway(row)
		t.hold(u)
		t.queue = append(t.queue, u)
	}
	if len(open) > 0 {
		t.Log.Info("notice calls that were cut short are being finished", "calls", len(open))
		t.wake.Fire()
	}
	return nil
}

func (t *Table) hold(u *Underway) {
	for _, k := range u.keys {
		t.claimed[k] = u
	}
}

// Claim waits until no other call with a key of u is under way. Every claim is ended.
func (t *Table) Claim(ctx context.Context, u *Underway) error {
	for len(u.keys) > 0 {
		t.mu.Lock()
		var other *Underway
		for _, k := range u.keys {
			if other == nil {
				other = t.claimed[k]
			}
		}
		if other == nil {
			t.hold(u)
		}
		t.mu.Unlock()
		if other == nil {
			return nil
		}
		if err := t.Await(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

// Await returns when u is over; an error says that nobody can tell yet.
func (t *Table) Await(ctx context.Context, u *Underway) error {
	select {
	case <-u.over:
		return nil
	case <-ctx.Done():
		return protocol.ErrUnavailable
	case <-t.Ended:
		return protocol.ErrUnavailable
	}
}

// Begun puts a call into the queue of those to be finished.
func (t *Table) Begun(u *Underway) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queue = append(t.queue, u)
	t.wake.Fire()
}

// End tells all who wait for u.
func (t *Table) End(u *Underway, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range u.keys {
		delete(t.claimed, k)
	}
	t.queue = slices.DeleteFunc(t.queue, func(q *Underway) bool { return q == u })
	u.err = err
	close(u.over)
}

// Next is the oldest call that is begun and not finished; nil when there is none.
func (t *Table) Next() *Underway {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	return t.queue[0]
}

// Owns says whether a msg_id is one that a call under way will give to a receiver. Whoever got an early message of the call knows
// what the ids of the later ones will be.
func (t *Table) Owns(msgID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.queue, func(u *Underway) bool { return strings.HasPrefix(msgID, u.ID[:Stem]) })
}

// Count counts the calls that are begun and not finished.
func (t *Table) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queue)
}

// Run finishes calls until ctx ends, and forgets old ones.
func (t *Table) Run(ctx context.Context) {
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	for wait := sweepPause; ; {
		u := t.Next()
		if u == nil {
			select {
			case <-ctx.Done():
				return
			case <-t.wake:
			case <-sweep.C:
				if err := t.Sweep(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
					t.Log.Warn("old calls could not be forgotten; it is tried again", "error", err)
				}
			}
			continue
		}
		err := t.finish(ctx, u)
		switch {
		case err == nil:
			wait = sweepPause
		case pause.For(ctx, wait) != nil:
			return
		default:
			wait = min(2*wait, maxPause)
		}
	}
}

// Sweep forgets the calls whose time is over.
func (t *Table) Sweep(ctx context.Context) error {
	if t.Keep <= 0 {
		return nil
	}
	for {
		n, err := t.Store.DeleteCalls(ctx, t.Epoch(), IDFrom(t.Now().Add(-t.Keep)), maxSweepRows)
		if err != nil || n < maxSweepRows {
			return err
		}
		if pause.For(ctx, sweepPause) != nil {
			return ctx.Err()
		}
	}
}

// finish serves the receivers that are left, part by part. An error means that it is to be called again.
func (t *Table) finish(ctx context.Context, u *Underway) error {
	for {
		parts, err := t.Store.CallParts(ctx, u.ID, 0, 2)
		if err != nil {
			return err
		}
		change := &store.Change{}
		var to []string
		first := 0
		if len(parts) > 0 {
			first, to, change.DropCallParts = parts[0].First, parts[0].To, parts[:1]
		}
		last := len(parts) < 2
		if last {
			u.conclude(change)
		}
		err = t.Serve(ctx, u, first, to, change)
		var refused *protocol.Error
		switch {
		case errors.As(err, &refused) && len(to) > 0:
			if err := t.narrow(ctx, u, parts[0], refused); err != nil {
				return err
			}
		case err != nil:
			return err
		case last:
			t.End(u, AnswerOf(u.Call))
			return nil
		}
	}
}

// narrow makes two parts of one that the database cannot hold, and leaves out the receiver who is the reason.
func (t *Table) narrow(ctx context.Context, u *Underway, part store.CallPart, refused *protocol.Error) error {
	change := &store.Change{DropCallParts: []store.CallPart{part}}
	if n := len(part.To) / 2; n > 0 {
		change.CallParts = []store.CallPart{{CallID: u.ID, First: part.First, To: part.To[:n]}, {CallID: u.ID, First: part.First + n, To: part.To[n:]}}
		return t.Serve(ctx, u, 0, nil, change)
	}
	t.Log.Error("one receiver of a notice call could not be served", "call_id", u.ID, "receiver", part.To[0], "error", refused)
	u.Answer = string(refused.Code)
	change.EditCalls = []store.CallEdit{{ID: u.ID, Answer: u.Answer}}
	return t.Serve(ctx, u, 0, nil, change)
}

// conclude ends a call in the transaction that serves its last receiver.
func (u *Underway) conclude(change *store.Change) {
	change.EditCalls = []store.CallEdit{{ID: u.ID, Answer: u.Answer, Done: true}}
}

// AnswerOf is what the caller is told of a call that is done.
func AnswerOf(done store.Call) error {
	if done.Answer == "" {
		return nil
	}
	return protocol.Refuse(protocol.Code(done.Answer), "the messages to some of the receivers could not be stored; findNotice tells to whom they were")
}
