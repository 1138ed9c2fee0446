package component

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/cache"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

func codeOf(err error) protocol.Code {
	var refusal *protocol.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	if err != nil {
		return protocol.Code(err.Error())
	}
	return ""
}

func (h *harness) members(id string) string {
	h.t.Helper()
	rows, err := h.db.Members(h.t.Context(), []string{id})
	if err != nil {
		h.t.Fatal(err)
	}
	var list []string
	for _, m := range rows[id] {
		list = append(list, m.UserID)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestCreateGroup(t *testing.T) {
	h := start(t, nil)
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Users: []store.User{{ID: "noname", JID: "noname"}}}}); err != nil { // old tables
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		group         GroupSpec
		code          protocol.Code
		owner, called string
		members       string
	}{
		"plain":                {GroupSpec{Owner: "zhangsan", Members: []string{"zhangsan", "lisi"}}, "", "zhangsan", "Zhangsan,Lisi", "lisi zhangsan"},
		"owner not listed":     {GroupSpec{Owner: "zhangsan", Members: []string{"lisi"}}, "", "zhangsan", "Lisi", "lisi"},
		"unknown owner":        {GroupSpec{Owner: "Admin", Members: []string{"lisi"}}, "", "admin", "Lisi", "lisi"},
		"without a name":       {GroupSpec{Owner: "zhangsan", Members: []string{"noname", "lisi"}}, "", "zhangsan", "noname,Lisi", "lisi noname"},
		"unknown and repeated": {GroupSpec{Owner: "zhangsan", Members: []string{"nobody", "LISI", "lisi", "", "\u0001"}}, "", "zhangsan", "Lisi", "lisi"},
		"nobody known":         {GroupSpec{Owner: "zhangsan", Members: []string{"nobody"}}, protocol.GroupNotCreated, "", "", ""},
		"no members":           {GroupSpec{Owner: "zhangsan"}, protocol.GroupNotCreated, "", "", ""},
		"no owner":             {GroupSpec{Members: []string{"lisi"}}, protocol.GroupOwnerInvalid, "", "", ""},
		"impossible owner":     {GroupSpec{Owner: "\u0001", Members: []string{"lisi"}}, protocol.GroupOwnerInvalid, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g, members, err := h.CreateGroup(t.Context(), c.group)
			if codeOf(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if err != nil {
				return
			}
			if g.Owner != c.owner || g.Name != c.called || h.members(g.ID) != c.members || len(members.Taken) != len(strings.Fields(c.members)) {
				t.Errorf("got %+v, members %s, %d taken; want owner %s, name %s, members %s, all of them taken", g, h.members(g.ID), len(members.Taken), c.owner, c.called, c.members)
			}
			rows, err := h.db.Groups(t.Context(), []string{g.ID})
			if err != nil || rows[g.ID] != g {
				t.Errorf("stored %+v, %v, want %+v as answered", rows[g.ID], err, g)
			}
		})
	}
	var users []store.User
	var ids []string
	for i := range 60 {
		id := fmt.Sprintf("user%02d", i)
		users, ids = append(users, store.User{ID: id, Name: "张三李四"}), append(ids, id)
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	g, members, err := h.CreateGroup(t.Context(), GroupSpec{Type: 1, Owner: "zhangsan", Members: ids})
	if err != nil || len([]rune(g.Name)) != 200 || len(members.Taken) != 60 || g.Type != 1 {
		t.Errorf("a long name: got %d characters, %d members, type %v, %v, want 200, 60, 1, no error", len([]rune(g.Name)), len(members.Taken), g.Type, err)
	}
}

