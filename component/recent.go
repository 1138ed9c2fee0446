package component

import (
	"slices"
	"time"

	"tlim/component/cache"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// recent is what was sent in the last moments, in order, for devices that become known a moment after they came: each is sent from
// here what its user was sent since the last look in which it was absent. It belongs to the conveyor.
//
//	look 1            message m            look 2
//	------------------------------------------------->
//	the phone is absent   the phone is here
//	                      and nobody knows
//
// A phone that look 2 finds has come after look 1 was asked for, so m, committed later than that, may have been too late for its
// getOffline and too early for the table of devices.
type recent struct {
	sent     []*sentMessage // from first on, oldest first
	first    int
	bytes    int
	maxBytes int       // that they may take
	cut      time.Time // of the newest one that went because all took too much; what is as old as that may be missing
}

// sentMessage is a delivery with those for whom it was, whether or not they were there.
type sentMessage struct {
	stanza.Delivery
	at           time.Time // of its commit, or a moment later
	kind         *Kind
	typ          string
	session      string // as queue rows name it
	conversation string
	sender       protocol.Person
	group        *cache.Group      // all its members at that time; nil: people
	people       []protocol.Person // read only; shared with the message
	except       string            // the device that it was sent from, which needs no copy of it
	late         []string          // devices that it was sent to after they had come
	own          bool              // it is for the sender's other devices
}

// maxRecentBytes bounds what is kept. The age bounds it first: with a look every 0.2 s a busy server has a few hundred messages here.
const maxRecentBytes = 64 << 20

// unheardTime is for how long what was sent to a bare JID is kept where no look tells how long a device has been there.
const unheardTime = 4 * time.Second

func (r *recent) len() int { return len(r.sent) - r.first }

func newRecent() *recent { return &recent{maxBytes: maxRecentBytes} }

// size is what an entry takes in memory, about.
func (s *sentMessage) size() int {
	n := 400 + len(s.Payload) + 24*len(s.To) + lateSize*len(s.late)
	if s.group == nil {
		n += 48 * len(s.people)
	}
	return n
}

func (r *recent) add(m *sentMessage) {
	r.sent = append(r.sent, m)
	for r.bytes += m.size(); r.bytes > r.maxBytes; {
		r.cut = r.sent[r.first].at
		r.drop()
	}
}

// drop forgets the oldest.
func (r *recent) drop() {
	r.bytes -= r.sent[r.first].size()
	r.sent[r.first] = nil
	if r.first++; r.first == len(r.sent) {
		r.sent, r.first = r.sent[:0], 0
	} else if r.first > 1024 && r.first > len(r.sent)/2 {
		n := copy(r.sent, r.sent[r.first:])
		clear(r.sent[n:])
		r.sent, r.first = r.sent[:n], 0
	}
}

// expire forgets what nobody can ask for any more.
func (r *recent) expire(before time.Time) {
	for r.first < len(r.sent) && r.sent[r.first].at.Before(before) {
		r.drop()
	}
}

// clear forgets all: a new connection begins, and replay delivers.
func (r *recent) clear() { *r = recent{maxBytes: r.maxBytes} }

// forget drops messages that were removed.
func (r *recent) forget(gone unconfirmed.Removal) {
	kept := slices.DeleteFunc(r.sent[r.first:], func(m *sentMessage) bool {
		if !gone.Matches(store.OfflineMessage{Message: store.Message{MsgID: m.ID, Type: m.typ, SessionID: m.session}}) {
			return false
		}
		r.bytes -= m.size()
		return true
	})
	r.sent = r.sent[:r.first+len(kept)]
}

// visit shows what one device has missed: what was for its user since some time and was not sent to it.
func (r *recent) visit(local, full string, since time.Time, see func(*sentMessage)) {
	for i := r.first; i < len(r.sent); i++ {
		if m := r.sent[i]; !m.at.Before(since) && m.isFor(local) && m.except != full && !m.reached(full) {
			see(m)
		}
	}
}

// lateSize is what a full JID in late takes, about: nobody else may hold it.
const lateSize = 100

// note says that a device was sent what it had missed.
func (r *recent) note(m *sentMessage, full string) {
	m.late = append(m.late, full)
	r.bytes += lateSize
}

func (s *sentMessage) isFor(local string) bool {
	if s.group != nil {
		return s.group.Member(local)
	}
	return slices.ContainsFunc(s.people, func(p protocol.Person) bool { return p.Local == local })
}

func (s *sentMessage) reached(jid string) bool {
	return slices.ContainsFunc(s.To, func(t stanza.Target) bool { return t.JID == jid }) || slices.Contains(s.late, jid)
}

// remember notes a delivery of the decision for devices that become known; without targets nobody was there.
func (d *decision) remember(delivery stanza.Delivery, to []protocol.Person, own bool) {
	m := &sentMessage{Delivery: delivery, kind: d.kind, typ: d.env.Type, session: d.sender.ID, conversation: d.way(nil).conversation,
		sender: d.sender, people: to, own: own}
	if d.groupID != "" {
		m.session = d.groupID
	}
	if own {
		m.except = d.arrival.from.String()
	}
	if g := d.group; g != nil && len(to) > 0 && len(to) == len(g.Members) && &to[0] == &g.Members[0] {
		m.group, m.people = g, nil
	}
	d.b.sent = append(d.b.sent, m)
}
