package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tlim/store"
)

// CleanupConfig is cleanup.* of CONFIG.md; days, 0 = never.
type CleanupConfig struct {
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

// Cleaned counts what one clean-up removed, or would remove.
type Cleaned struct {
	Messages, Offline, IDs, Formers, Files int
	// Receipts go with their messages; only [CountOld] counts them.
	Receipts int
	// Odd rows have a time that is no 13-digit number, or one that is yet to come: nobody can say how old they are, and they
	// stay. They are counted in tables that are cleaned up.
	OddMessages, OddOffline int
}

func (c Cleaned) removed() int {
	return c.Messages + c.Offline + c.IDs + c.Formers + c.Files
}

const (
	cleanRows  = 500                    // of one transaction
	cleanPause = 100 * time.Millisecond // after each transaction: other writers and replicas get their turn
)

// cleaner removes what is old: at the next local midnight, then at each interval.
type cleaner struct {
	s     *Service
	cfg   CleanupConfig
	files Files // nil: none are kept here
	wait  func(ctx context.Context, d time.Duration) error
	log   *slog.Logger
	odd   [2]int // what was last said of odd rows
}

func (c *cleaner) run(ctx context.Context) {
	if !c.cfg.Enabled {
		return
	}
	for next := firstClean(c.s.now()); c.wait(ctx, next.Sub(c.s.now())) == nil; next = nextClean(next, c.s.now(), c.cfg.Interval) {
		done, err := c.clean(ctx)
		c.report(done, err, ctx.Err() != nil)
	}
}

func (c *cleaner) report(done Cleaned, err error, stopped bool) {
	m := c.s.metrics.cleanup
	attrs := []any{slog.Int("messages", done.Messages), slog.Int("offline", done.Offline), slog.Int("ids", done.IDs),
		slog.Int("formers", done.Formers), slog.Int("files", done.Files)}
	switch {
	case stopped: // what is left is for the next time
	case err != nil:
		m.failures.Inc()
		c.log.Error("clean-up did not come to its end; it goes on at the next time", append(attrs, "error", err)...)
	default:
		m.last.Set(float64(c.s.now().Unix()))
		m.odd.WithLabelValues("ofmessage").Set(float64(done.OddMessages))
		m.odd.WithLabelValues("ofcustomoffline").Set(float64(done.OddOffline))
		if done.removed() > 0 {
			c.log.Info("clean-up removed what was old", attrs...)
		}
		if odd := [2]int{done.OddMessages, done.OddOffline}; odd != c.odd {
			c.odd = odd
			c.log.Warn("rows whose msg_time is no 13-digit number, or is yet to come, are left alone by clean-up", "ofmessage", odd[0], "ofcustomoffline", odd[1])
		}
	}
}

// clean removes what is old now. After an error what was removed is counted, and the next call goes on.
func (c *cleaner) clean(ctx context.Context) (Cleaned, error) {
	s := c.s
	var done Cleaned
	count := func(what string, n *int) func(int) {
		return func(k int) {
			*n += k
			s.metrics.cleanup.rows.WithLabelValues(what).Add(float64(k))
		}
	}
	old, err := newOldWalk(ctx, s.store, c.cfg, s.now())
	if err != nil {
		return done, err
	}
	remove := func(del func(context.Context, int64, []store.Old) (int, error), counted func(int)) func([]store.Old) error {
		return func(rows []store.Old) error {
			for len(rows) > 0 {
				n, err := del(ctx, s.epoch, rows[:min(len(rows), cleanRows)])
				if err != nil {
					return err
				}
				counted(n)
				rows = rows[n:]
				if c.wait(ctx, cleanPause) != nil {
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
	steps := []func() error{
		func() error {
			return old.messages(ctx, remove(s.store.DeleteMessages, count("messages", &done.Messages)))
		},
		func() error {
			return old.pending(ctx, remove(all(s.store.DeleteOffline), count("offline", &done.Offline)))
		},
		func() error {
			return c.ids(ctx, old, failed != nil, remove(all(s.store.DeleteIDs), count("ids", &done.IDs)))
		},
		func() error {
			return old.formers(ctx, remove(all(s.store.DeleteFormers), count("formers", &done.Formers)))
		},
		func() error { return c.cleanFiles(ctx, count("files", &done.Files)) },
	}
	for _, step := range steps { // a table that fails does not keep the others full
		if err := step(); err != nil {
			failed = errors.Join(failed, err)
			if ctx.Err() != nil || errors.Is(err, store.ErrFenced) {
				return done, failed
			}
		}
	}
	return done, errors.Join(failed, old.count(ctx, &done))
}

// ids forgets old message ids. Where messages outlive the memory of their ids, an id that is not remembered is looked up among
// them from now on: a message that is sent again must not be stored twice.
func (c *cleaner) ids(ctx context.Context, old *oldWalk, messagesStay bool, remove func([]store.Old) error) error {
	messagesStay = messagesStay || c.cfg.Days <= 0 || c.cfg.Days > c.cfg.IDs
	return old.ids(ctx, func(rows []store.Old) error {
		if messagesStay {
			if err := c.s.do(ctx, &task{plan: func(_ context.Context, b *batch) error { b.s.adopted = true; return nil }}); err != nil {
				return err
			}
			messagesStay = false
		}
		return remove(rows)
	})
}

// cleanFiles removes old files, their rows first: a row without bytes would be a broken link, and bytes without a row are
// swept by their keeper.
func (c *cleaner) cleanFiles(ctx context.Context, counted func(int)) error {
	if c.files == nil || c.cfg.FilesDays <= 0 {
		return nil
	}
	for {
		ids, err := c.s.store.FilesBefore(ctx, c.s.now().AddDate(0, 0, -c.cfg.FilesDays).UnixMilli(), cleanRows)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := c.s.store.DeleteFiles(ctx, ids); err != nil {
			return err
		}
		counted(len(ids))
		for _, id := range ids {
			if err := c.files.Remove(ctx, id); err != nil {
				return fmt.Errorf("remove file %s: %w", id, err)
			}
		}
		if c.wait(ctx, cleanPause) != nil {
			return ctx.Err()
		}
	}
}
