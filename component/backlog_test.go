package component

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component/inflight"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// TestInFlightBound: whatever is written, and however large, no more copies and bytes are in flight than the bound says; all of it arrives, in
// order.
func TestInFlightBound(t *testing.T) {
	const bound, members = 150, 400
	h, server, g := busyStart(t, bound, members, nil, nil)
	large := strings.Repeat("x", 3000)
	for i := range 6 {
		h.post("member0001/p", groupText(fmt.Sprint("g", i), "member0001", g, large[:1+i*590]))
		h.post("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "x"))
	}
	server.routeAll(h)
	h.clock.Move(minBarrierSpacing)
	server.routeAll(h)
	if server.highest.Copies > bound || server.highest.Bytes > bound*inflight.BytesPerCopy {
		t.Errorf("in flight: %+v, want at most %d copies and %d bytes", server.highest, bound, bound*inflight.BytesPerCopy)
	}
	d, posts := h.sender.take()
	if strings.Contains(refusals(posts), "error") {
		t.Errorf("refused: got %s, want none refused", refusals(posts))
	}
	got := map[string][]string{}
	for _, one := range d {
		for _, to := range one.To {
			got[to.JID] = append(got[to.JID], one.ID)
		}
	}
	for i := range members {
		if list := got[fmt.Sprintf("member%04d@im.test", i)]; i != 1 && !slices.Equal(list, []string{"g0", "g1", "g2", "g3", "g4", "g5"}) {
			t.Fatalf(`member %d got %v, want ["g0" "g1" "g2" "g3" "g4" "g5"]`, i, list)
		}
	}
	if list := got["member0001@im.test/p"]; !slices.Equal(list, []string{"g0", "g1", "g2", "g3", "g4", "g5"}) {
		t.Errorf(`the sender got %v, want ["g0" "g1" "g2" "g3" "g4" "g5"]`, list)
	}
	if list := got["lisi@im.test"]; len(list) != 6 {
		t.Errorf("lisi got %v, want 6 messages", list)
	}
	if at := h.delivered.Load(); at < h.timeOf("g5") {
		t.Errorf("all is routed: position %d, want at least %d", at, h.timeOf("g5"))
	}
}

// TestPassesLargeFanOut: the copies of one message to many go out in slices, which another conversation's message passes.
func TestPassesLargeFanOut(t *testing.T) {
	const bound, members = 100, 800
	h, server, g := busyStart(t, bound, members, nil, nil)
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3)
	h.post("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	for h.timeOf("m0") == 0 {
		h.turns(1)
	}
	sent := len(strings.Fields(copiesOfSome(h.sender, "g0")))
	for n := 0; copiesOfSome(h.sender, "m0") == ""; n++ {
		h.turns(3)
		server.route()
		if n > members {
			t.Fatalf("m0 has no copy after %d rounds, want it to pass between those of the large group", n)
		}
	}
	if n := len(strings.Fields(copiesOfSome(h.sender, "g0"))) - sent; n > 2*bound {
		t.Errorf("it waited for %d of %d copies, want at most %d", n, members, 2*bound)
	}
	if position := h.delivered.Load(); position >= h.timeOf("g0") {
		t.Errorf("got the position %d, want it before %d: the group's message is not delivered yet", position, h.timeOf("g0"))
	}
	server.routeAll(h)
	if n := len(strings.Fields(copiesOfSome(h.sender, "g0"))); n != members {
		t.Errorf("got %d copies, want %d", n, members)
	}
}

