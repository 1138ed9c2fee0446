package component

import (
	"bytes"
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tlim/component/presence"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// What a phone confirms (an XEP-0184 <received/>, an MTC-000) settles where it comes in, on the reader's goroutine: it takes no place
// among messages, counts as none, and is never refused. What is left is to pass an MTC-000 on to whom it names, or a chat state that
// came with the receipt: a message without a charge, with bounds and a turn of its own.

const (
	// maxReadConfirmation bounds what is read on the reader's goroutine, in bytes: 200 ids of 64 characters are 20 KiB. What is larger goes the
	// way of messages.
	maxReadConfirmation = 64 << 10
	// readingBytes is how many bytes of them a user has read there in a second, and readingBurst at once: the worst JSON takes 0.13 s for a
	// MiB, and nobody's stanza is taken meanwhile. What is beyond goes the way of messages as well.
	readingBytes = 512 << 10
	readingBurst = 2 << 20
	// untrueBurst is how many confirmations that settle nothing a user has at once: a phone that has fetched its queue and then confirms all
	// of it. Beyond them they may make untrueRate times the rate of their messages: each is a look into the database.
	untrueBurst = 2000
	untrueRate  = 4
	// maxPassedPerUser and the others bound what waits to be passed on: it is as much as a phone can have got at once.
	maxPassedPerUser      = 2000
	maxPassed             = 20_000
	maxPassedBytesPerUser = 2 << 20
	maxPassedBytes        = 32 << 20
)

// confirmingRate bounds the confirmations of one user that settle nothing.
func confirmingRate(cfg *Config) *rate.Limiter {
	limit := rate.Inf
	if cfg.UserRate > 0 {
		limit = rate.Limit(untrueRate * cfg.UserRate)
	}
	return rate.NewLimiter(limit, untrueBurst)
}

// readingRate bounds what is read of one user's confirmations where they come in.
func readingRate(cfg *Config) *rate.Limiter {
	limit := rate.Inf
	if cfg.UserRate > 0 {
		limit = readingBytes
	}
	return rate.NewLimiter(limit, readingBurst)
}

var (
	receivedMark = []byte("received")
	receiptsMark = []byte(nsReceipts)
	confirmMark  = []byte(confirmation)
)

// confirming takes a stanza that confirms messages. It is false for any other.
func (s *Service) confirming(a *arrival) bool {
	inner := a.st.Inner
	if len(inner) > maxReadConfirmation || !bytes.Contains(inner, confirmMark) && !(bytes.Contains(inner, receivedMark) && bytes.Contains(inner, receiptsMark)) {
		return false
	}
	sender := s.intake.sender(a.from.Local)
	if !sender.reading.AllowN(s.now(), len(inner)) {
		return false
	}
	a.decoded, a.unfit = true, s.decode(a)
	m := &a.content
	switch {
	case m.ignore, !m.confirms:
		return false
	case a.unfit != nil:
		a.refuse(s, a.unfit)
		return true
	}
	settled := s.confirm(a, sender)
	if m.env == nil && (m.signal == nil || m.toUser == "") || !settled {
		return true
	}
	if s.draining.Load() || !s.intake.pass(a, sender) {
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredPassing).Inc()
	}
	return true
}

// confirm settles what a stanza confirms. What is not unconfirmed any more may have become a row, which goes. It is false when the sender has confirmed
// too much that nobody asked about: then nothing more is done for it.
func (s *Service) confirm(a *arrival, sender *senderState) bool {
	ids := a.targets
	if a.env == nil {
		ids = a.confirmed
	}
	if !presence.IsMobile(a.from.Resource) || s.cfg.Confirm == ConfirmByPresence || len(ids) == 0 {
		return s.credits(sender)
	}
	local := a.from.Local
	s.confirmations.mark(local, store.ConfirmsByReceipts)
	missed := s.unconfirmed.ConfirmAll(local, ids, s.proved.received)
	some := len(missed) < len(ids)
	for _, id := range missed {
		switch {
		case s.proved.once(local, id):
			some = true
		case s.credits(sender):
			some = true
			s.confirmations.drop(local, id)
			s.proved.note(local, id, ProofReceipt, false)
		}
	}
	return some
}

