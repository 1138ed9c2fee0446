package system

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// Two servers of one domain and secret stand in a list. The first is killed while a client of it sends: clients of the second are served soon after, and
// what the first one's client had an acknowledgement for is stored once.
func TestServerOfAListKilled(t *testing.T) {
	t.Parallel()                                  // it waits for most of its time
	const zhao, qian, sun = "zhao", "qian", "sun" // the servers are the test's own
	accounts := map[string]string{zhao: password(zhao), qian: password(qian), sun: password(sun)}
	var pair []*lab.Server
	for range 2 {
		s := must[*lab.Server](t)(lab.StartProsody(within(t, patience), lab.Options{Dir: t.TempDir(), Users: accounts}))
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		pair = append(pair, s)
	}
	first, second := pair[0], pair[1]
	check(t, second.Stop())
	state := filepath.Join(second.Dir, "state")
	text := must[[]byte](t)(os.ReadFile(state))
	text = regexp.MustCompile(`(?m)^secret=.*$`).ReplaceAll(text, []byte("secret="+first.Secret))
	check(t, os.WriteFile(state, text, 0o600))
	check(t, second.Start(within(t, patience)))

	w := newWorld(t, func() (*lab.Server, error) { return first, nil }, map[string]any{"xmpp.server": []string{first.Component, second.Component}})
	if at := linkOf(t, w); at.Server != first.Component || at.State != "up" || at.ServerSince.IsZero() || at.Moved != "" {
		t.Fatalf("got the link %+v, want it up, to the first, %s, with the time since when", at, first.Component)
	}
	other := w.in(t)
	other.server = second
	there := other.login(sun, "1[android]", lab.WithPresence("", 0), lab.WithAck())

	// 1. the load, until the server is gone
	sender := w.online(zhao, "1[android]")
	var acked []string
	var load sync.WaitGroup
	enough := make(chan struct{})
	load.Go(func() {
		for i := 0; ; i++ {
			id := lab.NewID()
			if sender.SendMessage(w.component, id, lab.Text(zhao, qian, id, "你好")) != nil {
				return
			}
			if _, err := sender.WaitFor(t.Context(), func(m lab.Message) bool { _, yes := m.Acknowledges(id); return yes }); err != nil {
				return
			}
			if acked = append(acked, id); i == 50 {
				close(enough)
			}
		}
	})
	select {
	case <-enough:
	case <-within(t, time.Minute).Done():
		t.Fatal("got no 50 acknowledgements, want them before the kill")
	}
	killed := time.Now() // the link moves before the kill has returned
	check(t, first.Kill())

	// 2. the second
	id := lab.NewID()
	await(t, within(t, time.Minute), "an acknowledgement by the second server", func() (bool, error) {
		if err := there.SendMessage(w.component, id, lab.Text(sun, qian, id, "are you there")); err != nil {
			return false, err
		}
		yes := false
		_, err := there.WaitFor(within(t, 5*time.Second), func(m lab.Message) bool {
			_, yes = m.Acknowledges(id)
			return yes || m.Type == "error" && m.ID == id
		})
		return yes, err
	})
	pause := time.Since(killed)
	t.Logf("the first acknowledgement by the second server came %s after the kill", pause.Round(time.Millisecond))
	if pause > 15*time.Second {
		t.Errorf("got it after %s, want it within seconds", pause)
	}
	load.Wait()
	if at := linkOf(t, w); at.Server != second.Component || at.State != "up" || at.Moved == "" || at.ServerSince.Before(killed) || at.Since.Before(killed) || at.Since.After(time.Now()) {
		t.Errorf("got the link %+v, want it up, to the second, %s, with the reason, since after %v", at, second.Component, killed)
	}
	reader := other.online(qian, "2[ios]", lab.WithConfirm())
	live := lab.NewID()
	other.send(there, live, lab.Text(sun, qian, live, "now live"))
	other.receive(reader, live)

	// 3. what was acknowledged
	stored := map[string]int{}
	for _, id := range append(w.chatHistory(zhao, qian).ids(), w.chatHistory(sun, qian).ids()...) {
		stored[id]++
	}
	for _, id := range append(acked, id, live) {
		if stored[id] != 1 {
			t.Errorf("%s was acknowledged, and is stored %d times, want once", id, stored[id])
		}
	}
	t.Logf("%d messages were acknowledged", len(acked)+2)
	if log := must[[]byte](t)(os.ReadFile(w.tlim.Log)); !bytes.Contains(log, []byte("another server of xmpp.server")) {
		t.Error("the log does not tell of the move, want it told")
	}
}

// linkState is the link by the word of /readyz: the server that it goes to, since when, and why it left the one before.
type linkState struct {
	State       string
	Since       time.Time
	Server      string
	ServerSince time.Time `json:"server_since"`
	Moved       string
}

func linkOf(t *testing.T, w *world) linkState {
	t.Helper()
	_, body, err := w.tlim.Ready(within(t, soon))
	check(t, err)
	var ready struct{ Link linkState }
	check(t, json.Unmarshal([]byte(body), &ready))
	return ready.Link
}
