package component

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/store"
)

// prompt pauses for no time.
func prompt(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// pass lets days and a minute go by, asks who is online, and has the positions written down.
func (h *harness) pass(days int) {
	h.t.Helper()
	h.clock.Move(time.Duration(days)*day + time.Minute)
	h.snapshot()
	if err := h.do(h.t.Context(), &task{plan: func(_ context.Context, b *batch) error { b.changes = append(b.changes, store.Change{}); return nil }}); err != nil {
		h.t.Fatal(err)
	}
	h.sync()
}

// cleaning is the harness's cleaner with this configuration.
func (h *harness) cleaning(cfg retention.Config, change ...func(*retention.Deps)) *retention.Cleaner {
	deps := retention.Deps{Store: h.rec, Epoch: func() int64 { return h.epoch }, Forgetting: h.lookUpIDs, Log: slog.New(slog.DiscardHandler), Now: h.now, Wait: prompt}
	for _, c := range change {
		c(&deps)
	}
	return retention.New(cfg, deps)
}

const day = 24 * time.Hour

// cleanPause is what other writers get after each transaction.
const cleanPause = 100 * time.Millisecond

// clean counts first, cleans up then, and wants both to say the same.
func (h *harness) clean(cfg retention.Config) retention.Removed {
	h.t.Helper()
	counted, err := retention.Count(h.t.Context(), h.db, cfg, h.clock.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	done, err := h.cleaning(cfg).Clean(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	counted.Receipts = 0
	if counted != done {
		h.t.Errorf("removed %+v, want what was counted before, %+v", done, counted)
	}
	return done
}

// knows lists which of these ids are remembered.
func (h *harness) knows(ids ...string) string {
	h.t.Helper()
	found, err := h.db.IDs(h.t.Context(), ids)
	if err != nil {
		h.t.Fatal(err)
	}
	var known []string
	for _, id := range ids {
		if _, ok := found[store.IDKey{MsgID: id, Class: store.ClassMessage}]; ok {
			known = append(known, id)
		}
	}
	return strings.Join(known, " ")
}

// readers counts a message's receipts.
func (h *harness) readers(id string) int {
	h.t.Helper()
	counts, err := h.db.ReceiptCounts(h.t.Context(), []string{id})
	if err != nil {
		h.t.Fatal(err)
	}
	return counts[id]
}

// TestCleanupRetention: each kind has its own time, receipts go with their messages, and 0 is never.
func TestCleanupRetention(t *testing.T) {
	for name, c := range map[string]struct {
		cfg                       retention.Config
		history, group, queue, id string
		receipts                  int // of m1
		done                      retention.Removed
	}{
		"nothing": {retention.Config{}, "m3 m2 m1", "g1", "m1/0 m2/0 m3/0", "m1 g1 m2 m3", 1, retention.Removed{}},
		"messages": {retention.Config{Days: 30, IDs: 365}, "m3 m2", "", "m1/0 m2/0 m3/0", "m1 g1 m2 m3", 0,
			retention.Removed{Messages: 2}},
		"messages and ids": {retention.Config{Days: 30, IDs: 30}, "m3 m2", "", "m1/0 m2/0 m3/0", "m2 m3", 0, retention.Removed{Messages: 2, IDs: 2}},
		"ids":              {retention.Config{IDs: 5}, "m3 m2 m1", "g1", "m1/0 m2/0 m3/0", "m3", 1, retention.Removed{IDs: 3}},
		"offline rows":     {retention.Config{OfflineDays: 5}, "m3 m2 m1", "g1", "m3/0", "m1 g1 m2 m3", 1, retention.Removed{Offline: 4}}, // of lisi 2, of wangwu g1, of zhaoliu g1
		"all of it":        {retention.Config{Days: 1, OfflineDays: 40, IDs: 1}, "m3", "", "m1/0 m2/0 m3/0", "m3", 0, retention.Removed{Messages: 3, IDs: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			h.online("zhangsan/p")
			group := h.makeGroup("zhangsan", "zhangsan", "wangwu", "zhaoliu")
			h.sync()
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "first"))
			h.send("zhangsan/p", groupText("g1", "zhangsan", group, "all of you"))
			h.send("lisi/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"}]}`)
			h.offline("lisi/p")
			h.pass(20)
			h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "second"))
			h.pass(11)
			h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "third"))
			if h.readers("m1") != 1 {
				t.Fatalf("m1 has %d receipts, want 1", h.readers("m1"))
			}
			h.pass(0)
			before := h.rows("ofmessage", "ofcustomoffline")
			done := h.clean(c.cfg)

			if got := h.history("zhangsan", "lisi"); got != c.history {
				t.Errorf("history: %s, want %s", got, c.history)
			}
			if got := h.groupHistory(group, "MTS-000"); got != c.group {
				t.Errorf("group: %q, want %q", got, c.group)
			}
			if got := h.queue("lisi"); got != c.queue {
				t.Errorf("queue: %s, want %s", got, c.queue)
			}
			if got := h.knows("m1", "g1", "m2", "m3"); got != c.id {
				t.Errorf("ids: %s, want %s", got, c.id)
			}
			if got := h.readers("m1"); got != c.receipts {
				t.Errorf("receipts: %d, want %d", got, c.receipts)
			}
			// What it says is what it did.
			after := h.rows("ofmessage", "ofcustomoffline")
			if before[0]-after[0] != done.Messages || before[1]-after[1] != done.Offline {
				t.Errorf("rows before %v, after %v, want a difference as in %+v", before, after, done)
			}
			if again := h.clean(c.cfg); again != (retention.Removed{}) {
				t.Errorf("again: got %+v removed, want nothing", again)
			}
		})
	}
}

// rows counts the rows of tables.
func (h *harness) rows(tables ...string) (counts []int) {
	h.t.Helper()
	db := h.raw()
	for _, table := range tables {
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
			h.t.Fatal(err)
		}
		counts = append(counts, n)
	}
	return counts
}

// raw opens the database beside the Service.
func (h *harness) raw() *sql.DB {
	h.t.Helper()
	db, err := sql.Open("sqlite", "file:"+h.file()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return db
}

// groupHistory lists the ids of a group's messages of one type, newest first.
func (h *harness) groupHistory(group, msgType string) string {
	h.t.Helper()
	list, _, err := h.db.GroupHistory(h.t.Context(), group, store.Page{Length: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, m := range list {
		if m.Type == msgType {
			ids = append(ids, m.MsgID)
		}
	}
	return strings.Join(ids, " ")
}

// TestCleanupRemembers: a message that was cleaned up, revoked or removed does not come back when it is sent again within
// cleanup.ids, and one that outlives the memory of its id is not stored twice.
func TestCleanupRemembers(t *testing.T) {
	h := start(t, nil)
	old := []string{text("plain", "zhangsan", "lisi", "a"), text("revoked", "zhangsan", "lisi", "b"), text("removed", "zhangsan", "lisi", "c")}
	for _, envelope := range old {
		h.send("zhangsan/p", envelope)
	}
	h.send("zhangsan/p", `{"msg_id":"v1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"revoked"}]}`)
	if found, err := h.RemoveMessage(t.Context(), "removed"); !found || err != nil {
		t.Fatalf("remove message: got found %v, %v, want true, no error", found, err)
	}
	// resend sends all of them again: each is acknowledged and goes nowhere.
	resend := func(when, history string) {
		t.Helper()
		h.sender.take()
		for _, envelope := range old {
			h.send("zhangsan/p", envelope)
		}
		sent, posts := h.sender.take()
		for _, d := range sent {
			if d.ID != "new" {
				t.Errorf("%s: %s is delivered, want new", when, d.ID)
			}
		}
		if got := refusals(posts); got != "acknowledgement acknowledgement acknowledgement" {
			t.Errorf(`%s: got %s, want "acknowledgement acknowledgement acknowledgement"`, when, got)
		}
		if got := h.history("zhangsan", "lisi"); got != history {
			t.Errorf("%s: the history is %q, want %q", when, got, history)
		}
	}
	resend("before", "v1 plain")
	h.pass(20)
	h.send("zhangsan/p", text("new", "zhangsan", "lisi", "d"))
	h.clean(retention.Config{Days: 10, IDs: 30})
	resend("messages are gone", "new")
	if got := h.knows("plain", "revoked", "removed"); got != "plain revoked removed" {
		t.Errorf(`remembered: got %s, want "plain revoked removed"`, got)
	}

	// The memory ends: what is no longer there is a new message. That is what cleanup.ids promises, and no more.
	h.clean(retention.Config{Days: 10, IDs: 15})
	h.send("zhangsan/p", old[0])
	if got := h.history("zhangsan", "lisi"); got != "plain new" && got != "new plain" {
		t.Errorf(`forgotten: got history %q, want "new plain"`, got)
	}
}

// TestCleanupForgets: messages that outlive the memory of their ids are still not stored twice, nor is the id another's.
func TestCleanupForgets(t *testing.T) {
	h := start(t, nil)
	old := text("m1", "zhangsan", "lisi", "a")
	h.send("zhangsan/p", old)
	h.pass(20)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "b"))
	if done := h.clean(retention.Config{IDs: 10}); done != (retention.Removed{IDs: 1}) {
		t.Fatalf("removed %+v, want 1 id", done)
	}
	check := func(when string) {
		t.Helper()
		h.sender.take()
		h.send("zhangsan/p", old)
		h.send("wangwu/p", text("m1", "wangwu", "lisi", "another"))
		sent, posts := h.sender.take()
		if got := refusals(posts); len(sent) != 0 || got != "acknowledgement "+string(protocol.IDConflict) {
			t.Errorf("%s: got %d deliveries, %s, want none, acknowledgement %s", when, len(sent), got, protocol.IDConflict)
		}
		if got := h.history("zhangsan", "lisi"); got != "m2 m1" {
			t.Errorf(`%s: got %s, want "m2 m1"`, when, got)
		}
	}
	check("at once")
	h.halt()
	h.run(nil)
	h.Up()
	h.sync()
	check("after a restart")
}

// TestCleanupOddTimes: rows whose time is no 13-digit number stay, are counted and said once.
func TestCleanupOddTimes(t *testing.T) {
	var log strings.Builder
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	db := h.raw()
	times := []string{"NULL", "''", "'16'", "'1500000000'", "'1500000000000000'", "'gestern'", "'2020-01-01 10:00:00'", "'15000000000 0'", "'-500000000000'"}
	for i, odd := range times {
		for _, table := range []string{"ofmessage", "ofcustomoffline"} {
			if _, err := db.Exec(fmt.Sprintf("INSERT INTO %s (id_, msg_id, msg_time) VALUES ('odd%d', 'odd%d', %s)", table, i, i, odd)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.pass(100)
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "b"))
	metered := prometheus.NewRegistry()
	c := h.cleaning(retention.Config{Days: 1, OfflineDays: 1}, func(d *retention.Deps) {
		d.Log, d.Registry = slog.New(slog.NewTextHandler(&log, nil)), metered
	})
	for range 2 {
		done, err := c.Clean(t.Context())
		if err != nil || done.OddMessages != len(times) || done.OddOffline != len(times) {
			t.Errorf("got %+v, %v, want %d odd messages, %d odd offline messages", done, err, len(times), len(times))
		}
	}
	if got := fmt.Sprint(h.rows("ofmessage", "ofcustomoffline")); got != fmt.Sprint([]int{len(times) + 1, len(times) + 1}) {
		t.Errorf("rows left: got %s, want %d in each table", got, len(times)+1)
	}
	if got := h.history("zhangsan", "lisi"); got != "m2" {
		t.Errorf("history: got %s, want m2", got)
	}
	if n := strings.Count(log.String(), "are left alone by clean-up"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, &log)
	}
	for _, table := range []string{"ofmessage", "ofcustomoffline"} {
		if odd := gathered(t, metered, "tlim_cleanup_left_alone", table); odd != float64(len(times)) {
			t.Errorf("%s: got %v left alone, want %d", table, odd, len(times))
		}
	}
	// Where nothing is ever removed nobody needs to know.
	if done := h.clean(retention.Config{}); done != (retention.Removed{}) {
		t.Errorf("without retention: got %+v removed, want nothing", done)
	}
}

// TestCleanupUnsettled: what may have to be delivered or queued again stays, however old it is.
func TestCleanupUnsettled(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.pass(1)
	h.sender.set(func(r *recordingSender) { r.hold = true }) // the server answers no ping: nothing is proved routed
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "b"))
	h.pass(100)
	if done := h.clean(retention.Config{Days: 10, IDs: 10, OfflineDays: 10}); done != (retention.Removed{Messages: 1, IDs: 1, Offline: 1}) || h.history("zhangsan", "lisi") != "m2" {
		t.Errorf("got %+v removed, %s left; want 1 message, 1 id, 1 offline message, and m2 left", done, h.history("zhangsan", "lisi"))
	}
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.sender.answer(nil)
	h.pass(1)
	if done := h.clean(retention.Config{Days: 10, IDs: 10, OfflineDays: 10}); done != (retention.Removed{Messages: 1, IDs: 1, Offline: 1}) {
		t.Errorf("settled: got %+v removed, want 1 message, 1 id, 1 offline message", done)
	}
}

