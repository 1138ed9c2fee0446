package component

import (
	"cmp"
	"context"
	"slices"

	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Unread says for each conversation how many messages wait for a user's phone, the newest conversation first: rows of the
// queue, and copies that no phone has confirmed yet. Receipts do not count, nor what they wrote themselves.
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
