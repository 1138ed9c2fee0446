package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tlim/component/protocol"
)

// rightsQuery has what each endpoint needs to be answered: of user U, and of group g1, whose owner is zhangsan and whose members
// are zhangsan and lisi.
var rightsQuery = map[string]string{
	"sendMessage":          `to=lisi&content=x`,
	"addSession":           `session_type=0&request_user=U&subscribers=[{user_id:"lisi"}]`,
	"modifySession":        `session_id=g1&session_name=x&subscribers=[{user_id:"lisi",type:"del"}]`,
	"deleteSession":        `session_id=g1`,
	"dissolved":            `session_id=g1`,
	"updateSessionPic":     `session_id=g1&session_pic=x`,
	"switchSession":        `session_id=g1&session_valid=1`,
	"findSessions":         `user_id=U`,
	"findWebSessions":      `user_id=U&valid=0`,
	"findSession":          `session_id=g1`,
	"findSubscribers":      `session_id=g1`,
	"findPresence":         `session_id=g1`,
	"addPubact":            `session_id=g1&user_id=U&title=x&content=y`,
	"findPubactList":       `session_id=g1`,
	"modifyPubact":         `id_=a1&title=x`,
	"deletePubact":         `id_=a1`,
	"findSessionHistory":   `session_id=g1&length=1`,
	"findChatHistory":      `session_id=lisi&user_id=U&length=1`,
	"findSystemHistory":    `msg_to=U&length=1`,
	"clearChatHistory":     `user_id=U&other_id=lisi`,
	"revokeMessage":        `msg_id=m1`,
	"findSessionRead":      `session_id=g1&sender=U&length=1`,
	"findChatRead":         `msg_from=U&msg_to=lisi&length=1`,
	"findStatusList":       `msg_id=m1&sender=U`,
	"getOffline":           `user_id=U`,
	"hasUnread":            `user_id=U`,
	"findUnread":           `user_id=U`,
	"syncMessage":          `msg_to=U&msg_id=c1`,
	"registerAppPushCode":  `user_id=U&registrationId=1`,
	"addStyle":             `user_id=U&style_name=x&style_value=1`,
	"findStyleList":        `user_id=U`,
	"findUsers":            `length=max`,
	"findUserPresence":     `user_ids=lisi`,
	"approval":             `params=[{bizId:"1"}]&msgTo=U`,
	"approvalBack":         `params=[{bizId:"1"}]&msgTo=U`,
	"systemMessage":        `params=[{title:"1"}]&msgTo=U`,
	"findNotice":           `call_id=01753ab9-4400-7000-8000-00000c000000&length=1`,
	"addUser":              `userList=[{user_id:"U"}]`,
	"removeUser":           `userList=[{user_id:"U"}]`,
	"admin/tokens/revoke":  `user_id=sunqi`,
	"admin/keys":           ``,
	"admin/keys/new":       `name=new&scopes=business`,
	"admin/keys/end":       `name=old`,
	"admin/cleanup":        ``,
	"admin/cleanup/run":    ``,
	"admin/cleanup/stop":   ``,
	"admin/audit":          `limit=1`,
	"admin/notices":        `limit=1`,
	"admin/notices/remind": `call_id=notice`,
	"admin/state":          ``,
	"admin/users":          `limit=1`,
	"admin/user":           `user_id=U`,
	"admin/groups":         `limit=1`,
	"admin/group":          `session_id=g1`,
	"admin/queue":          `user_id=U`,
	"admin/trace":          `msg_id=m1&user_id=U`,
	"admin/pushes":         ``,
	"admin/callers":        ``,
	"admin/config":         ``,
	"admin/doctor":         ``,
	"admin/doctor/run":     ``,
	"updateMsgStatus":      ``,
	"findReadMsg":          ``,
	"findChatReadMsg":      ``,
	"findMsgStatusList":    ``,
	"admin/events":         `limit=1`,
	"admin/events/replay":  `all=1`,
}

// repeatedQuery is a query of user zhangsan that is answered the same each time: a name is given to one key, and a notice is reminded of once a minute.
func repeatedQuery(endpoint string) string {
	return strings.NewReplacer("U", "zhangsan", "name=new", "name=root", "call_id=notice", "call_id=nope", "all=1", "event_id=nosuch").Replace(rightsQuery[endpoint])
}

