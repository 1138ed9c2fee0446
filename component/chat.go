package component

import (
	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/store"
)

// actChat forwards a 1:1 message and moves both list entries.
func actChat(_ message, v *view) (effects, error) {
	return effects{to: []protocol.Person{v.peer}, async: v.sender.Local != v.peer.Local, moves: true}, nil
}

// minListInterval is the shortest time between two writes of a list entry, in milliseconds.
const minListInterval = 1000

// moveChats keeps the pair of ofchat rows of a 1:1 conversation: at most once per batch and once a second.
func (d *decision) moveChats() {
	if d.sender.ID == d.peer.ID {
		return
	}
	now := d.b.now.UnixMilli()
	d.moveChat(d.sender, d.peer, now)
	d.moveChat(d.peer, d.sender, now)
}

func (d *decision) moveChat(partner, owner protocol.Person, now int64) {
	b := d.b
	key := store.ChatKey{Partner: partner.ID, Owner: owner.ID}
	if _, done := b.moved[key]; done {
		return
	}
	last, known := d.b.c.chats.Moved(key)
	if known && now-last < minListInterval {
		return
	}
	c := store.Chat{Partner: key.Partner, Owner: key.Owner, ModifyTime: protocol.FormatTime(now)}
	if !known && !b.chats[key] {
		u := b.users[partner.Local]
		u.ID = partner.ID
		c.ID, c.CreateTime = protocol.NewID(), protocol.FormatTime(now)
		c.Name, c.Pic = directory.ChatEntry(u)
	}
	d.change.Chats = append(d.change.Chats, c)
	b.moved[key] = now
}

// actClientNotice takes MTB-* from a client: those that only the component may make are refused, others are passed on and
// leave no trace.
func actClientNotice(m message, v *view) (effects, error) {
	if reservedNotice(m.env.Type) && !v.cfg.Limits.ClientNotices {
		return effects{}, protocol.Refuse(protocol.NotAllowed, "%s is made by the component only", m.env.Type)
	}
	return effects{toOnly: []protocol.Person{v.peer}}, nil
}

// actCommand passes a command on.
func actCommand(_ message, v *view) (effects, error) {
	return effects{toOnly: []protocol.Person{v.peer}}, nil
}

// actForgedAcknowledgement: the acknowledgement is the component's word.
func actForgedAcknowledgement(message, *view) (effects, error) {
	return effects{}, protocol.Refuse(protocol.NotAllowed, "%s is made by the component only", acknowledgement)
}
