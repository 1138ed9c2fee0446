package unconfirmed

import (
	"hash/maphash"
	"sync"
	"time"
)

// Proofs are the ways in which phones got messages of late, by hashes: clients that answer pings and send XEP-0184 confirmations, or two kinds of those, confirm a
// message twice, and the second time there is nothing to look for. What is remembered is also what administrators are told of one message.
type Proofs struct {
	now   func() time.Time
	mu    sync.Mutex
	seed  maphash.Seed
	known map[uint64]knownProof
	order []uint64 // a ring
	next  int
}

// knownProof is how and when a phone got a message.
type knownProof struct {
	at  int64 // epoch milliseconds
	how Proof
	new bool // a confirmation that is the first: another one finds it here, see [Proofs.Once]
}

// Proof is how it is known that a phone has a message.
type Proof int8

// The proofs.
const (
	ProofNone    Proof = iota // nothing is remembered
	ProofPings                // its library answered the pings around it
	ProofReceipt              // its app confirmed it
	ProofFetched              // it was in an answer of getOffline
	ProofMissed               // of the contrary: nothing proved anything of a copy that had been sent, so it became a row
)

// maxProved is how many of them are remembered, in 3 MB: those of some seconds where there are most.
const maxProved = 1 << 16

// NewProofs makes Proofs that remember nothing yet.
func NewProofs(now func() time.Time) *Proofs {
	return &Proofs{now: now, seed: maphash.MakeSeed(), known: map[uint64]knownProof{}, order: make([]uint64, 0, maxProved)}
}

func (p *Proofs) hash(local, msgID string) uint64 {
	return maphash.Comparable(p.seed, RowKey{Owner: local, MsgID: msgID})
}

// Answered remembers that a phone of the user has answered the pings around a message.
func (p *Proofs) Answered(local, msgID string) { p.Note(local, msgID, ProofPings, true) }

// Received remembers that an app of the user has confirmed a message.
func (p *Proofs) Received(local, msgID string) { p.Note(local, msgID, ProofReceipt, true) }

// Note remembers a proof; first says that a confirmation is the first of its message.
func (p *Proofs) Note(local, msgID string, how Proof, first bool) {
	h, one := p.hash(local, msgID), knownProof{p.now().UnixMilli(), how, first}
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

// Once says whether a message was confirmed of late, and says so no more.
func (p *Proofs) Once(local, msgID string) bool {
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

// Of says how a user's phone got a message, as far as it is remembered.
func (p *Proofs) Of(local, msgID string) (how Proof, at time.Time) {
	h := p.hash(local, msgID)
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.known[h]
	return one.how, time.UnixMilli(one.at)
}
