package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
	// declared are the ids, by local part, of those that are to be there. They may not be there yet: none is made while nobody can say whose account has its name.
	declared atomic.Pointer[map[string]string]
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
	if d.isKept(r) {
		return nil
	}
	// The server may take seconds to say whether there is an account, so it is asked outside of the order.
	local, _ := stanza.Localpart(r.ID) // Check has prepared it
	if !d.IsRobot(local) && d.finder.find(ctx, "", []string{local})[local] == Found {
		return person(r)
	}
	people, err := d.writeRobots(ctx, []protocol.Robot{r})
	if len(people) > 0 {
		return person(r)
	}
	return err
}

// isKept says whether a robot is there as it is declared.
func (d *Directory) isKept(r protocol.Robot) bool {
	u, ok := d.robots.of(protocol.UserKey(r.ID))
	return ok && !u.Left && u.ID == r.ID && u.Name == r.Shown()
}

// writeRobots makes or renames robots, of different ids that Check has found right, in one transaction: all, or none and why. Left out are those whose
// ids are people's.
func (d *Directory) writeRobots(ctx context.Context, list []protocol.Robot) (people []protocol.Robot, err error) {
	d.robots.write.Lock()
	defer d.robots.write.Unlock()
	byLocal := make(map[string]protocol.Robot, len(list))
	for _, r := range list {
		byLocal[protocol.UserKey(r.ID)] = r
	}
	locals := slices.Sorted(maps.Keys(byLocal))
	var users []store.User
	err = d.deps.Write(ctx, func(ctx context.Context) (Writes, error) {
		users, people = nil, nil
		there, err := d.deps.Store.UsersByJID(ctx, locals)
		if err != nil {
			return Writes{}, err
		}
		for _, local := range locals {
			r := byLocal[local]
			if u, ok := there[local]; ok && !u.Robot {
				people = append(people, r)
				continue
			}
			users = append(users, store.User{ID: r.ID, JID: local, Name: r.Shown(), Robot: true})
		}
		if len(users) == 0 {
			return Writes{}, nil
		}
		return Writes{[]store.Change{{Robots: users}}, localsOf(users)}, nil
	})
	if err != nil {
		return nil, err
	}
	d.robots.change(func(known map[string]store.User) {
		for _, u := range users {
			known[u.JID] = u
		}
	})
	d.refresh.trigger.Fire() // groups show their names
	return people, nil
}

// writeStorableRobots is writeRobots for as many as there are: one whom the database cannot hold does not keep the others out. Its error names
// those who were not written.
func (d *Directory) writeStorableRobots(ctx context.Context, list []protocol.Robot) error {
	var errs []error
	for slice := range slices.Chunk(list, callSlice) {
		people, err := d.writeRobots(ctx, slice)
		var refusal *protocol.Error
		if len(slice) > 1 && errors.As(err, &refusal) && refusal.Code != protocol.TryLater {
			half := len(slice) / 2
			err = errors.Join(d.writeStorableRobots(ctx, slice[:half]), d.writeStorableRobots(ctx, slice[half:]))
		}
		for _, r := range people {
			errs = append(errs, person(r))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// person refuses a robot the id of somebody.
func person(r protocol.Robot) error {
	return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the robot " + r.ID + " cannot have the id of a person: there is a user or an account of that name; give it another one",
		Chinese: "机器人 " + r.ID + " 不能使用已有人员的 id：已有这个用户或账号，请换一个"}
}

// DeclareRobots says whose ids are kept for robots, before they are made: nobody becomes a person by one of these.
func (d *Directory) DeclareRobots(declared []protocol.Robot) {
	ids := map[string]string{}
	for _, r := range declared {
		ids[protocol.UserKey(r.ID)] = r.ID
	}
	d.robots.declared.Store(&ids)
}

// KeepRobots makes or renames the robots that are declared, and marks all others as having left. It does as much as it can: its error names what
// it could not do. The server is asked about each new one, and may take seconds for each that it says nothing about; those of whom it was asked are made
// meanwhile.
func (d *Directory) KeepRobots(ctx context.Context, declared []protocol.Robot) error {
	var errs []error
	stay := map[string]bool{}
	fresh := map[string]protocol.Robot{} // of whom the server is to be asked, by local part
	var renamed []protocol.Robot
	for _, r := range declared {
		local := protocol.UserKey(r.ID)
		err := r.Check()
		switch {
		case stay[local]:
		case err != nil:
			errs = append(errs, &protocol.Error{Code: protocol.UserIDInvalid, Text: err.Error()})
		case d.isKept(r):
		case d.IsRobot(local):
			renamed = append(renamed, r)
		default:
			fresh[local] = r
		}
		stay[local] = true
	}
	errs = append(errs, d.writeStorableRobots(ctx, renamed))
	for len(fresh) > 0 {
		verdicts := d.finder.find(ctx, "", slices.Sorted(maps.Keys(fresh)))
		if err := ctx.Err(); err != nil {
			errs = append(errs, fmt.Errorf("%d robots are not made yet, the server has not said whether there are accounts of their names: %w", len(fresh), err))
			break
		}
		var made []protocol.Robot
		for local, v := range verdicts {
			if v == Found {
				errs = append(errs, person(fresh[local]))
			} else {
				made = append(made, fresh[local])
			}
			delete(fresh, local)
		}
		errs = append(errs, d.writeStorableRobots(ctx, made))
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

// robotAmong refuses a change of users that names a robot, whose keys say what it is. One that is declared and not made yet is a robot, too, unless
// the directory holds a person of that name: then it never becomes one. Its other error is protocol.ErrUnavailable.
func (d *Directory) robotAmong(ctx context.Context, ids []string) error {
	wanted := map[string]string{}
	for _, id := range ids {
		local, err := stanza.Localpart(id)
		if err != nil {
			continue
		}
		if u, ok := d.robots.of(local); ok && !u.Left {
			return robotsID(u.ID)
		}
		if declared := d.robots.declared.Load(); declared != nil && (*declared)[local] != "" {
			wanted[local] = (*declared)[local]
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	people, err := d.deps.Store.UsersByJID(ctx, slices.Sorted(maps.Keys(wanted)))
	if err != nil {
		return protocol.ErrUnavailable
	}
	for local, id := range wanted {
		if u, ok := people[local]; !ok || u.Robot {
			return robotsID(id)
		}
	}
	return nil
}

func robotsID(id string) error {
	return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the user id " + id + " is a robot's: its keys say what it is",
		Chinese: "用户 id " + id + " 属于机器人，由它的密钥决定"}
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
