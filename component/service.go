package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"tlim/component/calls"
	"tlim/component/directory"
	"tlim/component/events"
	"tlim/component/logged"
	"tlim/component/outbox"
	"tlim/component/pause"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/component/stanza"
	"tlim/component/tracking"
	"tlim/component/trigger"
	"tlim/component/unasked"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Store is what the conveyor needs of the database. *store.Store implements it; the promises are documented there.
type Store interface {
	TakeOver(ctx context.Context) (store.State, error)
	Apply(ctx context.Context, epoch int64, pos store.Positions, changes []store.Change) error
	Committed(ctx context.Context, u *store.UnknownError) (bool, error)
	IDs(ctx context.Context, msgIDs []string) (map[store.IDKey]store.ID, error)
	MessagesByID(ctx context.Context, msgIDs []string) (map[string][]store.Message, error)
	Groups(ctx context.Context, ids []string) (map[string]store.Group, error)
	Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error)
	Formers(ctx context.Context, groupIDs []string, since int64) ([]store.Former, error)
	Receipts(ctx context.Context, keys []store.ReceiptKey) (map[store.ReceiptKey][]store.Receipt, error)
	Chats(ctx context.Context, keys []store.ChatKey) (map[store.ChatKey]bool, error)
	CountAnnouncements(ctx context.Context, group string) (int, error)
	StylesOf(ctx context.Context, user string) ([]store.Style, error)
	CountGroupsOwned(ctx context.Context, user string) (int, error)
	Announcement(ctx context.Context, id string) (store.Announcement, bool, error)
	MessagesAfter(ctx context.Context, time, id string, limit int) ([]store.Message, error)
	OfflineOwners(ctx context.Context, msgIDs []string) (map[store.OfflineKey]bool, error)
	OfflineMarks(ctx context.Context, msgIDs []string) (map[store.OfflineMark]bool, error)
	RecentOffline(ctx context.Context, owner string, since int64, limit int) ([]store.OfflineMessage, error)
	PushOwners(ctx context.Context, code string) ([]string, error)
	Purges(ctx context.Context) ([]store.Purge, error)
}

// Queries are what calls of the API read of the database, and what they need beside the conveyor.
type Queries interface {
	Offline(ctx context.Context, owner, since, afterTime, afterID string, limit int) ([]store.OfflineMessage, error)
	HasOffline(ctx context.Context, owner string) (bool, error)
	MessageTime(ctx context.Context, msgID string) (string, bool, error)
	UnreadCounts(ctx context.Context, owner string) ([]store.Unread, error)
	ChatRows(ctx context.Context, a, b string, since, now int64, limit int) ([]store.Erased, error)
	AuthorRows(ctx context.Context, a store.Author, limit int) ([]store.Erased, error)
	DeletePushCodes(ctx context.Context, codes []string) error
	QueueSizes(ctx context.Context, users []string) (map[string]store.QueueSize, error)
	Secret(ctx context.Context, name, fresh string) (string, error)
	CallStore
}

// Database is all that a Service needs of the database; each part is handed its own share. *store.Store implements it.
type Database interface {
	Store
	Queries
	calls.Store
	tracking.Store
	directory.Store
	outbox.Store
	events.Store
	retention.Store
	retention.PurgeStore
	retention.AuditLog
}

// Sender takes what leaves for the server. stream.Links implements it.
type Sender interface {
	// Deliver queues copies in order and blocks while the buffers are full. An error means that the link is down: what was
	// queued may be lost, and the deliveries come again by replay.
	Deliver(ctx context.Context, d []stanza.Delivery, runs ...stanza.Run) error
	// Post queues an acknowledgement without blocking; false when there is no room or no link.
	Post(b []byte) bool
	// Answer queues an error for the address that provoked it, without blocking. What one sender provokes beyond a budget may be
	// dropped. False when there is no room or no link.
	Answer(to string, b []byte) bool
	// Barrier calls done(nil) once the server has routed all that was queued before, done(err) when the link was lost. done
	// must not block.
	Barrier(done func(error))
}

// watcher keeps the presence table fresh while a connection lives.
type watcher interface {
	Run(ctx context.Context, first chan<- struct{})
	Refresh()
	Look(ctx context.Context)
}

// Deps are the parts that a Service works with.
type Deps struct {
	Store     Database
	Sender    Sender
	Snapshots presence.Snapshotter // nil: presence is only what clients send
	Source    directory.Source     // nil: the directory is what AddUsers says and what is seen on the wire
	Imports   directory.Source     // the server's own tables of users, who are learned from there without a Source; nil: nobody is
	Accounts  directory.Accounts   // nil: accounts are somebody else's
	Finder    directory.Finder     // nil: nobody can tell whether there is an account
	Files     retention.Files      // nil: clean-up leaves files alone
	Push      []outbox.Channel     // ways to wake phones; none: no pushes
	Events    events.Config        // without a Poster nobody is told of events
	Judged    func(Verdict)        // is told what became of each message; must not block. Nil: nobody
	Registry  prometheus.Registerer
	Log       *slog.Logger
	Now       func() time.Time                     // nil: time.Now
	After     func(time.Duration) <-chan time.Time // the outbox's timers; nil: time.After
}

