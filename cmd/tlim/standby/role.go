package standby

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tlim/component/logged"
	"tlim/component/pause"
	"tlim/store"
)

const (
	// silence is how long a leader may be silent before another one takes over.
	silence = 4 * time.Second
	// beatPeriod lies between two heartbeats, lookPeriod between two looks at them.
	beatPeriod = time.Second
	lookPeriod = 250 * time.Millisecond
	// askTime bounds one question to the database.
	askTime = 2 * time.Second
	// proofs is how often a leader is compared before it refuses this process. One that ends removes the file by which it is compared, so only what
	// is still so while it goes on to beat is true: of three comparisons a heartbeat lies behind the first.
	proofs = 3
	// givingUp is when a leader whose heartbeats do not reach the database gives its place up: the server lets nobody else in while it holds
	// the component's name.
	givingUp = 20 * time.Second
	// reachPeriod lies between two questions of a standby to the server, reachTime bounds one.
	reachPeriod = 2 * time.Second
	reachTime   = 2 * time.Second
	// handOver is for how long a leader has had no link, and the standby an answer of the server, before it hands over. It is longer than what is
	// known of the standby can be old: reachPeriod, reachTime and a beatPeriod of each. So a server that is away for both makes nobody hand over.
	handOver = 8 * time.Second
	// handOverAgain is the same for one that has had no link in its turn: where the server answers and then lets neither in, two do not change all the time.
	handOverAgain = time.Minute
)

// ErrGivenUp says that this process leads no more, because for a while it could not tell that it lives.
var ErrGivenUp = errors.New("the database took no heartbeat, so that another process may lead by now")

// ErrHandedOver says that this process hands over, because the one that stands by reaches the server.
var ErrHandedOver = errors.New("this process has no link to the server, and the one that stands by reaches it")

// Store is what a Role needs of the database. *store.Store implements it.
type Store interface {
	State(ctx context.Context) (store.State, error)
	LookAtLeader(ctx context.Context) (store.Seen, error)
	LookAtStandby(ctx context.Context) (store.Leader, error)
	Lead(ctx context.Context, me store.Leader, seen *store.Seen) (store.State, error)
	Release(ctx context.Context, epoch int64) error
	Stand(ctx context.Context, me store.Leader) error
	Sit(ctx context.Context, me store.Leader) error
}

// Heart tells the database that the leader lives. *store.Heart implements it.
type Heart interface {
	Beat(ctx context.Context, epoch int64) error
	Close() error
}

// Config is what a Role is made of.
type Config struct {
	Me    store.Leader // what others are told of this process; Standby says that it stands by first
	Store Store
	Heart Heart // nil: nobody can stand by on this database
	// Fits says what keeps this process from taking over from that leader one day. A [RefusedError] ends the waiting; other errors are
	// logged, and it is asked again.
	Fits func(ctx context.Context, leader store.Leader) error
	// Sees says what the leader finds wrong with a process that stands by. It is logged, and asked again.
	Sees func(ctx context.Context, other store.Leader) error
	// Cut says of the leader that nothing of the server arrives here. A server that answers and refuses is not meant: it would refuse another process
	// too. nil: never.
	Cut func() bool
	// Reach asks, beside the link that a standby does not have, whether the server answers here. nil: no leader hands over to this process.
	Reach func(ctx context.Context) error
	Log   *slog.Logger
}

// RefusedError says in words why this process cannot be the standby of the leader.
type RefusedError struct{ Text string }

// Error is the text.
func (r *RefusedError) Error() string { return r.Text }

// Role is whether this process leads. Make it with [New]; Await and TakeOver are called by one goroutine after the other, the rest by any.
type Role struct {
	cfg   Config
	epoch atomic.Int64  // of this process; 0: it does not lead
	led   chan struct{} // closed when it leads
	once  sync.Once

	reaches atomic.Bool // of a standby: the server answers it
	beats   atomic.Bool // of a leader: its last heartbeat reached the database

	mu      sync.Mutex
	other   store.Leader // who leads, seen by the standby; who stands by, seen by the leader
	alive   bool         // it has moved lately
	changed time.Time    // when it was seen to move
}

// New makes a Role.
func New(cfg Config) *Role { return &Role{cfg: cfg, led: make(chan struct{})} }

