package component

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"tlim/component/protocol"
)

// robotsSpeak has many robots each say something at once. It returns what each was answered, by the robot's number.
func (h *harness) robotsSpeak(n int, to func(i int) string) (answers []error, wait func()) {
	answers = make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, answers[i] = h.Speak(h.t.Context(), Speech{Robot: protocol.Robot{ID: fmt.Sprintf("bot%04d", i)}, Type: "MTT-000", To: to(i), MsgID: fmt.Sprint("m", i), Body: `[{"text":"x"}]`})
		})
	}
	return answers, all.Wait
}

// silentServer answers no question about an account; when it is given up, each ends as one does whose time is over.
type silentServer struct {
	asked   chan struct{} // a token for the first question
	givenUp chan struct{}

	mu               sync.Mutex
	waiting, highest int
}

func (s *silentServer) HasAccount(ctx context.Context, _ string) (bool, error) {
	s.mu.Lock()
	s.waiting++
	s.highest = max(s.highest, s.waiting)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}()
	select {
	case s.asked <- struct{}{}:
	default:
	}
	select {
	case <-s.givenUp:
		return false, context.DeadlineExceeded
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// TestRobotsOfASilentServer: a thousand robots that nobody knows yet speak, to people of whom nobody knows either, while the server answers no
// question about accounts. Few questions are under way, what people and known robots send passes meanwhile, and each is answered in the end.
func TestRobotsOfASilentServer(t *testing.T) {
	const many = 1000
	server := &silentServer{asked: make(chan struct{}, 1), givenUp: make(chan struct{})}
	h := newHarness(t)
	h.begin(nil)
	wants(t, "a robot that is known", h.KeepRobot(t.Context(), alarmBot), "")
	h.halt()
	h.asked = server
	h.run(nil)
	h.Up()
	h.sync()
	h.sender.take()

	answers, wait := h.robotsSpeak(many, func(i int) string { return fmt.Sprintf("person%04d", i) })
	<-server.asked
	h.send("zhangsan/p", text("z1", "zhangsan", "lisi", "x"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("a person beside them: got %v, want an acknowledgement", posts)
	}
	_, err := h.says(Speech{To: "lisi", MsgID: "known"}, "x")
	wants(t, "a robot that is known, to somebody who is known", err, "")
	close(server.givenUp)
	wait()
	if server.highest == 0 || server.highest > 8 {
		t.Errorf("got %d questions under way at once, want some, and no more than one caller's share", server.highest)
	}
	for i, err := range answers {
		if err != nil {
			t.Fatalf("robot %d: got %v, want its message stored", i, err)
		}
	}
	h.sync()
	for _, i := range []int{0, many - 1} {
		if got, want := h.queue(fmt.Sprintf("person%04d", i)), fmt.Sprintf("m%d/0", i); got != want {
			t.Errorf("the queue of person %d: got %q, want %q", i, got, want)
		}
	}
}

// TestRobotsOfAServerThatRoutesNothing: the link is up, and the server is silent about accounts and routes nothing of what it gets. A thousand new
// robots are made, and speak; each is answered, and what they said goes out when the server moves again.
func TestRobotsOfAServerThatRoutesNothing(t *testing.T) {
	const many = 1000
	server := &silentServer{asked: make(chan struct{}, 1), givenUp: make(chan struct{})}
	close(server.givenUp) // each question ends at once, as one does whose time is over
	h := newHarness(t)
	h.asked = server
	h.begin(nil)
	h.online("lisi/phone")
	h.sender.set(func(r *recordingSender) { r.hold = true })
	var declared []protocol.Robot
	for i := range many {
		declared = append(declared, protocol.Robot{ID: fmt.Sprintf("bot%04d", i)})
	}
	h.rec.set(func(r *recordingStore) { r.batches = 0 })
	wants(t, "made", h.KeepRobots(t.Context(), declared), "")
	h.rec.set(func(r *recordingStore) {
		if r.batches > 5 {
			t.Errorf("got %d transactions for %d robots, want a few", r.batches, many)
		}
	})
	answers, wait := h.robotsSpeak(many, func(int) string { return "lisi" })
	wait()
	for i, err := range answers {
		if err != nil {
			t.Fatalf("robot %d: got %v, want its message stored", i, err)
		}
	}
	h.sender.set(func(r *recordingSender) { r.hold = false })
	h.sender.answer(nil)
	h.sync()
	if d, _ := h.sender.take(); len(d) != many {
		t.Errorf("got %d deliveries, want each of the %d", len(d), many)
	}
}

// TestRobotsWithoutALink: who is known speaks on, and it comes when the link is back; who is not is told at once to come again.
func TestRobotsWithoutALink(t *testing.T) {
	const many = 1000
	h := start(t, nil)
	wants(t, "made", h.KeepRobot(t.Context(), protocol.Robot{ID: "bot0000"}), "")
	h.online("lisi/phone")
	h.sender.set(func(r *recordingSender) { r.down = true })
	h.Down(errors.New("no link"))
	answers, wait := h.robotsSpeak(many, func(int) string { return "lisi" })
	wait()
	if answers[0] != nil {
		t.Errorf("a robot that is known: got %v, want its message stored", answers[0])
	}
	for i, err := range answers[1:] {
		if !errors.Is(err, protocol.ErrUnavailable) {
			t.Fatalf("robot %d, which nobody knows: got %v, want %v", i+1, err, protocol.ErrUnavailable)
		}
	}
	if h.IsRobot("bot0001") {
		t.Error("got bot0001 made without a link, want it not made")
	}
	h.sender.set(func(r *recordingSender) { r.down = false })
	h.Up()
	h.sync() // the link is up when what it lost has been sent again: until then whom nobody knows is told to come again
	answers, wait = h.robotsSpeak(many, func(int) string { return "lisi" })
	wait()
	for i, err := range answers {
		if err != nil {
			t.Fatalf("robot %d, again: got %v, want its message stored", i, err)
		}
	}
	for i := range many {
		found, err := h.db.MessagesByID(context.WithoutCancel(t.Context()), []string{fmt.Sprint("m", i)})
		if err != nil || len(found[fmt.Sprint("m", i)]) != 1 {
			t.Fatalf("message %d: got %v, %v, want it once", i, found, err)
		}
	}
}
