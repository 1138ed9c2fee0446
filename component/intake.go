package component

import (
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// maxSenders bounds the memory for rate limits: a user forgotten early only gets a full bucket again.
const maxSenders = 100_000

// intake is the bounded queue in front of the conveyor. Whatever is full is answered at once: the server would swallow
// megabytes for a reader that waits, and lose them (measured: 55,000 messages).
type intake struct {
	s       *Service
	queue   chan queued
	items   atomic.Int64 // messages that were taken and are not done with: in queue, arranged, or in a batch
	bytes   atomic.Int64 // of them
	senders *lru.Cache[string, *senderState]

	passed      chan *arrival // confirmations that are to be passed on
	passedBytes atomic.Int64  // of them, until they are done with
}

func newIntake(s *Service) *intake {
	senders, _ := lru.New[string, *senderState](maxSenders) // fails for a size below 1 only
	return &intake{s: s, queue: make(chan queued, max(1, s.cfg.Inflight)), passed: make(chan *arrival, maxPassed), senders: senders}
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
		(&arrival{st: st}).refuse(s, protocol.Refuse(protocol.NotAllowed, "the sender's address is not in its prepared form (RFC 6122, Unicode 3.2)"))
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
	a := &arrival{st: st, from: from, copied: copied, size: int64(len(st.Inner)) + 200}
	switch {
	case from.Domain != s.cfg.Server || from.Local == "":
		a.refuse(s, protocol.Refuse(protocol.NotAllowed, "only users of %s may send here", s.cfg.Server))
	case s.users.IsRobot(from.Local):
		a.refuse(s, protocol.Refuse(protocol.NotAllowed, "the user id is a robot's, whose key speaks for it"))
	case st.Oversize:
		a.refuse(s, protocol.Refuse(protocol.TooLarge, "the stanza is too large"))
	case s.confirming(a):
	case s.draining.Load():
		a.refuse(s, protocol.Refuse(protocol.TryLater, "the server is shutting down, send it again later"))
	default:
		if err := s.intake.offer(a); err != nil {
			a.refuse(s, err)
		}
	}
}

// offer puts a message into the queue or says why not.
func (i *intake) offer(a *arrival) error {
	cfg := &i.s.cfg
	sender := i.sender(a.from.Local)
	if !sender.allow(i.s.now()) {
		return protocol.Refuse(protocol.TryLater, tooFast)
	}
	if cfg.UserInflight > 0 && !a.copied && int(sender.inflight.Load()) >= cfg.UserInflight {
		i.s.metrics.busy.WithLabelValues(busyUser).Inc()
		return protocol.Refuse(protocol.TryLater, "too many messages of this user wait, send it again later")
	}
	// Copies come in bursts of 5 s, and the copy link bounds them.
	if i.bytes.Load()+a.size > cfg.InflightBytes || i.items.Load() >= int64(cap(i.queue)) {
		return i.tooMuch()
	}
	a.sender = sender
	sender.inflight.Add(1)
	i.items.Add(1)
	i.bytes.Add(a.size)
	select {
	case i.queue <- a:
		return nil
	default: // tasks take room there as well
		a.release(i)
		return i.tooMuch()
	}
}

// sender is what is known of a user as a sender.
func (i *intake) sender(local string) *senderState {
	sender, ok := i.senders.Get(local)
	if !ok {
		sender = newSenderState(&i.s.cfg)
		if other, found, _ := i.senders.PeekOrAdd(local, sender); found { // readers are several
			return other
		}
	}
	return sender
}

func (i *intake) tooMuch() error {
	i.s.metrics.busy.WithLabelValues(busyServer).Inc()
	return protocol.Refuse(protocol.TryLater, "the server is too busy, send it again later")
}

// presenceStanza takes directed presence (RFC 6121 section 4.6) and probes.
func (s *Service) presenceStanza(st stanza.Stanza, from stanza.JID) {
	if from.Domain != s.cfg.Server || from.Local == "" || s.users.IsRobot(from.Local) {
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
