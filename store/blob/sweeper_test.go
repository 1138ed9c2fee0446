package blob

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sweptBlobs has one orphan, or what fails.
type sweptBlobs struct {
	Blobs
	mu      sync.Mutex
	before  []time.Time // of each sweep
	removed []string
	failure error
}

func (s *sweptBlobs) Remove(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, id)
	return nil
}

func (s *sweptBlobs) list(_ context.Context, _ time.Time, page func(ids []string) error) error {
	return page([]string{"kept", "orphan"})
}

func (s *sweptBlobs) clear(_ context.Context, before time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = append(s.before, before)
	return 0, s.failure
}

// A sweep at once, and one a day after it; one that fails ends nothing and is logged.
func TestSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lockedLog{}
		b := &sweptBlobs{failure: errors.New("no disk")}
		known := func(context.Context, []string) (map[string]bool, error) { return map[string]bool{"kept": true}, nil }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		begin := time.Now()
		go func() { ended <- NewSweeper(b, known, slog.New(slog.NewTextHandler(log, nil))).Run(ctx) }()

		synctest.Wait()
		b.mu.Lock()
		if len(b.before) != 1 || len(b.removed) != 0 || strings.Count(log.String(), "no disk") != 1 {
			t.Fatalf(`got %d sweeps, removed %q, log %s, want one, nothing removed, "no disk" once`, len(b.before), b.removed, log.String())
		}
		b.failure = nil
		b.mu.Unlock()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		b.mu.Lock()
		if len(b.before) != 2 || !b.before[1].Equal(begin) || len(b.removed) != 1 || b.removed[0] != "orphan" {
			t.Errorf("a day later: got sweeps %v, removed %q, want the orphan of before %v", b.before, b.removed, begin)
		}
		b.mu.Unlock()
		if !strings.Contains(log.String(), "orphans=1") {
			t.Errorf(`got log %s, want "orphans=1" in it`, log.String())
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want %v", err, context.Canceled)
		}
	})
}

// lockedLog keeps what is logged by another goroutine.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
