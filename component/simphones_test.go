package component

import (
	"slices"
	"strings"

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
	id, front string // of the ping in front of the copies; may be ""
	to        simDevice
	copies    []string
	life      int // of the connection
	downs     int // of simLink
	lacks     int // answers, of one or two
}

// simQuestion is one of the two stanzas of a ping.
type simQuestion struct {
	*simPing
	id string
}

type simAnswer struct {
	ping   *simPing
	answer simHow
}

// simAnswers are what answers look like.
// simHow is how a ping is answered.
type simHow int

const (
	simProof  simHow = iota // by the client, with a result
	simBounce               // by the server: there is no such session
	simRepeat               // likewise, with the question
	simDoubt                // by the server or the client, in the same words
	simNone                 // by the client, with an error of its own
)

var simAnswers = map[simHow]string{simProof: pong, simRepeat: goneRepeats, simBounce: notResumed, simDoubt: unavailable, simNone: unknownPing}

// enter lets a device be there, with a session of its own; its show may only change.
func (m *simulation) enter(d simDevice, show string) {
	if _, there := m.real[d.user][d.resource]; !there {
		manner := oneOf(m, simManners)
		m.link.set(func() { m.link.there[d] = &simPhone{manner: manner} })
	}
	m.real[d.user][d.resource] = show
}

func (m *simulation) exit(d simDevice) {
	delete(m.real[d.user], d.resource)
	m.link.set(func() { delete(m.link.there, d) })
}

// run queues what a device gets in one piece.
func (l *simLink) run(r stanza.Run, list []stanza.Delivery, life, downs int) {
	bare, resource, _ := strings.Cut(r.JID, "/")
	user, _, _ := strings.Cut(bare, "@")
	p := &simPing{id: r.Ping, front: r.Front, to: simDevice{user, resource}, life: life, downs: downs, lacks: r.Pings()}
	for _, c := range r.Of {
		p.copies = append(p.copies, list[c.Delivery].ID)
	}
	if user != "nobody" && r.Ping != "" {
		l.asked = append(l.asked, p)
	}
	l.ask(simQuestion{p, p.front})
	for _, c := range r.Of {
		l.copy(&list[c.Delivery], c.Target)
	}
	l.ask(simQuestion{p, p.id})
}

func (l *simLink) ask(q simQuestion) {
	if q.id == "" {
		return
	}
	l.flight = append(l.flight, func(err error) {
		if err == nil {
			l.pinged(q)
		}
	})
}

// pinged is the server, which has a ping to route.
func (l *simLink) pinged(p simQuestion) {
	l.mu.Lock()
	phone := l.there[p.to]
	switch {
	case l.dead:
		l.mu.Unlock()
		return
	case phone != nil && phone.hung && l.swaps && p.id == p.simPing.id && p.front != "":
		l.mu.Unlock()
		l.swap(p.to, p.copies)
		l.pinged(p)
		return
	case phone != nil && (phone.hung || phone.manner == simAnswersLate):
		phone.pings = append(phone.pings, p)
		l.mu.Unlock()
		return
	case phone != nil && phone.manner == simMute:
		l.mu.Unlock()
		return
	}
	if phone == nil {
		l.answer(p, l.goneAs())
		return
	}
	l.answer(p, l.answersAs(phone))
}

// goneAs is how the server answers for a session that is not there: Prosody says it as a client may.
func (l *simLink) goneAs() simHow {
	if l.prosody {
		return simDoubt
	}
	return simRepeat
}

// answersAs is how a client answers. One that knows no pings has two ways to say so.
func (l *simLink) answersAs(phone *simPhone) simHow {
	switch {
	case phone.manner == simAnswersError && l.curt:
		return simDoubt
	case phone.manner == simAnswersError:
		return simNone
	}
	return simProof
}

// answer passes an answer on. It is called with the lock, and gives it up.
func (l *simLink) answer(p simQuestion, a simHow) {
	if p.to.user != "nobody" && p.downs == l.downs { // else nobody knows the question any more
		l.answers = append(l.answers, simAnswer{p.simPing, a})
	}
	l.mu.Unlock()
	st := stanza.Stanza{Name: "iq", Type: "result", ID: p.id, From: p.to.full(), To: testComponent}
	if inner := simAnswers[a]; inner != pong {
		st.Type, st.Inner = "error", []byte(inner)
	}
	l.m.Answered(st, stanza.JID{Local: p.to.user, Domain: testServer, Resource: p.to.resource})
}

// swap lets a client come back under its address while the server keeps its last session. What that one has not read is lost: Openfire says
// nothing, Prosody sends it back. copies are those that were routed a moment ago.
func (l *simLink) swap(d simDevice, copies []string) {
	l.mu.Lock()
	old := l.there[d]
	l.there[d] = &simPhone{manner: simAnswersResult}
	l.swapped = append(l.swapped, d)
	for _, id := range copies {
		l.lost[id+" "+d.full()] = true
	}
	l.mu.Unlock()
	if !l.prosody {
		return
	}
	for _, q := range old.pings {
		l.mu.Lock()
		l.answer(q, simBounce)
	}
}

