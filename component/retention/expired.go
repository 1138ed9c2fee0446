package retention

import (
	"context"
	"errors"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// Reader is where clean-up finds what is expired. *store.Store implements it.
type Reader interface {
	State(ctx context.Context) (store.State, error)
	OldMessages(ctx context.Context, until int64, after store.Old, limit int) ([]store.Old, error)
	WalkOffline(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkIDs(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	WalkFormers(ctx context.Context, after store.Old, limit int) ([]store.Old, error)
	OddMessages(ctx context.Context, after int64) (int, error)
	ReceiptCounts(ctx context.Context, msgIDs []string) (map[string]int, error)
	FilesBefore(ctx context.Context, t int64, limit int) ([]string, error)
	CountFilesBefore(ctx context.Context, t int64) (int, error)
	AuditBefore(ctx context.Context, t int64, limit int) ([]string, error)
	CountAuditBefore(ctx context.Context, t int64) (int, error)
}

// pageRows is how many keys one read answers.
const pageRows = 2000

// Count counts what a clean-up would remove now, and changes nothing.
func Count(ctx context.Context, rows Reader, cfg Config, now time.Time) (Removed, error) {
	var found Removed
	walk, err := newExpired(ctx, rows, cfg, now)
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
	err = errors.Join(walk.messages(ctx, messages), walk.offline(ctx, count(&found.Offline)),
		walk.ids(ctx, count(&found.IDs)), walk.formers(ctx, count(&found.Formers)))
	if err == nil && cfg.FilesDays > 0 {
		found.Files, err = rows.CountFilesBefore(ctx, now.AddDate(0, 0, -cfg.FilesDays).UnixMilli())
	}
	if err == nil {
		found.Audit, err = rows.CountAuditBefore(ctx, auditBefore(now))
	}
	if err != nil {
		return found, err
	}
	return found, walk.count(ctx, &found)
}

// AuditDays is for how many days it is known what administrators did.
const AuditDays = 400

func auditBefore(now time.Time) int64 { return now.AddDate(0, 0, -AuditDays).UnixMilli() }

// expired finds expired rows, table by table. Its methods hand over pages of rows of which the last may be removed by then.
type expired struct {
	rows    Reader
	cfg     Config
	now     time.Time
	settled int64  // nothing above it is removed: it may have to be delivered or queued again
	odd     [2]int // rows met, of messages and of offline rows, whose time is none
}

func newExpired(ctx context.Context, rows Reader, cfg Config, now time.Time) (*expired, error) {
	st, err := rows.State(ctx)
	if err != nil {
		return nil, err
	}
	return &expired{rows: rows, cfg: cfg, now: now, settled: min(st.Delivered, st.Settled)}, nil
}

// until is the last time that is old enough, in epoch milliseconds.
func (e *expired) until(days int) int64 {
	return min(e.now.AddDate(0, 0, -days).UnixMilli()-1, e.settled)
}

func (e *expired) messages(ctx context.Context, visit func([]store.Old) error) error {
	if e.cfg.Days <= 0 {
		return nil
	}
	until := e.until(e.cfg.Days)
	return walk(ctx, func(ctx context.Context, after store.Old, limit int) ([]store.Old, error) {
		return e.rows.OldMessages(ctx, until, after, limit)
	}, until, &e.odd[0], visit)
}

func (e *expired) offline(ctx context.Context, visit func([]store.Old) error) error {
	if e.cfg.OfflineDays <= 0 {
		return nil
	}
	return walk(ctx, e.rows.WalkOffline, e.until(e.cfg.OfflineDays), &e.odd[1], visit)
}

func (e *expired) ids(ctx context.Context, visit func([]store.Old) error) error {
	if e.cfg.IDs <= 0 {
		return nil
	}
	return walk(ctx, e.rows.WalkIDs, e.until(e.cfg.IDs), new(int), visit)
}

// formers go when no late notice of theirs is taken any more, and no replay needs to know that they were members.
func (e *expired) formers(ctx context.Context, visit func([]store.Old) error) error {
	until := min(e.now.UnixMilli(), e.settled) - protocol.FormerTime.Milliseconds() - 1
	return walk(ctx, e.rows.WalkFormers, until, new(int), visit)
}

// count adds up the odd rows: those that the walks met, and the messages that they cannot meet.
func (e *expired) count(ctx context.Context, c *Removed) error {
	c.OddMessages, c.OddOffline = e.odd[0], e.odd[1]
	if e.cfg.Days <= 0 {
		return nil
	}
	n, err := e.rows.OddMessages(ctx, e.now.Add(day).UnixMilli())
	c.OddMessages += n
	return err
}

// walk reads all pages and hands on the rows with a time at or before until.
func walk(ctx context.Context, next func(context.Context, store.Old, int) ([]store.Old, error), until int64, odd *int, visit func([]store.Old) error) error {
	for after := (store.Old{}); ; {
		page, err := next(ctx, after, pageRows)
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
		if len(page) < pageRows {
			return nil
		}
		after = page[len(page)-1]
	}
}
