package store_test

import (
	"errors"
	"strings"
	"testing"

	"tlim/store"
)

// An event is there exactly when what it tells of is, and comes back as it was written.
func TestEventsAreInTheTransactionOfTheirMessage(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		longest := store.Event{ID: "1-a", Kind: "message.stored", Conversation: strings.Repeat("长", 200), Body: `{"body":"` + strings.Repeat("😀", 70_000) + `"}`, Made: 1, Due: 2}
		plain := store.Event{ID: "2-b", Kind: "group.changed", Conversation: "g", Body: "{}", Made: 3, Due: 4}
		message := tell(1, "z", "l")
		message.Events = []store.Event{longest}
		apply(t, s, epoch, message, store.Change{Events: []store.Event{plain}})
		again := tell(1, "z", "l") // its id is there
		again.Events = []store.Event{{ID: "3-c", Kind: "message.stored", Body: "{}"}}
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{again}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same message again: got %v, want %v", err, store.ErrDuplicate)
		}
		s = open(t, cfg) // another process
		equal(t, "waiting", must[[]store.Event](t)(s.Events(ctx, false, "", 10)), []store.Event{longest, plain})
		equal(t, "from the second on", must[[]store.Event](t)(s.Events(ctx, false, "1-a", 10)), []store.Event{plain})
		equal(t, "the last", must[string](t)(s.LastEvent(ctx)), "2-b")
	})
}

func TestTheLifeOfAnEvent(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		var events []store.Event
		for _, id := range []string{"1", "2", "3", "4"} {
			events = append(events, store.Event{ID: id, Kind: "message.read", Conversation: "c", Body: "{}", Made: 1, Due: 1})
		}
		apply(t, s, epoch, store.Change{Events: events})
		must[any](t)(nil, s.UpdateEvents(ctx, epoch, []store.EventUpdate{{IDs: []string{"1"}, Due: 50, Tries: 3, Reason: strings.Repeat("长", 300)}, {IDs: []string{"2", "9"}, Dead: true, Due: 60, Reason: "r"}}))
		if err := s.UpdateEvents(ctx, epoch-1, []store.EventUpdate{{IDs: []string{"3"}, Dead: true}}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("by a deposed process: got %v, want %v", err, store.ErrFenced)
		}
		events[0].Due, events[0].Tries, events[0].Reason = 50, 3, strings.Repeat("长", 256)
		equal(t, "failing", must[[]store.Event](t)(s.FailingEvents(ctx, "", 10)), []store.Event{events[0]})
		equal(t, "failing behind it", must[[]store.Event](t)(s.FailingEvents(ctx, "1", 10)), []store.Event{})
		events[1].Due, events[1].Dead, events[1].Reason = 60, true, "r"
		equal(t, "waiting", must[[]store.Event](t)(s.Events(ctx, false, "", 10)), []store.Event{events[0], events[2], events[3]})
		equal(t, "dead", must[[]store.Event](t)(s.Events(ctx, true, "", 10)), []store.Event{events[1]})

		equal(t, "given up", must[int](t)(s.ExpireEvents(ctx, epoch, 70, "full", 1)), 1)
		equal(t, "counts", []int{must[int](t)(s.CountEvents(ctx, false)), must[int](t)(s.CountEvents(ctx, true))}, []int{2, 2})
		equal(t, "old dead ones", must[int](t)(s.DeleteDeadEvents(ctx, epoch, 70, 10)), 1)
		equal(t, "replayed", must[int](t)(s.ReplayEvents(ctx, []string{"1", "3", "9"}, 80, store.AuditEvent{ID: "a", What: "events/replay", Outcome: store.AuditDone})), 1)
		equal(t, "none is dead", must[int](t)(s.ReplayEvents(ctx, []string{"1"}, 80, store.AuditEvent{ID: "b", What: "events/replay", Outcome: store.AuditDone})), 0)
		equal(t, "audited", len(must[[]store.AuditEvent](t)(s.AuditEvents(ctx, "", 10))), 1)
		must[any](t)(nil, s.DeleteEvents(ctx, epoch, []string{"1", "4", "9"}))
		equal(t, "left", must[[]store.Event](t)(s.Events(ctx, false, "", 10)), []store.Event{events[2]})
	})
}