// TestRights walks the whole matrix endpoint x caller and compares it with testdata/rights.txt. What is let in is answered ok, and
// what is refused has done nothing.
func TestRights(t *testing.T) {
	s := seeded(t)
	type column struct {
		name   string
		lab    *lab
		user   string // U
		header []string
	}
	mode := func(m Anonymous) *lab { return newLabOver(t, s, func(c *Config) { c.AllowAnonymous = m }) }
	none, clients, all := mode(AnonymousNone), mode(AnonymousClients), mode(AnonymousAll)
	token := func(user string) []string { return []string{"Authorization", "Bearer " + none.token(t, user)} }
	columns := []column{
		{"none", none, "zhangsan", nil},
		{"clients", clients, "zhangsan", nil},
		{"all", all, "zhangsan", nil},
		{"business", none, "zhangsan", []string{"Authorization", "Bearer " + businessKey}},
		{"admin", none, "zhangsan", []string{"authorization", "bearer " + adminKey}},
		{"wrong", all, "zhangsan", []string{"Authorization", "Bearer " + adminKey + "x"}},
		{"self", none, "zhangsan", token("zhangsan")}, // who owns the group
		{"other", none, "zhangsan", token("lisi")},    // a member, about somebody else
		{"member", none, "lisi", token("lisi")},
		{"outside", none, "wangwu", token("wangwu")},
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%-20s", "endpoint")
	for _, c := range columns {
		fmt.Fprintf(&table, " %8s", c.name)
	}
	table.WriteString("\n")
	for _, rt := range none.routes() {
		query, ok := rightsQuery[rt.path]
		if !ok {
			t.Errorf("%s is not in the test, want it there", rt.path)
		}
		fmt.Fprintf(&table, "%-20s", rt.path)
		for _, c := range columns {
			a := c.lab.do(t, http.MethodPost, rt.path, "", strings.ReplaceAll(query, "U", c.user), c.header...)
			calls := c.lab.svc.taken()
			fmt.Fprintf(&table, " %8d", a.status)
			var v map[string]any
			if rt.path != "findPresence" || a.status != 200 {
				v = a.object(t)
			}
			refused := a.status == 401 || a.status == 403
			if refused && (v["result"] != "error-011" || len(calls) != 0) || a.status == 200 && v != nil && v["result"] != "ok" {
				t.Errorf("%s by %s: got %d %s after %q, want refused %v (error-011 and no call) or else ok", rt.path, c.name, a.status, a.body, calls, refused)
			}
			if a.status == 401 && a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s by %s: got 401 without WWW-Authenticate, want it", rt.path, c.name)
			}
		}
		table.WriteString("\n")
	}
	const file = "testdata/rights.txt"
	if *update {
		if err := os.WriteFile(file, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if table.String() != string(want) {
		t.Errorf("rights are\n%s\nwant\n%s", table.String(), want)
	}
}

// TestKeyInParameter: integrators that can only build URLs; the key never shows in log or metrics.
func TestKeyInParameter(t *testing.T) {
	l := newLab(t)
	if a := l.do(t, "GET", "findSessions", "user_id=zhangsan&access_token="+adminKey, ""); a.status != 200 {
		t.Errorf("in the URL: got %d %s, want 200", a.status, a.body)
	}
	if a := l.do(t, "POST", "findSessions", "", "user_id=zhangsan&access_token="+adminKey); a.status != 200 {
		t.Errorf("in the form: got %d %s, want 200", a.status, a.body)
	}
	if a := l.do(t, "GET", "findSessions", "user_id=zhangsan&access_token=nonsense-token", ""); a.status != 401 {
		t.Errorf("wrong: got %d %s, want 401", a.status, a.body)
	}
	if a := l.do(t, "GET", "findSessions", "user_id=zhangsan&access_token=nonsense-token", "", "Authorization", "Bearer "+adminKey); a.status != 200 {
		t.Errorf("the header comes first: got %d, want 200", a.status)
	}
	if a := l.do(t, "GET", "findSessions", "user_id=zhangsan&access_token="+adminKey, "", "Authorization", "Basic eDp5"); a.status != 200 {
		t.Errorf("another scheme is not ours: got %d, want 200", a.status)
	}
	families, err := l.registry.Gather()
	if metrics := fmt.Sprint(families); err != nil || !strings.Contains(metrics, "root") || strings.Contains(metrics, adminKey) || strings.Contains(metrics, "nonsense-token") ||
		strings.Contains(metrics, "zhangsan") {
		t.Errorf("got %v, the metrics are\n%s\nwant metrics with root, without %q, without nonsense-token, without zhangsan, no error", err, metrics, adminKey)
	}
	log := l.log.String()
	if !strings.Contains(log, "caller=root") || strings.Contains(log, adminKey) || strings.Contains(log, "nonsense-token") || strings.Contains(log, "zhangsan") {
		t.Errorf("got log\n%s\nwant caller=root in it, without %q, nonsense-token and zhangsan", log, adminKey)
	}
}

func TestRate(t *testing.T) {
	now := testTime
	l := newLab(t, func(c *Config) {
		c.Keys = []Key{{Name: "slow", Key: adminKey, Scopes: []string{"admin"}, Rate: 0.5}}
		c.Clock = func() time.Time { return now }
	})
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 200 {
		t.Fatalf("the first call: got %d, want 200", a.status)
	}
	a := l.get(t, "findSessions", "user_id=x")
	if a.status != 429 || a.header.Get("Retry-After") != "2" || a.object(t)["result"] != "error-013" {
		t.Errorf("the second call: got %d, Retry-After %q, %s, want 429, Retry-After 2, error-013", a.status, a.header.Get("Retry-After"), a.body)
	}
	// Reading the same keys again does not open the gate.
	if err := l.ReloadKeys(l.cfg.Keys); err != nil {
		t.Fatal(err)
	}
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 429 {
		t.Errorf("after a reload: got %d, want 429", a.status)
	}
	now = now.Add(2 * time.Second)
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 200 {
		t.Errorf("two seconds later: got %d, want 200", a.status)
	}
}

func TestAllowFrom(t *testing.T) {
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	s := seeded(t)
	for _, c := range []struct {
		from, proxies string
		header        []string
		want          int
	}{
		{"127.0.0.0/8", "10.0.0.0/8", nil, 200},
		{"192.168.0.0/16", "10.0.0.0/8", nil, 401},
		{"192.168.0.0/16", "10.0.0.0/8", []string{"X-Forwarded-For", "192.168.1.1"}, 401}, // anybody can write that
		{"192.168.0.0/16", "127.0.0.1/32", []string{"X-Forwarded-For", "192.168.1.1"}, 200},
	} {
		t.Run(fmt.Sprintf("%s, proxies %s, %q", c.from, c.proxies, c.header), func(t *testing.T) {
			l := newLabOver(t, s, func(cfg *Config) {
				cfg.AllowAnonymous, cfg.AllowFrom, cfg.TrustedProxies = AnonymousClients, prefix(c.from), prefix(c.proxies)
			})
			if a := l.do(t, "GET", "findSessions", "user_id=x", "", c.header...); a.status != c.want {
				t.Errorf("%+v: got %d, want %d", c, a.status, c.want)
			}
		})
	}
}

// TestOpenDoorsAreLoud: a start with an anonymous mode warns, and says which and from where.
func TestOpenDoorsAreLoud(t *testing.T) {
	s := seeded(t)
	for mode, want := range map[Anonymous]bool{"": false, AnonymousNone: false, AnonymousClients: true, AnonymousAll: true} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			l := newLabOver(t, s, func(c *Config) {
				c.AllowAnonymous, c.AllowFrom = mode, []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
			})
			warned := false
			for line := range strings.Lines(l.log.String()) {
				if strings.Contains(line, "level=WARN") && strings.Contains(line, "allow_anonymous="+string(mode)) && strings.Contains(line, "192.168.0.0/16") {
					warned = true
				}
			}
			if warned != want {
				t.Errorf("mode %q: the log is\n%s\nwant warned %v", mode, l.log.String(), want)
			}
		})
	}
}

