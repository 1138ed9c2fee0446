package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

func callID(n int) string { return fmt.Sprintf("0190f8c2-%04x-7abc-8def-000000000000", n) }

func TestCalls(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		many := make([]string, 500) // as long as ids may be, of characters that take four bytes
		for i := range many {
			many[i] = strings.Repeat("😀", 60) + fmt.Sprintf("%04d", i)
		}
		large := store.Call{ID: callID(1), Key: strings.Repeat("a", 64), Business: strings.Repeat("b", 64), Caller: "财务", Type: "MTB-000", Digest: strings.Repeat("d", 64),
			Body: `[{"docTitle":"请假 😀 ' \" \\"}]` + strings.Repeat("x", 64<<10), Receivers: 1100, Made: 1700000000001}
		bare := store.Call{ID: callID(2), Type: "MTB-100", Receivers: 1, Made: 1700000000002, Done: true, Answer: "error-012"}
		parts := []store.CallPart{{CallID: large.ID, First: 501, To: many}, {CallID: large.ID, First: 1001, To: many[:100]}}
		apply(t, s, epoch, store.Change{Calls: []store.Call{large, bare}, CallParts: parts}, store.Change{Calls: []store.Call{{ID: callID(3), Made: 1, Done: true}}})

		// 1. Read by another process.
		other := open(t, cfg)
		get := func(c store.Call, found bool, err error) string { return fmt.Sprintf("%+v %v %v", c, found, err) }
		equal(t, "by id", get(other.Call(ctx, large.ID)), get(large, true, nil))
		equal(t, "without anything", get(other.Call(ctx, bare.ID)), get(bare, true, nil))
		equal(t, "by key", get(other.CallByKey(ctx, large.Key)), get(large, true, nil))
		equal(t, "no key is no key", get(other.CallByKey(ctx, "")), get(store.Call{}, false, nil))
		equal(t, "unknown", get(other.Call(ctx, callID(9))), get(store.Call{}, false, nil))
		equal(t, "open", must[[]store.Call](t)(other.OpenCalls(ctx)), []store.Call{large})
		equal(t, "parts", must[[]store.CallPart](t)(other.CallParts(ctx, large.ID, 0, 10)), parts)
		equal(t, "first part", must[[]store.CallPart](t)(other.CallParts(ctx, large.ID, 0, 1)), parts[:1])
		equal(t, "parts behind", must[[]store.CallPart](t)(other.CallParts(ctx, large.ID, 502, 10)), parts[1:])
		equal(t, "about", must[[]string](t)(other.CallsAbout(ctx, large.Business, callID(1))), []string{large.ID})
		equal(t, "about, later", must[[]string](t)(other.CallsAbout(ctx, large.Business, callID(2))), []string{})
		equal(t, "about nothing", must[[]string](t)(other.CallsAbout(ctx, "", callID(0))), []string{})

		// 2. One key, one row; and what comes with it is not written.
		c := tell(1, "a", "b")
		c.Calls = []store.Call{{ID: callID(4), Key: large.Key}}
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{c}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same key again: got %v, want %v", err, store.ErrDuplicate)
		}
		equal(t, "its message", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))), 0)
		c.Calls, c.FreeCalls = []store.Call{{ID: callID(4), Key: large.Key, Done: true, Made: 1}}, []string{large.ID}
		apply(t, s, epoch, c)
		large.Key = ""
		equal(t, "the old one has lost its key", must[[]store.Call](t)(s.OpenCalls(ctx)), []store.Call{large})
		apply(t, s, epoch, store.Change{DropCallParts: parts, EditCalls: []store.CallEdit{{ID: large.ID, Done: true}}})

		// 3. Part by part, with the messages of each, and a part in two.
		large.ID, large.Key = callID(5), "k"
		for i := range parts {
			parts[i].CallID = large.ID
		}
		apply(t, s, epoch, store.Change{Calls: []store.Call{large}, CallParts: parts})
		halves := []store.CallPart{{CallID: large.ID, First: 501, To: many[:2]}, {CallID: large.ID, First: 503, To: many[2:]}}
		apply(t, s, epoch, store.Change{DropCallParts: parts[:1], CallParts: halves, EditCalls: []store.CallEdit{{ID: large.ID, Answer: "error-012"}}})
		equal(t, "halves", must[[]store.CallPart](t)(s.CallParts(ctx, large.ID, 0, 10)), append(halves, parts[1]))
		large.Answer = "error-012"
		equal(t, "not over", get(s.Call(ctx, large.ID)), get(large, true, nil))
		c = tell(2, "a", "b")
		c.DropCallParts = append(halves, parts[1])
		c.EditCalls = []store.CallEdit{{ID: large.ID, Done: true}}
		apply(t, s, epoch, c)
		large.Answer, large.Done, large.Body = "", true, ""
		equal(t, "over", get(s.Call(ctx, large.ID)), get(large, true, nil))
		equal(t, "no part is left", must[[]store.CallPart](t)(s.CallParts(ctx, large.ID, 0, 10)), []store.CallPart{})

		// 4. What is too long is refused whole.
		for what, c := range map[string]store.Change{
			"caller": {Calls: []store.Call{{ID: callID(6), Caller: strings.Repeat("长", 65)}}},
			"key":    {Calls: []store.Call{{ID: callID(6), Key: strings.Repeat("x", 65)}}},
		} {
			t.Run(what, func(t *testing.T) {
				if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{c}); !errors.Is(err, store.ErrData) {
					t.Errorf("got %v, want %v", err, store.ErrData)
				}
			})
		}

		// 5. Listed, newest first.
		listed := func(after string, limit int) (ids []string) {
			for _, c := range must[[]store.Call](t)(s.ListCalls(ctx, after, limit)) {
				ids = append(ids, c.ID)
			}
			return ids
		}
		all := listed("", 10)
		equal(t, "the newest", all[0], callID(5))
		equal(t, "a page", listed("", 2), all[:2])
		equal(t, "the next", listed(all[1], 10), all[2:])
		newest := must[[]store.Call](t)(s.ListCalls(ctx, "", 1))
		equal(t, "what is listed of it", newest, []store.Call{{ID: large.ID, Caller: large.Caller, Type: large.Type, Receivers: large.Receivers, Made: large.Made, Done: true}})

		// 6. Forgotten in batches: those before, if they are done; and not by a process that was deposed.
		apply(t, s, epoch, store.Change{Calls: []store.Call{{ID: callID(0), Made: 1}}})
		equal(t, "a batch", fmt.Sprint(s.DeleteCalls(ctx, epoch, callID(5), 2)), "2 <nil>")
		equal(t, "the rest", fmt.Sprint(s.DeleteCalls(ctx, epoch, callID(5), 2)), "2 <nil>")
		equal(t, "no more", fmt.Sprint(s.DeleteCalls(ctx, epoch, callID(5), 2)), "0 <nil>")
		equal(t, "open ones stay", fmt.Sprint(len(must[[]store.Call](t)(s.OpenCalls(ctx)))), "1")
		if _, err := s.DeleteCalls(ctx, epoch+1, callID(9), 2); !errors.Is(err, store.ErrFenced) {
			t.Errorf("of another epoch: got %v, want %v", err, store.ErrFenced)
		}
	})
}

