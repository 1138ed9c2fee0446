package component

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/cache"
	"tlim/component/directory"
	"tlim/component/lenient"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// batch is what one transaction and its deliveries are made of. Its fields stand by phases.
type batch struct {
	s *Service
	c *conveyor

	// What it is made of.
	requests []request
	messages []message // those of the requests that are messages
	now      time.Time
	clock    int64 // the highest msg_time before the batch, to which undo goes back

	// How it is decided.
	isolated   bool // it holds one request, without housekeeping, because the database refused something of a larger batch
	optimistic bool // ids are not looked up: nearly all are new, and the key of tlim_id tells of those that are not
	lookup     bool // ids are looked up because an optimistic batch of the same requests failed

	// The view that kinds decide by: what the database says, and what earlier messages of the batch add to it.
	ids      map[store.IDKey]store.ID             // rows of tlim_id
	stored   map[string][]store.Message           // rows of ofmessage, by msg_id
	groups   map[string]*cache.Group              // the groups that messages name, by id
	formers  map[string]map[string]string         // who has left a group, and when: by group and user id
	receipts map[store.ReceiptKey][]store.Receipt // what readers have read already
	users    map[string]store.User                // by local part
	person   func(local string) protocol.Person   // looks into users
	chats    map[store.ChatKey]bool               // the 1:1 list entries that exist
	marks    map[store.OfflineMark]bool           // queue rows of read receipts, which can be repeated and are not stored

	// What was decided about each request.
	accepted []request // requests that hear of the commit
	refused  []refusal // requests that are told an error after it
	acks     []ack     // what their senders are told
	rows     int       // queue rows that the batch makes
	cost     int       // of its decisions and deliveries, in small copies

	// What is written.
	changes         []store.Change         // of all requests, then of housekeeping
	unconfirmedRows []store.OfflineMessage // rows of earlier messages that no phone has confirmed in time, taken from memory
	urged           int                    // rows that it must take of those that wait in memory: what they are of is erased
	confirmed       confirmed              // what phones have confirmed, taken from memory: the batch deletes these rows
	met             []string               // local parts of senders whom the directory does not have
	unlearned       []string               // local parts of users whom the batch adds to the directory: those of met, and others noted in memory before
	positions       store.Positions        // of the clock, and of what is delivered and settled
	force           bool                   // the positions are written although nothing else changes
	wakers          []*decision            // messages that are pushed
	outgoing        []store.Push           // rows of the outbox, made of wakers and by reminders
	told            []store.Event          // rows of what business systems are told, made of changes

	// What is sent after the commit.
	deliver []stanza.Delivery // to devices, in order
	ways    []way             // how each delivery goes: ways[i] is that of deliver[i]
	sent    []*sentMessage    // its messages, for devices that become known later
	came    []presence.Change // devices that are sent what they have missed
	asof    time.Time         // when the newest snapshot was asked for of which the batch knows who has gone
	absent  time.Time         // the earliest time at which a device went away that is still to be sent what it missed, or may be

	// What changes in memory after the commit.
	counts      []count                 // added to metrics
	debits      map[*senderState]int    // what senders are debited for receivers, see decision.count
	unconfirmed []unconfirmedMessage    // messages that phones have to confirm
	deferrals   []*unconfirmed.Deferral // rows that follow their messages
	gone        []unconfirmed.Removal   // what the batch removes from the queues
	toRobots    []protocol.Person       // robots into whose queues it writes, once for each message
	moved       map[store.ChatKey]int64 // list entries and groups that the batch touches, and when
	staleGroups []string                // ids of groups that the batch writes to: they are read anew
	staleUsers  []string                // local parts of users that it writes to, likewise
	after       []func()                // further work of the conveyor
}

// count is what a batch adds to a metric.
type count struct {
	counter prometheus.Counter
	n       int
}

// count adds to a metric once the batch is committed: until then it may be decided again.
func (b *batch) count(counter prometheus.Counter, n int) {
	b.counts = append(b.counts, count{counter, n})
}

// unconfirmedMessage is a message and whose phones have to confirm it.
type unconfirmedMessage struct {
	message *unconfirmed.Message
	to      []unconfirmed.Owner
}

// refusal is what a request is answered. It waits for the commit: it may rest on an earlier message of the batch.
type refusal struct {
	request request
	err     error
}

// ack is one entry of an acknowledgement.
type ack struct {
	message message
	id      string
	msgTime string
}

func (c *conveyor) newBatch(requests []request) *batch {
	b := &batch{s: c.s, c: c, requests: requests, now: c.s.now(), clock: c.clock.Last, moved: map[store.ChatKey]int64{}}
	n := len(requests)
	b.changes, b.sent = make([]store.Change, 0, n+3), make([]*sentMessage, 0, n) // the third are those of housekeeping
	b.deliver, b.ways = make([]stanza.Delivery, 0, n), make([]way, 0, n)
	b.person = func(local string) protocol.Person { return b.s.users.Person(local, b.users) }
	for _, r := range requests {
		if m, ok := r.(message); ok {
			b.messages = append(b.messages, m)
		}
	}
	return b
}

