package component

import (
	"slices"
	"sync"
	"time"

	"tlim/component/presence"
	"tlim/store"
)

// owedMessage is a message of which copies to mobiles are not settled yet.
type owedMessage struct {
	row  store.OfflineMessage // what a queue row of it looks like, without ID, Owner and Status
	time int64                // its place in the order: msg_time, or the clock's value for kinds that are not stored
	sent time.Time            // when its copies went out; zero while some wait for the server
	open int                  // copies not settled
	gone bool                 // revoked: no row is wanted any more
	// loose: its id may be another message's too (see [Kind.loose]), so no row is deleted by it.
	loose bool
}

// owedCopy is one user's share of it. A busy group makes very many of them: it stays small.
type owedCopy struct {
	message *owedMessage // nil once settled
	status  int8         // of the row it would become
	confirm bool         // only a confirmation settles it
	held    bool         // a phone has answered, and it is in doubt
	asked   uint8        // phones that have been asked about it, and may still answer
}

// Bytes that a copy and a message take in memory, about.
const (
	owedCopySize    = 2 * 16 // lists grow by doubling
	owedMessageSize = 350
)

func (m *owedMessage) size() int { return owedMessageSize + len(m.row.Body) }

type owedUser struct {
	local  string
	id     string // as rows name the owner; "" while nothing was owed
	copies []owedCopy
	phones []*phone
}

// owed keeps the copies that were sent to mobiles until each is settled (PROTOCOL.md section 5, confirmed delivery).
// "Available" is no proof: a phone that just died, or that the server keeps for stream resumption, takes messages and
// loses them without an error to anyone (measured: 910 of 4,000).
type owed struct {
	grace   time.Duration
	perUser int

	mu    sync.Mutex
	users map[string]*owedUser // by JID local part
	order []*owedMessage       // oldest first; settled ones are dropped from the front, and when they are many
	done  int                  // settled ones in order
	count int                  // copies not settled
	bytes int                  // that they take
	waiting
	proofs
	deferred deferred
}

// maxOwed bounds the memory for the copies owed to all users together; beyond it they become rows at once. A group of 50
// whose phones do not confirm makes 60,000 copies a second (what Openfire routes), which are 15 MB in the grace of 5 s.
const maxOwed = 128 << 20

// keptDone is how many settled messages may stand behind one that is not.
const keptDone = 1000

func newOwed(grace time.Duration, perUser int, hooks proofHooks) *owed {
	return &owed{grace: grace, perUser: perUser, users: map[string]*owedUser{}, proofs: newProofs(hooks)}
}

// user finds a user's entry, or makes it.
func (o *owed) user(local string) *owedUser {
	u := o.users[local]
	if u == nil {
		u = &owedUser{local: local}
		o.users[local] = u
	}
	return u
}

// owe notes that copies of a message were sent to a mobile of each of these users.
func (o *owed) owe(m *owedMessage, to []owedTo, sent time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m.sent = sent
	for _, t := range to {
		u := o.user(t.local)
		u.id = t.id
		if len(u.copies) >= o.perUser || o.bytes >= maxOwed {
			o.add(m, t.id, int8(t.status))
			continue
		}
		// A phone may have answered its first ping since the message was decided, and then all that is owed to it is to be confirmed.
		confirm := t.confirm || o.how(t.local) == store.ConfirmsByPings
		u.copies = append(u.copies, owedCopy{message: m, status: int8(t.status), confirm: confirm})
		m.open++
		o.count++
		o.bytes += owedCopySize
	}
	if m.open > 0 {
		o.order = append(o.order, m)
		o.bytes += m.size()
	}
}

// hold notes that copies of a message wait for the server; handed, that the last of them went out. Their time to be confirmed begins there.
func (o *owed) hold(m *owedMessage) { o.handed(m, time.Time{}) }

func (o *owed) handed(m *owedMessage, at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m.sent = at
}

// owedTo is a user to whom a copy is owed.
type owedTo struct {
	local, id string
	status    int
	confirm   bool
}

func (m *owedMessage) pending(owner string, status int8) store.OfflineMessage {
	row := m.row
	row.Owner, row.Status = owner, int(status)
	return row
}

// settle takes a confirmation. It is false when nothing was owed under that id: the copy may have become a row.
func (o *owed) settle(local, id, msgID string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.confirm(id, msgID)
	found := o.deferred.confirm(id, msgID)
	u := o.users[local]
	if u == nil {
		return found
	}
	for i := range u.copies {
		if m := u.copies[i].message; m != nil && m.row.MsgID == msgID {
			o.close(&u.copies[i])
			found = true
			break
		}
	}
	o.trim(u)
	return found
}

func (o *owed) close(c *owedCopy) {
	o.count--
	o.bytes -= owedCopySize
	if c.message.open--; c.message.open == 0 {
		o.bytes -= c.message.size()
		o.done++
	}
	c.message = nil
}

// trim drops settled copies from the front of a user's list.
func (o *owed) trim(u *owedUser) {
	n := 0
	for n < len(u.copies) && u.copies[n].message == nil {
		n++
	}
	if u.copies = u.copies[n:]; len(u.copies) == 0 {
		if u.copies = nil; len(u.phones) == 0 {
			delete(o.users, u.local)
		}
	}
}

