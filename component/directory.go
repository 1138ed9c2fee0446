package component

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/trigger"
	"tlim/store"
)

const (
	cachedUsers = 100_000
	userAge     = 30 * time.Second // addUser of another process, or SQL by hand, is seen after this
	maxUnlearnt = 10_000           // users seen and not yet written; more are seen again
)

// directory maps every spelling of a user id to its one spelling, and knows names. It is safe for concurrent use.
type directory struct {
	store Store
	cache *expirable.LRU[string, store.User] // by local part; a user that is not in the directory has no ID

	mu         sync.Mutex
	written    uint64                    // grows with each drop: what was read before it may be old
	unseen     map[string]struct{}       // local parts to learn
	confirming map[string]store.Confirms // by local part: how mobiles of the user confirm messages
	wake       trigger.Trigger
}

func newDirectory(s Store) *directory {
	return &directory{store: s, cache: expirable.NewLRU[string, store.User](cachedUsers, nil, userAge),
		unseen: map[string]struct{}{}, confirming: map[string]store.Confirms{}, wake: trigger.New()}
}

// lookup returns the directory's entries of these local parts; those that it does not have are absent.
func (d *directory) lookup(ctx context.Context, locals []string) (map[string]store.User, error) {
	found := make(map[string]store.User, len(locals))
	var missing []string
	asked := map[string]bool{}
	for _, local := range locals {
		if u, ok := d.cache.Get(local); ok {
			if u.ID != "" {
				found[local] = u
			}
		} else if !asked[local] {
			asked[local] = true
			missing = append(missing, local)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	d.mu.Lock()
	written := d.written
	d.mu.Unlock()
	rows, err := d.store.UsersByJID(ctx, missing)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, local := range missing {
		u, ok := rows[local]
		if ok {
			found[local] = u
		}
		if d.written == written { // a name of before must not outlive the write that another goroutine has just dropped it for
			d.cache.Add(local, u)
		}
	}
	return found, nil
}

// drop forgets a user that we have written to.
func (d *directory) drop(local string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written++
	d.cache.Remove(local)
}

// learn notes users of the server that were seen, so that a site which only adds the component can make groups at once.
// It never blocks; the conveyor writes them.
func (s *Service) learn(locals []string) {
	if s.source != nil && !s.source.cfg.DryRun { // the source says who is a user
		return
	}
	d := s.users
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, local := range locals {
		if local == protocol.AdminID || len(d.unseen) >= maxUnlearnt {
			continue
		}
		if u, ok := d.cache.Get(local); ok && u.ID != "" {
			continue
		}
		d.unseen[local] = struct{}{}
	}
	if len(d.unseen) > 0 {
		d.wake.Fire()
	}
}

// takeUnseen hands over at most n users to learn.
func (d *directory) takeUnseen(n int) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var taken []string
	for local := range d.unseen {
		if len(taken) == n {
			break
		}
		taken = append(taken, local)
		delete(d.unseen, local)
	}
	return taken
}

// learned is the directory entry of a user of whom only the JID is known.
func learned(local string) store.User {
	return store.User{ID: local, JID: local, Name: local, Login: local, Learned: true}
}

// Spell is the door of user ids: it maps any spelling to the directory's, else to the prepared form. Its errors are an
// *Error with error-008, or ErrUnavailable.
func (s *Service) Spell(ctx context.Context, id string) (string, error) {
	p, err := s.spell(ctx, id)
	return p.ID, err
}

func (s *Service) spell(ctx context.Context, id string) (protocol.Person, error) {
	local, err := stanza.Localpart(id)
	if err != nil {
		return protocol.Person{}, protocol.Refuse(protocol.UserIDInvalid, "the user id is empty or cannot be part of an address")
	}
	found, err := s.users.lookup(ctx, []string{local})
	if err != nil {
		return protocol.Person{}, protocol.ErrUnavailable
	}
	return s.person(local, found), nil
}

// person names a user by the directory's spelling where it has one.
func (s *Service) person(local string, found map[string]store.User) protocol.Person {
	p := protocol.Person{ID: local, Local: local, Bare: local + "@" + s.cfg.Server}
	if u, ok := found[local]; ok && u.ID != "" {
		p.ID = u.ID
	}
	return p
}

// confirms says how a mobile of the user has ever confirmed a message.
func (d *directory) confirms(local string) store.Confirms {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.confirming[local]
}

func (d *directory) raiseConfirms(local string, how store.Confirms) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.confirming[local] = max(d.confirming[local], how)
}

func (d *directory) forgetConfirms(local string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.confirming, local)
}

// loadConfirming reads at start who confirms.
func (d *directory) loadConfirming(ctx context.Context) error {
	for after := ""; ; {
		users, err := d.store.ListUsers(ctx, after, learnUsers)
		if err != nil || len(users) == 0 {
			return err
		}
		for _, u := range users {
			if u.Confirms != store.ConfirmsNot {
				d.raiseConfirms(u.JID, u.Confirms)
			}
		}
		after = users[len(users)-1].ID
	}
}