// Chat waits while a call looks at the ids that it names: a megabyte of them may not cost their square. (It took 40 s.)
func TestManyMembers(t *testing.T) {
	h := start(t, nil)
	ids := make([]string, 0, 100_000)
	for i := range cap(ids) {
		ids = append(ids, fmt.Sprintf("nobody%059d", i)) // too long for an id: there is nobody to ask about
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	g, _, err := h.CreateGroup(ctx, GroupSpec{Owner: "zhangsan", Members: append(ids, "lisi", "zhangsan")})
	if err != nil || h.members(g.ID) != "lisi zhangsan" {
		t.Fatalf(`got members %q, %v, want "lisi zhangsan", no error`, h.members(g.ID), err)
	}

	big := &cache.Group{Rows: make([]store.Member, 300)}
	for i := range big.Rows {
		big.Rows[i].UserID = ids[i]
	}
	cost := testing.AllocsPerRun(1, func() {
		if found := big.Find(ids[299:1000]); len(found) != 1 || found[0].UserID != ids[299] {
			t.Errorf("found: got %v, want %s alone", found, ids[299])
		}
	})
	if cost > 10*1000 {
		t.Errorf("300 members and 700 names cost %v allocations, want at most %v", cost, 10*1000)
	}
	if found := (&cache.Group{Rows: []store.Member{{UserID: "@"}}}).Find([]string{"", "lisi"}); len(found) != 0 {
		t.Errorf("an id that cannot be one: got %v, want nothing found", found)
	}
}

func TestModifyGroup(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	modify := func(e GroupEdit, code protocol.Code, members string) {
		t.Helper()
		h.clock.Move(time.Second)
		at, err := h.ModifyGroup(t.Context(), e)
		if codeOf(err) != code || h.members(id) != members {
			t.Errorf("%+v: got %v, members %s, want %v, members %s", e, err, h.members(id), code, members)
		}
		if rows, err := h.db.Groups(t.Context(), []string{id}); err != nil || code == "" && (rows[id].ModifyTime != at.Time || at.Time != protocol.FormatTime(h.clock.Now().UnixMilli())) {
			t.Errorf("%+v: got modified at %s, answered %s, %v, want both to be now, no error", e, rows[id].ModifyTime, at, err)
		}
	}
	modify(GroupEdit{ID: id, Name: "新名字 😀"}, "", "lisi zhangsan")
	modify(GroupEdit{ID: id, Add: []string{"wangwu", "nobody", "WangWu"}}, "", "lisi wangwu zhangsan")
	modify(GroupEdit{ID: id, Add: []string{"wangwu"}, Remove: []string{"LISI", "nobody"}}, "", "wangwu zhangsan")
	modify(GroupEdit{ID: id, Remove: []string{"nobody"}}, "", "wangwu zhangsan")
	modify(GroupEdit{ID: id}, protocol.GroupNameEmpty, "wangwu zhangsan")
	modify(GroupEdit{ID: "nowhere", Name: "x"}, protocol.NoSuchGroup, "wangwu zhangsan")
	modify(GroupEdit{Name: "x"}, protocol.GroupIDEmpty, "wangwu zhangsan")
	modify(GroupEdit{ID: id, Name: strings.Repeat("名", 257)}, protocol.TooLarge, "wangwu zhangsan")
	modify(GroupEdit{ID: id, Name: "a\u0001"}, protocol.GroupNameEmpty, "wangwu zhangsan")
	rows, err := h.db.Groups(t.Context(), []string{id})
	if err != nil || rows[id].Name != "新名字 😀" {
		t.Errorf(`got %+v, %v, want the name "新名字 😀"`, rows, err)
	}
	pic := "/pic/1.png"
	if err := h.SetGroupPicture(t.Context(), id, pic); err != nil {
		t.Error(err)
	}
	if rows, _ := h.db.Groups(t.Context(), []string{id}); rows[id].Pic != pic {
		t.Errorf("got %+v, want the picture %v", rows, pic)
	}
	if err := h.SetGroupPicture(t.Context(), id, strings.Repeat("p", 257)); codeOf(err) != protocol.TooLarge {
		t.Errorf("a picture of 257 characters: got %v, want %v", err, protocol.TooLarge)
	}
	// What is gone is no error: clients repeat these calls.
	for range 2 {
		if _, err := h.DeleteGroup(t.Context(), id); err != nil {
			t.Error(err)
		}
		if err := h.Dissolve(t.Context(), id); err != nil {
			t.Error(err)
		}
		if err := h.SetGroupPicture(t.Context(), id, pic); err != nil {
			t.Error(err)
		}
	}
	if h.members(id) != "" {
		t.Errorf("members of a deleted group: got %s, want none", h.members(id))
	}
}

// TestAddRefreshes: a member who is added again is one row, with what the directory says by now.
func TestAddRefreshes(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.clock.Move(time.Second)
	old := store.Member{SessionID: id, UserID: "lisi", UserName: "old", Login: "old", Pic: "/old.png", Since: "1"} // as legacy
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Members: []store.Member{old}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Add: []string{"LISI"}}); err != nil {
		t.Fatal(err)
	}
	rows, err := h.db.Members(t.Context(), []string{id})
	if err != nil || h.members(id) != "lisi zhangsan" {
		t.Fatalf(`got members %q, %v, want "lisi zhangsan", no error`, h.members(id), err)
	}
	for _, m := range rows[id] {
		if m.UserID == "lisi" && (m.UserName != "Lisi" || m.Login != "" || m.Pic != "" || m.Since != "1600000000000") {
			t.Errorf("refreshed: got %+v, want the name Lisi, no login, no picture, since 1600000000000", m)
		}
	}
}

