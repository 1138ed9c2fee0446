package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"tlim/store"
)

// walked reads all pages of a walk, this many rows at a time.
func walked(t *testing.T, limit int, next func(store.Old, int) ([]store.Old, error)) (found []store.Old) {
	t.Helper()
	for after := (store.Old{}); ; after = found[len(found)-1] {
		page, err := next(after, limit)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, page...)
		if len(page) < limit {
			return found
		}
		if len(found) > 1000 {
			t.Fatalf("the walk goes on after %d rows, want its end", len(found))
		}
	}
}

// TestCleanupWalks: each walk meets every row once, whatever the size of its pages, in tables of the old system as well.
func TestCleanupWalks(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var changes []store.Change
		for i := range 20 {
			c := tell(i, "z", "l")
			c.Message.Time = clock(i / 3) // three of each time
			c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
			c.IDs = append(c.IDs, store.ID{MsgID: c.Message.MsgID, Class: store.ClassRevoke, From: "z", Conversation: "z", Time: clock(i), State: store.Live})
			c.Formers = []store.Former{{SessionID: fmt.Sprint("g", i/5), UserID: fmt.Sprint("u", i%5), Time: clock(i)}}
			changes = append(changes, c)
		}
		apply(t, s, epoch, changes...)
		db := e.raw(t, cfg)
		for i, odd := range []string{"NULL", "''", "'1600'", "'1600000000'", "'1600000000000000'", "'gestern'", "'2020-01-01 10:00:00'", "'16000000000 0'"} {
			for _, table := range []string{"ofmessage", "ofcustomoffline"} {
				run(t, db, fmt.Sprintf("INSERT INTO %s (id_, msg_time) VALUES ('odd%d', %s)", table, i, odd))
			}
		}
		keyless := ""
		if e.name == "oracle" { // "" is NULL, which no key can be
			keyless = "row-keyless"
		}
		run(t, db, "INSERT INTO ofmessage (id_, msg_id, msg_time) VALUES ('"+keyless+"', 'keyless', '"+clock(1)+"')")

		for _, limit := range []int{1, 2, 3, 7, 100} {
			t.Run(fmt.Sprintf("pages of %d", limit), func(t *testing.T) {
				met := map[string]int{}
				for _, o := range walked(t, limit, func(after store.Old, limit int) ([]store.Old, error) {
					return s.OldMessages(ctx, 1700000000003, after, limit)
				}) {
					met[o.Key]++
					if o.Key == "row-m4" {
						equal(t, "what is read of a message", o, store.Old{Key: "row-m4", MsgID: "m4", From: "z", Time: clock(1)})
					}
				}
				old := 0
				for key, n := range met {
					if n != 1 {
						t.Errorf("pages of %d: %s was met %d times, want 1", limit, key, n)
					}
					if key == "" || len(key) > 4 && key[:4] == "row-" {
						old++
					}
				}
				equal(t, "old messages", old, 13)
				offline := walked(t, limit, func(after store.Old, limit int) ([]store.Old, error) { return s.WalkOffline(ctx, after, limit) })
				equal(t, "offline rows", len(offline), 28)
				formers := walked(t, limit, func(after store.Old, limit int) ([]store.Old, error) { return s.WalkFormers(ctx, after, limit) })
				equal(t, "formers", len(formers), 20)
				equal(t, "a former", formers[7], store.Old{Key: "g1", Second: "u2", Time: clock(7)})
				known := walked(t, limit, func(after store.Old, limit int) ([]store.Old, error) { return s.WalkIDs(ctx, after, limit) })
				equal(t, "ids", len(known), 40)
				slices.SortFunc(known, func(a, b store.Old) int { return cmpText(a.Key+a.Second, b.Key+b.Second) })
				equal(t, "no id twice", len(slices.Compact(known)), 40)
			})
		}
		// Those that the walk over messages cannot meet; '' sorts first, and is met, where it is not NULL.
		odd := 3
		if e.name == "oracle" {
			odd = 4
		}
		equal(t, "odd", must[int](t)(s.OddMessages(ctx, 1700000000006)), odd)
	})
}

