package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"tlim/component/logged"
	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/trigger"
	"tlim/store"
)

// refresher brings the copies of names, logins and pictures in groups and 1:1 lists (ofsubscriber, ofchat) up to date after
// the directory has changed. What is left at a stop or crash is found at the next start: a row of tlim_user says that it is
// still to be done.
type refresher struct {
	d       *Directory
	trigger trigger.Trigger
	said    logged.Text

	one sync.Mutex // of two rounds at once the slower could write an older name last
}

func newRefresher(d *Directory) *refresher { return &refresher{d: d, trigger: trigger.New()} }

const (
	staleUsers   = 100  // users of one read
	staleRows    = 1000 // rows of one read
	refreshRows  = 200  // rows of one write: a few milliseconds for which messages wait
	refreshEvery = time.Minute
	refreshPause = 50 * time.Millisecond // lets other writers in
)

func (r *refresher) run(ctx context.Context) {
	r.trigger.Loop(ctx, refreshEvery, func(ctx context.Context) {
		err := r.round(ctx)
		text := ""
		if err != nil {
			text = logged.Reason(err)
		}
		if r.said.Changes(text) && err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
			r.d.log.Warn("new names of users could not reach members' lists; it is tried again", "error", err)
		}
	})
}

// round works through all users whose rows may be old.
func (r *refresher) round(ctx context.Context) error {
	r.one.Lock()
	defer r.one.Unlock()
	d, rows := r.d, 0
	for after := ""; ; {
		users, err := d.deps.Store.StaleUsers(ctx, after, staleUsers)
		if err != nil {
			return err
		}
		var done []store.StaleUser
		for _, u := range users {
			n, err := r.user(ctx, u.User)
			rows += n
			if errors.Is(err, store.ErrData) {
				// A table of before utf8mb4. It shows the old name; trying again would not help.
				d.metrics.unrefreshed.Inc()
				d.log.Warn("a user's new name cannot be shown in old tables: they do not hold its characters", "user_id", u.ID, "error", err)
			} else if err != nil {
				return errors.Join(err, d.deps.Store.Fresh(ctx, d.deps.Epoch(), done))
			}
			done = append(done, u)
		}
		if err := d.deps.Store.Fresh(ctx, d.deps.Epoch(), done); err != nil {
			return err
		}
		if len(users) < staleUsers {
			break
		}
		after = users[len(users)-1].ID
	}
	if rows > 0 {
		d.log.Info("names and pictures of users were brought up to date in members' lists", "rows", rows)
	}
	return nil
}

// user brings one user's rows up to date and says how many were old.
func (r *refresher) user(ctx context.Context, u store.User) (changed int, err error) {
	members, err := r.members(ctx, u)
	if err != nil {
		return members, err
	}
	chats, err := r.chats(ctx, u)
	return members + chats, err
}

// members brings the rows of groups up to date. Users are compared as addresses are: old rows hold them in another spelling, and their key is to stay.
func (r *refresher) members(ctx context.Context, u store.User) (changed int, err error) {
	for after := ""; ; {
		rows, err := r.d.deps.Store.MemberRows(ctx, u.ID, after, staleRows)
		if err != nil {
			return changed, err
		}
		var old []store.Member
		for _, row := range rows {
			now := Member(u, row.SessionID, "")
			if protocol.SameUser(row.UserID, u.ID) && (row.UserName != now.UserName || row.Login != now.Login || row.Pic != now.Pic) {
				now.UserID = row.UserID
				old = append(old, now)
			}
		}
		changed += len(old)
		for part := range slices.Chunk(old, refreshRows) {
			if err := r.write(ctx, part, nil); err != nil {
				return changed, err
			}
		}
		if len(rows) < staleRows {
			return changed, nil
		}
		after = rows[len(rows)-1].SessionID
	}
}

// chats brings the rows of lists of 1:1 conversations up to date.
func (r *refresher) chats(ctx context.Context, u store.User) (changed int, err error) {
	for after := (store.Chat{}); ; {
		rows, err := r.d.deps.Store.ChatsWith(ctx, u.ID, after, staleRows)
		if err != nil {
			return changed, err
		}
		var old []store.Chat
		for _, row := range rows {
			name, pic := ChatEntry(u)
			if protocol.SameUser(row.Partner, u.ID) && (row.Name != name || row.Pic != pic) {
				old = append(old, store.Chat{ID: row.ID, Name: name, Pic: pic})
			}
		}
		changed += len(old)
		for part := range slices.Chunk(old, refreshRows) {
			if err := r.write(ctx, nil, part); err != nil {
				return changed, err
			}
		}
		if len(rows) < staleRows {
			return changed, nil
		}
		after = rows[len(rows)-1]
	}
}

func (r *refresher) write(ctx context.Context, members []store.Member, chats []store.Chat) error {
	if err := r.d.deps.Store.Refresh(ctx, r.d.deps.Epoch(), members, chats); err != nil {
		return err
	}
	r.d.metrics.refreshed.Add(float64(len(members) + len(chats)))
	if pause.For(ctx, refreshPause) != nil {
		return ctx.Err()
	}
	return nil
}

// Member is the row by which a group shows a user.
func Member(u store.User, groupID, since string) store.Member {
	return store.Member{UserID: u.ID, UserName: protocol.Shorten(u.Name, protocol.MaxName), Login: u.Login, Pic: u.Pic, SessionID: groupID, Since: since}
}

// ChatEntry is how a list of 1:1 conversations shows a user. Its columns hold 64 characters: a longer name is cut, a longer picture left out.
func ChatEntry(u store.User) (name, pic string) {
	if utf8.RuneCountInString(u.Pic) <= protocol.MaxID {
		pic = u.Pic
	}
	return protocol.Shorten(cmp.Or(u.Name, u.ID), protocol.MaxID), pic
}
