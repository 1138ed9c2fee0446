package openfire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/stanza"
	"tlim/component/stream"
)

type recorder struct{ ids []string }

func (r *recorder) CopiedMessage(st stanza.Stanza) { r.ids = append(r.ids, st.ID) }

// copyOf is what Openfire sends (measured).
func copyOf(outer, from, to, id string) stanza.Stanza {
	inner := fmt.Sprintf(`<copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false" date="2026-11-23T20:13:22.924Z">`+
		`<message xmlns="" to="%s" type="chat" id="%s" from="%s"><body>{}</body></message></copy>`, to, id, from)
	return stanza.Stanza{Name: "message", From: outer, To: "tlim-copies.im.test", Inner: []byte(inner)}
}

func testCopyLink(t *testing.T, maxRate int) (*CopyLink, *recorder, context.Context) {
	t.Helper()
	taken := &recorder{}
	cfg := stream.Config{Domain: "tlim.im.test", Server: "im.test", Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	c := NewCopyLink(cfg, maxRate, taken)
	if c.stream.Domain != "tlim-copies.im.test" {
		t.Errorf("the copy link is %s, want tlim-copies.im.test", c.stream.Domain)
	}
	ctx, trip := context.WithCancelCause(context.Background())
	t.Cleanup(func() { trip(nil) })
	c.trip = trip
	return c, taken, ctx
}

func TestOnlyClientsMessagesToTheServerAreTaken(t *testing.T) {
	c, taken, _ := testCopyLink(t, 100)
	for _, st := range []stanza.Stanza{
		copyOf("im.test", "a@im.test/phone", "undefined@im.test", "old web client"),
		copyOf("im.test", "a@im.test/phone", "im.test", "to the bare server"),
		copyOf("im.test", "a@im.test/phone", "tlim.im.test", "NO: comes directly"),
		copyOf("im.test", "a@im.test", "b@im.test", "NO: sent by a component as user@D"),
		copyOf("im.test", "tlim.im.test", "b@im.test/phone", "NO: ours"),
		copyOf("im.test", "a@other.test/phone", "b@im.test", "NO: another server's user"),
		copyOf("a@im.test/phone", "boss@im.test/phone", "b@im.test", "NO: a look-alike by a client"),
		{Name: "message", From: "im.test", Inner: []byte("<body>x</body>")},
	} {
		c.Stanza(st)
	}
	if want := []string{"old web client", "to the bare server"}; !slices.Equal(taken.ids, want) {
		t.Errorf("taken: got %q, want %q", taken.ids, want)
	}
}

// Copies come in bursts every 5 s: a burst within the rate is none too many, one above it closes the link.
func TestCopyLinkClosesItselfAboveItsRate(t *testing.T) {
	c, taken, ctx := testCopyLink(t, 2)
	now := time.Now()
	c.now = func() time.Time { return now }
	burst := func(n int) {
		for range n {
			c.Stanza(copyOf("im.test", "a@im.test/phone", "b@im.test", "x"))
		}
	}
	burst(10)
	now = now.Add(copyPeriod - 20*time.Millisecond) // the server's timer is not exact
	burst(10)
	if ctx.Err() != nil || len(taken.ids) != 20 {
		t.Fatalf("two bursts of the allowed rate: got %d copies, %v, want 20, no error", len(taken.ids), context.Cause(ctx))
	}
	burst(1)
	if !errors.Is(context.Cause(ctx), errTooManyCopies) || len(taken.ids) != 20 {
		t.Errorf("above the rate: got %d copies, %v, want 20, %v", len(taken.ids), context.Cause(ctx), errTooManyCopies)
	}
}

// One user can make the link close itself for everybody: the log says who it was, with numbers, and the link tries again soon.
func TestCopyFloodHasAName(t *testing.T) {
	c, taken, ctx := testCopyLink(t, 10)
	var log strings.Builder
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Now()
	c.now = func() time.Time { return now }
	flood := func(evil int) {
		for i := range 3 {
			c.Stanza(copyOf("im.test", fmt.Sprintf("user%d@im.test/phone", i), "b@im.test", "x"))
		}
		for i := range evil {
			c.Stanza(copyOf("im.test", fmt.Sprintf("evil@im.test/r%d", i), "b@im.test", "x"))
		}
	}
	flood(20)
	if log.Len() != 0 {
		t.Errorf("a busy user is no flood: got %s, want an empty log", &log)
	}
	for range 3 { // said once a minute
		now = now.Add(copyPeriod)
		flood(30)
	}
	if ctx.Err() != nil || strings.Count(log.String(), "sender=evil@im.test copies=26") != 1 {
		t.Errorf(`half of what is allowed: got %v, %s, want no error, "sender=evil@im.test copies=26" once in the log`, context.Cause(ctx), &log)
	}
	now = now.Add(copyPeriod)
	flood(100)
	if !errors.Is(context.Cause(ctx), errTooManyCopies) || len(taken.ids) != 23+3*33+50 {
		t.Fatalf("got %d copies, %v, want %d, %v", len(taken.ids), context.Cause(ctx), 23+3*33+50, errTooManyCopies)
	}
	log.Reset()
	pauses := &copyPauses{}
	for i, want := range []time.Duration{copyFloodPause, 2 * copyFloodPause, 4 * copyFloodPause, 8 * copyFloodPause, copyPause, copyPause} {
		if got := c.overloaded(pauses, time.Minute); got != want {
			t.Errorf("pause %d: got %s, want %s", i, got, want)
		}
	}
	if got := c.overloaded(pauses, copyPause); got != copyFloodPause {
		t.Errorf("after a quiet time: got %s, want %s", got, copyFloodPause)
	}
	for _, want := range []string{`senders="evil@im.test: 100, user0@im.test: 1, user1@im.test: 1"`, "closed_for=30s", "lock the account"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("got log %s, want %s in it", &log, want)
		}
	}
}

