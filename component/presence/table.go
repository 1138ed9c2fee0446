package presence

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/stanza"
	"tlim/component/trigger"
)

// Device is one available resource of a user.
type Device struct {
	Full     string // full JID, prepared
	Mobile   bool   // web is what holds "[web]" in its resource; everything else is mobile
	Show     string // "" is what the offline rule calls available; away, xa, dnd and chat are not
	Priority int
	Seen     time.Time // when we learned of it
	Heard    time.Time // when it last said something; kept only while there is no snapshot
}

// Snapshotter asks the server for all available sessions.
type Snapshotter interface {
	// Snapshot blocks for the server's answer. ErrNoSnapshots means that this server cannot tell.
	Snapshot(ctx context.Context) ([]Session, error)
}

// Session is an available session as the server reports it.
type Session struct {
	JID      stanza.JID
	Show     string
	Priority int
}

// ErrNoSnapshots is what a Snapshotter answers for a server that has no such command. Presence is then what clients send us.
var ErrNoSnapshots = errors.New("the server gives no presence snapshots")

// Table is the table of known devices. Lists in it are never changed in place, so readers keep what they got.
type Table struct {
	domain string // D
	now    func() time.Time

	mu       sync.RWMutex
	users    map[string]*presentUser // by prepared local part
	total    int                     // devices of them all
	complete bool                    // a snapshot of this connection is in the table
	asked    time.Time               // when the newest snapshot was asked for
	asking   time.Time               // when the one that is under way was; zero: none is
	period   time.Duration           // between snapshots, as it is stretched now
	merges   uint64
	changes  []Change
	queued   map[string]struct{} // what is in changes: a full JID that came, a local part of which one went
	began    time.Time           // of the connection
	wake     trigger.Trigger     // something is in changes
}

// presentUser are the devices of one user, and which of them the snapshot has that is being merged.
type presentUser struct {
	list  []Device
	merge uint64                         // the merge that listed is of
	has   [(maxDevices + 63) / 64]uint64 // a bit for each of list
}

// find says where a device is in the list; -1: nowhere.
func (p *presentUser) find(jid stanza.JID) int {
	head := len(jid.Local) + len(jid.Domain) + 2 // all have this user's bare JID
	for i := range p.list {
		if p.list[i].Full[head:] == jid.Resource {
			return i
		}
	}
	return -1
}

// mark notes that the snapshot has device i; false when it was noted before.
func (p *presentUser) mark(i int) bool {
	bit := uint64(1) << (i % 64)
	if p.has[i/64]&bit != 0 {
		return false
	}
	p.has[i/64] |= bit
	return true
}

// marked says whether the snapshot has device i.
func (p *presentUser) marked(i int) bool { return p.has[i/64]&(1<<(i%64)) != 0 }

// Change tells the conveyor that a device came, or that a mobile went.
type Change struct {
	Local  string
	Came   *Device   // nil: one went away
	Since  time.Time // when it was absent last, as far as a snapshot tells: when that was asked for
	Missed bool      // it has missed something: the conveyor notes it, before it gives back what there is no room for yet
}

// NewTable makes an empty table of the users of a server's domain.
func NewTable(domain string, now func() time.Time) *Table {
	return &Table{domain: domain, now: now, users: map[string]*presentUser{}, queued: map[string]struct{}{}, began: now(),
		wake: trigger.New()}
}

// IsMobile says whether a resource is a phone's: web is what holds "[web]", everything else is mobile.
func IsMobile(resource string) bool { return !strings.Contains(resource, "[web]") }

// Devices returns the known devices of a user; the caller must not change the list.
func (t *Table) Devices(local string) []Device {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.list(local)
}

// Served returns the known devices of a user to which a new message goes at once. To a device that came and was not yet sent what it has
// missed it would come before what is older: that device gets it with the rest ([Table.TakeChanges]). Without a fresh snapshot all are
// served: a user without any device is then sent their messages by the bare JID, and those are not what a device has missed.
// The caller must not change the list.
func (t *Table) Served(local string) []Device {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := t.list(local)
	waits := func(d Device) bool { _, waits := t.queued[d.Full]; return waits }
	if len(t.queued) == 0 || !slices.ContainsFunc(list, waits) || !t.fresh() {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), waits)
}

// list is devices; the caller holds mu.
func (t *Table) list(local string) []Device {
	if u := t.users[local]; u != nil {
		return u.list
	}
	return nil
}