// fill writes n old messages with their ids and a queue row each, apart from the clock.
func (h *harness) fill(n int) { fillOld(h.t, h.Service, n) }

func fillOld(t testing.TB, s *Service, n int) {
	t.Helper()
	for i := 0; i < n; {
		if err := s.do(t.Context(), &task{alone: true, plan: func(_ context.Context, b *batch) error {
			for range min(500, n-i) {
				m := store.Message{ID: protocol.NewID(), MsgID: fmt.Sprint("old", i), Type: "MTT-000", From: "zhangsan", To: "lisi", SessionID: "zhangsan",
					Body: `[{"text":"old"}]`, Time: protocol.FormatTime(1_500_000_000_000 + int64(i))}
				c := store.Change{Message: &m, IDs: []store.ID{{MsgID: m.MsgID, Class: store.ClassMessage, From: m.From, Conversation: "lisi zhangsan", Time: m.Time, State: store.Live}},
					Receipts: []store.Receipt{{ID: protocol.NewID(), MsgID: m.MsgID, Sender: m.From, Reader: "lisi", Status: 1}}, Offline: []store.OfflineMessage{{Message: m, Owner: "lisi"}}}
				c.Offline[0].ID = protocol.NewID()
				b.changes = append(b.changes, c)
				i++
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCleanupStops: it ends between two transactions when the process ends, and the next one goes on; an error of one table
// leaves the others to be cleaned.
func TestCleanupStops(t *testing.T) {
	h := start(t, nil)
	h.fill(1200)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.pass(0)
	cfg := retention.Config{Days: 30, OfflineDays: 30, IDs: 30}
	ctx, cancel := context.WithCancel(t.Context())
	wait := func(_ context.Context, d time.Duration) error {
		if d != cleanPause {
			t.Errorf("got a pause of %s, want %s", d, cleanPause)
		}
		cancel()
		return context.Canceled
	}
	var log strings.Builder
	metered := prometheus.NewRegistry()
	c := h.cleaning(cfg, func(d *retention.Deps) {
		d.Log, d.Registry = slog.New(slog.NewTextHandler(&log, nil)), metered
		d.Wait = func(ctx context.Context, d time.Duration) error { return wait(ctx, d) }
	})
	done, err := c.Clean(ctx)
	if !errors.Is(err, context.Canceled) || done != (retention.Removed{Messages: 500}) {
		t.Errorf("got %+v, %v, want 500 messages, %v", done, err, context.Canceled)
	}
	if got := fmt.Sprint(h.rows("ofmessage", "ofstatus", "ofcustomoffline", "tlim_id")); got != "[701 700 1201 1201]" {
		t.Errorf(`left: got %s, want "[701 700 1201 1201]"`, got)
	}

	// Offline rows cannot be removed now.
	h.rec.set(func(r *recordingStore) { r.deleting = func() error { return store.ErrUnavailable } })
	wait = prompt
	done, err = c.Clean(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || done != (retention.Removed{Messages: 700, IDs: 1200}) {
		t.Errorf("got %+v, %v, want 700 messages, 1200 ids, %v", done, err, store.ErrUnavailable)
	}
	if !strings.Contains(log.String(), "did not come to its end") || gathered(t, metered, "tlim_cleanup_failures_total") != 1 {
		t.Errorf(`log: got %s, want "did not come to its end", and 1 failure counted`, &log)
	}
	h.rec.set(func(r *recordingStore) { r.deleting = nil })
	if done := h.clean(cfg); done != (retention.Removed{Offline: 1200}) {
		t.Errorf("the rest: got %+v, want 1200 offline messages", done)
	}
	if got := fmt.Sprint(h.rows("ofmessage", "ofstatus", "ofcustomoffline", "tlim_id")); got != "[1 0 1 1]" {
		t.Errorf(`left: got %s, want "[1 0 1 1]"`, got)
	}

	// Another process took over: nothing more is touched.
	h.fill(1)
	if _, err := h.db.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Clean(t.Context()); !errors.Is(err, store.ErrFenced) || done != (retention.Removed{}) {
		t.Errorf("deposed: got %+v, %v, want nothing removed, %v", done, err, store.ErrFenced)
	}
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "b")) // which it finds out by a write
	if err := <-h.stopped; !errors.Is(err, store.ErrFenced) {
		t.Errorf("Run: got %v, want %v", err, store.ErrFenced)
	}
	h.stopped <- nil
}

// TestChatPassesCleanup: a message is stored, acknowledged and delivered between every two transactions of a clean-up, none of
// which removes more than 500 rows.
func TestChatPassesCleanup(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.fill(3000)
	var wait func(context.Context, time.Duration) error
	c := h.cleaning(retention.Config{Days: 30, OfflineDays: 30, IDs: 30}, func(d *retention.Deps) {
		d.Wait = func(ctx context.Context, d time.Duration) error { return wait(ctx, d) }
	})
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "a"))
	h.pass(0)
	h.sender.take()
	n, tables := 0, []string{"ofmessage", "ofcustomoffline", "tlim_id"}
	before := h.rows(tables...)
	wait = func(context.Context, time.Duration) error {
		after := h.rows(tables...)
		gone := 0
		for i := range after {
			gone += before[i] - after[i]
		}
		if gone < 1 || gone > 500 {
			t.Errorf("one transaction removed %d rows, want 1 to 500", gone)
		}
		n++
		id := fmt.Sprint("new", n)
		h.send("zhangsan/p", text(id, "zhangsan", "lisi", "meanwhile"))
		sent, posts := h.sender.take()
		if addresses(sent, id) == "" || refusals(posts) != "acknowledgement" {
			t.Errorf("%s: got %v, %s, want a delivery, an acknowledgement", id, sent, refusals(posts))
		}
		before = h.rows(tables...)
		return nil
	}
	done, err := c.Clean(t.Context())
	if err != nil || done.Messages != 3000 || done.Offline != 3000 || done.IDs != 3000 || n < 18 {
		t.Errorf("got %+v, %v, %d messages meanwhile; want 3000 messages, offline messages and ids, at least 18 messages meanwhile", done, err, n)
	}
	if list := strings.Fields(h.history("zhangsan", "lisi")); len(list) != n+1 {
		t.Errorf("%d messages are left, want %d", len(list), n+1)
	}
}

// bytesOf stands for where files lie.
type bytesOf struct {
	there map[string]bool
	fail  string // this one cannot be removed
}

func (b *bytesOf) Remove(_ context.Context, id string) error {
	if id == b.fail {
		return errors.New("no permission")
	}
	delete(b.there, id)
	return nil
}

func TestCleanupFiles(t *testing.T) {
	h := start(t, nil)
	bytes := &bytesOf{there: map[string]bool{}}
	for i, age := range []int{40, 30, 10} {
		id := fmt.Sprintf("%032x", i)
		bytes.there[id] = true
		if err := h.db.AddFile(t.Context(), store.File{ID: id, Time: protocol.FormatTime(h.clock.Now().AddDate(0, 0, -age).UnixMilli() - 1)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, cfg := range []retention.Config{{FilesDays: 0}, {FilesDays: 365}} {
		if done := h.clean(cfg); done != (retention.Removed{}) {
			t.Errorf("%+v: got %+v removed, want nothing", cfg, done)
		}
	}
	counted, err := retention.Count(t.Context(), h.db, retention.Config{FilesDays: 30}, h.clock.Now())
	if err != nil || counted != (retention.Removed{Files: 2}) || len(bytes.there) != 3 {
		t.Errorf("counted %+v, %v, and %d files are there; want 2 files, and all 3 still there", counted, err, len(bytes.there))
	}
	// Bytes that cannot be removed leave an orphan, no broken link: the row went first.
	c := h.cleaning(retention.Config{FilesDays: 30}, func(d *retention.Deps) { d.Files = bytes })
	bytes.fail = fmt.Sprintf("%032x", 1)
	done, err := c.Clean(t.Context())
	if err == nil || !strings.Contains(err.Error(), bytes.fail) || done != (retention.Removed{Files: 2}) {
		t.Errorf("got %+v, %v, want 2 files, and the error of the third", done, err)
	}
	if got := fmt.Sprint(h.rows("tlim_file"), len(bytes.there)); got != "[1] 2" {
		t.Errorf(`rows and bytes: got %s, want "[1] 2"`, got)
	}
	bytes.fail = ""
	if done, err := c.Clean(t.Context()); err != nil || done != (retention.Removed{}) {
		t.Errorf("again: got %+v, %v, want nothing", done, err)
	}
}

// TestCleanupFormers: former members are forgotten when none of their late notices is taken any more.
func TestCleanupFormers(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(protocol.FormerTime - time.Minute)
	h.send("zhangsan/p", groupText("g1", "zhangsan", group, "x"))
	h.pass(0)
	if done := h.clean(retention.Config{}); done != (retention.Removed{}) {
		t.Errorf("too early: got %+v removed, want nothing", done)
	}
	h.clock.Move(2 * time.Minute)
	h.send("zhangsan/p", groupText("g2", "zhangsan", group, "x"))
	h.pass(0)
	if done := h.clean(retention.Config{}); done != (retention.Removed{Formers: 1}) {
		t.Errorf("got %+v removed, want 1 former member", done)
	}
}

// TestCleanupOfAudit: what administrators did is known for 400 days.
func TestCleanupOfAudit(t *testing.T) {
	h := start(t, nil)
	h.sync()
	for i, age := range []int{401, 400, 399} {
		at := h.clock.Now().AddDate(0, 0, -age).Add(-time.Second)
		if err := h.db.AddAudit(t.Context(), store.AuditEvent{ID: fmt.Sprint(i), Time: at.UnixMilli(), What: "keys/new", Outcome: store.AuditDone}); err != nil {
			t.Fatal(err)
		}
	}
	if done := h.clean(retention.Config{}); done != (retention.Removed{Audit: 2}) {
		t.Errorf("got %+v removed, want 2 audit events", done)
	}
	if events, err := h.db.AuditEvents(t.Context(), "", 9); err != nil || len(events) != 1 || events[0].ID != "2" {
		t.Errorf("got %+v, %v, want the one of 399 days ago left", events, err)
	}
}
