package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tlim/component/pause"
	"tlim/store"
)

// Config is cleanup.* of CONFIG.md; days, 0 = never.
type Config struct {
	Enabled     bool
	Interval    time.Duration
	Days        int // messages with their receipts
	OfflineDays int
	FilesDays   int
	IDs         int // remembered message ids
}

// Files is where the bytes of uploaded files lie.
type Files interface {
	// Remove removes the bytes of a file; none there is no error.
	Remove(ctx context.Context, id string) error
}

// Removed counts what one clean-up removed, or would remove.
type Removed struct {
	Messages, Offline, IDs, Formers, Files, Audit int
	// Receipts go with their messages; only [Count] counts them.
	Receipts int
	// Odd rows have a time that is no 13-digit number, or one that is yet to come: nobody can say how old they are, and they
	// stay. They are counted in tables that are cleaned up.
	OddMessages, OddOffline int
}

// Total is all of them but the receipts.
func (r Removed) Total() int {
	return r.Messages + r.Offline + r.IDs + r.Formers + r.Files + r.Audit
}

const (
	maxRows  = 500                    // of one transaction
	rowPause = 100 * time.Millisecond // after each transaction: other writers and replicas get their turn
)

// Store is what a Cleaner needs of the database. *store.Store implements it.
type Store interface {
	Reader
	DeleteMessages(ctx context.Context, epoch int64, rows []store.Old) (int, error)
	DeleteOffline(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteIDs(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteFormers(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteFiles(ctx context.Context, ids []string) error
	DeleteAudit(ctx context.Context, epoch int64, ids []string) error
}

// Deps are the parts that a Cleaner works with.
type Deps struct {
	Store Store
	Files Files        // nil: none are kept here
	Epoch func() int64 // the term in which this process owns the database
	// Forgetting is called before ids are forgotten whose messages stay: from its return on an id that is not remembered is looked up among
	// them, so that a message that is sent again is not stored twice. Nil: there is nobody here to tell, and such ids stay.
	Forgetting func(ctx context.Context) error
	Audit      AuditLog              // nil: nobody asks for clean-ups
	Progress   func(Progress)        // is told how far a clean-up is, after each transaction; nil: nobody
	Registry   prometheus.Registerer // nil: the metrics are not registered
	Log        *slog.Logger
	Now        func() time.Time
	Wait       func(ctx context.Context, d time.Duration) error // nil: pause.For
}

// Cleaner removes what is expired: at the next local midnight, then at each interval.
type Cleaner struct {
	Deps
	cfg     Config
	metrics *metrics
	odd     [2]int // what was last said of odd rows
	runs
}

// New makes a Cleaner. Nothing is removed yet.
func New(cfg Config, deps Deps) *Cleaner {
	if deps.Wait == nil {
		deps.Wait = pause.For
	}
	c := &Cleaner{Deps: deps, cfg: cfg, metrics: newMetrics(deps.Registry), runs: runs{slot: make(chan struct{}, 1), ready: make(chan struct{}), over: make(chan struct{})}}
	close(c.over)
	return c
}

// Run lets clean-ups work until ctx ends: those that are asked for, and the nightly ones, unless clean-up is switched off. It returns
// when the last of them has ended.
func (c *Cleaner) Run(ctx context.Context) {
	c.live(ctx)
	defer c.die()
	if !c.cfg.Enabled {
		<-ctx.Done()
		return
	}
	for next := firstClean(c.Now()); c.Wait(ctx, next.Sub(c.Now())) == nil; next = nextClean(next, c.Now(), c.cfg.Interval) {
		_, _ = c.Clean(ctx) // it was logged and counted
	}
}

// Clean removes what is expired now, and logs and counts it, when the clean-up before has ended. After an error what was removed is told
// nevertheless, and the next call goes on.
func (c *Cleaner) Clean(ctx context.Context) (Removed, error) {
	select {
	case c.slot <- struct{}{}:
	case <-ctx.Done():
		return Removed{}, ctx.Err()
	}
	return c.work(c.begin(ctx, ""), nil)
}

// work cleans up in the slot that was taken, tells ended how that ended, and frees the slot.
func (c *Cleaner) work(ctx context.Context, ended func(Progress)) (Removed, error) {
	done, err := c.clean(ctx)
	stopped := ctx.Err() != nil
	c.report(done, err, stopped)
	c.end(done, err, stopped, ended)
	return done, err
}

func (c *Cleaner) report(done Removed, err error, stopped bool) {
	m := c.metrics
	attrs := []any{slog.Int("messages", done.Messages), slog.Int("offline", done.Offline), slog.Int("ids", done.IDs),
		slog.Int("formers", done.Formers), slog.Int("files", done.Files), slog.Int("audit", done.Audit)}
	switch {
	case stopped: // what is left is for the next time
	case err != nil:
		m.failures.Inc()
		c.Log.Error("clean-up did not come to its end; it goes on at the next time", append(attrs, "error", err)...)
	default:
		m.last.Set(float64(c.Now().Unix()))
		m.odd.WithLabelValues("ofmessage").Set(float64(done.OddMessages))
		m.odd.WithLabelValues("ofcustomoffline").Set(float64(done.OddOffline))
		if done.Total() > 0 {
			c.Log.Info("clean-up removed what was old", attrs...)
		}
		if odd := [2]int{done.OddMessages, done.OddOffline}; odd != c.odd {
			c.odd = odd
			c.Log.Warn("rows whose msg_time is no 13-digit number, or is yet to come, are left alone by clean-up", "ofmessage", odd[0], "ofcustomoffline", odd[1])
		}
	}
}

// clean works table by table.
func (c *Cleaner) clean(ctx context.Context) (Removed, error) {
	var done Removed
	count := func(what string, n *int) func(int) {
		return func(k int) {
			*n += k
			c.told(done)
			c.metrics.rows.WithLabelValues(what).Add(float64(k))
		}
	}
	walk, err := newExpired(ctx, c.Store, c.cfg, c.Now())
	if err != nil {
		return done, err
	}
	remove := func(del func(context.Context, int64, []store.Old) (int, error), counted func(int)) func([]store.Old) error {
		return func(rows []store.Old) error {
			for len(rows) > 0 {
				n, err := del(ctx, c.Epoch(), rows[:min(len(rows), maxRows)])
				if err != nil {
					return err
				}
				counted(n)
				rows = rows[n:]
				if c.Wait(ctx, rowPause) != nil {
					return ctx.Err()
				}
			}
			return nil
		}
	}
	all := func(del func(context.Context, int64, []store.Old) error) func(context.Context, int64, []store.Old) (int, error) {
		return func(ctx context.Context, epoch int64, rows []store.Old) (int, error) {
			return len(rows), del(ctx, epoch, rows)
		}
	}
	var failed error
	steps := []struct {
		table string
		clean func() error
	}{
		{messageTable, func() error {
			return walk.messages(ctx, remove(c.Store.DeleteMessages, count("messages", &done.Messages)))
		}},
		{offlineTable, func() error {
			return walk.offline(ctx, remove(all(c.Store.DeleteOffline), count("offline", &done.Offline)))
		}},
		{idTable, func() error {
			return c.ids(ctx, walk, failed != nil, remove(all(c.Store.DeleteIDs), count("ids", &done.IDs)))
		}},
		{formerTable, func() error {
			return walk.formers(ctx, remove(all(c.Store.DeleteFormers), count("formers", &done.Formers)))
		}},
		{fileTable, func() error { return c.cleanFiles(ctx, count("files", &done.Files)) }},
		{auditTable, func() error { return c.cleanAudit(ctx, count("audit", &done.Audit)) }},
	}
	for _, step := range steps { // a table that fails does not keep the others full
		c.at(step.table)
		if err := step.clean(); err != nil {
			failed = errors.Join(failed, err)
			if ctx.Err() != nil || errors.Is(err, store.ErrFenced) {
				return done, failed
			}
		}
	}
	return done, errors.Join(failed, walk.count(ctx, &done))
}

// ids forgets the expired ids of messages.
func (c *Cleaner) ids(ctx context.Context, walk *expired, messagesStay bool, remove func([]store.Old) error) error {
	messagesStay = messagesStay || c.cfg.Days <= 0 || c.cfg.Days > c.cfg.IDs
	err := walk.ids(ctx, func(rows []store.Old) error {
		if messagesStay && c.Forgetting == nil {
			c.Log.Warn("ids whose messages stay are left to the clean-up of the process that serves")
			return errLeft
		}
		if messagesStay {
			if err := c.Forgetting(ctx); err != nil {
				return err
			}
			messagesStay = false
		}
		return remove(rows)
	})
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// errLeft ends a walk whose rows are not for this process to remove.
var errLeft = errors.New("left to another process")

// cleanAudit forgets what administrators did long ago.
func (c *Cleaner) cleanAudit(ctx context.Context, counted func(int)) error {
	for {
		ids, err := c.Store.AuditBefore(ctx, auditBefore(c.Now()), maxRows)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := c.Store.DeleteAudit(ctx, c.Epoch(), ids); err != nil {
			return err
		}
		counted(len(ids))
		if c.Wait(ctx, rowPause) != nil {
			return ctx.Err()
		}
	}
}

// cleanFiles removes old files, their rows first: a row without bytes would be a broken link, and bytes without a row are
// swept by their keeper.
func (c *Cleaner) cleanFiles(ctx context.Context, counted func(int)) error {
	if c.Files == nil || c.cfg.FilesDays <= 0 {
		return nil
	}
	for {
		ids, err := c.Store.FilesBefore(ctx, c.Now().AddDate(0, 0, -c.cfg.FilesDays).UnixMilli(), maxRows)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := c.Store.DeleteFiles(ctx, ids); err != nil {
			return err
		}
		counted(len(ids))
		for _, id := range ids {
			if err := c.Files.Remove(ctx, id); err != nil {
				return fmt.Errorf("remove file %s: %w", id, err)
			}
		}
		if c.Wait(ctx, rowPause) != nil {
			return ctx.Err()
		}
	}
}

// metrics tell what clean-up does.
type metrics struct {
	rows     *prometheus.CounterVec
	odd      *prometheus.GaugeVec
	failures prometheus.Counter
	last     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		rows: f.NewCounterVec(prometheus.CounterOpts{Name: "tlim_cleanup_removed_total",
			Help: "Rows and files that clean-up has removed, by what: messages, offline, ids, formers, files, audit. The receipts of messages go with them uncounted."}, []string{"what"}),
		odd: f.NewGaugeVec(prometheus.GaugeOpts{Name: "tlim_cleanup_left_alone",
			Help: "Rows of tables that are cleaned up whose msg_time is no 13-digit number, as the last clean-up found them."}, []string{"table"}),
		failures: f.NewCounter(prometheus.CounterOpts{Name: "tlim_cleanup_failures_total", Help: "Clean-ups that did not come to their end."}),
		last:     f.NewGauge(prometheus.GaugeOpts{Name: "tlim_cleanup_timestamp_seconds", Help: "When a clean-up last came to its end; 0: not since the start."}),
	}
}
