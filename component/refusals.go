package component

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlim/component/protocol"
)

// Refusal is a message that was refused, as administrators are told: nothing of it is stored, so nobody else knows of it but its sender.
type Refusal struct {
	At    time.Time
	MsgID string // of the envelope, or of the stanza where that could not be read
	Type  string // likewise "" where it could not be read
	From  string // whose client has sent it
	To    string // a user or a group; "" where it could not be read
	Why   *protocol.Error
}

// refusalLog holds the last ones. Of one sender few are kept, so that nobody pushes out those of others.
type refusalLog struct {
	mu sync.Mutex
	of *simplelru.LRU[string, []Refusal] // by sender, oldest first
}

// What is kept of refusals: some 6 MB where all are long.
const (
	maxRefusedSenders = 1000
	maxRefusals       = 20 // of one sender
)

func newRefusalLog() *refusalLog {
	of, _ := simplelru.NewLRU[string, []Refusal](maxRefusedSenders, nil) // fails for a size below 1 only
	return &refusalLog{of: of}
}

func (r *refusalLog) add(one Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, _ := r.of.Get(one.From)
	if len(list) == maxRefusals {
		list = slices.Delete(list, 0, 1)
	}
	r.of.Add(one.From, append(list, one))
}

// Refusals are those of a message id or, where that is "", those that a user sent or was to get; newest first, as far as they are remembered.
func (s *Service) Refusals(msgID, user string) []Refusal {
	s.refused.mu.Lock()
	defer s.refused.mu.Unlock()
	list := []Refusal{}
	for _, of := range s.refused.of.Values() {
		for _, one := range of {
			if msgID != "" && one.MsgID == msgID || msgID == "" && (protocol.SameUser(one.From, user) || protocol.SameUser(one.To, user)) {
				list = append(list, one)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Refusal) int { return b.At.Compare(a.At) })
	return list
}

// refusal says what was refused to whom.
func (a *arrival) refusal(why *protocol.Error, now time.Time) Refusal {
	one := Refusal{At: now, MsgID: a.st.ID, From: a.from.Local, Why: why}
	if e := a.named; e != nil {
		one.Type, one.To = e.Type, e.To
		if e.MsgID != "" {
			one.MsgID = e.MsgID
		}
		if protocol.SameUser(e.From, one.From) { // as they spell it themselves
			one.From = e.From
		}
	}
	return one
}
