package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tlim/component/protocol"
	"tlim/store"
)

// known is the directory before a poll.
type known struct {
	users  []store.User    // who have not left
	coming map[string]bool // local parts whose account is still to be made; only where the accounts are the source
	going  map[string]bool // and whose account is still to be removed
}

// ours reads the directory. Where the accounts are the source and we make them, a user whom AddUsers has just named is not in
// it yet; where we remove them, one whom RemoveUsers has named is still there.
func (y *sourceSync) ours(ctx context.Context) (*known, error) {
	k := &known{coming: map[string]bool{}, going: map[string]bool{}}
	err := walkUsers(ctx, y.s.store.ListUsers, func(u store.User) { k.users = append(k.users, u) })
	if err == nil && y.source.OwnsAccounts() && y.cfg.CreateAccounts {
		err = walkUsers(ctx, y.s.store.AccountsWanted, func(u store.User) { k.coming[u.JID] = true })
	}
	if err == nil && y.source.OwnsAccounts() && y.cfg.RemoveAccounts {
		err = walkUsers(ctx, y.s.store.AccountsUnwanted, func(u store.User) { k.going[u.JID] = true })
	}
	return k, err
}

// walkUsers visits all users of a list that is read in pages.
func walkUsers(ctx context.Context, list func(context.Context, string, int) ([]store.User, error), visit func(store.User)) error {
	for after := ""; ; {
		page, err := list(ctx, after, sourcePage)
		if err != nil {
			return err
		}
		for _, u := range page {
			visit(u)
		}
		if len(page) < sourcePage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// difference is what one poll changes, each list ordered by id.
type difference struct {
	added   []store.User // new, or back
	changed []store.User
	push    []store.User // with another PushCode
	left    []store.User
	there   []store.User // of whose accounts it is news that they are there
	respelt []store.User // of changed: with the id in another spelling
	known   int          // users whom the directory has of the source
}

func (y *sourceSync) compare(ours *known, theirs map[string]store.User) *difference {
	d := &difference{}
	missing := make(map[string]bool, len(theirs))
	for local := range theirs {
		missing[local] = !ours.going[local]
	}
	codes := y.codes(theirs, ours.users)
	for _, u := range ours.users {
		their, there := theirs[u.JID]
		if !u.Learned {
			d.known++
		}
		switch {
		case there:
			missing[u.JID] = false
			if u.Learned || u.ID != their.ID || u.Name != their.Name || u.Login != their.Login || u.Email != their.Email || u.Pic != their.Pic {
				d.changed = append(d.changed, their)
			}
			if u.ID != their.ID {
				d.respelt = append(d.respelt, their)
			}
			if y.source.KeepsPush() && u.PushCode != codes[u.JID] {
				their.PushCode = codes[u.JID]
				d.push = append(d.push, their)
			}
			if ours.coming[u.JID] {
				d.there = append(d.there, their)
			}
		case u.Learned, ours.coming[u.JID]: // was never of the source, or is not yet
		default:
			d.left = append(d.left, u)
		}
	}
	for local, lacking := range missing {
		if !lacking {
			continue
		}
		u := theirs[local]
		d.added = append(d.added, u)
		if code := codes[local]; y.source.KeepsPush() && code != "" {
			u.PushCode = code
			d.push = append(d.push, u)
		}
		if y.source.OwnsAccounts() && y.cfg.CreateAccounts {
			d.there = append(d.there, u)
		}
	}
	for _, list := range [][]store.User{d.added, d.changed, d.push, d.there} {
		slices.SortFunc(list, func(a, b store.User) int { return strings.Compare(a.ID, b.ID) })
	}
	return d
}

// codes gives each push code of the source to one user: a device has one user, and the old plugin never took it from the one
// before. Who has it here keeps it, else the first by name has it.
func (y *sourceSync) codes(theirs map[string]store.User, ours []store.User) map[string]string {
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

// apply writes the difference through the conveyor, in slices that chat may pass. What was written before an error is counted
// and said.
func (y *sourceSync) apply(ctx context.Context, d *difference) error {
	s, m := y.s, y.s.metrics.directory
	counts := map[string]int{}
	unstorable := 0
	err := y.write(ctx, d, counts, &unstorable)
	for what, n := range counts {
		m.changes.WithLabelValues(what).Add(float64(n))
	}
	if users := counts["added"] + counts["changed"] + counts["left"]; users > 0 {
		s.log.Info("the directory follows its source", "added", counts["added"], "changed", counts["changed"], "left", counts["left"],
			"push_codes", counts["push"], "of_left", names(d.left[:counts["left"]]))
		s.refresher.trigger.Fire()
	}
	if err == nil && len(d.respelt) > 0 {
		s.log.Warn("users have another spelling of their id now; the database may not find groups and messages of the old one", "users", len(d.respelt), "some", names(d.respelt))
	}
	if err == nil && unstorable > 0 {
		err = fmt.Errorf("%d users of the source cannot be stored: the database does not hold their names (character set?)", unstorable)
	}
	return err
}

func (y *sourceSync) write(ctx context.Context, d *difference, counts map[string]int, unstorable *int) error {
	s := y.s
	put := func(what string, users []store.User) error {
		for slice := range slices.Chunk(users, userSlice) {
			stored, err := y.put(ctx, slice)
			counts[what] += stored
			if err != nil {
				return err
			}
			*unstorable += len(slice) - stored
		}
		return nil
	}
	if err := put("added", d.added); err != nil {
		return err
	}
	if err := put("changed", d.changed); err != nil {
		return err
	}
	for slice := range slices.Chunk(d.there, userSlice) {
		if err := s.store.SetAccount(ctx, s.epoch, idsOf(slice), store.AccountThere); err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(d.push, userSlice) {
		if err := y.putPush(ctx, slice); err != nil {
			return err
		}
		counts["push"] += len(slice)
	}
	for slice := range slices.Chunk(d.left, userSlice) {
		if err := s.markLeft(ctx, slice); err != nil {
			return err
		}
		counts["left"] += len(slice)
		if y.source.OwnsAccounts() && y.cfg.RemoveAccounts { // or one that is made anew would be removed
			if err := s.store.SetAccount(ctx, s.epoch, idsOf(slice), store.AccountGone); err != nil {
				return err
			}
		}
	}
	return nil
}

// put writes users and says how many; one that the database cannot hold does not keep the others out.
func (y *sourceSync) put(ctx context.Context, users []store.User) (stored int, err error) {
	return y.s.putHalves(users, y.s.putUsers(ctx, users), func(part []store.User) (int, error) { return y.put(ctx, part) })
}

// putHalves is what follows a write of users with that result: when the database cannot hold one of them, put writes each half.
func (s *Service) putHalves(users []store.User, result error, put func([]store.User) (int, error)) (stored int, err error) {
	var refusal *protocol.Error
	switch {
	case result == nil:
		return len(users), nil
	case !errors.As(result, &refusal) || refusal.Code == protocol.TryLater:
		return 0, result
	case len(users) == 1:
		s.log.Debug("a user of the source cannot be stored", "user_id", users[0].ID, "error", result)
		return 0, nil
	}
	half := len(users) / 2
	for _, part := range [][]store.User{users[:half], users[half:]} {
		n, err := put(part)
		stored += n
		if err != nil {
			return stored, err
		}
	}
	return stored, nil
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
