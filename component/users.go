package component

import (
	"context"
	"slices"
	"unicode/utf8"

	"tlim/component/stanza"
	"tlim/store"
)

// AddUsers puts users into the directory or overwrites what it says of them. All or none: an id that cannot be a JID local
// part, a reserved one or a value that is too long refuses the call and is named.
func (s *Service) AddUsers(ctx context.Context, users []store.User) error {
	for i := range users {
		u := &users[i]
		local, err := stanza.Localpart(u.ID)
		switch {
		case err != nil:
			return refuse(UserIDInvalid, "user_id %q is empty or cannot be part of an address", cut(u.ID, maxID))
		case local == adminID:
			return refuse(UserIDInvalid, "the user id admin is reserved")
		case utf8.RuneCountInString(u.ID) > maxID, utf8.RuneCountInString(u.Login) > maxID:
			return refuse(TooLarge, "user_id or acct_login of %q is longer than %d characters", cut(u.ID, maxID), maxID)
		case utf8.RuneCountInString(u.Name) > maxWideName, utf8.RuneCountInString(u.Email) > maxWideName, utf8.RuneCountInString(u.Pic) > maxWideName:
			return refuse(TooLarge, "a field of %q is longer than %d characters", cut(u.ID, maxID), maxWideName)
		case !stanza.ValidXML(u.ID + u.Name + u.Login + u.Email + u.Pic):
			return refuse(UserIDInvalid, "a field of %q holds a character that XML forbids", cut(u.ID, maxID))
		}
		u.JID = local
		u.Name = orDefault(u.Name, u.ID)
	}
	for slice := range slices.Chunk(users, noticeSlice) {
		if err := s.do(ctx, &call{alone: true, plan: func(_ context.Context, b *batch) error {
			b.changes = append(b.changes, store.Change{Users: slice})
			for _, u := range slice {
				b.restale = append(b.restale, u.JID)
			}
			return nil
		}}); err != nil {
			return err
		}
	}
	return nil
}

// RemoveUsers marks users as having left; nothing of theirs is deleted. Unknown ones are no error.
func (s *Service) RemoveUsers(ctx context.Context, ids []string) error {
	for slice := range slices.Chunk(ids, noticeSlice) {
		if err := s.do(ctx, &call{alone: true, plan: func(ctx context.Context, b *batch) error {
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
	return nil
}
