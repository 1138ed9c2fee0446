package checker

import (
	"fmt"
	"maps"
	"slices"
)

// Kinds of violations.
const (
	Lost        = "lost"        // acknowledged, and not in the history, the database or the receiver's reach
	Doubled     = "doubled"     // stored twice
	Order       = "order"       // two orders of one conversation
	Interleaved = "interleaved" // two leaders wrote at a time
	Untrue      = "untrue"      // an acknowledgement, a row or a history says what is not so
	Incomplete  = "incomplete"  // the history of the run lacks what it would be judged by
)

// Violation is a promise that was broken.
type Violation struct {
	Kind string
	Text string
}

// Report is what a history came to.
type Report struct {
	Sent, Acknowledged int
	Again              int // copies that came live more than once to one user's phones
	Batches            int // transactions of leaders
	Terms              int // of leaders that wrote
	Violations         []Violation
}

// Count is the number of violations of a kind.
func (r *Report) Count(kind string) int {
	n := 0
	for _, v := range r.Violations {
		if v.Kind == kind {
			n++
		}
	}
	return n
}

// message is what is known of one.
type message struct {
	id, from, conversation string
	number                 int // in the order of the first try
	acknowledged           bool
	time                   string
}

// state is what one reading of the history gathers.
type state struct {
	report   Report
	members  map[string][]string
	messages map[string]*message
	sent     []string                       // in the order of the first try
	reach    map[string]map[string]bool     // user, message: seen by a phone, fetched or queued
	came     map[string]map[string]int      // user, message: live to phones
	live     map[string]map[string][]string // session, conversation: messages as they came first
	liveSeen map[string]map[string]bool
	phone    map[string]string             // session: whose phone it is
	begun    map[string]int                // session: how many messages had been sent when it began
	listed   map[string]map[string][]entry // conversation, reader
	rows     map[string]map[string][]entry // node, conversation
	batches  []Event
	wrote    []Event
}

type entry struct{ id, time string }

// Check judges a history.
func Check(events []Event) Report {
	s := &state{
		members: map[string][]string{}, messages: map[string]*message{}, reach: map[string]map[string]bool{}, came: map[string]map[string]int{},
		live: map[string]map[string][]string{}, liveSeen: map[string]map[string]bool{}, phone: map[string]string{}, begun: map[string]int{}, listed: map[string]map[string][]entry{}, rows: map[string]map[string][]entry{},
	}
	for i := range events {
		s.take(&events[i])
	}
	s.complete()
	s.stored()
	s.received()
	s.ordered()
	s.alone()
	return s.report
}

func (s *state) found(kind, format string, args ...any) {
	s.report.Violations = append(s.report.Violations, Violation{kind, fmt.Sprintf(format, args...)})
}

func (s *state) take(e *Event) {
	switch e.Kind {
	case Talk:
		s.members[e.Conversation] = e.Members
		if s.listed[e.Conversation] == nil {
			s.listed[e.Conversation] = map[string][]entry{}
		}
	case Sent:
		if s.messages[e.Message] == nil {
			s.messages[e.Message] = &message{id: e.Message, from: e.User, conversation: e.Conversation, number: len(s.sent)}
			s.sent = append(s.sent, e.Message)
			s.report.Sent++
		}
	case Acknowledged:
		s.acknowledged(e)
	case Login:
		s.begun[e.Session] = len(s.sent)
	case Seen:
		put(s.liveSeen, e.Session)
		if !s.liveSeen[e.Session][e.Message] {
			s.liveSeen[e.Session][e.Message] = true
			put(s.live, e.Session)
			s.live[e.Session][e.Conversation] = append(s.live[e.Session][e.Conversation], e.Message)
		}
		if !e.Page {
			s.phone[e.Session] = e.User
			put(s.came, e.User)
			if s.came[e.User][e.Message]++; s.came[e.User][e.Message] > 1 {
				s.report.Again++
			}
			put(s.reach, e.User)
			s.reach[e.User][e.Message] = true
		}
	case Fetched, Queued:
		put(s.reach, e.User)
		s.reach[e.User][e.Message] = true
	case Listed:
		put(s.listed, e.Conversation)
		if e.Message != "" { // an event without a message says that the history is empty
			s.listed[e.Conversation][e.Reader] = append(s.listed[e.Conversation][e.Reader], entry{e.Message, e.Time})
		} else if s.listed[e.Conversation][e.Reader] == nil {
			s.listed[e.Conversation][e.Reader] = []entry{}
		}
	case Row:
		put(s.rows, e.Node)
		if e.Message != "" {
			s.rows[e.Node][e.Conversation] = append(s.rows[e.Node][e.Conversation], entry{e.Message, e.Time})
		}
	case Batch:
		s.batches = append(s.batches, *e)
	case Wrote:
		s.wrote = append(s.wrote, *e)
	case Odd:
		s.found(Untrue, "%s", e.Text)
	}
}

