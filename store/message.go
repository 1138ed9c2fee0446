package store

import (
	"context"
	"strings"
)

const messageColumns = `id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id, flags`

const (
	messageByID  = `SELECT ` + messageColumns + ` FROM ofmessage WHERE msg_id == (?*)`
	messageTime  = `SELECT msg_id, msg_time FROM ofmessage WHERE msg_id == ? ORDER BY msg_time`
	messageAbove = `SELECT ` + messageColumns + ` FROM ofmessage WHERE msg_time > ?`
	messageTimed = `SELECT ` + messageColumns + ` FROM ofmessage WHERE msg_time IS NOT NULL`
	messageUntil = ` AND msg_time <= ?`
	noticeNewest = `SELECT ` + messageColumns + ` FROM ofmessage WHERE msg_to == ?` + mtb + ` AND msg_type = '` + TypeSystemNotice + `' ORDER BY msg_time DESC, msg_id DESC`

	messageConversation = `SELECT id_, msg_id, msg_type, msg_from, msg_to, session_id FROM ofmessage WHERE msg_id == (?*)`
	messageDelete       = `DELETE FROM ofmessage WHERE id_ == (?*)`
)

// oldestFirst is the order of all messages, whatever their conversation.
var oldestFirst = keys{"msg_time", "id_"}

func scanMessage(m *Message) []any {
	return []any{(*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.To), (*text)(&m.Time),
		(*text)(&m.Body), (*text)(&m.SessionID), (*text)(&m.Flags)}
}

// MessagesByID reads the messages with these ids; legacy tables can hold several of one id.
func (s *Store) MessagesByID(ctx context.Context, msgIDs []string) (map[string][]Message, error) {
	found := make(map[string][]Message, len(msgIDs))
	err := s.in(ctx, messageByID, nil, msgIDs, nil, func(scan scanner) error {
		var m Message
		if err := scan(scanMessage(&m)...); err != nil {
			return err
		}
		found[m.MsgID] = append(found[m.MsgID], m)
		return nil
	})
	return found, err
}

// MessageTime reads the msg_time of the message with this id, of the oldest if a legacy table holds several.
func (s *Store) MessageTime(ctx context.Context, msgID string) (string, bool, error) {
	var when string
	found := false
	err := s.all(ctx, messageTime, []any{msgID}, func(scan scanner) error {
		var id, t string
		if err := scan((*text)(&id), (*text)(&t)); err != nil {
			return err
		}
		// The collation of a legacy table takes 'A' for 'a'; ids are compared exactly.
		if id == msgID && !found {
			when, found = t, true
		}
		return nil
	})
	return when, found, err
}

// MessagesAfter reads at most limit messages behind the position (msg_time, id_), in its order, for the replay; without an id those
// above the time. The position is that of a row, whose time can be any text in a legacy row. Messages above the clock of
// tlim_state are left out, because no process of ours wrote them: legacy rows of a clock that ran ahead, or with a date for a time.
// Before the first write, when the clock is 0, none is left out.
func (s *Store) MessagesAfter(ctx context.Context, time, id string, limit int) ([]Message, error) {
	st, err := s.State(ctx)
	if err != nil {
		return nil, err
	}
	query, args, after := messageAbove, []any{s.dialect.atLeast(time)}, []string{}
	if id != "" {
		query, args, after = messageTimed, nil, []string{time, id}
	}
	if st.Clock != 0 {
		query, args = query+messageUntil, append(args, millis(st.Clock))
	}
	query, args = oldestFirst.from(s.dialect, query, args, after...)
	return s.messages(ctx, query, args, Page{Length: limit})
}

// NewestNotice reads the user's newest system notice, MTB-100.
func (s *Store) NewestNotice(ctx context.Context, user string) (Message, bool, error) {
	found, err := s.messages(ctx, noticeNewest, []any{user}, Page{Length: 1})
	if err != nil || len(found) == 0 {
		return Message{}, false, err
	}
	return found[0], true, nil
}

func (s *Store) messages(ctx context.Context, query string, args []any, p Page) ([]Message, error) {
	found := []Message{}
	err := s.page(ctx, query, args, p.length(), int64(p.Start), func(scan scanner) error {
		found = append(found, Message{})
		return scan(scanMessage(&found[len(found)-1])...)
	})
	return found, err
}

// pageOf is messages for a page that a caller walks on from, and that may end by size, see [More].
func (s *Store) pageOf(ctx context.Context, query string, args []any, p Page) ([]Message, error) {
	found := []Message{}
	err := s.page(ctx, query, args, p.length(), int64(p.Start), paged(func(scan scanner) (int, error) {
		found = append(found, Message{})
		m := &found[len(found)-1]
		return scanSized(scan, scanMessage(m), m)
	}))
	return found, err
}

