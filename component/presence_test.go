package component

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
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

// TestDevicesWithoutSnapshots: where nobody tells of those that leave, the devices that were silent for longest are forgotten; one
// that speaks stays, with what it last showed. Where there are snapshots all that they list stay.
func TestDevicesWithoutSnapshots(t *testing.T) {
	clock := &testClock{t: time.UnixMilli(1_600_000_000_000)}
	p := newPresence(testServer, clock.now)
	jid := func(n int) stanza.JID {
		return stanza.JID{Local: "lisi", Domain: testServer, Resource: fmt.Sprint(n)}
	}
	away := "away"
	p.heard(jid(0), &away, 5)
	for n := range 100 {
		clock.move(time.Minute)
		p.heard(jid(n+1), nil, 0)
		p.heard(jid(0), nil, 0)
	}
	devices := p.devices("lisi")
	if len(devices) != maxHeard || devices[0].Full != jid(0).String() || devices[0].Show != away || devices[0].Priority != 5 ||
		devices[maxHeard-1].Full != jid(100).String() {
		t.Errorf("%d devices: %+v", len(devices), devices)
	}
	var sessions []Session
	for n := range 2 * maxHeard {
		sessions = append(sessions, Session{JID: jid(n)})
	}
	p.merge(sessions, clock.now())
	p.heard(jid(2*maxHeard), nil, 0)
	if n := p.count(); n < 2*maxHeard+1 {
		t.Errorf("%d devices after a snapshot of %d and one more", n, 2*maxHeard)
	}
}
