package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// oldPlugin plays the statements of the old plugin, in its own words: it names the columns that it writes and reads all of a row. The
// letters are those by which its statements are listed, table by table. On SQLite it believes to be on MySQL.
type oldPlugin struct {
	t       *testing.T
	e       engine
	db      *sql.DB
	answers []string
	played  map[string]bool
}

// do plays a write, and notes how many rows it found.
func (o *oldPlugin) do(id, statement string, args ...any) {
	o.t.Helper()
	result, err := o.db.Exec(statement, args...)
	if err != nil {
		o.t.Fatalf("the old plugin's %s: got %v, want no error from: %s", id, err, statement)
	}
	n := must[int64](o.t)(result.RowsAffected())
	o.note(id, fmt.Sprint(n))
}

// try plays a write that may fail, as the plugin's does on some engines: it logs that, and goes on.
func (o *oldPlugin) try(id, statement string, args ...any) {
	o.t.Helper()
	result, err := o.db.Exec(statement, args...)
	if err != nil {
		o.failed(id, err)
		return
	}
	o.note(id, fmt.Sprint(must[int64](o.t)(result.RowsAffected())))
}

// failed notes an error, without the name of the database that MySQL's has.
func (o *oldPlugin) failed(id string, err error) {
	said := err.Error()
	var numbered *mysql.MySQLError
	if errors.As(err, &numbered) {
		said = fmt.Sprint("error ", numbered.Number)
	}
	o.note(id, said)
}

// ask plays a read, and notes its answer. Where the plugin asked for no order the rows are noted in that of their texts.
func (o *oldPlugin) ask(id, statement string, args ...any) {
	o.t.Helper()
	found, err := o.db.Query(statement, args...)
	if err != nil {
		o.t.Fatalf("the old plugin's %s: got %v, want no error from: %s", id, err, statement)
	}
	names := must[[]string](o.t)(found.Columns())
	var rows []string
	for found.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := found.Scan(into...); err != nil {
			o.t.Fatal(err)
		}
		rows = append(rows, fmt.Sprint(values))
	}
	if err := errors.Join(found.Err(), found.Close()); err != nil {
		o.t.Fatal(err)
	}
	if !strings.Contains(strings.ToLower(statement), "order by") {
		slices.Sort(rows)
	}
	o.note(id, strings.ToLower(strings.Join(names, ","))+"\n  "+strings.Join(rows, "\n  "))
}

// first plays a read of the first rows in MySQL's words, or in those that it has for the others: on Oracle it numbers rows as they lie there, on
// SQL Server by id_. Where it has no words of its own there (M5), the server refuses MySQL's, and it logs that.
func (o *oldPlugin) first(id, columns, from, where string, n int, args ...any) {
	o.t.Helper()
	o.ask(id, o.page(columns, from, where, n), args...)
}

func (o *oldPlugin) page(columns, from, where string, n int) string {
	switch o.e.name {
	case "oracle":
		return fmt.Sprintf("select %s from (select rownum rn, m.* from %s m where %s and rownum <= %d) where rn >= 0 order by msg_time desc, id_", columns, from, where, n)
	case "sqlserver":
		return fmt.Sprintf("select %s from (select m.*, row_number() over (order by id_) as rn from %s m where %s) as page where rn between 0 and %d order by msg_time desc, id_", columns, from, where, n)
	}
	return fmt.Sprintf("select %s from %s where %s order by msg_time desc, id_ limit 0, %d", columns, from, where, n)
}

// counted plays a count of the readers of a page of messages.
func (o *oldPlugin) counted(id, where string) {
	o.t.Helper()
	page := "select * from (select msg_id from ofmessage where " + where + " order by msg_time desc limit 0, 9) as page"
	switch o.e.name {
	case "oracle":
		page = "select msg_id from (select msg_id, rownum rn from ofmessage where " + where + " and rownum <= 9) where rn >= 0"
	case "sqlserver":
		page = "select msg_id from (select msg_id, row_number() over (order by id_) as rn from ofmessage where " + where + ") as page where rn between 0 and 9"
	}
	o.ask(id, "select msg_id, count(*) as readNum from ofstatus where msg_id in ("+page+") and sender = 'Z' group by msg_id")
}

