package directory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// callSlice is how many users of a call are one transaction.
const callSlice = 500

// AddUsers puts users into the directory or overwrites what it says of them. All or none: an id that cannot be part of an address, a
// reserved one or a value that is too long refuses the call and is named. Where accounts are kept it waits some seconds for
// those of the users.
func (d *Directory) AddUsers(ctx context.Context, users []store.User) error {
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
		case utf8.RuneCountInString(u.Name) > protocol.MaxName, utf8.RuneCountInString(u.Email) > protocol.MaxName, utf8.RuneCountInString(u.Pic) > protocol.MaxName:
			return protocol.Refuse(protocol.TooLarge, "a field of %q is longer than %d characters", protocol.Shorten(u.ID, protocol.MaxID), protocol.MaxName)
		case !stanza.ValidXML(u.ID + u.Name + u.Login + u.Email + u.Pic):
			return protocol.Refuse(protocol.UserIDInvalid, "a field of %q holds a character that XML forbids", protocol.Shorten(u.ID, protocol.MaxID))
		}
		u.JID = local
		u.Name = cmp.Or(u.Name, u.ID)
	}
	if err := d.robotAmong(ctx, idsOf(users)); err != nil {
		return err
	}
	for slice := range slices.Chunk(users, callSlice) {
		if err := d.write(ctx, store.Change{Users: slice}, slice); err != nil {
			return err
		}
		d.becamePeople(slice)
	}
	d.changed()
	d.accounts.await(ctx)
	return nil
}

// RemoveUsers marks users as having left; nothing of theirs is deleted. Unknown ones are no error; an id that cannot be part of an
// address refuses the call (error-008) and is named. Where the directory has a source, what AddUsers and RemoveUsers say
// holds until the next poll, which is soon.
func (d *Directory) RemoveUsers(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if _, err := stanza.Localpart(id); err != nil {
			return protocol.Refuse(protocol.UserIDInvalid, "user_id %q is empty or cannot be part of an address", protocol.Shorten(id, protocol.MaxID))
		}
	}
	if err := d.robotAmong(ctx, ids); err != nil {
		return err
	}
	for slice := range slices.Chunk(ids, callSlice) {
		err := d.deps.Write(ctx, func(ctx context.Context) (Writes, error) {
			_, users, err := d.Known(ctx, slice)
			if err != nil || len(users) == 0 {
				return Writes{}, err
			}
			return Writes{[]store.Change{left(users)}, localsOf(users)}, nil
		})
		if err != nil {
			return err
		}
	}
	d.changed()
	d.accounts.await(ctx)
	return nil
}

// left marks users as having left.
func left(users []store.User) store.Change { return store.Change{DropUsers: idsOf(users)} }

// write writes a change that concerns users, one transaction's worth.
func (d *Directory) write(ctx context.Context, change store.Change, users []store.User) error {
	return d.deps.Write(ctx, func(context.Context) (Writes, error) {
		return Writes{[]store.Change{change}, localsOf(users)}, nil
	})
}

// writeStorable writes users by the change that is made of them, and says how many were written: one whom the database cannot hold does
// not keep the others out.
func (d *Directory) writeStorable(ctx context.Context, users []store.User, change func([]store.User) store.Change) (written int, err error) {
	err = d.write(ctx, change(users), users)
	var refusal *protocol.Error
	switch {
	case err == nil:
		d.becamePeople(users)
		return len(users), nil
	case !errors.As(err, &refusal) || refusal.Code == protocol.TryLater:
		return 0, err
	case len(users) == 1:
		d.log.Debug("a user of the source cannot be stored", "user_id", users[0].ID, "error", err)
		return 0, nil
	}
	half := len(users) / 2
	for _, part := range [][]store.User{users[:half], users[half:]} {
		n, err := d.writeStorable(ctx, part, change)
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// changed sets the jobs to work that follow the directory. Accounts follow a source, if there is one, only after it was
// asked whether it agrees.
func (d *Directory) changed() {
	d.refresh.trigger.Fire()
	if d.source != nil {
		d.source.trigger.Fire()
	} else {
		d.accounts.trigger.Fire()
	}
}

// walkPage is how many users one read of a walk takes.
const walkPage = 2000

// walk visits all users of a list that is read in pages.
func walk(ctx context.Context, list func(context.Context, string, int) ([]store.User, error), visit func(store.User)) error {
	for after := ""; ; {
		page, err := list(ctx, after, walkPage)
		if err != nil {
			return err
		}
		for _, u := range page {
			visit(u)
		}
		if len(page) < walkPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

func localsOf(users []store.User) []string {
	locals := make([]string, len(users))
	for i, u := range users {
		locals[i] = u.JID
	}
	return locals
}

func idsOf(users []store.User) []string {
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}
