package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"tlim/component/logged"
	"tlim/store"
)

// conclude writes down what became of a pass, and says when the next is worth while. fault is why no request was made at all.
func (w *worker) conclude(ctx context.Context, rows []*row, requests []*request, fault error) time.Duration {
	now := w.o.Now()
	if ctx.Err() != nil { // what was sent is still to be written down
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
	}

	// 1. each receiver's outcome
	sent, reasons := 0, fault
	var wait time.Duration
	delayed := map[*row]bool{}
	var dead []string
	for _, q := range requests {
		for i, outcome := range q.ended {
			q.of[i].ended[q.index[i]] = outcome
			switch {
			case outcome == Sent:
				sent++
				w.recent.Add(pushed{q.note.To[i].MsgID, q.note.To[i].Code}, now)
			case outcome == "" && q.tried && q.wait == 0: // what the vendor itself put off is due as it was
				delayed[q.of[i]] = true
			}
		}
		if q.fault != nil {
			reasons = q.fault // one of them is enough for the log
		}
		wait = max(wait, q.wait)
		dead = append(dead, q.dead...)
	}
	w.works = w.works || sent > 0

	// 2. registrations that are no more; before the rows, or a stop in between would forget them
	if len(dead) > 0 {
		w.drop(ctx, rows, dead)
	}

	// 3. the rows
	var steps []store.PushUpdate
	counts := map[string]int{}
	ended := 0
	for _, r := range rows {
		step, done := r.step(now, delayed[r])
		for i, outcome := range r.ended {
			if outcome != "" && r.To[i].Outcome == "" {
				counts[outcome]++
			}
		}
		if done {
			ended++
		}
		if step != nil {
			steps = append(steps, *step)
		}
	}
	for outcome, n := range counts {
		w.o.pushes.WithLabelValues(w.Name, outcome).Add(float64(n))
	}
	w.waiting.Add(int64(-ended))
	err := w.save(ctx, mergeSteps(steps))

	// 4. the vendor's health
	var own *storeError
	switch {
	case errors.As(fault, &own):
		return w.storeAway(fault)
	case fault != nil:
		var more *Error
		if errors.As(fault, &more) {
			wait = more.Wait
		}
	}
	w.judge(now, sent, counts, reasons, wait)
	switch {
	case err != nil:
		return w.storeAway(err)
	case w.until.After(now):
		return w.until.Sub(now)
	}
	return passPause // there may be more
}

// step is what is to be written about a row; nil when nothing is, because it was not tried.
func (r *row) step(now time.Time, delayed bool) (step *store.PushUpdate, done bool) {
	step = &store.PushUpdate{IDs: []string{r.ID}, At: now.UnixMilli()}
	changed, mixed := false, false
	for i, outcome := range r.ended {
		changed = changed || outcome != r.To[i].Outcome
		mixed = mixed || outcome != r.ended[0]
	}
	done = len(r.open()) == 0
	if changed && (mixed || !done) {
		step.To = slices.Clone(r.To)
		for i, outcome := range r.ended {
			step.To[i].Outcome = outcome
		}
	}
	switch {
	case done && mixed:
		step.Outcome = mixedOutcomes
	case done:
		step.Outcome = r.ended[0]
	case delayed:
		step.Delay, step.At = true, now.Add(backOff(r.Tries)).UnixMilli()
	case step.To == nil:
		return nil, false
	}
	return step, done
}

// mixedOutcomes is the outcome of a row whose receivers have outcomes of their own.
const mixedOutcomes = "mixed"

// backOff is the pause after so many failures.
func backOff(tries int) time.Duration {
	if tries > 10 {
		return maxRetryWait
	}
	return min(minRetryWait<<tries, maxRetryWait)
}

// mergeSteps makes one statement of equal steps.
func mergeSteps(steps []store.PushUpdate) []store.PushUpdate {
	var list []store.PushUpdate
	for _, step := range steps {
		i := -1
		if step.To == nil {
			i = slices.IndexFunc(list, func(s store.PushUpdate) bool {
				return s.To == nil && s.Outcome == step.Outcome && s.Delay == step.Delay && s.At == step.At
			})
		}
		if i < 0 {
			list = append(list, step)
		} else {
			list[i].IDs = append(list[i].IDs, step.IDs...)
		}
	}
	return list
}

// save writes steps, after those that could not be written before: without them what was sent would be sent again.
func (w *worker) save(ctx context.Context, steps []store.PushUpdate) error {
	w.unsaved = append(w.unsaved, steps...)
	for len(w.unsaved) > 0 {
		n := min(len(w.unsaved), maxSteps)
		if err := w.o.Store.UpdatePushes(ctx, w.o.Epoch(), w.unsaved[:n]); err != nil {
			return err
		}
		w.unsaved = slices.Clone(w.unsaved[n:])
	}
	return nil
}

// maxSteps is how many statements one transaction of the outbox makes: chat waits for its end (about 10 ms).
const maxSteps = 50

// drop takes dead registrations from their users. Until something has gone out it takes none: with another app's key every
// registration looks dead.
func (w *worker) drop(ctx context.Context, rows []*row, dead []string) {
	if !w.works {
		if !w.foreign {
			w.log.Warn("the vendor does not know these registrations; they are kept, because nothing has gone out since the start and the key may be another app's",
				"registrations", len(dead))
			w.foreign = true
		}
		return
	}
	var users []string
	for _, r := range rows {
		for i, to := range r.To {
			if r.ended[i] == Dead && slices.Contains(dead, to.Code) {
				users = append(users, to.User)
			}
		}
	}
	if err := w.o.Drop(ctx, dead, users); err != nil {
		w.log.Debug("dead registrations could not be dropped; the next push finds them again", "error", err)
		return
	}
	for _, user := range users {
		w.log.Info("a push registration is dead and was dropped; its user gets pushes again once their app has registered", "user_id", user)
	}
}

// judge keeps the worker's picture of its vendor: it logs when pushes begin to fail and when they work again, once each, and
// leaves a vendor alone that is not well or has said when to come again.
func (w *worker) judge(now time.Time, sent int, counts map[string]int, fault error, wait time.Duration) {
	wait = min(wait, maxVendorWait)
	lost := counts[Refused] + counts[Expired]
	switch {
	case sent > 0:
		if w.trouble != "" {
			w.log.Info("pushes work again", "given_up", w.lost)
		}
		if lost > 0 {
			w.log.Warn("pushes were given up", "refused", counts[Refused], "expired", counts[Expired], "error", fault)
		}
		w.trouble, w.lost, w.fails, w.until = "", 0, 0, time.Time{}
		w.failing.Store(nil)
	case fault != nil:
		w.lost += lost
		if w.trouble.Changes(logged.Reason(fault)) {
			w.log.Warn("pushes fail", "given_up", w.lost, "error", fault)
		}
		why := fault.Error()
		w.failing.Store(&why)
		wait = max(wait, backOff(w.fails))
		w.fails++
	case lost > 0:
		w.lost += lost
		w.log.Warn("pushes were given up", "refused", counts[Refused], "expired", counts[Expired])
	}
	if wait > 0 {
		w.until = now.Add(wait)
	}
}
