package httpapi

import (
	"context"
	"net/http"
	"strings"

	"tlim/component"
	"tlim/component/protocol"
)

// base is where the old plugin's endpoints are.
const base = "/plugins/tlim/"

// route is one endpoint. Rights live here, not in handlers.
type route struct {
	path    string
	callers rights
	effect  effect
	handle  func(context.Context, *request) (any, error)
	zeros   []string // numbers of the answer, which are there (as 0) even in failures
}

// effect says whether a call changes anything.
type effect bool

const (
	reads  effect = false
	writes effect = true
)

// postOnly says whether GET is refused: no link that an administrator follows may change what belongs to all.
func (r *route) postOnly() bool { return strings.HasPrefix(r.path, adminPrefix) && r.effect == writes }

// adminPrefix begins the paths of the endpoints for administrators.
const adminPrefix = "admin/"

// routes is the table of all endpoints. It is built here because a table at package level whose handlers refer back to it
// would be an initialization cycle.
func (a *API) routes() []route {
	return []route{
		// groups
		{"addSession", users(ownAs("request_user", protocol.GroupOwnerInvalid), plainType("session_type")), writes, a.addSession, []string{"session_type"}},
		{"modifySession", users(editor("session_id")), writes, a.modifySession, nil},
		{"deleteSession", users(owner("session_id")), writes, a.deleteSession, nil},
		{"dissolved", users(owner("session_id")), writes, a.dissolved, nil},
		{"updateSessionPic", users(member("session_id"), showable("session_pic")), writes, a.updateSessionPic, nil},
		{"switchSession", users(member("session_id")), writes, a.switchSession, nil},
		{"findSessions", users(own("user_id")), reads, a.findSessions, nil},
		{"findWebSessions", users(own("user_id")), reads, a.findWebSessions, nil},
		{"findSession", users(member("session_id")), reads, a.findSession, []string{"session_type", "session_valid"}},
		{"findSubscribers", users(member("session_id")), reads, a.findSubscribers, []string{"session_type"}},
		{"findPresence", users(member("session_id")), reads, a.findPresence, nil},
		{"addPubact", users(member("session_id"), own("user_id")), writes, a.addPubact, nil},
		{"findPubactList", users(member("session_id")), reads, a.findPubactList, nil},
		{"modifyPubact", users(poster("id_")), writes, a.modifyPubact, nil},
		{"deletePubact", users(poster("id_")), writes, a.deletePubact, nil},
		// history and receipts
		{"findSessionHistory", users(member("session_id")), reads, a.findSessionHistory, []string{"total"}},
		{"findChatHistory", users(own("user_id")), reads, a.findChatHistory, []string{"total"}},
		{"findSystemHistory", users(own("msg_to")), reads, a.findSystemHistory, []string{"total"}},
		{"clearChatHistory", users(own("user_id")), writes, a.clearChatHistory, nil},
		{"revokeMessage", byAdmin, writes, a.revokeMessage, nil},
		{"findSessionRead", users(member("session_id"), own("sender")), reads, a.findSessionRead, nil},
		{"findChatRead", users(own("msg_from")), reads, a.findChatRead, nil},
		{"findStatusList", users(own("sender"), present("msg_id")), reads, a.findStatusList, nil},
		// a user's devices
		{"getOffline", users(own("user_id")), writes, a.getOffline, nil},
		{"hasUnread", users(own("user_id")), reads, a.hasUnread, nil},
		{"findUnread", users(own("user_id")), reads, a.findUnread, []string{"total"}},
		{"syncMessage", users(own("msg_to")), reads, a.syncMessage, nil},
		{"registerAppPushCode", users(own("user_id")), writes, a.registerAppPushCode, nil},
		{"addStyle", users(own("user_id")), writes, a.addStyle, nil},
		{"findStyleList", users(own("user_id")), reads, a.findStyleList, nil},
		{"findUsers", rights{scopes: scopeUser | scopeAdmin}, reads, a.findUsers, nil},
		{"findUserPresence", rights{scopes: scopeUser | scopeAdmin}, reads, a.findUserPresence, nil},
		// the business suite
		{"approval", byBusiness, writes, a.notice(component.NoticeApproval), nil},
		{"approvalBack", byBusiness, writes, a.notice(component.NoticeApprovalBack), nil},
		{"systemMessage", byBusiness, writes, a.notice(component.NoticeSystem), nil},
		{"sendMessage", byRobot, writes, a.sendMessage, nil},
		{"findNotice", byBusiness, reads, a.findNotice, []string{"total"}},
		{"addUser", byBusiness, writes, a.addUser, nil},
		{"removeUser", byBusiness, writes, a.removeUser, nil},
		// administrators: changes, and what they need
		{"admin/tokens/revoke", byAdminKey, writes, a.revokeTokens, nil},
		{"admin/keys", byAdminKey, reads, a.listKeys, nil},
		{"admin/keys/new", byAdminKey, writes, a.newKey, nil},
		{"admin/keys/end", byAdminKey, writes, a.endKey, nil},
		{"admin/cleanup", byAdminKey, reads, a.cleanup, nil},
		{"admin/cleanup/run", byAdminKey, writes, a.runCleanup, nil},
		{"admin/cleanup/stop", byAdminKey, writes, a.stopCleanup, nil},
		{"admin/audit", byAdminKey, reads, a.listAudit, nil},
		{"admin/events", byAdminKey, reads, a.listEvents, nil},
		{"admin/events/replay", byAdminKey, writes, a.replayEvents, nil},
		{"admin/notices", byAdminKey, reads, a.listNotices, nil},
		{"admin/notices/remind", byAdminKey, writes, a.remindNotice, nil},
		// administrators: what they look at
		{"admin/state", byAdminKey, reads, a.showState, nil},
		{"admin/users", byAdminKey, reads, a.listUsers, nil},
		{"admin/user", byAdminKey, reads, a.showUser, nil},
		{"admin/groups", byAdminKey, reads, a.listGroups, nil},
		{"admin/group", byAdminKey, reads, a.showGroup, nil},
		{"admin/queue", byAdminKey, reads, a.showQueue, nil},
		{"admin/trace", byAdminKey, reads, a.showTrace, nil},
		{"admin/pushes", byAdminKey, reads, a.listPushes, nil},
		{"admin/callers", byAdminKey, reads, a.showCallers, nil},
		{"admin/config", byAdminKey, reads, a.showSettings, nil},
		{"admin/doctor", byAdminKey, reads, a.showChecks, nil},
		{"admin/doctor/run", byAdminKey, writes, a.runChecks, nil},
		// dropped: document 1.3 had them
		{"updateMsgStatus", byAnybody, reads, gone("findSessionRead, findChatRead, findStatusList"), nil},
		{"findReadMsg", byAnybody, reads, gone("findSessionRead"), nil},
		{"findChatReadMsg", byAnybody, reads, gone("findChatRead"), nil},
		{"findMsgStatusList", byAnybody, reads, gone("findStatusList"), nil},
	}
}

