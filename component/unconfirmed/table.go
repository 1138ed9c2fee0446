package unconfirmed

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/store"
)

// Message is a message of which copies to mobiles are not settled yet.
type Message struct {
	Row  store.OfflineMessage // what a queue row of it looks like, without ID, Owner and Status
	Time int64                // its place in the order: msg_time, or the clock's value for kinds that are not stored
	sent time.Time            // when its copies went out; zero while some wait for the server
	open int                  // copies not settled
	gone bool                 // revoked: no row is wanted any more
	// Loose: its id may be another message's too (see the kinds), so no row is deleted by it.
	Loose bool
	// Confirmable: apps confirm messages of its kind by themselves, by an XEP-0184 receipt, for which their copies ask, or by an MTC-000.
	Confirmable bool
}

// openCopy is one user's share of a message. A busy group makes very many of them: it stays small.
type openCopy struct {
	message *Message // nil once settled
	status  int8     // of the row it would become
	confirm bool     // only a confirmation settles it
	own     bool     // see [Owner]
	asked   uint8    // phones that have been asked about it, and may still answer, or have
	held    uint8    // those of them that have; see [Table.hold]
}

// Bytes that a copy and a message take in memory, about.
const (
	copySize    = 2 * (16 + 16) // with what a phone has answered for it; lists grow by doubling
	messageSize = 350
)

func (m *Message) size() int { return messageSize + len(m.Row.Body) }

// ownerState is what is kept of one user.
type ownerState struct {
	local   string
	id      string // as rows name the owner; "" while nothing was unconfirmed
	copies  []openCopy
	trimmed int // copies that stood in front of these
	phones  []*phone
}

// place names a copy of a user: how many there were before it, since the user's entry was made.
type place int

// at finds a copy, unless it is settled.
func (o *ownerState) at(p place) *openCopy {
	if i := int(p) - o.trimmed; i >= 0 && i < len(o.copies) && o.copies[i].message != nil {
		return &o.copies[i]
	}
	return nil
}

// place is that of the i-th of its copies now.
func (o *ownerState) place(i int) place { return place(o.trimmed + i) }

// Table keeps the copies that were sent to mobiles until each is settled. Make it with [New].
type Table struct {
	grace   time.Duration
	perUser int

	mu    sync.Mutex
	users map[string]*ownerState // by JID local part
	order []*Message             // oldest first; settled ones are dropped from the front, and when they are many
	done  int                    // settled ones in order
	count int                    // copies not settled
	bytes int                    // that they take
	waiting
	proofs
	deferred deferred
}

// maxBytes bounds the memory for the copies of all users together; beyond it they become rows at once. A group of 50
// makes 60,000 copies a second (what Openfire routes), which are 20 MB in the grace of 5 s.
const maxBytes = 128 << 20

// maxKeptDone is how many settled messages may stand behind one that is not.
const maxKeptDone = 1000

// New makes an empty table. A copy becomes a row when it is not confirmed for grace, or when its user has perUser copies already.
func New(grace time.Duration, perUser int, hooks Hooks) *Table {
	return &Table{grace: grace, perUser: perUser, users: map[string]*ownerState{}, proofs: newProofs(hooks)}
}

// user finds a user's entry, or makes it.
func (t *Table) user(local string) *ownerState {
	u := t.users[local]
	if u == nil {
		u = &ownerState{local: local}
		t.users[local] = u
	}
	return u
}

// Add notes that copies of a message were sent to a mobile of each of these users.
func (t *Table) Add(m *Message, to []Owner, sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.sent = sent
	for _, w := range to {
		u := t.user(w.Local)
		u.id = w.ID
		if len(u.copies) >= t.perUser || t.bytes >= maxBytes {
			t.queue(m, w.ID, int8(w.Status))
			continue
		}
		c := openCopy{message: m, status: int8(w.Status), own: w.Own}
		c.confirm = w.Confirm || c.confirmedBy(t.hooks.How(w.Local))
		u.copies = append(u.copies, c)
		m.open++
		t.count++
		t.bytes += copySize
	}
	if m.open > 0 {
		t.order = append(t.order, m)
		t.bytes += m.size()
	}
}

