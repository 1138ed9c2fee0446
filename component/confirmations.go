package component

import (
	"context"
	"errors"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/directory"
	"tlim/component/fairqueue"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// confirmations are what phones have told us and the database has still to be told: queue rows that are not wanted any more, and who
// confirms. Nobody waits for it and nobody is refused for it: it rides along with the next batch. It is safe from any goroutine and
// never blocks; what is over its bounds is given up, because a row too many is harmless.
type confirmations struct {
	users   *directory.Cache
	ignored *prometheus.CounterVec // metrics.ignoredConfirmations
	wake    trigger.Trigger        // room for one: something waits

	mu    sync.Mutex
	rows  *fairqueue.Queue[confirmedRow] // by user, so that one who confirms thousands keeps nobody waiting
	marks map[string]store.Confirms
	order []string // the keys of marks, those that came first in front
}

// confirmedRow is a queue row to be deleted. The directory knows the canonical id of its owner, by which it is found.
type confirmedRow struct{ local, msgID string }

// mark is a user whose phones confirm.
type mark struct {
	local string
	how   store.Confirms
}

const (
	maxConfirmedPerUser = 5_000   // rows of one user that wait: what their phone has confirmed in some seconds
	maxConfirmed        = 200_000 // about 30 MB
	maxMarks            = 100_000 // users
	maxConfirmedRows    = 300     // that one batch deletes: each is looked for, and messages wait meanwhile
	maxConfirmedMarks   = 100     // that one batch writes
)

func newConfirmations(users *directory.Cache, ignored *prometheus.CounterVec) *confirmations {
	return &confirmations{users: users, ignored: ignored, wake: trigger.New(), rows: fairqueue.New[confirmedRow](),
		marks: map[string]store.Confirms{}}
}

// drop has a queue row deleted if it is there.
func (c *confirmations) drop(local, msgID string) {
	if utf8.RuneCountInString(msgID) > protocol.MaxID { // there is no such row
		return
	}
	c.mu.Lock()
	f := c.rows.Of(local)
	full := c.rows.Len() >= maxConfirmed || f != nil && f.Len() >= maxConfirmedPerUser
	if !full {
		c.rows.Push(local, confirmedRow{local, msgID}, 1)
	}
	c.mu.Unlock()
	if full {
		c.ignored.WithLabelValues(ignoredRow).Inc()
		return
	}
	c.wake.Fire()
}

// mark notes how a user's phones confirm. It counts from now on. It is true when they did so in a weaker way before, or not at all.
func (c *confirmations) mark(local string, how store.Confirms) bool {
	if c.users.Confirms(local) >= how {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.order) >= maxMarks { // they say so again
		c.ignored.WithLabelValues(ignoredMark).Inc()
		return false
	}
	c.users.RaiseConfirms(local, how)
	c.note(mark{local, how})
	c.wake.Fire()
	return true
}

func (c *confirmations) note(m mark) {
	if _, noted := c.marks[m.local]; !noted {
		c.order = append(c.order, m.local)
	}
	c.marks[m.local] = max(c.marks[m.local], m.how)
}

// unmark forgets how a user's phones confirm; the caller has had it written.
func (c *confirmations) unmark(local string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users.ForgetConfirms(local)
	delete(c.marks, local)
}

// waits says whether there is anything to take.
func (c *confirmations) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows.Len() > 0 || len(c.order) > 0
}

// confirmed is what a batch has taken.
type confirmed struct {
	rows  []confirmedRow
	marks []mark
}

func (c *confirmed) len() int { return len(c.rows) + len(c.marks) }

// halves are for finding out which of many the database cannot take.
func (c *confirmed) halves() [2]confirmed {
	r, m := (len(c.rows)+1)/2, len(c.marks)/2
	return [2]confirmed{{c.rows[:r], c.marks[:m]}, {c.rows[r:], c.marks[m:]}}
}

