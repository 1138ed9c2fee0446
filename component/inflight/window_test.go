package inflight

import (
	"errors"
	"testing"
	"time"
)

// heldSender keeps the answers to barriers until a test gives them.
type heldSender struct {
	asked []func(error)
}

func (h *heldSender) Barrier(done func(error)) { h.asked = append(h.asked, done) }

func TestBusy(t *testing.T) {
	p, sender := New(time.Now), &heldSender{}
	want := func(what string, full bool) {
		t.Helper()
		if got := p.Busy(); got != full {
			t.Errorf("%s: got busy %v, want %v", what, got, full)
		}
	}
	p.Sent(sender, Load{Copies: AskCopies - 1})
	if len(sender.asked) != 0 {
		t.Errorf("got %d pings behind few copies, want none", len(sender.asked))
	}
	p.Sent(sender, Load{Copies: 2 * BusyCopies})
	want("one batch, however large", false)
	p.Sent(sender, Load{Copies: AskCopies})
	want("two", true)
	if len(sender.asked) != 2 {
		t.Fatalf("got %d pings, want 2", len(sender.asked))
	}
	sender.asked[0](nil)
	select {
	case <-p.Wake():
	default:
		t.Error("not told that there is room, want it told")
	}
	want("the first is routed", false)

	for range 3 {
		p.Sent(sender, Load{Copies: BusyCopies / 3})
	}
	want("small ones add up", true)
	sender.asked[1](nil)
	want("it stays full", true)
	sender.asked[2](nil)
	want("until half is left", true)
	sender.asked[3](errors.New("the link was lost"))
	want("or the link is lost", false)

	p.Sent(sender, Load{Copies: BusyCopies})
	p.Reset()
	for range 2 {
		p.Sent(sender, Load{Copies: BusyCopies})
	}
	sender.asked[5](nil) // of the connection before
	want("an answer that came late", true)
}
