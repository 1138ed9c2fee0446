package component

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"tlim/store"
)

// look asks for a fresh snapshot: a client that fetches its queue or registers for pushes has just come online.
func (s *Service) look() {
	if s.watcher != nil {
		s.watcher.refresh()
	}
}

// Offline returns a user's queue, oldest first: rows, and what is owed to his phones in memory (such entries have no ID).
// A sinceMsgID that the database knows leaves out what is older than it. At most limit rows, all when it is 0. The caller
// clears what it has delivered by ClearOffline. Its errors are an *Error or ErrUnavailable.
func (s *Service) Offline(ctx context.Context, user, sinceMsgID string, limit int) ([]store.Pending, error) {
	p, err := s.spell(ctx, user)
	if err != nil {
		return nil, err
	}
	s.look()
	since := ""
	if sinceMsgID != "" {
		if since, _, err = s.store.MessageTime(ctx, sinceMsgID); err != nil {
			return nil, ErrUnavailable
		}
	}
	// Memory first: what becomes a row meanwhile is then seen twice instead of not at all.
	list := s.owed.pending(p.Local, p.ID, false)
	list = slices.DeleteFunc(list, func(row store.Pending) bool { return row.Time < since })
	rows, err := s.rows(ctx, p.ID, since, limit)
	if err != nil {
		return nil, ErrUnavailable
	}
	have := make(map[string]bool, len(rows))
	for _, row := range rows {
		have[row.MsgID] = true
	}
	for _, row := range list {
		if !have[row.MsgID] {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b store.Pending) int { return strings.Compare(a.Time, b.Time) })
	if limit > 0 && len(rows) > limit {
		rows = rows[:limit]
	}
	return rows, nil
}

const queuePage = 1000

func (s *Service) rows(ctx context.Context, owner, since string, limit int) ([]store.Pending, error) {
	var rows []store.Pending
	for afterTime, afterID := "", ""; ; {
		n := queuePage
		if limit > 0 {
			n = min(n, limit-len(rows))
		}
		page, err := s.store.Pending(ctx, owner, since, afterTime, afterID, n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page...)
		if len(page) < n || limit > 0 && len(rows) >= limit {
			return rows, nil
		}
		last := page[len(page)-1]
		afterTime, afterID = last.Time, last.ID
	}
}

// ClearOffline removes exactly these entries of a user's queue.
func (s *Service) ClearOffline(ctx context.Context, user string, rows []store.Pending) error {
	p, err := s.spell(ctx, user)
	if err != nil {
		return err
	}
	for slice := range slices.Chunk(rows, queuePage) {
		err := s.do(ctx, &call{first: true, plan: func(_ context.Context, b *batch) error {
			var change store.Change
			for _, row := range slice {
				key := store.PendingKey{Owner: p.ID, MsgID: row.MsgID, RowID: row.ID}
				if row.ID == "" && s.owed.settle(p.Local, p.ID, row.MsgID) {
					continue
				}
				change.DropPending = append(change.DropPending, key)
			}
			if len(change.DropPending) > 0 {
				b.changes = append(b.changes, change)
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// HasUnread says whether a user's queue holds anything but receipts.
func (s *Service) HasUnread(ctx context.Context, user string) (bool, error) {
	p, err := s.spell(ctx, user)
	if err != nil {
		return false, err
	}
	for _, row := range s.owed.pending(p.Local, p.ID, true) {
		if row.Type != "MTT-100" && row.Type != "MTS-100" {
			return true, nil
		}
	}
	unread, err := s.store.HasPending(ctx, p.ID)
	if err != nil {
		return false, ErrUnavailable
	}
	return unread, nil
}

const maxPushCode = 128 // characters; a JPush registration id has 19

// RegisterPush stores where a user's pushes go; an empty code unregisters, and forgets that his phones confirm.
func (s *Service) RegisterPush(ctx context.Context, user, code string) error {
	if utf8.RuneCountInString(code) > maxPushCode {
		return refuse(TooLarge, "registrationId is longer than %d characters", maxPushCode)
	}
	p, err := s.spell(ctx, user)
	if err != nil {
		return err
	}
	s.look()
	if err := s.source.writePush(ctx, p, code); err != nil {
		return err
	}
	return s.do(ctx, &call{first: true, plan: func(ctx context.Context, b *batch) error {
		found, err := s.users.lookup(ctx, []string{p.Local})
		if err != nil {
			return err
		}
		before := []string{} // who has the device until now: the directory's memory of them is out of date then
		if code != "" {
			if before, err = s.store.PushOwners(ctx, code); err != nil {
				return err
			}
		}
		change := store.Change{}
		u, ok := found[p.Local]
		if !ok {
			u = learned(p.Local)
			change.Learn = []store.User{u}
		}
		u.PushCode, u.PushOS = code, s.pushOS(p.Local)
		u.Confirms = code != "" && s.users.confirms(p.Local)
		change.SetPush = []store.User{u}
		b.changes = append(b.changes, change)
		b.restale = append(append(b.restale, p.Local), before...)
		b.after = append(b.after, func() { s.users.setConfirms(p.Local, u.Confirms) })
		return nil
	}})
}

// pushOS guesses the class of the device that registers from the resources of its user.
func (s *Service) pushOS(local string) string {
	for _, d := range s.presence.devices(local) {
		switch {
		case strings.Contains(d.Full, "[ios]"):
			return "ios"
		case strings.Contains(d.Full, "[android]"):
			return "android"
		}
	}
	return ""
}

// Presence says of each member of a group what his best device shows. A group without members, or that is gone, has none.
func (s *Service) Presence(ctx context.Context, groupID string) ([]MemberPresence, error) {
	members, err := s.store.Members(ctx, []string{groupID})
	if err != nil {
		return nil, ErrUnavailable
	}
	list := make([]MemberPresence, 0, len(members[groupID]))
	for _, m := range members[groupID] {
		p := newPerson(m.UserID, s.cfg.Server)
		list = append(list, MemberPresence{UserID: m.UserID, Status: status(s.presence.devices(p.Local))})
	}
	return list, nil
}

// status is the presence of the device with the highest priority, in the three words of the old server.
func status(devices []Device) string {
	best := -1
	for i := range devices {
		if best < 0 || devices[i].Priority > devices[best].Priority || devices[i].Priority == devices[best].Priority && devices[i].Show == "" {
			best = i
		}
	}
	switch {
	case best >= 0 && devices[best].Show == "":
		return "available"
	case best >= 0 && devices[best].Show == "away":
		return "away"
	}
	return "offline"
}
