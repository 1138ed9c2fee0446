package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/doubles"
	"tlim/component/outbox"
	"tlim/store"
)

// pushHarness is a harness with one push channel, whose vendor and timers are the test's.
type pushHarness struct {
	*harness
	vendor *testVendor
	timers *testTimers
	log    doubles.Log
}

// testVendor is a Pusher that answers as told.
type testVendor struct {
	mu     sync.Mutex
	calls  []outbox.Note
	ids    int
	answer func(outbox.Note) (bool, error) // nil: all is well
	name   func() error
	began  chan<- struct{} // not nil: calls say that they began, and hang until they are given up
}

func (t *testVendor) NewID(context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.name != nil {
		if err := t.name(); err != nil {
			return "", err
		}
	}
	t.ids++
	return fmt.Sprintf("call-%d", t.ids), nil
}

func (t *testVendor) Push(ctx context.Context, n outbox.Note) (bool, error) {
	t.mu.Lock()
	answer, began := t.answer, t.began
	if began == nil {
		t.calls = append(t.calls, n)
	}
	t.mu.Unlock()
	if began != nil {
		began <- struct{}{}
		<-ctx.Done()
		return true, ctx.Err()
	}
	if answer == nil {
		return false, nil
	}
	return answer(n)
}

func (t *testVendor) set(answer func(outbox.Note) (bool, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer = answer
}

func (t *testVendor) hang(began chan<- struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = began
}

// take renders the calls since the last one, in the order of their text.
func (t *testVendor) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []string
	for _, n := range t.calls {
		var to []string
		for _, r := range n.To {
			to = append(to, r.User+"/"+r.Code)
		}
		platforms := ""
		if n.Android {
			platforms = " android only"
		}
		list = append(list, fmt.Sprintf("%s [%s] %s%s -> %s", n.Type, n.Title, n.Alert, platforms, strings.Join(to, " ")))
	}
	t.calls = nil
	slices.Sort(list)
	return list
}

// names lists the ids of the calls made since the last take.
func (t *testVendor) names() (list []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.calls {
		list = append(list, n.ID)
	}
	return list
}

// The outbox's times and bounds, as an administrator meets them.
const (
	pushLife          = time.Hour
	pushKept          = 24 * time.Hour
	pushSpacing       = 3 * time.Minute
	pushMaxRemembered = 100_000
	pushRows          = 500
	pushSweep         = 10 * time.Minute
	pushFirstWait     = 2 * time.Second
	pushLongWait      = 5 * time.Minute
	pushPause         = 50 * time.Millisecond
	pushStoreWait     = 2 * time.Second
)

// testTimers are timers that fire when the test's clock has moved far enough.
type testTimers struct {
	clock *doubles.Clock
	mu    sync.Mutex
	list  []testTimer
	idle  chan time.Duration // what each sleeper waits for; the tests' signal that a worker has done what it could
}

type testTimer struct {
	at time.Time
	c  chan time.Time
}

func (t *testTimers) after(d time.Duration) <-chan time.Time {
	timer := testTimer{t.clock.Now().Add(d), make(chan time.Time, 1)}
	if d == pushPause || d == time.Millisecond { // for other writers, who do not go by this clock; and for a row that was written during the pass
		timer.c <- timer.at
		return timer.c
	}
	t.mu.Lock()
	t.list = append(t.list, timer)
	t.mu.Unlock()
	t.idle <- d
	return timer.c
}

// move moves the clock and fires what is due.
func (t *testTimers) move(d time.Duration) {
	for len(t.idle) > 0 {
		<-t.idle
	}
	t.clock.Move(d)
	now := t.clock.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(timer testTimer) bool {
		if timer.at.After(now) {
			return false
		}
		timer.c <- now
		return true
	})
}

// startPushing starts with codes for lisi (android), wangwu and zhangsan (unknown) but none for zhaoliu.
func startPushing(t *testing.T, change func(*Config), kinds ...string) *pushHarness {
	t.Helper()
	return startPushingOf(t, nil, change, kinds...)
}