// Listens corrects where the HTTP API listens. It is called before Await.
func (r *Role) Listens(address string) { r.cfg.Me.Address = address }

// Leading says whether this process has taken over.
func (r *Role) Leading() bool { return r.epoch.Load() != 0 }

// Other is the other process: of a standby the leader, of a leader the standby. alive says whether it has moved lately.
func (r *Role) Other() (other store.Leader, alive bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.other, r.alive && time.Since(r.changed) < silence
}

func (r *Role) saw(other store.Leader, moved bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.other = other
	if moved {
		r.alive, r.changed = !other.Released, time.Now()
	}
}

// Await returns when this process leads. One that does not stand by returns at once, and takes over by TakeOver.
func (r *Role) Await(ctx context.Context) error {
	if !r.cfg.Me.Standby {
		return nil
	}
	telling, stop := context.WithCancel(ctx)
	var told sync.WaitGroup
	told.Go(func() { r.stand(telling) })
	told.Go(func() { r.reach(telling) })
	err := r.watch(ctx)
	stop()
	told.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if err := r.cfg.Store.Sit(last, r.cfg.Me); err != nil {
		r.cfg.Log.Debug("the row of the standby was not released", "error", err)
	}
	return err
}

// watch looks at the leader until it is silent or gone, and then takes over.
func (r *Role) watch(ctx context.Context) error {
	w := &watched{role: r, reading: logged.Health{Failing: "standing by: the leader cannot be looked at", Again: "standing by: the leader can be looked at again"},
		taking: logged.Health{Failing: "standing by: the database cannot be taken over", Again: "standing by: the database can be taken over"},
		fits:   logged.Health{Failing: "standing by: it is not known whether this process fits the leader", Again: "standing by: this process fits the leader"}}
	for {
		led, err := w.look(ctx)
		if led || err != nil {
			return err
		}
		if err := pause.For(ctx, lookPeriod); err != nil {
			return err
		}
	}
}

// watched is what a standby knows of the leader.
type watched struct {
	role    *Role
	seen    store.Seen
	looked  time.Time // when it was seen last; zero: the database did not answer since
	known   bool
	silent  time.Duration
	checked string // the process that this one was compared with
	refuses string // the process that refuses this one, so far
	refused int    // how often it did, one time after the other

	reading, taking, fits logged.Health
}

// look looks once, and takes over when it is time.
func (w *watched) look(ctx context.Context) (led bool, err error) {
	r := w.role
	asking, cancel := context.WithTimeout(ctx, askTime)
	seen, err := r.cfg.Store.LookAtLeader(asking)
	cancel()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	w.reading.Note(r.cfg.Log, err)
	if err != nil {
		w.looked = time.Time{}
		return false, nil
	}
	moved := !w.known || seen != w.seen
	lives := w.known && seen.Known() && seen.Leader.Process == w.seen.Leader.Process && seen.Leader.Beat != w.seen.Leader.Beat && !seen.Leader.Released
	if moved {
		w.silent = 0
	} else if !w.looked.IsZero() { // time in which nobody could look proves nothing
		w.silent += min(time.Since(w.looked), 2*lookPeriod)
	}
	w.seen, w.known, w.looked = seen, true, time.Now()
	r.saw(seen.Leader, lives)
	if seen.Known() && seen.Leader.Process == r.cfg.Me.Process { // the answer to the COMMIT was lost
		r.lead(seen.State.Epoch)
		return true, nil
	}
	if lives {
		if err := w.compare(ctx); err != nil {
			return false, err
		}
	}
	if !seen.Free() && w.silent < silence {
		return false, nil
	}
	return w.take(ctx), nil
}

// compare refuses a leader whom this process does not fit.
func (w *watched) compare(ctx context.Context) error {
	leader := w.seen.Leader
	if w.checked == leader.Process || w.role.cfg.Fits == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	err := w.role.cfg.Fits(ctx, leader)
	if errors.As(err, new(*RefusedError)) {
		if w.refuses != leader.Process {
			w.refuses, w.refused = leader.Process, 0
		}
		if w.refused++; w.refused == proofs {
			return err
		}
		return nil
	}
	w.refuses = ""
	w.fits.Note(w.role.cfg.Log, err)
	if err == nil {
		w.checked = leader.Process
		w.role.cfg.Log.Info("standing by", "leader", leader.Host, "pid", leader.PID, "address", leader.Address, "version", leader.Version)
	}
	return nil
}

