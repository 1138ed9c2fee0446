package store_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"tlim/store"
)

// left lists the msg_ids of all messages, sorted.
func left(t *testing.T, s *store.Store) []string {
	t.Helper()
	list := ids(must[[]store.Message](t)(s.MessagesAfter(ctx, "", "", 10_000)))
	slices.Sort(list)
	return list
}

func TestEraseChat(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		notice := tell(3, "admin", "l")
		notice.Message.Type = "MTB-000"
		stranger := tell(4, "z", "w")
		grouped := say(5, "z", "l", "[]") // a group named like a user
		var changes []store.Change
		for _, c := range []store.Change{tell(1, "z", "l"), tell(2, "l", "z"), notice, stranger, grouped} {
			c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
			changes = append(changes, c)
		}
		for i, id := range []string{"m1", "m2", "m4", "twin"} {
			changes[0].Receipts = append(changes[0].Receipts, store.Receipt{ID: fmt.Sprint("r", i), MsgID: id, Sender: "z", Reader: "x", Status: 1})
		}
		changes[0].Receipts = append(changes[0].Receipts, store.Receipt{ID: "r9", MsgID: "twin", Sender: "w", Reader: "y", Status: 1})
		changes[0].Chats = []store.Chat{{ID: "c", Partner: "l", Owner: "z", CreateTime: clock(1)}}
		apply(t, s, epoch, changes...)
		// The old plugin's: no msg_id; the same msg_id in two conversations.
		run(t, e.raw(t, cfg), "INSERT INTO ofmessage (id_, msg_type, msg_from, msg_to, msg_time) VALUES ('bare', 'MTT-000', 'l', 'z', '"+clock(6)+"')",
			"INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time) VALUES ('t1', 'twin', 'MTT-000', 'z', 'l', '"+clock(6)+"'), ('t2', 'twin', 'MTT-000', 'w', 'x', '"+clock(6)+"')")

		const now = 1700000000003
		equal(t, "what came since stays", len(must[[]store.Erased](t)(s.ChatRows(ctx, "l", "z", now-2, now, 100))), 3)
		rows := must[[]store.Erased](t)(s.ChatRows(ctx, "l", "z", now, now, 100))
		slices.SortFunc(rows, func(a, b store.Erased) int { return cmpText(a.ID, b.ID) })
		equal(t, "rows", rows, []store.Erased{{ID: "bare", From: "l"}, {ID: "row-m1", MsgID: "m1", From: "z"}, {ID: "row-m2", MsgID: "m2", From: "l"}, {ID: "t1", MsgID: "twin", From: "z"}})
		for limit := range 4 {
			equal(t, "at most", len(must[[]store.Erased](t)(s.ChatRows(ctx, "z", "l", now, now, limit))), limit)
		}
		equal(t, "notices", must[[]store.Erased](t)(s.ChatRows(ctx, "l", "admin", now, now, 100)), []store.Erased{{ID: "row-m3", MsgID: "m3", From: "admin"}})
		apply(t, s, epoch, store.Change{Erase: rows})

		equal(t, "messages", left(t, s), []string{"m3", "m4", "m5", "twin"})
		equal(t, "queue", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 5)
		equal(t, "chats", len(must[[]store.Chat](t)(s.ChatsOf(ctx, "z"))), 1)
		var receipts []string
		for _, id := range []string{"m1", "m2", "m4", "twin"} {
			for _, who := range []string{"z", "w"} {
				for _, r := range must[[]store.Receipt](t)(s.ReceiptsOf(ctx, id, who)) {
					receipts = append(receipts, r.ID)
				}
			}
		}
		equal(t, "receipts", receipts, []string{"r2", "r9"})
		// Repeated, nothing is left to do, and a message of that id still counts as known.
		equal(t, "again", must[[]store.Erased](t)(s.ChatRows(ctx, "z", "l", now, now, 100)), []store.Erased{})
		apply(t, s, epoch, store.Change{Erase: rows})
		equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"m1", "m2"}))), 2)
	})
}

