package httpapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
	"tlim/component/tokens"
	"tlim/store"
)

func (l *lab) by(t testing.TB, token, path, query string) answer {
	t.Helper()
	return l.do(t, "GET", path, query, "", "Authorization", "Bearer "+token)
}

// TestTokenNeedsItsParameters: a rule is no way around a parameter, and a handler is not asked before the rule.
func TestTokenNeedsItsParameters(t *testing.T) {
	l := newLab(t)
	token := l.token(t, "zhangsan")
	for _, rt := range l.routes() {
		if rt.callers.user == nil {
			continue
		}
		for _, query := range []string{"", "user_id=&session_id=&sender=&msg_to=&msg_from=&id_=&request_user=", "user_id=+x&session_id=nope&sender=+x&msg_to=+x&msg_from=+x&id_=+x&request_user=+x",
			"user_id=lisi&user_id=zhangsan&session_id=closed2&request_user=lisi&request_user=zhangsan&sender=lisi&sender=zhangsan&msg_to=lisi&msg_to=zhangsan&msg_from=lisi&msg_from=zhangsan"} {
			a := l.by(t, token, rt.path, query)
			v := a.object(t)
			calls := l.svc.taken()
			gone := rt.effect == writes && strings.Contains(query, "nope") || strings.Contains(query, "closed2") || strings.Contains(query, "id_=+x")
			if v["result"] == "ok" && !gone || len(calls) > 0 && !gone {
				t.Errorf("%s?%s: got %s after %q, want it refused without a call", rt.path, query, a.body, calls)
			}
		}
	}
}

func TestTokenRules(t *testing.T) {
	s := seeded(t)
	l := newLabOver(t, s)
	zhangsan, lisi, wangwu := l.token(t, "zhangsan"), l.token(t, "lisi"), l.token(t, "wangwu")
	who := map[string]string{zhangsan: "zhangsan", lisi: "lisi", wangwu: "wangwu"}
	for _, c := range []struct {
		token, path, query string
		want               int
		result             string
	}{
		// a spelling of one's own id
		{zhangsan, "findSessions", "user_id=ZhangSan", 200, "ok"},
		// a member renames, invites and leaves; the owner removes
		{lisi, "modifySession", "session_id=g1&session_name=x", 200, "ok"},
		{lisi, "modifySession", `session_id=g1&subscribers=[{user_id:"wangwu",type:"add"}]`, 200, "ok"},
		{lisi, "modifySession", `session_id=g1&subscribers=[{user_id:"LiSi",type:"del"}]`, 200, "ok"},
		{lisi, "modifySession", `session_id=g1&subscribers=[{user_id:"zhangsan",type:"del"}]`, 403, "error-011"},
		{lisi, "modifySession", `session_id=g1&subscribers=[{user_id:"lisi",type:"del"},{userId:"zhangsan",type:"del"}]`, 403, "error-011"},
		{wangwu, "modifySession", `session_id=g1&subscribers=[{user_id:"wangwu",type:"add"}]`, 403, "error-011"},
		{wangwu, "modifySession", `session_id=g1&subscribers=[{user_id:"wangwu",type:"del"}]`, 403, "error-011"},
		{lisi, "modifySession", `session_id=g1&subscribers=nonsense`, 200, "error-005"},
		// announcements: the author and the owner
		{lisi, "modifyPubact", "id_=a1&title=x", 200, "ok"},
		{zhangsan, "modifyPubact", "id_=a1&title=x", 200, "ok"},
		{wangwu, "modifyPubact", "id_=a1&title=x", 403, "error-011"},
		{lisi, "deletePubact", "id_=a2", 403, "error-011"},
		{zhangsan, "deletePubact", "id_=a2", 200, "ok"},
		{wangwu, "deletePubact", "id_=never", 200, "ok"}, // clients repeat it
		// an owner who is no member, and a closed group
		{lisi, "findSession", "session_id=g2", 200, "ok"},
		{zhangsan, "findSession", "session_id=closed", 200, "ok"},
		{lisi, "findSession", "session_id=closed", 403, "error-011"},
		// what is gone: nobody reads it, and repeated calls are answered
		{lisi, "findSessionHistory", "session_id=deleted&length=1", 200, "error-009"},
		{lisi, "findSessionHistory", "session_id=zhangsan&length=1", 200, "error-009"},
		{lisi, "findPubactList", "session_id=gone", 200, "error-009"},
		{lisi, "deleteSession", "session_id=gone", 200, "ok"},
		{lisi, "dissolved", "session_id=gone", 200, "ok"},
		// other people's conversations
		{lisi, "findChatHistory", "session_id=lisi&user_id=zhangsan&length=1", 403, "error-011"},
		{lisi, "findSessionRead", "session_id=g1&sender=zhangsan&length=1", 403, "error-011"},
		{lisi, "findStatusList", "msg_id=m1&sender=zhangsan&unread=1", 403, "error-011"},
		{wangwu, "findStatusList", "msg_id=m1&sender=wangwu&unread=1", 403, "error-011"},
	} {
		t.Run(who[c.token]+": "+c.path+"?"+c.query, func(t *testing.T) {
			a := l.by(t, c.token, c.path, c.query)
			if v := a.object(t); a.status != c.want || v["result"] != c.result {
				t.Errorf("%s?%s: %d %s, want %d %s", c.path, c.query, a.status, a.body, c.want, c.result)
			}
			l.svc.taken()
		})
	}
}

