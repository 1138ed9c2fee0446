package component

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// confirms makes a phone confirm a message.
func confirms(user, id string) string {
	return fmt.Sprintf(`{"msg_type":"MTC-000","msg_from":%q,"msg_to":"zhangsan","body":[{"msg_id":%q}]}`, user, id)
}

// confirming starts with a user lisi whose phone is online and known to confirm.
func confirming(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	h := start(t, change)
	h.online("lisi/p")
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.send("lisi/p", confirms("lisi", "m0"))
	h.sender.take()
	h.rec.take()
	return h
}

func unconfirmedIDs(t *testing.T, h *harness, user string) string {
	t.Helper()
	rows, err := h.waits(user, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, row := range rows {
		if row.ID == "" {
			list = append(list, row.MsgID)
		}
	}
	return strings.Join(list, " ")
}

func TestUnconfirmedMemoryIsBounded(t *testing.T) {
	h := confirming(t, func(c *Config) { c.UnconfirmedPerUser = 2 })
	for i := range 4 {
		h.send("zhangsan/p", text(fmt.Sprintf("m%d", i+1), "zhangsan", "lisi", "x"))
	}
	if got := unconfirmedIDs(t, h, "lisi"); got != "m1 m2" {
		t.Errorf(`unconfirmed in memory: got %q, want "m1 m2"`, got)
	}
	if got := h.queue("lisi"); got != "m3/0 m4/0" {
		t.Errorf(`beyond the limit copies become rows at once: got %q, want "m3/0 m4/0"`, got)
	}
}

// TestConfirmedWhileWaiting: a confirmation that comes between the grace's end and the row is not overtaken by it.
func TestConfirmedWhileWaiting(t *testing.T) {
	h := confirming(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.rec.breakWith(store.ErrUnavailable)
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := unconfirmedIDs(t, h, "lisi"); got != "m1 m2" {
		t.Fatalf("queue: got %q, want m1 and m2: what could not be written is still seen", got)
	}
	unread, err := h.HasUnread(t.Context(), "lisi")
	if err != nil || !unread {
		t.Errorf("hasUnread: got %v, %v, want true, no error", unread, err)
	}
	h.send("lisi/p", confirms("lisi", "m1"))
	h.rec.breakWith(nil)
	h.sync()
	h.sync()
	if got := h.queue("lisi"); got != "m2/0" {
		t.Errorf("queue: got %q, want what was not confirmed", got)
	}
}

// TestRevokedWhileWaiting: a copy that is about to become a row when its message is revoked becomes none. Deletions come first in
// a batch, so the row would outlive its message.
func TestRevokedWhileWaiting(t *testing.T) {
	h := confirming(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.rec.failWhen(func(c store.Change) error {
		if c.Message == nil && len(c.Offline) > 0 {
			return store.ErrUnavailable
		}
		return nil
	})
	h.clock.Move(h.cfg.Grace)
	h.sync() // m1 waits to be written
	h.sender.take()
	h.send("zhangsan/p", `{"msg_id":"v1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m1"}]}`)
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("the revoke: got %s, want acknowledgement", refusals(posts))
	}
	h.rec.failWhen(nil)
	h.clock.Move(h.cfg.Grace)
	h.sync()
	h.sync()
	if got := h.queue("lisi"); got != "v1/0" {
		t.Errorf("queue %q, want v1/0", got)
	}
}

// TestLargeServer: where looks at who is there are far apart, a new phone is sent what came after the last one was asked for, however
// long ago.
func TestLargeServer(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(1)
	h.snapshot()
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.clock.Move(20 * h.cfg.SnapshotPeriod)
	h.sender.take()
	h.online("lisi/p")
	if d, _ := h.sender.take(); copiesOf(d) != "m2>lisi@im.test/p" {
		t.Errorf(`delivered: got %s, want "m2>lisi@im.test/p"`, copiesOf(d))
	}
}

// TestReceiptWaits: a read receipt on its way into the queue is in it, but is nothing unread.
func TestReceiptWaits(t *testing.T) {
	h := start(t, nil)
	h.online("zhangsan/p")
	h.send("lisi/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"gone"}]}`)
	h.rec.failWhen(func(c store.Change) error {
		if c.Message == nil && len(c.Offline) > 0 {
			return store.ErrUnavailable
		}
		return nil
	})
	h.offline("zhangsan/p")
	h.sync()
	if got := unconfirmedIDs(t, h, "zhangsan"); got != "r1" {
		t.Errorf("queue %q, want r1", got)
	}
	if unread, err := h.HasUnread(t.Context(), "zhangsan"); err != nil || unread {
		t.Errorf("hasUnread: got %v, %v, want false, no error", unread, err)
	}
}

// TestQueueSeesRowsBeingWritten: while rows are on their way into the database a queue must not lack them.
func TestQueueSeesRowsBeingWritten(t *testing.T) {
	h := confirming(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	committing, release := make(chan struct{}), make(chan struct{})
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			close(committing)
			<-release
			r.set(func(r *recordingStore) { r.commit = nil })
			return commit()
		}
	})
	h.clock.Move(h.cfg.Grace)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.sync()
	}()
	<-committing
	if got := unconfirmedIDs(t, h, "lisi"); got != "m1" {
		t.Errorf("while the row is written: got queue %q, want m1", got)
	}
	close(release)
	<-done
	if got := unconfirmedIDs(t, h, "lisi") + h.queue("lisi"); got != "m1/0" {
		t.Errorf("afterwards: got %q, want m1/0", got)
	}
}

