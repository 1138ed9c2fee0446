package component

import (
	"context"
	"errors"
	"time"

	"tlim/store"
)

// OldRows is where clean-up finds what is old. *store.Store implements it.
type OldRows interface {
	State(ctx context.Context) (store.State, error)
	OldMessages(ctx context.Context, until int64, after store.Old, limit int) ([]store.Old, error)
	WalkOffline(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkIDs(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkFormers(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	OddMessages(ctx context.Context, after int64) (int, error)
	ReceiptCounts(ctx context.Context, msgIDs []string) (map[string]int, error)
	FilesBefore(ctx context.Context, t int64, limit int) ([]string, error)
	CountFilesBefore(ctx context.Context, t int64) (int, error)
}

// cleanPage is how many keys one read answers.
const cleanPage = 2000

// CountOld counts what a clean-up would remove now, and changes nothing.
func CountOld(ctx context.Context, rows OldRows, cfg CleanupConfig, now time.Time) (Cleaned, error) {
	var found Cleaned
	old, err := newOldWalk(ctx, rows, cfg, now)
	if err != nil {
		return found, err
	}
	count := func(n *int) func([]store.Old) error {
		return func(rows []store.Old) error { *n += len(rows); return nil }
	}
	messages := func(page []store.Old) error {
		found.Messages += len(page)
		ids := make([]string, 0, len(page))
		for _, m := range page {
			ids = append(ids, m.MsgID)
		}
		counts, err := rows.ReceiptCounts(ctx, ids)
		for _, n := range counts {
			found.Receipts += n
		}
		return err
	}
	err = errors.Join(old.messages(ctx, messages), old.pending(ctx, count(&found.Offline)),
		old.ids(ctx, count(&found.IDs)), old.formers(ctx, count(&found.Formers)))
	if err == nil && cfg.FilesDays > 0 {
		found.Files, err = rows.CountFilesBefore(ctx, now.AddDate(0, 0, -cfg.FilesDays).UnixMilli())
	}
	if err != nil {
		return found, err
	}
	return found, old.count(ctx, &found)
}

// oldWalk finds old rows, table by table. Its methods hand over pages of rows of which the last may be removed by then.
type oldWalk struct {
	rows    OldRows
	cfg     CleanupConfig
	now     time.Time
	settled int64  // nothing above it is removed: it may have to be delivered or queued again
	odd     [2]int // rows met, of messages and of offline rows, whose time is none
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
	return walk(ctx, w.rows.WalkOffline, w.until(w.cfg.OfflineDays), &w.odd[1], visit)
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

// count adds up the odd rows: those that the walks met, and the messages that they cannot meet.
func (w *oldWalk) count(ctx context.Context, c *Cleaned) error {
	c.OddMessages, c.OddOffline = w.odd[0], w.odd[1]
	if w.cfg.Days <= 0 {
		return nil
	}
	n, err := w.rows.OddMessages(ctx, w.now.Add(day).UnixMilli())
	c.OddMessages += n
	return err
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
			switch t, ok := store.ParseTime(row.Time); {
			case ok && t <= until:
				old = append(old, row)
			case !ok:
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
