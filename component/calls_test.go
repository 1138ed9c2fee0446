package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/calls"
	"tlim/component/protocol"
	"tlim/store"
)

// staff are n user ids.
func staff(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("职员%04d", i)
	}
	return list
}

// notify calls as the key oa and wants to succeed.
func (h *harness) notify(n Notice) string {
	h.t.Helper()
	noticed, err := h.Notify(h.t.Context(), asked(n))
	if err != nil {
		h.t.Fatal(err)
	}
	return noticed.CallID
}

// asked fills in what a test does not care for.
func asked(n Notice) Notice {
	if n.Type == "" {
		n.Type = "MTB-000"
	}
	if n.Body == "" {
		n.Body = `[{"docTitle":"请假"}]`
	}
	if n.Caller == "" {
		n.Caller = "oa"
	}
	return n
}

// served counts the messages of the type to each user, and wants everybody to have as many rows in their queue.
func (h *harness) served(kind string, users []string) map[string]int {
	h.t.Helper()
	counts := map[string]int{}
	for at, after := "", ""; ; {
		page, err := h.db.MessagesAfter(h.t.Context(), at, after, 500)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(page) == 0 {
			return counts
		}
		var ids []string
		for _, m := range page {
			ids = append(ids, m.MsgID)
		}
		queued, err := h.db.OfflineOwners(h.t.Context(), ids)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, m := range page {
			if m.Type != kind || !slices.Contains(users, m.To) {
				continue
			}
			counts[m.To]++
			if !queued[store.OfflineKey{Owner: m.To, MsgID: m.MsgID}] {
				h.t.Errorf("%s to %s: got no offline message, want it to wait for their phone", m.MsgID, m.To)
			}
		}
		last := page[len(page)-1]
		at, after = last.Time, last.ID
	}
}

// each wants each of these users to have n messages.
func (h *harness) each(n int, users []string) {
	h.t.Helper()
	got := h.served("MTB-000", users)
	for _, user := range users {
		if got[user] != n {
			h.t.Errorf("%s has %d messages, want %d", user, got[user], n)
			return
		}
	}
}

// finished waits for the calls that were cut short.
func (h *harness) finished() {
	h.t.Helper()
	<-h.started
	for u := h.calls.Next(); u != nil; u = h.calls.Next() {
		<-u.Over()
	}
}

// forgotten wants no row of unfinished work to be left.
func (h *harness) forgotten(id string) {
	h.t.Helper()
	parts, err := h.db.CallParts(h.t.Context(), id, 0, 10)
	open, openErr := h.db.OpenCalls(h.t.Context())
	if err != nil || openErr != nil || len(parts)+len(open) > 0 {
		h.t.Errorf("left of the call: got %d parts, %d open (errors %v, %v), want none", len(parts), len(open), err, openErr)
	}
}

