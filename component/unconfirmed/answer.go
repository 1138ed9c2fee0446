package unconfirmed

import (
	"slices"
	"time"

	"tlim/component/stanza"
	"tlim/store"
)

// answer is what the answer to a ping says.
type answer int8

const (
	answerProof  answer = iota // the client's library has it
	answerBounce               // the server says that there is no such session any more
	answerRepeat               // likewise, and it repeats the question
	answerDoubt                // the server, or a client that answers in the same words
	answerNone                 // anything else
)

// readAnswer reads the answer to a ping. A client answers with a result, or with an error of its own if it knows no pings, which
// proves the same. The server answers for a session that is gone: Openfire with service-unavailable and the question repeated, which clients
// do not do; Prosody with service-unavailable as clients write it, or with recipient-unavailable (all measured).
func readAnswer(st *stanza.Stanza) answer {
	if st.Type == "result" {
		return answerProof
	}
	repeats := false
	for c := range st.Children() {
		repeats = repeats || c.Name == "ping" && c.Space == nsPing
	}
	switch condition := stanza.ErrorOf(st).Condition; {
	case condition == "service-unavailable" && repeats:
		return answerRepeat
	case condition == "recipient-unavailable":
		return answerBounce
	case condition == "service-unavailable":
		return answerDoubt
	case condition == "feature-not-implemented":
		return answerProof
	}
	return answerNone
}

// What becomes of pings, as a metric has it.
const (
	PingAnswered   = "answered"
	PingGone       = "gone"
	PingUnanswered = "unanswered"
	PingLate       = "late" // after it was counted as unanswered
)

const nsPing = "urn:xmpp:ping"

// Answered takes the answer to a ping from a full JID. known is false when that was not asked, gone says that the phone is not there any more.
func (t *Table) Answered(st *stanza.Stanza, from string, now time.Time) (known, gone bool) {
	id, a := st.ID, readAnswer(st)
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == t.shape && from == t.nobody {
		t.repeats = t.repeats || a == answerRepeat
		t.curt = t.curt || a == answerDoubt
		return true, false
	}
	proof := t.asked[id]
	if proof == nil || proof.phone.full != from {
		return false, false
	}
	p := proof.phone
	switch {
	case a == answerRepeat:
		a = answerBounce
	case a == answerDoubt && t.repeats: // the server's has the question in it
		a = answerProof
	case a == answerDoubt && (p.answers == answersPings || t.curt): // the client answers with results, or nobody can tell: gone is a message too many at worst
		a = answerBounce
	}
	switch a {
	case answerProof:
		delete(t.asked, id)
		t.answers(proof)
		if id == proof.front {
			proof.front = ""
			t.hold(proof, now)
			break
		}
		next := proof.next
		proof.behind, proof.next = "", nil
		t.hold(proof, now)
		if next != nil {
			next.front = ""
			t.hold(next, now)
		}
	case answerBounce:
		n, _ := t.bounced.Peek(from)
		t.bounced.Add(from, n+1)
		if n+1 >= DeafBounces {
			p.answers, p.request = answersNothing, true
			break
		}
		u := p.user
		t.hooks.Note(PingGone)
		t.dropPhones(u, func(other *phone) bool { return other == p })
		t.unasked(u)
		return true, true
	}
	return true, false
}

// answers notes that a phone answers pings, this one among them.
func (t *Table) answers(proof *proof) {
	p, u := proof.phone, proof.phone.user
	p.answers, p.request = answersPings, false
	t.bounced.Remove(p.full)
	if t.hooks.How(u.local) != store.ConfirmsByPings {
		t.hooks.Mark(u.local)
		t.raised(u)
	}
}

// hold ends a proof, once both its pings are answered. It does not settle the copies: the answers may be those of two sessions, of which the
// second has bound the resource of the first in between, and what went to the first is lost; with xmpp.sender user also those of one that was not
// available yet, to which Openfire routes a component's pings and no user's messages (all measured). Who logs in asks for the queue, and has to
// find the copies there. So they are settled when the grace is over and the phone is not gone.
func (t *Table) hold(proof *proof, now time.Time) {
	if proof.front != "" || proof.behind != "" {
		return
	}
	p, u, answered := proof.phone, proof.phone.user, now.Sub(t.began)
	if i := slices.Index(p.open, proof); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
		t.hooks.Note(PingAnswered)
	} else if i := slices.Index(p.late, proof); i >= 0 {
		p.late = slices.Delete(p.late, i, i+1)
		t.hooks.Note(PingLate)
	}
	for _, at := range proof.copies {
		c := u.at(at)
		switch {
		case c == nil:
		case len(p.held) >= t.perUser: // it becomes a row when the grace is over
			c.asked--
		default:
			c.held++
			p.held = append(p.held, held{at, answered})
		}
	}
	for _, id := range proof.rows {
		if len(p.drops) < t.perUser {
			p.drops = append(p.drops, drop{id, answered})
		}
	}
	proof.copies, proof.rows = nil, nil // it may stay, as the phone's last
}
