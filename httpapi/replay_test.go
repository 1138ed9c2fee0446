package httpapi

import (
	"context"
	"fmt"
	"testing"

	"tlim/store"
)

// fullOutbox has dead events that are given up again as soon as they are replayed, because too many wait.
type fullOutbox struct{ dead, replayed int }

func (f *fullOutbox) Events(_ context.Context, _ bool, after string, limit int) (list []store.Event, err error) {
	for i := range f.dead {
		if id := fmt.Sprintf("%05d", i); id > after && len(list) < limit {
			list = append(list, store.Event{ID: id, Dead: true})
		}
	}
	return list, nil
}

func (f *fullOutbox) ReplayEvents(_ context.Context, ids []string, _ int64, _ store.AuditEvent) (int, error) {
	f.replayed += len(ids)
	return len(ids), nil
}

func TestReplayOfAllEnds(t *testing.T) {
	f := &fullOutbox{dead: 3*eventPage + 7}
	pages := 0
	for after := ""; pages < 10; pages++ {
		n, last, err := ReplayPage(t.Context(), f, after, func(int) store.AuditEvent { return store.AuditEvent{} }, 1)
		if err != nil {
			t.Fatal(err)
		}
		if last == "" {
			break
		}
		if n == 0 || last <= after {
			t.Fatalf("page %d: got %d replayed, to %s, want some, behind %s", pages, n, last, after)
		}
		after = last
	}
	if pages != 4 || f.replayed != f.dead {
		t.Errorf("got %d pages, %d replayed, want 4, %d", pages, f.replayed, f.dead)
	}
}
