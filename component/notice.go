package component

import (
	"context"
	"slices"
	"strings"

	"tlim/component/stanza"
	"tlim/store"
)

// Notify makes one message from admin for each receiver, stores, queues and sends it. It returns after the commit, not
// after the fan-out. Its errors are an *Error or ErrUnavailable; then nothing was stored, unless there are more than 500
// receivers: these are committed in slices, and an error says which receivers have theirs by being returned late.
func (s *Service) Notify(ctx context.Context, n Notice) error {
	if !stanza.ValidXML(n.Body) {
		return refuse(NotJSON, "params hold a character that XML forbids")
	}
	if len(n.Body) > s.cfg.Limits.Body {
		return refuse(TooLarge, "params are larger than %d bytes", s.cfg.Limits.Body)
	}
	receivers, err := s.receivers(ctx, n.Receivers)
	if err != nil {
		return err
	}
	for slice := range slices.Chunk(receivers, noticeSlice) {
		err := s.do(ctx, &call{size: int64(len(slice) * (len(n.Body) + 400)), plan: func(_ context.Context, b *batch) error {
			for _, p := range slice {
				b.notice(n.Type, n.Body, p)
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// noticeSlice is how many receivers are one transaction; chat may pass between two.
const noticeSlice = 500

// receivers maps what msgTo may name to users, each once.
func (s *Service) receivers(ctx context.Context, names []string) ([]person, error) {
	var list []person
	seen := map[string]bool{}
	add := func(p person) {
		if p.Local != "" && !seen[p.Local] {
			seen[p.Local] = true
			list = append(list, p)
		}
	}
	var locals []string
	for _, name := range names {
		switch group, isGroup := strings.CutPrefix(name, "@session:"); {
		case isGroup:
			rows, err := s.store.Groups(ctx, []string{group})
			if err != nil {
				return nil, ErrUnavailable
			}
			if _, ok := rows[group]; !ok {
				return nil, refuse(NoSuchGroup, "there is no session %q", group)
			}
			members, err := s.store.Members(ctx, []string{group})
			if err != nil {
				return nil, ErrUnavailable
			}
			for _, m := range members[group] {
				add(newPerson(m.UserID, s.cfg.Server))
			}
		case name == "@all":
			if err := s.everybody(ctx, func(u store.User) { add(newPerson(u.ID, s.cfg.Server)) }); err != nil {
				return nil, ErrUnavailable
			}
		default:
			local, err := stanza.Localpart(name)
			if err != nil {
				return nil, refuse(UserIDInvalid, "msgTo holds an empty or impossible user id")
			}
			locals = append(locals, local)
		}
	}
	for chunk := range slices.Chunk(locals, noticeSlice) {
		found, err := s.users.lookup(ctx, chunk)
		if err != nil {
			return nil, ErrUnavailable
		}
		for _, local := range chunk {
			add(s.person(local, found))
		}
	}
	if len(list) == 0 {
		return nil, refuse(UserIDInvalid, "msgTo names nobody")
	}
	return list, nil
}

// everybody walks the directory.
func (s *Service) everybody(ctx context.Context, visit func(store.User)) error {
	for after := ""; ; {
		users, err := s.store.AllUsers(ctx, after, learnUsers)
		if err != nil || len(users) == 0 {
			return err
		}
		for _, u := range users {
			visit(u)
		}
		after = users[len(users)-1].ID
	}
}

// notice makes a message from admin to one user.
func (b *batch) notice(kind, body string, to person) {
	s := b.s
	msgID, conversation := newID(), chatName(adminID, to.ID)
	at := s.clock.next(b.now, conversation)
	text := serverMade(kind, msgID, adminID, to.ID, millis(at), body, s.cfg.ArrayBodies)
	t := &turn{b: b, sender: newPerson(adminID, s.cfg.Server), peer: to, conversation: conversation, at: at,
		env: &Envelope{Kind: s.kindOf(kind), Type: kind, MsgID: msgID, From: adminID, To: to.ID, Body: body, Text: text}}
	t.to, t.payload = []person{to}, renderPayload(text, nil, false, true)
	s.metrics.messages.WithLabelValues(t.env.Kind.Name).Inc()
	t.emit()
}
