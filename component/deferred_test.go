package component

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// absent starts with a group of zhangsan, who is there, and six who are not, but member6 on the web. Two rows are the most that a message
// writes itself.
func absent(t *testing.T) (h *harness, group string) {
	t.Helper()
	h = newHarness(t)
	h.tune = func(s *Service) { s.conveyor.deferring.above = 2 }
	h.begin(nil)
	group = h.crowd(7)
	h.online("zhangsan/p", "member6/w[web]")
	h.sender.take()
	return h, group
}

// places says for each member where what waits for them is: m1+ is in memory, m1/0 a row of msg_status 0.
func (h *harness) places() string {
	h.t.Helper()
	var list []string
	for i := range 6 {
		user := fmt.Sprintf("member%d", i+1)
		entries, err := h.waits(user, "", 0)
		if err != nil {
			h.t.Fatal(err)
		}
		var ids []string
		for _, e := range entries {
			if e.ID == "" {
				ids = append(ids, fmt.Sprintf("%s+%d", e.MsgID, e.Status))
			} else {
				ids = append(ids, fmt.Sprintf("%s/%d", e.MsgID, e.Status))
			}
		}
		list = append(list, strings.Join(ids, ","))
	}
	return strings.Join(list, " ")
}

// later lets the time pass after which rows follow.
func (h *harness) later() {
	h.t.Helper()
	h.clock.Move(unconfirmed.DeferWait + 10*time.Millisecond) // the last messages may be ahead of the clock
	for range 10 {
		if h.sync(); h.following() == 0 {
			break
		}
	}
}

func (h *harness) following() int {
	rows := h.unconfirmed.Count().Deferred
	return rows
}

// TestRowsFollow: the rows of those who are not there follow their message, and until then they are in every answer.
func TestRowsFollow(t *testing.T) {
	h, g := absent(t)
	h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
	if got := h.places(); got != "m1/0 m1+0 m1+0 m1+0 m1+0 m1+1" {
		t.Errorf(`at first: got %s, want "m1/0 m1+0 m1+0 m1+0 m1+0 m1+1"`, got)
	}
	if unread, err := h.HasUnread(t.Context(), "member2"); err != nil || !unread {
		t.Errorf("hasUnread: got %v, %v, want true, no error", unread, err)
	}
	if list, err := h.Unread(t.Context(), "member2"); err != nil || len(list) != 1 || list[0].Count != 1 || list[0].SessionID != g {
		t.Errorf("unread: got %+v, %v, want 1 entry, of %v, with the count 1", list, err, g)
	}
	if found := h.unconfirmed.Open(map[unconfirmed.RowKey]string{{Owner: "member2", MsgID: "m1"}: "member2", {Owner: "member2", MsgID: "m2"}: "member2", {Owner: "zhangsan", MsgID: "m1"}: "zhangsan"}); fmt.Sprint(found) != "map[{member2 m1}:true]" {
		t.Errorf(`open: got %v, want map[{member2 m1}:true]`, found)
	}
	h.clock.Move(2 * idleWrite)
	h.rec.breakWith(store.ErrUnavailable)
	h.sync()
	if got := h.following(); got != 5 {
		t.Errorf("got %d rows left while the database is away, want 5", got)
	}
	at := h.state().Clock
	h.rec.breakWith(nil)
	h.send("zhangsan/p", text("t1", "zhangsan", "lisi", "the database is back"))
	h.later()
	h.send("zhangsan/p", text("t2", "zhangsan", "lisi", "a batch writes the positions"))
	if got := h.places(); got != "m1/0 m1/0 m1/0 m1/0 m1/0 m1/1" {
		t.Errorf(`at last: got %s, want "m1/0 m1/0 m1/0 m1/0 m1/0 m1/1"`, got)
	}
	if st := h.state(); at == 0 || st.Settled < at {
		t.Errorf("settled up to %d, want at least %d, the place of the message", st.Settled, at)
	}
	if n := h.unconfirmed.Count(); n.Deferred != 0 || n.DeferredBytes != 0 || n.Rosters != 0 {
		t.Errorf("left in memory: got %+v, want no deferred rows, bytes or rosters", n)
	}
}

