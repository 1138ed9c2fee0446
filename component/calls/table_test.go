package calls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/store"
)

// desk is a Table over rows in memory, with the receivers who have got their message.
type desk struct {
	*Table
	open   []store.Call
	parts  []store.CallPart
	done   map[string]store.CallEdit
	served []string
	refuse string // the receiver whose message the database cannot hold
	away   int    // how many transactions fail, before one succeeds
	old    int    // calls that can be forgotten
	before string // what they were asked for with
	log    doubles.Log
}

func newDesk(t *testing.T) *desk {
	d := &desk{done: map[string]store.CallEdit{}}
	d.Table = New(Deps{Store: d, Serve: d.serve, Epoch: func() int64 { return 7 }, Keep: time.Hour, Ended: t.Context().Done(),
		Log: slog.New(slog.NewTextHandler(&d.log, nil)), Now: time.Now})
	return d
}

func (d *desk) OpenCalls(context.Context) ([]store.Call, error) { return d.open, nil }

func (d *desk) CallParts(_ context.Context, id string, _, limit int) ([]store.CallPart, error) {
	list := slices.DeleteFunc(slices.Clone(d.parts), func(p store.CallPart) bool { return p.CallID != id })
	slices.SortFunc(list, func(a, b store.CallPart) int { return a.First - b.First })
	return list[:min(limit, len(list))], nil
}

func (d *desk) DeleteCalls(_ context.Context, epoch int64, before string, limit int) (int, error) {
	if epoch != 7 {
		return 0, store.ErrFenced
	}
	n := min(limit, d.old)
	d.old, d.before = d.old-n, before
	return n, nil
}

func (d *desk) serve(_ context.Context, _ *Underway, first int, to []string, change *store.Change) error {
	if d.away > 0 {
		d.away--
		return protocol.ErrUnavailable
	}
	if slices.Contains(to, d.refuse) {
		return protocol.Refuse(protocol.TooLarge, "too long")
	}
	for i, user := range to {
		d.served = append(d.served, fmt.Sprint(first+i, " ", user))
	}
	d.parts = slices.DeleteFunc(d.parts, func(p store.CallPart) bool {
		return slices.ContainsFunc(change.DropCallParts, func(drop store.CallPart) bool { return drop.CallID == p.CallID && drop.First == p.First })
	})
	d.parts = append(d.parts, change.CallParts...)
	for _, edit := range change.EditCalls {
		d.done[edit.ID] = edit
	}
	return nil
}

// cutShort lets a call to a, b, c and d be found that was begun before.
func (d *desk) cutShort(key string) string {
	id := NewID(time.Now())
	d.open = []store.Call{{ID: id, Key: key}}
	d.parts = []store.CallPart{{CallID: id, First: 1, To: []string{"a", "b"}}, {CallID: id, First: 3, To: []string{"c", "d"}}}
	return id
}

// finishes runs the table until the call that was found is over.
func (d *desk) finishes(t *testing.T) *Underway {
	t.Helper()
	if err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	u := d.Next()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		d.Run(ctx)
		close(ended)
	}()
	<-u.Over()
	stop()
	<-ended
	return u
}

// TestFinishes: what was begun is finished after a crash, each receiver once, however often the database is away.
func TestFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.cutShort("key")
		d.away = 20
		u := d.finishes(t)
		if got := strings.Join(d.served, ", "); got != "1 a, 2 b, 3 c, 4 d" || u.Err() != nil {
			t.Errorf(`got %s, %v, want "1 a, 2 b, 3 c, 4 d", no error`, got, u.Err())
		}
		if want := (store.CallEdit{ID: id, Done: true}); d.done[id] != want || d.Count() != 0 || d.Owns(MessageID(id, 1)) {
			t.Errorf("got %+v, %d under way, want %+v, none", d.done[id], d.Count(), want)
		}
	})
}

// TestUnservable: a receiver whose message cannot be stored does not keep the others from theirs, and the caller is told.
func TestUnservable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.cutShort("key")
		d.refuse = "b"
		u := d.finishes(t)
		if got := strings.Join(d.served, ", "); got != "1 a, 3 c, 4 d" {
			t.Errorf(`got %s, want "1 a, 3 c, 4 d"`, got)
		}
		var refused *protocol.Error
		if !errors.As(u.Err(), &refused) || refused.Code != protocol.TooLarge || d.done[id].Answer != string(protocol.TooLarge) {
			t.Errorf("got %v, %+v stored, want %s", u.Err(), d.done[id], protocol.TooLarge)
		}
		if d.log.Count("receiver=b") != 1 {
			t.Errorf("the log: got %s, want b named once", d.log.String())
		}
	})
}

// TestOneOfAKey: no two calls of a key, or about one business, are under way; those without are never in each other's way.
func TestOneOfAKey(t *testing.T) {
	for name, c := range map[string]struct {
		other store.Call
		waits bool
	}{
		"no key": {store.Call{}, false}, "another key": {store.Call{Key: "K", Business: "B"}, false},
		"the key": {store.Call{Key: "k"}, true}, "the business": {store.Call{Business: "b"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				first, u := NewUnderway(store.Call{ID: "1", Key: "k", Business: "b"}), NewUnderway(c.other)
				if err := d.Claim(t.Context(), first); err != nil {
					t.Fatal(err)
				}
				if !c.waits {
					if err := d.Claim(t.Context(), u); err != nil {
						t.Errorf("got %v, want no error", err)
					}
					return
				}
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := d.Claim(short, u); !errors.Is(err, protocol.ErrUnavailable) {
					t.Errorf("while it is under way: got %v, want %v", err, protocol.ErrUnavailable)
				}
				cancel()
				claimed := make(chan error)
				go func() { claimed <- d.Claim(t.Context(), u) }()
				synctest.Wait()
				select {
				case err := <-claimed:
					t.Errorf("while it is under way: got %v, want it to wait", err)
				default:
				}
				d.End(first, nil)
				if err := <-claimed; err != nil {
					t.Errorf("after its end: got %v, want no error", err)
				}
				d.End(u, nil)
				if err := d.Claim(t.Context(), NewUnderway(first.Call)); err != nil {
					t.Errorf("when both are over: got %v, want no error", err)
				}
			})
		})
	}
}

// TestSweep: calls are forgotten when their window is over, a page after the other.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.old = 2*maxSweepRows + 1
		want := IDFrom(time.Now().Add(-time.Hour + 2*sweepPause))
		if err := d.Sweep(t.Context()); err != nil || d.old != 0 || d.before != want {
			t.Errorf("got %v, %d left, those before %s, want none left before %s", err, d.old, d.before, want)
		}
	})
}