// TestTokenEnds: what does not hold is 401, what cannot be checked is 503, and nothing of it shows.
func TestTokenEnds(t *testing.T) {
	s := seeded(t)
	now := testTime
	l := newLabOver(t, s, func(c *Config) { c.Tokens = tokens.New(s, time.Hour, func() time.Time { return now }) })
	token := l.token(t, "zhangsan")
	if a := l.do(t, "GET", "findSessions", "user_id=zhangsan&access_token="+token, "", "Origin", "https://evil.example.com"); a.status != 200 {
		t.Errorf("as a parameter: got %d %s, want 200", a.status, a.body)
	}
	// Writes are not refused for their origin: a foreign page cannot have a token.
	if a := l.do(t, "POST", "getOffline", "", "user_id=zhangsan&access_token="+token, "Origin", "https://evil.example.com"); a.status != 200 {
		t.Errorf("from another origin: got %d %s, want 200", a.status, a.body)
	}
	if a := l.by(t, token[:len(token)-1], "findSessions", "user_id=zhangsan"); a.status != 401 || a.object(t)["result"] != "error-011" {
		t.Errorf("forged: got %d %s, want 401, error-011", a.status, a.body)
	}
	if err := s.RevokeTokens(t.Context(), "zhangsan", store.AuditEvent{ID: "e1", What: "tokens/revoke", Outcome: store.AuditDone}); err != nil {
		t.Fatal(err)
	}
	if a := l.by(t, token, "findSessions", "user_id=zhangsan"); a.status != 401 {
		t.Errorf("revoked: got %d %s, want 401", a.status, a.body)
	}
	token = l.token(t, "zhangsan")
	now = now.Add(time.Hour)
	if a := l.by(t, token, "findSessions", "user_id=zhangsan"); a.status != 401 {
		t.Errorf("ended: got %d %s, want 401", a.status, a.body)
	}
	l.cfg.Tokens = failingTokens{}
	if a := l.by(t, token, "findSessions", "user_id=zhangsan"); a.status != 503 || a.object(t)["result"] != "error-013" {
		t.Errorf("without a database: got %d %s, want 503, error-013", a.status, a.body)
	}
	l.cfg.Tokens = nil
	if a := l.by(t, token, "findSessions", "user_id=zhangsan"); a.status != 401 {
		t.Errorf("where there are no tokens: got %d %s, want 401", a.status, a.body)
	}
	log := l.log.String()
	if !strings.Contains(log, "caller=user") || strings.Contains(log, token) || strings.Contains(log, "zhangsan") {
		t.Errorf("got log\n%s\nwant caller=user in it, without %q and zhangsan", log, token)
	}
}

type failingTokens struct{}

func (failingTokens) User(context.Context, string) (string, error) {
	return "", fmt.Errorf("%w: %w", protocol.ErrUnavailable, store.ErrUnavailable)
}
