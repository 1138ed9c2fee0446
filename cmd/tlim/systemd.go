package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// supervisor tells systemd how the process is; without systemd (no NOTIFY_SOCKET) it does nothing.
type supervisor struct {
	log     *slog.Logger
	send    func(state string) error
	started atomic.Bool // ready was told
}

func newSupervisor(log *slog.Logger) *supervisor {
	return &supervisor{log: log, send: func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}}
}

func (s *supervisor) tell(state string) {
	if err := s.send(state); err != nil {
		s.log.Warn("systemd was not told", "state", state, "error", err)
	}
}

func (s *supervisor) ready() {
	s.started.Store(true)
	s.tell(daemon.SdNotifyReady)
}

// stopping also asks for the time that an ordered stop may take.
func (s *supervisor) stopping(limit time.Duration) {
	s.tell(daemon.SdNotifyStopping + "\n" + extend(limit+5*time.Second))
}

func extend(d time.Duration) string { return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()) }

// statusEvery is how old the line of `systemctl status` may be.
const statusEvery = 10 * time.Second

// moreTime is what a start that goes on is granted with each beat. One that waits for the database has no limit, nor has one
// that adds a column to millions of rows: killed, it would begin anew.
const moreTime = time.Minute

// watch feeds the watchdog and the status line until ctx ends, and keeps systemd from giving up on a long start. alive runs before each beat: it takes the locks that the
// product works with, so that a process that hangs in one of them beats no more and is restarted. It does not ask the
// database or the server: a restart mends neither.
func (s *supervisor) watch(ctx context.Context, alive func() (status string)) {
	every, beat := statusEvery, false
	if interval, err := daemon.SdWatchdogEnabled(false); err != nil {
		s.log.Warn("the watchdog's settings cannot be read", "error", err)
	} else if interval > 0 {
		every, beat = min(every, interval/2), true
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := ""
	for {
		status := alive()
		if beat {
			s.tell(daemon.SdNotifyWatchdog)
		}
		if !s.started.Load() {
			s.tell(extend(moreTime))
		}
		if status != last {
			s.tell("STATUS=" + status)
			last = status
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
