package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/store"
)

// TestCleanupRuns: it begins at midnight, goes on at each interval, and says what it did.
func TestCleanupRuns(t *testing.T) {
	h := start(t, nil)
	h.fill(3)
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "a"))
	h.pass(0)
	var log strings.Builder
	var waited []time.Duration
	metered := prometheus.NewRegistry()
	cfg := retention.Config{Enabled: true, Interval: day, Days: 30, IDs: 30}
	change := func(deps *retention.Deps) {
		deps.Log, deps.Registry = slog.New(slog.NewTextHandler(&log, nil)), metered
		deps.Wait = func(_ context.Context, d time.Duration) error {
			if d == cleanPause {
				return nil
			}
			waited = append(waited, d)
			h.clock.Move(d)
			if len(waited) > 2 {
				return context.Canceled
			}
			return nil
		}
	}
	begin := h.clock.Now()
	h.cleaning(cfg, change).Run(t.Context())
	midnight := func(days int) time.Time {
		return time.Date(begin.Year(), begin.Month(), begin.Day()+days, 0, 0, 0, 0, begin.Location())
	}
	if want := []time.Duration{midnight(1).Sub(begin), midnight(2).Sub(midnight(1)), midnight(3).Sub(midnight(2))}; fmt.Sprint(waited) != fmt.Sprint(want) {
		t.Errorf("waited %v, want %v", waited, want)
	}
	if n := strings.Count(log.String(), "clean-up removed what was old"); n != 1 || !strings.Contains(log.String(), "messages=3 offline=0 ids=3 formers=0 files=0") {
		t.Errorf("logged %d times, want once, with messages=3 offline=0 ids=3 formers=0 files=0:\n%s", n, &log)
	}
	const removed = "tlim_cleanup_removed_total"
	if messages, ids := gathered(t, metered, removed, "messages"), gathered(t, metered, removed, "ids"); messages != 3 || ids != 3 || gathered(t, metered, "tlim_cleanup_failures_total") != 0 {
		t.Errorf("counted %v messages and %v ids, want 3 and 3, and no failure", messages, ids)
	}
	if last, want := gathered(t, metered, "tlim_cleanup_timestamp_seconds"), float64(midnight(2).Unix()); last != want {
		t.Errorf("last at %v, want %v", last, want)
	}
	// Switched off, nothing runs.
	cfg.Enabled, waited, metered = false, nil, prometheus.NewRegistry()
	off, end := context.WithCancel(t.Context())
	end()
	h.cleaning(cfg, change).Run(off)
	if len(waited) != 0 {
		t.Errorf("got %d pauses while it is off, want none", len(waited))
	}
}

