package httpapi

import (
	"context"

	"tlim/component/protocol"
)

// revokeMessage deletes a message; nobody is told. Clients revoke by MTT-101 and MTS-101.
func (a *API) revokeMessage(ctx context.Context, r *request) (any, error) {
	id := r.id("msg_id", protocol.IDConflict)
	if r.err != nil {
		return nil, r.err
	}
	found, err := a.svc.RemoveMessage(ctx, id)
	if err == nil && !found {
		err = refusal(resultFail, textNoSuchMessage, id)
	}
	return object{}, err
}

// clearChatHistory deletes the 1:1 messages of both directions, for both.
func (a *API) clearChatHistory(ctx context.Context, r *request) (any, error) {
	user, other := r.user("user_id"), r.user("other_id")
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.ClearChat(ctx, user, other)
}
