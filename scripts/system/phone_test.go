package system

import (
	"context"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// phone is a device that dies. It keeps what it read.
type phone struct {
	client   *lab.Client
	user     string
	commands bool // confirms by MTC-000
	mu       sync.Mutex
	read     map[string]bool
	work     sync.WaitGroup
}

// confirming is how a phone says that it has a message.
type confirming string

const (
	never      confirming = "never confirming"
	byPings    confirming = "answering pings"
	byReceived confirming = "confirming by <received/>"
	byCommand  confirming = "confirming by MTC-000"
)

func newPhone(w *world, user string, how confirming) *phone {
	w.t.Helper()
	p := &phone{user: user, commands: how == byCommand, read: map[string]bool{}}
	options := []lab.Option{lab.WithPresence("", 0), lab.WithDirected(w.component)}
	switch how {
	case never, byCommand:
		options = append(options, lab.WithPings(lab.IgnorePings))
	case byReceived:
		options = append(options, lab.WithPings(lab.IgnorePings), lab.WithConfirm())
	}
	client, err := w.dial(within(w.t, soon), user, "1[android]", options...)
	check(w.t, err)
	check(w.t, client.Ping(within(w.t, soon), w.component))
	p.client = client
	p.work.Go(func() {
		for {
			m, err := client.Recv(context.Background()) // ends with the connection
			if err != nil {
				return
			}
			if m.Type == "error" || m.Body == "" {
				continue
			}
			p.mu.Lock()
			p.read[m.ID] = true
			p.mu.Unlock()
			if p.commands {
				env, err := m.Envelope()
				if err == nil {
					_ = client.SendMessage(w.component, lab.NewID(), lab.NewEnvelope("MTC-000", user, env.From, "", []map[string]string{{"msg_id": env.ID}}))
				}
			}
		}
	})
	return p
}

func (p *phone) die() {
	p.client.Kill()
	p.work.Wait()
}

func (p *phone) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.read)
}

// A phone that is killed while messages stream to it finds in its queue whatever it had not read, however it behaves.
func TestPhoneKilled(t *testing.T) {
	const messages = 1500
	w := newWorld(t, openfire, nil)
	for _, how := range []confirming{never, byPings, byReceived, byCommand} {
		for _, hangs := range []bool{false, true} {
			name := string(how)
			if hangs {
				name += ", hanging before"
			}
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				users := people(t, 2)
				sender, p := users[0], newPhone(w, users[1], how)
				c := newCrew(t, newLedger())
				c.add(&actor{w: w, user: sender, resource: "a[web]", compose: text(sender, conversation{partner: p.user}), window: 40, pace: time.Millisecond})
				close(c.begin)
				c.more(messages / 3)
				if hangs { // what the server sends piles up in buffers, and dies with the connection
					p.client.Pause()
					c.more(messages / 3)
				}
				p.die()
				c.more(messages / 3)
				c.settle(within(t, soon))
				order := c.ledger.judge(t, "the history", w.chatHistory(sender, p.user), c.ledger.in(between(sender, p.user)))

				// The server says at once that it is gone, and then all that it has not confirmed becomes rows.
				lost := p.missing(w, order)
				await(t, within(t, soon), "the queue to be complete", func() (bool, error) {
					lost = p.missing(w, order)
					return len(lost) == 0, nil
				})
				once(t, "the queue", w.queue(p.user), nil)
				c.ledger.faultless(t)
				t.Logf("%d messages, %d read before it died, %d in the queue, %d lost", len(order), p.count(), len(w.queue(p.user).List), len(lost))
			})
		}
	}
}

// missing lists what it neither read nor finds in its queue.
func (p *phone) missing(w *world, ids []string) []string {
	queued := map[string]bool{}
	for _, id := range w.queue(p.user).ids() {
		queued[id] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []string
	for _, id := range ids {
		if !queued[id] && !p.read[id] {
			list = append(list, id)
		}
	}
	return list
}

// A phone falls off the network without a closed socket: to the server it is there, for minutes. One that confirms loses
// nothing. What one loses that never does is the limit that the README states.
func TestPhoneVanishes(t *testing.T) {
	const grace = 2 * time.Second
	w := newWorld(t, openfire, map[string]any{"offline.grace": grace.String()})
	for _, how := range []confirming{never, byPings, byReceived, byCommand} {
		t.Run(string(how), func(t *testing.T) {
			w := w.in(t)
			users := people(t, 2)
			sender, p := users[0], newPhone(w, users[1], how)
			c := newCrew(t, newLedger())
			c.add(&actor{w: w, user: sender, resource: "a[web]", compose: text(sender, conversation{partner: p.user}), window: 40, pace: 2 * time.Millisecond})
			close(c.begin)
			c.more(200)
			p.client.Pause()
			c.more(300)
			c.settle(within(t, soon))
			order := c.ledger.judge(t, "the history", w.chatHistory(sender, p.user), c.ledger.in(between(sender, p.user)))
			await(t, within(t, soon), "tlim to settle all copies", func() (bool, error) {
				m, err := w.tlim.Metrics(within(t, soon))
				return lab.Sum(m, "tlim_owed_copies") == 0 && lab.Sum(m, "tlim_owed_rows") == 0, err
			})
			p.die()
			lost := p.missing(w, order)
			if how != never && len(lost) > 0 {
				t.Errorf("LOST %d of %d messages, want each read or in the queue", len(lost), len(order))
			}
			t.Logf("%d messages, %d read, %d in the queue, %d lost", len(order), p.count(), len(w.queue(p.user).List), len(lost))
		})
	}
}
