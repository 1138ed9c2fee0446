// Package conformance is what a store has to do on every engine, field by field, as behaviours with a name. The tests of package store
// run it on the engines of the suite, `tlim selftest` on the database of a site.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"tlim/store"
)

// Behaviour is something that the store does on every engine.
type Behaviour struct {
	Name string
	run  func(*check)
}

// Behaviours are all of them, in the order in which they run. None needs another.
func Behaviours() []Behaviour {
	var all []Behaviour
	for _, some := range [][]Behaviour{messages, history, phones, groups, upkeep, writers} {
		all = append(all, some...)
	}
	return all
}

// Result is what came of a behaviour.
type Result struct {
	Name    string
	Took    time.Duration
	Faults  []string // what was wanted and what came; none: it passed
	Skipped string   // why it cannot be seen on this database; "": it was
	Note    string   // what else was seen
}

// Suite runs behaviours in scratch tables.
type Suite struct {
	x *store.Scratch
	s *store.Store
}

// New makes the tables.
func New(ctx context.Context, x *store.Scratch) (*Suite, error) {
	s, err := x.Open(ctx, 0)
	return &Suite{x, s}, err
}

// Run runs one behaviour on empty tables. Its error says that it could not be run; what went wrong in it is in the result.
func (s *Suite) Run(ctx context.Context, b Behaviour) (Result, error) {
	result := Result{Name: b.Name}
	if err := s.x.Empty(ctx); err != nil {
		return result, err
	}
	st, err := s.s.TakeOver(ctx)
	if err != nil {
		return result, err
	}
	c := &check{ctx: ctx, x: s.x, s: s.s, epoch: st.Epoch, first: st, result: &result}
	begin := time.Now()
	b.run(c)
	result.Took = time.Since(begin)
	return result, ctx.Err()
}

// check is one run of a behaviour.
type check struct {
	ctx    context.Context
	x      *store.Scratch
	s      *store.Store
	epoch  int64
	first  store.State // at the beginning
	result *Result
}

func (c *check) fault(format string, args ...any) {
	c.result.Faults = append(c.result.Faults, fmt.Sprintf(format, args...))
}

// same compares by printed form, which shows what differs.
func (c *check) same(what string, came, wanted any) bool {
	got, want := fmt.Sprintf("%+v", came), fmt.Sprintf("%+v", wanted)
	if got == want {
		return true
	}
	got, want = around(got, want)
	c.fault("%s: wanted %s, came %s", what, want, got)
	return false
}

// maxShown is how much of a long value a fault shows.
const maxShown = 300

// around cuts two long texts to where they begin to differ.
func around(a, b string) (string, string) {
	if len(a) <= maxShown && len(b) <= maxShown {
		return a, b
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(s string) string {
		from, to := max(0, at-maxShown/3), min(len(s), at+maxShown)
		for from > 0 && !utf8.RuneStart(s[from]) {
			from--
		}
		for to < len(s) && !utf8.RuneStart(s[to]) {
			to++
		}
		text := s[from:to]
		if from > 0 {
			text = "…" + text
		}
		if to < len(s) {
			text += "…"
		}
		return text
	}
	return cut(a), cut(b)
}

// want compares an answer.
func want[T any](c *check, what string, wanted T) func(T, error) {
	return func(came T, err error) {
		if err != nil {
			c.fault("%s: wanted %s, came the error %v", what, shortened(wanted), err)
			return
		}
		c.same(what, came, wanted)
	}
}

// size compares how many there are.
func size[K comparable, V any](c *check, what string, wanted int) func(map[K]V, error) {
	return func(came map[K]V, err error) { want(c, what, wanted)(len(came), err) }
}

func shortened(v any) string {
	text, _ := around(fmt.Sprintf("%+v", v), "")
	return text
}

// page compares the ids of a page and the number of all.
func (c *check) page(what string, total int64, ids ...string) func([]store.Message, int64, error) {
	return func(came []store.Message, all int64, err error) {
		wanted := fmt.Sprintf("%v of %d", ids, total)
		if err != nil {
			c.fault("%s: wanted %s, came the error %v", what, wanted, err)
			return
		}
		c.same(what, fmt.Sprintf("%v of %d", idsOf(came), all), wanted)
	}
}

func idsOf(list []store.Message) []string {
	ids := []string{}
	for _, m := range list {
		ids = append(ids, m.MsgID)
	}
	return ids
}

// apply writes changes in one transaction.
func (c *check) apply(changes ...store.Change) bool {
	if err := c.s.Apply(c.ctx, c.epoch, store.Positions{}, changes); err != nil {
		c.fault("a write: wanted no error, came %v", err)
		return false
	}
	return true
}

// refused wants a write to fail as wanted says, and to leave nothing: no row of these ids, and the state as it was.
func (c *check) refused(what string, wanted error, ids []string, changes ...store.Change) {
	before, err := c.s.State(c.ctx)
	if err != nil {
		c.fault("%s: the state before: %v", what, err)
		return
	}
	err = c.s.Apply(c.ctx, c.epoch, store.Positions{Clock: before.Clock + 99}, changes)
	c.is(what, err, wanted)
	want(c, what+": the state after", before)(c.s.State(c.ctx))
	size[store.IDKey, store.ID](c, what+": ids after", 0)(c.s.IDs(c.ctx, ids))
	size[string, []store.Message](c, what+": messages after", 0)(c.s.MessagesByID(c.ctx, ids))
}

// at is a time, n milliseconds after a fixed one.
func at(n int) string { return fmt.Sprint(epochMillis + n) }

const epochMillis = 1700000000000

// say is a group message with its id row.
func say(n int, from, group, body string) store.Change {
	id := fmt.Sprintf("m%d", n)
	return store.Change{
		IDs: []store.ID{{MsgID: id, Class: store.ClassMessage, From: from, Conversation: group, Time: at(n), Digest: "d", State: store.Live}},
		Message: &store.Message{ID: "row-" + id, MsgID: id, Type: "MTS-000", From: from, To: group, Time: at(n), Body: body,
			SessionID: group, Flags: "0,1,2.1.0"},
	}
}

// tell is a 1:1 message with its id row.
func tell(n int, from, to string) store.Change {
	c := say(n, from, from, `[{"text":"hi"}]`)
	c.Message.Type, c.Message.To = "MTT-000", to
	return c
}

func waiting(m *store.Message, owner string) store.OfflineMessage {
	p := store.OfflineMessage{Message: *m, Owner: owner, Status: 1}
	p.ID = m.ID + "-" + owner
	return p
}

// is compares errors.
func (c *check) is(what string, came, wanted error) bool {
	if errors.Is(came, wanted) {
		return true
	}
	if wanted == nil {
		c.fault("%s: wanted no error, came %v", what, came)
	} else {
		c.fault("%s: wanted the error %q, came %v", what, wanted, came)
	}
	return false
}
