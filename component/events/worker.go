package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tlim/store"
)

// pass sends what is due, once, and says how long there is nothing to do.
func (e *Events) pass(ctx context.Context) time.Duration {
	now := e.Now()
	if err := e.forget(ctx, nil); err != nil {
		return e.storeAway(err)
	}
	if now.Sub(e.swept) >= sweepPeriod || e.waiting.Load() > int64(e.MaxWaiting+slack) {
		if err := e.sweep(ctx, now); err != nil {
			return e.storeAway(err)
		}
	}
	e.launch(ctx, now)
	switch wait := e.main.until.Sub(now); {
	case wait > 0:
		return e.idle(wait)
	case e.suspects >= maxSuspects:
		return e.idle(sweepPeriod)
	}

	if l := &e.look; l.blocked == nil || !now.Before(l.next) {
		*l = look{blocked: map[string]bool{}, began: now, next: now.Add(sweepPeriod)}
	}
	for range maxPages {
		again, wait := e.page(ctx, now)
		e.launch(ctx, now)
		if !again {
			return e.idle(wait)
		}
	}
	return time.Millisecond
}

// idle is how long there is nothing to do, when the requests of many events have nothing for so long.
func (e *Events) idle(wait time.Duration) time.Duration {
	if now := e.Now(); len(e.queue) > 0 && now.Before(e.apart.until) {
		wait = min(wait, e.apart.until.Sub(now))
	}
	return max(time.Millisecond, min(wait, sweepPeriod))
}

// look is one way through the rows that wait, from the first to the last. New rows lie behind the last, so a pass goes on where the one before
// ended: what stands in front of them, of conversations that wait for a repetition, is read again when the first of these is due, and not for each commit.
type look struct {
	after   string          // the last row that was looked at
	blocked map[string]bool // conversations whose first event is not due; nil: a look begins
	rows    int             // of these that stand there
	began   time.Time
	next    time.Time // when the next one begins
}

// failed notes when a row is due again. Looks take a tenth of the time at most.
func (l *look) failed(conversation string, due time.Time) {
	if l.blocked == nil { // one begins anyway
		return
	}
	l.blocked[conversation] = true
	if earliest := l.began.Add(time.Duration(l.rows) * rowPause); due.Before(earliest) {
		due = earliest
	}
	if due.Before(l.next) {
		l.next = due
	}
}

// page sends what is due of the next rows. With again there may be more of them, else wait is how long there is nothing to do.
func (e *Events) page(ctx context.Context, now time.Time) (again bool, wait time.Duration) {
	page, err := e.Store.Events(ctx, false, e.look.after, pageRows)
	if err != nil {
		return false, e.storeAway(err)
	}
	var due []store.Event
	for i := range page {
		row := &page[i]
		switch at := time.UnixMilli(row.Due); {
		case e.look.blocked[row.Conversation]:
			e.look.rows++
		case e.busy[row.Conversation]: // its end is a reason to look
			e.look.blocked[row.Conversation] = true
		case at.After(now) && row.Reason != "": // it has failed; a clock that was set back holds no new one up
			e.look.failed(row.Conversation, at)
		case row.Tries > 0: // it was refused by itself
			e.look.blocked[row.Conversation] = true
			e.repeat(*row)
		default:
			due = append(due, *row)
		}
	}
	probing := e.main.broken() && len(due) > 0
	if probing {
		due = probe(due)
	}
	done, err := e.sendAll(ctx, due)
	switch {
	case err != nil:
		e.look = look{}
		return false, e.storeAway(err)
	case !done:
		e.look = look{}
		return false, e.main.until.Sub(e.Now())
	case probing: // it takes events again: now the others of the page
		e.look = look{}
		return false, 0
	}
	if len(page) > 0 {
		e.look.after = page[len(page)-1].ID
	}
	if !store.More(page, pageRows) {
		return false, e.look.next.Sub(e.Now())
	}
	return true, 0
}

// probe is the event that is sent to a receiver that has taken nothing for a while: of the first of each conversation one that never failed, else
// the one that has waited longest since it did. One that is refused for itself would stand in front of all others for ever.
func probe(due []store.Event) []store.Event {
	seen, best := map[string]bool{}, -1
	for i := range due {
		if seen[due[i].Conversation] {
			continue
		}
		seen[due[i].Conversation] = true
		if best < 0 || sooner(&due[i], &due[best]) {
			best = i
		}
	}
	return due[best : best+1]
}

