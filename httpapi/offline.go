package httpapi

import (
	"context"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// clearTime bounds the clearing of a queue that was read; its rows stay when that is not enough.
const clearTime = 30 * time.Second

// getOffline answers a user's queue and, unless it is to be kept, clears exactly what it answered, after that was written.
func (a *API) getOffline(ctx context.Context, r *request) (any, error) {
	user, since, limit := r.user("user_id"), r.text("msg_id", maxID), r.count("limit")
	keep := r.first("getThenClear") == "1"
	var had []store.OfflineMessage
	for _, id := range r.list("clear", protocol.IDConflict) {
		r.fits("clear", id, maxID)
		had = append(had, store.OfflineMessage{Message: store.Message{MsgID: id}, Owner: user})
	}
	if r.err != nil {
		return nil, r.err
	}

	// 1. What the client says it has already.
	if len(had) > 0 {
		if err := a.svc.ClearOffline(ctx, user, had); err != nil {
			return nil, err
		}
	}
	// 2. What waits, page by page.
	var answered []store.OfflineMessage // without bodies
	s := &stream{list: "message_list", rest: func() object { return object{} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		return a.svc.Offline(ctx, user, since, limit, func(page []store.OfflineMessage) error {
			if err := s.pay(ctx, readWeight); err != nil {
				return err
			}
			for _, p := range page {
				row := messageRow(p.Message)
				row.DeleteUser, row.Status = p.Owner, &p.Status
				if err := emit(row); err != nil {
					return err
				}
				if !keep {
					answered = append(answered, store.OfflineMessage{Message: store.Message{ID: p.ID, MsgID: p.MsgID}, Owner: p.Owner})
				}
			}
			return nil
		})
	}
	// 3. The end of the answer goes out after this: a client that has read it whole finds the queue cleared. A client that
	// leaves now was given the rows, so the clearing does not end with its connection.
	if !keep {
		s.sent = func(ctx context.Context) {
			if len(answered) == 0 {
				return
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTime)
			defer cancel()
			if err := a.svc.ClearOffline(ctx, user, answered); err != nil {
				a.log.Warn("a queue that was read could not be cleared and will be read again", "user", user, "rows", len(answered), "error", err)
			}
		}
	}
	return s, nil
}

func (a *API) hasUnread(ctx context.Context, r *request) (any, error) {
	user := r.user("user_id")
	if r.err != nil {
		return nil, r.err
	}
	unread, err := a.svc.HasUnread(ctx, user)
	return object{"data": unread}, err
}