// TestBusyGroup: a group that writes more than the server routes is told so by name, its messages wait by themselves, and the log names it.
func TestBusyGroup(t *testing.T) {
	const bound, members = 300, 150
	var log strings.Builder
	h, server, g := busyStart(t, bound, members, func(h *harness) { h.logged = &log }, nil)
	h.post("member0001/p", groupText("first", "member0001", g, "x")) // its size is known from then on
	server.routeAll(h)
	h.sender.take()
	const written = 200
	for i := range written {
		h.post(fmt.Sprintf("member%04d/p", i%20), groupText(fmt.Sprint("g", i), fmt.Sprintf("member%04d", i%20), g, "x"))
	}
	h.turns(5)
	h.post("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.turns(3)
	first, posts := h.sender.take()
	busy := 0
	for _, p := range posts {
		if strings.Contains(p, "error-013: this group is too busy") {
			busy++
		} else if strings.Contains(p, `type="error"`) {
			t.Errorf(`refused: got %s, want no type="error"`, p)
		}
	}
	if busy == 0 || busy > written-minWaiting {
		t.Errorf("%d of %d messages are refused, want 1 to %d", busy, written, written-minWaiting)
	}
	if n := counter(t, h.metrics.busy.WithLabelValues(busyConversation)); int(n) != busy {
		t.Errorf("got %v refusals counted, want %d", n, busy)
	}
	server.routeAll(h)
	d, more := h.sender.take()
	accepted := strings.Count(strings.Join(append(posts, more...), ""), `\"msg_id\"`) - 1 // of the pair
	copies := 0
	for _, one := range append(first, d...) {
		if strings.HasPrefix(one.ID, "g") {
			copies += len(one.To)
		}
	}
	if accepted != written-busy || copies < accepted*members { // more: phones that came meanwhile catch up
		t.Errorf("of %d messages: %d acknowledgements, %d refused, %d copies; want %d acknowledgements, at least %d copies", written, accepted, busy, copies, written-busy, accepted*members)
	}
	stop := server.keepRouting()
	h.halt()
	stop()
	if n := strings.Count(log.String(), "session_id="+g); n != 1 || !strings.Contains(log.String(), "members=150") {
		t.Errorf("the log tells of the busy group %d times, want once, with members=150:\n%s", n, log.String())
	}
}

// TestDeafServer: a server that routes nothing lets nothing grow without a bound: what does not fit is refused.
func TestDeafServer(t *testing.T) {
	const bound, members = 100, 500
	h, server, g := busyStart(t, bound, members, nil, func(c *Config) { c.Inflight = 500 })
	for i := range 3000 {
		h.post("member0001/p", groupText(fmt.Sprint("g", i), "member0001", g, "x"))
		h.post(fmt.Sprintf("a%d/p", i%300), text(fmt.Sprint("m", i), fmt.Sprint("a", i%300), fmt.Sprint("b", i%300), "x"))
		if i%50 == 0 {
			h.turns(1)
		}
	}
	h.turns(5)
	if server.highest.Copies > bound {
		t.Errorf("%d in flight, want at most %d", server.highest.Copies, bound)
	}
	maxWaiting := int64(2*maxBacklogBounds*bound + members + maxBatchCost)
	if n := h.conveyor.backlog.copies.Load(); n > maxWaiting {
		t.Errorf("%d copies wait, want at most %d", n, maxWaiting)
	}
	if n := h.intake.items.Load(); n > 500 {
		t.Errorf("%d messages wait, want at most 500", n)
	}
	_, posts := h.sender.take()
	for _, name := range []string{"this group is too busy", "the server is too busy"} {
		if !strings.Contains(strings.Join(posts, ""), name) {
			t.Errorf("nobody is told that %s; want an error to its sender", name)
		}
	}
	server.routeAll(h)
}

// TestCallWaitsForItsGroup: a call that changes a group comes after the messages there that came before it, and passes others.
func TestCallWaitsForItsGroup(t *testing.T) {
	const bound, members = 100, 300
	h, server, g := busyStart(t, bound, members, nil, nil)
	other := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3) // its copies wait for the server
	h.post("member0001/p", groupText("g1", "member0001", g, "x"))
	h.turns(3)
	removed := make(chan error, 1)
	go func() {
		_, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g, Remove: []string{"member0001"}})
		removed <- err
	}()
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: other, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		h.turns(1)
		server.route()
		select {
		case err := <-removed:
			if err != nil {
				t.Error(err)
			}
			done = true
		default:
		}
	}
	server.routeAll(h)
	_, posts := h.sender.take()
	if strings.Contains(refusals(posts), "error") {
		t.Errorf("the message that came before was refused: got %s, want none refused", refusals(posts))
	}
	if n := len(strings.Fields(copiesOfSome(h.sender, "g1"))); n != 0 {
		t.Errorf("copies after they were taken: got %d, want 0", n)
	}
}

