package store_test

import (
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// TestOverview: what administrators look at, in pages and exactly compared.
func TestOverview(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var c store.Change
		for _, id := range []string{"a", "b", "c"} {
			c.Users = append(c.Users, store.User{ID: id, JID: id, Name: "N" + id})
			c.Groups = append(c.Groups, store.Group{ID: "g" + id, Name: "G" + id, Owner: "a", CreateTime: clock(1)})
		}
		c.Members = []store.Member{{SessionID: "ga", UserID: "a", Since: clock(1)}, {SessionID: "ga", UserID: "b", Since: clock(1)}, {SessionID: "gb", UserID: "a", Since: clock(2)}}
		c.Chats = []store.Chat{{ID: "h1", Partner: "b", Owner: "a", CreateTime: clock(1), ModifyTime: clock(5)}, {ID: "h2", Partner: "c", Owner: "a", CreateTime: clock(1), ModifyTime: clock(9)},
			{ID: "h3", Partner: "a", Owner: "b", CreateTime: clock(1), ModifyTime: clock(5)}}
		for i := range 5 {
			m := tell(i+1, "b", "a").Message
			c.Offline = append(c.Offline, waiting(m, "a"))
		}
		c.Offline = append(c.Offline, waiting(tell(9, "a", "b").Message, "b"))
		for i := range 6 {
			p := wake(i+1, "a")
			p.Due = 1700000000000 + int64(i/2)
			c.Pushes = append(c.Pushes, p)
		}
		apply(t, s, epoch, c)
		apply(t, s, epoch, store.Change{DropUsers: []string{"b"}})
		update(t, s, store.PushUpdate{IDs: []string{"p1", "p2", "p3"}, Outcome: "refused", At: 1700000005000})
		update(t, s, store.PushUpdate{IDs: []string{"p4"}, Outcome: "sent", At: 1700000006000})

		var users, groups []string
		for after := ""; ; {
			page := must[[]store.User](t)(s.EveryUser(ctx, after, 2))
			for _, u := range page {
				users, after = append(users, fmt.Sprint(u.ID, u.Left)), u.ID
			}
			if len(page) < 2 {
				break
			}
		}
		for after := ""; ; {
			page := must[[]store.Group](t)(s.EveryGroup(ctx, after, 2))
			for _, g := range page {
				groups, after = append(groups, g.ID), g.ID
			}
			if len(page) < 2 {
				break
			}
		}
		equal(t, "users", strings.Join(users, " "), "afalse btrue cfalse")
		equal(t, "groups", strings.Join(groups, " "), "ga gb gc")
		equal(t, "members", must[map[string]int](t)(s.CountMembers(ctx, []string{"ga", "gb", "gc", "GA"})), map[string]int{"ga": 2, "gb": 1})
		equal(t, "groups of a", must[int](t)(s.CountGroups(ctx, "a")), 2)
		equal(t, "groups of A", must[int](t)(s.CountGroups(ctx, "A")), 0)
		equal(t, "newest", must[map[string]string](t)(s.NewestChats(ctx, []string{"a", "b", "c", "A"})), map[string]string{"a": clock(9), "b": clock(5)})
		equal(t, "sizes", must[map[string]store.QueueSize](t)(s.QueueSizes(ctx, []string{"a", "b", "c", "B"})), map[string]store.QueueSize{"a": {Rows: 5, Oldest: clock(1)}, "b": {Rows: 1, Oldest: clock(9)}})
		var heads []string
		for place := (store.RowPlace{}); ; {
			page := must[[]store.OfflineMessage](t)(s.QueueHeads(ctx, "a", place, 2))
			for _, p := range page {
				heads, place = append(heads, p.MsgID+p.From+p.Body), store.RowPlace{Time: p.Time, MsgID: p.MsgID, ID: p.ID}
			}
			if len(page) < 2 {
				break
			}
		}
		equal(t, "queue", strings.Join(heads, " "), "m1b m2b m3b m4b m5b")
		for at, want := range map[int64]string{1700000000002: "m2 m3 m4 m5", 1700000000003: "m3 m4 m5", 1700000000006: ""} {
			t.Run(fmt.Sprint("from ", at), func(t *testing.T) {
				var from []string
				for _, p := range must[[]store.OfflineMessage](t)(s.QueueHeads(ctx, "a", store.PlaceFrom(at), 9)) {
					from = append(from, p.MsgID)
				}
				equal(t, fmt.Sprint("queue from ", at), strings.Join(from, " "), want)
			})
		}
		var waits, ended []store.Push
		for last := (store.Push{}); ; {
			page := must[[]store.Push](t)(s.WaitingPushes(ctx, "c", last, 1))
			if len(page) == 0 {
				break
			}
			waits, last = append(waits, page...), page[0]
		}
		for last := (store.Push{}); ; {
			page := must[[]store.Push](t)(s.EndedPushes(ctx, "c", last, 2))
			if len(page) == 0 {
				break
			}
			ended, last = append(ended, page...), page[len(page)-1]
		}
		equal(t, "waiting", pushIDs(waits), "p5 p6")
		equal(t, "ended", pushIDs(ended), "p4 p3 p2 p1")
		if v := must[string](t)(s.Version(ctx)); v == "" {
			t.Error("got no version, want one")
		}
	})
}