// decide asks the kinds, in order. errLookup, in an optimistic batch, says that all of it has to be decided anew.
func (b *batch) decide(ctx context.Context) error {
	for i, r := range b.requests {
		if i > 0 && !b.isolated && (b.rows >= maxBatchRows || b.cost >= maxBatchCost) { // more than it was taken for
			b.c.giveBack(b.requests[i:])
			b.requests = b.requests[:i]
			return nil
		}
		switch err := r.decide(ctx, b); {
		case errors.Is(err, errLookup):
			return err
		case err != nil:
			b.refused = append(b.refused, refusal{r, err})
		default:
			b.accepted = append(b.accepted, r)
		}
	}
	return nil
}

// maxBatchRows bounds the queue rows of a batch, unless its first message alone makes more.
const maxBatchRows = 2000

// errLookup: an optimistic batch has met an id twice, or would refuse what may be a retry.
var errLookup = errors.New("the id has to be looked up")

// lookupTime is for how long ids are looked up after one was met twice: clients repeat in bursts.
const lookupTime = 10 * time.Second

// housekeeping adds what rides along: rows of copies that were not confirmed, users to learn, positions.
func (b *batch) housekeeping(ctx context.Context) {
	s := b.s
	// The table of unconfirmed messages follows the time, whatever becomes of the batch: so it is not undone, nor is rowsWait, its count.
	if b.now.Sub(b.c.ticked) >= tickPeriod || len(b.requests) == 0 {
		s.unconfirmed.Tick(b.now, b.asof, s.presence.Known(), s.delivered.Load())
		b.c.ticked = b.now
	}
	b.takeConfirmed(ctx)
	var not func(store.OfflineMessage) bool
	if len(b.gone) > 0 { // deletions come first: a row written now would outlive its message
		not = func(row store.OfflineMessage) bool {
			return slices.ContainsFunc(b.gone, func(gone unconfirmed.Removal) bool { return gone.Matches(row) })
		}
	}
	if b.unconfirmedRows = s.unconfirmed.Take(max(maxUnconfirmedRows, b.urged), not); len(b.unconfirmedRows) > 0 {
		for i := range b.unconfirmedRows {
			b.unconfirmedRows[i].ID = protocol.NewID()
		}
		b.changes = append(b.changes, store.Change{Offline: b.unconfirmedRows})
	}
	b.c.rowsWait = s.unconfirmed.Count().Rows
	if b.unlearned = s.users.TakeUnlearned(maxLearnedUsers, b.met); len(b.unlearned) > 0 {
		var learn []store.User
		known, err := s.users.Lookup(ctx, b.unlearned)
		for _, local := range b.unlearned {
			if _, ok := known[local]; !ok && err == nil && utf8.RuneCountInString(local) <= protocol.MaxID {
				learn = append(learn, directory.Learned(local))
			}
		}
		if len(learn) > 0 {
			b.changes = append(b.changes, store.Change{Learn: learn})
		}
	}

	delivered := s.delivered.Load()
	settled := max(s.unconfirmed.Settled(delivered), b.c.persisted.Settled)
	b.c.cover(b)
	b.positions = store.Positions{Clock: b.c.clock.Last, Delivered: s.from(), Settled: settled}
	idle := len(b.requests) == 0
	b.force = idle && (b.positions != b.c.persisted && (s.draining.Load() || b.now.Sub(b.c.wrote) > idleWrite) ||
		s.storeErr.Load() != nil || // a database that was away is tried until it is back
		b.now.Sub(b.c.wrote) > heartbeat) // another process that took over, and a database that went away, are noticed without traffic
}

// heartbeat is how long an idle process goes without a write.
const heartbeat = 10 * time.Second

// idleWrite is how often the positions are written when nothing else is.
const idleWrite = time.Second

// send adds a delivery.
func (b *batch) send(d stanza.Delivery, w way) {
	b.deliver = append(b.deliver, d)
	b.ways = append(b.ways, w)
	b.cost += len(d.To) * weightOf(len(d.Payload))
}

// writes says whether there is anything to commit.
func (b *batch) writes() bool { return len(b.changes) > 0 || b.force }

