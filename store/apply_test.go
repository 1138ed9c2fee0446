package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

var ctx = context.Background()

// say is a group message with its id row.
func say(n int, from, group, body string) store.Change {
	id := fmt.Sprintf("m%d", n)
	return store.Change{
		IDs: []store.ID{{MsgID: id, Class: store.ClassMessage, From: from, Conversation: group, Time: clock(n), Digest: "d", State: store.Live}},
		Message: &store.Message{ID: "row-" + id, MsgID: id, Type: "MTS-000", From: from, To: group, Time: clock(n), Body: body,
			SessionID: group, Flags: "0,1,2.1.0"},
	}
}

// tell is a 1:1 message with its id row.
func tell(n int, from, to string) store.Change {
	c := say(n, from, from, `[{"text":"hi"}]`)
	c.Message.Type, c.Message.To = "MTT-000", to
	return c
}

func waiting(m *store.Message, owner string) store.OfflineMessage {
	p := store.OfflineMessage{Message: *m, Owner: owner, Status: 1}
	p.ID = m.ID + "-" + owner
	return p
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// equal compares by printed form, which shows what differs.
func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func TestNoKeysNoQuery(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s := open(t, e.fresh(t))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		// On a closed store a query fails, so what succeeds has not asked.
		_, e1 := s.IDs(ctx, nil)
		_, e2 := s.MessagesByID(ctx, nil)
		_, e3 := s.Groups(ctx, nil)
		_, e4 := s.Members(ctx, nil)
		_, e5 := s.Formers(ctx, nil, 0)
		_, e6 := s.Receipts(ctx, nil)
		_, e7 := s.Chats(ctx, nil)
		_, e8 := s.UsersByID(ctx, nil)
		_, e9 := s.OfflineOwners(ctx, nil)
		_, e10 := s.OfflineMarks(ctx, nil)
		if err := errors.Join(e1, e2, e3, e4, e5, e6, e7, e8, e9, e10); err != nil {
			t.Error(err)
		}
		if _, err := s.IDs(ctx, []string{"x"}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a query on a closed store: got %v, want %v", err, store.ErrUnavailable)
		}
	})
}

func TestDeletionsOfAllChangesComeBeforeInsertions(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		member := store.Member{UserID: "z", UserName: "old", SessionID: "g", Since: clock(1)}
		first := say(1, "z", "g", "[]")
		first.Members = []store.Member{member}
		first.Offline = []store.OfflineMessage{waiting(first.Message, "l")}
		apply(t, s, epoch, first)

		// The first change inserts what the second deletes: the deletion is of the rows of before.
		again := store.Change{Members: []store.Member{{UserID: "z", UserName: "new", SessionID: "g", Since: clock(9)}},
			Offline: []store.OfflineMessage{waiting(first.Message, "l")}}
		again.Offline[0].ID = "second row"
		gone := store.Change{DropMembers: []store.Member{member}, DropOffline: []store.OfflineKey{{Owner: "l", MsgID: "m1"}}}
		apply(t, s, epoch, again, gone)
		got := must[map[string][]store.Member](t)(s.Members(ctx, []string{"g"}))["g"]
		if len(got) != 1 || got[0].UserName != "new" || got[0].Since != clock(9) {
			t.Errorf("members: got %+v, want the new row alone", got)
		}
		if p := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 9)); len(p) != 1 || p[0].ID != "second row" {
			t.Errorf(`offline: got %+v, want "second row" alone`, p)
		}
	})
}

