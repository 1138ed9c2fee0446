package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestSharedReads: a caller waits for itself first, all callers together leave connections, and what is not marked never waits.
func TestSharedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSharedReads(16)
		enter := func(ctx context.Context) func() {
			t.Helper()
			leave, err := s.enter(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		greedy := Shared(t.Context(), "greedy", 2)
		var leaves []func()
		for range 2 {
			leaves = append(leaves, enter(greedy))
		}
		// The greedy caller's further reads wait, and take nobody's place in the common queue.
		waiting := make(chan error, 20)
		for range cap(waiting) {
			go func() {
				ctx, cancel := context.WithTimeout(greedy, time.Second)
				defer cancel()
				_, err := s.enter(ctx)
				waiting <- err
			}()
		}
		synctest.Wait()
		if len(s.all) != 2 {
			t.Errorf("%d turns are taken, want 2", len(s.all))
		}
		for i := range 2 {
			leaves = append(leaves, enter(Shared(t.Context(), fmt.Sprint("other", i), 2)))
		}
		// Now all four of sixteen are taken.
		late := make(chan func(), 1)
		go func() { late <- enter(Shared(t.Context(), "late", 2)) }()
		synctest.Wait()
		if len(late) != 0 {
			t.Error("a fifth read of callers runs, want it to wait")
		}
		enter(t.Context())() // messages
		for range cap(waiting) {
			if err := <-waiting; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
			}
		}
		leaves[2]()
		leaves[2] = <-late
		for _, leave := range leaves {
			leave()
		}
		if len(s.all) != 0 || len(s.own) != 0 {
			t.Errorf("got %d turns not given back, %d names kept, want none", len(s.all), len(s.own))
		}
	})
}

// TestSharedReadsWait: the store's reads go through it, all of them.
func TestSharedReadsWait(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: filepath.Join(t.TempDir(), "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(Shared(t.Context(), "x", 1))
	leave, err := s.shared.enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, _, err := s.Group(ctx, "g"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a read beyond the share: got %v, want %v", err, ErrUnavailable)
	}
	if _, _, err := s.Group(t.Context(), "g"); err != nil {
		t.Errorf("a read of nobody's: got %v, want no error", err)
	}
	leave()
}
