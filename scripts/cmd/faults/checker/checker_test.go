package checker

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// clean is a history without a fault, that holds all that is allowed: m3 came again after a crash, m2 was seen and waits as well, m4 got no
// acknowledgement and is stored all the same, m5 got none and is not stored.
func clean() []Event {
	var list []Event
	add := func(e Event) { list = append(list, e) }
	add(Event{Kind: Talk, Conversation: "g", Members: []string{"a", "b"}})
	add(Event{Kind: Login, User: "b", Session: "b/1"})
	for i, id := range []string{"m1", "m2", "m3", "m4", "m5"} {
		add(Event{Kind: Sent, User: "a", Message: id, Conversation: "g"})
		if i < 3 {
			add(Event{Kind: Acknowledged, User: "a", Message: id, Time: "10" + id[1:]})
		}
	}
	add(Event{Kind: Login, User: "b", Session: "b/3"})
	add(Event{Kind: Sent, User: "a", Message: "m3", Conversation: "g"}) // again, and acknowledged again
	add(Event{Kind: Acknowledged, User: "a", Message: "m3", Time: "103"})
	for _, id := range []string{"m4", "m2"} { // after a crash, what was sent before it began
		add(Event{Kind: Seen, User: "b", Session: "b/3", Message: id, Conversation: "g"})
	}
	for _, id := range []string{"m2", "m3", "m2", "m3", "m4"} { // redelivery
		add(Event{Kind: Seen, User: "b", Session: "b/1", Message: id, Conversation: "g"})
	}
	for _, id := range []string{"m3", "m1"} { // the sender's own phone, after a crash
		add(Event{Kind: Seen, User: "a", Session: "a/1", Message: id, Conversation: "g"})
	}
	add(Event{Kind: Seen, User: "b", Session: "b/2", Message: "m1", Conversation: "g", Page: true})
	add(Event{Kind: Fetched, User: "b", Message: "m1"})
	add(Event{Kind: Queued, User: "b", Message: "m2"})
	for _, reader := range []string{"a", "b"} {
		for _, id := range []string{"m1", "m2", "m3", "m4"} {
			add(Event{Kind: Listed, Reader: reader, Conversation: "g", Message: id, Time: "10" + id[1:]})
		}
	}
	for _, node := range []string{"1", "2"} {
		for _, id := range []string{"m1", "m2", "m3", "m4"} {
			add(Event{Kind: Row, Node: node, Conversation: "g", Message: id, Time: "10" + id[1:]})
		}
	}
	for i, epoch := range []int64{1, 1, 2, 2} {
		add(Event{Kind: Batch, Number: int64(i + 1), Epoch: epoch, Writer: []string{"", "A", "B"}[epoch]})
	}
	add(Event{Kind: Wrote, Table: "ofmessage", Message: "m1", Epoch: 1, Writer: "A"})
	add(Event{Kind: Wrote, Table: "ofmessage", Message: "m3", Epoch: 2, Writer: "B"})
	return list
}

func TestClean(t *testing.T) {
	r := Check(clean())
	if len(r.Violations) != 0 {
		t.Errorf("got %v, want none", r.Violations)
	}
	if r.Sent != 5 || r.Acknowledged != 3 || r.Again != 4 || r.Batches != 4 || r.Terms != 2 {
		t.Errorf("got %+v, want 5 sent, 3 acknowledged, 4 again, 4 transactions in 2 terms", r)
	}
}

// without drops the events that match.
func without(list []Event, match func(Event) bool) []Event { return slices.DeleteFunc(list, match) }

// change edits the events that match.
func change(list []Event, match func(Event) bool, edit func(*Event)) []Event {
	for i := range list {
		if match(list[i]) {
			edit(&list[i])
		}
	}
	return list
}

func is(kind, message string) func(Event) bool {
	return func(e Event) bool { return e.Kind == kind && e.Message == message }
}

func and(matches ...func(Event) bool) func(Event) bool {
	return func(e Event) bool {
		return !slices.ContainsFunc(matches, func(m func(Event) bool) bool { return !m(e) })
	}
}

func reader(name string) func(Event) bool { return func(e Event) bool { return e.Reader == name } }
func node(name string) func(Event) bool   { return func(e Event) bool { return e.Node == name } }
func number(n int64) func(Event) bool {
	return func(e Event) bool { return e.Kind == Batch && e.Number == n }
}

