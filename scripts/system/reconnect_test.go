package system

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// reconnects is how often phones come and go in each case of TestReconnects, all phones together:
// go test ./scripts/system -run TestReconnects -v -reconnects 200
var reconnects = flag.Int("reconnects", 40, "how often phones reconnect in each case of TestReconnects")

// commute is how a phone comes and goes.
type commute struct {
	same func(n int) bool // whether the n-th session has the resource of the one before
	hung func(n int) bool // whether it hangs when it is over, if the next one has its resource: the server takes it for alive, and replaces it
}

// commuteGrace is short, so that most of what a session gets is settled when it ends: what is not, the next getOffline answers anyway.
const commuteGrace = 300 * time.Millisecond

// every says yes to every k-th session; 0 is never.
func every(k int) func(n int) bool { return func(n int) bool { return k > 0 && n%k == 0 } }

// Phones reconnect again and again under load, as unchanged apps do: they send no receipts and answer pings, which their library does.
// Whatever was acknowledged to its sender, each phone saw, or finds in its queue at a login.
func TestReconnects(t *testing.T) {
	for _, c := range []struct {
		name    string
		server  func() (*lab.Server, error)
		commute commute
		config  func(t *testing.T) map[string]any
	}{
		{"another resource", openfire, commute{every(0), every(0)}, nil},
		{"the same resource", openfire, commute{every(1), every(2)}, nil},
		{"the same resource, sender user", openfire, commute{every(1), every(2)}, func(*testing.T) map[string]any {
			return map[string]any{"xmpp.sender": "user"}
		}},
		{"mixed, sender user, MariaDB", openfire, commute{every(2), every(3)}, func(t *testing.T) map[string]any {
			config := onMariaDB(t)
			config["xmpp.sender"] = "user"
			return config
		}},
		{"mixed, three links, multicast", openfire, commute{every(2), every(3)}, func(*testing.T) map[string]any {
			return map[string]any{"xmpp.connections": 3, "xmpp.multicast": "on"}
		}},
		{"Prosody", prosody, commute{every(2), every(3)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := map[string]any{"offline.grace": commuteGrace.String()}
			if c.config != nil {
				maps.Copy(config, c.config(t))
			}
			w, n := newWorld(t, c.server, config), *reconnects
			if w.server.Kind == "prosody" { // slower, and it has no snapshots that could be too late
				n /= 2
			}
			commuting(t, w, c.commute, n)
		})
	}
}

func commuting(t *testing.T, w *world, how commute, n int) {
	const phones = 8
	users := people(t, phones+1)
	sender, commuters := users[0], []*commuter{}
	session := w.group(users...)
	var options []lab.Option
	if w.server.Kind == "prosody" { // which gives no snapshots
		options = append(options, lab.WithDirected(w.component))
	}
	helper := w.online(sender, "b[web]")
	for _, user := range users[1:] {
		p := newCommuter(w, user, options...)
		p.introduce(helper, sender)
		commuters = append(commuters, p)
	}
	check(t, helper.Close())

	c := newCrew(t, newLedger())
	group := text(sender, conversation{group: session})
	var alone []func(int) *entry
	for _, user := range users[1:] {
		alone = append(alone, text(sender, conversation{partner: user}))
	}
	c.add(&actor{w: w, user: sender, resource: "a[web]", window: 100, pace: 4 * time.Millisecond, compose: func(n int) *entry {
		if n%3 == 0 {
			return group(n)
		}
		return alone[n%phones](n)
	}})
	close(c.begin)
	begun := time.Now()
	failed := make(chan error, phones)
	for _, p := range commuters {
		go func() { failed <- p.commute(t.Context(), c, n/phones, how) }()
	}
	for range commuters {
		check(t, <-failed)
	}
	took := time.Since(begun)
	c.settle(within(t, soon))
	c.ledger.faultless(t)

	var sum tally
	forgotten := 0
	for _, p := range commuters {
		// As an app that is opened once more.
		check(t, p.come(within(t, soon), "last[android]"))
		var ids []string
		for id, e := range c.ledger.in(func(e *entry) bool { return e.to.group == session || e.to.partner == p.user }) {
			if e.msgTime != "" {
				ids = append(ids, id)
			}
		}
		one := p.whole(t, ids)
		sum = sum.plus(one)
		forgotten += p.forgotten
		if one.lost > 0 {
			var lost []string
			for _, id := range p.lacks(ids) {
				e := c.ledger.sent[id]
				lost = append(lost, fmt.Sprint(e.msgTime, " ", e.kind, " ", id))
			}
			slices.Sort(lost)
			t.Logf("%s lost\n%s\nand did\n%s", p.user, strings.Join(lost, "\n"), strings.Join(p.diary, "\n"))
		}
		check(t, p.client.Close())
		p.reader.Wait()
	}
	if sum.lost > 0 {
		t.Errorf("LOST %d of %d messages, want each live or in the queue", sum.lost, sum.messages)
	}
	if forgotten > n/5 { // what the server does to sessions is not ours (deaf says more); a phone that none of them answers is no phone
		t.Errorf("the server did not answer %d of %d logins, want one in five at most", forgotten, n)
	}
	t.Logf("%d reconnects (%d logins without an answer) in %.1f s under %.0f messages/s; %s",
		n/phones*phones, forgotten, took.Seconds(), float64(len(c.ledger.order))/took.Seconds(), sum)
}

