package system

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// actor is a well-behaved client: it logs in again whenever its connection breaks, and repeats under the same msg_id what
// got no receipt.
type actor struct {
	w        *world
	ledger   *ledger
	user     string
	resource string
	options  []lab.Option
	got      *arrivals
	commands bool // confirms by MTC-000

	// A sender has these; compose makes the next message.
	compose func(n int) *entry
	window  int
	pace    time.Duration

	finished chan struct{} // closed when the crew is to stop and all that this sender sent has its receipt
	once     sync.Once
}

const (
	resendAfter = time.Second            // without any answer
	waitAfter   = 200 * time.Millisecond // after error-013
	redialPause = 200 * time.Millisecond
)

// sending is a message without a receipt.
type sending struct {
	*entry
	due time.Time // when to send it again
}

// crew runs actors and ends them together.
type crew struct {
	t      *testing.T
	ledger *ledger
	work   sync.WaitGroup
	begin  chan struct{} // senders begin: what is sent before a device is known is not sent to it
	stop   chan struct{} // senders make nothing new
	cancel context.CancelFunc
	ctx    context.Context
	actors []*actor
}

func newCrew(t *testing.T, l *ledger) *crew {
	c := &crew{t: t, ledger: l, begin: make(chan struct{}), stop: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		c.cancel()
		c.work.Wait()
	})
	return c
}

// add starts an actor and returns when it is online and tlim knows it.
func (c *crew) add(a *actor) *arrivals {
	c.t.Helper()
	a.ledger, a.got, a.finished = c.ledger, newArrivals(a.user+"/"+a.resource), make(chan struct{})
	client, err := a.dial(within(c.t, soon))
	check(c.t, err)
	c.actors = append(c.actors, a)
	c.work.Go(func() { a.run(c, client) })
	return a.got
}

// settle lets the senders finish: it returns when everything sent has its receipt.
func (c *crew) settle(ctx context.Context) {
	c.t.Helper()
	close(c.stop)
	for _, a := range c.actors {
		if a.compose == nil {
			continue
		}
		select {
		case <-a.finished:
		case <-ctx.Done():
			acked, _ := c.ledger.receipts()
			all := len(c.ledger.in(func(*entry) bool { return true }))
			c.t.Fatalf("got acknowledgements of %d messages, want of all %d", acked, all)
		}
	}
}

// arrived waits until a device has all these messages.
func (c *crew) arrived(ctx context.Context, a *arrivals, ids []string, async bool) {
	c.t.Helper()
	for {
		lack := a.lacks(ids, async)
		if len(lack) == 0 {
			return
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
			c.t.Errorf("%s: LOST: got %d, want %d; %d are missing, the first is %s", a.name, len(ids)-len(lack), len(ids), len(lack), lack[0])
			return
		}
	}
}

func (a *actor) dial(ctx context.Context) (*lab.Client, error) {
	options := append([]lab.Option{lab.WithPresence("", 0), lab.WithDirected(a.w.component), lab.WithAck()}, a.options...)
	return a.w.dial(ctx, a.user, a.resource, options...)
}

func (a *actor) run(c *crew, client *lab.Client) {
	var waiting []*sending // oldest first
	for n := 0; ; {
		a.life(c, client, &waiting, &n)
		client.Kill()
		if c.ctx.Err() != nil {
			return
		}
		// Logged out by a dying server: in again, as soon as it is there.
		for client = nil; client == nil; {
			var err error
			ctx, cancel := context.WithTimeout(c.ctx, soon)
			client, err = a.dial(ctx)
			cancel()
			if err == nil {
				break
			}
			client = nil
			timer := time.NewTimer(redialPause)
			select {
			case <-timer.C:
			case <-c.ctx.Done():
				timer.Stop()
				return
			}
		}
		for _, s := range waiting {
			s.due = time.Now()
		}
	}
}