// Known says whether the absence of a device means anything.
func (t *Table) Known() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.complete
}

// Fresh says whether a user of whom no device is known has none: a snapshot tells, which is not older than three questions that
// came too late. A question that the server is at counts as answered for a while: when it is slow it needs no copies for the absent.
func (t *Table) Fresh() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.fresh()
}

// fresh is Fresh; the caller holds mu.
func (t *Table) fresh() bool {
	now := t.now()
	if !t.asking.IsZero() && now.Sub(t.asking) < askedPatience {
		now = t.asking
	}
	return t.complete && now.Sub(t.asked) < 3*t.period+time.Second
}

// askedPatience is for how long a question that has no answer yet does not make the last snapshot an old one.
const askedPatience = 5 * time.Second

// Count is the number of known devices.
func (t *Table) Count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.total
}

// Available sums up what the offline rule looks at.
func Available(devices []Device) (mobile, web bool) {
	for i := range devices {
		if devices[i].Show == "" {
			mobile = mobile || devices[i].Mobile
			web = web || !devices[i].Mobile
		}
	}
	return mobile, web
}

// maxDevices bounds the devices of one user that are known: each gets a copy of each message, and a client can log in as often as
// it likes. More are as if they were not there.
const maxDevices = 100

// maxHeard bounds the devices of one user on a server without snapshots: nobody tells of those that leave, clients make a new
// resource at each login, and to each that is known a copy is sent.
const maxHeard = 16

