package component

import (
	"slices"

	"tlim/component/stanza"
	"tlim/store"
)

// addressGroup finds the group of a message.
func (t *turn) addressGroup() error {
	ids := t.it.groupIDs()
	if len(ids) == 0 {
		return refuse(GroupIDEmpty, "session_id is empty")
	}
	if _, err := t.env.groupID(); err != nil {
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
	for _, id := range t.it.alsoNamed() {
		if id != t.groupID && t.b.groups[id] != nil {
			return refuse(NotArray, "the message names two sessions")
		}
	}
	return nil
}

// mayPost is the right to write into a group: members, its owner and admin may. Notices often arrive late, because clients
// call HTTP first: those who were removed within a day may still send the late kinds, and for a group that is gone these
// go to nobody. former is true when the right comes from the past.
func (t *turn) mayPost() (former bool, err error) {
	late := t.env.Kind.late
	switch {
	case t.group == nil && late && t.wasMember():
		t.nowhere = true
		return true, nil
	case t.group == nil:
		return false, refuse(NoSuchGroup, "there is no such session")
	case t.group.has(t.sender.Local), t.sender.Local == adminID:
		return false, nil
	case late && t.wasMember():
		return true, nil
	}
	return false, refuse(NotAllowed, "only members may post")
}

// wasMember says whether the sender has left the group within a day.
func (t *turn) wasMember() bool {
	formers := t.b.formers[t.groupID]
	if _, was := formers[t.sender.ID]; was {
		return true
	}
	for id := range formers { // adopted rows hold him in another spelling
		if UserKey(id) == t.sender.Local {
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
	if !t.env.Kind.Stored {
		return
	}
	key := store.ChatKey{Owner: t.groupID}
	if _, done := b.moved[key]; done {
		return
	}
	if last, known := b.s.chats.moved(key); known && now-last < listWrite && t.group.Valid == 0 {
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
	names := t.env.named()
	for former := range formers {
		if p := newPerson(former, t.b.s.cfg.Server); names[p.Local] && !t.group.member(p.Local) {
			t.to = append(t.to, p)
		}
	}
	return nil
}

// named are the local parts of the users whom a notice names. Only former members are looked for among them: a notice must
// not be a way to write to anybody.
func (e *Envelope) named() map[string]bool {
	names := map[string]bool{}
	for _, o := range e.Objects {
		for _, id := range o.UserIDs {
			if local, err := stanza.Localpart(id); err == nil {
				names[local] = true
			}
		}
	}
	return names
}
