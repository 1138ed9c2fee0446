package system

import (
	"slices"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// A user with a web and a phone session gets each message on both, once each, however the server routes and whoever enabled
// carbons; the sender's other device gets an ASYNC copy, and the sending one none.
func TestEveryDeviceOnce(t *testing.T) {
	for name, server := range map[string]func() (*lab.Server, error){"default routing": openfire, "route.all-resources": openfireToAll} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, server, nil)
			for _, clients := range []struct {
				name    string
				options []lab.Option
			}{{"plain", nil}, {"carbons", []lab.Option{lab.WithCarbons()}}, {"low priority phone", nil}} {
				t.Run(clients.name, func(t *testing.T) { everyDeviceOnce(t, w.in(t), clients.name == "low priority phone", clients.options) })
			}
		})
	}
}

func everyDeviceOnce(t *testing.T, w *world, low bool, options []lab.Option) {
	users := people(t, 2)
	zhao, qian := users[0], users[1]
	login := func(user, resource string, priority int) *lab.Client {
		return w.login(user, resource, append([]lab.Option{lab.WithPresence("", priority), lab.WithAck()}, options...)...)
	}
	priority := 5
	if low {
		priority = -1
	}
	// Unchanged clients: nobody tells tlim of them but the server.
	zhaoPhone, zhaoWeb := login(zhao, "1[android]", priority), login(zhao, "1[web]", 5)
	qianPhone, qianWeb := login(qian, "2[ios]", priority), login(qian, "2[web]", 5)
	devices := []*lab.Client{zhaoPhone, zhaoWeb, qianPhone, qianWeb}
	session := w.group(zhao, qian)
	w.seen(zhaoPhone, devices...)

	const times = 20
	var chats, groups []string
	for range times {
		chat, group := lab.NewID(), lab.NewID()
		w.send(zhaoPhone, chat, lab.Text(zhao, qian, chat, "to you"))
		w.send(zhaoPhone, group, lab.GroupText(zhao, session, group, "to all"))
		chats, groups = append(chats, chat), append(groups, group)
	}
	// What came for these came before this.
	last := lab.NewID()
	w.send(zhaoPhone, last, lab.GroupText(zhao, session, last, "last"))
	want := func(device *lab.Client, ids []string, subject string) {
		t.Helper()
		for _, id := range ids {
			if m := w.receive(device, id); m.Subject != subject {
				t.Errorf("%s: got %s, want the subject %q", device.JID, m.Raw, subject)
			}
		}
	}
	want(qianPhone, chats, "")
	want(qianWeb, chats, "")
	want(zhaoWeb, chats, "ASYNC")
	for _, device := range devices {
		want(device, append(slices.Clone(groups), last), "")
		for _, m := range device.Drain() {
			_, receipt := m.Acknowledges(last)
			if !receipt && !ownCarbon(m) {
				t.Errorf("%s got %s once more, want nothing", device.JID, m.Raw)
			}
		}
	}
}

// ownCarbon says whether the server copied what another device of the same user sent; the product has no say in these.
func ownCarbon(m lab.Message) bool {
	user, _, _ := strings.Cut(m.To, "/")
	return m.From == user && m.Has("sent", "urn:xmpp:carbons:2")
}