// confirmedBy says whether phones that confirm in this way confirm it: else it counts as received without.
func (o *openCopy) confirmedBy(how store.Confirms) bool {
	return how == store.ConfirmsByPings || how == store.ConfirmsByReceipts && o.message.Confirmable && !o.own
}

// Raised notes that a user's phones have begun to confirm, or to do so in a stronger way, which [Hooks].How tells already. It counts for what they
// were sent before as well: they may have lost it.
func (t *Table) Raised(local string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.raised(t.users[local])
}

func (t *Table) raised(u *ownerState) {
	if u == nil {
		return
	}
	how := t.hooks.How(u.local)
	for i := range u.copies {
		if c := &u.copies[i]; c.message != nil {
			c.confirm = c.confirm || c.confirmedBy(how)
		}
	}
}

// Hold notes that some copies of a message wait for the server: their grace does not begin before [Table.HandedOver].
func (t *Table) Hold(m *Message) { t.HandedOver(m, time.Time{}) }

// HandedOver notes when the last copies of a message went out.
func (t *Table) HandedOver(m *Message, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.sent = at
}

// Owner is a user to whose phones a copy was sent.
type Owner struct {
	Local   string // JID local part
	ID      string // as rows name the owner
	Status  int    // of the row that the copy may become
	Confirm bool   // only a confirmation settles it, however their phones have behaved so far
	Own     bool   // they wrote it, on a page: their phones' apps send no receipt for it, but answer pings
}

func (m *Message) offline(owner string, status int8) store.OfflineMessage {
	row := m.Row
	row.Owner, row.Status = owner, int(status)
	return row
}

// Confirm takes a confirmation. It is false when nothing was unconfirmed under that id: the copy may have become a row.
func (t *Table) Confirm(local, id, msgID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.confirm(id, msgID)
	found := t.deferred.confirm(id, msgID)
	u := t.users[local]
	if u == nil {
		return found
	}
	for i := range u.copies {
		if m := u.copies[i].message; m != nil && m.Row.MsgID == msgID {
			t.close(&u.copies[i])
			found = true
			break
		}
	}
	t.trim(u)
	return found
}

func (t *Table) close(c *openCopy) {
	t.count--
	t.bytes -= copySize
	if c.message.open--; c.message.open == 0 {
		t.bytes -= c.message.size()
		t.done++
	}
	c.message = nil
}

// trim drops settled copies from the front of a user's list.
func (t *Table) trim(u *ownerState) {
	n := 0
	for n < len(u.copies) && u.copies[n].message == nil {
		n++
	}
	u.trimmed += n
	if u.copies = u.copies[n:]; len(u.copies) == 0 {
		if u.copies = nil; len(u.phones) == 0 {
			delete(t.users, u.local)
		}
	}
}

// DeviceGone turns what is unconfirmed of a user into rows, because a mobile of theirs went away: all but what another one, of those that are there, was
// asked about.
func (t *Table) DeviceGone(local string, there []presence.Device) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u := t.users[local]; u != nil {
		t.dropPhones(u, func(p *phone) bool {
			return !slices.ContainsFunc(there, func(d presence.Device) bool { return d.Full == p.full })
		})
		t.unasked(u)
	}
}

// unasked turns copies into rows that no phone is asked about.
func (t *Table) unasked(u *ownerState) {
	for i := range u.copies {
		if c := &u.copies[i]; c.message != nil && c.asked == 0 {
			t.toRow(u, i)
		}
	}
	t.trim(u)
}

// LinkLost turns everything into rows: the link was lost, or the process stops.
func (t *Table) LinkLost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proofs.clear() // no answer will come
	for _, u := range t.users {
		u.phones = nil
		for i := range u.copies {
			if u.copies[i].message != nil {
				t.toRow(u, i)
			}
		}
		t.trim(u)
	}
}

