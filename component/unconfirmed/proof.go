package unconfirmed

import (
	"crypto/rand"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlim/component/presence"
	"tlim/component/stanza"
	"tlim/store"
)

// proofs are the pings (XEP-0199) in front of and behind the copies to phones. A session gets its stanzas in order, so a client's library
// that answers both got the copies in between: those that went out in the same piece of the stream, and no others. A ping that goes out
// later could be answered by a client that has come back under the same address, for its predecessor whose copies are lost. So could the
// one behind alone: Openfire routes stanza by stanza, and lets the client in between a copy and its ping (1 of 7,000 copies was lost so, in
// 80 reconnects under load). Answers come in any order: Smack has several threads for them. Guarded by the lock of [Table].
type proofs struct {
	phones  map[string]*phone           // by full JID
	asked   map[string]*proof           // under way, or late, by id
	bounced *simplelru.LRU[string, int] // bounces in a row, by full JID
	prefix  string                      // of ids
	seed    maphash.Seed                // of their ends
	serial  uint64
	round   uint64 // counts calls of ask
	shape   string // id of the ping that asks how the server answers for nobody
	nobody  string // whom it asks
	repeats bool   // the server repeats the question then; no client's answer may tell: it would speak for the phones of all others
	curt    bool   // it says so as a client may
	began   time.Time
	hooks   Hooks
}

// phone is a mobile that copies are sent to by its full JID.
type phone struct {
	full    string
	user    *ownerState
	answers answering
	request bool     // it is asked to confirm by XEP-0184
	last    *proof   // the newest; nil before the first
	open    []*proof // under way, oldest first
	late    []*proof // not answered in time, oldest first
	held    []held   // copies that its answers stand for, and that they do not settle yet; oldest first
	drops   []drop   // likewise rows
	used    time.Time
	round   uint64 // in which the following were set
	run     int
	copies  int
}

// answering is what is known of how a phone takes pings.
type answering int8

const (
	answersUnknown answering = iota
	answersPings
	answersNothing // one was not answered in time, and none ever was
)

// proof is what two pings stand around.
type proof struct {
	front  string // id of the ping in front, which may be the one behind the proof before; "" when it was answered
	behind string // id of the ping behind; likewise
	next   *proof // whose ping in front the one behind is; nil for none
	phone  *phone
	sent   time.Time
	copies []place
	rows   []string // msg_ids of its copies that are queue rows of the user, perhaps
}

// held is a copy that a phone has answered for, and drop a row.
type held struct {
	copy place
	at   time.Duration // when it was answered, since [proofs].began: clocks that are set do not move it
}

type drop struct {
	msgID string
	at    time.Duration
}

const (
	// sharedPing is for how long the ping behind what a phone was sent is also the one in front of what it is sent next. A phone that answered it
	// was there at most that long ago, and in a busy group pings are a third of what the server routes.
	sharedPing = 100 * time.Millisecond
	// MaxOpen is how many pings a phone has under way at most: more copies are not asked about, and become rows if nothing else confirms
	// them. A phone with an answer time of a second gets that many batches.
	MaxOpen = 128
	// MaxUnknown is the same for one that has not answered yet: most that never will are found out with it.
	MaxUnknown = 8
	// maxLateProofs is how many are remembered whose time is over: a phone that resumes its session (XEP-0198) answers all of them. Of one that
	// has never answered there are as few as may be under way: ten thousand old clients would take a gigabyte.
	maxLateProofs = 256
	// DeafBounces is after how many bounces in a row without a result a phone counts as one that does not answer: it is there each time, so
	// they are its client's.
	DeafBounces     = 5
	maxKnownBounces = 10_000
	// idlePhone is after what time a phone is forgotten to which nothing was sent, in case nobody told that it went.
	idlePhone = time.Hour
)

