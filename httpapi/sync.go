package httpapi

import (
	"context"

	"tlim/component/protocol"
	"tlim/store"
)

// syncWindow is how many messages, of whomever, one read of syncMessage looks at.
const syncWindow = 20_000

// syncWeight is what one of them weighs: it looks at twenty pages' worth of the index.
const syncWeight = 5

// syncMessage streams the messages to a user since one that the client names, that one included; none when it is unknown.
func (a *API) syncMessage(ctx context.Context, r *request) (any, error) {
	user, id := r.user("msg_to"), r.id("msg_id", protocol.IDConflict)
	if r.err != nil {
		return nil, r.err
	}
	since, _, err := a.reads.MessageTime(ctx, id)
	if err != nil {
		return nil, err
	}
	type row struct {
		Body  string `json:"body,omitempty"`
		From  string `json:"msg_from,omitempty"`
		MsgID string `json:"msg_id,omitempty"`
		Time  string `json:"msg_time,omitempty"`
		To    string `json:"msg_to,omitempty"`
		Type  string `json:"msg_type,omitempty"`
	}
	s := &stream{list: "messageList", rest: func() object { return object{} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		maxRows := historyPage
		for time, after := since, ""; time != ""; {
			ctx, cancel := s.page(ctx, syncWeight)
			messages, end, err := a.reads.MessagesTo(ctx, user, time, after, syncWindow, maxRows)
			cancel()
			if err != nil {
				return err
			}
			for _, m := range messages {
				// An account may be called like a group; a group's messages are not its owner's.
				if r.caller.user != "" && store.FamilyOf(m.Type) == store.FamilyGroup && protocol.SameUser(m.SessionID, user) {
					continue
				}
				if err := emit(row{m.Body, m.From, m.MsgID, m.Time, m.To, m.Type}); err != nil {
					return err
				}
			}
			time, after = end.Time, end.ID
			if n := len(messages); n > 0 {
				maxRows = min(historyPage, 2*n) // what is behind the end of a page of large bodies was read for nothing
			}
		}
		return nil
	}
	return s, nil
}
