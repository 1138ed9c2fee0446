package component

import (
	"context"
	"errors"
	"testing"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// TestMemoryChangesWithTheCommit: what a batch was to change in memory has not changed while it is decided, nor when it fails.
func TestMemoryChangesWithTheCommit(t *testing.T) {
	h := start(t, nil)
	var looking bool
	var seen []string
	change := func() error {
		return h.do(t.Context(), &task{plan: func(_ context.Context, b *batch) error {
			b.lookUpIDs()
			b.meet(stanza.JID{Local: "stranger", Domain: testServer})
			b.changes = append(b.changes, store.Change{})
			looking, seen = b.c.legacy, h.users.TakeUnlearned(10, nil)
			return nil
		}})
	}
	state := func() bool {
		err := h.do(t.Context(), &task{plan: func(_ context.Context, b *batch) error { looking = b.c.legacy; return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return looking
	}
	h.rec.breakWith(store.ErrUnavailable)
	if err := change(); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatalf("with a broken database: got %v, want %v", err, protocol.ErrUnavailable)
	}
	if looking || len(seen) > 0 {
		t.Errorf("while it was decided: got ids looked up: %v, users to learn: %q, want neither", looking, seen)
	}
	h.rec.breakWith(nil)
	if state() {
		t.Error("after it failed ids are looked up, want them not")
	}
	if err := change(); err != nil {
		t.Fatal(err)
	}
	if looking || len(seen) > 0 {
		t.Errorf("while it was decided again: got ids looked up: %v, users to learn: %q, want neither", looking, seen)
	}
	if !state() {
		t.Error("after the commit ids are not looked up, want them to be")
	}
	found, err := h.db.UsersByJID(t.Context(), []string{"stranger"})
	if err != nil || len(found) != 1 {
		t.Errorf("got %v, %v, want the stranger learned with the batch", found, err)
	}
}

// TestStrangersOfABrokenBatch: who writes with a message that the database cannot hold is learned all the same, once each message is decided by itself.
func TestStrangersOfABrokenBatch(t *testing.T) {
	h := start(t, nil)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && c.Message.MsgID == "m1" {
			return store.ErrData
		}
		return nil
	})
	release := h.busy()
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.post("stranger/p", text("m2", "stranger", "lisi", "x"))
	release()
	h.sync()
	found, err := h.db.UsersByJID(t.Context(), []string{"stranger"})
	if err != nil || len(found) != 1 {
		t.Errorf("got %v, %v, want the stranger learned", found, err)
	}
}
