package component

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// simLooks answers the first question of each connection, and what the story asks itself.
type simLooks struct {
	m     *simulation
	mu    sync.Mutex
	first bool
}

var errNotAsked = errors.New("the story looks when it wants to")

func (l *simLooks) Snapshot(context.Context) ([]presence.Session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.first {
		return nil, errNotAsked
	}
	l.first = false
	return l.m.sessions(), nil
}

// simLink is the server's end: it routes what it is sent at once, or when it wakes from a stall, or never.
type simLink struct {
	m          *simulation
	mu         sync.Mutex
	broken     bool // what is sent is refused
	stalled    bool
	dead       bool          // the process was killed: nothing leaves it
	slow       chan struct{} // room for one: there is something to route, by a goroutine that takes its time; nil: it is routed at once
	flight     []func(error)
	routing    bool      // one of them is at work
	copies     []simCopy // sent in this step
	routed     []simCopy
	posts      []string
	faults     []string
	before     func() // once, at the begin of Deliver
	after      func() // once, at its end
	delivering int    // calls of Deliver that are at work
	life       int    // counts what the connection goes through
	downs      int    // how often the process was told that it was lost: it forgets its questions then
	there      map[simDevice]*simPhone
	asked      []*simPing // in this step
	answers    []simAnswer
	prosody    bool // how the server answers
	curt       bool // how clients answer that know no pings
	swaps      bool // clients come back in between a copy and the ping behind it
	swapped    []simDevice
	lost       map[string]bool // in this step: msg_id and full JID of copies for the session before
}

func (l *simLink) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead, l.broken, l.stalled, l.flight = false, true, false, nil
	l.life++
}

func (l *simLink) Deliver(_ context.Context, list []stanza.Delivery, runs ...stanza.Run) error {
	l.mu.Lock()
	before, after := l.before, l.after
	life, downs := l.life, l.downs // of the connection that this is meant for
	l.before, l.after = nil, nil
	l.delivering++
	l.mu.Unlock()
	defer l.set(func() { l.delivering-- }) // when its hooks are through
	if before != nil {
		before()
	}
	if after != nil {
		defer after()
	}
	l.mu.Lock()
	if l.broken || l.dead {
		l.mu.Unlock()
		return io.ErrClosedPipe
	}
	for i := range list {
		if d := &list[i]; !l.m.disk.has(d.ID) {
			l.faults = append(l.faults, fmt.Sprintf("%s was sent before it was committed", d.ID))
		}
		for _, target := range list[i].To {
			l.copy(&list[i], target)
		}
	}
	for _, r := range runs {
		l.run(r, list, life, downs)
	}
	l.mu.Unlock()
	l.work()
	return nil
}

func (l *simLink) copy(d *stanza.Delivery, target stanza.Target) {
	c := simCopy{d.ID, target.JID, strings.Contains(string(d.Payload), "<subject>ASYNC</subject>")}
	l.copies = append(l.copies, c)
	l.flight = append(l.flight, func(err error) {
		if err == nil {
			l.set(func() { l.routed = append(l.routed, c) })
		}
	})
}

func (l *simLink) Barrier(done func(error)) {
	l.mu.Lock()
	if l.broken || l.dead {
		l.mu.Unlock()
		done(io.ErrClosedPipe)
		return
	}
	l.flight = append(l.flight, done)
	l.mu.Unlock()
	l.work()
}

// work routes what is in flight, or lets it be routed.
func (l *simLink) work() {
	if l.slow == nil {
		l.route(func() {})
		return
	}
	select {
	case l.slow <- struct{}{}:
	default:
	}
}

// crawl is a server that is busy: it routes one thing after the other.
func (l *simLink) crawl(ctx context.Context) {
	for {
		select {
		case <-l.slow:
			l.route(func() { time.Sleep(20 * time.Microsecond) })
		case <-ctx.Done():
			return
		}
	}
}

