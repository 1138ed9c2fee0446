package system

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// looks returns when the server has been asked once more who is there, and has answered. A getOffline asks for it.
func (w *world) looks(user string) {
	w.t.Helper()
	const count = "tlim_snapshot_seconds_count"
	ctx := within(w.t, time.Minute)
	await(w.t, ctx, "the first look", func() (bool, error) { return w.metric(count) > 0, nil })
	before := w.metric(count)
	w.queue(user)
	await(w.t, ctx, "a look at who is there", func() (bool, error) { return w.metric(count) > before, nil })
}

// arrive waits for two messages and lists all texts that came until then, in their order, repeats included.
func (w *world) arrive(c *lab.Client, chat, group string) (chats, groups []string) {
	w.t.Helper()
	for !slices.Contains(chats, chat) || !slices.Contains(groups, group) {
		m, err := c.Recv(within(w.t, soon))
		switch {
		case err != nil:
			w.t.Fatalf("%s: got %d and %d and then %v, want all up to %s and %s", c.JID, len(chats), len(groups), err, chat, group)
		case m.Is("MTT-000", ""):
			chats = append(chats, m.Subject+m.ID)
		case m.Is("MTS-000", ""):
			groups = append(groups, m.Subject+m.ID)
		}
	}
	return chats, groups
}

// Who is absent costs the server no stanza, in a group and alone, and has all in their queue. On a server without snapshots nobody can tell who
// is absent: each costs one, and so does the sender's bare JID, for their other devices.
func TestAbsent(t *testing.T) {
	const members, n = 60, 10
	for name, c := range map[string]struct {
		server func() (*lab.Server, error)
		config map[string]any
		copies float64 // of n messages to the group and as many to one who is absent
	}{
		"openfire":            {openfire, nil, 2 * n},
		"openfire, multicast": {openfire, map[string]any{"xmpp.multicast": "on"}, 2 * n},
		"prosody":             {prosody, nil, (members + 2) * n},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.server, c.config)
			users := people(t, members)
			session := w.group(users...)
			sender, phone := w.online(users[0], "a[web]"), w.online(users[1], "b[android]")
			absent := users[2:]
			if w.server.Kind == "openfire" {
				w.looks(users[0])
			}
			before, pings := w.metric("tlim_copies_total"), w.metric("tlim_device_pings_total")
			var ids []string
			for i := range n {
				group, alone := lab.NewID(), lab.NewID()
				w.send(sender, group, lab.GroupText(users[0], session, group, fmt.Sprint(i)))
				w.send(sender, alone, lab.Text(users[0], absent[0], alone, fmt.Sprint(i)))
				w.receive(phone, group)
				w.receive(sender, group)
				ids = append(ids, group)
			}
			if copies := w.metric("tlim_copies_total") - before; copies != c.copies {
				t.Errorf("%v copies, want %v", copies, c.copies)
			}
			if asked := w.metric("tlim_device_pings_total") - pings; asked > 2*n {
				t.Errorf("%v pings to one phone, want at most %v", asked, 2*n)
			}
			await(t, within(t, soon), "all rows to be written", func() (bool, error) { return w.metric("tlim_owed_rows") == 0, nil })
			for _, user := range []string{absent[1], absent[len(absent)-1]} {
				if got := w.queue(user).ids(); !slices.Equal(got, ids) {
					t.Errorf("%d wait for %s, want %d", len(got), user, n)
				}
			}
			if got := w.queue(absent[0]).ids(); len(got) != 2*n {
				t.Errorf("%d wait for %s, want %d", len(got), absent[0], 2*n)
			}
		})
	}
}

// A device that comes between two looks at who is there, and says nothing to tlim, is sent with the second one what its user was sent since
// the first, in order and once each: a phone, and a page too. What came before the first look only waits.
func TestComesBetweenLooks(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"presence.interval": "1m"}) // looks when it is asked to
	for _, class := range []string{"[web]", "[android]"} {
		t.Run(class, func(t *testing.T) {
			w := w.in(t)
			users := people(t, 2)
			zhao, qian := users[0], users[1]
			session := w.group(users...)
			sender := w.online(zhao, "a[web]")
			var chats, groups []string
			sends := func() {
				for i := range 3 {
					chat, group := lab.NewID(), lab.NewID()
					w.send(sender, chat, lab.Text(zhao, qian, chat, fmt.Sprint(i)))
					w.send(sender, group, lab.GroupText(zhao, session, group, fmt.Sprint(i)))
					chats, groups = append(chats, chat), append(groups, group)
				}
			}
			sends()
			w.looks(qian)
			copies := w.metric("tlim_copies_total")
			sends()
			came, own := w.login(qian, "2"+class, lab.WithPresence("", 0)), w.login(zhao, "2"+class, lab.WithPresence("", 0))
			sends()
			if n := w.metric("tlim_copies_total") - copies; n != 6 { // the sender's own of the group's
				t.Errorf("%v copies before anybody could know of the devices, want 6", n)
			}
			w.looks(qian)
			sends()

			for device, subject := range map[*lab.Client]string{came: "", own: "ASYNC"} {
				var want []string
				for _, id := range chats[3:] {
					want = append(want, subject+id)
				}
				gotChats, gotGroups := w.arrive(device, want[len(want)-1], groups[len(groups)-1])
				if !slices.Equal(gotChats, want) || !slices.Equal(gotGroups, groups[3:]) {
					t.Errorf("%s got %d and %d of %d and %d, or in another order: %q, want %q; %q, want %q", device.JID,
						len(gotChats), len(gotGroups), len(want), len(groups[3:]), gotChats, want, gotGroups, groups[3:])
				}
			}
			waits := append(slices.Clone(chats[:3]), groups[:3]...)
			if class == "[web]" { // a phone has none of it
				waits = append(slices.Clone(chats), groups...)
			}
			slices.Sort(waits)
			await(t, within(t, soon), fmt.Sprintf("a queue of %d", len(waits)), func() (bool, error) {
				got := w.queue(qian).ids()
				slices.Sort(got)
				return slices.Equal(got, waits), fmt.Errorf("%d wait", len(got))
			})
			for _, device := range []*lab.Client{came, own} {
				for _, m := range device.Drain() {
					t.Errorf("%s got %s once more, want nothing", device.JID, m.Raw)
				}
			}
		})
	}
}

// On a server without snapshots a device that becomes known is sent what went to the bare JID in the moments before: nobody knows whom that
// has reached.
func TestComesWithoutLooks(t *testing.T) {
	const moments = 3 * time.Second // of 4
	w := newWorld(t, prosody, nil)
	for _, class := range []string{"[web]", "[android]"} {
		t.Run(class, func(t *testing.T) {
			w := w.in(t)
			for range 5 {
				users := people(t, 2)
				zhao, qian := users[0], users[1]
				w.known(users...)
				sender, ids := w.online(zhao, "a[web]"), []string{}
				sends := func() {
					for i := range 3 {
						ids = append(ids, lab.NewID())
						w.send(sender, ids[len(ids)-1], lab.Text(zhao, qian, ids[len(ids)-1], fmt.Sprint(i)))
					}
				}
				begun := time.Now()
				sends()
				device := w.online(qian, "2"+class)
				if time.Since(begun) > moments {
					continue // a busy machine
				}
				sends()
				for _, id := range ids {
					w.receive(device, id)
				}
				return
			}
			t.Errorf("the device came later than %s five times, want it once in time: the machine is too slow to tell", moments)
		})
	}
}
