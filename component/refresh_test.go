package component

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// shown lists how others see a user: his rows in groups, and in lists of 1:1 conversations.
func (h *harness) shown(user string) string {
	h.t.Helper()
	var list []string
	for _, m := range must2(h.db.MemberRows(h.t.Context(), user, "", 100))(h.t) {
		list = append(list, fmt.Sprintf("member %s %s %s", m.UserName, m.Login, m.Pic))
	}
	for _, c := range must2(h.db.ChatsWith(h.t.Context(), user, store.Chat{}, 100))(h.t) {
		list = append(list, fmt.Sprintf("chat of %s %s %s", c.Owner, c.Name, c.Pic))
	}
	return strings.Join(list, ", ")
}

func (h *harness) shows(what, user, want string) {
	h.t.Helper()
	check(h.t, h.refresher.refresh(h.t.Context())) // beside the loop's own, which writes the same
	if got := h.shown(user); got != want {
		h.t.Errorf("%s: %s\nwant %s", what, got, want)
	}
}

func TestNewNamesReachLists(t *testing.T) {
	h := start(t, nil)
	h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.makeGroup("zhangsan", "lisi", "wangwu")
	h.send("lisi/phone", text("m1", "lisi", "zhangsan", "hello"))
	h.shows("begin", "lisi", "member Lisi  , member Lisi  , chat of zhangsan Lisi ")

	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "李四", Login: "ls", Pic: "/pic/l.png"}}))
	h.shows("a new name", "lisi", "member 李四 ls /pic/l.png, member 李四 ls /pic/l.png, chat of zhangsan 李四 /pic/l.png")
	long := strings.Repeat("名", 200)
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: long, Pic: strings.Repeat("p", 65)}}))
	h.shows("longer than a list entry holds", "lisi", strings.Repeat("member "+long+"  "+strings.Repeat("p", 65)+", ", 2)+"chat of zhangsan "+long[:64*3]+" ")
	h.shows("others", "zhangsan", "member Zhangsan  , chat of lisi Zhangsan ")
	if left := must2(h.db.StaleUsers(t.Context(), "", 10))(t); len(left) > 0 {
		t.Errorf("still to be done: %v", left)
	}
}

// What the directory's source says reaches the lists as well, and what a stop left undone is done at the next start.
func TestNewNamesAfterAStart(t *testing.T) {
	h := startSourced(t, nil, "lisi=L", "zhangsan=Z")
	h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.shows("begin", "lisi", "member L lisi ")
	h.from.have("lisi=L2", "zhangsan=Z")
	h.rec.set(func(r *recordingStore) { r.refresh = func([]store.Member) error { return store.ErrUnavailable } })
	h.polled()
	if err := h.refresher.refresh(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if got := h.shown("lisi"); got != "member L lisi " {
		t.Error(got)
	}
	h.halt()
	h.run(func(c *Config) { c.Directory = DirectoryConfig{Interval: time.Hour, MaxRemove: 100} })
	h.sync()
	h.shows("after the start", "lisi", "member L2 lisi ")
}

// Names that old tables cannot hold are said, not tried for ever, and keep no other from being shown.
func TestNamesThatOldTablesCannotHold(t *testing.T) {
	var log lines
	h := newHarness(t)
	h.logged = &log
	h.begin(nil)
	h.makeGroup("zhangsan", "lisi", "wangwu")
	h.rec.set(func(r *recordingStore) {
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
	if log.count("old tables: they do not hold its characters") == 0 || counter(t, h.metrics.directory.unrefreshed) == 0 {
		t.Errorf("the log: %s", log.buf.String())
	}
	if left := must2(h.db.StaleUsers(t.Context(), "", 10))(t); len(left) > 0 {
		t.Errorf("tried for ever: %v", left)
	}
}