// toRow settles a copy by making it a row, unless its message was revoked.
func (t *Table) toRow(u *ownerState, i int) {
	c := &u.copies[i]
	if !c.message.gone {
		t.queue(c.message, u.id, c.status)
		if c.asked > 0 {
			u.rowMade(u.place(i), c.message)
		}
	}
	t.close(c)
}

// Forget keeps messages that were removed from becoming rows.
func (t *Table) Forget(gone Removal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.order {
		m.gone = m.gone || gone.Matches(m.Row)
	}
	t.rows = slices.DeleteFunc(t.rows, func(r waitingRow) bool { return gone.Matches(r.message.Row) })
	t.deferred.forget(gone)
}

// Tick settles what is old enough. A copy that only a confirmation settles becomes a row; any other counts as received when the
// server has routed it, as far as delivered says, and the user's mobiles were still there in a snapshot asked for after it was sent.
// asof is when the newest snapshot was asked for; on a server without snapshots the grace alone decides.
func (t *Table) Tick(now, asof time.Time, snapshots bool, delivered int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.users {
		t.ripen(u, now, asof, snapshots)
		for i := range u.copies {
			c := &u.copies[i]
			if c.message == nil {
				continue
			}
			if c.message.sent.IsZero() {
				continue
			}
			if now.Sub(c.message.sent) < t.grace {
				break
			}
			switch {
			case c.held > 0: // until [Table.ripen]
			case c.confirm:
				t.toRow(u, i)
			case c.message.Time <= delivered && (!snapshots || asof.After(c.message.sent)):
				t.close(c)
			}
		}
		t.expire(u, now)
		t.trim(u)
	}
}

// Settled is the position up to which nothing is unconfirmed, given how far deliveries are known to have been routed.
func (t *Table) Settled(delivered int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.order) > 0 && t.order[0].open == 0 {
		t.order[0] = nil
		t.order = t.order[1:]
		t.done--
	}
	if t.done > maxKeptDone && t.done > len(t.order)/2 { // one copy may stay open for minutes, as long as no look succeeds
		t.order = slices.DeleteFunc(t.order, func(m *Message) bool { return m.open == 0 })
		t.done = 0
	}
	if len(t.order) > 0 {
		delivered = min(delivered, t.order[0].Time-1)
	}
	if len(t.rows) > 0 {
		delivered = min(delivered, t.from-1)
	}
	return t.deferred.settled(delivered)
}

// Entry is an unconfirmed copy as a row of the queue would say it.
type Entry struct {
	Message *Message
	status  int8
}

// Row is the row of the queue that says it.
func (e Entry) Row(owner string) store.OfflineMessage { return e.Message.offline(owner, e.status) }

// Rows are those of entries of one owner.
func Rows(owner string, list []Entry) []store.OfflineMessage {
	rows := make([]store.OfflineMessage, 0, len(list))
	for _, e := range list {
		rows = append(rows, e.Row(owner))
	}
	return rows
}

// Time is its msg_time.
func (e Entry) Time() string { return e.Message.Row.Time }

// Entries lists what is unconfirmed of a user, for getOffline; confirming restricts it to the copies that wait for a confirmation
// and have none, for hasUnread. Rows that are to follow their messages are not among it, see [Table.Following].
func (t *Table) Entries(local, id string, confirming bool) []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.of(id)
	if u := t.users[local]; u != nil {
		for _, c := range u.copies {
			if c.message != nil && !c.message.gone && (c.confirm && c.held == 0 || !confirming) {
				list = append(list, Entry{c.message, c.status})
			}
		}
	}
	return list
}

