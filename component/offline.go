package component

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"tlim/component/directory"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// look asks for a fresh snapshot: a client that fetches its queue or registers for pushes has just come online.
func (s *Service) look() {
	if s.watcher != nil {
		s.watcher.Refresh()
	}
}

// Offline reads a user's queue, oldest first, and gives it to visit in pages: rows, and what their phones have not confirmed, in memory
// (such entries have no ID). A sinceMsgID that the database knows leaves out what is older than it. At most limit entries,
// all when it is 0. The caller clears what it has delivered by ClearOffline. Its errors are an *Error, ErrUnavailable, or
// what visit returned, which ends the reading.
func (s *Service) Offline(ctx context.Context, user, sinceMsgID string, limit int, visit func([]store.OfflineMessage) error) error {
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return err
	}
	s.look()
	since := ""
	if sinceMsgID != "" {
		if since, _, err = s.queries.MessageTime(ctx, sinceMsgID); err != nil {
			return protocol.ErrUnavailable
		}
	}
	// Memory first: what becomes a row meanwhile is then met there instead of not at all.
	entries := s.unconfirmed.Queue(p)
	entries = slices.DeleteFunc(entries, func(e unconfirmed.Entry) bool { return e.Time() < since })

	left := cmp.Or(limit, math.MaxInt)
	give := func(page []store.OfflineMessage) error {
		page = page[:min(len(page), left)]
		left -= len(page)
		if len(page) == 0 {
			return nil
		}
		return visit(page)
	}
	maxRows := queuePage
	for afterTime, afterID := "", ""; ; {
		n := min(maxRows, left)
		rows, err := s.queries.Offline(ctx, p.ID, since, afterTime, afterID, n)
		if err != nil {
			return protocol.ErrUnavailable
		}
		last := !store.More(rows, n)
		page := rows
		if len(entries) > 0 {
			page, entries = mergeUnconfirmed(p.ID, rows, entries)
		}
		if err := give(page); err != nil {
			return err
		}
		for last && left > 0 && len(entries) > 0 { // there may be a hundred thousand of them
			page, entries = unconfirmed.Rows(p.ID, entries[:min(len(entries), queuePage)]), entries[min(len(entries), queuePage):]
			if err := give(page); err != nil {
				return err
			}
		}
		if last || left == 0 {
			return nil
		}
		end := rows[len(rows)-1]
		afterTime, afterID = end.Time, end.ID
		maxRows = min(queuePage, 2*len(rows)) // what is behind the end of a page of large bodies was read for nothing
	}
}

// mergeUnconfirmed puts what is unconfirmed between the rows of a page, in the order of time, leaving out what is a row by now, and returns
// what belongs behind the page. Of equal times the rows come first, so that each is known when its entry's turn has come.
func mergeUnconfirmed(owner string, rows []store.OfflineMessage, entries []unconfirmed.Entry) (page []store.OfflineMessage, rest []unconfirmed.Entry) {
	have := make(map[string]bool, len(rows))
	for _, row := range rows {
		have[row.MsgID] = true
	}
	entries = slices.DeleteFunc(entries, func(e unconfirmed.Entry) bool { return have[e.Message.Row.MsgID] })
	page = make([]store.OfflineMessage, 0, len(rows))
	for _, row := range rows {
		for len(entries) > 0 && entries[0].Time() < row.Time {
			page, entries = append(page, entries[0].Row(owner)), entries[1:]
		}
		page = append(page, row)
	}
	return page, entries
}

const queuePage = 1000

// ClearOffline removes exactly these entries of a user's queue: a client of theirs has them.
func (s *Service) ClearOffline(ctx context.Context, user string, rows []store.OfflineMessage) error {
	return s.dropOffline(ctx, user, rows, func(local, msgID string) { s.proved.Note(local, msgID, unconfirmed.ProofFetched, false) })
}

// dropOffline removes entries of a queue, and says of each when it is gone.
func (s *Service) dropOffline(ctx context.Context, user string, rows []store.OfflineMessage, gone func(local, msgID string)) error {
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return err
	}
	for len(rows) > 0 {
		slice := rows[:clearable(rows)]
		rows = rows[len(slice):]
		err := s.do(ctx, &task{first: true, plan: func(_ context.Context, b *batch) error {
			var change store.Change
			for _, row := range slice {
				key := store.OfflineKey{Owner: p.ID, MsgID: row.MsgID, RowID: row.ID}
				if row.ID == "" && s.unconfirmed.Confirm(p.Local, p.ID, row.MsgID) {
					continue
				}
				change.DropOffline = append(change.DropOffline, key)
			}
			if len(change.DropOffline) > 0 {
				b.changes = append(b.changes, change)
			}
			return nil
		}})
		if err != nil {
			return err
		}
		for _, row := range slice {
			gone(p.Local, row.MsgID)
		}
	}
	return nil
}

// maxClearNamed is how many entries without a row id one transaction clears: each is looked for, and messages wait meanwhile.
const maxClearNamed = 100

// clearable is how many of the entries one transaction clears.
func clearable(rows []store.OfflineMessage) int {
	named := 0
	for i, row := range rows {
		if row.ID == "" {
			named++
		}
		if i == queuePage || named > maxClearNamed {
			return i
		}
	}
	return len(rows)
}

