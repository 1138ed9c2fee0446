package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStepsEndInReverse(t *testing.T) {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	var order []string
	for _, name := range []string{"a", "b", "c"} {
		l.onStop(name, func(context.Context) error { order = append(order, name); return nil })
	}
	if err := l.stop(time.Minute); err != nil || !slices.Equal(order, []string{"c", "b", "a"}) {
		t.Errorf(`got %v %v, want order ["c" "b" "a"], no error`, order, err)
	}
	if err := l.stop(time.Minute); err != nil || len(order) != 3 {
		t.Errorf("the second stop: got %v, %v, want nothing done", order, err)
	}
}

// A step that hangs costs neither the others nor the time limit.
func TestHangingStepIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := newLifecycle(slog.New(slog.NewTextHandler(&log, nil)))
		release := make(chan struct{})
		ended := false
		failure := errors.New("cannot write")
		l.onStop("first", func(context.Context) error { ended = true; return nil })
		l.onStop("failing", func(context.Context) error { return failure })
		l.onStop("hanging", func(context.Context) error { <-release; return nil })
		begin := time.Now()
		err := l.stop(20 * time.Second)
		took := time.Since(begin)
		if !ended || !errors.Is(err, errOverdue) || !errors.Is(err, failure) {
			t.Errorf("ended %v, error %v, want ended, error %v, error %v", ended, err, errOverdue, failure)
		}
		if took != 18*time.Second+overdue { // two steps after it, a twentieth each
			t.Errorf("took %s, want %s", took, 18*time.Second+overdue)
		}
		if text := log.String(); !strings.Contains(text, "part=hanging") || !strings.Contains(text, "part=failing") {
			t.Errorf(`got log %s, want "part=hanging" and "part=failing" in it`, text)
		}
		close(release)
	})
}

func TestLateStepEndsAtOnce(t *testing.T) {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	if err := l.stop(time.Second); err != nil {
		t.Fatal(err)
	}
	var cancelled bool
	l.onStop("late", func(ctx context.Context) error { cancelled = ctx.Err() != nil; return nil })
	if !cancelled {
		t.Error("a step registered after the stop was kept, want it ended")
	}
}

func TestPartThatEndsByItselfIsReported(t *testing.T) {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	broken := errors.New("broken")
	l.start(part{name: "part", run: func(context.Context) error { return broken }})
	if err := <-l.failed; !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "part: ") {
		t.Errorf(`reported %v, want error %v, error beginning with "part: "`, err, broken)
	}
	if err := l.stop(time.Second); err != nil {
		t.Errorf("reported a second time: got %v, want no error", err)
	}
}

func TestPartIsFlushedBeforeItEnds(t *testing.T) {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var order []string
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	running := make(chan struct{})
	l.start(part{name: "link", run: func(ctx context.Context) error { close(running); <-ctx.Done(); note("ended"); return ctx.Err() },
		drain: func(context.Context) error { note("flushed"); return nil }})
	<-running
	if err := l.stop(time.Minute); err != nil || !slices.Equal(order, []string{"flushed", "ended"}) {
		t.Errorf(`got %v %v, want order ["flushed" "ended"], no error`, order, err)
	}
}

// A part that drain ends is not one that failed; what went wrong is the stop's to return.
func TestPartThatEndsWhileItDrains(t *testing.T) {
	l := newLifecycle(slog.New(slog.DiscardHandler))
	broken, closed := errors.New("broken"), make(chan struct{})
	l.start(part{name: "server", run: func(context.Context) error { <-closed; return broken }, drain: func(context.Context) error { close(closed); return nil }})
	err := l.stop(time.Minute)
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "stop server: ") {
		t.Errorf("got %v, want stop server: broken", err)
	}
	select {
	case err := <-l.failed:
		t.Errorf("reported as failed: %v, want it not", err)
	default:
	}
}

// A part that does not end with its context is left behind, named.
func TestHangingPartIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLifecycle(slog.New(slog.DiscardHandler))
		release := make(chan struct{})
		l.start(part{name: "part", run: func(context.Context) error { <-release; return nil }})
		if err := l.stop(time.Second); !errors.Is(err, errOverdue) || !strings.HasPrefix(err.Error(), "stop part: ") {
			t.Errorf("got %v, want stop part: %v", err, errOverdue)
		}
		close(release)
	})
}