// take takes over from the one that was seen.
func (w *watched) take(ctx context.Context) bool {
	r, began := w.role, time.Now()
	state, err := r.cfg.Store.Lead(ctx, r.cfg.Me, &w.seen)
	switch {
	case errors.Is(err, store.ErrMoved):
		r.cfg.Log.Info("standing by: the leader lives after all, or another process was faster")
		w.silent = 0
		return false
	case err != nil:
		if ctx.Err() == nil {
			w.taking.Note(r.cfg.Log, err)
		}
		return false
	}
	w.taking.Note(r.cfg.Log, nil)
	why := "it was silent"
	if w.seen.Free() {
		why = "it ended in order, or there was none"
	} else if !w.seen.Known() {
		why = "it is of a version that tells nothing of itself, and wrote nothing"
	}
	r.lead(state.Epoch)
	r.cfg.Log.Warn("this process leads now", "instead of", w.seen.Leader.Host, "pid", w.seen.Leader.PID, "why", why, "silent", w.silent.Round(time.Millisecond),
		"epoch", state.Epoch, "took", time.Since(began).Round(time.Millisecond))
	return true
}

func (r *Role) lead(epoch int64) {
	r.mu.Lock()
	r.other, r.alive = store.Leader{}, false
	r.mu.Unlock()
	r.epoch.Store(epoch)
	r.once.Do(func() { close(r.led) })
}

// stand tells the leader of this standby, until ctx ends.
func (r *Role) stand(ctx context.Context) {
	health := logged.Health{Failing: "standing by: the leader cannot be told", Again: "standing by: the leader is told again"}
	for {
		telling, cancel := context.WithTimeout(ctx, askTime)
		me := r.cfg.Me
		me.Reaches = r.reaches.Load()
		err := r.cfg.Store.Stand(telling, me)
		cancel()
		if ctx.Err() != nil {
			return
		}
		health.Note(r.cfg.Log, err)
		if pause.For(ctx, beatPeriod) != nil {
			return
		}
	}
}

// reach asks the server again and again until ctx ends.
func (r *Role) reach(ctx context.Context) {
	if r.cfg.Reach == nil {
		return
	}
	health := logged.Health{Failing: "standing by: the server does not answer here, so that the leader would not hand over", Again: "standing by: the server answers here"}
	for {
		asking, cancel := context.WithTimeout(ctx, reachTime)
		err := r.cfg.Reach(asking)
		cancel()
		if ctx.Err() != nil {
			return
		}
		r.reaches.Store(err == nil)
		health.Note(r.cfg.Log, err)
		if pause.For(ctx, reachPeriod) != nil {
			return
		}
	}
}

// TakeOver is that of the component's store: who leads already goes on, who does not stand by takes over at once.
func (r *Role) TakeOver(ctx context.Context) (store.State, error) {
	if !r.cfg.Me.Standby {
		state, err := r.cfg.Store.Lead(ctx, r.cfg.Me, nil)
		if err == nil {
			r.lead(state.Epoch)
		}
		return state, err
	}
	state, err := r.cfg.Store.State(ctx)
	switch ours := r.epoch.Load(); {
	case err != nil:
	case state.Epoch > ours:
		err = fmt.Errorf("%w: its epoch is %d, ours was %d", store.ErrFenced, state.Epoch, ours)
	case state.Epoch < ours: // a node of a cluster that has not heard of it yet
		err = fmt.Errorf("%w: its epoch is %d, ours is %d", store.ErrUnavailable, state.Epoch, ours)
	}
	return state, err
}

// Run tells that this process lives, from the moment when it leads until ctx ends. [store.ErrFenced] says that another process leads, and
// [ErrGivenUp] that this one gives up.
func (r *Role) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.led:
	}
	if r.cfg.Heart == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.Join(r.beat(ctx), r.cfg.Heart.Close())
}

