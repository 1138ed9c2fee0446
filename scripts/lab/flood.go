package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tlim/component/pause"
)

// Flood is a group that is written into faster than the server can deliver, while two others talk.
type Flood struct {
	Server    *Server
	Component string              // C
	Session   string              // the group's id
	Members   []string            // of the group; the first Writers of them write
	Pair      [2]string           // who talk meanwhile; not members
	Password  func(string) string // of a user

	Writers int
	Rate    float64       // messages a second of each writer
	Size    int           // bytes of an envelope, at least
	Time    time.Duration // for which they write
	Settle  time.Duration // until everything accepted must have arrived
}

// FloodResult is what the clients of a flood saw.
type FloodResult struct {
	Sent     int
	Accepted int             // messages with an acknowledgement
	Refused  map[string]int  // others, by the text of their error
	Silent   int             // messages without an answer
	Copies   int             // of accepted messages, that arrived
	Missing  int             // of accepted messages, that did not
	Twice    int             // copies of one message to one member, beyond the first
	Disorder int             // members that got the messages in another order than the first member
	Last     time.Duration   // from the end of writing to the last copy
	Waits    []time.Duration // of the pair's messages, in the order in which they were sent; those that never came: 0
	Heap     []HeapUse       // of the server, in the order of time; empty when it runs on no JVM
}

// Slowest is the longest that a message of the pair took; a message that never came counts as a minute.
func (f *FloodResult) Slowest() time.Duration {
	slowest := time.Duration(0)
	for _, w := range f.Waits {
		if w == 0 {
			w = time.Minute
		}
		slowest = max(slowest, w)
	}
	return slowest
}

// FullestHeap is the highest share of the old generation that was in use.
func (f *FloodResult) FullestHeap() float64 {
	fullest := 0.0
	for _, h := range f.Heap {
		fullest = max(fullest, h.Old)
	}
	return fullest
}

// floodMark begins the ids of a flood's messages, which end with their number.
const floodMark = "flood-"

// flood is a Flood under way.
type flood struct {
	Flood
	run     string
	members []*floodMember
	sent    atomic.Int64
	answers []atomic.Int32 // by message: 0, floodTaken or floodRefused

	mu      sync.Mutex
	refused map[string]int
}

const (
	floodTaken   = 1
	floodRefused = 2
)

// floodMember counts what one member gets.
type floodMember struct {
	f      *flood
	client *Client

	mu   sync.Mutex
	got  []int32 // numbers of messages, as they came
	last time.Time
}

// Run logs everybody in, lets them write, and waits for what was accepted to arrive. Its error is about the test itself, or a client that
// was thrown out; what the clients saw is for the caller to judge.
func (f Flood) Run(ctx context.Context) (result *FloodResult, err error) {
	r := &flood{Flood: f, run: NewID()[:8], refused: map[string]int{}}
	maxMessages := int(float64(f.Writers)*f.Rate*f.Time.Seconds()) + f.Writers
	r.answers = make([]atomic.Int32, maxMessages)
	defer func() {
		for _, m := range r.members {
			m.client.Kill()
		}
	}()
	for _, user := range f.Members {
		m := &floodMember{f: r}
		m.client, err = Dial(ctx, f.Server.C2S, f.Server.Domain, user, f.Password(user), "phone", WithPresence("", 0), WithEach(m.stanza))
		if err != nil {
			return nil, err
		}
		r.members = append(r.members, m)
	}
	pair, err := f.dialPair(ctx)
	if err != nil {
		return nil, err
	}
	defer pair.close()

	// 1. everybody writes
	stopHeap := f.Server.watchHeap(ctx)
	writing, stop := context.WithTimeout(ctx, f.Time)
	defer stop()
	var work sync.WaitGroup
	failed := make(chan error, f.Writers+1)
	for i := range f.Writers {
		work.Go(func() { failed <- r.write(writing, r.members[i]) })
	}
	work.Go(func() { failed <- pair.talk(writing) })
	work.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return nil, err
		}
	}
	ended := time.Now()

	// 2. what was accepted arrives
	settled, cancel := context.WithTimeout(ctx, f.Settle)
	defer cancel()
	r.settle(settled, pair)
	result = r.result(ended)
	result.Waits = pair.waits()
	result.Heap, err = stopHeap()
	for _, m := range r.members {
		if gone := m.client.Err(); gone != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", m.client.JID, gone))
		}
	}
	return result, err
}

// write sends at the rate, whatever comes back. A writer that the server holds up sends what is due as soon as it can.
func (f *flood) write(ctx context.Context, m *floodMember) error {
	user, _, _ := strings.Cut(m.client.JID, "@")
	pad := ""
	began := time.Now()
	for n := 0; ; n++ {
		if pause.For(ctx, time.Until(began.Add(time.Duration(float64(n)/f.Rate*float64(time.Second))))) != nil {
			return nil
		}
		number := int(f.sent.Add(1)) - 1
		if number >= len(f.answers) {
			f.sent.Add(-1)
			return nil
		}
		id := fmt.Sprintf("%s%s-%d", floodMark, f.run, number)
		body := GroupText(user, f.Session, id, pad)
		if missing := f.Size - len(body); missing > 0 {
			pad += strings.Repeat("x", missing)
			body = GroupText(user, f.Session, id, pad)
		}
		if err := m.client.SendMessage(f.Component, id, body, `<tlim xmlns="im.itonglian.com" ack="1"/>`); err != nil {
			return fmt.Errorf("%s: %w", m.client.JID, err)
		}
	}
}

// numberAt reads the number of a message whose id begins at b; false when it is no message of this flood.
func (f *flood) numberAt(b []byte) (int, bool) {
	b, ok := bytes.CutPrefix(b, []byte(floodMark+f.run+"-"))
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(b[:end]))
	return n, err == nil && n < len(f.answers)
}