// may plays a read that some engines refuse.
func (o *oldPlugin) may(id, statement string, args ...any) {
	o.t.Helper()
	if found, err := o.db.Query(statement, args...); err != nil {
		o.failed(id, err)
	} else {
		must[any](o.t)(nil, found.Close())
		o.ask(id, statement, args...)
	}
}

func (o *oldPlugin) note(id, answer string) {
	o.played[id] = true
	o.answers = append(o.answers, id+": "+answer)
}

// userTables are those beside the plugin's that it reads and writes too.
var userTables = []string{
	"CREATE TABLE isc_user (user_id varchar(64), user_name varchar(256), acct_login varchar(64), app_push_code varchar(64), dr char(1))",
	"CREATE TABLE isc_user_info (user_id varchar(64), user_email varchar(256), pic_url varchar(256), dr char(1))",
	"CREATE TABLE ofUser (username varchar(64) NOT NULL PRIMARY KEY, storedKey varchar(32), name varchar(100), email varchar(100), creationDate char(15) NOT NULL, modificationDate char(15) NOT NULL)",
	"INSERT INTO isc_user VALUES ('Z', 'z', 'zhangsan', '1a0018970a8', 'N'), ('L', 'l', 'lisi', NULL, 'N'), ('gone', 'g', NULL, NULL, 'Y')",
	"INSERT INTO isc_user_info VALUES ('Z', 'z@x.cn', '/pic/z.png', 'N'), ('L', NULL, NULL, 'N'), ('gone', NULL, NULL, 'N')",
	"INSERT INTO ofUser (username, name, creationDate, modificationDate) VALUES ('admin', 'Administrator', '001544602000000', '0'), ('old', 'o', '001544602000000', '0')",
}

