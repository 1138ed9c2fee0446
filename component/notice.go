package component

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component/calls"
	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// CallConfig is idempotency.* of CONFIG.md.
type CallConfig struct {
	Window       time.Duration // for how long repeated calls are known; 0 is 24 hours
	ByBusinessID bool          // also by bizId and taskId, receiver by receiver
}

// CallStore is what notice calls, and questions about them, need of the database. *store.Store implements it.
type CallStore interface {
	Call(ctx context.Context, id string) (store.Call, bool, error)
	CallByKey(ctx context.Context, key string) (store.Call, bool, error)
	CallsAbout(ctx context.Context, business, since string) ([]string, error)
	CallParts(ctx context.Context, id string, first, limit int) ([]store.CallPart, error)
	IDsBetween(ctx context.Context, author, from, to string, limit int) ([]store.ID, error)
	CountIDs(ctx context.Context, author, from, to string) (int, error)
	MessageHeads(ctx context.Context, msgIDs []string) (map[string]store.Message, error)
	PushesOf(ctx context.Context, msgIDs []string) (map[string][]store.Push, error)
}

// What became of calls, as a metric has it.
const (
	callNew         = "new"
	callRepeated    = "repeated"
	callOverlapping = "overlapping"
	callConflicting = "conflicting"
)

// Notify makes one message from admin for each receiver, stores, queues and sends it. It returns after the commit, not
// after the fan-out, and answers the id of the call, by which [Service.TrackNotice] tells what became of it. Up to 500
// receivers are one transaction; more are committed in slices that chat may pass, and once the first is, the rest follow even
// if the process crashes or the caller has left.
//
// A call with the Key of an earlier one of the same Caller waits for that and answers as it did. Its errors are an *Error
// (error-014: the Key was used for another request; error-008 with Skipped: none of the receivers has an account) or
// ErrUnavailable: then nothing was stored, or what was begun is being finished, and repeating the call with its Key is right in
// either case.
//
// A receiver whom the directory does not have, or who has left it, is looked for on the server first, which may take some
// seconds. Who has no account is left out and named; nobody else is: of whom nobody can tell gets the message.
func (s *Service) Notify(ctx context.Context, n Notice) (Noticed, error) {
	// 1. what is asked
	long, err := n.check(s.cfg.Limits)
	if err != nil {
		return Noticed{}, err
	}
	s.metrics.longFields.Add(float64(long))
	select { // calls of the process before are known from then on
	case <-s.started:
	case <-s.ended:
		return Noticed{}, protocol.ErrUnavailable
	case <-ctx.Done():
		return Noticed{}, protocol.ErrUnavailable
	}
	now := s.now()
	row := store.Call{ID: calls.NewID(now), Key: n.key(), Caller: protocol.Shorten(n.Caller, protocol.MaxID), Type: n.Type, Body: n.Body, Made: now.UnixMilli()}
	if s.cfg.Calls.ByBusinessID {
		row.Business = n.business()
	}
	if row.Key != "" {
		row.Digest = n.digest()
	}
	u := calls.NewUnderway(row)

	// 2. what is there of it already
	if err := s.calls.Claim(ctx, u); err != nil {
		return Noticed{}, err
	}
	to, answered, err := s.prepare(ctx, u, n)
	if err != nil || answered.CallID != "" {
		s.calls.End(u, err)
		return answered, err
	}

	// 3. the messages
	if answered.CallID, err = s.begin(ctx, u, to); err == nil {
		s.tellSkipped("notice", answered.CallID, answered.Skipped)
	}
	return answered, err
}

// prepare finds out whom a call is to serve, and who is left out; with a CallID, it is that of the call that has done all of it.
func (s *Service) prepare(ctx context.Context, u *calls.Underway, n Notice) (to []protocol.Person, answered Noticed, err error) {
	since := calls.IDFrom(s.now().Add(-s.cfg.Calls.Window))
	if u.Key != "" {
		row, found, err := s.queries.CallByKey(ctx, u.Key)
		switch {
		case err != nil:
			return nil, Noticed{}, protocol.ErrUnavailable
		case found && row.ID >= since:
			answered, err := s.repeated(ctx, u, row, n.Receivers)
			return nil, answered, err
		case found:
			u.Expired = row.ID
		}
	}
	if to, answered.Skipped, err = s.receivers(ctx, n.Asker, n.Receivers); err != nil {
		return nil, Noticed{}, err
	}
	if u.Business == "" {
		return to, answered, nil
	}
	earlier, err := s.queries.CallsAbout(ctx, u.Business, since)
	if err != nil {
		return nil, Noticed{}, protocol.ErrUnavailable
	}
	served := map[string]bool{}
	for _, id := range earlier {
		if err := s.served(ctx, id, served); err != nil {
			return nil, Noticed{}, protocol.ErrUnavailable
		}
	}
	before := len(to)
	to = slices.DeleteFunc(to, func(p protocol.Person) bool { return served[protocol.ChatName(protocol.AdminID, p.ID)] })
	u.Overlaps = len(to) < before
	if len(to) == 0 && u.Key == "" {
		answered.CallID = earlier[len(earlier)-1]
		s.metrics.calls.WithLabelValues(callOverlapping).Inc()
	}
	return to, answered, nil
}

