package store_test

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"tlim/store"
)

// usage is what people do with a database, and every row of the plugin's tables that it is to leave there.
type usage struct {
	t     *testing.T
	s     *store.Store
	epoch int64

	n     int               // messages
	group []string          // the ids of those of the group g that were not revoked; each waits for the owner phone
	rows  map[string]string // by what they are of, in the words of oldRowsOf
	sent  map[int]*store.Message
}

// usageLater is after how many messages something becomes of one. No transaction has more: what goes was written by one before.
const usageLater = 100

func newUsage(t *testing.T, s *store.Store, epoch int64) *usage {
	return &usage{t: t, s: s, epoch: epoch, rows: map[string]string{}, sent: map[int]*store.Message{}}
}

// last is 25 messages a second for so long.
func (u *usage) last(long time.Duration) {
	u.t.Helper()
	const inOne, rate = 5, 25
	end, tick := time.After(long), time.NewTicker(inOne*time.Second/rate)
	defer tick.Stop()
	for {
		select {
		case <-end:
			return
		case <-tick.C:
			u.store(inOne, inOne)
			if u.look(); u.t.Failed() {
				return
			}
		}
	}
}

// store is n messages more, so many in a transaction.
func (u *usage) store(n, inOne int) {
	u.t.Helper()
	var changes []store.Change
	for end := u.n + n; u.n < end; {
		u.n++
		c := u.message(u.n)
		if old := u.sent[u.n-usageLater]; old != nil {
			u.later(&c, u.n-usageLater, old)
			delete(u.sent, u.n-usageLater)
		}
		u.around(&c, u.n)
		if changes = append(changes, c); len(changes) == inOne || u.n == end {
			apply(u.t, u.s, u.epoch, changes...)
			changes = nil
		}
	}
}

// look is what phones ask for: the newest messages of the group, and the oldest that wait.
func (u *usage) look() {
	u.t.Helper()
	const page = 20
	list, _, err := u.s.GroupHistory(ctx, "g", store.Page{Length: page, NoTotal: true})
	newest := slices.Clone(u.group[max(0, len(u.group)-page):])
	slices.Reverse(newest)
	equal(u.t, "the newest page", fmt.Sprint(ids(list), err), fmt.Sprint(newest, nil))
	queue := must[[]store.OfflineMessage](u.t)(u.s.Offline(ctx, "phone", "", "", "", page))
	var waiting []string
	for _, m := range queue {
		waiting = append(waiting, m.MsgID)
	}
	equal(u.t, "what waits", waiting, u.group[:min(page, len(u.group))])
}

// message is one of the group, of two users, or a notice: it waits for a phone, those of the group also for one that fetches them, and it is read.
func (u *usage) message(i int) store.Change {
	c, owners := say(i, "z", "g", fmt.Sprintf(`[{"session_id":"g","text":"第 %d 条: it's \"%d\" \\ %%"}]`, i, i)), []string{"phone", "desk"}
	switch i % 6 {
	case 3:
		c, owners = tell(i, "z", "l"), []string{"l"}
	case 0:
		c, owners = tell(i, "admin", "l"), []string{"l"}
		c.Message.Type = "MTB-000"
	}
	m := c.Message
	u.put("message "+m.MsgID, "ofmessage", m.ID, m.MsgID, m.Type, m.From, m.To, m.Time, m.Body, m.SessionID)
	for _, owner := range owners {
		w := waiting(m, owner)
		w.Body = fmt.Sprintf(`[{"text":"it's \"%d\" \\ %%"}]`, i) // the plugin's queue may hold latin1 alone
		c.Offline = append(c.Offline, w)
		u.put("queue "+owner+m.MsgID, "ofcustomoffline", w.ID, m.MsgID, m.Type, m.From, m.To, m.Time, w.Body, m.SessionID, fmt.Sprint(w.Status), owner)
	}
	c.Receipts = []store.Receipt{{ID: fmt.Sprint("r", i), MsgID: m.MsgID, Sender: m.From, Reader: "l", Status: 1}}
	u.receipt(i, m, "1")
	if m.Type == "MTS-000" {
		u.group = append(u.group, m.MsgID)
	}
	u.sent[i] = m
	return c
}

func (u *usage) receipt(i int, m *store.Message, status string) {
	u.put("receipt "+m.MsgID, "ofstatus", fmt.Sprint("r", i), m.MsgID, m.From, "l", status)
}

// later is what becomes of a message: one of the group is fetched, others are read on a phone, and of twenty one is revoked.
func (u *usage) later(c *store.Change, i int, m *store.Message) {
	drop := store.Drop{MsgID: m.MsgID, From: m.From, To: m.To}
	if m.Type == "MTS-000" {
		drop = store.Drop{MsgID: m.MsgID, SessionID: m.SessionID}
		c.DropOffline = append(c.DropOffline, store.OfflineKey{Owner: "desk", MsgID: m.MsgID})
		delete(u.rows, "queue desk"+m.MsgID)
	} else {
		c.Receipts = append(c.Receipts, store.Receipt{MsgID: m.MsgID, Sender: m.From, Reader: "l", Status: 2})
		u.receipt(i, m, "2")
	}
	if i%20 != 0 {
		return
	}
	c.DropMessages = append(c.DropMessages, drop)
	for _, of := range []string{"message ", "queue phone", "queue l", "receipt "} {
		delete(u.rows, of+m.MsgID)
	}
	if at := slices.Index(u.group, m.MsgID); at >= 0 {
		u.group = slices.Delete(u.group, at, at+1)
	}
	c.Receipts = slices.DeleteFunc(c.Receipts, func(r store.Receipt) bool { return r.MsgID == m.MsgID })
}