// gone answers for an endpoint that was dropped.
func gone(successor string) func(context.Context, *request) (any, error) {
	return func(context.Context, *request) (any, error) {
		return nil, &failure{status: http.StatusGone, result: resultFail, text: textGone, args: []any{successor}}
	}
}

// mount makes the handlers of all paths. GET and POST alike; HEAD is not taken, because a HEAD of getOffline would clear a
// queue that nobody saw.
func (a *API) mount() (paths, error) {
	p := paths{}
	for _, rt := range a.routes() {
		h := a.serve(&rt)
		if rt.postOnly() {
			p.add(base+rt.path, map[string]http.HandlerFunc{http.MethodPost: h, http.MethodOptions: a.preflight},
				a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textPostOnly, allow: "POST, OPTIONS"}))
			continue
		}
		p.add(base+rt.path, map[string]http.HandlerFunc{http.MethodGet: h, http.MethodPost: h, http.MethodOptions: a.preflight},
			a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textNoMethod, allow: "GET, POST, OPTIONS"}))
	}
	a.mountFiles(p)
	if err := a.mountDocument(p); err != nil {
		return nil, err
	}
	if err := a.mountWeb(p); err != nil {
		return nil, err
	}
	return p, nil
}

// refusing is a handler that answers every call with f.
func (a *API) refusing(f *failure) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { a.refuse(w, r, f) }
}