func TestUpdates(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		name, pic, closed := "renamed", "/p", 1
		apply(t, s, epoch, store.Change{
			Groups:   []store.Group{{ID: "g", Name: "n", CreateTime: clock(0), Valid: 1, Owner: "z"}, {ID: "h", CreateTime: clock(0), Owner: "z"}},
			Members:  []store.Member{{UserID: "z", UserName: "a", SessionID: "g", Since: clock(1)}},
			Receipts: []store.Receipt{{ID: "r", MsgID: "m", Sender: "z", Reader: "l", Status: 1}, {MsgID: "m", Reader: "l", Status: 2}},
			Chats: []store.Chat{{ID: "c", Partner: "l", Owner: "z", CreateTime: clock(1)}, {ID: "d", Partner: "z", Owner: "l", CreateTime: clock(1)},
				{Partner: "l", Owner: "z", ModifyTime: clock(2)}, {Partner: "l", Owner: "z", ModifyTime: clock(3)}},
			Formers: []store.Former{{SessionID: "g", UserID: "w", Time: clock(1)}, {SessionID: "g", UserID: "w", Time: clock(2)}},
			SetIDs:  []store.ID{{MsgID: "x", Class: "m", State: store.Live}},
		})
		touch := say(7, "z", "g", "[]")
		touch.TouchGroup = "g"
		apply(t, s, epoch, touch, store.Change{
			EditGroups: []store.GroupEdit{{ID: "g", Name: &name, Pic: &pic}, {ID: "h", Valid: &closed}},
			Members:    []store.Member{{UserID: "z", UserName: "b", SessionID: "g", Since: clock(8)}},
			SetIDs:     []store.ID{{MsgID: "x", Class: "m", From: "l", Conversation: "c", State: store.Revoked}},
		})
		equal(t, "groups", must[map[string]store.Group](t)(s.Groups(ctx, []string{"g", "h"})), map[string]store.Group{
			"g": {ID: "g", Name: name, Pic: pic, CreateTime: clock(0), ModifyTime: clock(7), Owner: "z"},
			"h": {ID: "h", CreateTime: clock(0), Valid: 1, Owner: "z"}})
		equal(t, "members", must[map[string][]store.Member](t)(s.Members(ctx, []string{"g"}))["g"],
			[]store.Member{{UserID: "z", UserName: "b", SessionID: "g", Since: clock(1)}})
		equal(t, "receipts", must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "m", "z")), []store.Receipt{{ID: "r", MsgID: "m", Sender: "z", Reader: "l", Status: 2}})
		equal(t, "chats", must[[]store.Chat](t)(s.ChatsOf(ctx, "z")), []store.Chat{{ID: "c", Partner: "l", Owner: "z", CreateTime: clock(1), ModifyTime: clock(3)}})
		equal(t, "other side", must[[]store.Chat](t)(s.ChatsOf(ctx, "l"))[0].ModifyTime, "")
		equal(t, "formers", must[[]store.Former](t)(s.Formers(ctx, []string{"g"}, 0)), []store.Former{{SessionID: "g", UserID: "w", Time: clock(2)}})
		equal(t, "id", must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"x"})), map[store.IDKey]store.ID{
			{MsgID: "x", Class: "m"}: {MsgID: "x", Class: "m", From: "l", Conversation: "c", State: store.Revoked}})

		apply(t, s, epoch, store.Change{DropGroups: []string{"g"}})
		if g, ok, err := s.Group(ctx, "g"); ok || err != nil {
			t.Errorf("dropped group: %+v %v, want none and no error", g, err)
		}
		equal(t, "members gone", len(must[map[string][]store.Member](t)(s.Members(ctx, []string{"g"}))), 0)
	})
}

func TestUsers(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		get := func(id string) store.User { return must[map[string]store.User](t)(s.UsersByID(ctx, []string{id}))[id] }
		learn := store.User{ID: "bob", JID: "bob", Name: "bob"}
		apply(t, s, epoch, store.Change{Learn: []store.User{learn, learn}}, store.Change{Learn: []store.User{learn, {ID: "amy", JID: "amy"}}})
		apply(t, s, epoch, store.Change{Learn: []store.User{{ID: "BOB", JID: "bob"}}})
		learn.Learned = true
		equal(t, "learned", get("bob"), learn)

		// The directory names them, with its own spelling; what they had stays theirs.
		apply(t, s, epoch, store.Change{SetPush: []store.User{{ID: "bob", PushCode: "code", PushOS: "android"}}, Confirming: []store.Confirming{{UserID: "bob", How: store.ConfirmsByReceipts}}})
		apply(t, s, epoch, store.Change{Users: []store.User{{ID: "Bob", JID: "bob", Name: "Robert"}}})
		bob := store.User{ID: "Bob", JID: "bob", Name: "Robert", PushCode: "code", PushOS: "android", Confirms: store.ConfirmsByReceipts}
		equal(t, "named", get("Bob"), bob)
		equal(t, "old spelling", get("bob"), store.User{})

		// Their device is given to somebody whom we had not seen.
		apply(t, s, epoch, store.Change{SetPush: []store.User{{ID: "new", JID: "new", PushCode: "code", PushOS: "ios"}}})
		bob.PushCode, bob.PushOS = "", ""
		equal(t, "robbed", get("Bob"), bob)
		equal(t, "owner", get("new"), store.User{ID: "new", JID: "new", PushCode: "code", PushOS: "ios", Learned: true})

		apply(t, s, epoch, store.Change{DropUsers: []string{"Bob", "nobody"}})
		bob.Left = true
		equal(t, "left", get("Bob"), bob)
		var ids []string
		for after := ""; ; {
			page := must[[]store.User](t)(s.ListUsers(ctx, after, 1))
			if len(page) == 0 {
				break
			}
			after = page[0].ID
			ids = append(ids, after)
		}
		equal(t, "all but who left", ids, []string{"amy", "new"})
		apply(t, s, epoch, store.Change{Users: []store.User{{ID: "Bob", JID: "bob", Name: "Robert"}}})
		equal(t, "back", get("Bob").Left, false)
	})
}

