package component

import (
	"context"
	"sync"

	"tlim/component/protocol"
	"tlim/store"
)

// registrations are the push codes that were registered here since a poll began: what it has read of them is old.
type registrations struct {
	mu    sync.Mutex
	users map[string]bool // local parts
	codes map[string]bool
}

func (r *registrations) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users, r.codes = map[string]bool{}, map[string]bool{}
}

func (r *registrations) note(local string, codes ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == nil { // before the first poll
		return
	}
	if local != "" {
		r.users[local] = true
	}
	for _, code := range codes {
		r.codes[code] = true
	}
}

// outdated says whether a poll's word about a user's code is to be left out.
func (r *registrations) outdated(local, code string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users[local] || code != "" && r.codes[code]
}

// putPush writes push codes of the source.
func (y *sourceSync) putPush(ctx context.Context, users []store.User) error {
	return y.s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		found, err := b.s.users.lookup(ctx, localsOf(users))
		if err != nil {
			return err
		}
		var change store.Change
		for _, u := range users {
			row, ok := found[u.JID]
			if !ok || y.fresh.outdated(u.JID, u.PushCode) {
				continue
			}
			row.PushCode, row.PushOS = u.PushCode, b.s.pushOS(u.JID)
			change.SetPush = append(change.SetPush, row)
			b.restale = append(b.restale, u.JID)
		}
		if len(change.SetPush) > 0 {
			b.changes = append(b.changes, change)
		}
		return nil
	}})
}

// writePush hands a registration on to the source, before it is written here: after a crash in between the next poll brings
// it. It does nothing where the source keeps no codes, and in a dry run.
func (y *sourceSync) writePush(ctx context.Context, p protocol.Person, code string) error {
	if y == nil || !y.source.KeepsPush() || y.cfg.DryRun {
		return nil
	}
	if err := y.source.SetPush(ctx, p.ID, code); err != nil {
		y.s.log.Warn("a push code could not be written back to the source of users", "user_id", p.ID, "error", err)
		return protocol.ErrUnavailable
	}
	// Only now: a poll that begins after this reads the new code, and one that began before must not write the old one.
	if code == "" {
		y.fresh.note(p.Local)
	} else {
		y.fresh.note(p.Local, code)
	}
	return nil
}

// dropPush takes dead registrations from the source as well, which would bring them back.
func (y *sourceSync) dropPush(ctx context.Context, codes []string) error {
	if y == nil || !y.source.KeepsPush() || y.cfg.DryRun {
		return nil
	}
	if err := y.source.DeletePushCodes(ctx, codes); err != nil {
		return err
	}
	y.fresh.note("", codes...)
	return nil
}
