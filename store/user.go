package store

import (
	"context"
	"errors"
	"fmt"
)

const (
	userColumns = `user_id, jid, user_name, acct_login, user_email, pic_url, push_code, push_os, confirms, has_left, learned, robot`
	userByJID   = `SELECT ` + userColumns + ` FROM tlim_user WHERE jid == (?*)`
	userByID    = `SELECT ` + userColumns + ` FROM tlim_user WHERE user_id == (?*)`
	userPresent = `SELECT ` + userColumns + ` FROM tlim_user WHERE has_left = 0`

	// stale grows because the user's rows in groups and 1:1 lists may show an older name, see Refresh.
	userNameByJID = `UPDATE tlim_user SET user_id = ?, user_name = ?, acct_login = ?, user_email = ?, pic_url = ?, has_left = 0, learned = 0, robot = 0, stale = stale + 1 WHERE jid == ?`
	userNameByID  = `UPDATE tlim_user SET user_name = ?, acct_login = ?, user_email = ?, pic_url = ?, has_left = 0, learned = 0, robot = 0, stale = stale + 1 WHERE user_id == ?`
	// Only users who were only seen. Those who left because their account was gone have it again, and are back.
	userRelearn   = `UPDATE tlim_user SET user_name = ?, acct_login = ?, user_email = ?, has_left = 0, account = 1, stale = stale + 1 WHERE jid == ? AND learned = 1 AND (has_left = 0 OR account = 2)`
	userPush      = `UPDATE tlim_user SET push_code = ?, push_os = ? WHERE user_id == ?`
	userPushTaken = `UPDATE tlim_user SET push_code = NULL, push_os = NULL WHERE push_code == ? AND user_id !== ?`
	userConfirms  = `UPDATE tlim_user SET confirms = ? WHERE confirms < ? AND user_id == (?*)`
	userForgotten = `UPDATE tlim_user SET confirms = 0 WHERE user_id == (?*)`
	userRobot     = `UPDATE tlim_user SET user_id = ?, user_name = ?, has_left = 0, stale = stale + 1 WHERE jid == ? AND robot = 1`
	userRobots    = `SELECT ` + userColumns + ` FROM tlim_user WHERE robot = 1`
	userLeft      = `UPDATE tlim_user SET has_left = 1 WHERE user_id == (?*)`
)

func scanUser(u *User) []any {
	return []any{(*text)(&u.ID), (*text)(&u.JID), (*text)(&u.Name), (*text)(&u.Login), (*text)(&u.Email), (*text)(&u.Pic),
		(*text)(&u.PushCode), (*text)(&u.PushOS), &u.Confirms, (*flag)(&u.Left), (*flag)(&u.Learned), (*flag)(&u.Robot)}
}

// UsersByJID reads users by the local part of their JID, those who left included (Left says so).
func (s *Store) UsersByJID(ctx context.Context, jids []string) (map[string]User, error) {
	return s.users(ctx, userByJID, jids, func(u *User) string { return u.JID })
}

// UsersByID reads users by their canonical ids, those who left included.
func (s *Store) UsersByID(ctx context.Context, ids []string) (map[string]User, error) {
	return s.users(ctx, userByID, ids, func(u *User) string { return u.ID })
}

func (s *Store) users(ctx context.Context, query string, keys []string, key func(*User) string) (map[string]User, error) {
	found := make(map[string]User, len(keys))
	err := s.in(ctx, query, nil, keys, nil, func(scan scanner) error {
		var u User
		if err := scan(scanUser(&u)...); err != nil {
			return err
		}
		found[key(&u)] = u
		return nil
	})
	return found, err
}

// ListUsers reads at most limit users who have not left, ordered by id, from behind the id after ("" = from the first).
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]User, error) {
	return s.userPage(ctx, userPresent, after, limit)
}

var userKeys = keys{"user_id"}

func (s *Store) userPage(ctx context.Context, query, after string, limit int) ([]User, error) {
	found := []User{}
	err := s.walk(ctx, query, nil, userKeys, []string{after}, limit, func(scan scanner) error {
		found = append(found, User{})
		return scan(scanUser(&found[len(found)-1])...)
	})
	return found, err
}

func (r *rows) addUser(u *User) {
	stale := bit(!u.Learned || u.Name != "" && u.Name != u.ID) // of who was only seen nothing is known that rows should show
	r.add(u.ID, u.JID, u.Name, u.Login, u.Email, u.Pic, u.PushCode, u.PushOS, int64(u.Confirms), bit(u.Learned), bit(u.Left), int64(0),
		int64(AccountUnknown), stale, bit(u.Robot))
}

// decorateUser makes what is shown of a user what its columns can hold.
func (t *tx) decorateUser(ctx context.Context, u *User) error {
	for column, text := range map[string]*string{"user_name": &u.Name, "acct_login": &u.Login, "user_email": &u.Email, "pic_url": &u.Pic} {
		var err error
		if *text, err = t.decoration(ctx, tUser, column, *text); err != nil {
			return err
		}
	}
	return nil
}