// TestDeleteGroupTellsNobody: the group and its members go; its messages, receipts, announcements and what waits for phones stay.
func TestDeleteGroupTellsNobody(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("zhangsan/p", groupText("m1", "zhangsan", id, "x"))
	if err := h.Post(t.Context(), store.Announcement{SessionID: id, UserID: "lisi", Title: "t"}, false); err != nil {
		t.Fatal(err)
	}
	waits := h.queue("lisi")
	h.sender.take()
	if _, err := h.DeleteGroup(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.sync()
	if told, _ := h.sender.take(); len(told) != 0 {
		t.Errorf("told: got %v, want none", told)
	}
	if _, found, err := h.db.Group(t.Context(), id); found || err != nil || h.members(id) != "" {
		t.Errorf(`the group: got found %v, members %q, %v, want it gone`, found, h.members(id), err)
	}
	if list, total, err := h.db.GroupHistory(t.Context(), id, store.Page{Length: 9}); err != nil || total != 1 || list[0].MsgID != "m1" {
		t.Errorf("messages: got %v, %v, want m1 alone", list, err)
	}
	if purges, err := h.db.Purges(t.Context()); err != nil || len(purges) != 0 {
		t.Errorf("still to be purged: got %v, %v, want nothing", purges, err)
	}
	if got := h.queue("lisi"); got != waits || got == "" {
		t.Errorf("the queue: got %q, want %q as before, not empty", got, waits)
	}
	if posts, err := h.db.Announcements(t.Context(), id, "", 9); err != nil || len(posts) != 1 {
		t.Errorf("announcements: got %v, %v, want 1", posts, err)
	}
}

// TestMembershipInOneBatch: who is removed by a call does not get the message behind it, who is added does; a notice behind a
// dissolution finds the group gone.
func TestMembershipInOneBatch(t *testing.T) {
	h := start(t, nil)
	h.blind()
	id, gone := h.makeGroup("zhangsan", "zhangsan", "lisi"), h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("zhangsan/p", groupText("m0", "zhangsan", id, "fills the cache"))
	h.sender.take()
	release := h.busy()
	done := make(chan error, 2)
	// The queue is first in, first out: each call is in it before the message behind it.
	queued := func(do func() error) {
		before := len(h.intake.queue)
		go func() { done <- do() }()
		for len(h.intake.queue) == before {
			select {
			case err := <-done:
				t.Fatal(err)
			default:
				runtime.Gosched()
			}
		}
	}
	queued(func() error {
		_, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Add: []string{"wangwu"}, Remove: []string{"lisi"}})
		return err
	})
	h.post("zhangsan/p", groupText("m1", "zhangsan", id, "x"))
	h.post("lisi/p", groupText("m2", "lisi", id, "x"))
	queued(func() error { return h.Dissolve(t.Context(), gone) })
	h.post("lisi/p", fmt.Sprintf(`{"msg_id":"m3","msg_type":"MTS-104","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q}]}`, gone, gone))
	release()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	h.sync()
	d, posts := h.sender.take()
	if got := addresses(d, "m1"); got != "wangwu@im.test zhangsan@im.test/p" {
		t.Errorf(`m1 went to %s, want "wangwu@im.test zhangsan@im.test/p"`, got)
	}
	if got := refusals(posts); strings.Count(got, string(protocol.NotAllowed)) != 1 || strings.Contains(got, string(protocol.NoSuchGroup)) || strings.Count(strings.Join(posts, ""), `\"m3\"`) != 1 {
		t.Errorf("answers: got %s (%s), want %s once, no %s, one receipt of m3", got, posts, protocol.NotAllowed, protocol.NoSuchGroup)
	}
}

