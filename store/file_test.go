package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

func fileID(n int) string { return fmt.Sprintf("%032x", n) }

func TestFiles(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		whole := store.File{ID: fileID(1), Name: strings.Repeat("长", 255) + "😀", Type: "image/png", Size: 5 << 30, Digest: strings.Repeat("a", 64), Owner: "zhangsan", Time: clock(5)}
		bare := store.File{ID: fileID(2), Time: clock(6)}
		for _, f := range []store.File{whole, bare} {
			must[any](t)(nil, s.AddFile(ctx, f))
		}
		// Read by another process.
		other := open(t, cfg)
		for _, want := range []store.File{whole, bare} {
			got, found, err := other.GetFile(ctx, want.ID)
			if err != nil || !found || got != want {
				t.Errorf("%v, %v, %v, want %v", got, found, err, want)
			}
		}
		if got, found, err := s.GetFile(ctx, fileID(3)); err != nil || found || got != (store.File{}) {
			t.Errorf("a file that is not there: got %v, %v, %v, want nothing, false, no error", got, found, err)
		}

		equal(t, "stored by zhangsan", must[int64](t)(s.StoredBytes(ctx, "zhangsan")), 5<<30)
		equal(t, "stored by nobody known", must[int64](t)(s.StoredBytes(ctx, "Zhangsan")), 0)

		// What cannot be, is refused whole, and the store goes on.
		if err := s.AddFile(ctx, whole); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same id again: got %v, want %v", err, store.ErrDuplicate)
		}
		if err := s.AddFile(ctx, store.File{ID: fileID(4), Name: strings.Repeat("x", 257)}); !errors.Is(err, store.ErrData) {
			t.Errorf("a name that is too long: got %v, want %v", err, store.ErrData)
		}
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := s.AddFile(gone, store.File{ID: fileID(4)}); err == nil {
			equal(t, "no error", must[map[string]bool](t)(s.KnownFiles(ctx, []string{fileID(4)})), map[string]bool{fileID(4): true})
			must[any](t)(nil, s.DeleteFiles(ctx, []string{fileID(4)}))
		} else if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("cancelled: got %v, want %v", err, store.ErrUnavailable)
		}
		apply(t, s, epoch, tell(1, "a", "b")) // a write of the fenced kind still fits on

		equal(t, "known", must[map[string]bool](t)(s.KnownFiles(ctx, []string{fileID(1), fileID(9), fileID(2)})), map[string]bool{fileID(1): true, fileID(2): true})
		equal(t, "before", must[[]string](t)(s.FilesBefore(ctx, 1700000000006, 10)), []string{fileID(1)})
		equal(t, "limit", must[[]string](t)(s.FilesBefore(ctx, 1700000000007, 1)), []string{fileID(1)})
		equal(t, "counted", fmt.Sprint(must[int](t)(s.CountFilesBefore(ctx, 1700000000005)), must[int](t)(s.CountFilesBefore(ctx, 1700000000007))), "0 2")
		must[any](t)(nil, s.DeleteFiles(ctx, []string{fileID(1), fileID(9)}))
		equal(t, "left", must[[]string](t)(s.FilesBefore(ctx, 1700000000007, 10)), []string{fileID(2)})
	})
}

func TestFileUses(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		naming := func(c store.Change, files ...int) store.Change {
			for _, f := range files {
				c.FileUses = append(c.FileUses, store.FileUse{FileID: fileID(f), MsgID: c.Message.MsgID})
			}
			return c
		}
		first := naming(tell(1, "z", "l"), 1, 1, 2)
		second := naming(say(2, "l", "g", "[]"), 1)
		apply(t, s, epoch, first, second)

		parties := func(file int) (list []string) {
			for _, m := range must[[]store.Message](t)(s.FileMessages(ctx, fileID(file), 10)) {
				list = append(list, m.Type+" "+m.From+" "+m.To+" "+m.SessionID)
			}
			return list
		}
		equal(t, "who got file 1", parties(1), []string{"MTT-000 z l z", "MTS-000 l g g"})
		equal(t, "who got file 2", parties(2), []string{"MTT-000 z l z"})
		equal(t, "limit", len(must[[]store.Message](t)(s.FileMessages(ctx, fileID(1), 1))), 1)

		// A revoked message opens nothing, and its id may come again with the same file.
		apply(t, s, epoch, store.Change{DropMessages: []store.Drop{{MsgID: first.Message.MsgID, From: "z", To: "l"}}})
		equal(t, "after the revoke", parties(1), []string{"MTS-000 l g g"})
		again := naming(store.Change{Message: first.Message}, 1)
		apply(t, s, epoch, again)
		equal(t, "sent again", parties(1), []string{"MTT-000 z l z", "MTS-000 l g g"})

		must[any](t)(nil, s.DeleteFiles(ctx, []string{fileID(1)}))
		equal(t, "after the file is gone", parties(1), []string(nil))

		// Passed on very often: the oldest, whatever the order of the ids.
		var passed []store.Change
		for n := range 1100 {
			passed = append(passed, naming(tell(1000+(n*7)%1100, "z", "l"), 3))
		}
		apply(t, s, epoch, passed...)
		equal(t, "the oldest", ids(must[[]store.Message](t)(s.FileMessages(ctx, fileID(3), 3))), []string{"m1000", "m1001", "m1002"})
		equal(t, "all", len(must[[]store.Message](t)(s.FileMessages(ctx, fileID(3), 2000))), 1100)
	})
}