// TestFewRowsDoNotFollow: neither do those of what is not stored, which a crash would lose.
func TestFewRowsDoNotFollow(t *testing.T) {
	h, g := absent(t)
	h.cfg.GroupReceipts = GroupReceiptsToAll
	h.online("member1/p", "member2/p", "member3/p", "member4/p")
	h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
	h.send("member1/p", envelopeOf("r1", "MTS-100", "member1", g, `[{"session_id":"`+g+`","msg_id":"m1"}]`))
	if h.queue("member5") != "m1/0 r1/0" || h.following() != 0 {
		t.Errorf(`few rows: got queue %q, %d follow, want "m1/0 r1/0", none`, h.queue("member5"), h.following())
	}
	h.offline("member2/p")
	h.offline("member3/p")
	h.offline("member4/p")
	h.send("member1/p", envelopeOf("r2", "MTS-100", "member1", g, `[{"session_id":"`+g+`","msg_id":"m1"}]`))
	if !strings.HasSuffix(h.queue("member5"), "r2/0") || h.following() != 0 {
		t.Errorf("a receipt: got queue %q, %d follow, want r2/0 at the end, none", h.queue("member5"), h.following())
	}
}

// TestRemovedBeforeRows: what happens to a message, its group or a member before the rows are there.
func TestRemovedBeforeRows(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(h *harness, g string)
		want string
	}{
		"revoked": {func(h *harness, g string) {
			h.send("zhangsan/p", envelopeOf("v1", "MTS-101", "zhangsan", g, `[{"session_id":"`+g+`","msg_id":"m1"}]`))
		}, "m2/0,v1/0 m2/0,v1/0 m2/0,v1/0 m2/0,v1/0 m2/0,v1/0 m2/1,v1/1"},
		"removed": {func(h *harness, g string) {
			if found, err := h.RemoveMessage(h.t.Context(), "m1"); !found || err != nil {
				h.t.Errorf("remove m1: got found %v, %v, want true, no error", found, err)
			}
		}, "m2/0 m2/0 m2/0 m2/0 m2/0 m2/1"},
		"the group deleted": {func(h *harness, g string) {
			if _, err := h.DeleteGroup(h.t.Context(), g); err != nil {
				h.t.Error(err)
			}
		}, "m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/1,m2/1"},
		"a member leaves": {func(h *harness, g string) {
			if _, err := h.ModifyGroup(h.t.Context(), GroupEdit{ID: g, Remove: []string{"member2"}}); err != nil {
				h.t.Error(err)
			}
			h.send("zhangsan/p", groupText("m3", "zhangsan", g, "x"))
		}, "m1/0,m2/0,m3/0 m1/0,m2/0 m1/0,m2/0,m3/0 m1/0,m2/0,m3/0 m1/0,m2/0,m3/0 m1/1,m2/1,m3/1"},
		"a member clears": {func(h *harness, g string) {
			rows, err := h.waits("member2", "", 0)
			if err == nil {
				err = h.ClearOffline(h.t.Context(), "member2", rows)
			}
			if err != nil {
				h.t.Error(err)
			}
			if changes := h.rec.take(); slices.ContainsFunc(changes, func(c store.Change) bool { return len(c.DropOffline) > 0 }) {
				h.t.Errorf("got offline messages dropped in %+v, want none: no rows are there", changes)
			}
		}, "m1/0,m2/0  m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/1,m2/1"},
		"the process ends": {func(h *harness, g string) {
			h.halt()
			h.run(nil)
			h.Up()
			h.sync()
		}, "m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/1,m2/1"},
		"the process dies": {func(h *harness, g string) {
			h.kill()
			h.run(nil)
			h.Up()
			h.sync()
		}, "m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0 m1/0,m2/0"}, // it is not known who was on the web
	} {
		t.Run(name, func(t *testing.T) {
			h, g := absent(t)
			h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
			h.send("zhangsan/p", groupText("m2", "zhangsan", g, "x"))
			h.rec.take()
			if h.following() != 10 {
				t.Fatalf("got %d rows following, want 10", h.following())
			}
			c.do(h, g)
			h.later()
			if got := h.places(); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
	t.Run("dissolved", func(t *testing.T) {
		h, g := absent(t)
		h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
		if err := h.Dissolve(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		h.later()
		if got := h.places(); strings.Contains(got, "m1") || strings.Count(got, "/") != 6 {
			t.Errorf("got %s, want the notices alone", got)
		}
	})
}

// TestConfirmedWhileRowIsWritten: a confirmation that comes while the row is on its way is not overtaken by it.
func TestConfirmedWhileRowIsWritten(t *testing.T) {
	h, g := absent(t)
	h.send("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
	settled := map[string]bool{}
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			for _, user := range []string{"member2", "member3"} {
				settled[user] = h.unconfirmed.Confirm(user, user, "m1")
			}
			if rows := h.unconfirmed.Following("member2", 0); len(rows) != 0 {
				t.Errorf("still in the queue: got %v, want nothing", rows)
			}
			return commit()
		}
	})
	h.later()
	if settled["member2"] || settled["member3"] {
		t.Errorf("settled: got %v, want neither member2 nor member3: their rows will be written", settled)
	}
	if got := h.places(); got != "m1/0 m1/0 m1/0 m1/0 m1/0 m1/1" {
		t.Errorf(`got %s, want "m1/0 m1/0 m1/0 m1/0 m1/0 m1/1"`, got) // whoever confirmed has them deleted now
	}
}

// TestArrivesBeforeRow: a phone that comes is sent what waits for it in memory.
func TestArrivesBeforeRow(t *testing.T) {
	h, g := absent(t)
	for i := range 3 {
		h.send("zhangsan/p", groupText(fmt.Sprint("m", i), "zhangsan", g, "x"))
	}
	h.sender.take()
	h.online("member2/p")
	if d, _ := h.sender.take(); copiesOf(d) != "m0>member2@im.test/p m1>member2@im.test/p m2>member2@im.test/p" {
		t.Errorf(`sent: got %s, want "m0>member2@im.test/p m1>member2@im.test/p m2>member2@im.test/p"`, copiesOf(d))
	}
}

// TestDeferredMemoryIsBounded: when no more rows can be remembered, messages to large groups wait, and nobody else does.
func TestDeferredMemoryIsBounded(t *testing.T) {
	h, g := absent(t)
	large := h.makeGroup("zhangsan", append([]string{"zhangsan"}, func() (list []string) {
		var users []store.User
		for i := range 1000 {
			list, users = append(list, fmt.Sprintf("far%03d", i)), append(users, store.User{ID: fmt.Sprintf("far%03d", i)})
		}
		if err := h.AddUsers(t.Context(), users); err != nil {
			t.Fatal(err)
		}
		return list
	}()...)...)
	h.send("zhangsan/p", groupText("l0", "zhangsan", large, "x"))
	crowd := unconfirmed.NewLater(unconfirmed.NewRoster("other", []protocol.Person{{ID: "other"}}))
	crowd.Take(0, "other", 0)
	full := []*unconfirmed.Deferral{unconfirmed.NewDeferral(&unconfirmed.Message{Row: store.OfflineMessage{Message: store.Message{MsgID: "other", Body: strings.Repeat("x", unconfirmed.MaxDeferred)}}, Time: math.MaxInt64}, crowd)}
	h.unconfirmed.Follow(full)
	h.post("zhangsan/p", groupText("l1", "zhangsan", large, "x"))
	h.turns(2)
	if h.intake.items.Load() != 1 {
		t.Errorf("got %d messages waiting, want the one to a thousand", h.intake.items.Load())
	}
	h.send1("zhangsan/p", groupText("m1", "zhangsan", g, "x"))
	h.send1("zhangsan/p", text("t1", "zhangsan", "lisi", "x"))
	if h.queue("lisi") != "t1/0" || h.queue("member3") != "m1/0" {
		t.Errorf(`others: got queues %q and %q, want t1/0 and m1/0`, h.queue("lisi"), h.queue("member3"))
	}
	h.unconfirmed.Followed(full)
	h.sync()
	if h.intake.items.Load() != 0 {
		t.Errorf("got %d messages waiting, want none", h.intake.items.Load())
	}
}

// send1 posts a message and lets the conveyor come round.
func (h *harness) send1(device, envelope string) {
	h.t.Helper()
	h.post(device, envelope)
	h.turns(2)
}

// TestRowsInOrder: what waits in memory and what are rows are answered in the order of time, page by page.
func TestRowsInOrder(t *testing.T) {
	h, g := absent(t)
	var want []string
	for i := range 40 {
		id := fmt.Sprintf("m%02d", i)
		want = append(want, id)
		if i%3 == 0 {
			h.send("zhangsan/p", text(id, "zhangsan", "member3", "x"))
		} else {
			h.send("zhangsan/p", groupText(id, "zhangsan", g, "x"))
		}
		if i == 10 {
			h.later()
		}
		h.clock.Move(time.Millisecond)
	}
	for _, limit := range []int{0, 1, 7, 39, 40} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			rows, err := h.waits("member3", "", limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range rows {
				got = append(got, row.MsgID)
			}
			if limit == 0 {
				limit = len(want)
			}
			if !slices.Equal(got, want[:limit]) {
				t.Errorf("got %v, want %v", got, want[:limit])
			}
		})
	}
}

