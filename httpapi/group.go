package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/store"
)

func (a *API) addSession(ctx context.Context, r *request) (any, error) {
	g := component.GroupSpec{Asker: a.asker(r)}
	// 1. Each kind of mistake has its own code (HTTP.md): the type, the owner, the list.
	kind, err := strconv.ParseInt(strings.TrimSpace(r.first("session_type")), 10, 32)
	switch {
	case r.first("session_type") == "":
		return nil, refusal(protocol.GroupTypeInvalid, textMissing, "session_type")
	case err != nil || kind < 0:
		return nil, refusal(protocol.GroupTypeInvalid, textNotNumber, "session_type")
	}
	g.Type = int(kind)
	g.Owner = r.userAs("request_user", protocol.GroupOwnerInvalid)
	_, objects := r.array("subscribers")
	if r.err != nil {
		return nil, noList(r.err)
	}
	if objects == nil {
		return nil, refusal(protocol.NotArray, textNotArray, "subscribers")
	}
	var out leftOut
	seen := map[string]bool{"": true}
	for _, o := range objects {
		user := r.member("subscribers", o)
		if out.note(r, "subscribers", o, user); !seen[user] {
			seen[user] = true
			g.Members = append(g.Members, user)
		}
	}
	if r.err != nil {
		return nil, noList(r.err)
	}

	out.tell(a, r)

	// 2. The group and those of them who are users.
	group, members, err := a.svc.CreateGroup(ctx, g)
	if err != nil {
		return nil, out.refused(err)
	}
	type row struct {
		UserID string `json:"user_id"`
	}
	rows := make([]row, 0, len(members.Taken))
	for _, m := range members.Taken {
		rows = append(rows, row{m.UserID})
	}
	return object{"session_id": group.ID, "session_name": group.Name, "session_type": group.Type, "session_user": group.Owner,
		"session_create_time": group.CreateTime, skippedName: out.rows(members.Skipped), "subscribers": rows}, nil
}

// noList gives what is no JSON the code that addSession has for a list that is none.
func noList(err error) error {
	var f *failure
	if errors.As(err, &f) && f.result == protocol.NotJSON {
		f.result = protocol.NotArray
	}
	return err
}

