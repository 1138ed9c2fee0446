package httpapi

import (
	"context"
	"math"
	"slices"
	"strings"

	"tlim/component"
	"tlim/store"
)

func (a *API) findSessionRead(ctx context.Context, r *request) (any, error) {
	id, sender, page := r.id("session_id", component.GroupIDEmpty), r.user("sender"), r.page()
	if r.err != nil {
		return nil, r.err
	}
	if err := a.readable(ctx, id); err != nil {
		return nil, err
	}
	return readCounts(page, func(ctx context.Context, p store.Page) ([]store.ReadCount, error) {
		return a.reads.GroupReadCounts(ctx, id, sender, p)
	}, func(ctx context.Context) (int64, error) {
		_, total, err := a.reads.GroupHistory(ctx, id, store.Page{})
		return total, err
	}), nil
}

func (a *API) findChatRead(ctx context.Context, r *request) (any, error) {
	from, to, page := r.user("msg_from"), r.user("msg_to"), r.page()
	if r.err != nil {
		return nil, r.err
	}
	return readCounts(page, func(ctx context.Context, p store.Page) ([]store.ReadCount, error) {
		return a.reads.ChatReadCounts(ctx, from, to, p)
	}, func(ctx context.Context) (int64, error) {
		_, total, err := a.reads.ChatHistory(ctx, from, to, store.Page{})
		return total, err
	}), nil
}

// readCountPage is how many messages one read of reader counts covers.
const readCountPage = 5000

// readCounts streams the reader counts of a page of messages. Pieces without a reader are empty, so how far there is to go
// has to be known: total says at most how many messages there are.
func readCounts(page store.Page, read func(context.Context, store.Page) ([]store.ReadCount, error),
	total func(context.Context) (int64, error)) *stream {
	type row struct {
		MsgID   string `json:"msg_id"`
		Readers int    `json:"readNum"`
	}
	s := &stream{list: "messageReadList", rest: func() object { return object{} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		end := int64(page.Start) + min(int64(page.Length), math.MaxInt32)
		if page.Length > readCountPage {
			ctx, cancel := s.page(ctx)
			n, err := total(ctx)
			cancel()
			if err != nil {
				return err
			}
			end = min(end, n)
		}
		for p := page; int64(p.Start) < end; p.Start += readCountPage {
			p.Length = int(min(readCountPage, end-int64(p.Start)))
			ctx, cancel := s.page(ctx)
			counts, err := read(ctx, p)
			cancel()
			if err != nil {
				return err
			}
			for _, c := range counts {
				if err := emit(row{c.MsgID, c.Readers}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return s
}

// findStatusList says who has read a message of sender's; with unread=1 who has not, as rows of status 0.
func (a *API) findStatusList(ctx context.Context, r *request) (any, error) {
	msgID, sender, missing := r.id("msg_id", component.IDConflict), r.user("sender"), r.bit("unread") == 1
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
	of := slices.IndexFunc(found[msgID], func(m store.Message) bool { return strings.EqualFold(m.From, sender) })
	if of < 0 {
		return nil, refusal(resultFail, textNoSuchMessage, msgID)
	}
	m := found[msgID][of]
	receivers := []string{m.To}
	if store.FamilyOf(m.Type) == "MTS" {
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
	has := map[string]bool{strings.ToLower(m.From): true, "": true}
	for _, reader := range readers {
		has[strings.ToLower(reader)] = true
	}
	var missing []store.Receipt
	for _, user := range receivers {
		if key := strings.ToLower(user); !has[key] {
			has[key] = true
			missing = append(missing, store.Receipt{MsgID: msgID, Sender: m.From, Reader: user})
		}
	}
	return missing, nil
}
