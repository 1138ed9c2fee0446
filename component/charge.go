package component

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tlim/component/protocol"
)

// A sender's rate (limits.per_user_rate) counts what a message costs, not how many there are. Every message counts 1 where it
// comes in; what it costs beyond that is known later, and is debited then:
//
//	1 for each 10 messages that it names
//	1 for each 8 KiB of the stanza
//	1 for each 50 receivers, times 1 + the KiB of the stanza: what the server routes costs it by the byte (measured:
//	9 kB to 1,000 hold it up for 1 to 2 s)
//
// A receiver who is not there, and is sent nothing, counts a fiftieth of one who is: what their queue row costs is borne by those who are idle.
//
// So an ordinary group message to 200 counts 5, and 9 kB to 1,000 count 200, which is all that a sender has at once. A debit may take the sender into debt. What was decided is never refused for it: while
// a sender is in debt the next messages are, also those that wait already. What a phone confirms counts nothing, see confirming.
const (
	idsPerCount       = 10
	receiversPerCount = 50
	bytesPerCount     = 8 << 10
	bytesPerDelivery  = 1 << 10
)

// maxNamed is how many messages a read receipt, a revoke or a confirmation may name. Each costs a look and up to a row.
const maxNamed = 200

const tooFast = "more than one user may send in a second (large messages, large groups and many ids count for more than one), send it again later"

// senderState bounds one user.
type senderState struct {
	limiter  *rate.Limiter
	inflight atomic.Int32

	untrue      *rate.Limiter // of confirmations that settle nothing
	reading     *rate.Limiter // bytes of what may be confirmations
	passed      atomic.Int32  // confirmations that wait to be passed on
	passedBytes atomic.Int64

	debt atomic.Int64 // until when the sender is in debt, in nanoseconds since the epoch
}

func newSenderState(cfg *Config) *senderState {
	limit := rate.Inf
	if cfg.UserRate > 0 {
		limit = rate.Limit(cfg.UserRate)
	}
	return &senderState{limiter: rate.NewLimiter(limit, cfg.UserBurst), untrue: confirmingRate(cfg), reading: readingRate(cfg)}
}

// allow counts one message; false when that is more than the sender may send.
func (s *senderState) allow(now time.Time) bool { return s.limiter.AllowN(now, 1) }

// spent says that allow would be false.
func (s *senderState) spent(now time.Time) bool { return s.limiter.TokensAt(now) < 1 }

// debit counts n more. now must not lie before that of another call: the limiter would count the time between twice.
func (s *senderState) debit(now time.Time, n int) {
	if n <= 0 || s.limiter.Limit() == rate.Inf {
		return
	}
	var wait time.Duration
	for ; n > 0; n -= s.limiter.Burst() { // it takes no more at once
		wait = s.limiter.ReserveN(now, min(n, s.limiter.Burst())).DelayFrom(now)
	}
	if wait > 0 {
		s.debt.Store(now.Add(wait).UnixNano())
	}
}

// debtWith is until when the sender is in debt, in nanoseconds since the epoch, if n more are counted now.
func (s *senderState) debtWith(now time.Time, n int) int64 {
	missing := float64(n) - s.limiter.TokensAt(now)
	if n == 0 || missing <= 0 {
		return s.debt.Load()
	}
	return now.Add(time.Duration(missing / float64(s.limiter.Limit()) * float64(time.Second))).UnixNano()
}

// indebted says whether the sender still pays for what was decided before.
func (s *senderState) indebted(now func() time.Time) bool {
	until := s.debt.Load()
	return until != 0 && now().UnixNano() < until
}

// read decodes a stanza, and counts what its sender has us read and look up.
func (s *Service) read(a *arrival) error {
	if a.sender.indebted(s.now) {
		return protocol.Refuse(protocol.TryLater, tooFast)
	}
	err := s.decode(a)
	if n := int(a.size/bytesPerCount) + len(a.targets)/idsPerCount; n > 0 {
		a.sender.debit(s.now(), n)
		a.ownDebt = a.sender.debt.Load()
	}
	if err == nil && a.content.confirms { // one that hid its type
		s.confirm(a, a.sender, a.targets)
	}
	return err
}

// afford refuses a message whose sender went into debt by those that were decided before it, also in this batch. What it was debited
// itself does not refuse it.
func (d *decision) afford() error {
	a := d.arrival
	if a.sender == nil {
		return nil
	}
	now := d.b.s.now()
	if until := a.sender.debtWith(now, d.b.debits[a.sender]); until <= a.ownDebt || until <= now.UnixNano() {
		return nil
	}
	return protocol.Refuse(protocol.TryLater, tooFast)
}

// charge counts the receivers of a message that was accepted.
func (d *decision) charge() {
	n := deliveriesFor(d.reached, len(d.to)+len(d.toOnly)-d.reached)
	if d.kind.late {
		n += len(d.b.formers[d.groupID]) + d.env.CountNamed() // they were read, and are compared
	}
	d.count(n)
}

// absentPerDelivery is how many receivers who are sent nothing count as one copy.
const absentPerDelivery = 50

// deliveriesFor is what receivers cost, in copies.
func deliveriesFor(there, absent int) int { return there + absent/absentPerDelivery }

// chargeRefused counts the members of a group in which the sender was refused: they were read to find that out.
func (d *decision) chargeRefused() {
	if d.group != nil {
		d.count(len(d.group.Members))
	}
}

// count notes what people cost. The sender is debited once it is known what becomes of the batch: until then it may be decided again.
func (d *decision) count(people int) {
	a := d.arrival
	if a.sender == nil || a.sender.limiter.Limit() == rate.Inf || people < receiversPerCount {
		return
	}
	if d.b.debits == nil {
		d.b.debits = map[*senderState]int{}
	}
	d.b.debits[a.sender] += (1 + int(a.size/bytesPerDelivery)) * people / receiversPerCount
}

// debit debits the senders. A batch that failed for no fault of theirs is not debited: they repeat it.
func (b *batch) debit() {
	for sender, n := range b.debits {
		sender.debit(b.s.now(), n)
	}
}
