package events

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/logged"
	"tlim/component/trigger"
	"tlim/store"
)

const (
	maxRequest      = 100     // events of one request
	maxRequestBytes = 1 << 20 // of their bodies, but for a single one
	pageRows        = 500
	maxPages        = 20   // of one pass
	maxTries        = 12   // of an event alone, while others are taken: some 45 minutes
	broken          = 3    // failures one after another that are the receiver's fault and no event's
	maxApart        = 4    // conversations whose events are sent one by one at the same time, apart from all others
	maxRepeats      = 16   // of these that were refused before and are in memory; more are read when one of them is through
	maxSuspects     = 1000 // events of refused requests that are in memory: while there are more nothing else is sent
	minRetryWait    = 2 * time.Second
	maxRetryWait    = 10 * time.Minute // of an event
	maxPause        = time.Minute      // of all events
	maxAskedWait    = 15 * time.Minute // whatever a receiver asks for
	storeWait       = 2 * time.Second
	rowPause        = 200 * time.Microsecond // ten times what it takes to read a row that waits for a repetition
	sweepPeriod     = time.Minute
	sweepRows       = 500
	slack           = 1000            // by how much the bound may be passed until the next sweep
	lastWrite       = 3 * time.Second // for writing down what was taken when the process stops
)

// What became of an event, as the metric has it.
const (
	Sent    = "sent"
	Dead    = "dead"    // given up; kept for replays
	Dropped = "dropped" // dead ones beyond the bound
)

// Store is what events need of the database. *store.Store implements it.
type Store interface {
	Events(ctx context.Context, dead bool, after string, limit int) ([]store.Event, error)
	CountEvents(ctx context.Context, dead bool) (int, error)
	LastEvent(ctx context.Context) (string, error)
	UpdateEvents(ctx context.Context, epoch int64, steps []store.EventUpdate) error
	DeleteEvents(ctx context.Context, epoch int64, ids []string) error
	ExpireEvents(ctx context.Context, epoch, at int64, reason string, limit int) (int, error)
	DeleteDeadEvents(ctx context.Context, epoch, before int64, limit int) (int, error)
}

// Poster makes one request. It is safe for concurrent use, and returns when ctx ends. Its error is a *[Failure], which names no secret.
type Poster interface {
	Post(ctx context.Context, id string, body []byte) error
}

// Failure is why a request was not taken.
type Failure struct {
	Err   error
	Away  bool          // nobody was there: no event is at fault
	Later bool          // the receiver asks for time
	Wait  time.Duration // how much it asks for; 0: it does not say
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Config is what Events work with.
type Config struct {
	Poster     Poster        // nil: nobody is told anything
	Kinds      []string      // that are told; none: all
	Content    bool          // bodies of messages are told
	MaxWaiting int           // rows that wait, and dead ones: beyond it the oldest are given up, or go
	Keep       time.Duration // how long dead ones are kept
}

// Deps are the parts that Events work with.
type Deps struct {
	Store    Store
	Epoch    func() int64
	Registry prometheus.Registerer // nil: the metrics are not registered
	Log      *slog.Logger
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // nil: time.After
}

// Events is the outbox of what a business system is told.
type Events struct {
	Config
	Deps
	ids     ids // of the goroutine that makes rows
	wake    trigger.Trigger
	waiting atomic.Int64
	dead    atomic.Int64
	failing atomic.Bool
	counted *prometheus.CounterVec
	seconds prometheus.Histogram

	done chan result // of what is sent apart; it has room for all that can be under way

	// Of Run's goroutine alone.
	main     breaker // requests of many events
	apart    breaker // events one by one
	queue    []*solo
	repeats  int             // of maxRepeats
	suspects int             // of maxSuspects
	running  int             // of maxApart
	busy     map[string]bool // conversations in queue or under way
	swept    time.Time
	taken    []string // ids that are still to be deleted
	look     look
	health   logged.Health
	full     bool // the bound was passed: it was logged
}

// New makes Events; they are nil without a Poster, and cost nothing then. Nothing is read or sent yet.
func New(cfg Config, deps Deps) *Events {
	if cfg.Poster == nil {
		return nil
	}
	if deps.After == nil {
		deps.After = time.After
	}
	e := &Events{Config: cfg, Deps: deps, wake: trigger.New(), done: make(chan result, maxApart), busy: map[string]bool{},
		health: logged.Health{Failing: "events are not taken; they wait", Again: "events are taken again"}}
	f := promauto.With(deps.Registry)
	e.counted = f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_events_total", Help: "Events for business systems, by what became of them."}, []string{"outcome"})
	for _, outcome := range []string{Sent, Dead, Dropped} {
		e.counted.WithLabelValues(outcome) // there from the start: an alarm on an increase does not see a series that begins with 1
	}
	e.seconds = f.NewHistogram(prometheus.HistogramOpts{Name: "tlim_event_call_seconds", Help: "Time of one request of events.webhook.",
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10}})
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_events_waiting", Help: "Events that wait to be sent."}, func() float64 { return float64(e.waiting.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_events_dead", Help: "Events that were given up and are kept for a replay."}, func() float64 { return float64(e.dead.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_events_failing", Help: "1 while no event is taken."}, func() float64 {
		if e.failing.Load() {
			return 1
		}
		return 0
	})
	return e
}

// takes says whether a kind is told.
func (e *Events) takes(kind string) bool { return len(e.Kinds) == 0 || slices.Contains(e.Kinds, kind) }

// Open learns, before any row is made, what the last process left. It may be repeated. Nil Events have nothing to learn.
func (e *Events) Open(ctx context.Context) error {
	if e == nil {
		return nil
	}
	last, err := e.Store.LastEvent(ctx)
	if err != nil {
		return err
	}
	if err := e.ids.follow(last); err != nil {
		return err
	}
	return e.count(ctx)
}

// count finds out how many rows there are.
func (e *Events) count(ctx context.Context) error {
	waiting, err := e.Store.CountEvents(ctx, false)
	if err != nil {
		return err
	}
	dead, err := e.Store.CountEvents(ctx, true)
	if err != nil {
		return err
	}
	e.waiting.Store(int64(waiting))
	e.dead.Store(int64(dead))
	return nil
}

// Committed tells of rows that are in the database now. It does not block.
func (e *Events) Committed(rows int) {
	e.waiting.Add(int64(rows))
	e.wake.Fire()
}

// Run sends until ctx ends. Nil Events have nothing to send.
func (e *Events) Run(ctx context.Context) {
	if e == nil {
		return
	}
	for ctx.Err() == nil {
		wait := e.pass(ctx)
		wake := e.wake
		if e.Now().Before(e.main.until) && e.waiting.Load() <= int64(e.MaxWaiting+slack) {
			wake = nil // new rows do not make a receiver well
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case r := <-e.done:
			e.outcome(ctx, r)
		case <-e.After(wait):
		}
	}
	for e.running > 0 { // the stop has cut them off
		e.outcome(ctx, <-e.done)
	}
}
