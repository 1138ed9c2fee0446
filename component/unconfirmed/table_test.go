package unconfirmed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// TestSettledBehindAnOpenOne: a copy that stays open, as while no look succeeds, keeps none of the settled messages after it in memory.
func TestSettledBehindAnOpenOne(t *testing.T) {
	o := New(time.Second, 10, Hooks{How: func(string) store.Confirms { return 0 }})
	add := func(id, user string, at int64) {
		o.Add(&Message{Row: store.OfflineMessage{Message: store.Message{MsgID: id}}, Time: at}, []Owner{{Local: user, ID: user}}, time.UnixMilli(at))
	}
	add("open", "lisi", 10)
	for i := range 5 * maxKeptDone {
		id := fmt.Sprint("m", i)
		add(id, "wangwu", int64(20+i))
		o.Confirm("wangwu", "wangwu", id)
		if at := o.Settled(1 << 40); at != 9 {
			t.Fatalf("settled up to %d, want 9", at)
		}
	}
	if len(o.order) > 2*maxKeptDone {
		t.Errorf("got %d messages kept, want at most %d", len(o.order), 2*maxKeptDone)
	}
	o.Confirm("lisi", "lisi", "open")
	if at := o.Settled(1 << 40); at != 1<<40 || len(o.order) != 0 || o.done != 0 || o.bytes != 0 {
		t.Errorf("at the end: got up to %d, %d kept, %d done, %d bytes, want %d, nothing kept", at, len(o.order), o.done, o.bytes, 1<<40)
	}
}

// TestConfirmsSinceTheFirstAnswer: a message that was decided just before its receiver's phone first answered a ping, or sent a receipt of a kind that has them,
// needs one like the messages before and after it.
func TestConfirmsSinceTheFirstAnswer(t *testing.T) {
	for _, c := range []struct {
		how         store.Confirms
		confirmable bool
		want        int
	}{
		{store.ConfirmsNot, true, 0},
		{store.ConfirmsByReceipts, false, 0},
		{store.ConfirmsByReceipts, true, 1},
		{store.ConfirmsByPings, false, 1},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			how := store.ConfirmsNot
			o := New(time.Second, 10, Hooks{How: func(string) store.Confirms { return how }})
			to := []Owner{{Local: "lisi", ID: "lisi"}} // as decided
			how = c.how
			sent := time.Unix(1_600_000_000, 0)
			o.Add(&Message{Time: 100, Confirmable: c.confirmable}, to, sent)
			o.Tick(sent.Add(time.Second), sent.Add(time.Second), true, 200)
			if rows := o.Count().Rows; rows != c.want {
				t.Errorf("got %d rows of a copy that nobody confirmed, want %d", rows, c.want)
			}
		})
	}
}

// TestMemoryIsBounded: beyond what all users together may take copies become rows at once.
func TestMemoryIsBounded(t *testing.T) {
	o := New(time.Second, 10, Hooks{How: func(string) store.Confirms { return 0 }})
	large := &Message{Row: store.OfflineMessage{Message: store.Message{MsgID: "large", Body: strings.Repeat("x", maxBytes)}}}
	o.Add(large, []Owner{{Local: "lisi", ID: "lisi"}}, time.Unix(1, 0))
	if n := o.Count(); n.Copies != 1 || n.Rows != 0 {
		t.Fatalf("got %+v, want one copy", n)
	}
	o.Add(&Message{Row: store.OfflineMessage{Message: store.Message{MsgID: "next"}}}, []Owner{{Local: "lisi", ID: "lisi"}}, time.Unix(1, 0))
	if n := o.Count(); n.Copies != 1 || n.Rows != 1 {
		t.Errorf("got %+v, want one copy and one row", n)
	}
}

// TestSettledWaits: the position stays below what a batch had to leave for the next.
func TestSettledWaits(t *testing.T) {
	o := New(time.Second, 10, Hooks{})
	for i := range 4 {
		o.queue(&Message{Time: int64(100 + i)}, fmt.Sprint(i), 0)
	}
	for _, want := range []int64{99, 99, 500} { // the lowest of what ever waited together, until nothing does
		if got := o.Settled(500); got != want {
			t.Errorf("settled up to %d, want %d", got, want)
		}
		o.Take(2, nil)
		o.Written()
	}
}

// TestNothingIsKeptOfWhatFollowed: of rows that have been written nothing stays in memory.
func TestNothingIsKeptOfWhatFollowed(t *testing.T) {
	o := New(time.Second, 10, Hooks{})
	roster := o.RosterOf("group", []protocol.Person{{ID: "a"}, {ID: "b"}})
	for _, id := range []string{"m1", "m2", "m2"} { // a revoke may have the id of a message
		rows := NewLater(roster)
		rows.Take(0, "a", 0)
		rows.Take(1, "b", 1)
		o.Follow([]*Deferral{NewDeferral(&Message{Row: store.OfflineMessage{Message: store.Message{MsgID: id}}, Time: 1}, rows)})
	}
	if n := o.Count(); n.Deferred != 6 || n.Rosters != 1 {
		t.Fatalf("got %+v, want 6 rows of one roster", n)
	}
	for len(o.TakeDeferred(1)) > 0 {
		o.WrittenDeferred()
	}
	d := &o.deferred
	if d.rows != 0 || d.bytes != 0 || len(d.order)+len(d.rosters)+len(d.newest)+len(d.byID) != 0 {
		t.Errorf("left: got %+v, want nothing", d)
	}
}

