package component

import (
	"slices"
	"strings"
	"time"

	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// simManner is how a client takes pings.
type simManner string

const (
	simAnswersResult simManner = "result"
	simAnswersError  simManner = "an error of its own"
	simMute          simManner = "mute"
	simAnswersLate   simManner = "late"
)

// simManners has each manner as often as it is drawn.
var simManners = []simManner{simAnswersResult, simAnswersResult, simAnswersResult, simAnswersResult, simAnswersResult, simAnswersError, simMute, simAnswersLate, simAnswersLate}

// simPhone is a session at the server, as the server and its client are.
type simPhone struct {
	manner simManner
	hung   bool // the server keeps it, for the client to resume it (XEP-0198): what is routed to it waits
	copies []simCopy
	pings  []simQuestion // not answered yet
}

// simPing is a ping that went out, with the copies in front of it.
type simPing struct {
	id, front string // of the ping in front of the copies; "" where the one behind those before stands there
	to        simDevice
	copies    []string
	life      int // of the connection
	downs     int // of simLink
	lacks     int // answers, of one or two
	answered  bool
	next      *simPing // that lacks the answer to this one, too
}

// simQuestion is one of the two stanzas of a ping.
type simQuestion struct {
	*simPing
	id string
}

type simAnswer struct {
	ping   *simPing
	behind bool // not the ping in front
	answer simHow
	at     time.Time
	known  bool // the product asked, and had no answer yet: of several questions under way those behind the first bounce are forgotten
}

// simHow is how a ping is answered.
type simHow int

const (
	simProof  simHow = iota // by the client, with a result
	simBounce               // by the server: there is no such session
	simRepeat               // likewise, with the question
	simDoubt                // by the server or the client, in the same words
	simNone                 // by the client, with an error of its own
)

// String is what a story says of it.
func (s simHow) String() string {
	switch s {
	case simProof, simNone:
		return "it has them"
	case simBounce, simRepeat:
		return "gone"
	default:
		return "unavailable"
	}
}

// simAnswers are what answers look like.
var simAnswers = map[simHow]string{simProof: pong, simRepeat: goneRepeats, simBounce: notResumed, simDoubt: unavailable, simNone: unknownPing}

// enter lets a device be there, with a session of its own; its show may only change.
func (s *simulation) enter(d simDevice, show string) {
	if _, there := s.real[d.user][d.resource]; !there {
		manner := oneOf(s, simManners)
		s.link.set(func() { s.link.there[d] = &simPhone{manner: manner} })
	}
	s.real[d.user][d.resource] = show
}

func (s *simulation) exit(d simDevice) {
	delete(s.real[d.user], d.resource)
	s.link.set(func() { delete(s.link.there, d) })
}

// run queues what a device gets in one piece.
func (s *simLink) run(r stanza.Run, list []stanza.Delivery, life, downs int) {
	bare, resource, _ := strings.Cut(r.JID, "/")
	user, _, _ := strings.Cut(bare, "@")
	p := &simPing{id: r.Ping, front: r.Front, to: simDevice{user, resource}, life: life, downs: downs, lacks: r.Pings()}
	for _, c := range r.Of {
		p.copies = append(p.copies, list[c.Delivery].ID)
	}
	if user != "nobody" && r.Ping != "" {
		s.asked = append(s.asked, p)
	}
	s.ask(simQuestion{p, p.front})
	for _, c := range r.Of {
		s.copy(&list[c.Delivery], c.Target)
	}
	s.ask(simQuestion{p, p.id})
}

func (s *simLink) ask(q simQuestion) {
	if q.id == "" {
		return
	}
	s.flight = append(s.flight, func(err error) {
		if err == nil {
			s.pinged(q)
		}
	})
}

// pinged is the server, which has a ping to route.
func (s *simLink) pinged(p simQuestion) {
	s.mu.Lock()
	phone := s.there[p.to]
	switch {
	case s.dead:
		s.mu.Unlock()
		return
	case phone != nil && phone.hung && s.swaps && p.id == p.simPing.id:
		s.mu.Unlock()
		s.swap(p.to, p.copies)
		s.pinged(p)
		return
	case phone != nil && (phone.hung || phone.manner == simAnswersLate):
		phone.pings = append(phone.pings, p)
		s.mu.Unlock()
		return
	case phone != nil && phone.manner == simMute:
		s.mu.Unlock()
		return
	}
	if phone == nil {
		s.answer(p, s.goneAs())
		return
	}
	s.answer(p, s.answersAs(phone))
}

// goneAs is how the server answers for a session that is not there: Prosody says it as a client may.
func (s *simLink) goneAs() simHow {
	if s.prosody {
		return simDoubt
	}
	return simRepeat
}

// answersAs is how a client answers. One that knows no pings has two ways to say so.
func (s *simLink) answersAs(phone *simPhone) simHow {
	switch {
	case phone.manner == simAnswersError && s.curt:
		return simDoubt
	case phone.manner == simAnswersError:
		return simNone
	}
	return simProof
}

// answer passes an answer on. It is called with the lock, and gives it up.
func (s *simLink) answer(p simQuestion, a simHow) {
	var noted *simAnswer
	if p.to.user != "nobody" && p.downs == s.downs { // else nobody knows the question any more
		noted = &simAnswer{p.simPing, p.id == p.simPing.id, a, s.m.clock.Now(), false}
		s.answers = append(s.answers, noted)
	}
	s.mu.Unlock()
	st := stanza.Stanza{Name: "iq", Type: "result", ID: p.id, From: p.to.full(), To: testComponent}
	if inner := simAnswers[a]; inner != pong {
		st.Type, st.Inner = "error", []byte(inner)
	}
	known := s.m.Answered(st, stanza.JID{Local: p.to.user, Domain: testServer, Resource: p.to.resource})
	s.mu.Lock()
	defer s.mu.Unlock()
	if noted != nil {
		noted.known = known
	}
}

// swap lets a client come back under its address while the server keeps its last session. What that one has not read is lost: Openfire says
// nothing, Prosody sends it back. copies are those that were routed a moment ago.
func (s *simLink) swap(d simDevice, copies []string) {
	s.mu.Lock()
	old := s.there[d]
	s.there[d] = &simPhone{manner: simAnswersResult}
	s.swapped = append(s.swapped, d)
	for _, id := range copies {
		s.lost[id+" "+d.full()] = true
	}
	s.mu.Unlock()
	if !s.prosody {
		return
	}
	for _, q := range old.pings {
		s.mu.Lock()
		s.answer(q, simBounce)
	}
}

// back lets clients that came back ask for their queues, as clients do.
func (s *simulation) back() {
	var list []simDevice
	s.link.set(func() { list, s.link.swapped, s.link.swaps = s.link.swapped, nil, false })
	for _, d := range list {
		s.tell("    %s is back under its address", d.full())
		s.asksQueue(d)
	}
}

// reached says whether a copy reaches the client, and keeps it for one that may resume its session.
func (s *simLink) reached(c simCopy, d simDevice) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	phone := s.there[d]
	if s.lost[c.id+" "+d.full()] {
		return false
	}
	if phone != nil && phone.hung {
		phone.copies = append(phone.copies, c)
		return false
	}
	return phone != nil
}

