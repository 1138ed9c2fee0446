package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/doubles"
	"tlim/store"
)

// leftovers are what dissolved groups left: so many transactions are needed for each.
type leftovers struct {
	mu     sync.Mutex
	list   []store.Purge
	queues map[string]int
	need   map[string]int
	asked  []string
	fail   error
}

func (l *leftovers) Purges(context.Context) ([]store.Purge, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list), nil
}

func (l *leftovers) PurgeQueue(_ context.Context, epoch int64, p store.Purge, except string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queues[p.SessionID] == 0 {
		return true, nil
	}
	l.asked = append(l.asked, fmt.Sprint(p.SessionID, " ", epoch, " but ", except))
	l.queues[p.SessionID]--
	return l.queues[p.SessionID] == 0, nil
}

func (l *leftovers) PurgeSome(_ context.Context, epoch int64, p store.Purge, limit int) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, fmt.Sprint(p.SessionID, " ", epoch, " ", limit))
	if l.fail != nil {
		return false, l.fail
	}
	l.need[p.SessionID]--
	done := l.need[p.SessionID] == 0
	if done {
		l.list = slices.DeleteFunc(l.list, func(q store.Purge) bool { return q.SessionID == p.SessionID })
	}
	return done, nil
}

// TestPurge: what a group left goes in bounded transactions with a pause after each; what waits for phones at once, the rest not before its notices are
// delivered.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delivered := int64(1_600_000_000_000)
		l := &leftovers{list: []store.Purge{{SessionID: "g", Time: "1600000000000"}, {SessionID: "late", Time: "1600000000001"}}, need: map[string]int{"g": 3, "late": 1}, queues: map[string]int{"g": 2, "late": 1}}
		var log doubles.Log
		p := NewPurger(l, func() int64 { return 7 }, func() int64 { return delivered }, "MTS-107", slog.New(slog.NewTextHandler(&log, nil)))
		begin := time.Now()
		if err := p.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		each := fmt.Sprint("g 7 ", maxPurgeRows)
		if got, want := strings.Join(l.asked, ", "), strings.Join([]string{"g 7 but MTS-107", "g 7 but MTS-107", each, each, each, "late 7 but MTS-107"}, ", "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if took := time.Since(begin); took != 6*purgePause {
			t.Errorf("took %v, want %v", took, 6*purgePause)
		}
		if log.Count("session_id=g") != 1 || log.Count("session_id=late") != 0 {
			t.Errorf("the log: got %s, want g alone", log.String())
		}
		delivered++
		if err := p.Purge(t.Context()); err != nil || len(l.list) != 0 {
			t.Errorf("when all is delivered: got %v, %v left, want nothing", err, l.list)
		}
	})
}

// TestPurgerIsWoken: a Purger begins at once when it is woken, and what the database refused it tries again by itself.
func TestPurgerIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leftovers{need: map[string]int{"g": 1}, fail: errors.New("deadlock")}
		var log doubles.Log
		p := NewPurger(l, func() int64 { return 7 }, func() int64 { return 1 }, "MTS-107", slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			p.Run(ctx)
			close(ended)
		}()
		synctest.Wait()
		l.mu.Lock()
		l.list = []store.Purge{{SessionID: "g", Time: "1"}}
		l.mu.Unlock()
		p.Wake()
		time.Sleep(purgePause) // behind the queue, of which nothing is left
		synctest.Wait()
		l.mu.Lock()
		if len(l.asked) != 1 || log.Count("deadlock") != 1 {
			t.Errorf("after Wake: asked %q, log %s, want once, the error", l.asked, log.String())
		}
		l.fail = nil
		l.mu.Unlock()
		time.Sleep(purgePeriod + time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.list) != 0 {
			t.Errorf("after %v: got %v left, want nothing", purgePeriod, l.list)
		}
		stop()
		<-ended
	})
}

// TestSwitchedOff: a Cleaner that is not enabled waits for no midnight, and ends with its context.
func TestSwitchedOff(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	New(Config{Days: 1, Interval: time.Hour}, Deps{Now: time.Now, Wait: func(context.Context, time.Duration) error {
		t.Error("it waits for the next midnight, want it to end")
		return errors.New("off")
	}}).Run(ctx)
}
