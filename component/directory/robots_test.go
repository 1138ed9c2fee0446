package directory

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/store"
)

func declare(ids []string) (list []protocol.Robot) {
	for _, id := range ids {
		list = append(list, protocol.Robot{ID: id})
	}
	return list
}

// TestRobotsOfASlowServer: while a server is silent about most of the names that are declared, those of whom it was asked are made in the time that there is,
// a round goes on where the last one ended, and no robot gets the name of an account.
func TestRobotsOfASlowServer(t *testing.T) {
	h := newHarness(t, Config{}, with{}) // outside of the bubble, for its cache has a goroutine that never ends
	synctest.Test(t, func(t *testing.T) {
		ids := numbered("bot", 100)
		h.finder = newFinder(&doubles.Finder{Silent: ids[:99], There: ids[99:]}, h.clock.Now)
		rounds, made := 0, 0
		for ; ; rounds++ {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			err := h.KeepRobots(ctx, declare(ids))
			cancel()
			before := made
			made = len(*h.robots.known.Load())
			if !errors.Is(err, context.DeadlineExceeded) {
				if !strings.Contains(err.Error(), ids[99]) || strings.Contains(err.Error(), ids[98]) {
					t.Errorf("got %v, want the account alone refused", err)
				}
				break
			}
			if made-before < 50 {
				t.Fatalf("round %d: got %d robots made, want at least 50 in its time", rounds, made-before)
			}
		}
		if made != 99 || h.IsRobot(ids[99]) || rounds != 1 {
			t.Errorf("got %d robots after %d rounds without an end, want 99 after 1", made, rounds)
		}
	})
}

// TestRobotsApart: one robot whose id is a person's, or whom the database cannot hold, does not keep the others out.
func TestRobotsApart(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "zhangsan"}}))
	h.rec.guilty = func(c store.Change) error {
		for _, u := range c.Robots {
			if u.JID == "bot00003" {
				return store.ErrData
			}
		}
		return nil
	}
	ids := numbered("bot", 7)
	err := h.KeepRobots(t.Context(), declare(append([]string{"ZhangSan", "Bot00000"}, ids...)))
	var refused *protocol.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "ZhangSan") || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want two refused", err)
	}
	for i, id := range ids {
		if h.IsRobot(id) != (i != 3) {
			t.Errorf("%s: got a robot %t, want %t", id, h.IsRobot(id), i != 3)
		}
	}
	if u, _ := h.robots.of("bot00000"); u.ID != "Bot00000" || h.IsRobot("zhangsan") {
		t.Errorf("got %+v, want the first of two spellings, and zhangsan no robot", u)
	}
}
