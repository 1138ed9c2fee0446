package component

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/component/protocol"
	"tlim/store"
)

// history lists the ids of a 1:1 history, newest first.
func (h *harness) history(a, b string) string {
	h.t.Helper()
	list, _, err := h.db.ChatHistory(h.t.Context(), a, b, store.Page{Length: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, m := range list {
		ids = append(ids, m.MsgID)
	}
	return strings.Join(ids, " ")
}

// code is the error code of err, "" for none.
func code(err error) protocol.Code {
	var refusal *protocol.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	if err != nil {
		return protocol.Code(err.Error())
	}
	return ""
}

func TestClearChat(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.send("lisi/p", text("m2", "lisi", "zhangsan", "b"))
	h.send("zhangsan/p", text("m3", "zhangsan", "wangwu", "c"))
	waits := h.queue("lisi")
	for range 2 { // clients repeat it
		if err := h.ClearChat(t.Context(), "ZhangSan", "lisi"); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.history("zhangsan", "lisi"); got != "" {
		t.Errorf(`left: got %s, want ""`, got)
	}
	if got := h.history("zhangsan", "wangwu"); got != "m3" {
		t.Errorf("another conversation: got %q, want m3", got)
	}
	if got := h.queue("lisi"); got != waits || got == "" {
		t.Errorf("the queue: got %q, want %q as before, not empty", got, waits)
	}
	if chats, err := h.db.ChatsOf(t.Context(), "zhangsan"); err != nil || len(chats) != 2 {
		t.Errorf("list entries: got %v, %v, want 2", chats, err)
	}
	// What was cleared does not come back.
	h.sender.take()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	if got, _ := h.sender.take(); len(got) != 0 || h.history("zhangsan", "lisi") != "" {
		t.Errorf(`a resent message: got deliveries %v, history %q, want none`, got, h.history("zhangsan", "lisi"))
	}
	if err := h.ClearChat(t.Context(), "zhangsan", " "); code(err) != protocol.UserIDInvalid {
		t.Errorf("nobody: %v, want %v", err, protocol.UserIDInvalid)
	}
}

// TestClearInSlices: a long history goes in transactions of maxEraseRows, chat passes between them, and what comes meanwhile stays.
func TestClearInSlices(t *testing.T) {
	h := start(t, nil)
	const n = 2*maxEraseRows + 3
	if err := h.do(t.Context(), &task{alone: true, plan: func(_ context.Context, b *batch) error {
		for i := range n {
			b.changes = append(b.changes, store.Change{Message: &store.Message{ID: protocol.NewID(), MsgID: fmt.Sprint("old", i), Type: "MTT-000", From: "zhangsan",
				To: "lisi", SessionID: "zhangsan", Body: "[]", Time: protocol.FormatTime(b.c.clock.Next(b.now, "x"))}})
		}
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	h.rec.take()
	sent := false
	h.rec.failWhen(func(c store.Change) error { // it sees every change before it is written
		if len(c.Erase) > 0 && !sent {
			sent = true
			h.post("zhangsan/p", text("new", "zhangsan", "lisi", "meanwhile"))
		}
		return nil
	})
	if err := h.ClearChat(t.Context(), "zhangsan", "lisi"); err != nil {
		t.Fatal(err)
	}
	h.sync()
	var slices []int
	for _, c := range h.rec.take() {
		if len(c.Erase) > 0 {
			slices = append(slices, len(c.Erase))
		}
	}
	if got := fmt.Sprint(slices); got != fmt.Sprint([]int{maxEraseRows, maxEraseRows, 3}) {
		t.Errorf("slices: got %s, want %v", got, []int{maxEraseRows, maxEraseRows, 3})
	}
	if got := h.history("zhangsan", "lisi"); got != "new" {
		t.Errorf("left: got %q, want new", got)
	}

	// Interrupted, it says so and goes on when it is repeated.
	h.rec.failWhen(func(c store.Change) error { return store.ErrUnavailable })
	if err := h.ClearChat(t.Context(), "zhangsan", "lisi"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("without a database: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.rec.failWhen(nil)
	if err := h.ClearChat(t.Context(), "zhangsan", "lisi"); err != nil || h.history("zhangsan", "lisi") != "" {
		t.Errorf(`repeated: got %v, history %q, want no error, an empty history`, err, h.history("zhangsan", "lisi"))
	}
}

func TestPurgeOnRemove(t *testing.T) {
	for _, purge := range []bool{true, false} {
		t.Run(fmt.Sprint("purge_on_remove ", purge), func(t *testing.T) {
			h := start(t, func(c *Config) { c.PurgeOnRemove = purge })
			g := h.makeGroup("zhangsan", "zhangsan", "lisi")
			for i := range maxEraseRows + 1 {
				h.post("lisi/p", groupText(fmt.Sprint("m", i), "lisi", g, "x"))
			}
			h.sync()
			h.send("zhangsan/p", groupText("mine", "zhangsan", g, "x"))
			h.rec.take()
			if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Remove: []string{"LISI", "nobody"}}); err != nil {
				t.Fatal(err)
			}
			list, total, err := h.db.GroupHistory(t.Context(), g, store.Page{Length: 1})
			want := int64(maxEraseRows + 2)
			if purge {
				want = 1
			}
			if err != nil || total != want || list[0].MsgID != "mine" {
				t.Errorf("got %d messages, %v, want %d, the first of them mine", total, err, want)
			}
			for _, c := range h.rec.take() {
				if len(c.Erase) > maxEraseRows {
					t.Errorf("got a slice of %d, want at most %d", len(c.Erase), maxEraseRows)
				}
			}
			if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: "gone", Remove: []string{"lisi"}}); code(err) != protocol.NoSuchGroup {
				t.Errorf("a group that is gone: %v, want %v", err, protocol.NoSuchGroup)
			}
		})
	}
}

func TestRemoveMessage(t *testing.T) {
	h := start(t, nil)
	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.online("lisi/phone") // what is sent to it is unconfirmed
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.send("zhangsan/p", groupText("m2", "zhangsan", g, "b"))
	h.send("zhangsan/p", text("m3", "zhangsan", "wangwu", "c"))
	h.send("wangwu/p", `{"msg_id":"r3","msg_type":"MTT-100","msg_from":"wangwu","msg_to":"zhangsan","body":[{"msg_id":"m3"}]}`)
	for _, id := range []string{"m1", "m2", "m3", "m3"} { // clients repeat it
		if found, err := h.RemoveMessage(t.Context(), id); !found || err != nil {
			t.Errorf("%s: got found %v, %v, want true, no error", id, found, err)
		}
	}
	if found, err := h.RemoveMessage(t.Context(), "never"); found || err != nil {
		t.Errorf("never stored: got found %v, %v, want false, no error", found, err)
	}
	h.offline("lisi/phone") // what is unconfirmed becomes rows
	h.sync()
	_, total, err := h.db.GroupHistory(t.Context(), g, store.Page{})
	if got := h.history("zhangsan", "lisi") + h.history("zhangsan", "wangwu") + h.queue("lisi") + h.queue("wangwu"); got != "" || total != 0 || err != nil {
		t.Errorf("left: got %q, %d in all, %v, want nothing", got, total, err)
	}
	if receipts, err := h.db.ReceiptsOf(t.Context(), "m3", "zhangsan"); len(receipts) != 0 || err != nil {
		t.Errorf("receipts: got %v, %v, want none", receipts, err)
	}
	// Sent again, it is acknowledged and goes nowhere.
	h.sender.take()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.send("zhangsan/p", groupText("m2", "zhangsan", g, "b"))
	if copies, posts := h.sender.take(); len(copies) != 0 || refusals(posts) != "acknowledgement acknowledgement" {
		t.Errorf(`resent: got copies %v, answers %s, want no copies, "acknowledgement acknowledgement"`, copies, refusals(posts))
	}
	if h.history("zhangsan", "lisi") != "" {
		t.Errorf("resent: got history %q, want none", h.history("zhangsan", "lisi"))
	}
}

func TestSwitchGroup(t *testing.T) {
	h := start(t, nil)
	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	valid := func() int {
		row, _, err := h.db.Group(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		return row.Valid
	}
	for _, want := range []int{1, 0, 1} {
		if err := h.SwitchGroup(t.Context(), g, want); err != nil || valid() != want {
			t.Errorf("switch to %d: got valid=%d, %v, want valid=%d and no error", want, valid(), err, want)
		}
	}
	h.send("lisi/p", groupText("m", "lisi", g, "x"))
	if valid() != 0 {
		t.Errorf("after a message the session is valid=%d, want 0: it stays closed", valid())
	}
	if err := h.SwitchGroup(t.Context(), "gone", 1); err != nil {
		t.Errorf("a group that is gone: got %v, want no error", err)
	}
}

func TestUnread(t *testing.T) {
	h := start(t, nil)
	g := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "b"))
	h.send("lisi/x[web]", groupText("m3", "lisi", g, "their own"))
	h.send("zhangsan/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"x"}]}`)
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: "[{}]", Receivers: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	// A phone that confirms: what it has not confirmed yet is unread as well, from memory.
	h.online("lisi/phone")
	h.send("lisi/phone", `{"msg_id":"k","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"other"}]}`)
	h.send("zhangsan/p", groupText("m4", "zhangsan", g, "owed"))
	h.send("zhangsan/p", text("m5", "zhangsan", "lisi", "owed"))
	unread := func(user string) string {
		list, err := h.Unread(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, u := range list {
			fmt.Fprintf(&b, "%s/%s/%d ", strings.Replace(u.SessionID, g, "G", 1), u.Family, u.Count)
		}
		return b.String()
	}
	if got := unread("LiSi"); got != "zhangsan/MTT/3 G/MTS/1 admin/MTB/1 " && got != "G/MTS/1 zhangsan/MTT/3 admin/MTB/1 " {
		t.Errorf(`unread: got %s, want "G/MTS/1 zhangsan/MTT/3 admin/MTB/1 "`, got)
	}
	h.offline("lisi/phone") // memory becomes rows: nothing counts twice
	h.sync()
	if got := unread("lisi"); !strings.Contains(got, "zhangsan/MTT/3") || !strings.Contains(got, "G/MTS/1") {
		t.Errorf("unread after the phone went: got %s, want zhangsan/MTT/3 and G/MTS/1 in it", got)
	}
	if got := unread("nobody"); got != "" {
		t.Errorf(`nobody: got %s, want ""`, got)
	}
}

func TestAnnouncements(t *testing.T) {
	h := start(t, nil)
	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	post := store.Announcement{Title: "放假", Content: "明天", UserID: "ZhangSan", SessionID: g}
	if err := h.Post(t.Context(), post, false); err != nil {
		t.Fatal(err)
	}
	list, err := h.db.Announcements(t.Context(), g, "", 10)
	if err != nil || len(list) != 1 || list[0].UserID != "zhangsan" || list[0].Time != "1600000000000" || list[0].ID == "" || list[0].Title != "放假" {
		t.Fatalf("posted: got %+v, %v, want one 放假 of zhangsan at 1600000000000, with an id", list, err)
	}
	title := "改期"
	if found, err := h.EditPost(t.Context(), store.AnnouncementEdit{ID: list[0].ID, Title: &title}); !found || err != nil {
		t.Errorf("edit: got found %v, %v, want true, no error", found, err)
	}
	if a, _, err := h.db.Announcement(t.Context(), list[0].ID); a.Title != title || a.Content != "明天" || err != nil {
		t.Errorf("edited: got %+v, %v, want the title %q, the content 明天", a, err, title)
	}
	if found, err := h.EditPost(t.Context(), store.AnnouncementEdit{ID: "gone", Title: &title}); found || err != nil {
		t.Errorf("edit what is gone: got found %v, %v, want false, no error", found, err)
	}
	for range 2 {
		if err := h.DeletePost(t.Context(), list[0].ID); err != nil {
			t.Errorf("delete: got %v, want no error, also the second time", err)
		}
	}
	if list, err := h.db.Announcements(t.Context(), g, "", 10); err != nil || len(list) != 0 {
		t.Errorf("deleted: got %+v, %v, want none", list, err)
	}

	long, bad := strings.Repeat("长", protocol.MaxName+1), "\x01"
	huge := strings.Repeat("x", 64<<10+1)
	for want, a := range map[protocol.Code]store.Announcement{
		protocol.UserIDInvalid: {Title: "x", UserID: " ", SessionID: g},
		protocol.BodyEmpty:     {UserID: "lisi", SessionID: g},
		protocol.NoSuchGroup:   {Title: "x", UserID: "lisi", SessionID: "gone"},
		protocol.GroupIDEmpty:  {Title: "x", UserID: "lisi"},
		protocol.TooLarge:      {Title: long, UserID: "lisi", SessionID: g},
		protocol.NotJSON:       {Title: bad, UserID: "lisi", SessionID: g},
	} {
		t.Run(string(want), func(t *testing.T) {
			if err := h.Post(t.Context(), a, false); code(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
	if err := h.Post(t.Context(), store.Announcement{Content: huge, UserID: "lisi", SessionID: g}, false); code(err) != protocol.TooLarge {
		t.Errorf("huge: %v, want %v", err, protocol.TooLarge)
	}
	if _, err := h.EditPost(t.Context(), store.AnnouncementEdit{ID: "x", Title: &long}); code(err) != protocol.TooLarge {
		t.Errorf("long edit: %v, want %v", err, protocol.TooLarge)
	}
	h.rec.breakWith(store.ErrUnavailable)
	if err := h.Post(t.Context(), post, false); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("without a database: got %v, want %v", err, protocol.ErrUnavailable)
	}
}

func TestSetStyle(t *testing.T) {
	h := start(t, nil)
	for value := range 3 {
		if err := h.SetStyle(t.Context(), store.Style{Name: "theme", Value: value, UserID: "LISI"}, false); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := h.db.StylesOf(t.Context(), "lisi"); err != nil || len(list) != 1 || list[0].Value != 2 || list[0].ID == "" {
		t.Errorf("styles: got %+v, %v, want 1 with an id and the value 2", list, err)
	}
	for want, y := range map[protocol.Code]store.Style{protocol.UserIDInvalid: {Name: "x"}, protocol.TooLarge: {Name: strings.Repeat("x", 65), UserID: "lisi"}} {
		t.Run(string(want), func(t *testing.T) {
			if err := h.SetStyle(t.Context(), y, false); code(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
