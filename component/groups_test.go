package component

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/cache"
	"tlim/component/protocol"
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
		t.Errorf("answers: got %s (%s), want %s once, no %s, one acknowledgement of m3", got, posts, protocol.NotAllowed, protocol.NoSuchGroup)
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
	if got := refusals(posts); got != "error-011 error-009 acknowledgement" || strings.Contains(posts[2], "m0") || strings.Contains(posts[2], "m1") {
		t.Errorf(`answers: got %s %v, want "error-011 error-009 acknowledgement", the acknowledgement without m0 and m1`, got, posts)
	}
	if got := copiesOf(d); got != "n0>zhangsan@im.test" {
		t.Errorf(`copies: got %s, want "n0>zhangsan@im.test"`, got)
	}
}

// TestDissolvedInOneBatch: what comes behind the owner's word finds the group gone, and what came before it leaves the queues. Who had left
// before may still be late, as those may who were members until then.
func TestDissolvedInOneBatch(t *testing.T) {
	h := start(t, nil)
	id := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Remove: []string{"wangwu"}}); err != nil {
		t.Fatal(err)
	}
	h.together(func() {
		h.post("zhangsan/p", groupText("m0", "zhangsan", id, "x"))
		h.post("zhangsan/p", fmt.Sprintf(`{"msg_id":"d1","msg_type":"MTS-107","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q}]}`, id, id))
		h.post("lisi/p", groupText("m1", "lisi", id, "x"))
		for i, user := range []string{"lisi", "wangwu"} {
			h.post(user+"/p", fmt.Sprintf(`{"msg_id":"n%d","msg_type":"MTS-104","msg_from":%q,"msg_to":%q,"body":[{"session_id":%q}]}`, i, user, id, id))
		}
	})
	d, posts := h.sender.take()
	want := "acknowledgement error-009 acknowledgement acknowledgement acknowledgement"
	if got := refusals(posts); got != want || len(d) != 3 {
		t.Errorf("answers: got %s, copies %s, want %s, 3 deliveries", got, copiesOf(d), want)
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

// TestLegacyGroup: members in several spellings, ids that can be no address, other processes that write the tables.
func TestLegacyGroup(t *testing.T) {
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