// finish is what follows the commit. Before it no metric counted the batch, nobody paid for it, and what it had taken from memory could be
// given back (undo).
func (b *batch) finish(ctx context.Context) {
	c, s := b.c, b.s
	sent := s.now()

	// 1. What was written waits no more, and is counted.
	if b.writes() {
		c.persisted, c.wrote = b.positions, b.now
	}
	if len(b.unconfirmedRows) > 0 {
		s.unconfirmed.Written()
		for i := range b.unconfirmedRows {
			s.missed.Note(b.unconfirmedRows[i].Owner, b.unconfirmedRows[i].MsgID, unconfirmed.ProofMissed, false)
		}
	}
	if b.confirmed.len() > 0 && s.confirmations.waits() {
		s.confirmations.wake.Fire()
	}
	for _, count := range b.counts {
		count.counter.Add(float64(count.n))
	}
	b.debit()

	// 2. What was read before is read anew.
	for key, t := range b.moved {
		c.chats.Note(key, t)
	}
	for _, id := range b.staleGroups {
		c.groups.Drop(id)
	}
	for _, local := range append(b.staleUsers, b.unlearned...) {
		s.users.Drop(local)
	}
	if b.isolated { // without housekeeping, nobody was learned with it
		s.users.Learn(b.met)
	}
	for _, f := range b.after {
		f()
	}

	// 3. What devices are sent that come later. Without a link replay delivers it. What the batch removes was there before: deletions begin it.
	for _, gone := range b.gone {
		c.recent.forget(gone)
	}
	for _, change := range b.came {
		if change.Missed {
			c.caughtUp.Add(change.Came.Full, b.now)
			c.noteComing(change.Local, b.now)
		}
	}
	if c.delivers() {
		for _, change := range b.came {
			c.recent.visit(change.Local, change.Came.Full, change.Since, func(m *sentMessage) { c.recent.note(m, change.Came.Full) })
		}
		for _, m := range b.sent {
			m.at = sent
			c.recent.add(m)
		}
	}

	// 4. What phones have to confirm, before anybody hears of it: a queue that is asked for then has it.
	for _, gone := range b.gone {
		s.unconfirmed.Forget(gone)
	}
	s.unconfirmed.Follow(b.deferrals)
	s.robotQueues.note(b.toRobots)
	for _, m := range b.unconfirmed {
		s.unconfirmed.Add(m.message, m.to, sent)
	}

	// 5. Answers.
	for _, r := range b.accepted {
		r.committed(s, sent)
	}
	for _, r := range b.refused {
		r.request.refuse(s, r.err)
	}
	b.acknowledge()
	if c.unasked != nil {
		c.unasked.Tell(sent)
	}

	// 6. Deliveries.
	if c.delivers() {
		c.handOver(ctx, b.deliver, b.ways)
		if c.ready {
			c.barrier.ask(c, len(b.deliver) > 0 || len(b.changes) > 0)
		}
	}
	if len(b.unconfirmed) > 0 && !c.delivers() {
		s.unconfirmed.LinkLost() // sent into a link that was lost: Down may have done this before they were noted
	}

	// 7. Pushes and events.
	if len(b.outgoing) > 0 {
		s.outbox.Committed(b.outgoing)
	}
	if len(b.told) > 0 {
		s.events.Committed(len(b.told))
	}
	b.release()
}

// acknowledge sends the acknowledgements, one stanza per sending device.
func (b *batch) acknowledge() {
	byDevice := map[string][]ack{}
	var order []string
	for _, a := range b.acks {
		full := a.message.st.From
		if _, ok := byDevice[full]; !ok {
			order = append(order, full)
		}
		byDevice[full] = append(byDevice[full], a)
	}
	for _, full := range order {
		var body []byte
		seen := map[string]bool{}
		for _, a := range byDevice[full] {
			if seen[a.id] {
				continue
			}
			seen[a.id] = true
			if body == nil {
				body = append(body, '[')
			} else {
				body = append(body, ',')
			}
			body = append(body, `{"msg_id":`...)
			body = lenient.AppendString(body, a.id)
			body = append(body, `,"msg_time":"`...)
			body = append(body, a.msgTime...)
			body = append(body, `"}`...)
		}
		body = append(body, ']')
		user := byDevice[full][0].message.env.From
		if !b.s.sender.Post(b.s.acknowledgementStanza(protocol.NewID(), full, user, b.now.UnixMilli(), body)) {
			b.s.metrics.unanswered.Inc() // the sender repeats, and is told then
		}
	}
	b.s.metrics.acknowledged.Add(float64(len(b.acks)))
}

// refuse tells everybody that nothing was written. Those who were to be refused may have been for what is not there now.
func (b *batch) refuse(err error) { refuseAll(b.s, b.requests, err) }

func (b *batch) release() {
	for _, r := range b.requests {
		r.release(b.s.intake)
	}
}

// undo gives back what the batch had taken from memory.
func (b *batch) undo() {
	b.c.clock.Back(b.clock)
	if len(b.unconfirmedRows) > 0 {
		b.s.unconfirmed.Untake()
	}
	b.s.confirmations.giveBack(b.confirmed)
	b.confirmed = confirmed{}
	b.s.presence.GiveBack(b.came)
	b.s.users.Learn(b.unlearned)
}

// acknowledgementStanza is an MTC-100 (PROTOCOL.md section 4): one for all messages of a sender's batch.
func (s *Service) acknowledgementStanza(id, full, userID string, now int64, body []byte) []byte {
	text := protocol.NewEnvelope(acknowledgement, id, protocol.AdminID, userID, protocol.FormatTime(now), string(body), s.cfg.ArrayBodies)
	b := make([]byte, 0, len(text)+256)
	b = append(b, `<message type="chat" id="`...)
	b = append(b, id...)
	b = append(b, `" from="`...)
	b = append(b, s.cfg.Component...)
	b = append(b, `" to="`...)
	b = stanza.AppendAttr(b, full)
	b = append(b, `"><body>`...)
	b = stanza.AppendEscaped(b, text)
	return append(b, `</body><no-store xmlns="urn:xmpp:hints"/><private xmlns="urn:xmpp:carbons:2"/></message>`...)
}