func TestClientAddr(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct {
		remote string
		xff    []string
		want   string
	}{
		{"1.2.3.4:5", nil, "1.2.3.4"},
		{"1.2.3.4:5", []string{"5.6.7.8"}, "1.2.3.4"},
		{"10.0.0.1:5", nil, "10.0.0.1"},
		{"10.0.0.1:5", []string{"5.6.7.8"}, "5.6.7.8"},
		{"10.0.0.1:5", []string{"9.9.9.9, 5.6.7.8"}, "5.6.7.8"},
		{"10.0.0.1:5", []string{"9.9.9.9", "5.6.7.8, 10.0.0.2"}, "5.6.7.8"},
		{"10.0.0.1:5", []string{"10.0.0.3"}, "10.0.0.3"},
		{"10.0.0.1:5", []string{"5.6.7.8:1234"}, "5.6.7.8"},
		{"10.0.0.1:5", []string{"9.9.9.9, nonsense"}, "invalid IP"},
		{"10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"[::1]:5", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:5", []string{"[2001:db8::1]:7"}, "2001:db8::1"},
	} {
		t.Run(fmt.Sprintf("%s for %q", c.remote, c.xff), func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.remote
			for _, v := range c.xff {
				r.Header.Add("X-Forwarded-For", v)
			}
			if got := clientAddr(r, trusted).String(); got != c.want {
				t.Errorf("%s for %q is %s, want %s", c.remote, c.xff, got, c.want)
			}
		})
	}
}

// TestKeySpeaksAsNoPerson: a key whose robot has, by the configuration, the id of a person reaches nothing of theirs; another one reaches what is
// its robot's, and nothing else.
func TestKeySpeaksAsNoPerson(t *testing.T) {
	const ofPerson, ofRobot = "person-key-0123456789", "robot-key-0123456789"
	l := newLabOver(t, seeded(t), func(c *Config) {
		c.Keys = append(c.Keys, Key{Name: "p", Key: ofPerson, Scopes: []string{"business"}, Robot: protocol.Robot{ID: "lisi"}},
			Key{Name: "r", Key: ofRobot, Scopes: []string{"business"}, Robot: protocol.Robot{ID: "robot-oa"}})
	})
	for _, c := range []struct {
		key, user string
		status    int
	}{{ofPerson, "lisi", http.StatusForbidden}, {ofRobot, "lisi", http.StatusForbidden}, {ofRobot, "robot-oa", http.StatusOK}} {
		t.Run(c.user+" by "+c.key, func(t *testing.T) {
			if got := l.do(t, http.MethodPost, "getOffline", "", "user_id="+c.user, "Authorization", "Bearer "+c.key); got.status != c.status {
				t.Errorf("the queue of %s by %s: got %d %s, want %d", c.user, c.key, got.status, got.body, c.status)
			}
		})
	}
}