// life is one connection, until it breaks or the crew ends.
func (a *actor) life(c *crew, client *lab.Client, waiting *[]*sending, n *int) {
	ctx, cancel := context.WithCancel(c.ctx)
	in := make(chan lab.Message) // closed when the connection is over
	var pump sync.WaitGroup
	pump.Go(func() {
		defer close(in)
		for {
			m, err := client.Recv(ctx)
			if err != nil {
				return
			}
			select {
			case in <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	defer pump.Wait()
	defer cancel()

	begin, stop := c.begin, c.stop
	var next <-chan time.Time
	if a.compose == nil {
		begin, stop = nil, nil
	}
	again := time.NewTicker(waitAfter / 2)
	defer again.Stop()
	for {
		if a.compose != nil && stop == nil && len(*waiting) == 0 {
			a.once.Do(func() { close(a.finished) }) // all is said; what others say still comes
		}
		select {
		case <-c.ctx.Done():
			return
		case m, ok := <-in:
			if !ok {
				return
			}
			a.message(client, m, waiting)
		case <-begin:
			begin = nil
			ticker := time.NewTicker(a.pace)
			defer ticker.Stop() // once in this life
			next = ticker.C
		case <-stop:
			next, begin, stop = nil, nil, nil
		case <-next:
			if len(*waiting) < a.window {
				e := a.compose(*n)
				*n++
				a.ledger.add(e)
				*waiting = append(*waiting, &sending{e, time.Now().Add(resendAfter)})
				_ = client.SendMessage(a.w.component, e.id, e.body) // a broken connection is seen by its reader
			}
		case now := <-again.C:
			for _, s := range *waiting {
				if now.After(s.due) {
					s.due = now.Add(resendAfter)
					a.ledger.count(1, 0)
					_ = client.SendMessage(a.w.component, s.id, s.body)
				}
			}
		}
	}
}

func (a *actor) message(client *lab.Client, m lab.Message, waiting *[]*sending) {
	env, err := m.Envelope()
	switch {
	case m.Type == "error":
		a.refusal(m, *waiting)
	case err != nil:
		a.ledger.fault("%s: got %s, want an envelope", a.got.name, m.Raw)
	case env.Type == "MTC-100":
		objects, err := env.Objects()
		if err != nil {
			a.ledger.fault("%s: got %v of %s, want a list of objects", a.got.name, err, m.Raw)
			return
		}
		for _, o := range objects {
			id, _ := o["msg_id"].(string)
			msgTime, _ := o["msg_time"].(string)
			a.ledger.receipt(id, msgTime)
			*waiting = slices.DeleteFunc(*waiting, func(s *sending) bool { return s.id == id })
		}
	default:
		a.got.take(m, a.ledger)
		if a.commands {
			_ = client.SendMessage(a.w.component, lab.NewID(), lab.NewEnvelope("MTC-000", a.user, env.From, "", []map[string]string{{"msg_id": env.ID}}))
		}
	}
}

// refusal: only "later" is right, and that the server knows nobody there while tlim is away.
func (a *actor) refusal(m lab.Message, waiting []*sending) {
	condition, errorType, code := m.Failure()
	switch {
	case code == "error-013" && errorType == "wait" && condition == "resource-constraint":
		a.ledger.count(0, 1)
	case code == "" && (condition == "service-unavailable" || condition == "remote-server-not-found" || condition == "remote-server-timeout"):
	default:
		a.ledger.fault("%s: got %s, want no such error", a.got.name, m.Raw)
	}
	for _, s := range waiting {
		if s.id == m.ID {
			s.due = time.Now().Add(waitAfter)
		}
	}
}

// text composes a message of that user, to a group or a partner.
func text(user string, to conversation) func(n int) *entry {
	return func(n int) *entry {
		id := lab.NewID()
		words := fmt.Sprintf("%d 你好 \U0001f600 <&>\"'", n)
		e := &entry{id: id, from: user, to: to, kind: "MTT-000", body: lab.Text(user, to.partner, id, words)}
		if to.group != "" {
			e.kind, e.body = "MTS-000", lab.GroupText(user, to.group, id, words)
		}
		var env lab.Envelope
		if err := json.Unmarshal([]byte(e.body), &env); err != nil {
			panic(errors.Join(errors.New("the test composes no JSON"), err))
		}
		e.stored = string(env.Body)
		return e
	}
}
