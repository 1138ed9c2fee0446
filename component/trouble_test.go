package component

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// lostAnswer commits or not, and then loses the answer. The database is asked what happened.
func (h *harness) lostAnswer(happens bool) {
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			r.set(func(r *recordingStore) { r.commit = nil })
			unknown := &store.UnknownError{Err: errors.New("connection reset")}
			st, err := r.State(context.Background())
			if err != nil {
				return err
			}
			unknown.Epoch, unknown.Batch = st.Epoch, st.Batch+1<<40 // a number that no other writer takes
			if happens {
				unknown.Batch = st.Batch + 1
				if err := commit(); err != nil {
					return err
				}
			}
			return unknown
		}
	})
}

func TestLostCommit(t *testing.T) {
	for _, happens := range []bool{true, false} {
		t.Run(fmt.Sprint("COMMIT happened ", happens), func(t *testing.T) {
			h := start(t, nil)
			h.blind()
			h.lostAnswer(happens)
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			d, posts := h.sender.take()
			if happens && (copiesOf(d) != "m1>lisi@im.test" || refusals(posts) != "acknowledgement") || !happens && (len(d) != 0 || refusals(posts) != string(protocol.TryLater)) {
				t.Errorf("got deliveries %s, answers %s, want m1 and an acknowledgement if the COMMIT happened, else nothing and %s", copiesOf(d), refusals(posts), protocol.TryLater)
			}
			h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			d, posts = h.sender.take()
			if refusals(posts) != "acknowledgement" || (len(d) == 0) != happens {
				t.Errorf("the retry: got deliveries %s, answers %s, want an acknowledgement, and deliveries if the COMMIT did not happen", copiesOf(d), refusals(posts))
			}
			if err := h.Ready(); err != nil {
				t.Errorf("Ready: got %v, want no error", err)
			}
		})
	}
}

// TestLostCommitWhileAway: the database cannot tell for a while. Nobody hears of an error meanwhile, what comes is told to
// come later, and then all is known.
func TestLostCommitWhileAway(t *testing.T) {
	h := start(t, nil)
	h.lostAnswer(true)
	asked, back := make(chan struct{}), make(chan struct{})
	times := 0
	h.rec.set(func(r *recordingStore) {
		r.committed = func() error {
			if times++; times == 1 {
				close(asked)
			}
			select {
			case <-back:
				return nil
			default:
				return store.ErrUnavailable
			}
		}
	})
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	<-asked
	h.post("lisi/p", text("m2", "lisi", "zhangsan", "x"))
	h.sender.await(1)
	if h.Ready() == nil {
		t.Error("Ready: got no error, want one while the answer is missing")
	}
	d, posts := h.sender.take()
	if len(d) != 0 || refusals(posts) != string(protocol.TryLater) || !strings.Contains(posts[0], `to="lisi@im.test/p"`) {
		t.Errorf("while nothing is known: got %s, %v, want no deliveries, %v to lisi@im.test/p", copiesOf(d), posts, protocol.TryLater)
	}
	close(back)
	h.sender.await(1)
	h.sync()
	d, posts = h.sender.take()
	if !strings.HasPrefix(copiesOf(d), "m1>") || refusals(posts) != "acknowledgement" {
		t.Errorf(`once it is known: got %s, %s, want m1 first, an acknowledgement`, copiesOf(d), refusals(posts))
	}
}

