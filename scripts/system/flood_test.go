package system

import (
	"flag"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

var longFlood = flag.Bool("flood.long", false, "let TestFlood take a minute, and hold it against the times that it is to keep on a machine that does nothing else")

// A group that is written into faster than Openfire can deliver leaves the server alive and others' messages on their way; what was accepted
// arrives, everything else is refused by name. Without a bound of what is in flight its heap is full within seconds.
func TestFlood(t *testing.T) {
	const members, writers = 100, 20
	w := newWorld(t, openfire, map[string]any{"limits.per_user_inflight": 64})
	names := people(t, 2+members)
	pair, group := [2]string{names[0], names[1]}, names[2:]
	session := w.group(group...)
	w.known(pair[0], pair[1])
	f := lab.Flood{Server: w.server, Component: w.component, Session: session, Members: group, Pair: pair, Password: password,
		Writers: writers, Rate: 50, Size: 350, Time: 8 * time.Second, Settle: time.Minute}
	slowest := 20 * time.Second // on a machine that is busy
	if *longFlood {
		f.Time, slowest = time.Minute, time.Second
	}
	r := must[*lab.FloodResult](t)(f.Run(within(t, f.Time+2*time.Minute)))
	t.Logf("%d sent, %d accepted, %d copies, heap %.0f %%, another pair's message %s at most; refused: %v",
		r.Sent, r.Accepted, r.Copies, 100*r.FullestHeap(), r.Slowest().Round(time.Millisecond), r.Refused)

	if r.Accepted == 0 || r.Missing > 0 || r.Disorder > 0 {
		t.Errorf("of %d accepted messages %d copies did not arrive, %d members got them in another order; want some accepted, all there, in order", r.Accepted, r.Missing, r.Disorder)
	}
	if r.Silent > 0 {
		t.Errorf("%d messages have no answer, want 0", r.Silent)
	}
	for text := range r.Refused {
		if !strings.HasPrefix(text, "error-013: 这个群太忙") && !strings.HasPrefix(text, "error-013: 该用户等待处理的消息太多") {
			t.Errorf("got the refusal %q, want only error-013 for a busy group or for messages that wait", text)
		}
	}
	if r.FullestHeap() > 0.7 {
		t.Errorf("the server's old generation was full to %.0f %%, want at most 70 %%", 100*r.FullestHeap())
	}
	if r.Slowest() > slowest {
		t.Errorf("another pair's message took %s, want at most %s", r.Slowest(), slowest)
	}
	if len(r.Heap) == 0 {
		t.Error("got no look at the heap, want some")
	}
}
