package component

import (
	"context"
	"errors"
	"slices"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// settle writes down what became of a pass, and says when the next is worth while. fault is why no call was made at all.
func (l *lane) settle(ctx context.Context, parcels []*parcel, letters []*letter, fault error) time.Duration {
	now := l.o.s.now()
	if ctx.Err() != nil { // what was sent is still to be written down
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), pushWrite)
		defer cancel()
	}

	// 1. each receiver's outcome
	sent, reasons := 0, fault
	var wait time.Duration
	delayed := map[*parcel]bool{}
	var dead []string
	for _, e := range letters {
		for i, outcome := range e.ended {
			e.of[i].ended[e.index[i]] = outcome
			switch {
			case outcome == pushSent:
				sent++
				l.recent.Add(pushed{e.note.To[i].MsgID, e.note.To[i].Code}, now)
			case outcome == "" && e.tried && e.wait == 0: // what the vendor itself put off is due as it was
				delayed[e.of[i]] = true
			}
		}
		if e.fault != nil {
			reasons = e.fault // one of them is enough for the log
		}
		wait = max(wait, e.wait)
		dead = append(dead, e.dead...)
	}
	l.works = l.works || sent > 0

	// 2. registrations that are no more; before the rows, or a stop in between would forget them
	if len(dead) > 0 {
		l.drop(ctx, parcels, dead)
	}

	// 3. the rows
	var steps []store.PushUpdate
	counts := map[string]int{}
	settled := 0
	for _, p := range parcels {
		step, done := p.step(now, delayed[p])
		for i, outcome := range p.ended {
			if outcome != "" && p.To[i].Outcome == "" {
				counts[outcome]++
			}
		}
		if done {
			settled++
		}
		if step != nil {
			steps = append(steps, *step)
		}
	}
	for outcome, n := range counts {
		l.o.s.metrics.pushes.WithLabelValues(l.Name, outcome).Add(float64(n))
	}
	l.waiting.Add(int64(-settled))
	err := l.save(ctx, mergeSteps(steps))

	// 4. the vendor's health
	var own *storeError
	switch {
	case errors.As(fault, &own):
		return l.storeAway(fault)
	case fault != nil:
		var more *PushError
		if errors.As(fault, &more) {
			wait = more.Wait
		}
	}
	l.judge(now, sent, counts, reasons, wait)
	switch {
	case err != nil:
		return l.storeAway(err)
	case l.until.After(now):
		return l.until.Sub(now)
	}
	return pushPause // there may be more
}

// step is what is to be written about a row; nil when nothing is, because it was not tried.
func (p *parcel) step(now time.Time, delayed bool) (step *store.PushUpdate, done bool) {
	step = &store.PushUpdate{IDs: []string{p.ID}, At: now.UnixMilli()}
	changed, mixed := false, false
	for i, outcome := range p.ended {
		changed = changed || outcome != p.To[i].Outcome
		mixed = mixed || outcome != p.ended[0]
	}
	done = len(p.open()) == 0
	if changed && (mixed || !done) {
		step.To = slices.Clone(p.To)
		for i, outcome := range p.ended {
			step.To[i].Outcome = outcome
		}
	}
	switch {
	case done && mixed:
		step.Outcome = pushMixed
	case done:
		step.Outcome = p.ended[0]
	case delayed:
		step.Delay, step.At = true, now.Add(backOff(p.Tries)).UnixMilli()
	case step.To == nil:
		return nil, false
	}
	return step, done
}

// pushMixed is the outcome of a row whose receivers have outcomes of their own.
const pushMixed = "mixed"

// backOff is the pause after so many failures.
func backOff(tries int) time.Duration {
	if tries > 10 {
		return pushLongWait
	}
	return min(pushFirstWait<<tries, pushLongWait)
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
func (l *lane) save(ctx context.Context, steps []store.PushUpdate) error {
	l.unsaved = append(l.unsaved, steps...)
	for len(l.unsaved) > 0 {
		n := min(len(l.unsaved), pushSteps)
		if err := l.o.s.store.UpdatePushes(ctx, l.unsaved[:n]); err != nil {
			return err
		}
		l.unsaved = slices.Clone(l.unsaved[n:])
	}
	return nil
}

// pushSteps is how many statements one transaction of the outbox makes: chat waits for its end (about 10 ms).
const pushSteps = 50

// drop takes dead registrations from their users. Until something has gone out it takes none: with another app's key every
// registration looks dead.
func (l *lane) drop(ctx context.Context, parcels []*parcel, dead []string) {
	if !l.works {
		if !l.foreign {
			l.log.Warn("the vendor does not know these registrations; they are kept, because nothing has gone out since the start and the key may be another app's",
				"registrations", len(dead))
			l.foreign = true
		}
		return
	}
	err := l.o.s.source.dropPush(ctx, dead)
	if err == nil {
		err = l.o.s.store.DeletePushCodes(ctx, dead)
	}
	if err != nil {
		l.log.Debug("dead registrations could not be dropped; the next push finds them again", "error", err)
		return
	}
	for _, p := range parcels {
		for i, to := range p.To {
			if p.ended[i] == pushDead && slices.Contains(dead, to.Code) {
				l.o.s.users.drop(protocol.NewPerson(to.User, l.o.s.cfg.Server).Local)
				l.log.Info("a push registration is dead and was dropped; its user gets pushes again once his app has registered", "user_id", to.User)
			}
		}
	}
}

// judge keeps the lane's picture of its vendor: it logs when pushes begin to fail and when they work again, once each, and
// leaves a vendor alone that is not well or has said when to come again.
func (l *lane) judge(now time.Time, sent int, counts map[string]int, fault error, wait time.Duration) {
	wait = min(wait, pushMaxWait)
	lost := counts[pushRefused] + counts[pushExpired]
	switch {
	case sent > 0:
		if l.trouble != "" {
			l.log.Info("pushes work again", "given_up", l.lost)
		}
		if lost > 0 {
			l.log.Warn("pushes were given up", "refused", counts[pushRefused], "expired", counts[pushExpired], "error", fault)
		}
		l.trouble, l.lost, l.fails, l.until = "", 0, 0, time.Time{}
		l.failing.Store(false)
	case fault != nil:
		l.lost += lost
		if text := fault.Error(); text != l.trouble {
			l.log.Warn("pushes fail", "given_up", l.lost, "error", fault)
			l.trouble = text
		}
		l.failing.Store(true)
		wait = max(wait, backOff(l.fails))
		l.fails++
	case lost > 0:
		l.lost += lost
		l.log.Warn("pushes were given up", "refused", counts[pushRefused], "expired", counts[pushExpired])
	}
	if wait > 0 {
		l.until = now.Add(wait)
	}
}
