package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tlim/store"
)

// letter is one vendor call: receivers of one or more rows that show the same text.
type letter struct {
	id    string
	rows  []*parcel
	note  Note
	of    []*parcel // whose receiver note.To[i] is
	index []int     // and which one there
	codes map[string]bool
	ended []string // outcome of note.To[i]; "" is to be tried again
	tried bool
	fault error // nil when it went through
	wait  time.Duration
	dead  []string
}

// parcel is a row on its way.
type parcel struct {
	store.Push
	ended []string // outcome of To[i], this time included; "" while it waits
}

// open lists the receivers without an outcome.
func (p *parcel) open() (list []int) {
	for i, outcome := range p.ended {
		if outcome == "" {
			list = append(list, i)
		}
	}
	return list
}

// end gives the receivers without an outcome one.
func (p *parcel) end(outcome string) {
	for i := range p.ended {
		if p.ended[i] == "" {
			p.ended[i] = outcome
		}
	}
}

// pass sends what is due, once, and says how long there is nothing to do.
func (l *lane) pass(ctx context.Context) time.Duration {
	s := l.o.s
	now := s.now()
	if wait := l.until.Sub(now); wait > 0 {
		return wait
	}

	// 1. what is due
	if err := l.save(ctx, nil); err != nil {
		return l.storeAway(err)
	}
	rows, err := s.store.DuePushes(ctx, l.Name, now.UnixMilli(), l.most)
	if err != nil {
		return l.storeAway(err)
	}
	if len(rows) == 0 {
		if l.sweep(ctx, now) {
			return pushPause
		}
		due, waits, err := s.store.NextPush(ctx, l.Name)
		switch {
		case err != nil:
			return l.storeAway(err)
		case !waits:
			return pushSweep
		}
		return max(time.Millisecond, min(time.UnixMilli(due).Sub(now), pushSweep))
	}
	if rows, err = l.wholeCalls(ctx, rows); err != nil {
		return l.storeAway(err)
	}
	parcels := make([]*parcel, len(rows))
	for i := range rows {
		p := &parcel{Push: rows[i], ended: make([]string, len(rows[i].To))}
		for k, to := range p.To {
			p.ended[k] = to.Outcome
		}
		parcels[i] = p
	}

	// 2. what need not be sent any more
	if err := l.withdraw(ctx, parcels, now); err != nil {
		return l.storeAway(err)
	}

	// 3. calls, and their names written down before any is made
	letters, left := l.letters(parcels)
	if left {
		l.most = pushCalls
	} else {
		l.most = min(2*l.most, pushRows)
	}
	if err := l.name(ctx, letters); err != nil {
		if ctx.Err() != nil {
			return 0
		}
		return l.settle(ctx, parcels, nil, err)
	}

	// 4. the vendor
	l.deliver(ctx, letters)
	return l.settle(ctx, parcels, letters, nil)
}

// wholeCalls adds what a limit left out of calls that were begun before. The vendor takes the repetition of a call for the first
// one, whomever it names: a receiver who is missing from it would never get his push. What is too much for one pass waits.
func (l *lane) wholeCalls(ctx context.Context, rows []store.Push) ([]store.Push, error) {
	var calls []string
	var fresh []store.Push
	for i := range rows {
		switch call := rows[i].Call; {
		case call == "":
			fresh = append(fresh, rows[i])
		case len(calls) < pushCalls && !slices.Contains(calls, call):
			calls = append(calls, call)
		}
	}
	if len(calls) == 0 {
		return rows, nil
	}
	begun, err := l.o.s.store.PushesOfCalls(ctx, l.Name, calls)
	return append(begun, fresh...), err
}

const (
	pushPause     = 50 * time.Millisecond // between two passes: lets other writers in, and equal texts come together
	pushStoreWait = 2 * time.Second
)

// storeAway waits for the database, whose absence is logged where it matters.
func (l *lane) storeAway(err error) time.Duration {
	l.log.Debug("the outbox cannot be read or written", "error", err)
	return pushStoreWait
}

// withdraw ends what is too old, what was revoked or read meanwhile, and what the device had already.
func (l *lane) withdraw(ctx context.Context, parcels []*parcel, now time.Time) error {
	var ids []string
	for _, p := range parcels {
		if p.Made < now.Add(-pushLife).UnixMilli() {
			p.end(pushExpired)
			continue
		}
		ids = append(ids, p.MsgID)
	}
	if len(ids) == 0 {
		return nil
	}
	known, err := l.o.s.store.IDs(ctx, ids)
	if err != nil {
		return err
	}
	counts, err := l.o.s.store.ReceiptCounts(ctx, ids)
	if err != nil {
		return err
	}
	var keys []store.ReceiptKey // of the few that anybody has read: a group's message has a thousand receivers
	for _, p := range parcels {
		for _, i := range p.open() {
			if counts[p.MsgID] > 0 {
				keys = append(keys, store.ReceiptKey{MsgID: p.MsgID, Reader: p.To[i].User})
			}
		}
	}
	read, err := l.o.s.store.Receipts(ctx, keys)
	if err != nil {
		return err
	}
	inPass := map[pushed]bool{}
	for _, p := range parcels {
		class := store.ClassMessage
		if p.Type == "MTT-101" || p.Type == "MTS-101" {
			class = store.ClassRevoke
		}
		if id, ok := known[store.IDKey{MsgID: p.MsgID, Class: class}]; ok && id.State != store.Live {
			p.end(pushWithdrawn)
		}
		for _, i := range p.open() {
			device := pushed{p.MsgID, p.To[i].Code}
			at, had := l.recent.Get(device)
			switch {
			case len(read[store.ReceiptKey{MsgID: p.MsgID, Reader: p.To[i].User}]) > 0 && class == store.ClassMessage:
				p.ended[i] = pushWithdrawn
			case had && now.Sub(at) < pushSpacing, inPass[device]:
				p.ended[i] = pushRepeated
			default:
				inPass[device] = true
			}
		}
	}
	return nil
}