// Many who send much are no flood of one: the link stays closed for long at once.
func TestCopyOverloadOfMany(t *testing.T) {
	c, _, ctx := testCopyLink(t, 2)
	for i := range 100 {
		c.Stanza(copyOf("im.test", fmt.Sprintf("user%d@im.test/phone", i), "b@im.test", "x"))
	}
	if ctx.Err() == nil || c.overloaded(&copyPauses{}, time.Hour) != copyPause {
		t.Errorf("the longest pause: got %v, want the end of the link and %v", context.Cause(ctx), copyPause)
	}
}

// follower notes what it is told.
type follower struct{ said []string }

func (f *follower) LinkUp()     { f.said = append(f.said, "up") }
func (f *follower) Subscribed() { f.said = append(f.said, "subscribed") }
func (f *follower) LinkDown()   { f.said = append(f.said, "down") }
func (f *follower) Copied(st stanza.Stanza, at time.Time) {
	f.said = append(f.said, st.ID+" of "+at.UTC().Format(time.RFC3339Nano))
}

// Who watches is told of each copy that is taken, with the server's time, before the taker is; and of the link, once.
func TestCopyLinkIsWatched(t *testing.T) {
	c, taken, _ := testCopyLink(t, 100)
	f := &follower{}
	c.Watch(f)
	c.Stanza(copyOf("im.test", "a@im.test/phone", "b@im.test", "m1"))
	c.Stanza(copyOf("im.test", "a@im.test", "b@im.test", "NO: sent by a component"))
	undated := copyOf("im.test", "a@im.test/phone", "b@im.test", "m2")
	undated.Inner = []byte(strings.Replace(string(undated.Inner), `date="2026-11-23T20:13:22.924Z"`, `date="yesterday"`, 1))
	c.Stanza(undated)
	c.Down(nil) // of a link that was never up
	if want := []string{"m1 of 2026-11-23T20:13:22.924Z", "m2 of 0001-01-01T00:00:00Z"}; !slices.Equal(f.said, want) || len(taken.ids) != 2 {
		t.Errorf("got %q, %d taken, want %q, 2", f.said, len(taken.ids), want)
	}
	if _, err := c.IQ(t.Context(), "get", "im.test", nil); !errors.Is(err, stream.ErrDown) {
		t.Errorf("a question before there is a link: got %v, want %v", err, stream.ErrDown)
	}
}
