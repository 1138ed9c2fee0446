package component

import (
	"context"

	"tlim/component/cache"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// maxEraseRows is how many messages one transaction erases; chat may pass between two.
const maxEraseRows = 500

// SwitchGroup opens (0) or closes (1) a group in the web list; one that is gone is no error. The next message opens it.
func (s *Service) SwitchGroup(ctx context.Context, id string, valid int) error {
	return s.editGroup(ctx, id, func(*batch, *cache.Group) store.Change {
		return store.Change{EditGroups: []store.GroupEdit{{ID: id, Valid: &valid}}}
	})
}

// ClearChat erases the stored messages between two users, of both directions and of every kind; what waits for phones stays,
// and so do both list entries. It works in slices and returns after the last: after an error some may be erased, and
// repeating the call goes on. A message that comes meanwhile stays. Errors: error-008, ErrUnavailable.
func (s *Service) ClearChat(ctx context.Context, user, other string) error {
	p, err := s.users.Canonical(ctx, user)
	if err != nil {
		return err
	}
	q, err := s.users.Canonical(ctx, other)
	if err != nil {
		return err
	}
	since := int64(0)
	return s.erase(ctx, protocol.ChatName(p.Local, q.Local), func(ctx context.Context, b *batch) ([]store.Erased, error) {
		if since == 0 {
			since = b.c.clock.Last
		}
		return s.queries.ChatRows(ctx, p.ID, q.ID, since, b.c.clock.Last, maxEraseRows)
	})
}

// eraseAuthors erases what members wrote in a group, in slices, before they are removed (sessions.purge_on_remove). After an
// error the members are still there, so that repeating the call goes on.
func (s *Service) eraseAuthors(ctx context.Context, groupID string, ids []string) error {
	return s.erase(ctx, groupID, func(ctx context.Context, b *batch) ([]store.Erased, error) {
		g, err := b.mustFind(ctx, groupID)
		if err != nil {
			return nil, err
		}
		var rows []store.Erased
		for _, m := range g.Find(ids) {
			if len(rows) < maxEraseRows {
				some, err := s.queries.AuthorRows(ctx, store.Author{SessionID: groupID, UserID: m.UserID}, maxEraseRows-len(rows))
				if err != nil {
					return nil, err
				}
				rows = append(rows, some...)
			}
		}
		return rows, nil
	})
}

// erase takes what next names of a conversation, slice by slice, until a slice is not full.
func (s *Service) erase(ctx context.Context, about string, next func(context.Context, *batch) ([]store.Erased, error)) error {
	for {
		last := false
		err := s.do(ctx, &task{alone: true, about: about, plan: func(ctx context.Context, b *batch) error {
			rows, err := next(ctx, b)
			if err != nil || len(rows) == 0 {
				last = true
				return err
			}
			n := b.keepQueued(rows)
			last = len(rows) < maxEraseRows && n == len(rows)
			b.changes = append(b.changes, store.Change{Erase: rows[:n]})
			return nil
		}})
		if err != nil || last {
			return err
		}
	}
}

// keepQueued writes the queue rows that are still to follow messages which are erased, and those of what no phone has confirmed yet: after a
// crash nothing would tell of them any more. It says how many of the messages this transaction has room for, at least one.
func (b *batch) keepQueued(rows []store.Erased) int {
	s, n, written := b.s, len(rows), 0
	ids := make(map[string]bool, len(rows))
	for _, row := range rows {
		ids[row.MsgID] = true
	}
	open := s.unconfirmed.CountOpen(ids)
	for i, row := range rows {
		list := s.unconfirmed.Followers(row.MsgID)
		if len(list) == 0 && open[row.MsgID] == 0 {
			continue
		}
		written += s.unconfirmed.CountRows(list) + open[row.MsgID]
		if i > 0 && written > maxBatchRows {
			n = i
			break
		}
		b.writeFollowers(list)
	}
	for _, row := range rows[n:] {
		delete(ids, row.MsgID)
	}
	b.urged += s.unconfirmed.Urge(ids)
	return n
}

// writeFollowers writes rows that are to follow their messages, all of them.
func (b *batch) writeFollowers(list []*unconfirmed.Deferral) {
	if len(list) == 0 {
		return
	}
	rows := b.s.unconfirmed.RowsOf(list)
	for i := range rows {
		rows[i].ID = protocol.NewID()
	}
	b.changes = append(b.changes, store.Change{Offline: rows})
	b.after = append(b.after, func() { b.s.unconfirmed.Followed(list) })
}

// RemoveMessage deletes a message with its receipts and queue rows, as a revoke does, but tells nobody. Sent again, it is
// acknowledged and goes nowhere. found is false when no message of this id was ever seen; one that is removed already is found.
func (s *Service) RemoveMessage(ctx context.Context, msgID string) (found bool, err error) {
	err = s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		// 1. What there is of it.
		ids, err := s.store.IDs(ctx, []string{msgID})
		if err != nil {
			return err
		}
		messages, err := s.store.MessagesByID(ctx, []string{msgID})
		if err != nil {
			return err
		}
		owners, err := s.store.OfflineOwners(ctx, []string{msgID})
		if err != nil {
			return err
		}
		rows := messages[msgID]
		id, remembered := ids[store.IDKey{MsgID: msgID, Class: store.ClassMessage}]
		_, revoke := ids[store.IDKey{MsgID: msgID, Class: store.ClassRevoke}]
		if found = remembered || revoke || len(rows) > 0; !found {
			return nil
		}

		// 2. All of it goes.
		var change store.Change
		for _, m := range rows {
			change.Erase = append(change.Erase, store.Erased{ID: m.ID, MsgID: m.MsgID, From: m.From})
		}
		for key := range owners {
			if key.MsgID == msgID {
				change.DropOffline = append(change.DropOffline, key)
			}
		}
		b.gone = append(b.gone, unconfirmed.Removal{IDs: map[string]bool{msgID: true}})

		// 3. And is remembered. A revoke has its own class, which says all that is needed.
		if !remembered && !revoke {
			id = store.ID{MsgID: msgID, Class: store.ClassMessage, From: rows[0].From, Conversation: conversationOf(rows[0]), Time: rows[0].Time}
			remembered = true
		}
		if remembered && id.State != store.Revoked {
			id.State = store.Revoked
			change.SetIDs = []store.ID{id}
		}
		b.changes = append(b.changes, change)
		return nil
	}})
	return found, err
}

// conversationOf names the conversation of a stored message.
func conversationOf(m store.Message) string {
	if store.FamilyOf(m.Type) == store.FamilyGroup {
		return m.SessionID
	}
	return protocol.ChatName(m.From, m.To)
}
