package component

import (
	"cmp"
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

const (
	maxGroupName = 200 // characters of the name that is joined from the members' names
)

// CreateGroup makes a group of the members that the directory has, or who may have an account on the server: it asks, for
// some seconds at most, and takes those of whom nobody can tell. An Asker without a key can have few questions asked; beyond
// them nobody can tell. Errors: *Error with error-002, 004, 006, 010, the last with those who were left out, or
// 012 (limits.group_members, limits.groups_per_user), or ErrUnavailable.
func (s *Service) CreateGroup(ctx context.Context, n GroupSpec) (store.Group, GroupMembers, error) {
	ownerLocal, err := stanza.Localpart(n.Owner)
	if err != nil {
		return store.Group{}, GroupMembers{}, protocol.Refuse(protocol.GroupOwnerInvalid, "request_user is empty or cannot be part of an address")
	}
	if err := s.mayOwn(ctx, n.Asker, n.Owner); err != nil {
		return store.Group{}, GroupMembers{}, err
	}
	verdicts, err := s.users.FindAccounts(ctx, n.Asker, n.Members, false)
	if err != nil {
		return store.Group{}, GroupMembers{}, err
	}
	g := store.Group{ID: uuid.NewString(), Type: n.Type}
	var members GroupMembers
	err = s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		owner, _, err := s.users.Known(ctx, []string{n.Owner})
		if err != nil {
			return err
		}
		g.Owner = s.users.Person(ownerLocal, owner).ID
		users, skipped, err := s.users.Admit(ctx, n.Members, verdicts)
		if err != nil {
			return err
		}
		members = GroupMembers{Skipped: skipped}
		if len(users) == 0 {
			return &protocol.Error{Code: protocol.GroupNotCreated, Text: "none of the subscribers is a known user", Skipped: skipped}
		}
		if err := s.mayHold(len(users)); err != nil {
			return err
		}
		now := protocol.FormatTime(b.now.UnixMilli())
		g.CreateTime = now
		var names []string
		for _, u := range users {
			members.Taken = append(members.Taken, directory.Member(u, g.ID, now))
			names = append(names, cmp.Or(u.Name, u.ID))
		}
		g.Name = protocol.Shorten(strings.Join(names, ","), maxGroupName)
		b.changes = append(b.changes, store.Change{Groups: []store.Group{g}, Members: members.Taken})
		b.stale = append(b.stale, g.ID)
		return nil
	}})
	if err == nil {
		s.tellSkipped("group", g.ID, members.Skipped)
	}
	return g, members, err
}

// ModifyGroup renames a group or changes its members. Whom it adds it looks for as [Service.CreateGroup] does. Errors:
// error-003 when there is nothing to change, error-009, error-012, ErrUnavailable.
func (s *Service) ModifyGroup(ctx context.Context, e GroupEdit) (GroupEdited, error) {
	switch {
	case e.Name == "" && len(e.Add)+len(e.Remove) == 0:
		return GroupEdited{}, protocol.Refuse(protocol.GroupNameEmpty, "session_name is empty and no subscribers are given")
	case utf8.RuneCountInString(e.Name) > protocol.MaxName:
		return GroupEdited{}, protocol.Refuse(protocol.TooLarge, "session_name is longer than %d characters", protocol.MaxName)
	case !stanza.ValidXML(e.Name):
		return GroupEdited{}, protocol.Refuse(protocol.GroupNameEmpty, "session_name holds a character that XML forbids")
	}
	verdicts, err := s.users.FindAccounts(ctx, e.Asker, e.Add, false)
	if err != nil {
		return GroupEdited{}, err
	}
	if s.cfg.PurgeOnRemove && len(e.Remove) > 0 {
		if err := s.eraseLeaving(ctx, e, verdicts); err != nil {
			return GroupEdited{}, err
		}
	}
	var now string
	var skipped []protocol.Skipped
	err = s.do(ctx, &task{alone: true, about: e.ID, plan: func(ctx context.Context, b *batch) error {
		g, err := b.mustFind(ctx, e.ID)
		if err != nil {
			return err
		}
		now = protocol.FormatTime(b.c.clock.next(b.now, e.ID)) // after every message before, so that replay tells who was a member
		edit := store.GroupEdit{ID: e.ID, ModifyTime: &now}
		if e.Name != "" {
			edit.Name = &e.Name
		}
		change := store.Change{EditGroups: []store.GroupEdit{edit}}
		var added []store.User
		added, skipped, err = s.users.Admit(ctx, e.Add, verdicts)
		if err != nil {
			return err
		}
		removed := g.find(e.Remove)
		leaving := make(map[string]bool, len(removed))
		for _, m := range removed {
			leaving[m.UserID] = true
		}
		for _, u := range added {
			if !leaving[u.ID] {
				change.Members = append(change.Members, directory.Member(u, e.ID, now))
			}
		}
		if err := s.mayGrow(g.members, added, removed); err != nil {
			return err
		}
		change.DropMembers = removed
		for _, m := range removed {
			change.Formers = append(change.Formers, store.Former{SessionID: e.ID, UserID: m.UserID, Time: now})
			if s.cfg.PurgeOnRemove {
				change.DropAuthors = append(change.DropAuthors, store.Author{SessionID: e.ID, UserID: m.UserID})
				b.writeFollowers(s.owed.FollowersBy(e.ID, m.UserID)) // of what came since the call began
			}
		}
		b.changes = append(b.changes, change)
		b.stale = append(b.stale, e.ID)
		return nil
	}})
	if err != nil {
		return GroupEdited{}, err
	}
	s.tellSkipped("group", e.ID, skipped)
	return GroupEdited{now, skipped}, nil
}

