package unasked

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestTell: one line a day names some of those who sent last.
func TestTell(t *testing.T) {
	var log strings.Builder
	u := New(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	now := time.UnixMilli(1_600_000_000_000)
	tell := func(want string) {
		t.Helper()
		log.Reset()
		u.Tell(now)
		_, got, _ := strings.Cut(log.String(), "clients=")
		if strings.TrimSpace(got) != want {
			t.Errorf("got %s, want %q", &log, want)
		}
	}
	tell("")
	u.Note("lisi", "x[ios]", false, now)
	u.Note("lisi", "x[android]", false, now)
	u.Note("zhangsan", "x[android]", true, now)
	tell("") // more may come
	now = now.Add(firstTell)
	tell(`2 messages=2 "for example"="lisi (android), lisi (ios)"`)
	u.Note("lisi", "y[ios]", false, now)
	tell("")
	now = now.Add(tellPeriod)
	tell(`2 messages=1 "for example"="lisi (ios), lisi (android)"`)
	now = now.Add(tellPeriod)
	tell("") // nothing came
	u.Note("lisi", "x[ios]", false, now)
	u.Note("lisi", "x[ios]", true, now)
	u.Note("lisi", "x[android]", true, now)
	tell("") // all of them ask by now
	for i := range 100 {
		u.Note(fmt.Sprint("u", i), "[web]", false, now)
	}
	now = now.Add(tellPeriod)
	log.Reset()
	u.Tell(now)
	if got := log.String(); strings.Count(got, "(web)") != maxNames || !strings.Contains(got, "clients=100 messages=100") || !strings.Contains(got, `="u99 (web), u98`) {
		t.Errorf(`got %s, want %v times "(web)", with "clients=100 messages=100", with %q`, got, maxNames, `="u99 (web), u98`)
	}
}

// TestBounded: however many there are, memory and series stay.
func TestBounded(t *testing.T) {
	u := New(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	now := time.UnixMilli(1_600_000_000_000)
	for i := range 2*maxClients + 5 {
		u.Note(fmt.Sprint("u", i), "res"+fmt.Sprint(i), i%2 == 0, now)
	}
	if u.known.Len() != maxClients || u.silent != maxClients/2 {
		t.Errorf("got %d known, %d silent, want %d, %d", u.known.Len(), u.silent, maxClients, maxClients/2)
	}
	messages, clients := testutil.ToFloat64(u.messages), testutil.ToFloat64(u.clients) // of the one class that there is
	if messages != maxClients+2 || clients != maxClients/2 {
		t.Errorf("got %.0f messages of %.0f clients counted, want %d of %d", messages, clients, maxClients+2, maxClients/2)
	}
}
