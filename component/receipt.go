package component

import (
	"slices"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// actReadChat takes MTT-100: the reader's receipts are written, and the authors get the notice.
func actReadChat(m message, v *view) (effects, error) {
	e, authors, err := read(m, v, func(m store.Message) bool {
		return m.To == v.sender.ID
	})
	if err != nil || e.nowhere {
		return e, err
	}
	e.async = v.sender.Local != v.peer.Local
	if e.to = authors; len(authors) == 0 {
		e.to = []protocol.Person{v.peer}
	}
	return e, nil
}

// actReadGroup takes MTS-100. It goes to the authors and to the reader's other devices; in the old server it went to all
// members, n receipts times n members.
func actReadGroup(m message, v *view) (effects, error) {
	if _, err := v.mayPost(); err != nil {
		return effects{}, err
	}
	e, authors, err := read(m, v, func(m store.Message) bool {
		return m.SessionID == v.groupID
	})
	if err != nil || e.nowhere {
		return e, err
	}
	known := len(authors) > 0
	authors = slices.DeleteFunc(authors, func(p protocol.Person) bool { // who has left learns nothing of those who are there
		return !v.group.Has(p.Local)
	})
	local, err := stanza.Localpart(m.env.To)
	switch {
	case v.cfg.GroupReceipts == GroupReceiptsToAll:
		e.to = v.group.Members
	case known:
		e.to, e.others = authors, true
	case err == nil && m.env.To != v.groupID && v.group.Member(local) && local != v.sender.Local:
		e.to, e.others = []protocol.Person{v.person(local)}, true
	default:
		e.to = v.group.Members
	}
	return e, nil
}

// read finds the receipts that a message writes, and the authors of those messages that are known. received says whether a
// message was the reader's to read.
func read(m message, v *view, received func(store.Message) bool) (e effects, authors []protocol.Person, err error) {
	if m.env.Opaque { // it counts nothing, but goes on
		return e, nil, nil
	}
	status := 1
	if presence.IsMobile(m.from.Resource) {
		status = 2
	}
	refused, own, taken := false, 0, 0
	for _, id := range m.targets {
		author := m.env.To // as the old server always took
		if rows := v.messages[id]; len(rows) > 0 {
			i := slices.IndexFunc(rows, received)
			switch {
			case i < 0:
				if slices.ContainsFunc(rows, func(m store.Message) bool { return m.From == v.sender.ID }) {
					own++
				} else {
					refused = true
				}
				continue
			case rows[i].From == v.sender.ID:
				own++
				continue
			}
			author = rows[i].From
			if p := protocol.NewPerson(author, v.cfg.Server); !slices.Contains(authors, p) && p.Local != protocol.AdminID {
				authors = append(authors, p)
			}
		} else if !v.keepsUnknown {
			taken++
			continue
		} else if v.groupID == "" {
			author = v.peer.ID
		} else if local, err := stanza.Localpart(author); err == nil && author != v.groupID {
			author = v.person(local).ID
		}
		taken++
		if r, changes := v.receipt(id, author, status); changes {
			e.receipts = append(e.receipts, r)
		}
	}
	if refused && taken == 0 {
		return effects{}, nil, protocol.Refuse(protocol.NotAllowed, "the message was not sent to this reader")
	}
	e.nowhere = own > 0 && own == len(m.targets) // nobody is told that they have read what they wrote themselves
	return e, authors, nil
}

// keepsUnknown says whether a receipt is written for a message that is not in ofmessage. Where all messages are ours that one
// was revoked, cleaned up, or never there: nobody can ask for its receipts, and no clean-up would find them. Of the old
// system's messages nobody knows what there was; and a packet copy comes up to 5 s late, when it may have been read.
func (c *conveyor) keepsUnknown() bool { return c.legacy || c.s.cfg.Copies }

// receipt is one ofstatus row, new or raised from web to mobile; it never goes back. changes is false when it is there.
func (v *view) receipt(msgID, author string, status int) (r store.Receipt, changes bool) {
	rows := v.receipts[store.ReceiptKey{MsgID: msgID, Reader: v.sender.ID}]
	r = store.Receipt{MsgID: msgID, Sender: author, Reader: v.sender.ID, Status: status}
	if len(rows) == 0 {
		r.ID = protocol.NewID()
		return r, true
	}
	return r, slices.ContainsFunc(rows, func(old store.Receipt) bool { return old.Status < status })
}

// actConfirm passes an MTC-000 on to the author: it has settled what it confirms when it came in.
func actConfirm(_ message, v *view) (effects, error) {
	return effects{toOnly: []protocol.Person{v.peer}}, nil
}
