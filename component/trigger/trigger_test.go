package trigger

import (
	"context"
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
		t.Error("a signal is left after Clear")
	}
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		trigger, runs := New(), 0
		go trigger.Loop(ctx, time.Hour, func(context.Context) { runs++ })
		synctest.Wait()
		trigger.Fire()
		synctest.Wait()
		if runs != 2 {
			t.Errorf("got %d runs, want one at once and one for the signal", runs)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		if runs != 3 {
			t.Errorf("got %d runs after the period, want 3", runs)
		}
		cancel()
	})
}
