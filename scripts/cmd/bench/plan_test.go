package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	p, err := readPlan([]string{"-rounds", "7", "-only", "chat", "-quick", "-profile"})
	if err != nil || p.rounds != 7 || !slices.Equal(p.parts, []string{"chat"}) || !p.profile || p.round >= time.Second {
		t.Errorf("got %+v, %v, want 7 short rounds of chat (less than %v) with a profile, and no error", p, err, time.Second)
	}
	if !p.has("group", "chat") || p.has("group", "files") {
		t.Errorf("got the parts %v, want chat and not files", p.parts)
	}
	p, err = readPlan(nil)
	if err != nil || p.rounds != 5 || !slices.Equal(p.parts, partNames) {
		t.Errorf("got %+v, %v, want 5 rounds of the parts %v and no error", p, err, partNames)
	}
	// What the issue asks for.
	if p.rounds*p.offline.calls != 1000 || p.offline.rows != 10_000 || p.offline.drain() != p.offline.rows || p.history.depth != 1_000_000 ||
		p.receivers != 1000 || p.fileBytes != 1<<30 || p.uploadBytes*uploadsAtOnce != 2000<<20 {
		t.Errorf("got %+v, want 1000 calls on 10,000 rows, all drained, a depth of 1,000,000, 1000 receivers, a file of %d bytes, uploads of %d in all", p, 1<<30, 2000<<20)
	}
	// What takes minutes of logins runs only when it is named.
	if p.has("presence") {
		t.Error("presence runs by itself, want it only when it is named")
	}
	if p, err = readPlan([]string{"-only", "presence", "-against", os.Args[0]}); err != nil || !p.has("presence") || p.presence.maxSessions() != 10_000 || p.against != os.Args[0] {
		t.Errorf("got %+v, %v, want presence with 10,000 sessions against %s, and no error", p, err, os.Args[0])
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"-only", "all"}, {"group"}, {"-against", "no/such/file"}} {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			if _, err := readPlan(bad); err == nil {
				t.Errorf("%v is taken, want an error", bad)
			}
		})
	}
}
