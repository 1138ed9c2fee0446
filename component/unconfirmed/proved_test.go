package unconfirmed

import (
	"fmt"
	"testing"
	"time"
)

// TestProvedOnce: a second kind of confirmation of one message is no work, a third is a question.
func TestProvedOnce(t *testing.T) {
	p := NewProofs(time.Now)
	p.Received("lisi", "m1")
	if p.Once("wangwu", "m1") || !p.Once("lisi", "m1") || p.Once("lisi", "m1") {
		t.Error("a proof: got it taken never or twice, want once")
	}
	p.Note("lisi", "fetched", ProofFetched, false)
	if p.Once("lisi", "fetched") {
		t.Error("what was fetched: got it taken for a confirmation, want it not")
	}
	for i := range maxProved {
		p.Answered("lisi", fmt.Sprint(i))
	}
	p.Answered("lisi", "last")
	if p.Once("lisi", "0") || !p.Once("lisi", "1") || !p.Once("lisi", "last") || len(p.order) != maxProved || len(p.known) != maxProved {
		t.Errorf("got %d proofs kept, or not the youngest; want the oldest of %d forgotten", len(p.order), maxProved)
	}
}

// TestProvedHow: administrators are told how and when a phone got a message, also after another confirmation of it has come.
func TestProvedHow(t *testing.T) {
	now := time.UnixMilli(1_600_000_000_000)
	p := NewProofs(func() time.Time { return now })
	p.Answered("lisi", "m1")
	now = now.Add(time.Second)
	p.Note("wangwu", "m1", ProofFetched, false)
	p.Once("lisi", "m1")
	if how, at := p.Of("lisi", "m1"); how != ProofPings || at.UnixMilli() != 1_600_000_000_000 {
		t.Errorf("lisi: got %v at %v, want pings, 1600000000000", how, at.UnixMilli())
	}
	if how, at := p.Of("wangwu", "m1"); how != ProofFetched || at.UnixMilli() != 1_600_000_001_000 {
		t.Errorf("wangwu: got %v at %v, want fetched, 1600000001000", how, at.UnixMilli())
	}
	if how, _ := p.Of("wangwu", "m2"); how != ProofNone {
		t.Errorf("another message: got %v, want nothing", how)
	}
}
