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

// lifecycle runs the parts of the product and ends them: named steps, the last registered first, all of them within one time limit.
// A step is a part that runs in the background, or what releases something that was opened.
type lifecycle struct {
	log    *slog.Logger
	failed chan error // room for one: the first part that ended by itself counts

	mu    sync.Mutex
	steps []step
	ended bool
	err   error
}

func newLifecycle(log *slog.Logger) lifecycle {
	return lifecycle{log: log, failed: make(chan error, 1)}
}

// part is what runs in the background from its start until the stop.
type part struct {
	name string
	// run works until ctx ends or drain has made it end. When it returns before the stop, that is reported by failed.
	run func(ctx context.Context) error
	// drain is called by the stop while run still works, to end in order; ctx has the time for that. Nil: nothing to do.
	drain func(ctx context.Context) error
}

// start runs a part, and registers the step that ends it.
func (l *lifecycle) start(p part) {
	ctx, cancel := context.WithCancel(context.Background())
	stopping := make(chan struct{}) // closed when the stop comes to this part
	done := make(chan error, 1)     // the part's one result; taken only by the stop
	go func() {
		err := p.run(ctx)
		select {
		case <-stopping:
		default:
			if err == nil {
				err = errors.New("ended by itself")
			}
			l.fail(fmt.Errorf("%s: %w", p.name, err))
			err = nil // reported
		}
		done <- err
	}()
	l.onStop(p.name, func(stop context.Context) error {
		defer cancel()
		close(stopping)
		var early error
		if p.drain != nil {
			early = p.drain(stop)
		}
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) {
			err = nil
		}
		return errors.Join(early, err)
	})
}

func (l *lifecycle) fail(err error) {
	select {
	case l.failed <- err:
	default:
	}
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
	if err := runStep(step{name, stop}, time.Now()); err != nil {
		l.log.Warn("a part that began during the stop did not end well", "part", name, "error", err)
	}
}

// first makes the stop begin with that step, although others were registered after it.
func (l *lifecycle) first(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.steps, func(s step) bool { return s.name == name })
	if i >= 0 {
		s := l.steps[i]
		l.steps = append(slices.Delete(l.steps, i, i+1), s)
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
