package component

import (
	"slices"

	"tlim/component/protocol"
	"tlim/store"
)

// addressGroup finds the group of a message.
func (d *decision) addressGroup() error {
	ids := d.arrival.groupIDs()
	if len(ids) == 0 {
		return protocol.Refuse(protocol.GroupIDEmpty, "session_id is empty")
	}
	if _, err := d.env.GroupID(); err != nil {
		return err
	}
	for _, id := range ids {
		if g := d.b.groups[id]; g != nil {
			d.group, d.groupID = g, id
			break
		}
	}
	if d.group == nil {
		d.groupID = ids[0]
	}
	d.conversation, d.formers = d.groupID, d.b.formers[d.groupID]
	for _, id := range d.arrival.alsoNamed() {
		if id != d.groupID && d.b.groups[id] != nil {
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
	case v.group.Has(v.sender.Local), v.sender.Local == protocol.AdminID:
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
	for id := range v.formers { // legacy rows hold them in another spelling
		if protocol.UserKey(id) == v.sender.Local {
			return true
		}
	}
	return false
}

// actGroup forwards a message to all members.
func actGroup(_ message, v *view) (effects, error) {
	if _, err := v.mayPost(); err != nil || v.group == nil {
		return effects{}, err
	}
	return v.toMembers(), nil
}

// toMembers addresses the message to every member and moves the group's list entry.
func (v *view) toMembers() effects { return effects{to: v.group.Members, moves: v.kind.Stored} }

// moveGroup moves the group's list entry: at most once per batch and once a second.
func (d *decision) moveGroup() {
	b, now := d.b, d.b.now.UnixMilli()
	key := store.ChatKey{Owner: d.groupID}
	if _, done := b.moved[key]; done {
		return
	}
	if last, known := b.c.chats.Moved(key); known && now-last < minListInterval && d.group.Valid == 0 {
		return
	}
	d.change.TouchGroup = d.groupID
	b.moved[key] = now
	if d.group.Valid != 0 { // a new message opens a closed list entry
		b.staleGroups = append(b.staleGroups, d.groupID)
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
		if p := protocol.NewPerson(former, v.cfg.Server); names[p.Local] && !v.group.Member(p.Local) {
			e.to = append(e.to, p)
		}
	}
	return e, nil
}