// TestCleanupOnDemand: a clean-up begins when it is asked for, tells how far it is, is alone, and ends when it is told to, behind its
// transaction. The audit log has all of it, and nothing is begun that it does not take.
func TestCleanupOnDemand(t *testing.T) {
	h := start(t, nil)
	h.online("zhangsan/p")
	h.sync()
	for i := range 3 {
		h.send("zhangsan/p", text(fmt.Sprint("m", i), "zhangsan", "lisi", "old"))
	}
	h.pass(20)
	reached, goOn := make(chan struct{}), make(chan struct{})
	var away atomic.Bool
	c := h.cleaning(retention.Config{Days: 10, IDs: 10}, func(d *retention.Deps) {
		d.Audit, d.Store = h.db, unreadable{d.Store, &away}
		d.Wait = func(ctx context.Context, _ time.Duration) error {
			for _, turn := range []chan<- struct{}{reached, goOn} {
				select {
				case turn <- struct{}{}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
	})
	asked := func(what string) store.AuditEvent {
		return store.AuditEvent{ID: protocol.NewID(), Time: h.clock.Now().UnixMilli(), Who: "root", What: what, Outcome: store.AuditDone}
	}
	log := func(want ...string) {
		t.Helper()
		events, err := h.db.AuditEvents(t.Context(), "", len(want))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if got := strings.TrimSpace(e.What + " " + e.Outcome + " " + e.Detail); i >= len(want) || got != want[i] {
				t.Errorf("audit event %d, from the newest: got %q, want of %q", i, got, want)
			}
		}
	}
	early, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := c.Start(early, asked("cleanup/run")); !errors.Is(err, retention.ErrAway) {
		t.Errorf("before it works: got %v, want %v", err, retention.ErrAway)
	}
	ctx, cancel := context.WithCancel(t.Context())
	worked := make(chan struct{})
	go func() {
		c.Run(ctx)
		close(worked)
	}()

	// 1. What cannot be written down leaves the slot to the next, and what does not run needs no stop.
	used := asked("cleanup/run")
	if err := c.Stop(t.Context(), used); err != nil || c.State().Run != nil {
		t.Errorf("nothing to stop: got %v, %+v, want none", err, c.State().Run)
	}
	if err := h.db.AddAudit(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(t.Context(), used); !errors.Is(err, store.ErrDuplicate) || c.State().Run != nil {
		t.Errorf("an event that the log has: got %v, %+v, want %v and nothing begun", err, c.State().Run, store.ErrDuplicate)
	}
	// 2. Under way.
	if p, err := c.Start(t.Context(), asked("cleanup/run")); err != nil || p.State != retention.Running || p.By != "root" {
		t.Fatalf("got %+v, %v, want it running by root", p, err)
	}
	<-reached
	if p := c.State().Run; p.State != retention.Running || p.Table != "ofmessage" || p.Removed.Messages != 3 || !p.Ended.IsZero() {
		t.Errorf("got %+v, want it running, with 3 messages removed", p)
	}
	log("cleanup/run begun")
	if _, err := c.Start(t.Context(), asked("cleanup/run")); !errors.Is(err, retention.ErrRunning) {
		t.Errorf("a second one: got %v, want %v", err, retention.ErrRunning)
	}
	waiting, giveUp := context.WithCancel(t.Context())
	nightly := make(chan error, 1)
	go func() {
		_, err := c.Clean(waiting)
		nightly <- err
	}()
	giveUp()
	if err := <-nightly; !errors.Is(err, context.Canceled) {
		t.Errorf("a nightly one beside it: got %v, want it to wait until it is given up", err)
	}
	// 3. Stopped: ids are left.
	if err := c.Stop(t.Context(), asked("cleanup/stop")); err != nil {
		t.Error(err)
	}
	if p := c.State().Run; p.State != retention.Stopped || p.Removed != (retention.Removed{Messages: 3}) || p.Ended.IsZero() || h.knows("m0", "m1", "m2") != "m0 m1 m2" {
		t.Errorf("got %+v, %s, want it stopped behind 3 messages, with their ids left", p, h.knows("m0", "m1", "m2"))
	}
	log("cleanup/stop done", "cleanup/run stopped removed ofmessage 3")
	// 4. The next goes on, at once: who sees the end of one may begin the next.
	if _, err := c.Start(t.Context(), asked("cleanup/run")); err != nil {
		t.Fatal(err)
	}
	<-reached
	<-goOn
	<-c.Over()
	if p := c.State().Run; p.State != retention.Done || p.Removed != (retention.Removed{IDs: 3}) || h.knows("m0", "m1", "m2") != "" {
		t.Errorf("got %+v, want it done with 3 ids", p)
	}
	log("cleanup/run done removed tlim_id 3")
	// 5. A count.
	if err := c.Count(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := c.State(); s.Counting || s.Counted == nil || s.Counted.Err != "" || s.Counted.Found.Total() != 0 {
		t.Errorf("got %+v, want nothing counted", s)
	}
	// 6. One that fails says why.
	h.send("zhangsan/p", text("m4", "zhangsan", "lisi", "late"))
	h.pass(20)
	away.Store(true)
	if _, err := c.Start(t.Context(), asked("cleanup/run")); err != nil {
		t.Fatal(err)
	}
	<-c.Over()
	if p := c.State().Run; p.State != retention.Failed || !strings.Contains(p.Err, store.ErrUnavailable.Error()) || p.Removed != (retention.Removed{}) {
		t.Errorf("got %+v, want it failed, and why", p)
	}
	log("cleanup/run failed removed nothing; " + store.ErrUnavailable.Error())
	away.Store(false)
	// 7. The end of the process ends one.
	if _, err := c.Start(t.Context(), asked("cleanup/run")); err != nil {
		t.Fatal(err)
	}
	<-reached
	cancel()
	<-worked
	if p := c.State().Run; p.State != retention.Stopped {
		t.Errorf("got %+v, want it stopped", p)
	}
	log("cleanup/run stopped removed ofmessage 1")
	if err := c.Count(t.Context()); !errors.Is(err, retention.ErrAway) {
		t.Errorf("after the end: got %v, want %v", err, retention.ErrAway)
	}
	if _, err := c.Start(t.Context(), asked("cleanup/run")); !errors.Is(err, retention.ErrAway) {
		t.Errorf("after the end: got %v, want %v", err, retention.ErrAway)
	}
}

// unreadable is a database whose state cannot be read while away is set.
type unreadable struct {
	retention.Store
	away *atomic.Bool
}

func (u unreadable) State(ctx context.Context) (store.State, error) {
	if u.away.Load() {
		return store.State{}, store.ErrUnavailable
	}
	return u.Store.State(ctx)
}

// TestCleanupOfService: the service's clean-ups are asked for, counted and stopped by calls, which are refused when it has ended.
func TestCleanupOfService(t *testing.T) {
	h := start(t, nil)
	h.sync()
	event := func(what string) store.AuditEvent {
		return store.AuditEvent{ID: protocol.NewID(), Time: h.clock.Now().UnixMilli(), Who: "root", What: what, Outcome: store.AuditDone}
	}
	first := event("cleanup/run")
	run, err := h.Cleaner().Start(t.Context(), first)
	if err != nil || run.State != retention.Running {
		t.Fatalf("got %+v, %v, want it running", run, err)
	}
	<-h.cleaner.Over()
	if _, err := h.Cleaner().Start(t.Context(), first); err == nil {
		t.Error("with an event that cannot be written: got no error, want one")
	}
	if err := h.Cleaner().Stop(t.Context(), event("cleanup/stop")); err != nil {
		t.Errorf("stop: got %v, want nil", err)
	}
	if err := h.Cleaner().Count(t.Context()); err != nil {
		t.Errorf("count: got %v, want nil", err)
	}
	if s := h.Cleaner().State(); s.Run == nil || s.Run.State != retention.Done || s.Counted == nil || s.Counting {
		t.Errorf("got %+v, want one done, and a count", s)
	}
	events, err := h.db.AuditEvents(t.Context(), "", 10)
	if err != nil || len(events) != 1 || events[0].ID != first.ID || events[0].Outcome != store.AuditDone || events[0].Detail != "removed nothing" {
		t.Errorf("got %+v, %v, want the one that was done", events, err)
	}
	h.halt()
	if _, err := h.Cleaner().Start(t.Context(), event("cleanup/run")); !errors.Is(err, retention.ErrAway) {
		t.Errorf("after the end: got %v, want %v", err, retention.ErrAway)
	}
}
