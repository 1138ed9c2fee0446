package directory

import (
	"context"
	"sync"

	"tlim/component/protocol"
	"tlim/store"
)

// WritePush hands a user's new push code on to the source. The caller does so before it writes the code to the database: after a crash in
// between the next poll brings it. It does nothing where no source keeps push codes, and in a dry run. Its error is protocol.ErrUnavailable.
func (d *Directory) WritePush(ctx context.Context, p protocol.Person, code string) error {
	if !d.sourceKeepsPush() {
		return nil
	}
	if err := d.deps.Source.SetPush(ctx, p.ID, code); err != nil {
		d.log.Warn("a push code could not be written back to the source of users", "user_id", p.ID, "error", err)
		return protocol.ErrUnavailable
	}
	// Only now: a poll that begins after this reads the new code, and one that began before must not write the old one.
	if code == "" {
		d.source.fresh.note(p.Local)
	} else {
		d.source.fresh.note(p.Local, code)
	}
	return nil
}

// DropPush takes dead push codes from the source as well, which would bring them back. Its error is the source's.
func (d *Directory) DropPush(ctx context.Context, codes []string) error {
	if !d.sourceKeepsPush() {
		return nil
	}
	if err := d.deps.Source.DeletePushCodes(ctx, codes); err != nil {
		return err
	}
	d.source.fresh.note("", codes...)
	return nil
}

func (d *Directory) sourceKeepsPush() bool { return d.sourceRules() && d.deps.Source.KeepsPush() }

// writePush writes push codes of the source.
func (f *follower) writePush(ctx context.Context, users []store.User) error {
	d := f.d
	return d.deps.Write(ctx, func(ctx context.Context) (Writes, error) {
		found, err := d.Lookup(ctx, localsOf(users))
		if err != nil {
			return Writes{}, err
		}
		var rows []store.User
		for _, u := range users {
			row, ok := found[u.JID]
			if !ok || f.fresh.outdated(u.JID, u.PushCode) {
				continue
			}
			row.PushCode, row.PushOS = u.PushCode, d.deps.PushOS(u.JID)
			rows = append(rows, row)
		}
		if len(rows) == 0 {
			return Writes{}, nil
		}
		return Writes{[]store.Change{{SetPush: rows}}, localsOf(rows)}, nil
	})
}

// registrations are the push codes that were registered here since a poll began: what the poll has read of them is out of date.
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

// outdated says whether what a poll has read of a user's code is to be left out.
func (r *registrations) outdated(local, code string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.users[local] || code != "" && r.codes[code]
}
