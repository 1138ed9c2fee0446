package tracking

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tlim/component/protocol"
	"tlim/component/unasked"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Where a user's copy of a message is, as far as memory holds it; see [unconfirmed.State].
const (
	CopyWaits    = unconfirmed.Waits
	CopySent     = unconfirmed.Sent
	CopyAsked    = unconfirmed.Asked
	CopyAnswered = unconfirmed.Answered
	CopyRow      = unconfirmed.Row
	CopyFollows  = unconfirmed.Follows
)

// Proof is how it is known that a phone has a message; see [unconfirmed.Proof].
type Proof = unconfirmed.Proof

// The proofs.
const (
	ProofNone    = unconfirmed.ProofNone
	ProofPings   = unconfirmed.ProofPings
	ProofReceipt = unconfirmed.ProofReceipt
	ProofFetched = unconfirmed.ProofFetched
)

// Sight is what memory knows of one user and one message.
type Sight struct {
	User  string
	Where unconfirmed.State // "" when no copy of theirs is in memory
	Sent  time.Time         // when that went out; zero when it did not
	Proof Proof             // how a phone of theirs got it
	At    time.Time         // when that was; zero without a Proof

	Missed time.Time // when a copy of theirs became a row although it had been sent: nothing confirmed it; zero where none is remembered
}

// Look says of these users, by canonical id, what memory knows of a message, and how far deliveries are known to be routed. It
// knows what came since the process started, and of the proofs the last ones.
func (t *Tracker) Look(msgID string, users []string) (list []Sight, delivered int64) {
	people := make([]protocol.Person, len(users))
	for i, user := range users {
		people[i] = protocol.NewPerson(user, t.Server)
	}
	delivered = t.Delivered()
	where := map[string]unconfirmed.Where{}
	for _, w := range t.Unconfirmed.Where(msgID, people) {
		where[w.User] = w
	}
	list = make([]Sight, len(users))
	for i, p := range people {
		list[i] = Sight{User: p.ID, Where: where[p.ID].State, Sent: where[p.ID].Sent}
		if how, at := t.Proofs.Of(p.Local, msgID); how != ProofNone {
			list[i].Proof, list[i].At = how, at
		}
		if how, at := t.Missed.Of(p.ID, msgID); how != ProofNone {
			list[i].Missed = at
		}
	}
	return list, delivered
}

// Device is a device that is known to be there.
type Device struct {
	Resource string
	Class    string // web, android, ios or other
	Show     string // "" is available
	Since    time.Time
}

// Devices lists the devices of each of these users, by canonical id. known says whether the absence of a device means anything: a
// snapshot of the server is there.
func (t *Tracker) Devices(users []string) (list [][]Device, known bool) {
	known = t.Presence.Known()
	list = make([][]Device, len(users))
	for i, user := range users {
		list[i] = []Device{}
		p := protocol.NewPerson(user, t.Server)
		for _, d := range t.Presence.Devices(p.Local) {
			_, resource, _ := strings.Cut(d.Full, "/")
			list[i] = append(list[i], Device{Resource: resource, Class: unasked.ClassOf(resource), Show: d.Show, Since: d.Seen})
		}
		slices.SortFunc(list[i], func(a, b Device) int { return cmp.Compare(a.Resource, b.Resource) })
	}
	return list, known
}

// CountWaiting counts what Waiting lists for each of these users, by canonical id.
func (t *Tracker) CountWaiting(users []string) []int {
	people := make([]protocol.Person, len(users))
	for i, user := range users {
		people[i] = protocol.NewPerson(user, t.Server)
	}
	return t.Unconfirmed.CountQueues(people)
}

// Waiting is what waits for a user and is in memory alone: copies that nothing proves to be received, and rows that are still to be written, in the
// order of time.
func (t *Tracker) Waiting(user string) []store.OfflineMessage {
	p := protocol.NewPerson(user, t.Server)
	return unconfirmed.Rows(p.ID, t.Unconfirmed.Queue(p))
}