func cmpText(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func TestEraseAuthor(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		var changes []store.Change
		for i := range 1100 { // over two lists of keys
			c := say(i, []string{"z", "l"}[i%2], "g", "[]")
			c.IDs = nil
			c.Receipts = []store.Receipt{{ID: fmt.Sprint("r", i), MsgID: c.Message.MsgID, Sender: c.Message.From, Reader: "w", Status: 1}}
			changes = append(changes, c)
		}
		changes = append(changes, say(2000, "z", "other", "[]"), tell(2001, "z", "g"))
		apply(t, s, epoch, changes...)
		z := store.Author{SessionID: "g", UserID: "z"}
		some := must[[]store.Erased](t)(s.AuthorRows(ctx, z, 7))
		equal(t, "at most", len(some), 7)
		apply(t, s, epoch, store.Change{Erase: some})
		_, total, err := s.GroupHistory(ctx, "g", store.Page{})
		equal(t, "seven less", fmt.Sprint(total, err), "1093 <nil>")
		// Several changes of one call are one batch.
		apply(t, s, epoch, store.Change{DropAuthors: []store.Author{z}, DropMembers: []store.Member{{SessionID: "g", UserID: "z"}}},
			store.Change{DropAuthors: []store.Author{{SessionID: "other", UserID: "nobody"}}})
		equal(t, "nothing of theirs is left", must[[]store.Erased](t)(s.AuthorRows(ctx, z, 7)), []store.Erased{})
		_, total, err = s.GroupHistory(ctx, "g", store.Page{})
		equal(t, "the others' stays", fmt.Sprint(total, err), "550 <nil>")
		equal(t, "theirs elsewhere", len(must[[]store.Erased](t)(s.AuthorRows(ctx, store.Author{SessionID: "other", UserID: "z"}, 7))), 1)
		equal(t, "receipts", fmt.Sprint(len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "m0", "z"))), len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "m1", "l")))), "0 1")
	})
}

func TestAnnouncements(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		a := store.Announcement{ID: "a1", Title: "放假 😀", Content: "明天", UserID: "z", Time: clock(1), SessionID: "g"}
		b, c := a, a
		b.ID, c.ID, c.SessionID = "a2", "a3", "other"
		apply(t, s, epoch, store.Change{Announcements: []store.Announcement{b}}, store.Change{Announcements: []store.Announcement{a, c}})
		equal(t, "all", must[[]store.Announcement](t)(s.Announcements(ctx, "g", "", 10)), []store.Announcement{a, b})
		equal(t, "first", must[[]store.Announcement](t)(s.Announcements(ctx, "g", "", 1)), []store.Announcement{a})
		equal(t, "next", must[[]store.Announcement](t)(s.Announcements(ctx, "g", "a1", 10)), []store.Announcement{b})
		equal(t, "none", must[[]store.Announcement](t)(s.Announcements(ctx, "x", "", 10)), []store.Announcement{})

		title, empty, long := "新", "", string(make([]byte, 257))
		apply(t, s, epoch, store.Change{EditAnnouncements: []store.AnnouncementEdit{{ID: "a1", Title: &title}, {ID: "a2", Content: &empty}, {ID: "gone", Title: &title}}})
		a.Title, b.Content = title, ""
		for _, want := range []store.Announcement{a, b} {
			got, ok, err := s.Announcement(ctx, want.ID)
			equal(t, "edited", fmt.Sprintf("%+v %v %v", got, ok, err), fmt.Sprintf("%+v true <nil>", want))
		}
		for _, id := range []string{"A1", "a1 ", "gone", ""} {
			t.Run(fmt.Sprintf("%q", id), func(t *testing.T) {
				if _, ok, err := s.Announcement(ctx, id); ok || err != nil {
					t.Errorf("got %v %v, want none and no error", ok, err)
				}
			})
		}
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{{EditAnnouncements: []store.AnnouncementEdit{{ID: "a1", Title: &long}}}}); !errors.Is(err, store.ErrData) {
			t.Errorf("a long title: got %v, want %v", err, store.ErrData)
		}
		apply(t, s, epoch, store.Change{DropAnnouncements: []string{"a1", "gone"}}, store.Change{DropAnnouncements: []string{"a3"}})
		equal(t, "dropped", must[[]store.Announcement](t)(s.Announcements(ctx, "g", "", 10)), []store.Announcement{b})
		equal(t, "dropped elsewhere", must[[]store.Announcement](t)(s.Announcements(ctx, "other", "", 10)), []store.Announcement{})
	})
}

