package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// busy holds the conveyor until the returned function is called, which waits for all that was queued.
func (h *harness) busy() (release func()) {
	h.t.Helper()
	began, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- h.do(h.t.Context(), &task{alone: true, plan: func(context.Context, *batch) error {
			close(began)
			<-end
			return nil
		}})
	}()
	<-began
	return func() {
		h.t.Helper()
		close(end)
		if err := <-done; err != nil {
			h.t.Fatal(err)
		}
		h.sync()
	}
}

func TestRate(t *testing.T) {
	h := start(t, func(c *Config) { c.UserRate, c.UserBurst = 2, 3 })
	for i := range 5 {
		h.post("zhangsan/p", text(fmt.Sprintf("m%d", i), "zhangsan", "lisi", "x"))
	}
	h.post("lisi/p", text("other", "lisi", "zhangsan", "x"))
	h.sync()
	_, posts := h.sender.take()
	var codes []string
	for _, p := range posts {
		codes = append(codes, refusals([]string{p}))
	}
	slices.Sort(codes)
	if n := strings.Count(strings.Join(posts, ""), `type="wait"`); n != 2 || !slices.Contains(codes, "acknowledgement") {
		t.Errorf("answers: got %v, want the type wait twice, and an acknowledgement", codes)
	}
	h.clock.Move(500 * time.Millisecond) // one more
	h.post("zhangsan/p", text("m5", "zhangsan", "lisi", "x"))
	h.sync()
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("after half a second: got %s, want acknowledgement", refusals(posts))
	}
}

// TestFull: whatever is full is answered at once, and what was taken is answered as ever.
func TestFull(t *testing.T) {
	message := func(user string, i int) string {
		return text(fmt.Sprintf("%s%d", user, i), user, "zhaoliu", strings.Repeat("x", 1000))
	}
	for name, c := range map[string]struct {
		change func(*Config)
		refuse int // of ten messages, two of each user
	}{
		"per user": {func(c *Config) { c.UserInflight = 1 }, 5},
		"bytes":    {func(c *Config) { c.InflightBytes = 5000 }, 7}, // 3 messages of 1,4 KB
		"in all":   {func(c *Config) { c.Inflight = 4 }, 6},
		"enough":   {func(*Config) {}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, c.change)
			for range 2 { // the second time shows that everything was given back
				release := h.busy()
				for i := range 2 {
					for _, user := range []string{"a", "b", "c", "d", "e"} {
						h.post(user+"/p", message(user, i)) // must not block, or the test hangs
					}
				}
				_, posts := h.sender.take()
				if n := strings.Count(refusals(posts), string(protocol.TryLater)); n != c.refuse || n != len(posts) {
					t.Errorf("refused while nothing moved: got %s, want %d times %s alone", refusals(posts), c.refuse, protocol.TryLater)
				}
				release()
				_, posts = h.sender.take()
				if n := strings.Count(strings.Join(posts, ""), `\"msg_id\"`); n != 10-c.refuse || strings.Contains(refusals(posts), "error") {
					t.Errorf("taken: got %d (%s), want %d, none refused", n, refusals(posts), 10-c.refuse)
				}
			}
		})
	}
}

// TestCopyTooLarge: a text that grows beyond what the server takes when it is escaped is refused where it comes in.
func TestCopyTooLarge(t *testing.T) {
	h := start(t, nil)
	h.blind()
	for id, c := range map[string]struct {
		unknown string
		want    string
	}{"m1": {strings.Repeat(">", 100_000), "acknowledgement"}, "m2": {strings.Repeat(">", 140_000), "error-012"}} {
		t.Run(fmt.Sprint(len(c.unknown), " characters"), func(t *testing.T) {
			h.send("zhangsan/p", strings.Replace(text(id, "zhangsan", "lisi", "x"), "{", `{"new":"`+c.unknown+`",`, 1))
			d, posts := h.sender.take()
			if refusals(posts) != c.want || (len(d) == 0) != (c.want == "error-012") {
				t.Errorf("got %s, %d copies, want %q, copies unless it is error-012", refusals(posts), len(d), c.want)
			}
		})
	}
}

