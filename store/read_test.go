package store_test

import (
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// ids are the msg_ids of messages, in order.
func ids(list []store.Message) []string {
	out := []string{}
	for _, m := range list {
		out = append(out, m.MsgID)
	}
	return out
}

func TestReadCounts(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		var changes []store.Change
		read := func(n int, author string, readers ...string) {
			c := say(n, author, "g", "[]")
			for _, r := range readers {
				c.Receipts = append(c.Receipts, store.Receipt{ID: fmt.Sprint(n, r), MsgID: c.Message.MsgID, Sender: author, Reader: r, Status: 1})
			}
			changes = append(changes, c)
		}
		read(1, "z", "l")
		read(2, "z", "l", "w")
		read(3, "z")
		read(4, "l", "z", "w")
		chat := tell(5, "z", "l")
		chat.Receipts = []store.Receipt{{ID: "c", MsgID: "m5", Sender: "z", Reader: "l", Status: 2}}
		apply(t, s, epoch, append(changes, chat)...)
		heads := func(list []store.Message, total int64, err error) string {
			t.Helper()
			return fmt.Sprint(ids(list), total, err)
		}
		equal(t, "group", heads(s.GroupHeads(ctx, "g", store.Page{Length: 10})), "[m4 m3 m2 m1] 4 <nil>")
		equal(t, "page", heads(s.GroupHeads(ctx, "g", store.Page{Start: 3, Length: math.MaxInt})), "[m1] 4 <nil>")
		equal(t, "keyset", heads(s.GroupHeads(ctx, "g", store.Page{Length: 2, BeforeTime: clock(4), BeforeID: "m4", NoTotal: true})), "[m3 m2] -1 <nil>")
		equal(t, "nothing", heads(s.GroupHeads(ctx, "g", store.Page{})), "[] 4 <nil>")
		equal(t, "chat", heads(s.ChatHeads(ctx, "z", "l", store.Page{Length: 10})), "[m5] 1 <nil>")
		equal(t, "other way", heads(s.ChatHeads(ctx, "l", "z", store.Page{Length: 10})), "[] 0 <nil>")
		equal(t, "readers", must[map[string]int](t)(s.ReadCounts(ctx, "z", []string{"m1", "m2", "m3", "m4", "m5"})), map[string]int{"m1": 1, "m2": 2, "m5": 1})
		equal(t, "of nobody", must[map[string]int](t)(s.ReadCounts(ctx, "z", nil)), map[string]int{})
	})
}

// TestLargePages: large bodies end a page early, and whoever goes on behind it meets every row once.
func TestLargePages(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		const n, size = 60, 60_000 // 16 or 17 to a page
		var want []string          // newest first
		var queue []string
		for i := range n {
			c := tell(i, []string{"z", "z", "l"}[i%3], []string{"l", "l", "z"}[i%3])
			c.Message.Body = `[{"text":"` + strings.Repeat("x", size) + `"}]`
			c.Message.Flags = "" // what is encrypted is not searched
			c.Offline = []store.OfflineMessage{{Message: *c.Message, Owner: "w"}}
			apply(t, s, epoch, c)
			want, queue = append([]string{c.Message.MsgID}, want...), append(queue, c.Message.MsgID)
		}
		var got []string
		fits := func(page []store.Message, n int) bool {
			t.Helper()
			if len(page) > 18 {
				t.Fatalf("a page of %d, want at most 18", len(page))
			}
			got = append(got, ids(page)...)
			return store.More(page, n)
		}

		for limit := range map[int]bool{5: true, 1000: true} {
			t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
				got = nil
				for p := (store.Page{Length: limit}); ; {
					page, total, err := s.ChatHistory(ctx, "z", "l", p)
					if err != nil || p.BeforeTime == "" && total != n {
						t.Fatalf("got a total of %d, %v, want %d and no error", total, err, n)
					}
					if !fits(page, limit) {
						break
					}
					last := page[len(page)-1]
					p.BeforeTime, p.BeforeID, p.NoTotal = last.Time, last.MsgID, true
				}
				equal(t, "history", got, want)
			})
		}

		got = nil
		for time, id := "", ""; ; {
			page := must[[]store.OfflineMessage](t)(s.Offline(ctx, "w", "", time, id, 1000))
			for _, p := range page {
				got, time, id = append(got, p.MsgID), p.Time, p.ID
			}
			if len(page) > 18 {
				t.Fatalf("a page of %d, want at most 18", len(page))
			}
			if !store.More(page, 1000) {
				break
			}
		}
		equal(t, "queue", got, queue)
		equal(t, "what a new phone is sent", len(must[[]store.OfflineMessage](t)(s.RecentOffline(ctx, "w", 0, 1000))), n)

		got = nil
		for time, after := clock(0), ""; time != ""; {
			page, end, err := s.MessagesTo(ctx, "l", time, after, 1000, 1000)
			if err != nil {
				t.Fatal(err)
			}
			fits(page, 1000)
			time, after = end.Time, end.ID
		}
		equal(t, "to one", len(got), n/3*2)

		got = nil
		for p := (store.Page{Length: 1000}); ; {
			page, end, err := s.SearchChat(ctx, "z", "l", "xxx", p, 25)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids(page)...)
			if end == (store.Place{}) {
				break
			}
			p.BeforeTime, p.BeforeID = end.Time, end.ID
		}
		equal(t, "search", got, want)
	})
}