func TestCallRepeated(t *testing.T) {
	h := start(t, nil)
	first := Notice{Receivers: []string{"lisi"}, Key: "order 1"}
	id := h.notify(first)
	if !calls.ValidID(id) {
		t.Errorf("got call id %q, want a valid one", id)
	}
	if again := h.notify(first); again != id {
		t.Errorf("the repeat: got call %s, want %s", again, id)
	}
	h.each(1, []string{"lisi"})

	// One key, and another request, whatever it is that differs.
	for name, n := range map[string]Notice{
		"another body":     {Receivers: []string{"lisi"}, Key: "order 1", Body: `[{"docTitle":"other"}]`},
		"another receiver": {Receivers: []string{"lisi", "wangwu"}, Key: "order 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if noticed, err := h.Notify(t.Context(), asked(n)); codeOf(err) != protocol.IDConflict || noticed.CallID != "" {
				t.Errorf(`%+v: got call %q, %v, want no call, %v`, n, noticed.CallID, err, protocol.IDConflict)
			}
		})
	}
	h.each(1, []string{"lisi"})

	// Other keys: of another caller, in another letter case, with a blank, none.
	seen := map[string]bool{id: true}
	answer := h.notify(Notice{Receivers: []string{"lisi"}, Key: "order 1", Type: "MTB-001"}) // to an approval, about the same order
	if seen[answer] || h.served("MTB-001", []string{"lisi"})["lisi"] != 1 {
		t.Error("of another kind: got the first call or no message, want a call of its own")
	}
	for i, n := range []Notice{
		{Receivers: []string{"lisi"}, Key: "order 1", Caller: "crm"},
		{Receivers: []string{"lisi"}, Key: "Order 1"},
		{Receivers: []string{"lisi"}, Key: "order1"},
		{Receivers: []string{"lisi"}, Key: "1", Caller: "oa order "}, // parts that read alike when they are joined
		{Receivers: []string{"lisi"}},
		{Receivers: []string{"lisi"}},
	} {
		t.Run(fmt.Sprintf("new: caller %q, key %q, %d", n.Caller, n.Key, i), func(t *testing.T) {
			id := h.notify(n)
			if seen[id] {
				t.Error("got the id of another call, want a new one")
			}
			seen[id] = true
			h.each(2+i, []string{"lisi"})
		})
	}

	// A call that failed is not remembered.
	h.rec.breakWith(store.ErrUnavailable)
	if _, err := h.Notify(t.Context(), asked(Notice{Receivers: []string{"wangwu"}, Key: "broken"})); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatal(err)
	}
	h.rec.breakWith(nil)
	h.notify(Notice{Receivers: []string{"wangwu"}, Key: "broken"})
	h.each(1, []string{"wangwu"})

	// After a restart a repeat is one still, until the window is over; and then its row is only in the way.
	h.kill()
	h.run(nil)
	if again := h.notify(first); again != id {
		t.Errorf("the repeat after a restart: got call %s, want %s", again, id)
	}
	h.clock.Move(24*time.Hour - time.Millisecond)
	if again := h.notify(first); again != id {
		t.Errorf("the repeat at the end of the window: got call %s, want %s", again, id)
	}
	h.clock.Move(2 * time.Millisecond)
	if again := h.notify(first); again == id {
		t.Error("the repeat after the window: got the first call, want a new one")
	}
	h.each(8, []string{"lisi"})
	if got := counter(t, h.metrics.calls.WithLabelValues(callRepeated)); got != 2 {
		t.Errorf("%v repeats counted since the restart, want 2", got)
	}
}

// TestCallsForgotten: rows of old calls go in batches, with a key and without, when ids do; while clean-up is off they stay.
func TestCallsForgotten(t *testing.T) {
	h := start(t, func(c *Config) { c.Calls.Window, c.Cleanup.Enabled, c.Cleanup.IDs = time.Hour, true, 1 })
	for i := range 500 + 3 {
		h.notify(Notice{Receivers: []string{"lisi"}, Key: fmt.Sprint("old ", i)})
	}
	bare := h.notify(Notice{Receivers: staff(noticeSlice + 1)})
	h.clock.Move(24*time.Hour + time.Millisecond)
	young := h.notify(Notice{Receivers: []string{"lisi"}, Key: "young"})
	if err := h.calls.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"old 0", fmt.Sprint("old ", 500+2)} {
		n := asked(Notice{Key: key})
		if row, found, err := h.db.CallByKey(t.Context(), n.key()); found || err != nil {
			t.Errorf("%s: got %+v (error %v), want it forgotten", key, row, err)
		}
	}
	if _, found, err := h.db.Call(t.Context(), young); !found || err != nil {
		t.Errorf("the young call: got found %v, %v, want true, no error", found, err)
	}
	if _, found, err := h.db.Call(t.Context(), bare); found || err != nil {
		t.Errorf("a call that nobody can repeat: got found %v, %v, want false, no error", found, err)
	}
	if n, found, err := h.Notice(t.Context(), bare); n.Total != noticeSlice+1 || n.Open || !found || err != nil {
		t.Errorf("a call that nobody can repeat: got tracked %+v, found %v, %v, want %d messages, closed", n, found, err, noticeSlice+1)
	}

	h.kill()
	h.run(func(c *Config) { c.Cleanup.Enabled = false })
	<-h.started
	h.clock.Move(1000 * 24 * time.Hour)
	if err := h.calls.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found, err := h.db.Call(t.Context(), young); !found || err != nil {
		t.Errorf("while clean-up is off: got found %v, %v, want true, no error", found, err)
	}
}