func scanSized(scan scanner, into []any, m *Message) (int, error) {
	err := scan(into...)
	return m.size(), err
}

// size is what counts of a message in memory.
func (m Message) size() int { return len(m.Body) }

func (t *tx) addMessages(ctx context.Context, messages []*Message) error {
	r := t.s.rowsOf(tMessage, len(messages))
	for _, m := range messages {
		r.add(m.ID, m.MsgID, m.Type, m.From, m.To, m.Time, m.Body, m.SessionID, m.Flags)
	}
	return t.insert(ctx, r)
}

// holds says whether a row between these parties belongs to the conversation that d names. People are compared as JIDs
// are, without regard to case, because old rows hold them so; everything else exactly.
func (d Drop) holds(msgType, session string, parties ...string) bool {
	family := FamilyOf(msgType)
	if d.SessionID != "" {
		return session == d.SessionID && family != FamilyChat && family != FamilyBusiness
	}
	if family == FamilyGroup {
		return false
	}
	for _, p := range parties {
		if p != "" && !strings.EqualFold(p, d.From) && !strings.EqualFold(p, d.To) {
			return false
		}
	}
	return true
}

// dropMessages removes messages with all that hangs on them.
func (t *tx) dropMessages(ctx context.Context, drops []Drop) error {
	return t.dropConversation(ctx, drops, true)
}

// dropConversation removes messages with their receipts, and with what waits for phones where queues is set. Rows are
// selected, compared exactly here, and removed by their key: the collation of legacy tables takes 'A' for 'a', and
// nothing may go that was not named.
func (t *tx) dropConversation(ctx context.Context, drops []Drop, queues bool) error {
	if len(drops) == 0 {
		return nil
	}
	wanted := map[string][]Drop{}
	ids := make([]string, 0, len(drops))
	for _, d := range drops {
		if len(wanted[d.MsgID]) == 0 {
			ids = append(ids, d.MsgID)
		}
		wanted[d.MsgID] = append(wanted[d.MsgID], d)
	}
	matches := func(msgID, msgType, session string, parties ...string) bool {
		for _, d := range wanted[msgID] {
			if d.holds(msgType, session, parties...) {
				return true
			}
		}
		return false
	}

	// 1. The messages. Who wrote those that go, and those of the same id that stay (another conversation's)?
	var rows []string
	gone, kept := map[[2]string]bool{}, map[string]map[string]bool{}
	err := t.readIn(ctx, messageConversation, ids, func(scan scanner) error {
		var m Message
		if err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.To), (*text)(&m.SessionID)); err != nil {
			return err
		}
		parties := []string{m.From, m.To}
		if FamilyOf(m.Type) == FamilyGroup {
			parties = nil
		} else if m.From == "" || m.To == "" {
			parties = append(parties, "\x00") // half a conversation is nobody's to name
		}
		if matches(m.MsgID, m.Type, m.SessionID, parties...) {
			rows = append(rows, m.ID)
			gone[[2]string{m.MsgID, m.From}] = true
		} else if len(wanted[m.MsgID]) > 0 {
			if kept[m.MsgID] == nil {
				kept[m.MsgID] = map[string]bool{}
			}
			kept[m.MsgID][m.From] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.deleteMessages(ctx, rows); err != nil {
		return err
	}

	// 2. What waits for phones.
	if queues {
		if rows, err = t.offlineOf(ctx, ids, matches); err != nil {
			return err
		}
		if err := t.doIn(ctx, offlineDelete, rows); err != nil {
			return err
		}
	}

	// 3. Receipts know no conversation: where a message of the same id stays, only those of the removed author go.
	rows = nil
	err = t.readIn(ctx, receiptOwner, ids, func(scan scanner) error {
		var r Receipt
		if err := scan((*text)(&r.ID), (*text)(&r.MsgID), (*text)(&r.Sender)); err != nil {
			return err
		}
		if len(wanted[r.MsgID]) == 0 {
			return nil
		}
		stay := kept[r.MsgID]
		if len(stay) == 0 || gone[[2]string{r.MsgID, r.Sender}] && !stay[r.Sender] {
			rows = append(rows, r.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.doIn(ctx, receiptDelete, rows)
}

// deleteMessages removes rows by their key.
func (t *tx) deleteMessages(ctx context.Context, keys []string) error {
	if len(keys) > 0 {
		t.s.totals.delete()
	}
	return t.doIn(ctx, messageDelete, keys)
}
