package component

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"
	"unicode/utf8"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// refresher brings the copies of names, logins and pictures in groups and 1:1 lists (ofsubscriber, ofchat) up to date after
// the directory has changed. What is left at a stop or crash is found at the next start: a row of tlim_user says that it is
// still to be done.
type refresher struct {
	trigger trigger.Trigger // it has a run of its own soon
	s       *Service
	said    string // the last trouble, to log it once

	one sync.Mutex // of two rounds at once the slower could write an older name last
}

const (
	staleUsers   = 100  // users of one round
	staleRows    = 1000 // rows of one read
	refreshRows  = 200  // rows of one write: a few milliseconds for which chat waits
	refreshEvery = time.Minute
	refreshPause = 50 * time.Millisecond // lets other writers in
)

func (r *refresher) run(ctx context.Context) {
	r.trigger.Loop(ctx, refreshEvery, func(ctx context.Context) {
		err := r.refresh(ctx)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if err != nil && ctx.Err() == nil && text != r.said && !errors.Is(err, store.ErrUnavailable) {
			r.s.log.Warn("new names of users could not reach members' lists; it is tried again", "error", err)
		}
		r.said = text
	})
}

// refresh works through all users whose rows may be old.
func (r *refresher) refresh(ctx context.Context) error {
	r.one.Lock()
	defer r.one.Unlock()
	s, rows := r.s, 0
	for after := ""; ; {
		users, err := s.store.StaleUsers(ctx, after, staleUsers)
		if err != nil {
			return err
		}
		var done []store.StaleUser
		for _, u := range users {
			n, err := r.user(ctx, u.User)
			rows += n
			if errors.Is(err, store.ErrData) {
				// A table of before utf8mb4. It shows the old name; trying again would not help.
				s.metrics.directory.unrefreshed.Inc()
				s.log.Warn("a user's new name cannot be shown in old tables: they do not hold its characters", "user_id", u.ID, "error", err)
			} else if err != nil {
				return errors.Join(err, s.store.Fresh(ctx, s.epoch, done))
			}
			done = append(done, u)
		}
		if err := s.store.Fresh(ctx, s.epoch, done); err != nil {
			return err
		}
		if len(users) < staleUsers {
			break
		}
		after = users[len(users)-1].ID
	}
	if rows > 0 {
		s.log.Info("names and pictures of users were brought up to date in members' lists", "rows", rows)
	}
	return nil
}

// user brings one user's rows up to date and says how many were not.
func (r *refresher) user(ctx context.Context, u store.User) (changed int, err error) {
	for after := ""; ; {
		rows, err := r.s.store.MemberRows(ctx, u.ID, after, staleRows)
		if err != nil {
			return changed, err
		}
		var old []store.Member
		for _, row := range rows {
			now := newMember(u, row.SessionID, "")
			// People are compared as addresses are: old rows hold them in another spelling, and their key is to stay.
			if protocol.SameUser(row.UserID, u.ID) && (row.UserName != now.UserName || row.Login != now.Login || row.Pic != now.Pic) {
				now.UserID = row.UserID
				old = append(old, now)
			}
		}
		changed += len(old)
		for len(old) > 0 {
			n := min(len(old), refreshRows)
			if err := r.write(ctx, old[:n], nil); err != nil {
				return changed, err
			}
			old = old[n:]
		}
		if len(rows) < staleRows {
			break
		}
		after = rows[len(rows)-1].SessionID
	}
	for after := (store.Chat{}); ; {
		rows, err := r.s.store.ChatsWith(ctx, u.ID, after, staleRows)
		if err != nil {
			return changed, err
		}
		var old []store.Chat
		for _, row := range rows {
			name, pic := chatName64(u), chatPicture(u)
			if protocol.SameUser(row.Partner, u.ID) && (row.Name != name || row.Pic != pic) {
				old = append(old, store.Chat{ID: row.ID, Name: name, Pic: pic})
			}
		}
		changed += len(old)
		for len(old) > 0 {
			n := min(len(old), refreshRows)
			if err := r.write(ctx, nil, old[:n]); err != nil {
				return changed, err
			}
			old = old[n:]
		}
		if len(rows) < staleRows {
			return changed, nil
		}
		after = rows[len(rows)-1]
	}
}

func (r *refresher) write(ctx context.Context, members []store.Member, chats []store.Chat) error {
	if err := r.s.store.Refresh(ctx, r.s.epoch, members, chats); err != nil {
		return err
	}
	r.s.metrics.directory.refreshed.Add(float64(len(members) + len(chats)))
	if pause.For(ctx, refreshPause) != nil {
		return ctx.Err()
	}
	return nil
}

// chatName64 is how a list entry names a user: its column holds 64 characters.
func chatName64(u store.User) string { return protocol.Shorten(cmp.Or(u.Name, u.ID), protocol.MaxID) }

// chatPicture is a user's picture in a list entry, "" when its column does not hold it.
func chatPicture(u store.User) string {
	if utf8.RuneCountInString(u.Pic) > protocol.MaxID {
		return ""
	}
	return u.Pic
}
