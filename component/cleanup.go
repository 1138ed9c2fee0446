package component

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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

// OldRows is where clean-up finds what is old. *store.Store implements it.
type OldRows interface {
	State(ctx context.Context) (store.State, error)
	OldMessages(ctx context.Context, until int64, after store.Old, limit int) ([]store.Old, error)
	WalkPending(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkIDs(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkFormers(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	OddTimes(ctx context.Context) (messages, pending int, err error)
	FilesBefore(ctx context.Context, t int64, limit int) ([]string, error)
}

// Files is where the bytes of uploaded files lie.
type Files interface {
	// Remove removes the bytes of a file; none there is no error.
	Remove(ctx context.Context, id string) error
	// Sweep removes what was put before t and has no row, and what broken uploads left; it says how much.
	Sweep(ctx context.Context, t time.Time) (int, error)
}

// Cleaned counts what one clean-up removed, or would remove.
type Cleaned struct {
	Messages, Pending, IDs, Formers, Files, Orphans int
	// Odd rows have a time that is no 13-digit number: nobody can say how old they are, and they stay.
	OddMessages, OddPending int
}

func (c Cleaned) removed() int {
	return c.Messages + c.Pending + c.IDs + c.Formers + c.Files + c.Orphans
}

const (
	cleanRows  = 500                    // of one transaction
	cleanPage  = 2000                   // keys of one read
	cleanPause = 100 * time.Millisecond // after each transaction: other writers and replicas get their turn
	sweepAge   = 24 * time.Hour         // no upload takes longer; younger bytes without a row may be one
	day        = 24 * time.Hour
)

// cleaner removes what is old: at the next local midnight, then at each interval.
type cleaner struct {
	s     *Service
	cfg   CleanupConfig
	files Files // nil: none are kept here
	wait  func(ctx context.Context, d time.Duration) bool
	odd   [2]int // what was last said of odd rows
}

func (c *cleaner) run(ctx context.Context) {
	if !c.cfg.Enabled {
		return
	}
	for next := firstClean(c.s.now()); c.wait(ctx, next.Sub(c.s.now())); next = nextClean(next, c.s.now(), c.cfg.Interval) {
		done, err := c.clean(ctx)
		c.report(done, err, ctx.Err() != nil)
	}
}

// firstClean is the next midnight of the machine's time zone.
func firstClean(now time.Time) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, now.Location())
}

// nextClean is the first time after now that lies whole intervals behind last. Whole days stay at midnight when the clocks
// are changed.
func nextClean(last, now time.Time, interval time.Duration) time.Time {
	for next := last; ; {
		if interval%day == 0 {
			next = next.AddDate(0, 0, int(interval/day))
		} else {
			next = next.Add(interval)
		}
		if next.After(now) {
			return next
		}
	}
}

func (c *cleaner) report(done Cleaned, err error, stopped bool) {
	m := c.s.metrics.cleanup
	m.odd.WithLabelValues("ofmessage").Set(float64(done.OddMessages))
	m.odd.WithLabelValues("ofcustomoffline").Set(float64(done.OddPending))
	attrs := []any{slog.Int("messages", done.Messages), slog.Int("offline", done.Pending), slog.Int("ids", done.IDs),
		slog.Int("formers", done.Formers), slog.Int("files", done.Files), slog.Int("orphans", done.Orphans)}
	switch {
	case stopped: // what is left is for the next time
	case err != nil:
		m.failures.Inc()
		c.s.log.Error("clean-up did not come to its end; it goes on at the next time", append(attrs, "error", err)...)
	default:
		m.last.Set(float64(c.s.now().Unix()))
		if done.removed() > 0 {
			c.s.log.Info("clean-up removed what was old", attrs...)
		}
		if odd := [2]int{done.OddMessages, done.OddPending}; odd != c.odd {
			c.odd = odd
			c.s.log.Warn("rows whose msg_time is no 13-digit number are left alone by clean-up", "ofmessage", odd[0], "ofcustomoffline", odd[1])
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
	remove := func(del func(context.Context, int64, []store.Old) error, counted func(int)) func([]store.Old) error {
		return func(rows []store.Old) error {
			for len(rows) > 0 {
				n := min(len(rows), cleanRows)
				if err := del(ctx, s.epoch, rows[:n]); err != nil {
					return err
				}
				counted(n)
				rows = rows[n:]
				if !c.wait(ctx, cleanPause) {
					return ctx.Err()
				}
			}
			return nil
		}
	}
	var failed error
	steps := []func() error{
		func() error {
			return old.messages(ctx, remove(s.store.DeleteMessages, count("messages", &done.Messages)))
		},
		func() error { return old.pending(ctx, remove(s.store.DeletePending, count("offline", &done.Pending))) },
		func() error {
			return c.ids(ctx, old, failed != nil, remove(s.store.DeleteIDs, count("ids", &done.IDs)))
		},
		func() error { return old.formers(ctx, remove(s.store.DeleteFormers, count("formers", &done.Formers))) },
		func() error { return c.cleanFiles(ctx, count("files", &done.Files), count("orphans", &done.Orphans)) },
	}
	for _, step := range steps { // a table that fails does not keep the others full
		if err := step(); err != nil {
			failed = errors.Join(failed, err)
			if ctx.Err() != nil || errors.Is(err, store.ErrFenced) {
				return done, failed
			}
		}
	}
	done.OddMessages, done.OddPending, err = old.oddTimes(ctx)
	return done, errors.Join(failed, err)
}

// ids forgets old message ids. Where messages outlive the memory of their ids, an id that is not remembered is looked up among
// them from now on: a message that is sent again must not be stored twice.
func (c *cleaner) ids(ctx context.Context, old *oldWalk, messagesStay bool, remove func([]store.Old) error) error {
	messagesStay = messagesStay || c.cfg.Days <= 0 || c.cfg.Days > c.cfg.IDs
	return old.ids(ctx, func(rows []store.Old) error {
		if messagesStay {
			if err := c.s.do(ctx, &call{plan: func(_ context.Context, b *batch) error { b.s.adopted = true; return nil }}); err != nil {
				return err
			}
			messagesStay = false
		}
		return remove(rows)
	})
}

// cleanFiles removes old files, their rows first: bytes without a row are an orphan, a row without bytes would be a broken
// link. Then the orphans go, of which a kill between bytes and row leaves some.
func (c *cleaner) cleanFiles(ctx context.Context, files, orphans func(int)) error {
	if c.files == nil {
		return nil
	}
	for c.cfg.FilesDays > 0 {
		ids, err := c.s.store.FilesBefore(ctx, c.s.now().AddDate(0, 0, -c.cfg.FilesDays).UnixMilli(), cleanRows)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		if err := c.s.store.DeleteFiles(ctx, ids); err != nil {
			return err
		}
		files(len(ids))
		for _, id := range ids {
			if err := c.files.Remove(ctx, id); err != nil {
				return err // the sweep finds the rest, today or tomorrow
			}
		}
		if !c.wait(ctx, cleanPause) {
			return ctx.Err()
		}
	}
	n, err := c.files.Sweep(ctx, c.s.now().Add(-sweepAge))
	orphans(n)
	return err
}

// CountOld counts what a clean-up would remove now, and changes nothing. Orphaned bytes of files are not counted.
func CountOld(ctx context.Context, rows OldRows, cfg CleanupConfig, now time.Time) (Cleaned, error) {
	var found Cleaned
	old, err := newOldWalk(ctx, rows, cfg, now)
	if err != nil {
		return found, err
	}
	count := func(n *int) func([]store.Old) error {
		return func(rows []store.Old) error { *n += len(rows); return nil }
	}
	err = errors.Join(old.messages(ctx, count(&found.Messages)), old.pending(ctx, count(&found.Pending)),
		old.ids(ctx, count(&found.IDs)), old.formers(ctx, count(&found.Formers)))
	if err != nil {
		return found, err
	}
	if cfg.FilesDays > 0 {
		ids, err := rows.FilesBefore(ctx, now.AddDate(0, 0, -cfg.FilesDays).UnixMilli(), maxCounted)
		if err != nil {
			return found, err
		}
		found.Files = len(ids)
	}
	found.OddMessages, found.OddPending, err = old.oddTimes(ctx)
	return found, err
}

const maxCounted = 1_000_000 // files that a dry run counts

// oldWalk finds old rows, table by table. Its methods hand over pages of rows of which the last may be removed by then.
type oldWalk struct {
	rows    OldRows
	cfg     CleanupConfig
	now     time.Time
	settled int64 // nothing above it is removed: it may have to be delivered or queued again
	odd     [2]int
}

func newOldWalk(ctx context.Context, rows OldRows, cfg CleanupConfig, now time.Time) (*oldWalk, error) {
	st, err := rows.State(ctx)
	if err != nil {
		return nil, err
	}
	return &oldWalk{rows: rows, cfg: cfg, now: now, settled: min(st.Delivered, st.Settled)}, nil
}

// until is the last time that is old enough, in epoch milliseconds.
func (w *oldWalk) until(days int) int64 {
	return min(w.now.AddDate(0, 0, -days).UnixMilli()-1, w.settled)
}

func (w *oldWalk) messages(ctx context.Context, visit func([]store.Old) error) error {
	if w.cfg.Days <= 0 {
		return nil
	}
	until := w.until(w.cfg.Days)
	return walk(ctx, func(ctx context.Context, after store.Old, limit int) ([]store.Old, error) {
		return w.rows.OldMessages(ctx, until, after, limit)
	}, until, &w.odd[0], visit)
}

func (w *oldWalk) pending(ctx context.Context, visit func([]store.Old) error) error {
	if w.cfg.OfflineDays <= 0 {
		return nil
	}
	return walk(ctx, w.rows.WalkPending, w.until(w.cfg.OfflineDays), &w.odd[1], visit)
}

func (w *oldWalk) ids(ctx context.Context, visit func([]store.Old) error) error {
	if w.cfg.IDs <= 0 {
		return nil
	}
	return walk(ctx, w.rows.WalkIDs, w.until(w.cfg.IDs), new(int), visit)
}

// formers go when no late notice of theirs is taken any more, and no replay needs to know that they were members.
func (w *oldWalk) formers(ctx context.Context, visit func([]store.Old) error) error {
	until := min(w.now.UnixMilli(), w.settled) - formerTime.Milliseconds() - 1
	return walk(ctx, w.rows.WalkFormers, until, new(int), visit)
}

// oddTimes is what the walks met of 13 characters that are no number, and all of another length.
func (w *oldWalk) oddTimes(ctx context.Context) (messages, pending int, err error) {
	messages, pending, err = w.rows.OddTimes(ctx)
	return messages + w.odd[0], pending + w.odd[1], err
}

// walk reads all pages and hands on the rows with a time at or before until.
func walk(ctx context.Context, next func(context.Context, store.Old, int) ([]store.Old, error), until int64, odd *int, visit func([]store.Old) error) error {
	for after := (store.Old{}); ; {
		page, err := next(ctx, after, cleanPage)
		if err != nil {
			return err
		}
		var old []store.Old
		for _, row := range page {
			switch t, ok := rowTime(row.Time); {
			case ok && t <= until:
				old = append(old, row)
			case !ok && len(row.Time) == 13:
				*odd++
			}
		}
		if len(old) > 0 {
			if err := visit(old); err != nil {
				return err
			}
		}
		if len(page) < cleanPage {
			return nil
		}
		after = page[len(page)-1]
	}
}

// rowTime reads a time of 13 digits.
func rowTime(text string) (int64, bool) {
	if len(text) != 13 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	return parseMillis(text), true
}
