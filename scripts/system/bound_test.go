package system

import (
	"testing"

	"tlim/scripts/lab"
)

// A phone comes back under the same resource while its old session hangs, and is bound some time before it says that it is available. Openfire
// gives it a component's pings then, which its library answers, and no message that comes from a user's address.
func TestPhoneBound(t *testing.T) {
	for _, sender := range []string{"component", "user"} {
		t.Run("sender "+sender, func(t *testing.T) {
			// Neither the grace nor a snapshot makes rows in time.
			w := newWorld(t, openfire, map[string]any{"offline.grace": "1m", "presence.interval": "1m", "xmpp.sender": sender})
			p := newContact(w)
			p.sees(p.sends(3))
			old := p.phone.client
			old.Pause()
			check(t, p.phone.come(within(t, soon), phoneResource, lab.WithoutPresence()))
			old.Kill()
			ids := p.sends(3)
			p.routed()
			check(t, p.phone.client.Presence(within(t, soon), lab.Presence{}))
			check(t, p.phone.fetch(within(t, soon)))
			if lost := p.phone.lacks(ids); len(lost) > 0 {
				t.Errorf("LOST %d of %d messages: %v, want each live or in the queue", len(lost), len(ids), lost)
			}
		})
	}
}
