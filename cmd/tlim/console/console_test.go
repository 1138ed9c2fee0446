package console

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/doctor"
	"tlim/httpapi"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// site is a process that a test moves.
type site struct {
	*Console
	now       time.Time
	health    Health
	asked     int
	messages  *prometheus.CounterVec
	commits   prometheus.Histogram
	losses    *prometheus.CounterVec
	ticks     chan time.Time
	examining chan struct{} // holds the checks until it is closed
	examined  atomic.Int32
}

func newSite(t *testing.T) *site {
	t.Helper()
	reg := prometheus.NewRegistry()
	s := &site{now: time.UnixMilli(1_600_000_000_000), ticks: make(chan time.Time), examining: make(chan struct{}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_messages_total"}, []string{"kind"}),
		commits:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tlim_commit_seconds", Buckets: []float64{.001, .01, .1}}),
		losses:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_link_losses_total"}, []string{"reason"})}
	keyless := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_http_keyless_total"}, []string{"address", "endpoint", "allowed"})
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tlim_http_requests_total"}, []string{"endpoint", "status", "caller"})
	keyless.WithLabelValues("10.0.0.1", "getOffline", "yes").Add(3)
	keyless.WithLabelValues("10.0.0.2", "getOffline", "no").Add(4)
	calls.WithLabelValues("approval", "200", "oa").Add(7)
	calls.WithLabelValues("findUsers", "200", "oa").Add(9)
	reg.MustRegister(s.messages, s.commits, s.losses, keyless, calls)
	up := httpapi.PartState{OK: true, State: "up"}
	s.health = Health{Ready: true, Link: up, Database: up, Users: up, Messages: up}
	s.Console = New(Config{Version: "v", Metrics: reg, Now: func() time.Time { return s.now }, Tick: s.ticks,
		Health: func(context.Context) Health { s.asked++; return s.health },
		Examine: func(ctx context.Context) doctor.Report {
			s.examined.Add(1)
			select {
			case <-s.examining:
			case <-ctx.Done():
			}
			return doctor.Report{Failures: 1, Checks: []doctor.Result{{ID: "a", Findings: []doctor.Finding{{Status: doctor.OK, Seen: "x"}, {Status: doctor.Failure, Seen: "closed", Remedy: "z"}}}}}
		}})
	return s
}

// tick is a sample, without the goroutine that takes them.
func (s *site) tick() {
	s.now = s.now.Add(samplePeriod)
	s.look(context.Background(), 0)
	s.sample()
}

func (s *site) state(t *testing.T) httpapi.ProcessState {
	t.Helper()
	v, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSamples: rates are of the time between two samples, and only the last quarter of an hour is kept.
func TestSamples(t *testing.T) {
	s := newSite(t)
	s.messages.WithLabelValues("MTT-000").Add(1000) // before the first sample: nobody knows how long it took
	s.tick()
	if v := s.state(t); len(v.Samples) != 0 || v.Totals.Messages != 1000 {
		t.Fatalf("got %d samples, %d messages, want none, 1000", len(v.Samples), v.Totals.Messages)
	}
	s.messages.WithLabelValues("MTT-000").Add(40)
	s.messages.WithLabelValues("MTS-000").Add(10)
	for range 99 {
		s.commits.Observe(0.0005)
	}
	s.commits.Observe(0.05)
	s.tick()
	v := s.state(t)
	if len(v.Samples) != 1 {
		t.Fatalf("got %d samples, want 1", len(v.Samples))
	}
	if p := v.Samples[0]; p.Messages != 10 || p.Commits != 20 || p.CommitMsP99 != 1 || p.At != s.now.UnixMilli() || v.Database.LastCommit != p.At {
		t.Errorf("got %+v, last commit %d, want 10 messages, 20 commits a second, p99 1 ms, now", p, v.Database.LastCommit)
	}
	for range maxSamples + 10 {
		s.tick()
	}
	v = s.state(t)
	if last := v.Samples[maxSamples-1]; len(v.Samples) != maxSamples || last.At != s.now.UnixMilli() || last.Commits != 0 || last.CommitMsP99 != 0 {
		t.Errorf("got %d samples, the last %+v, want %d, nothing happened", len(v.Samples), last, maxSamples)
	}
}

// TestLosses: what is lost is noted once, and so is its return; also of a link that was away between two looks.
func TestLosses(t *testing.T) {
	s := newSite(t)
	s.tick()
	s.health.Link = httpapi.PartState{State: "lost", Text: "it broke"}
	s.tick()
	s.tick()
	s.health.Link = httpapi.PartState{OK: true, Text: "linked"}
	s.tick()
	s.losses.WithLabelValues("refused").Inc() // an attempt that failed
	s.tick()
	s.losses.WithLabelValues("lost").Inc() // lost, and back
	s.tick()
	s.health.Database = httpapi.PartState{State: "away", Text: "gone"}
	s.tick()
	v := s.state(t)
	var got []string
	for _, l := range v.Losses {
		got = append(got, l.What+map[bool]string{true: " is back", false: ": " + l.Text}[l.Back])
	}
	want := []string{"database: gone", "link is back", "link is back", "link: it broke"}
	if len(got) != len(want) || v.Totals.Losses != 2 {
		t.Fatalf("got %q, %d losses, want %q, 2", got, v.Totals.Losses, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for range 2 * maxLosses {
		s.health.Database.OK = !s.health.Database.OK
		s.tick()
	}
	if n := len(s.state(t).Losses); n != maxLosses {
		t.Errorf("got %d losses kept, want %d", n, maxLosses)
	}
}

// TestLookingIsCheap: however many look, the parts are asked once a second; and who has left is told nothing.
func TestLookingIsCheap(t *testing.T) {
	s := newSite(t)
	for range 100 {
		s.state(t)
	}
	if s.asked != 1 {
		t.Errorf("asked %d times, want once", s.asked)
	}
	s.now = s.now.Add(healthLife)
	s.state(t)
	s.now = s.now.Add(-time.Hour) // the clock was set back
	s.state(t)
	if s.asked != 3 {
		t.Errorf("asked %d times, want 3", s.asked)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.State(gone); !errors.Is(err, context.Canceled) || s.asked != 3 {
		t.Errorf("got %v, asked %d times, want canceled, 3", err, s.asked)
	}
}

// TestChecks: they are made when asked for, one at a time, and what was found is kept.
func TestChecks(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	ask := func(run bool) httpapi.Checks {
		t.Helper()
		v, err := s.Checks(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := ask(false); v.Running || v.Started != 0 {
		t.Errorf("got %+v, want nothing made", v)
	}
	for range 3 {
		if v := ask(true); !v.Running {
			t.Errorf("got %+v, want them running", v)
		}
	}
	s.ticks <- time.Time{} // samples go on meanwhile
	close(s.examining)
	deadline := time.Now().Add(patience)
	for ask(false).Running {
		if time.Now().After(deadline) {
			t.Fatal("got no end of the checks, want one")
		}
		s.ticks <- time.Time{}
	}
	second := httpapi.CheckLine{ID: "a", State: "failure", Text: "closed", Remedy: "z"}
	second.Chinese.Text, second.Chinese.Remedy = "已关闭", "z"
	if v := ask(false); v.Failures != 1 || len(v.Lines) != 2 || v.Lines[1] != second || s.examined.Load() != 1 {
		t.Errorf("got %+v after %d times, want what was found, once", v, s.examined.Load())
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

// TestCallers: counted by caller, those without a key with the most calls first.
func TestCallers(t *testing.T) {
	s := newSite(t)
	v, err := s.Callers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Calls) != 2 || v.Calls[0].Endpoint != "findUsers" || v.Calls[0].Calls != 9 || len(v.Keyless) != 2 || v.Keyless[0].Address != "10.0.0.2" || v.Keyless[0].Allowed || !v.Keyless[1].Allowed {
		t.Errorf("got %+v, want findUsers first, 10.0.0.2 first", v)
	}
}
