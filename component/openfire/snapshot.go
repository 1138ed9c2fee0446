package openfire

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"

	"tlim/component/stanza"
)

// Session is an available session of a user. A session that the server keeps for stream resumption is among them, although
// its client may be dead.
type Session struct {
	JID      stanza.JID
	Show     string
	Priority int
}

// Snapshot lists all available sessions. ErrUnsupported: this server cannot tell.
func (s *Server) Snapshot(ctx context.Context) ([]Session, error) {
	command, err := s.execute(ctx, "get-active-presences", []field{{"max_items", []string{"none"}}}) // without it there is no answer
	if err != nil {
		return nil, fmt.Errorf("presence snapshot: %w", err)
	}
	form, ok := command.Child("x", nsData)
	if !ok {
		return nil, fmt.Errorf("presence snapshot: the answer holds no form")
	}
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	return s.snapshots.read(form), nil
}

// snapshots remembers how the presence stanzas of the last snapshot read: from one to the next nearly all are the same.
type snapshots struct {
	sync.Mutex
	known map[string]*remembered // by the escaped stanza
	turn  uint64
	last  int // stanzas of the last snapshot
}

// remembered is a stanza that was read; not every one is an available session.
type remembered struct {
	Session
	ok   bool
	turn uint64 // of the last snapshot that had it
}

func (s *snapshots) read(form stanza.Child) []Session {
	if s.known == nil {
		s.known = map[string]*remembered{}
	}
	s.turn++
	list, n := make([]Session, 0, s.last+s.last/8), 0
	for f := range form.Children() {
		if f.Name != "field" || f.Attr("var") != "activeuserpresences" {
			continue
		}
		for v := range f.Children() {
			if v.Name != "value" {
				continue
			}
			r := s.known[string(v.Inner)]
			if r == nil {
				r = &remembered{}
				r.Session, r.ok = readPresence(v.Text())
				s.known[string(v.Inner)] = r
			}
			r.turn = s.turn
			n++
			if r.ok {
				list = append(list, r.Session)
			}
		}
	}
	if s.last = n; len(s.known) > n+n/8+minRemembered { // many have changed or gone
		maps.DeleteFunc(s.known, func(_ string, r *remembered) bool { return r.turn != s.turn })
	}
	return list
}

// forgetfulness is how many stanzas that are no more are remembered in any case.
const minRemembered = 100

// readPresence reads one escaped presence stanza. Its users decide what the status says, so only the outer element's
// attributes and its own children count.
func readPresence(text string) (s Session, ok bool) {
	st, err := stanza.Parse([]byte(text))
	if err != nil || st.Name != "presence" || st.Type != "" {
		return s, false
	}
	if s.JID, err = stanza.ParsePrepared(st.From); err != nil || s.JID.Resource == "" {
		return s, false
	}
	show, priority := false, false
	for c := range st.Children() {
		switch {
		case c.Space != "" && c.Space != "jabber:client" && c.Space != "jabber:component:accept": // a user's own
		case c.Name == "show" && !show:
			s.Show, show = strings.TrimSpace(c.Text()), true
		case c.Name == "priority" && !priority:
			priority = true
			if n, err := strconv.ParseInt(strings.TrimSpace(c.Text()), 10, 8); err == nil {
				s.Priority = int(n)
			}
		}
	}
	return s, true
}