// TestConfirming: how phones confirm is only raised, until it is forgotten; an earlier tlim reads it as true.
func TestConfirming(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		apply(t, s, epoch, store.Change{Learn: []store.User{{ID: "a", JID: "a"}, {ID: "b", JID: "b"}}})
		not, receipts, pings := store.ConfirmsNot, store.ConfirmsByReceipts, store.ConfirmsByPings
		for _, step := range []struct {
			changes []store.Confirming
			a, b    store.Confirms
		}{
			{[]store.Confirming{{UserID: "a", How: receipts}, {UserID: "nobody", How: pings}}, receipts, not},
			{[]store.Confirming{{UserID: "a", How: pings}, {UserID: "b", How: pings}, {UserID: "a", How: receipts}}, pings, pings},
			{[]store.Confirming{{UserID: "a", How: receipts}}, pings, pings},
			{[]store.Confirming{{UserID: "b", How: receipts}, {UserID: "b", How: not}, {UserID: "a", How: not}}, not, receipts},
		} {
			apply(t, s, epoch, store.Change{Confirming: step.changes})
			users := must[map[string]store.User](t)(s.UsersByJID(ctx, []string{"a", "b"}))
			equal(t, fmt.Sprint(step.changes), [2]store.Confirms{users["a"].Confirms, users["b"].Confirms}, [2]store.Confirms{step.a, step.b})
		}
		apply(t, s, epoch, store.Change{SetPush: []store.User{{ID: "b", PushCode: "code"}}})
		equal(t, "a new device", must[map[string]store.User](t)(s.UsersByID(ctx, []string{"b"}))["b"].Confirms, receipts)
	})
}

// What the server's tables say of users goes to those whom nobody else has spoken of.
func TestRelearn(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		get := func(id string) store.User { return must[map[string]store.User](t)(s.UsersByID(ctx, []string{id}))[id] }
		apply(t, s, epoch, store.Change{
			Users: []store.User{{ID: "Told", JID: "told", Name: "T"}},
			Learn: []store.User{{ID: "seen", JID: "seen", Name: "seen"}, {ID: "named", JID: "named", Name: "李四", Email: "l@x"},
				{ID: "gone", JID: "gone", Name: "gone"}, {ID: "sent", JID: "sent", Name: "sent"}},
		})
		apply(t, s, epoch, store.Change{DropUsers: []string{"gone", "sent"}})
		must[any](t)(nil, s.SetAccount(ctx, epoch, []string{"gone"}, store.AccountGone))
		stale := func() (ids []string) {
			for _, u := range must[[]store.StaleUser](t)(s.StaleUsers(ctx, "", 10)) {
				ids = append(ids, u.ID)
			}
			return ids
		}
		equal(t, "rows show a name that was learned", stale(), []string{"Told", "named"})

		equal(t, "gone", must[map[string]bool](t)(s.AccountsGone(ctx, []string{"gone", "sent", "seen", "told", "nobody"})), map[string]bool{"gone": true})
		var again []store.User
		for _, id := range []string{"told", "seen", "named", "gone", "sent", "nobody"} {
			again = append(again, store.User{ID: id, JID: id, Name: "New " + id, Login: id, Email: id + "@x"})
		}
		apply(t, s, epoch, store.Change{Relearn: again})
		equal(t, "told", get("Told"), store.User{ID: "Told", JID: "told", Name: "T"})
		equal(t, "gone no more", must[map[string]bool](t)(s.AccountsGone(ctx, []string{"gone"})), map[string]bool{})
		equal(t, "no row is made", get("nobody"), store.User{})
		for _, id := range []string{"seen", "named", "gone"} {
			equal(t, id, get(id), store.User{ID: id, JID: id, Name: "New " + id, Login: id, Email: id + "@x", Learned: true})
		}
		equal(t, "who was sent away stays away", get("sent"), store.User{ID: "sent", JID: "sent", Name: "sent", Learned: true, Left: true})
		equal(t, "rows show the new names", stale(), []string{"Told", "gone", "named", "seen"})
		apply(t, s, epoch, store.Change{Relearn: []store.User{{ID: "seen", JID: "seen", Name: strings.Repeat("名", 257)}}})
		equal(t, "a long name", get("seen").Name, strings.Repeat("名", 256))
	})
}

