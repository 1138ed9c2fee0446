package component

import (
	"slices"

	"tlim/component/protocol"
	"tlim/store"
)

// addressGroup finds the group of a message.
func (t *turn) addressGroup() error {
	ids := t.arrival.groupIDs()
	if len(ids) == 0 {
		return protocol.Refuse(protocol.GroupIDEmpty, "session_id is empty")
	}
	if _, err := t.env.GroupID(); err != nil {
		return err
	}
	for _, id := range ids {
		if g := t.b.groups[id]; g != nil {
			t.group, t.groupID = g, id
			break
		}
	}
	if t.group == nil {
		t.groupID = ids[0]
	}
	t.conversation = t.groupID
	for _, id := range t.arrival.alsoNamed() {
		if id != t.groupID && t.b.groups[id] != nil {
			return protocol.Refuse(protocol.NotArray, "the message names two sessions")
		}
	}
	return nil
}

// mayPost is the right to write into a group: members, its owner and admin may. Notices often arrive late, because clients
// call HTTP first: those who were removed within a day may still send the late kinds, and for a group that is gone these
// go to nobody. former is true when the right comes from the past.
func (t *turn) mayPost() (former bool, err error) {
	late := t.kind.late
	switch {
	case t.group == nil && late && t.wasMember():
		t.nowhere = true
		return true, nil
	case t.group == nil:
		return false, protocol.Refuse(protocol.NoSuchGroup, "there is no such session")
	case t.group.has(t.sender.Local), t.sender.Local == protocol.AdminID:
		return false, nil
	case late && t.wasMember():
		return true, nil
	}
	return false, protocol.Refuse(protocol.NotAllowed, "only members may post")
}

// wasMember says whether the sender has left the group within a day.
func (t *turn) wasMember() bool {
	formers := t.b.formers[t.groupID]
	if _, was := formers[t.sender.ID]; was {
		return true
	}
	for id := range formers { // legacy rows hold him in another spelling
		if protocol.UserKey(id) == t.sender.Local {
			return true
		}
	}
	return false
}

// actGroup forwards a message to all members.
func actGroup(t *turn) error {
	if _, err := t.mayPost(); err != nil {
		return err
	}
	t.toMembers()
	return nil
}

// toMembers addresses the message to every member and moves the group's list entry.
func (t *turn) toMembers() {
	if t.group == nil {
		return
	}
	t.to = t.group.members
	b, now := t.b, t.b.now.UnixMilli()
	if !t.kind.Stored {
		return
	}
	key := store.ChatKey{Owner: t.groupID}
	if _, done := b.moved[key]; done {
		return
	}
	if last, known := t.b.c.chats.moved(key); known && now-last < listWrite && t.group.Valid == 0 {
		return
	}
	t.change.TouchGroup = t.groupID
	b.moved[key] = now
	if t.group.Valid != 0 { // a new message opens a closed list entry
		b.stale = append(b.stale, t.groupID)
	}
}

// actRemovedNotice forwards MTS-103, also to the users whom it names: they are members no more.
func actRemovedNotice(t *turn) error {
	if err := actGroup(t); err != nil || t.group == nil {
		return err
	}
	t.to = slices.Clip(t.to) // it is the group's own list
	formers := t.b.formers[t.groupID]
	if len(formers) == 0 {
		return nil
	}
	names := t.env.Named()
	for former := range formers {
		if p := protocol.NewPerson(former, t.b.s.cfg.Server); names[p.Local] && !t.group.member(p.Local) {
			t.to = append(t.to, p)
		}
	}
	return nil
}