// TestSharedRoster: a group that is read again shares the roster of before while its members are the same.
func TestSharedRoster(t *testing.T) {
	h, g := absent(t)
	rosters := func() int { return h.unconfirmed.Count().Rosters }
	for i := range 3 {
		h.send("zhangsan/p", groupText(fmt.Sprint("m", i), "zhangsan", g, "x"))
		if err := h.do(context.Background(), &task{plan: func(_ context.Context, b *batch) error { b.c.groups.Drop(g); return nil }}); err != nil {
			t.Fatal(err)
		}
	}
	if rosters() != 1 {
		t.Errorf("got %d rosters of one group, want 1", rosters())
	}
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Add: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/p", groupText("m3", "zhangsan", g, "x"))
	if rosters() != 2 {
		t.Errorf("got %d rosters after a member has come, want 2", rosters())
	}
	h.later()
	if rosters() != 0 || h.queue("lisi") != "m3/0" || h.queue("member2") != "m0/0 m1/0 m2/0 m3/0" {
		t.Errorf(`got %d rosters, lisi %q, member2 %q, want none, "m3/0", "m0/0 m1/0 m2/0 m3/0"`, rosters(), h.queue("lisi"), h.queue("member2"))
	}
}

// TestDeferThrottle: the time that a transaction of rows takes is that of a batch, and they have a part of the time.
func TestDeferThrottle(t *testing.T) {
	p := deferThrottle{maxRows: minDeferRows}
	clock := &doubles.Clock{}
	perRow := deferTime / 1000
	for range 100 {
		d := perRow * time.Duration(p.maxRows)
		clock.Move(d)
		p.done(p.maxRows, d, clock.Now(), deferShare)
	}
	if p.maxRows < 700 || p.maxRows > 1250 {
		t.Errorf("got %d rows when 1,000 take the time of a transaction, want 700 to 1250", p.maxRows)
	}
	if wait := p.next.Sub(clock.Now()); wait < 4*deferTime || wait > 9*deferTime {
		t.Errorf("got a wait of %s, want %s to %s", wait, 4*deferTime, 9*deferTime)
	}
	for range 100 {
		p.done(p.maxRows, 10*deferTime, clock.Now(), 1)
	}
	if p.maxRows != minDeferRows {
		t.Errorf("a slow database: got %d rows, want %d", p.maxRows, minDeferRows)
	}
	for range 100 {
		p.timed(20 * deferTime)
	}
	for range 100 {
		p.done(p.maxRows, 10*deferTime, clock.Now(), 1)
	}
	if p.maxRows != maxDeferRows {
		t.Errorf("where each commit is slow: got %d rows, want %d", p.maxRows, maxDeferRows)
	}
}

