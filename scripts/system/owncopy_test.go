package system

import (
	"testing"

	"tlim/scripts/lab"
)

// What a user writes on a page, to a user and to a group, is in the queue of their phone that has died before anybody knew, and of one that is not there. A
// phone that is there sees it.
func TestOwnCopies(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"offline.grace": "500ms"})
	for _, c := range []struct {
		name string
		dies func(*lab.Client) // nil: it is there
		show string            // the page's
	}{
		{"there", nil, ""},
		{"frozen", (*lab.Client).Pause, ""},
		{"dead", (*lab.Client).Kill, ""},
		{"dead, and the page is away", (*lab.Client).Kill, "away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newContact(w.in(t))
			group := p.group(p.phone.user, p.from)
			page := p.online(p.phone.user, "b[web]", lab.WithPresence(c.show, 0))
			p.proves()
			if c.dies != nil {
				c.dies(p.phone.client)
			}
			var ids []string
			for range 4 {
				chat, inGroup := lab.NewID(), lab.NewID()
				p.send(page, chat, lab.Text(p.phone.user, p.from, chat, "x"))
				p.send(page, inGroup, lab.GroupText(p.phone.user, group, inGroup, "x"))
				ids = append(ids, chat, inGroup)
			}
			if c.dies == nil {
				p.sees(ids)
				p.settled()
				p.queues(nil)
				return
			}
			p.settled()
			p.queues(ids)
			p.phone.client.Kill()
			p.comes(phoneResource)
			if got := p.phone.whole(t, ids); got.lost > 0 {
				t.Errorf("it comes back: %s, want lost 0", got)
			}
		})
	}
}