// introduce makes the phone one of which tlim remembers that it answers pings.
func (c *commuter) introduce(friend *lab.Client, name string) {
	w := c.w
	w.t.Helper()
	ctx := within(w.t, soon)
	check(w.t, c.come(ctx, "0[android]"))
	check(w.t, c.client.Send(`<message type="chat" to="`+name+"@"+w.component+`"><active xmlns="http://jabber.org/protocol/chatstates"/></message>`))
	check(w.t, c.client.Ping(ctx, w.component))
	id := lab.NewID()
	w.send(friend, id, lab.Text(name, c.user, id, "hello"))
	check(w.t, c.client.AwaitPings(ctx, 1))
	check(w.t, c.client.Ping(ctx, w.component)) // its answer is read before this
	check(w.t, c.client.Close())
	c.reader.Wait()
}

// commute comes and goes n times.
func (c *commuter) commute(ctx context.Context, senders *crew, n int, how commute) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*soon)
	defer cancel()
	sessions, resource := 0, ""
	var old *lab.Client
	for i := range n {
		if !how.same(i) || resource == "" {
			sessions++
			resource = fmt.Sprintf("%d[android]", sessions)
		}
		if err := c.come(ctx, resource); err != nil {
			return err
		}
		if old != nil {
			old.Kill() // the server has replaced it
			old = nil
		}
		if err := c.fetch(ctx); err != nil {
			return err
		}
		copies := c.copies() + 40
		if err := senders.sends(ctx, 200, func() bool { return c.copies() >= copies }); err != nil {
			return err
		}
		switch {
		case i < n-1 && how.hung(i) && how.same(i+1):
			old = c.client
			old.Pause()
			c.notes("hangs")
			if err := senders.sends(ctx, 100, nil); err != nil {
				return err
			}
		case i%3 == 2: // in order
			c.notes("closes")
			if err := c.client.Close(); err != nil {
				return err
			}
		default:
			c.notes("dies")
			c.client.Kill()
		}
		if i%4 == 3 { // away for a while
			if err := senders.sends(ctx, 50, nil); err != nil {
				return err
			}
		}
	}
	c.reader.Wait()
	return nil
}

// sends returns when n more messages have got their receipts, or when enough says so.
func (c *crew) sends(ctx context.Context, n int, enough func() bool) error {
	acked, _ := c.ledger.receipts()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		if now, _ := c.ledger.receipts(); now >= acked+n || enough != nil && enough() {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d more receipts: %w", n, ctx.Err())
		}
	}
}