func TestPurge(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var changes []store.Change
		for n := range 25 {
			c := say(n, "z", "g", "[]")
			c.Receipts = []store.Receipt{{ID: fmt.Sprint("r", n), MsgID: c.Message.MsgID, Sender: "z", Reader: "l", Status: 1}}
			changes = append(changes, c)
		}
		changes = append(changes, say(100, "z", "other", "[]"))
		p := store.Purge{SessionID: "g", Time: clock(30)}
		notice := say(30, "admin", "g", "[]") // the notice of the dissolution, queued for a phone
		notice.Message.Type = "MTS-107"
		notice.Offline = []store.OfflineMessage{waiting(notice.Message, "l")}
		notice.Purges = []store.Purge{p}
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Clock: 1700000000100, Delivered: 1700000000029, Settled: 1700000000029}, append(changes, notice)))
		raw := e.raw(t, cfg)
		run(t, raw, "INSERT INTO ofpubact (id_, title, session_id) VALUES ('a1', 't', 'g'), ('a2', 't', 'g'), ('a3', 't', 'h')",
			"INSERT INTO ofmessage (id_, msg_type, session_id) VALUES ('bare', 'MTS-000', 'g')") // no msg_id, no time

		count := func(query string) (n int) {
			if err := raw.QueryRow(query).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for range 3 {
			if done := must[bool](t)(s.PurgeSome(ctx, epoch, p, 10)); done {
				t.Fatal("purged: got done, want more to do")
			}
		}
		equal(t, "the notice is not settled", count("SELECT COUNT(*) FROM ofmessage WHERE session_id = 'g'"), 1)
		equal(t, "no receipts", count("SELECT COUNT(*) FROM ofstatus"), 0)
		batch := must[store.State](t)(s.State(ctx)).Batch
		if done := must[bool](t)(s.PurgeSome(ctx, epoch, p, 10)); done {
			t.Fatal("purged: got done, want the notices left, which are not settled")
		}
		equal(t, "nothing to do, nothing written", must[store.State](t)(s.State(ctx)).Batch, batch)

		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Settled: 1700000000100}, nil))
		calls := 1
		for !must[bool](t)(s.PurgeSome(ctx, epoch, p, 1)) {
			calls++
		}
		equal(t, "bounded calls", calls, 4) // the notice, two announcements, the row
		equal(t, "messages of others", count("SELECT COUNT(*) FROM ofmessage"), 1)
		equal(t, "announcements of others", count("SELECT COUNT(*) FROM ofpubact"), 1)
		equal(t, "the queued notice stays", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 9))), 1)
		equal(t, "purges", must[[]store.Purge](t)(s.Purges(ctx)), []store.Purge{})

		must[store.State](t)(open(t, cfg).TakeOver(ctx))
		if _, err := s.PurgeSome(ctx, epoch, p, 1); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a deposed process purges: got %v, want %v", err, store.ErrFenced)
		}
	})
}

