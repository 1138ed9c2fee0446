package unconfirmed

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tlim/component/stanza"
	"tlim/store"
)

const provingPhone = "lisi@im.test/p"

// proving is a table with one phone, to which one message after the other is sent.
type proving struct {
	*Table
	t       *testing.T
	now     time.Time
	pings   map[string]*stanza.Run // by message
	settled []string
}

func newProving(t *testing.T) *proving {
	p := &proving{t: t, now: time.Unix(1_600_000_000, 0), pings: map[string]*stanza.Run{}}
	p.Table = New(time.Second, 1000, Hooks{How: func(string) store.Confirms { return store.ConfirmsByPings }, Drop: func(string, string) {},
		Note: func(string) {}, Proved: func(_, id string) { p.settled = append(p.settled, id) }})
	return p
}

func (p *proving) send(id string, later time.Duration) *stanza.Run {
	p.t.Helper()
	p.now = p.now.Add(later)
	m := &Message{Row: store.OfflineMessage{Message: store.Message{MsgID: id}}, Time: 100}
	p.Add(m, []Owner{{Local: "lisi", ID: "lisi"}}, p.now)
	runs := p.Ask([]stanza.Delivery{{ID: id, To: []stanza.Target{{JID: provingPhone}}}}, func(int) *Way { return &Way{Message: m} }, p.now)
	if len(runs) != 1 {
		p.t.Fatalf("%s: got %d runs, want 1", id, len(runs))
	}
	p.pings[id] = &runs[0]
	return &runs[0]
}

func (p *proving) answer(pings ...string) {
	p.t.Helper()
	for _, ping := range pings {
		if known, gone := p.Answered(&stanza.Stanza{Name: "iq", Type: "result", ID: ping}, provingPhone, p.now); !known || gone {
			p.t.Errorf("the answer to %q: got known %t, gone %t, want known and not gone", ping, known, gone)
		}
	}
}

// ripe is what a grace later is settled.
func (p *proving) ripe() string {
	p.now = p.now.Add(time.Second)
	p.Tick(p.now, p.now, true, 200)
	return fmt.Sprint(p.settled)
}

// In a busy conversation one ping stands behind what was sent and in front of what is sent next. Both answers are needed all the same, in any
// order, and a phone to which nothing was sent for a while is asked in front, too.
func TestSharedPing(t *testing.T) {
	for name, c := range map[string]struct {
		answers func(p *proving) // m1 and m2 were sent, one at once after the other
		want    string
	}{
		"all in order":          {func(p *proving) { p.answer(p.pings["m1"].Front, p.pings["m1"].Ping, p.pings["m2"].Ping) }, "[m1 m2]"},
		"the last one first":    {func(p *proving) { p.answer(p.pings["m2"].Ping, p.pings["m1"].Ping, p.pings["m1"].Front) }, "[m2 m1]"},
		"not the shared one":    {func(p *proving) { p.answer(p.pings["m1"].Front, p.pings["m2"].Ping) }, "[]"},
		"the shared one alone":  {func(p *proving) { p.answer(p.pings["m1"].Ping) }, "[]"},
		"all but the first one": {func(p *proving) { p.answer(p.pings["m1"].Ping, p.pings["m2"].Ping) }, "[m2]"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProving(t)
			first, second := p.send("m1", 0), p.send("m2", sharedPing-1)
			if first.Front == "" || first.Ping == "" || second.Front != "" || second.Ping == "" {
				t.Fatalf("got the pings %+v and %+v, want two and the one behind", first, second)
			}
			c.answers(p)
			if got := p.ripe(); got != c.want {
				t.Errorf("settled: got %s, want %s", got, c.want)
			}
		})
	}
	t.Run("answered before the next is sent", func(t *testing.T) {
		p := newProving(t)
		first := p.send("m1", 0)
		p.answer(first.Front, first.Ping)
		if second := p.send("m2", sharedPing-1); second.Front != "" {
			t.Errorf("got %q in front, want none", second.Front)
		}
		p.answer(p.pings["m2"].Ping)
		if got, want := p.ripe(), "[m1 m2]"; got != want {
			t.Errorf("settled: got %s, want %s", got, want)
		}
	})
	t.Run("a while later", func(t *testing.T) {
		p := newProving(t)
		p.send("m1", 0)
		if second := p.send("m2", sharedPing); second.Front == "" {
			t.Error("got no ping in front, want one")
		}
	})
}

// A ping that two proofs share ends with the second of them, and none is kept of a phone that is gone.
func TestSharedPingIsForgotten(t *testing.T) {
	p := newProving(t)
	answers := p.send("answers", 0)
	p.answer(answers.Front, answers.Ping)
	var ids []string
	for i := range maxLateProofs + 2 {
		ids = append(ids, fmt.Sprint("m", i))
		p.send(ids[i], time.Millisecond)
		if i%100 == 99 { // more would not be asked about
			p.ripe()
		}
	}
	p.ripe()
	late := p.phones[provingPhone].late
	if len(late) != maxLateProofs {
		t.Fatalf("got %d late proofs, want %d", len(late), maxLateProofs)
	}
	oldest := late[0]
	if p.asked[oldest.front] != oldest || oldest.front == "" {
		t.Errorf("the ping in front of the oldest: got %v, want its own", p.asked[oldest.front])
	}
	p.answer(oldest.front, oldest.behind)
	if i := slices.Index(p.phones[provingPhone].late, oldest); i >= 0 {
		t.Errorf("the oldest proof: got it still at %d, want it answered", i)
	}
	if _, gone := p.Answered(&stanza.Stanza{Name: "iq", Type: "error", ID: p.pings[ids[len(ids)-1]].Ping,
		Inner: []byte(`<error type="cancel"><recipient-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)}, provingPhone, p.now); !gone {
		t.Error("the phone: got it there, want it gone")
	}
	if n := len(p.asked); n != 0 {
		t.Errorf("got %d questions to a phone that is gone, want none", n)
	}

	// The one that shares its ping is under way still, and the other one late, when the phone goes.
	p = newProving(t)
	p.send("late", 0)
	second := p.send("under way", sharedPing/2)
	p.now = p.now.Add(time.Second - sharedPing/4)
	p.Tick(p.now, p.now, true, 200)
	if open, late := len(p.phones[provingPhone].open), len(p.phones[provingPhone].late); open != 1 || late != 1 {
		t.Fatalf("got %d under way and %d late, want one each", open, late)
	}
	p.Answered(&stanza.Stanza{Name: "iq", Type: "error", ID: second.Ping,
		Inner: []byte(`<error type="cancel"><recipient-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`)}, provingPhone, p.now)
	if n := len(p.asked); n != 0 {
		t.Errorf("got %d questions to a phone that is gone, want none", n)
	}
}

// Of what a phone has answered its last proof keeps nothing.
func TestAnsweredProofKeepsNothing(t *testing.T) {
	p := newProving(t)
	run := p.send("m1", 0)
	p.answer(run.Front, run.Ping)
	if last := p.phones[provingPhone].last; last.copies != nil || last.rows != nil {
		t.Errorf("got %+v, want no copies and no rows", last)
	}
}
