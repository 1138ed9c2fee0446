package component

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// item is one unit of the conveyor's order: a stanza of a client, or a task.
type item struct {
	// A stanza.
	st      stanza.Stanza
	from    stanza.JID
	size    int64
	sender  *senderState
	msg     incoming // filled by decode
	copied  bool     // a packet copy of a message to D: no answers, and the server delivered it itself
	ownDebt int64    // until when its sender was in debt once it was debited itself, see senderState
	charged bool     // its receivers were counted
	read    bool     // msg is filled, or unfit says why not
	unfit   error
	passing *senderState // whose confirmation it is that is passed on; nil for messages
	key     string       // of the conversation, as far as it can be told before the decision; filled by arrange
	cost    int          // of the decision and the copies, in copies; filled by arrange
	absent  int          // members of its group who are sent nothing, about; filled by arrange

	// A task of the API.
	task *task
}

// task is work that takes the conveyor's order without being a client's message.
type task struct {
	first bool                                      // it begins a batch: it deletes rows
	alone bool                                      // it is a batch of its own: it changes what others in the batch would have looked at before
	size  int64                                     // bytes that it writes, about
	about string                                    // the conversation that it changes: it is taken after the messages there that came before; or ""
	cost  int                                       // rows and copies that it makes, about
	plan  func(ctx context.Context, b *batch) error // may be asked again, for another batch, until one was committed
	over  func(error)                               // nil, or called once with what done gets, whether the caller still waits or not; must not block
	done  chan error
}

// answer tells the caller, once, what became of the task.
func (t *task) answer(err error) error {
	if t.over != nil {
		t.over(err)
	}
	t.done <- err
	return err
}

// knownSenders bounds the memory for rate limits: a user forgotten early only gets a full bucket again.
const knownSenders = 100_000

// intake is the bounded queue in front of the conveyor. Whatever is full is answered at once: the server would swallow
// megabytes for a reader that waits, and lose them (measured: 55,000 messages).
type intake struct {
	s       *Service
	queue   chan *item
	items   atomic.Int64 // messages that were taken and are not done with: in queue, arranged, or in a batch
	bytes   atomic.Int64 // of them
	senders *lru.Cache[string, *senderState]

	passed      chan *item   // confirmations that are to be passed on
	passedBytes atomic.Int64 // of them, until they are done with
}

func newIntake(s *Service) *intake {
	senders, _ := lru.New[string, *senderState](knownSenders) // fails for a size below 1 only
	return &intake{s: s, queue: make(chan *item, max(1, s.cfg.Inflight)), passed: make(chan *item, passedInAll), senders: senders}
}

// Stanza takes a message or presence from the link's reader. It never blocks: what does not fit is answered with error-013.
func (s *Service) Stanza(st stanza.Stanza) {
	from, err := stanza.ParsePrepared(st.From)
	if err != nil {
		s.stranger(st, err)
		return
	}
	switch st.Name {
	case "message":
		s.message(st, from, false)
	case "presence":
		s.presenceStanza(st, from)
	}
}

// CopiedMessage takes a message that a client sent to D itself, seen as a packet copy. It gets no error answers: only what
// is addressed to us does.
func (s *Service) CopiedMessage(st stanza.Stanza) {
	if from, err := stanza.ParsePrepared(st.From); err == nil {
		s.message(st, from, true)
	}
}

// strangerPause lies between two lines of the log about senders like those of [Service.stranger].
const strangerPause = time.Minute

// stranger takes a stanza whose sender is no address that the server could have prepared: nobody knows whose it is.
func (s *Service) stranger(st stanza.Stanza, err error) {
	s.metrics.ignored.WithLabelValues("address").Inc()
	s.strangers.Do(func() {
		s.log.Warn("the address of a sender is not in its prepared form: it could be taken for another account's, so nothing is taken from it", "error", err)
	})
	if local, domain, _ := strings.Cut(st.From, "@"); local == "" || domain == "" { // the answer would have no address either
		return
	}
	if st.Name == "message" && (st.Type == "" || st.Type == "chat" || st.Type == "normal") && !s.draining.Load() {
		s.refuse(&item{st: st}, protocol.Refuse(protocol.NotAllowed, "the sender's address is not in its prepared form (RFC 6122, Unicode 3.2)"))
	}
}

// maxStanzaID bounds the ids of stanzas that go back in answers and on with signals, in bytes. Clients make 10 to 40.
const maxStanzaID = 1 << 10

