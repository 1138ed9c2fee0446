package component

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/trigger"
	"tlim/store"
)

// The outbox is the table tlim_push. Its rows are written in the transactions of their messages and survive a restart. Each
// channel has a lane: one goroutine that takes the rows that are due, names the vendor calls that they go out with, writes the
// names down, makes the calls and settles the rows. A crash between any two steps repeats a call under its old name, by which
// the vendor knows it again.

const (
	pushLife      = time.Hour // a note that could not be sent for so long helps nobody
	pushKept      = 24 * time.Hour
	pushSpacing   = 3 * time.Minute // one push per message and device within this
	pushMemory    = 100_000         // pushes that are remembered for it
	pushMost      = 100_000         // rows of a channel that wait: a vendor that is down for long may not fill the disk
	pushRows      = 500             // rows that one pass takes at most
	pushCalls     = 64              // vendor calls that one pass makes
	pushParallel  = 8               // of them at the same time
	pushSweep     = 10 * time.Minute
	pushSweepRows = 500
	pushFirstWait = 2 * time.Second // doubled with every failure
	pushLongWait  = 5 * time.Minute
	pushMaxWait   = 15 * time.Minute // whatever a vendor says
	pushWrite     = 3 * time.Second  // for settling what was sent when the process stops
)

// What became of a push, as rows and metrics have it.
const (
	pushSent      = "sent"
	pushWithdrawn = "withdrawn" // read or revoked before it left
	pushRepeated  = "repeated"  // the device had one for this message
	pushDead      = "dead"      // the vendor does not know the registration any more
	pushUnmeant   = "unmeant"   // it was for Android only, and the device is no Android
	pushRefused   = "refused"   // the vendor will not take it
	pushExpired   = "expired"
	pushOverflow  = "overflow"  // too many wait; no row was written
	pushUnwritten = "unwritten" // no row was written because the directory could not be read
)

// PushStore is what the outbox needs of the database.
type PushStore interface {
	DuePushes(ctx context.Context, channel string, now int64, limit int) ([]store.Push, error)
	PushesOfCalls(ctx context.Context, channel string, calls []string) ([]store.Push, error)
	NextPush(ctx context.Context, channel string) (due int64, waits bool, err error)
	SettledPushes(ctx context.Context, channel string, since int64, limit int) ([]store.Push, error)
	CountPushes(ctx context.Context, channel string) (int, error)
	PushChannels(ctx context.Context) ([]string, error)
	UpdatePushes(ctx context.Context, steps []store.PushUpdate) error
	DeletePushes(ctx context.Context, channel string, before int64, limit int) (int, error)
	DeleteChannel(ctx context.Context, channel string, limit int) (int, error)
	DeletePushCodes(ctx context.Context, codes []string) error
	ReceiptCounts(ctx context.Context, msgIDs []string) (map[string]int, error)
	PushOwners(ctx context.Context, code string) ([]string, error)
}

// outbox is all lanes.
type outbox struct {
	s     *Service
	lanes []*lane
	after func(time.Duration) <-chan time.Time
}

// newOutbox is nil without channels.
func newOutbox(s *Service, channels []Channel) *outbox {
	if len(channels) == 0 {
		return nil
	}
	o := &outbox{s: s, after: time.After}
	for _, c := range channels {
		recent, _ := lru.New[pushed, time.Time](pushMemory) // fails for a size below 1 only
		o.lanes = append(o.lanes, &lane{Channel: c, o: o, log: s.log.With("channel", c.Name), wake: trigger.New(), recent: recent, most: pushRows})
	}
	return o
}

// start runs the lanes until ctx ends; Service.background waits for them.
func (o *outbox) start(ctx context.Context) {
	if o == nil {
		return
	}
	for _, l := range o.lanes {
		o.s.background.Go(func() { l.run(ctx) })
	}
	o.s.background.Go(func() {
		if err := o.dropOrphans(ctx); err != nil && ctx.Err() == nil {
			o.s.log.Warn("pushes of channels that are not configured any more could not be removed; the next start tries again", "error", err)
		}
	})
}

// committed tells the lanes of rows that are in the database now.
func (o *outbox) committed(rows []store.Push) {
	for _, l := range o.lanes {
		n := 0
		for i := range rows {
			if rows[i].Channel == l.Name {
				n++
			}
		}
		if n == 0 {
			continue
		}
		l.waiting.Add(int64(n))
		l.wake.Fire()
	}
}

