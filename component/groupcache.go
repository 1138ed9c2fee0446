package component

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// group is a session with its members, read-only once it is in the cache.
type group struct {
	store.Group
	owner   protocol.Person
	members []protocol.Person
	rows    []store.Member
	index   map[string]int // member by local part
	loaded  time.Time

	// Of the conveyor, although it changes.
	roster  *unconfirmed.Roster // of the members, once a message to them has needed it
	there   int                 // members who are sent copies, as of counted
	counted time.Time
}

func (g *group) member(local string) bool {
	_, ok := g.index[local]
	return ok && local != ""
}

// has says whether a user is a member or the owner.
func (g *group) has(local string) bool {
	return g.member(local) || g.owner.Local == local && local != ""
}

const (
	cachedGroups  = 20_000
	cachedMembers = 500_000          // in all cached groups together
	groupAge      = 10 * time.Second // others write these tables too
)

// groupCache keeps the groups of recent messages. It belongs to the conveyor.
type groupCache struct {
	now     func() time.Time
	domain  string
	lru     *simplelru.LRU[string, *group]
	members int
}

func newGroupCache(now func() time.Time, domain string) *groupCache {
	c := &groupCache{now: now, domain: domain}
	c.lru, _ = simplelru.NewLRU(cachedGroups, func(_ string, g *group) { c.members -= len(g.members) }) // fails for a size below 1 only
	return c
}

// get returns the groups that exist among ids, from the cache where it is fresh.
func (c *groupCache) get(ctx context.Context, s Store, ids []string) (map[string]*group, error) {
	found := make(map[string]*group, len(ids))
	var missing []string
	oldest := c.now().Add(-groupAge)
	for _, id := range ids {
		if g, ok := c.lru.Get(id); ok && g.loaded.After(oldest) {
			found[id] = g
		} else if !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	rows, err := s.Groups(ctx, missing)
	if err != nil {
		return nil, err
	}
	members, err := s.Members(ctx, missing)
	if err != nil {
		return nil, err
	}
	for id, row := range rows {
		g := newGroup(row, members[id], c.domain)
		g.loaded = c.now()
		c.drop(id)
		c.lru.Add(id, g)
		c.members += len(g.members)
		for c.members > cachedMembers && c.lru.Len() > 1 {
			c.lru.RemoveOldest()
		}
		found[id] = g
	}
	return found, nil
}

// peek returns a group from the cache, however old it is there; nil when it is not.
func (c *groupCache) peek(id string) *group {
	g, _ := c.lru.Peek(id)
	return g
}

func newGroup(row store.Group, members []store.Member, domain string) *group {
	g := &group{Group: row, owner: protocol.NewPerson(row.Owner, domain), rows: members,
		members: make([]protocol.Person, 0, len(members)), index: make(map[string]int, len(members))}
	slices.SortFunc(members, func(a, b store.Member) int { return strings.Compare(a.UserID, b.UserID) })
	for _, m := range members {
		p := protocol.NewPerson(m.UserID, domain)
		if p.Local != "" {
			if _, twice := g.index[p.Local]; twice {
				continue
			}
			g.index[p.Local] = len(g.members)
		}
		g.members = append(g.members, p)
	}
	return g
}

// drop forgets a group that we have written to.
func (c *groupCache) drop(id string) { c.lru.Remove(id) }
