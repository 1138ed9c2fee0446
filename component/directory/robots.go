package directory

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// robots are those of the directory, those whose keys are gone too. Reading is for every receiver of every message, so that it takes no lock.
type robots struct {
	known atomic.Pointer[map[string]store.User] // by local part
	write sync.Mutex                            // of changes, which are read, judged and written one after the other
}

func (r *robots) of(local string) (store.User, bool) {
	known := r.known.Load()
	if known == nil {
		return store.User{}, false
	}
	u, ok := (*known)[local]
	return u, ok
}

// change makes a changed copy the one that is read. The caller holds write.
func (r *robots) change(how func(map[string]store.User)) {
	known := map[string]store.User{}
	if old := r.known.Load(); old != nil {
		known = maps.Clone(*old)
	}
	how(known)
	r.known.Store(&known)
}

// IsRobot says whether the user with this prepared local part is a robot.
func (d *Directory) IsRobot(local string) bool {
	_, ok := d.robots.of(local)
	return ok
}

// LoadRobots reads from the database who is a robot. Its error is the store's.
func (d *Directory) LoadRobots(ctx context.Context) error {
	list, err := d.deps.Store.Robots(ctx)
	if err != nil {
		return err
	}
	d.robots.write.Lock()
	defer d.robots.write.Unlock()
	d.robots.change(func(known map[string]store.User) {
		clear(known)
		for _, u := range list {
			known[u.JID] = u
		}
	})
	return nil
}

// KeepRobot makes a robot, or gives it its name, unless it is there already. Its errors are a *protocol.Error (error-008: it cannot have
// that id, which is a person's) and protocol.ErrUnavailable.
func (d *Directory) KeepRobot(ctx context.Context, r protocol.Robot) error {
	if err := r.Check(); err != nil {
		return &protocol.Error{Code: protocol.UserIDInvalid, Text: err.Error()}
	}
	local, _ := stanza.Localpart(r.ID) // Check has prepared it
	if u, ok := d.robots.of(local); ok && !u.Left && u.ID == r.ID && u.Name == r.Shown() {
		return nil
	}
	// The server may take seconds to say whether there is an account, so it is asked outside of the order.
	if !d.IsRobot(local) {
		if d.finder.find(ctx, "", []string{local})[local] == Found {
			return person(r)
		}
	}
	d.robots.write.Lock()
	defer d.robots.write.Unlock()
	user := store.User{ID: r.ID, JID: local, Name: r.Shown(), Robot: true}
	err := d.deps.Write(ctx, func(ctx context.Context) (Writes, error) {
		byJID, err := d.deps.Store.UsersByJID(ctx, []string{local})
		if err != nil {
			return Writes{}, err
		}
		if u, ok := byJID[local]; ok && !u.Robot {
			return Writes{}, person(r)
		}
		return Writes{[]store.Change{{Robots: []store.User{user}}}, []string{local}}, nil
	})
	if err != nil {
		return err
	}
	d.robots.change(func(known map[string]store.User) { known[local] = user })
	d.refresh.trigger.Fire() // groups show its name
	return nil
}

// person refuses a robot the id of somebody.
func person(r protocol.Robot) error {
	return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the robot " + r.ID + " cannot have the id of a person: there is a user or an account of that name; give it another one",
		Chinese: "机器人 " + r.ID + " 不能使用已有人员的 id：已有这个用户或账号，请换一个"}
}

// KeepRobots makes or renames the robots that are declared, and marks all others as having left. It does as much as it can: its error names what
// it could not do.
func (d *Directory) KeepRobots(ctx context.Context, declared []protocol.Robot) error {
	var errs []error
	stay := map[string]bool{}
	for _, r := range declared {
		stay[protocol.UserKey(r.ID)] = true
		errs = append(errs, d.KeepRobot(ctx, r))
	}
	d.robots.write.Lock()
	defer d.robots.write.Unlock()
	var gone []store.User
	if known := d.robots.known.Load(); known != nil {
		for local, u := range *known {
			if !u.Left && !stay[local] {
				gone = append(gone, u)
			}
		}
	}
	if len(gone) == 0 {
		return errors.Join(errs...)
	}
	slices.SortFunc(gone, func(a, b store.User) int { return cmp.Compare(a.ID, b.ID) })
	err := d.write(ctx, left(gone), gone)
	if err == nil {
		d.robots.change(func(known map[string]store.User) {
			for _, u := range gone {
				u.Left = true
				known[u.JID] = u
			}
		})
		d.log.Info("no key speaks as these robots any more: they have left the directory", "robots", names(gone))
	}
	return errors.Join(append(errs, err)...)
}

// robotAmong refuses a change of users that names a robot, whose keys say what it is.
func (d *Directory) robotAmong(ids []string) error {
	for _, id := range ids {
		local, err := stanza.Localpart(id)
		if err != nil {
			continue
		}
		if u, ok := d.robots.of(local); ok && !u.Left {
			return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the user id " + u.ID + " is a robot's: its keys say what it is",
				Chinese: "用户 id " + u.ID + " 属于机器人，由它的密钥决定"}
		}
	}
	return nil
}

// becamePeople takes note of those who were robots whose keys are gone, and whom somebody has named as users since.
func (d *Directory) becamePeople(users []store.User) {
	d.robots.write.Lock()
	defer d.robots.write.Unlock()
	if !slices.ContainsFunc(users, func(u store.User) bool { return d.IsRobot(u.JID) }) {
		return
	}
	d.robots.change(func(known map[string]store.User) {
		for _, u := range users {
			delete(known, u.JID)
		}
	})
}
