package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/component/calls"
	"tlim/component/protocol"
	"tlim/store"
)

// tracked renders what is said of a call's receivers, page by page.
func (h *harness) tracked(id string, page int) string {
	h.t.Helper()
	n, found, err := h.Notice(h.t.Context(), id)
	if err != nil || !found {
		h.t.Fatalf("call %s: got found %v, %v, want true, no error", id, found, err)
	}
	var lines []string
	for after := 0; ; {
		list, err := h.TrackNotice(h.t.Context(), n, after, page)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(list) == 0 {
			return strings.Join(lines, "\n")
		}
		for _, r := range list {
			if r.MsgID != calls.MessageID(id, r.Number) || (r.Time == "") != (r.Stored == "waiting") || r.Number != after+1 {
				h.t.Errorf("got %+v, want the message id of its number, a time only if stored, the number %d", r, after+1)
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintln(r.User, r.Stored, r.Delivered, r.Pushed, r.Read)))
			after = r.Number
		}
	}
}

func TestTrack(t *testing.T) {
	h := startPushing(t, nil)
	h.online("lisi/p", "wangwu/p", "zhangsan/w[web]")
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.send("lisi/p", confirms("lisi", "m0")) // lisi's phone confirms, wangwu's does not
	h.sent("MTT-000 [] Zhangsan:x -> lisi/cl")
	h.sender.set(func(r *recordingSender) { r.hold = true })
	h.clock.Move(1000)
	id := h.notify(Notice{Receivers: []string{"lisi", "wangwu", "zhaoliu", "zhangsan", "stranger"}})
	is := func(want ...string) {
		t.Helper()
		if got := h.tracked(id, 2); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	}
	h.sent("MTB-000 [] 收到了一条审批消息 -> lisi/cl wangwu/cw zhangsan/cz")
	is("lisi stored sent sent 0", "wangwu stored sent sent 0", "zhaoliu stored queued  0", "zhangsan stored sent sent 0", "stranger stored queued  0")

	// The server has routed it; a phone confirms; a snapshot still sees wangwu's, and none of zhangsan's, who has written from one.
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.sender.answer(nil)
	h.send("lisi/p", confirms("lisi", calls.MessageID(id, 1)))
	h.clock.Move(h.cfg.Grace + 1)
	h.snapshot()
	h.clock.Move(h.cfg.Grace + 1)
	h.snapshot()
	h.sync()
	is("lisi stored confirmed sent 0", "wangwu stored routed sent 0", "zhaoliu stored queued  0", "zhangsan stored queued sent 0", "stranger stored queued  0")

	// It is fetched, read, revoked.
	if err := h.ClearOffline(t.Context(), "zhaoliu", []store.OfflineMessage{{Message: store.Message{MsgID: calls.MessageID(id, 3)}}}); err != nil {
		t.Fatal(err)
	}
	receipts := []store.Receipt{{ID: "r1", MsgID: calls.MessageID(id, 1), Sender: "admin", Reader: "lisi", Status: 2}, {ID: "r2", MsgID: calls.MessageID(id, 2), Sender: "admin", Reader: "lisi", Status: 1}}
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Receipts: receipts}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RemoveMessage(t.Context(), calls.MessageID(id, 5)); err != nil {
		t.Fatal(err)
	}
	is("lisi stored confirmed sent 2", "wangwu stored routed sent 0", "zhaoliu stored routed  0", "zhangsan stored queued sent 0", "stranger removed   0")

	for _, unknown := range []string{"", "x", calls.NewID(h.clock.Now()), calls.MessageID(id, 1), strings.ToUpper(id), id + "0", "{" + id + "}"} {
		t.Run(fmt.Sprintf("%q", unknown), func(t *testing.T) {
			if n, found, err := h.Notice(t.Context(), unknown); found || err != nil {
				t.Errorf("got %+v, %v, want it not found", n, err)
			}
		})
	}
}

// TestTrackOpen: of a call under way, those still to be served are listed behind the others, in whatever parts they stand.
func TestTrackOpen(t *testing.T) {
	h := start(t, nil)
	people := staff(2*noticeSlice + 7)
	reached := make(chan struct{}, 1000)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && slices.Contains(people[noticeSlice:], c.Message.To) {
			reached <- struct{}{}
			return store.ErrUnavailable
		}
		return nil
	})
	call := asked(Notice{Receivers: people, Key: "k"})
	done := make(chan error, 1)
	go func() {
		_, err := h.Notify(t.Context(), call)
		done <- err
	}()
	<-reached
	row, found, err := h.db.CallByKey(t.Context(), call.key())
	if !found || err != nil {
		t.Fatalf("got found %v, %v, want true, no error", found, err)
	}
	want := func(stored int) string {
		var lines []string
		for i, p := range people {
			if i < stored {
				lines = append(lines, p+" stored queued  0")
			} else {
				lines = append(lines, p+" waiting   0")
			}
		}
		return strings.Join(lines, "\n")
	}
	for _, page := range []int{7, noticeSlice, 10_000} {
		t.Run(fmt.Sprint("pages of ", page), func(t *testing.T) {
			if got := h.tracked(row.ID, page); got != want(noticeSlice) {
				t.Errorf("got\n%s\nwant\n%s", got, want(noticeSlice))
			}
		})
	}
	// Who has read their message knows the ids of the later ones, and takes none of them away.
	taken := calls.MessageID(row.ID, len(people))
	answer := string(protocol.TryLater)
	for answer == string(protocol.TryLater) && t.Context().Err() == nil { // in one batch with the call's next try it fails with it
		h.sender.take()
		h.send(people[0]+"/p", text(taken, people[0], "lisi", "x"))
		_, posts := h.sender.take()
		answer = refusals(posts)
	}
	if answer != string(protocol.IDConflict) {
		t.Errorf("the id of a later receiver: got %s, want %s", answer, string(protocol.IDConflict))
	}
	h.rec.failWhen(nil)
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.send(people[0]+"/p", text(row.ID[:calls.Stem]+"0000011", people[0], "lisi", "x")) // a message of their own, by now
	if got := h.tracked(row.ID, 100); got != want(len(people)) {
		t.Errorf("at the end: got\n%s\nwant\n%s", got, want(len(people)))
	}
}