// phones lets phones answer late, lose their connection, or resume their session.
func (s *simulation) phones() {
	var some []simDevice
	for _, u := range simUsers {
		for _, r := range simResources {
			if _, there := s.real[u][r]; there && simMobile(r) {
				some = append(some, simDevice{u, r})
			}
		}
	}
	if len(some) == 0 || s.connection != simUp || s.link.stalled {
		return
	}
	d := oneOf(s, some)
	var phone *simPhone
	s.link.set(func() { phone = s.link.there[d] })
	switch {
	case phone.hung && s.odd.IntN(3) == 0:
		s.tell("%s does not resume its session", d.full())
		s.link.swap(d, nil)
		s.quiet()
		s.back()
	case phone.hung:
		s.tell("%s resumes its session", d.full())
		for _, c := range phone.copies {
			s.got[d.user][c.id] = true
		}
		s.link.set(func() { phone.hung, phone.copies = false, nil })
		s.answerLate(phone)
	case phone.manner == simAnswersLate && len(phone.pings) > 0:
		s.tell("%s answers %d pings late", d.full(), len(phone.pings))
		s.answerLate(phone)
	case s.confirming[d.user] != store.ConfirmsNot && s.cfg.Confirm != ConfirmByPresence:
		s.tell("%s hangs", d.full())
		s.link.set(func() { phone.hung = true })
	}
}