// Queue lists all that is unconfirmed of a user, and all rows that are to follow their messages, in the order of time.
func (t *Table) Queue(p protocol.Person) []Entry {
	list := t.Entries(p.Local, p.ID, false)
	for _, e := range t.Following(p.ID, 0) {
		list = append(list, e.Entry)
	}
	slices.SortStableFunc(list, func(a, b Entry) int { return strings.Compare(a.Time(), b.Time()) })
	return list
}

// CountQueues says of each of these users how many entries [Table.Queue] lists, in one pass over the rows that wait: those may be a hundred thousand.
func (t *Table) CountQueues(people []protocol.Person) []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := make(map[string]int, len(people))
	for _, p := range people {
		rows[p.ID] = 0
	}
	for _, list := range [...][]waitingRow{t.taken, t.rows} {
		for _, r := range list {
			n, asked := rows[r.owner]
			if !asked {
				continue
			}
			if _, confirmed := t.confirmed[r.key()]; !confirmed {
				rows[r.owner] = n + 1
			}
		}
	}
	counts := make([]int, len(people))
	for i, p := range people {
		counts[i] = rows[p.ID]
		if u := t.users[p.Local]; u != nil {
			for _, c := range u.copies {
				if c.message != nil && !c.message.gone {
					counts[i]++
				}
			}
		}
		t.deferred.of(p.ID, func(*Deferral, int8, bool) { counts[i]++ })
	}
	return counts
}

// Open says which of these copies, of which the local parts of the owners are given, are unconfirmed or about to become rows.
func (t *Table) Open(copies map[RowKey]string) map[RowKey]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := map[RowKey]bool{}
	for key, local := range copies {
		if u := t.users[local]; u != nil && slices.ContainsFunc(u.copies, func(c openCopy) bool {
			return c.message != nil && c.message.Row.MsgID == key.MsgID
		}) {
			found[key] = true
		}
	}
	for key := range copies {
		if t.deferred.has(key.Owner, key.MsgID) {
			found[key] = true
		}
	}
	for _, rows := range [...][]waitingRow{t.taken, t.rows} {
		for _, r := range rows {
			if _, asked := copies[r.key()]; asked {
				found[r.key()] = true
			}
		}
	}
	return found
}

// Counts is what is in memory.
type Counts struct {
	Copies        int // not settled
	Rows          int // about to be written
	Deferred      int // rows that are to follow their messages
	DeferredBytes int
	Rosters       int // that these share
	Questions     int // pings whose answers may still come
}

// Count says how much is in memory.
func (t *Table) Count() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := &t.deferred
	return Counts{t.count, len(t.rows), d.rows, d.bytes, len(d.rosters), len(t.asked)}
}

// Copy is a copy that is not settled.
type Copy struct {
	Local, MsgID string
	Status       int
	Confirm      bool // only a confirmation settles it
}

// List visits the copies that are not settled, by user.
func (t *Table) List(visit func(Copy)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, local := range slices.Sorted(maps.Keys(t.users)) {
		for _, c := range t.users[local].copies {
			if c.message != nil && !c.message.gone {
				visit(Copy{local, c.message.Row.MsgID, int(c.status), c.confirm})
			}
		}
	}
}

// ConfirmAll settles those of these messages that are unconfirmed of a user, says so of each, and returns the others.
func (t *Table) ConfirmAll(local string, ids []string, settled func(local, msgID string)) (missed []string) {
	want := make(map[string]bool, len(ids))
	for _, id := range ids {
		want[id] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if u := t.users[local]; u != nil {
		for i := range u.copies {
			m := u.copies[i].message
			if m == nil || !want[m.Row.MsgID] {
				continue
			}
			delete(want, m.Row.MsgID)
			t.confirm(u.id, m.Row.MsgID)
			t.close(&u.copies[i])
			settled(local, m.Row.MsgID)
			if len(want) == 0 {
				break
			}
		}
		t.trim(u)
	}
	for _, id := range ids {
		if want[id] {
			delete(want, id)
			missed = append(missed, id)
		}
	}
	return missed
}