// TestLateInOneBatch: the right to a late notice is none to anything else that comes with it.
func TestLateInOneBatch(t *testing.T) {
	h := start(t, nil)
	h.blind()
	id, gone := h.makeGroup("zhangsan", "zhangsan", "lisi"), h.makeGroup("zhangsan", "zhangsan", "lisi")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.DeleteGroup(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	h.together(func() {
		for i, group := range []string{id, gone} {
			h.post("lisi/p", fmt.Sprintf(`{"msg_id":"n%d","msg_type":"MTS-104","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q}]}`, i, group, group))
			h.post("lisi/p", groupText(fmt.Sprintf("m%d", i), "lisi", group, "x"))
		}
	})
	d, posts := h.sender.take()
	if got := refusals(posts); got != "error-011 error-009 receipt" || strings.Contains(posts[2], "m0") || strings.Contains(posts[2], "m1") {
		t.Errorf(`answers: got %s %v, want "error-011 error-009 receipt", the receipt without m0 and m1`, got, posts)
	}
	if got := copiesOf(d); got != "n0>zhangsan@im.test" {
		t.Errorf(`copies: got %s, want "n0>zhangsan@im.test"`, got)
	}
}

// TestDissolvedInOneBatch: what comes behind the owner's word finds the group gone, and what came before it leaves the queues.
func TestDissolvedInOneBatch(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.together(func() {
		h.post("zhangsan/p", groupText("m0", "zhangsan", id, "x"))
		h.post("zhangsan/p", fmt.Sprintf(`{"msg_id":"d1","msg_type":"MTS-107","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q}]}`, id, id))
		h.post("lisi/p", groupText("m1", "lisi", id, "x"))
		h.post("lisi/p", fmt.Sprintf(`{"msg_id":"n1","msg_type":"MTS-104","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q}]}`, id, id))
	})
	d, posts := h.sender.take()
	if got := refusals(posts); got != "receipt error-009 receipt receipt" || len(d) != 3 {
		t.Errorf("answers: got %s, copies %s, want receipt error-009 receipt receipt, 3 deliveries", got, copiesOf(d))
	}
	h.offline("lisi/p")
	rows, err := h.db.Offline(t.Context(), "lisi", "", "", "", 10)
	if err != nil || len(rows) != 1 || rows[0].Type != "MTS-107" {
		t.Errorf("queue: got %+v, %v, want 1 row of the type MTS-107", rows, err)
	}
}

// TestDissolutionPurges: the rows of a dissolved group go in batches once its notices are settled, those of others stay.
func TestDissolutionPurges(t *testing.T) {
	h := start(t, nil)
	id, other := h.makeGroup("zhangsan", "zhangsan", "lisi"), h.makeGroup("zhangsan", "zhangsan", "lisi")
	for i := range 3 {
		h.send("zhangsan/p", groupText(fmt.Sprintf("m%d", i), "zhangsan", id, "x"))
	}
	h.send("zhangsan/p", groupText("other", "zhangsan", other, "x"))
	h.send("lisi/p", fmt.Sprintf(`{"msg_id":"r","msg_type":"MTS-100","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m0"}]}`, id, id))
	h.offline("lisi/p")
	h.clock.Move(time.Second)
	if err := h.Dissolve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := h.queue("lisi"); !strings.HasPrefix(got, "other/0 ") || len(strings.Fields(got)) != 2 {
		t.Errorf("queue: got %q, want the other group's message and the notice", got)
	}
	left := func() (n int) {
		page, total, err := h.db.GroupHistory(t.Context(), id, store.Page{Length: 100})
		if err != nil || int(total) != len(page) {
			t.Fatalf("got a total of %d with %d rows, %v, want the same number and no error", total, len(page), err)
		}
		return len(page)
	}
	if n := left(); n != 5 { // three, and a notice for each of two members
		t.Errorf("got %d rows before the purge, want 5", n)
	}
	h.clock.Move(time.Second)
	h.sync() // a barrier proves it
	h.clock.Move(h.cfg.Grace)
	h.snapshot()
	h.clock.Move(2 * idleWrite)
	h.send("zhangsan/p", text("p", "zhangsan", "wangwu", "carries the positions"))
	if err := h.purger.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != 0 {
		t.Errorf("got %d rows after the purge, want 0", n)
	}
	if list, err := h.db.Purges(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("still to be purged: got %v, %v, want nothing", list, err)
	}
	if r, err := h.db.ReceiptsOf(t.Context(), "m0", "zhangsan"); err != nil || len(r) != 0 {
		t.Errorf("receipts: got %v, %v, want none", r, err)
	}
	if page, _, err := h.db.GroupHistory(t.Context(), other, store.Page{Length: 100}); err != nil || len(page) != 1 {
		t.Errorf("the other group: got %v, %v, want 1 message", page, err)
	}
	if got := h.queue("lisi"); len(strings.Fields(got)) != 2 {
		t.Errorf("the queue: got %q, want 2: the notice stays", got)
	}
}

// TestDissolutionForgetsUnconfirmed: what the group had said and a phone had not yet confirmed does not become a row afterwards.
func TestDissolutionForgetsUnconfirmed(t *testing.T) {
	h := confirming(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("zhangsan/p", groupText("m1", "zhangsan", id, "x"))
	h.rec.breakWith(store.ErrUnavailable)
	h.clock.Move(h.cfg.Grace)
	h.sync() // m1 waits to be written
	h.rec.breakWith(nil)
	h.send("zhangsan/p", groupText("m2", "zhangsan", id, "x"))
	if err := h.Dissolve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(h.cfg.Grace)
	h.sync()
	h.sync()
	if got := h.queue("lisi"); strings.Contains(got, "m2") || len(strings.Fields(got)) > 1+strings.Count(got, "m1") {
		t.Errorf("the queue: got %q, want no m2, and m1 or nothing beside the notice", got)
	}
}

// TestAdoptedGroup: members in several spellings, ids that can be no address, other processes that write the tables.
func TestAdoptedGroup(t *testing.T) {
	h := start(t, nil)
	h.blind()
	db, err := sql.Open("sqlite", "file:"+h.file()+"?_pragma=busy_timeout(10000)") // the Service writes too
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	exec := func(q string) {
		t.Helper()
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO ofsession (session_id, session_name, session_valid, session_user) VALUES ('G', 'old', 0, 'zhangsan')`)
	exec(`INSERT INTO ofsubscriber (user_id, session_id, ts) VALUES ('zhangsan', 'G', '1'), ('ZhangSan', 'G', NULL), ('lisi', 'G', ''), ('` + "\x01" + `', 'G', '1')`)
	h.send("zhangsan/p", groupText("m1", "zhangsan", "G", "x"))
	d, _ := h.sender.take()
	if got := addresses(d, "m1"); !sameCopy(">"+strings.ReplaceAll(got, " ", ","), ">lisi@im.test,zhangsan@im.test/p") {
		t.Errorf(`m1 went to %q, want "lisi@im.test zhangsan@im.test/p": each user once, by the address that they have`, got)
	}
	if got := h.queue("\x01"); got != "m1/0" {
		t.Errorf("an id that can be no address keeps its queue: got %q, want m1/0", got)
	}
	exec(`DELETE FROM ofsubscriber WHERE user_id = 'lisi'`)
	h.clock.Move(cache.GroupAge)
	h.send("zhangsan/p", groupText("m2", "zhangsan", "G", "x"))
	d, _ = h.sender.take()
	if got := addresses(d, "m2"); got != "zhangsan@im.test/p" {
		t.Errorf("after another process removed a member: got %q, want zhangsan@im.test/p", got)
	}
	exec(`INSERT INTO ofsubscriber (user_id, session_id, ts) VALUES ('wangwu', 'G', '2')`)
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: "G", Remove: []string{"wangwu"}}); err != nil || strings.Contains(h.members("G"), "wangwu") {
		t.Errorf("added by another process a moment ago: got members %q, %v, want wangwu removed", h.members("G"), err)
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: "G", Remove: []string{"zhangsan"}}); err != nil || h.members("G") != "\x01" {
		t.Errorf(`removed in one spelling: got members %q, %v, want %q`, h.members("G"), err, "\x01")
	}
}

func TestNotices(t *testing.T) {
	h := start(t, nil)
	h.blind()
	for _, n := range []int{1, 500, 1200} {
		t.Run(fmt.Sprint(n, " receivers"), func(t *testing.T) {
			var ids []string
			for i := range n {
				ids = append(ids, fmt.Sprintf("staff%04d", i))
			}
			ids = append(ids, "STAFF0000", ids[0]) // duplicates
			h.rec.set(func(r *recordingStore) { r.batches = 0 })
			h.rec.take()
			if _, err := h.Notify(t.Context(), Notice{Type: "MTB-100", Body: `[{"title":"t"}]`, Receivers: ids}); err != nil {
				t.Fatal(err)
			}
			h.sync()
			d, _ := h.sender.take()
			if len(d) != n {
				t.Errorf("got %d copies, want %d", len(d), n)
			}
			var batches int
			h.rec.set(func(r *recordingStore) { batches = r.batches })
			if want := (n + noticeSlice - 1) / noticeSlice; batches != want {
				t.Errorf("got %d transactions, want %d", batches, want)
			}
			messages, queued := 0, map[string]bool{}
			for _, c := range h.rec.take() {
				if c.Message != nil {
					messages++
				}
				for _, row := range c.Offline {
					queued[row.Owner] = true
				}
			}
			if messages != n || len(queued) != n {
				t.Errorf("got %d messages, %d queues, want %d of each", messages, len(queued), n)
			}
		})
	}
}

func TestNoticeReceivers(t *testing.T) {
	h := start(t, nil)
	h.blind()
	if err := h.RemoveUsers(t.Context(), []string{"zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	for name, c := range map[string]struct {
		to   []string
		want string
		code protocol.Code
	}{
		"group":          {[]string{"@session:" + id}, "lisi zhangsan", ""},
		"group and user": {[]string{"LISI", "@session:" + id, "wangwu"}, "lisi wangwu zhangsan", ""},
		"all":            {[]string{"@all"}, "lisi wangwu zhangsan", ""},
		"unknown group":  {[]string{"@session:nowhere"}, "", protocol.NoSuchGroup},
		"nobody":         {nil, "", protocol.UserIDInvalid},
		"empty":          {[]string{"lisi", ""}, "", protocol.UserIDInvalid},
		"impossible":     {[]string{"\u0001"}, "", protocol.UserIDInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			h.sender.take()
			_, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{}]`, Receivers: c.to})
			h.sync()
			d, _ := h.sender.take()
			var to []string
			for _, copied := range d {
				local, _, _ := strings.Cut(copied.To[0].JID, "@")
				to = append(to, local)
			}
			slices.Sort(to)
			if codeOf(err) != c.code || strings.Join(to, " ") != c.want {
				t.Errorf("got %v, to %v, want %v, to %v", err, to, c.code, c.want)
			}
		})
	}
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: "[\"\u0001\"]", Receivers: []string{"lisi"}}); codeOf(err) != protocol.NotJSON {
		t.Errorf("a control character: got %v, want %v", err, protocol.NotJSON)
	}
	if _, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `["` + strings.Repeat("x", 65536) + `"]`, Receivers: []string{"lisi"}}); codeOf(err) != protocol.TooLarge {
		t.Errorf("a body that is too large: got %v, want %v", err, protocol.TooLarge)
	}
}

