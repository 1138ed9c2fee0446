package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"tlim/store"
)

// A long history is counted once and then from where that ended; whatever this process deletes, and time, make it count anew.
func TestTotalOfLongHistory(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		now := time.UnixMilli(1700000000000).Add(time.Hour)
		cfg.Now = func() time.Time { return now }
		s, epoch := owned(t, cfg)
		const n = 10_000
		write := func(from, to int) {
			t.Helper()
			changes := make([]store.Change, 0, to-from)
			for i := from; i < to; i++ {
				c := say(i, "z", "g", "[]")
				c.IDs = nil
				changes = append(changes, c)
			}
			apply(t, s, epoch, changes...)
		}
		total := func(what string, want int64) {
			t.Helper()
			for range 2 {
				if _, got, err := s.GroupHistory(ctx, "g", store.Page{Length: 1, BeforeTime: clock(5)}); got != want || err != nil {
					t.Errorf("%s: got %d, %v, want %d", what, got, err, want)
				}
			}
		}
		db := e.raw(t, cfg)
		aside := func(query string) {
			t.Helper()
			run(t, db, query)
		}
		write(0, n-1)
		aside("DELETE FROM ofmessage WHERE msg_time = '" + clock(3) + "'")
		total("a short history is counted each time", n-2)
		aside("UPDATE ofmessage SET session_id = 'h' WHERE msg_time = '" + clock(4) + "'")
		total("so that nothing is missed", n-3)

		write(n-1, n+3)
		total("a long one", n+1)
		write(n+3, n+10)
		total("what came since", n+8)
		if _, got, err := s.GroupHistory(ctx, "h", store.Page{}); got != 1 || err != nil {
			t.Errorf("another history: got %d, %v, want 1, no error", got, err)
		}
		aside("DELETE FROM ofmessage WHERE msg_time = '" + clock(7) + "'")
		total("what somebody else deletes is not seen", n+8)
		now = now.Add(time.Minute)
		total("until a minute later", n+7)

		found, _, err := s.GroupHistory(ctx, "g", store.Page{Start: 100, Length: 3})
		if err != nil || len(found) != 3 {
			t.Fatalf("got %v, %v, want no error, 3 found", found, err)
		}
		apply(t, s, epoch, store.Change{DropMessages: []store.Drop{{MsgID: found[0].MsgID, SessionID: "g"}}})
		total("a revoked message", n+6)
		apply(t, s, epoch, store.Change{Erase: []store.Erased{{ID: found[1].ID, MsgID: found[1].MsgID, From: "z"}}})
		total("an erased one", n+5)
		apply(t, s, epoch, store.Change{DropAuthors: []store.Author{{SessionID: "h", UserID: "z"}}})
		if _, got, err := s.GroupHistory(ctx, "h", store.Page{}); got != 0 || err != nil {
			t.Errorf("the other history: got %d, %v, want 0, no error", got, err)
		}

		// A time beyond the clock's would hide what is written next.
		far := say(n+10, "z", "g", "[]")
		far.IDs, far.Message.Time = nil, fmt.Sprint(now.UnixMilli()+1)
		apply(t, s, epoch, far, store.Change{DropMessages: []store.Drop{{MsgID: found[2].MsgID, SessionID: "g"}}})
		total("with a message of tomorrow", n+5)
		write(n+11, n+12)
		total("and one of today behind it", n+6)
	})
}

// A count never brings back what was deleted while it ran.
func TestTotalWhileDeleting(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		const n, gone = 10_030, 20
		changes := make([]store.Change, n)
		for i := range changes {
			changes[i] = say(i, "z", "g", "[]")
			changes[i].IDs = nil
		}
		apply(t, s, epoch, changes...)
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				last := int64(n)
				for {
					select {
					case <-stop:
						return
					default:
					}
					_, got, err := s.GroupHistory(ctx, "g", store.Page{})
					if err != nil || got > last {
						t.Errorf("%d after %d, %v, want no error", got, last, err)
						return
					}
					last = got
				}
			})
		}
		for i := range gone {
			apply(t, s, epoch, store.Change{DropMessages: []store.Drop{{MsgID: changes[i].Message.MsgID, SessionID: "g"}}})
			if _, got, err := s.GroupHistory(ctx, "g", store.Page{}); err != nil || got != int64(n-1-i) {
				t.Fatalf("%d after %d deletions, %v, want %d, no error", got, i+1, err, int64(n-1-i))
			}
		}
		close(stop)
		readers.Wait()
	})
}