func (a *API) modifySession(ctx context.Context, r *request) (any, error) {
	e := component.GroupEdit{ID: r.id("session_id", protocol.GroupIDEmpty), Name: r.text("session_name", maxName), Asker: a.asker(r)}
	_, objects := r.array("subscribers")
	// The entries were carried out one after the other in the old system: of several for one user the last one counts.
	type entry struct{ user, what string }
	var entries []entry
	var out leftOut
	last := map[string]int{}
	for i, o := range objects {
		at := entry{r.member("subscribers", o), r.field("subscribers", o, "type", maxName)}
		out.note(r, "subscribers", o, at.user)
		entries = append(entries, at)
		if at.what == "add" || at.what == "del" {
			last[at.user] = i
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	for i, at := range entries {
		counts, known := last[at.user]
		switch {
		case at.user == "":
		case !known:
			out.add(at.user, skipType)
		case counts != i:
		case at.what == "add":
			e.Add = append(e.Add, at.user)
		case at.what == "del":
			e.Remove = append(e.Remove, at.user)
		}
	}
	out.tell(a, r)
	if e.Name == "" && len(e.Add) == 0 && len(e.Remove) == 0 {
		f := refusal(protocol.GroupNameEmpty, textNothingToChange)
		f.skipped = out.rows(nil)
		return nil, f
	}
	edited, err := a.svc.ModifyGroup(ctx, e)
	if err != nil {
		return nil, out.refused(err)
	}
	return object{"session_id": e.ID, "session_modify_time": edited.Time, skippedName: out.rows(edited.Skipped)}, nil
}

func (a *API) deleteSession(ctx context.Context, r *request) (any, error) {
	id := r.id("session_id", protocol.GroupIDEmpty)
	if r.err != nil {
		return nil, r.err
	}
	deleted, err := a.svc.DeleteGroup(ctx, id)
	if err = alreadyGone(err); err != nil {
		return nil, err
	}
	if deleted == "" { // it was gone before: clients repeat the call, and read a time
		deleted = strconv.FormatInt(a.cfg.Clock().UnixMilli(), 10)
	}
	return object{"session_id": id, "session_delete_time": deleted}, nil
}

func (a *API) dissolved(ctx context.Context, r *request) (any, error) {
	id := r.id("session_id", protocol.GroupIDEmpty)
	if r.err != nil {
		return nil, r.err
	}
	return object{"session_id": id}, alreadyGone(a.svc.Dissolve(ctx, id))
}

func (a *API) updateSessionPic(ctx context.Context, r *request) (any, error) {
	id, pic := r.id("session_id", protocol.GroupIDEmpty), r.text("session_pic", maxName)
	if r.err != nil {
		return nil, r.err
	}
	if r.caller.scopes&scopeAdmin == 0 && !a.isPicture(pic) {
		return nil, forbidden(http.StatusForbidden, textPicture, "session_pic")
	}
	return object{"session_id": id, "session_pic": pic}, alreadyGone(a.svc.SetGroupPicture(ctx, id, pic))
}

// alreadyGone makes a success of a call on something that is gone: clients repeat these calls.
func alreadyGone(err error) error {
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.NoSuchGroup {
		return nil
	}
	return err
}

func (a *API) findSessions(ctx context.Context, r *request) (any, error) {
	user := r.user("user_id")
	if r.err != nil {
		return nil, r.err
	}
	groups, err := a.reads.GroupsOf(ctx, user)
	if err != nil {
		return nil, err
	}
	type row struct {
		ID    string `json:"session_id,omitempty"`
		Name  string `json:"session_name,omitempty"`
		Pic   string `json:"session_pic,omitempty"`
		Type  int    `json:"session_type"`
		Owner string `json:"session_user,omitempty"`
	}
	rows := make([]row, 0, len(groups))
	for _, g := range groups {
		rows = append(rows, row{g.ID, g.Name, g.Pic, g.Type, g.Owner})
	}
	return object{"sessions": rows}, nil
}

func (a *API) findSubscribers(ctx context.Context, r *request) (any, error) {
	_, v, err := a.groupWithMembers(ctx, r)
	return v, err
}

func (a *API) findSession(ctx context.Context, r *request) (any, error) {
	g, v, err := a.groupWithMembers(ctx, r)
	if err != nil {
		return nil, err
	}
	v["session_create_time"], v["session_valid"] = g.CreateTime, g.Valid
	return v, nil
}

func (a *API) groupWithMembers(ctx context.Context, r *request) (store.Group, object, error) {
	id := r.id("session_id", protocol.GroupIDEmpty)
	if r.err != nil {
		return store.Group{}, nil, r.err
	}
	g, ok, err := a.reads.Group(ctx, id)
	if err != nil {
		return store.Group{}, nil, err
	}
	if !ok {
		return store.Group{}, nil, refusal(protocol.NoSuchGroup, textNoSuchGroup, id)
	}
	members, err := a.reads.Members(ctx, []string{id})
	if err != nil {
		return store.Group{}, nil, err
	}
	type row struct {
		Login     string `json:"acct_login,omitempty"`
		Pic       string `json:"pic,omitempty"`
		Robot     bool   `json:"robot,omitempty"`
		SessionID string `json:"session_id,omitempty"`
		Since     string `json:"ts,omitempty"`
		UserID    string `json:"user_id"`
		UserName  string `json:"user_name,omitempty"`
	}
	rows := make([]row, 0, len(members[id]))
	for _, m := range members[id] {
		rows = append(rows, row{m.Login, m.Pic, a.svc.IsRobot(m.UserID), m.SessionID, m.Since, m.UserID, m.UserName})
	}
	return g, object{"session_id": g.ID, "session_name": g.Name, "session_type": g.Type, "session_user": g.Owner, "subscribers": rows}, nil
}

// findPresence answers a bare array, as it always did, and a call that is JSON an object as all others do; so are failures.
func (a *API) findPresence(ctx context.Context, r *request) (any, error) {
	id := r.id("session_id", protocol.GroupIDEmpty)
	if r.err != nil {
		return nil, r.err
	}
	members, err := a.svc.Presence(ctx, id)
	if err != nil {
		return nil, err
	}
	type row struct {
		Status string `json:"status"`
		UserID string `json:"user_id"`
	}
	rows := make([]row, 0, len(members))
	for _, m := range members {
		rows = append(rows, row{m.Status, m.UserID})
	}
	if r.json {
		return object{"members": rows}, nil
	}
	return bare{rows}, nil
}