// lost turns what is owed to a user into rows, because a mobile of his went away: all but what another one, of those that are there, was
// asked about.
func (o *owed) lost(local string, there []presence.Device) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u := o.users[local]; u != nil {
		o.dropPhones(u, func(p *phone) bool {
			return !slices.ContainsFunc(there, func(d presence.Device) bool { return d.Full == p.full })
		})
		o.unasked(u)
	}
}

// unasked turns copies into rows that no phone is asked about.
func (o *owed) unasked(u *owedUser) {
	for i := range u.copies {
		if c := &u.copies[i]; c.message != nil && c.asked == 0 {
			o.toRow(u, c)
		}
	}
	o.trim(u)
}

// all turns everything owed into rows: the link was lost, or the process stops.
func (o *owed) all() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.proofs.clear() // no answer will come
	for _, u := range o.users {
		u.phones = nil
		for i := range u.copies {
			if c := &u.copies[i]; c.message != nil {
				o.toRow(u, c)
			}
		}
		o.trim(u)
	}
}

// toRow settles a copy by making it a row, unless its message was revoked.
func (o *owed) toRow(u *owedUser, c *owedCopy) {
	if !c.message.gone {
		o.add(c.message, u.id, c.status)
		if c.asked > 0 {
			u.rowMade(c.message)
		}
	}
	o.close(c)
}

// forget keeps messages that were removed from becoming rows.
func (o *owed) forget(gone removal) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.order {
		m.gone = m.gone || gone.of(m.row)
	}
	o.rows = slices.DeleteFunc(o.rows, func(r waitingRow) bool { return gone.of(r.message.row) })
	o.deferred.forget(gone)
}

// tick settles what is old enough. A copy that only a confirmation settles becomes a row; any other counts as received when the
// server has routed it, as far as delivered says, and the user's mobiles were still there in a snapshot asked for after it was sent.
// asof is when the newest snapshot was asked for; on a server without snapshots the grace alone decides.
func (o *owed) tick(now, asof time.Time, snapshots bool, delivered int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, u := range o.users {
		o.ripen(u, now)
		for i := range u.copies {
			c := &u.copies[i]
			if c.message == nil {
				continue
			}
			if c.message.sent.IsZero() {
				continue
			}
			if now.Sub(c.message.sent) < o.grace {
				break
			}
			switch {
			case c.held: // until [owed.ripen]
			case c.confirm:
				o.toRow(u, c)
			case c.message.time <= delivered && (!snapshots || asof.After(c.message.sent)):
				o.close(c)
			}
		}
		o.expire(u, now)
		o.trim(u)
	}
}

// settled is the position up to which nothing is owed, given how far deliveries are known to have been routed.
func (o *owed) settled(delivered int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.order) > 0 && o.order[0].open == 0 {
		o.order[0] = nil
		o.order = o.order[1:]
		o.done--
	}
	if o.done > keptDone && o.done > len(o.order)/2 { // one copy may stay open for minutes, as long as no look succeeds
		o.order = slices.DeleteFunc(o.order, func(m *owedMessage) bool { return m.open == 0 })
		o.done = 0
	}
	if len(o.order) > 0 {
		delivered = min(delivered, o.order[0].time-1)
	}
	if len(o.rows) > 0 {
		delivered = min(delivered, o.from-1)
	}
	return o.deferred.settled(delivered)
}

// owedEntry is what is owed to a user as a row of the queue would say it.
type owedEntry struct {
	message *owedMessage
	status  int8
}

func (e owedEntry) row(owner string) store.OfflineMessage { return e.message.pending(owner, e.status) }
func (e owedEntry) time() string                          { return e.message.row.Time }

// pending lists what is owed to a user, for getOffline; confirming restricts it to the copies that wait for a confirmation, for
// hasUnread. Rows that are to follow their messages are not among it, see [owed.following].
func (o *owed) pending(local, id string, confirming bool) []owedEntry {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.of(id)
	if u := o.users[local]; u != nil {
		for _, c := range u.copies {
			if c.message != nil && !c.message.gone && (c.confirm || !confirming) {
				list = append(list, owedEntry{c.message, c.status})
			}
		}
	}
	return list
}

// open says which of these copies, of which the local parts of the owners are given, are owed or about to become rows.
func (o *owed) open(copies map[rowKey]string) map[rowKey]bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := map[rowKey]bool{}
	for key, local := range copies {
		if u := o.users[local]; u != nil && slices.ContainsFunc(u.copies, func(c owedCopy) bool {
			return c.message != nil && c.message.row.MsgID == key.msgID
		}) {
			found[key] = true
		}
	}
	for key := range copies {
		if o.deferred.has(key.owner, key.msgID) {
			found[key] = true
		}
	}
	for _, rows := range [...][]waitingRow{o.taken, o.rows} {
		for _, r := range rows {
			if _, asked := copies[r.key()]; asked {
				found[r.key()] = true
			}
		}
	}
	return found
}

// counts are for the metrics.
func (o *owed) counts() (copies, rows int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count, len(o.rows)
}