// Old tables can number their rows. What is no number is the id of none: SQL Server would answer with an error, and MySQL takes "12abc" for 12.
func TestIDsThatAreNoNumbers(t *testing.T) {
	for _, c := range []struct {
		e  engine
		id string
	}{{mysqlEngine, "int auto_increment"}, {sqlserverEngine, "numeric(6) identity"}} {
		t.Run(c.e.name, func(t *testing.T) {
			cfg := c.e.fresh(t, oldTables(c.e, c.id, "")...)
			s, epoch := owned(t, cfg)
			change := say(1, "z", "g", "[]")
			change.Offline = []store.OfflineMessage{waiting(change.Message, "l")}
			change.Receipts = []store.Receipt{{ID: "r", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
			change.Announcements = []store.Announcement{{ID: "ours", Title: "t", SessionID: "g"}}
			apply(t, s, epoch, change)
			row := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))[0]
			equal(t, "numbered", row.ID, "1")
			there := func(what string) {
				t.Helper()
				equal(t, what, fmt.Sprint(must[[]store.Announcement](t)(s.Announcements(ctx, "g", "", 10))), "[{1 t    g}]")
				equal(t, what, len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 1)
				equal(t, what, ids(must[[]store.Message](t)(s.MessagesAfter(ctx, "0", "", 10))), []string{"m1"})
			}
			for _, id := range []string{"abc", "12abc", "1abc", "1.0", "1e0", "+1", " 1", "01", "-", "张三", "0x1", "1000000", "12345678901", "99999999999999999999"} {
				t.Run(id, func(t *testing.T) {
					if _, ok, err := s.Announcement(ctx, id); ok || err != nil {
						t.Errorf("announcement: got %v, %v, want none and no error", ok, err)
					}
					title := "changed"
					apply(t, s, epoch, store.Change{EditAnnouncements: []store.AnnouncementEdit{{ID: id, Title: &title, Content: &title}}, DropAnnouncements: []string{id}})
					apply(t, s, epoch, store.Change{DropOffline: []store.OfflineKey{{RowID: id}}})
					if err := s.DeleteOffline(ctx, epoch, []store.Old{{Key: id}}); err != nil {
						t.Error(err)
					}
					if n, err := s.DeleteMessages(ctx, epoch, []store.Old{{Key: id}}); n != 1 || err != nil {
						t.Errorf("messages: got %d, %v, want 1 asked for and no error", n, err)
					}
					there("nothing changed")
					equal(t, "a row that is gone", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", row.Time, id, 10))), 1)

					// What sorts below the digits is below all rows, everything else behind them.
					rest := 0
					if id < "0" {
						rest = 1
					}
					after := store.Old{Time: row.Time, Key: id}
					found, _, err := s.MessagesTo(ctx, "g", row.Time, id, 10, 10)
					equal(t, "messages to", fmt.Sprint(len(found), err), fmt.Sprint(rest, nil))
					equal(t, "announcements", len(must[[]store.Announcement](t)(s.Announcements(ctx, "g", id, 10))), rest)
					equal(t, "messages", len(must[[]store.Message](t)(s.MessagesAfter(ctx, row.Time, id, 10))), rest)
					equal(t, "an earlier time", len(must[[]store.Message](t)(s.MessagesAfter(ctx, "0", id, 10))), 1)
					equal(t, "old messages", len(must[[]store.Old](t)(s.OldMessages(ctx, math.MaxInt32*1000, after, 10))), rest)
					equal(t, "queue", len(must[[]store.Old](t)(s.WalkOffline(ctx, store.Old{Key: id}, 10))), rest)
				})
			}
			// Among others, the ids of rows that are there are found.
			if a, ok, err := s.Announcement(ctx, "1"); !ok || err != nil || a.Title != "t" {
				t.Errorf("announcement 1: got %+v, %v, %v, want it", a, ok, err)
			}
			apply(t, s, epoch, store.Change{DropAnnouncements: []string{"abc", "1"}, DropOffline: []store.OfflineKey{{RowID: "12345678901"}, {RowID: "1"}}})
			equal(t, "announcements", len(must[[]store.Announcement](t)(s.Announcements(ctx, "g", "", 10))), 0)
			equal(t, "queue", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 0)
		})
	}
}
