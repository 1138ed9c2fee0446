package component

import (
	"context"
	"sync/atomic"

	"tlim/component/fairqueue"
	"tlim/component/inflight"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
)

// backlog holds the copies of committed messages that the bound of what is in flight keeps back, in order for each conversation and fair
// between them, and hands them over in slices. It belongs to the conveyor. A message in it is stored and acknowledged, and is delivered
// again by replay when the link is lost before its last slice was handed over: position says so.
type backlog struct {
	queue        *fairqueue.Queue[*outgoing]
	small, large inflight.Load // what waits, by the size of messages
	copies       atomic.Int64  // of both, for the metrics
	oldest       []*outgoing   // in the order of time; those that are done go from the front
}

// outgoing is a delivery on its way to the sender.
type outgoing struct {
	stanza.Delivery
	way
	done bool
}

// way is what must be known of a delivery until it was handed over.
type way struct {
	conversation string
	at           int64 // its place in the order; 0 for what replay does not look after
	unconfirmed.Way
	large bool // it counts as large whatever it costs: it is one of many that come at once
}

// maxSliceCopies is how many copies of one message others wait for; fewer, if they are large.
const maxSliceCopies = 100

// next is how many copies the next slice has, at most.
func (o *outgoing) next() int { return min(len(o.To), max(1, maxSliceCopies/o.weight())) }

// weight is what one copy costs the server, in small copies.
func (o *outgoing) weight() int { return weightOf(len(o.Payload)) }

// weightOf is what a copy of so many bytes costs the server, in small copies: it parses them.
func weightOf(bytes int) int { return 1 + bytes/copyWeight }

// copyWeight is how many bytes cost as much as the copy itself.
const copyWeight = 4 << 10

func newBacklog() *backlog { return &backlog{queue: fairqueue.New[*outgoing]()} }

func (b *backlog) empty() bool { return b.queue.Len() == 0 }

// holds says whether copies of a conversation wait.
func (b *backlog) holds(conversation string) bool { return b.queue.Of(conversation) != nil }

func (b *backlog) add(d stanza.Delivery, w way) {
	o := &outgoing{Delivery: d, way: w}
	o.large = w.large || isLarge(itemCost+len(d.To)*o.weight())
	b.change(o.large, inflight.LoadOf(&d), 1)
	b.queue.Push(w.conversation, o, 1)
	if w.at > 0 {
		b.oldest = append(b.oldest, o)
	}
}

// position is how far everything was handed over, given the highest position of all.
func (b *backlog) position(last int64) int64 {
	n := 0
	for n < len(b.oldest) && b.oldest[n].done {
		b.oldest[n] = nil
		n++
	}
	if b.oldest = b.oldest[n:]; len(b.oldest) == 0 {
		b.oldest = nil
		return last
	}
	return min(last, b.oldest[0].at-1)
}

// clear forgets all: the link is lost, and replay will bring it.
func (b *backlog) clear() {
	b.queue.Clear()
	b.oldest = nil
	b.small, b.large = inflight.Load{}, inflight.Load{}
	b.copies.Store(0)
}

// waiting is what waits of large messages, or of small ones.
func (b *backlog) waiting(large bool) *inflight.Load {
	if large {
		return &b.large
	}
	return &b.small
}

// change counts what came (sign 1) or went (sign -1).
func (b *backlog) change(large bool, l inflight.Load, sign int) {
	w := b.waiting(large)
	w.Copies += sign * l.Copies
	w.Bytes += sign * l.Bytes
	b.copies.Store(int64(b.small.Copies + b.large.Copies))
}

// slice takes the next copies that fit, of the conversation whose turn it is; false when there are none, or none fit. done is
// the delivery when they are its last.
func (b *backlog) slice(r inflight.Room) (d stanza.Delivery, w way, done *outgoing, ok bool) {
	f := b.queue.Turn(func(o *outgoing, _ int) int { return o.next() * o.weight() })
	if f == nil {
		return d, w, nil, false
	}
	o := f.Front()
	n := r.Fits(o.next(), inflight.SizeOf(&o.Delivery))
	if n == 0 {
		return d, w, nil, false
	}
	d, w = o.Delivery, o.way
	d.To = o.To[:n]
	o.To = o.To[n:]
	b.change(o.large, inflight.LoadOf(&d), -1)
	if len(o.To) > 0 {
		f.Pay(n * o.weight())
		return d, w, nil, true
	}
	b.queue.Take(n * o.weight())
	o.done = true
	return d, w, o, true
}

