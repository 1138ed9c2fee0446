package openfire

import (
	"context"
	"fmt"
	"strconv"
	"strings"

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
	var list []Session
	for f := range form.Children() {
		if f.Name != "field" || f.Attr("var") != "activeuserpresences" {
			continue
		}
		for v := range f.Children() {
			if v.Name != "value" {
				continue
			}
			if session, ok := readPresence(v.Text()); ok {
				list = append(list, session)
			}
		}
	}
	return list, nil
}

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
