package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// What the receiver refuses of one event is charged to that event's conversation: from the first refusal on it is tried apart from all others.
func TestARefusedEventIsTriedApart(t *testing.T) {
	s := newSite(t)
	together := 0
	s.to.refuse = func(ids []string) error {
		if !slices.Contains(ids, "m2") {
			return nil
		}
		if len(ids) > 1 {
			together++
		}
		return errors.New("status 500")
	}
	s.say("a", "b", "c")
	for range maxTries {
		s.say("a", "c")
		s.passes(1)
	}
	s.is("requests in which it stood in others' way", fmt.Sprint(together), "1")
}

// A receiver that answers one event with 503 for ever, and takes all others, is not away.
func TestOneEventThatIsAnsweredLater(t *testing.T) {
	s := newSite(t)
	s.to.refuse = func(ids []string) error {
		if slices.Contains(ids, "m2") {
			return &Failure{Err: errors.New("status 503"), Later: true}
		}
		return nil
	}
	s.say("a", "b", "c", "b", "a")
	s.passes(8)
	s.is("taken around it", sorted(s.took()), "m1 m3 m5")
	for range maxTries + 2 {
		s.say("c")
		s.passes(2)
	}
	s.is("dead", fmt.Sprint(s.count(true)), "1")
	s.is("waiting", fmt.Sprint(s.count(false)), "0")
}

// How long a receiver wants to be left alone because of one event is charged to that event's conversation, whether the event came alone or among
// others; all others are told at once. One that wants it of all is left alone.
func TestOneEventThatIsAnsweredMuchLater(t *testing.T) {
	later := &Failure{Err: errors.New("status 503"), Later: true, Wait: 10 * time.Minute}
	for name, first := range map[string][]string{"alone": {"b"}, "among others": {"a", "b", "c"}, "the last of others": {"a", "c", "b"}, "with its conversation": {"b", "b"}} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			bad := fmt.Sprint("m", slices.Index(first, "b")+1)
			s.to.refuse = func(ids []string) error {
				if slices.Contains(ids, bad) {
					return later
				}
				return nil
			}
			s.say(first...)
			s.pass(t.Context())
			if name == "the last of others" { // it was the one that was tried
				s.clock.Move(11 * time.Minute)
			}
			s.say("d")
			s.pass(t.Context())
			s.say("b", "e")
			s.pass(t.Context())
			want := ""
			for i := 1; i <= s.n; i++ {
				if id := fmt.Sprint("m", i); id != bad && !(name == "with its conversation" && i == 2) && i != s.n-1 {
					want += " " + id
				}
			}
			s.is("taken around it", sorted(s.took()), sorted(want))
			s.to.refuse = nil
			s.clock.Move(11 * time.Minute)
			s.pass(t.Context())
			s.clock.Move(time.Minute)
			s.pass(t.Context())
			if got := strings.Fields(s.took()); len(got) == 0 || got[0] != bad || got[len(got)-1] != fmt.Sprint("m", s.n-1) {
				t.Errorf("got %q taken after its time, want %s, and last what was said behind it", got, bad)
			}
			s.is("waiting, dead", fmt.Sprint(s.count(false), s.count(true)), "0 0")
		})
	}
	s := newSite(t)
	s.to.refuse = func([]string) error { return later }
	s.say("a", "b", "c")
	s.pass(t.Context())
	requests := len(s.to.requests)
	s.clock.Move(9 * time.Minute)
	s.say("d")
	s.pass(t.Context())
	s.is("requests while it wants to be left alone", fmt.Sprint(requests, len(s.to.requests)), "2 2")
}

// An event on which the receiver hangs costs others the one request in which it was, and nothing later: they are told meanwhile. A stop ends it.
func TestAnEventOnWhichTheReceiverHangs(t *testing.T) {
	s := newSite(t)
	hanging, hang := make(chan struct{}, 1), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	s.to.refuse = func(ids []string) error {
		switch {
		case !slices.Contains(ids, "m2"):
			return nil
		case len(ids) > 1:
			return errors.New("no answer within 15 s")
		}
		hanging <- struct{}{}
		select {
		case <-hang:
		case <-ctx.Done():
		}
		return errors.New("no answer within 15 s")
	}
	s.say("a", "b", "c")
	s.Events.pass(ctx)
	<-hanging
	for s.running > 1 { // a and c
		s.outcome(ctx, <-s.done)
	}
	s.is("taken around it", sorted(s.took()), "m1 m3")
	s.say("d", "b", "c")
	s.Events.pass(ctx)
	s.is("taken while it hangs, but for its own conversation", s.took(), "m4 m6")
	close(hang)
	s.outcome(ctx, <-s.done)
	s.is("tries", fmt.Sprint(s.first().Tries), "1")

	// It is due again, and the process is stopped.
	hang = make(chan struct{})
	s.clock.Move(time.Hour)
	ended := make(chan struct{})
	go func() {
		s.Run(ctx)
		close(ended)
	}()
	<-hanging
	stop()
	<-ended
	s.is("tries after the stop", fmt.Sprint(s.first().Tries), "1")
	s.is("under way", fmt.Sprint(s.running, s.repeats, len(s.busy)), "0 0 0")
}

// first is the first event that waits.
func (s *site) first() store.Event {
	s.t.Helper()
	list, err := s.db.Events(s.t.Context(), false, "", 1)
	if err != nil || len(list) != 1 {
		s.t.Fatalf("got %v, %v, want an event that waits", list, err)
	}
	return list[0]
}

// Many refused events at once are bounded in memory, and each is told in the end.
func TestManyRefusedEvents(t *testing.T) {
	s := newSite(t)
	bad := true
	s.to.refuse = func(ids []string) error {
		if bad && slices.ContainsFunc(ids, func(id string) bool { return strings.HasSuffix(id, "3") }) {
			return errors.New("status 500")
		}
		return nil
	}
	var to, want []string
	for i := range 400 {
		to, want = append(to, fmt.Sprint("u", i)), append(want, fmt.Sprint("m", i+1))
	}
	s.say(to...)
	for range 5 {
		s.pass(t.Context())
		s.clock.Move(3 * time.Second)
	}
	if n := s.count(false); n > 60 {
		t.Errorf("got %d that wait, want little more than the 40 that are refused", n)
	}
	bad = false
	for range 20 {
		s.pass(t.Context())
		s.clock.Move(20 * time.Minute)
	}
	s.is("taken", sorted(s.took()), sorted(strings.Join(want, " ")))
	s.is("in memory", fmt.Sprint(s.running, s.repeats, s.suspects, len(s.queue), len(s.busy)), "0 0 0 0 0")
}
