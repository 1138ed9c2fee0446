package blob

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// orphanAge is when bytes without a row count as left behind: no upload takes a day.
	orphanAge = 24 * time.Hour
	// sweepPeriod lies between two sweeps.
	sweepPeriod = 24 * time.Hour
)

// Sweeper sweeps once a day and logs what it removed. Make it with [NewSweeper].
type Sweeper struct {
	blobs Blobs
	known func(context.Context, []string) (map[string]bool, error)
	log   *slog.Logger
}

// NewSweeper makes a Sweeper; known says which ids have a row, as for [Sweep].
func NewSweeper(b Blobs, known func(context.Context, []string) (map[string]bool, error), log *slog.Logger) *Sweeper {
	return &Sweeper{blobs: b, known: known, log: log}
}

// Run sweeps at once and then once a day, until ctx ends, whose error it returns. A sweep that fails is logged; the next one tries
// again.
func (s *Sweeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepPeriod)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Sweeper) sweep(ctx context.Context) {
	swept, err := Sweep(ctx, s.blobs, time.Now().Add(-orphanAge), s.known)
	if swept != (Swept{}) {
		s.log.Info("files that belong to no upload are removed", "orphans", swept.Orphans, "broken", swept.Broken)
	}
	switch {
	case errors.Is(err, ErrForeign):
		s.log.Error("files have no row in this database, so none of them is removed", "error", err,
			"remedy", "is this the right store.dsn? one folder or bucket is for one tlim")
	case err != nil && ctx.Err() == nil:
		s.log.Warn("files that belong to no upload are not all removed; tomorrow again", "error", err)
	}
}
