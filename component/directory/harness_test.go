package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/store"
)

// harness is a Directory over a real SQLite store; the conveyor, the server and the source are doubles. No job runs but those
// that a test starts.
type harness struct {
	*Directory
	t      *testing.T
	db     *store.Store
	rec    *recorder
	epoch  int64
	clock  *doubles.Clock
	log    *doubles.Log
	down   atomic.Bool // the link is
	online map[string]bool
	order  sync.Mutex
	ended  chan struct{}
}

// with are the doubles of a harness; what is nil is not there.
type with struct {
	source, imports *testSource
	accounts        *testAccounts
	registry        *doubles.Finder
}

func newHarness(t *testing.T, cfg Config, w with) *harness {
	t.Helper()
	h := &harness{t: t, clock: doubles.NewClock(time.UnixMilli(1_600_000_000_000)), log: &doubles.Log{}, online: map[string]bool{}, ended: make(chan struct{})}
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "tlim.db"), Migrate: store.MigrateAuto, MaxOpen: 4,
		MaxIdle: 4, MaxWait: time.Minute, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	state, err := db.TakeOver(t.Context())
	check(t, err)
	h.db, h.rec, h.epoch = db, &recorder{Store: db}, state.Epoch
	h.restart(cfg, w)
	return h
}

// restart makes the Directory anew, on the same database.
func (h *harness) restart(cfg Config, w with) {
	deps := Deps{Store: h.rec, Domain: "im.test", Write: h.write, Epoch: func() int64 { return h.epoch }, LinkUp: func() bool { return !h.down.Load() },
		Ended: h.ended, Online: func(local string) bool { return h.online[local] }, PushOS: func(local string) string { return "os of " + local },
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: h.clock.Now}
	if w.source != nil {
		deps.Source = w.source
	}
	if w.imports != nil {
		deps.Imports = w.imports
	}
	if w.accounts != nil {
		deps.Accounts = w.accounts
	}
	if w.registry != nil {
		deps.Finder = w.registry
	}
	h.Directory = New(cfg, deps)
}

// start lets the jobs run until the test ends, or stop is called.
func (h *harness) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var jobs sync.WaitGroup
	jobs.Go(func() { h.Run(ctx) })
	stop = func() { cancel(); jobs.Wait() }
	h.t.Cleanup(stop)
	return stop
}

// write runs plans one after the other, as the conveyor does, with its errors.
func (h *harness) write(ctx context.Context, plan Plan) error {
	h.order.Lock()
	defer h.order.Unlock()
	w, err := plan(ctx)
	if err != nil {
		return protocol.ErrUnavailable
	}
	err = h.rec.apply(ctx, h.epoch, w.Changes)
	for _, local := range w.Users {
		h.Drop(local)
	}
	switch {
	case errors.Is(err, store.ErrData):
		return protocol.Refuse(protocol.TooLarge, "the database cannot hold this message")
	case err != nil:
		return protocol.ErrUnavailable
	}
	return nil
}

// change writes what others than the directory write.
func (h *harness) change(c store.Change, locals ...string) {
	h.t.Helper()
	check(h.t, h.write(h.t.Context(), func(context.Context) (Writes, error) { return Writes{[]store.Change{c}, locals}, nil }))
}

// register is what a call does that registers a push code.
func (h *harness) register(user, code string) error {
	h.t.Helper()
	p, err := h.Canonical(h.t.Context(), user)
	check(h.t, err)
	if err := h.WritePush(h.t.Context(), p, code); err != nil {
		return err
	}
	found, err := h.Lookup(h.t.Context(), []string{p.Local})
	check(h.t, err)
	u, known := found[p.Local]
	if !known {
		u = Learned(p.Local)
	}
	u.PushCode = code
	c := store.Change{SetPush: []store.User{u}}
	if !known {
		c.Learn = []store.User{u}
	}
	h.change(c, p.Local)
	return nil
}