// stanza is called by the client's reader.
func (f *floodMember) stanza(raw []byte) {
	head := raw[:bytes.IndexByte(raw, '>')+1]
	i := bytes.Index(head, []byte(floodMark))
	switch {
	case i >= 0 && bytes.Contains(head, []byte(`type="error"`)):
		if n, ok := f.f.numberAt(head[i:]); ok {
			f.f.answer(n, floodRefused)
			f.f.mu.Lock()
			f.f.refused[text(child(child(raw, "error", ""), "text", ""))]++
			f.f.mu.Unlock()
		}
	case i >= 0:
		if n, ok := f.f.numberAt(head[i:]); ok {
			f.mu.Lock()
			f.got = append(f.got, int32(n))
			f.last = time.Now()
			f.mu.Unlock()
		}
	case bytes.Contains(raw, []byte("MTC-100")):
		for rest := raw; ; {
			i := bytes.Index(rest, []byte(floodMark))
			if i < 0 {
				return
			}
			rest = rest[i:]
			if n, ok := f.f.numberAt(rest); ok {
				f.f.answer(n, floodTaken)
			}
			rest = rest[len(floodMark):]
		}
	}
}

func (f *flood) answer(number int, what int32) { f.answers[number].Store(what) }

// settle waits until each message is answered and each accepted one is there, or ctx ends.
func (f *flood) settle(ctx context.Context, pair *floodPair) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		result := f.result(time.Now())
		if result.Silent == 0 && result.Missing == 0 && !slices.Contains(pair.waits(), 0) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// result is what was seen up to now.
func (f *flood) result(ended time.Time) *FloodResult {
	r := &FloodResult{Sent: int(f.sent.Load()), Refused: map[string]int{}}
	f.mu.Lock()
	for text, n := range f.refused {
		r.Refused[text] = n
	}
	f.mu.Unlock()
	accepted := make([]bool, r.Sent)
	for i := range accepted {
		switch f.answers[i].Load() {
		case 0:
			r.Silent++
		case floodTaken:
			accepted[i] = true
			r.Accepted++
		}
	}
	var first []int32
	for i, m := range f.members {
		m.mu.Lock()
		got := slices.Clone(m.got)
		r.Last = max(r.Last, m.last.Sub(ended))
		m.mu.Unlock()
		seen := make([]bool, r.Sent)
		order := got[:0]
		for _, n := range got {
			switch {
			case int(n) >= len(seen):
			case seen[n]:
				r.Twice++
			default:
				seen[n] = true
				order = append(order, n)
				if accepted[n] {
					r.Copies++
				}
			}
		}
		if i == 0 {
			first = order
		} else if !slices.Equal(first, order) {
			r.Disorder++
		}
	}
	r.Missing = r.Accepted*len(f.members) - r.Copies
	return r
}

// floodPair are two who talk, message after message.
type floodPair struct {
	f        Flood
	one, two *Client

	mu      sync.Mutex
	sent    []time.Time
	arrived []time.Time
	came    int // how many of them arrived
}

const (
	// pairEvery is how far two messages of the pair lie apart.
	pairEvery = 100 * time.Millisecond
	// maxPairAhead is how many of them may be on their way: fewer than limits.per_user_inflight lets wait, or on a slow machine
	// the pair is refused, and what was refused never comes.
	maxPairAhead = 32
)

const pairMark = "pair-"

func (f Flood) dialPair(ctx context.Context) (*floodPair, error) {
	p := &floodPair{f: f}
	dial := func(user string, each func([]byte)) (*Client, error) {
		return Dial(ctx, f.Server.C2S, f.Server.Domain, user, f.Password(user), "phone", WithPresence("", 0), WithEach(each))
	}
	var err error
	if p.one, err = dial(f.Pair[0], func([]byte) {}); err != nil {
		return nil, err
	}
	if p.two, err = dial(f.Pair[1], p.stanza); err != nil {
		p.one.Kill()
	}
	return p, err
}

func (f *floodPair) close() {
	f.one.Kill()
	f.two.Kill()
}

func (f *floodPair) talk(ctx context.Context) error {
	ticker := time.NewTicker(pairEvery)
	defer ticker.Stop()
	for {
		if n, ok := f.next(); ok {
			id := fmt.Sprintf("%s%d-%s", pairMark, n, NewID()[:8])
			if err := f.one.SendMessage(f.f.Component, id, Text(f.f.Pair[0], f.f.Pair[1], id, "hello")); err != nil {
				return fmt.Errorf("%s: %w", f.one.JID, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// next notes that a message is sent, and is its number; false while too many are on their way.
func (f *floodPair) next() (n int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.sent)-f.came >= maxPairAhead {
		return 0, false
	}
	f.sent, f.arrived = append(f.sent, time.Now()), append(f.arrived, time.Time{})
	return len(f.sent) - 1, true
}

func (f *floodPair) stanza(raw []byte) {
	head := raw[:bytes.IndexByte(raw, '>')+1]
	_, rest, ok := bytes.Cut(head, []byte(pairMark))
	if !ok {
		return
	}
	number, _, _ := bytes.Cut(rest, []byte("-"))
	n, err := strconv.Atoi(string(number))
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && n < len(f.arrived) && f.arrived[n].IsZero() {
		f.arrived[n] = time.Now()
		f.came++
	}
}

func (f *floodPair) waits() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]time.Duration, len(f.sent))
	for i, at := range f.arrived {
		if !at.IsZero() {
			list[i] = at.Sub(f.sent[i])
		}
	}
	return list
}