// TestClearOffline removes exactly what an answer held, in memory and in the table.
func TestClearOffline(t *testing.T) {
	h := confirming(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(h.cfg.Grace)
	h.sync() // m1 is a row
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	answer, err := h.waits("lisi", "", 0)
	if err != nil || len(answer) != 2 {
		t.Fatalf("got %v, %v, want 2 rows", answer, err)
	}
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	if err := h.ClearOffline(t.Context(), "LISI", answer); err != nil {
		t.Fatal(err)
	}
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := h.queue("lisi"); got != "m3/0" {
		t.Errorf("queue: got %q, want m3/0: what came after the answer stays, and nothing else", got)
	}
	// An entry that was unconfirmed when it was answered may be a row by now.
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "x"))
	answer, err = h.waits("lisi", "m4", 0)
	if err != nil || len(answer) != 1 || answer[0].ID != "" {
		t.Fatalf(`got %v, %v, want 1 row without an id`, answer, err)
	}
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if err := h.ClearOffline(t.Context(), "lisi", answer); err != nil {
		t.Fatal(err)
	}
	if got := h.queue("lisi"); got != "m3/0" {
		t.Errorf("queue %q, want m3/0", got)
	}
}

func TestOfflinePages(t *testing.T) {
	h := start(t, nil)
	for i := range 5 {
		h.send("zhangsan/p", text(fmt.Sprintf("m%d", i), "zhangsan", "lisi", "x"))
	}
	ids := func(since string, limit int) string {
		rows, err := h.waits("lisi", since, limit)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, row := range rows {
			list = append(list, row.MsgID)
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		since string
		limit int
		want  string
	}{
		{"", 0, "m0 m1 m2 m3 m4"}, {"", 2, "m0 m1"}, {"m3", 0, "m3 m4"}, {"m3", 1, "m3"}, {"unknown", 0, "m0 m1 m2 m3 m4"},
	} {
		t.Run(fmt.Sprintf("since %q limit %d", c.since, c.limit), func(t *testing.T) {
			if got := ids(c.since, c.limit); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if _, err := h.waits("", "", 0); protocol.AsError(err).Code != protocol.UserIDInvalid {
		t.Errorf("an impossible id: got %v, want %v", err, protocol.UserIDInvalid)
	}
}

// TestOfflineMerges puts what is unconfirmed between the pages of rows, each message once.
func TestOfflineMerges(t *testing.T) {
	h := confirming(t, nil)
	var rows []store.OfflineMessage
	row := func(id string, at int64) {
		rows = append(rows, store.OfflineMessage{Message: store.Message{ID: "row " + id, MsgID: id, Type: "MTT-000", From: "z", To: "z", Time: protocol.FormatTime(at)}, Owner: "lisi"})
	}
	h.send("zhangsan/p", text("owed", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("both", "zhangsan", "lisi", "x"))
	at := map[string]int64{}
	for _, e := range h.Service.unconfirmed.Entries("lisi", "lisi", false) {
		at[e.Message.Row.MsgID] = protocol.TimeOrZero(e.Time())
	}
	for i := range queuePage { // a page whose last row is older than what is unconfirmed, by a millisecond
		row(fmt.Sprintf("a%04d", i), at["owed"]-queuePage+int64(i))
	}
	row("zz", at["owed"]) // of the same time, on the next page
	row("both", at["both"])
	row("new", at["both"]+1)
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Offline: rows}}); err != nil {
		t.Fatal(err)
	}
	list, err := h.waits("lisi", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var tail []string
	for _, e := range list[queuePage-1:] {
		tail = append(tail, e.MsgID+"/"+e.ID)
	}
	if got := strings.Join(tail, " "); len(list) != queuePage+4 || got != "a0999/row a0999 zz/row zz owed/ both/row both new/row new" {
		t.Errorf(`got %d rows, %s, want %d, "a0999/row a0999 zz/row zz owed/ both/row both new/row new"`, len(list), got, queuePage+4)
	}
	if list, err = h.waits("lisi", "", queuePage+2); err != nil || len(list) != queuePage+2 || list[queuePage+1].MsgID != "owed" {
		t.Errorf("got %d rows, %v, want %d, the last of them unconfirmed", len(list), err, queuePage+2)
	}
	if list, err = h.waits("lisi", "both", 0); err != nil || len(list) != 2 || list[0].MsgID != "both" || list[1].MsgID != "new" { // unconfirmed is older
		t.Errorf("since a message: got %v, %v, want both, new", list, err)
	}
	stop := errors.New("stop")
	if err := h.Offline(t.Context(), "lisi", "", 0, func([]store.OfflineMessage) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v, by which visit ends it", err, stop)
	}
}

// TestLargeQueue: a queue of large messages comes in more pages, and whole.
func TestLargeQueue(t *testing.T) {
	h := start(t, nil)
	const n = 40
	var rows []store.OfflineMessage
	for i := range n {
		id := fmt.Sprintf("m%02d", i)
		rows = append(rows, store.OfflineMessage{Message: store.Message{ID: "row " + id, MsgID: id, Type: "MTT-000", From: "z", To: "z", Time: protocol.FormatTime(int64(1544602393000 + i/2)),
			Body: strings.Repeat("x", 60_000)}, Owner: "lisi"})
	}
	if err := h.db.Apply(t.Context(), h.epoch, store.Positions{}, []store.Change{{Offline: rows}}); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{0, 30} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			pages, got := 0, 0
			err := h.Offline(t.Context(), "lisi", "", limit, func(page []store.OfflineMessage) error {
				pages++
				for _, row := range page {
					if row.MsgID != fmt.Sprintf("m%02d", got) {
						t.Errorf(`row %d: got %s, want m%02d`, got, row.MsgID, got)
					}
					got++
				}
				return nil
			})
			if err != nil || got != cmp.Or(limit, n) || pages < 2 {
				t.Errorf("got %d rows in %d pages, %v, want %d in at least 2", got, pages, err, cmp.Or(limit, n))
			}
		})
	}
}