// TestErasedBeforeRows: what an author wrote is erased with them, and what waits for phones stays, also when the process dies then.
func TestErasedBeforeRows(t *testing.T) {
	h := newHarness(t)
	h.tune = func(s *Service) { s.conveyor.deferring.above = 2 }
	purge := func(c *Config) { c.PurgeOnRemove = true }
	h.begin(purge)
	g := h.crowd(7)
	h.online("zhangsan/p", "member6/p")
	for i := range 3 {
		h.send("member6/p", groupText(fmt.Sprint("m", i), "member6", g, "x"))
		h.send("zhangsan/p", groupText(fmt.Sprint("z", i), "zhangsan", g, "x"))
	}
	if h.following() != 6*4 {
		t.Fatalf("got %d rows following, want %d", h.following(), 6*4)
	}
	h.rec.take()
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Remove: []string{"member6"}}); err != nil {
		t.Fatal(err)
	}
	if h.following() != 3*4 || h.queue("member3") != "m0/0 m1/0 m2/0" {
		t.Errorf(`got %d rows following, member3's written ones %q, want %d, "m0/0 m1/0 m2/0"`, h.following(), h.queue("member3"), 3*4)
	}
	h.kill()
	h.run(purge)
	h.Up()
	h.sync()
	h.later()
	if got := h.queue("member3"); got != "m0/0 z0/0 m1/0 z1/0 m2/0 z2/0" {
		t.Errorf(`after a crash: got %q, want "m0/0 z0/0 m1/0 z1/0 m2/0 z2/0"`, got)
	}
}