func (s *Service) message(st stanza.Stanza, from stanza.JID, copied bool) {
	switch {
	case st.Type == "error" || st.Type == "groupchat" || st.Type == "headline":
		s.metrics.ignored.WithLabelValues(st.Type).Inc()
		return
	case st.Type != "" && st.Type != "chat" && st.Type != "normal":
		s.metrics.ignored.WithLabelValues("type").Inc()
		return
	case from.Domain == s.cfg.Component || from.Local == "" && from.Domain == s.cfg.Server:
		s.metrics.ignored.WithLabelValues("own").Inc()
		return
	}
	if len(st.ID) > maxStanzaID {
		st.ID = ""
	}
	// Here and not when its turn comes: by then the device may have said that it is gone.
	s.presence.Heard(from, nil, 0)
	it := &item{st: st, from: from, copied: copied, size: int64(len(st.Inner)) + 200}
	switch {
	case from.Domain != s.cfg.Server || from.Local == "":
		s.refuse(it, protocol.Refuse(protocol.NotAllowed, "only users of %s may send here", s.cfg.Server))
	case st.Oversize:
		s.refuse(it, protocol.Refuse(protocol.TooLarge, "the stanza is too large"))
	case s.confirming(it):
	case s.draining.Load():
		s.refuse(it, protocol.Refuse(protocol.TryLater, "the server is shutting down, send it again later"))
	default:
		if err := s.intake.offer(it); err != nil {
			s.refuse(it, err)
		}
	}
}

// offer puts a message into the queue or says why not.
func (in *intake) offer(it *item) error {
	cfg := &in.s.cfg
	sender := in.sender(it.from.Local)
	if !sender.allow(in.s.now()) {
		return protocol.Refuse(protocol.TryLater, tooFast)
	}
	if cfg.UserInflight > 0 && !it.copied && int(sender.inflight.Load()) >= cfg.UserInflight {
		in.s.metrics.busy.WithLabelValues(busyUser).Inc()
		return protocol.Refuse(protocol.TryLater, "too many messages of this user wait, send it again later")
	}
	// Copies come in bursts of 5 s, and the copy link bounds them.
	if in.bytes.Load()+it.size > cfg.InflightBytes || in.items.Load() >= int64(cap(in.queue)) {
		return in.tooMuch()
	}
	it.sender = sender
	sender.inflight.Add(1)
	in.items.Add(1)
	in.bytes.Add(it.size)
	select {
	case in.queue <- it:
		return nil
	default: // tasks take room there as well
		in.release(it)
		return in.tooMuch()
	}
}

// sender is what is known of a user as a sender.
func (in *intake) sender(local string) *senderState {
	sender, ok := in.senders.Get(local)
	if !ok {
		sender = newSenderState(&in.s.cfg)
		if other, found, _ := in.senders.PeekOrAdd(local, sender); found { // readers are several
			return other
		}
	}
	return sender
}

func (in *intake) tooMuch() error {
	in.s.metrics.busy.WithLabelValues(busyServer).Inc()
	return protocol.Refuse(protocol.TryLater, "the server is too busy, send it again later")
}

// release gives back what offer took; the conveyor calls it when it is through with an item.
func (in *intake) release(it *item) {
	if it.sender != nil {
		it.sender.inflight.Add(-1)
		in.items.Add(-1)
		in.bytes.Add(-it.size)
		it.sender = nil
	}
	if it.passing != nil {
		it.passing.passed.Add(-1)
		it.passing.passedBytes.Add(-it.size)
		in.passedBytes.Add(-it.size)
		it.passing = nil
	}
}

// do hands a task to the conveyor and waits for its commit.
func (s *Service) do(ctx context.Context, c *task) error {
	c.done = make(chan error, 1)
	if s.draining.Load() {
		return c.answer(protocol.ErrUnavailable)
	}
	select {
	case s.intake.queue <- &item{task: c, size: c.size}:
	case <-s.ended:
		return c.answer(protocol.ErrUnavailable)
	case <-ctx.Done():
		return c.answer(protocol.ErrUnavailable)
	}
	select {
	case err := <-c.done:
		return err
	case <-s.ended:
		select {
		case err := <-c.done:
			return err
		default:
			return protocol.ErrUnavailable
		}
	case <-ctx.Done(): // it may still happen; the caller was told by its own deadline
		return ctx.Err()
	}
}

// refuse answers a sender with an error stanza. It never blocks; when even the reserve of the link is full the sender,
// who has no receipt, finds out by its own time-out, and a metric counts it.
func (s *Service) refuse(it *item, err error) {
	refusal := protocol.AsError(err)
	if it.passing != nil && refusal.Code == protocol.TryLater { // it has settled, and nobody has to repeat it
		s.metrics.ignoredConfirmations.WithLabelValues(ignoredPassing).Inc()
		return
	}
	s.metrics.refused.WithLabelValues(string(refusal.Code)).Inc()
	if it.copied {
		return
	}
	if !s.sender.Answer(it.st.From, protocol.ErrorStanza(&it.st, refusal)) {
		s.metrics.unanswered.Inc()
	}
}

// presenceStanza takes directed presence (RFC 6121 section 4.6) and probes.
func (s *Service) presenceStanza(st stanza.Stanza, from stanza.JID) {
	if from.Domain != s.cfg.Server || from.Local == "" {
		return
	}
	switch st.Type {
	case "":
		show, priority := readPresence(&st)
		s.presence.Heard(from, &show, priority)
		s.users.Learn([]string{from.Local})
	case "unavailable":
		s.presence.Gone(from)
	}
}