// unwritten counts messages whose pushes were given up because nobody could say who has a phone. The database is away, which
// is logged where it matters.
func (o *outbox) unwritten(b *batch, err error) {
	for _, l := range o.lanes {
		b.count(o.s.metrics.pushes.WithLabelValues(l.Name, pushUnwritten), len(b.wakers))
	}
	o.s.log.Debug("no pushes for a batch: the directory cannot be read", "error", err)
}

// pushed is a device that had a push for a message.
type pushed struct{ msgID, code string }

// lane sends the pushes of one channel.
type lane struct {
	Channel
	o       *outbox
	log     *slog.Logger
	wake    trigger.Trigger // room for one: rows were written
	waiting atomic.Int64    // rows that wait
	full    atomic.Bool     // no more are written
	failing atomic.Bool

	// Of its goroutine alone.
	recent  *lru.Cache[pushed, time.Time]
	unsaved []store.PushUpdate // what was sent and could not be settled yet
	swept   time.Time
	most    int       // rows that the next pass takes: texts that all differ fill its calls with fewer
	works   bool      // something has gone out since the start
	foreign bool      // nothing has, and the vendor knew none of the registrations: it was logged
	trouble string    // why nothing goes out, as it was logged
	lost    int       // pushes given up since then
	fails   int       // passes in a row without success
	until   time.Time // the vendor is left alone
}

// room says whether another row may wait.
func (l *lane) room() bool {
	if l.waiting.Load() < pushMost {
		if l.full.Swap(false) {
			l.log.Info("pushes are written again")
		}
		return true
	}
	if !l.full.Swap(true) {
		l.log.Error("too many pushes wait; new ones are given up until they are fewer", "waiting", pushMost)
	}
	return false
}

// run works until ctx ends.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait := l.pass(ctx)
		wake := l.wake
		if wait <= pushPause || l.o.s.now().Before(l.until) {
			wake = nil // the pause is chat's, and new rows do not make a vendor well
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-l.o.after(wait):
		}
	}
}

// open learns, before any message is taken, what the last process left: how many rows wait, and which devices had a push just
// now. It may be repeated.
func (o *outbox) open(ctx context.Context) error {
	if o == nil {
		return nil
	}
	s := o.s
	for _, l := range o.lanes {
		n, err := s.store.CountPushes(ctx, l.Name)
		if err != nil {
			return err
		}
		rows, err := s.store.SettledPushes(ctx, l.Name, s.now().Add(-pushSpacing).UnixMilli(), pushMemory/10)
		if err != nil {
			return err
		}
		for i := range rows {
			for _, to := range rows[i].To {
				if outcomeOf(&rows[i], to) == pushSent {
					l.recent.Add(pushed{rows[i].MsgID, to.Code}, time.UnixMilli(rows[i].Due))
				}
			}
		}
		l.waiting.Store(int64(n))
	}
	return nil
}

// outcomeOf is what became of one receiver of a settled row.
func outcomeOf(row *store.Push, to store.PushTo) string {
	if to.Outcome != "" {
		return to.Outcome
	}
	return row.Outcome
}

// dropOrphans removes the rows of channels that are not configured any more.
func (o *outbox) dropOrphans(ctx context.Context) error {
	names, err := o.s.store.PushChannels(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, l := range o.lanes {
		known[l.Name] = true
	}
	for _, name := range names {
		for n := pushSweepRows; !known[name] && n == pushSweepRows; {
			if n, err = o.s.store.DeleteChannel(ctx, name, pushSweepRows); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep removes rows that were settled long ago, a part at a time: it says whether there may be more.
func (l *lane) sweep(ctx context.Context, now time.Time) (more bool) {
	if now.Sub(l.swept) < pushSweep {
		return false
	}
	n, err := l.o.s.store.DeletePushes(ctx, l.Name, now.Add(-pushKept).UnixMilli(), pushSweepRows)
	if err == nil && n == pushSweepRows {
		return true
	}
	l.swept = now
	return false
}

// watch registers what an administrator alarms on.
func (o *outbox) watch(f promauto.Factory, ended *prometheus.CounterVec) {
	if o == nil {
		return
	}
	for _, l := range o.lanes {
		for _, outcome := range []string{pushSent, pushWithdrawn, pushDead, pushRefused, pushExpired, pushOverflow, pushUnwritten} {
			ended.WithLabelValues(l.Name, outcome)
		}
		labels := prometheus.Labels{"channel": l.Name}
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_pushes_waiting", Help: "Outbox rows that wait to be sent.", ConstLabels: labels},
			func() float64 { return float64(l.waiting.Load()) })
		f.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_pushes_failing", Help: "1 while no push goes out.", ConstLabels: labels},
			func() float64 {
				if l.failing.Load() {
					return 1
				}
				return 0
			})
	}
}