// TestCallCutShort kills the process behind every slice of a call, with a key and without, before and after the commit of a
// slice whose answer nobody got: everybody has one message in the end, and a repeat is answered as the first would have been.
func TestCallCutShort(t *testing.T) {
	const slices = 4
	people := staff((slices-1)*noticeSlice + 7)
	for cut := range slices {
		for _, key := range []string{"", "k"} {
			t.Run(fmt.Sprintf("%d%s", cut, key), func(t *testing.T) {
				h := start(t, nil)
				// 1. The database fails behind that many slices.
				reached := make(chan struct{}, 1000)
				n := 0
				h.rec.set(func(r *recordingStore) {
					r.commit = func(commit func() error) error {
						if n == cut {
							reached <- struct{}{}
							return store.ErrUnavailable
						}
						n++
						return commit()
					}
				})
				call := asked(Notice{Receivers: people, Key: key})
				done := make(chan error, 1)
				go func() {
					_, err := h.Notify(t.Context(), call)
					done <- err
				}()
				<-reached
				h.kill()
				if err := <-done; !errors.Is(err, protocol.ErrUnavailable) {
					t.Fatalf("the first call: got %v, want %v", err, protocol.ErrUnavailable)
				}

				// 2. The next process finishes it, if it has begun at all.
				h.run(nil)
				h.finished()
				begun := people
				if cut == 0 {
					begun = nil
				}
				h.each(1, begun)
				if key == "" {
					return
				}
				id := h.notify(call)
				h.each(1, people)
				h.forgotten(id)
				if again := h.notify(call); again != id {
					t.Errorf("the repeat: got call %s, want %s", again, id)
				}
				if notice, _, err := h.Notice(t.Context(), id); notice.Open || notice.Total != len(people) || err != nil {
					t.Errorf("got %+v, %v, want a closed call with %d messages", notice, err, len(people))
				}
			})
		}
	}
}

// TestCallAnswerLost: the answer to the COMMIT of a slice is lost, and then the process too.
func TestCallAnswerLost(t *testing.T) {
	people := staff(2*noticeSlice + 1)
	for _, happens := range []bool{true, false} {
		for _, killed := range []bool{true, false} {
			for at := range 3 {
				t.Run(fmt.Sprintf("happens %v, killed %v, slice %d", happens, killed, at), func(t *testing.T) {
					h := start(t, func(c *Config) {
						if killed { // a stop that cannot know is bounded by this
							c.ShutdownTimeout = 50 * time.Millisecond
						}
					})
					asking := make(chan struct{}, 1000)
					n := 0
					h.rec.set(func(r *recordingStore) {
						r.commit = func(commit func() error) error {
							if n++; n <= at {
								return commit()
							}
							h.lostAnswer(happens)
							r.mu.Lock()
							lost := r.commit
							r.mu.Unlock()
							return lost(commit)
						}
						if killed {
							r.committed = func() error { asking <- struct{}{}; return store.ErrUnavailable }
						}
					})
					call := asked(Notice{Receivers: people, Key: "k"})
					if killed {
						done := make(chan error, 1)
						go func() {
							_, err := h.Notify(t.Context(), call)
							done <- err
						}()
						<-asking
						h.stop()
						h.stop = nil
						if err := <-h.stopped; err == nil {
							t.Error("Run: got no error, want the one of the COMMIT without an answer")
						}
						if err := <-done; err == nil {
							t.Error("the call: got ok, want an error: nobody knows whether it is stored")
						}
						if err := h.db.Close(); err != nil {
							t.Fatal(err)
						}
						h.run(nil)
						h.finished()
					}
					id, err := h.Notify(t.Context(), call)
					if !killed && !happens && at == 0 { // nothing had begun: the caller is told to come again
						if !errors.Is(err, protocol.ErrUnavailable) {
							t.Fatal(err)
						}
						id, err = h.Notify(t.Context(), call)
					}
					if err != nil {
						t.Fatal(err)
					}
					h.each(1, people)
					h.forgotten(id.CallID)
				})
			}
		}
	}
}

