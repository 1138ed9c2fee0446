package component

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"tlim/component/cache"
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
		b.staleGroups = append(b.staleGroups, g.ID)
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
		now = protocol.FormatTime(b.c.clock.Next(b.now, e.ID)) // after every message before, so that replay tells who was a member
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
		removed := g.Find(e.Remove)
		leaving := make(map[string]bool, len(removed))
		for _, m := range removed {
			leaving[m.UserID] = true
		}
		for _, u := range added {
			if !leaving[u.ID] {
				change.Members = append(change.Members, directory.Member(u, e.ID, now))
			}
		}
		if err := s.mayGrow(g.Members, added, removed); err != nil {
			return err
		}
		change.DropMembers = removed
		for _, m := range removed {
			change.Formers = append(change.Formers, store.Former{SessionID: e.ID, UserID: m.UserID, Time: now})
			if s.cfg.PurgeOnRemove {
				change.DropAuthors = append(change.DropAuthors, store.Author{SessionID: e.ID, UserID: m.UserID})
				b.writeFollowers(s.unconfirmed.FollowersBy(e.ID, m.UserID)) // of what came since the call began
			}
		}
		b.changes = append(b.changes, change)
		b.staleGroups = append(b.staleGroups, e.ID)
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
		g := cache.NewGroup(store.Group{}, rows[e.ID], s.cfg.Server)
		added, _, err := s.users.Admit(ctx, e.Add, verdicts)
		if err != nil {
			return protocol.ErrUnavailable
		}
		if err := s.mayGrow(g.Members, added, g.Find(e.Remove)); err != nil {
			return err
		}
	}
	return s.eraseAuthors(ctx, e.ID, e.Remove)
}

// mustFind reads a group past the cache's age: a call changes what it looks at.
func (b *batch) mustFind(ctx context.Context, id string) (*cache.Group, error) {
	if id == "" {
		return nil, protocol.Refuse(protocol.GroupIDEmpty, "session_id is empty")
	}
	b.c.groups.Drop(id)
	found, err := b.c.groups.Get(ctx, b.s.store, []string{id})
	if err != nil {
		return nil, err
	}
	if found[id] == nil {
		return nil, protocol.Refuse(protocol.NoSuchGroup, "there is no such session")
	}
	return found[id], nil
}

// editGroup changes a group that may be gone already: clients repeat such calls, and then nothing happens.
func (s *Service) editGroup(ctx context.Context, id string, plan func(b *batch, g *cache.Group) store.Change) error {
	return s.do(ctx, &task{alone: true, about: id, plan: func(ctx context.Context, b *batch) error {
		g, err := b.mustFind(ctx, id)
		if err != nil {
			if refusal := protocol.AsError(err); refusal.Code == protocol.NoSuchGroup {
				return nil
			}
			return err
		}
		b.changes = append(b.changes, plan(b, g))
		b.staleGroups = append(b.staleGroups, id)
		return nil
	}})
}

// SetGroupPicture sets a group's picture; a group that is gone is no error.
func (s *Service) SetGroupPicture(ctx context.Context, id, pic string) error {
	if utf8.RuneCountInString(pic) > protocol.MaxName {
		return protocol.Refuse(protocol.TooLarge, "session_pic is longer than %d characters", protocol.MaxName)
	}
	return s.editGroup(ctx, id, func(*batch, *cache.Group) store.Change {
		return store.Change{EditGroups: []store.GroupEdit{{ID: id, Pic: &pic}}}
	})
}

// DeleteGroup removes a group and its members, tells nobody, and returns the time; messages and queues stay. A group that
// is gone is no error.
func (s *Service) DeleteGroup(ctx context.Context, id string) (string, error) {
	now := protocol.FormatTime(s.now().UnixMilli())
	err := s.editGroup(ctx, id, func(b *batch, g *cache.Group) store.Change {
		now = protocol.FormatTime(b.c.clock.Next(b.now, id))
		return store.Change{DropGroups: []string{id}, Formers: g.Formers(now)}
	})
	return now, err
}

// Each message of a group costs as much as it has members, and each group costs rows. limits.group_members bounds the growth
// of a group: one that is larger already works on, and only grows no more. limits.groups_per_user bounds how many groups a user
// owns who makes them without a key; a system of the suite, which has a key and makes groups for others, is not bounded.

// mayOwn says, as an error, whether a caller without a key may make one more group for this owner. Of calls at the same moment
// each counts what is there before it.
func (s *Service) mayOwn(ctx context.Context, asker, owner string) error {
	maxGroups := s.cfg.Limits.GroupsPerUser
	if asker == "" || maxGroups == 0 {
		return nil
	}
	p, err := s.users.Canonical(ctx, owner)
	if err != nil {
		return err
	}
	n, err := s.store.CountGroupsOwned(ctx, p.ID)
	switch {
	case err != nil:
		return protocol.ErrUnavailable
	case n >= maxGroups:
		return &protocol.Error{Code: protocol.TooLarge, Text: fmt.Sprintf("the user has %d sessions, at most %d are allowed (limits.groups_per_user); dissolve one first", n, maxGroups),
			Chinese: fmt.Sprintf("该用户已创建 %d 个会话，最多允许 %d 个（limits.groups_per_user），请先解散不用的会话", n, maxGroups)}
	}
	return nil
}

// mayHold says, as an error, whether a new group may have so many members.
func (s *Service) mayHold(members int) error {
	if maxMembers := s.cfg.Limits.GroupMembers; maxMembers > 0 && members > maxMembers {
		return tooManyMembers(members, maxMembers, nil)
	}
	return nil
}

// mayGrow says, as an error that names all who were to be added, whether these users may join a group that these members leave.
func (s *Service) mayGrow(members []protocol.Person, joining []store.User, leaving []store.Member) error {
	maxMembers := s.cfg.Limits.GroupMembers
	if maxMembers == 0 || len(joining) == 0 {
		return nil
	}
	stay := make(map[string]bool, len(members)) // people, whatever the spelling of their ids
	for _, p := range members {
		stay[cmp.Or(p.Local, p.ID)] = true
	}
	before := len(stay)
	for _, m := range leaving {
		delete(stay, cmp.Or(protocol.NewPerson(m.UserID, "").Local, m.UserID))
	}
	var refused []protocol.Skipped
	for _, u := range joining {
		if !stay[u.JID] {
			stay[u.JID] = true
			refused = append(refused, protocol.Skipped{UserID: u.ID, Reason: protocol.SkipFull})
		}
	}
	if after := len(stay); after > maxMembers && after > before {
		return tooManyMembers(after, maxMembers, refused)
	}
	return nil
}

func tooManyMembers(n, maxMembers int, refused []protocol.Skipped) error {
	return &protocol.Error{Code: protocol.TooLarge, Skipped: refused,
		Text:    fmt.Sprintf("the session would have %d members, at most %d are allowed (limits.group_members); nothing was changed", n, maxMembers),
		Chinese: fmt.Sprintf("会话将有 %d 名成员，最多允许 %d 名（limits.group_members），未做任何修改", n, maxMembers)}
}
