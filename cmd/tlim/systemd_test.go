package main

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// socket plays systemd's end of the notification socket.
func socket(t *testing.T) <-chan string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	states := make(chan string, 64) // more than any test sends
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			states <- string(buf[:n])
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return states
}

func expect(t *testing.T, states <-chan string, want string) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case got := <-states:
			if got == want {
				return
			}
		case <-limit.C:
			t.Fatalf("got no %q told to systemd, want it", want)
		}
	}
}

func TestSystemdIsTold(t *testing.T) {
	states := socket(t)
	s := newSupervisor(slog.New(slog.DiscardHandler))
	s.ready()
	expect(t, states, "READY=1")
	s.stopping(20 * time.Second)
	expect(t, states, "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000")
}

// A start takes as long as it takes, as long as it does not hang; once it is over no more time is asked for.
func TestLongStartIsNotGivenUp(t *testing.T) {
	states := socket(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int((20 * time.Millisecond).Microseconds())))
	t.Setenv("WATCHDOG_PID", "")
	s := newSupervisor(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, func() string { return "starting" })
	}()
	const more = "EXTEND_TIMEOUT_USEC=60000000"
	expect(t, states, more)
	expect(t, states, more)
	s.ready()
	expect(t, states, "READY=1")
	expect(t, states, "WATCHDOG=1") // of a beat that may have begun before
	expect(t, states, "WATCHDOG=1")
	for range 3 {
		if got := <-states; got == more {
			t.Error("more time is asked for after the start, want it not")
		}
	}
	cancel()
	<-ended
}

// Each beat comes after a look at the product: one that hangs in a lock beats no more.
func TestWatchdogBeatsOnlyWhileAlive(t *testing.T) {
	states := socket(t)
	t.Setenv("WATCHDOG_USEC", strconv.Itoa(int((20 * time.Millisecond).Microseconds())))
	t.Setenv("WATCHDOG_PID", "")
	s := newSupervisor(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	looks, hang := make(chan struct{}, 1), make(chan struct{})
	count := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.watch(ctx, func() string {
			if count++; count == 3 {
				looks <- struct{}{}
				<-hang
			}
			return "linked"
		})
	}()
	expect(t, states, "STATUS=linked")
	expect(t, states, "WATCHDOG=1")
	<-looks // it hangs now
	s.tell("STATUS=marker")
	expect(t, states, "STATUS=marker")             // so all that was sent before has been read
	quiet := time.NewTimer(200 * time.Millisecond) // ten beats
	defer quiet.Stop()
	select {
	case state := <-states:
		t.Errorf("told %q while it hangs, want nothing", state)
	case <-quiet.C:
	}
	close(hang)
	expect(t, states, "WATCHDOG=1")
	cancel()
	<-ended
}