// disarm takes back the hooks that have not been called, and returns when those that have are through.
func (l *simLink) disarm() {
	for {
		l.mu.Lock()
		l.before, l.after = nil, nil
		delivering := l.delivering
		l.mu.Unlock()
		if delivering == 0 {
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// idle says whether nothing is in flight that would be routed.
func (l *simLink) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stalled || l.broken || l.dead || len(l.flight) == 0 && !l.routing
}

func (l *simLink) route(pause func()) {
	for {
		l.mu.Lock()
		if l.stalled || l.broken || len(l.flight) == 0 {
			l.mu.Unlock()
			return
		}
		next := l.flight[0]
		l.flight = l.flight[1:]
		l.routing = true
		l.mu.Unlock()
		next(nil)
		l.set(func() { l.routing = false })
		pause()
	}
}

// cut loses what is in flight.
func (l *simLink) cut() {
	l.mu.Lock()
	l.broken = true
	l.life++
	lost := l.flight
	l.flight = nil
	l.mu.Unlock()
	for _, f := range lost {
		f(io.ErrClosedPipe)
	}
	for l.slow != nil && l.atWork() {
		time.Sleep(20 * time.Microsecond)
	}
}

// atWork says whether something is just being routed.
func (l *simLink) atWork() (is bool) {
	l.set(func() { is = l.routing })
	return is
}

// unplug loses the connection, and tells the process.
func (m *simulation) unplug() {
	m.link.cut()
	m.link.set(func() { m.link.downs++ })
	m.Down(io.EOF)
}

func (l *simLink) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *simLink) Answer(_ string, b []byte) bool { return l.Post(b) }

func (l *simLink) Post(b []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	l.posts = append(l.posts, string(b))
	for _, entry := range simReceipt(string(b)) {
		if !l.m.disk.has(entry[0]) {
			l.faults = append(l.faults, fmt.Sprintf("%s was acknowledged before it was committed", entry[0]))
		}
	}
	return !l.broken
}

// done hands over what was routed.
func (l *simLink) done() (list []simCopy) {
	l.set(func() { list, l.routed = l.routed, nil })
	return list
}

// simReceipt reads msg_id and msg_time of the entries of a server receipt.
func simReceipt(post string) (list [][2]string) {
	st, err := stanza.Parse([]byte(post))
	if err != nil {
		return nil
	}
	body, _ := st.Child("body", "")
	env := gjson.Parse(body.Text())
	if env.Get("msg_type").String() != "MTC-100" {
		return nil
	}
	for _, o := range gjson.Parse(env.Get("body").String()).Array() {
		list = append(list, [2]string{o.Get("msg_id").String(), o.Get("msg_time").String()})
	}
	return list
}

func (l *simLink) take() (copies []simCopy, posts, faults []string, asked []*simPing, answers []simAnswer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	copies, posts, faults, asked, answers = l.copies, l.posts, l.faults, l.asked, l.answers
	l.copies, l.posts, l.faults, l.asked, l.answers = nil, nil, nil, nil, nil
	return copies, posts, faults, asked, answers
}

// simLostCommit is what becomes of a COMMIT whose answer is lost.
type simLostCommit string

const (
	simNoLoss  simLostCommit = ""
	simHappens simLostCommit = "happens"
	simFails   simLostCommit = "fails"
)

// simStore is the database as the process sees it.
type simStore struct {
	*store.Store
	m *simulation

	mu        sync.Mutex
	away      bool // nothing can be written
	blind     bool // nothing can be read
	dead      bool
	poison    bool          // texts that say so cannot be stored
	unknown   simLostCommit // the answer to the next COMMIT of an id is lost
	doubt     int           // how often Committed cannot tell
	committed map[store.IDKey]bool
	last      map[string]int64 // newest time by conversation
	log       []store.Change   // of this step
	faults    []string
	before    func() // once, before a COMMIT of a message
	after     func() // once, after it
}

func (s *simStore) open(db *store.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Store, s.dead, s.away, s.blind = db, false, false, false
}

func (s *simStore) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// has says whether a message that is to be stored is; others begin with c.
func (s *simStore) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.HasPrefix(id, "c") || s.committed[store.IDKey{MsgID: id, Class: store.ClassMessage}] || s.committed[store.IDKey{MsgID: id, Class: store.ClassRevoke}]
}

func (s *simStore) IDs(ctx context.Context, ids []string) (map[store.IDKey]store.ID, error) {
	s.mu.Lock()
	blind := s.blind
	s.mu.Unlock()
	if blind {
		return nil, store.ErrUnavailable
	}
	return s.Store.IDs(ctx, ids)
}

func (s *simStore) Apply(ctx context.Context, epoch int64, pos store.Positions, changes []store.Change) error {
	names := func(c store.Change) bool { return len(c.IDs)+len(c.SetIDs) > 0 && c.Message != nil }
	s.mu.Lock()
	var before, after func()
	unknown := simNoLoss
	if slices.ContainsFunc(changes, names) {
		before, after, unknown = s.before, s.after, s.unknown
		s.before, s.after, s.unknown = nil, nil, simNoLoss
	}
	poison := s.poison && slices.ContainsFunc(changes, func(c store.Change) bool { return c.Message != nil && strings.Contains(c.Message.Body, "poison") })
	s.mu.Unlock()
	if before != nil {
		before()
	}
	s.mu.Lock()
	down := s.away || s.dead
	s.mu.Unlock()
	switch {
	case down:
		return store.ErrUnavailable
	case poison:
		return store.ErrData
	}
	if unknown != simNoLoss {
		st, err := s.State(ctx)
		if err != nil {
			return err
		}
		lost := &store.UnknownError{Epoch: st.Epoch, Batch: st.Batch + 1<<40, Err: errors.New("connection reset")}
		if unknown == simHappens {
			lost.Batch = st.Batch + 1
			if err := s.commit(ctx, epoch, pos, changes); err != nil {
				return err
			}
		}
		return lost
	}
	err := s.commit(ctx, epoch, pos, changes)
	if err == nil && after != nil {
		after()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.dead {
			return store.ErrUnavailable
		}
	}
	return err
}

func (s *simStore) commit(ctx context.Context, epoch int64, pos store.Positions, changes []store.Change) error {
	if err := s.Store.Apply(ctx, epoch, pos, changes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range changes {
		s.log = append(s.log, c)
		for _, id := range slices.Concat(c.IDs, c.SetIDs) {
			s.committed[store.IDKey{MsgID: id.MsgID, Class: id.Class}] = true
			if id.State != store.Live {
				continue
			}
			if at := protocol.ParseTime(id.Time); at <= s.last[id.Conversation] {
				s.faults = append(s.faults, fmt.Sprintf("msg_time %d of %s is not above %d", at, id.MsgID, s.last[id.Conversation]))
			} else {
				s.last[id.Conversation] = at
			}
		}
	}
	return nil
}

func (s *simStore) Committed(ctx context.Context, u *store.UnknownError) (bool, error) {
	s.mu.Lock()
	doubt := s.doubt > 0
	if doubt {
		s.doubt--
	}
	s.mu.Unlock()
	if doubt {
		return false, store.ErrUnavailable
	}
	return s.Store.Committed(ctx, u)
}

func (s *simStore) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *simStore) take() (log []store.Change, faults []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, faults = s.log, s.faults
	s.log, s.faults = nil, nil
	return log, faults
}
