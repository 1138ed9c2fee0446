package main

import (
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignalsWithoutEchoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal, signalRoom), make(chan struct{})
		defer close(done)
		heard := withoutEchoes(signals, done)
		for i, c := range []struct {
			signal os.Signal
			after  time.Duration
			want   int
		}{
			{syscall.SIGHUP, 0, 1}, {syscall.SIGTERM, 0, 1}, {syscall.SIGTERM, time.Millisecond, 0}, {syscall.SIGINT, time.Millisecond, 0}, {syscall.SIGHUP, 0, 1},
			{syscall.SIGHUP, time.Millisecond, 1}, {syscall.SIGINT, echoTime - 4*time.Millisecond, 0}, {syscall.SIGINT, time.Millisecond, 1}, {syscall.SIGTERM, time.Millisecond, 0},
			{syscall.SIGTERM, echoTime, 1},
		} {
			time.Sleep(c.after)
			signals <- c.signal
			synctest.Wait()
			if got := len(heard); got != c.want {
				t.Errorf("signal %d: got %d passed on, want %d", i, got, c.want)
			}
			for len(heard) > 0 {
				<-heard
			}
		}
	})
}
