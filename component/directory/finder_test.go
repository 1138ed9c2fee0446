package directory

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/doubles"
)

func numbered(name string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%05d", name, i))
	}
	return list
}

// An answer is remembered for as long as it is likely to hold; what says nothing of the account is not.
func TestFinderRemembers(t *testing.T) {
	for name, c := range map[string]struct {
		server *doubles.Finder
		want   Verdict
		age    time.Duration // 0: it asks again at once
	}{
		"there":         {&doubles.Finder{There: []string{"x"}}, Found, foundAge},
		"not there":     {&doubles.Finder{}, Missing, missingAge},
		"does not tell": {&doubles.Finder{Fail: fmt.Errorf("ask: %w", ErrUntold)}, Untold, untoldAge},
		"silent":        {&doubles.Finder{Silent: []string{"x"}}, Untold, silentAge},
		"link down":     {&doubles.Finder{Fail: io.ErrClosedPipe}, Untold, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFinder(c.server, time.Now)
				ask := func(want string) {
					t.Helper()
					if got := f.find(t.Context(), "", []string{"x"})["x"]; got != c.want {
						t.Errorf("got %d, want %d", got, c.want)
					}
					if asked := c.server.Questions(); asked != want {
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
		server := &doubles.Finder{Takes: 10 * time.Millisecond}
		f := newFinder(server, time.Now)
		began := time.Now()
		verdicts := f.find(t.Context(), "", numbered("u", 10_000))
		took := time.Since(began)
		asked := len(strings.Fields(server.Questions()))
		highest := server.TakeHighest()
		if took > findTime || highest != maxFindingPerAsker || asked < 1000 || len(verdicts) != asked {
			t.Errorf("got %d questions, %d answers, %d at once, in %v; want at least 1000 questions, as many answers, %d at once, at most %v", asked, len(verdicts), highest, took, maxFindingPerAsker, findTime)
		}

		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { f.find(t.Context(), fmt.Sprint("user ", i%10), numbered(fmt.Sprint(i, "-"), 100)) })
		}
		all.Wait()
		if highest := server.TakeHighest(); highest != maxFinding {
			t.Errorf("got %d questions at once of all, want %d", highest, maxFinding)
		}
		if began := time.Now(); f.find(t.Context(), "", []string{"u00000", "u00001"})["u00001"] != Missing || time.Since(began) > 10*time.Millisecond {
			t.Error("one with nobody to ask about waits, want the answer at once")
		}
	})
}

// Who has no key learns about so many accounts; of more nobody can tell, and what is known already is not counted.
func TestFinderBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &doubles.Finder{}
		f := newFinder(server, time.Now)
		count := func(caller, name string, n int) (told int) {
			for _, v := range f.find(t.Context(), caller, numbered(name, n)) {
				if v == Missing {
					told++
				}
			}
			return told
		}
		if n := count("user eve", "a", findBurst+100); n != findBurst {
			t.Errorf("told of %d, want %d", n, findBurst)
		}
		if n := count("user eve", "a", findBurst); n != findBurst {
			t.Errorf("what is remembered: told of %d, want %d", n, findBurst)
		}
		if n := count("user eve", "b", 10); n != 0 {
			t.Errorf("beyond the budget: told of %d, want 0", n)
		}
		if n := count("user lisi", "c", 10) + count("", "d", 2*findBurst); n != 10+2*findBurst {
			t.Errorf("others: told of %d, want %d", n, 10+2*findBurst)
		}
		time.Sleep(20 * time.Second / findRate)
		if n := count("user eve", "e", 100); n != 20 {
			t.Errorf("20 s later: told of %d, want 20", n)
		}
	})
}

// A caller who goes away says nothing of the account.
func TestFinderForgetsWhoWasNotWaitedFor(t *testing.T) {
	server := &doubles.Finder{Silent: []string{"x"}}
	f := newFinder(server, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v := f.find(ctx, "", []string{"x"})["x"]; v != Untold {
		t.Errorf("got verdict %d, want %d", v, Untold)
	}
	if _, remembered := f.known.Get("x"); remembered {
		t.Error("x is remembered, want it forgotten")
	}
}