// TestLinkLostWhileSending: a copy handed over just as the link is lost must not count as received, whatever comes later.
func TestLinkLostWhileSending(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.sender.set(func(r *recordingSender) {
		r.delivering = func() {
			h.sender.set(func(r *recordingSender) { r.delivering = nil })
			h.Down(nil)
		}
	})
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
	if h.Ready() == nil {
		t.Error("Ready: got no error, want that of the link")
	}
}

// TestLinkLostInCatchUp: of what was to be sent to a device that comes no question stays open, when the link is lost: the next copies to it would share
// a ping that never went out, and become rows although it answers.
func TestLinkLostInCatchUp(t *testing.T) {
	h := start(t, nil)
	h.snapshot()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.set(func(r *recordingSender) { r.down = true })
	h.online("lisi/p")
	if got := h.queue("lisi"); got != "m1/0" {
		t.Fatalf("queue %q, want m1/0", got)
	}
	if got := h.unconfirmed.Count().Questions; got != 0 {
		t.Errorf("%d questions stay open, want none", got)
	}
}

// TestLinkLostWhileCommitting: what the loss of the link could not see yet becomes rows as well.
func TestLinkLostWhileCommitting(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			err := commit()
			h.Down(nil)
			return err
		}
	})
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if d, _ := h.sender.take(); addresses(d, "m1") != "" {
		t.Errorf(`sent into a lost link: got %s, want nothing`, copiesOf(d))
	}
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := h.queue("lisi"); got != "m1/0" {
		t.Errorf("queue %q, want m1/0", got)
	}
}