// part takes all that fits, by turns of the conversations; done are the deliveries whose last copies are in it.
func (b *backlog) part(r inflight.Room) (list []stanza.Delivery, ways []way, whole inflight.Load, done []*outgoing) {
	for {
		d, w, last, ok := b.slice(r.Take(whole))
		if !ok {
			return list, ways, whole, done
		}
		l := inflight.LoadOf(&d)
		whole.Copies += l.Copies
		whole.Bytes += l.Bytes
		list, ways = append(list, d), append(ways, w)
		if last != nil {
			done = append(done, last)
		}
	}
}

// handOver gives the copies of a batch to the sender, or to the backlog what the server has no room for.
func (c *conveyor) handOver(ctx context.Context, list []stanza.Delivery, ways []way) {
	if len(list) == 0 {
		c.pump(ctx)
		return
	}
	var whole inflight.Load
	for i := range list {
		l := inflight.LoadOf(&list[i])
		whole.Copies += l.Copies
		whole.Bytes += l.Bytes
	}
	if room := c.inFlight.Room(); c.backlog.empty() && whole.Copies <= room.Copies && whole.Bytes <= room.Bytes {
		c.deliver(ctx, list, ways, whole)
		return
	}
	for i := range list {
		if m := ways[i].Message; m != nil {
			c.s.unconfirmed.Hold(m)
		}
		c.backlog.add(list[i], ways[i])
	}
	c.pump(ctx)
}

// deliver hands copies to the sender, with the pings around them.
func (c *conveyor) deliver(ctx context.Context, list []stanza.Delivery, ways []way, l inflight.Load) bool {
	if err := c.transmit(ctx, list, ways, l); err != nil {
		c.ready = false // the next Up delivers again
		c.backlog.clear()
		return false
	}
	return true
}

func (c *conveyor) transmit(ctx context.Context, list []stanza.Delivery, ways []way, l inflight.Load) error {
	runs := c.s.unconfirmed.Ask(list, func(i int) *unconfirmed.Way { return &ways[i].Way }, c.s.now())
	if err := c.s.sender.Deliver(ctx, list, runs...); err != nil {
		c.s.unconfirmed.NotAsked(runs)
		return err
	}
	c.s.metrics.copies.Add(float64(l.Copies))
	for i := range runs { // to the server each ping is a stanza more
		n := runs[i].Pings()
		l.Copies += n
		l.Bytes += n * pingSize
	}
	c.inFlight.Sent(c.s.sender, l)
	return nil
}

// pingSize is how many bytes a ping has, about.
const pingSize = 140

// pump hands over what the server has room for, all of it together: a phone that gets several copies is asked once.
func (c *conveyor) pump(ctx context.Context) {
	for !c.backlog.empty() {
		if !c.delivers() {
			c.backlog.clear()
			return
		}
		list, ways, whole, done := c.backlog.part(c.inFlight.Room())
		if len(list) == 0 {
			c.inFlight.Full(c.s.sender)
			return
		}
		if !c.deliver(ctx, list, ways, whole) {
			c.s.unconfirmed.LinkLost() // noted long ago, some of it, and not sent
			return
		}
		for _, o := range done {
			if m := o.Message; m != nil {
				c.s.unconfirmed.HandedOver(m, c.s.now())
			}
		}
		c.barrier.ask(c, true)
	}
}

// flush hands over what waits, until it is all gone, or the link is, or ctx ends.
func (c *conveyor) flush(ctx context.Context) {
	for c.pump(ctx); !c.backlog.empty(); c.pump(ctx) {
		select {
		case <-c.inFlight.Wake():
		case <-ctx.Done():
			return
		}
	}
}

// deliverAll hands over copies that wait for nothing but the server: what was lost with a link, before anything new. It blocks
// while the server has no room.
func (c *conveyor) deliverAll(ctx context.Context, list []stanza.Delivery, ways []way) error {
	for len(list) > 0 {
		room := c.inFlight.Room()
		var part []stanza.Delivery
		var whole inflight.Load
		var partWays []way
		for len(list) > 0 {
			d := list[0]
			if len(d.To) == 0 {
				list, ways = list[1:], ways[1:]
				continue
			}
			n := room.Fits(len(d.To), inflight.SizeOf(&d))
			if n == 0 {
				break
			}
			d.To = d.To[:n]
			part, partWays = append(part, d), append(partWays, ways[0])
			l := inflight.LoadOf(&d)
			room = room.Take(l)
			whole.Copies += l.Copies
			whole.Bytes += l.Bytes
			if list[0].To = list[0].To[n:]; len(list[0].To) == 0 {
				list, ways = list[1:], ways[1:]
			}
		}
		if len(part) > 0 {
			if c.s.connection.Load() != c.readyOn {
				return errLinkLost
			}
			if err := c.transmit(ctx, part, partWays, whole); err != nil {
				return err
			}
			continue
		}
		c.inFlight.Full(c.s.sender)
		select {
		case <-c.inFlight.Wake(): // also when the link is lost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
