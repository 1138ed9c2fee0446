package component

import (
	"slices"
	"time"

	"tlim/component/cache"
	"tlim/component/fairqueue"
	"tlim/component/inflight"
	"tlim/component/protocol"
	"tlim/component/stanza"
)

const (
	// itemCost is what a message costs beside its copies: to be decided and stored.
	itemCost = 4
	// maxBatchCost bounds what a batch costs, unless its first message alone costs more: a full batch of messages to groups of fifty does not.
	maxBatchCost = 7000
	// maxWaitBounds is how much of one conversation may wait before its senders are told to come later, in bounds of what is in flight: so it is
	// about a second of the server's work, however fast that is.
	maxWaitBounds = 8
	minWaiting    = 4 // messages that may wait whatever they cost
	// maxBacklogBounds is how much of large messages may wait for the server, in the same measure, before more of them wait for their commit; and
	// as much of small ones. Neither takes the other's room, so that however many there are of one kind, the other goes on.
	maxBacklogBounds = 4
	smallCost        = 16
	// maxRowsWait is how many unconfirmed copies may wait to become queue rows before large messages wait: the database does not keep up.
	maxRowsWait = 100_000
	// aboutNotices is what calls that push notices are about: one of them is served after the other, and what they make is no conversation's.
	aboutNotices = "\x00notices"

	maxToldGroups = 1000
	toldEvery     = time.Minute
)

// arrange sorts what has come by conversation. What has no room there is answered: its own conversation is too busy.
func (c *conveyor) arrange() {
	for {
		select {
		case q := <-c.s.intake.queue:
			c.arrangeOne(q)
		case a := <-c.s.intake.passed:
			c.arrangeOne(a)
		default:
			return
		}
	}
}

func (c *conveyor) arrangeOne(q queued) {
	r, err := q.read(c)
	if err == nil {
		*r.place() = r.classify(c)
		if r.bounded() {
			err = c.crowded(r)
		}
	}
	if err != nil {
		refuseAll(c.s, []queued{q}, err)
		return
	}
	c.arranged.Push(r.place().key, r, r.place().cost)
}

// classify finds the conversation. Messages of one conversation that seem to belong to two, which takes a group that nobody has written
// to for long and an address that names none, may overtake each other.
func (m message) classify(c *conveyor) place {
	p := place{bytes: m.size, first: m.kind.first}
	weight := weightOf(int(m.size))
	switch {
	case m.passing != nil:
		p.key, p.cost = passingKey(m.from.Local), itemCost+weight
		return p
	case m.kind.scope != scopeGroup:
		local, err := stanza.Localpart(m.env.To)
		if err != nil {
			local = m.env.To // to be refused
		}
		p.key, p.cost = protocol.ChatName(m.from.Local, local), itemCost+weight
		return p
	}
	ids, copies := m.groupIDs(), 0
	for _, id := range ids {
		if g := c.groups.Peek(id); g != nil {
			p.key = id
			p.absent = len(g.Members) - c.there(g)
			copies = deliveriesFor(g.There, p.absent)
			break
		}
	}
	if p.key == "" && len(ids) > 0 {
		p.key = ids[0]
	}
	if m.kind.names == namesRead && c.s.cfg.GroupReceipts != GroupReceiptsToAll { // it goes to authors
		copies = 0
	}
	p.cost = itemCost + max(1, copies)*weight
	return p
}

func (s signal) classify(*conveyor) place {
	p := place{key: s.from.Local, cost: itemCost, bytes: s.size}
	switch {
	case s.passing != nil:
		p.key = passingKey(s.from.Local)
	case s.toUser == "":
		return p
	default:
		p.key = protocol.ChatName(s.from.Local, s.toUser)
	}
	p.cost += weightOf(int(s.size))
	return p
}

// there is how many members of a group are sent copies, as far as was seen a moment ago.
func (c *conveyor) there(g *cache.Group) int {
	if now := c.s.now(); g.Counted.IsZero() || now.Sub(g.Counted) > countedAge {
		g.There, g.Counted = 0, now
		fresh := c.s.presence.Fresh()
		for _, p := range g.Members {
			if !fresh || len(c.s.presence.Devices(p.Local)) > 0 {
				g.There++
			}
		}
	}
	return g.There
}

// countedAge is how long the number of members who are there is good.
const countedAge = 250 * time.Millisecond

