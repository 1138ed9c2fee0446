package component

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// answeringServer needs a second for each answer; the first is none.
type answeringServer struct{ asked int }

func (s *answeringServer) Snapshot(context.Context) ([]Session, error) {
	time.Sleep(time.Second) // in the test's own time
	if s.asked++; s.asked == 1 {
		return nil, context.DeadlineExceeded
	}
	return nil, nil
}

// TestSnapshotTime: what is answered counts, with the time that it took.
func TestSnapshotTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "seconds"})
		reg.MustRegister(seconds)
		source := timedSnapshots{&answeringServer{}, time.Now, seconds}
		for range 3 {
			_, _ = source.Snapshot(t.Context()) // the first fails
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if h := families[0].GetMetric()[0].GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() != 2 {
			t.Errorf("%d answers in %v s", h.GetSampleCount(), h.GetSampleSum())
		}
	})
}