// back lets clients that came back ask for their queues, as clients do.
func (m *simulation) back() {
	var list []simDevice
	m.link.set(func() { list, m.link.swapped, m.link.swaps = m.link.swapped, nil, false })
	for _, d := range list {
		m.tell("    %s is back under its address", d.full())
		m.asksQueue(d)
	}
}

// reached says whether a copy reaches the client, and keeps it for one that may resume its session.
func (l *simLink) reached(c simCopy, d simDevice) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	phone := l.there[d]
	if l.lost[c.id+" "+d.full()] {
		return false
	}
	if phone != nil && phone.hung {
		phone.copies = append(phone.copies, c)
		return false
	}
	return phone != nil
}

// phones lets phones answer late, lose their connection, or resume their session.
func (m *simulation) phones() {
	var some []simDevice
	for _, u := range simUsers {
		for _, r := range simResources {
			if _, there := m.real[u][r]; there && simMobile(r) {
				some = append(some, simDevice{u, r})
			}
		}
	}
	if len(some) == 0 || !m.ready || m.link.stalled {
		return
	}
	d := oneOf(m, some)
	var phone *simPhone
	m.link.set(func() { phone = m.link.there[d] })
	switch {
	case phone.hung && m.odd.IntN(3) == 0:
		m.tell("%s does not resume its session", d.full())
		m.link.swap(d, nil)
		m.quiet()
		m.back()
	case phone.hung:
		m.tell("%s resumes its session", d.full())
		for _, c := range phone.copies {
			m.got[d.user][c.id] = true
		}
		m.link.set(func() { phone.hung, phone.copies = false, nil })
		m.answerLate(phone)
	case phone.manner == simAnswersLate && len(phone.pings) > 0:
		m.tell("%s answers %d pings late", d.full(), len(phone.pings))
		m.answerLate(phone)
	case m.confirming[d.user] != store.ConfirmsNot && m.cfg.Confirm != ConfirmByPresence:
		m.tell("%s hangs", d.full())
		m.link.set(func() { phone.hung = true })
	}
}

func (m *simulation) answerLate(phone *simPhone) {
	l := m.link
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
func (m *simulation) hangs(user string) (hangs bool) {
	m.link.set(func() {
		for d, phone := range m.link.there {
			hangs = hangs || d.user == user && phone.hung
		}
	})
	return hangs
}

// proofs takes the pings and answers of a step into the model.
func (m *simulation) proofs() {
	for _, p := range m.pinged {
		m.tell("    a ping to %s behind %v", p.to.full(), p.copies)
		m.underWay = append(m.underWay, p)
		for _, id := range p.copies {
			e := m.queues[p.to.user][id]
			if e != nil && (e.state == simUnconfirmed || e.state == simRow && e.old) {
				e.asked = append(e.asked, p)
			} else if e != nil && e.state == simRow { // it came to the queue in this step, and may be sent to who came in this step
				e.state, e.status = simPerhaps, -1
			}
		}
	}
	for _, a := range m.answered {
		m.tell("    an answer of %s about %v: %s", a.ping.to.full(), a.ping.copies, []string{"it has them", "gone", "gone", "unavailable", "it has them"}[a.answer])
		i := slices.Index(m.underWay, a.ping)
		if i < 0 { // the phone is known to be gone, or the link was lost
			continue
		}
		queue, d := m.queues[a.ping.to.user], a.ping.to
		_, answers := m.answers[d]
		if a.answer == simDoubt && m.link.prosody && !answers { // nobody can tell whose it is
			continue
		}
		if a.answer == simRepeat || a.answer == simBounce || a.answer == simDoubt && m.link.prosody {
			if m.bounced[d]++; m.bounced[d] >= unconfirmed.DeafBounces {
				delete(m.answers, d)
				continue
			}
			m.underWay = slices.Delete(m.underWay, i, i+1)
			m.unask(queue, a.ping)
			delete(m.answers, d)
			m.gone(d)
			m.missed(d)
			continue
		}
		m.answers[d], m.bounced[d] = a.ping.life, 0
		if m.confirming[a.ping.to.user] != store.ConfirmsByPings {
			m.confirming[a.ping.to.user] = store.ConfirmsByPings
			for _, e := range queue {
				if e.state == simUnconfirmed {
					e.settle, e.unsure = true, false
					if m.clock.now().Sub(e.sent) >= m.cfg.Grace { // a row with the next tick
						e.state, e.status = simPerhaps, -1
					}
				}
			}
		}
		if a.ping.lacks--; a.ping.lacks > 0 { // both are needed
			continue
		}
		m.underWay = slices.Delete(m.underWay, i, i+1)
		for id, e := range queue {
			if slices.Contains(e.asked, a.ping) && e.state != simPerhaps && !(e.state == simRow && m.kindOf(e.typ).loose()) {
				delete(queue, id)
				m.proven[simCopy{id: id, jid: a.ping.to.user}] = e
			}
		}
		m.unask(queue, a.ping)
	}
	m.pinged, m.answered = nil, nil
}

func (m *simulation) unask(queue map[string]*simEntry, p *simPing) {
	for _, e := range queue {
		e.asked = slices.DeleteFunc(e.asked, func(q *simPing) bool { return q == p })
	}
}
