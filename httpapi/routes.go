package httpapi

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
)

// base is where the old plugin's endpoints are.
const base = "/plugins/tlim/"

// route is one endpoint. Rights live here, not in handlers.
type route struct {
	path    string
	callers scope // any one of these scopes may call
	effect  effect
	handle  func(context.Context, *request) (any, error)
	zeros   []string // numbers of the answer, which are there (as 0) even in failures
}

// effect says whether a call changes anything: anonymous ones that do are refused to pages of other sites.
type effect bool

const (
	reads  effect = false
	writes effect = true
)

// routes is the table of all endpoints. It is built here because a table at package level whose handlers refer back to it
// would be an initialization cycle.
func (a *API) routes() []route {
	return []route{
		// groups
		{"addSession", byClients, writes, a.addSession, []string{"session_type"}},
		{"modifySession", byClients, writes, a.modifySession, nil},
		{"deleteSession", byClients, writes, a.deleteSession, nil},
		{"dissolved", byClients, writes, a.dissolved, nil},
		{"updateSessionPic", byClients, writes, a.updateSessionPic, nil},
		{"findSessions", byClients, reads, a.findSessions, nil},
		{"findSession", byClients, reads, a.findSession, []string{"session_type", "session_valid"}},
		{"findSubscribers", byClients, reads, a.findSubscribers, []string{"session_type"}},
		{"findPresence", byClients, reads, a.findPresence, nil},
		// history and receipts
		{"findSessionHistory", byClients, reads, a.findSessionHistory, []string{"total"}},
		{"findChatHistory", byClients, reads, a.findChatHistory, []string{"total"}},
		{"findSystemHistory", byClients, reads, a.findSystemHistory, []string{"total"}},
		{"findSessionRead", byClients, reads, a.findSessionRead, nil},
		{"findChatRead", byClients, reads, a.findChatRead, nil},
		{"findStatusList", byClients, reads, a.findStatusList, nil},
		// a user's phone
		{"getOffline", byClients, writes, a.getOffline, nil},
		{"hasUnread", byClients, reads, a.hasUnread, nil},
		{"registerAppPushCode", byClients, writes, a.registerAppPushCode, nil},
		// the business suite
		{"approval", byBusiness, writes, a.notice("MTB-000"), nil},
		{"systemMessage", byBusiness, writes, a.notice("MTB-100"), nil},
		{"addUser", byBusiness, writes, a.addUser, nil},
		{"removeUser", byBusiness, writes, a.removeUser, nil},
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

// mount makes the handler of all routes. GET and POST alike; HEAD is not taken, because a HEAD of getOffline would clear a
// queue that nobody saw.
func (a *API) mount() http.Handler {
	mux := chi.NewRouter()
	for _, rt := range a.routes() {
		h := a.serve(&rt)
		mux.Get(base+rt.path, h)
		mux.Post(base+rt.path, h)
	}
	a.mountFiles(mux)
	mux.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			a.preflight(w, r)
			return
		}
		a.refuse(w, r, &failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textNoMethod, allow: "GET, POST, OPTIONS"})
	})
	mux.NotFound(func(w http.ResponseWriter, r *http.Request) {
		a.refuse(w, r, &failure{status: http.StatusNotFound, result: resultFail, text: textNoPath})
	})
	return mux
}
