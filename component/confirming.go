package component

import (
	"bytes"
	"regexp"

	"golang.org/x/time/rate"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// What a phone confirms (an XEP-0184 <received/>, an MTC-000) settles where it comes in, on the reader's goroutine: it takes no place
// among messages, counts as none, and gets no error. What is left is to pass an MTC-000 on to whom it names, or a chat state that
// came with the confirmation: a message without a charge, with bounds and a turn of its own. A body beside a <received/> is a message like others.

const (
	// maxReadConfirmation bounds what is read on the reader's goroutine, in bytes: 200 ids of 64 characters are 20 KiB. What is larger is ignored.
	maxReadConfirmation = 64 << 10
	// readingBytes is how many bytes of them a user has read there in a second, and readingBurst at once: the worst JSON takes 0.13 s for a
	// MiB, and nobody's stanza is taken meanwhile. What is beyond is ignored as well.
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

	// confirmType finds the type of an envelope in XML without reading it. In a text of an envelope the quotes have a backslash in front.
	confirmType = regexp.MustCompile(`msg_type` + anyQuote + `?\s*:\s*` + anyQuote + confirmation + anyQuote)
)

const anyQuote = `(?:"|'|&quot;|&apos;|&#34;|&#39;|&#x22;|&#x27;)`

// seemsToConfirm says of a stanza that was not read whether it confirms messages, and is none itself.
func seemsToConfirm(st *stanza.Stanza) bool {
	text := st.Inner
	if st.Oversize {
		text = st.Ends
	}
	if bytes.Contains(text, confirmMark) && confirmType.Match(text) {
		return true
	}
	r := xep0184In(st)
	return r.found && r.alone
}

// xep0184 is a <received/> in a stanza.
type xep0184 struct {
	found bool
	alone bool     // without a body: it is no message as well
	ids   []string // of the message that it is of; none when it is none of ours
}

// xep0184In looks for one. A stanza with the subject ASYNC has none: nothing of it is processed.
func xep0184In(st *stanza.Stanza) xep0184 {
	r := xep0184{alone: true}
	if !bytes.Contains(st.Inner, receivedMark) || !bytes.Contains(st.Inner, receiptsMark) {
		return xep0184{}
	}
	for c := range st.Children() {
		switch {
		case c.Name == "received" && c.Space == nsReceipts:
			r.found, r.ids = true, nil
			if id := c.Attr("id"); id != "" && len(id) <= 4*protocol.MaxID {
				r.ids = []string{id}
			}
		case c.Name == "body" && isClientSpace(c.Space):
			r.alone = false
		case c.Name == "subject" && isClientSpace(c.Space) && c.Text() == "ASYNC":
			return xep0184{}
		}
	}
	return r
}

// confirming takes what a stanza confirms. It is true when that was all of it: it is no message as well.
func (s *Service) confirming(a *arrival) bool {
	if r := xep0184In(&a.st); r.found {
		sender := s.intake.sender(a.from.Local)
		settled := s.confirm(a, sender, r.ids)
		if r.alone {
			_ = s.decode(a) // nothing can be wrong with it without a body
			if settled && a.signal != nil && a.toUser != "" {
				s.passOn(a, sender)
			}
			return true
		}
	}
	if !bytes.Contains(a.st.Inner, confirmMark) {
		return false
	}
	sender := s.intake.sender(a.from.Local)
	switch large := len(a.st.Inner) > maxReadConfirmation; {
	case !large && sender.reading.AllowN(s.now(), len(a.st.Inner)):
	case !seemsToConfirm(&a.st): // a message that speaks of one
		return false
	case large:
		a.refuse(s, protocol.Refuse(protocol.TooLarge, "the stanza is too large"))
		return true
	default:
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredUnread).Inc()
		a.judged(s, protocol.Refuse(protocol.TryLater, tooFast))
		return true
	}
	err := s.decode(a)
	switch {
	case a.ignore, !a.confirms:
		return false
	case err != nil:
		a.refuse(s, err)
	case s.confirm(a, sender, a.targets):
		s.passOn(a, sender)
	}
	return true
}

// passOn has what came with a confirmation go its way.
func (s *Service) passOn(a *arrival, sender *senderState) {
	if s.draining.Load() || !s.intake.pass(a, sender) {
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredPassing).Inc()
	}
}

// confirm settles the messages that a stanza confirms. What is not unconfirmed any more may have become a row, which goes. It is false when the sender
// has confirmed too much that nobody asked about: then nothing more is done for it.
func (s *Service) confirm(a *arrival, sender *senderState, ids []string) bool {
	if !presence.IsMobile(a.from.Resource) || s.cfg.Confirm == ConfirmByPresence || len(ids) == 0 {
		return s.credits(sender)
	}
	local := a.from.Local
	if s.confirmations.mark(local, store.ConfirmsByReceipts) {
		s.unconfirmed.Raised(local)
	}
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