// take hands over some of what waits, but for marks of those that not says no to.
func (c *confirmations) take(not func(local string) bool) (taken confirmed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(taken.rows) < maxConfirmedRows && c.rows.Turn(func(confirmedRow, int) int { return 1 }) != nil {
		taken.rows = append(taken.rows, c.rows.Take(1))
	}
	n := min(len(c.order), maxConfirmedMarks)
	kept := 0
	for _, local := range c.order[:n] {
		how, wanted := c.marks[local]
		switch {
		case !wanted:
		case not(local):
			c.order[kept] = local
			kept++
		default:
			taken.marks = append(taken.marks, mark{local, how})
			delete(c.marks, local)
		}
	}
	c.order = append(c.order[:kept], c.order[n:]...)
	return taken
}

// giveBack undoes take: the batch failed.
func (c *confirmations) giveBack(taken confirmed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(taken.rows) - 1; i >= 0; i-- {
		row := taken.rows[i]
		c.rows.GiveBack(row.local, row, 1)
	}
	for _, m := range taken.marks {
		c.note(m)
	}
}

// takeConfirmed adds to a batch some of what phones have confirmed. It stands before the rows of what they have not: a row that only
// waits to be written is then left out.
func (b *batch) takeConfirmed(ctx context.Context) {
	s := b.s
	taken := s.confirmations.take(func(local string) bool { return slices.Contains(b.staleUsers, local) }) // the batch writes to their row
	if taken.len() == 0 {
		return
	}
	change, err := s.confirmedChange(ctx, taken)
	if err != nil { // the next tick tries again
		s.noteStore(err)
		s.confirmations.giveBack(taken)
		return
	}
	b.confirmed = taken
	b.changes = append(b.changes, change)
}

// confirmedChange is what the database is told.
func (s *Service) confirmedChange(ctx context.Context, taken confirmed) (change store.Change, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	var locals []string
	for _, row := range taken.rows {
		locals = append(locals, row.local)
	}
	for _, m := range taken.marks {
		locals = append(locals, m.local)
	}
	found, err := s.users.Lookup(ctx, locals)
	if err != nil {
		return change, err
	}
	for _, row := range taken.rows {
		owner := s.users.Person(row.local, found).ID
		if s.unconfirmed.ConfirmWaiting(owner, row.msgID) {
			continue
		}
		change.DropOffline = append(change.DropOffline, store.OfflineKey{Owner: owner, MsgID: row.msgID})
	}
	for _, m := range taken.marks {
		if _, known := found[m.local]; !known {
			if utf8.RuneCountInString(m.local) > protocol.MaxID { // it has no room in the table
				continue
			}
			change.Learn = append(change.Learn, directory.Learned(m.local))
		}
		change.Confirming = append(change.Confirming, store.Confirming{UserID: s.users.Person(m.local, found).ID, How: m.how})
	}
	return change, nil
}

// writeConfirmed writes some of what waits by itself, after a batch with something that the database cannot hold: that may be one of
// these, which is then given up. Its error is fatal.
func (c *conveyor) writeConfirmed(ctx context.Context, taken confirmed) error {
	if taken.len() == 0 {
		return nil
	}
	change, err := c.s.confirmedChange(ctx, taken)
	if err == nil {
		err = c.apply(ctx, &batch{changes: []store.Change{change}})
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrFenced), errors.As(err, new(*store.UnknownError)):
		return err
	case errors.Is(err, store.ErrData) && taken.len() == 1:
		what := ignoredRow
		if len(taken.marks) > 0 {
			what = ignoredMark
		}
		c.s.metrics.ignoredConfirmations.WithLabelValues(what).Inc()
		c.s.log.Error("the database cannot take a confirmation; it is forgotten", "confirmed", taken.rows, "users", taken.marks, "error", err)
		return nil
	case errors.Is(err, store.ErrData):
		for _, half := range taken.halves() {
			if err := c.writeConfirmed(ctx, half); err != nil {
				return err
			}
		}
		return nil
	}
	c.s.noteStore(err)
	c.s.confirmations.giveBack(taken)
	return nil
}