// TestCleanupDeletes: what is named goes, with the receipts and file uses of messages, and nothing else.
func TestCleanupDeletes(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		receipt := func(id, msgID, sender string) store.Receipt {
			return store.Receipt{ID: id, MsgID: msgID, Sender: sender, Reader: "r" + id, Status: 1}
		}
		gone, stays := tell(1, "z", "l"), tell(2, "z", "l")
		for _, c := range []*store.Change{&gone, &stays} {
			id := c.Message.MsgID
			c.Receipts = []store.Receipt{receipt("r"+id, id, "z")}
			c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
			c.FileUses = []store.FileUse{{FileID: fileID(1), MsgID: id}}
			c.Formers = []store.Former{{SessionID: "g", UserID: id, Time: clock(1)}}
			c.IDs = append(c.IDs, store.ID{MsgID: id, Class: store.ClassRevoke, Time: clock(1), State: store.Live})
		}
		gone.Receipts = append(gone.Receipts, receipt("upper", "M1", "z"), receipt("t1", "twin", "z"), receipt("t2", "twin", "w"))
		apply(t, s, epoch, gone, stays)
		run(t, e.raw(t, cfg), "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time) VALUES ('t1', 'twin', 'MTT-000', 'z', 'l', '"+clock(1)+"'), ('t2', 'twin', 'MTT-000', 'w', 'x', '"+clock(9)+"')")
		rows := []store.Old{{Key: "row-m1", MsgID: "m1", From: "z"}, {Key: "t1", MsgID: "twin", From: "z"}, {Key: "never", MsgID: "never"}}

		// Not by a process that was deposed.
		if n, err := s.DeleteMessages(ctx, epoch+1, rows); !errors.Is(err, store.ErrFenced) || n != 0 {
			t.Errorf("another epoch: got %d %v, want error %v, 0", n, err, store.ErrFenced)
		}
		for name, del := range map[string]func(store.Old) error{
			"offline messages": func(o store.Old) error { return s.DeleteOffline(ctx, epoch+1, []store.Old{o}) },
			"ids":              func(o store.Old) error { return s.DeleteIDs(ctx, epoch+1, []store.Old{o}) },
			"formers":          func(o store.Old) error { return s.DeleteFormers(ctx, epoch+1, []store.Old{o}) },
		} {
			t.Run(name, func(t *testing.T) {
				if err := del(store.Old{Key: "m1", Second: "m"}); !errors.Is(err, store.ErrFenced) {
					t.Errorf("another epoch: got %v, want %v", err, store.ErrFenced)
				}
			})
		}

		equal(t, "receipts counted", must[map[string]int](t)(s.ReceiptCounts(ctx, []string{"m2", "twin", "none"})), map[string]int{"m2": 1, "twin": 2})
		for range 2 { // again, it is no error
			equal(t, "done", must[int](t)(s.DeleteMessages(ctx, epoch, rows)), 3)
		}
		equal(t, "messages", left(t, s), []string{"m2", "twin"})
		equal(t, "receipts", must[map[string]int](t)(s.ReceiptCounts(ctx, []string{"m2", "twin"})), map[string]int{"m2": 1, "twin": 1})
		equal(t, "receipts of M1", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "M1", "z"))), 1)
		equal(t, "receipts of m1", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "m1", "z"))), 0)
		equal(t, "the other twin's receipt", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "twin", "w"))), 1)
		equal(t, "offline rows are another matter", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 2)
		equal(t, "ids too", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"m1"}))), 2)
		// Another message of that id opens no file that the old one named.
		again := tell(1, "x", "y")
		again.IDs = nil
		apply(t, s, epoch, again)
		equal(t, "file uses", len(must[[]store.Message](t)(s.FileMessages(ctx, fileID(1), 10))), 1)

		must[any](t)(nil, s.DeleteOffline(ctx, epoch, []store.Old{{Key: "row-m1-l"}, {Key: "never"}}))
		equal(t, "offline rows", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", "", "", "", 10))), 1)
		must[any](t)(nil, s.DeleteIDs(ctx, epoch, []store.Old{{Key: "m1", Second: "m"}, {Key: "m2", Second: "r"}, {Key: "M2", Second: "m"}}))
		equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"m1", "m2"}))), 2)
		must[any](t)(nil, s.DeleteFormers(ctx, epoch, []store.Old{{Key: "g", Second: "m1"}, {Key: "m2", Second: "g"}}))
		equal(t, "formers", len(must[[]store.Former](t)(s.Formers(ctx, []string{"g"}, 0))), 1)
		for _, nothing := range []error{s.DeleteOffline(ctx, epoch, nil), s.DeleteIDs(ctx, epoch, nil), s.DeleteFormers(ctx, epoch, nil)} {
			equal(t, "nothing", nothing, nil)
		}
		equal(t, "no messages", must[int](t)(s.DeleteMessages(ctx, epoch, nil)), 0)
	})
}

// TestCleanupOfReceipts: a transaction removes about a thousand receipts at most, and still comes to its end.
func TestCleanupOfReceipts(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		var rows []store.Old
		for i, n := range []int{400, 500, 200, 2500, 0, 1} {
			c := say(i, "z", "g", "[]")
			for k := range n {
				c.Receipts = append(c.Receipts, store.Receipt{ID: fmt.Sprintf("r%d-%d", i, k), MsgID: c.Message.MsgID, Sender: "z", Reader: fmt.Sprint(k), Status: 1})
			}
			apply(t, s, epoch, c)
			rows = append(rows, store.Old{Key: c.Message.ID, MsgID: c.Message.MsgID, From: "z"})
		}
		var steps []string
		for len(rows) > 0 {
			n := must[int](t)(s.DeleteMessages(ctx, epoch, rows))
			counts := must[map[string]int](t)(s.ReceiptCounts(ctx, []string{"m0", "m1", "m2", "m3", "m4", "m5"}))
			total := 0
			for _, c := range counts {
				total += c
			}
			steps = append(steps, fmt.Sprintf("%d messages, %d receipts left", n, total))
			rows = rows[n:]
			if len(steps) > 10 {
				t.Fatalf("the purge goes on after %d steps, want its end", len(steps))
			}
		}
		equal(t, "steps", steps, []string{"2 messages, 2701 receipts left", "1 messages, 2501 receipts left", "0 messages, 1501 receipts left",
			"0 messages, 501 receipts left", "3 messages, 0 receipts left"})

		// Of two messages with one id, each has its own receipts, however many.
		var c store.Change
		for k := range 1200 {
			c.Receipts = append(c.Receipts, store.Receipt{ID: fmt.Sprint("t", k), MsgID: "twin", Sender: []string{"z", "w"}[k%2], Reader: fmt.Sprint(k), Status: 1})
		}
		apply(t, s, epoch, c)
		run(t, e.raw(t, cfg), "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time) VALUES ('t1', 'twin', 'MTT-000', 'z', 'l', '"+clock(1)+"'), ('t2', 'twin', 'MTT-000', 'w', 'x', '"+clock(9)+"')")
		equal(t, "a twin", must[int](t)(s.DeleteMessages(ctx, epoch, []store.Old{{Key: "t1", MsgID: "twin", From: "z"}})), 1)
		equal(t, "of it", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "twin", "z"))), 0)
		equal(t, "of the other", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "twin", "w"))), 600)
	})
}
