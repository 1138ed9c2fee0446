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
func (t *Table) Answered(st *stanza.Stanza, from string) (known, gone bool) {
	id, a := st.ID, readAnswer(st)
	t.mu.Lock()
	defer t.mu.Unlock()
	if id == t.shape && from == t.nobody {
		t.repeats = t.repeats || a == answerRepeat
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
	case a == answerDoubt && p.answers == answersPings: // the client answers with results
		a = answerBounce
	}
	switch a {
	case answerProof:
		delete(t.asked, id)
		if id == proof.front {
			proof.front = ""
		} else {
			proof.behind = ""
		}
		t.answers(proof)
		if proof.front == "" && proof.behind == "" {
			t.both(proof)
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
	if proof.sent.After(p.alive) {
		if proof.sent.Sub(p.alive) > maxGap {
			p.since = proof.sent
		}
		p.alive = proof.sent
	}
	t.bounced.Remove(p.full)
	if t.hooks.How(u.local) != store.ConfirmsByPings {
		t.hooks.Mark(u.local)
		for i := range u.copies {
			u.copies[i].confirm = true
		}
	}
}

// both ends a proof of which both pings are answered.
func (t *Table) both(proof *proof) {
	p := proof.phone
	if i := slices.Index(p.late, proof); i >= 0 {
		p.late = slices.Delete(p.late, i, i+1)
		t.hooks.Note(PingLate)
		if t.doubt(proof) > SettleTime { // what it stood for is rows by now, and they stay
			t.giveUp(proof)
		} else {
			t.settle(proof)
		}
		return
	}
	if i := slices.Index(p.open, proof); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
		t.hooks.Note(PingAnswered)
	}
	switch doubt := t.doubt(proof); {
	case doubt == 0:
		t.settle(proof)
	case len(p.held) >= maxHeldProofs:
		t.giveUp(proof)
	default:
		proof.due = proof.sent.Add(doubt)
		p.held = append(p.held, proof)
		for c := range proof.copies() {
			c.held = true
		}
	}
}

// doubt is for how long after the pings were sent answers may be those of a session that was not available yet. Openfire routes a component's
// pings to a session that is bound, and a message from a user's address only to one that has sent its presence (measured): for one that replaces
// another under the same resource all copies in between are lost, and all pings answered. So what a phone answers counts soon only when a
// snapshot has seen it after the first of its answers without a gap. Else the copies stay unconfirmed until the grace is over: the queue that such a
// phone asks for when it is there has them, and when it is not seen in a snapshot they become rows.
func (t *Table) doubt(proof *proof) time.Duration {
	switch {
	case !t.hooks.ByUser:
		return 0
	case proof.asof.After(proof.phone.since):
		return min(SettleTime, t.grace)
	}
	return t.grace
}

// settle closes what a phone has got for certain.
func (t *Table) settle(proof *proof) {
	u := proof.phone.user
	at := 0
	for _, m := range proof.messages { // in the order of the copies, mostly
		for n := range u.copies {
			i := (at + n) % len(u.copies)
			if u.copies[i].message == m {
				t.close(&u.copies[i])
				t.hooks.Proved(u.local, m.Row.MsgID)
				at = i + 1
				break
			}
		}
	}
	for _, id := range proof.rows {
		t.hooks.Drop(u.local, id)
		t.hooks.Proved(u.local, id)
	}
	t.trim(u)
}