func sooner(a, b *store.Event) bool {
	if (a.Reason == "") != (b.Reason == "") {
		return a.Reason == ""
	}
	return a.Due < b.Due
}

// sendAll sends rows in requests, in order. It is not done when the receiver is to be left alone for a while. Its error is the database's.
func (e *Events) sendAll(ctx context.Context, rows []store.Event) (done bool, err error) {
	for len(rows) > 0 {
		// 1. the next request
		var request []store.Event
		taken, size := 0, 0
		for _, row := range rows {
			if len(request) == maxRequest || len(request) > 0 && size+len(row.Body) > maxRequestBytes {
				break
			}
			taken++
			if !e.look.blocked[row.Conversation] {
				request = append(request, row)
				size += len(row.Body)
			}
		}
		if len(request) == 0 {
			rows = rows[taken:]
			continue
		}

		// 2. the receiver
		failure := e.post(ctx, request)
		now := e.Now()
		switch {
		case failure == nil:
			if err := e.took(ctx, request); err != nil {
				return false, err
			}
			rows = rows[taken:]
			continue
		case ctx.Err() != nil:
			return false, nil // the stop cut it off: the next start repeats it
		case failure.Away:
			e.pause(&e.main, now, failure)
			return false, nil
		}
		e.main.streak++
		if e.main.broken() {
			e.pause(&e.main, now, failure)
		}

		// 3. one of them may be at fault. One who asks for time is asked by an event of another conversation: if that is taken, it was no wish for time
		rest := request
		if failure.Later && !e.main.broken() {
			other := another(request, e.main.streak)
			if other < 0 {
				rest = request[:1] // its conversation waits, and nobody else
			} else if late := e.post(ctx, request[other:other+1]); late != nil {
				if ctx.Err() == nil {
					e.pause(&e.main, e.Now(), failure)
				}
				return false, nil
			} else if err := e.took(ctx, request[other:other+1]); err != nil {
				return false, err
			} else {
				rest = slices.Delete(slices.Clone(request), other, other+1)
			}
		}
		rows = rows[taken:]
		switch {
		case len(rest) > 1:
			for _, row := range rest {
				e.look.blocked[row.Conversation] = true
			}
			e.suspect(rest)
			e.launch(ctx, now)
		default:
			due, err := e.failed(ctx, &e.main, rest[0], failure)
			if err != nil {
				return false, err
			}
			e.look.failed(rest[0].Conversation, due)
		}
		if e.main.until.After(now) {
			return false, nil
		}
	}
	return true, nil
}

// another is the first event of a conversation that is not the only one of a request: of the last one, and when that was no help, of the first one. -1: there
// is one conversation.
func another(request []store.Event, failures int) int {
	last, seen := -1, map[string]bool{request[0].Conversation: true}
	for i := range request {
		if !seen[request[i].Conversation] {
			seen[request[i].Conversation], last = true, i
		}
	}
	if last >= 0 && failures > 1 {
		return 0
	}
	return last
}

// post makes one request. It is safe for concurrent use.
func (e *Events) post(ctx context.Context, request []store.Event) *Failure {
	var ids, bodies []string
	for i := range request {
		ids, bodies = append(ids, request[i].ID), append(bodies, request[i].Body)
	}
	sum := sha256.Sum256([]byte(strings.Join(ids, " ")))
	id := hex.EncodeToString(sum[:16]) // the same events are the same request
	began := e.Now()
	err := e.Poster.Post(ctx, id, []byte(`{"id":"`+id+`","events":[`+strings.Join(bodies, ",")+`]}`))
	e.seconds.Observe(e.Now().Sub(began).Seconds())
	if err == nil {
		return nil
	}
	var failure *Failure
	if !errors.As(err, &failure) {
		failure = &Failure{Err: err}
	}
	return failure
}

// took notes that the receiver has taken events: it is there.
func (e *Events) took(ctx context.Context, request []store.Event) error {
	e.health.Note(e.Log, nil)
	e.failing.Store(false)
	for _, b := range []*breaker{&e.main, &e.apart} {
		b.streak, b.pauses = 0, 0
	}
	e.counted.WithLabelValues(Sent).Add(float64(len(request)))
	return e.forget(ctx, request)
}

