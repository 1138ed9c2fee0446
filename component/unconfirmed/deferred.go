package unconfirmed

import (
	"slices"
	"time"

	"tlim/component/protocol"
)

// deferred are the queue rows that follow their message: those of the absent members of large groups. A message to a thousand of whom
// fifty are there would write 950 rows in its own transaction, which cost more than its fifty copies do. Until they are written they
// are a bit each. A crash loses none of them: the settled position stays below their messages, so that the next start finds what is
// missing (see component/replay.go). It is guarded by the lock of [Table].
type deferred struct {
	order   []*Deferral // by the place of their messages; those that are done go from the front
	byID    map[string]*Deferral
	rosters []*Roster          // those of which some row is left
	newest  map[string]*Roster // of each group, of these
	bytes   int
	rows    int // left
	slice   deferredSlice
}

// Deferral is the rows of one message that are left to be written.
type Deferral struct {
	message *Message
	roster  *Roster
	left    bitSet // members who are to get a row
	web     bitSet // those of them whose row has msg_status 1; nil: none
	rows    int    // in left
	size    int
	twin    *Deferral // another message of this msg_id: a revoke may have that of the message which it names
}

// Roster is the members of a group as its messages found them.
type Roster struct {
	group  string
	ids    []string // as rows name the owners, in the order of the group's members
	at     map[string]int
	list   []*Deferral // by the place of their messages; those that are done go from the front
	size   int
	listed bool // among rosters
}

// deferredSlice is a part of the table of messages by members: what some messages have for some members. It is what one transaction
// writes. The rows of a member lie side by side in the index of the owners; written message after message, each would touch a page of
// its own there.
type deferredSlice struct {
	list     []*Deferral // of one roster
	from, to int         // members whose rows are being written
}

const (
	DeferAbove       = 50                     // rows of a message in its own transaction
	DeferWait        = 250 * time.Millisecond // for more of the same group to be written together
	maxDeferTogether = 64                     // messages whose rows are written together
	maxDeferBytes    = 2 << 20                // of the bodies of rows that are written together, about
	deferSize        = 300                    // bytes of a deferral without its bits, about
	rosterSize       = 120                    // bytes of a member in a roster, about
	// MaxDeferred bounds the memory for rows to come: some 80,000 messages of usual length. Beyond it messages to large groups wait.
	MaxDeferred = 64 << 20
)

// DeferBusy says whether messages to large groups have to wait until rows are written.
func (t *Table) DeferBusy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.deferred.bytes >= MaxDeferred
}

// RosterOf finds or makes the roster of a group. Groups that are read again, and have the same members, share one.
func (t *Table) RosterOf(group string, members []protocol.Person) *Roster {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.deferred.newest[group]; r.Is(members) {
		return r
	}
	return NewRoster(group, members)
}

// Is says whether these are the members, in this order.
func (r *Roster) Is(members []protocol.Person) bool {
	return r != nil && slices.EqualFunc(r.ids, members, func(id string, p protocol.Person) bool { return id == p.ID })
}

// NewRoster lists the members of a group for [Later].
func NewRoster(group string, members []protocol.Person) *Roster {
	r := &Roster{group: group, ids: make([]string, len(members)), at: make(map[string]int, len(members)), size: rosterSize * len(members)}
	for i, p := range members {
		r.ids[i], r.at[p.ID] = p.ID, i
	}
	return r
}

// Recovering forgets what an attempt to recover has noted: it begins anew.
func (t *Table) Recovering() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.deferred = deferred{}
}

// NewDeferral makes the rows to come of a message.
func NewDeferral(m *Message, l *Later) *Deferral {
	d := &Deferral{message: m, roster: l.roster, left: l.left, web: l.web, rows: l.Count()}
	d.size = deferSize + m.size() + 8*(len(l.left)+len(l.web))
	return d
}

// Follow keeps the rows of messages, which are committed, to be written.
func (t *Table) Follow(list []*Deferral) {
	if len(list) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range list {
		t.deferred.add(f)
	}
}

