package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/store"
)

// TestGroupMembers: a group does not grow beyond the limit, whoever asks; one that is larger works on and may shrink.
func TestGroupMembers(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.GroupMembers = 5 })
	h.blind()
	var users []store.User
	var ids []string
	for i := range 10 {
		ids = append(ids, fmt.Sprintf("u%d", i))
		users = append(users, store.User{ID: ids[i]})
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "zhangsan", Members: ids[:6]}); codeOf(err) != protocol.TooLarge || !strings.Contains(err.Error(), "limits.group_members") {
		t.Errorf("six of five: got %v, want %s with limits.group_members", err, protocol.TooLarge)
	}
	if groups, err := h.db.GroupsOf(t.Context(), "u0"); err != nil || len(groups) != 0 {
		t.Errorf("a refused group: got %v, %v, want no groups", groups, err)
	}
	id := h.makeGroup("zhangsan", append([]string{"nobody at all"}, ids[:5]...)...) // who is left out does not count
	h.rec.take()
	var refused *protocol.Error
	_, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Name: "new", Add: []string{"u4", "u5", "U6"}, Remove: []string{"u0"}})
	if !errors.As(err, &refused) || refused.Code != protocol.TooLarge || refused.Chinese == "" ||
		!slices.Equal(refused.Skipped, []protocol.Skipped{{UserID: "u5", Reason: protocol.SkipFull}, {UserID: "u6", Reason: protocol.SkipFull}}) {
		t.Errorf("one too many: got %v with %v, want %s in Chinese too, u5 and u6 left out because the group is full", err, refused, protocol.TooLarge)
	}
	if c := h.rec.take(); len(c) != 0 {
		t.Errorf("a refused change: got %+v written, want nothing", c)
	}
	edit := func(e GroupEdit, want string) {
		t.Helper()
		e.ID = id
		if _, err := h.ModifyGroup(t.Context(), e); err != nil || h.members(id) != want {
			t.Errorf("%+v: got %v, members %s, want members %s", e, err, h.members(id), want)
		}
	}
	edit(GroupEdit{Add: []string{"u5", "u1"}, Remove: []string{"u0"}}, "u1 u2 u3 u4 u5")

	// Larger than the limit, as a site had it before.
	var rows []store.Member
	for _, u := range users {
		rows = append(rows, directory.Member(u, id, "1"))
	}
	rows = append(rows, store.Member{UserID: "U9", SessionID: id}) // and once more in another spelling
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Members: rows}}); err != nil {
		t.Fatal(err)
	}
	edit(GroupEdit{Add: []string{"u0", "u9"}}, "U9 u0 u1 u2 u3 u4 u5 u6 u7 u8 u9") // refreshed
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Add: []string{"lisi"}}); codeOf(err) != protocol.TooLarge {
		t.Errorf("a group that is too large grows: got %v, want %v", err, protocol.TooLarge)
	}
	edit(GroupEdit{Add: []string{"lisi"}, Remove: []string{"u9", "u8"}}, "lisi u0 u1 u2 u3 u4 u5 u6 u7")
	h.send("u1/p", groupText("m1", "u1", id, "x"))
	if d, posts := h.sender.take(); refusals(posts) != "acknowledgement" || len(strings.Fields(addresses(d, "m1"))) != 9 {
		t.Errorf("a message to a group that is too large: got addresses %q, answers %q, want 9, an acknowledgement", addresses(d, "m1"), refusals(posts))
	}
}

// TestFullGroupErasesNothing: an edit that is refused does not cost a leaving member what they wrote.
func TestFullGroupErasesNothing(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.GroupMembers, c.PurgeOnRemove = 2, true })
	id := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.send("lisi/p", groupText("m1", "lisi", id, "x"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Add: []string{"wangwu", "zhaoliu"}, Remove: []string{"lisi"}}); codeOf(err) != protocol.TooLarge {
		t.Errorf("three of two: %v, want %v", err, protocol.TooLarge)
	}
	if rows, err := h.db.MessagesByID(t.Context(), []string{"m1"}); err != nil || len(rows["m1"]) != 1 {
		t.Errorf("left: got %v, %v, want m1", rows, err)
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: id, Add: []string{"wangwu"}, Remove: []string{"lisi"}}); err != nil {
		t.Error(err)
	}
	if rows, err := h.db.MessagesByID(t.Context(), []string{"m1"}); err != nil || len(rows["m1"]) != 0 {
		t.Errorf("left: got %v, %v, want m1 erased", rows, err)
	}
}

// TestGroupsPerUser bounds those who make groups for themselves, not those who do it with a key for others.
func TestGroupsPerUser(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.GroupsPerUser = 2 })
	create := func(asker, owner string) (string, error) {
		g, _, err := h.CreateGroup(t.Context(), GroupSpec{Asker: asker, Owner: owner, Members: []string{"zhangsan", "lisi"}})
		return g.ID, err
	}
	first, err := create("user zhangsan", "zhangsan")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SwitchGroup(t.Context(), first, 1); err != nil { // a closed one is one
		t.Fatal(err)
	}
	for _, asker := range []string{"", "user zhangsan"} {
		if _, err := create(asker, "ZhangSan"); asker == "" && err != nil || asker != "" && (codeOf(err) != protocol.TooLarge || !strings.Contains(err.Error(), "limits.groups_per_user")) {
			t.Errorf("by %q: got %v, want %s with limits.groups_per_user, or no error without a caller", asker, err, protocol.TooLarge)
		}
	}
	if _, err := create("", "zhangsan"); err != nil {
		t.Errorf("a system of the suite: got %v, want no error", err)
	}
	if _, err := create("address 10.0.0.1", "zhangsan"); codeOf(err) != protocol.TooLarge {
		t.Errorf("an old client without a token: %v, want %v", err, protocol.TooLarge)
	}
	if _, err := create("user lisi", "lisi"); err != nil {
		t.Errorf("another user: got %v, want no error", err)
	}
	groups, err := h.db.WebGroupsOf(t.Context(), "zhangsan", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if g.Owner == "zhangsan" {
			if _, err := h.DeleteGroup(t.Context(), g.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := create("user zhangsan", "zhangsan"); err != nil {
		t.Errorf("after two are gone: got %v, want no error", err)
	}
}
