package trigger

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTriggerHasRoomForOne(t *testing.T) {
	trigger := New()
	trigger.Fire()
	trigger.Fire()
	<-trigger
	select {
	case <-trigger:
		t.Error("two signals, want one")
	default:
	}
	trigger.Fire()
	trigger.Clear()
	trigger.Clear()
	if len(trigger) != 0 {
		t.Error("a signal is left after Clear, want none")
	}
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		trigger := New()
		var runs atomic.Int64
		go trigger.Loop(ctx, time.Hour, func(context.Context) { runs.Add(1) })
		synctest.Wait()
		trigger.Fire()
		synctest.Wait()
		if n := runs.Load(); n != 2 {
			t.Errorf("got %d runs, want one at once and one for the signal", n)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if n := runs.Load(); n != 3 {
			t.Errorf("got %d runs after the period, want 3", n)
		}
		cancel()
	})
}
