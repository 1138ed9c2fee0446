package component

import (
	"context"
	"slices"
	"strings"

	"tlim/component/stanza"
	"tlim/store"
)

// Notify makes one message from admin for each receiver, stores, queues and sends it. It returns after the commit, not
// after the fan-out, and answers the id of the call, by which [Service.TrackNotice] tells what became of it. Up to 500
// receivers are one transaction; more are committed in slices that chat may pass, and once the first is, the rest follow even
// if the process crashes or the caller has left.
//
// A call with the Key of an earlier one of the same Caller waits for that and answers as it did. Its errors are an *Error
// (error-014: the Key was used for another request) or ErrUnavailable: then nothing was stored, or what was begun is being
// finished, and repeating the call with its Key is right in either case.
func (s *Service) Notify(ctx context.Context, n Notice) (callID string, err error) {
	// 1. what is asked
	long, err := n.check(s.cfg.Limits)
	if err != nil {
		return "", err
	}
	s.metrics.longFields.Add(float64(long))
	select { // calls of the process before are known from then on
	case <-s.started:
	case <-s.ended:
		return "", ErrUnavailable
	case <-ctx.Done():
		return "", ErrUnavailable
	}
	now := s.now()
	row := store.Call{ID: newCallID(now), Key: n.key(), Caller: cut(n.Caller, maxID), Type: n.Type, Body: n.Body, Made: now.UnixMilli()}
	if s.cfg.Calls.ByBusinessID {
		row.Business = n.business()
	}
	if row.Key != "" {
		row.Digest = n.digest()
	}
	u := newUnderway(row)

	// 2. what is there of it already
	if err := s.calls.claim(ctx, u); err != nil {
		return "", err
	}
	to, answered, err := s.prepare(ctx, u, n.Receivers)
	if err != nil || answered != "" {
		s.calls.end(u, err)
		return answered, err
	}

	// 3. the messages
	return s.begin(ctx, u, to)
}

// prepare finds out whom a call is to serve; or the id of the call that has done all of it.
func (s *Service) prepare(ctx context.Context, u *underway, names []string) (to []person, answered string, err error) {
	since := callIDFrom(s.now().Add(-s.cfg.Calls.Window))
	if u.Key != "" {
		row, found, err := s.store.CallByKey(ctx, u.Key)
		switch {
		case err != nil:
			return nil, "", ErrUnavailable
		case found && row.ID >= since:
			answered, err := s.repeated(u, row)
			return nil, answered, err
		case found:
			u.expired = row.ID
		}
	}
	if to, err = s.receivers(ctx, names); err != nil {
		return nil, "", err
	}
	if u.Business == "" {
		return to, "", nil
	}
	earlier, err := s.store.CallsAbout(ctx, u.Business, since)
	if err != nil {
		return nil, "", ErrUnavailable
	}
	served := map[string]bool{}
	for _, id := range earlier {
		if err := s.served(ctx, id, served); err != nil {
			return nil, "", ErrUnavailable
		}
	}
	before := len(to)
	to = slices.DeleteFunc(to, func(p person) bool { return served[chatName(adminID, p.ID)] })
	if len(to) < before {
		s.metrics.calls.WithLabelValues(callOverlapping).Inc()
	}
	if len(to) == 0 && u.Key == "" {
		return nil, earlier[len(earlier)-1], nil
	}
	return to, "", nil
}

// repeated answers a call whose key was there before.
func (s *Service) repeated(u *underway, before store.Call) (string, error) {
	switch {
	case before.Digest != u.Digest:
		s.metrics.calls.WithLabelValues(callConflicting).Inc()
		return "", refuse(IDConflict, "the idempotency key was used for another request")
	case !before.Done: // whoever claimed it is still at it: only another process can be
		return "", ErrUnavailable
	}
	s.metrics.calls.WithLabelValues(callRepeated).Inc()
	return before.ID, (&underway{Call: before}).answer()
}

// served adds the conversations of a call's messages to a set. They are remembered longer than the messages themselves.
func (s *Service) served(ctx context.Context, id string, set map[string]bool) error {
	for from := id[:callStem] + callFirst; ; {
		page, err := s.store.IDsBetween(ctx, from, id[:callStem]+callLast, trackPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			set[row.Conversation] = true
		}
		if len(page) < trackPage {
			return nil
		}
		from = noticeID(id, noticeNumber(page[len(page)-1].MsgID)+1)
	}
}

// begin serves the first slice of receivers, and with that the call is sure to be finished. It returns when it is.
func (s *Service) begin(ctx context.Context, u *underway, to []person) (string, error) {
	u.Receivers = len(to)
	first := to[:min(len(to), noticeSlice)]
	u.Done = len(first) == len(to)
	var change *store.Change // nothing need be remembered of a call to a few that has no key
	if !u.Done || len(u.keys) > 0 {
		row := u.Call
		if u.Done {
			row.Body = ""
		}
		change = &store.Change{Calls: []store.Call{row}}
	}
	if u.expired != "" {
		change.DropCalls = []string{u.expired}
	}
	for i := len(first); i < len(to); i += noticeSlice {
		part := store.CallPart{CallID: u.ID, First: i + 1}
		for _, p := range to[i:min(len(to), i+noticeSlice)] {
			part.To = append(part.To, p.ID)
		}
		change.CallParts = append(change.CallParts, part)
	}
	err := s.serve(ctx, u, 1, first, change, func(err error) {
		if err == nil {
			s.metrics.calls.WithLabelValues(callNew).Inc()
		}
		if err != nil || u.Done {
			s.calls.end(u, err)
			return
		}
		s.calls.begun(u)
	})
	if err != nil {
		return "", err
	}
	if err := s.calls.await(ctx, u); err != nil {
		return "", err
	}
	return u.ID, u.err
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
	switch {
	case len(list) == 0:
		return nil, refuse(UserIDInvalid, "msgTo names nobody")
	case len(list) > callMost:
		return nil, refuse(TooLarge, "msgTo names more than %d users", callMost)
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
func (b *batch) notice(kind, body, msgID string, to person) {
	s := b.s
	conversation := chatName(adminID, to.ID)
	at := s.clock.next(b.now, conversation)
	text := serverMade(kind, msgID, adminID, to.ID, millis(at), body, s.cfg.ArrayBodies)
	t := &turn{b: b, sender: newPerson(adminID, s.cfg.Server), peer: to, conversation: conversation, at: at,
		env: &Envelope{Kind: s.kindOf(kind), Type: kind, MsgID: msgID, From: adminID, To: to.ID, Body: body, Text: text}}
	t.to, t.payload = []person{to}, renderPayload(text, nil, false, true)
	s.metrics.messages.WithLabelValues(t.env.Kind.Name).Inc()
	t.emit()
}