// poll is one poll as the loop makes it.
func (h *harness) poll(f *follower) error {
	h.t.Helper()
	err := f.poll(h.t.Context())
	f.note(err)
	return err
}

func (h *harness) polled() {
	h.t.Helper()
	check(h.t, h.poll(h.source))
}

// sourced is a harness whose users come from a source.
type sourced struct {
	*harness
	from *testSource
}

// startSourced starts with users in the directory that the source had at an earlier poll.
func startSourced(t *testing.T, change func(*Config), users ...string) *sourced {
	t.Helper()
	h := &sourced{from: &testSource{}}
	cfg := Config{Interval: time.Hour, MaxRemove: 100}
	if change != nil {
		change(&cfg)
	}
	h.harness = newHarness(t, Config{MaxRemove: 100}, with{source: h.from})
	h.from.have(users...)
	h.polled()
	h.Directory.cfg = cfg
	h.rec.take()
	return h
}

// recorder notes what is written, and fails when told to.
type recorder struct {
	*store.Store
	mu      sync.Mutex
	changes []store.Change
	fail    error
	guilty  func(store.Change) error
	refresh func([]store.Member) error // before Refresh writes
	users   func()                     // after UsersByJID has read
}

func (r *recorder) apply(ctx context.Context, epoch int64, changes []store.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	for _, c := range changes {
		if r.guilty != nil {
			if err := r.guilty(c); err != nil {
				return err
			}
		}
	}
	err := r.Store.Apply(ctx, epoch, store.Positions{}, changes)
	if err == nil {
		r.changes = append(r.changes, changes...)
	}
	return err
}

func (r *recorder) Refresh(ctx context.Context, epoch int64, members []store.Member, chats []store.Chat) error {
	r.mu.Lock()
	ask := r.refresh
	r.mu.Unlock()
	if ask != nil {
		if err := ask(members); err != nil {
			return err
		}
	}
	return r.Store.Refresh(ctx, epoch, members, chats)
}

func (r *recorder) UsersByJID(ctx context.Context, jids []string) (map[string]store.User, error) {
	found, err := r.Store.UsersByJID(ctx, jids)
	r.mu.Lock()
	read := r.users
	r.mu.Unlock()
	if read != nil {
		read()
	}
	return found, err
}

// set changes what the store does.
func (r *recorder) set(change func(*recorder)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *recorder) take() []store.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.changes
	r.changes = nil
	return c
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must hands a value on, and ends the test at an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// value reads a counter or gauge.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var got dto.Metric
	check(t, m.Write(&got))
	return got.GetCounter().GetValue() + got.GetGauge().GetValue()
}

// directory lists the users: id=name/push code, with ? for those who were only seen.
func (h *harness) listed() string {
	h.t.Helper()
	users, err := h.db.ListUsers(h.t.Context(), "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	var list []string
	for _, u := range users {
		text := u.ID + "=" + u.Name
		if u.PushCode != "" {
			text += "/" + u.PushCode
		}
		if u.Learned {
			text += "?"
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}

func (h *harness) holds(what, want string) {
	h.t.Helper()
	if got := h.listed(); got != want {
		h.t.Errorf("%s: the directory holds\n%s\nwant\n%s", what, got, want)
	}
}

// written says what was written since the last look, without housekeeping.
func (h *harness) written() string {
	var list []string
	for _, c := range h.rec.take() {
		for _, u := range c.Users {
			list = append(list, "put "+u.ID)
		}
		for _, u := range c.SetPush {
			list = append(list, fmt.Sprintf("push %s %s", u.ID, u.PushCode))
		}
		for _, id := range c.DropUsers {
			list = append(list, "left "+id)
		}
		for _, u := range c.Learn {
			list = append(list, "learn "+u.ID)
		}
	}
	return strings.Join(list, ", ")
}

func (h *harness) wrote(what, want string) {
	h.t.Helper()
	if got := h.written(); got != want {
		h.t.Errorf("%s: wrote %q, want %q", what, got, want)
	}
}
