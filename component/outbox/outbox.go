package outbox

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// Spacing is how far apart two pushes of a message to one device are, at least.
const Spacing = 3 * time.Minute

const (
	life          = time.Hour // a note that could not be sent for so long helps nobody
	kept          = 24 * time.Hour
	maxRemembered = 100_000 // pushes that are remembered for it
	maxWaiting    = 100_000 // rows of a channel that wait: a vendor that is down for long may not fill the disk
	maxRows       = 500     // rows that one pass takes at most
	maxRequests   = 64      // requests to the vendor that one pass makes
	maxParallel   = 8       // of them at the same time
	sweepPeriod   = 10 * time.Minute
	maxSweepRows  = 500
	minRetryWait  = 2 * time.Second // doubled with every failure
	maxRetryWait  = 5 * time.Minute
	maxVendorWait = 15 * time.Minute // whatever a vendor says
	lastWrite     = 3 * time.Second  // for writing down what was sent when the process stops
)

// What became of a push, as rows and metrics have it.
const (
	Sent      = "sent"
	Withdrawn = "withdrawn" // read or revoked before it left
	Repeated  = "repeated"  // the device had one for this message
	Dead      = "dead"      // the vendor does not know the registration any more
	Unmeant   = "unmeant"   // it was for Android only, and the device is no Android
	Refused   = "refused"   // the vendor will not take it
	Expired   = "expired"
	Overflow  = "overflow"  // too many wait; no row was written
	Unwritten = "unwritten" // no row was written because the directory could not be read
)

// Store is what the outbox needs of the database. *store.Store implements it.
type Store interface {
	DuePushes(ctx context.Context, channel string, now int64, limit int) ([]store.Push, error)
	PushesOfRequests(ctx context.Context, channel string, requests []string) ([]store.Push, error)
	NextPush(ctx context.Context, channel string) (due int64, waits bool, err error)
	DonePushes(ctx context.Context, channel string, since int64, limit int) ([]store.Push, error)
	CountPushes(ctx context.Context, channel string) (int, error)
	PushChannels(ctx context.Context) ([]string, error)
	UpdatePushes(ctx context.Context, epoch int64, steps []store.PushUpdate) error
	DeletePushes(ctx context.Context, channel string, before int64, limit int) (int, error)
	DeleteChannel(ctx context.Context, channel string, limit int) (int, error)
	ReceiptCounts(ctx context.Context, msgIDs []string) (map[string]int, error)
	IDs(ctx context.Context, msgIDs []string) (map[store.IDKey]store.ID, error)
	Receipts(ctx context.Context, keys []store.ReceiptKey) (map[store.ReceiptKey][]store.Receipt, error)
}

// Config is what an Outbox works with.
type Config struct {
	Channels []Channel
	Store    Store
	Epoch    func() int64 // of this process: one that was deposed claims no push any more, so that it sends none that its successor sends
	// Drop takes registrations that the vendor does not know any more from their users. After an error the next push finds them again.
	Drop func(ctx context.Context, codes, users []string) error
	// Class says among which ids the state of a message of this type stands: a push is withdrawn when that is not [store.Live] any more.
	Class    func(msgType string) store.Class
	Registry prometheus.Registerer // nil: the metrics are not registered
	Log      *slog.Logger
	Now      func() time.Time
	After    func(time.Duration) <-chan time.Time // nil: time.After
}

// Outbox sends the pushes of all channels.
type Outbox struct {
	Config
	workers []*worker
	pushes  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// New makes an Outbox; it is nil without channels. Nothing is read or sent yet.
func New(cfg Config) *Outbox {
	if len(cfg.Channels) == 0 {
		return nil
	}
	if cfg.After == nil {
		cfg.After = time.After
	}
	o := &Outbox{Config: cfg}
	for _, c := range cfg.Channels {
		recent, _ := lru.New[pushed, time.Time](maxRemembered) // fails for a size below 1 only
		o.workers = append(o.workers, &worker{Channel: c, o: o, log: cfg.Log.With("channel", c.Name), wake: trigger.New(), recent: recent, maxRows: maxRows})
	}
	o.register()
	return o
}

// register makes what an administrator alarms on.
func (o *Outbox) register() {
	f := promauto.With(o.Registry)
	o.pushes = f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_pushes_total", Help: "Pushes to devices, by channel and what became of them."}, []string{"channel", "outcome"})
	o.seconds = f.NewHistogramVec(prometheus.HistogramOpts{Name: "tlim_push_call_seconds", Help: "Time of one call of a push vendor.",
		Buckets: []float64{.01, .03, .1, .3, 1, 3, 10}}, []string{"channel"})
	for _, w := range o.workers {
		for _, outcome := range []string{Sent, Withdrawn, Dead, Refused, Expired, Overflow, Unwritten} {
			o.pushes.WithLabelValues(w.Name, outcome) // there from the start: an alarm on an increase does not see a series that begins with 1
		}
		labels := prometheus.Labels{"channel": w.Name}
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_pushes_waiting", Help: "Outbox rows that wait to be sent.", ConstLabels: labels},
			func() float64 { return float64(w.waiting.Load()) })
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_pushes_failing", Help: "1 while no push goes out.", ConstLabels: labels},
			func() float64 {
				if w.failing.Load() != nil {
					return 1
				}
				return 0
			})
	}
}

