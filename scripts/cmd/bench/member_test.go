package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMemberCounts(t *testing.T) {
	m, p := &member{user: "m00"}, newProgress(2)
	m.watch.Store(p)
	b := &bare{name: "bare.im.test", domain: "im.test", members: []string{"m00@im.test"}}
	w := newGroupWriter("m00", "bare.im.test", "chat", "s1", true)
	text := asServer(w.batch(1), "m00@im.test/phone") + asServer(w.batch(1), "m00@im.test/phone")
	for _, stanza := range strings.SplitAfter(string(feed(b, text, 1)), "</message>") {
		m.stanza([]byte(stanza))
	}
	m.stanza([]byte(`<message type="groupchat" from="bench@conference.im.test"><subject></subject></message>`))
	if m.copies.Load() != 2 || m.acks.Load() != 2 || m.ackStanzas.Load() != 1 || p.copies.Load() != 2 || p.acks.Load() != 2 {
		t.Errorf("got %d copies, %d messages acknowledged in %d stanzas, in all %d and %d, want 2 and 2 in 1, in all 2 and 2", m.copies.Load(), m.acks.Load(), m.ackStanzas.Load(), p.copies.Load(), p.acks.Load())
	}
	if err := p.until(t.Context(), func() bool { return p.copies.Load() == 2 }); err != nil {
		t.Error(err)
	}

	// An error ends the round although it carries the message's body.
	m.stanza([]byte(`<message type="error" from="tlim.im.test"><body>` + text[:200] + mark + `</body></message>`))
	if err := p.until(t.Context(), func() bool { return false }); err == nil || !strings.Contains(err.Error(), "m00 got <message type=\"error\"") {
		t.Errorf("until: got %v, want an error, error with %q", err, "m00 got <message type=\"error\"")
	}
	if m.copies.Load() != 2 || m.failure.Load() == nil {
		t.Errorf("got %d copies, failure %v after an error, want 2 copies as before, and the failure kept", m.copies.Load(), m.failure.Load())
	}
	if _, err := begin([]*member{m}, p); err == nil {
		t.Error("a round begins after an error, want it refused")
	}
}

func TestUntilStalls(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := newProgress(1).until(ctx, func() bool { return false }); !errors.Is(err, errStall) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("until: got %v, want %v, error %v", err, errStall, context.DeadlineExceeded)
	}
}
