package standby

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	// handOverAgain is the same for one that has had no link in its term: where the server answers and then lets neither in, two do not change all the time.
	handOverAgain = time.Minute
	// takenPeriod lies between two questions whether the component's name is taken.
	takenPeriod = time.Second
	// takenLong is for how long the name may be that of a connection whose machine is dead: longer than Openfire's own xmpp.component.idle, six minutes.
	// On a database that nobody ever led no such connection is ours.
	takenLong = 7 * time.Minute
	takenNew  = silence
	// forgotten is when a leader tells anew of a process that stands by, and compares it again. Two or more share one row, and are seen in turns.
	forgotten = time.Minute
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
	// Taken says that the component's name at the server is another connection's; nil: it is free, or nobody knows. A process that has seen nobody lead
	// this database does not lead either while it is: whoever has it works on another one. nil: it is not asked.
	Taken func(ctx context.Context) error
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

	mu       sync.Mutex
	taken    string       // why this process does not lead although nobody does; "": it is not so
	hindered string       // why the database does not let it see the leader, or lead; "": it does
	other    store.Leader // who leads, seen by the standby; who stands by, seen by the leader
	alive    bool         // it has moved lately
	changed  time.Time    // when it was seen to move
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

// Taken says why a process that stands by does not lead although nobody is seen to; "" where it is not so.
func (r *Role) Taken() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// Hindered says why a process that stands by cannot see whether the leader lives, or cannot take over; "" where the database lets it.
func (r *Role) Hindered() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hindered
}

func (r *Role) hinder(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hindered = why
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

func (r *Role) lead(epoch int64) {
	r.mu.Lock()
	r.other, r.alive, r.taken, r.hindered = store.Leader{}, false, "", ""
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
	had              bool // a link, in this term
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

// stander is what a leader knows of a process that stands by.
type stander struct {
	seen     time.Time
	compared bool // and fits
}

// lookAtStandby looks again and again until ctx ends, or until it is time to hand over.
func (r *Role) lookAtStandby(ctx context.Context) error {
	var last store.Leader
	var link severed
	stands := map[string]stander{}
	health := logged.Health{Failing: "the process that stands by does not fit", Again: "the process that stands by fits again"}
	for first := true; ; first = false {
		asking, cancel := context.WithTimeout(ctx, askTime)
		other, err := r.cfg.Store.LookAtStandby(asking)
		cancel()
		if err == nil {
			moved := other != last && !first && other.Process != r.cfg.Me.Process
			r.saw(other, moved)
			if moved && !other.Released {
				r.meet(ctx, other, stands, &health)
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

// meet tells of a process that stands by and compares it, where that has not been done of late.
func (r *Role) meet(ctx context.Context, other store.Leader, stands map[string]stander, health *logged.Health) {
	maps.DeleteFunc(stands, func(_ string, of stander) bool { return time.Since(of.seen) > forgotten })
	of, known := stands[other.Process]
	if !known {
		r.cfg.Log.Info("another process stands by", "host", other.Host, "pid", other.PID, "address", other.Address, "version", other.Version)
	}
	if r.cfg.Sees != nil && !of.compared {
		seeing, cancel := context.WithTimeout(ctx, askTime)
		err := r.cfg.Sees(seeing, other)
		cancel()
		if ctx.Err() != nil { // which says nothing of it
			return
		}
		health.Note(r.cfg.Log, err)
		of.compared = err == nil
	}
	of.seen = time.Now()
	stands[other.Process] = of
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