// TestLossAmidFanOut: when the link is lost before the last slice went out, all copies of the message go out again.
func TestLossAmidFanOut(t *testing.T) {
	const bound, members = 100, 500
	h, server, g := busyStart(t, bound, members, nil, nil)
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3)
	server.route()
	h.turns(3)
	first, _ := h.sender.take()
	if n := copiesTo(first); n == 0 || n == members {
		t.Fatalf("%d copies went out before the loss, want more than 0, less than %d", n, members)
	}
	server.mu.Lock()
	server.flight, server.now = nil, inflight.Load{}
	server.mu.Unlock()
	h.Down(io.EOF)
	h.Up()
	stop := server.keepRouting()
	h.sync() // behind the replay
	stop()
	server.routeAll(h)
	again, _ := h.sender.take()
	if n := copiesTo(again); n != members {
		t.Errorf("got %d copies, want %d", n, members)
	}
	if server.highest.Copies > bound {
		t.Errorf("%d in flight, want at most %d", server.highest.Copies, bound)
	}
}

// TestGraceBeginsAtHandOver: a copy that waits for the server is not sent yet: the time to confirm it begins when it is.
func TestGraceBeginsAtHandOver(t *testing.T) {
	const bound, members = 100, 300
	h, server, g := busyStart(t, bound, members, nil, func(c *Config) { c.Confirm = ConfirmByReceipt })
	h.online("member0299/p")
	server.routeAll(h)
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3)
	h.clock.Move(time.Minute)
	h.turns(3)
	if got := h.queue("member0299"); got != "" {
		t.Errorf(`a row for what was not sent: got %q, want ""`, got)
	}
	server.routeAll(h)
	h.clock.Move(time.Second)
	h.turns(3)
	if got := h.queue("member0299"); got != "" {
		t.Errorf(`a row a second after it was sent: got %q, want ""`, got)
	}
	h.clock.Move(time.Minute)
	h.turns(3)
	if got := h.queue("member0299"); got != "g0/0" {
		t.Errorf("no row in the end: got %q, want g0/0", got)
	}
}

// TestStopAmidFanOut: an orderly stop hands over what waits, as long as the server routes.
func TestStopAmidFanOut(t *testing.T) {
	const bound, members = 100, 500
	h, server, g := busyStart(t, bound, members, nil, nil)
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.post("member0002/p", groupText("g1", "member0002", g, "x"))
	h.turns(3)
	stop := server.keepRouting()
	h.halt()
	stop()
	d, _ := h.sender.take()
	if n := copiesTo(d); n != 2*members {
		t.Errorf("got %d copies, want %d", n, 2*members)
	}
	h.run(nil)
	if st := h.state(); st.Delivered != st.Clock {
		t.Errorf("positions after an orderly end: got %+v, want Delivered %v", st, st.Clock)
	}
}

// TestOverloadOfOneSize: however many small messages there are beyond what the server routes, a large one gets its turn, and a small one while
// there are too many large ones. All are of conversations that are not busy themselves.
func TestOverloadOfOneSize(t *testing.T) {
	const bound, members, pairs = 200, 40, 400
	pair := func(id string, n int) (string, string) {
		return fmt.Sprintf("a%d/p", n), text(id, fmt.Sprint("a", n), fmt.Sprint("b", n), "x")
	}
	for _, few := range []string{"large", "small"} {
		t.Run(few, func(t *testing.T) {
			// Room for all: on a slow machine more than the usual 4000 wait, and who is refused gets no turn.
			h, server, quiet := busyStart(t, bound, members, nil, func(c *Config) { c.Inflight = 100_000 })
			var names, groups []string
			for i := range members {
				names = append(names, fmt.Sprintf("member%04d", i))
			}
			for range 20 {
				groups = append(groups, h.makeGroup(names[0], names...))
			}
			for i, g := range append(groups, quiet) {
				h.post("member0001/p", groupText(fmt.Sprint("first", i), "member0001", g, "x")) // its size is known from then on
			}
			server.routeAll(h)
			n := 0
			round := func() { // twice what is routed
				for range 2 * bound {
					n++
					if few == "large" {
						h.post(pair(fmt.Sprint("m", n), n%pairs))
					} else if n%members == 0 {
						h.post("member0002/p", groupText(fmt.Sprint("g", n), "member0002", groups[n/members%len(groups)], "x"))
					}
				}
				h.turns(4)
				server.route()
				h.turns(2)
			}
			for range 30 {
				round()
			}
			if few == "large" {
				h.post("member0001/p", groupText("it", "member0001", quiet, "x"))
			} else {
				h.post(pair("it", pairs))
			}
			// Its turn comes after some turns of each of the others, and on a slow machine a round takes few of them.
			for rounds := 0; h.timeOf("it") == 0; rounds++ {
				if rounds == 200 {
					t.Fatal("the other message was not chosen in 200 rounds, want it stored after some")
				}
				round()
			}
			for rounds := 0; copiesOfSome(h.sender, "it") == ""; rounds++ {
				if rounds == 200 {
					t.Fatal("the large message was not chosen in 200 rounds, want copies after some")
				}
				round()
			}
			server.routeAll(h)
		})
	}
}