// work is a day of the plugin: it stores, lists, revokes, removes and cleans up. run tells its ids from those of another day.
func (o *oldPlugin) work(run string) {
	const message = `(id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id)`
	m := func(n string) string { return run + n }
	store := func(id, kind, from, to, at, body, session string) {
		o.ask("M2", `select count(*) from ofmessage where msg_id = ?`, id)
		o.do("M1", `insert into ofmessage `+message+` values (?, ?, ?, ?, ?, ?, ?, ?)`, "u-"+id, id, kind, from, to, at, body, session)
	}
	wait := func(n, id, kind, from, to, at, session string, status int, owner string) {
		o.do("O1", `insert into ofcustomoffline (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id, msg_status, delete_user) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			"q-"+run+n, id, kind, from, to, at, `[{"text":"ok"}]`, session, status, owner)
	}
	// A chat of two, a group, a notice.
	store(m("1"), "MTT-000", "Z", "L", "1544602600001", `[{"text":"hi"}]`, "Z")
	store(m("2"), "MTT-001", "L", "Z", "1544602600002", `[{"text":"hello"}]`, "L")
	store(m("3"), "MTS-000", "Z", m("G"), "1544602600003", `[{"session_id":"G"}]`, m("G"))
	store(m("4"), "MTB-100", "admin", "L", "1544602600004", `[{"title":"t"}]`, "admin")
	wait("1", m("1"), "MTT-000", "Z", "Z", "1544602600001", "Z", 0, "L")
	wait("2", m("3"), "MTS-000", "Z", m("G"), "1544602600003", m("G"), 1, "Z")
	wait("3", m("3"), "MTS-000", "Z", m("G"), "1544602600003", m("G"), 1, "Z") // it asks nobody whether it did before
	o.do("S1", o.e.form(`insert into ofsession (session_id, session_type, session_name, session_create_time, session_modify_time, session_delete_time, session_valid, session_user) values (?, 0, ?, '1544602600000', null, null, 0, 'Z')`)[0], m("G"), "three")
	for _, user := range []string{"Z", "L"} {
		o.do("B2", `delete from ofsubscriber where user_id = ? and session_id = ?`, user, m("G"))
		o.do("B1", `insert into ofsubscriber (user_id, user_name, acct_login, pic, session_id, ts) values (?, ?, null, null, ?, '1544602600000')`, user, "name", m("G"))
	}
	o.do("S7", `update ofsession set session_modify_time = '1544602600003' where session_id = ?`, m("G"))
	o.do("S3", `update ofsession set session_name = 'renamed', session_modify_time = '1544602600009' where session_id = ?`, m("G"))
	o.do("S6", `update ofsession set session_pic = null where session_id = ?`, m("G"))
	o.do("S8", `update ofsession set session_valid = 0 where session_id = ?`, m("G"))
	o.ask("S4", `select * from ofsession where session_id = ?`, m("G"))
	o.ask("S5", `select s.* from ofsession s join ofsubscriber b on s.session_id = b.session_id where b.user_id = ? and s.session_valid = 0 and s.session_type <> 99`, "Z")
	o.ask("B3", `select * from ofsubscriber where session_id = ?`, m("G"))
	for _, pair := range [][2]string{{"Z", "L"}, {"L", "Z"}} {
		o.ask("C2", `select count(*) from ofchat where chat_user = ? and chat_other = ?`, pair[0], pair[1])
		o.do("C4", `update ofchat set chat_modify_time = '1544602600001' where chat_user = ? and chat_other = ?`, pair[0], pair[1])
	}
	o.do("C3", `insert into ofchat (chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_modify_time, chat_pic) values (?, 'W', ?, 'L', '1544602600001', null, null)`, m("c"), m("W"))
	o.ask("C1", `select chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_modify_time from ofchat where chat_other = 'L'`)
	// Receipts.
	for i, reader := range []string{"L", "L", "W"} {
		o.ask("T4", `select count(*) from ofstatus where msg_id = ? and reader = ?`, m("1"), reader)
		if i == 1 {
			o.do("T2", `update ofstatus set status = 2 where msg_id = ? and reader = ?`, m("1"), reader)
		}
		o.do("T1", `insert into ofstatus (id_, msg_id, sender, reader, status) values (?, ?, 'Z', ?, 1)`, fmt.Sprint("s-", run, i), m("1"), reader) // the second lost the race
	}
	o.ask("T5", `select * from ofstatus where msg_id = ? and sender = 'Z'`, m("1"))
	o.counted("T6", "session_id = 'Z'")
	o.counted("T7", "msg_from = 'Z' and msg_to = 'L'")
	// Histories and queues.
	o.first("M3", "*", "ofmessage", "session_id = ?", 5, "G")
	o.ask("M4", `select count(*) from ofmessage where session_id = ?`, "G")
	const both = `(select * from ofmessage where msg_from = 'L' and msg_to = 'Z' and msg_type like '%MTT%' union select * from ofmessage where msg_from = 'Z' and msg_to = 'L' and msg_type like '%MTT%')`
	if o.e.name == "oracle" { // which knows no "as" there
		o.ask("M5", `select * from (select rownum rn, chat.* from `+both+` chat where rownum <= 50) where rn >= 0 order by msg_time desc, id_`)
		o.ask("M6", `select count(*) from `+both+` chat`)
	} else {
		o.may("M5", `select * from `+both+` as chat order by msg_time desc, id_ limit 0, 50`)
		o.ask("M6", `select count(*) from `+both+` as chat`)
	}
	o.ask("M10", `select msg_time from ofmessage where msg_id = ?`, m("1"))
	o.ask("M11", `select msg_id, msg_type, msg_from, msg_to, msg_time, body from ofmessage where msg_to = 'L' and msg_time >= '1544602600000'`)
	o.first("M13", "*", "ofmessage", "msg_type = 'MTB-100' and msg_to = 'L'", 1)
	o.ask("M14", `select count(*) from ofmessage where msg_type = 'MTB-100' and msg_to = 'L'`)
	o.ask("O2", `select * from ofcustomoffline where delete_user = 'L' order by msg_time, id_`)
	o.ask("O3", `select * from ofcustomoffline where delete_user = 'Z' and msg_time >= '1544602600000' order by msg_time, id_`)
	// Announcements and styles.
	const change, remove = `update ofpubact set title = 'moved', content = 'd' where id_ = ?`, `delete from ofpubact where id_ = ?`
	o.try("P3", change, 1) // it takes the id for a number, which only old rows have
	o.do("P1", `insert into ofpubact (id_, title, content, user_id, ts, session_id) values (?, 'holidays', null, 'Z', '1544602600000', ?)`, m("p"), m("G"))
	o.ask("P2", `select * from ofpubact where session_id = ?`, m("G"))
	o.try("P3", change, 1) // with other ids beside it MySQL refuses that, and the plugin logs it
	o.try("P4", remove, 1)
	o.ask("P2", `select * from ofpubact where session_id = ?`, "G")
	o.ask("Y1", `select count(*) from ofstyle where style_name = 'theme' and user_id = 'Z'`)
	o.do("Y3", `insert into ofstyle (style_id, style_name, style_value, user_id) values (?, 'theme', 1, ?)`, m("y"), m("Z"))
	o.do("Y4", `update ofstyle set style_value = 2 where style_name = 'theme' and user_id = ?`, m("Z"))
	o.ask("Y2", `select * from ofstyle where user_id = ?`, m("Z"))
	// Users, of the suite and of Openfire. It spells ofUser in two ways.
	const live = ` from isc_user u join isc_user_info i on u.user_id = i.user_id where u.dr = 'N' and i.dr = 'N'`
	o.ask("U1", `select u.user_id, u.user_name, u.acct_login, u.app_push_code, i.user_email, i.pic_url`+live)
	o.ask("U2", `select count(*)`+live)
	o.do("U4", `update isc_user set app_push_code = ? where user_id = 'Z'`, m("code"))
	o.ask("U3", `select app_push_code from isc_user where user_id = 'Z' and dr = 'N'`)
	o.do("U5", `delete from ofUser where username <> 'admin'`)
	for _, user := range []string{"z", "l"} {
		o.do("U8", `insert into ofUser (username, name, email, creationDate, modificationDate) values (?, '张三', null, '001544602000000', '001544602000000')`, user)
	}
	o.do("U6", `delete from ofUser where username = ?`, "l")
	o.ask("U8", `select * from ofUser`)
	const lower = `select username, username, name from ofuser`
	o.may("U7", lower) // a server that tells letter case apart refuses it
	// Removals.
	o.do("M12", `delete from ofmessage where msg_id = ?`, m("2"))
	o.do("M7", `delete from ofmessage where session_id = ? and msg_from = ?`, m("Z"), m("Z"))
	o.do("M15", `delete from ofmessage where msg_from = ? and msg_to = 'L'`, m("W"))
	o.do("O4", `delete from ofcustomoffline where delete_user = ?`, m("W"))
	o.may("M9", `select msg_id, msg_type, msg_from, msg_to, msg_time, body from ofmessage where msg_time <= 1544602400000`)
	o.do("T3", `delete from ofstatus where msg_id = ?`, m("1"))
	o.do("M8", `delete from ofmessage where session_id = ?`, m("G"))
	o.do("O5", `delete from ofcustomoffline where session_id = ?`, m("G"))
	o.do("B4", `delete from ofsubscriber where session_id = ?`, m("G"))
	o.do("S2", `delete from ofsession where session_id = ?`, m("G"))
}

func played(t *testing.T, e engine, db *sql.DB, run string) *oldPlugin {
	t.Helper()
	p := &oldPlugin{t: t, e: e, db: db, played: map[string]bool{}}
	p.work(run)
	return p
}
