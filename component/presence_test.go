package component

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
	"tlim/component/trigger"
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
			learn: func([]string) {}, request: trigger.New()}
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

// TestRequestedSnapshot: a look that is asked for comes at once, but never sooner than the cost of the last one allows.
func TestRequestedSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &slowLooks{took: 50 * time.Millisecond}
		w := &watcher{table: newPresence(testServer, time.Now), source: server, interval: time.Minute, log: slog.New(slog.DiscardHandler),
			learn: func([]string) {}, request: trigger.New()}
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
		defer stop()
		go w.run(ctx, make(chan struct{}))
		time.Sleep(30 * time.Second)
		w.refresh()
		w.refresh()
		synctest.Wait()
		if n := len(server.asked); n != 2 || time.Since(server.asked[1]) != 0 {
			t.Fatalf("asked at %v", server.asked)
		}
		time.Sleep(server.took)
		w.refresh()
		time.Sleep(time.Second)
		synctest.Wait()
		if len(server.asked) != 3 || server.asked[2].Sub(server.asked[1]) != server.took+stretch*server.took {
			t.Errorf("asked at %v", server.asked)
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
	clock := &testClock{t: time.UnixMilli(1_600_000_000_000)}
	p := newPresence(testServer, clock.now)
	p.setPeriod(time.Second)
	if p.fresh() {
		t.Error("fresh without a snapshot")
	}
	p.merge(nil, clock.now())
	clock.move(4*time.Second - 1)
	if !p.fresh() {
		t.Error("not fresh after 4 s")
	}
	p.ask(clock.now())
	clock.move(askedPatience - 1)
	if !p.fresh() {
		t.Error("not fresh while the server is at the next one")
	}
	if clock.move(1); p.fresh() {
		t.Error("fresh although there was no answer for long")
	}
	p.merge(nil, clock.now())
	if !p.fresh() {
		t.Error("not fresh after an answer")
	}
	if p.forget(); p.fresh() {
		t.Error("fresh on a new connection")
	}
}

// TestMerge: random snapshots, with devices that speak and go between them, are what the table has after each.
func TestMerge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	clock := &testClock{t: time.UnixMilli(1_600_000_000_000)}
	p := newPresence(testServer, clock.now)
	jid := func() stanza.JID {
		return stanza.JID{Local: fmt.Sprint("u", rnd.IntN(20)), Domain: testServer, Resource: fmt.Sprint("r", rnd.IntN(90))}
	}
	for range 500 {
		asked := clock.now()
		clock.move(time.Second)
		want := map[string]Device{}
		for range rnd.IntN(3) { // after the question
			j := jid()
			p.heard(j, nil, 0)
			for _, d := range p.devices(j.Local) {
				if d.Full == j.String() && d.seen.After(asked) {
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
		_, came := p.merge(sessions, asked)
		for _, local := range came {
			if len(p.devices(local)) == 0 {
				t.Fatalf("%s has come, and is not there", local)
			}
		}
		n := 0
		for _, local := range p.locals() {
			for _, d := range p.devices(local) {
				n++
				if w, ok := want[d.Full]; !ok || w.Show != d.Show || w.Priority != d.Priority {
					t.Fatalf("%+v, want %+v %v", d, w, ok)
				}
			}
		}
		if n != len(want) || p.count() != n {
			t.Fatalf("%d devices, counted %d, want %d", n, p.count(), len(want))
		}
		clock.move(time.Second)
		for range rnd.IntN(3) {
			p.gone(jid())
		}
	}
}

// BenchmarkMerge is a snapshot of which one session in a thousand has come and one has gone.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPresence(testServer, time.Now)
			sessions := make([]Session, n)
			for i := range sessions {
				sessions[i].JID = stanza.JID{Local: fmt.Sprint("user", i), Domain: testServer, Resource: "phone[android]"}
			}
			p.merge(sessions, time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for k := range n / 1000 {
					sessions[(i*7+k)%n].JID.Resource = fmt.Sprint("phone", i)
				}
				p.merge(sessions, time.Now())
				p.takeChanges()
			}
		})
	}
}
