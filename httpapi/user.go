package httpapi

import (
	"context"

	"github.com/tidwall/gjson"

	"tlim/component"
	"tlim/store"
)

// reservedUser sends the server-made messages; nobody else may have that id.
const reservedUser = "admin"

func (a *API) addUser(ctx context.Context, r *request) (any, error) {
	var users []store.User
	for _, o := range r.users() {
		u := store.User{
			ID:    r.newMember("userList", o),
			Name:  r.field("userList", o, "user_name", nameLength),
			Login: r.field("userList", o, "acct_login", idLength),
			Email: r.field("userList", o, "user_email", nameLength),
			Pic:   r.field("userList", o, "pic_url", nameLength),
		}
		if u.ID == "" {
			r.refuse(refusal(component.UserIDInvalid, textMissing, "userList.user_id"))
		}
		if u.Name == "" { // a group's name is made of its members' names
			u.Name = u.ID
		}
		users = append(users, u)
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.AddUsers(ctx, users)
}

func (a *API) removeUser(ctx context.Context, r *request) (any, error) {
	var ids []string
	for _, o := range r.users() {
		id := r.member("userList", o)
		if id == "" {
			r.refuse(refusal(component.UserIDInvalid, textMissing, "userList.user_id"))
		}
		ids = append(ids, id)
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.RemoveUsers(ctx, ids)
}

// registerAppPushCode: an empty registrationId unregisters; a missing one is a mistake that must not.
func (a *API) registerAppPushCode(ctx context.Context, r *request) (any, error) {
	user, code := r.user("user_id"), r.text("registrationId", codeLength)
	if !r.has("registrationId") {
		r.refuse(badRequest(textMissing, "registrationId"))
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.RegisterPush(ctx, user, code)
}

// newMember is the id of a user who may be new: it has to be one that can be spelled, and stays as it is given, for it
// becomes the directory's spelling.
func (r *request) newMember(name string, o gjson.Result) string {
	spelling := r.member(name, o)
	if spelling == reservedUser {
		r.refuse(refusal(component.UserIDInvalid, textReserved, spelling))
	}
	return memberID(o)
}

// users reads userList, which has to name somebody.
func (r *request) users() []gjson.Result {
	_, objects := r.array("userList")
	if r.err == nil && len(objects) == 0 {
		r.refuse(refusal(component.NotArray, textEmptyArray, "userList"))
	}
	return objects
}