// Verdict is what became of a client's message.
type Verdict struct {
	Stanza   stanza.Stanza
	Envelope *protocol.Envelope // nil: the body is none
	Err      error              // why it was refused, or left alone; nil: it was taken, and what it changes is committed
}

// Service is the product's core: it implements the handler of the links and the calls of the HTTP API. Create it with
// [New], run it with [Service.Parts].
type Service struct {
	cfg         Config
	store       Store
	queries     Queries
	sender      Sender
	judged      func(Verdict) // nil: nobody is told
	log         *slog.Logger
	now         func() time.Time
	metrics     *metrics
	kinds       *kindTable
	presence    *presence.Table
	watcher     watcher // nil: no snapshots
	unconfirmed *unconfirmed.Table
	users       *directory.Directory
	intake      *intake
	strangers   rate.Sometimes // bounds what is logged about them
	outbox      *outbox.Outbox // nil: no pushes
	events      *events.Events // nil: nobody is told of them
	calls       *calls.Table

	confirmations *confirmations
	robotQueues   *robotQueues
	proved        *unconfirmed.Proofs
	missed        *unconfirmed.Proofs // copies that became rows although they had been sent
	refused       *refusalLog

	*tracking.Tracker

	conveyor    *conveyor
	storeHealth logged.Health // the conveyor's
	epoch       int64         // of this process, once it has taken the database over
	delivered   atomic.Int64  // position that a barrier proved routed
	covered     atomic.Int64  // position up to which no device has missed a message unnoticed

	link struct {
		sync.Mutex
		cancel context.CancelFunc // of the running connection's work; nil when down
		first  chan struct{}      // closed when the first snapshot was tried
	}
	linkEvents trigger.Trigger // room for one: the link went up or down
	watching   sync.WaitGroup
	cleaner    *retention.Cleaner
	purger     *retention.Purger
	draining   atomic.Bool
	replayed   atomic.Bool
	connection atomic.Uint64          // counts ups and downs of the link
	storeErr   atomic.Pointer[string] // why the database does not work; nil: it does
	started    chan struct{}          // closed when Run has taken the database over
	ended      chan struct{}          // closed when Run takes nothing more
}

