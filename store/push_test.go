package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// wake is an outbox row of the channel c, due at second n.
func wake(n int, receivers ...string) store.Push {
	p := store.Push{ID: fmt.Sprintf("p%d", n), Channel: "c", MsgID: fmt.Sprintf("m%d", n), Type: "MTT-000", Platforms: "android,ios", Title: "组", Alert: "张三:hi",
		Made: 1700000000000, Due: 1700000000000 + int64(n)}
	for _, user := range receivers {
		p.To = append(p.To, store.PushTo{User: user, Code: "code of " + user})
	}
	return p
}

const later = 1700000009999

func pushIDs(list []store.Push) string {
	var ids []string
	for _, p := range list {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

func due(t *testing.T, s *store.Store) string {
	t.Helper()
	return pushIDs(must[[]store.Push](t)(s.DuePushes(ctx, "c", later, 100)))
}

func update(t *testing.T, s *store.Store, steps ...store.PushUpdate) {
	t.Helper()
	must[any](t)(nil, s.UpdatePushes(ctx, must[store.State](t)(s.State(ctx)).Epoch, steps))
}

func TestPushesComeBackAsTheyWereWritten(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		longest := wake(1)
		longest.Title, longest.Alert = strings.Repeat("😀", 256), strings.Repeat("长", 400)
		for i := range 1000 { // as many as a vendor's call takes, with the longest names and codes
			longest.To = append(longest.To, store.PushTo{User: strings.Repeat("张", 60) + fmt.Sprint(i), Code: strings.Repeat(`"`, 124) + fmt.Sprint(i)})
		}
		bare := wake(2, "l")
		bare.Title, bare.Alert, bare.Platforms = "", "", "android"
		message := tell(1, "z", "l")
		message.Pushes = []store.Push{longest, bare}
		apply(t, s, epoch, message)

		s = open(t, cfg) // another process
		equal(t, "due", must[[]store.Push](t)(s.DuePushes(ctx, "c", later, 10)), []store.Push{longest, bare})
		equal(t, "of messages", must[map[string][]store.Push](t)(s.PushesOf(ctx, []string{"m2", "m9"})), map[string][]store.Push{"m2": {bare}})
		equal(t, "channels", must[[]string](t)(s.PushChannels(ctx)), []string{"c"})
	})
}

// A row is there exactly when its message is.
func TestPushesAreInTheTransactionOfTheirMessage(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		apply(t, s, epoch, tell(1, "z", "l"))
		again := tell(1, "z", "l") // its id is there
		again.Pushes = []store.Push{wake(1, "l")}
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{again}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("the same message again: got %v, want %v", err, store.ErrDuplicate)
		}
		other := tell(2, "z", "l")
		other.Pushes = []store.Push{wake(2, "l"), wake(2, "l")} // a row that cannot be written
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{other}); !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("a row twice: got %v, want %v", err, store.ErrDuplicate)
		}
		long := tell(3, "z", "l")
		long.Pushes = []store.Push{wake(3, "l")}
		long.Pushes[0].MsgID = strings.Repeat("长", 65)
		if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{long}); !errors.Is(err, store.ErrData) {
			t.Errorf("an id that is too long: got %v, want %v", err, store.ErrData)
		}
		equal(t, "due", due(t, s), "")
		equal(t, "messages", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m2", "m3"}))), 0)
		other.Pushes = other.Pushes[:1]
		apply(t, s, epoch, other)
		equal(t, "due", due(t, s), "p2")
	})
}

func TestPushesAreDueInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		foreign := wake(1, "l")
		foreign.ID, foreign.Channel = "f1", "d"
		apply(t, s, epoch, store.Change{Pushes: []store.Push{wake(3, "l"), wake(1, "l"), foreign, wake(2, "l")}})
		equal(t, "all", due(t, s), "p1 p2 p3")
		equal(t, "some", pushIDs(must[[]store.Push](t)(s.DuePushes(ctx, "c", later, 2))), "p1 p2")
		equal(t, "until now", pushIDs(must[[]store.Push](t)(s.DuePushes(ctx, "c", 1700000000002, 9))), "p1 p2")
		equal(t, "too early", pushIDs(must[[]store.Push](t)(s.DuePushes(ctx, "c", 1700000000000, 9))), "")
		next := func(channel, want string) {
			t.Helper()
			at, waits, err := s.NextPush(ctx, channel)
			equal(t, "next of "+channel, fmt.Sprint(at, waits, err), want)
		}
		next("c", "1700000000001 true <nil>")
		next("x", "0 false <nil>")
		count := func(channel string, want int) {
			t.Helper()
			equal(t, "count of "+channel, must[int](t)(s.CountPushes(ctx, channel)), want)
		}
		count("c", 3)
		count("d", 1)

		// A failure puts a row off; what is settled is due no more, keeps no text, and is neither put off nor named again.
		update(t, s, store.PushUpdate{IDs: []string{"p1"}, Delay: true, At: 1700000000009}, store.PushUpdate{IDs: []string{"p2"}, Outcome: "sent", At: 1700000000005})
		equal(t, "due", due(t, s), "p3 p1")
		next("c", "1700000000003 true <nil>")
		count("c", 2)
		update(t, s, store.PushUpdate{IDs: []string{"p2", "p1"}, Delay: true, At: 1700000000010}, store.PushUpdate{IDs: []string{"p2"}, Request: "late"})
		settled := must[[]store.Push](t)(s.DonePushes(ctx, "c", 1700000000005, 9))
		want := wake(2, "l")
		want.Title, want.Alert, want.Due, want.Done, want.Outcome = "", "", 1700000000005, true, "sent"
		equal(t, "settled", settled, []store.Push{want})
		equal(t, "settled later", pushIDs(must[[]store.Push](t)(s.DonePushes(ctx, "c", 1700000000006, 9))), "")
		list := must[[]store.Push](t)(s.DuePushes(ctx, "c", later, 9))
		equal(t, "tries", fmt.Sprint(list[0].Tries, list[1].Tries, list[1].Due), "0 2 1700000000010")
	})
}

func TestPushRequests(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		var rows []store.Push
		for n := range 6 {
			rows = append(rows, wake(n, "l", "w"))
		}
		rows[5].Channel = "d"
		apply(t, s, epoch, store.Change{Pushes: rows})
		update(t, s, store.PushUpdate{IDs: []string{"p0", "p3", "p5"}, Request: "A"}, store.PushUpdate{IDs: []string{"p1"}, Request: "B"})
		calls := func(names ...string) string {
			t.Helper()
			return pushIDs(must[[]store.Push](t)(s.PushesOfRequests(ctx, "c", names)))
		}
		equal(t, "A", calls("A"), "p0 p3")
		equal(t, "A and B", calls("A", "x", "B"), "p0 p1 p3")
		equal(t, "none", calls(), "")
		update(t, s, store.PushUpdate{IDs: []string{"p3"}, Delay: true, At: later + 1})
		equal(t, "one of A is not due", due(t, s), "p0 p1 p2 p4")
		equal(t, "A", calls("A"), "p0 p3")

		// Receivers may have outcomes of their own, in a row that waits and in one that is settled.
		to := []store.PushTo{{User: "l", Code: "code of l", Outcome: "dead"}, {User: "w", Code: "code of w"}}
		update(t, s, store.PushUpdate{IDs: []string{"p0"}, To: to}, store.PushUpdate{IDs: []string{"p1"}, To: to, Outcome: "sent", At: later})
		got := must[map[string][]store.Push](t)(s.PushesOf(ctx, []string{"m0", "m1"}))
		equal(t, "waits", fmt.Sprint(got["m0"][0].To, got["m0"][0].Done, got["m0"][0].Alert), fmt.Sprint(to, false, "张三:hi"))
		equal(t, "settled", fmt.Sprint(got["m1"][0].To, got["m1"][0].Done, got["m1"][0].Alert), fmt.Sprint(to, true, ""))
		equal(t, "B is settled", calls("B"), "")
	})
}

