package stream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tlim/component/stanza"
)

// one is a delivery of one copy.
func one(id, to string) []stanza.Delivery {
	return []stanza.Delivery{{ID: id, From: "a@tlim.im.test", Payload: []byte("<body>x</body>"), To: []stanza.Target{{JID: to}}}}
}

// A barrier is behind all that was queued, and passes when the server has answered on every link.
func TestBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 2}).start()
		sending, intake := r.up(""), r.up("")
		r.expect("up")
		for i := range 20 {
			if err := r.Deliver(t.Context(), one(fmt.Sprint(i), fmt.Sprintf("u%d@im.test", i))); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 2)
		r.Barrier(func(err error) { done <- err })
		if err := r.Deliver(t.Context(), one("behind", "u1@im.test")); err != nil {
			t.Fatal(err)
		}
		before := 0
		var pings []stanza.Stanza
		for _, p := range []*peer{sending, intake} {
			st := p.next()
			for ; !isPing(st); st = p.next() {
				if st.ID == "behind" {
					t.Error("a later delivery came before the barrier, want it behind")
				}
				before++
			}
			if st.From != p.domain {
				t.Errorf("the ping on %s comes from %s, want %s", p.domain, st.From, p.domain)
			}
			pings = append(pings, st)
		}
		if before != 20 {
			t.Errorf("got %d copies before the barrier, want 20", before)
		}
		sending.answer(pings[0], "result", "im.test", "")
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("the barrier passed with one of two answers: %v, want it to wait", err)
		default:
		}
		intake.answer(pings[1], "result", "im.test", "")
		if err := <-done; err != nil {
			t.Error(err)
		}
		sending.drain()
		intake.drain()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("the barrier was told twice: %v, want once", err)
		default:
		}
	})
}

// At a loss every barrier fails, once, before the handler hears of it.
func TestBarrierFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Connections: 2}).start()
		down := make(chan error, 10)
		r.Barrier(func(err error) { down <- err })
		if err := <-down; !errors.Is(err, ErrDown) {
			t.Errorf("without a link: got %v, want %v", err, ErrDown)
		}
		sending, intake := r.up(""), r.up("")
		r.expect("up")
		for range 3 {
			r.Barrier(func(err error) { r.events <- fmt.Sprint("barrier ", errors.Is(err, ErrDown)) })
		}
		// One link answers, the other one breaks.
		for range 3 {
			sending.pong()
		}
		_ = intake.conn.Close()
		r.expect("barrier true", "barrier true", "barrier true", "down lost")
		r.quiet()
	})
}

// A server that does not answer a barrier is as dead as one that does not answer a ping.
func TestBarrierUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		began := time.Now()
		r.Barrier(func(err error) { r.events <- fmt.Sprint("barrier ", errors.Is(err, ErrDown)) })
		p.next()
		r.expect("barrier true", "down deaf")
		if took := time.Since(began); took < 10*time.Second || took > 13*time.Second {
			t.Errorf("found after %v, want %v to %v", took, 10*time.Second, 13*time.Second)
		}
	})
}

// The time in our own buffer is not held against the server's answer.
func TestBarrierWaitsInTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		for i := range 10 {
			if err := r.Deliver(t.Context(), one(fmt.Sprint(i), "u@im.test")); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		r.Barrier(func(err error) { done <- err })
		b := make([]byte, 50)
		for range 5 { // slower than the time for an answer, as a whole
			pass(7 * time.Second)
			if _, err := p.conn.Read(b); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			for err := error(nil); err == nil; _, err = p.conn.Read(b) {
			}
		}()
		synctest.Wait()
		r.quiet()
		select {
		case err := <-done:
			t.Errorf("barrier: %v, want it to wait", err)
		default:
		}
		r.expect("down deaf")
	})
}

