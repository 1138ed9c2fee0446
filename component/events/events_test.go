package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/doubles"
	"tlim/store"
)

// receiver is a business system of the test's.
type receiver struct {
	mu       sync.Mutex
	refuse   func(msgIDs []string) error // nil: all is taken
	requests []string                    // ids
	got      []string                    // msg_id of each event that was taken, in order
	ids      []string                    // of these events
}

func (r *receiver) Post(_ context.Context, id string, body []byte) error {
	var request struct {
		ID     string `json:"id"`
		Events []told `json:"events"`
	}
	if err := json.Unmarshal(body, &request); err != nil || request.ID != id {
		return fmt.Errorf("request %s is %s: %w", id, body, err)
	}
	var names, ids []string
	for _, e := range request.Events {
		names, ids = append(names, e.MsgID), append(ids, e.ID)
	}
	r.mu.Lock()
	r.requests = append(r.requests, id)
	refuse := r.refuse
	r.mu.Unlock()
	if refuse != nil {
		if err := refuse(names); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.ids = append(r.got, names...), append(r.ids, ids...)
	return nil
}

// site is Events on a database of their own, whose passes the test makes.
type site struct {
	*Events
	t     *testing.T
	db    *store.Store
	epoch int64
	clock *doubles.Clock
	to    *receiver
	log   *doubles.Log
	n     int
}

func newSite(t *testing.T) *site {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "tlim.db"), Migrate: store.MigrateAuto, MaxOpen: 2, MaxIdle: 2, MaxWait: time.Minute,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := &site{t: t, db: db, clock: doubles.NewClock(time.UnixMilli(1_700_000_000_000)), to: &receiver{}, log: &doubles.Log{}}
	s.start()
	return s
}

