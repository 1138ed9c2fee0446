package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/pause"
)

// registry is a server that tells of accounts. It keeps what it was asked.
type registry struct {
	mu      sync.Mutex
	there   []string
	fail    error         // of all others, instead of that there is none
	silent  []string      // of whom it says nothing
	takes   time.Duration // for an answer
	asked   []string
	now     int // questions that wait,
	highest int // and how many of them did at most
}

func (r *registry) HasAccount(ctx context.Context, local string) (bool, error) {
	r.mu.Lock()
	r.asked = append(r.asked, local)
	r.now++
	r.highest = max(r.highest, r.now)
	there, fail, silent, takes := slices.Contains(r.there, local), r.fail, slices.Contains(r.silent, local), r.takes
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.now--
		r.mu.Unlock()
	}()
	switch {
	case silent:
		<-ctx.Done()
		return false, ctx.Err()
	case takes > 0 && pause.For(ctx, takes) != nil:
		return false, ctx.Err()
	case there:
		return true, nil
	}
	return false, fail
}

// questions are those since the last look.
func (r *registry) questions() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.asked)
	list := strings.Join(r.asked, " ")
	r.asked = nil
	return list
}

func (r *registry) set(change func(*registry)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func numbered(name string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%05d", name, i))
	}
	return list
}

// An answer is remembered for as long as it is likely to hold; what says nothing of the account is not.
func TestFinderRemembers(t *testing.T) {
	for name, c := range map[string]struct {
		server *registry
		want   verdict
		age    time.Duration // 0: it asks again at once
	}{
		"there":         {&registry{there: []string{"x"}}, accountFound, foundAge},
		"not there":     {&registry{}, accountMissing, missingAge},
		"does not tell": {&registry{fail: fmt.Errorf("ask: %w", ErrUntold)}, accountUntold, untoldAge},
		"silent":        {&registry{silent: []string{"x"}}, accountUntold, silentAge},
		"link down":     {&registry{fail: io.ErrClosedPipe}, accountUntold, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFinder(c.server, time.Now)
				ask := func(want string) {
					t.Helper()
					if got := f.find(t.Context(), "", []string{"x"})["x"]; got != c.want {
						t.Errorf("%d, want %d", got, c.want)
					}
					if asked := c.server.questions(); asked != want {
						t.Errorf("asked %q, want %q", asked, want)
					}
				}
				ask("x")
				if c.age > 0 {
					time.Sleep(c.age - time.Millisecond)
					ask("")
					time.Sleep(time.Millisecond)
				}
				ask("x")
			})
		})
	}
}

// One call waits its time and no longer, whatever it names, and asks no more at once than its share; with callers together
// the server never has more than it may.
func TestFinderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &registry{takes: 10 * time.Millisecond}
		f := newFinder(server, time.Now)
		began := time.Now()
		verdicts := f.find(t.Context(), "", numbered("u", 10_000))
		took := time.Since(began)
		asked := len(strings.Fields(server.questions()))
		if took > findTime || server.highest != findPerAsker || asked < 1000 || len(verdicts) != asked {
			t.Errorf("%d questions, %d answers, %d at once, in %v", asked, len(verdicts), server.highest, took)
		}

		server.set(func(r *registry) { r.highest = 0 })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { f.find(t.Context(), fmt.Sprint("user ", i%10), numbered(fmt.Sprint(i, "-"), 100)) })
		}
		all.Wait()
		if server.highest != findAtOnce {
			t.Errorf("%d questions of all at once", server.highest)
		}
		if began := time.Now(); f.find(t.Context(), "", []string{"u00000", "u00001"})["u00001"] != accountMissing || time.Since(began) > 10*time.Millisecond {
			t.Error("one who waits for nobody waits")
		}
	})
}

// Who has no key learns about so many accounts; of more nobody can tell, and what is known already is not counted.
func TestFinderBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &registry{}
		f := newFinder(server, time.Now)
		count := func(caller, name string, n int) (told int) {
			for _, v := range f.find(t.Context(), caller, numbered(name, n)) {
				if v == accountMissing {
					told++
				}
			}
			return told
		}
		if n := count("user eve", "a", findBurst+100); n != findBurst {
			t.Errorf("told of %d", n)
		}
		if n := count("user eve", "a", findBurst); n != findBurst {
			t.Errorf("of what is remembered told of %d", n)
		}
		if n := count("user eve", "b", 10); n != 0 {
			t.Errorf("beyond the budget told of %d", n)
		}
		if n := count("user lisi", "c", 10) + count("", "d", 2*findBurst); n != 10+2*findBurst {
			t.Errorf("others were told of %d", n)
		}
		time.Sleep(20 * time.Second / findRate)
		if n := count("user eve", "e", 100); n != 20 {
			t.Errorf("20 s later told of %d", n)
		}
	})
}

// A caller who goes away says nothing of the account.
func TestFinderForgetsWhoWasNotWaitedFor(t *testing.T) {
	server := &registry{silent: []string{"x"}}
	f := newFinder(server, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := f.find(ctx, "", []string{"x"})["x"]; v != accountUntold {
		t.Errorf("verdict %d", v)
	}
	if _, remembered := f.known.Get("x"); remembered {
		t.Error("it is remembered")
	}
}

// Of whom nobody can tell is taken, and is no user because of that.
func TestNobodyCanTell(t *testing.T) {
	h := newHarness(t)
	h.asked = &registry{fail: errors.New("no such thing")}
	h.begin(nil)
	g, members, err := h.CreateGroup(t.Context(), NewGroup{Owner: "lisi", Members: []string{"lisi", "stranger"}})
	if err != nil || h.members(g.ID) != "lisi stranger" || members.Skipped != nil {
		t.Errorf("%v, members %q, left out %v", err, h.members(g.ID), members.Skipped)
	}
	h.sync()
	if _, known := mustUsers(t, h, "stranger")["stranger"]; known {
		t.Error("the directory has learned somebody of whom nobody knows")
	}
}
