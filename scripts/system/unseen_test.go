package system

import (
	"fmt"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// leftOut is skipped of an answer: "nobody unknown".
func leftOut(answer map[string]any) string {
	var list []string
	rows, _ := answer["skipped"].([]any)
	for _, row := range rows {
		fields := row.(map[string]any)
		list = append(list, fmt.Sprint(fields["user_id"], " ", fields["reason"]))
	}
	return strings.Join(list, ", ")
}

// A colleague whom tlim has not yet seen gets into a group and receives what is sent there, in a first week without a directory. Who
// has no account is named, where the server says so; where it does not, nobody is left out.
func TestUnseenColleague(t *testing.T) {
	for name, c := range map[string]struct {
		server func() (*lab.Server, error)
		tells  bool
	}{"openfire": {openfire, true}, "prosody": {prosody, false}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.server, nil)
			users := people(t, 4)
			boss, unseen, later, told := users[0], users[1], users[2], users[3]
			none := func(want string) string {
				if c.tells {
					return want
				}
				return ""
			}
			if _, state, err := w.tlim.Ready(within(t, soon)); err != nil || !strings.Contains(state, `"users": {
    "ok": true,
    "state": "api"
  }`) {
				t.Errorf(`/readyz says %s, %v, want ok users with the state "api" and no error`, state, err)
			}
			w.logs("directory.source auto: where users come from")

			answer := w.get("addSession", "session_type", "0", "request_user", boss, "subscribers", fmt.Sprintf(`[{user_id:%q},{user_id:%q},{user_id:"No-Such-User"}]`, boss, unseen))
			if got, want := leftOut(answer), none("No-Such-User unknown"); got != want {
				t.Errorf("left out of the group: %q, want %q", got, want)
			}
			session := answer["session_id"].(string)
			edited := w.get("modifySession", "session_id", session, "subscribers", fmt.Sprintf(`[{user_id:%q,type:"add"},{user_id:"nor-this",type:"add"},{user_id:"x",type:"join"}]`, later))
			if got, want := leftOut(edited), strings.TrimSuffix("x type, "+none("nor-this unknown"), ", "); got != want {
				t.Errorf("left out of the change: %q, want %q", got, want)
			}
			if c.tells {
				w.logs("no-such-user (unknown)")
			}
			sender, first, second := w.online(boss, "1"), w.online(unseen, "1"), w.online(later, "1")
			id := lab.NewID()
			w.send(sender, id, lab.GroupText(boss, session, id, "welcome"))
			w.receive(first, id)
			w.receive(second, id)

			// Notices likewise.
			noticed := w.get("approval", "params", `[{docTitle:"x"}]`, "msgTo", told+",no-such-user")
			if got, want := leftOut(noticed), none("no-such-user unknown"); got != want {
				t.Errorf("left out of the notice: %q, want %q", got, want)
			}
			if rows := w.queue(told).List; len(rows) != 1 {
				t.Errorf("%d rows wait for %s, want 1", len(rows), told)
			}
			alone := must[map[string]any](t)(w.tlim.Get(within(t, soon), "systemMessage", pairs("params", `[{title:"x"}]`, "msgTo", "no-such-user")))
			if result := alone["result"]; result != "error-008" && c.tells || result != "ok" && !c.tells || leftOut(alone) != none("no-such-user unknown") {
				t.Errorf("a notice to nobody: got %v, want error-008 where the server tells who is known (it does: %v), else ok", alone, c.tells)
			}
		})
	}
}

// Where tlim's tables are in Openfire's own database, the accounts there are users without a word of configuration, and what the
// business system says of them counts more.
func TestUsersOfTheServersDatabase(t *testing.T) {
	s := newSuite(t)
	s.exec(t, "UPDATE ofUser SET name = '李四 😀' WHERE username = 'lisi'")
	s.exec(t, "INSERT INTO ofUser (username, plainPassword, name, creationDate, modificationDate) VALUES ('gone', 'w', 'Gone', '0', '0')")
	w := s.world(t, map[string]any{"store.driver": "mysql", "store.dsn": s.server.DSN, "directory.interval": "1s", "directory.max_remove": "50%"})
	all := []string{"ZhangSan", "lisi", "admin", "nobody", "gone"}
	w.logs("from=ofUser")
	w.become("gone=Gone lisi=李四 😀 zhangsan=zhangsan", all...)
	if _, state, err := w.tlim.Ready(within(t, soon)); err != nil || !strings.Contains(state, `"state": "ofUser"`) {
		t.Errorf(`/readyz says %s, %v, want the state "ofUser" and no error`, state, err)
	}
	w.get("addUser", "userList", `[{user_id:"zhangsan",user_name:"张三"},{user_id:"robot",user_name:"OA"}]`)
	w.get("removeUser", "userList", `[{user_id:"gone"}]`)
	s.exec(t, "UPDATE ofUser SET name = 'another' WHERE username <> 'lisi'")
	s.exec(t, "UPDATE ofUser SET name = '小李' WHERE username = 'lisi'")
	w.become("lisi=小李 robot=OA zhangsan=张三", append(all, "robot")...)

	// As the old plugin did at each start.
	s.exec(t, "CREATE TABLE kept AS SELECT * FROM ofUser")
	s.exec(t, "DELETE FROM ofUser WHERE username <> 'admin'")
	polls := w.metric(`tlim_directory_polls_total{result="ok"}`)
	await(t, within(t, soon), "some polls", func() (bool, error) { return w.metric(`tlim_directory_polls_total{result="ok"}`) >= polls+3, nil })
	w.become("lisi=小李 robot=OA zhangsan=张三", append(all, "robot")...)
}
