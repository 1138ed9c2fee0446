package presence

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/doubles"
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
		w := NewWatcher(NewTable(domain, time.Now), server, 2*time.Second, func([]string) {}, discard{}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		w.Run(ctx, make(chan struct{}))
		if len(server.asked) < 3 || server.asked[1].Sub(server.asked[0]) != snapshotTimeout+stretch*maxUnansweredCost {
			t.Fatalf("asked at %v, want at least 3 times, the second after %v", server.asked, snapshotTimeout+stretch*maxUnansweredCost)
		}
		if server.asked[2].Sub(server.asked[1]) != w.interval {
			t.Errorf("asked at %v, want %v after an answer", server.asked[2], w.interval)
		}
	})
}

// TestDevicesWithoutSnapshots: where nobody tells of those that leave, the devices that were silent for longest are forgotten; one
// that speaks stays, with what it last showed. Where there are snapshots all that they list stay.
func TestDevicesWithoutSnapshots(t *testing.T) {
	clock := doubles.NewClock(time.UnixMilli(1_600_000_000_000))
	p := NewTable(domain, clock.Now)
	jid := func(n int) stanza.JID {
		return stanza.JID{Local: "lisi", Domain: domain, Resource: fmt.Sprint(n)}
	}
	away := "away"
	p.Heard(jid(0), &away, 5)
	for n := range 100 {
		clock.Move(time.Minute)
		p.Heard(jid(n+1), nil, 0)
		p.Heard(jid(0), nil, 0)
	}
	devices := p.Devices("lisi")
	if len(devices) != maxHeard || devices[0].Full != jid(0).String() || devices[0].Show != away || devices[0].Priority != 5 ||
		devices[maxHeard-1].Full != jid(100).String() {
		t.Errorf("got %d devices (%+v), want %d, the first heard away with priority 5, the last one the newest", len(devices), devices, maxHeard)
	}
	var sessions []Session
	for n := range 2 * maxHeard {
		sessions = append(sessions, Session{JID: jid(n)})
	}
	p.Merge(sessions, clock.Now())
	p.Heard(jid(2*maxHeard), nil, 0)
	if n := p.Count(); n < 2*maxHeard+1 {
		t.Errorf("got %d devices after a snapshot of %d and one more, want at least %d", n, 2*maxHeard, 2*maxHeard+1)
	}
}

// TestRequestedSnapshot: a look that is asked for comes at once, but never sooner than the cost of the last one allows.
func TestRequestedSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowLooks{took: 50 * time.Millisecond}
		w := NewWatcher(NewTable(domain, time.Now), server, time.Minute, func([]string) {}, discard{}, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		go w.Run(ctx, make(chan struct{}))
		time.Sleep(30 * time.Second)
		w.Refresh()
		w.Refresh()
		synctest.Wait()
		if n := len(server.asked); n != 2 || time.Since(server.asked[1]) != 0 {
			t.Fatalf("asked at %v, want twice, the second time now", server.asked)
		}
		time.Sleep(server.took)
		w.Refresh()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(server.asked) != 3 || server.asked[2].Sub(server.asked[1]) != server.took+stretch*server.took {
			t.Errorf("asked at %v, want a third time, %v after the second", server.asked, server.took+stretch*server.took)
		}
		stop()
		time.Sleep(server.took) // the answer that is on its way
	})
}

// slowLooks needs some time for each answer.
type slowLooks struct {
	took  time.Duration
	asked []time.Time
}

func (s *slowLooks) Snapshot(context.Context) ([]Session, error) {
	s.asked = append(s.asked, time.Now())
	time.Sleep(s.took) // in the test's own time
	return nil, nil
}

// TestFresh: a snapshot tells who is absent for three periods and a second, and a little longer while the server is at the next one.
func TestFresh(t *testing.T) {
	clock := doubles.NewClock(time.UnixMilli(1_600_000_000_000))
	p := NewTable(domain, clock.Now)
	p.SetPeriod(time.Second)
	if p.Fresh() {
		t.Error("fresh without a snapshot, want not")
	}
	p.Merge(nil, clock.Now())
	clock.Move(4*time.Second - 1)
	if !p.Fresh() {
		t.Error("not fresh after 4 s, want fresh")
	}
	p.ask(clock.Now())
	clock.Move(askedPatience - 1)
	if !p.Fresh() {
		t.Error("not fresh while the server is at the next one, want fresh")
	}
	if clock.Move(1); p.Fresh() {
		t.Error("fresh although there was no answer for long, want not")
	}
	p.Merge(nil, clock.Now())
	if !p.Fresh() {
		t.Error("not fresh after an answer, want fresh")
	}
	if p.Forget(); p.Fresh() {
		t.Error("fresh on a new connection, want not")
	}
}

