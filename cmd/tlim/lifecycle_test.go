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

	"tlim/cmd/tlim/config"
)

func TestStepsEndInReverse(t *testing.T) {
	l := lifecycle{log: slog.New(slog.DiscardHandler)}
	var order []string
	for _, name := range []string{"a", "b", "c"} {
		l.onStop(name, func(context.Context) error { order = append(order, name); return nil })
	}
	if err := l.stop(time.Minute); err != nil || !slices.Equal(order, []string{"c", "b", "a"}) {
		t.Errorf("%v %v", order, err)
	}
	if err := l.stop(time.Minute); err != nil || len(order) != 3 {
		t.Errorf("the second stop did something: %v %v", order, err)
	}
}

// A step that hangs costs neither the others nor the time limit.
func TestHangingStepIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := lifecycle{log: slog.New(slog.NewTextHandler(&log, nil))}
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
			t.Errorf("ended %v, error %v", ended, err)
		}
		if took != 18*time.Second+overdue { // two steps after it, a twentieth each
			t.Errorf("took %s", took)
		}
		if text := log.String(); !strings.Contains(text, "part=hanging") || !strings.Contains(text, "part=failing") {
			t.Errorf("the log does not name the parts: %s", text)
		}
		close(release)
	})
}

func TestLateStepEndsAtOnce(t *testing.T) {
	l := lifecycle{log: slog.New(slog.DiscardHandler)}
	if err := l.stop(time.Second); err != nil {
		t.Fatal(err)
	}
	var cancelled bool
	l.onStop("late", func(ctx context.Context) error { cancelled = ctx.Err() != nil; return nil })
	if !cancelled {
		t.Error("a step registered after the stop was kept")
	}
}

func TestPartThatEndsByItselfIsReported(t *testing.T) {
	a := New(config.Default(), slog.New(slog.DiscardHandler))
	broken := errors.New("broken")
	a.background("part", func(context.Context) error { return broken }, nil)
	if err := <-a.Failed(); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "part: ") {
		t.Errorf("reported %v", err)
	}
	if err := a.Stop(time.Second); err != nil {
		t.Errorf("reported a second time: %v", err)
	}
}

func TestPartIsFlushedBeforeItEnds(t *testing.T) {
	a := New(config.Default(), slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var order []string
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	running := make(chan struct{})
	a.background("link", func(ctx context.Context) error { close(running); <-ctx.Done(); note("ended"); return ctx.Err() },
		func(context.Context) error { note("flushed"); return nil })
	<-running
	if err := a.Stop(time.Minute); err != nil || !slices.Equal(order, []string{"flushed", "ended"}) {
		t.Errorf("%v %v", order, err)
	}
}
