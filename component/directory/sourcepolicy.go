package directory

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"tlim/store"
)

// sourcePolicy is that of a source, which has the last word: who is in it is a user, and who is no longer in it has left.
type sourcePolicy struct {
	d      *Directory
	source Source

	// Of the one goroutine that polls.
	held    bool // the last poll would have removed more than may leave,
	allowed int  // which was so many
}

// ours also says who is in the middle of coming or going. Where the accounts are the source and we make them, a user whom AddUsers has just
// named is not in it yet; where we remove them, one whom RemoveUsers has named is still there.
func (s *sourcePolicy) ours(ctx context.Context) (*known, error) {
	db, cfg := s.d.deps.Store, s.d.cfg
	k := &known{coming: map[string]bool{}, going: map[string]bool{}}
	err := s.d.Everybody(ctx, func(u store.User) { k.users = append(k.users, u) })
	if err == nil && s.source.OwnsAccounts() && cfg.CreateAccounts {
		err = walk(ctx, db.AccountsWanted, func(u store.User) { k.coming[u.JID] = true })
	}
	if err == nil && s.source.OwnsAccounts() && cfg.RemoveAccounts {
		err = walk(ctx, db.AccountsUnwanted, func(u store.User) { k.going[u.JID] = true })
	}
	return k, err
}

func (s *sourcePolicy) compare(_ context.Context, ours *known, theirs map[string]store.User) (*difference, error) {
	d := &difference{listed: len(theirs)}
	codes := map[string]string{}
	if s.source.KeepsPush() {
		codes = ownersOfCodes(theirs, ours.users)
	}
	here := make(map[string]bool, len(ours.users))

	// 1. Whom the directory has.
	for _, u := range ours.users {
		here[u.JID] = true
		their, listed := theirs[u.JID]
		if !u.Learned && !u.Robot {
			d.known++
		}
		switch {
		case u.Robot: // its keys have the last word
			if listed {
				s.d.log.Warn("the source of users has somebody under the id of a robot, who is left out", "user_id", u.ID)
			}
		case listed:
			if u.Learned || u.ID != their.ID || u.Name != their.Name || u.Login != their.Login || u.Email != their.Email || u.Pic != their.Pic {
				d.changed = append(d.changed, their)
			}
			if u.ID != their.ID {
				d.newIDs = append(d.newIDs, their)
			}
			if s.source.KeepsPush() && u.PushCode != codes[u.JID] {
				their.PushCode = codes[u.JID]
				d.push = append(d.push, their)
			}
			if ours.coming[u.JID] {
				d.withAccount = append(d.withAccount, their)
			}
		case u.Learned, ours.coming[u.JID]: // was never of the source, or is not yet
		default:
			d.left = append(d.left, u)
		}
	}

	// 2. Whom it does not have.
	for local, u := range theirs {
		if here[local] || ours.going[local] {
			continue
		}
		d.added = append(d.added, u)
		if code := codes[local]; code != "" {
			u.PushCode = code
			d.push = append(d.push, u)
		}
		if s.source.OwnsAccounts() && s.d.cfg.CreateAccounts {
			d.withAccount = append(d.withAccount, u)
		}
	}
	for _, list := range [][]store.User{d.added, d.changed, d.push, d.withAccount} {
		slices.SortFunc(list, func(a, b store.User) int { return strings.Compare(a.ID, b.ID) })
	}
	return d, nil
}

// ownersOfCodes gives each push code of the source to one user, because a device has one user and the old plugin never took a code from its
// user before. Who has the code here keeps it; else the first by name among those who have it there gets it. It returns codes by local part.
func ownersOfCodes(theirs map[string]store.User, ours []store.User) map[string]string {
	held := map[string]string{} // push code, local part
	for _, u := range ours {
		if u.PushCode != "" {
			held[u.PushCode] = u.JID
		}
	}
	owner := map[string]string{}
	for local, u := range theirs {
		if u.PushCode == "" {
			continue
		}
		now, taken := owner[u.PushCode]
		if !taken || held[u.PushCode] == local || held[u.PushCode] != now && local < now {
			owner[u.PushCode] = local
		}
	}
	codes := make(map[string]string, len(owner))
	for code, local := range owner {
		codes[local] = code
	}
	return codes
}

// limit removes nobody when more are missing than may leave at once. Once it has refused, users who are added do not raise the limit: only a
// source that has them again, or another configuration, does.
func (s *sourcePolicy) limit(_ context.Context, d *difference) (refused, err error) {
	allowed := int(math.Ceil(float64(d.known) * s.d.cfg.MaxRemove / 100))
	if s.held {
		allowed = min(allowed, s.allowed)
	}
	s.held, s.allowed = len(d.left) > allowed, allowed
	if !s.held {
		s.d.metrics.held.Set(0)
		return nil, nil
	}
	s.d.metrics.held.Set(float64(len(d.left)))
	refused = fmt.Errorf("%d of %d users are no longer in the source (%s), and directory.max_remove lets %d leave at once: nobody was removed; is the source whole? If it is, raise max_remove until they are gone",
		len(d.left), d.known, names(d.left), allowed)
	d.left = nil
	return refused, nil
}

func (s *sourcePolicy) change(users []store.User, _ bool) store.Change {
	return store.Change{Users: users}
}

func (s *sourcePolicy) accountsGone() bool {
	return s.source.OwnsAccounts() && s.d.cfg.RemoveAccounts
}

func (s *sourcePolicy) words() words {
	return words{whose: "the source", wrote: "the directory follows its source", dry: "directory.dry_run: a poll would do this", whole: true,
		dryMore: func(d *difference) []any {
			attrs := []any{"of_respelt", names(d.newIDs)}
			if s.d.cfg.CreateAccounts && !s.source.OwnsAccounts() {
				attrs = append(attrs, "accounts_to_make", len(d.added)) // at most: some may be there
			}
			if s.d.cfg.RemoveAccounts && !s.source.OwnsAccounts() {
				attrs = append(attrs, "accounts_to_remove", len(d.left))
			}
			return attrs
		}}
}
