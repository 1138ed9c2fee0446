package system

import (
	"fmt"
	"testing"

	"tlim/scripts/lab"
)

// A read receipt that is sent again and again, because its client lost each answer, is acknowledged each time, and waits once for its author.
func TestRepeatedReadReceipt(t *testing.T) {
	const times = 5
	onSQLite := func(*testing.T) map[string]any { return nil }
	for name, c := range map[string]struct {
		server func() (*lab.Server, error)
		config func(t *testing.T) map[string]any
	}{"SQLite": {openfire, onSQLite}, "MariaDB": {openfire, onMariaDB}, "Prosody": {prosody, onSQLite}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.server, c.config(t))
			users := people(t, 2)
			author, reader := users[0], users[1]
			session := w.group(users...)
			away, phone := w.online(author, "1[android]"), w.online(reader, "1[android]")
			chat, group := lab.NewID(), lab.NewID()
			w.send(away, chat, lab.Text(author, reader, chat, "read me"))
			w.send(away, group, lab.GroupText(author, session, group, "read me"))
			w.receive(phone, chat)
			w.receive(phone, group)
			check(t, away.Close())
			await(t, within(t, soon), "the author to be gone", func() (bool, error) { return w.presence(session)[author] == "offline", nil })
			w.takeQueue(author)

			one, all := lab.NewID(), lab.NewID()
			for range times {
				w.send(phone, one, lab.ReadReceipt(reader, author, one, chat))
				w.send(phone, all, lab.GroupReadReceipt(reader, session, all, group))
			}
			once(t, "the author's queue", w.queue(author), []string{one, all})
			if n := len(w.queue(author).List); n != 2 {
				t.Errorf("%d rows wait for the author, want 2", n)
			}
		})
	}
}

// A phone that gets hundreds of messages at once and confirms each of them, by a receipt or by MTC-000, is refused nothing under the limits
// that a site has, and neither is its own next message.
func TestConfirmationsAreNeverRefused(t *testing.T) {
	const senders, each = 8, 50
	limits := map[string]any{"limits.per_user_rate": 50, "limits.per_user_burst": 200, "limits.per_user_inflight": 64}
	for name, server := range pingServers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server, limits)
			for _, commands := range []bool{false, true} {
				t.Run(map[bool]string{false: "<received/>", true: "MTC-000"}[commands], func(t *testing.T) {
					w := w.in(t)
					users := people(t, senders+1)
					user := users[senders]
					options := []lab.Option{lab.WithPings(lab.IgnorePings)} // who answers them is not asked for receipts
					if !commands {
						options = append(options, lab.WithConfirm())
					}
					phone := w.online(user, "1[android]", options...)
					var clients []*lab.Client
					for _, sender := range users[:senders] {
						clients = append(clients, w.online(sender, "a[web]"))
					}
					for i := range each {
						for k, c := range clients {
							id := lab.NewID()
							check(t, c.SendMessage(w.component, id, lab.Text(users[k], user, id, fmt.Sprint(i))))
						}
					}
					for n := 0; n < senders*each; n++ {
						m := must[lab.Message](t)(phone.Recv(within(t, soon)))
						if m.Type == "error" {
							t.Fatalf("after %d messages: got the error %s, want none", n, m.Raw)
						}
						if commands {
							id := lab.NewID()
							e := must[lab.Envelope](t)(m.Envelope())
							check(t, phone.SendMessage(w.component, id, lab.NewEnvelope("MTC-000", user, e.From, "", []map[string]string{{"msg_id": e.ID}})))
						}
					}
					own := lab.NewID()
					w.send(phone, own, lab.Text(user, users[0], own, "thank you"))
					await(t, within(t, soon), "all to be settled", func() (bool, error) { return w.metric("tlim_owed_copies") == 0, nil })
					check(t, phone.Ping(within(t, soon), w.component))
					for _, m := range phone.Drain() {
						if m.Type == "error" {
							t.Errorf("got the error %s, want none", m.Raw)
						}
					}
					if got := w.queue(user).ids(); len(got) > 0 {
						t.Errorf("%d wait for a phone that confirmed all, want 0", len(got))
					}
					if n := w.metric("tlim_refused_total"); n != 0 {
						t.Errorf("%v refused, want 0", n)
					}
				})
			}
		})
	}
}

// TestAnswersToPingsAreNotCharged: a phone answers more pings within a second than its user's rate, burst and messages under way let through
// messages, and is refused nothing, its own next message neither.
func TestAnswersToPingsAreNotCharged(t *testing.T) {
	const senders, each, burst = 4, 3, 3
	for name, server := range pingServers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server, map[string]any{"limits.per_user_rate": 1, "limits.per_user_burst": burst, "limits.per_user_inflight": 1})
			users := people(t, senders+1)
			user := users[senders]
			phone := w.online(user, "1[android]")
			answered := func() float64 { return w.metric(`tlim_device_pings_total{outcome="answered"}`) }
			for _, sender := range users[:senders] {
				c := w.online(sender, "a[web]")
				for i := range each {
					id := lab.NewID()
					w.send(c, id, lab.Text(sender, user, id, fmt.Sprint(i)))
					w.receive(phone, id)
				}
			}
			await(t, within(t, soon), "the answers", func() (bool, error) { return answered() > senders*each/2, nil }) // two pings may share an answer
			own := lab.NewID()
			w.send(phone, own, lab.Text(user, users[0], own, "thank you"))
			check(t, phone.Ping(within(t, soon), w.component))
			for _, m := range phone.Drain() {
				if m.Type == "error" {
					t.Errorf("got the error %s, want none", m.Raw)
				}
			}
			if n := w.metric("tlim_refused_total"); n != 0 {
				t.Errorf("%v refused, want 0", n)
			}
			t.Logf("%v answers to pings", answered())
		})
	}
}