// TestCountQueues: as many as the queue lists, wherever they are: open, about to be written, being written, to follow; not what was confirmed
// meanwhile or removed.
func TestCountQueues(t *testing.T) {
	ignore := func(string, string) {}
	o := New(time.Second, 100, Hooks{How: func(string) store.Confirms { return store.ConfirmsByPings }, Drop: ignore, Proved: ignore, Note: func(string) {}})
	now := time.Unix(1_600_000_000, 0)
	owners := []Owner{{Local: "lisi", ID: "lisi"}, {Local: "wangwu", ID: "WangWu"}}
	message := func(id string) *Message {
		return &Message{Row: store.OfflineMessage{Message: store.Message{MsgID: id, Time: "0000000000100"}}, Time: 100}
	}
	people := []protocol.Person{{ID: "nobody", Local: "nobody"}, {ID: "WangWu", Local: "wangwu"}, {ID: "lisi", Local: "lisi"}}
	expect := func(what string, want ...int) {
		t.Helper()
		got := o.CountQueues(people)
		for i, p := range people {
			if n := len(o.Queue(p)); got[i] != want[i] || n != want[i] {
				t.Errorf("%s: %s: got %d, and %d in the queue, want %d", what, p.ID, got[i], n, want[i])
			}
		}
	}
	expect("at first", 0, 0, 0)
	o.Add(message("m1"), owners, now)
	o.Add(message("m2"), owners[:1], now)
	expect("open", 0, 1, 2)
	o.Forget(Removal{IDs: map[string]bool{"m2": true}})
	expect("one of them was removed", 0, 1, 1)
	o.GiveBack([]store.OfflineMessage{
		{Owner: "lisi", Message: store.Message{MsgID: "m3", Time: "0000000000101"}}, {Owner: "lisi", Message: store.Message{MsgID: "m4", Time: "0000000000102"}},
		{Owner: "WangWu", Message: store.Message{MsgID: "m4", Time: "0000000000102"}}, {Owner: "another", Message: store.Message{MsgID: "m4", Time: "0000000000102"}},
	})
	expect("about to be written", 0, 2, 3)
	o.ConfirmWaiting("lisi", "m3")
	expect("one of these is confirmed", 0, 2, 2)
	if n := len(o.Take(2, nil)); n != 1 {
		t.Fatalf("got %d rows, want one: the other was confirmed", n)
	}
	expect("one is being written", 0, 2, 2)
	o.Written()
	expect("it is written", 0, 2, 1)
	later := NewLater(o.RosterOf("group", people))
	later.Take(0, "nobody", 0)
	later.Take(2, "lisi", 0)
	o.Follow([]*Deferral{NewDeferral(message("m5"), later)})
	expect("a row is to follow", 1, 2, 2)
}

// TestHeldIsBounded: of what a phone has answered as much is remembered as may be unconfirmed, also where receipts settle it meanwhile. What is
// beyond becomes a row.
func TestHeldIsBounded(t *testing.T) {
	const perUser, phone = 2, "lisi@im.test/p"
	ignore := func(string, string) {}
	o := New(time.Second, perUser, Hooks{How: func(string) store.Confirms { return store.ConfirmsByPings }, Drop: ignore, Proved: ignore, Note: func(string) {}})
	now := time.Unix(1_600_000_000, 0)
	answered := func(id string) {
		t.Helper()
		m := &Message{Row: store.OfflineMessage{Message: store.Message{MsgID: id}}, Time: 100}
		o.Add(m, []Owner{{Local: "lisi", ID: "lisi"}}, now)
		runs := o.Ask([]stanza.Delivery{{ID: id, To: []stanza.Target{{JID: phone}}}}, func(int) *Way { return &Way{Message: m} }, now)
		for _, ping := range [...]string{runs[0].Front, runs[0].Ping} {
			if ping == "" { // the one behind the message before stands in front
				continue
			}
			if known, _ := o.Answered(&stanza.Stanza{Name: "iq", Type: "result", ID: ping}, phone, now); !known {
				t.Fatalf("%s: got its answer not known, want it known", id)
			}
		}
	}
	for i := range perUser {
		id := fmt.Sprint("m", i)
		answered(id)
		o.Confirm("lisi", "lisi", id)
	}
	answered("beyond")
	now = now.Add(time.Second)
	o.Tick(now, now, true, 200)
	if n := o.Count(); n.Copies != 0 || n.Rows != 1 {
		t.Errorf("beyond %d: got %+v, want one row", perUser, n)
	}
	answered("m9")
	now = now.Add(time.Second)
	o.Tick(now, now, true, 200)
	if n := o.Count(); n.Copies != 0 || n.Rows != 1 || o.bytes != 0 {
		t.Errorf("a grace later: got %+v and %d bytes, want no more rows and nothing kept", n, o.bytes)
	}
}