// letters puts rows with the same text into one call. A row that was in a call before stays in that one, so that the vendor
// sees the same call again. What is too much for one pass is left for the next.
func (l *lane) letters(parcels []*parcel) (list []*letter, left bool) {
	type look struct{ call, kind, title, alert, platforms string }
	byLook := map[look]*letter{}
	for _, p := range parcels {
		open := p.open()
		if len(open) == 0 {
			continue
		}
		as := look{kind: p.Type, title: p.Title, alert: p.Alert, platforms: p.Platforms}
		if p.Call != "" {
			as = look{call: p.Call}
		}
		e := byLook[as]
		if e == nil || p.Call == "" && !e.fits(p, open) {
			if len(list) == pushCalls {
				left = true
				continue
			}
			e = &letter{id: p.Call, codes: map[string]bool{}, note: Note{ID: p.Call, Type: p.Type, Title: p.Title, Alert: p.Alert, Android: p.Platforms == platformsAndroid}}
			byLook[as] = e
			list = append(list, e)
		}
		e.rows = append(e.rows, p)
		for _, i := range open {
			e.note.To = append(e.note.To, PushReceiver{User: p.To[i].User, Code: p.To[i].Code, MsgID: p.MsgID})
			e.of, e.index, e.codes[p.To[i].Code] = append(e.of, p), append(e.index, i), true
		}
	}
	for _, e := range list {
		e.ended = make([]string, len(e.note.To))
	}
	return list, left
}

// fits says whether a row may join: a device that is to be told of two messages with the same text is told twice.
func (e *letter) fits(p *parcel, open []int) bool {
	return len(e.note.To)+len(open) <= maxReceivers &&
		!slices.ContainsFunc(open, func(i int) bool { return e.codes[p.To[i].Code] })
}

// name gives new calls their names and writes them down.
func (l *lane) name(ctx context.Context, letters []*letter) error {
	var steps []store.PushUpdate
	for _, e := range letters {
		if e.id != "" {
			continue
		}
		id, err := l.Pusher.NewID(ctx)
		if err != nil {
			return fmt.Errorf("name a call: %w", err)
		}
		step := store.PushUpdate{Call: id}
		for _, p := range e.rows {
			step.IDs = append(step.IDs, p.ID)
		}
		e.id, e.note.ID = id, id
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return nil
	}
	if err := l.o.s.store.UpdatePushes(ctx, steps); err != nil {
		return &storeError{err}
	}
	return nil
}

// storeError tells the database's trouble from the vendor's.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// deliver makes the calls. Once the vendor has said when to come again, those not begun yet are left for then.
func (l *lane) deliver(ctx context.Context, letters []*letter) {
	var told atomic.Bool
	var calls errgroup.Group
	calls.SetLimit(pushParallel)
	for _, e := range letters {
		if told.Load() || ctx.Err() != nil {
			break
		}
		calls.Go(func() error {
			all := make([]int, len(e.note.To))
			for i := range all {
				all[i] = i
			}
			if l.call(ctx, e, e.id, all); e.wait > 0 {
				told.Store(true)
			}
			return nil
		})
	}
	_ = calls.Wait() // what went wrong stands in the letters
}

// call makes one call to the receivers that at lists, and notes what became of each. Where one of several is at fault it tries
// the others, or the halves, under names of their own: the vendor has taken nothing under the old one.
func (l *lane) call(ctx context.Context, e *letter, id string, at []int) {
	s := l.o.s
	n := e.note
	n.ID, n.To = id, make([]PushReceiver, len(at))
	for i, k := range at {
		n.To[i] = e.note.To[k]
	}
	began := s.now()
	retry, err := l.Pusher.Push(ctx, n)
	s.metrics.pushCall.WithLabelValues(l.Name).Observe(s.now().Sub(began).Seconds())
	if err != nil && ctx.Err() != nil {
		return // the stop cut it off: the next start repeats it
	}
	e.tried = true
	var more *PushError
	if !errors.As(err, &more) {
		more = &PushError{Err: err}
	}
	e.wait = max(e.wait, more.Wait)
	var rest []int
	for _, k := range at {
		switch code := e.note.To[k].Code; {
		case !slices.Contains(more.Dead, code):
			rest = append(rest, k)
		case n.Android: // a vendor does not tell an iPhone's registration from a dead one then
			e.ended[k] = pushUnmeant
		default:
			e.ended[k] = pushDead
			e.dead = append(e.dead, code)
		}
	}
	switch {
	case len(rest) == 0:
	case more.Err == nil:
		e.end(rest, pushSent)
	case more.Split && len(at) > 1:
		parts := [][]int{rest}
		if len(rest) == len(at) {
			parts = [][]int{rest[:len(rest)/2], rest[len(rest)/2:]}
		}
		for _, part := range parts {
			id, err := l.Pusher.NewID(ctx)
			if err != nil {
				e.fail(err)
				return
			}
			l.call(ctx, e, id, part)
		}
	default:
		e.fail(more.Err)
		if !retry {
			e.end(rest, pushRefused)
		}
	}
}

// end notes an outcome.
func (e *letter) end(at []int, outcome string) {
	for _, k := range at {
		e.ended[k] = outcome
	}
}

// fail keeps the first fault.
func (e *letter) fail(err error) {
	if e.fault == nil {
		e.fault = err
	}
}
