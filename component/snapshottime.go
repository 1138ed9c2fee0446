package component

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// timedSnapshots counts how often the server is asked for a snapshot, and how long its answers take: what they cost it.
type timedSnapshots struct {
	Snapshotter
	now     func() time.Time
	seconds prometheus.Observer
}

func (t timedSnapshots) Snapshot(ctx context.Context) ([]Session, error) {
	asked := t.now()
	sessions, err := t.Snapshotter.Snapshot(ctx)
	if err == nil {
		t.seconds.Observe(t.now().Sub(asked).Seconds())
	}
	return sessions, err
}
