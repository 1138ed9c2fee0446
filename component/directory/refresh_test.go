package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// shown lists how others see a user: their rows in groups, and in lists of 1:1 conversations.
func (h *harness) shown(user string) string {
	h.t.Helper()
	var list []string
	for _, m := range must(h.db.MemberRows(h.t.Context(), user, "", 100))(h.t) {
		list = append(list, fmt.Sprintf("member %s %s %s", m.UserName, m.Login, m.Pic))
	}
	for _, c := range must(h.db.ChatsWith(h.t.Context(), user, store.Chat{}, 100))(h.t) {
		list = append(list, fmt.Sprintf("chat of %s %s %s", c.Owner, c.Name, c.Pic))
	}
	return strings.Join(list, ", ")
}

func (h *harness) shows(what, user, want string) {
	h.t.Helper()
	check(h.t, h.refresh.round(h.t.Context()))
	if got := h.shown(user); got != want {
		h.t.Errorf("%s: got %s\nwant %s", what, got, want)
	}
}

// members makes these users members of a group.
func (h *harness) members(group string, users ...string) {
	h.t.Helper()
	found := must(h.Lookup(h.t.Context(), users))(h.t)
	c := store.Change{Groups: []store.Group{{ID: group, Owner: users[0], Name: group, CreateTime: "1"}}}
	for _, id := range users {
		c.Members = append(c.Members, Member(found[id], group, "1"))
	}
	h.change(c)
}

// chat makes the entry by which owner sees partner.
func (h *harness) chat(owner, partner string) {
	h.t.Helper()
	c := store.Chat{ID: owner + partner, Owner: owner, Partner: partner, CreateTime: "1", ModifyTime: "1"}
	c.Name, c.Pic = ChatEntry(must(h.Lookup(h.t.Context(), []string{partner}))(h.t)[partner])
	h.change(store.Change{Chats: []store.Chat{c}})
}

func TestNewNamesReachLists(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "zhangsan", Name: "Zhangsan"}, {ID: "lisi", Name: "Lisi"}, {ID: "wangwu", Name: "Wangwu"}}))
	h.members("g1", "zhangsan", "lisi")
	h.members("g2", "lisi", "wangwu")
	h.chat("zhangsan", "lisi")
	h.chat("lisi", "zhangsan")
	h.shows("begin", "lisi", "member Lisi  , member Lisi  , chat of zhangsan Lisi ")

	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "李四", Login: "ls", Pic: "/pic/l.png"}}))
	h.shows("a new name", "lisi", "member 李四 ls /pic/l.png, member 李四 ls /pic/l.png, chat of zhangsan 李四 /pic/l.png")
	long := strings.Repeat("名", 200)
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: long, Pic: strings.Repeat("p", 65)}}))
	h.shows("longer than a list entry holds", "lisi", strings.Repeat("member "+long+"  "+strings.Repeat("p", 65)+", ", 2)+"chat of zhangsan "+long[:64*3]+" ")
	h.shows("others", "zhangsan", "member Zhangsan  , chat of lisi Zhangsan ")
	if left := must(h.db.StaleUsers(t.Context(), "", 10))(t); len(left) > 0 {
		t.Errorf("still to be done: got %v, want none", left)
	}
}

// What the directory's source says reaches the lists as well, and what a stop left undone is done at the next start.
func TestNewNamesAfterAStart(t *testing.T) {
	h := startSourced(t, nil, "lisi=L", "zhangsan=Z")
	h.members("g1", "zhangsan", "lisi")
	h.shows("begin", "lisi", "member L lisi ")
	h.from.have("lisi=L2", "zhangsan=Z")
	h.rec.set(func(r *recorder) { r.refresh = func([]store.Member) error { return store.ErrUnavailable } })
	h.polled()
	if err := h.refresh.round(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if got := h.shown("lisi"); got != "member L lisi " {
		t.Errorf(`got %v, want "member L lisi "`, got)
	}
	h.rec.set(func(r *recorder) { r.refresh = nil })
	h.restart(Config{Interval: time.Hour, MaxRemove: 100}, with{source: h.from})
	h.shows("after the start", "lisi", "member L2 lisi ")
}

// Names that old tables cannot hold are said, not tried for ever, and keep no other from being shown.
func TestNamesThatOldTablesCannotHold(t *testing.T) {
	h := newHarness(t, Config{}, with{})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "Lisi"}, {ID: "wangwu", Name: "Wangwu"}}))
	h.members("g", "lisi", "wangwu")
	h.rec.set(func(r *recorder) {
		r.refresh = func(members []store.Member) error {
			if len(members) > 0 && strings.Contains(members[0].UserName, "😀") {
				return fmt.Errorf("%w: ofsubscriber.user_name", store.ErrData)
			}
			return nil
		}
	})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "😀"}, {ID: "wangwu", Name: "王五"}}))
	h.shows("old", "lisi", "member Lisi  ")
	h.shows("new", "wangwu", "member 王五  ")
	if h.log.Count("old tables: they do not hold its characters") == 0 || value(t, h.metrics.unrefreshed) == 0 {
		t.Errorf("got log %s, want the characters that old tables do not hold said and counted", h.log)
	}
	if left := must(h.db.StaleUsers(t.Context(), "", 10))(t); len(left) > 0 {
		t.Errorf("tried for ever: got %v, want none", left)
	}
}
