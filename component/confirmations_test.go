package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/store"
)

func everybody(string) bool { return false }

func testConfirmations() *confirmations {
	return newConfirmations(directory.NewCache(nil, ""), newMetrics(nil, &Service{}).ignoredConfirmations)
}

// TestConfirmationsAreFair: one user's thousands keep nobody's waiting, and take a bounded room.
func TestConfirmationsAreFair(t *testing.T) {
	c := testConfirmations()
	for i := range maxConfirmedPerUser + 7 {
		c.drop("A", fmt.Sprintf("a%d", i))
	}
	c.drop("b", "b0")
	c.drop("A", strings.Repeat("m", protocol.MaxID+1)) // no row has such an id
	if got := counter(t, c.ignored.WithLabelValues(ignoredRow)); got != 7 {
		t.Errorf("%v were given up, want 7", got)
	}
	taken := c.take(everybody)
	if len(taken.rows) != maxConfirmedRows || !slices.Contains(taken.rows, confirmedRow{"b", "b0"}) {
		t.Errorf("the first %d rows lack the other user's, want b0 among %d", len(taken.rows), maxConfirmedRows)
	}
	c.giveBack(taken)
	seen := 0
	for c.waits() {
		for _, row := range c.take(everybody).rows {
			if row.local == "A" {
				if row.msgID != fmt.Sprintf("a%d", seen) {
					t.Fatalf(`got %s, want a%d`, row.msgID, seen)
				}
				seen++
			}
		}
	}
	if seen != maxConfirmedPerUser {
		t.Errorf("got %d rows of one user, want %d", seen, maxConfirmedPerUser)
	}
	for i := range maxConfirmed + 1 {
		c.drop(fmt.Sprint(i/maxConfirmedPerUser), "m")
	}
	if got := counter(t, c.ignored.WithLabelValues(ignoredRow)); got != 8 {
		t.Errorf("%v were given up in all, want 8", got)
	}
}

// TestMarks: pings outrank XEP-0184, whatever comes first; what is known is not written again.
func TestMarks(t *testing.T) {
	c := testConfirmations()
	c.mark("a", store.ConfirmsByReceipts)
	c.mark("b", store.ConfirmsByPings)
	c.mark("a", store.ConfirmsByPings)
	c.mark("a", store.ConfirmsByReceipts)
	want := []mark{{"a", store.ConfirmsByPings}, {"b", store.ConfirmsByPings}}
	taken := c.take(everybody)
	if !slices.Equal(taken.marks, want) {
		t.Errorf("taken: got %v, want %v", taken.marks, want)
	}
	c.mark("a", store.ConfirmsByPings)
	if c.waits() {
		t.Error("a mark that is known waits again, want nothing waiting")
	}
	c.giveBack(taken)
	if got := c.take(func(local string) bool { return local == "a" }).marks; !slices.Equal(got, want[1:]) {
		t.Errorf("without a: got %v, want %v", got, want[1:])
	}
	c.unmark("a")
	if got := c.take(everybody); got.len() != 0 || c.users.Confirms("a") != store.ConfirmsNot {
		t.Errorf("once forgotten: got %v, want no marks, %v", got, store.ConfirmsNot)
	}
	for i := range maxMarks + 1 {
		c.mark(fmt.Sprint(i), store.ConfirmsByReceipts)
	}
	if got := counter(t, c.ignored.WithLabelValues(ignoredMark)); got != 1 || c.users.Confirms(fmt.Sprint(maxMarks)) != store.ConfirmsNot {
		t.Errorf("got %v given up, want 1, said again later", got)
	}
}

// TestConfirmationsNeedNoTraffic: what waits is written although nobody sends anything, also after the database was away, and
// for a user of whom only the JID is known.
func TestConfirmationsNeedNoTraffic(t *testing.T) {
	h := start(t, nil)
	for i := range 3 {
		h.send("zhangsan/p", text(fmt.Sprintf("m%d", i), "zhangsan", "lisi", "x"))
	}
	h.send("zhangsan/p", text("n0", "zhangsan", "Stranger", "x"))
	written := make(chan []store.Change, 100)
	h.rec.set(func(r *recordingStore) { r.applied = func(c []store.Change) { written <- c } })
	h.confirmations.drop("lisi", "m0")
	if c := (<-written)[0]; len(c.DropOffline) != 1 {
		t.Errorf("written: got %+v, want 1 offline message dropped", c)
	}
	h.confirmations.drop("stranger", "n0")
	<-written
	if got := h.queue("lisi") + h.queue("stranger"); got != "m1/0 m2/0" {
		t.Errorf(`queues: got %q, want "m1/0 m2/0"`, got)
	}

	h.rec.breakWith(store.ErrUnavailable)
	h.confirmations.mark("stranger", store.ConfirmsByPings)
	h.confirmations.drop("lisi", "m1")
	h.sync()
	h.rec.breakWith(nil)
	for h.queue("lisi") != "m2/0" {
		<-written
	}
	users, err := h.db.UsersByJID(t.Context(), []string{"stranger"})
	if err != nil || users["stranger"].Confirms != store.ConfirmsByPings {
		t.Errorf("stranger: got %+v, %v, want one who confirms by %v", users, err, store.ConfirmsByPings)
	}
}