// TestNoticeSlicesLetChatPass: a call to thousands is no wall. When a slice fails it is tried again until it is stored, whether
// the caller waits or not.
func TestNoticeSlicesLetChatPass(t *testing.T) {
	h := start(t, nil)
	h.blind()
	var ids []string
	for i := range 2 * noticeSlice {
		ids = append(ids, fmt.Sprintf("staff%04d", i))
	}
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			return commit()
		}
	})
	notify := func() error {
		_, err := h.Notify(t.Context(), Notice{Type: "MTB-000", Body: `[{}]`, Receivers: ids})
		return err
	}
	if err := notify(); err != nil {
		t.Error(err)
	}
	h.sync()
	d, _ := h.sender.take()
	at := slices.IndexFunc(d, func(copied stanza.Delivery) bool { return copied.ID == "m1" })
	if len(d) != 2*noticeSlice+1 || at != noticeSlice {
		t.Errorf("got %d copies, the chat message as number %d, want it between the slices", len(d), at)
	}

	ctx, leave := context.WithCancel(t.Context())
	failed := make(chan struct{}, 1000)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && c.Message.To == ids[len(ids)-1] {
			failed <- struct{}{}
			return store.ErrUnavailable
		}
		return nil
	})
	done := make(chan error, 1)
	go func() {
		_, err := h.Notify(ctx, Notice{Type: "MTB-000", Body: `[{}]`, Receivers: ids})
		done <- err
	}()
	<-failed
	leave()
	if err := <-done; !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("the second slice failed: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.sync()
	if d, _ := h.sender.take(); len(d) != noticeSlice {
		t.Errorf("got %d copies, want those of the first slice", len(d))
	}
	u := h.calls.Next()
	h.rec.failWhen(nil) // the database is back, and nobody asks again
	<-u.Over()
	h.sync()
	if d, _ := h.sender.take(); len(d) != noticeSlice || u.Err() != nil {
		t.Errorf("got %d copies (error %v), want those of the second slice", len(d), u.Err())
	}
}

