package system

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// Another server, which gives no presence snapshots: directed presence alone tells who is there.
func TestProsody(t *testing.T) {
	w := newWorld(t, prosody, nil)
	users := people(t, 4)
	zhao, qian, silent, absent := users[0], users[1], users[2], users[3]
	session := w.group(users...)
	zhaoPhone, zhaoWeb := w.online(zhao, "1[android]"), w.online(zhao, "1[web]")
	qianPhone, qianWeb := w.online(qian, "2[ios]", lab.WithConfirm()), w.online(qian, "2[web]", lab.WithCarbons())
	unknown := w.login(silent, "3", lab.WithPresence("", 0)) // online, but never told tlim

	var chats, groups []string
	for range 20 {
		chat, group := lab.NewID(), lab.NewID()
		w.send(zhaoPhone, chat, lab.Text(zhao, qian, chat, "你好 😀 to you"))
		w.send(zhaoPhone, group, lab.GroupText(zhao, session, group, "你好 😀 to all"))
		chats, groups = append(chats, chat), append(groups, group)
	}
	last := lab.NewID()
	w.send(zhaoPhone, last, lab.GroupText(zhao, session, last, "last"))
	groups = append(groups, last)
	for device, subject := range map[*lab.Client]string{qianPhone: "", qianWeb: "", zhaoWeb: "ASYNC"} {
		for _, id := range chats {
			if m := w.receive(device, id); m.Subject != subject {
				t.Errorf("%s: got %s, want the subject %q", device.JID, m.Raw, subject)
			}
		}
	}
	for _, device := range []*lab.Client{zhaoPhone, zhaoWeb, qianPhone, qianWeb, unknown} {
		for _, id := range groups {
			w.receive(device, id)
		}
		for _, m := range device.Drain() {
			if _, receipt := m.Acknowledges(last); !receipt && !ownCarbon(m) {
				t.Errorf("%s got %s once more, want nothing", device.JID, m.Raw)
			}
		}
	}
	for _, user := range []string{silent, absent} { // unknown counts as offline
		if got := w.queue(user).ids(); fmt.Sprint(got) != fmt.Sprint(groups) {
			t.Errorf("queue of %s: got %v, want %v", user, got, groups)
		}
	}
	await(t, within(t, soon), "the confirmations of "+qian, func() (bool, error) { return len(w.queue(qian).List) == 0, nil })

	// Who was there by directed presence is gone with their session.
	check(t, qianPhone.Close())
	id := lab.NewID()
	w.send(zhaoPhone, id, lab.Text(zhao, qian, id, "are you there"))
	w.receive(qianWeb, id)
	if queue := w.queue(qian); len(queue.List) != 1 || queue.List[0].Status != 1 {
		t.Errorf("queue of %s: got %+v, want one row of status 1", qian, queue.List)
	}

	read, revoke := lab.NewID(), lab.NewID()
	check(t, qianWeb.SendMessage(w.component, read, lab.ReadReceipt(qian, zhao, read, id)))
	w.receive(zhaoPhone, read)
	w.send(zhaoPhone, revoke, lab.Revoke(zhao, qian, revoke, id))
	w.receive(qianWeb, revoke)
	if got := w.queue(qian).ids(); fmt.Sprint(got) != fmt.Sprint([]string{read, revoke}) { // their own receipt too, for their phone
		t.Errorf("queue of %s: got %v, want the read receipt %s and the revoke %s", qian, got, read, revoke)
	}
	w.get("approval", "params", `[{docTitle:'x'}]`, "msgTo", zhao)
	if _, err := zhaoWeb.WaitFor(within(t, soon), func(m lab.Message) bool { return m.Is("MTB-000", "") }); err != nil {
		t.Errorf("got %v, want an approval", err)
	}
	forged := lab.NewID()
	check(t, zhaoPhone.SendMessage(w.component, forged, lab.Text(qian, zhao, forged, "not me")))
	if code, _, _ := w.refused(zhaoPhone, forged); code != "error-011" {
		t.Errorf("forged sender: got %s, want error-011", code)
	}

	// The server restarts: the link comes back by itself.
	check(t, w.server.Stop())
	must[string](t)(w.tlim.AwaitUnready(within(t, soon)))
	check(t, w.server.Start(within(t, patience)))
	check(t, w.tlim.AwaitReady(within(t, soon)))
	again, friend := w.online(zhao, "4"), w.online(qian, "4")
	id = lab.NewID()
	w.send(again, id, lab.Text(zhao, qian, id, "back"))
	w.receive(friend, id)
}

// A stock client of another language and author, on both servers.
func TestInterop(t *testing.T) {
	for name, server := range map[string]func() (*lab.Server, error){"openfire": openfire, "prosody": prosody} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server, nil)
			users := people(t, 2)
			python, peer := users[0], users[1]
			session := w.group(users...)
			us := w.online(peer, "1[web]") // which is sent no pings
			type result struct {
				events []map[string]any
				err    error
			}
			run := func(more ...string) (lab.Message, result) {
				t.Helper()
				done := make(chan result, 1) // the one result
				id := lab.NewID()
				go func() {
					events, err := lab.Interop(within(t, patience), w.server, python, password(python),
						append([]string{"--component", w.component, "--to", peer, "--peer", peer, "--text", "你好 😀 <&>\"'", "--msg-id", id}, more...)...)
					done <- result{events, err}
				}()
				m, err := us.WaitFor(within(t, patience), func(m lab.Message) bool { return m.ID == id })
				check(t, err)
				answer := lab.NewID()
				w.send(us, answer, lab.Text(peer, python, answer, "再见 😀"))
				select {
				case r := <-done:
					return m, r
				case <-within(t, soon).Done():
					t.Fatal("the client does not end, want it to when it has its answer")
				}
				return m, result{}
			}
			for _, way := range []string{"MTT-000", "MTS-000"} {
				t.Run(way, func(t *testing.T) {
					more := []string{}
					if way == "MTS-000" {
						more = []string{"--session", session}
					}
					m, r := run(more...)
					check(t, r.err)
					body, err := must[lab.Envelope](t)(m.Envelope()).Objects()
					if err != nil || !m.Is(way, m.ID) || body[0]["text"] != "你好 😀 <&>\"'" {
						t.Errorf("the client sent %s, want an %s with its text unchanged", m.Raw, way)
					}
					kinds := []string{}
					for _, e := range r.events {
						kinds = append(kinds, strings.TrimSpace(fmt.Sprint(e["event"], " ", e["kind"])))
					}
					for _, want := range []string{"received MTC-100", "received MTT-000", "done <nil>"} {
						if !slices.Contains(kinds, want) {
							t.Errorf("the client saw %q, want %q among it", kinds, want)
						}
					}
				})
			}
			// slixmpp answers the pings around each message by itself.
			await(t, within(t, soon), "its answers", func() (bool, error) { return w.metric(`tlim_device_pings_total{outcome="answered"}`) >= 2, nil })
		})
	}
}