// TestConfirmationThatCannotBeStored: it is given up, and takes neither a message nor other confirmations with it.
func TestConfirmationThatCannotBeStored(t *testing.T) {
	h := start(t, nil)
	for i := range 5 {
		h.send("zhangsan/p", text(fmt.Sprintf("m%d", i), "zhangsan", "lisi", "x"))
	}
	h.sender.take()
	bad := store.OfflineKey{Owner: "lisi", MsgID: "bad"}
	h.rec.failWhen(func(c store.Change) error {
		if slices.Contains(c.DropOffline, bad) {
			return store.ErrData
		}
		return nil
	})
	h.together(func() {
		for _, id := range []string{"m0", "m1", "bad", "m2", "m3"} {
			h.confirmations.drop("lisi", id)
		}
		h.confirmations.mark("lisi", store.ConfirmsByReceipts)
		h.post("zhangsan/p", text("n1", "zhangsan", "lisi", "x"))
	})
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("the message: got %v, want acknowledgement", refusals(posts))
	}
	if got := h.queue("lisi"); got != "m4/0 n1/0" {
		t.Errorf(`queue %q, want "m4/0 n1/0"`, got)
	}
	if got := counter(t, h.metrics.ignoredConfirmations.WithLabelValues(ignoredRow)); got != 1 {
		t.Errorf("%v were given up, want 1", got)
	}
	if users, err := h.db.UsersByJID(t.Context(), []string{"lisi"}); err != nil || users["lisi"].Confirms != store.ConfirmsByReceipts {
		t.Errorf("lisi: got %+v, %v, want one who confirms by %v", users, err, store.ConfirmsByReceipts)
	}
}

// TestConfirmationsOutliveTheStop: an orderly end writes what waits.
func TestConfirmationsOutliveTheStop(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.together(func() {
		for i := range 3 * maxConfirmedRows {
			h.confirmations.drop("lisi", fmt.Sprintf("none%d", i))
		}
		h.confirmations.drop("lisi", "m0")
		h.confirmations.mark("lisi", store.ConfirmsByPings)
		h.stop()
	})
	h.halt()
	h.run(nil)
	if got := h.queue("lisi"); got != "" {
		t.Errorf(`queue %q, want ""`, got)
	}
	h.sync()
	if got := h.users.Confirms("lisi"); got != store.ConfirmsByPings {
		t.Errorf("after the restart: lisi confirms %v, want %v", got, store.ConfirmsByPings)
	}
}

// TestForgottenConfirms: an empty push code forgets that a user's phones confirm, also what was still to be written.
func TestForgottenConfirms(t *testing.T) {
	h := start(t, nil)
	confirms := func() store.Confirms {
		users, err := h.db.UsersByJID(t.Context(), []string{"lisi"})
		if err != nil {
			t.Fatal(err)
		}
		return users["lisi"].Confirms
	}
	h.confirmations.mark("lisi", store.ConfirmsByPings)
	h.sync()
	if err := h.RegisterPush(t.Context(), "lisi", "code"); err != nil || confirms() != store.ConfirmsByPings {
		t.Errorf("with a code: got confirms %v, %v, want %v, no error", confirms(), err, store.ConfirmsByPings)
	}
	if err := h.RegisterPush(t.Context(), "lisi", ""); err != nil || confirms() != store.ConfirmsNot || h.users.Confirms("lisi") != store.ConfirmsNot {
		t.Errorf("without a code: got confirms %v in the database, %v in memory, error %v, want %v", confirms(), h.users.Confirms("lisi"), err, store.ConfirmsNot)
	}
	// A mark that comes while that is decided is older than what it says.
	done := make(chan error, 1)
	h.together(func() {
		h.confirmations.mark("lisi", store.ConfirmsByReceipts)
		go func() { done <- h.RegisterPush(t.Context(), "lisi", "") }()
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	h.clock.Move(time.Minute)
	h.sync()
	if got := confirms(); got != store.ConfirmsNot || h.users.Confirms("lisi") != got {
		t.Errorf("in between: got %v, want %v", got, store.ConfirmsNot)
	}
}
