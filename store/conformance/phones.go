package conformance

import (
	"fmt"
	"slices"

	"tlim/store"
)

var phones = []Behaviour{
	{"the queue of a phone: in order, in pages, since a time", queuePages},
	{"queue rows of one message go owner by owner, or by their row", queueRows},
	{"what the web had seen is told from what no device had", deviceClasses},
	{"unread counts by conversation, without receipts and one's own", unread},
	{"receipts are given, raised and counted", receipts},
}

func queuePages(c *check) {
	var change store.Change
	for i := range 40 { // three of a time, of which two are one message; keys that sort against the order
		m := say(i, "z", "g", "[]").Message
		m.Time, m.MsgID = at(i/3), fmt.Sprintf("m%02d", i/3*3+min(i%3, 1))
		m.ID = fmt.Sprintf("row%02d", 99-i)
		change.Offline = append(change.Offline, store.OfflineMessage{Message: *m, Owner: "l"})
	}
	receipt := store.OfflineMessage{Message: store.Message{ID: "only", MsgID: "r", Type: "MTS-100", Time: at(1)}, Owner: "w"}
	change.Offline = append(change.Offline, receipt)
	if !c.apply(change) {
		return
	}
	var wanted []string
	for i := 0; i < 39; i += 3 {
		wanted = append(wanted, fmt.Sprintf("row%02d", 99-i), fmt.Sprintf("row%02d", 97-i), fmt.Sprintf("row%02d", 98-i))
	}
	wanted = append(wanted, "row60")
	for _, limit := range []int{1, 2, 3, 7, 40, 41} {
		var got []string
		time, id := "", ""
		for len(got) <= len(wanted) {
			page, err := c.s.Offline(c.ctx, "l", "", time, id, limit)
			if err != nil {
				c.fault("pages of %d: wanted no error, came %v", limit, err)
				return
			}
			for _, p := range page {
				got = append(got, p.ID)
				time, id = p.Time, p.ID
			}
			if len(page) < limit {
				break
			}
		}
		c.same(fmt.Sprintf("pages of %d", limit), got, wanted)
	}
	last := change.Offline[39:40]
	want(c, "since a time", last)(c.s.Offline(c.ctx, "l", at(13), "", "", 10))
	want(c, "recent", last)(c.s.RecentOffline(c.ctx, "l", epochMillis+13, 10))
	want(c, "behind a row that is gone", last)(c.s.Offline(c.ctx, "l", "", at(13), "gone", 10))
	want(c, "something waits", true)(c.s.HasOffline(c.ctx, "l"))
	want(c, "receipts alone are nothing", false)(c.s.HasOffline(c.ctx, "w"))
	want(c, "of nobody", false)(c.s.HasOffline(c.ctx, "x"))
}

func queueRows(c *check) {
	m := say(1, "z", "g", "[]")
	for _, owner := range []string{"l", "w", "k"} {
		m.Offline = append(m.Offline, waiting(m.Message, owner))
	}
	other := say(2, "z", "h", "[]")
	other.Offline = []store.OfflineMessage{waiting(other.Message, "l")}
	if !c.apply(m, other) {
		return
	}
	key := func(owner, id string) store.OfflineKey { return store.OfflineKey{Owner: owner, MsgID: id} }
	c.apply(store.Change{DropOffline: []store.OfflineKey{key("l", "m1"), {RowID: "row-m1-k"}, key("x", "m1")}})
	want(c, "left", map[store.OfflineKey]bool{key("w", "m1"): true, key("l", "m2"): true})(c.s.OfflineOwners(c.ctx, []string{"m1", "m2"}))
	c.apply(store.Change{DropQueues: []string{"h"}})
	want(c, "after the end of a group", map[store.OfflineKey]bool{key("w", "m1"): true})(c.s.OfflineOwners(c.ctx, []string{"m1", "m2"}))
}

