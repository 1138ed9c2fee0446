package system

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// oldScript is the old plugin's script for MySQL, as servers ran it whose default was utf8_general_ci.
const oldScript = `CREATE TABLE ofmessage (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64)) CHARACTER SET utf8;
CREATE TABLE ofcustomoffline (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64), msg_status int, delete_user varchar(64)) CHARACTER SET utf8;
CREATE TABLE ofsession (session_id varchar(64) NOT NULL PRIMARY KEY, session_type int, session_name varchar(256), session_create_time varchar(20), session_modify_time varchar(20), session_delete_time varchar(20), session_valid int, session_user varchar(64), session_pic varchar(256)) CHARACTER SET utf8 COLLATE utf8_unicode_ci;
CREATE TABLE ofsubscriber (user_id varchar(64) NOT NULL, user_name varchar(256), acct_login varchar(64), pic varchar(256), session_id varchar(64) NOT NULL, ts varchar(20), PRIMARY KEY (user_id, session_id)) CHARACTER SET utf8;
CREATE TABLE ofstatus (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), sender varchar(64), reader varchar(64), status int) CHARACTER SET utf8;
CREATE TABLE ofchat (chat_id varchar(64) NOT NULL PRIMARY KEY, chat_name varchar(64), chat_user varchar(64), chat_other varchar(64), chat_create_time varchar(64), chat_modify_time varchar(64), chat_pic varchar(64)) CHARACTER SET utf8;
CREATE TABLE ofpubact (id_ varchar(64) NOT NULL PRIMARY KEY, title varchar(256), content varchar(3920), user_id varchar(64), ts varchar(64), session_id varchar(64)) CHARACTER SET utf8;
CREATE TABLE ofstyle (style_id varchar(64) NOT NULL PRIMARY KEY, style_name varchar(64), style_value int, user_id varchar(64)) CHARACTER SET utf8;
CREATE TABLE isc_user (user_id varchar(64), user_name varchar(256), acct_login varchar(64), app_push_code varchar(64), dr char(1)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE isc_user_info (user_id varchar(64), user_email varchar(256), pic_url varchar(256), dr char(1)) CHARACTER SET utf8 COLLATE utf8_unicode_ci`

// TestIdentity: an account whose name a collation takes for another's gets nothing of that one, by any endpoint, on tables of the
// old plugin and on what the printed conversions make of them; and a name that old tables cannot hold stops nobody's chat.
func TestIdentity(t *testing.T) {
	server := must[*lab.Server](t)(lab.StartOpenfire(within(t, patience), lab.Options{Dir: t.TempDir(),
		Users: map[string]string{"lisi": password("lisi"), "wang": password("wang"), "zhao": password("zhao")}}))
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, convert := range []bool{false, true} {
		t.Run(fmt.Sprintf("converted %v", convert), func(t *testing.T) { testIdentity(t, server, convert) })
	}
}