// credits counts a confirmation that settles nothing; false when there were too many.
func (s *Service) credits(sender *senderState) bool {
	if sender.untrue.AllowN(s.now(), 1) {
		return true
	}
	s.metrics.ignoredConfirmations.WithLabelValues(ignoredUntrue).Inc()
	return false
}

// pass takes a confirmation that is to be passed on; false when too many wait.
func (i *intake) pass(a *arrival, sender *senderState) bool {
	// Counted first: readers are several.
	a.passing = sender
	sender.passed.Add(1)
	sender.passedBytes.Add(a.size)
	i.passedBytes.Add(a.size)
	if sender.passed.Load() <= maxPassedPerUser && sender.passedBytes.Load() <= maxPassedBytesPerUser && i.passedBytes.Load() <= maxPassedBytes {
		select {
		case i.passed <- a:
			return true
		default:
		}
	}
	a.release(i)
	return false
}

// passingKey is the turn that what a user's phones confirm has among conversations.
func passingKey(local string) string { return "\x00confirms " + local }

// proved are the ways in which phones got messages of late, by hashes: clients that answer pings and send receipts, or two kinds of those, confirm a
// message twice, and the second time there is nothing to look for. What is remembered is also what administrators are told of one message.
type proved struct {
	now   func() time.Time
	mu    sync.Mutex
	seed  maphash.Seed
	known map[uint64]proof
	order []uint64 // a ring
	next  int
}

// proof is how and when a phone got a message.
type proof struct {
	at  int64 // epoch milliseconds
	how Proof
	new bool // a confirmation that is the first: another one finds it here, see [proved.once]
}

// Proof is how it is known that a phone has a message.
type Proof int8

// The proofs.
const (
	ProofNone    Proof = iota // nothing is remembered
	ProofPings                // its library answered the pings around it
	ProofReceipt              // its app confirmed it
	ProofFetched              // it was in an answer of getOffline
)

// maxProved is how many of them are remembered, in 3 MB: those of some seconds where there are most.
const maxProved = 1 << 16

func newProved(now func() time.Time) *proved {
	return &proved{now: now, seed: maphash.MakeSeed(), known: map[uint64]proof{}, order: make([]uint64, 0, maxProved)}
}

func (p *proved) hash(local, msgID string) uint64 {
	return maphash.Comparable(p.seed, unconfirmed.RowKey{Owner: local, MsgID: msgID})
}

// answered remembers that a phone of the user has answered the pings around a message.
func (p *proved) answered(local, msgID string) { p.note(local, msgID, ProofPings, true) }

// received remembers that an app of the user has confirmed a message.
func (p *proved) received(local, msgID string) { p.note(local, msgID, ProofReceipt, true) }

func (p *proved) note(local, msgID string, how Proof, first bool) {
	h, one := p.hash(local, msgID), proof{p.now().UnixMilli(), how, first}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, again := p.known[h]; again { // it keeps its place in the ring
		one.new = first || known.new
		p.known[h] = one
		return
	}
	p.known[h] = one
	if len(p.order) < maxProved {
		p.order = append(p.order, h)
		return
	}
	delete(p.known, p.order[p.next])
	p.order[p.next] = h
	p.next = (p.next + 1) % maxProved
}

// once says whether a message was confirmed of late, and says so no more.
func (p *proved) once(local, msgID string) bool {
	h := p.hash(local, msgID)
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.known[h]
	if !one.new {
		return false
	}
	one.new = false
	p.known[h] = one
	return true
}

// of says how a user's phone got a message, as far as it is remembered.
func (p *proved) of(local, msgID string) (how Proof, at time.Time) {
	h := p.hash(local, msgID)
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.known[h]
	return one.how, time.UnixMilli(one.at)
}
