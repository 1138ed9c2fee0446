package store

import (
	"context"
	"fmt"
)

// StaleUser is a user whose name, login or picture was written since the rows that show them were last looked at.
type StaleUser struct {
	User
	Mark int64 // for [Store.Fresh]: grows with each such write
}

const (
	staleUsers = `SELECT ` + userColumns + `, stale FROM tlim_user WHERE stale > 0`
	staleClear = `UPDATE tlim_user SET stale = 0 WHERE user_id == ? AND stale = ?`

	memberRows  = `SELECT user_id, user_name, acct_login, pic, session_id FROM ofsubscriber WHERE user_id == ?`
	chatRows    = `SELECT chat_id, chat_name, chat_user, chat_other, chat_pic FROM ofchat WHERE chat_user == ?`
	chatRefresh = `UPDATE ofchat SET chat_name = ?, chat_pic = ? WHERE chat_id == ?`
)

var (
	memberRowKeys = keys{"session_id"}
	chatRowKeys   = keys{"chat_other", "chat_id"}
)

// StaleUsers reads at most limit users whose rows are to be looked at, ordered by id, from behind the id after ("" = from
// the first).
func (s *Store) StaleUsers(ctx context.Context, after string, limit int) ([]StaleUser, error) {
	found := []StaleUser{}
	err := s.walk(ctx, staleUsers, nil, userKeys, []string{after}, limit, func(scan scanner) error {
		found = append(found, StaleUser{})
		u := &found[len(found)-1]
		return scan(append(scanUser(&u.User), (*number)(&u.Mark))...)
	})
	return found, err
}

// MemberRows reads at most limit rows of a user in groups, ordered by group, from behind the group after ("" = from the
// first). Since is not read. Where the column's collation knows no case, rows in another spelling of the id are among them.
func (s *Store) MemberRows(ctx context.Context, user, after string, limit int) ([]Member, error) {
	found := []Member{}
	err := s.walk(ctx, memberRows, []any{user}, memberRowKeys, []string{after}, limit, func(scan scanner) error {
		found = append(found, Member{})
		m := &found[len(found)-1]
		return scan((*text)(&m.UserID), (*text)(&m.UserName), (*text)(&m.Login), (*text)(&m.Pic), (*text)(&m.SessionID))
	})
	return found, err
}

// ChatsWith reads at most limit list entries that show a user to others, from behind the entry after (the zero Chat = from
// the first), without their times.
func (s *Store) ChatsWith(ctx context.Context, partner string, after Chat, limit int) ([]Chat, error) {
	found := []Chat{}
	err := s.walk(ctx, chatRows, []any{partner}, chatRowKeys, []string{after.Owner, after.ID}, limit, func(scan scanner) error {
		found = append(found, Chat{})
		c := &found[len(found)-1]
		return scan((*text)(&c.ID), (*text)(&c.Name), (*text)(&c.Partner), (*text)(&c.Owner), (*text)(&c.Pic))
	})
	return found, err
}

// Refresh writes name, login and picture of these rows in groups and name and picture of these list entries, in one fenced
// transaction; rows that are gone are no error. Legacy columns can hold less than ours: a name is cut there, a login or
// picture left out. Errors: ErrFenced, ErrUnavailable.
func (s *Store) Refresh(ctx context.Context, epoch int64, members []Member, chats []Chat) error {
	err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		for _, m := range members {
			if _, err := t.updateMember(ctx, &m); err != nil {
				return err
			}
		}
		for _, c := range chats {
			name, err := t.decoration(ctx, tChat, "chat_name", c.Name)
			if err != nil {
				return err
			}
			pic, err := t.decoration(ctx, tChat, "chat_pic", c.Pic)
			if err != nil {
				return err
			}
			if _, err := t.do(ctx, chatRefresh, name, pic, c.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("refresh %d members, %d list entries: %w", len(members), len(chats), err)
	}
	return nil
}

// Fresh notes that the rows of these users show what the directory says of them. It leaves out users whom the directory has
// written since they were read: their rows have to be looked at again.
func (s *Store) Fresh(ctx context.Context, epoch int64, users []StaleUser) error {
	if len(users) == 0 {
		return nil
	}
	err := s.fenced(ctx, epoch, func(ctx context.Context, t *tx) error {
		for _, u := range users {
			if _, err := t.do(ctx, staleClear, u.ID, u.Mark); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note %d users as fresh: %w", len(users), err)
	}
	return nil
}