// TestCallMessages: the messages of a call are found by their ids, whatever else the tables hold.
func TestCallMessages(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		call := callID(7)
		name := func(n int) string { return call[:30] + fmt.Sprintf("%06x", n) }
		var changes []store.Change
		for n := 1; n <= 30; n++ {
			c := tell(n, "admin", fmt.Sprint("u", n))
			c.Message.MsgID, c.IDs[0].MsgID, c.IDs[0].Conversation = name(n), name(n), fmt.Sprint("admin u", n)
			changes = append(changes, c)
		}
		next := tell(99, "x", "y")
		next.IDs[0].MsgID, next.Message.MsgID = callID(8)[:30]+"000001", callID(8)[:30]+"000001"
		revoke := store.Change{IDs: []store.ID{{MsgID: name(2), Class: store.ClassRevoke, From: "u2", State: store.Live}}}
		forged := tell(98, "u1", "y")
		forged.IDs[0].MsgID, forged.Message.MsgID = call[:30]+"00000f0", call[:30]+"00000f0"
		apply(t, s, epoch, append(changes, next, revoke, forged)...)

		first, last := name(1), call[:30]+"ffffff"
		equal(t, "count", must[int](t)(s.CountIDs(ctx, "admin", first, last)), 30)
		page := must[[]store.ID](t)(s.IDsBetween(ctx, "admin", name(9), last, 3))
		equal(t, "page", fmt.Sprint(page[0].MsgID, page[2].MsgID, page[2].Conversation, len(page)), fmt.Sprint(name(9), name(11), "admin u11", 3))
		equal(t, "the end", len(must[[]store.ID](t)(s.IDsBetween(ctx, "admin", name(28), last, 10))), 3)
		equal(t, "another call", must[int](t)(s.CountIDs(ctx, "admin", callID(6), callID(6)[:30]+"ffffff")), 0)
		apply(t, s, epoch, store.Change{
			Receipts: []store.Receipt{{ID: "r1", MsgID: name(1), Sender: "admin", Reader: "u1", Status: 2}, {ID: "r2", MsgID: callID(8)[:30] + "000001", Sender: "x", Reader: "y", Status: 1}},
			Pushes: []store.Push{{ID: "p1", Channel: "a", MsgID: name(1), Type: "MTB-000", Made: 1, Due: 1, Done: true, Outcome: "sent"}, {ID: "p2", Channel: "b", MsgID: name(1), Type: "MTB-000", Made: 1, Due: 1, Done: true, Outcome: "sent"},
				{ID: "p3", Channel: "a", MsgID: name(2), Type: "MTB-000", Made: 1, Due: 1, Done: true, Outcome: "dead"}, {ID: "p4", Channel: "a", MsgID: name(3), Type: "MTB-000", Made: 1, Due: 1},
				{ID: "p5", Channel: "a", MsgID: name(4), Type: "MTT-000", Made: 1, Due: 1, Done: true, Outcome: "sent"}}, // of a client that took such an id
		})
		counts := must[store.CallCounts](t)(s.CountCall(ctx, "admin", "MTB-000", name(1), name(30)))
		queued := must[map[store.OfflineKey]bool](t)(s.OfflineOwners(ctx, []string{name(1), name(2), name(30)}))
		equal(t, "counts", counts, store.CallCounts{Stored: 30, Queued: 10 * len(queued), Read: 1, Pushed: 1})
		equal(t, "of another call", must[store.CallCounts](t)(s.CountCall(ctx, "admin", "MTB-000", callID(6)[:30]+"000001", callID(6)[:30]+"ffffff")), store.CallCounts{})
		heads := must[map[string]store.Message](t)(s.MessageHeads(ctx, []string{name(5), name(31)}))
		equal(t, "heads", heads, map[string]store.Message{name(5): {MsgID: name(5), Type: "MTT-000", To: "u5", Time: clock(5)}})
	})
}

// TestCallTablesAreAdded: a database of an earlier tlim gets them at the start.
func TestCallTablesAreAdded(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		apply(t, s, epoch, tell(1, "a", "b"))
		run(t, e.raw(t, cfg), "DROP TABLE tlim_call", "DROP TABLE tlim_call_part")
		s, epoch = owned(t, cfg)
		equal(t, "created", s.Report().Created, []string{"tlim_call", "tlim_call_part"})
		apply(t, s, epoch, store.Change{Calls: []store.Call{{ID: callID(1), Key: "k"}}, CallParts: []store.CallPart{{CallID: callID(1), First: 1, To: []string{"u"}}}})
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{{Calls: []store.Call{{ID: callID(2), Key: "k"}}}}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the guard against two calls of one key: got %v, want %v", err, store.ErrDuplicate)
		}
	})
}
