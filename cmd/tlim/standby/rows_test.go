package standby

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlim/component/pause"
	"tlim/store"
)

// rows is the database of several roles, in memory.
type rows struct {
	mu      sync.Mutex
	state   store.State
	leader  store.Leader
	standby store.Leader
	away    bool // nobody reaches it
	deaf    bool // no heartbeat reaches it
	lost    bool // the answer to the next COMMIT is lost
	refuses bool // nobody may take it over
	pause   time.Duration
	late    time.Duration // an answer takes so long
}

var errAway = errors.New("away")

func (r *rows) locked(do func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return errAway
	}
	return do()
}

func (r *rows) State(context.Context) (st store.State, err error) {
	err = r.locked(func() error { st = r.state; return nil })
	return st, err
}

func (r *rows) LookAtLeader(ctx context.Context) (s store.Seen, err error) {
	if err := r.wait(ctx); err != nil {
		return s, err
	}
	err = r.locked(func() error { s = store.Seen{State: r.state, Leader: r.leader}; return nil })
	return s, err
}

func (r *rows) LookAtStandby(context.Context) (l store.Leader, err error) {
	err = r.locked(func() error { l = r.standby; return nil })
	return l, err
}

// wait takes the time of one answer, or that of ctx.
func (r *rows) wait(ctx context.Context) error {
	r.mu.Lock()
	late := r.late
	r.mu.Unlock()
	return pause.For(ctx, late)
}

func (r *rows) Lead(_ context.Context, me store.Leader, seen *store.Seen) (st store.State, err error) {
	err = r.locked(func() error {
		if r.refuses {
			return errAway
		}
		if seen != nil && *seen != (store.Seen{State: r.state, Leader: r.leader}) {
			return store.ErrMoved
		}
		r.state.Epoch++
		me.Epoch = r.state.Epoch
		r.leader, st = me, r.state
		if r.lost {
			r.lost = false
			return store.ErrUnavailable
		}
		return nil
	})
	return st, err
}

func (r *rows) Release(_ context.Context, epoch int64) error {
	return r.locked(func() error {
		if epoch != r.state.Epoch {
			return store.ErrFenced
		}
		r.leader.Released = true
		return nil
	})
}

func (r *rows) Stand(_ context.Context, me store.Leader) error {
	return r.locked(func() error {
		beat := r.standby.Beat + 1
		r.standby = me
		r.standby.Beat = beat
		return nil
	})
}

func (r *rows) Sit(context.Context, store.Leader) error {
	return r.locked(func() error { r.standby.Released = true; return nil })
}

// Beat makes rows the heart as well.
func (r *rows) Beat(_ context.Context, epoch int64) error {
	r.mu.Lock()
	pause := r.pause
	r.pause = 0
	r.mu.Unlock()
	if pause > 0 { // the process is stopped, whatever its deadlines say, and its connection is gone then
		time.Sleep(pause)
		return errAway
	}
	return r.locked(func() error {
		switch {
		case r.deaf:
			return errAway
		case epoch != r.leader.Epoch:
			return store.ErrFenced
		}
		r.leader.Beat++
		return nil
	})
}

func (r *rows) Close() error { return nil }

func (r *rows) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// site is what a process has of the server.
type site struct {
	cut atomic.Bool // it is cut off
}

func (s *site) reach(context.Context) error {
	if s.cut.Load() {
		return errAway
	}
	return nil
}

func roleOn(r *rows, process string) *Role {
	return New(Config{Me: store.Leader{Process: process, Standby: true}, Store: r, Heart: r, Log: slog.New(slog.DiscardHandler)})
}

// running is a role that runs as the program has it.
type running struct {
	*Role
	cancel context.CancelFunc
	ended  chan error
}

func run(t *testing.T, r *rows, process string) *running { return runRole(t, roleOn(r, process)) }

// runAt runs one that has a server, or is cut off from it. It ends in order, as the program does, when it hands over.
func runAt(t *testing.T, r *rows, process string, at *site) *running {
	role := roleOn(r, process)
	role.cfg.Cut, role.cfg.Reach = at.cut.Load, at.reach
	return runRole(t, role)
}

func runRole(t *testing.T, role *Role) *running {
	ctx, cancel := context.WithCancel(t.Context())
	a := &running{Role: role, cancel: cancel, ended: make(chan error, 1)}
	go func() {
		err := role.Await(ctx)
		if err == nil {
			var looking sync.WaitGroup
			var over error
			looking.Go(func() {
				if over = role.Look(ctx); errors.Is(over, ErrHandedOver) {
					over = errors.Join(over, role.Release(ctx))
					cancel()
				}
			})
			err = role.Run(ctx)
			cancel()
			looking.Wait()
			if errors.Is(over, ErrHandedOver) {
				err = over
			}
		}
		a.ended <- err
	}()
	return a
}

// until is how long it takes until a role leads, at most a minute.
func (r *running) until(t *testing.T) time.Duration {
	t.Helper()
	begin := time.Now()
	for ; !r.Leading(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("it does not lead within a minute, want it to")
		}
	}
	return time.Since(begin)
}
