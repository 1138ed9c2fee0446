package directory

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"

	"tlim/component/logged"
	"tlim/store"
)

// importPolicy is that of the server's own tables, from which users are learned as if each of them had been seen, with the names that they
// have there. It has no last word: whom AddUsers has named keeps that name, whom RemoveUsers has removed stays removed, and who is seen on
// the wire is a user whether or not the tables have them, because a server that reads its users elsewhere does not keep them there. Who was
// learned leaves only when they are no longer in the tables and the server says that there is no such account.
type importPolicy struct {
	d    *Directory
	kept logged.Text // users who were kept at the last poll; of the one goroutine that polls
}

func (i *importPolicy) ours(ctx context.Context) (*known, error) {
	k := &known{}
	err := i.d.Everybody(ctx, func(u store.User) { k.users = append(k.users, u) })
	return k, err
}

func (i *importPolicy) compare(ctx context.Context, ours *known, theirs map[string]store.User) (*difference, error) {
	d := &difference{known: len(ours.users), listed: len(theirs)}

	// 1. Whom the directory has.
	missing := maps.Clone(theirs)
	for _, u := range ours.users {
		their, listed := theirs[u.JID]
		delete(missing, u.JID)
		switch {
		case !u.Learned: // somebody has said who they are
		case !listed && i.d.deps.Online(u.JID):
		case !listed:
			d.left = append(d.left, u)
		case u.Name != their.Name || u.Login != their.Login || u.Email != their.Email:
			d.changed = append(d.changed, asLearned(u.ID, their))
		}
	}

	// 2. Whom it does not have, or who have left it.
	for locals := range slices.Chunk(slices.Sorted(maps.Keys(missing)), walkPage) {
		left, err := i.d.deps.Store.UsersByJID(ctx, locals)
		if err != nil {
			return nil, err
		}
		gone, err := i.d.deps.Store.AccountsGone(ctx, locals)
		if err != nil {
			return nil, err
		}
		for _, local := range locals {
			switch u, known := left[local]; {
			case !known:
				d.added = append(d.added, asLearned(local, theirs[local])) // under the spelling that they have on the wire
			case gone[local]: // they left because they had no account, and have one again
				d.changed = append(d.changed, asLearned(u.ID, theirs[local]))
			}
		}
	}
	return d, nil
}

// asLearned is what the tables say of a user, under the id that the directory has for them.
func asLearned(id string, their store.User) store.User {
	return store.User{ID: id, JID: their.JID, Name: their.Name, Login: their.Login, Email: their.Email, Learned: true}
}

// limit lets those leave of whom the server says that they have no account. It does not even ask when the tables are empty, or lack more
// users than may leave at once: the server may read its users elsewhere, or is being restored.
func (i *importPolicy) limit(ctx context.Context, d *difference) (refused, err error) {
	allowed := int(math.Ceil(float64(d.known) * i.d.cfg.MaxRemove / 100))
	kept, text := 0, ""
	if len(d.left) > allowed || d.listed == 0 {
		kept = len(d.left)
		d.left = nil
	}
	if kept > 0 {
		text = strconv.Itoa(kept)
	}
	if i.kept.Changes(text) && kept > 0 {
		i.d.log.Info("users who were seen are not in the server's tables, and more of them than directory.max_remove lets leave at once: they stay users", "users", kept)
	}
	verdicts := map[string]Verdict{}
	for slice := range slices.Chunk(localsOf(d.left), writeSlice) {
		maps.Copy(verdicts, i.d.finder.find(ctx, "", slice))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	d.left = slices.DeleteFunc(d.left, func(u store.User) bool { return verdicts[u.JID] != Missing })
	return nil, nil
}

func (i *importPolicy) change(users []store.User, known bool) store.Change {
	if known {
		return store.Change{Relearn: users}
	}
	return store.Change{Learn: users}
}

// accountsGone is true: the server has said so, see limit.
func (i *importPolicy) accountsGone() bool { return true }

func (i *importPolicy) words() words {
	return words{whose: "the server's tables", wrote: "users were learned from the server's tables", dry: "directory.dry_run: a poll of the server's tables would do this"}
}
