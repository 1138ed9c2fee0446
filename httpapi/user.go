package httpapi

import (
	"context"

	"github.com/tidwall/gjson"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// reservedUser sends the server-made messages; nobody else may have that id.
const reservedUser = "admin"

func (a *API) addUser(ctx context.Context, r *request) (any, error) {
	var users []store.User
	var ids []string
	for _, o := range r.users() {
		users = append(users, store.User{
			ID:    r.userID(o), // as it is given: it becomes the canonical one
			Name:  r.field("userList", o, "user_name", maxName),
			Login: r.field("userList", o, "acct_login", maxID),
			Email: r.field("userList", o, "user_email", maxName),
			Pic:   r.field("userList", o, "pic_url", maxName),
		})
		ids = append(ids, users[len(users)-1].ID)
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, r.culprit("userList", ids, a.svc.AddUsers(ctx, users))
}

func (a *API) removeUser(ctx context.Context, r *request) (any, error) {
	var ids []string
	for _, o := range r.users() {
		ids = append(ids, r.userID(o))
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, r.culprit("userList", ids, a.svc.RemoveUsers(ctx, ids))
}

// users reads userList, which has to name somebody.
func (r *request) users() []gjson.Result {
	_, objects := r.array("userList")
	if r.err == nil && len(objects) == 0 {
		r.refuse(refusal(protocol.NotArray, textEmptyArray, "userList"))
	}
	return objects
}

// userID is the id of an entry of userList.
func (r *request) userID(o gjson.Result) string {
	id := r.memberID("userList", o)
	if id == "" {
		r.refuse(refusal(protocol.UserIDInvalid, textMissing, "userList.user_id"))
	}
	if !stanza.ValidXML(id) {
		r.refuse(badRequest(textBadCharacters, "userList"))
	}
	r.fits("userList.user_id", id, maxID)
	return id
}

// registerAppPushCode: an empty registrationId unregisters; a missing one is a mistake that must not.
func (a *API) registerAppPushCode(ctx context.Context, r *request) (any, error) {
	user, code := r.user("user_id"), r.text("registrationId", maxCode)
	if !r.has("registrationId") {
		r.refuse(badRequest(textMissing, "registrationId"))
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.RegisterPush(ctx, user, code)
}