// Hooks is what proofs need of others. None may block, or call the table.
type Hooks struct {
	Off    bool                              // nothing is kept, and nobody asked
	ByUser bool                              // copies come from users' own addresses
	How    func(local string) store.Confirms // what is remembered of the user's phones
	Mark   func(local string)                // a phone of the user has answered a ping
	Drop   func(local, msgID string)         // a queue row of the user is not needed any more
	Note   func(outcome string)              // of a ping, for the metrics

	Proved func(local, msgID string) // a phone of the user has the message
}

func newProofs(hooks Hooks) proofs {
	var b [6]byte
	_, _ = rand.Read(b[:])                                            // never fails
	bounced, _ := simplelru.NewLRU[string, int](maxKnownBounces, nil) // fails for a size below 1 only
	return proofs{hooks: hooks, phones: map[string]*phone{}, asked: map[string]*proof{}, bounced: bounced,
		began: time.Now(), prefix: hex.EncodeToString(b[:]) + "-p", seed: maphash.MakeSeed()}
}

// clear forgets all that is asked.
func (p *proofs) clear() {
	clear(p.phones)
	clear(p.asked)
	p.shape = ""
	p.repeats, p.curt = false, false // the next connection may be another server's
}

// newID makes the id of a ping. Who knows their own cannot guess those of others.
func (p *proofs) newID() string {
	p.serial++
	return p.prefix + strconv.FormatUint(p.serial, 36) + "-" + strconv.FormatUint(maphash.Comparable(p.seed, p.serial), 36)
}

// maxPings is how many pings may be under way to a phone.
func (p *phone) maxPings() int {
	switch p.answers {
	case answersPings:
		return MaxOpen
	case answersUnknown:
		return MaxUnknown
	}
	return 1
}

// Way is what must be known of a delivery before it is sent.
type Way struct {
	Message *Message // whose copies are unconfirmed; nil: none are kept
	Rows    bool     // it may stand in queues: it is sent again, or late
	Loose   bool     // see [Message]
	Request bool     // phones that answer no pings are asked to confirm by XEP-0184
}

// phone finds the phone behind an address, or makes it where a copy to it may be unconfirmed; nil for others.
func (t *Table) phone(jid string, w *Way) *phone {
	if p := t.phones[jid]; p != nil {
		return p
	}
	if w.Message == nil && !w.Rows {
		return nil
	}
	bare, resource, full := strings.Cut(jid, "/")
	if !full || !presence.IsMobile(resource) {
		return nil
	}
	local, _, _ := strings.Cut(bare, "@")
	u := t.users[local]
	switch {
	case u != nil:
	case w.Rows:
		u = t.user(local)
	default: // a device of the sender's, for whom nothing is kept
		return nil
	}
	p := &phone{full: jid, user: u, request: t.hooks.How(local) != store.ConfirmsByPings}
	if n, _ := t.bounced.Peek(jid); n >= DeafBounces {
		p.answers, p.request = answersNothing, true
	}
	u.phones = append(u.phones, p)
	t.phones[jid] = p
	return p
}

