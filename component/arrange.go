package component

import (
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

const (
	// itemCost is what a message costs beside its copies: to be decided and stored.
	itemCost = 4
	// batchCost bounds what a batch costs, unless its first message alone costs more: a full batch of messages to groups of fifty does not.
	batchCost = 7000
	// waitBounds is how much of one conversation may wait before its senders are told to come later, in bounds of what is in flight: so it is
	// about a second of the server's work, however fast that is.
	waitBounds = 8
	waitLeast  = 4 // messages that may wait whatever they cost
	// backlogBounds is how much of large messages may wait for the server, in the same measure, before more of them wait for their commit; and
	// as much of small ones. Neither takes the other's room, so that however many there are of one kind, the other goes on.
	backlogBounds = 4
	smallCost     = 16
	// maxRowsWait is how many unconfirmed copies may wait to become queue rows before large messages wait: the database does not keep up.
	maxRowsWait = 100_000
	// aboutNotices is what calls that push notices are about: one of them is served after the other, and what they make is no conversation's.
	aboutNotices = "\x00notices"

	toldGroups = 1000
	toldEvery  = time.Minute
)

// arrange sorts what has come by conversation. What has no room there is answered: its own conversation is too busy.
func (c *conveyor) arrange() {
	for {
		select {
		case it := <-c.s.intake.queue:
			c.arrangeOne(it)
		case it := <-c.s.intake.passed:
			c.arrangeOne(it)
		default:
			return
		}
	}
}

func (c *conveyor) arrangeOne(it *item) {
	if it.task == nil && it.passing == nil {
		if err := c.s.read(it); err != nil {
			c.s.refuse(it, err)
			c.s.intake.release(it)
			return
		}
	}
	it.key, it.cost = c.classify(it)
	if it.task == nil && it.passing == nil && !it.copied { // copies come in bursts of 5 s, and the copy link bounds them
		if err := c.crowded(it); err != nil {
			c.s.refuse(it, err)
			c.s.intake.release(it)
			return
		}
	}
	c.arranged.push(it.key, it, it.cost)
}

// classify says to which conversation an item belongs and what it costs, as far as can be told without the database. Messages of one
// conversation that seem to belong to two, which takes a group that nobody has written to for long and an address that names none, may
// overtake each other.
func (c *conveyor) classify(it *item) (key string, cost int) {
	if it.task != nil {
		return it.task.about, itemCost + it.task.cost
	}
	m := &it.msg
	weight := weightOf(int(it.size))
	switch env := m.env; {
	case it.passing != nil:
		return passingKey(it.from.Local), itemCost + weight
	case env == nil && m.toUser == "":
		return it.from.Local, itemCost
	case env == nil:
		return protocol.ChatName(it.from.Local, m.toUser), itemCost + weight
	case m.kind.scope != scopeGroup:
		local, err := stanza.Localpart(env.To)
		if err != nil {
			local = env.To // to be refused
		}
		return protocol.ChatName(it.from.Local, local), itemCost + weight
	}
	ids := it.groupIDs()
	for _, id := range ids {
		if g := c.groups.peek(id); g != nil {
			key = id
			it.absent = len(g.members) - c.there(g)
			cost = copiesFor(g.there, it.absent)
			break
		}
	}
	if key == "" && len(ids) > 0 {
		key = ids[0]
	}
	if m.kind.names == namesRead && c.s.cfg.GroupReceipts != GroupReceiptsToAll { // it goes to authors
		cost = 0
	}
	return key, itemCost + max(1, cost)*weight
}

// there is how many members of a group are sent copies, as far as was seen a moment ago.
func (c *conveyor) there(g *group) int {
	if now := c.s.now(); g.counted.IsZero() || now.Sub(g.counted) > countedAge {
		g.there, g.counted = 0, now
		fresh := c.s.presence.Fresh()
		for _, p := range g.members {
			if !fresh || len(c.s.presence.Devices(p.Local)) > 0 {
				g.there++
			}
		}
	}
	return g.there
}

// countedAge is how long the number of members who are there is good.
const countedAge = 250 * time.Millisecond

// crowded refuses a message when too much of its conversation waits.
func (c *conveyor) crowded(it *item) error {
	f := c.arranged.flows[it.key]
	if f == nil || f.len() < waitLeast {
		return nil
	}
	_, bound := c.inFlight.counts()
	free := int64(cap(c.s.intake.queue)) - c.s.intake.items.Load()
	waits := max(f.cost, f.len()*it.cost)                            // those that came when nobody knew the group's size cost as much as this one
	if waits+it.cost <= waitBounds*bound && int64(f.len()) <= free { // what one conversation may take shrinks with what is left
		return nil
	}
	c.s.metrics.busy.WithLabelValues(busyConversation).Inc()
	if it.msg.env == nil || it.msg.kind.scope != scopeGroup {
		return protocol.Refuse(protocol.TryLater, "this conversation is too busy, send it again later")
	}
	c.tell(it.key, f)
	return protocol.Refuse(protocol.TryLater, "this group is too busy, send it again later")
}

// tell lets the log tell of a group whose messages are refused.
func (c *conveyor) tell(group string, f *flow[*item]) {
	now := c.s.now()
	if last, ok := c.told.Get(group); ok && now.Sub(last) < toldEvery {
		return
	}
	c.told.Add(group, now)
	members := 0
	if g := c.groups.peek(group); g != nil {
		members = len(g.members)
	}
	c.s.log.Warn("a group writes more than the server can deliver: its senders are told to send again later; others are not held up",
		"session_id", group, "members", members, "waiting", f.len(), "last_sender", f.entries[len(f.entries)-1].value.from.Local)
}

// mayGo says whether the first message that waits in a conversation may be decided. While copies of the one before wait for the server it may not,
// so that no conversation has more waiting there than a batch makes; nor while much of its size waits there. Tasks that make no copies
// always may.
func (c *conveyor) mayGo(f *flow[*item]) bool {
	it := f.front().value
	if it.task != nil && it.task.cost == 0 || c.s.draining.Load() {
		return true
	}
	if isLarge(it.cost) && c.rowsWait > maxRowsWait || it.absent > c.deferring.above && isLarge(it.cost) && c.s.owed.DeferBusy() || c.backlog.holds(f.key) {
		return false
	}
	return c.backlogTakes(isLarge(it.cost))
}

// backlogTakes says whether the backlog has room for more of large messages, or of small ones.
func (c *conveyor) backlogTakes(large bool) bool {
	if c.backlog.empty() {
		return true
	}
	_, bound := c.inFlight.counts()
	most, waiting := backlogBounds*bound, c.backlog.waiting(large)
	return waiting.copies < most && waiting.bytes < most*boundBytes
}

// isLarge says whether a message, or a delivery of one, costs so much that it is held up apart from small ones.
func isLarge(cost int) bool { return cost > smallCost }

// fill makes a batch of what waits: fair between conversations, and bounded by what it costs. An item that must begin a batch is left
// for the next.
func (c *conveyor) fill() []*item {
	q := c.arranged
	q.unpark(c.mayGo)
	var items []*item
	bytes, cost := int64(0), 0
	for len(items) < batchItems && bytes < batchBytes {
		f := q.turn(func(e *entry[*item]) int { return e.cost })
		if f == nil {
			break
		}
		it := f.front().value
		if len(items) > 0 && (it.first() || cost+it.cost > batchCost) {
			break
		}
		if !c.mayGo(f) {
			q.park(it.cost)
			continue
		}
		q.take(it.cost)
		if items == nil {
			items = make([]*item, 0, min(batchItems, q.ready+1))
		}
		items = append(items, it)
		bytes += it.size
		cost += it.cost
		if it.task != nil && it.task.alone {
			break
		}
	}
	return items
}

// giveBack lets items of a batch wait again: it has become too large.
func (c *conveyor) giveBack(items []*item) {
	for i := len(items) - 1; i >= 0; i-- {
		it := items[i]
		it.key, it.cost = c.classify(it) // its group is known by now
		c.arranged.giveBack(it.key, it, it.cost)
	}
}
