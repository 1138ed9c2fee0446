package httpapi

import (
	"context"
	"slices"

	"tlim/component/protocol"
	"tlim/store"
)

func (a *API) findSessionRead(ctx context.Context, r *request) (any, error) {
	id, sender, page := r.id("session_id", protocol.GroupIDEmpty), r.user("sender"), r.page()
	if r.err != nil {
		return nil, r.err
	}
	if err := a.readable(ctx, id); err != nil {
		return nil, err
	}
	return a.readCounts(page, sender, func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
		return a.reads.GroupHeads(ctx, id, p)
	}), nil
}

func (a *API) findChatRead(ctx context.Context, r *request) (any, error) {
	from, to, page := r.user("msg_from"), r.user("msg_to"), r.page()
	if r.err != nil {
		return nil, r.err
	}
	return a.readCounts(page, from, func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
		return a.reads.ChatHeads(ctx, from, to, p)
	}), nil
}

// readCounts streams how many have read each of sender's messages on a page of a conversation, of which heads reads times and
// ids; only messages with a reader appear.
func (a *API) readCounts(page store.Page, sender string, heads fetch) *stream {
	type row struct {
		MsgID   string `json:"msg_id"`
		Readers int    `json:"readNum"`
	}
	s := &stream{list: "messageReadList", rest: func() object { return object{} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		var ids []string // each once, in their order
		flush := func() error {
			ctx, cancel := s.page(ctx, readWeight)
			readers, err := a.reads.ReadCounts(ctx, sender, ids)
			cancel()
			if err != nil {
				return err
			}
			for _, id := range ids {
				if n := readers[id]; n > 0 {
					if err := emit(row{id, n}); err != nil {
						return err
					}
				}
			}
			ids = ids[:0]
			return nil
		}
		seen := map[string]bool{"": true}
		timed := func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
			ctx, cancel := s.page(ctx, readWeight)
			defer cancel()
			p.NoTotal = p.NoTotal || page.Length <= historyPage // one piece
			return heads(ctx, p)
		}
		_, err := walk(ctx, page, timed, func(m store.Message) error {
			if seen[m.MsgID] {
				return nil
			}
			seen[m.MsgID] = true
			if ids = append(ids, m.MsgID); len(ids) < historyPage {
				return nil
			}
			clear(seen) // legacy duplicates lie side by side
			seen[""] = true
			return flush()
		})
		if err == nil && len(ids) > 0 {
			err = flush()
		}
		return err
	}
	return s
}

// findStatusList says who has read a message of sender's; with unread=1 who has not, as rows of status 0.
func (a *API) findStatusList(ctx context.Context, r *request) (any, error) {
	msgID, sender, missing := r.id("msg_id", protocol.IDConflict), r.user("sender"), r.bit("unread") == 1
	if r.err != nil {
		return nil, r.err
	}
	var receipts []store.Receipt
	var err error
	if missing {
		receipts, err = a.unreadBy(ctx, msgID, sender)
	} else {
		receipts, err = a.reads.ReceiptsOf(ctx, msgID, sender)
	}
	if err != nil {
		return nil, err
	}
	type row struct {
		ID     string `json:"id_,omitempty"`
		MsgID  string `json:"msg_id,omitempty"`
		Reader string `json:"reader,omitempty"`
		Sender string `json:"sender,omitempty"`
		Status int    `json:"status"`
	}
	rows := make([]row, 0, len(receipts))
	for _, c := range receipts {
		rows = append(rows, row{c.ID, c.MsgID, c.Reader, c.Sender, c.Status})
	}
	return object{"ofStatusList": rows}, nil
}

// unreadBy lists those who were to read a message and have not: its receiver, or the members that its group has now, but for
// the author. Of a message that is not there nobody can say it.
func (a *API) unreadBy(ctx context.Context, msgID, sender string) ([]store.Receipt, error) {
	found, err := a.reads.MessagesByID(ctx, []string{msgID})
	if err != nil {
		return nil, err
	}
	of := slices.IndexFunc(found[msgID], func(m store.Message) bool { return protocol.SameUser(m.From, sender) })
	if of < 0 {
		return nil, refusal(resultFail, textNoSuchMessage, msgID)
	}
	m := found[msgID][of]
	receivers := []string{m.To}
	if store.FamilyOf(m.Type) == store.FamilyGroup {
		members, err := a.reads.Members(ctx, []string{m.SessionID})
		if err != nil {
			return nil, err
		}
		receivers = nil
		for _, member := range members[m.SessionID] {
			receivers = append(receivers, member.UserID)
		}
	}
	// Whoever the receipts name as author: old ones of groups name the group there.
	readers, err := a.reads.ReadersOf(ctx, msgID)
	if err != nil {
		return nil, err
	}
	has := map[string]bool{protocol.UserKey(m.From): true, "": true}
	for _, reader := range readers {
		has[protocol.UserKey(reader)] = true
	}
	var missing []store.Receipt
	for _, user := range receivers {
		if key := protocol.UserKey(user); !has[key] {
			has[key] = true
			missing = append(missing, store.Receipt{MsgID: msgID, Sender: m.From, Reader: user})
		}
	}
	return missing, nil
}
