package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

const (
	maxPurgeRows = 500 // of one transaction
	purgePeriod  = 30 * time.Second
	purgePause   = 50 * time.Millisecond // lets other writers in
)

// PurgeStore is what a Purger needs of the database. *store.Store implements it.
type PurgeStore interface {
	Purges(ctx context.Context) ([]store.Purge, error)
	PurgeQueue(ctx context.Context, epoch int64, p store.Purge, except string) (bool, error)
	PurgeSome(ctx context.Context, epoch int64, p store.Purge, limit int) (bool, error)
}

// Purger removes what dissolved groups leave: what still waits for phones, messages, receipts and announcements.
type Purger struct {
	store     PurgeStore
	epoch     func() int64
	delivered func() int64
	notice    string
	log       *slog.Logger
	wake      trigger.Trigger
}

// NewPurger makes a Purger. epoch is the term in which this process owns the database, delivered the time up to which messages need not be
// delivered again: the notices of a dissolution are purged after that. They are of the type notice, and wait in the queues until phones have them.
func NewPurger(s PurgeStore, epoch, delivered func() int64, notice string, log *slog.Logger) *Purger {
	return &Purger{store: s, epoch: epoch, delivered: delivered, notice: notice, log: log, wake: trigger.New()}
}

// Wake tells that a group was dissolved. It does not block.
func (p *Purger) Wake() { p.wake.Fire() }

// Run purges until ctx ends. What is left then is found at the next start.
func (p *Purger) Run(ctx context.Context) {
	p.wake.Loop(ctx, purgePeriod, func(ctx context.Context) {
		if err := p.Purge(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
			p.log.Warn("removing what dissolved sessions left failed; it is tried again", "error", err)
		}
	})
}

// Purge removes what can be removed now.
func (p *Purger) Purge(ctx context.Context) error {
	list, err := p.store.Purges(ctx)
	if err != nil {
		return err
	}
	for _, left := range list {
		if err := p.all(ctx, func() (bool, error) { return p.store.PurgeQueue(ctx, p.epoch(), left, p.notice) }); err != nil {
			return err
		}
		if protocol.TimeOrZero(left.Time) > p.delivered() {
			continue // the notices are still to be delivered, perhaps by replay
		}
		if err := p.all(ctx, func() (bool, error) { return p.store.PurgeSome(ctx, p.epoch(), left, maxPurgeRows) }); err != nil {
			return err
		}
		p.log.Info("removed what a dissolved session left", "session_id", left.SessionID)
	}
	return nil
}

// all removes some until there is no more, and lets other writers in behind each.
func (p *Purger) all(ctx context.Context, some func() (done bool, err error)) error {
	for {
		done, err := some()
		if err == nil {
			err = pause.For(ctx, purgePause)
		}
		if done || err != nil {
			return err
		}
	}
}
