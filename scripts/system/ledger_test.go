package system

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// conversation is where a message goes: a group, or a partner.
type conversation struct {
	group   string // session id; "" for 1:1
	partner string // of the sender
}

// entry is one message as its sender knows it.
type entry struct {
	id, from, kind string
	to             conversation
	body           string // of the stanza: copies carry it byte for byte
	stored         string // as HTTP answers it
	msgTime        string // that the acknowledgement told; "" until there is one
}

// ledger is what the senders of a test know: what they sent, and what they were promised. Nothing in it comes from the product but receipts.
type ledger struct {
	mu     sync.Mutex
	sent   map[string]*entry
	order  []*entry
	acked  int
	faults []string // receipts and errors that contradict each other or the protocol

	repeats, waits int // sent again, told to wait
	lastAck        time.Time
}

func newLedger() *ledger { return &ledger{sent: map[string]*entry{}} }

func (l *ledger) add(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[e.id] = e
	l.order = append(l.order, e)
}

// receipt notes an acknowledgement. It is true for the first one.
func (l *ledger) receipt(id, msgTime string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.sent[id]
	switch {
	case e == nil:
		l.faults = append(l.faults, "a receipt of "+id+", which nobody sent")
		return false
	case msgTime == "":
		l.faults = append(l.faults, "a receipt of "+id+" without a time")
	case e.msgTime == "":
		e.msgTime = msgTime
		l.acked++
		l.lastAck = time.Now()
		return true
	case e.msgTime != msgTime:
		l.faults = append(l.faults, fmt.Sprintf("receipts of %s tell %s and %s", id, e.msgTime, msgTime))
	}
	return false
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

func (l *ledger) count(repeats, waits int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.repeats += repeats
	l.waits += waits
}

// receipts is how many messages have theirs, and when the last one came.
func (l *ledger) receipts() (int, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked, l.lastAck
}

// tries is how often something was sent again, and how often somebody was told to wait.
func (l *ledger) tries() (repeats, waits int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.repeats, l.waits
}

// in lists the messages of a conversation as the two users, or the group, see it.
func (l *ledger) in(match func(*entry) bool) map[string]*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := map[string]*entry{}
	for _, e := range l.order {
		if match(e) {
			list[e.id] = e
		}
	}
	return list
}

func inGroup(session string) func(*entry) bool {
	return func(e *entry) bool { return e.to.group == session }
}

func between(a, b string) func(*entry) bool {
	return func(e *entry) bool {
		return e.to.group == "" && (e.from == a && e.to.partner == b || e.from == b && e.to.partner == a)
	}
}

// judge holds a history (newest first, as HTTP answers it) against the ledger's messages of that conversation: everything that got its
// receipt is there, once, unchanged, with the time of the receipt; nothing is there that nobody sent; times strictly increase. It returns
// the ids in their order, oldest first.
func (l *ledger) judge(t *testing.T, name string, history rows, sent map[string]*entry) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if history.Total != len(history.List) {
		t.Errorf("%s: got the total %d with %d rows, want the same number", name, history.Total, len(history.List))
	}
	var order []string
	seen := map[string]bool{}
	before := ""
	for _, m := range slices.Backward(history.List) {
		e := sent[m.ID]
		switch {
		case e == nil:
			t.Errorf("%s holds %s, want only what somebody sent there", name, m.ID)
			continue
		case seen[m.ID]:
			t.Errorf("%s: %s is stored twice, want it once", name, m.ID)
			continue
		case m.From != e.from || m.Type != e.kind || m.Body != e.stored:
			t.Errorf("%s: %s is stored as %s %s %q, want it as it was sent, %s %s %q", name, m.ID, m.From, m.Type, m.Body, e.from, e.kind, e.stored)
		case e.msgTime != "" && e.msgTime != m.Time:
			t.Errorf("%s: %s is stored with the time %s, want %s as its acknowledgement told", name, m.ID, m.Time, e.msgTime)
		case len(m.Time) == len(before) && m.Time <= before:
			t.Errorf("%s: %s has the time %s, want it later than %s, which stands before it", name, m.ID, m.Time, before)
		}
		before = m.Time
		seen[m.ID] = true
		order = append(order, m.ID)
	}
	for _, e := range sent {
		if e.msgTime != "" && !seen[e.id] {
			t.Errorf("%s: LOST %s, want it stored: it was acknowledged", name, e.id)
		}
	}
	return order
}

// faultless fails the test for what the senders saw.
func (l *ledger) faultless(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, fault := range l.faults {
		if i == 10 {
			t.Errorf("got %d more, want none", len(l.faults)-i)
			break
		}
		t.Error(fault)
	}
}

