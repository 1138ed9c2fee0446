package store

import (
	"context"
	"fmt"
)

const (
	auditColumns = `audit_id, ts, who, address, what, target, detail, outcome`

	auditPage   = `SELECT ` + auditColumns + ` FROM tlim_audit WHERE audit_id < ? ORDER BY audit_id DESC`
	auditOf     = `SELECT target, ts, outcome FROM tlim_audit WHERE what = ? AND target == (?*)`
	auditEnd    = `UPDATE tlim_audit SET outcome = ?, detail = ? WHERE audit_id == ?`
	auditOld    = `SELECT audit_id FROM tlim_audit WHERE ts < ?`
	auditCount  = `SELECT COUNT(*) FROM tlim_audit WHERE ts < ?`
	auditDelete = `DELETE FROM tlim_audit WHERE audit_id == (?*)`
)

// AuditEvent is a row of tlim_audit: something that an administrator changed, or tried to. Texts that are too long are cut: an
// administrator whose name is long is no reason to refuse a change.
type AuditEvent struct {
	ID      string // a UUID of version 7: newer ones sort higher
	Time    int64  // epoch milliseconds
	Who     string // the name of a key, or a user of the operating system
	Address string // where the call came from, or [CommandLine]
	What    string // a word for programs, such as keys/new
	Target  string // the id of what was changed; "" when it is no single thing
	Detail  string // for people
	Outcome string // see below
}

// CommandLine is the address of what a command did.
const CommandLine = "command line"

// The outcomes of an [AuditEvent]. Begun is what became of a change that takes several transactions and of which nobody has
// said how it ended: it is under way, or the process ended in it.
const (
	AuditBegun   = "begun"
	AuditDone    = "done"
	AuditRefused = "refused" // nothing was changed
	AuditFailed  = "failed"  // a part may be changed
	AuditStopped = "stopped"
)

// AddAudit writes an event in a transaction of its own: the begin of a change that takes several, or a refusal.
func (s *Store) AddAudit(ctx context.Context, e AuditEvent) error {
	if err := s.unfenced(ctx, func(ctx context.Context, t *tx) error { return t.addAudit(ctx, e) }); err != nil {
		return fmt.Errorf("audit %s: %w", e.What, err)
	}
	return nil
}

// AddAuditOnce is [Store.AddAudit] for what may be done to its target only once in a while: when the same was begun or done at since
// (epoch milliseconds) or later nothing is written, and its time is returned.
func (s *Store) AddAuditOnce(ctx context.Context, e AuditEvent, since int64) (before int64, err error) {
	err = s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		before = 0
		last := lastOf{}
		query := list(auditOf, 1)
		if err := t.query(ctx, statement{auditOf, 1}, func() string { return query }, []any{e.What, e.Target}, last.row); err != nil {
			return err
		}
		if at, was := last[e.Target]; was && at >= since {
			before = at
			return nil
		}
		return t.addAudit(ctx, e)
	})
	if err != nil {
		return 0, fmt.Errorf("audit %s: %w", e.What, err)
	}
	return before, nil
}

// LastAudit says when something was last begun or done to these targets (epoch milliseconds), as far as the log goes back.
func (s *Store) LastAudit(ctx context.Context, what string, targets []string) (map[string]int64, error) {
	last := lastOf{}
	err := s.in(ctx, auditOf, []any{what}, targets, nil, last.row)
	return last, err
}

// lastOf are the newest times of events that were not refused, by target.
type lastOf map[string]int64

func (l lastOf) row(scan scanner) error {
	var target, outcome text
	var at number
	err := scan(&target, &at, &outcome)
	if outcome != AuditRefused {
		l[string(target)] = max(l[string(target)], int64(at))
	}
	return err
}

// EndAudit says how an event ended that [Store.AddAudit] wrote.
func (s *Store) EndAudit(ctx context.Context, id, outcome, detail string) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		detail, err := t.decoration(ctx, tAudit, "detail", detail)
		if err != nil {
			return err
		}
		n, err := t.do(ctx, auditEnd, outcome, detail, id)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: there is no event %s", ErrData, id)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// AuditEvents reads at most limit events, newest first, from behind the one with this ID ("" = from the newest).
func (s *Store) AuditEvents(ctx context.Context, after string, limit int) ([]AuditEvent, error) {
	found := []AuditEvent{}
	if after == "" {
		after = "g" // no UUID begins so high
	}
	err := s.page(ctx, auditPage, []any{after}, Page{Length: limit}.length(), 0, func(scan scanner) error {
		var e AuditEvent
		err := scan((*text)(&e.ID), (*number)(&e.Time), (*text)(&e.Who), (*text)(&e.Address), (*text)(&e.What), (*text)(&e.Target), (*text)(&e.Detail), (*text)(&e.Outcome))
		found = append(found, e)
		return err
	})
	return found, err
}

// AuditBefore reads at most limit IDs of events that are older than t (epoch milliseconds).
func (s *Store) AuditBefore(ctx context.Context, t int64, limit int) (ids []string, err error) {
	err = s.page(ctx, auditOld, []any{millis(t)}, int64(limit), 0, func(scan scanner) error {
		ids = append(ids, "")
		return scan((*text)(&ids[len(ids)-1]))
	})
	return ids, err
}

// CountAuditBefore counts the events that are older than t (epoch milliseconds).
func (s *Store) CountAuditBefore(ctx context.Context, t int64) (n int, err error) {
	_, err = s.one(ctx, auditCount, []any{millis(t)}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

// DeleteAudit forgets events.
func (s *Store) DeleteAudit(ctx context.Context, epoch int64, ids []string) error {
	return s.clean(ctx, epoch, "audit events", len(ids), func(ctx context.Context, t *tx) error { return t.doIn(ctx, auditDelete, ids) })
}

func (t *tx) addAudit(ctx context.Context, e AuditEvent) error {
	r := t.s.rowsOf(tAudit, 1)
	r.add(e.ID, millis(e.Time), e.Who, e.Address, e.What, e.Target, e.Detail, e.Outcome)
	return t.insert(ctx, r)
}