// putUsers is addUser of the directory. The JID is the person: a user who was only seen on the wire, or whose spelling
// the directory has changed, keeps the row and gets the directory's id.
func (t *tx) putUsers(ctx context.Context, users []User) error {
	for i := range users {
		u := users[i]
		u.Left, u.Learned, u.Robot = false, false, false
		if err := t.decorateUser(ctx, &u); err != nil {
			return err
		}
		r := t.s.rowsOf(tUser, 1)
		if r.addUser(&u); r.err != nil {
			return r.err
		}
		n := int64(0)
		var err error
		if u.JID != "" {
			n, err = t.do(ctx, userNameByJID, u.ID, u.Name, u.Login, u.Email, u.Pic, u.JID)
		}
		if err != nil && errors.Is(t.s.dialect.classify(err), ErrDuplicate) { // the new id, by the row of another user
			there := false
			failed := t.readIn(ctx, userByID, []string{u.ID}, func(scanner) error { there = true; return nil })
			if failed == nil && !there {
				failed = ErrCollation
			}
			if failed != nil {
				err = fmt.Errorf("%w: %w", failed, err)
			}
		}
		if n == 0 && err == nil {
			n, err = t.do(ctx, userNameByID, u.Name, u.Login, u.Email, u.Pic, u.ID)
		}
		if n == 0 && err == nil {
			err = t.insert(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("user %s: %w", u.ID, err)
		}
	}
	return nil
}

// Robots reads all robots, those whose keys are gone too (Left says so).
func (s *Store) Robots(ctx context.Context) ([]User, error) {
	found := []User{}
	err := s.all(ctx, userRobots, nil, func(scan scanner) error {
		found = append(found, User{})
		return scan(scanUser(&found[len(found)-1])...)
	})
	return found, err
}

// putRobots makes robots, or renames those that are there. Where a person has the id or the JID nothing is written: ErrDuplicate.
func (t *tx) putRobots(ctx context.Context, users []User) error {
	for i := range users {
		u := users[i]
		u.Left, u.Learned, u.Robot = false, false, true
		if err := t.decorateUser(ctx, &u); err != nil {
			return err
		}
		n, err := t.do(ctx, userRobot, u.ID, u.Name, u.JID)
		if err == nil && n == 0 {
			r := t.s.rowsOf(tUser, 1)
			r.addUser(&u)
			err = t.insert(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("robot %s: %w", u.ID, err)
		}
	}
	return nil
}

// learnUsers inserts the users whose id and JID are both unknown.
func (t *tx) learnUsers(ctx context.Context, users []User) error {
	if len(users) == 0 {
		return nil
	}
	var ids, jids []string
	for i := range users {
		ids, jids = append(ids, users[i].ID), append(jids, users[i].JID)
	}
	knownID, knownJID := map[string]bool{}, map[string]bool{}
	note := func(scan scanner) error {
		var u User
		err := scan(scanUser(&u)...)
		knownID[u.ID], knownJID[u.JID] = true, true
		return err
	}
	if err := t.readIn(ctx, userByID, ids, note); err != nil {
		return err
	}
	if err := t.readIn(ctx, userByJID, jids, note); err != nil {
		return err
	}
	delete(knownJID, "")
	r := t.s.rowsOf(tUser, len(users))
	for i := range users {
		u := users[i]
		if knownID[u.ID] || knownJID[u.JID] {
			continue
		}
		knownID[u.ID], knownJID[u.JID] = true, u.JID != ""
		u.Learned = true
		r.addUser(&u)
	}
	return t.insertFree(ctx, r)
}

// relearnUsers overwrites what is known of users who were only seen. It leaves other users as they are.
func (t *tx) relearnUsers(ctx context.Context, users []User) error {
	for i := range users {
		u := users[i]
		if err := t.decorateUser(ctx, &u); err != nil {
			return err
		}
		if _, err := t.do(ctx, userRelearn, u.Name, u.Login, u.Email, u.JID); err != nil {
			return fmt.Errorf("user %s: %w", u.ID, err)
		}
	}
	return nil
}

// setPush sets the push code of users; a user without a row gets one. The last registration of a code has it.
func (t *tx) setPush(ctx context.Context, users []User) error {
	for i := range users {
		u := users[i]
		if u.PushCode != "" {
			if _, err := t.do(ctx, userPushTaken, u.PushCode, u.ID); err != nil {
				return err
			}
		}
		n, err := t.do(ctx, userPush, u.PushCode, u.PushOS, u.ID)
		if err == nil && n == 0 {
			u.Learned = true
			r := t.s.rowsOf(tUser, 1)
			r.addUser(&u)
			err = t.insert(ctx, r)
		}
		if err != nil {
			return fmt.Errorf("push code of %s: %w", u.ID, err)
		}
	}
	return nil
}

func (t *tx) confirming(ctx context.Context, list []Confirming) error {
	if len(list) == 0 {
		return nil
	}
	var ids [ConfirmsByPings + 1][]string
	for _, c := range list {
		ids[c.How] = append(ids[c.How], c.UserID)
	}
	if err := t.doIn(ctx, userForgotten, ids[ConfirmsNot]); err != nil {
		return err
	}
	for how := ConfirmsByReceipts; how <= ConfirmsByPings; how++ {
		if err := t.doIn(ctx, userConfirms, ids[how], int64(how), int64(how)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) dropUsers(ctx context.Context, ids []string) error {
	return t.doIn(ctx, userLeft, ids)
}
