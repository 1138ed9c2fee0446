package outbox

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlim/component/logged"
	"tlim/component/trigger"
	"tlim/store"
)

// pushed is a device that had a push for a message.
type pushed struct{ msgID, code string }

// worker sends the pushes of one channel: one goroutine takes the rows that are due, names the requests to the vendor that they go out with, writes the
// names down, makes the requests and writes the outcomes down.
type worker struct {
	Channel
	o       *Outbox
	log     *slog.Logger
	wake    trigger.Trigger        // room for one: rows were written
	waiting atomic.Int64           // rows that wait
	full    atomic.Bool            // no more are written
	failing atomic.Pointer[string] // why nothing goes out; nil while something does

	// Of its goroutine alone.
	recent  *lru.Cache[pushed, time.Time]
	unsaved []store.PushUpdate // what was sent and could not be written down yet
	swept   time.Time
	maxRows int         // rows that the next pass takes: texts that all differ fill its requests with fewer
	works   bool        // something has gone out since the start
	foreign bool        // nothing has, and the vendor knew none of the registrations: it was logged
	trouble logged.Text // why nothing goes out
	lost    int         // pushes given up since then
	fails   int         // passes in a row without success
	until   time.Time   // the vendor is left alone
}

// room says whether another row may wait.
func (w *worker) room() bool {
	if w.waiting.Load() < maxWaiting {
		if w.full.Swap(false) {
			w.log.Info("pushes are written again")
		}
		return true
	}
	if !w.full.Swap(true) {
		w.log.Error("too many pushes wait; new ones are given up until they are fewer", "waiting", maxWaiting)
	}
	return false
}

// run works until ctx ends.
func (w *worker) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := w.pass(ctx)
		wake := w.wake
		if wait <= passPause || w.o.Now().Before(w.until) {
			wake = nil // the pause is chat's, and new rows do not make a vendor well
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-w.o.After(wait):
		}
	}
}

// pass sends what is due, once, and says how long there is nothing to do.
func (w *worker) pass(ctx context.Context) time.Duration {
	now := w.o.Now()
	if wait := w.until.Sub(now); wait > 0 {
		return wait
	}

	// 1. what is due
	if err := w.save(ctx, nil); err != nil {
		return w.storeAway(err)
	}
	due, err := w.o.Store.DuePushes(ctx, w.Name, now.UnixMilli(), w.maxRows)
	if err != nil {
		return w.storeAway(err)
	}
	if len(due) == 0 {
		if w.sweep(ctx, now) {
			return passPause
		}
		next, waits, err := w.o.Store.NextPush(ctx, w.Name)
		switch {
		case err != nil:
			return w.storeAway(err)
		case !waits:
			return sweepPeriod
		}
		return max(time.Millisecond, min(time.UnixMilli(next).Sub(now), sweepPeriod))
	}
	if due, err = w.wholeRequests(ctx, due); err != nil {
		return w.storeAway(err)
	}
	rows := make([]*row, len(due))
	for i := range due {
		r := &row{Push: due[i], ended: make([]string, len(due[i].To))}
		for k, to := range r.To {
			r.ended[k] = to.Outcome
		}
		rows[i] = r
	}

	// 2. what need not be sent any more
	if err := w.withdraw(ctx, rows, now); err != nil {
		return w.storeAway(err)
	}

	// 3. requests, and their names written down before any is made
	requests, left := w.requests(rows)
	if left {
		w.maxRows = maxRequests
	} else {
		w.maxRows = min(2*w.maxRows, maxRows)
	}
	if err := w.name(ctx, requests); err != nil {
		if ctx.Err() != nil {
			return 0
		}
		return w.conclude(ctx, rows, nil, err)
	}

	// 4. the vendor
	w.deliver(ctx, requests)
	return w.conclude(ctx, rows, requests, nil)
}

// wholeRequests adds what a limit left out of requests that were begun before. The vendor takes the repetition of a request for the first
// one, whomever it names: a receiver who is missing from it would never get their push. What is too much for one pass waits.
func (w *worker) wholeRequests(ctx context.Context, rows []store.Push) ([]store.Push, error) {
	var requests []string
	var fresh []store.Push
	for i := range rows {
		switch id := rows[i].Request; {
		case id == "":
			fresh = append(fresh, rows[i])
		case len(requests) < maxRequests && !slices.Contains(requests, id):
			requests = append(requests, id)
		}
	}
	if len(requests) == 0 {
		return rows, nil
	}
	begun, err := w.o.Store.PushesOfRequests(ctx, w.Name, requests)
	return append(begun, fresh...), err
}

const (
	passPause = 50 * time.Millisecond // between two passes: lets other writers in, and equal texts come together
	storeWait = 2 * time.Second
)

// storeAway waits for the database, whose absence is logged where it matters.
func (w *worker) storeAway(err error) time.Duration {
	w.log.Debug("the outbox cannot be read or written", "error", err)
	return storeWait
}

// withdraw ends what is too old, what was revoked or read meanwhile, and what the device had already.
func (w *worker) withdraw(ctx context.Context, rows []*row, now time.Time) error {
	var ids []string
	for _, r := range rows {
		if r.Made < now.Add(-life).UnixMilli() {
			r.end(Expired)
			continue
		}
		ids = append(ids, r.MsgID)
	}
	if len(ids) == 0 {
		return nil
	}
	known, err := w.o.Store.IDs(ctx, ids)
	if err != nil {
		return err
	}
	counts, err := w.o.Store.ReceiptCounts(ctx, ids)
	if err != nil {
		return err
	}
	var keys []store.ReceiptKey // of the few that anybody has read: a group's message has a thousand receivers
	for _, r := range rows {
		for _, i := range r.open() {
			if counts[r.MsgID] > 0 {
				keys = append(keys, store.ReceiptKey{MsgID: r.MsgID, Reader: r.To[i].User})
			}
		}
	}
	read, err := w.o.Store.Receipts(ctx, keys)
	if err != nil {
		return err
	}
	inPass := map[pushed]bool{}
	for _, r := range rows {
		class := w.o.Class(r.Type)
		if id, ok := known[store.IDKey{MsgID: r.MsgID, Class: class}]; ok && id.State != store.Live {
			r.end(Withdrawn)
		}
		for _, i := range r.open() {
			device := pushed{r.MsgID, r.To[i].Code}
			at, had := w.recent.Get(device)
			switch {
			case len(read[store.ReceiptKey{MsgID: r.MsgID, Reader: r.To[i].User}]) > 0 && class == store.ClassMessage:
				r.ended[i] = Withdrawn
			case had && now.Sub(at) < Spacing, inPass[device]:
				r.ended[i] = Repeated
			default:
				inPass[device] = true
			}
		}
	}
	return nil
}

// sweep removes rows that ended long ago, a part at a time: it says whether there may be more.
func (w *worker) sweep(ctx context.Context, now time.Time) (more bool) {
	if now.Sub(w.swept) < sweepPeriod {
		return false
	}
	n, err := w.o.Store.DeletePushes(ctx, w.Name, now.Add(-kept).UnixMilli(), maxSweepRows)
	if err == nil && n == maxSweepRows {
		return true
	}
	w.swept = now
	return false
}