// TestErasedUnconfirmed: what no phone has confirmed yet waits for it too when its message is erased, and is still there when the process dies then.
func TestErasedUnconfirmed(t *testing.T) {
	purge := func(c *Config) { c.PurgeOnRemove = true }
	for name, erase := range map[string]func(t *testing.T, h *harness, g string) error{
		"a chat": func(t *testing.T, h *harness, _ string) error { return h.ClearChat(t.Context(), "zhangsan", "lisi") },
		"an author": func(t *testing.T, h *harness, g string) error {
			_, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Remove: []string{"zhangsan"}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := pinging(t, purge)
			g := h.makeGroup("lisi", "lisi", "zhangsan")
			write := func(id string) (pings []string) {
				message := text(id, "zhangsan", "lisi", "x")
				if name == "an author" {
					message = groupText(id, "zhangsan", g, "x")
				}
				h.send("zhangsan/q[web]", message)
				pings, behind := h.pinged()
				if behind != "lisi/p: "+id {
					t.Fatalf(`pinged: got %s, want "lisi/p: %s"`, behind, id)
				}
				h.clock.Move(sharedPing)
				return pings
			}
			h.pinged()
			held, late := write("held"), write("late")
			write("lost")
			h.answerPing("lisi/p", held[0], pong)
			if err := erase(t, h, g); err != nil {
				t.Fatal(err)
			}
			if got := h.queue("lisi"); got != "held/0 late/0 lost/0" {
				t.Errorf("with the erasure: got %q, want held, late and lost", got)
			}
			h.answerPing("lisi/p", late[0], pong)
			h.graceOver()
			if got := h.queue("lisi"); got != "lost/0" {
				t.Errorf("what is answered: got %q, want lost/0", got)
			}
			h.kill()
			h.run(purge)
			h.Up()
			h.sync()
			if got := h.queue("lisi"); got != "lost/0" {
				t.Errorf("after a crash: got %q, want lost/0", got)
			}
		})
	}
}

// TestErasedInSlices: of messages whose rows are still to follow no more are erased together than a batch may have rows.
func TestErasedInSlices(t *testing.T) {
	h, g := absent(t)
	var rows []store.Erased
	h.together(func() {
		for i := range 20 {
			id := fmt.Sprint("m", i)
			rows = append(rows, store.Erased{MsgID: id})
			h.post("zhangsan/p", groupText(id, "zhangsan", g, "x"))
		}
	})
	wide := unconfirmed.NewRoster(g, make([]protocol.Person, maxBatchRows/4))
	for i := range 20 {
		rows := unconfirmed.NewLater(wide)
		for member := range maxBatchRows / 4 {
			rows.Take(member, "", 0)
		}
		h.unconfirmed.Follow([]*unconfirmed.Deferral{unconfirmed.NewDeferral(&unconfirmed.Message{Row: store.OfflineMessage{Message: store.Message{MsgID: fmt.Sprint("m", i)}}}, rows)})
	}
	b := h.conveyor.newBatch(nil)
	if n := b.keepQueued(rows); n != 3 || len(b.changes) != 3 {
		t.Errorf("got %d messages, %d changes, want 3, 3", n, len(b.changes))
	}
}

// TestUnreadWhileRowsAreWritten: what becomes a row while both are looked at counts once.
func TestUnreadWhileRowsAreWritten(t *testing.T) {
	h, g := absent(t)
	for i := range 5 {
		h.send("zhangsan/p", groupText(fmt.Sprint("m", i), "zhangsan", g, "x"))
	}
	looked := 0
	h.rec.set(func(r *recordingStore) {
		r.counted = func() {
			if looked++; looked == 1 {
				h.later()
			}
		}
	})
	list, err := h.Unread(t.Context(), "member2")
	if err != nil || len(list) != 1 || list[0].Count != 5 || looked != 2 {
		t.Errorf("unread: got %+v, %v after %d looks, want 1 entry with the count 5 after 2", list, err, looked)
	}
}
