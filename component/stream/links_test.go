package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/stanza"
)

func TestUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		if s := r.Status(); s.Up || s.Reason != ReasonConnecting {
			t.Errorf("before the first attempt: got status %+v, want down, %v", s, ReasonConnecting)
		}
		p := r.up(`<message id="1" from="a@im.test/r" to="tlim.im.test"><body>你好</body></message><presence id="2"/>`)
		if p.domain != "tlim.im.test" {
			t.Errorf("the header is for %q, want tlim.im.test", p.domain)
		}
		r.expect("up", "message 1 <body>你好</body>", "presence 2 ")
		if s := r.Status(); !s.Up || s.Reason != ReasonUp || s.Err != nil || s.Text == "" {
			t.Errorf("got status %+v, want up, %v, a text, no error", s, ReasonUp)
		}
		p.drain()
	})
}

func TestBytesSplitAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.accept()
		if _, err := p.framer.Next(); err != nil {
			t.Fatal(err)
		}
		for _, b := range []byte(`<?xml version="1.0"?><stream:stream xmlns:stream="http://etherx.jabber.org/streams" xmlns="jabber:component:accept" id="7n9nd2351p">`) {
			p.send(string([]byte{b}))
		}
		p.domain = "tlim.im.test"
		p.shake("")
		r.expect("up")
		for _, b := range []byte(`<message id="1"><body>é你😀</body></message>`) {
			p.send(string([]byte{b}))
		}
		r.expect("message 1 <body>é你😀</body>")
		p.drain()
	})
}

