package conformance

import (
	"fmt"
	"math"
	"slices"

	"tlim/store"
)

var history = []Behaviour{
	{"pages of a group's history, at their bounds and 1,100 deep", groupPages},
	{"a history walked in pages has every message once, equal times too", walkedPages},
	{"1:1 history in both directions", chatPages},
	{"notices by type, and the newest", notices},
	{"search in a history", search},
	{"replay after a time, in order, none above the clock", replay},
}

// fill writes n messages of a group, seven of each time, beside neighbours that must not show, and says their ids, newest first.
func fill(c *check, n int) (ids []string) {
	var changes []store.Change
	for i := range n {
		m := say(i, "z", "g", "[]")
		m.Message.MsgID = fmt.Sprintf("m%04d", i)
		m.Message.Time, m.IDs = at(i/7), nil
		changes = append(changes, m)
		ids = append(ids, m.Message.MsgID)
	}
	slices.Reverse(ids)
	c.apply(append(changes, tell(9000, "g", "z"), say(9001, "z", "other", "[]"))...)
	return ids
}

func groupPages(c *check) {
	const n = 1300
	all := fill(c, n)
	for _, p := range []struct{ start, length, from, to int }{
		{0, 10, 0, 10}, {5, 1, 5, 6}, {0, 0, 0, 0}, {1295, 10, 1295, n}, {1299, 1, 1299, n}, {n, 5, 0, 0}, {5000, 5, 0, 0},
		{1100, 50, 1100, 1150}, {1290, math.MaxInt, 1290, n}, {0, math.MaxInt, 0, n},
	} {
		c.page(fmt.Sprintf("start %d length %d", p.start, p.length), n, all[p.from:p.to]...)(c.s.GroupHistory(c.ctx, "g", store.Page{Start: p.start, Length: p.length}))
	}
	c.page("without the total", -1, all[:3]...)(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 3, NoTotal: true}))
	c.page("behind a message", n, all[3:6]...)(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 3, BeforeTime: at((n - 3) / 7), BeforeID: all[2]}))
	c.page("before the first", n)(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 3, BeforeTime: at(0), BeforeID: "m0000"}))
	c.page("before a time", n, "m0692")(c.s.GroupHistory(c.ctx, "g", store.Page{Length: 1, BeforeTime: at(99)}))
	c.page("of nobody", 0)(c.s.GroupHistory(c.ctx, "x", store.Page{Length: 3}))
}

func walkedPages(c *check) {
	all := fill(c, 100)
	for _, length := range []int{1, 7, 10, 100, 101} {
		var got []string
		for p := (store.Page{Length: length, NoTotal: true}); len(got) <= len(all); {
			page, _, err := c.s.GroupHistory(c.ctx, "g", p)
			if err != nil {
				c.fault("pages of %d: wanted no error, came %v", length, err)
				return
			}
			if len(page) == 0 {
				break
			}
			got = append(got, idsOf(page)...)
			last := page[len(page)-1]
			p.BeforeTime, p.BeforeID = last.Time, last.MsgID
		}
		c.same(fmt.Sprintf("pages of %d", length), got, all)
	}
}

func chatPages(c *check) {
	there, back, self, third := tell(1, "z", "l"), tell(2, "l", "z"), tell(3, "z", "z"), tell(4, "z", "w")
	group := say(5, "z", "l", "[]") // a group named like a user
	changes := []store.Change{there, back, self, third, group}
	var long []string
	for i := range 30 {
		m := tell(100+i, []string{"p", "q"}[i%2], []string{"q", "p"}[i%2])
		m.Message.Time = at(100 + i/4)
		changes, long = append(changes, m), append(long, m.Message.MsgID)
	}
	if !c.apply(changes...) {
		return
	}
	slices.Reverse(long)
	all := store.Page{Length: 10}
	c.page("l and z", 2, "m2", "m1")(c.s.ChatHistory(c.ctx, "l", "z", all))
	c.page("z and l", 2, "m2", "m1")(c.s.ChatHistory(c.ctx, "z", "l", all))
	c.page("z and z", 1, "m3")(c.s.ChatHistory(c.ctx, "z", "z", all))
	c.page("the group l", 1, "m5")(c.s.GroupHistory(c.ctx, "l", all))
	c.page("nobody", 0)(c.s.ChatHistory(c.ctx, "x", "z", all))
	c.page("all", 30, long...)(c.s.ChatHistory(c.ctx, "p", "q", store.Page{Length: math.MaxInt}))
	for start := range len(long) {
		c.page(fmt.Sprint("start ", start), 30, long[start])(c.s.ChatHistory(c.ctx, "q", "p", store.Page{Start: start, Length: 1}))
	}
	behind := store.Page{Length: 4, BeforeTime: at(107), BeforeID: "m129"}
	c.page("behind the newest", 30, long[1:5]...)(c.s.ChatHistory(c.ctx, "q", "p", behind))
	c.page("heads of one direction", 15, "m129", "m127", "m125")(c.s.ChatHeads(c.ctx, "q", "p", store.Page{Length: 3}))
}