// Heard notes a device that sent us a stanza. show is nil when the stanza does not tell.
func (t *Table) Heard(jid stanza.JID, show *string, priority int) {
	if jid.Resource == "" || jid.Domain != t.domain || jid.Local == "" {
		return
	}
	now := t.now()
	d := Device{Full: jid.String(), Mobile: IsMobile(jid.Resource), Priority: priority, Seen: now, Heard: now}
	if show != nil {
		d.Show = *show
	}
	for _, old := range t.Devices(jid.Local) {
		if old.Full != d.Full {
			continue
		}
		if show == nil {
			d.Show, d.Priority = old.Show, old.Priority
		}
		if t.Known() && old.Show == d.Show && old.Priority == d.Priority {
			return
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.put(jid.Local, d, true) {
		return
	}
	if list := t.list(jid.Local); !t.complete && len(list) > maxHeard {
		silent := slices.MinFunc(list, func(a, b Device) int { return a.Heard.Compare(b.Heard) }).Full
		t.remove(jid.Local, func(_ int, d *Device) bool { return d.Full == silent })
	}
}

// lastAbsent is when a device that becomes known now was absent, as far as anybody can tell. The caller holds mu.
func (t *Table) lastAbsent() time.Time {
	if t.asked.IsZero() {
		return t.began
	}
	return t.asked
}

// put adds or replaces a device; false when its user has too many. news says whether a new one is told to the conveyor. The caller
// holds mu.
func (t *Table) put(local string, d Device, news bool) bool {
	u := t.users[local]
	if u == nil {
		u = &presentUser{}
		t.users[local] = u
	}
	at := slices.IndexFunc(u.list, func(old Device) bool { return old.Full == d.Full })
	if at < 0 && len(u.list) >= maxDevices {
		return false
	}
	fresh := slices.Clone(u.list)
	if at >= 0 {
		d.Seen = fresh[at].Seen
		fresh[at] = d
	} else {
		fresh = append(fresh, d)
		t.total++
		if news {
			t.changed(Change{Local: local, Came: &d, Since: t.lastAbsent()})
		}
	}
	u.list = fresh
	return true
}

// Gone removes a device that said so.
func (t *Table) Gone(jid stanza.JID) {
	full := jid.String()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(jid.Local, func(_ int, d *Device) bool { return d.Full == full })
}

// remove drops the devices that match; the caller holds mu.
func (t *Table) remove(local string, match func(i int, d *Device) bool) {
	list := t.list(local)
	var kept []Device
	mobile, left := false, 0
	for i := range list {
		if !match(i, &list[i]) {
			if left > 0 {
				kept = append(kept, list[i])
			}
			continue
		}
		if left == 0 {
			kept = slices.Clone(list[:i])
		}
		left++
		mobile = mobile || list[i].Mobile
	}
	if left == 0 {
		return
	}
	t.total -= left
	if mobile {
		t.changed(Change{Local: local})
	}
	if len(kept) == 0 {
		delete(t.users, local)
	} else {
		t.users[local].list = kept
	}
}

// changed notes a change once until it is taken, however often it happens: nothing bounds how often a client comes and goes. The
// caller holds mu.
func (t *Table) changed(c Change) {
	key := c.Local
	if c.Came != nil {
		key = c.Came.Full
	}
	if _, twice := t.queued[key]; twice { // the first one is absent since earlier
		return
	}
	t.queued[key] = struct{}{}
	t.changes = append(t.changes, c)
	t.wake.Fire()
}

// Wake tells one goroutine that there is something to take.
func (t *Table) Wake() <-chan struct{} { return t.wake }

// TakeChanges hands over what came and went since the last call, in order, and what the later ones are absent since at the earliest:
// when the newest snapshot was asked for; where there is none, when the connection began.
func (t *Table) TakeChanges() (changes []Change, later time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.changes
	t.changes = nil
	clear(t.queued)
	return taken, t.lastAbsent()
}

// GiveBack puts changes back that could not be acted on.
func (t *Table) GiveBack(changes []Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range changes {
		if !slices.ContainsFunc(t.list(c.Local), func(d Device) bool { return d.Full == c.Came.Full }) {
			continue
		}
		if _, again := t.queued[c.Came.Full]; !again {
			t.queued[c.Came.Full] = struct{}{}
			t.changes = append(t.changes, c)
			continue
		}
		for i := range t.changes {
			if now := &t.changes[i]; now.Came != nil && now.Came.Full == c.Came.Full {
				now.Since, now.Missed = c.Since, c.Missed
			}
		}
	}
}

// Forget drops everything: after the link was down nobody knows who left meanwhile. Unknown counts as offline.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users, t.total = map[string]*presentUser{}, 0
	t.changes = nil
	clear(t.queued)
	t.complete = false
	t.asked, t.asking, t.began = time.Time{}, time.Time{}, t.now()
}

// Merge takes a snapshot that was asked for at asked. It says which users have more than maxDevices in it: those that are known stay
// known; and who is there now of whom no device has stayed. A device that we heard of after that is kept even when the snapshot
// lacks it: the snapshot may be older. The devices of a connection's first snapshot are no news: replay serves them.
//
// Snapshots come several times a second, and next to nothing changes between two: what is as it was costs no memory.
func (t *Table) Merge(sessions []Session, asked time.Time) (crowded, came []string) {
	t.mu.Lock()
	defer t.mu.Unlock()

	// 1. What is known and there; the rest is put aside.
	t.merges++
	listed := 0
	var other []*Session
	for i := range sessions {
		s := &sessions[i]
		if s.JID.Domain != t.domain || s.JID.Local == "" || s.JID.Resource == "" {
			continue
		}
		if u := t.users[s.JID.Local]; u != nil {
			if u.merge != t.merges {
				u.merge, u.has = t.merges, [len(u.has)]uint64{}
			}
			if at := u.find(s.JID); at >= 0 {
				if u.mark(at) {
					listed++
				}
				if d := &u.list[at]; d.Show == s.Show && d.Priority == s.Priority {
					continue
				}
			}
		}
		other = append(other, s)
	}

	// 2. Who has gone.
	if listed < t.total {
		for local, u := range t.users {
			t.remove(local, func(i int, d *Device) bool {
				return (u.merge != t.merges || !u.marked(i)) && !d.Seen.After(asked)
			})
		}
	}

	// 3. Who has come or changed.
	for _, s := range other {
		local := s.JID.Local
		if t.users[local] == nil {
			came = append(came, local)
		}
		d := Device{Full: s.JID.String(), Mobile: IsMobile(s.JID.Resource), Show: s.Show, Priority: s.Priority, Seen: asked}
		if !t.put(local, d, t.complete) && (len(crowded) == 0 || crowded[len(crowded)-1] != local) {
			crowded = append(crowded, local)
		}
	}
	t.complete, t.asked, t.asking = true, asked, time.Time{}
	slices.Sort(crowded)
	return slices.Compact(crowded), came
}

// ask notes when the question was asked that is under way; the zero time: none is.
func (t *Table) ask(asked time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking = asked
}

// SetPeriod sets the time between two snapshots, by which [Table.Fresh] judges their age.
func (t *Table) SetPeriod(period time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.period = period
}

// locals are all users of whom a device is known.
func (t *Table) locals() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.users))
}

// LookedAt is when the newest snapshot was asked for; zero when there is none.
func (t *Table) LookedAt() time.Time {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.asked
}