func TestUsers(t *testing.T) {
	h := start(t, nil)
	add := func(u store.User, code protocol.Code) {
		t.Helper()
		err := h.AddUsers(t.Context(), []store.User{{ID: "fine"}, u})
		if codeOf(err) != code {
			t.Errorf("%+v: got %v, want %v", u, err, code)
		}
		if err != nil && u.ID != "" && u.ID != "\u0001" && u.ID != "ADMIN" && !strings.Contains(err.Error(), protocol.Shorten(u.ID, protocol.MaxID)) {
			t.Errorf("got %v, want an error that names the user", err)
		}
		found, err := h.db.UsersByJID(t.Context(), []string{"fine"})
		if err != nil || (found["fine"].ID == "") != (code != "") {
			t.Errorf("%+v: got %v, %v, want all users or none", u, found, err)
		}
	}
	add(store.User{ID: ""}, protocol.UserIDInvalid)
	add(store.User{ID: "\u0001"}, protocol.UserIDInvalid)
	add(store.User{ID: "ADMIN"}, protocol.UserIDInvalid)
	add(store.User{ID: strings.Repeat("u", 65)}, protocol.TooLarge)
	add(store.User{ID: "u", Name: strings.Repeat("n", 257)}, protocol.TooLarge)
	add(store.User{ID: "u", Pic: "\u0001"}, protocol.UserIDInvalid)
	if id, err := h.CanonicalID(t.Context(), "LiuQi"); err != nil || id != "liuqi" {
		t.Errorf("before anybody knows: got %q, %v, want liuqi", id, err)
	}
	add(store.User{ID: "LiuQi", Name: "刘七"}, "") // what was remembered of them is out of date now

	if id, err := h.CanonicalID(t.Context(), "liuqi"); err != nil || id != "LiuQi" {
		t.Errorf("got %q, %v, want LiuQi", id, err)
	}
	if id, err := h.CanonicalID(t.Context(), "NoBody"); err != nil || id != "nobody" {
		t.Errorf("got %q, %v, want nobody", id, err)
	}
	if _, err := h.CanonicalID(t.Context(), ""); codeOf(err) != protocol.UserIDInvalid {
		t.Errorf("an empty id: got %v, want %v", err, protocol.UserIDInvalid)
	}

	// Seen users are learned once, and addUser says better.
	h.online("seen/p")
	h.snapshot()
	h.sync()
	found, err := h.db.UsersByJID(t.Context(), []string{"seen"})
	if err != nil || !found["seen"].Learned || found["seen"].Name != "seen" {
		t.Errorf("got %+v, %v, want seen, learned", found, err)
	}
	g, _, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "seen", Members: []string{"seen"}})
	if err != nil {
		t.Error(err)
	}
	if err := h.RemoveUsers(t.Context(), []string{"SEEN", "\u00a0x"}); codeOf(err) != protocol.UserIDInvalid || !strings.Contains(err.Error(), `\u00a0x`) {
		t.Errorf(`an id that cannot be: got %v, want %v with "\u00a0x"`, err, protocol.UserIDInvalid)
	}
	if found, err := h.db.UsersByJID(t.Context(), []string{"seen"}); err != nil || found["seen"].Left {
		t.Errorf("after a refused removal: got %+v, %v, want seen, who has not left", found, err)
	}
	// Who left is no member any more by name, but their rows stay.
	if err := h.RemoveUsers(t.Context(), []string{"SEEN", "nobody"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "lisi", Members: []string{"seen"}}); codeOf(err) != protocol.GroupNotCreated {
		t.Errorf("a group with a user who left: got %v, want %v", err, protocol.GroupNotCreated)
	}
	if h.members(g.ID) != "seen" {
		t.Errorf("members: got %s, want seen: nothing is deleted", h.members(g.ID))
	}
}

func TestPresenceAnswers(t *testing.T) {
	h := start(t, nil)
	want := map[string]string{"zhangsan": "available", "lisi": "away", "wangwu": "offline", "zhaoliu": "offline", "chatty": "offline", "extended": "offline", "second": "available"}
	if err := h.AddUsers(t.Context(), []store.User{{ID: "chatty"}, {ID: "extended"}, {ID: "second"}}); err != nil {
		t.Fatal(err)
	}
	id := h.makeGroup("zhangsan", slices.Collect(maps.Keys(want))...)
	shown := func(jid, inner string) {
		h.Stanza(stanza.Stanza{Name: "presence", From: jid, To: testComponent, Inner: []byte(inner)})
	}
	shown("zhangsan@im.test/p", "")
	shown("lisi@im.test/p", "<show>away</show><priority>5</priority>")
	shown("lisi@im.test/x[web]", "<priority>1</priority>")
	shown("wangwu@im.test/p", "<show>dnd</show>")
	shown("chatty@im.test/p", "<show>chat</show>")
	shown("extended@im.test/p", "<show>xa</show>")
	shown("second@im.test/p", "<show>away</show>") // of equal ones the available one is the best
	shown("second@im.test/x[web]", "")
	shown("evil@else.test/p", "")
	check := func() {
		t.Helper()
		list, err := h.Presence(t.Context(), id)
		if err != nil || len(list) != len(want) {
			t.Fatalf("got %v, %v, want %d members and no error", list, err, len(want))
		}
		for _, m := range list {
			if m.Status != want[m.UserID] {
				t.Errorf("%s: got status %q, want %q", m.UserID, m.Status, want[m.UserID])
			}
		}
	}
	check()
	shown("lisi@im.test/p", "<show>away</show><priority>-1</priority>") // the best of two is the web now
	want["lisi"] = "available"
	check()
	h.server.mu.Lock()
	h.server.sessions = map[string]presence.Session{}
	h.server.mu.Unlock()
	h.snapshot()
	for user := range want {
		want[user] = "offline"
	}
	check()
	if list, err := h.Presence(t.Context(), "nowhere"); err != nil || list == nil || len(list) != 0 {
		t.Errorf("a group that is gone: got %v, %v, want an empty list that is not nil", list, err)
	}
}