// eraseLeaving removes what leaving members wrote, unless the edit will be refused: nothing can bring it back.
func (s *Service) eraseLeaving(ctx context.Context, e GroupEdit, verdicts map[string]directory.Verdict) error {
	if len(e.Add) > 0 {
		rows, err := s.store.Members(ctx, []string{e.ID})
		if err != nil {
			return protocol.ErrUnavailable
		}
		g := newGroup(store.Group{}, rows[e.ID], s.cfg.Server)
		added, _, err := s.users.Admit(ctx, e.Add, verdicts)
		if err != nil {
			return protocol.ErrUnavailable
		}
		if err := s.mayGrow(g.members, added, g.find(e.Remove)); err != nil {
			return err
		}
	}
	return s.eraseAuthors(ctx, e.ID, e.Remove)
}

// find returns the rows of those members that ids name, in any spelling.
func (g *group) find(ids []string) []store.Member {
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
	for _, m := range g.rows {
		if local := protocol.NewPerson(m.UserID, "").Local; named[m.UserID] || local != "" && named[local] {
			rows = append(rows, m) // a legacy table may hold him in two spellings
		}
	}
	return rows
}

// mustFind reads a group past the cache's age: a call changes what it looks at.
func (b *batch) mustFind(ctx context.Context, id string) (*group, error) {
	if id == "" {
		return nil, protocol.Refuse(protocol.GroupIDEmpty, "session_id is empty")
	}
	b.c.groups.drop(id)
	found, err := b.c.groups.get(ctx, b.s.store, []string{id})
	if err != nil {
		return nil, err
	}
	if found[id] == nil {
		return nil, protocol.Refuse(protocol.NoSuchGroup, "there is no such session")
	}
	return found[id], nil
}

// editGroup changes a group that may be gone already: clients repeat such calls, and then nothing happens.
func (s *Service) editGroup(ctx context.Context, id string, plan func(b *batch, g *group) store.Change) error {
	return s.do(ctx, &task{alone: true, about: id, plan: func(ctx context.Context, b *batch) error {
		g, err := b.mustFind(ctx, id)
		if err != nil {
			if refusal := protocol.AsError(err); refusal.Code == protocol.NoSuchGroup {
				return nil
			}
			return err
		}
		b.changes = append(b.changes, plan(b, g))
		b.stale = append(b.stale, id)
		return nil
	}})
}

// SetGroupPicture sets a group's picture; a group that is gone is no error.
func (s *Service) SetGroupPicture(ctx context.Context, id, pic string) error {
	if utf8.RuneCountInString(pic) > protocol.MaxName {
		return protocol.Refuse(protocol.TooLarge, "session_pic is longer than %d characters", protocol.MaxName)
	}
	return s.editGroup(ctx, id, func(*batch, *group) store.Change {
		return store.Change{EditGroups: []store.GroupEdit{{ID: id, Pic: &pic}}}
	})
}

// DeleteGroup removes a group and its members, tells nobody, and returns the time; messages and queues stay. A group that
// is gone is no error.
func (s *Service) DeleteGroup(ctx context.Context, id string) (string, error) {
	now := protocol.FormatTime(s.now().UnixMilli())
	err := s.editGroup(ctx, id, func(b *batch, g *group) store.Change {
		now = protocol.FormatTime(b.c.clock.next(b.now, id))
		return store.Change{DropGroups: []string{id}, Formers: g.formers(now)}
	})
	return now, err
}

// formers are the rows that let the members of a removed group send their late notices.
func (g *group) formers(now string) []store.Former {
	list := []store.Former{{SessionID: g.ID, UserID: g.owner.ID, Time: now}}
	for _, m := range g.members {
		if m.ID != g.owner.ID {
			list = append(list, store.Former{SessionID: g.ID, UserID: m.ID, Time: now})
		}
	}
	return list
}
