package httpapi

import (
	"context"
	"sync"
	"time"

	"tlim/component/pause"

	"golang.org/x/time/rate"
)

// What calls weigh against limits.per_user_http.
const (
	readWeight  = 1
	writeWeight = 5  // it takes a place in the order of all messages, and a commit
	weighing    = 50 // entries of a list weigh one more

	// burstTime is the calls of how many seconds may come at once: a page that opens asks for its lists, groups and pictures.
	burstTime = 10
)

// weight is what a call of the endpoint costs, beside what it turns out to hold and to answer.
func (r *route) weight() int {
	if r.effect == writes {
		return writeWeight
	}
	return readWeight
}

// rates hold each name to a number a second.
type rates struct {
	limit float64 // 0 is no limit
	burst int     // how much may come at once

	mu    sync.Mutex
	of    map[string]*rate.Limiter
	sweep int // how many there may be before those that are full again are forgotten
}

func newRates(limit float64, burst int) *rates {
	return &rates{limit: limit, burst: burst, of: map[string]*rate.Limiter{}, sweep: 1000}
}

// userRates are those of calls, by user.
func userRates(limit float64) *rates {
	return newRates(limit, max(writeWeight, int(limit*burstTime)))
}

// maxUploadRate is what one caller without a key can upload a second, in all their uploads together: a hundred megabit line's worth and a little.
// More fills disks faster than they take it, and commits of messages wait for the same disk.
const maxUploadRate = 16 << 20

func (r *rates) limiter(name string, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.of[name]
	if l != nil {
		return l
	}
	if len(r.of) >= r.sweep {
		for idle, other := range r.of {
			if other.TokensAt(now) >= float64(other.Burst()) {
				delete(r.of, idle)
			}
		}
		r.sweep = max(1000, 2*len(r.of))
	}
	l = rate.NewLimiter(rate.Limit(r.limit), r.burst)
	r.of[name] = l
	return l
}

// take takes what a call weighs, or says after how long there is so much.
func (r *rates) take(name string, now time.Time, weight int) (wait time.Duration) {
	if r.limit <= 0 {
		return 0
	}
	return takeOf(r.limiter(name, now), now, weight)
}

// takeOf takes what a call weighs of one limiter, or nothing when there is not so much yet.
func takeOf(l *rate.Limiter, now time.Time, weight int) (wait time.Duration) {
	reservation := l.ReserveN(now, min(weight, l.Burst()))
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// owe takes what a call turned out to weigh, also what is not there yet, and says how long that takes.
func (r *rates) owe(name string, now time.Time, weight int) (wait time.Duration) {
	if r.limit <= 0 || weight <= 0 {
		return 0
	}
	l := r.limiter(name, now)
	return l.ReserveN(now, min(weight, l.Burst())).DelayFrom(now)
}

// charge charges a user for what a call turned out to weigh, and says how long that takes; others have no such rate.
func (a *API) charge(c caller, weight int) (wait time.Duration) {
	if c.user == "" {
		return 0
	}
	return a.rates.owe(c.user, a.cfg.Clock(), weight)
}

// pay charges a user for a further part of an answer and waits until their rate allows it: a long answer comes slower instead
// of not at all.
func (a *API) pay(ctx context.Context, c caller, weight int) error {
	if wait := a.charge(c, weight); wait > 0 {
		return pause.For(ctx, wait)
	}
	return nil
}