// TestFreshLook: who fetches their queue or registers for pushes has just come, so the server is asked at once who is there. The
// phone that it then names gets what waited for it.
func TestFreshLook(t *testing.T) {
	h := newHarness(t)
	h.looks = true
	h.begin(nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	asked := make(chan struct{})
	h.server.mu.Lock()
	h.server.sessions["lisi@im.test/p"] = presence.Session{JID: stanza.JID{Local: "lisi", Domain: testServer, Resource: "p"}}
	h.server.asked = asked
	h.server.mu.Unlock()
	for name, call := range map[string]func() error{
		"getOffline":          func() error { return second(h.waits("lisi", "", 0)) },
		"registerAppPushCode": func() error { return h.RegisterPush(t.Context(), "lisi", "code") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-asked:
			case <-time.After(time.Minute): // the next look by itself is after an hour
				t.Fatal("nobody was asked in a minute, want one question")
			}
		})
	}
	h.server.mu.Lock() // the second answer is on its way, so the first was taken
	h.server.asked = nil
	h.server.mu.Unlock()
	h.sync()
	if d, _ := h.sender.take(); copiesOf(d) != "m1>lisi@im.test/p" {
		t.Errorf(`delivered: got %s, want "m1>lisi@im.test/p"`, copiesOf(d))
	}
}

// TestSnapshotIsOld: an answer says nothing of a device that was heard of after the question; of all others it is the truth.
func TestSnapshotIsOld(t *testing.T) {
	h := start(t, nil)
	asked := h.clock.Now()
	h.clock.Move(time.Millisecond)
	h.online("lisi/p", "wangwu/p:away")
	there := func(want string) {
		t.Helper()
		got := ""
		for _, local := range []string{"lisi", "wangwu"} {
			for _, d := range h.presence.Devices(local) {
				got += d.Full + d.Show + " "
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("known: %q, want %q", got, want)
		}
	}
	h.presence.Merge(nil, asked)
	there("lisi@im.test/p wangwu@im.test/paway")
	wangwu := stanza.JID{Local: "wangwu", Domain: testServer, Resource: "p"}
	other, bare := wangwu, wangwu
	other.Domain, bare.Resource = "evil.test", ""
	h.presence.Merge([]presence.Session{{JID: wangwu}, {JID: other, Show: "x"}, {JID: bare, Show: "x"}}, h.clock.Now())
	there("wangwu@im.test/p")
}

// TestCameBack: a device that the server did not have when it was asked, and that says something after that, went and came back:
// what was sent to it before is lost.
func TestCameBack(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(time.Millisecond)
	asked := h.clock.Now()
	h.clock.Move(time.Millisecond)
	h.online("lisi/p:away")
	h.presence.Merge(nil, asked)
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
}

// TestWithoutSnapshots: a server that cannot tell who is there. Nobody is known until they say something, and the grace alone
// decides what a phone has received.
func TestWithoutSnapshots(t *testing.T) {
	h := start(t, nil)
	h.server.mu.Lock()
	h.server.err = presence.ErrNoSnapshots
	h.server.mu.Unlock()
	h.Down(nil)
	h.Up()
	h.sync()
	if h.presence.Known() {
		t.Fatal("presence is known, want it unknown: no snapshot can have been taken")
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
	first, _ := h.sender.take()
	if got := addresses(first, "m1"); got != "lisi@im.test zhangsan@im.test" || !strings.Contains(string(first[1].Payload), "ASYNC") {
		t.Errorf(`m1 went to %s, want "lisi@im.test zhangsan@im.test", the latter as ASYNC: nobody can know the sender's other devices`, got)
	}
	h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@im.test/p", To: testComponent})
	h.send("zhangsan/q", text("m2", "zhangsan", "lisi", "x"))
	d, _ := h.sender.take()
	if got := addresses(d, "m2"); got != "lisi@im.test/p zhangsan@im.test/p" {
		t.Errorf(`m2 went to %s, want "lisi@im.test/p zhangsan@im.test/p"`, got)
	}
	h.clock.Move(minBarrierSpacing)
	h.sync() // it is known to be routed
	h.clock.Move(h.cfg.Grace)
	h.sync()
	h.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: "lisi@im.test/p", To: testComponent})
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0: m2 was settled by the grace", got)
	}
	var err error
	if _, err = h.waits("lisi", "", 0); err != nil { // asks for a snapshot that nobody answers
		t.Error(err)
	}
}