// Look sees whether there is a standby, from the moment when this process leads until ctx ends. [ErrHandedOver] says that the standby is to lead:
// whoever runs this process ends it in order. It runs beside Run, so that a look that a database leaves without an answer does not keep a leader
// that is deposed from its end.
func (r *Role) Look(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.led:
	}
	if r.cfg.Heart != nil && r.cfg.Me.Standby {
		if err := r.lookAtStandby(ctx); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (r *Role) beat(ctx context.Context) error {
	health := logged.Health{Failing: "no heartbeat reaches the database", Again: "heartbeats reach the database again"}
	// Time in which this process was paused proves nothing: how long heartbeats fail is counted by the attempts.
	const maxAttempt = beatPeriod + askTime
	failing := time.Duration(0)
	for last := time.Now(); ; {
		asking, cancel := context.WithTimeout(ctx, askTime)
		err := r.cfg.Heart.Beat(asking, r.epoch.Load())
		cancel()
		r.beats.Store(err == nil)
		failing += min(time.Since(last), maxAttempt)
		last = time.Now()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrFenced):
			return err
		case err == nil:
			failing = 0
		case failing > givingUp:
			return fmt.Errorf("%w: %w", ErrGivenUp, err)
		}
		health.Note(r.cfg.Log, err)
		if err := pause.For(ctx, beatPeriod); err != nil {
			return err
		}
	}
}

// severed is for how long a leader could not serve and the one that stands by could.
type severed struct {
	had              bool // a link, in this turn
	without, reached time.Duration
	last             time.Time
}

// due takes what is so now, and says that it is time to hand over. Time in which this process was paused proves nothing.
func (s *severed) due(cut, reached bool) bool {
	passed := time.Duration(0)
	if !s.last.IsZero() {
		passed = min(time.Since(s.last), 2*beatPeriod)
	}
	s.last = time.Now()
	count := func(sum *time.Duration, goesOn bool) {
		if *sum += passed; !goesOn {
			*sum = 0
		}
	}
	count(&s.without, cut)
	count(&s.reached, reached)
	limit := handOver
	if !s.had {
		limit = handOverAgain
	}
	if !cut {
		s.had = true
	}
	return s.without >= limit && s.reached >= limit
}

// lookAtStandby looks again and again until ctx ends, or until it is time to hand over.
func (r *Role) lookAtStandby(ctx context.Context) error {
	var last store.Leader
	var link severed
	checked := ""
	health := logged.Health{Failing: "the process that stands by does not fit", Again: "the process that stands by fits again"}
	for first := true; ; first = false {
		asking, cancel := context.WithTimeout(ctx, askTime)
		other, err := r.cfg.Store.LookAtStandby(asking)
		cancel()
		if err == nil {
			moved := other != last && !first && other.Process != r.cfg.Me.Process
			before, was := r.Other()
			r.saw(other, moved)
			if is := moved && !other.Released; is && (!was || before.Process != other.Process) {
				r.cfg.Log.Info("another process stands by", "host", other.Host, "pid", other.PID, "address", other.Address, "version", other.Version)
			}
			if moved && !other.Released && r.cfg.Sees != nil && checked != other.Process {
				seeing, cancel := context.WithTimeout(ctx, askTime)
				err := r.cfg.Sees(seeing, other)
				cancel()
				if ctx.Err() != nil {
					return nil
				}
				if health.Note(r.cfg.Log, err); err == nil {
					checked = other.Process
				}
			}
			last = other
		}
		_, alive := r.Other()
		if r.cfg.Cut != nil && link.due(r.cfg.Cut(), err == nil && r.beats.Load() && alive && other.Reaches) {
			return fmt.Errorf("%w: %s, process %d", ErrHandedOver, other.Host, other.PID)
		}
		if pause.For(ctx, beatPeriod) != nil {
			return nil
		}
	}
}

// Release lets others take over at once, where this process leads; it writes nothing more after that.
func (r *Role) Release(ctx context.Context) error {
	epoch := r.epoch.Load()
	if epoch == 0 || !r.cfg.Me.Standby { // nobody waits for it
		return nil
	}
	if err := r.cfg.Store.Release(ctx, epoch); err != nil && !errors.Is(err, store.ErrFenced) {
		return err
	}
	return nil
}
