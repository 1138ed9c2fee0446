package component

import (
	"slices"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// actReadChat takes MTT-100: the reader's receipts are written, and the authors get the notice.
func actReadChat(t *turn) error {
	authors, err := t.read(func(m store.Message) bool {
		return m.To == t.sender.ID
	})
	if err != nil || t.nowhere {
		return err
	}
	t.async = t.sender.Local != t.peer.Local
	if len(authors) == 0 {
		authors = []protocol.Person{t.peer}
	}
	t.to = authors
	return nil
}

// actReadGroup takes MTS-100. It goes to the authors and to the reader's other devices; in the old server it went to all
// members, n receipts times n members.
func actReadGroup(t *turn) error {
	if _, err := t.mayPost(); err != nil {
		return err
	}
	authors, err := t.read(func(m store.Message) bool {
		return m.SessionID == t.groupID
	})
	if err != nil || t.nowhere {
		return err
	}
	t.others = true
	known := len(authors) > 0
	authors = slices.DeleteFunc(authors, func(p protocol.Person) bool { // who has left learns nothing of those who are there
		return !t.group.has(p.Local)
	})
	switch {
	case t.b.s.cfg.GroupReceipts == GroupReceiptsToAll:
		t.others = false
		t.toMembers()
	case known:
		t.to = authors
	default:
		if local, err := stanza.Localpart(t.env.To); err == nil && t.env.To != t.groupID && t.group.member(local) && local != t.sender.Local {
			t.to = []protocol.Person{t.b.s.users.Person(local, t.b.users)}
		} else {
			t.others = false
			t.toMembers()
		}
	}
	return nil
}

// read writes the receipts that a message names, and returns the authors of those messages that are known. received says
// whether a message was the reader's to read.
func (t *turn) read(received func(store.Message) bool) ([]protocol.Person, error) {
	if t.env.Opaque { // it counts nothing, but goes on
		return nil, nil
	}
	status := 1
	if presence.IsMobile(t.arrival.from.Resource) {
		status = 2
	}
	var authors []protocol.Person
	refused, own, taken := false, 0, 0
	for _, id := range t.arrival.targets {
		author := t.env.To // as the old server always took
		if rows := t.b.stored[id]; len(rows) > 0 {
			i := slices.IndexFunc(rows, received)
			switch {
			case i < 0:
				if slices.ContainsFunc(rows, func(m store.Message) bool { return m.From == t.sender.ID }) {
					own++
				} else {
					refused = true
				}
				continue
			case rows[i].From == t.sender.ID:
				own++
				continue
			}
			author = rows[i].From
			if p := protocol.NewPerson(author, t.b.s.cfg.Server); !slices.Contains(authors, p) && p.Local != protocol.AdminID {
				authors = append(authors, p)
			}
		} else if !t.b.s.keepsUnknown() {
			taken++
			continue
		} else if t.groupID == "" {
			author = t.peer.ID
		} else if local, err := stanza.Localpart(author); err == nil && author != t.groupID {
			author = t.b.s.users.Person(local, t.b.users).ID
		}
		taken++
		t.receipt(id, author, status)
	}
	if refused && taken == 0 {
		return nil, protocol.Refuse(protocol.NotAllowed, "the message was not sent to this reader")
	}
	t.nowhere = own > 0 && own == len(t.arrival.targets) // nobody is told that he has read what he wrote himself
	return authors, nil
}

// keepsUnknown says whether a receipt is written for a message that is not in ofmessage. Where all messages are ours that one
// was revoked, cleaned up, or never there: nobody can ask for its receipts, and no clean-up would find them. Of the old
// system's messages nobody knows what there was; and a packet copy comes up to 5 s late, when it may have been read.
func (s *Service) keepsUnknown() bool { return s.adopted || s.cfg.Copies }

// receipt writes one ofstatus row, or raises it from web to mobile; it never goes back.
func (t *turn) receipt(msgID, author string, status int) {
	key := store.ReceiptKey{MsgID: msgID, Reader: t.sender.ID}
	rows := t.b.receipts[key]
	r := store.Receipt{MsgID: msgID, Sender: author, Reader: t.sender.ID, Status: status}
	if len(rows) == 0 {
		r.ID = protocol.NewID()
	} else if !slices.ContainsFunc(rows, func(old store.Receipt) bool { return old.Status < status }) {
		return
	}
	t.change.Receipts = append(t.change.Receipts, r)
	t.b.receipts[key] = []store.Receipt{{MsgID: msgID, Sender: author, Reader: t.sender.ID, Status: status}}
}

// actConfirm passes an MTC-000 on to the author: it has settled what it confirms when it came in.
func actConfirm(t *turn) error {
	t.toOnly = []protocol.Person{t.peer}
	return nil
}
