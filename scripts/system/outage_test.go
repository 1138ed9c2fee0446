package system

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// The server is gone for ten seconds under load. Its clients lose their sessions as well; what was sent to them then waits in
// their queues.
func TestServerAway(t *testing.T) {
	t.Parallel() // it waits for most of its time
	const away = 10 * time.Second
	for name, end := range map[string]func(*lab.Server) error{"stopped": (*lab.Server).Stop, "killed": (*lab.Server).Kill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for most of its time
			own := must[*lab.Server](t)(lab.StartOpenfire(within(t, patience), lab.Options{Dir: t.TempDir(), Users: users()}))
			t.Cleanup(func() {
				if err := own.Stop(); err != nil {
					t.Error(err)
				}
			})
			w := newWorld(t, func() (*lab.Server, error) { return own, nil }, nil)
			c := newCast(t, w, 10*time.Millisecond)
			c.more(300)

			check(t, end(own))
			gone := time.NewTimer(away) // the length of the outage is what is tested
			if text, err := w.tlim.AwaitUnready(within(t, soon)); err != nil {
				t.Errorf("got %q, %v, want /readyz to say that the link is down", text, err)
			} else {
				t.Logf("/readyz: %s", text)
			}
			pid := w.tlim.PID()
			<-gone.C
			check(t, own.Start(within(t, patience)))
			back := time.Now()
			check(t, w.tlim.AwaitReady(within(t, time.Minute)))
			ready := time.Since(back)
			c.more(300)
			_, first := c.ledger.receipts()
			c.verdict(false)
			c.complete()
			if w.tlim.PID() != pid {
				t.Errorf("tlim is now process %d, want it to have stayed %d", w.tlim.PID(), pid)
			}
			t.Logf("ready %s after the server's return, 300 receipts after %s", ready.Round(time.Millisecond), first.Sub(back).Round(time.Millisecond))
		})
	}
}

// complete fails the test unless everything with a receipt that others sent came to a phone of each user, or waits in their queue:
// there is one queue for all their phones (PROTOCOL.md section 5), and one that logs in a moment after another has missed what
// came between. What a user sent from a phone is never queued for themselves.
func (c *cast) complete() {
	t := c.t
	t.Helper()
	group := c.ledger.in(inGroup(c.session))
	chat := c.ledger.in(between(c.zhao, c.sun()))
	phones := map[string][]*arrivals{c.sun(): {c.phones}}
	for _, d := range c.senders {
		phones[c.w.userOf(d)] = append(phones[c.w.userOf(d)], d)
	}
	for user, devices := range phones {
		lost := func() (list []string) {
			have := map[string]bool{}
			for _, id := range c.w.queue(user).ids() {
				have[id] = true
			}
			expect := func(sent map[string]*entry) {
				for id, e := range sent {
					came := slices.ContainsFunc(devices, func(d *arrivals) bool { return len(d.lacks([]string{id}, false)) == 0 })
					if e.msgTime != "" && e.from != user && !have[id] && !came {
						list = append(list, id)
					}
				}
			}
			expect(group)
			if user == c.sun() {
				expect(chat)
			}
			return list
		}
		await(t, within(t, soon), "all messages of "+user, func() (bool, error) { // the last copies are on their way
			list := lost()
			return len(list) == 0, fmt.Errorf("%d LOST: %.500v", len(list), list)
		})
	}
}

// Only the component's connection breaks; the clients stay where they are.
func TestLinkLost(t *testing.T) {
	t.Parallel() // it waits for most of its time
	s := must[*lab.Server](t)(openfire())
	p := newProxy(t, s.Component)
	w := newWorld(t, openfire, map[string]any{"xmpp.server": p.addr, "xmpp.ping": "2s"})
	c := newCast(t, w, 10*time.Millisecond)
	for _, fault := range []struct {
		name   string
		begin  func()
		reason string // as /readyz and the metric name it
	}{
		{"cut", p.cut, "lost"},
		{"stall", func() { p.set(hold, hold) }, ""}, // a stalled or a deaf link, whatever is noticed first
		{"deaf", func() { p.set(swallow, pass) }, "deaf"},
		{"mute", func() { p.set(pass, swallow) }, "deaf"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			c.more(100)
			before := w.metric("tlim_link_losses_total")
			began := time.Now()
			fault.begin()
			await(t, within(t, time.Minute), "the link to be given up", func() (bool, error) {
				m, err := w.tlim.Metrics(within(t, soon))
				if fault.reason != "" && lab.Sum(m, `tlim_link_losses_total{reason="`+fault.reason+`"}`) == 0 {
					return false, err
				}
				return lab.Sum(m, "tlim_link_losses_total") > before, err
			})
			noticed := time.Since(began)
			p.set(pass, pass)
			check(t, w.tlim.AwaitReady(within(t, time.Minute)))
			c.more(100)
			_, last := c.ledger.receipts()
			t.Logf("noticed after %s, 100 receipts after %s", noticed.Round(time.Millisecond), last.Sub(began).Round(time.Millisecond))
		})
	}
	c.t = t
	c.verdict(true)
}