// start makes another process of it.
func (s *site) start() {
	s.t.Helper()
	state, err := s.db.TakeOver(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.epoch = state.Epoch
	s.Events = New(Config{Poster: s.to, Content: true, MaxWaiting: 2000, Keep: 24 * time.Hour},
		Deps{Store: s.db, Epoch: func() int64 { return state.Epoch }, Registry: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: s.clock.Now})
	if err := s.Open(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// say stores messages from z, each to the one named, with the ids m1, m2 ...
func (s *site) say(to ...string) {
	s.t.Helper()
	var changes []store.Change
	for _, receiver := range to {
		s.n++
		changes = append(changes, store.Change{Message: &store.Message{ID: fmt.Sprint("row", s.n), MsgID: fmt.Sprint("m", s.n), Type: "MTT-000", From: "z", To: receiver, SessionID: "z", Time: "1", Body: "[]"}})
	}
	rows := s.Rows(changes, View{Now: s.clock.Now()})
	if err := s.db.Apply(s.t.Context(), s.epoch, store.Positions{}, append(changes, store.Change{Events: rows})); err != nil {
		s.t.Fatal(err)
	}
	s.Committed(len(rows))
}

func (s *site) is(what, got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// took says what the receiver has taken since the last time.
func (s *site) took() string {
	got := strings.Join(s.to.got, " ")
	s.to.got = nil
	return got
}

// pass is one of Run's, with all that it sends apart.
func (s *site) pass(ctx context.Context) {
	for s.Events.pass(ctx); s.running > 0; s.Events.pass(ctx) {
		s.outcome(ctx, <-s.done)
	}
}

// sorted are words in the order of a dictionary: events of different conversations come in any.
func sorted(words string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(words))), " ")
}

// passes makes so many, an hour after each other.
func (s *site) passes(n int) {
	for range n {
		s.pass(s.t.Context())
		s.clock.Move(time.Hour)
	}
}

func (s *site) count(dead bool) int {
	s.t.Helper()
	n, err := s.db.CountEvents(s.t.Context(), dead)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestEventsArriveInOrder(t *testing.T) {
	s := newSite(t)
	s.say("a", "b", "a")
	s.say(slices.Repeat([]string{"a", "b", "c"}, 50)...)
	s.pass(t.Context())
	var want []string
	for i := range 153 {
		want = append(want, fmt.Sprint("m", i+1))
	}
	s.is("taken", s.took(), strings.Join(want, " "))
	s.is("requests", fmt.Sprint(len(s.to.requests)), "2")
	if !slices.IsSorted(s.to.ids) {
		t.Error("the ids do not rise, want them to")
	}
	s.is("rows left", fmt.Sprint(s.count(false), s.count(true)), "0 0")
}

// An event that the receiver chokes on waits alone with its conversation, and is given up at last.
func TestOnePoisonousEvent(t *testing.T) {
	s := newSite(t)
	s.to.refuse = func(ids []string) error {
		if slices.Contains(ids, "m2") {
			return errors.New("status 500")
		}
		return nil
	}
	s.say("a", "b", "c", "b", "a")
	s.pass(t.Context())
	s.is("taken around it", sorted(s.took()), "m1 m3 m5")
	s.start() // it is known after a restart, too
	s.pass(t.Context())
	s.is("taken before it is due", s.took(), "")
	for range maxTries + 1 {
		s.say("c") // others are taken
		s.passes(1)
	}
	if got := s.took(); !strings.HasSuffix(got, "m4 m18") || strings.Contains(got, "m2 ") {
		t.Errorf("taken: got %q, want what others said, and m4 once m2 was given up", got)
	}
	dead, err := s.db.Events(t.Context(), true, "", 10)
	if err != nil || len(dead) != 1 || dead[0].Reason != "status 500" {
		t.Fatalf("dead: got %+v, %v, want m2 with its reason", dead, err)
	}

	// It can be replayed, under its id.
	s.to.refuse, s.to.ids = nil, nil
	if n, err := s.db.ReplayEvents(t.Context(), []string{dead[0].ID, "none"}, s.clock.Now().UnixMilli(), store.AuditEvent{ID: "a", What: "w", Outcome: "o"}); n != 1 || err != nil {
		t.Fatalf("replay: got %d, %v, want 1", n, err)
	}
	s.passes(1)
	s.is("replayed", s.took(), "m2")
	s.is("its id", strings.Join(s.to.ids, " "), dead[0].ID)
}

// An event that is refused while nothing else comes stands in nobody's way later, and is given up once others are taken.
func TestOnePoisonousEventAlone(t *testing.T) {
	s := newSite(t)
	s.to.refuse = func(ids []string) error {
		if slices.Contains(ids, "m1") || slices.Contains(ids, "m2") {
			return errors.New("status 400")
		}
		return nil
	}
	s.say("a", "b")
	for range 20 {
		s.pass(t.Context())
		s.clock.Move(2 * time.Minute)
	}
	s.is("dead while nothing is taken", fmt.Sprint(s.count(true)), "0")
	s.say("c")
	for range 5 {
		s.pass(t.Context())
		s.clock.Move(2 * time.Minute)
	}
	s.is("taken", s.took(), "m3")
	for range maxTries + 2 {
		s.say("c")
		s.passes(3)
	}
	s.is("dead once others are taken", fmt.Sprint(s.count(true)), "2")
	s.is("waiting", fmt.Sprint(s.count(false)), "0")
}

// While the receiver takes nothing no event is at fault: all wait, however long it takes.
func TestAReceiverThatIsDown(t *testing.T) {
	for name, refuse := range map[string]func([]string) error{
		"unreachable": func([]string) error { return &Failure{Err: errors.New("dial: refused"), Away: true} },
		"refusing":    func([]string) error { return errors.New("status 401") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.to.refuse = refuse
			s.say("a", "b", "a", "c", "d")
			s.passes(100)
			s.is("waiting, dead", fmt.Sprint(s.count(false), s.count(true)), "5 0")
			s.is("logged", fmt.Sprint(s.log.Count("events are not taken")), "1")
			s.to.refuse = nil
			s.passes(2)
			if got := strings.Fields(s.took()); len(got) != 5 || slices.Index(got, "m1") > slices.Index(got, "m3") {
				t.Errorf("taken when it is back: got %q, want all five, m1 before m3", got)
			}
			s.is("logged", fmt.Sprint(s.log.Count("events are taken again")), "1")
		})
	}
}

func TestAReceiverThatAsksForTime(t *testing.T) {
	s := newSite(t)
	s.to.refuse = func([]string) error {
		return &Failure{Err: errors.New("status 429"), Later: true, Wait: 10 * time.Minute}
	}
	s.say("a")
	s.pass(t.Context())
	s.clock.Move(9 * time.Minute)
	s.pass(t.Context())
	s.is("requests before it may be called", fmt.Sprint(len(s.to.requests)), "1")
	s.clock.Move(2 * time.Minute)
	s.pass(t.Context())
	s.is("requests", fmt.Sprint(len(s.to.requests)), "2")
	s.is("their ids are the same", s.to.requests[1], s.to.requests[0])
}

// What waits and what is dead is bounded: the oldest give way.
func TestEventsAreBounded(t *testing.T) {
	s := newSite(t)
	s.to.refuse = func([]string) error { return &Failure{Err: errors.New("dial: refused"), Away: true} }
	for range 50 {
		s.say(slices.Repeat([]string{"a", "b"}, 50)...)
	}
	s.pass(t.Context()) // more than the bound and the slack: swept at once
	s.is("waiting, dead", fmt.Sprint(s.count(false), s.count(true)), "2000 2000")
	s.is("the gauges", fmt.Sprint(s.waiting.Load(), s.dead.Load()), "2000 2000")
	s.is("logged", fmt.Sprint(s.log.Count("too many events wait")), "1")
	s.to.refuse = nil
	s.passes(2)
	if got := strings.Fields(s.took()); len(got) != 2000 || got[0] != "m3001" {
		t.Errorf("taken: got %d from %s on, want the newest 2000, from m3001 on", len(got), got[0])
	}
	s.clock.Move(25 * time.Hour)
	s.passes(1)
	s.is("dead after their days", fmt.Sprint(s.count(true)), "0")
}

// Ids rise over restarts and clocks that are set back.
func TestIDsRise(t *testing.T) {
	s := newSite(t)
	s.say("a")
	s.clock.Move(-time.Hour)
	s.start()
	s.say("a", "a")
	s.pass(t.Context())
	s.is("taken", s.took(), "m1 m2 m3")
	i := ids{at: 5, n: maxPerMilli}
	before := i.next(5)
	if after := i.next(5); after <= before {
		t.Errorf("got %s after %s, want it higher", after, before)
	}
	if err := i.follow("strange"); err == nil {
		t.Error("an id of somebody else was taken, want an error")
	}
}

// What was taken and could not be written down is not sent by the same process again, and by the next one under its id.
func TestADatabaseThatGoesAway(t *testing.T) {
	s := newSite(t)
	s.say("a", "b")
	away := &awayStore{Store: s.db, err: store.ErrUnavailable}
	s.Events.Store = away
	s.pass(t.Context())
	s.is("taken", s.took(), "m1 m2")
	s.pass(t.Context())
	s.is("taken again", s.took(), "")
	first := s.to.ids
	s.to.ids = nil
	s.start()
	s.pass(t.Context())
	s.is("by the next process", s.took(), "m1 m2")
	s.is("under the same ids", fmt.Sprint(s.to.ids), fmt.Sprint(first))
	s.pass(t.Context())
	s.is("once more", s.took(), "")
}

type awayStore struct {
	Store
	err error
}

func (a *awayStore) DeleteEvents(context.Context, int64, []string) error { return a.err }

func TestWithoutAReceiver(t *testing.T) {
	e := New(Config{}, Deps{})
	if e != nil {
		t.Fatal("got Events, want none")
	}
	e.Run(t.Context())
	if err := e.Open(t.Context()); err != nil {
		t.Error(err)
	}
}

// pages counts the pages of waiting rows that are read.
type pages struct {
	Store
	n int
}

func (p *pages) Events(ctx context.Context, dead bool, after string, limit int) ([]store.Event, error) {
	if !dead {
		p.n++
	}
	return p.Store.Events(ctx, dead, after, limit)
}

// What waits behind a refused event costs others nothing: they are told, however much of it there is, and it is not read again for each of them.
func TestAMountainBehindARefusedEvent(t *testing.T) {
	s := newSite(t)
	s.MaxWaiting = 100_000
	read := &pages{Store: s.Store}
	s.Store = read
	s.to.refuse = func(ids []string) error {
		if slices.Contains(ids, "m1") {
			return errors.New("status 500")
		}
		return nil
	}
	const mountain = (maxPages + 2) * pageRows
	for n := 0; n < mountain; n += pageRows {
		s.say(slices.Repeat([]string{"b"}, pageRows)...)
	}
	s.say("c")
	last := fmt.Sprint("m", s.n)
	for range 4 {
		s.pass(t.Context())
	}
	s.is("behind the mountain", s.took(), last)
	read.n = 0
	s.say("d")
	s.pass(t.Context())
	s.is("the next", s.took(), fmt.Sprint("m", s.n))
	if read.n != 1 {
		t.Errorf("got %d pages read for one event, want 1", read.n)
	}

	// The first of them is tried again when it is due, and then they are told in their order.
	s.to.refuse = nil
	s.clock.Move(time.Minute)
	for range 100 {
		s.pass(t.Context())
		s.clock.Move(3 * time.Second) // so long looks wait after one that met a mountain
	}
	if got := strings.Fields(s.took()); len(got) != mountain || got[0] != "m1" || got[1] != "m2" || got[mountain-1] != fmt.Sprint("m", mountain) {
		t.Errorf("got %d told, %v ... %v, want %d, m1, m2 ... m%d", len(got), got[:2], got[len(got)-1], mountain, mountain)
	}
}
