package component

import (
	"context"
	"errors"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// queued is what comes to the conveyor by the channels of the intake.
type queued interface {
	// read makes a request of it. An error is what its sender is to be told.
	read(c *conveyor) (request, error)
	// refuse tells whoever waits for an answer that nothing was done.
	refuse(s *Service, err error)
	// release gives its place in the intake back. It may be repeated.
	release(in *intake)
}

// request is one unit of the conveyor's order: a [message], a [signal] or a [task].
type request interface {
	queued
	// classify says where it belongs and what it costs, as far as can be told without the database.
	classify(c *conveyor) place
	// place is where it waits, once it was classified.
	place() *place
	// bounded says whether it may be refused because too much of its conversation waits.
	bounded() bool
	// want names what the batch has to read for its decision.
	want(w *wanted)
	// decide adds what it changes to the batch. An error is what its sender is to be told after the commit, or errLookup.
	decide(ctx context.Context, b *batch) error
	// committed is called once, with the commit that it is a part of.
	committed(s *Service, at time.Time)
	// mistaken is what its sender is to be told when the database takes an id of it for another one.
	mistaken() error
	// lost is called instead when nobody can tell whether it is committed.
	lost(err error)
}

// place is what the queue has to know of a request.
type place struct {
	key    string // of its conversation
	cost   int    // of the decision and the copies, in copies
	bytes  int64
	absent int  // members of its group who are sent nothing, about
	first  bool // it begins a batch: it deletes rows
	alone  bool // it is a batch of its own
	free   bool // it makes no copies: nothing that waits for the server holds it up
}

// arrival is a stanza of a client, from the reader of the link on.
type arrival struct {
	st      stanza.Stanza
	from    stanza.JID
	size    int64
	copied  bool         // a packet copy of a message to D: no answers, and the server delivered it itself
	sender  *senderState // while it has a place in the intake
	ownDebt int64        // until when its sender was in debt once it was debited itself, see senderState
	passing *senderState // whose confirmation it is that is passed on; nil for messages
	speech  *speech      // a robot says it by HTTP; nil: a client has sent it

	decoded bool // content is filled, or unfit says why not
	unfit   error
	content
	waits place
}

// message is a stanza with an envelope.
type message struct{ *arrival }

// signal is a stanza without one: what it has to pass on is a chat state or a marker, or nothing.
type signal struct{ *arrival }

// request says which of the two it is.
func (a *arrival) request() request {
	if a.env != nil {
		return message{a}
	}
	return signal{a}
}

func (a *arrival) read(c *conveyor) (request, error) {
	if a.passing == nil { // else that was done where it came in
		if err := c.s.read(a); err != nil {
			return nil, err
		}
	}
	return a.request(), nil
}

func (a *arrival) place() *place { return &a.waits }

// bounded: packet copies come in bursts of 5 s, and the copy link bounds them.
func (a *arrival) bounded() bool { return a.passing == nil && !a.copied }

// lost: who repeats finds out.
func (a *arrival) lost(err error) {
	if a.speech != nil {
		a.speech.tell(err)
	}
}

func (a *arrival) mistaken() error {
	return protocol.Refuse(protocol.IDConflict, "the database takes msg_id for that of another message")
}

// refuse answers a sender with an error stanza, but for a confirmation: its phone did not ask for an answer. It never blocks; when even the
// reserve of the link is full the sender, who has no acknowledgement, finds out by its own time-out, and a metric counts it.
func (a *arrival) refuse(s *Service, err error) {
	refusal := protocol.AsError(err)
	if a.passing != nil && refusal.Code == protocol.TryLater { // it has settled, and nobody has to repeat it
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredPassing).Inc()
		return
	}
	if a.confirms || !a.decoded && seemsToConfirm(&a.st) {
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredMalformed).Inc()
		a.judged(s, refusal)
		return
	}
	s.metrics.refused.WithLabelValues(string(refusal.Code)).Inc()
	s.refused.add(a.refusal(refusal, s.now()))
	if a.speech != nil {
		a.speech.refuse(err)
		return
	}
	a.judged(s, refusal)
	if a.copied {
		return
	}
	if !s.sender.Answer(a.st.From, protocol.ErrorStanza(&a.st, refusal, s.cfg.Language)) {
		s.metrics.unanswered.Inc()
	}
}

// judged tells what became of it.
func (a *arrival) judged(s *Service, err error) {
	if s.judged != nil {
		s.judged(Verdict{Stanza: a.st, Envelope: a.env, Err: err})
	}
}

