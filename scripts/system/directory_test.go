package system

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// suite is an Openfire on a MariaDB, as sites have it, and that database.
type suite struct {
	server *lab.Server
	db     *sql.DB
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := must[*lab.Server](t)(lab.StartOpenfire(within(t, patience), lab.Options{Dir: t.TempDir(), DB: "mariadb",
		Users: map[string]string{"zhangsan": password("zhangsan"), "lisi": password("lisi"), "admin": password("admin")}}))
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	db := must[*sql.DB](t)(sql.Open("mysql", s.DSN))
	t.Cleanup(func() { db.Close() })
	return &suite{s, db}
}

func (s *suite) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := s.db.ExecContext(within(t, soon), query, args...)
	check(t, err)
}

// accounts lists the server's accounts.
func (s *suite) accounts(t *testing.T) string {
	t.Helper()
	rows := must[*sql.Rows](t)(s.db.QueryContext(within(t, soon), "SELECT username, COALESCE(name, '') FROM ofUser ORDER BY username"))
	defer rows.Close()
	var list []string
	for rows.Next() {
		var user, name string
		check(t, rows.Scan(&user, &name))
		list = append(list, user+"="+name)
	}
	check(t, rows.Err())
	slices.Sort(list)
	return strings.Join(list, " ")
}

// world starts a tlim on the server.
func (s *suite) world(t *testing.T, config map[string]any) *world {
	t.Helper()
	return newWorld(t, func() (*lab.Server, error) { return s.server, nil }, config)
}