// TestDrain: at the stop what was accepted is finished, what comes is told to come later.
func TestDrain(t *testing.T) {
	h := start(t, nil)
	h.blind()
	began, end := make(chan struct{}), make(chan struct{})
	h.rec.set(func(r *recordingStore) {
		r.commit = func(commit func() error) error {
			close(began)
			<-end
			r.set(func(r *recordingStore) { r.commit = nil })
			return commit()
		}
	})
	h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	<-began
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.draining.Store(true)
	h.post("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	if err := h.Dissolve(t.Context(), "any"); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("a call while draining: got %v, want %v", err, protocol.ErrUnavailable)
	}
	if _, posts := h.sender.take(); refusals(posts) != string(protocol.TryLater) || !strings.Contains(posts[0], "shutting down") {
		t.Errorf(`while draining: got %v, want %v with "shutting down"`, posts, protocol.TryLater)
	}
	if h.Ready() == nil {
		t.Error("Ready while draining: got no error, want one")
	}
	close(end)
	h.halt()
	d, posts := h.sender.take()
	if copiesOf(d) != "m1>lisi@im.test m2>lisi@im.test" || refusals(posts) != "acknowledgement acknowledgement" {
		t.Errorf(`what was accepted: got %s, %s, want "m1>lisi@im.test m2>lisi@im.test", "acknowledgement acknowledgement"`, copiesOf(d), refusals(posts))
	}
	h.run(nil)
	if st := h.state(); st.Delivered < 1_600_000_000_000 || st.Settled != st.Delivered || st.Clock != st.Delivered {
		t.Errorf("positions after an orderly end: got %+v, want all three the same, at least 1600000000000", st)
	}
}

// TestNotOurs: what is counted and goes nowhere, and what strangers get.
func TestNotOurs(t *testing.T) {
	h := start(t, nil)
	body := []byte("<body>" + text("m", "zhangsan", "lisi", "x") + "</body>")
	for name, c := range map[string]struct {
		st   stanza.Stanza
		want string
	}{
		"error":            {stanza.Stanza{Type: "error", From: "zhangsan@im.test/p"}, ""},
		"groupchat":        {stanza.Stanza{Type: "groupchat", From: "zhangsan@im.test/p"}, ""},
		"headline":         {stanza.Stanza{Type: "headline", From: "zhangsan@im.test/p"}, ""},
		"unknown type":     {stanza.Stanza{Type: "x", From: "zhangsan@im.test/p"}, ""},
		"our own":          {stanza.Stanza{From: "zhangsan@tlim.im.test"}, ""},
		"the server":       {stanza.Stanza{From: "im.test"}, ""},
		"no address":       {stanza.Stanza{From: "@"}, ""},
		"another domain":   {stanza.Stanza{From: "zhangsan@evil.test/p"}, "error-011"},
		"another host":     {stanza.Stanza{From: "muc.im.test"}, "error-011"},
		"oversize":         {stanza.Stanza{From: "zhangsan@im.test/p", Oversize: true}, "error-012"},
		"type normal":      {stanza.Stanza{Type: "normal", From: "zhangsan@im.test/p"}, ""},
		"without resource": {stanza.Stanza{From: "zhangsan@im.test"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.st.Name, c.st.To, c.st.Inner = "message", testComponent, body
			h.Stanza(c.st)
			h.sync()
			if _, posts := h.sender.take(); refusals(posts) != c.want {
				t.Errorf("got %v, want %q", posts, c.want)
			}
		})
	}
	if rows, err := h.db.MessagesByID(t.Context(), []string{"m"}); err != nil || len(rows["m"]) != 1 {
		t.Errorf("stored: got %v, %v, want m once", rows, err)
	}
}

// TestGoodbyeAfterMessage: a device that sends and goes before its message's turn is gone.
func TestGoodbyeAfterMessage(t *testing.T) {
	h := start(t, nil)
	h.online("lisi/p")
	release := h.busy()
	h.post("lisi/p", text("m1", "lisi", "zhangsan", "bye"))
	h.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: "lisi@im.test/p", To: testComponent})
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	release()
	if got := h.queue("lisi"); got != "m2/0" {
		t.Errorf("queue: got %q, want m2/0: nobody is there", got)
	}
}

