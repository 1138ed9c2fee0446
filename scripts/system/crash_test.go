package system

import (
	"math/rand/v2"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// cast is a group and two 1:1 conversations under load, with every kind of receiver.
type cast struct {
	*crew
	w       *world
	session string

	zhao, qian, absent string    // two senders, and one who is never there
	phones, webs       *arrivals // of sun, who only receives
	copies             *arrivals // the web session of zhao, who sends from a phone
	senders            []*arrivals
}

// newCast starts the load. Zhao and qian send to the group, zhao to sun and qian to the one who is not there.
func newCast(t *testing.T, w *world, pace time.Duration) *cast {
	t.Helper()
	users := people(t, 4)
	zhao, qian, sun, absent := users[0], users[1], users[2], users[3]
	c := &cast{crew: newCrew(t, newLedger()), w: w, zhao: zhao, qian: qian, absent: absent}
	c.session = w.group(users...)
	c.phones = c.add(&actor{w: w, user: sun, resource: "phone", options: []lab.Option{lab.WithConfirm()}})
	c.webs = c.add(&actor{w: w, user: sun, resource: "a[web]"})
	c.copies = c.add(&actor{w: w, user: zhao, resource: "b[web]"})
	send := func(user, resource string, to conversation) {
		c.senders = append(c.senders, c.add(&actor{w: w, user: user, resource: resource, compose: text(user, to), window: 16, pace: pace}))
	}
	send(zhao, "1[android]", conversation{group: c.session})
	send(qian, "1[ios]", conversation{group: c.session})
	send(zhao, "2[android]", conversation{partner: sun})
	send(qian, "2[ios]", conversation{partner: absent})
	close(c.begin)
	return c
}

func (c *cast) sun() string { return c.w.userOf(c.phones) }

// verdict settles the load and judges everything by the ledger. order says whether the devices stayed connected, so that
// all must have come to them, and in order.
func (c *cast) verdict(connected bool) {
	t := c.t
	t.Helper()
	c.settle(within(t, time.Minute))
	group := c.ledger.judge(t, "the group", c.w.groupHistory(c.session), c.ledger.in(inGroup(c.session)))
	chat := c.ledger.judge(t, "zhao and sun", c.w.chatHistory(c.zhao, c.sun()), c.ledger.in(between(c.zhao, c.sun())))
	waiting := c.ledger.judge(t, "qian and the absent", c.w.chatHistory(c.qian, c.absent), c.ledger.in(between(c.qian, c.absent)))

	ctx := within(t, soon)
	devices := append([]*arrivals{c.phones, c.webs, c.copies}, c.senders...)
	if connected {
		for _, d := range devices {
			c.arrived(ctx, d, group, false)
			d.inOrder(t, group)
		}
		for _, d := range []*arrivals{c.phones, c.webs} {
			c.arrived(ctx, d, chat, false)
			d.inOrder(t, chat)
		}
		c.arrived(ctx, c.copies, chat, true)
	}
	once(t, "the queue of the absent", c.w.queue(c.absent), append(append([]string{}, group...), waiting...))
	repeats := 0
	for _, d := range devices {
		repeats += d.sound(t)
		if !c.w.clocks {
			d.storedFirst(t, c.ledger)
		}
	}
	for _, user := range []string{c.zhao, c.qian, c.sun()} {
		once(t, "the queue of "+user, c.w.queue(user), nil)
	}
	c.ledger.faultless(t)
	t.Logf("%d messages stored, %d sent again, %d told to wait, %d copies of %d messages came again",
		len(group)+len(chat)+len(waiting), c.ledger.repeats, c.ledger.waits, repeats, len(group)+len(chat))
}

// userOf is the user whose device it is.
func (w *world) userOf(a *arrivals) string { return a.name[:len(account(0))] }

// more waits until that many more messages have their receipt, and returns when the last came.
func (c *crew) more(n int) time.Time {
	c.t.Helper()
	ctx := within(c.t, time.Minute)
	before, _ := c.ledger.receipts()
	var last time.Time
	await(c.t, ctx, "receipts", func() (bool, error) {
		var acked int
		acked, last = c.ledger.receipts()
		return acked >= before+n, nil
	})
	return last
}

// The process is killed at random moments under load, again and again.
func TestKilled(t *testing.T) {
	const kills = 7
	for name, config := range map[string]func(*testing.T) map[string]any{
		"sqlite":  func(*testing.T) map[string]any { return nil },
		"mariadb": onMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, openfire, config(t))
			c := newCast(t, w, 6*time.Millisecond)
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			var longest time.Duration
			for i := range kills {
				c.more(50 + random.IntN(300))
				moment := time.NewTimer(time.Duration(random.IntN(int(20 * time.Millisecond))))
				<-moment.C
				check(t, w.tlim.Kill())
				killed := time.Now()
				if i%2 == 1 { // what is sent meanwhile falls on the floor of the server, for a while
					c.unheard(40)
				}
				check(t, w.tlim.Start(within(t, time.Minute)))
				c.more(1)
				_, last := c.ledger.receipts()
				longest = max(longest, last.Sub(killed))
			}
			c.verdict(true)
			t.Logf("%d kills, at most %s without receipts", kills, longest.Round(time.Millisecond))
		})
	}
}

// unheard waits until the senders have sent that many times into the void.
func (c *crew) unheard(n int) {
	c.t.Helper()
	before, _ := c.ledger.tries()
	await(c.t, within(c.t, time.Minute), "senders to try again", func() (bool, error) {
		repeats, _ := c.ledger.tries()
		return repeats >= before+n, nil
	})
}

// told waits until the senders were told n times to wait.
func (c *crew) told(n int) {
	c.t.Helper()
	_, before := c.ledger.tries()
	await(c.t, within(c.t, time.Minute), "error-013", func() (bool, error) {
		_, waits := c.ledger.tries()
		return waits >= before+n, nil
	})
}