// crowded refuses a message when too much of its conversation waits.
func (c *conveyor) crowded(r request) error {
	p := r.place()
	f := c.arranged.Of(p.key)
	if f == nil || f.Len() < minWaiting {
		return nil
	}
	_, bound := c.inFlight.Now()
	free := int64(cap(c.s.intake.queue)) - c.s.intake.items.Load()
	waits := max(f.Cost(), f.Len()*p.cost)                             // those that came when nobody knew the group's size cost as much as this one
	if waits+p.cost <= maxWaitBounds*bound && int64(f.Len()) <= free { // what one conversation may take shrinks with what is left
		return nil
	}
	c.s.metrics.busy.WithLabelValues(busyConversation).Inc()
	if m, ok := r.(message); !ok || m.kind.scope != scopeGroup {
		return protocol.Refuse(protocol.TryLater, "this conversation is too busy, send it again later")
	}
	c.tell(p.key, f)
	return protocol.Refuse(protocol.TryLater, "this group is too busy, send it again later")
}

// tell lets the log tell of a group whose messages are refused.
func (c *conveyor) tell(group string, f *fairqueue.Flow[request]) {
	now := c.s.now()
	if last, ok := c.told.Get(group); ok && now.Sub(last) < toldEvery {
		return
	}
	c.told.Add(group, now)
	members := 0
	if g := c.groups.Peek(group); g != nil {
		members = len(g.Members)
	}
	last := ""
	if m, ok := f.Back().(message); ok {
		last = m.from.Local
	}
	c.s.log.Warn("a group writes more than the server can deliver: its senders are told to send again later; others are not held up",
		"session_id", group, "members", members, "waiting", f.Len(), "last_sender", last)
}

// mayGo says whether the first message that waits in a conversation may be decided. While copies of the one before wait for the server it may not,
// so that no conversation has more waiting there than a batch makes; nor while much of its size waits there. Tasks that make no copies
// always may.
func (c *conveyor) mayGo(f *fairqueue.Flow[request]) bool {
	p := f.Front().place()
	if p.free || c.s.draining.Load() {
		return true
	}
	if isLarge(p.cost) && c.rowsWait > maxRowsWait || p.absent > c.deferring.above && isLarge(p.cost) && c.s.unconfirmed.DeferBusy() || c.backlog.holds(f.Key) {
		return false
	}
	return c.backlogTakes(isLarge(p.cost))
}

// backlogTakes says whether the backlog has room for more of large messages, or of small ones.
func (c *conveyor) backlogTakes(large bool) bool {
	if c.backlog.empty() {
		return true
	}
	_, bound := c.inFlight.Now()
	maxWaiting, waiting := maxBacklogBounds*bound, c.backlog.waiting(large)
	return waiting.Copies < maxWaiting && waiting.Bytes < maxWaiting*inflight.BytesPerCopy
}

// isLarge says whether a message, or a delivery of one, costs so much that it is held up apart from small ones.
func isLarge(cost int) bool { return cost > smallCost }

// fill makes a batch of what waits: fair between conversations, and bounded by what it costs. A request that must begin a batch is left
// for the next.
func (c *conveyor) fill() []request {
	q := c.arranged
	q.Unpark(c.mayGo)
	var requests []request
	bytes, cost := int64(0), 0
	for len(requests) < maxBatchItems && bytes < maxBatchBytes {
		f := q.Turn(func(_ request, cost int) int { return cost })
		if f == nil {
			break
		}
		r := f.Front()
		p := r.place()
		if len(requests) > 0 && (p.first || cost+p.cost > maxBatchCost) {
			break
		}
		if !c.mayGo(f) {
			q.Park(p.cost)
			continue
		}
		q.Take(p.cost)
		if requests == nil {
			requests = make([]request, 0, min(maxBatchItems, q.Ready()+1))
		}
		requests = append(requests, r)
		bytes += p.bytes
		cost += p.cost
		if p.alone {
			break
		}
	}
	return requests
}

// giveBack lets requests of a batch wait again: it has become too large.
func (c *conveyor) giveBack(requests []request) {
	for _, r := range slices.Backward(requests) {
		p := r.place()
		*p = r.classify(c) // its group is known by now
		c.arranged.GiveBack(p.key, r, p.cost)
	}
}