// TestStopWhileAway: the stop is bounded although nobody can tell what became of a COMMIT, and then nobody is told an error.
func TestStopWhileAway(t *testing.T) {
	h := start(t, func(c *Config) { c.ShutdownTimeout = 50 * time.Millisecond })
	h.lostAnswer(true)
	asked := make(chan struct{}, 1000)
	h.rec.set(func(r *recordingStore) {
		r.committed = func() error { asked <- struct{}{}; return store.ErrUnavailable }
	})
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	<-asked
	h.stop()
	h.stop = nil
	var unknown *store.UnknownError
	if err := <-h.stopped; !errors.As(err, &unknown) {
		t.Errorf("Run: got %v, want the error that the answer is unknown", err)
	}
	if _, posts := h.sender.take(); len(posts) != 0 {
		t.Errorf("the sender: got %v, want no answer", posts)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	// It had happened: the next start delivers it, and the retry gets its acknowledgement.
	h.run(nil)
	h.arrive("lisi/p")
	h.Up()
	h.sync()
	if d, _ := h.sender.take(); copiesOf(d) != "m1>lisi@im.test/p" {
		t.Errorf(`after the restart: got %s, want "m1>lisi@im.test/p"`, copiesOf(d))
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("the retry: got %s, want acknowledgement", refusals(posts))
	}
}

// TestTakenOverWhileAway: another process takes the database over while it is asked what became of a COMMIT. It may have happened, so nobody is
// told an error.
func TestTakenOverWhileAway(t *testing.T) {
	h := start(t, nil)
	h.lostAnswer(true)
	h.rec.set(func(r *recordingStore) { r.committed = func() error { return store.ErrFenced } })
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.stop = nil // it ends by itself
	if err := <-h.stopped; !errors.Is(err, store.ErrFenced) {
		t.Errorf("Run: got %v, want ErrFenced", err)
	}
	if _, posts := h.sender.take(); len(posts) != 0 {
		t.Errorf("the sender: got %v, want no answer", posts)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestUnstorableRow: what only the queue's table cannot hold (an old latin1 one) is given up there; the message and all other
// rows are kept.
func TestUnstorableRow(t *testing.T) {
	h := confirming(t, nil)
	h.online("wangwu/p")
	h.send("wangwu/p", confirms("wangwu", "none"))
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "😀"))
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.send("zhangsan/p", text("m3", "zhangsan", "wangwu", "😀"))
	h.send("zhangsan/p", text("m4", "zhangsan", "wangwu", "x"))
	h.rec.failWhen(func(c store.Change) error {
		for _, row := range c.Offline {
			if strings.Contains(row.Body, "😀") {
				return store.ErrData
			}
		}
		return nil
	})
	h.clock.Move(h.cfg.Grace)
	h.sync()
	h.sync()
	if got := h.queue("lisi") + " " + h.queue("wangwu"); got != "m2/0 m4/0" {
		t.Errorf(`queues: got %q, want "m2/0 m4/0"`, got)
	}
	if got := counter(t, h.metrics.unqueued); got != 2 {
		t.Errorf("given up: got %v, want 2", got)
	}
	if rows, err := h.db.MessagesByID(t.Context(), []string{"m1", "m3"}); err != nil || len(rows) != 2 {
		t.Errorf("messages: got %v, %v, want m1 and m3", rows, err)
	}
	if err := h.Ready(); err != nil {
		t.Errorf("Ready: got %v, want no error", err)
	}
}

// TestGuiltyRevoke: a batch that is decided anew one by one forgets what its revokes remove all the same.
func TestGuiltyRevoke(t *testing.T) {
	h := confirming(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.rec.failWhen(func(c store.Change) error {
		if c.Message != nil && strings.Contains(c.Message.Body, "poison") {
			return store.ErrData
		}
		return nil
	})
	h.together(func() {
		h.post("zhangsan/p", `{"msg_id":"v1","msg_type":"MTT-101","msg_from":"zhangsan","msg_to":"lisi","body":[{"msg_id":"m1"}]}`)
		h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "poison"))
	})
	if _, posts := h.sender.take(); !strings.Contains(refusals(posts), "error-012") || !strings.Contains(refusals(posts), "acknowledgement") {
		t.Fatalf("answers: got %s, want error-012 and acknowledgement among them", refusals(posts))
	}
	before := h.state().Clock
	h.clock.Move(h.cfg.Grace)
	h.sync()
	if got := h.queue("lisi"); got != "v1/0" {
		t.Errorf("queue: got %q, want v1/0: the revoked message does not come back", got)
	}
	if before < 1_600_000_000_000 {
		t.Errorf("the clock of messages that were decided one by one: got %d, want at least 1600000000000", before)
	}
}