// Ask prepares copies to be sent: those for phones of which something is unconfirmed become a run for each, with pings around it where they may be
// asked; list keeps the rest. It must be called before they are sent: an answer could come before its question is known.
func (t *Table) Ask(list []stanza.Delivery, way func(i int) *Way, now time.Time) (runs []stanza.Run) {
	if t.hooks.Off {
		for i := range list {
			if way(i).Request {
				list[i].To = slices.Clone(list[i].To)
				for k := range list[i].To {
					list[i].To[k].Request = true
				}
			}
		}
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.round++
	targets := 0
	for i := range list {
		targets += len(list[i].To)
	}
	at := make([]*phone, 0, targets)
	var order []*phone
	total := 0
	for i := range list {
		for k := range list[i].To {
			p := t.phone(list[i].To[k].JID, way(i))
			at = append(at, p)
			if p == nil {
				continue
			}
			if p.round != t.round {
				p.round, p.run, p.copies = t.round, len(order), 0
				p.used = now
				order = append(order, p)
			}
			p.copies++
			total++
		}
	}
	copies := make([]stanza.RunCopy, total)
	runs = make([]stanza.Run, len(order))
	proofs := make([]*proof, len(order))
	for i, p := range order {
		runs[i].JID, runs[i].Of, copies = p.full, copies[:0:p.copies], copies[p.copies:]
		if len(p.open) < p.maxPings() {
			proofs[i] = &proof{phone: p, sent: now}
		}
	}
	for i := range list {
		d, w := &list[i], way(i)
		phones := at[:len(d.To)]
		at = at[len(d.To):]
		var rest []stanza.Target // its own: others may hold the list
		for k, p := range phones {
			target := d.To[k]
			if p == nil {
				target.Request = w.Request && !strings.Contains(target.JID, "/") // nobody knows whose the phones are that the server finds there
				rest = append(rest, target)
				continue
			}
			c := p.user.copyOf(d.ID, w)
			target.Request = w.Request && p.request && (c < 0 || !p.user.copies[c].own)
			runs[p.run].Of = append(runs[p.run].Of, stanza.RunCopy{Delivery: i, Target: target})
			if proof := proofs[p.run]; proof != nil {
				proof.cover(c, d.ID, w)
			}
		}
		d.To = rest
	}
	for i, proof := range proofs {
		if proof == nil || len(proof.copies)+len(proof.rows) == 0 {
			continue
		}
		t.ask(proof, &runs[i])
	}
	return runs
}

// ask puts pings around a run.
func (t *Table) ask(proof *proof, run *stanza.Run) {
	p := proof.phone
	if before := p.last; before != nil && proof.sent.Sub(before.sent) < min(sharedPing, t.grace/2) {
		if proof.front = before.behind; proof.front != "" {
			before.next = proof
		}
	} else {
		proof.front = t.newID()
		run.Front = proof.front
		t.asked[proof.front] = proof
	}
	proof.behind = t.newID()
	run.Ping = proof.behind
	t.asked[proof.behind] = proof
	p.last = proof
	p.open = append(p.open, proof)
}

// NotAsked takes questions back that did not leave, because the link is lost. Its loss may have been told before they were made, so that nothing else ends
// them; and what is sent on the next link must not share their pings.
func (t *Table) NotAsked(runs []stanza.Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range runs {
		proof := t.asked[runs[i].Ping]
		if proof == nil {
			continue
		}
		p := proof.phone
		t.giveUp(proof)
		if k := slices.Index(p.open, proof); k >= 0 {
			p.open = slices.Delete(p.open, k, k+1)
		}
		p.last = nil
	}
}

// copyOf finds the user's copy of what is delivered, as an index; -1 where nothing is unconfirmed of it.
func (o *ownerState) copyOf(id string, w *Way) int {
	if w.Message == nil && !w.Rows { // a phone may have thousands of others
		return -1
	}
	for i := len(o.copies) - 1; i >= 0; i-- { // it is one of the last, mostly
		c := &o.copies[i]
		if c.message != nil && (c.message == w.Message || w.Rows && c.message.Row.MsgID == id && c.message.Loose == w.Loose) {
			return i
		}
	}
	return -1
}

// cover notes a copy in between: the i-th of its user, or, below 0, what may stand in their queue.
func (p *proof) cover(i int, id string, w *Way) {
	u := p.phone.user
	switch {
	case i >= 0:
		u.copies[i].asked++
		p.copies = append(p.copies, u.place(i))
	case w.Rows && !w.Loose:
		p.rows = append(p.rows, id)
	}
}

// rowMade notes that a copy about which phones were asked has become a row: an answer, and one that is held, removes it.
func (o *ownerState) rowMade(at place, m *Message) {
	for _, p := range o.phones {
		if i := slices.IndexFunc(p.held, func(h held) bool { return h.copy == at }); i >= 0 {
			if !m.Loose {
				p.drops = append(p.drops, drop{m.Row.MsgID, p.held[i].at})
			}
			p.held = slices.Delete(p.held, i, i+1)
		}
		for _, list := range [...][]*proof{p.open, p.late} {
			for _, proof := range list {
				if i := slices.Index(proof.copies, at); i >= 0 {
					proof.copies = slices.Delete(proof.copies, i, i+1)
					if !m.Loose {
						proof.rows = append(proof.rows, m.Row.MsgID)
					}
					break
				}
			}
		}
	}
}

// ripen settles what was answered a grace ago. With copies from users' own addresses it waits for a snapshot, too, that was asked for after
// the answer: it has no session that is not available.
func (t *Table) ripen(u *ownerState, now, asof time.Time, snapshots bool) {
	until := now.Sub(t.began) - t.grace
	if t.hooks.ByUser && snapshots {
		until = min(until, asof.Sub(t.began)-1)
	}
	for _, p := range u.phones {
		n := 0
		for ; n < len(p.held) && p.held[n].at <= until; n++ {
			if c := u.at(p.held[n].copy); c != nil {
				t.hooks.Proved(u.local, c.message.Row.MsgID)
				t.close(c)
			}
		}
		p.held = p.held[n:]
		n = 0
		for ; n < len(p.drops) && p.drops[n].at <= until; n++ {
			t.hooks.Drop(u.local, p.drops[n].msgID)
			t.hooks.Proved(u.local, p.drops[n].msgID)
		}
		p.drops = p.drops[n:]
		if len(p.held) == 0 && len(p.drops) == 0 {
			p.held, p.drops = nil, nil
		}
	}
}

// expire ends the time of pings that were not answered, and forgets phones to which nothing is sent.
func (t *Table) expire(u *ownerState, now time.Time) {
	idle := false
	for _, p := range u.phones {
		for len(p.open) > 0 && now.Sub(p.open[0].sent) >= t.grace {
			proof := p.open[0]
			p.open = slices.Delete(p.open, 0, 1)
			t.hooks.Note(PingUnanswered)
			if p.answers == answersUnknown {
				p.answers, p.request = answersNothing, true
			}
			proof.copies = slices.DeleteFunc(proof.copies, func(c place) bool { return u.at(c) == nil })
			if p.late = append(p.late, proof); len(p.late) > maxLateProofs || p.answers != answersPings && len(p.late) > MaxUnknown {
				t.giveUp(p.late[0])
				p.late = slices.Delete(p.late, 0, 1)
			}
		}
		idle = idle || p.idle(now)
	}
	if idle {
		t.dropPhones(u, func(p *phone) bool { return p.idle(now) })
	}
}

func (p *phone) idle(now time.Time) bool {
	return len(p.open)+len(p.held)+len(p.drops) == 0 && now.Sub(p.used) > idlePhone
}

// giveUp forgets a proof: nobody waits for its answers any more, but for the next one, whose ping in front it may have. Of a phone's proofs the
// older ones are given up first.
func (t *Table) giveUp(proof *proof) {
	if t.asked[proof.front] == proof {
		delete(t.asked, proof.front)
	}
	if proof.next != nil {
		t.asked[proof.behind] = proof.next
	} else {
		delete(t.asked, proof.behind)
	}
	for _, at := range proof.copies {
		if c := proof.phone.user.at(at); c != nil {
			c.asked--
		}
	}
}

// dropPhones forgets phones that are gone, what they were asked, and what they have answered a moment ago: it may have been a successor that
// did, for copies that were lost.
func (t *Table) dropPhones(u *ownerState, gone func(*phone) bool) {
	u.phones = slices.DeleteFunc(u.phones, func(p *phone) bool {
		if !gone(p) {
			return false
		}
		for _, list := range [...][]*proof{p.late, p.open} {
			for _, proof := range list {
				t.giveUp(proof)
			}
		}
		for _, h := range p.held {
			if c := u.at(h.copy); c != nil {
				c.asked--
				c.held--
			}
		}
		delete(t.phones, p.full)
		return true
	})
}

// AskNobody makes a ping to an address that nobody has, whose answer shows how this server answers for a session that is gone.
func (t *Table) AskNobody(domain string) stanza.Run {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shape = t.newID()
	t.nobody = "nobody@" + domain + "/" + t.shape
	return stanza.Run{JID: t.nobody, Ping: t.shape}
}