func put[V any](m map[string]map[string]V, key string) {
	if m[key] == nil {
		m[key] = map[string]V{}
	}
}

func (s *state) acknowledged(e *Event) {
	m := s.messages[e.Message]
	switch {
	case m == nil:
		s.found(Untrue, "%s was acknowledged to %s, and nobody sent it", e.Message, e.User)
	case e.User != m.from:
		s.found(Untrue, "%s was acknowledged to %s, want it to its sender %s", e.Message, e.User, m.from)
	case !m.acknowledged:
		m.acknowledged, m.time = true, e.Time
		s.report.Acknowledged++
	case m.time != e.Time:
		s.found(Untrue, "%s was acknowledged at %s and at %s, want one time", e.Message, m.time, e.Time)
	}
}

// complete sees that there is something to judge by: a run that collected nothing must not look like one without faults.
func (s *state) complete() {
	for _, c := range slices.Sorted(maps.Keys(s.members)) {
		for _, reader := range s.members[c] {
			if s.listed[c][reader] == nil {
				s.found(Incomplete, "%s: %s did not read the history", c, reader)
			}
		}
	}
	if len(s.rows) == 0 {
		s.found(Incomplete, "no node of the database was read")
	}
	if len(s.batches) == 0 {
		s.found(Incomplete, "no transaction of a leader was seen")
	}
}

// stored looks at what each history and each node holds.
func (s *state) stored() {
	for _, c := range slices.Sorted(maps.Keys(s.members)) {
		for _, reader := range s.members[c] {
			s.holds(fmt.Sprintf("the history of %s that %s reads", c, reader), c, s.listed[c][reader])
		}
	}
	for _, node := range slices.Sorted(maps.Keys(s.rows)) {
		for _, c := range slices.Sorted(maps.Keys(s.members)) {
			s.holds(fmt.Sprintf("node %s, %s", node, c), c, s.rows[node][c])
		}
		for c := range s.rows[node] {
			if s.members[c] == nil {
				s.found(Untrue, "node %s has rows of %s, want only conversations of the run", node, c)
			}
		}
	}
}

func (s *state) holds(where, conversation string, list []entry) {
	have := map[string]int{}
	for _, e := range list {
		m := s.messages[e.id]
		if have[e.id]++; have[e.id] == 2 {
			s.found(Doubled, "%s: %s is there twice", where, e.id)
		}
		switch {
		case m == nil:
			s.found(Untrue, "%s: %s is there, and nobody sent it", where, e.id)
		case m.conversation != conversation:
			s.found(Untrue, "%s: %s is there, and was sent to %s", where, e.id, m.conversation)
		case m.acknowledged && m.time != e.time:
			s.found(Untrue, "%s: %s is there with the time %s, and was acknowledged with %s", where, e.id, e.time, m.time)
		}
	}
	for _, id := range s.sent {
		if m := s.messages[id]; m.acknowledged && m.conversation == conversation && have[id] == 0 {
			s.found(Lost, "%s: %s is not there, and was acknowledged at %s to %s", where, id, m.time, m.from)
		}
	}
}

