package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// farm are servers by their addresses: those that are off refuse, and each dial is noted.
type farm struct {
	*rig
	mu    sync.Mutex
	off   map[string]error
	dials []string
	since time.Time
}

const nodeA, nodeB, nodeC = "a:5275", "b:5275", "c:5275"

func newFarm(t *testing.T, cfg Config) *farm {
	t.Helper()
	f := &farm{off: map[string]error{}, since: time.Now()}
	cfg.Addresses = []string{nodeA, nodeB, nodeC}
	f.rig = newRig(t, cfg)
	dial := f.cfg.Dial
	f.cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		f.mu.Lock()
		f.dials = append(f.dials, fmt.Sprint(address[:1], " ", time.Since(f.since).Round(10*time.Millisecond)))
		off := f.off[address]
		f.mu.Unlock()
		if errors.Is(off, errSilent) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if off != nil {
			return nil, off
		}
		return dial(ctx, network, address)
	}
	return f
}

var (
	errOff    error = &net.OpError{Op: "dial", Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
	errSilent       = fmt.Errorf("a machine that is off")
)

func (f *farm) set(err error, addresses ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range addresses {
		f.off[a] = err
	}
}

// dialled takes the dials since the last call, with the time since it.
func (f *farm) dialled() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.dials
	f.dials, f.since = nil, time.Now()
	return list
}

func (f *farm) want(what string, want ...string) {
	f.t.Helper()
	if got := f.dialled(); !slices.Equal(got, want) {
		f.t.Errorf("%s: got dials %q, want %q", what, got, want)
	}
}

// The links go to the first that takes them, stay, come back to the last that worked, and to the next at once where it does not.
func TestNodesOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		f := newFarm(t, Config{Registerer: registry})
		f.set(errOff, nodeA)
		f.start()
		p := f.up("")
		f.expect("up")
		f.want("at the start", "a 0s", "b 0s")
		if s := f.Status(); s.Server != nodeB || s.Moved != "" || s.ServerSince.IsZero() {
			t.Errorf("got status %+v, want the server %s, and that it was the first", s, nodeB)
		}

		p.drain()
		pass(time.Minute)
		f.set(nil, nodeA)
		f.dialled()
		_ = p.conn.Close() // it only ended the stream
		f.expect("down lost")
		p = f.up("")
		f.expect("up")
		f.want("after a loss", "b 0s")
		if n := f.lines("another server"); n != 0 {
			t.Errorf("got %d lines of a move, want none", n)
		}

		p.drain()
		pass(time.Minute)
		f.set(errOff, nodeB)
		f.set(errSilent, nodeC)
		f.dialled()
		began := time.Now()
		_ = p.conn.Close()
		f.expect("down lost")
		p = f.up("")
		f.expect("up")
		f.want("after a kill", "b 0s", "c 0s", "a 3s")
		if s := f.Status(); s.Server != nodeA || s.Moved != ReasonRefused || s.ServerSince.Before(began) {
			t.Errorf("got status %+v, want the server %s since now, because the other refused", s, nodeA)
		}
		if n := f.lines("another server"); n != 1 {
			t.Errorf("got %d lines of a move, want 1:\n%s", n, f.log)
		}
		if got := gauges(t, registry, "tlim_link_server", "server"); fmt.Sprint(got) != "map[a:5275:1 b:5275:0 c:5275:0]" {
			t.Errorf("got the metric %v, want a alone", got)
		}
		if got := gauges(t, registry, "tlim_link_moves_total", "reason"); fmt.Sprint(got) != "map[refused:1]" {
			t.Errorf("got moves %v, want one, refused", got)
		}
		p.drain()
	})
}

