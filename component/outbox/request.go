package outbox

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

// request is what a vendor is asked in one HTTP request: receivers of one or more rows that show the same text.
type request struct {
	id    string
	rows  []*row
	note  Note
	of    []*row // whose receiver note.To[i] is
	index []int  // and which one there
	codes map[string]bool
	ended []string // outcome of note.To[i]; "" is to be tried again
	tried bool
	fault error // nil when it went through
	wait  time.Duration
	dead  []string
}

// row is a row of the outbox on its way.
type row struct {
	store.Push
	ended []string // outcome of To[i], this time included; "" while it waits
}

// open lists the receivers without an outcome.
func (r *row) open() (list []int) {
	for i, outcome := range r.ended {
		if outcome == "" {
			list = append(list, i)
		}
	}
	return list
}

// end gives the receivers without an outcome one.
func (r *row) end(outcome string) {
	for i := range r.ended {
		if r.ended[i] == "" {
			r.ended[i] = outcome
		}
	}
}

// requests puts rows with the same text into one request. A row that was in a request before stays in that one, so that the vendor
// sees the same request again. What is too much for one pass is left for the next.
func (w *worker) requests(rows []*row) (list []*request, left bool) {
	type content struct{ request, kind, title, alert, platforms string }
	byContent := map[content]*request{}
	for _, r := range rows {
		open := r.open()
		if len(open) == 0 {
			continue
		}
		as := content{kind: r.Type, title: r.Title, alert: r.Alert, platforms: r.Platforms}
		if r.Request != "" {
			as = content{request: r.Request}
		}
		q := byContent[as]
		if q == nil || r.Request == "" && !q.takes(r, open) {
			if len(list) == maxRequests {
				left = true
				continue
			}
			q = &request{id: r.Request, codes: map[string]bool{}, note: Note{ID: r.Request, Type: r.Type, Title: r.Title, Alert: r.Alert, Android: r.Platforms == platformsAndroid}}
			byContent[as] = q
			list = append(list, q)
		}
		q.rows = append(q.rows, r)
		for _, i := range open {
			q.note.To = append(q.note.To, Receiver{User: r.To[i].User, Code: r.To[i].Code, MsgID: r.MsgID})
			q.of, q.index, q.codes[r.To[i].Code] = append(q.of, r), append(q.index, i), true
		}
	}
	for _, q := range list {
		q.ended = make([]string, len(q.note.To))
	}
	return list, left
}

// takes says whether a row may join: a device that is to be told of two messages with the same text is told twice.
func (r *request) takes(added *row, open []int) bool {
	return len(r.note.To)+len(open) <= MaxReceivers &&
		!slices.ContainsFunc(open, func(i int) bool { return r.codes[added.To[i].Code] })
}

// name gives new requests their names and writes them down.
func (w *worker) name(ctx context.Context, requests []*request) error {
	var steps []store.PushUpdate
	for _, q := range requests {
		if q.id != "" {
			continue
		}
		id, err := w.Pusher.NewID(ctx)
		if err != nil {
			return fmt.Errorf("name a request: %w", err)
		}
		step := store.PushUpdate{Request: id}
		for _, r := range q.rows {
			step.IDs = append(step.IDs, r.ID)
		}
		q.id, q.note.ID = id, id
		steps = append(steps, step)
	}
	if len(steps) == 0 {
		return nil
	}
	if err := w.o.Store.UpdatePushes(ctx, w.o.Epoch(), steps); err != nil {
		return &storeError{err}
	}
	return nil
}

// storeError tells the database's trouble from the vendor's.
type storeError struct{ err error }

func (s *storeError) Error() string { return s.err.Error() }
func (s *storeError) Unwrap() error { return s.err }

// deliver makes the requests. Once the vendor has said when to come again, those not begun yet are left for then.
func (w *worker) deliver(ctx context.Context, requests []*request) {
	var told atomic.Bool
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, q := range requests {
		if told.Load() || ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			all := make([]int, len(q.note.To))
			for i := range all {
				all[i] = i
			}
			if w.send(ctx, q, q.id, all); q.wait > 0 {
				told.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in the requests
}

// send makes one request for the receivers that at lists, and notes what became of each. Where one of several is at fault it tries
// the others, or the halves, under names of their own: the vendor has taken nothing under the old one.
func (w *worker) send(ctx context.Context, q *request, id string, at []int) {
	n := q.note
	n.ID, n.To = id, make([]Receiver, len(at))
	for i, k := range at {
		n.To[i] = q.note.To[k]
	}
	began := w.o.Now()
	retry, err := w.Pusher.Push(ctx, n)
	w.o.seconds.WithLabelValues(w.Name).Observe(w.o.Now().Sub(began).Seconds())
	if err != nil && ctx.Err() != nil {
		return // the stop cut it off: the next start repeats it
	}
	q.tried = true
	var more *Error
	if !errors.As(err, &more) {
		more = &Error{Err: err}
	}
	q.wait = max(q.wait, more.Wait)
	var rest []int
	for _, k := range at {
		switch code := q.note.To[k].Code; {
		case !slices.Contains(more.Dead, code):
			rest = append(rest, k)
		case n.Android: // a vendor does not tell an iPhone's registration from a dead one then
			q.ended[k] = Unmeant
		default:
			q.ended[k] = Dead
			q.dead = append(q.dead, code)
		}
	}
	switch {
	case len(rest) == 0:
	case more.Err == nil:
		q.end(rest, Sent)
	case more.Split && len(at) > 1:
		parts := [][]int{rest}
		if len(rest) == len(at) {
			parts = [][]int{rest[:len(rest)/2], rest[len(rest)/2:]}
		}
		for _, part := range parts {
			id, err := w.Pusher.NewID(ctx)
			if err != nil {
				q.fail(err)
				return
			}
			w.send(ctx, q, id, part)
		}
	default:
		q.fail(more.Err)
		if !retry {
			q.end(rest, Refused)
		}
	}
}

// end notes an outcome.
func (r *request) end(at []int, outcome string) {
	for _, k := range at {
		r.ended[k] = outcome
	}
}

// fail keeps the first fault.
func (r *request) fail(err error) {
	if r.fault == nil {
		r.fault = err
	}
}