// TestFormerAuthors: who has left a group does not hear who reads there what they wrote; its owner does, member or not.
func TestFormerAuthors(t *testing.T) {
	h := start(t, nil)
	h.blind()
	id := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("wangwu/p", groupText("w", "wangwu", id, "x")) // from now on their phone is known
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	h.send("zhangsan/p", groupText("m1", "zhangsan", id, "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi", "zhangsan"}}); err != nil {
		t.Fatal(err)
	}
	h.sender.take()
	read := func(receipt, msgID string) string {
		h.send("wangwu/p", fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTS-100","msg_from":"wangwu","msg_to":%q,"body":[{"session_id":%q,"msg_id":%q}]}`, receipt, id, id, msgID))
		d, posts := h.sender.take()
		return copiesOf(d) + refusals(posts)
	}
	if got := read("r0", "m0"); got != "receipt" {
		t.Errorf("a receipt to who was removed: got %s, want receipt", got)
	}
	if got := read("r1", "m1"); got != "r1>zhangsan@im.test/preceipt" {
		t.Errorf(`a receipt to the owner: got %s, want "r1>zhangsan@im.test/preceipt"`, got)
	}
	if rows, err := h.db.Offline(t.Context(), "lisi", "", "", "", 10); err != nil || slices.ContainsFunc(rows, func(p store.OfflineMessage) bool { return p.MsgID == "r0" }) {
		t.Errorf("queued: got %+v, %v, want no r0", rows, err)
	}
}

// TestFormerAuthorsOwnRow: the reader's phone catches up with what was read on the web, whether or not the author is told.
func TestFormerAuthorsOwnRow(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	before := h.queue("wangwu")
	h.online("wangwu/w[web]")
	h.send("wangwu/w[web]", fmt.Sprintf(`{"msg_id":"r0","msg_type":"MTS-100","msg_from":"wangwu","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m0"}]}`, id, id))
	if got, want := h.queue("wangwu"), before+" r0/1"; got != want {
		t.Errorf("the reader's queue is %q, want %q", got, want)
	}
}

// TestFormersStayBehindTheComponent: where copies come from users, those of who has left the group do not: clients answer to that
// address, and would tell them who the members are. No kind that they may still send, no phone that comes later and no replay is different.
func TestFormersStayBehindTheComponent(t *testing.T) {
	asUser := func(c *Config) { c.SenderAsUser = true }
	h := start(t, asUser)
	h.blind()
	id := h.makeGroup("zhangsan", "lisi", "wangwu", "zhaoliu") // the owner is no member
	from := func(when string, d []stanza.Delivery, msgIDs ...string) {
		t.Helper()
		got := map[string]string{}
		for _, copies := range d {
			got[copies.ID] = copies.From
		}
		for _, msgID := range msgIDs {
			want := "lisi@" + testComponent
			if msgID[0] == 'z' {
				want = "zhangsan@" + testServer
			} else if when == "then" {
				want = "lisi@" + testServer
			}
			if got[msgID] != want {
				t.Errorf("%s: %s comes from %q, want %s", when, msgID, got[msgID], want)
			}
		}
	}
	h.send("lisi/p", groupText("m0", "lisi", id, "x"))
	h.send("lisi/p", groupText("m1", "lisi", id, "x"))
	h.send("zhangsan/p", groupText("z0", "zhangsan", id, "x"))
	d, _ := h.sender.take()
	from("then", d, "m0", "m1", "z0")

	h.clock.Move(time.Second)
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.sender.set(func(r *recordingSender) { r.hold = true })
	var late []string
	for name, kind := range h.kinds.named {
		if !kind.late || name == "MTS-107" { // which is the owner's
			continue
		}
		late = append(late, "late "+name)
		h.send("lisi/p", fmt.Sprintf(`{"msg_id":"late %s","msg_type":%q,"msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m0","user_id":"lisi","subscribers":[{"user_id":"lisi"}]}]}`, name, name, id, id))
	}
	if len(late) < 4 {
		t.Fatalf("late kinds: got %q, want at least 4", late)
	}
	d, posts := h.sender.take()
	if strings.Contains(refusals(posts), "error") {
		t.Errorf("answers: %v, want none refused", posts)
	}
	from("late", d, late...)

	h.online("wangwu/p")
	d, _ = h.sender.take()
	from("a phone that comes", d, append(late, "m1", "z0")...)

	h.send("zhangsan/p", groupText("z1", "zhangsan", id, "x"))
	h.sender.take()
	h.kill()
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.run(asUser)
	h.Up()
	h.sync()
	d, _ = h.sender.take()
	from("again", d, append(late, "z1")...)
}

// TestFormersInOldRows: a member whom a legacy row spells otherwise may send their late notices, as others may.
func TestFormersInOldRows(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan")
	for _, old := range []string{"LISI", "lísi", "lİsi", "lisi "} {
		if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Members: []store.Member{{SessionID: id, UserID: old, Since: "1"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	if got := h.members(id); strings.Contains(got, "LISI") || !strings.Contains(got, "lísi") || !strings.Contains(got, "lİsi") {
		t.Errorf("members: got %s, want lísi and lİsi, not LISI", got)
	}
	for from, want := range map[string]string{"lisi": "receipt", "wangwu": "error-011"} {
		t.Run(from, func(t *testing.T) {
			h.send(from+"/p", fmt.Sprintf(`{"msg_id":"n %s","msg_type":"MTS-104","msg_from":%q,"msg_to":%q,"body":[{"session_id":%q,"user_id":%q}]}`, from, from, id, id, from))
			if _, posts := h.sender.take(); refusals(posts) != want {
				t.Errorf("got %v, want answers %v", posts, want)
			}
		})
	}
}