// TestAwayAtStart: a process that starts before its database waits for it, and ends when it is told to.
func TestAwayAtStart(t *testing.T) {
	h := start(t, nil)
	h.halt()
	away := &awayStore{recordingStore: h.rec, asked: make(chan struct{}, 1000)}
	s, err := New(testConfig(), Deps{Store: away, Sender: h.sender, Log: h.log, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	<-away.asked
	<-away.asked
	if s.Ready() == nil {
		t.Error("Ready without a database: got no error, want one")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
	h.stop = nil
}

type awayStore struct {
	*recordingStore
	asked chan struct{}
}

func (a *awayStore) TakeOver(context.Context) (store.State, error) {
	a.asked <- struct{}{}
	return store.State{}, store.ErrUnavailable
}

// TestReadsFail: a message that cannot be judged is not taken.
func TestReadsFail(t *testing.T) {
	h := start(t, nil)
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	d, posts := h.sender.take()
	if len(d) != 0 || refusals(posts) != string(protocol.TryLater) {
		t.Errorf("got %s, %s, want no deliveries, answers %s", copiesOf(d), refusals(posts), string(protocol.TryLater))
	}
	for name, err := range map[string]error{
		"Offline":  second(h.waits("lisi", "", 0)),
		"Unread":   second(h.HasUnread(t.Context(), "lisi")),
		"Presence": second(h.Presence(t.Context(), "G")),
		"Dissolve": h.Dissolve(t.Context(), "G"),
		"Notify":   second(h.Notify(t.Context(), Notice{Type: "MTB-100", Body: "[]", Receivers: []string{"nobody"}})),
		"Register": h.RegisterPush(t.Context(), "lisi", "code"),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, protocol.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, protocol.ErrUnavailable)
			}
		})
	}
	h.stop()
	h.stop = nil
	if err := <-h.stopped; err != nil {
		t.Errorf("Run: got %v, want no error", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestRefusedForNothing: a message that is refused for what an earlier one of its batch does is not, when that is not written.
func TestRefusedForNothing(t *testing.T) {
	for name, fail := range map[string]error{"away": store.ErrUnavailable, "unstorable": store.ErrData} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil)
			group := h.makeGroup("zhangsan", "zhangsan", "lisi")
			h.sender.take()
			h.together(func() {
				h.rec.failWhen(func(c store.Change) error {
					if len(c.DropGroups) > 0 {
						return fail
					}
					return nil
				})
				h.post("zhangsan/p", fmt.Sprintf(`{"msg_id":"d1","msg_type":"MTS-107","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q}]}`, group, group))
				h.post("lisi/p", groupText("m1", "lisi", group, "x"))
			})
			want := map[string]string{"away": "error-013 error-013", "unstorable": "error-012 acknowledgement"}[name]
			if _, posts := h.sender.take(); refusals(posts) != want {
				t.Errorf("got %s, want %s", refusals(posts), want)
			}
		})
	}
}

// TestCountedOnce: what a batch counts is counted when it is committed, however often it was decided before.
func TestCountedOnce(t *testing.T) {
	for _, test := range []struct {
		name        string
		fail        func(store.Change) error
		again       string // id of a message that was there before
		taken, odd  float64
		refusedWith string
	}{
		{name: "committed at once", taken: 3, odd: 3},
		{name: "an id is met twice", again: "m2", taken: 3, odd: 3},
		{name: "one message cannot be stored", taken: 2, odd: 2, refusedWith: string(protocol.TooLarge), fail: func(c store.Change) error {
			if c.Message != nil && c.Message.MsgID == "m2" {
				return store.ErrData
			}
			return nil
		}},
		{name: "the database is away", refusedWith: string(protocol.TryLater), fail: func(c store.Change) error {
			if c.Message != nil {
				return store.ErrUnavailable
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := start(t, nil)
			if test.again != "" {
				h.send("zhangsan/p", text(test.again, "zhangsan", "lisi", "x"))
			}
			if test.fail != nil {
				h.rec.failWhen(test.fail)
			}
			messages, odd := h.metrics.messages.WithLabelValues("MTT-"), h.metrics.misaddressed
			before, oddBefore := counter(t, messages), counter(t, odd)
			h.together(func() {
				for _, id := range []string{"m1", "m2", "m3"} {
					h.Stanza(stanza.Stanza{Name: "message", Type: "chat", From: "zhangsan@" + testServer + "/p", To: "wangwu@" + testComponent,
						Inner: append(stanza.AppendEscaped([]byte("<body>"), text(id, "zhangsan", "lisi", "x")), "</body>"...)})
				}
			})
			if got, gotOdd := counter(t, messages)-before, counter(t, odd)-oddBefore; got != test.taken || gotOdd != test.odd {
				t.Errorf("messages counted: got %v, want %v; misaddressed: got %v, want %v", got, test.taken, gotOdd, test.odd)
			}
			if _, posts := h.sender.take(); test.refusedWith != "" && !strings.Contains(refusals(posts), test.refusedWith) {
				t.Errorf("answers: got %s, want %s among them", refusals(posts), test.refusedWith)
			}
		})
	}
}
