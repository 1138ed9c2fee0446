package directory

import (
	"context"
	"sync"
	"time"
)

// accountWait is how long a call that added or removed users waits for their accounts. They follow in any case: what is still
// to be done stands in tlim_user.
const accountWait = 5 * time.Second

// rounds tells callers when a round of work has ended that began after they asked.
type rounds struct {
	mu      sync.Mutex
	waiting []chan struct{}
}

// next is closed at the end of the next round.
func (r *rounds) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := make(chan struct{})
	r.waiting = append(r.waiting, c)
	return c
}

// begin hands over those who wait for the round that begins now.
func (r *rounds) begin() []chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting
	r.waiting = nil
	return waiting
}

// await lets a caller wait until accounts follow the directory, so that a user who was added can log in when the call is
// answered, and one who was removed cannot. It gives up after accountWait; it does not wait where nothing can be done now.
func (a *accountKeeper) await(ctx context.Context) {
	if !a.keeps() || a.d.cfg.DryRun || !a.d.deps.LinkUp() || a.d.source != nil && !a.d.deps.Source.OwnsAccounts() {
		return
	}
	done := a.rounds.next()
	a.trigger.Fire()
	timer := time.NewTimer(accountWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	case <-a.d.deps.Ended:
	}
}