// failed puts an event off, or gives it up, and says when its conversation goes on. While nothing is taken that is not its fault.
func (e *Events) failed(ctx context.Context, by *breaker, row store.Event, failure *Failure) (due time.Time, err error) {
	now := e.Now()
	step := store.EventUpdate{IDs: []string{row.ID}, Tries: row.Tries, Reason: failure.Error()}
	if !by.broken() {
		step.Tries++
	}
	if step.Tries < maxTries {
		due = now.Add(max(min(failure.Wait, maxAskedWait), jitter(backOff(step.Tries, maxRetryWait))))
		if due.Before(by.until) { // another one is tried first then
			due = by.until.Add(minRetryWait)
		}
		step.Due = due.UnixMilli()
		return due, e.Store.UpdateEvents(ctx, e.Epoch(), []store.EventUpdate{step})
	}
	step.Dead, step.Due = true, now.UnixMilli()
	if err := e.Store.UpdateEvents(ctx, e.Epoch(), []store.EventUpdate{step}); err != nil {
		return now, err
	}
	e.Log.Error("an event was given up: it was refused again and again while others were taken; it can be replayed", "event", row.ID, "kind", row.Kind, "error", failure)
	e.buried(1)
	return now, nil
}

func (e *Events) buried(n int) {
	e.counted.WithLabelValues(Dead).Add(float64(n))
	e.waiting.Add(int64(-n))
	e.dead.Add(int64(n))
}

// breaker is what is known of the receiver by one of the two ways in which it is asked.
type breaker struct {
	streak int       // failures since something was taken
	pauses int       // pauses since something was taken
	until  time.Time // the receiver is left alone
}

func (b *breaker) broken() bool { return b.streak >= broken }

// pause leaves the receiver alone for a while.
func (e *Events) pause(b *breaker, now time.Time, why *Failure) {
	e.health.Note(e.Log, why)
	e.failing.Store(true)
	b.until = now.Add(max(min(why.Wait, maxAskedWait), jitter(backOff(b.pauses, maxPause))))
	b.pauses++
}

// backOff is the pause after so many failures.
func backOff(failures int, most time.Duration) time.Duration {
	if failures > 10 {
		return most
	}
	return min(minRetryWait<<failures, most)
}

// jitter spreads what would come at one moment.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5)
}

// forget deletes what was taken, after what could not be deleted before: else it would be sent again.
func (e *Events) forget(ctx context.Context, request []store.Event) error {
	for i := range request {
		e.taken = append(e.taken, request[i].ID)
	}
	if len(e.taken) == 0 {
		return nil
	}
	if ctx.Err() != nil { // it is still to be written down
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
	}
	if err := e.Store.DeleteEvents(ctx, e.Epoch(), e.taken); err != nil {
		return err
	}
	e.waiting.Add(int64(-len(e.taken)))
	e.taken = nil
	return nil
}

// sweep keeps the bounds.
func (e *Events) sweep(ctx context.Context, now time.Time) error {
	if err := e.count(ctx); err != nil {
		return err
	}
	given := 0
	for over := int(e.waiting.Load()) - e.MaxWaiting; over > 0; over -= sweepRows {
		n, err := e.Store.ExpireEvents(ctx, e.Epoch(), now.UnixMilli(), "more waited than events.max_waiting", min(over, sweepRows))
		if err != nil {
			return err
		}
		e.buried(n)
		given += n
	}
	if given > 0 && !e.full {
		e.Log.Error("too many events wait: the oldest are given up until they are fewer; they can be replayed", "max_waiting", e.MaxWaiting)
	}
	e.full = given > 0
	for over := int(e.dead.Load()) - e.MaxWaiting; over > 0; over -= sweepRows {
		n, err := e.Store.DeleteDeadEvents(ctx, e.Epoch(), 0, min(over, sweepRows))
		if err != nil {
			return err
		}
		e.counted.WithLabelValues(Dropped).Add(float64(n))
		e.dead.Add(int64(-n))
	}
	for n := sweepRows; n == sweepRows; {
		var err error
		if n, err = e.Store.DeleteDeadEvents(ctx, e.Epoch(), now.Add(-e.Keep).UnixMilli(), sweepRows); err != nil {
			return err
		}
		e.dead.Add(int64(-n))
	}
	e.swept, e.look = now, look{} // rows were replayed meanwhile, perhaps
	return nil
}

// storeAway waits for the database, whose absence is logged where it matters.
func (e *Events) storeAway(err error) time.Duration {
	e.Log.Debug("events cannot be read or written", "error", err)
	return storeWait
}
