package directory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/trigger"
	"tlim/store"
)

const (
	maxUsers     = 100_000
	userAge      = 30 * time.Second // what another process, or SQL by hand, says of a user is seen after this
	maxUnlearned = 10_000           // users seen and not yet written; more are seen again
	lookupSlice  = 500              // users of one read
)

// Cache maps every spelling of a user id to the canonical one, knows names, and remembers whose phones confirm messages. It is safe for
// concurrent use.
type Cache struct {
	store  Store
	domain string
	users  *expirable.LRU[string, store.User] // by local part; a user that is not in the directory has no ID

	mu         sync.Mutex
	drops      uint64                    // counts calls of Drop: what was read before one may be old
	unlearned  map[string]struct{}       // local parts of users who were seen and are not written yet
	seen       trigger.Trigger           // there are some
	confirming map[string]store.Confirms // by local part
}

// NewCache makes a Cache of users who have addresses at a domain.
func NewCache(s Store, domain string) *Cache {
	return &Cache{store: s, domain: domain, users: expirable.NewLRU[string, store.User](maxUsers, nil, userAge),
		unlearned: map[string]struct{}{}, seen: trigger.New(), confirming: map[string]store.Confirms{}}
}

// Lookup returns the directory's entries of these local parts, those of users who have left included; what the directory does not have is absent.
// Its error is the store's.
func (c *Cache) Lookup(ctx context.Context, locals []string) (map[string]store.User, error) {
	found := make(map[string]store.User, len(locals))
	var missing []string
	asked := map[string]bool{}
	for _, local := range locals {
		if u, ok := c.users.Get(local); ok {
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
	c.mu.Lock()
	drops := c.drops
	c.mu.Unlock()
	rows, err := c.store.UsersByJID(ctx, missing)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, local := range missing {
		u, ok := rows[local]
		if ok {
			found[local] = u
		}
		if c.drops == drops { // else what was read may be older than the write that another goroutine has just called Drop for
			c.users.Add(local, u)
		}
	}
	return found, nil
}

// Known returns the directory's entries of those whom ids name, in any spelling, by local part, and a list of those who have not left: each
// user once, in the given order. Its error is the store's.
func (c *Cache) Known(ctx context.Context, ids []string) (found map[string]store.User, users []store.User, err error) {
	locals := Localparts(ids)
	if found, err = c.lookupMany(ctx, locals); err != nil {
		return nil, nil, err
	}
	for _, local := range locals {
		if u, ok := found[local]; ok && !u.Left {
			users = append(users, u)
		}
	}
	return found, users, nil
}

// Everybody visits all users who have not left, ordered by id. Its error is the store's.
func (c *Cache) Everybody(ctx context.Context, visit func(store.User)) error {
	return walk(ctx, c.store.ListUsers, visit)
}

// lookupMany is Lookup for as many as a call may name.
func (c *Cache) lookupMany(ctx context.Context, locals []string) (map[string]store.User, error) {
	found := make(map[string]store.User, len(locals))
	for slice := range slices.Chunk(locals, lookupSlice) {
		some, err := c.Lookup(ctx, slice)
		if err != nil {
			return nil, err
		}
		maps.Copy(found, some)
	}
	return found, nil
}

// Drop forgets the entry of a user whose row was written.
func (c *Cache) Drop(local string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	c.users.Remove(local)
}

// learn notes users who were seen.
func (c *Cache) learn(locals []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, local := range locals {
		if len(c.unlearned) < maxUnlearned && c.isNew(local) {
			c.unlearned[local] = struct{}{}
		}
	}
	if len(c.unlearned) > 0 {
		c.seen.Fire()
	}
}

// isNew says whether somebody may be a user whom the directory does not have. The caller holds the lock.
func (c *Cache) isNew(local string) bool {
	u, ok := c.users.Get(local)
	return local != protocol.AdminID && !(ok && u.ID != "")
}

// Seen receives a signal when [Directory.TakeUnlearned] has something to hand over.
func (c *Cache) Seen() <-chan struct{} { return c.seen }

// takeUnlearned hands over the local parts of at most n users who were seen, first those who were just met.
func (c *Cache) takeUnlearned(n int, met []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var taken []string
	for _, local := range met {
		if len(taken) < n && c.isNew(local) && !slices.Contains(taken, local) {
			taken = append(taken, local)
			delete(c.unlearned, local)
		}
	}
	for local := range c.unlearned {
		if len(taken) == n {
			break
		}
		taken = append(taken, local)
		delete(c.unlearned, local)
	}
	return taken
}

// Learned is the entry of a user of whom only the address is known.
func Learned(local string) store.User {
	return store.User{ID: local, JID: local, Name: local, Login: local, Learned: true}
}

// Canonical maps any spelling of a user id to the canonical one: the directory's, or the prepared form of an id that the directory does not have. Its errors are a
// *protocol.Error with error-008 for what cannot be part of an address, and protocol.ErrUnavailable.
func (c *Cache) Canonical(ctx context.Context, id string) (protocol.Person, error) {
	local, err := stanza.Localpart(id)
	if err != nil {
		return protocol.Person{}, protocol.Refuse(protocol.UserIDInvalid, "the user id is empty or cannot be part of an address")
	}
	found, err := c.Lookup(ctx, []string{local})
	if err != nil {
		return protocol.Person{}, protocol.ErrUnavailable
	}
	return c.Person(local, found), nil
}

// Person is a user under the id that found, an answer of Lookup, has for them, else under the local part.
func (c *Cache) Person(local string, found map[string]store.User) protocol.Person {
	p := protocol.Person{ID: local, Local: local, Bare: local + "@" + c.domain}
	if u, ok := found[local]; ok && u.ID != "" {
		p.ID = u.ID
	}
	return p
}

// Localparts prepares ids: each user once, in the given order, without what cannot be part of an address.
func Localparts(ids []string) []string {
	var locals []string
	seen := make(map[string]bool, len(ids)) // a call may name tens of thousands
	for _, id := range ids {
		if local, err := stanza.Localpart(id); err == nil && !seen[local] {
			seen[local] = true
			locals = append(locals, local)
		}
	}
	return locals
}

// Confirms says how phones of a user have ever confirmed a message.
func (c *Cache) Confirms(local string) store.Confirms {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.confirming[local]
}

// RaiseConfirms notes how a phone of a user confirms; a weaker way than the one that is noted changes nothing.
func (c *Cache) RaiseConfirms(local string, how store.Confirms) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.confirming[local] = max(c.confirming[local], how)
}

// ForgetConfirms forgets that phones of a user confirm.
func (c *Cache) ForgetConfirms(local string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.confirming, local)
}

// LoadConfirms reads from the database whose phones confirm. Its error is the store's.
func (c *Cache) LoadConfirms(ctx context.Context) error {
	return c.Everybody(ctx, func(u store.User) {
		if u.Confirms != store.ConfirmsNot {
			c.RaiseConfirms(u.JID, u.Confirms)
		}
	})
}