// Each way to be refused has its reason, its advice, one line in the log however often it is tried, and ends when the
// server changes its mind.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		dial   error
		play   func(p *peer)
		reason Reason
	}{
		"refused port": {dial: &net.OpError{Op: "dial", Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}, reason: ReasonRefused},
		"no host":      {dial: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, reason: ReasonDNS},
		"no route":     {dial: &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, reason: ReasonUnreachable},
		"wrong secret": {play: func(p *peer) {
			p.header("7n9")
			_, _ = p.framer.Next()
			p.send(`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`)
		}, reason: ReasonSecret},
		"conflict, 4.2": {play: func(p *peer) {
			p.header("")
			p.send(`<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`)
		}, reason: ReasonConflict},
		"conflict, 4.8": {play: func(p *peer) { p.header("") }, reason: ReasonConflict},
		"unknown host": {play: func(p *peer) {
			p.header("")
			p.send(`<stream:error><text xmlns="urn:ietf:params:xml:ns:xmpp-streams">no</text><host-unknown xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
		}, reason: ReasonHostUnknown},
		"the server's own domain":          {play: func(p *peer) { _, _ = p.framer.Next(); p.send("</stream:stream>") }, reason: ReasonNoComponent},
		"no answer but the end":            {play: func(p *peer) { _, _ = p.framer.Next() }, reason: ReasonNoComponent},
		"a web server":                     {play: func(p *peer) { _, _ = p.framer.Next(); p.send("HTTP/1.1 400 Bad Request\r\n\r\n") }, reason: ReasonNoComponent},
		"silence":                          {play: func(p *peer) { _, _ = io.Copy(io.Discard, p.conn) }, reason: ReasonUnreachable},
		"silence after the header":         {play: func(p *peer) { p.header("7n9"); _, _ = io.Copy(io.Discard, p.conn) }, reason: ReasonUnreachable},
		"the end instead of the handshake": {play: func(p *peer) { p.header("7n9"); _, _ = p.framer.Next() }, reason: ReasonLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{})
				r.refuseWith(c.dial)
				stop := make(chan struct{})
				done := make(chan struct{})
				if c.play != nil {
					go func() {
						defer close(done)
						for {
							select {
							case p := <-r.dials:
								c.play(p)
								_ = p.conn.Close()
							case <-stop:
								return
							}
						}
					}()
				} else {
					close(done)
				}
				r.start()
				pass(2 * time.Minute)
				s := r.Status()
				if s.Up || s.Reason != c.reason || s.Err == nil || time.Since(s.Since) < time.Minute {
					t.Errorf("got status %+v, want down, %s, an error, since a minute", s, c.reason)
				}
				if strings.ContainsAny(s.Text, "{}%") || len(s.Text) < 20 {
					t.Errorf("got text %q, want at least 20 characters, all filled in", s.Text)
				}
				if n := r.lines("link is down"); n != 1 {
					t.Errorf("logged %d times for one outage, want once:\n%s", n, r.log)
				}
				r.quiet()

				close(stop)
				<-done
				r.refuseWith(nil)
				r.up("").drain()
				r.expect("up")
			})
		})
	}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		r.refuseWith(syscall.ECONNREFUSED)
		r.start()
		pass(time.Minute)
		r.mu.Lock()
		tries := r.tries
		r.mu.Unlock()
		want := []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000}
		for i, w := range want {
			gap, w := tries[i+1].Sub(tries[i]), w*time.Millisecond
			if gap < w*3/4 || gap > w*5/4 {
				t.Errorf("pause %d: got %v, want %v and a quarter", i, gap, w)
			}
		}
	})
}

// A link that lived begins the row of pauses anew, one that was cut at once does not: what ends it may be what we send.
func TestBackoffAfterALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		var last time.Time
		for i := range 8 {
			p := r.up("")
			gap := time.Since(last)
			r.expect("up")
			_ = p.conn.Close()
			r.expect("down lost")
			last = time.Now()
			if i == 7 && gap < 3*time.Second {
				t.Errorf("the eighth attempt at once: got it after %v, want at least %v", gap, 3*time.Second)
			}
		}
		p := r.up("")
		r.expect("up")
		pass(6 * time.Second)
		last = time.Now()
		_ = p.conn.Close()
		r.expect("down lost")
		r.up("").drain()
		if gap := time.Since(last); gap > 200*time.Millisecond {
			t.Errorf("after a life of 6 s: got the next attempt after %v, want at most %v", gap, 200*time.Millisecond)
		}
		r.expect("up")
	})
}

func TestLosses(t *testing.T) {
	for name, c := range map[string]struct {
		play   func(p *peer)
		reason Reason
	}{
		"end in order": {func(p *peer) { p.send(`</stream:stream>`) }, ReasonStreamEnd},
		"cut":          {func(p *peer) { _ = p.conn.Close() }, ReasonLost},
		"cut inside of a stanza": {func(p *peer) {
			p.send(`<message><body>`)
			_ = p.conn.Close()
		}, ReasonLost},
		"stream error": {func(p *peer) {
			p.send(`<stream:error><system-shutdown xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
		}, ReasonStreamError},
		"not XML": {func(p *peer) { p.send(`<message/>oops`) }, ReasonSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				p := r.up("")
				r.expect("up")
				p.send(`<message id="1"/>`)
				c.play(p)
				events := []string{"message 1 ", "down " + string(c.reason)}
				if name == "not XML" {
					events = []string{"message 1 ", "message  ", "down syntax"}
				}
				r.expect(events...)
				if s := r.Status(); s.Up || s.Reason != c.reason {
					t.Errorf("got status %+v, want down, %v", s, c.reason)
				}
				if p.closed() {
					t.Error("a stream that is lost was ended in order, want it cut")
				}
				r.up("").drain()
				r.expect("up")
				r.quiet()
				if r.lines("link is down") != 1 || r.lines("link is up") != 2 {
					t.Errorf("got log:\n%s\nwant \"link is down\" once, \"link is up\" twice", r.log)
				}
			})
		})
	}
}