// TestServed: a device that came is served once its coming was taken and not given back; where no snapshot tells, at once.
func TestServed(t *testing.T) {
	clock := doubles.NewClock(time.UnixMilli(1_600_000_000_000))
	p := NewTable(domain, clock.Now)
	p.SetPeriod(time.Second)
	jid := func(resource string) stanza.JID {
		return stanza.JID{Local: "lisi", Domain: domain, Resource: resource}
	}
	want := func(when string, resources ...string) {
		t.Helper()
		var got []string
		for _, d := range p.Served("lisi") {
			got = append(got, strings.TrimPrefix(d.Full, "lisi@"+domain+"/"))
		}
		if !slices.Equal(got, resources) {
			t.Errorf("%s: served are %q, want %q", when, got, resources)
		}
	}
	p.Heard(jid("a"), nil, 0)
	want("without a snapshot", "a")
	p.TakeChanges()
	p.Merge([]Session{{JID: jid("a")}, {JID: jid("b")}}, clock.Now())
	want("in the first snapshot", "a", "b")
	p.Merge([]Session{{JID: jid("a")}, {JID: jid("b")}, {JID: jid("c")}}, clock.Now())
	want("came", "a", "b")
	changes, _ := p.TakeChanges()
	want("taken", "a", "b", "c")
	p.GiveBack(changes)
	want("given back", "a", "b")
	if n := len(p.Devices("lisi")); n != 3 {
		t.Errorf("got %d devices, want 3", n)
	}
	clock.Move(time.Minute)
	want("the snapshot is old", "a", "b", "c")
}

// TestMerge: random snapshots, with devices that speak and go between them, are what the table has after each.
func TestMerge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	clock := doubles.NewClock(time.UnixMilli(1_600_000_000_000))
	p := NewTable(domain, clock.Now)
	jid := func() stanza.JID {
		return stanza.JID{Local: fmt.Sprint("u", rnd.IntN(20)), Domain: domain, Resource: fmt.Sprint("r", rnd.IntN(90))}
	}
	for range 500 {
		asked := clock.Now()
		clock.Move(time.Second)
		want := map[string]Device{}
		for range rnd.IntN(3) { // after the question
			j := jid()
			p.Heard(j, nil, 0)
			for _, d := range p.Devices(j.Local) {
				if d.Full == j.String() && d.Seen.After(asked) {
					want[d.Full] = d
				}
			}
		}
		var sessions []Session
		for range rnd.IntN(400) {
			s := Session{JID: jid(), Show: []string{"", "away"}[rnd.IntN(2)], Priority: rnd.IntN(2)}
			if _, twice := want[s.JID.String()]; twice && !slices.ContainsFunc(sessions, func(o Session) bool { return o.JID == s.JID }) {
				delete(want, s.JID.String())
			} else if twice {
				continue
			}
			sessions = append(sessions, s)
			want[s.JID.String()] = Device{Full: s.JID.String(), Mobile: true, Show: s.Show, Priority: s.Priority}
		}
		_, came := p.Merge(sessions, asked)
		for _, local := range came {
			if len(p.Devices(local)) == 0 {
				t.Fatalf("%s has come: got no devices, want one", local)
			}
		}
		n := 0
		for _, local := range p.locals() {
			for _, d := range p.Devices(local) {
				n++
				if w, ok := want[d.Full]; !ok || w.Show != d.Show || w.Priority != d.Priority {
					t.Fatalf("got %+v, want %+v (known: %v)", d, w, ok)
				}
			}
		}
		if n != len(want) || p.Count() != n {
			t.Fatalf("got %d devices, %d counted, want %d", n, p.Count(), len(want))
		}
		clock.Move(time.Second)
		for range rnd.IntN(3) {
			p.Gone(jid())
		}
	}
}