// TestCallsTogether: repeats that come while the first is under way wait for it.
func TestCallsTogether(t *testing.T) {
	h := start(t, func(c *Config) { c.Calls.ByBusinessID = true })
	body := `[{"bizId":"1","taskId":"2"}]`
	for name, call := range map[string]Notice{
		"key, one slice":     {Receivers: staff(3), Key: "a", Type: "MTB-000"},
		"key, three slices":  {Receivers: staff(2*noticeSlice + 1), Key: "b", Type: "MTB-001"},
		"business, a slice":  {Receivers: staff(3), Body: body, Type: "MTB-100"},
		"business and a key": {Receivers: staff(noticeSlice + 1), Body: body, Key: "c", Type: "MTB-200"},
	} {
		t.Run(name, func(t *testing.T) {
			const callers = 8
			ids := make(chan string, callers)
			for range callers {
				go func() {
					id, err := h.Notify(t.Context(), asked(call))
					if err != nil {
						t.Error(err)
					}
					ids <- id.CallID
				}()
			}
			first := <-ids
			for range callers - 1 {
				if id := <-ids; id != first {
					t.Errorf("got call %s, want %s", id, first)
				}
			}
			got := h.served(call.Type, call.Receivers)
			for _, user := range call.Receivers {
				if got[user] != 1 {
					t.Errorf("%s has %d messages, want 1", user, got[user])
					break
				}
			}
		})
	}

	// One that cannot wait as long as it takes is told to come again.
	held, release := make(chan struct{}), make(chan struct{})
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			close(held)
			<-release
			return commit()
		}
	})
	call := asked(Notice{Receivers: []string{"lisi"}, Key: "slow"})
	done := make(chan error, 1)
	go func() {
		_, err := h.Notify(t.Context(), call)
		done <- err
	}()
	<-held
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Notify(short, call); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("while the first is under way: got %v, want %v", err, protocol.ErrUnavailable)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.notify(call)
	h.each(1, []string{"lisi"})
}

// TestCallLeft: a caller who has left before the commit, and comes again before it too, makes no second message.
func TestCallLeft(t *testing.T) {
	for _, call := range []Notice{{Receivers: []string{"lisi"}, Key: "k"}, {Receivers: []string{"lisi"}, Body: `[{"bizId":"1","taskId":"2"}]`}} {
		t.Run(fmt.Sprintf("key %q", call.Key), func(t *testing.T) {
			h := start(t, func(c *Config) { c.Calls.ByBusinessID = true })
			repeat := make(chan error, 1)
			h.together(func() { // the conveyor stands
				ctx, leave := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					_, err := h.Notify(ctx, asked(call))
					done <- err
				}()
				for len(h.intake.queue) == 0 { // it waits for its turn
					select {
					case err := <-done:
						t.Fatal(err)
					default:
					}
				}
				leave()
				if err := <-done; err == nil {
					t.Error("got ok before the commit, want an error")
				}
				go func() {
					_, err := h.Notify(t.Context(), asked(call))
					repeat <- err
				}()
			})
			if err := <-repeat; err != nil {
				t.Error(err)
			}
			h.notify(call)
			h.each(1, []string{"lisi"})
		})
	}
}

