package httpapi

import (
	"context"

	"tlim/component/protocol"
	"tlim/store"
)

// The synthetic rows of the web client's list.
const (
	chatType      = 99 // session_type of a 1:1 conversation
	noticeType    = 100
	noticeSession = "systemMessage"
	noticeName    = "系统消息" // part of the old answer, whatever http.language says
)

// webSession is a row of findWebSessions.
type webSession struct {
	Robot      bool   `json:"robot,omitempty"`
	CreateTime string `json:"session_create_time,omitempty"`
	ID         string `json:"session_id,omitempty"`
	ModifyTime string `json:"session_modify_time,omitempty"`
	Name       string `json:"session_name,omitempty"`
	Pic        string `json:"session_pic,omitempty"`
	Type       int    `json:"session_type"`
	Owner      string `json:"session_user,omitempty"`
	Valid      int    `json:"session_valid"`
}

// findWebSessions lists a user's groups that are open (valid=0) or closed (1), with the open ones also their 1:1 partners,
// and one row for the notices to them.
func (a *API) findWebSessions(ctx context.Context, r *request) (any, error) {
	user, valid := r.user("user_id"), r.bit("valid")
	if r.err != nil {
		return nil, r.err
	}
	groups, err := a.reads.WebGroupsOf(ctx, user, valid)
	if err != nil {
		return nil, err
	}
	rows := make([]webSession, 0, len(groups))
	for _, g := range groups {
		rows = append(rows, webSession{false, g.CreateTime, g.ID, g.ModifyTime, g.Name, g.Pic, g.Type, g.Owner, g.Valid})
	}
	if valid == 0 {
		if rows, err = a.partners(ctx, user, rows); err != nil {
			return nil, err
		}
	}
	newest, found, err := a.reads.NewestNotice(ctx, user)
	if err != nil {
		return nil, err
	}
	if found {
		rows = append(rows, webSession{ID: noticeSession, Name: noticeName, Type: noticeType, Owner: reservedUser, ModifyTime: newest.Time})
	}
	return object{"sessions": rows}, nil
}

// partners appends the 1:1 conversations of a user. What ofchat says of the partner dates from their first message, so that the
// directory comes first. Old tables can hold two rows of a pair: the one that moved last counts.
func (a *API) partners(ctx context.Context, user string, rows []webSession) ([]webSession, error) {
	chats, err := a.reads.ChatsOf(ctx, user)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(chats))
	for _, c := range chats {
		ids = append(ids, c.Partner)
	}
	known, err := a.reads.UsersByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	at := map[string]int{}
	for _, c := range chats {
		row := webSession{CreateTime: c.CreateTime, ID: c.Partner, ModifyTime: c.ModifyTime, Name: c.Name, Pic: c.Pic, Type: chatType, Owner: user, Robot: a.svc.IsRobot(c.Partner)}
		if u := known[c.Partner]; !u.Learned {
			row.Name, row.Pic = orElse(u.Name, row.Name), orElse(u.Pic, row.Pic)
		}
		if i, twice := at[c.Partner]; !twice {
			at[c.Partner] = len(rows)
			rows = append(rows, row)
		} else if row.ModifyTime > rows[i].ModifyTime {
			rows[i] = row
		}
	}
	return rows, nil
}

func orElse(text, other string) string {
	if text != "" {
		return text
	}
	return other
}

// switchSession opens (0) or closes (1) a group in the web list.
func (a *API) switchSession(ctx context.Context, r *request) (any, error) {
	id, valid := r.id("session_id", protocol.GroupIDEmpty), r.bit("session_valid")
	if r.err != nil {
		return nil, r.err
	}
	return object{}, alreadyGone(a.svc.SwitchGroup(ctx, id, valid))
}

// findUnread says how much waits for a user's phone in each conversation, the newest first.
func (a *API) findUnread(ctx context.Context, r *request) (any, error) {
	user := r.user("user_id")
	if r.err != nil {
		return nil, r.err
	}
	unread, err := a.svc.Unread(ctx, user)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range unread {
		if u.Family == store.FamilyGroup {
			ids = append(ids, u.SessionID)
		}
	}
	groups, err := a.reads.Groups(ctx, ids)
	if err != nil {
		return nil, err
	}
	type row struct {
		Newest    string `json:"msg_time,omitempty"`
		SessionID string `json:"session_id,omitempty"`
		Type      int    `json:"session_type"`
		Unread    int    `json:"unread"`
	}
	rows, total := make([]row, 0, len(unread)), 0
	for _, u := range unread {
		kind := chatType // also of legacy rows whose type is of no family
		switch u.Family {
		case store.FamilyBusiness:
			kind = noticeType
		case store.FamilyGroup:
			kind = groups[u.SessionID].Type
		}
		rows, total = append(rows, row{u.Newest, u.SessionID, kind, u.Count}), total+u.Count
	}
	return object{"unreadList": rows, "total": total}, nil
}
