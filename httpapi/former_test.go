package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// TestFormerMembers: who was removed from a group learns nothing of who is in it now, on no path: not by reading it, not by who has
// read or not read what they wrote there, and they change nothing there either.
func TestFormerMembers(t *testing.T) {
	l := newWhole(t)
	lisi := []string{"Authorization", "Bearer " + l.token(t, "lisi")}
	calls := map[string]string{
		"findStatusList":          "msg_id=m2&sender=lisi",
		"findStatusList?unread=1": "msg_id=m2&sender=lisi&unread=1",
		"modifyPubact":            "id_=a1&title=z", // which they posted
	}
	for _, rt := range l.routes() {
		for _, rule := range rt.callers.user {
			if strings.Contains(rule.says.in(asItIs), "member") && calls[rt.path] == "" && rt.path != "deletePubact" {
				calls[rt.path] = strings.ReplaceAll(rightsQuery[rt.path], "U", "lisi")
			}
		}
	}
	send := func(path, form string) answer {
		path, _, _ = strings.Cut(path, "?")
		return l.do(t, http.MethodPost, path, "", form, lisi...)
	}
	for path, form := range calls {
		if !strings.HasPrefix(path, "find") {
			continue
		}
		t.Run(path+" of a member", func(t *testing.T) {
			if a := send(path, form); a.status != 200 {
				t.Errorf("got %d %s, want 200", a.status, a.body)
			}
		})
	}
	if a := l.post(t, "modifySession", `session_id=g1&subscribers=[{user_id:"lisi",type:"del"},{user_id:"wangwu",type:"add"}]`); a.object(t)["result"] != "ok" {
		t.Fatalf("got %d %s, want ok", a.status, a.body)
	}
	calls["deletePubact"] = "id_=a1"
	for path, form := range calls {
		t.Run(path, func(t *testing.T) {
			if a := send(path, form); a.status != 403 || strings.Contains(a.body, "zhangsan") || strings.Contains(a.body, "wangwu") {
				t.Errorf("got %d %s, want 403 that names neither zhangsan nor wangwu", a.status, a.body)
			}
		})
	}
	for _, path := range []string{"findSessions", "findWebSessions", "findUnread"} {
		t.Run(path, func(t *testing.T) {
			if a := send(path, "user_id=lisi&valid=1"); strings.Contains(a.body, `"g1"`) {
				t.Errorf("got %s, want no %q in it", a.body, `"g1"`)
			}
		})
	}
	// Of 1:1 messages, and of a group that is gone, they learn what is theirs.
	if a := l.do(t, http.MethodPost, "findStatusList", "", "msg_id=c1&sender=zhangsan", "Authorization", "Bearer "+l.token(t, "zhangsan")); a.status != 200 || !strings.Contains(a.body, `"lisi"`) {
		t.Errorf("a 1:1 message: got %d %s, want 200, body with %q", a.status, a.body, `"lisi"`)
	}
	if a := l.post(t, "dissolved", "session_id=g1"); a.object(t)["result"] != "ok" {
		t.Fatalf("got %d %s, want ok", a.status, a.body)
	}
	if a := send("findStatusList", "msg_id=m2&sender=lisi"); a.status != 200 {
		t.Errorf("of a group that is gone: got %d %s, want 200", a.status, a.body)
	}
}