// TestWhatWaitedComesFirstAmidABatch: also before a message of the batch that was begun when nobody knew of the phone.
func TestWhatWaitedComesFirstAmidABatch(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	release := h.busy()
	h.intake.queue <- &task{first: true, completion: newCompletion(nil), plan: func(_ context.Context, b *batch) error {
		if len(b.requests) < 2 {
			t.Error("got a batch of its own, want it with the message")
		}
		h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@im.test/p", To: testComponent})
		return nil
	}}
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	release()
	h.sync() // the phone's turn may be in the batch that release waits for
	d, _ := h.sender.take()
	if got := copiesOf(d); got != "m1>lisi@im.test/p m2>lisi@im.test/p" {
		t.Errorf(`got %s, want "m1>lisi@im.test/p m2>lisi@im.test/p"`, got)
	}
}

// TestWhatWaitedComesFirst: a phone that comes with a message in the batch gets what waited for it before that message.
func TestWhatWaitedComesFirst(t *testing.T) {
	h := start(t, nil)
	h.blind()
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	release := h.busy()
	h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@im.test/p", To: testComponent})
	h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	release()
	d, _ := h.sender.take()
	if got := copiesOf(d); got != "m1>lisi@im.test/p m2>lisi@im.test/p" {
		t.Errorf(`got %s, want "m1>lisi@im.test/p m2>lisi@im.test/p"`, got)
	}
	h.rec.breakWith(store.ErrUnavailable)
	h.offline("lisi/p")
	h.send("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
	h.rec.breakWith(nil)
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "x"))
	h.sender.take()
	// A batch that fails must not swallow that the phone came.
	h.clock.Move(catchUpSpacing)
	h.rec.breakWith(store.ErrUnavailable)
	release = h.busy()
	h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@im.test/p", To: testComponent})
	h.post("zhangsan/p", text("m5", "zhangsan", "lisi", "x"))
	release()
	h.rec.breakWith(nil)
	h.sync()
	d, _ = h.sender.take()
	if got := copiesOf(d); got != "m4>lisi@im.test/p" {
		t.Errorf(`after the database came back: got %s, want "m4>lisi@im.test/p"`, got)
	}
}

// TestComesAndGoes: a phone that comes and goes all the time gets what it has missed at most once a second, and nothing twice.
func TestComesAndGoes(t *testing.T) {
	h := start(t, nil)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
	h.sender.take()
	want := func(what, copies string) {
		t.Helper()
		h.sync()
		if d, _ := h.sender.take(); copiesOf(d) != copies {
			t.Errorf("%s: got %q, want %q", what, copiesOf(d), copies)
		}
	}
	h.online("lisi/p")
	want("it comes", "m1>lisi@im.test/p")
	for range 5 {
		h.offline("lisi/p")
		h.online("lisi/p")
	}
	want("it comes again at once", "")
	h.offline("lisi/p")
	h.send("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
	h.online("lisi/p")
	want("and has missed something", "")
	h.clock.Move(catchUpSpacing)
	want("a second later", "m2>lisi@im.test/p")
	h.clock.Move(catchUpSpacing)
	want("and then no more", "")
	h.offline("lisi/p")
	h.online("lisi/p")
	want("it comes again", "")
}

// TestClearable: what one transaction clears of a queue is bounded, more so where each entry has to be looked for.
func TestClearable(t *testing.T) {
	entries := func(n int, id string) []store.OfflineMessage {
		list := make([]store.OfflineMessage, n)
		for i := range list {
			list[i].ID = id
		}
		return list
	}
	for _, c := range []struct {
		rows []store.OfflineMessage
		want int
	}{
		{entries(1, ""), 1}, {entries(1, "x"), 1}, {entries(maxClearNamed, ""), maxClearNamed}, {entries(maxClearNamed+1, ""), maxClearNamed},
		{entries(queuePage, "x"), queuePage}, {entries(queuePage+1, "x"), queuePage}, {append(entries(10, "x"), entries(1000, "")...), 10 + maxClearNamed},
	} {
		t.Run(fmt.Sprint(len(c.rows), " entries, ", c.want), func(t *testing.T) {
			if got := clearable(c.rows); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