// A server that reads and sends but does not work off what it gets is found by its missing answer, although stanzas of
// users still come in; and the old connection is closed before a new one is made.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{PingAfter: 8 * time.Second, PingTimeout: 10 * time.Second}).start()
		p := r.up("")
		r.expect("up")
		began := time.Now()
		gone := make(chan struct{})
		go func() { // it reads
			defer close(gone)
			_, _ = io.Copy(io.Discard, p.conn)
		}()
		var flood sync.WaitGroup
		defer flood.Wait()
		flood.Go(func() {
			for {
				if _, err := io.WriteString(p.conn, `<message id="x"/>`); err != nil {
					return
				}
				pass(time.Second)
			}
		})
		next := r.accept()
		select {
		case <-gone:
		default:
			t.Error("the new connection came before the old one was closed, want it behind")
		}
		if took := time.Since(began); took < 18*time.Second || took > 24*time.Second {
			t.Errorf("found after %v, want 18 s to 24 s", took)
		}
		for {
			if e := <-r.events; e != "message x " {
				if e != "down deaf" {
					t.Errorf(`event %q, want "down deaf"`, e)
				}
				break
			}
		}
		_ = next.conn.Close()
	})
}

func TestPingsKeepTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		began := time.Now()
		for range 100 {
			p.pong()
		}
		if took := time.Since(began); took < 800*time.Second || took > 1000*time.Second {
			t.Errorf("100 pings in %v, want one every 8 s", took)
		}
		r.quiet()
		// An error is an answer too, and a slow answer is one.
		st := p.next()
		pass(8 * time.Second)
		p.answer(st, "error", "im.test", `<error type="cancel"><feature-not-implemented xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)
		p.pong()
		r.quiet()
		p.drain()
	})
}

// A user can send an answer that looks right but for its address.
func TestForgedPongIsNoProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		st := p.next()
		p.answer(st, "result", "mallory@im.test/x", "")
		p.answer(st, "result", "im.test/x", "")
		p.answer(st, "result", "", "")
		r.expect("down deaf")
	})
}

// A server that stops reading is dead after the time without progress, and whoever waits for room is told.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{BufferBytes: 10_000}).start()
		r.up("")
		r.expect("up")
		began := time.Now()
		d := []stanza.Delivery{{ID: "1", From: "a@tlim.im.test", Payload: []byte(strings.Repeat("x", 1000)), To: []stanza.Target{{JID: "b@im.test"}}}}
		var err error
		n := 0
		for ; err == nil; n++ {
			err = r.Deliver(t.Context(), d)
		}
		if !errors.Is(err, ErrDown) {
			t.Errorf("Deliver: got %v, want %v", err, ErrDown)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second || n > 15 {
			t.Errorf("got the end after %v and %d deliveries, want after %v to %v, at most 15", took, n, 10*time.Second, 11*time.Second)
		}
		r.expect("down stalled")
		if err := r.Deliver(t.Context(), d); !errors.Is(err, ErrDown) {
			t.Errorf("Deliver without a link: got %v, want %v", err, ErrDown)
		}
		if r.Post([]byte("<presence/>")) {
			t.Error("Post without a link took a stanza, want it refused")
		}
	})
}

// A server that reads slowly is not dead as long as it reads.
func TestSlowReaderIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{PingAfter: time.Hour}).start()
		p := r.up("")
		r.expect("up")
		payload := []byte(strings.Repeat("x", 100_000))
		if err := r.Deliver(t.Context(), []stanza.Delivery{{ID: "1", From: "a@tlim.im.test", Payload: payload, To: []stanza.Target{{JID: "b@im.test"}}}}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1000)
		for got := 0; got < len(payload); {
			pass(9 * time.Second)
			n, err := p.conn.Read(buf)
			if err != nil {
				t.Fatalf("the link broke off after %d bytes, want it to stay: %v", got, err)
			}
			got += n
		}
		r.quiet()
	})
}

func TestOrderlyStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 2}).start()
		sending, intake := r.up(""), r.up("")
		r.expect("up")
		for i := range 20 {
			to := stanza.Target{JID: fmt.Sprintf("u%d@im.test", i)}
			if err := r.Deliver(t.Context(), []stanza.Delivery{{ID: fmt.Sprint(i), From: "a@tlim.im.test", To: []stanza.Target{to}}}); err != nil {
				t.Fatal(err)
			}
		}
		r.cancel()
		synctest.Wait() // the server has not read yet
		if err := r.Deliver(t.Context(), []stanza.Delivery{{ID: "late", To: []stanza.Target{{JID: "b@im.test"}}}}); !errors.Is(err, ErrDown) {
			t.Errorf("Deliver during the stop: got %v, want %v", err, ErrDown)
		}
		// What still comes in is still taken.
		intake.send(`<message id="last"/>`)
		r.expect("message last ")
		counts := make(chan int)
		for _, p := range []*peer{sending, intake} {
			go func() {
				n := 0
				for {
					frame, err := p.framer.Next()
					if err != nil {
						t.Errorf("%s ended with %v, want the end of the stream", p.domain, err)
					}
					if err != nil || frame.Kind == stanza.KindEnd {
						break
					}
					n++
				}
				_, _ = io.WriteString(p.conn, "</stream:stream>")
				counts <- n
			}()
		}
		if n := <-counts + <-counts; n != 20 {
			t.Errorf("got %d copies before the end of the streams, want 20", n)
		}
		<-r.ended
		r.expect("down closed")
		if s := r.Status(); s.Reason != ReasonClosed || s.Up {
			t.Errorf("got status %+v, want down, %v", s, ReasonClosed)
		}
	})
}

func TestStopIsBounded(t *testing.T) {
	for name, reads := range map[string]bool{"a server that does not read": false, "a server that does not answer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				p := r.up("")
				r.expect("up")
				if reads {
					go func() { _, _ = io.Copy(io.Discard, p.conn) }()
				}
				began := time.Now()
				r.cancel()
				<-r.ended
				if took := time.Since(began); took != defaultCloseTimeout {
					t.Errorf("the stop: got it after %v, want %v", took, defaultCloseTimeout)
				}
				r.expect("down closed")
			})
		})
	}
}

func TestStopWhileDown(t *testing.T) {
	for name, refuse := range map[string]error{"pausing": syscall.ECONNREFUSED, "dialling": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{})
				r.refuseWith(refuse)
				r.start()
				pass(time.Second)
				r.cancel()
				<-r.ended
				r.quiet()
				if s := r.Status(); s.Reason != ReasonClosed {
					t.Errorf("got status %+v, want %v", s, ReasonClosed)
				}
			})
		})
	}
}

func TestStopDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.accept()
		p.header("7n9nd2351p")
		began := time.Now()
		r.cancel()
		<-r.ended
		if time.Since(began) != 0 {
			t.Errorf("the stop waited %v for the handshake, want not", time.Since(began))
		}
	})
}

// The loss of one link is the loss of all, told once.
func TestOneOfSeveralLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 3}).start()
		third, second, intake := r.up(""), r.up(""), r.up("")
		if third.domain != "tlim-3.im.test" || second.domain != "tlim-2.im.test" || intake.domain != "tlim.im.test" {
			t.Errorf("got links %s, %s, %s, want the intake last", third.domain, second.domain, intake.domain)
		}
		r.expect("up")
		_ = second.conn.Close()
		if intake.closed() || third.closed() {
			t.Error("a link was ended in order, want all cut")
		}
		r.expect("down lost")
		r.quiet()
		if e, ok := errors.AsType[*Error](r.Status().Err); !ok || e.Domain != "tlim-2.im.test" {
			t.Errorf("lost: got %v, want the error of tlim-2.im.test", r.Status().Err)
		}
		for range 3 {
			r.up("").drain()
		}
		r.expect("up")
	})
}

// One of several that is refused takes the others down with it, and nobody hears of an up.
func TestOneOfSeveralRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 2}).start()
		sending := r.up("")
		intake := r.accept()
		intake.header("")
		_ = intake.conn.Close()
		if sending.closed() {
			t.Error("the other link was ended in order, want it cut")
		}
		r.quiet()
		if s := r.Status(); s.Reason != ReasonConflict {
			t.Errorf("got status %+v, want %v", s, ReasonConflict)
		}
	})
}

func TestUnknownAndOversize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, Config{MaxStanza: 1000, Registerer: reg}).start()
		p := r.up("")
		r.expect("up")
		p.send(`<strange><message id="no"/></strange><message id="big">` + strings.Repeat("<x/>", 1000) + `</message><message id="next"/>`)
		r.expect("message big ", "message next ")
		for name, want := range map[string]float64{
			"tlim_link_unknown_elements_total": 1, "tlim_link_oversize_total": 1, "tlim_link_up": 1, "tlim_link_queued_bytes": 0, "tlim_link_stanzas_in_total": 3,
		} {
			if got := metric(t, reg, name); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
		p.drain()
	})
}

// metric is the sum of a metric over its labels.
func metric(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			return sum
		}
	}
	t.Fatalf("got no metric %s, want one", name)
	return 0
}

func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		var b strings.Builder
		for i := range 10_000 {
			fmt.Fprintf(&b, `<message id="%d"><body>x</body></message>`, i)
		}
		p.send(b.String())
		for i := range 10_000 {
			r.expect(fmt.Sprintf("message %d <body>x</body>", i))
		}
		p.drain()
	})
}

// What Up does is done: the handler may deliver at once.
func TestDeliverFromUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		r.onUp = func() {
			if !r.Post([]byte(`<presence id="first" to="im.test" from="tlim.im.test"/>`)) {
				t.Error("Post from Up was refused, want it taken")
			}
		}
		r.start()
		p := r.up("")
		if got := p.text(); got != "presence  tlim.im.test>im.test first|" {
			t.Errorf(`the server got %s, want "presence  tlim.im.test>im.test first|"`, got)
		}
		p.drain()
	})
}

// writerFunc is a log that is listened to.
type writerFunc func(line []byte)

func (w writerFunc) Write(line []byte) (int, error) {
	w(line)
	return len(line), nil
}

// Who hears that the link is up can use it.
func TestUpIsUsable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{})
		heard := false
		r.Links.log = slog.New(slog.NewTextHandler(writerFunc(func(line []byte) {
			if !strings.Contains(string(line), "link is up") {
				return
			}
			heard = true
			if s := r.Settled(t.Context()); !s.Up || !r.Post([]byte(`<presence id="first" to="im.test" from="tlim.im.test"/>`)) {
				t.Errorf("got status %+v and Post refused, want it up and taken", s)
			}
		}), nil))
		r.start()
		p := r.up("")
		if got := p.text(); got != "presence  tlim.im.test>im.test first|" {
			t.Errorf(`the server got %s, want "presence  tlim.im.test>im.test first|"`, got)
		}
		if !heard {
			t.Error(`the log: got no "link is up", want it told`)
		}
		p.drain()
	})
}

func TestFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		if err := r.Flushed(t.Context()); err != nil {
			t.Errorf("without a link: got %v, want no error", err)
		}
		p := r.up("")
		r.expect("up")
		if err := r.Flushed(t.Context()); err != nil {
			t.Errorf("with nothing to wait for: got %v, want no error", err)
		}
		r.Post([]byte(`<message id="1"/>`))
		r.Post([]byte(`<message id="2"/>`))
		done := make(chan error, 1)
		go func() { done <- r.Flushed(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("flushed before the server read: %v, want it to wait", err)
		default:
		}
		p.next()
		p.next()
		if err := <-done; err != nil {
			t.Error(err)
		}

		r.Post([]byte(`<message id="3"/>`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Flushed(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: got %v, want %v", err, context.DeadlineExceeded)
		}
		if err := r.Flushed(t.Context()); !errors.Is(err, ErrDown) {
			t.Errorf("at the loss: got %v, want %v", err, ErrDown)
		}
		r.expect("down stalled")
	})
}