// repeated answers a call whose key was there before, as it was answered then.
func (s *Service) repeated(ctx context.Context, u *calls.Underway, before store.Call, names []string) (Noticed, error) {
	switch {
	case before.Digest != u.Digest:
		s.metrics.calls.WithLabelValues(callConflicting).Inc()
		return Noticed{}, protocol.Refuse(protocol.IDConflict, "the idempotency key was used for another request")
	case !before.Done: // whoever claimed it is still at it: only another process can be
		return Noticed{}, protocol.ErrUnavailable
	}
	skipped, err := s.unserved(ctx, before, names)
	if err != nil {
		return Noticed{}, protocol.ErrUnavailable
	}
	s.metrics.calls.WithLabelValues(callRepeated).Inc()
	return Noticed{before.ID, skipped}, calls.AnswerOf(before)
}

// unserved are those whom a call that is done names by their ids and who got no message by it, nor, where receivers are told
// apart by the business id, by an earlier one: they had no account then, whether or not they have one now.
func (s *Service) unserved(ctx context.Context, done store.Call, names []string) ([]protocol.Skipped, error) {
	served, ids := map[string]bool{}, []string{done.ID}
	if done.Business != "" {
		about, err := s.queries.CallsAbout(ctx, done.Business, calls.IDFrom(s.now().Add(-s.cfg.Calls.Window)))
		if err != nil {
			return nil, err
		}
		ids = append(ids, about...)
	}
	for _, id := range ids {
		if err := s.served(ctx, id, served); err != nil {
			return nil, err
		}
	}
	var skipped []protocol.Skipped
	seen := map[string]bool{}
	for _, name := range names {
		if strings.HasPrefix(name, "@") {
			continue
		}
		p, err := s.users.Canonical(ctx, name)
		if err != nil {
			return nil, err
		}
		if !seen[p.Local] && !served[protocol.ChatName(protocol.AdminID, p.ID)] {
			skipped = append(skipped, protocol.Skipped{UserID: name, Reason: protocol.SkipUnknown})
		}
		seen[p.Local] = true
	}
	return skipped, nil
}

// served adds the conversations of a call's messages to a set. They are remembered longer than the messages themselves.
func (s *Service) served(ctx context.Context, id string, set map[string]bool) error {
	for from := id[:calls.Stem] + calls.First; ; {
		page, err := s.queries.IDsBetween(ctx, protocol.AdminID, from, id[:calls.Stem]+calls.Last, noticeSlice)
		if err != nil {
			return err
		}
		for _, row := range page {
			set[row.Conversation] = true
		}
		if len(page) < noticeSlice {
			return nil
		}
		from = calls.MessageID(id, calls.Number(page[len(page)-1].MsgID)+1)
	}
}

// begin serves the first slice of receivers, and with that the call is sure to be finished. It returns when it is.
func (s *Service) begin(ctx context.Context, u *calls.Underway, to []protocol.Person) (string, error) {
	u.Receivers = len(to)
	first := to[:min(len(to), noticeSlice)]
	u.Done = len(first) == len(to)
	row := u.Call
	if u.Done {
		row.Body = ""
	}
	change := &store.Change{Calls: []store.Call{row}}
	if u.Expired != "" {
		change.FreeCalls = []string{u.Expired}
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
			if u.Overlaps {
				s.metrics.calls.WithLabelValues(callOverlapping).Inc()
			}
		}
		if err != nil || u.Done {
			s.calls.End(u, err)
			return
		}
		s.calls.Begun(u)
	})
	if err != nil {
		return "", err
	}
	if err := s.calls.Await(ctx, u); err != nil {
		return "", err
	}
	return u.ID, u.Err()
}

// noticeSlice is how many receivers are one transaction; chat may pass between two.
const noticeSlice = calls.PartSize