// Each kind of fault is found, and only it.
func TestFaulty(t *testing.T) {
	for name, c := range map[string]struct {
		kind, text string
		change     func([]Event) []Event
	}{
		"lost from the histories": {Lost, "m2 is not there", func(l []Event) []Event { return without(l, is(Listed, "m2")) }},
		"lost from the rows":      {Lost, "m3 is not there", func(l []Event) []Event { return without(l, is(Row, "m3")) }},
		"lost for a receiver": {Lost, "no phone of b saw it", func(l []Event) []Event {
			return without(without(l, is(Seen, "m2")), is(Queued, "m2"))
		}},
		"seen by a page alone": {Lost, "no phone of b saw it", func(l []Event) []Event { return without(l, is(Fetched, "m1")) }},
		"stored twice": {Doubled, "m2 is there twice", func(l []Event) []Event {
			for _, n := range []string{"1", "2"} {
				l = append(l, Event{Kind: Row, Node: n, Conversation: "g", Message: "m2", Time: "102"})
			}
			return l
		}},
		"listed twice": {Doubled, "m4 is there twice", func(l []Event) []Event {
			for _, r := range []string{"a", "b"} {
				l = append(l, Event{Kind: Listed, Reader: r, Conversation: "g", Message: "m4", Time: "105"})
			}
			return l
		}},
		"two histories": {Order, "two histories", func(l []Event) []Event {
			return change(change(change(l, and(is(Listed, "m3"), reader("b")), func(e *Event) { e.Message = "x" }),
				and(is(Listed, "m4"), reader("b")), func(e *Event) { e.Message, e.Time = "m3", "103" }), and(is(Listed, "x"), reader("b")), func(e *Event) { e.Message, e.Time = "m4", "104" })
		}},
		"times that do not rise": {Order, "stands before", func(l []Event) []Event {
			return change(change(l, is(Listed, "m4"), func(e *Event) { e.Time = "103" }), is(Row, "m4"), func(e *Event) { e.Time = "103" })
		}},
		"live in another order": {Order, "got m1", func(l []Event) []Event {
			return append(l, Event{Kind: Seen, User: "b", Session: "b/1", Message: "m1", Conversation: "g"})
		}},
		"nodes that differ": {Order, "different rows", func(l []Event) []Event { return without(l, and(is(Row, "m4"), node("2"))) }},
		"a deposed leader writes a transaction": {Interleaved, "after one of term 2", func(l []Event) []Event {
			return append(l, Event{Kind: Batch, Number: 5, Epoch: 1, Writer: "A"})
		}},
		"one transaction twice": {Interleaved, "written twice", func(l []Event) []Event {
			return append(l, Event{Kind: Batch, Number: 4, Epoch: 2, Writer: "B"})
		}},
		"a transaction that vanished": {Interleaved, "3 to 3 are missing", func(l []Event) []Event { return without(l, number(3)) }},
		"two in one term":             {Interleaved, "is by A, others of it by B", func(l []Event) []Event { return change(l, number(4), func(e *Event) { e.Writer = "A" }) }},
		"a row of a deposed leader":   {Interleaved, "m3 of ofmessage is by A", func(l []Event) []Event { return change(l, is(Wrote, "m3"), func(e *Event) { e.Writer = "A" }) }},
		"two times": {Untrue, "want one time", func(l []Event) []Event {
			return append(l, Event{Kind: Acknowledged, User: "a", Message: "m3", Time: "109"})
		}},
		"another time than was told": {Untrue, "was acknowledged with 100", func(l []Event) []Event { return change(l, is(Acknowledged, "m1"), func(e *Event) { e.Time = "100" }) }},
		"acknowledged to another": {Untrue, "want it to its sender a", func(l []Event) []Event {
			return append(l, Event{Kind: Acknowledged, User: "b", Message: "m3", Time: "103"})
		}},
		"acknowledged from nowhere": {Untrue, "nobody sent it", func(l []Event) []Event {
			return append(l, Event{Kind: Acknowledged, User: "a", Message: "m9", Time: "103"})
		}},
		"stored from nowhere": {Untrue, "nobody sent it", func(l []Event) []Event {
			for _, n := range []string{"1", "2"} {
				l = append(l, Event{Kind: Row, Node: n, Conversation: "g", Message: "m9", Time: "109"})
			}
			return l
		}},
		"something odd": {Untrue, "tlim panicked", func(l []Event) []Event { return append(l, Event{Kind: Odd, Text: "tlim panicked"}) }},
		"a reader is missing": {Incomplete, "b did not read", func(l []Event) []Event {
			return append(l, Event{Kind: Talk, Conversation: "h", Members: []string{"a", "b"}}, Event{Kind: Listed, Conversation: "h", Reader: "a"})
		}},
		"no rows":         {Incomplete, "no node", func(l []Event) []Event { return without(l, func(e Event) bool { return e.Kind == Row }) }},
		"no transactions": {Incomplete, "no transaction", func(l []Event) []Event { return without(l, func(e Event) bool { return e.Kind == Batch }) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := Check(c.change(clean()))
			if len(r.Violations) == 0 {
				t.Fatalf("got no violation, want %s with %q", c.kind, c.text)
			}
			told := false
			for _, v := range r.Violations {
				told = told || strings.Contains(v.Text, c.text)
				if v.Kind != c.kind {
					t.Errorf("got %s: %s, want only %s", v.Kind, v.Text, c.kind)
				}
			}
			if !told {
				t.Errorf("got %v, want one with %q", r.Violations, c.text)
			}
		})
	}
}

func TestRead(t *testing.T) {
	var text strings.Builder
	for _, e := range clean() {
		if err := json.NewEncoder(&text).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Read(strings.NewReader(text.String()))
	if err != nil || len(list) != len(clean()) || len(Check(list).Violations) != 0 {
		t.Errorf("got %d events, %v, want the %d that were written", len(list), err, len(clean()))
	}
	if _, err := Read(strings.NewReader(text.String() + `{"kind":`)); err == nil || !strings.Contains(err.Error(), "event") {
		t.Errorf("got %v for a history that is cut off, want an error that names the event", err)
	}
}
