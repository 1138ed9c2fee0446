package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// lifecycle ends what was begun: named steps, the last registered first, all of them within one time limit. The zero value
// with a log is ready for use.
type lifecycle struct {
	log *slog.Logger

	mu    sync.Mutex
	steps []step
	ended bool
	err   error
}

type step struct {
	name string
	stop func(ctx context.Context) error
}

// onStop registers a step. When the end has come already, the step is run at once with a context that is done: what is
// begun late must not stay behind.
func (l *lifecycle) onStop(name string, stop func(ctx context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.steps = append(l.steps, step{name, stop})
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := stop(ctx); err != nil {
		l.log.Warn("a part that began during the stop did not end well", "part", name, "error", err)
	}
}

// reserve is the share of the time limit that a step leaves to each one after it: a database that hangs must not cost the
// server its ordered end of stream.
const reserve = 20 // a twentieth

// stop runs the steps. A step that has not ended when its time is up is left behind and reported; the next one is run all the
// same. Called again, it waits for the first call and returns its error.
func (l *lifecycle) stop(timeout time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return l.err
	}
	l.ended = true
	end := time.Now().Add(timeout)
	after := len(l.steps)
	for _, s := range slices.Backward(l.steps) {
		after--
		if err := runStep(s, end.Add(-time.Duration(after)*timeout/reserve)); err != nil {
			l.log.Warn("a part did not end well", "part", s.name, "error", err)
			l.err = errors.Join(l.err, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	return l.err
}

// errOverdue is what a step that had to be left behind returns.
var errOverdue = errors.New("did not end in time and was left behind")

// overdue is what a step gets after its deadline to act on its cancelled context.
const overdue = 200 * time.Millisecond

func runStep(s step, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	done := make(chan error, 1) // room for the one result, so that a step left behind can still end
	go func() { done <- s.stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(overdue)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errOverdue
	}
}
