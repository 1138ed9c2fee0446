package component

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/calls"
	"tlim/component/outbox"
	"tlim/component/tracking"
	"tlim/store"
)

// TestRemind: who has not read a notice gets another push, and nobody else does.
func TestRemind(t *testing.T) {
	h := startPushing(t, nil)
	for user, code := range map[string]string{"zhaoliu": "cu", "wangwu": "cw", "lisi": "cl"} {
		h.register(user, code)
	}
	id := h.notify(Notice{Body: `[{"docTitle":"请假单"}]`, Receivers: []string{"zhangsan", "lisi", "wangwu", "zhaoliu"}})
	message := func(n int) string { return calls.MessageID(id, n) }
	h.sent("MTB-000 [] 收到了一条审批消息 -> zhangsan/cz lisi/cl wangwu/cw zhaoliu/cu")
	remind := func(want Reminded) {
		t.Helper()
		n, found, err := h.Notice(t.Context(), id)
		if err != nil || !found {
			t.Fatalf("notice %s: got found %v, %v, want true, no error", id, found, err)
		}
		if got, err := h.Remind(t.Context(), n); got != want || err != nil {
			t.Errorf("got %+v, %v, want %+v, no error", got, err, want)
		}
	}
	read := func(user string, n int) {
		t.Helper()
		receipt := store.Receipt{ID: "r" + user, MsgID: message(n), Sender: "admin", Reader: user, Status: 2}
		if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Receipts: []store.Receipt{receipt}}}); err != nil {
			t.Fatal(err)
		}
	}

	// 1. Too early for those who had a push just now.
	remind(Reminded{Recent: 4})
	h.sent()

	// 2. One has read it, the message of one was revoked, one has left: the fourth is reminded, and again, but not at once.
	h.clock.Move(outbox.Spacing + time.Second)
	read("lisi", 2)
	if found, err := h.RemoveMessage(t.Context(), message(3)); !found || err != nil {
		t.Fatalf("remove %s: got found %v, %v, want true, no error", message(3), found, err)
	}
	h.drained()
	h.vendor.take()
	if err := h.RemoveUsers(t.Context(), []string{"zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	remind(Reminded{Pushed: 1, Read: 1, Removed: 1, Unreachable: 1})
	h.sent("MTB-000 [] 收到了一条审批消息 -> zhangsan/cz")
	remind(Reminded{Recent: 1, Read: 1, Removed: 1, Unreachable: 1})
	h.clock.Move(outbox.Spacing + time.Second)
	remind(Reminded{Pushed: 1, Read: 1, Removed: 1, Unreachable: 1})
	h.sent("MTB-000 [] 收到了一条审批消息 -> zhangsan/cz")

	// 3. What the list says of it.
	list, next, err := h.Notices(t.Context(), "", 10)
	if err != nil || next != "" || len(list) != 1 {
		t.Fatalf("got %+v, next %q, %v, want one notice", list, next, err)
	}
	want := tracking.Summary{CallID: id, Caller: "oa", Type: "MTB-000", Title: "请假单", Made: list[0].Made, Receivers: 4, Stored: 3, Delivered: list[0].Delivered, Pushed: 4, Read: 1}
	if list[0] != want {
		t.Errorf("got %+v, want %+v", list[0], want)
	}
}

// TestRemindMany: a notice with more receivers than a slice is worked through, each phone once.
func TestRemindMany(t *testing.T) {
	h := startPushing(t, nil)
	people := staff(2*noticeSlice + 3)
	id := h.notify(Notice{Receivers: people})
	h.drained()
	h.vendor.take()
	for i := range 3 { // of each slice one
		h.register(people[i*noticeSlice+1], fmt.Sprint("code", i))
	}
	n, _, err := h.Notice(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Remind(t.Context(), n)
	if want := (Reminded{Pushed: 3, Unreachable: len(people) - 3}); got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v, no error", got, err, want)
	}
	h.drained()
	sent := strings.Join(h.vendor.take(), "\n") // in one request or in several, as the worker wakes up between two slices or not
	for i := range 3 {
		if code := fmt.Sprint("code", i); strings.Count(sent, code) != 1 {
			t.Errorf("%s: got %s, want it once", code, sent)
		}
	}
}

// TestRemindWithoutChannel: where no push of that type can leave, nobody is said to be reminded.
func TestRemindWithoutChannel(t *testing.T) {
	h := startPushing(t, nil, "MTT-")
	id := h.notify(Notice{Receivers: []string{"zhangsan"}})
	n, _, err := h.Notice(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Remind(t.Context(), n); !errors.Is(err, ErrNoPushes) || got.Pushed > 0 {
		t.Errorf("got %+v, %v, want %v", got, err, ErrNoPushes)
	}
}

// TestNoticesPages: newest first, page by page, each call once, those without a key too.
func TestNoticesPages(t *testing.T) {
	h := start(t, nil)
	var made []string
	for i := range 5 {
		h.clock.Move(time.Second)
		made = append([]string{h.notify(Notice{Receivers: []string{"lisi"}, Key: []string{"", fmt.Sprint("k", i)}[i%2]})}, made...)
	}
	var got []string
	for after := ""; ; {
		page, next, err := h.Notices(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range page {
			got = append(got, n.CallID)
			if n.Stored != 1 || n.Receivers != 1 || n.Open {
				t.Errorf("got %+v, want one receiver, stored", n)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(made) {
		t.Errorf("got %q, want %q", got, made)
	}
}