// New checks the configuration and builds a Service. Nothing runs yet; stanzas that arrive before Run wait in the queue.
func New(cfg Config, deps Deps) (*Service, error) {
	if cfg.Server == "" || cfg.Component == "" {
		return nil, errors.New("component: the server's and the component's domain are needed")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s := &Service{
		cfg: cfg, store: deps.Store, queries: deps.Store, sender: deps.Sender, judged: deps.Judged, log: deps.Log, now: deps.Now,
		kinds:      newKinds(),
		presence:   presence.NewTable(cfg.Server, deps.Now),
		linkEvents: trigger.New(),
		started:    make(chan struct{}),
		ended:      make(chan struct{}),

		storeHealth: logged.Health{Failing: "the database is away; senders get error-013 until it is back", Again: "the database is back", Once: true},
	}
	if s.cfg.Calls.Window <= 0 {
		s.cfg.Calls.Window = 24 * time.Hour
	}
	s.strangers.Interval = strangerPause
	s.conveyor = newConveyor(s)
	if cfg.Acknowledgements == AcknowledgementsRequested {
		s.conveyor.unasked = unasked.New(deps.Registry, deps.Log)
	}
	s.calls = calls.New(calls.Deps{Store: deps.Store, Serve: s.serveRest, Epoch: func() int64 { return s.epoch }, Keep: s.keepCalls(),
		Ended: s.ended, Log: deps.Log, Now: deps.Now})
	s.outbox = outbox.New(outbox.Config{Channels: deps.Push, Store: deps.Store, Drop: s.dropPushCodes, Class: func(msgType string) store.Class { return s.kindOf(msgType).idClass() },
		Epoch: func() int64 { return s.epoch }, Registry: deps.Registry, Log: deps.Log, Now: deps.Now, After: deps.After})
	s.events = events.New(deps.Events, events.Deps{Store: deps.Store, Epoch: func() int64 { return s.epoch }, Registry: deps.Registry, Log: deps.Log, Now: deps.Now, After: deps.After})
	s.metrics = newMetrics(deps.Registry, s)
	s.users = s.directory(deps)
	s.confirmations = newConfirmations(s.users.Cache, s.metrics.ignoredConfirmations)
	s.proved, s.missed, s.refused = unconfirmed.NewProofs(deps.Now), unconfirmed.NewProofs(deps.Now), newRefusalLog()
	s.robotQueues = newRobotQueues()
	s.unconfirmed = unconfirmed.New(cfg.Grace, cfg.UnconfirmedPerUser, unconfirmed.Hooks{
		Off:    cfg.Confirm == ConfirmByPresence || cfg.Delivery == DeliverToBare, // a phone that answers for one copy would owe an answer for all
		ByUser: cfg.SenderAsUser, How: s.users.Confirms, Drop: s.confirmations.drop,
		Mark: func(local string) { s.confirmations.mark(local, store.ConfirmsByPings) }, Proved: s.proved.Answered,
		Note: func(outcome string) { s.metrics.pings.WithLabelValues(outcome).Inc() },
	})
	s.Tracker = tracking.New(tracking.Deps{Store: deps.Store, Server: cfg.Server, Unconfirmed: s.unconfirmed, Proofs: s.proved, Missed: s.missed, Presence: s.presence, Delivered: s.delivered.Load,
		Confirms: func(local string) bool {
			return cfg.Confirm != ConfirmByPresence && s.users.Confirms(local) != store.ConfirmsNot
		},
		Title: func(text string) string { return protocol.Shorten(tidy(text), maxTitle) }})
	s.intake = newIntake(s)
	s.jobs(deps)
	if deps.Snapshots != nil {
		s.watcher = presence.NewWatcher(s.presence, deps.Snapshots, cfg.SnapshotPeriod, s.users.Learn, s.metrics.snapshots, deps.Log)
	}
	return s, nil
}

// Run is the conveyor's part: it takes the database over and works until ctx ends; then it refuses what still comes with error-013, finishes what it
// has, writes down what is unconfirmed, and returns nil, after ShutdownTimeout at the latest. Any other return is fatal:
// store.ErrFenced means that another process owns the database now. It can be called once.
func (s *Service) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(s.cfg.ShutdownTimeout, cancel) })()

	err := s.takeOver(ctx)
	if err == nil {
		close(s.started)
		err = s.conveyor.convey(ctx, work)
	} else if ctx.Err() != nil {
		err = nil
	}

	s.draining.Store(true)
	close(s.ended)
	s.conveyor.refuseRest()
	s.link.Lock()
	if s.link.cancel != nil {
		s.link.cancel()
	}
	s.link.Unlock()
	s.watching.Wait()
	return err
}