// startPushingOf is startPushing with users who have a source.
func startPushingOf(t *testing.T, source directory.Source, change func(*Config), kinds ...string) *pushHarness {
	t.Helper()
	h := &pushHarness{vendor: &testVendor{}, harness: newHarness(t)}
	h.origin = source
	h.timers = &testTimers{clock: h.clock, idle: make(chan time.Duration, 10_000)}
	h.push = []outbox.Channel{{Name: "test", Kinds: kinds, Pusher: h.vendor}}
	h.after, h.logged = h.timers.after, &h.log
	h.begin(change)
	for user, code := range map[string]string{"zhangsan": "cz", "wangwu": "cw"} {
		h.register(user, code)
	}
	h.online("lisi/x[android]")
	h.register("lisi", "cl")
	h.offline("lisi/x[android]")
	return h
}

func (p *pushHarness) register(user, code string) {
	p.t.Helper()
	if err := p.RegisterPush(p.t.Context(), user, code); err != nil {
		p.t.Fatal(err)
	}
}

// await waits until cond holds; it looks again whenever a worker has gone to sleep, and now and then.
func (p *pushHarness) await(what string, cond func() bool) {
	p.t.Helper()
	limit := time.After(time.Minute)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !cond() {
		select {
		case <-p.timers.idle:
		case <-again.C:
		case <-limit:
			p.t.Fatalf("got the calls %q, want %s; log: %s", p.vendor.take(), what, p.log.String())
		}
	}
}

// drained waits until nothing waits in the outbox.
func (p *pushHarness) drained() {
	p.t.Helper()
	p.await("an empty outbox", func() bool { return p.waitingRows() == 0 })
}

// asleep waits until a worker has gone to sleep for that long.
func (p *pushHarness) asleep(d time.Duration) {
	p.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case got := <-p.timers.idle:
			if got == d {
				return
			}
		case <-limit:
			p.t.Fatalf("got no pause, want one of %v; log: %s", d, p.log.String())
		}
	}
}

// pushCount is how many pushes have had this outcome, by the metrics.
func (p *pushHarness) pushCount(outcome string) float64 {
	p.t.Helper()
	return gathered(p.t, p.metered, "tlim_pushes_total", "test", outcome)
}

func (p *pushHarness) waitingRows() int {
	p.t.Helper()
	n, err := p.db.CountPushes(p.t.Context(), "test")
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// sent waits until the outbox is empty and compares the calls made since the last time.
func (p *pushHarness) sent(want ...string) {
	p.t.Helper()
	p.drained()
	if got := p.vendor.take(); !slices.Equal(got, want) {
		p.t.Errorf("calls\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// outcomes lists what became of a message's pushes.
func (p *pushHarness) outcomes(msgID string) string {
	p.t.Helper()
	rows, err := p.db.PushesOf(p.t.Context(), []string{msgID})
	if err != nil {
		p.t.Fatal(err)
	}
	var list []string
	for _, row := range rows[msgID] {
		for _, to := range row.To {
			list = append(list, to.User+" "+outbox.OutcomeOf(&row, to))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (p *pushHarness) code(user string) string {
	p.t.Helper()
	found, err := p.db.UsersByID(p.t.Context(), []string{user})
	if err != nil {
		p.t.Fatal(err)
	}
	return found[user].PushCode
}

// wantPushes waits until a message's pushes have these outcomes.
func (p *pushHarness) wantPushes(msgID, want string) {
	p.t.Helper()
	p.drained()
	if got := p.outcomes(msgID); got != want {
		p.t.Errorf("%s: got %s, want %s", msgID, got, want)
	}
}

var errVendor = errors.New("vendor: status 503")

func busy(outbox.Note) (bool, error) { return true, errVendor }

// pushRowsOf is all rows of a message, whatever their state.
func (p *pushHarness) pushRowsOf(msgID string) []store.Push {
	p.t.Helper()
	rows, err := p.db.PushesOf(p.t.Context(), []string{msgID})
	if err != nil {
		p.t.Fatal(err)
	}
	return rows[msgID]
}