// TestManyAtOnceBeforeDeafServer: a notice to everybody, and everybody's phone coming, put a bounded number of copies before a server that routes
// nothing, and leave the room for messages of two people alone.
func TestManyAtOnceBeforeDeafServer(t *testing.T) {
	const bound, members = 100, 3000
	maxWaiting := int64(maxBacklogBounds*bound + members/2) // half of them at once at most
	for _, what := range []string{"notice", "phones"} {
		t.Run(what, func(t *testing.T) {
			h, server, _ := busyStart(t, bound, 2, nil, nil)
			server.fillUp(h, bound)
			users := make([]store.User, members)
			for i := range users {
				id := fmt.Sprintf("user%04d", i)
				users[i] = store.User{ID: id, Name: id}
			}
			if err := h.AddUsers(t.Context(), users); err != nil {
				t.Fatal(err)
			}
			if what == "notice" {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _, _ = h.Notify(ctx, Notice{Type: "MTB-100", Body: "[]", Receivers: []string{"@all"}}) }()
			} else {
				err := h.do(t.Context(), &task{plan: func(context.Context, *batch) error { // each has missed something
					for i := range users {
						p := protocol.NewPerson(users[i].ID, testServer)
						h.conveyor.recent.add(&sentMessage{Delivery: stanza.Delivery{ID: "r" + p.ID, From: "lisi@" + testComponent, Payload: []byte("<body>x</body>"),
							To: []stanza.Target{{JID: p.Bare}}}, at: h.clock.Now(), kind: h.kinds.of("MTT-000"), typ: "MTT-000", session: "lisi",
							conversation: protocol.ChatName("lisi", p.Local), sender: protocol.NewPerson("lisi", testServer), people: []protocol.Person{p}})
					}
					return nil
				}})
				if err != nil {
					t.Fatal(err)
				}
				for i := range users {
					h.Stanza(stanza.Stanza{Name: "presence", From: users[i].ID + "@" + testServer + "/p", To: testComponent})
				}
			}
			for n := 0; h.conveyor.backlog.copies.Load() < int64(bound); n++ {
				if n == 100_000 {
					t.Fatalf("%d copies wait and no more come, want %d", h.conveyor.backlog.copies.Load(), 100_000)
				}
				h.turns(1)
			}
			h.turns(200)
			if n := h.conveyor.backlog.copies.Load(); n > maxWaiting {
				t.Errorf("%d copies wait, want at most %d", n, maxWaiting)
			}
			h.post("lisi/p", text("it", "lisi", "zhaoliu", "x"))
			h.turns(10)
			if h.timeOf("it") == 0 {
				t.Error("a message between two waits for the large one, want it stored at once")
			}
			server.routeAll(h)
		})
	}
}

// TestStopBeforeDeafServer: a server that routes nothing any more does not use up the time in which the last rows are written. A read receipt
// is in no history: its row is all that there is of it.
func TestStopBeforeDeafServer(t *testing.T) {
	const bound, members = 100, 300
	h, _, g := busyStart(t, bound, members, nil, func(c *Config) { c.ShutdownTimeout = 6 * time.Second })
	h.online("lisi/p")
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3) // its copies fill the bound
	h.post("zhangsan/p", envelopeOf("r0", "MTT-100", "zhangsan", "lisi", `[{"msg_id":"m0"}]`))
	h.turns(3)
	if got := h.queue("lisi"); got != "" {
		t.Fatalf(`rows before the stop: got %q, want ""`, got)
	}
	h.halt()
	h.run(nil)
	if got := h.queue("lisi"); got != "r0/0" {
		t.Errorf("rows after it: got %q, want r0/0", got)
	}
}