func TestOfflinePages(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var c store.Change
		var want []string
		for i := range 40 { // three of a time, of which two are one message; ids that sort against the order of the rows
			m := say(i, "z", "g", "[]").Message
			m.Time, m.MsgID = clock(i/3), fmt.Sprintf("m%d", i/3*3+min(i%3, 1))
			m.ID = fmt.Sprintf("row%02d", 99-i)
			p := store.OfflineMessage{Message: *m, Owner: "l"}
			c.Offline = append(c.Offline, p)
		}
		receipt := store.OfflineMessage{Message: store.Message{ID: "only", MsgID: "r", Type: "MTS-100", Time: clock(1)}, Owner: "w"}
		c.Offline = append(c.Offline, receipt)
		apply(t, s, epoch, c)
		run(t, e.raw(t, cfg), // the old plugin's: without id, without time, with neither
			"INSERT INTO ofcustomoffline (id_, delete_user, msg_time) VALUES ('bare2', 'l', '"+clock(1)+"'), ('bare1', 'l', '"+clock(1)+"')",
			"INSERT INTO ofcustomoffline (id_, delete_user, msg_id) VALUES ('timeless2', 'l', 'm1'), ('timeless1', 'l', 'm1')",
			"INSERT INTO ofcustomoffline (id_, delete_user) VALUES ('neither2', 'l'), ('neither1', 'l')")
		for _, p := range must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 1000)) {
			want = append(want, p.ID)
		}
		equal(t, "rows", len(want), 46)
		equal(t, "first", want[:11], []string{"neither1", "neither2", "timeless1", "timeless2", "row99", "row97", "row98", "bare1", "bare2", "row96", "row94"})

		for _, limit := range []int{1, 2, 3, 4, 7, 46} {
			t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
				var got []string
				time, id := "", ""
				for {
					page := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", time, id, limit))
					for _, p := range page {
						got = append(got, p.ID)
						time, id = p.Time, p.ID
					}
					if len(page) < limit {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("pages of %d:\n got %v\nwant %v", limit, got, want)
				}
			})
		}
		since := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", clock(13), "", "", 10))
		equal(t, "since", len(since), 1)
		equal(t, "recent", must[[]store.OfflineMessage](t)(s.RecentOffline(ctx, "l", 1700000000013, 10)), since)
		equal(t, "behind a row that is gone", must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", clock(13), "gone", 10)), since)
		equal(t, "unread", must[bool](t)(s.HasOffline(ctx, "l")), true)
		equal(t, "only receipts", must[bool](t)(s.HasOffline(ctx, "w")), false)
		equal(t, "nothing", must[bool](t)(s.HasOffline(ctx, "x")), false)
	})
}

func TestReplayReadsWhatTlimWrote(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		run(t, e.raw(t, cfg), "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_time) VALUES "+
			"('future', 'f', 'MTT-000', '1893456000000'), ('date', 'd', 'MTT-000', '2018-12-12 16:13:13'), ('seconds', 's', 'MTT-000', '1544602393'), ('null', 'n', 'MTT-000', NULL)")
		first := must[[]store.Message](t)(s.MessagesAfter(ctx, "", "", 1))
		equal(t, "before the first write everything shows", ids(first), []string{"s"})

		var changes []store.Change
		for i := range 10 {
			c := say(i, "z", "g", "[]")
			c.Message.Time = clock(i / 4)
			changes = append(changes, c)
		}
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Clock: 1700000000002}, changes))
		equal(t, "above", ids(must[[]store.Message](t)(s.MessagesAfter(ctx, clock(0), "", 100))), []string{"m4", "m5", "m6", "m7", "m8", "m9"})
		var got []string
		at, id := "1699999999999", ""
		for {
			page := must[[]store.Message](t)(s.MessagesAfter(ctx, at, id, 3))
			if len(page) == 0 {
				break
			}
			got = append(got, ids(page)...)
			last := page[len(page)-1]
			at, id = last.Time, last.ID
		}
		equal(t, "pages", got, []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"})
	})
}