func testIdentity(t *testing.T, server *lab.Server, convert bool) {
	config := onMariaDB(t)
	config["directory.source"] = "isc"
	config["directory.create_accounts"], config["directory.initial_password"] = true, password("lísi")
	db := must[*sql.DB](t)(sql.Open("mysql", config["store.dsn"].(string)))
	t.Cleanup(func() { db.Close() })
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(within(t, soon), query, args...); err != nil {
			t.Fatalf("got %v, want it done: %s", err, query)
		}
	}
	for _, table := range strings.Split(oldScript, ";\n") {
		exec(table)
	}
	people := map[string]string{"lisi": "李四", "lísi": "another", "wang": "王𬭎 😀", "zhao": "赵"}
	for id, name := range people {
		exec("INSERT INTO isc_user VALUES (?, ?, ?, ?, 'N')", id, name, id, "code-"+id)
		exec("INSERT INTO isc_user_info VALUES (?, NULL, NULL, 'N')", id)
	}
	exec("INSERT INTO ofsession VALUES ('old-group', 0, '老', '1', NULL, NULL, 0, 'wang', NULL)")
	exec("INSERT INTO ofsubscriber VALUES ('wang', '王', NULL, NULL, 'old-group', '1'), ('lisi', '李四', NULL, NULL, 'old-group', '1')")

	w := &world{t: t, server: server, component: newComponent(server)}
	o := lab.TlimOptions{Dir: t.TempDir(), Config: settings(server, w.component, config)}
	w.tlim = startTlim(t, o)
	if convert {
		statements := regexp.MustCompile(`ALTER TABLE \w+ CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`).FindAllString(w.log(), -1)
		if len(statements) != 8 {
			t.Fatalf("the start prints %d conversions: %q, want 8", len(statements), statements)
		}
		for _, s := range statements {
			exec(s)
		}
		check(t, w.tlim.Restart(within(t, patience)))
	}
	shown := "王? ?" // what tables of utf8 can hold of it; its owner chats all the same
	if convert {
		shown = "王𬭎 😀"
	}
	w.become("lisi=李四 wang="+shown+" zhao=赵", "lisi", "wang", "zhao")
	w.become("lísi=another", "lísi") // a group of both needs the conversion
	await(t, within(t, soon), "lísi's account", func() (bool, error) { return w.logsIn("lísi", password("lísi")), nil })

	// 1. What lisi has.
	wang, zhao, lisi := w.online("wang", "phone"), w.online("zhao", "phone"), w.online("lisi", "page[web]")
	chat, group := lab.NewID(), lab.NewID()
	session := must[string](t)(w.tlim.AddSession(within(t, soon), "wang", "wang", "lisi"))
	check(t, wang.SendMessage(w.component, chat, lab.Text("wang", "lisi", chat, "for lisi")))
	w.receive(lisi, chat)
	check(t, wang.SendMessage(w.component, group, lab.GroupText("wang", session, group, "for lisi")))
	w.receive(lisi, group)
	check(t, lisi.SendMessage(w.component, "m-1", lab.Text("lisi", "zhao", "m-1", "from lisi")))
	w.receive(zhao, "m-1")
	lisiToken := w.token(lisi)
	check(t, zhao.SendMessage(w.component, "m-2", lab.NewEnvelope("MTT-100", "zhao", "lisi", "m-2", []map[string]any{{"msg_id": "m-1"}})))
	w.receive(lisi, "m-2")
	w.as(lisiToken, "addPubact", "session_id", session, "user_id", "lisi", "title", "for lisi", "content", "x")
	w.as(lisiToken, "addStyle", "user_id", "lisi", "style_name", "theme", "style_value", "3")
	w.get("systemMessage", "msgTo", "lisi", "params", `[{"title":"for lisi"}]`)
	check(t, lisi.Close())

	questions := func(user string) [][]string {
		return [][]string{
			{"getOffline", "user_id", user, "getThenClear", "1"},
			{"hasUnread", "user_id", user},
			{"findSessions", "user_id", user},
			{"findWebSessions", "user_id", user, "valid", "0"},
			{"findChatHistory", "user_id", user, "session_id", "wang", "start", "0", "length", "9"},
			{"findSystemHistory", "msg_to", user, "start", "0", "length", "9"},
			{"findStyleList", "user_id", user},
			{"syncMessage", "msg_to", user, "msg_id", chat},
			{"findChatRead", "msg_from", user, "msg_to", "zhao", "start", "0", "length", "9"},
			{"findSessionHistory", "session_id", session, "start", "0", "length", "9"},
			{"findStatusList", "msg_id", "m-1", "sender", user},
			{"findSubscribers", "session_id", session},
			{"findPresence", "session_id", session},
			{"findPubactList", "session_id", session},
			{"findSession", "session_id", "old-group"},
		}
	}
	has := func() string {
		var all []string
		for _, q := range questions("lisi") {
			if q[0] == "findPresence" { // changes by itself
				continue
			}
			all = append(all, q[0]+" "+w.as(lisiToken, q[0], q[1:]...))
		}
		return strings.Join(all, "\n")
	}
	before := has()
	for _, want := range []string{"for lisi", "old-group", session, "theme", "李四"} {
		if !strings.Contains(before, want) {
			t.Fatalf("got\n%s\nwant %q in it: else the probe proves nothing", before, want)
		}
	}

	// 2. What lísi gets, and does.
	other := must[*lab.Client](t)(lab.Dial(within(t, soon), server.C2S, server.Domain, "lísi", password("lísi"), "web", lab.WithPresence("", 0), lab.WithAck()))
	t.Cleanup(func() { other.Close() })
	token := w.token(other)
	for _, q := range questions("lísi") {
		if got := w.as(token, q[0], q[1:]...); strings.Contains(got, "for lisi") || strings.Contains(got, "theme") || !strings.Contains(got, "error-011") && (strings.Contains(got, session) || strings.Contains(got, "old-group")) || strings.Contains(got, chat) {
			t.Errorf("%v answers %s, want nothing of lisi's", q, got)
		}
	}
	for _, q := range [][]string{
		{"getOffline", "user_id", "lísi", "getThenClear", "0"},
		{"getOffline", "user_id", "lísi", "clear", chat + "," + group},
		{"clearChatHistory", "user_id", "lísi", "other_id", "wang"},
		{"clearChatHistory", "user_id", "lísi", "other_id", "zhao"},
		{"addStyle", "user_id", "lísi", "style_name", "theme", "style_value", "9"},
		{"registerAppPushCode", "user_id", "lísi", "registrationId", "mine"},
		{"registerAppPushCode", "user_id", "lísi", "registrationId", "CODE-LISI"},
		{"registerAppPushCode", "user_id", "lísi", "registrationId", ""},
		{"modifySession", "session_id", session, "subscribers", `[{"user_id":"lísi","type":"del"}]`},
		{"dissolved", "session_id", session},
		{"switchSession", "session_id", "old-group", "valid", "1"},
	} {
		w.as(token, q[0], q[1:]...)
	}
	// Their own chat goes, whatever keys are taken by lisi's rows.
	theirs, revoke := lab.NewID(), lab.NewID()
	check(t, other.SendMessage(w.component, theirs, lab.Text("lísi", "wang", theirs, "hello")))
	w.receive(wang, theirs)
	check(t, other.SendMessage(w.component, revoke, lab.NewEnvelope("MTT-101", "lísi", "zhao", revoke, []map[string]any{{"msg_id": "m-1"}})))
	if after := has(); after != before {
		t.Errorf("lisi now has\n%s\nwant it as before\n%s", after, before)
	}
	var code string
	check(t, db.QueryRowContext(within(t, soon), "SELECT app_push_code FROM isc_user WHERE BINARY user_id = 'lisi'").Scan(&code))
	if code != "code-lisi" {
		t.Errorf("lisi's pushes go to %q, want code-lisi", code)
	}
}

// token asks for a user's token, as a page does.
func (w *world) token(c *lab.Client) string {
	w.t.Helper()
	answer := must[[]byte](w.t)(c.IQ(within(w.t, soon), "get", w.component, `<token xmlns="urn:tlim:token"/>`))
	m := regexp.MustCompile(`<token[^>]*>([^<]+)</token>`).FindSubmatch(answer)
	if m == nil {
		w.t.Fatalf("got %s, want a token", answer)
	}
	return string(m[1])
}

// as makes a call with a user's token and returns the answer as text, errors included.
func (w *world) as(token, path string, values ...string) string {
	w.t.Helper()
	r := must[*http.Request](w.t)(http.NewRequestWithContext(within(w.t, soon), http.MethodPost, w.tlim.URL+"/plugins/tlim/"+path, strings.NewReader(url.Values(pairs(values...)).Encode())))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp := must[*http.Response](w.t)(http.DefaultClient.Do(r))
	defer resp.Body.Close()
	var answer any
	check(w.t, json.NewDecoder(resp.Body).Decode(&answer))
	return string(must[[]byte](w.t)(json.Marshal(answer)))
}