// TestStopWritesAllRows: at a stop the rows behind those that were confirmed meanwhile are written, too.
func TestStopWritesAllRows(t *testing.T) {
	h := start(t, nil)
	release := h.busy()
	add := func(id string) {
		row := store.OfflineMessage{Message: store.Message{MsgID: id, Type: "MTT-100", From: "lisi", To: "lisi", SessionID: "lisi", Time: "1"}}
		row.Owner = "zhangsan"
		h.unconfirmed.GiveBack([]store.OfflineMessage{row})
	}
	for i := range 20 * maxUnconfirmedRows {
		add(fmt.Sprint("r", i))
		h.unconfirmed.ConfirmWaiting("zhangsan", fmt.Sprint("r", i))
	}
	add("last")
	h.stop()
	release()
	h.halt()
	h.run(nil)
	if got := h.queue("zhangsan"); got != "last/0" {
		t.Errorf("rows: got %q, want last/0", got)
	}
}

// TestBatchesAreBounded: rows and copies of a batch are bounded, whatever waits.
func TestBatchesAreBounded(t *testing.T) {
	const members = 700
	h, server, _ := busyStart(t, 100_000, 2, nil, nil)
	users := make([]store.User, members)
	names := make([]string, members)
	for i := range users {
		names[i] = fmt.Sprintf("absent%04d", i)
		users[i] = store.User{ID: names[i]}
	}
	if err := h.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	if err := h.do(t.Context(), &task{plan: func(_ context.Context, b *batch) error { b.c.deferring.above = members; return nil }}); err != nil {
		t.Fatal(err)
	}
	var groups []string
	for range 12 { // nobody knows yet how large they are
		groups = append(groups, h.makeGroup(names[0], names...))
	}
	var mu sync.Mutex
	var rows []int
	h.rec.set(func(r *recordingStore) {
		r.applied = func(changes []store.Change) {
			mu.Lock()
			defer mu.Unlock()
			n := 0
			for _, c := range changes {
				n += len(c.Offline)
			}
			rows = append(rows, n)
		}
	})
	release := h.busy()
	for i, g := range groups {
		h.post("absent0001/p", groupText(fmt.Sprint("g", i), "absent0001", g, "x"))
	}
	release()
	server.routeAll(h)
	mu.Lock()
	defer mu.Unlock()
	total := 0
	for _, n := range rows {
		total += n
		if n > maxBatchRows+members {
			t.Errorf("a batch of %d rows, want at most %d", n, maxBatchRows+members)
		}
	}
	if want := len(groups) * members; total < want-len(groups) || total > want {
		t.Errorf("%d rows, want %d", total, want)
	}
}

// timeOf is the position of a stored message; 0 for one that is not stored.
func (h *harness) timeOf(id string) int64 {
	h.t.Helper()
	rows, err := h.db.MessagesByID(h.t.Context(), []string{id})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(rows[id]) == 0 {
		return 0
	}
	return protocol.TimeOrZero(rows[id][0].Time)
}

// TestPingBehindWhatWaited: what the server has room for goes out together, so a phone that gets several copies of it is asked once.
func TestPingBehindWhatWaited(t *testing.T) {
	const bound = 40
	h, server, _ := busyStart(t, bound, 2, nil, nil)
	h.online("lisi/p")
	server.routeAll(h)
	h.pinged()
	server.fillUp(h, bound)
	h.together(func() { // one that waited alone would keep the next from being decided
		for i := range 3 {
			h.post("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "x"))
		}
	})
	for h.conveyor.backlog.copies.Load() < 3 {
		h.turns(1)
	}
	server.routeAll(h)
	if _, behind := h.pinged(); behind != "lisi/p: m0 m1 m2" {
		t.Errorf(`pinged: got %s, want "lisi/p: m0 m1 m2"`, behind)
	}
}
