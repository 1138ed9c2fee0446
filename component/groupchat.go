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
	t.conversation, t.formers = t.groupID, t.b.formers[t.groupID]
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
func (v *view) mayPost() (former bool, err error) {
	late := v.kind.late
	switch {
	case v.group == nil && late && v.wasMember():
		return true, nil
	case v.group == nil:
		return false, protocol.Refuse(protocol.NoSuchGroup, "there is no such session")
	case v.group.has(v.sender.Local), v.sender.Local == protocol.AdminID:
		return false, nil
	case late && v.wasMember():
		return true, nil
	}
	return false, protocol.Refuse(protocol.NotAllowed, "only members may post")
}

// wasMember says whether the sender has left the group within a day.
func (v *view) wasMember() bool {
	if _, was := v.formers[v.sender.ID]; was {
		return true
	}
	for id := range v.formers { // legacy rows hold him in another spelling
		if protocol.UserKey(id) == v.sender.Local {
			return true
		}
	}
	return false
}

// actGroup forwards a message to all members.
func actGroup(_ message, v *view) (effects, error) {
	if _, err := v.mayPost(); err != nil || v.group == nil {
		return effects{nowhere: true}, err
	}
	return v.toMembers(), nil
}

// toMembers addresses the message to every member and moves the group's list entry.
func (v *view) toMembers() effects { return effects{to: v.group.members, moves: v.kind.Stored} }

// moveGroup moves the group's list entry: at most once per batch and once a second.
func (t *turn) moveGroup() {
	b, now := t.b, t.b.now.UnixMilli()
	key := store.ChatKey{Owner: t.groupID}
	if _, done := b.moved[key]; done {
		return
	}
	if last, known := b.c.chats.moved(key); known && now-last < listWrite && t.group.Valid == 0 {
		return
	}
	t.change.TouchGroup = t.groupID
	b.moved[key] = now
	if t.group.Valid != 0 { // a new message opens a closed list entry
		b.stale = append(b.stale, t.groupID)
	}
}

// actRemovedNotice forwards MTS-103, also to the users whom it names: they are members no more.
func actRemovedNotice(m message, v *view) (effects, error) {
	e, err := actGroup(m, v)
	if err != nil || v.group == nil || len(v.formers) == 0 {
		return e, err
	}
	e.to = slices.Clip(e.to) // it is the group's own list
	names := m.env.Named()
	for former := range v.formers {
		if p := protocol.NewPerson(former, v.cfg.Server); names[p.Local] && !v.group.member(p.Local) {
			e.to = append(e.to, p)
		}
	}
	return e, nil
}
