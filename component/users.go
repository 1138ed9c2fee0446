package component

import (
	"cmp"
	"context"
	"slices"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// AddUsers puts users into the directory or overwrites what it says of them. All or none: an id that cannot be a JID local
// part, a reserved one or a value that is too long refuses the call and is named. Where accounts are kept it waits some seconds
// for those of the users.
func (s *Service) AddUsers(ctx context.Context, users []store.User) error {
	for i := range users {
		u := &users[i]
		local, err := stanza.Localpart(u.ID)
		switch {
		case err != nil:
			return protocol.Refuse(protocol.UserIDInvalid, "user_id %q is empty or cannot be part of an address", protocol.Shorten(u.ID, protocol.MaxID))
		case local == protocol.AdminID:
			return protocol.Refuse(protocol.UserIDInvalid, "the user id admin is reserved")
		case utf8.RuneCountInString(u.ID) > protocol.MaxID, utf8.RuneCountInString(u.Login) > protocol.MaxID:
			return protocol.Refuse(protocol.TooLarge, "user_id or acct_login of %q is longer than %d characters", protocol.Shorten(u.ID, protocol.MaxID), protocol.MaxID)
		case utf8.RuneCountInString(u.Name) > maxWideName, utf8.RuneCountInString(u.Email) > maxWideName, utf8.RuneCountInString(u.Pic) > maxWideName:
			return protocol.Refuse(protocol.TooLarge, "a field of %q is longer than %d characters", protocol.Shorten(u.ID, protocol.MaxID), maxWideName)
		case !stanza.ValidXML(u.ID + u.Name + u.Login + u.Email + u.Pic):
			return protocol.Refuse(protocol.UserIDInvalid, "a field of %q holds a character that XML forbids", protocol.Shorten(u.ID, protocol.MaxID))
		}
		u.JID = local
		u.Name = cmp.Or(u.Name, u.ID)
	}
	for slice := range slices.Chunk(users, noticeSlice) {
		if err := s.putUsers(ctx, slice); err != nil {
			return err
		}
	}
	s.usersChanged()
	s.accounts.settle(ctx)
	return nil
}

// putUsers writes users that were checked, one transaction's worth.
func (s *Service) putUsers(ctx context.Context, users []store.User) error {
	return s.do(ctx, &task{alone: true, plan: func(_ context.Context, b *batch) error {
		b.changes = append(b.changes, store.Change{Users: users})
		b.restale = append(b.restale, localsOf(users)...)
		return nil
	}})
}

// markLeft marks users of the directory as having left, one transaction's worth.
func (s *Service) markLeft(ctx context.Context, users []store.User) error {
	return s.do(ctx, &task{alone: true, plan: func(_ context.Context, b *batch) error {
		var change store.Change
		for _, u := range users {
			change.DropUsers = append(change.DropUsers, u.ID)
		}
		b.restale = append(b.restale, localsOf(users)...)
		b.changes = append(b.changes, change)
		return nil
	}})
}

// usersChanged sets those to work who follow the directory: rows that show names, and accounts, but those only after the
// source, if there is one, was asked whether it agrees.
func (s *Service) usersChanged() {
	s.refresher.trigger.Fire()
	if s.source != nil {
		s.source.trigger.Fire()
	} else {
		s.accounts.trigger.Fire()
	}
}

// RemoveUsers marks users as having left; nothing of theirs is deleted. Unknown ones are no error; an id that cannot be a JID
// local part refuses the call (error-008) and is named. Where the directory has a
// source, what AddUsers and RemoveUsers say holds until the next poll, which is soon.
func (s *Service) RemoveUsers(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := stanza.Localpart(id); err != nil {
			return protocol.Refuse(protocol.UserIDInvalid, "user_id %q is empty or cannot be part of an address", protocol.Shorten(id, protocol.MaxID))
		}
	}
	for slice := range slices.Chunk(ids, noticeSlice) {
		if err := s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
			_, users, err := b.knownUsers(ctx, slice)
			if err != nil || len(users) == 0 {
				return err
			}
			var change store.Change
			for _, u := range users {
				change.DropUsers = append(change.DropUsers, u.ID)
				b.restale = append(b.restale, u.JID)
			}
			b.changes = append(b.changes, change)
			return nil
		}}); err != nil {
			return err
		}
	}
	s.usersChanged()
	s.accounts.settle(ctx)
	return nil
}