// Steps are one transaction, and may be written again.
func TestPushStepsAreOneTransaction(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		apply(t, s, epoch, store.Change{Pushes: []store.Push{wake(1, "l"), wake(2, "l")}})
		steps := []store.PushUpdate{{IDs: []string{"p1"}, Outcome: "sent", At: 1700000000005}, {IDs: []string{"p2"}, Delay: true, At: 1700000000009}}
		raw := e.raw(t, cfg)
		run(t, raw, "ALTER TABLE tlim_push RENAME COLUMN tries TO tried") // the second step fails
		if err := s.UpdatePushes(ctx, epoch, steps); err == nil {
			t.Error("got no error, want one")
		}
		run(t, raw, "ALTER TABLE tlim_push RENAME COLUMN tried TO tries")
		equal(t, "after a failure", due(t, s), "p1 p2")
		update(t, s, steps[0])
		update(t, s, steps[0])
		equal(t, "after it went through twice", due(t, s), "p2")
		equal(t, "settled", pushIDs(must[[]store.Push](t)(s.DonePushes(ctx, "c", 1700000000005, 9))), "p1")
	})
}

func TestPushesAreRemovedInParts(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		var rows []store.Push
		var ids []string
		for n := range 10 {
			rows, ids = append(rows, wake(n, "l")), append(ids, fmt.Sprintf("p%d", n))
		}
		rows[9].Channel = "d"
		apply(t, s, epoch, store.Change{Pushes: rows})
		update(t, s, store.PushUpdate{IDs: ids[:5], Outcome: "sent", At: 1700000000100}, store.PushUpdate{IDs: ids[5:7], Outcome: "sent", At: 1700000000200})
		removed := func(before int64, limit, want int) {
			t.Helper()
			equal(t, "removed", must[int](t)(s.DeletePushes(ctx, "c", before, limit)), want)
		}
		removed(1700000000100, 10, 0)
		removed(1700000000101, 3, 3)
		removed(1700000000101, 3, 2)
		removed(later, 10, 2)
		equal(t, "what waits stays", due(t, s), "p7 p8")
		equal(t, "a channel, in parts", fmt.Sprint(must[int](t)(s.DeleteChannel(ctx, "c", 1)), must[int](t)(s.DeleteChannel(ctx, "c", 5)), must[int](t)(s.DeleteChannel(ctx, "c", 5))), "1 1 0")
		equal(t, "the others stay", must[[]string](t)(s.PushChannels(ctx)), []string{"d"})
	})
}

func TestPushCodes(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		users := []store.User{{ID: "Z", JID: "z"}, {ID: "l", JID: "l"}, {ID: "w", JID: "w"}}
		apply(t, s, epoch, store.Change{Users: users})
		apply(t, s, epoch, store.Change{SetPush: []store.User{{ID: "Z", PushCode: "cz", PushOS: "ios"}, {ID: "l", PushCode: "cl", PushOS: "android"}, {ID: "w", PushCode: "CL"}}})
		owners := func(code string) string {
			t.Helper()
			return strings.Join(must[[]string](t)(s.PushOwners(ctx, code)), " ")
		}
		equal(t, "owners", owners("cz")+"/"+owners("cl")+"/"+owners("x"), "z/l/") // letters count
		must[any](t)(nil, s.DeletePushCodes(ctx, []string{"cl", "nobody's"}))
		must[any](t)(nil, s.DeletePushCodes(ctx, []string{"cl"}))
		must[any](t)(nil, s.DeletePushCodes(ctx, nil))
		equal(t, "owners", owners("cz")+"/"+owners("cl")+"/"+owners("CL"), "z//w")
		l := must[map[string]store.User](t)(s.UsersByID(ctx, []string{"l"}))["l"]
		equal(t, "their code", l.PushCode+l.PushOS, "")
	})
}
