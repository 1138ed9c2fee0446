package system

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// smackDevice is a device of a Smack app that only notes what it was given.
type smackDevice struct {
	*lab.SmackPhone
	mu  sync.Mutex
	got []lab.Message
}

func newSmackDevice(w *world, s *lab.Smack, user, resource string) *smackDevice {
	w.t.Helper()
	d := &smackDevice{}
	d.SmackPhone = s.Phone(user+"/"+resource, func(m lab.Message, _ time.Time) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.got = append(d.got, m)
	})
	check(w.t, d.Connect(within(w.t, smackPatience), lab.SmackLogin{Addr: w.server.C2S, Domain: w.server.Domain, User: user, Password: password(user),
		Resource: resource, Carbons: true}))
	check(w.t, d.Active(within(w.t, smackPatience), w.component)) // tlim knows it from here on
	return d
}

// shown is in which forms it was given a message, in order: a copy, an ASYNC copy, a carbon.
func (s *smackDevice) shown(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var forms []string
	for _, m := range s.got {
		switch env, err := m.Envelope(); {
		case m.Has("sent", "urn:xmpp:carbons:2"), m.Has("received", "urn:xmpp:carbons:2"):
			if strings.Contains(string(m.Raw), id) {
				forms = append(forms, "carbon")
			}
		case m.ID != id || err == nil && env.Type == "MTC-100":
		case m.Subject == "ASYNC":
			forms = append(forms, "ASYNC")
		default:
			forms = append(forms, "copy")
		}
	}
	slices.Sort(forms)
	return strings.Join(forms, " ")
}

// An app with carbons (XEP-0280) sends with <private/>: then the sender's other devices see each message once, and else twice. And the library's newer
// manager of chats shows none of tlim's messages, because their senders are bare JIDs.
func TestSmackChats(t *testing.T) {
	const times = 10
	w := newWorld(t, openfire, nil)
	for _, version := range []string{"4.2.4", "4.4.8"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w, s := w.in(t), smack(t, version, answers)
			users := people(t, 2)
			one, other := newSmackDevice(w, s, users[0], "1[android]"), newSmackDevice(w, s, users[0], "2[android]")
			friend, second := newSmackDevice(w, s, users[1], "1[android]"), newSmackDevice(w, s, users[1], "2[android]")
			compose := text(users[0], conversation{partner: users[1]})
			send := func(by func(ctx context.Context, to, id, body string) error) (ids []string) {
				t.Helper()
				for i := range times {
					e := compose(i)
					check(t, by(within(t, smackPatience), w.component, e.id, e.body))
					ids = append(ids, e.id)
				}
				return ids
			}
			private := send(one.SendPrivate)
			plain := send(func(ctx context.Context, to, id, body string) error { return one.Send(ctx, to, id, body, true) })
			last := plain[times-1] // what came for it came behind all others, on both ways
			await(t, within(t, smackPatience), "the last message on all devices", func() (bool, error) {
				forms := fmt.Sprint(other.shown(last), ", ", friend.shown(last), ", ", second.shown(last))
				return forms == "ASYNC carbon, copy, copy", fmt.Errorf("they have %s", forms)
			})
			for want, ids := range map[string][]string{"ASYNC": private, "ASYNC carbon": plain} {
				for _, id := range ids {
					if got := other.shown(id); got != want {
						t.Errorf("the sender's other device: got %q of %s, want %q", got, id, want)
					}
				}
			}
			for _, id := range slices.Concat(private, plain) {
				for _, d := range []*smackDevice{friend, second} {
					if got := d.shown(id); got != "copy" {
						t.Errorf("%s: got %q of %s, want one copy", d.JID, got, id)
					}
				}
			}

			direct := lab.NewID() // a message that never saw tlim
			check(t, one.Send(within(t, smackPatience), friend.JID, direct, "hello", false))
			await(t, within(t, smackPatience), "chat2 to show a message from a full JID", func() (bool, error) { return slices.Contains(friend.Chats(), direct), nil })
			if got := friend.Chats(); len(got) != 1 {
				t.Errorf("chat2 shows %d messages, want the one from a full JID alone", len(got))
			}
		})
	}
}