func (a *arrival) release(in *intake) {
	if a.sender != nil {
		a.sender.inflight.Add(-1)
		in.items.Add(-1)
		in.bytes.Add(-a.size)
		a.sender = nil
	}
	if a.passing != nil {
		a.passing.passed.Add(-1)
		a.passing.passedBytes.Add(-a.size)
		in.passedBytes.Add(-a.size)
		a.passing = nil
	}
}

func (m message) committed(s *Service, at time.Time) {
	if m.speech != nil {
		m.speech.tell(nil)
		return
	}
	if u := s.conveyor.unasked; u != nil && m.kind.Stored {
		u.Note(m.from.Local, m.from.Resource, m.ack, at)
	}
	m.judged(s, nil)
}

func (signal) committed(*Service, time.Time) {}

// task is work that takes the conveyor's order without being a client's message.
type task struct {
	first bool                                      // it begins a batch: it deletes rows
	alone bool                                      // it is a batch of its own: it changes what others in the batch would have looked at before
	size  int64                                     // bytes that it writes, about
	about string                                    // the conversation that it changes: it is taken after the messages there that came before; or ""
	cost  int                                       // rows and copies that it makes, about
	plan  func(ctx context.Context, b *batch) error // may be asked again, for another batch, until one was committed
	waits place
	*completion
}

func (t *task) read(*conveyor) (request, error) { return t, nil }

func (t *task) classify(*conveyor) place {
	return place{key: t.about, cost: itemCost + t.cost, bytes: t.size, first: t.first || t.alone, alone: t.alone, free: t.cost == 0}
}

func (t *task) place() *place { return &t.waits }
func (t *task) bounded() bool { return false }
func (t *task) want(*wanted)  {}

func (t *task) decide(ctx context.Context, b *batch) error { return t.plan(ctx, b) }

func (t *task) committed(*Service, time.Time) { t.tell(nil) }
func (t *task) lost(err error)                { t.tell(err) }

func (t *task) mistaken() error {
	return protocol.Refuse(protocol.UserIDInvalid, "the database takes an id for another one, see the warnings of its collations at the start")
}

func (t *task) refuse(_ *Service, err error) { t.completion.refuse(err) }
func (t *task) release(*intake)              {}

// do hands a task to the conveyor and waits for its commit.
func (s *Service) do(ctx context.Context, t *task) error {
	return s.doTelling(ctx, t, nil)
}

// doTelling is do that lets told know, too, what became of the task, whether anybody still waits or not. It must not block.
func (s *Service) doTelling(ctx context.Context, t *task, told func(error)) error {
	t.completion = newCompletion(told)
	if s.draining.Load() {
		t.tell(protocol.ErrUnavailable)
		return t.wait(ctx, s.ended)
	}
	select {
	case s.intake.queue <- t:
	case <-s.ended:
		t.tell(protocol.ErrUnavailable)
	case <-ctx.Done():
		t.tell(protocol.ErrUnavailable)
	}
	return t.wait(ctx, s.ended)
}

// completion carries what became of a request to whoever waits for it by HTTP, or in a job.
type completion struct {
	done chan error  // has room for the one that comes
	told func(error) // hears of it, too; nil: nobody else does
}

func newCompletion(told func(error)) *completion {
	return &completion{make(chan error, 1), told}
}

// tell says what became of the request; nil: it is committed. It is called once, and does not block.
func (c *completion) tell(err error) {
	if c.told != nil {
		c.told(err)
	}
	c.done <- err
}

// refuse tells that nothing was done.
func (c *completion) refuse(err error) {
	if !errors.As(err, new(*protocol.Error)) {
		err = protocol.ErrUnavailable
	}
	c.tell(err)
}

// wait returns what was told. When ended is closed before, nobody will tell any more: protocol.ErrUnavailable. When ctx ends before, its error:
// the request may still be committed, and who repeats it finds out.
func (c *completion) wait(ctx context.Context, ended <-chan struct{}) error {
	var silent error
	select {
	case err := <-c.done:
		return err
	case <-ended:
		silent = protocol.ErrUnavailable
	case <-ctx.Done():
		silent = ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	default:
		return silent
	}
}

// refuseAll tells everybody that nothing was done.
func refuseAll[Q queued](s *Service, list []Q, err error) {
	for _, q := range list {
		q.refuse(s, err)
		q.release(s.intake)
	}
}