// received looks whether each acknowledged message is in the reach of each receiver.
func (s *state) received() {
	for _, id := range s.sent {
		m := s.messages[id]
		if !m.acknowledged {
			continue
		}
		for _, user := range s.members[m.conversation] {
			if user != m.from && !s.reach[user][id] {
				s.found(Lost, "%s of %s in %s, acknowledged at %s: no phone of %s saw it, and it waits in no queue", id, m.from, m.conversation, m.time, user)
			}
		}
	}
}

// ordered looks at the order of each conversation.
func (s *state) ordered() {
	place := map[string]map[string]int{} // conversation, message
	for _, c := range slices.Sorted(maps.Keys(s.members)) {
		put(place, c)
		var first []entry
		for i, reader := range s.members[c] {
			list := s.listed[c][reader]
			if i == 0 {
				first = list
				for at, e := range list {
					place[c][e.id] = at + 1
					if at > 0 && list[at-1].time >= e.time {
						s.found(Order, "the history of %s: %s at %s stands before %s at %s", c, list[at-1].id, list[at-1].time, e.id, e.time)
					}
				}
			} else if !slices.Equal(list, first) {
				s.found(Order, "%s: %s and %s read two histories, of %d and %d messages", c, s.members[c][0], reader, len(first), len(list))
			}
		}
	}
	for _, session := range slices.Sorted(maps.Keys(s.live)) {
		for _, c := range slices.Sorted(maps.Keys(s.live[session])) {
			last, before := 0, ""
			for _, id := range s.live[session][c] {
				at, m := place[c][id], s.messages[id]
				// What is not in the history was not acknowledged, or is lost, which was told. What was sent before the session began is what its
				// app asks for at the login, and what a phone sent itself it has; live these come again only after a crash or a lost link.
				if at == 0 || m == nil || m.number < s.begun[session] || m.from == s.phone[session] {
					continue
				}
				if at < last {
					s.found(Order, "%s got %s (place %d of %s) after %s (place %d)", session, id, at, c, before, last)
					continue
				}
				last, before = at, id
			}
		}
	}
	var nodes []string
	for node := range s.rows {
		nodes = append(nodes, node)
	}
	slices.Sort(nodes)
	for _, c := range slices.Sorted(maps.Keys(s.members)) {
		for _, node := range nodes[min(1, len(nodes)):] {
			if !slices.Equal(s.rows[nodes[0]][c], s.rows[node][c]) {
				s.found(Order, "%s: the nodes %s and %s hold different rows", c, nodes[0], node)
			}
		}
	}
}

// alone looks whether leaders took turns.
func (s *state) alone() {
	s.report.Batches = len(s.batches)
	slices.SortStableFunc(s.batches, func(a, b Event) int { return int(a.Number - b.Number) })
	writer := map[int64]string{} // by term
	for i, b := range s.batches {
		if i > 0 {
			before := s.batches[i-1]
			switch {
			case b.Number == before.Number:
				s.found(Interleaved, "transaction %d was written twice, in term %d by %s and in term %d by %s", b.Number, before.Epoch, before.Writer, b.Epoch, b.Writer)
			case b.Number != before.Number+1:
				s.found(Interleaved, "transactions %d to %d are missing", before.Number+1, b.Number-1)
			}
			if b.Epoch < before.Epoch {
				s.found(Interleaved, "transaction %d is of term %d (%s), after one of term %d (%s)", b.Number, b.Epoch, b.Writer, before.Epoch, before.Writer)
			}
		}
		if writer[b.Epoch] == "" {
			writer[b.Epoch] = b.Writer
			s.report.Terms++
		} else if writer[b.Epoch] != b.Writer {
			s.found(Interleaved, "transaction %d of term %d is by %s, others of it by %s", b.Number, b.Epoch, b.Writer, writer[b.Epoch])
		}
	}
	for _, w := range s.wrote {
		if of := writer[w.Epoch]; of != "" && of != w.Writer {
			s.found(Interleaved, "%s of %s is by %s, in term %d of %s", w.Message, w.Table, w.Writer, w.Epoch, of)
		}
	}
}
