package httpapi

import (
	"context"
	"errors"
	"time"

	"tlim/component"
)

// shortCount is how long a call waits for a count; small sites have it by then.
const shortCount = 2 * time.Second

// cleanup says what a clean-up would remove, and how far the one under way is.
func (a *API) cleanup(ctx context.Context, r *request) (any, error) {
	count := r.bit("count")
	if r.err != nil {
		return nil, r.err
	}
	if count == 1 {
		wait, cancel := context.WithTimeout(ctx, a.countWait)
		defer cancel()
		if err := a.svc.CountCleanup(wait); err != nil {
			return nil, err
		}
	}
	type table struct {
		Days int    `json:"kept_days"`
		Odd  int    `json:"left_alone"`
		Rows int    `json:"rows"`
		Name string `json:"table"`
	}
	s := a.svc.Cleanup()
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
		out["run"] = runOf(s)
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

func runOf(s component.CleanupState) run {
	p := s.Run
	out := run{By: p.By, Err: p.Err, Nightly: p.By == "", Removed: []removed{}, Started: p.Started.UnixMilli(), State: p.State, Table: p.Table}
	if !p.Ended.IsZero() {
		out.Ended = p.Ended.UnixMilli()
	}
	for _, t := range p.Removed.Tables(s.Config) {
		if t.Rows > 0 {
			out.Removed = append(out.Removed, removed{t.Rows, t.Name})
		}
	}
	return out
}

// runCleanup begins a clean-up.
func (a *API) runCleanup(ctx context.Context, r *request) (any, error) {
	e := a.event(r, r.path, "", "")
	s, err := a.svc.StartCleanup(ctx, e)
	if errors.Is(err, component.ErrCleanupRuns) {
		return nil, a.refused(ctx, e, refusal(resultFail, textCleanupRuns))
	}
	if err != nil {
		return nil, err
	}
	return object{"run": runOf(s)}, nil
}

// stopCleanup ends the clean-up under way.
func (a *API) stopCleanup(ctx context.Context, r *request) (any, error) {
	return object{}, a.svc.StopCleanup(ctx, a.event(r, r.path, "", ""))
}