// TestPurgeOfManyReceipts: what a dissolved group of hundreds leaves goes in transactions of a thousand receipts: more of them hold chat up, and a cluster
// bounds what one may write.
func TestPurgeOfManyReceipts(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.later {
			return
		}
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var changes []store.Change
		for n, readers := range []int{700, 2500, 600, 600} {
			c := say(n, "z", "g", "[]")
			for r := range readers {
				c.Receipts = append(c.Receipts, store.Receipt{ID: fmt.Sprint("r", n, "-", r), MsgID: c.Message.MsgID, Sender: "z", Reader: fmt.Sprint("u", r), Status: 1})
			}
			changes = append(changes, c)
		}
		p := store.Purge{SessionID: "g", Time: clock(30)}
		changes[0].Purges = []store.Purge{p}
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Clock: 1700000000100, Delivered: 1700000000100, Settled: 1700000000100}, changes))
		raw := e.raw(t, cfg)
		count := func(table string) (n int) {
			if err := raw.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		for before := count("ofstatus"); ; {
			done := must[bool](t)(s.PurgeSome(ctx, epoch, p, 500))
			after := count("ofstatus")
			if before-after > 1000 {
				t.Errorf("one transaction removed %d receipts, want at most 1000", before-after)
			}
			if before = after; done {
				break
			}
		}
		equal(t, "what is left", []int{count("ofmessage"), count("ofstatus"), count("tlim_purge")}, []int{0, 0, 0})
	})
}

// TestPurgeOfLongQueues: a dissolved group of thousands has more waiting for phones than one transaction may remove. What the dissolution leaves goes a
// thousand at a time, but not its notices, nor what waits of others; what was begun is gone on with by whoever leads next.
func TestPurgeOfLongQueues(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.later {
			return
		}
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		queue := func(n int, group, kind string, owners int) store.Change {
			c := say(n, "z", group, "[]")
			c.Message.Type = kind
			for i := range owners {
				c.Offline = append(c.Offline, store.OfflineMessage{Message: *c.Message, Owner: fmt.Sprint("u", i)})
				c.Offline[i].ID = fmt.Sprint("q", n, "-", i)
			}
			return c
		}
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{}, []store.Change{queue(1, "g", "MTS-000", 1500), queue(2, "g", "MTS-000", 1600), queue(3, "h", "MTS-000", 3)}))
		raw := e.raw(t, cfg)
		if _, err := raw.Exec("UPDATE ofcustomoffline SET msg_time = NULL, msg_type = NULL WHERE id_ = 'q2-1599'"); err != nil { // of the old plugin
			t.Fatal(err)
		}
		count := func() (old, notices, others int) {
			if err := raw.QueryRow("SELECT COUNT(CASE WHEN session_id = 'g' AND (msg_type <> 'MTS-107' OR msg_type IS NULL) THEN 1 END), COUNT(CASE WHEN msg_type = 'MTS-107' THEN 1 END), COUNT(CASE WHEN session_id = 'h' THEN 1 END) FROM ofcustomoffline").
				Scan(&old, &notices, &others); err != nil {
				t.Fatal(err)
			}
			return old, notices, others
		}

		// 1. The dissolution.
		notices := queue(4, "g", "MTS-107", 1200)
		p := store.Purge{SessionID: "g", Time: clock(30)}
		notices.DropQueues, notices.Purges = []string{"g"}, []store.Purge{p}
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{}, []store.Change{notices}))
		old, told, others := count()
		equal(t, "after the dissolution", []int{old, told, others}, []int{2100, 1200, 3})

		// 2. The rest, by two leaders.
		if done := must[bool](t)(s.PurgeQueue(ctx, epoch, p, "MTS-107")); done {
			t.Error("done after a thousand of 2100 rows, want more to do")
		}
		deposed := epoch
		epoch = must[store.State](t)(s.TakeOver(ctx)).Epoch
		if _, err := s.PurgeQueue(ctx, deposed, p, "MTS-107"); !errors.Is(err, store.ErrFenced) {
			t.Errorf("one that was deposed: got %v, want %v", err, store.ErrFenced)
		}
		for before, done := 1100, false; !done; before = old {
			done = must[bool](t)(s.PurgeQueue(ctx, epoch, p, "MTS-107"))
			if old, _, _ = count(); before-old > 1000 || !done && before == old {
				t.Fatalf("one transaction removed %d rows, want 1 to 1000", before-old)
			}
		}
		old, told, others = count()
		equal(t, "at the end", []int{old, told, others}, []int{0, 1200, 3})
	})
}