// Open learns, before any message is taken, what the last process left: how many rows wait, and which devices had a push just
// now. It may be repeated. A nil Outbox has nothing to learn.
func (o *Outbox) Open(ctx context.Context) error {
	if o == nil {
		return nil
	}
	for _, w := range o.workers {
		n, err := o.Store.CountPushes(ctx, w.Name)
		if err != nil {
			return err
		}
		rows, err := o.Store.DonePushes(ctx, w.Name, o.Now().Add(-Spacing).UnixMilli(), maxRemembered/10)
		if err != nil {
			return err
		}
		for i := range rows {
			for _, to := range rows[i].To {
				if OutcomeOf(&rows[i], to) == Sent {
					w.recent.Add(pushed{rows[i].MsgID, to.Code}, time.UnixMilli(rows[i].Due))
				}
			}
		}
		w.waiting.Store(int64(n))
	}
	return nil
}

// OutcomeOf is what became of one receiver of a row; "" while it waits.
func OutcomeOf(row *store.Push, to store.PushTo) string {
	if to.Outcome != "" {
		return to.Outcome
	}
	return row.Outcome
}

// Run sends until ctx ends, and returns when its requests and writes have ended. A nil Outbox has nothing to send.
func (o *Outbox) Run(ctx context.Context) {
	if o == nil {
		return
	}
	var running sync.WaitGroup
	for _, w := range o.workers {
		running.Go(func() { w.run(ctx) })
	}
	if err := o.deleteOrphans(ctx); err != nil && ctx.Err() == nil {
		o.Log.Warn("pushes of channels that are not configured any more could not be removed; the next start tries again", "error", err)
	}
	running.Wait()
}

// deleteOrphans removes the rows of channels that are not configured any more.
func (o *Outbox) deleteOrphans(ctx context.Context) error {
	names, err := o.Store.PushChannels(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, w := range o.workers {
		known[w.Name] = true
	}
	for _, name := range names {
		for n := maxSweepRows; !known[name] && n == maxSweepRows; {
			if n, err = o.Store.DeleteChannel(ctx, name, maxSweepRows); err != nil {
				return err
			}
		}
	}
	return nil
}

// Trouble says why nothing goes out by a channel; "" where something does, or that is not known. A nil Outbox has no trouble.
func (o *Outbox) Trouble(channel string) string {
	if o == nil {
		return ""
	}
	for _, w := range o.workers {
		if why := w.failing.Load(); w.Name == channel && why != nil {
			return *why
		}
	}
	return ""
}

// Takes says whether pushes of messages of a type leave at all. A nil Outbox sends none.
func (o *Outbox) Takes(msgType string) bool {
	return o != nil && slices.ContainsFunc(o.workers, func(w *worker) bool { return w.takes(msgType) })
}

// Message is what phones are woken for.
type Message struct {
	MsgID, Type  string
	Title, Alert string         // as the phones show them
	All          []store.PushTo // each device once, here or in Android
	Android      []store.PushTo // who gets it on Android only: an iPhone has the message already
	Made         time.Time
}

// Rows makes the rows of a message for the transaction that stores it; [Outbox.Committed] is called after that. Where too many wait already it
// makes none and logs that: a message matters more than its push. count adds to a metric once the transaction is committed.
func (o *Outbox) Rows(m Message, count func(prometheus.Counter, int)) (rows []store.Push) {
	now := m.Made.UnixMilli()
	for _, w := range o.workers {
		if !w.takes(m.Type) {
			continue
		}
		for _, part := range [...]struct {
			platforms string
			to        []store.PushTo
		}{{platformsAll, m.All}, {platformsAndroid, m.Android}} {
			for to := range slices.Chunk(part.to, MaxReceivers) {
				if !w.room() {
					count(o.pushes.WithLabelValues(w.Name, Overflow), 1)
					continue
				}
				rows = append(rows, store.Push{ID: protocol.NewID(), Channel: w.Name, MsgID: m.MsgID, Type: m.Type,
					Platforms: part.platforms, Title: m.Title, Alert: m.Alert, To: to, Made: now, Due: now})
			}
		}
	}
	return rows
}

// The platforms that a row is for.
const (
	platformsAll     = "android,ios"
	platformsAndroid = "android"
)

// Committed tells of rows that are in the database now. It does not block.
func (o *Outbox) Committed(rows []store.Push) {
	for _, w := range o.workers {
		n := 0
		for i := range rows {
			if rows[i].Channel == w.Name {
				n++
			}
		}
		if n == 0 {
			continue
		}
		w.waiting.Add(int64(n))
		w.wake.Fire()
	}
}

// Unwritten counts messages whose pushes were given up because nobody could say who has a phone, as [Outbox.Rows] counts. The database is away,
// which is logged where it matters.
func (o *Outbox) Unwritten(messages int, err error, count func(prometheus.Counter, int)) {
	for _, w := range o.workers {
		count(o.pushes.WithLabelValues(w.Name, Unwritten), messages)
	}
	o.Log.Debug("no pushes for a batch: the directory cannot be read", "error", err)
}
