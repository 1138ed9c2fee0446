package component

import (
	"cmp"

	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// actRevokeChat takes MTT-101.
func actRevokeChat(t *turn) error {
	if err := t.revoke(func(m store.Message) bool {
		return protocol.ChatName(m.From, m.To) == t.conversation && m.SessionID == m.From
	}, false); err != nil {
		return err
	}
	return actChat(t)
}

// actRevokeGroup takes MTS-101. The group's owner may revoke what others wrote; a former member what he wrote himself.
func actRevokeGroup(t *turn) error {
	former, err := t.mayPost()
	if err != nil {
		return err
	}
	if t.group == nil {
		return nil
	}
	owner := !former && t.group.owner.Local == t.sender.Local
	if err := t.revoke(func(m store.Message) bool { return m.SessionID == t.groupID }, owner); err != nil {
		return err
	}
	t.toMembers()
	return nil
}

// revoke removes the messages that the body names, with their queue rows and receipts. An unknown id is remembered, for a
// message that comes after its revoke. here says whether a message belongs to the conversation; owner, whether the sender
// may revoke what others wrote.
func (t *turn) revoke(here func(store.Message) bool, owner bool) error {
	if t.env.Opaque {
		return nil
	}
	b := t.b
	var tombstones []store.ID // all or nothing: judged first, noted after
	for _, id := range t.arrival.targets {
		key := store.IDKey{MsgID: id, Class: store.ClassMessage}
		known, remembered := b.ids[key]
		author := known.From
		msgTime := known.Time
		stored, elsewhere := false, false
		for _, m := range b.stored[id] {
			if t.arrival != nil && m.MsgID == t.env.MsgID && m.Type == t.env.Type { // this revoke itself, stored under the id that it names
				continue
			}
			if !here(m) {
				elsewhere = true
				continue
			}
			author, msgTime, stored = m.From, m.Time, true
		}
		switch {
		case !stored && elsewhere:
			return protocol.Refuse(protocol.NotAllowed, "a message of another conversation cannot be revoked here")
		case !stored && remembered && known.Conversation != t.conversation && known.Digest != "":
			return protocol.Refuse(protocol.NotAllowed, "a message of another conversation cannot be revoked here")
		case (stored || remembered && known.Digest != "") && author != t.sender.ID && !owner:
			return protocol.Refuse(protocol.NotAllowed, "only the author may revoke a message")
		case stored && t.tooLate(msgTime):
			return protocol.Refuse(protocol.NotAllowed, "the message is too old to be revoked")
		}
		if author == "" || !stored && known.Digest == "" {
			author = t.sender.ID
		}
		tombstones = append(tombstones, store.ID{MsgID: id, Class: store.ClassMessage, From: author, Conversation: t.conversation,
			Time: cmp.Or(msgTime, protocol.FormatTime(b.now.UnixMilli())), Digest: known.Digest, State: store.Revoked})
	}
	gone := make(map[string]bool, len(tombstones))
	for _, tombstone := range tombstones {
		id := tombstone.MsgID
		gone[id] = true
		b.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}] = tombstone
		delete(b.stored, id)
		drop := store.Drop{MsgID: id}
		if t.groupID != "" {
			drop.SessionID = t.groupID
		} else {
			drop.From, drop.To = t.sender.ID, t.peer.ID
		}
		t.change.DropMessages = append(t.change.DropMessages, drop)
	}
	if len(tombstones) > 0 {
		b.gone = append(b.gone, unconfirmed.Removal{IDs: gone})
	}
	t.change.SetIDs = append(t.change.SetIDs, tombstones...)
	return nil
}

func (t *turn) tooLate(msgTime string) bool {
	window := t.b.s.cfg.RevokeWindow
	at := protocol.ParseTime(msgTime)
	return window > 0 && at > 0 && t.b.now.UnixMilli()-at > window.Milliseconds()
}
