package httpapi

import (
	"context"
	"errors"
	"time"

	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/store"
)

// Cleanup removes what is old. *retention.Cleaner implements it; what its methods promise is told there.
type Cleanup interface {
	State() retention.State
	Count(ctx context.Context) error
	Start(ctx context.Context, e store.AuditEvent) (retention.Progress, error)
	Stop(ctx context.Context, e store.AuditEvent) error
}

// shortCount is how long a call waits for a count; small sites have it by then.
const shortCount = 2 * time.Second

// cleanup says what a clean-up would remove, and how far the one under way is.
func (a *API) cleanup(ctx context.Context, r *request) (any, error) {
	count := r.bit("count")
	if r.err != nil {
		return nil, r.err
	}
	cleaner, err := a.cleaner()
	if err != nil {
		return nil, err
	}
	if count == 1 {
		wait, cancel := context.WithTimeout(ctx, a.countWait)
		defer cancel()
		if err := cleaner.Count(wait); err != nil {
			return nil, notNow(err)
		}
	}
	type table struct {
		Days int    `json:"kept_days"`
		Odd  int    `json:"left_alone"`
		Rows int    `json:"rows"`
		Name string `json:"table"`
	}
	s := cleaner.State()
	out := object{"enabled": s.Config.Enabled, "counting": s.Counting}
	switch {
	case s.Counted == nil:
	case s.Counted.Err != "":
		out["count_error"] = s.Counted.Err
	default:
		tables := []table{}
		for _, t := range s.Counted.Found.Tables(s.Config) {
			tables = append(tables, table{t.Days, t.Odd, t.Rows, t.Name})
		}
		out["counted"] = object{"at": s.Counted.At.UnixMilli(), "tables": tables}
	}
	if s.Run != nil {
		out["run"] = runOf(*s.Run)
	}
	return out, nil
}

// run is a clean-up as administrators see it.
type run struct {
	By      string    `json:"by,omitempty"`
	Ended   int64     `json:"ended,omitempty"`
	Err     string    `json:"error,omitempty"`
	Nightly bool      `json:"nightly"`
	Removed []removed `json:"removed"`
	Started int64     `json:"started"`
	State   string    `json:"state"`
	Table   string    `json:"table,omitempty"`
}

type removed struct {
	Rows int    `json:"rows"`
	Name string `json:"table"`
}

func runOf(p retention.Progress) run {
	out := run{By: p.By, Err: p.Err, Nightly: p.By == "", Removed: []removed{}, Started: p.Started.UnixMilli(), State: p.State, Table: p.Table}
	if !p.Ended.IsZero() {
		out.Ended = p.Ended.UnixMilli()
	}
	for _, t := range p.Removed.Tables(retention.Config{}) {
		if t.Rows > 0 {
			out.Removed = append(out.Removed, removed{t.Rows, t.Name})
		}
	}
	return out
}

// runCleanup begins a clean-up.
func (a *API) runCleanup(ctx context.Context, r *request) (any, error) {
	cleaner, err := a.cleaner()
	if err != nil {
		return nil, err
	}
	e := a.event(r, r.path, "", "")
	p, err := cleaner.Start(ctx, e)
	if errors.Is(err, retention.ErrRunning) {
		return nil, a.refused(ctx, e, refusal(resultFail, textCleanupRuns))
	}
	if err != nil {
		return nil, notNow(err)
	}
	return object{"run": runOf(p)}, nil
}

// stopCleanup ends the clean-up under way.
func (a *API) stopCleanup(ctx context.Context, r *request) (any, error) {
	cleaner, err := a.cleaner()
	if err != nil {
		return nil, err
	}
	if err := cleaner.Stop(ctx, a.event(r, r.path, "", "")); err != nil {
		return nil, notNow(err)
	}
	return object{}, nil
}

// cleaner is who cleans up; ErrUnavailable while nobody does.
func (a *API) cleaner() (Cleanup, error) {
	if a.cfg.Cleanup == nil {
		return nil, protocol.ErrUnavailable
	}
	return a.cfg.Cleanup, nil
}

// notNow makes of what keeps a clean-up from beginning, or from being stopped, that it can be asked for again.
func notNow(err error) error { return errors.Join(protocol.ErrUnavailable, err) }