func notices(c *check) {
	notice, item, later, other := tell(6, "admin", "l"), tell(7, "admin", "l"), tell(8, "admin", "l"), tell(9, "admin", "w")
	notice.Message.Type, item.Message.Type, later.Message.Type, other.Message.Type = "MTB-100", "MTB-000", "MTB-100", "MTB-100"
	if !c.apply(notice, item, later, other, tell(10, "z", "l")) {
		return
	}
	all := store.Page{Length: 10}
	c.page("of a type", 2, "m8", "m6")(c.s.NoticeHistory(c.ctx, "l", "MTB-100", all))
	c.page("of any", 3, "m8", "m7", "m6")(c.s.NoticeHistory(c.ctx, "l", "", all))
	c.page("the second page", 3, "m7")(c.s.NoticeHistory(c.ctx, "l", "", store.Page{Start: 1, Length: 1}))
	newest, found, err := c.s.NewestNotice(c.ctx, "l")
	want(c, "the newest", fmt.Sprint("m8 ", true))(fmt.Sprint(newest.MsgID, " ", found), err)
	_, found, err = c.s.NewestNotice(c.ctx, "z")
	want(c, "the newest of who has none", false)(found, err)
}

func search(c *check) {
	body := func(text string) string { return `[{"session_id":"g","text":"` + text + `"}]` }
	for i, b := range []string{body("Urlaub 100% _sicher_"), body("100 sicher"), body(`er sagt \"ja\" C:\\tmp`), body("你好 😀"), body(`\u4F60\u597d`)} {
		m := say(i, "z", "g", b)
		m.Message.Flags = ""
		if !c.apply(m) {
			return
		}
	}
	for text, wanted := range map[string][]string{"urlaub": {"m0"}, "100%": {"m0"}, "_sicher": {"m0"}, "SICHER": {"m1", "m0"}, `"ja"`: {"m2"}, `c:\TMP`: {"m2"},
		"你好": {"m4", "m3"}, "😀": {"m3"}, "nirgends": {}} {
		found, _, err := c.s.SearchGroup(c.ctx, "g", text, store.Page{Length: 100}, 1000)
		want(c, text, wanted)(idsOf(found), err)
	}
}

func replay(c *check) {
	clock := max(c.first.Clock, epochMillis+2) // of an earlier run it may be higher
	var changes []store.Change
	var ids []string
	for i := range 10 {
		m := say(i, "z", "g", "[]")
		m.Message.Time = fmt.Sprint(clock - 2 + int64(i/4))
		changes, ids = append(changes, m), append(ids, m.Message.MsgID)
	}
	above := say(11, "z", "g", "[]")
	above.Message.Time = fmt.Sprint(clock + 1)
	if err := c.s.Apply(c.ctx, c.epoch, store.Positions{Clock: clock}, append(changes, above)); err != nil {
		c.fault("a write: wanted no error, came %v", err)
		return
	}
	after, err := c.s.MessagesAfter(c.ctx, fmt.Sprint(clock-2), "", 100)
	want(c, "after the first time", ids[4:])(idsOf(after), err)
	var got []string
	at, id := fmt.Sprint(clock-3), ""
	for len(got) <= len(ids) {
		page, err := c.s.MessagesAfter(c.ctx, at, id, 3)
		if err != nil {
			c.fault("a page: wanted no error, came %v", err)
			return
		}
		if len(page) == 0 {
			break
		}
		got = append(got, idsOf(page)...)
		at, id = page[len(page)-1].Time, page[len(page)-1].ID
	}
	c.same("pages of three", got, ids)
}
