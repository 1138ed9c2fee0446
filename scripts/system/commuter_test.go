package system

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// commuter is a phone that comes and goes. At each login it asks for its queue, as an app does, and it keeps what it saw of all its sessions.
type commuter struct {
	w       *world
	user    string
	options []lab.Option

	client *lab.Client
	reader sync.WaitGroup

	mu     sync.Mutex
	live   map[string]int // copies by msg_id
	queued map[string]int // rows
	count  int            // of copies, in all
	diary  []string       // what it did, with times, for the report of a loss

	forgotten int // logins that the server did not answer
}

func newCommuter(w *world, user string, options ...lab.Option) *commuter {
	return &commuter{w: w, user: user, options: append([]lab.Option{lab.WithPresence("", 0)}, options...),
		live: map[string]int{}, queued: map[string]int{}}
}

// come logs in under a resource, and leaves a session that is there to itself.
func (c *commuter) come(ctx context.Context, resource string, more ...lab.Option) error {
	c.notes("comes as %s", resource)
	client, err := c.dial(ctx, resource, more...)
	if err != nil {
		return err
	}
	c.notes("is there")
	c.client = client
	c.reader.Go(func() {
		for {
			m, err := client.Recv(context.Background()) // ends with the connection, when all that came before is read
			if err != nil {
				return
			}
			if m.Type != "error" && m.Body != "" {
				c.saw(m.ID)
			}
		}
	})
	return nil
}

// deaf is how long a phone waits for the server before it logs in anew, as apps do: Openfire 4.2 may forget a session that was bound in the moment in
// which the old one's socket closed (README, Limits).
const deaf = 15 * time.Second

// dial logs in, and once more where the server does not answer.
func (c *commuter) dial(ctx context.Context, resource string, more ...lab.Option) (*lab.Client, error) {
	options := append(append([]lab.Option{}, c.options...), more...)
	first, cancel := context.WithTimeout(ctx, deaf)
	defer cancel()
	client, err := c.w.dial(first, c.user, resource, options...)
	if err != nil && first.Err() != nil && ctx.Err() == nil {
		c.notes("gets no answer, and comes again: %v", err)
		c.forgotten++
		return c.w.dial(ctx, c.user, resource, options...)
	}
	return client, err
}

func (c *commuter) saw(id string) {
	c.mu.Lock()
	c.live[id]++
	c.count++
	c.mu.Unlock()
}

// notes keeps what it did, for the report of a loss.
func (c *commuter) notes(format string, args ...any) {
	c.diary = append(c.diary, fmt.Sprintf("%d: ", time.Now().UnixMilli())+fmt.Sprintf(format, args...))
}

// fetch asks for the queue and clears it.
func (c *commuter) fetch(ctx context.Context) error {
	var list rows
	if err := c.w.tlim.Call(ctx, "GET", "getOffline", pairs("user_id", c.user), &list); err != nil {
		return err
	}
	if list.Result != "ok" {
		return fmt.Errorf("getOffline of %s: %s", c.user, list.Result)
	}
	c.notes("has fetched %d", len(list.List))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range list.ids() {
		c.queued[id]++
	}
	return nil
}

func (c *commuter) copies() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// lacks lists what it has neither seen nor found in its queue.
func (c *commuter) lacks(ids []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for _, id := range ids {
		if c.live[id] == 0 && c.queued[id] == 0 {
			list = append(list, id)
		}
	}
	return list
}

// tally is what came of the messages to a phone.
type tally struct {
	messages, lost int
	live, queued   int // messages that came that way
	twice          int // that came more than once live
	both           int // that came live, and in the queue
	again          int // that were in the queue more than once
}

func (c *commuter) tally(ids []string) tally {
	lost := len(c.lacks(ids))
	c.mu.Lock()
	defer c.mu.Unlock()
	n := tally{messages: len(ids), lost: lost}
	count := func(counter *int, yes bool) {
		if yes {
			*counter++
		}
	}
	for _, id := range ids {
		live, queued := c.live[id], c.queued[id]
		count(&n.live, live > 0)
		count(&n.queued, queued > 0)
		count(&n.twice, live > 1)
		count(&n.both, live > 0 && queued > 0)
		count(&n.again, queued > 1)
	}
	return n
}

func (t tally) plus(o tally) tally {
	return tally{t.messages + o.messages, t.lost + o.lost, t.live + o.live, t.queued + o.queued, t.twice + o.twice, t.both + o.both, t.again + o.again}
}

func (t tally) String() string {
	return fmt.Sprintf("%d messages: %d live, %d from the queue, %d lost; doubles: %d live and in the queue, %d twice live, %d twice in the queue",
		t.messages, t.live, t.queued, t.lost, t.both, t.twice, t.again)
}

// whole waits until nothing is lacking any more of what it was sent, or nothing can come: all is settled, and the queue was read after it.
func (c *commuter) whole(t *testing.T, ids []string) tally {
	t.Helper()
	ctx := within(t, time.Minute)
	await(t, ctx, "all copies to be settled", func() (bool, error) {
		m, err := c.w.tlim.Metrics(ctx)
		if err != nil || lab.Sum(m, "tlim_owed_copies") > 0 || lab.Sum(m, "tlim_owed_rows") > 0 {
			return false, err
		}
		return true, c.fetch(ctx)
	})
	return c.tally(ids)
}
