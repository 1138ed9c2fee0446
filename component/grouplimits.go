package component

import (
	"cmp"
	"context"
	"fmt"

	"tlim/component/protocol"
	"tlim/store"
)

// Each message of a group costs as much as it has members, and each group costs rows. limits.group_members bounds the growth
// of a group: one that is larger already works on, and only grows no more. limits.groups_per_user bounds how many groups a user
// owns who makes them without a key; a system of the suite, which has a key and makes groups for others, is not bounded.

// mayOwn says, as an error, whether a caller without a key may make one more group for this owner. Of calls at the same moment
// each counts what is there before it.
func (s *Service) mayOwn(ctx context.Context, asker, owner string) error {
	most := s.cfg.Limits.GroupsPerUser
	if asker == "" || most == 0 {
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
	case n >= most:
		return &protocol.Error{Code: protocol.TooLarge, Text: fmt.Sprintf("the user has %d sessions, at most %d are allowed (limits.groups_per_user); dissolve one first", n, most),
			Chinese: fmt.Sprintf("该用户已创建 %d 个会话，最多允许 %d 个（limits.groups_per_user），请先解散不用的会话", n, most)}
	}
	return nil
}

// mayHold says, as an error, whether a new group may have so many members.
func (s *Service) mayHold(members int) error {
	if most := s.cfg.Limits.GroupMembers; most > 0 && members > most {
		return tooManyMembers(members, most, nil)
	}
	return nil
}

// mayGrow says, as an error that names all who were to be added, whether these users may join a group that these members leave.
func (s *Service) mayGrow(members []protocol.Person, joining []store.User, leaving []store.Member) error {
	most := s.cfg.Limits.GroupMembers
	if most == 0 || len(joining) == 0 {
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
	if after := len(stay); after > most && after > before {
		return tooManyMembers(after, most, refused)
	}
	return nil
}

func tooManyMembers(n, most int, refused []protocol.Skipped) error {
	return &protocol.Error{Code: protocol.TooLarge, Skipped: refused,
		Text:    fmt.Sprintf("the session would have %d members, at most %d are allowed (limits.group_members); nothing was changed", n, most),
		Chinese: fmt.Sprintf("会话将有 %d 名成员，最多允许 %d 名（limits.group_members），未做任何修改", n, most)}
}
