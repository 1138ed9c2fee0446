package cache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Group is a session with its members, read-only once it is in the cache.
type Group struct {
	store.Group
	OwnedBy protocol.Person
	Members []protocol.Person
	Rows    []store.Member
	Index   map[string]int // member by local part
	loaded  time.Time

	// Of the conveyor, although it changes.
	Roster  *unconfirmed.Roster // of the members, once a message to them has needed it
	There   int                 // members who are sent copies, as of Counted
	Counted time.Time
}

// Member says whether the user of a local part is a member.
func (g *Group) Member(local string) bool {
	_, ok := g.Index[local]
	return ok && local != ""
}

// Has says whether a user is a member or the owner.
func (g *Group) Has(local string) bool {
	return g.Member(local) || g.OwnedBy.Local == local && local != ""
}

const (
	maxGroups  = 20_000
	maxMembers = 500_000          // in all cached groups together
	GroupAge   = 10 * time.Second // others write these tables too
)

// Reader reads groups from the database. *store.Store implements it.
type Reader interface {
	Groups(ctx context.Context, ids []string) (map[string]store.Group, error)
	Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error)
}

// Groups keeps the groups of recent messages. It belongs to the conveyor.
type Groups struct {
	now     func() time.Time
	domain  string
	lru     *simplelru.LRU[string, *Group]
	members int
}

// NewGroups makes an empty cache. domain is that of the users' addresses.
func NewGroups(now func() time.Time, domain string) *Groups {
	c := &Groups{now: now, domain: domain}
	c.lru, _ = simplelru.NewLRU(maxGroups, func(_ string, g *Group) { c.members -= len(g.Members) }) // fails for a size below 1 only
	return c
}

// Get returns the groups that exist among ids, from the cache where it is fresh.
func (g *Groups) Get(ctx context.Context, s Reader, ids []string) (map[string]*Group, error) {
	found := make(map[string]*Group, len(ids))
	var missing []string
	oldest := g.now().Add(-GroupAge)
	for _, id := range ids {
		if group, ok := g.lru.Get(id); ok && group.loaded.After(oldest) {
			found[id] = group
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
		group := NewGroup(row, members[id], g.domain)
		group.loaded = g.now()
		g.Drop(id)
		g.lru.Add(id, group)
		g.members += len(group.Members)
		for g.members > maxMembers && g.lru.Len() > 1 {
			g.lru.RemoveOldest()
		}
		found[id] = group
	}
	return found, nil
}

// Peek returns a group from the cache, however old it is there; nil when it is not.
func (g *Groups) Peek(id string) *Group {
	group, _ := g.lru.Peek(id)
	return group
}

// NewGroup puts a group and its members together. Of two rows of one person the first counts as the member.
func NewGroup(row store.Group, members []store.Member, domain string) *Group {
	g := &Group{Group: row, OwnedBy: protocol.NewPerson(row.Owner, domain), Rows: members,
		Members: make([]protocol.Person, 0, len(members)), Index: make(map[string]int, len(members))}
	slices.SortFunc(members, func(a, b store.Member) int { return strings.Compare(a.UserID, b.UserID) })
	for _, m := range members {
		p := protocol.NewPerson(m.UserID, domain)
		if p.Local != "" {
			if _, twice := g.Index[p.Local]; twice {
				continue
			}
			g.Index[p.Local] = len(g.Members)
		}
		g.Members = append(g.Members, p)
	}
	return g
}

// Drop forgets a group that we have written to.
func (g *Groups) Drop(id string) { g.lru.Remove(id) }

// Find returns the rows of those members that ids name, in any spelling.
func (g *Group) Find(ids []string) []store.Member {
	if len(ids) == 0 {
		return nil
	}
	named := make(map[string]bool, 2*len(ids))
	for _, id := range ids {
		named[id] = true
		if local, err := stanza.Localpart(id); err == nil {
			named[local] = true
		}
	}
	var rows []store.Member
	for _, m := range g.Rows {
		if local := protocol.NewPerson(m.UserID, "").Local; named[m.UserID] || local != "" && named[local] {
			rows = append(rows, m) // a legacy table may hold them in two spellings
		}
	}
	return rows
}

// Formers are the rows that let the members of a removed group send their late notices.
func (g *Group) Formers(now string) []store.Former {
	list := []store.Former{{SessionID: g.ID, UserID: g.OwnedBy.ID, Time: now}}
	for _, m := range g.Members {
		if m.ID != g.OwnedBy.ID {
			list = append(list, store.Former{SessionID: g.ID, UserID: m.ID, Time: now})
		}
	}
	return list
}