// receivers maps what msgTo may name to users, each once, and says whom it leaves out.
func (s *Service) receivers(ctx context.Context, caller string, names []string) (list []protocol.Person, skipped []protocol.Skipped, err error) {
	// 1. Those who are named by their ids: are there such users?
	var ids []string
	for _, name := range names {
		if strings.HasPrefix(name, "@session:") || name == "@all" {
			continue
		}
		if _, err := stanza.Localpart(name); err != nil {
			return nil, nil, protocol.Refuse(protocol.UserIDInvalid, "msgTo holds an empty or impossible user id")
		}
		ids = append(ids, name)
	}
	verdicts, err := s.users.FindAccounts(ctx, caller, ids, true)
	if err != nil {
		return nil, nil, err
	}

	// 2. Everybody who is meant.
	seen := map[string]bool{}
	add := func(p protocol.Person) {
		if p.Local != "" && !seen[p.Local] && !s.users.IsRobot(p.Local) {
			seen[p.Local] = true
			list = append(list, p)
		}
	}
	for _, name := range names {
		if group, isGroup := strings.CutPrefix(name, "@session:"); isGroup {
			members, err := s.membersOf(ctx, group)
			if err != nil {
				return nil, nil, err
			}
			for _, m := range members {
				add(protocol.NewPerson(m.UserID, s.cfg.Server))
			}
			if len(members) == 0 {
				skipped = append(skipped, protocol.Skipped{UserID: name, Reason: protocol.SkipEmpty})
			}
		} else if name == "@all" {
			n := 0
			if err := s.users.Everybody(ctx, func(u store.User) { n++; add(protocol.NewPerson(u.ID, s.cfg.Server)) }); err != nil {
				return nil, nil, protocol.ErrUnavailable
			}
			if n == 0 {
				skipped = append(skipped, protocol.Skipped{UserID: name, Reason: protocol.SkipEmpty})
			}
		}
	}
	for chunk := range slices.Chunk(ids, noticeSlice) {
		found, err := s.users.Lookup(ctx, directory.Localparts(chunk))
		if err != nil {
			return nil, nil, protocol.ErrUnavailable
		}
		for _, id := range chunk {
			local, _ := stanza.Localpart(id) // it was one above
			u, known := found[local]
			switch {
			case seen[local]:
			case verdicts[local] == directory.Missing && known && u.Left:
				skipped = append(skipped, protocol.Skipped{UserID: id, Reason: protocol.SkipLeft})
			case verdicts[local] == directory.Missing && !known, !known && utf8.RuneCountInString(local) > protocol.MaxID:
				skipped = append(skipped, protocol.Skipped{UserID: id, Reason: protocol.SkipUnknown})
			default:
				add(s.users.Person(local, found))
			}
			seen[local] = true
		}
	}
	switch {
	case len(list) == 0:
		s.tellSkipped("notice", "", skipped)
		return nil, nil, &protocol.Error{Code: protocol.UserIDInvalid, Text: "msgTo names nobody who has an account", Skipped: skipped}
	case len(list) > calls.MaxReceivers:
		return nil, nil, protocol.Refuse(protocol.TooLarge, "msgTo names more than %d users", calls.MaxReceivers)
	}
	return list, skipped, nil
}

// membersOf reads the members of a group that has to be there.
func (s *Service) membersOf(ctx context.Context, group string) ([]store.Member, error) {
	rows, err := s.store.Groups(ctx, []string{group})
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	if _, ok := rows[group]; !ok {
		return nil, protocol.Refuse(protocol.NoSuchGroup, "there is no session %q", group)
	}
	members, err := s.store.Members(ctx, []string{group})
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	return members[group], nil
}

// notice makes a message from admin to one user.
func (b *batch) notice(msgType, body, msgID string, to protocol.Person) {
	s := b.s
	kind := s.kindOf(msgType)
	b.speak(view{kind: kind, sender: protocol.NewPerson(protocol.AdminID, s.cfg.Server), peer: to, conversation: protocol.ChatName(protocol.AdminID, to.ID)}, msgType, msgID, body, to)
	b.count(s.metrics.messages.WithLabelValues(kind.Name), 1)
}

// serve gives receivers of a call, of whom the first has number first, their messages, in one transaction with change. change
// may be nil. over, if any, is called when it is known what became of that, also when nobody waits for it any more.
func (s *Service) serve(ctx context.Context, u *calls.Underway, first int, to []protocol.Person, change *store.Change, over func(error)) error {
	return s.doTelling(ctx, &task{size: int64(len(to) * (len(u.Body) + 400)), about: aboutNotices, cost: len(to), plan: func(_ context.Context, b *batch) error {
		for i, p := range to {
			b.notice(u.Type, u.Body, calls.MessageID(u.ID, first+i), p)
		}
		if change != nil {
			b.changes = append(b.changes, *change)
		}
		return nil
	}}, over)
}

// serveRest is serve for those whose call is finished by nobody who waits.
func (s *Service) serveRest(ctx context.Context, u *calls.Underway, first int, ids []string, change *store.Change) error {
	to := make([]protocol.Person, len(ids))
	for i, id := range ids {
		to[i] = protocol.NewPerson(id, s.cfg.Server)
	}
	return s.serve(ctx, u, first, to, change, nil)
}