// TestOverlapCountedOnce: a call that fails and is repeated overlaps once.
func TestOverlapCountedOnce(t *testing.T) {
	h := start(t, func(c *Config) { c.Calls = CallConfig{Window: time.Hour, ByBusinessID: true} })
	body := `[{"bizId":"b","taskId":"t"}]`
	h.notify(Notice{Body: body, Receivers: []string{"lisi"}})
	h.clock.Move(time.Millisecond)
	both := asked(Notice{Body: body, Receivers: []string{"lisi", "wangwu"}})
	h.rec.breakWith(store.ErrUnavailable)
	if _, err := h.Notify(t.Context(), both); !errors.Is(err, protocol.ErrUnavailable) {
		t.Fatalf("got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.rec.breakWith(nil)
	h.notify(both)
	if got := counter(t, h.metrics.calls.WithLabelValues(callOverlapping)); got != 1 {
		t.Errorf("got %v overlapping calls, want 1", got)
	}
	h.notify(Notice{Body: body, Receivers: []string{"wangwu"}}) // nothing is left to do
	if got := counter(t, h.metrics.calls.WithLabelValues(callOverlapping)); got != 2 {
		t.Errorf("got %v overlapping calls, want 2", got)
	}
}

func TestCallByBusiness(t *testing.T) {
	h := start(t, func(c *Config) { c.Calls = CallConfig{Window: time.Hour, ByBusinessID: true} })
	task := func(biz, task, title string) string {
		return fmt.Sprintf(`[{"bizId":%q,"taskId":%q,"docTitle":%q}]`, biz, task, title)
	}
	counts := func(want string) {
		t.Helper()
		users := []string{"lisi", "wangwu", "zhaoliu"}
		got := h.served("MTB-000", users)
		if text := fmt.Sprint(got["lisi"], got["wangwu"], got["zhaoliu"]); text != want {
			t.Errorf("lisi, wangwu and zhaoliu have %s messages, want %s", text, want)
		}
	}
	first := h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi", "wangwu"}})
	counts("1 1 0")
	h.clock.Move(time.Millisecond)
	second := h.notify(Notice{Body: task("b", "t", "corrected"), Receivers: []string{"WANGWU", "zhaoliu"}})
	counts("1 1 1")
	if n, _, err := h.Notice(t.Context(), second); n.Total != 1 || err != nil {
		t.Errorf("the second call: got %d messages, %v, want 1, no error", n.Total, err)
	}
	if id := h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi", "zhaoliu"}}); id != second || id == first {
		t.Errorf("a call with nothing to do: got id %s, want the newest, %s", id, second)
	}
	counts("1 1 1")
	keyed := h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi"}, Key: "k"})
	if n, found, err := h.Notice(t.Context(), keyed); n.Total != 0 || !found || n.Open || err != nil {
		t.Errorf("a call under a key with nothing to do: got %+v, found %v, %v, want 0 messages, closed, found", n, found, err)
	}
	counts("1 1 1")

	// A message that was removed is not sent again.
	if found, err := h.RemoveMessage(t.Context(), calls.MessageID(first, 1)); !found || err != nil {
		t.Fatalf("remove message: got found %v, %v, want true, no error", found, err)
	}
	h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi"}})
	counts("0 1 1")

	// Everything else is another business.
	h.notify(Notice{Body: task("b", "t2", "x"), Receivers: []string{"lisi"}})
	h.notify(Notice{Body: task("B", "t", "x"), Receivers: []string{"lisi"}})
	h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi"}, Caller: "crm"})
	h.notify(Notice{Body: `[{"bizId":"b","taskId":"t"},{"bizId":"b","taskId":"t2"}]`, Receivers: []string{"lisi"}})
	counts("4 1 1")
	h.notify(Notice{Body: task("b", "t", "x"), Receivers: []string{"lisi"}, Type: "MTB-001"})
	if got := h.served("MTB-001", []string{"lisi"})["lisi"]; got != 1 {
		t.Errorf("the answer to an approval was taken for the approval: got %d, want 1", got)
	}
	for range 2 { // without one of the ids nothing is known
		h.notify(Notice{Body: task("b", "", "x"), Receivers: []string{"wangwu"}})
		h.notify(Notice{Body: `[{"taskId":"t"}]`, Receivers: []string{"wangwu"}})
	}
	counts("4 5 1")

	// Thousands, of whom some have theirs; then the window is over.
	people := staff(noticeSlice + 20)
	h.notify(Notice{Body: task("many", "t", "x"), Receivers: people[10:]})
	h.notify(Notice{Body: task("many", "t", "x"), Receivers: people})
	h.each(1, people)
	h.clock.Move(time.Hour + time.Millisecond)
	h.notify(Notice{Body: task("many", "t", "x"), Receivers: people[:1]})
	h.each(2, people[:1])
}

// TestCallUnstorable: of a call under way, a receiver whom the tables cannot hold is left out alone, and the caller is told.
func TestCallUnstorable(t *testing.T) {
	h := start(t, nil)
	people := staff(2*noticeSlice + 3)
	guilty := []string{people[noticeSlice+123], people[noticeSlice+124], people[2*noticeSlice+2]}
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && slices.Contains(guilty, c.Message.To) {
			return store.ErrData
		}
		return nil
	})
	call := asked(Notice{Receivers: people, Key: "k"})
	for range 2 {
		if _, err := h.Notify(t.Context(), call); codeOf(err) != protocol.TooLarge || !strings.Contains(err.Error(), "some of the receivers") {
			t.Fatal(err)
		}
	}
	h.each(0, guilty)
	h.each(1, slices.DeleteFunc(people, func(p string) bool { return slices.Contains(guilty, p) }))
	row, found, err := h.db.CallByKey(t.Context(), call.key())
	if err != nil || !found || !row.Done || row.Body != "" {
		t.Errorf(`got %+v, %v, want a row that is done, without a body`, row, err)
	}
	h.forgotten(row.ID)
}
