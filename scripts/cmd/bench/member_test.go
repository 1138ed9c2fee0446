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
	if m.copies.Load() != 2 || m.acks.Load() != 2 || m.receipts.Load() != 1 || p.copies.Load() != 2 || p.acks.Load() != 2 {
		t.Errorf("%d copies, %d receipts in %d stanzas, want 2, acks 2, receipts 1, copies 2, acks 2", m.copies.Load(), m.acks.Load(), m.receipts.Load())
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
		t.Error("an error counts as a copy")
	}
	if _, err := begin([]*member{m}, p); err == nil {
		t.Error("a round begins after an error")
	}
}

func TestUntilStalls(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := newProgress(1).until(ctx, func() bool { return false }); !errors.Is(err, errStall) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("until: got %v, want %v, error %v", err, errStall, context.DeadlineExceeded)
	}
}
