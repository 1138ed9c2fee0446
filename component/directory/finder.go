package directory

import (
	"context"
	"errors"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Finder asks the server whether there is an account.
type Finder interface {
	// HasAccount blocks for the server's answer, until ctx ends at the latest. An error means that nobody can tell;
	// ErrUntold that the server does not say such things to us.
	HasAccount(ctx context.Context, local string) (bool, error)
}

// ErrUntold is what a Finder answers for a server that does not say who has an account.
var ErrUntold = errors.New("the server does not say whether there is an account")

const (
	findTime           = 3 * time.Second  // for all users of one call: some servers are silent about an account that they do not have
	maxFinding         = 32               // questions on their way to the server
	maxFindingPerAsker = 8                // of which for one caller
	findBurst          = 500              // questions that a caller without a key has in hand,
	findRate           = 1                // and gets back a second: the answers say who has an account
	maxFindAskers      = 10_000           // callers who are remembered for that
	maxFindCached      = 50_000           // answers that are remembered,
	foundAge           = 5 * time.Minute  // for so long; the directory learns who is there, and has them from then on,
	missingAge         = 5 * time.Second  // but an administrator makes an account and tries again,
	untoldAge          = 5 * time.Minute  // a server that does not tell rarely begins to,
	silentAge          = 30 * time.Second // and one that is silent may have been busy
)

// Verdict is what is known of an account.
type Verdict int

const (
	Untold  Verdict = iota // nobody can tell
	Found                  // there is an account
	Missing                // the server says that there is none
)

// finder finds out about users whom the directory does not have, before they are left out. Its questions are bounded: in all,
// for one caller, and in the time that one call waits. Whoever could not be asked about is untold. It is safe for concurrent
// use, and no part of the conveyor.
type finder struct {
	server Finder // nil: nobody can tell
	now    func() time.Time
	slots  chan struct{} // one for each question on its way
	askers *lru.Cache[string, *asker]
	known  *lru.Cache[string, answered]
	mu     sync.Mutex // of askers: two calls of one caller have one share
}

type answered struct {
	verdict Verdict
	until   time.Time
}

// asker is the share of one caller.
type asker struct {
	slots  chan struct{}
	budget *rate.Limiter // nil: none
}

func newFinder(server Finder, now func() time.Time) *finder {
	f := &finder{server: server, now: now, slots: make(chan struct{}, maxFinding)}
	f.askers, _ = lru.New[string, *asker](maxFindAskers) // fails for a size below 1 only
	f.known, _ = lru.New[string, answered](maxFindCached)
	return f
}

// find asks about each of locals, which are different ones, for a caller: "" is one with a key. It waits findTime at most; who could not be asked about
// in that time is not in its answer.
func (f *finder) find(ctx context.Context, caller string, locals []string) map[string]Verdict {
	verdicts := make(map[string]Verdict, len(locals))
	var open []string
	for _, local := range locals {
		if a, ok := f.known.Get(local); ok && f.now().Before(a.until) {
			verdicts[local] = a.verdict
		} else {
			open = append(open, local)
		}
	}
	if f.server == nil {
		for _, local := range open {
			verdicts[local] = Untold
		}
		return verdicts
	}
	if len(open) == 0 {
		return verdicts
	}
	share := f.share(caller)
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	var mu sync.Mutex // of verdicts
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, local := range open {
		if share.budget != nil && !share.budget.AllowN(f.now(), 1) {
			return verdicts
		}
		if !acquire(ctx, share.slots) {
			return verdicts
		}
		if !acquire(ctx, f.slots) {
			<-share.slots
			return verdicts
		}
		asking.Go(func() {
			defer func() { <-f.slots; <-share.slots }()
			v := f.ask(ctx, local)
			mu.Lock()
			defer mu.Unlock()
			verdicts[local] = v
		})
	}
	asking.Wait()
	return verdicts
}

// ask asks one question, and remembers the answer.
func (f *finder) ask(ctx context.Context, local string) Verdict {
	there, err := f.server.HasAccount(ctx, local)
	v, age := Missing, missingAge
	switch {
	case errors.Is(err, ErrUntold):
		v, age = Untold, untoldAge
	case errors.Is(err, context.DeadlineExceeded):
		v, age = Untold, silentAge
	case err != nil: // the link is down, or the caller went away: that says nothing of the account
		return Untold
	case there:
		v, age = Found, foundAge
	}
	f.known.Add(local, answered{v, f.now().Add(age)})
	return v
}

func acquire(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (f *finder) share(caller string) *asker {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.askers.Get(caller)
	if !ok {
		a = &asker{slots: make(chan struct{}, maxFindingPerAsker)}
		if caller != "" {
			a.budget = rate.NewLimiter(findRate, findBurst)
		}
		f.askers.Add(caller, a)
	}
	return a
}
