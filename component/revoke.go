package component

import (
	"cmp"

	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// actRevokeChat takes MTT-101.
func actRevokeChat(m message, v *view) (effects, error) {
	tombstones, err := revoke(m, v, func(m store.Message) bool {
		return protocol.ChatName(m.From, m.To) == v.conversation && m.SessionID == m.From
	}, false)
	if err != nil {
		return effects{}, err
	}
	e, err := actChat(m, v)
	e.tombstones = tombstones
	return e, err
}

// actRevokeGroup takes MTS-101. The group's owner may revoke what others wrote; a former member what they wrote themselves.
func actRevokeGroup(m message, v *view) (effects, error) {
	former, err := v.mayPost()
	if err != nil || v.group == nil {
		return effects{}, err
	}
	owner := !former && v.group.OwnedBy.Local == v.sender.Local
	tombstones, err := revoke(m, v, func(m store.Message) bool { return m.SessionID == v.groupID }, owner)
	if err != nil {
		return effects{}, err
	}
	e := v.toMembers()
	e.tombstones = tombstones
	return e, nil
}

// revoke finds the messages that the body names, to be removed with their queue rows and receipts. An unknown id is remembered, for
// a message that comes after its revoke. here says whether a message belongs to the conversation; owner, whether the sender
// may revoke what others wrote. All or nothing: an error says that one of them may not be revoked.
func revoke(m message, v *view, here func(store.Message) bool, owner bool) (tombstones []store.ID, err error) {
	if m.env.Opaque {
		return nil, nil
	}
	for _, id := range m.targets {
		key := store.IDKey{MsgID: id, Class: store.ClassMessage}
		known, remembered := v.ids[key]
		author := known.From
		msgTime := known.Time
		stored, elsewhere := false, false
		for _, row := range v.messages[id] {
			if row.MsgID == m.env.MsgID && row.Type == m.env.Type { // this revoke itself, stored under the id that it names
				continue
			}
			if !here(row) {
				elsewhere = true
				continue
			}
			author, msgTime, stored = row.From, row.Time, true
		}
		switch {
		case !stored && elsewhere:
			return nil, protocol.Refuse(protocol.NotAllowed, "a message of another conversation cannot be revoked here")
		case !stored && remembered && known.Conversation != v.conversation && known.Digest != "":
			return nil, protocol.Refuse(protocol.NotAllowed, "a message of another conversation cannot be revoked here")
		case (stored || remembered && known.Digest != "") && author != v.sender.ID && !owner:
			return nil, protocol.Refuse(protocol.NotAllowed, "only the author may revoke a message")
		case stored && v.tooLate(msgTime):
			return nil, protocol.Refuse(protocol.NotAllowed, "the message is too old to be revoked")
		}
		if author == "" || !stored && known.Digest == "" {
			author = v.sender.ID
		}
		tombstones = append(tombstones, store.ID{MsgID: id, Class: store.ClassMessage, From: author, Conversation: v.conversation,
			Time: cmp.Or(msgTime, protocol.FormatTime(v.now.UnixMilli())), Digest: known.Digest, State: store.Revoked})
	}
	return tombstones, nil
}

// remove takes revoked messages out of the batch's view, the tables and the queues.
func (d *decision) remove(tombstones []store.ID) {
	b := d.b
	gone := make(map[string]bool, len(tombstones))
	for _, tombstone := range tombstones {
		id := tombstone.MsgID
		gone[id] = true
		b.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}] = tombstone
		delete(b.stored, id)
		drop := store.Drop{MsgID: id}
		if d.groupID != "" {
			drop.SessionID = d.groupID
		} else {
			drop.From, drop.To = d.sender.ID, d.peer.ID
		}
		d.change.DropMessages = append(d.change.DropMessages, drop)
	}
	b.gone = append(b.gone, unconfirmed.Removal{IDs: gone})
	d.change.SetIDs = append(d.change.SetIDs, tombstones...)
}

func (v *view) tooLate(msgTime string) bool {
	window := v.cfg.RevokeWindow
	at := protocol.TimeOrZero(msgTime)
	return window > 0 && at > 0 && v.now.UnixMilli()-at > window.Milliseconds()
}
