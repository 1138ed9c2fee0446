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

func (s *simLooks) Snapshot(context.Context) ([]presence.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.first {
		return nil, errNotAsked
	}
	s.first = false
	return s.m.sessions(), nil
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
	answers    []*simAnswer
	refused    bool // in this step, to deliver
	prosody    bool // how the server answers
	curt       bool // how clients answer that know no pings
	swaps      bool // clients come back in between a copy and the ping behind it
	swapped    []simDevice
	lost       map[string]bool // in this step: msg_id and full JID of copies for the session before
}

func (s *simLink) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.broken, s.stalled, s.flight = false, true, false, nil
	s.life++
}

func (s *simLink) Deliver(_ context.Context, list []stanza.Delivery, runs ...stanza.Run) error {
	s.mu.Lock()
	before, after := s.before, s.after
	life, downs := s.life, s.downs // of the connection that this is meant for
	s.before, s.after = nil, nil
	s.delivering++
	s.mu.Unlock()
	defer s.set(func() { s.delivering-- }) // when its hooks are through
	if before != nil {
		before()
	}
	if after != nil {
		defer after()
	}
	s.mu.Lock()
	if s.broken || s.dead {
		s.refused = true
		s.mu.Unlock()
		return io.ErrClosedPipe
	}
	for i := range list {
		if d := &list[i]; !s.m.disk.has(d.ID) {
			s.faults = append(s.faults, fmt.Sprintf("got %s sent before it was committed, want it after", d.ID))
		}
		for _, target := range list[i].To {
			s.copy(&list[i], target)
		}
	}
	for _, r := range runs {
		s.run(r, list, life, downs)
	}
	s.mu.Unlock()
	s.work()
	return nil
}

func (s *simLink) copy(d *stanza.Delivery, target stanza.Target) {
	c := simCopy{d.ID, target.JID, strings.Contains(string(d.Payload), "<subject>ASYNC</subject>")}
	s.copies = append(s.copies, c)
	s.flight = append(s.flight, func(err error) {
		if err == nil {
			s.set(func() { s.routed = append(s.routed, c) })
		}
	})
}

func (s *simLink) Barrier(done func(error)) {
	s.mu.Lock()
	if s.broken || s.dead {
		s.mu.Unlock()
		done(io.ErrClosedPipe)
		return
	}
	s.flight = append(s.flight, done)
	s.mu.Unlock()
	s.work()
}

// work routes what is in flight, or lets it be routed.
func (s *simLink) work() {
	if s.slow == nil {
		s.route(func() {})
		return
	}
	select {
	case s.slow <- struct{}{}:
	default:
	}
}

// crawl is a server that is busy: it routes one thing after the other.
func (s *simLink) crawl(ctx context.Context) {
	for {
		select {
		case <-s.slow:
			s.route(func() { time.Sleep(20 * time.Microsecond) })
		case <-ctx.Done():
			return
		}
	}
}

// disarm takes back the hooks that have not been called, and returns when those that have are through.
func (s *simLink) disarm() {
	for {
		s.mu.Lock()
		s.before, s.after = nil, nil
		delivering := s.delivering
		s.mu.Unlock()
		if delivering == 0 {
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// idle says whether nothing is in flight that would be routed.
func (s *simLink) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalled || s.broken || s.dead || len(s.flight) == 0 && !s.routing
}

func (s *simLink) route(pause func()) {
	for {
		s.mu.Lock()
		if s.stalled || s.broken || len(s.flight) == 0 {
			s.mu.Unlock()
			return
		}
		next := s.flight[0]
		s.flight = s.flight[1:]
		s.routing = true
		s.mu.Unlock()
		next(nil)
		s.set(func() { s.routing = false })
		pause()
	}
}

// cut loses what is in flight.
func (s *simLink) cut() {
	s.mu.Lock()
	s.broken = true
	s.life++
	lost := s.flight
	s.flight = nil
	s.mu.Unlock()
	for _, f := range lost {
		f(io.ErrClosedPipe)
	}
	for s.slow != nil && s.atWork() {
		time.Sleep(20 * time.Microsecond)
	}
}

// atWork says whether something is just being routed.
func (s *simLink) atWork() (is bool) {
	s.set(func() { is = s.routing })
	return is
}

// unplug loses the connection, and tells the process.
func (s *simulation) unplug() {
	s.link.cut()
	s.link.set(func() { s.link.downs++ })
	s.Down(io.EOF)
}

func (s *simLink) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *simLink) Answer(_ string, b []byte) bool { return s.Post(b) }

func (s *simLink) Post(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return false
	}
	s.posts = append(s.posts, string(b))
	for _, entry := range simAcknowledged(string(b)) {
		if !s.m.disk.has(entry[0]) {
			s.faults = append(s.faults, fmt.Sprintf("got %s acknowledged before it was committed, want it after", entry[0]))
		}
	}
	return !s.broken
}

// done hands over what was routed.
func (s *simLink) done() (list []simCopy) {
	s.set(func() { list, s.routed = s.routed, nil })
	return list
}

// simAcknowledged reads msg_id and msg_time of the entries of an acknowledgement.
func simAcknowledged(post string) (list [][2]string) {
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

func (s *simLink) take() (copies []simCopy, posts, faults []string, asked []*simPing, answers []*simAnswer, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	copies, posts, faults, asked, answers = s.copies, s.posts, s.faults, s.asked, s.answers
	s.copies, s.posts, s.faults, s.asked, s.answers = nil, nil, nil, nil, nil
	refused, s.refused = s.refused, false
	return copies, posts, faults, asked, answers, refused
}

// simLostCommit is what becomes of a COMMIT whose answer is lost.
type simLostCommit string

const (
	simNoLoss  simLostCommit = ""
	simHappens simLostCommit = "happens"
	simFails   simLostCommit = "fails"
)

// simPoisonText is what a text says that the database does not hold while it is poisoned.
const simPoisonText = "poison"

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
	poison := s.poison && slices.ContainsFunc(changes, func(c store.Change) bool { return c.Message != nil && strings.Contains(c.Message.Body, simPoisonText) })
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
			if at := protocol.TimeOrZero(id.Time); at <= s.last[id.Conversation] {
				s.faults = append(s.faults, fmt.Sprintf("%s: got msg_time %d, want it above %d", id.MsgID, at, s.last[id.Conversation]))
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
