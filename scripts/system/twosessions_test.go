package system

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// rebinds is how often the phone comes back in each case of TestTwoSessions. Before answered copies were held, 50 lost some in each:
// go test ./scripts/system -run TestTwoSessions -v -rebinds 50
var rebinds = flag.Int("rebinds", 4, "how often the phone binds its resource anew in each case of TestTwoSessions")

// A phone binds the resource of its session in the midst of what it gets: the old session answers the ping in front of it and the new one that behind.
// What went to the old one in between is in the queue that the app asks for at its login.
func TestTwoSessions(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  map[string]any
		members int // of its group besides the two; 0: a chat
		dead    bool
		burst   int
		size    int // of a message
	}{
		{name: "the old one alive", burst: 100, size: 2500},
		{name: "the old one dead, multicast", config: map[string]any{"xmpp.multicast": "on"}, members: 58, dead: true, burst: 40, size: 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, openfire, c.config)
			users := people(t, 2+c.members)
			sender := users[0]
			p := newCommuter(w, users[1])
			from := w.online(sender, "b[web]")
			session := w.group(users...)
			for _, user := range users[2:] {
				w.login(user, "x[android]", lab.WithPresence("", 0), lab.WithCount())
			}
			p.introduce(from, sender)
			p.stays(t)
			filler := strings.Repeat("x", c.size)
			var ids []string
			unheard := 0
			for n := range *rebinds {
				hears := p.known(t, from)
				before, sent := p.copies(), map[string]bool{}
				for i := range c.burst {
					id, words := lab.NewID(), fmt.Sprint(filler, i)
					body := lab.Text(sender, p.user, id, words)
					if c.members > 0 {
						body = lab.GroupText(sender, session, id, words)
					}
					check(t, from.SendMessage(w.component, id, body))
					sent[id] = true
				}
				if !hears || p.gets(within(t, deaf), before+1+n*7%(c.burst/2)) != nil {
					unheard++ // see [deaf]
				}
				old := p.client
				if c.dead {
					old.Kill()
				}
				check(t, p.come(within(t, soon), phoneResource))
				select {
				case <-old.Done(): // the server has replaced it
				case <-within(t, soon).Done():
					t.Fatal("the server keeps two sessions of one resource, want the old one ended")
				}
				check(t, p.fetch(within(t, soon)))
				ids = append(ids, taken(t, from, sent)...)
			}
			t.Logf("the phone was not heard in %d of %d sessions", unheard, *rebinds)
			if unheard == *rebinds {
				t.Errorf("the phone got nothing in any of %d sessions, want some of each burst", unheard)
			}
			p.losesNone(t, ids)
		})
	}
}

// With xmpp.sender: user the server gives a session that is bound and not available yet the pings, but no messages. Its answers count for nothing
// until a snapshot has it, and the first one that does not has the messages queued.
func TestSessionAvailableLate(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"xmpp.sender": "user", "presence.interval": "2s", "offline.grace": "1s"})
	users := people(t, 2)
	sender := users[0]
	p := newCommuter(w, users[1])
	helper := w.online(sender, "b[web]")
	w.known(users...)
	p.introduce(helper, sender)
	p.stays(t)
	if !p.known(t, helper) {
		t.Fatal("the phone gets nothing, want what is sent to its user")
	}
	c := newCrew(t, newLedger())
	c.add(&actor{w: w, user: sender, resource: "a[web]", compose: text(sender, conversation{partner: p.user}), window: 100, pace: 4 * time.Millisecond})
	close(c.begin)
	check(t, p.gets(within(t, soon), p.copies()+20))
	w.snapshots(2) // the second was asked for after those answers
	old := p.client
	check(t, p.come(within(t, soon), phoneResource, lab.WithoutPresence()))
	old.Kill() // the server has replaced it
	w.snapshots(1)
	check(t, p.client.Presence(within(t, soon), lab.Presence{}))
	check(t, p.fetch(within(t, soon)))
	c.settle(within(t, soon))
	c.ledger.faultless(t)
	var ids []string
	for _, e := range c.ledger.order {
		ids = append(ids, e.id)
	}
	p.losesNone(t, ids)
}

// stays logs the phone in for good.
func (c *commuter) stays(t *testing.T) {
	t.Helper()
	check(t, c.come(within(t, soon), phoneResource))
	t.Cleanup(func() {
		c.client.Kill()
		c.reader.Wait()
	})
}

// known returns when the phone is sent what is sent to its user; false when the server forgot it, see [deaf].
func (c *commuter) known(t *testing.T, friend *lab.Client) bool {
	t.Helper()
	name, _, _ := strings.Cut(friend.JID, "@")
	for ctx := within(t, deaf); ctx.Err() == nil; {
		id, n := lab.NewID(), c.copies()
		c.w.send(friend, id, lab.Text(name, c.user, id, "are you there?"))
		moment, cancel := context.WithTimeout(ctx, time.Second)
		err := c.gets(moment, n+1)
		cancel()
		if err == nil {
			return true
		}
	}
	return false
}

// gets returns when the phone has seen so many copies in all.
func (c *commuter) gets(ctx context.Context, n int) error {
	ticker := time.NewTicker(100 * time.Microsecond)
	defer ticker.Stop()
	for c.copies() < n {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s waits for %d copies and has %d: %w", c.user, n, c.copies(), ctx.Err())
		}
	}
	return nil
}

// losesNone says that the phone has seen these, or found them in its queue.
func (c *commuter) losesNone(t *testing.T, ids []string) {
	t.Helper()
	sum := c.whole(t, ids)
	t.Log(sum)
	if sum.lost > 0 {
		t.Errorf("LOST %d of %d messages, want each live or in the queue; the phone did\n%s", sum.lost, sum.messages, strings.Join(c.diary, "\n"))
	}
}

// snapshots returns when tlim has got so many more presence snapshots: of a server that is busy they are far between.
func (w *world) snapshots(n float64) {
	w.t.Helper()
	const count = "tlim_snapshot_seconds_count"
	n += w.metric(count)
	await(w.t, within(w.t, 3*time.Minute), "presence snapshots", func() (bool, error) { return w.metric(count) >= n, nil })
}

// taken waits for the answer to each message, and lists those that were acknowledged: a server that is behind may have others refused.
func taken(t *testing.T, from *lab.Client, sent map[string]bool) (list []string) {
	t.Helper()
	ctx := within(t, soon)
	for len(sent) > 0 {
		m, err := from.Recv(ctx)
		check(t, err)
		if m.Type == "error" {
			delete(sent, m.ID)
			continue
		}
		env, err := m.Envelope()
		if err != nil || env.Type != "MTC-100" {
			continue
		}
		objects, err := env.Objects()
		check(t, err)
		for _, o := range objects {
			if id := fmt.Sprint(o["msg_id"]); sent[id] {
				delete(sent, id)
				list = append(list, id)
			}
		}
	}
	return list
}