// TestShutdownWritesRows: what is not settled at an orderly end becomes rows, and the next start has nothing to do.
func TestShutdownWritesRows(t *testing.T) {
	h := confirming(t, nil)
	h.online("wangwu/p")
	h.clock.Move(time.Second)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "x"))
	h.send("zhangsan/p", text("m3", "zhangsan", "zhaoliu", "x"))
	h.halt()
	h.run(nil)
	h.Up()
	h.sync()
	for user, want := range map[string]string{"lisi": "m1/0", "wangwu": "m2/0", "zhaoliu": "m3/0", "zhangsan": ""} {
		if got := h.queue(user); got != want {
			t.Errorf("queue of %s: got %q, want %q", user, got, want)
		}
	}
	h.sender.take()
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "x"))
	d, _ := h.sender.take()
	if addresses(d, "m1") != "" {
		t.Errorf(`delivered again after an orderly end: got %v, want nothing`, d)
	}
	h.online("lisi/p")
	h.send("zhangsan/p", text("m5", "zhangsan", "lisi", "x"))
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := h.queue("lisi"); got != "m1/0 m4/0 m5/0" {
		t.Errorf(`queue: got %q, want "m1/0 m4/0 m5/0": that lisi confirms is remembered`, got)
	}
}

// TestSettledPosition: it follows the oldest copy that is not settled.
func TestSettledPosition(t *testing.T) {
	h := confirming(t, nil)
	h.clock.Move(time.Second)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	m1 := h.clock.Now().UnixMilli()
	h.clock.Move(time.Second)
	h.send("zhangsan/p", text("m2", "zhangsan", "wangwu", "x"))
	h.clock.Move(time.Second)
	h.sync()
	h.snapshot()
	h.send("zhangsan/p", text("m3", "zhangsan", "wangwu", "x"))
	if st := h.state(); st.Settled >= m1 || st.Delivered <= m1 {
		t.Errorf("with m1 unconfirmed: got %+v, want settled before m1, delivered after it (m1 is at %d)", st, m1)
	}
	h.send("lisi/p", confirms("lisi", "m1"))
	h.send("zhangsan/p", text("m4", "zhangsan", "wangwu", "x"))
	if st := h.state(); st.Settled < m1 {
		t.Errorf("with nothing unconfirmed: got %+v, want settled up to at least m1 at %d", st, m1)
	}
}

// TestFirstConfirmationOfMany: a phone that confirms for the first time, and several messages at once, is noted once.
func TestFirstConfirmationOfMany(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	h.rec.take()
	h.send("lisi/p", `{"msg_id":"c1","msg_type":"MTC-000","msg_from":"lisi","msg_to":"zhangsan","body":[{"msg_id":"m1"},{"msg_id":"m2"},{"msg_id":"m3"}]}`)
	noted := 0
	for _, c := range h.rec.take() {
		noted += len(c.Confirming)
	}
	if noted != 1 || h.users.Confirms("lisi") != store.ConfirmsByReceipts {
		t.Errorf("noted %d times, confirms by %v, want once, %v", noted, h.users.Confirms("lisi"), store.ConfirmsByReceipts)
	}
}

// TestFirstReceipt: the first receipt of a user's phones tells that they send them: what was sent to them before, and has none, becomes a row. Nothing
// asks for receipts of read receipts.
func TestFirstReceipt(t *testing.T) {
	for name, confirm := range map[string]func(h *harness){
		"<received/>": func(h *harness) {
			h.sendRaw("lisi/p", "zhangsan@"+testComponent, received("m1"))
		},
		"MTC-000": func(h *harness) { h.send("lisi/p", confirms("lisi", "m1")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			h.online("lisi/p")
			for _, id := range []string{"m1", "m2"} {
				h.send("zhangsan/p", text(id, "zhangsan", "lisi", "x"))
			}
			h.send("zhangsan/p", `{"msg_id":"r1","msg_type":"MTT-100","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"gone"}]}`)
			confirm(h)
			h.graceOver() // with a snapshot in which the phone is there
			if got := h.queue("lisi"); got != "m2/0" {
				t.Errorf("queue: got %q, want m2/0", got)
			}
		})
	}
}