// takeOver makes the database ours and queues what was unconfirmed at the last end. It waits for the database: a process that
// starts before it is better than one that must be started again.
func (s *Service) takeOver(ctx context.Context) error {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := s.tryTakeOver(ctx)
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		if s.noteStore(err); err == nil {
			return nil
		}
		if pause.For(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

func (s *Service) tryTakeOver(ctx context.Context) error {
	state, err := s.store.TakeOver(ctx)
	if err != nil {
		return err
	}
	if min(state.Delivered, state.Settled) >= state.Clock { // nothing of ours is unconfirmed, and what others wrote since is not ours to deliver
		before := s.now().UnixMilli() - 1
		state.Delivered, state.Settled = max(state.Delivered, before), max(state.Settled, before)
	}
	s.epoch = state.Epoch
	s.delivered.Store(state.Delivered)
	s.covered.Store(state.Delivered)
	if err := s.conveyor.recover(ctx, state); err != nil {
		return fmt.Errorf("queue what was unconfirmed at the last end: %w", err)
	}
	if err := s.outbox.Open(ctx); err != nil {
		return fmt.Errorf("look into the outbox: %w", err)
	}
	if err := s.events.Open(ctx); err != nil {
		return fmt.Errorf("look into the events that wait: %w", err)
	}
	if err := s.calls.Load(ctx); err != nil {
		return fmt.Errorf("look for calls to be finished: %w", err)
	}
	return nil
}

// Up tells that the link is ready; it is called before any stanza of that connection. Deliveries begin once the first
// presence snapshot is there and what the server may have lost was delivered again.
func (s *Service) Up() {
	s.presence.Forget()
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan struct{})
	s.link.Lock()
	s.connection.Add(1)
	s.link.cancel, s.link.first = cancel, first
	if s.watcher == nil || s.draining.Load() {
		close(first)
	} else {
		s.watching.Go(func() { s.watcher.Run(ctx, first) })
	}
	s.link.Unlock()
	s.linkEvent()
	s.users.LinkReady()
}

// Down tells that the link was lost; it is called after the last stanza of that connection.
func (s *Service) Down(error) {
	s.link.Lock()
	s.connection.Add(1)
	if s.link.cancel != nil {
		s.link.cancel()
		s.link.cancel = nil
	}
	s.link.Unlock()
	s.replayed.Store(false)
	s.unconfirmed.LinkLost() // before there are no looks any more, without which the grace alone decides
	s.presence.Forget()
	s.linkEvent()
}

// Answered takes what answers a ping around copies to a phone. It is false for what was not asked.
func (s *Service) Answered(st stanza.Stanza, from stanza.JID) bool {
	known, gone := s.unconfirmed.Answered(&st, from.String(), s.now())
	if gone { // long before a snapshot says so
		s.presence.Gone(from)
		if s.watcher != nil {
			s.watcher.Refresh()
		}
	}
	return known
}

func (s *Service) linkEvent() {
	s.linkEvents.Fire()
}

// Ready says in one sentence what keeps messages from being taken and delivered; nil when nothing does.
func (s *Service) Ready() error {
	if text := s.storeErr.Load(); text != nil {
		return fmt.Errorf("database: %s", *text)
	}
	select {
	case <-s.started:
	default:
		return errors.New("starting: the database is being taken over")
	}
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	if !s.replayed.Load() {
		return errors.New("not delivering: the link is down, or what it lost is being delivered again")
	}
	return nil
}

// noteStore logs when the database goes away and comes back, once each.
func (s *Service) noteStore(err error) {
	if err == nil {
		s.storeErr.Store(nil)
	} else {
		text := err.Error()
		s.storeErr.Store(&text)
	}
	s.storeHealth.Note(s.log, err)
}

// keepCalls is for how long notice calls are remembered: as long as the ids of their messages, and while they may be repeated; 0 is for ever.
func (s *Service) keepCalls() time.Duration {
	if !s.cfg.Cleanup.Enabled || s.cfg.Cleanup.IDs <= 0 {
		return 0
	}
	return max(s.cfg.Calls.Window, time.Duration(s.cfg.Cleanup.IDs)*24*time.Hour)
}

// jobs makes what works beside the conveyor.
func (s *Service) jobs(deps Deps) {
	epoch := func() int64 { return s.epoch }
	s.cleaner = retention.New(s.cfg.Cleanup, retention.Deps{Store: deps.Store, Files: deps.Files, Epoch: epoch, Forgetting: s.lookUpIDs, Audit: deps.Store,
		Registry: deps.Registry, Log: s.log, Now: s.now})
	s.purger = retention.NewPurger(deps.Store, epoch, s.from, dissolved, s.log)
}

// Part is one of those that make a Service work, each on its own goroutine.
type Part struct {
	Name string
	Run  func(ctx context.Context) error // works until ctx ends; a return before that is fatal
}

// Parts are all of them, the conveyor among them, in the order in which they begin; they end in the reverse order, each before the next is told
// to. Until the conveyor has taken the database over, the others wait.
func (s *Service) Parts() []Part {
	return []Part{
		// What the last messages of the conveyor leave to be done is begun before the process ends.
		s.beside("pushes", s.outbox.Run),
		s.beside("events", s.events.Run),
		s.beside("what dissolved groups leave", s.purger.Run),
		{"conveyor", s.Run},
		// These ask the conveyor for a place in the order, so they end before it. Each step of theirs is a transaction of its own: they may be
		// stopped anywhere.
		s.beside("directory", s.users.Run),
		s.beside("clean-up", s.cleaner.Run),
		s.beside("notice calls", s.calls.Run),
		s.beside("queues of robots", s.trimRobotQueues),
	}
}

// beside makes a part of what works while the conveyor does: one that was fenced ends before ctx does, and the others with it. They do not end by
// themselves, so that it is the conveyor's error that is told.
func (s *Service) beside(name string, run func(context.Context)) Part {
	return Part{name, func(ctx context.Context) error {
		select {
		case <-s.started:
			work, cancel := context.WithCancel(ctx)
			var watch sync.WaitGroup
			watch.Go(func() {
				select {
				case <-s.ended:
					cancel()
				case <-work.Done():
				}
			})
			run(work)
			cancel()
			watch.Wait()
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}}
}

// lookUpIDs makes the conveyor look among messages for ids that are not remembered, from its next batch on.
func (s *Service) lookUpIDs(ctx context.Context) error {
	return s.do(ctx, &task{plan: func(_ context.Context, b *batch) error {
		b.lookUpIDs()
		return nil
	}})
}

func (b *batch) lookUpIDs() {
	b.after = append(b.after, func() { b.c.legacy = true })
}

// Cleaner is who removes what is old; it works as one of the parts.
func (s *Service) Cleaner() *retention.Cleaner { return s.cleaner }
