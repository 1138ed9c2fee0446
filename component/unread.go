package component

import (
	"cmp"
	"context"
	"slices"

	"tlim/store"
)

// Unread says for each conversation how many messages wait for a user's phone, the newest conversation first: rows of the
// queue, and copies that no phone has confirmed yet. Receipts do not count, nor what he wrote himself.
func (s *Service) Unread(ctx context.Context, user string) ([]store.Unread, error) {
	p, err := s.spell(ctx, user)
	if err != nil {
		return nil, err
	}
	// Memory first: what becomes a row meanwhile is counted twice for a moment instead of not at all.
	waiting := s.owed.pending(p.Local, p.ID, true)
	ids := make([]string, 0, len(waiting))
	for _, row := range waiting {
		ids = append(ids, row.MsgID)
	}
	rows, err := s.store.PendingOwners(ctx, ids)
	if err != nil {
		return nil, ErrUnavailable
	}
	list, err := s.store.UnreadCounts(ctx, p.ID)
	if err != nil {
		return nil, ErrUnavailable
	}
	at := map[[2]string]int{}
	for i, u := range list {
		at[[2]string{u.SessionID, u.Family}] = i
	}
	for _, row := range waiting {
		if row.Type == "MTT-100" || row.Type == "MTS-100" || row.From == p.ID || rows[store.PendingKey{Owner: p.ID, MsgID: row.MsgID}] {
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
