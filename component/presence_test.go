package component

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// deafServer loses the first question, and answers all others at once.
type deafServer struct{ asked []time.Time }

func (d *deafServer) Snapshot(ctx context.Context) ([]Session, error) {
	d.asked = append(d.asked, time.Now())
	if len(d.asked) > 1 {
		return nil, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestLostSnapshot: a question without an answer says nothing of what answers cost. The pause is not stretched by its time-out.
func TestLostSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &deafServer{}
		w := &watcher{table: newPresence(testServer, time.Now), source: server, interval: 2 * time.Second, log: slog.New(slog.DiscardHandler),
			learn: func([]string) {}, request: make(chan struct{}, 1)}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		w.run(ctx, make(chan struct{}))
		if len(server.asked) < 3 || server.asked[1].Sub(server.asked[0]) != snapshotTimeout+stretch*unansweredCost {
			t.Fatalf("asked at %v", server.asked)
		}
		if server.asked[2].Sub(server.asked[1]) != w.interval {
			t.Errorf("after an answer it asks at %v", server.asked[2])
		}
	})
}