// A server that is busy with much is not taken for a deaf one: there are pings on the way whose answers show that it goes
// on. Here it takes longer for all than it may for one answer.
func TestBusyServerIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		p := r.up("")
		r.expect("up")
		d := one("1", "u@im.test")
		for range 9_999 {
			d[0].To = append(d[0].To, stanza.Target{JID: "u@im.test"})
		}
		done := make(chan error, 1)
		go func() {
			if err := r.Deliver(t.Context(), d); err != nil {
				done <- err
				return
			}
			r.Barrier(func(err error) { done <- err })
		}()
		// Its kernel takes everything at once; it itself works off 200 copies a second.
		stanzas := make(chan stanza.Stanza, 20_000)
		go func() {
			for {
				frame, err := p.framer.Next()
				if err != nil {
					close(stanzas)
					return
				}
				stanzas <- frame.Stanza
			}
		}()
		began := time.Now()
		copies := 0
		for copies < 10_000 {
			st := <-stanzas
			if isPing(st) {
				p.answer(st, "result", "im.test", "")
				continue
			}
			if copies++; copies%200 == 0 {
				pass(time.Second)
			}
		}
		r.quiet()
		for passed := false; !passed; {
			select {
			case st := <-stanzas:
				p.answer(st, "result", "im.test", "")
			case err := <-done:
				if passed = true; err != nil || time.Since(began) < 50*time.Second {
					t.Errorf("after %v: got %v, want no error, after at least %v", time.Since(began), err, 50*time.Second)
				}
			}
		}
		// And when it stops, that is seen in the usual time.
		began = time.Now()
		r.expect("down deaf")
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("found after %v, want at most %v", took, 25*time.Second)
		}
	})
}

// However the load is handed over, there are pings in it.
func TestPingsLieBetween(t *testing.T) {
	for name, send := range map[string]func(r *rig) error{
		"single copies": func(r *rig) error {
			for range 10_000 {
				if err := r.Deliver(r.t.Context(), one("1", "u@im.test")); err != nil {
					return err
				}
			}
			return nil
		},
		"posts": func(r *rig) error {
			for range 10_000 {
				if !r.Post([]byte(`<message id="1" to="u@im.test"/>`)) {
					return ErrDown
				}
			}
			return nil
		},
		"one large delivery": func(r *rig) error {
			d := one("1", "u@im.test")
			for range 9_999 {
				d[0].To = append(d[0].To, d[0].To[0])
			}
			return r.Deliver(r.t.Context(), d)
		},
		"large copies": func(r *rig) error {
			d := one("1", "u@im.test")
			d[0].Payload = []byte("<body>" + strings.Repeat("x", 60_000) + "</body>")
			for range 50 {
				if err := r.Deliver(r.t.Context(), d); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Config{}).start()
				p := r.up("")
				r.expect("up")
				done := make(chan error, 1)
				go func() {
					if err := send(r); err != nil {
						done <- err
						return
					}
					r.Barrier(func(err error) { done <- err })
				}()
				pings, worst, since := 0, 0, 0
				for running := true; running; {
					st := p.next()
					if !isPing(st) {
						since++
						worst = max(worst, since)
						continue
					}
					pings, since = pings+1, 0
					p.answer(st, "result", "im.test", "")
					synctest.Wait()
					select {
					case err := <-done:
						if running = false; err != nil {
							t.Error(err)
						}
					default:
					}
				}
				if pings < 9 || worst > 1100 {
					t.Errorf("got %d pings, at most %d stanzas between two, want at least 9, at most 1100", pings, worst)
				}
				p.drain()
			})
		})
	}
}

func TestBarriersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}).start()
		r.up("")
		r.expect("up")
		for range maxPings {
			r.Barrier(func(error) {})
		}
		done := make(chan error, 1)
		r.Barrier(func(err error) { done <- err })
		if err := <-done; !errors.Is(err, ErrDown) {
			t.Errorf("one more than can wait: got %v, want %v", err, ErrDown)
		}
	})
}