// BenchmarkMerge is a snapshot of which one session in a thousand has come and one has gone.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := NewTable(domain, time.Now)
			sessions := make([]Session, n)
			for i := range sessions {
				sessions[i].JID = stanza.JID{Local: fmt.Sprint("user", i), Domain: domain, Resource: "phone[android]"}
			}
			p.Merge(sessions, time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for k := range n / 1000 {
					sessions[(i*7+k)%n].JID.Resource = fmt.Sprint("phone", i)
				}
				p.Merge(sessions, time.Now())
				p.TakeChanges()
			}
		})
	}
}

// TestDevicesAtMost: a user who logs in without end is sent no more copies for it; who is known stays known.
func TestDevicesAtMost(t *testing.T) {
	clock := doubles.NewClock(time.UnixMilli(1_600_000_000_000))
	p := NewTable(domain, clock.Now)
	session := func(local string, i int) Session {
		return Session{JID: stanza.JID{Local: local, Domain: domain, Resource: fmt.Sprintf("r%04d", i)}}
	}
	var log bytes.Buffer
	source := &listServer{sessions: map[string]Session{}}
	w := NewWatcher(p, source, 0, func([]string) {}, discard{}, slog.New(slog.NewTextHandler(&log, nil)))
	look := func(from, to int) {
		t.Helper()
		source.sessions = map[string]Session{"lisi": session("lisi", 0)}
		for i := from; i < to; i++ {
			source.sessions[fmt.Sprint(i)] = session("evil", i)
		}
		clock.Move(time.Second)
		if _, err := w.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	look(1000, 1000+maxDevices)
	first := fmt.Sprint(p.Devices("evil"))
	if n := len(p.Devices("evil")); n != maxDevices || log.Len() != 0 {
		t.Errorf("got %d devices, log %s, want %d, an empty log", n, &log, maxDevices)
	}
	p.TakeChanges()
	look(0, 3000)
	if got := fmt.Sprint(p.Devices("evil")); got != first || len(changesOf(p)) != 0 {
		t.Errorf("others are known now: got %s, want %s, and no changes", got, first)
	}
	look(0, 3000)
	if n := strings.Count(log.String(), `example"=evil`); n != 1 || len(p.Devices("lisi")) != 1 {
		t.Errorf("logged %d times (%s), want once, and lisi's one device still known", n, &log)
	}
	p.Heard(session("evil", 9999).JID, nil, 0)
	if n := len(p.Devices("evil")); n != maxDevices {
		t.Errorf("got %d devices after one more was heard, want %d", n, maxDevices)
	}
	look(1000+maxDevices/2, 1000+2*maxDevices)
	if n := len(p.Devices("evil")); n != maxDevices {
		t.Errorf("got %d devices after half of them left, want %d", n, maxDevices)
	}
}

func changesOf(p *Table) []Change {
	changes, _ := p.TakeChanges()
	return changes
}

// discard is where measurements go that no test reads.
type discard struct{}

func (discard) Observe(float64) {}

// answeringServer needs a second for each answer; the first is none.
type answeringServer struct{ asked int }

func (a *answeringServer) Snapshot(context.Context) ([]Session, error) {
	time.Sleep(time.Second) // in the test's own time
	if a.asked++; a.asked == 1 {
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
		w := NewWatcher(NewTable(domain, time.Now), &answeringServer{}, 0, func([]string) {}, seconds, slog.New(slog.DiscardHandler))
		for range 3 {
			_, _ = w.ask(t.Context()) // the first fails
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if h := families[0].GetMetric()[0].GetHistogram(); h.GetSampleCount() != 2 || h.GetSampleSum() != 2 {
			t.Errorf("got %d answers in %v s, want 2 in 2 s", h.GetSampleCount(), h.GetSampleSum())
		}
	})
}

// TestFlood: who comes and goes while nobody takes the changes leaves as many as devices, not as often as they came.
func TestFlood(t *testing.T) {
	p := NewTable(domain, time.Now)
	jid := func(i int) stanza.JID { return stanza.JID{Local: "evil", Domain: domain, Resource: fmt.Sprint("r", i)} }
	for range 1000 {
		for i := range 30 {
			p.Heard(jid(i), nil, 0)
		}
		for i := range 30 {
			p.Gone(jid(i))
		}
	}
	if n := len(changesOf(p)); n != 31 {
		t.Errorf("got %d changes, want 31", n)
	}
}

const domain = "im.test"

// listServer has these sessions.
type listServer struct{ sessions map[string]Session }

func (l *listServer) Snapshot(context.Context) ([]Session, error) {
	return slices.Collect(maps.Values(l.sessions)), nil
}