// members lists whom a new session of these takes, with their names.
func (w *world) members(ids ...string) string {
	w.t.Helper()
	session, err := w.tlim.AddSession(within(w.t, soon), "admin", ids...)
	if err != nil {
		return err.Error()
	}
	var list []string
	for _, m := range w.get("findSubscribers", "session_id", session)["subscribers"].([]any) {
		row := m.(map[string]any)
		list = append(list, fmt.Sprint(row["user_id"], "=", row["user_name"]))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// become waits until new sessions take exactly these.
func (w *world) become(want string, ids ...string) {
	w.t.Helper()
	got := ""
	w.look()
	await(w.t, within(w.t, soon), "users "+want, func() (bool, error) {
		got = w.members(ids...)
		return got == want, errors.New("they are " + got)
	})
}

func (w *world) log() string { return string(must[[]byte](w.t)(os.ReadFile(w.tlim.Log))) }

func (w *world) logs(text string) {
	w.t.Helper()
	await(w.t, within(w.t, soon), "the log to say "+text, func() (bool, error) { return strings.Contains(w.log(), text), nil })
}

// look makes tlim look at its source now: a call that speaks of users does.
func (w *world) look() { w.t.Helper(); w.get("removeUser", "userList", `[{user_id:"no-such-user"}]`) }

// logsIn says whether a client gets in.
func (w *world) logsIn(user, password string) bool {
	w.t.Helper()
	c, err := lab.Dial(within(w.t, soon), w.server.C2S, w.server.Domain, user, password, "try")
	if errors.Is(err, lab.ErrLogin) {
		return false
	}
	check(w.t, err)
	check(w.t, c.Close())
	return true
}

// Users come from a real server's own tables, and their accounts are made and removed there.
func TestDirectory(t *testing.T) {
	s := newSuite(t)

	// The deployed way: tlim's tables are in Openfire's database.
	t.Run("users are the server's accounts", func(t *testing.T) {
		w := s.world(t, map[string]any{"store.driver": "mysql", "store.dsn": s.server.DSN, "directory.source": "openfire", "directory.max_remove": "40%"})
		all := []string{"ZhangSan", "lisi", "wangwu", "admin", "nobody"}
		w.become("lisi=lisi zhangsan=zhangsan", all...)
		session := must[string](t)(w.tlim.AddSession(within(t, soon), "zhangsan", "zhangsan", "lisi"))

		s.exec(t, "UPDATE ofUser SET name = '李四 😀' WHERE username = 'lisi'")
		s.exec(t, "INSERT INTO ofUser (username, plainPassword, name, creationDate, modificationDate) VALUES ('wangwu', 'w', NULL, '0', '0')")
		w.become("lisi=李四 😀 wangwu=wangwu zhangsan=zhangsan", all...)
		await(t, within(t, soon), "the new name in lists", func() (bool, error) {
			return strings.Contains(fmt.Sprint(w.get("findSubscribers", "session_id", session)), "user_name:李四 😀"), nil
		})

		s.exec(t, "DELETE FROM ofUser WHERE username = 'wangwu'")
		w.become("lisi=李四 😀 zhangsan=zhangsan", all...)

		// As the old plugin did at each start.
		s.exec(t, "CREATE TABLE kept AS SELECT * FROM ofUser")
		s.exec(t, "DELETE FROM ofUser WHERE username <> 'admin'")
		w.look()
		w.logs("nobody was removed")
		if held := w.metric("tlim_directory_removals_held"); held != 2 {
			t.Errorf("%v are held, want 2", held)
		}
		w.become("lisi=李四 😀 zhangsan=zhangsan", all...)
		s.exec(t, "INSERT INTO ofUser SELECT * FROM kept WHERE username <> 'admin'")
		w.look()
		w.logs("the directory follows its source again")
	})

	t.Run("a store of its own, dry", func(t *testing.T) {
		w := s.world(t, map[string]any{"directory.source": "openfire", "directory.dsn": s.server.DSN, "directory.dry_run": true})
		w.logs(`directory.dry_run: a poll would do this" users=2 added=2 changed=0 left=0`)
		if got := w.members("lisi"); got != "lisi=lisi" { // who is looked for, and has no name of the source
			t.Errorf(`a dry run made users: got %s, want "lisi=lisi"`, got)
		}
	})

	t.Run("accounts follow calls", func(t *testing.T) {
		w := s.world(t, map[string]any{"directory.create_accounts": true, "directory.remove_accounts": true, "directory.initial_password": "Erstes Wort 1"})
		w.get("addUser", "userList", `[{user_id:"New-User",user_name:"新人 😀",user_email:"n@x.cn"},{user_id:"lisi",user_name:"another name"},{user_id:"a b"},{user_id:"plain"}]`)
		if got, want := s.accounts(t), `a\20b=a b admin=admin lisi=李四 😀 new-user=新人 😀 plain=plain zhangsan=zhangsan`; got != want {
			t.Errorf("the server has %s\nwant %s", got, want)
		}
		if !w.logsIn("new-user", "Erstes Wort 1") || !w.logsIn("lisi", password("lisi")) || w.logsIn("lisi", "Erstes Wort 1") || w.logsIn("new-user", "123") {
			t.Error("a wrong password logs in or a right one does not, want the initial password for the new account alone, and lisi's as before")
		}
		fresh := must[*lab.Client](t)(lab.Dial(within(t, soon), w.server.C2S, w.server.Domain, "new-user", "Erstes Wort 1", "1", lab.WithPresence("", 0), lab.WithDirected(w.component), lab.WithAck()))
		defer fresh.Kill()
		id := lab.NewID()
		w.send(w.online("zhangsan", "1"), id, lab.Text("zhangsan", "New-User", id, "welcome"))
		w.receive(fresh, id)

		w.get("removeUser", "userList", `[{user_id:"New-User"},{user_id:"plain"},{user_id:"nobody"}]`)
		if w.logsIn("new-user", "Erstes Wort 1") {
			t.Error("a removed user logs in, want them refused")
		}
		if got, want := s.accounts(t), `a\20b=a b admin=admin lisi=李四 😀 zhangsan=zhangsan`; got != want {
			t.Errorf("the server has %s\nwant %s", got, want)
		}
		w.get("addUser", "userList", `[{user_id:"New-User"}]`)
		if !w.logsIn("new-user", "Erstes Wort 1") {
			t.Error("a user who is back is refused, want them to log in")
		}
		if n := w.metric(`tlim_accounts_total{what="failed"}`); n != 0 {
			t.Errorf("%v failures: %s, want 0", n, w.log())
		}
		if strings.Contains(w.log(), "Erstes") {
			t.Error("the log has the initial password, want no trace of it")
		}
	})

	t.Run("an account that is not there is removed", func(t *testing.T) {
		w := s.world(t, map[string]any{"directory.remove_accounts": true})
		before := s.accounts(t)
		w.get("addUser", "userList", `[{user_id:"ghost"}]`)
		w.get("removeUser", "userList", `[{user_id:"ghost"}]`)
		w.logs("of_removed=ghost")
		if n := w.metric(`tlim_accounts_total{what="failed"}`); n != 0 || s.accounts(t) != before {
			t.Errorf("got %v failures and the accounts %s, want 0 and %s", n, s.accounts(t), before)
		}
	})

	t.Run("a password that nobody knows", func(t *testing.T) {
		w := s.world(t, map[string]any{"directory.source": "openfire", "directory.dsn": s.server.DSN, "directory.create_accounts": true})
		w.logs("each new account gets a random password")
		w.get("addUser", "userList", `[{user_id:"secretive"}]`)
		w.logs("of_made=secretive")
		for _, guess := range []string{"123", "secretive", "password"} {
			if w.logsIn("secretive", guess) {
				t.Errorf("the password %q logs in, want one that nobody guesses", guess)
			}
		}
		w.become("secretive=secretive zhangsan=zhangsan", "secretive", "zhangsan") // and stays a user of the source
		w.get("removeUser", "userList", `[{user_id:"secretive"}]`)
		w.become("secretive=secretive zhangsan=zhangsan", "secretive", "zhangsan") // accounts are not removed: the source has the last word
		if strings.Contains(w.log(), "removed=1") {
			t.Error("the log says that an account was removed, want none removed unless the configuration says so")
		}
	})

	t.Run("no tables, no start", func(t *testing.T) {
		config := settings(s.server, newComponent(s.server), map[string]any{"directory.source": "isc", "directory.dsn": s.server.DSN})
		_, err := lab.StartTlim(within(t, soon), lab.TlimOptions{Dir: t.TempDir(), Config: config})
		if err == nil || !strings.Contains(err.Error(), "directory.source isc: the tables do not fit: missing are table isc_user, table isc_user_info; directory.dsn says where they are") {
			t.Errorf("the start: got the error %v, want one that names the missing tables and directory.dsn", err)
		}
	})

	t.Run("the business suite's tables", func(t *testing.T) {
		s.exec(t, "CREATE TABLE isc_user (user_id varchar(64), user_name varchar(256), acct_login varchar(64), app_push_code varchar(64), dr char(1)) CHARACTER SET utf8")
		s.exec(t, "CREATE TABLE isc_user_info (user_id varchar(64), user_email varchar(256), pic_url varchar(256), dr char(1)) CHARACTER SET utf8")
		s.exec(t, "INSERT INTO isc_user VALUES ('015748A9', '张三', 'zhangsan', 'old', 'N'), ('gone', 'x', 'x', NULL, 'Y')")
		s.exec(t, "INSERT INTO isc_user_info VALUES ('015748A9', 'z@x.cn', '/pic/z.png', 'N'), ('gone', 'x', 'x', 'N')")
		w := s.world(t, map[string]any{"directory.source": "isc", "directory.dsn": s.server.DSN, "directory.create_accounts": true, "directory.initial_password": "Erstes Wort 1"})
		w.become("015748A9=张三", "015748a9", "gone")
		w.get("registerAppPushCode", "user_id", "015748a9", "registrationId", "new")
		var code string
		check(t, s.db.QueryRowContext(within(t, soon), "SELECT app_push_code FROM isc_user WHERE user_id = '015748A9'").Scan(&code))
		if code != "new" {
			t.Errorf("isc_user holds the code %q, want new", code)
		}
		w.logs("of_made=015748A9")
		if !w.logsIn("015748a9", "Erstes Wort 1") || !strings.Contains(s.accounts(t), "015748a9=张三") || strings.Contains(s.accounts(t), "gone") {
			t.Errorf("the server has %s, want 015748a9=张三 with the initial password, and no account \"gone\"", s.accounts(t))
		}
	})

	t.Run("an old database of the server", func(t *testing.T) {
		s.exec(t, "UPDATE ofUser SET name = username")
		s.exec(t, "ALTER TABLE ofUser CONVERT TO CHARACTER SET utf8")
		w := s.world(t, map[string]any{"directory.create_accounts": true, "directory.initial_password": "Erstes Wort 1"})
		w.get("addUser", "userList", `[{user_id:"emoji",user_name:"新😀人"}]`)
		w.logs("of_made=emoji")
		if !w.logsIn("emoji", "Erstes Wort 1") || !strings.Contains(s.accounts(t), "emoji=新人") {
			t.Errorf("the server has %s, want emoji=新人 with the initial password", s.accounts(t))
		}
	})
}

// Another server makes no accounts for a component: that is said once, and users are users all the same.
func TestDirectoryOfAnotherServer(t *testing.T) {
	w := newWorld(t, prosody, map[string]any{"directory.create_accounts": true, "directory.initial_password": "Erstes Wort 1"})
	w.get("addUser", "userList", `[{user_id:"new",user_name:"N"},{user_id:"other"}]`)
	w.logs("the server lets us keep no accounts")
	if got := w.members("new"); got != "new=N" {
		t.Errorf(`users are %s, want "new=N"`, got)
	}
	if n := w.metric("tlim_accounts_total"); n != 0 {
		t.Errorf("%v accounts, want 0", n)
	}
}