func (d *deferred) add(f *Deferral) {
	if f.rows == 0 {
		return
	}
	if d.byID == nil {
		d.byID, d.newest = map[string]*Deferral{}, map[string]*Roster{}
	}
	d.order = append(d.order, f)
	id := f.message.Row.MsgID
	f.twin, d.byID[id] = d.byID[id], f
	r := f.roster
	if !r.listed {
		r.listed = true
		d.rosters = append(d.rosters, r)
		d.bytes += r.size
	}
	d.newest[r.group] = r
	r.list = append(r.list, f)
	d.bytes += f.size
	d.rows += f.rows
}

// done takes one row from those that are left.
func (d *deferred) done(f *Deferral, member int) {
	f.left.clear(member)
	d.rows--
	if f.rows--; f.rows == 0 {
		d.drop(f)
	}
}

// drop forgets a message of which no row is left, or wanted.
func (d *deferred) drop(f *Deferral) {
	d.rows -= f.rows
	d.bytes -= f.size
	f.rows = 0
	id := f.message.Row.MsgID
	if d.byID[id] == f {
		if f.twin == nil {
			delete(d.byID, id)
		} else {
			d.byID[id] = f.twin
		}
	} else {
		for g := d.byID[id]; g != nil; g = g.twin {
			if g.twin == f {
				g.twin = f.twin
			}
		}
	}
	d.order = undone(d.order)
	r := f.roster
	if r.list = undone(r.list); len(r.list) > 0 {
		return
	}
	r.listed = false
	d.bytes -= r.size
	d.rosters = slices.DeleteFunc(d.rosters, func(other *Roster) bool { return other == r })
	if d.newest[r.group] == r {
		delete(d.newest, r.group)
	}
}

// undone drops those that are done from the front.
func undone(list []*Deferral) []*Deferral {
	for len(list) > 0 && list[0].rows == 0 {
		list[0] = nil
		list = list[1:]
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// settled is the position up to which no row is to come.
func (d *deferred) settled(at int64) int64 {
	if len(d.order) > 0 {
		return min(at, d.order[0].message.Time-1)
	}
	return at
}

// of visits what is to come for an owner, by conversation, and what is being written; writing says which.
func (d *deferred) of(owner string, visit func(f *Deferral, status int8, writing bool)) {
	for _, r := range d.rosters {
		i, member := r.at[owner]
		if !member {
			continue
		}
		for _, f := range r.list {
			if f.rows > 0 && f.left.has(i) {
				visit(f, f.status(i), d.writes(f, i))
			}
		}
	}
}

func (d *Deferral) status(member int) int8 {
	if d.web != nil && d.web.has(member) {
		return 1
	}
	return 0
}

// writes says whether a transaction is writing a row.
func (d *deferred) writes(f *Deferral, member int) bool {
	return d.slice.from <= member && member < d.slice.to && slices.Contains(d.slice.list, f)
}

// confirm keeps a row from being written. It is false when there is none to come, or it is being written: then it has to be deleted.
func (d *deferred) confirm(owner, msgID string) bool {
	found := false
	for f := d.byID[msgID]; f != nil; {
		next := f.twin
		if i, member := f.roster.at[owner]; member && f.left.has(i) {
			found = !d.writes(f, i) || found
			d.done(f, i)
		}
		f = next
	}
	return found
}

// has says whether a row is to come.
func (d *deferred) has(owner, msgID string) bool {
	for f := d.byID[msgID]; f != nil; f = f.twin {
		if i, member := f.roster.at[owner]; member && f.left.has(i) {
			return true
		}
	}
	return false
}

// forget keeps the rows of messages that were removed from being written.
func (d *deferred) forget(gone Removal) {
	for id := range gone.IDs {
		for f := d.byID[id]; f != nil; f = d.byID[id] {
			d.drop(f)
		}
	}
	if gone.Group == "" {
		return
	}
	for _, r := range slices.Clone(d.rosters) {
		if r.group != gone.Group {
			continue
		}
		for _, f := range slices.Clone(r.list) {
			if f.rows > 0 && gone.Matches(f.message.Row) {
				d.drop(f)
			}
		}
	}
}