func TestNullsRead(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s := open(t, cfg)
		run(t, e.raw(t, cfg),
			"INSERT INTO ofmessage (id_, msg_type, session_id) VALUES ('1', 'MTS-000', 'g')",
			"INSERT INTO ofmessage (id_, msg_id) VALUES ('2', 'm')",
			"INSERT INTO ofcustomoffline (id_, delete_user) VALUES ('1', 'l')",
			"INSERT INTO ofsession (session_id) VALUES ('g')",
			"INSERT INTO ofsubscriber (user_id, session_id) VALUES ('z', 'g')",
			"INSERT INTO ofstatus (id_, msg_id, reader) VALUES ('1', 'm', 'l')", "INSERT INTO ofstatus (id_) VALUES ('2'), ('3')",
			"INSERT INTO ofchat (chat_id, chat_other) VALUES ('1', 'z')",
			"INSERT INTO tlim_user (user_id) VALUES ('z'), ('y')")
		list, total, err := s.GroupHistory(ctx, "g", store.Page{Length: 5})
		equal(t, "history", fmt.Sprint(list, total, err), fmt.Sprint([]store.Message{{ID: "1", Type: "MTS-000", SessionID: "g"}}, 1, nil))
		equal(t, "by id", must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m"})), map[string][]store.Message{"m": {{ID: "2", MsgID: "m"}}})
		when, ok, err := s.MessageTime(ctx, "m")
		equal(t, "time", fmt.Sprintf("%q %v %v", when, ok, err), `"" true <nil>`)
		equal(t, "offline", must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 5)), []store.OfflineMessage{{Message: store.Message{ID: "1"}, Owner: "l"}})
		equal(t, "unread of no type", must[bool](t)(s.HasOffline(ctx, "l")), false)
		equal(t, "group", must[map[string]store.Group](t)(s.Groups(ctx, []string{"g"})), map[string]store.Group{"g": {ID: "g"}})
		equal(t, "member", must[map[string][]store.Member](t)(s.Members(ctx, []string{"g"})), map[string][]store.Member{"g": {{UserID: "z", SessionID: "g"}}})
		equal(t, "groups of", must[[]store.Group](t)(s.GroupsOf(ctx, "z")), []store.Group{})
		equal(t, "receipts", len(must[map[store.ReceiptKey][]store.Receipt](t)(s.Receipts(ctx, []store.ReceiptKey{{MsgID: "m", Reader: "l"}}))), 1)
		equal(t, "chat", must[[]store.Chat](t)(s.ChatsOf(ctx, "z")), []store.Chat{{ID: "1", Owner: "z"}})
		equal(t, "user", must[map[string]store.User](t)(s.UsersByID(ctx, []string{"z"})), map[string]store.User{"z": {ID: "z"}})
	})
}

// TestLongHistoriesStayInTheIndex: MySQL counts and skips the messages of a long history without fetching each of them, and
// without sorting them.
func TestLongHistoriesStayInTheIndex(t *testing.T) {
	cfg := mysqlEngine.fresh(t)
	open(t, cfg)
	raw := mysqlEngine.raw(t, cfg)
	var rows []string
	for i := range 1000 {
		for _, row := range [][4]string{{"MTS-000", "z", "g", "g"}, {"MTT-000", "z", "l", "z"}, {"MTT-001", "w", "l", "w"}, {"MTB-000", "admin", "l", "admin"}, {"MTB-100", "admin", "l", "admin"}} {
			rows = append(rows, fmt.Sprintf("('%s %d', 'm%d', '%s', '%s', '%s', '%s', '[]', '%s')", row[0], i, i, row[0], row[1], row[2], clock(i), row[3]))
		}
	}
	run(t, raw, "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES "+strings.Join(rows, ", "),
		"ANALYZE TABLE ofmessage")
	values := map[string]string{"session_id": "g", "msg_from": "z", "msg_to": "l", "msg_type": "MTB-100"}
	for _, query := range store.InTheIndex {
		plan, err := raw.Query("EXPLAIN " + store.MySQLText(query, values))
		if err != nil {
			t.Fatalf("got %v, want a plan of: %s", err, query)
		}
		columns := must[[]string](t)(plan.Columns())
		steps := 0
		for plan.Next() {
			steps++
			values := make([]sql.NullString, len(columns))
			into := make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			must[any](t)(nil, plan.Scan(into...))
			extra := strings.Split(values[slices.Index(columns, "Extra")].String, "; ")
			for i := range extra {
				extra[i] = strings.TrimSpace(extra[i])
			}
			if !slices.Contains(extra, "Using index") || slices.Contains(extra, "Using filesort") {
				t.Errorf("%s: got %s\n  in: %s\nwant extra with \"Using index\", without \"Using filesort\"", values[slices.Index(columns, "key")].String, extra, query)
			}
		}
		must[any](t)(nil, plan.Err())
		equal(t, "steps", steps, 1)
	}
}
