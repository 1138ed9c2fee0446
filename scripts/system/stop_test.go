package system

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// SIGTERM under load: exit 0, senders are told, nothing acknowledged is lost, and nothing has to be delivered again.
func TestStopUnderLoad(t *testing.T) {
	w := newWorld(t, openfire, nil)
	c := newCast(t, w, 4*time.Millisecond)
	const stops = 4
	var longest time.Duration
	for range stops {
		c.more(200)
		began := time.Now()
		check(t, w.tlim.Stop()) // it fails for another exit code than 0
		longest = max(longest, time.Since(began))
		check(t, w.tlim.Start(within(t, time.Minute)))
		if n := w.metric("tlim_replayed_total"); n != 0 {
			t.Errorf("%v messages were delivered again after an orderly stop, want 0", n)
		}
	}
	c.more(50)
	_, waits := c.ledger.tries()
	c.verdict(true)
	t.Logf("%d stops, the longest took %s, senders were told %d times to wait", stops, longest.Round(time.Millisecond), waits)
	if waits == 0 {
		t.Errorf("no sender was told to wait in %d stops, want some", stops)
	}
}

// What keeps the link from coming up is told apart in /readyz, in words for programs and in a sentence for people.
func TestLinkStates(t *testing.T) {
	s, other := must[*lab.Server](t)(openfire()), must[*lab.Server](t)(prosody())
	holder := newWorld(t, openfire, nil)
	for _, c := range []struct {
		name, state, text string
		config            map[string]any
	}{
		{"refused port", "refused", "refuses connections", map[string]any{"xmpp.server": must[string](t)(lab.FreeAddr())}},
		{"wrong secret", "secret", "xmpp.secret", map[string]any{"xmpp.secret": "wrong"}},
		{"name conflict", "conflict", "another connection has this name", map[string]any{"xmpp.component": holder.component}},
		{"unknown host", "host-unknown", "does not know", map[string]any{"xmpp.server": other.Component, "xmpp.secret": other.Secret, "xmpp.component": "other." + other.Domain}},
		{"no such address", "dns", "no address", map[string]any{"xmpp.server": "no-such-host-.invalid:5275"}}, // a hyphen too many: no resolver asks the network for it
		{"not a component port", "no-component", "external component port", map[string]any{"xmpp.server": s.C2S}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tl := startTlim(t, lab.TlimOptions{Unready: true, Config: settings(s, newComponent(s), c.config)})
			var text string
			await(t, within(t, soon), "state "+c.state, func() (bool, error) {
				var err error
				_, text, err = tl.Ready(within(t, soon))
				return strings.Contains(text, `"state": "`+c.state+`"`), errors.Join(err, errors.New(text))
			})
			if !strings.Contains(text, c.text) {
				t.Errorf("/readyz says %s, want %q in it", text, c.text)
			}
			if log := string(must[[]byte](t)(os.ReadFile(tl.Log))); !strings.Contains(log, "reason="+c.state) {
				t.Errorf("got the log\n%s\nwant reason=%s in it", log, c.state)
			}
		})
	}
	user := people(t, 1)[0]
	client := holder.online(user, "1")
	id := lab.NewID()
	holder.send(client, id, lab.Text(user, user, id, "the holder of the name does not mind"))
}

// The name becomes free: whoever waited for it takes it, by itself.
func TestNameBecomesFree(t *testing.T) {
	first := newWorld(t, openfire, nil)
	second := startTlim(t, lab.TlimOptions{Unready: true, Config: settings(first.server, first.component, nil)})
	await(t, within(t, soon), "the conflict", func() (bool, error) {
		_, text, err := second.Ready(within(t, soon))
		return strings.Contains(text, `"state": "conflict"`), err
	})
	check(t, first.tlim.Kill())
	killed := time.Now()
	check(t, second.AwaitReady(within(t, time.Minute)))
	t.Logf("linked %s after the holder was killed", time.Since(killed).Round(time.Millisecond))
}

// Two processes on one database: the later one owns it, the earlier one ends at its next write, not with 0, and tells nobody
// anything that did not happen.
func TestFenced(t *testing.T) {
	for name, config := range map[string]func(*testing.T) map[string]any{
		"sqlite": func(*testing.T) map[string]any {
			return map[string]any{"store.dsn": filepath.Join(t.TempDir(), "shared.db")}
		},
		"mariadb": onMariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			s := must[*lab.Server](t)(openfire())
			component := newComponent(s)
			o := settings(s, component, config(t))
			w := &world{t: t, server: s, component: component, tlim: startTlim(t, lab.TlimOptions{Config: o})}
			users := people(t, 2)
			sender, receiver := w.online(users[0], "1"), w.online(users[1], "1")
			before := lab.NewID()
			w.send(sender, before, lab.Text(users[0], users[1], before, "before"))
			w.receive(receiver, before)

			// The first one again, so that its exit code can be seen.
			check(t, w.tlim.Stop())
			first := exec.Command(must[string](t)(lab.Build(within(t, time.Minute))), "serve", "--config", filepath.Join(w.tlim.Dir, "tlim.yaml"))
			first.Dir = w.tlim.Dir
			lab.EndsWithUs(first)
			var log bytes.Buffer
			first.Stdout, first.Stderr = &log, &log
			check(t, first.Start())
			ended := make(chan error, 1) // the one result
			go func() { ended <- first.Wait() }()
			t.Cleanup(func() { _ = first.Process.Kill() }) // gone already, unless the test failed
			await(t, within(t, time.Minute), "the first to be ready again", func() (bool, error) {
				status, _, err := w.tlim.Ready(within(t, soon))
				return status == 200, err
			})

			second := startTlim(t, lab.TlimOptions{Unready: true, Config: o})
			await(t, within(t, soon), "the second to take the database over", func() (bool, error) {
				_, text, err := second.Ready(within(t, soon))
				return strings.Contains(text, `"state": "conflict"`), err
			})
			id := lab.NewID()
			check(t, sender.SendMessage(component, id, lab.Text(users[0], users[1], id, "whose?")))
			began := time.Now()
			select {
			case err := <-ended:
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() <= 0 {
					t.Errorf("the fenced process ended with %v, want an exit code above 0", err)
				}
				t.Logf("%v %s after the message", err, time.Since(began).Round(time.Millisecond))
			case <-within(t, soon).Done():
				t.Fatal("the fenced process goes on, want it ended")
			}
			if !strings.Contains(log.String(), "another process") {
				t.Errorf("the log of the fenced process is\n%s\nwant \"another process\" in it", log.String())
			}
			check(t, second.AwaitReady(within(t, soon)))

			// The sender had an error or nothing, and sends again.
			w = &world{t: t, server: s, component: component, tlim: second}
			check(t, sender.Sync(within(t, soon))) // what the first one said last has come
			for _, m := range sender.Drain() {
				if _, yes := m.Acknowledges(id); yes {
					t.Errorf("the fenced process acknowledged %s, want it not to: it did not store it", id)
				}
			}
			w.send(sender, id, lab.Text(users[0], users[1], id, "whose?"))
			w.receive(receiver, id)
			if got := w.chatHistory(users[0], users[1]).ids(); len(got) != 2 || got[0] != id || got[1] != before {
				t.Errorf("history: got %v, want %v", got, []string{id, before})
			}
		})
	}
}