// HasUnread says whether a user's queue holds anything but read receipts.
func (s *Service) HasUnread(ctx context.Context, user string) (bool, error) {
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return false, err
	}
	list := s.unconfirmed.Entries(p.Local, p.ID, true)
	for _, e := range s.unconfirmed.Following(p.ID, 0) {
		list = append(list, e.Entry)
	}
	for _, e := range list {
		if s.kindOf(e.Message.Row.Type).counted() {
			return true, nil
		}
	}
	unread, err := s.queries.HasOffline(ctx, p.ID)
	if err != nil {
		return false, protocol.ErrUnavailable
	}
	return unread, nil
}

// RegisterPush stores where a user's pushes go; an empty code unregisters, and forgets that their phones confirm.
func (s *Service) RegisterPush(ctx context.Context, user, code string) error {
	if utf8.RuneCountInString(code) > directory.MaxPushCode {
		return protocol.Refuse(protocol.TooLarge, "registrationId is longer than %d characters", directory.MaxPushCode)
	}
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return err
	}
	s.look()
	if err := s.users.WritePush(ctx, p, code); err != nil {
		return err
	}
	return s.do(ctx, &task{first: true, plan: func(ctx context.Context, b *batch) error {
		found, err := s.users.Lookup(ctx, []string{p.Local})
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
			u = directory.Learned(p.Local)
			change.Learn = []store.User{u}
		}
		u.PushCode, u.PushOS = code, s.pushOS(p.Local)
		change.SetPush = []store.User{u}
		if code == "" {
			change.Confirming = []store.Confirming{{UserID: u.ID, How: store.ConfirmsNot}}
			b.after = append(b.after, func() { s.confirmations.unmark(p.Local) })
		}
		b.changes = append(b.changes, change)
		b.staleUsers = append(append(b.staleUsers, p.Local), before...)
		return nil
	}})
}

// pushOS guesses the class of the device that registers from the resources of its user.
func (s *Service) pushOS(local string) string {
	for _, d := range s.presence.Devices(local) {
		switch {
		case strings.Contains(d.Full, "[ios]"):
			return "ios"
		case strings.Contains(d.Full, "[android]"):
			return "android"
		}
	}
	return ""
}

// Presence says of each member of a group what their best device shows. A group without members, or that is gone, has none.
func (s *Service) Presence(ctx context.Context, groupID string) ([]MemberPresence, error) {
	members, err := s.store.Members(ctx, []string{groupID})
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	list := make([]MemberPresence, 0, len(members[groupID]))
	for _, m := range members[groupID] {
		list = append(list, MemberPresence{UserID: m.UserID, Status: s.UserPresence(m.UserID)})
	}
	return list, nil
}

// UserPresence says what a user's best device shows: available, away or offline.
func (s *Service) UserPresence(user string) string {
	return status(s.presence.Devices(protocol.NewPerson(user, s.cfg.Server).Local))
}

// status is the presence of the device with the highest priority, in the three words of the old server.
func status(devices []presence.Device) string {
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

// Unread says for each conversation how many messages wait for a user's phone, the newest conversation first: rows of the
// queue, and copies that no phone has confirmed yet. Read receipts do not count, nor what they wrote themselves.
func (s *Service) Unread(ctx context.Context, user string) ([]store.Unread, error) {
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return nil, err
	}
	// Memory first: what becomes a row meanwhile is counted twice for a moment instead of not at all.
	waiting := s.unconfirmed.Entries(p.Local, p.ID, true)
	ids := make([]string, 0, len(waiting))
	for _, e := range waiting {
		ids = append(ids, e.Message.Row.MsgID)
	}
	rows, err := s.store.OfflineOwners(ctx, ids)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	waiting = slices.DeleteFunc(waiting, func(e unconfirmed.Entry) bool { return rows[store.OfflineKey{Owner: p.ID, MsgID: e.Message.Row.MsgID}] })
	list, following, err := s.unread(ctx, p)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	for _, e := range following {
		waiting = append(waiting, e.Entry)
	}
	at := map[[2]string]int{}
	for i, u := range list {
		at[[2]string{u.SessionID, u.Family}] = i
	}
	for _, e := range waiting {
		row := &e.Message.Row
		if !s.kindOf(row.Type).counted() || row.From == p.ID {
			continue
		}
		key := [2]string{row.SessionID, store.FamilyOf(row.Type)}
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, store.Unread{SessionID: key[0], Family: key[1]})
		}
		list[i].Count++
		list[i].Newest = max(list[i].Newest, row.Time)
	}
	slices.SortStableFunc(list, func(a, b store.Unread) int { return cmp.Compare(b.Newest, a.Newest) })
	return list, nil
}

// unread reads the counts of the table, and the rows that are to follow their messages: there may be very many, which are not looked for
// in the table one by one. When some of them were written meanwhile both are read again.
func (s *Service) unread(ctx context.Context, p protocol.Person) (list []store.Unread, following []unconfirmed.Follower, err error) {
	for range maxUnreadTries {
		following = s.unconfirmed.Following(p.ID, 0)
		if list, err = s.queries.UnreadCounts(ctx, p.ID); err != nil {
			return nil, nil, err
		}
		if s.unconfirmed.Still(p.ID, following) {
			break
		}
	}
	return list, following, nil
}

// maxUnreadTries is how often both are read. After that some messages may be counted twice.
const maxUnreadTries = 4