func deviceClasses(c *check) {
	m, n := say(1, "z", "g", "[]"), say(2, "z", "g", "[]")
	m.Offline, n.Offline = []store.OfflineMessage{waiting(m.Message, "l")}, []store.OfflineMessage{waiting(n.Message, "l")}
	m.Offline[0].Status, n.Offline[0].Status = 0, 1
	m.SetPush = []store.User{{ID: "l", JID: "l", PushCode: "code", PushOS: "android"}}
	if !c.apply(m, n) {
		return
	}
	want(c, "queue", slices.Concat(m.Offline, n.Offline))(c.s.Offline(c.ctx, "l", "", "", "", 9))
	not, byReceipts, byPings := store.ConfirmsNot, store.ConfirmsByReceipts, store.ConfirmsByPings
	for _, step := range []struct{ said, wanted store.Confirms }{{byReceipts, byReceipts}, {byPings, byPings}, {byReceipts, byPings}, {not, not}, {byReceipts, byReceipts}} {
		c.apply(store.Change{Confirming: []store.Confirming{{UserID: "l", How: step.said}}})
		users, err := c.s.UsersByID(c.ctx, []string{"l"})
		want(c, fmt.Sprintf("the phone says %d", step.said), store.User{ID: "l", JID: "l", PushCode: "code", PushOS: "android", Confirms: step.wanted, Learned: true})(users["l"], err)
	}
}

func unread(c *check) {
	var change store.Change
	for i, row := range []struct{ id, kind, from, session, owner string }{
		{"m1", "MTT-000", "z", "z", "l"}, {"m2", "MTT-001", "z", "z", "l"}, {"m2", "MTT-001", "z", "z", "l"}, // twice, as the old plugin left it
		{"m3", "MTT-100", "z", "z", "l"}, {"m4", "MTS-100", "z", "g", "l"}, // receipts
		{"m5", "MTS-000", "z", "g", "l"}, {"m6", "MTS-000", "w", "g", "l"}, {"m7", "MTS-000", "l", "g", "l"}, // their own
		{"m8", "MTB-100", "admin", "admin", "l"}, {"m9", "MTT-000", "admin", "admin", "l"}, {"m10", "MTT-000", "l", "w", "w"},
	} {
		change.Offline = append(change.Offline, store.OfflineMessage{Message: store.Message{ID: fmt.Sprint("p", i), MsgID: row.id, Type: row.kind, From: row.from,
			To: row.session, SessionID: row.session, Time: at(i)}, Owner: row.owner})
	}
	c.apply(change)
	var wanted []store.Unread
	for _, u := range []struct {
		conversation, family string
		count, newest        int
	}{{"admin", "MTB", 1, 8}, {"admin", "MTT", 1, 9}, {"g", "MTS", 2, 6}, {"z", "MTT", 2, 2}} {
		wanted = append(wanted, store.Unread{SessionID: u.conversation, Family: u.family, Count: u.count, Newest: at(u.newest)})
	}
	want(c, "of l", wanted)(c.s.UnreadCounts(c.ctx, "l"))
	want(c, "of nobody", []store.Unread{})(c.s.UnreadCounts(c.ctx, "x"))
}

func receipts(c *check) {
	var changes []store.Change
	for n, readers := range map[int][]string{1: {"l"}, 2: {"l", "w"}, 3: nil} {
		m := say(n, "z", "g", "[]")
		for _, r := range readers {
			m.Receipts = append(m.Receipts, store.Receipt{ID: fmt.Sprint(n, r), MsgID: m.Message.MsgID, Sender: "z", Reader: r, Status: 1})
		}
		changes = append(changes, m)
	}
	if !c.apply(changes...) {
		return
	}
	c.apply(store.Change{Receipts: []store.Receipt{{MsgID: "m2", Reader: "w", Status: 2}, {MsgID: "m2", Reader: "nobody", Status: 2}}})
	want(c, "of m2", []store.Receipt{{ID: "2l", MsgID: "m2", Sender: "z", Reader: "l", Status: 1}, {ID: "2w", MsgID: "m2", Sender: "z", Reader: "w", Status: 2}})(c.s.ReceiptsOf(c.ctx, "m2", "z"))
	want(c, "readers of m2", []string{"l", "w"})(c.s.ReadersOf(c.ctx, "m2"))
	want(c, "counted", map[string]int{"m1": 1, "m2": 2})(c.s.ReadCounts(c.ctx, "z", []string{"m1", "m2", "m3", "M1"}))
	want(c, "counted of another author", map[string]int{})(c.s.ReadCounts(c.ctx, "l", []string{"m1", "m2", "m3"}))
	want(c, "all receipts", map[string]int{"m1": 1, "m2": 2})(c.s.ReceiptCounts(c.ctx, []string{"m1", "m2", "m3"}))
}