// arrivals is what one device got, in order.
type arrivals struct {
	name string

	mu   sync.Mutex
	ids  []string // with repeats, ASYNC copies left out
	seen map[string]int
	own  map[string]int   // ASYNC copies
	when map[string]int64 // the first one came, in epoch milliseconds
	odd  []string         // copies that are not what was sent
	wake chan struct{}    // room for one: something came
}

func newArrivals(name string) *arrivals {
	return &arrivals{name: name, seen: map[string]int{}, own: map[string]int{}, when: map[string]int64{}, wake: make(chan struct{}, 1)}
}

// take notes a copy. One that was made anew after a crash carries the stored body, any other the sender's text byte for byte.
func (a *arrivals) take(m lab.Message, l *ledger) {
	l.mu.Lock()
	e := l.sent[m.ID]
	l.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case e == nil:
		a.odd = append(a.odd, fmt.Sprintf("nobody sent %s", m.Raw))
		return
	case m.Body != e.body && !sameMessage(m, e):
		a.odd = append(a.odd, fmt.Sprintf("%s was sent as %q", m.Raw, e.body))
	case m.Subject == "ASYNC":
		a.own[m.ID]++
	default:
		if a.seen[m.ID] == 0 {
			a.when[m.ID] = time.Now().UnixMilli()
		}
		a.ids = append(a.ids, m.ID)
		a.seen[m.ID]++
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func sameMessage(m lab.Message, e *entry) bool {
	env, err := m.Envelope()
	if err != nil || env.ID != e.id || env.From != e.from || env.Type != e.kind {
		return false
	}
	got, err := env.Objects()
	if err != nil {
		return false
	}
	want, err := lab.Envelope{Body: []byte(e.stored)}.Objects()
	return err == nil && fmt.Sprint(got) == fmt.Sprint(want)
}

// lacks lists which of these ids did not come.
func (a *arrivals) lacks(ids []string, async bool) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := a.seen
	if async {
		from = a.own
	}
	var list []string
	for _, id := range ids {
		if from[id] == 0 {
			list = append(list, id)
		}
	}
	return list
}

// inOrder fails the test unless those of the conversation's messages that came, came in its order, repeats left aside.
func (a *arrivals) inOrder(t *testing.T, order []string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	place := map[string]int{}
	for i, id := range order {
		place[id] = i + 1
	}
	seen, last, wrong := map[string]bool{}, 0, 0
	for _, id := range a.ids {
		at := place[id]
		if at == 0 || seen[id] {
			continue
		}
		seen[id] = true
		if at < last {
			if wrong++; wrong <= 3 {
				t.Errorf("%s got message %d (%s) after message %d, want them in order", a.name, at, id, last)
			}
		}
		last = max(last, at)
	}
	if wrong > 3 {
		t.Errorf("%s got %d messages out of order, want none", a.name, wrong)
	}
}

// storedFirst fails the test when a message came before the server's clock stored it, where all run on one machine and one clock; the server's runs
// ahead by a millisecond for each message that it takes in one.
func (a *arrivals) storedFirst(t *testing.T, l *ledger) {
	t.Helper()
	const ahead = 300
	l.mu.Lock()
	defer l.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, when := range a.when {
		if at, err := strconv.ParseInt(l.sent[id].msgTime, 10, 64); err == nil && when+ahead < at {
			t.Errorf("%s got %s %d ms before it was stored, want at most %d ms", a.name, id, at-when, ahead)
		}
	}
}

// sound fails the test for copies that are not what was sent, and returns how many copies were repeats.
func (a *arrivals) sound(t *testing.T) (repeats int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, text := range a.odd {
		if i == 3 {
			t.Errorf("%s: got %d more, want none", a.name, len(a.odd)-i)
			break
		}
		t.Errorf("%s: got %s, want none of it", a.name, text)
	}
	return len(a.ids) - len(a.seen)
}

// once fails the test unless a queue holds each of these ids exactly once, and nothing of the conversation twice.
func once(t *testing.T, name string, queue rows, ids []string) {
	t.Helper()
	have := map[string]int{}
	for _, m := range queue.List {
		if have[m.ID]++; have[m.ID] == 2 {
			t.Errorf("%s: %s is queued twice, want it once", name, m.ID)
		}
	}
	missing := 0
	for _, id := range ids {
		if have[id] == 0 {
			if missing++; missing <= 3 {
				t.Errorf("%s: LOST %s, want it queued", name, id)
			}
		}
	}
	if missing > 3 {
		t.Errorf("%s: LOST %d of %d, want none", name, missing, len(ids))
	}
}

// count is how many different messages came.
func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}