// around is what people do beside messages: groups come, are renamed, lose a member and go; entries of lists, announcements and styles come and change.
func (u *usage) around(c *store.Change, i int) {
	at, before := clock(i), i-usageLater
	name := func(kind string, i int) string { return fmt.Sprint(kind, "-", i) }
	group := func(i int, name, modified string) {
		u.put(fmt.Sprint("group ", i), "ofsession", fmt.Sprint("room-", i), "1", name, clock(i), modified, "", "0", "z", "/pic.png")
	}
	member := func(i int, user string) {
		u.put(fmt.Sprint("member ", user, i), "ofsubscriber", user, "李四", "login", "", fmt.Sprint("room-", i), clock(i))
	}
	announcement := func(i int, title string) {
		u.put(fmt.Sprint("announcement ", i), "ofpubact", name("act", i), title, "内容", "z", clock(i), "g")
	}
	chat := func(i int, modified string) {
		u.put(fmt.Sprint("chat ", i), "ofchat", name("chat", i), "张三", name("partner", i), name("owner", i), clock(i), modified, "")
	}
	style := func(i, value int) {
		u.put(fmt.Sprint("style ", i), "ofstyle", name("style", i), "theme", fmt.Sprint(value), name("user", i))
	}
	if i%50 == 1 {
		c.Groups = append(c.Groups, store.Group{ID: name("room", i), Type: 1, Name: "项目组", CreateTime: at, Owner: "z", Pic: "/pic.png"})
		c.Chats = append(c.Chats, store.Chat{ID: name("chat", i), Name: "张三", Partner: name("partner", i), Owner: name("owner", i), CreateTime: at})
		c.Announcements = append(c.Announcements, store.Announcement{ID: name("act", i), Title: "放假", Content: "内容", UserID: "z", Time: at, SessionID: "g"})
		c.Styles = append(c.Styles, store.Style{ID: name("style", i), Name: "theme", Value: 3, UserID: name("user", i)})
		for _, user := range []string{"a", "b"} {
			c.Members = append(c.Members, store.Member{UserID: user, UserName: "李四", Login: "login", SessionID: name("room", i), Since: at})
			member(i, user)
		}
		group(i, "项目组", "")
		chat(i, "")
		announcement(i, "放假")
		style(i, 3)
	}
	if before > 0 && before%50 == 1 {
		renamed, valid := "改名", 0
		c.EditGroups = append(c.EditGroups, store.GroupEdit{ID: name("room", before), Name: &renamed, ModifyTime: &at, Valid: &valid})
		c.DropMembers = append(c.DropMembers, store.Member{UserID: "b", SessionID: name("room", before)})
		c.Chats = append(c.Chats, store.Chat{Partner: name("partner", before), Owner: name("owner", before), ModifyTime: at})
		c.EditAnnouncements = append(c.EditAnnouncements, store.AnnouncementEdit{ID: name("act", before), Title: &renamed})
		c.Styles = append(c.Styles, store.Style{ID: "none", Name: "theme", Value: 4, UserID: name("user", before)})
		group(before, renamed, at)
		chat(before, at)
		announcement(before, renamed)
		style(before, 4)
		delete(u.rows, fmt.Sprint("member b", before))
	}
	if before -= usageLater; before > 0 && before%100 == 1 {
		c.DropGroups = append(c.DropGroups, name("room", before))
		c.DropAnnouncements = append(c.DropAnnouncements, name("act", before))
		for _, of := range []string{"group ", "member a", "announcement "} {
			delete(u.rows, fmt.Sprint(of, before))
		}
	}
}

// put is a row that is to stand there. A text that is absent is NULL.
func (u *usage) put(of, table string, values ...string) {
	row := make([]sql.NullString, len(values))
	for i, v := range values {
		row[i] = sql.NullString{String: v, Valid: v != ""}
	}
	u.rows[of] = fmt.Sprintf("%s %+v", table, row)
}

// same compares rows, whatever their order, and shows the first that differ.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return
	}
	count := map[string]int{}
	for _, row := range got {
		count[row]++
	}
	for _, row := range want {
		count[row]--
	}
	var differ []string
	for row, n := range count {
		if n != 0 {
			differ = append(differ, fmt.Sprintf("%+d %s", n, row))
		}
	}
	slices.Sort(differ)
	t.Errorf("%s: got %d rows, want %d; %d differ, + are too many, such as\n%s", what, len(got), len(want), len(differ), fmt.Sprint(differ[:min(10, len(differ))]))
}
