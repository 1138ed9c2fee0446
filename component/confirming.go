package component

import (
	"bytes"

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
	missed := s.unconfirmed.ConfirmAll(local, ids, s.proved.Received)
	some := len(missed) < len(ids)
	for _, id := range missed {
		switch {
		case s.proved.Once(local, id):
			some = true
		case s.credits(sender):
			some = true
			s.confirmations.drop(local, id)
			s.proved.Note(local, id, unconfirmed.ProofReceipt, false)
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