// A cluster of which each node is restarted in turn costs one pause for each time that the links' node is the one, none for others, and the links are
// elsewhere at once.
func TestNodesRolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Config{Connections: 1})
		f.start()
		p := f.up("")
		f.expect("up")
		p.drain()
		at := nodeA
		for _, restarted := range []string{nodeA, nodeB, nodeC, nodeB} {
			pass(time.Minute)
			f.dialled()
			f.set(errOff, restarted)
			began := time.Now()
			if restarted == at {
				_ = p.conn.Close()
				f.expect("down lost")
				p = f.up("")
				f.expect("up")
				p.drain()
				at = f.Status().Server
				if took := time.Since(began); at == restarted || took > time.Second || f.Status().ServerSince.Before(began) {
					t.Errorf("%s is restarted: got the links on %s since %v, after %v, want another node at once", restarted, at, f.Status().ServerSince, took)
				}
			} else {
				pass(time.Second)
				f.want(restarted + " is restarted, which has no links")
			}
			pass(10 * time.Second)
			f.set(nil, restarted)
		}
		if n := f.lines("link is down"); n != 3 {
			t.Errorf("got %d pauses, want 3:\n%s", n, f.log)
		}
	})
}

// A server that hangs is not tried first, and one that ends each connection soon is left.
func TestNodesThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Config{})
		f.start()
		p := f.up("")
		f.expect("up")
		f.dialled()
		deaf := p
		go func() { // it takes all and answers nothing
			for {
				if _, err := deaf.framer.Next(); err != nil {
					return
				}
			}
		}()
		f.expect("down deaf")
		p = f.up("")
		f.expect("up")
		if got := f.dialled(); len(got) != 1 || got[0][0] != 'b' {
			t.Errorf("after a deaf server: got dials %q, want the next alone", got)
		}
		pass(stable / 2)
		f.dialled()
		_ = p.conn.Close()
		f.expect("down lost")
		f.up("").drain()
		f.expect("up")
		if got := f.dialled(); len(got) != 1 || got[0][0] != 'c' || got[0] == "c 0s" {
			t.Errorf("after a short connection: got dials %q, want c alone, after a pause", got)
		}
	})
}

// After a whole round that failed there is a pause, which grows; what is wrong with each is said, in one line.
func TestNodesAllAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Config{})
		f.set(errOff, nodeA, nodeC)
		var refused sync.WaitGroup
		refused.Go(func() { // it has another secret, and its answer must not slow the others down
			for {
				select {
				case p := <-f.rig.dials:
					if _, err := p.framer.Next(); err == nil {
						p.send(`<stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" id="7n9">`)
						_, _ = p.framer.Next()
						p.send(`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`)
					}
					_ = p.conn.Close()
				case <-f.ended:
					return
				}
			}
		})
		f.start()
		pass(time.Minute)
		got := f.dialled()
		if len(got) < 3*12 || len(got) > 3*25 { // 100 ms, 200 ms, 400 ms ... 5 s
			t.Errorf("got %d dials in a minute, want rounds of three with the usual pauses: %q", len(got), got)
		}
		for i, d := range got {
			if d[0] != "abc"[i%3] {
				t.Fatalf("got dials %q, want them in turn", got)
			}
			if i%3 != 0 && d[2:] != got[i-1][2:] {
				t.Errorf("got a pause within a round, %q, %q, want none", got[i-1], d)
			}
		}
		s := f.Status()
		if s.Reason != ReasonSecret || s.Server != "" {
			t.Errorf("got status %+v, want the secret as the reason, and no server", s)
		}
		for _, text := range []string{"a:5275 refuses", "does not accept the secret", "c:5275 refuses"} {
			if !strings.Contains(s.Text, text) {
				t.Errorf("got text %q, want %q in it", s.Text, text)
			}
		}
		if n := f.lines("link is down"); n != 1 {
			t.Errorf("logged %d times for one outage, want once:\n%s", n, f.log)
		}
		f.cancel()
		refused.Wait()
	})
}

// First is asked at each round, as by the copies' link that follows another.
func TestNodesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(t, Config{First: func() string { return nodeC }})
		f.start()
		f.up("").drain()
		f.expect("up")
		f.want("with a wish", "c 0s")
	})
}

// gauges are the values of a metric by one of its labels.
func gauges(t *testing.T, registry *prometheus.Registry, name, label string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					values[l.GetValue()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
	}
	return values
}