func (s *simulation) answerLate(phone *simPhone) {
	l := s.link
	l.mu.Lock()
	pings := phone.pings
	phone.pings = nil
	l.mu.Unlock()
	if phone.manner == simMute {
		return
	}
	for _, p := range pings {
		l.mu.Lock()
		l.answer(p, l.answersAs(phone))
	}
}

// hangs says whether a session of a user waits to be resumed.
func (s *simulation) hangs(user string) (hangs bool) {
	s.link.set(func() {
		for d, phone := range s.link.there {
			hangs = hangs || d.user == user && phone.hung
		}
	})
	return hangs
}

// proofs takes the pings and answers of a step into the model.
func (s *simulation) proofs() {
	for _, p := range s.pinged {
		s.tell("    a ping to %s behind %v", p.to.full(), p.copies)
		s.underWay = append(s.underWay, p)
		if before := s.lastPing[p.to]; p.front == "" && !before.answered {
			before.next = p
			p.lacks++
		}
		s.lastPing[p.to] = p
		for _, id := range p.copies {
			e := s.queues[p.to.user][id]
			if e != nil && (e.state == simUnconfirmed || e.state == simRow && e.old) {
				e.asked = append(e.asked, p)
			} else if e != nil && e.state == simRow { // it came to the queue in this step, and may be sent to who came in this step
				e.state, e.status = simPerhaps, simAnyStatus
			}
		}
	}
	for _, a := range s.answered {
		s.tell("    an answer of %s about %v: %s", a.ping.to.full(), a.ping.copies, a.answer)
		i := slices.Index(s.underWay, a.ping)
		queue, d := s.queues[a.ping.to.user], a.ping.to
		bounce := a.answer == simRepeat || a.answer == simBounce || a.answer == simDoubt && s.link.prosody
		if i < 0 { // the phone is known to be gone, or the link was lost
			if bounce && a.known { // it was sent more in this step, before it was known
				s.bounced[d]++
			}
			continue
		}
		if bounce {
			if s.bounced[d]++; s.bounced[d] >= unconfirmed.DeafBounces {
				delete(s.answers, d)
				continue
			}
			s.underWay = slices.Delete(s.underWay, i, i+1)
			s.unask(queue, a.ping)
			delete(s.answers, d)
			s.gone(d)
			s.missed(d)
			continue
		}
		s.answers[d], s.bounced[d] = a.ping.life, 0
		s.raise(a.ping.to.user, store.ConfirmsByPings)
		proved := []*simPing{a.ping}
		if a.behind {
			a.ping.answered = true
			if a.ping.next != nil {
				proved = append(proved, a.ping.next)
			}
		}
		for _, p := range proved {
			if p.lacks--; p.lacks > 0 { // both are needed
				continue
			}
			s.underWay = slices.DeleteFunc(s.underWay, func(q *simPing) bool { return q == p })
			for _, e := range queue {
				if slices.Contains(e.asked, p) && e.state != simPerhaps && !(e.state == simRow && s.kindOf(e.typ).loose()) {
					e.held = append(e.held, simHold{p, a.at})
				}
			}
			s.unask(queue, p)
		}
	}
	s.pinged, s.answered = nil, nil
}

func (s *simulation) unask(queue map[string]*simEntry, p *simPing) {
	for _, e := range queue {
		e.asked = slices.DeleteFunc(e.asked, func(q *simPing) bool { return q == p })
	}
}
