package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

// oldTables are the tables as the old plugin's scripts made them; charset is their MySQL clause.
func oldTables(e engine, id, charset string) []string {
	if e.name != "mysql" {
		charset = ""
	}
	offline := charset
	if charset != "" {
		offline = " CHARACTER SET latin1" // the script forgot its clause, and the server's default was latin1
	}
	return e.form(
		"CREATE TABLE ofmessage (id_ "+id+" PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64))"+charset,
		"CREATE TABLE ofcustomoffline (id_ "+id+" PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64), msg_status int, delete_user varchar(64))"+offline,
		"CREATE TABLE ofsession (session_id varchar(64) NOT NULL PRIMARY KEY, session_type int, session_name varchar(256), session_create_time varchar(20), session_modify_time varchar(20), session_delete_time varchar(20), session_valid int, session_user varchar(64), session_pic varchar(256))"+charset,
		"CREATE TABLE ofsubscriber (user_id varchar(64) NOT NULL, user_name varchar(256), acct_login varchar(64), pic varchar(128), session_id varchar(64) NOT NULL, ts varchar(20), PRIMARY KEY (user_id, session_id))"+charset,
		"CREATE TABLE ofstatus (id_ "+id+" PRIMARY KEY, msg_id varchar(64), sender varchar(64), reader varchar(64), status int)"+charset,
		"CREATE TABLE ofchat (chat_id varchar(64) NOT NULL PRIMARY KEY, chat_name varchar(64), chat_user varchar(64), chat_other varchar(64), chat_create_time varchar(64), chat_modify_time varchar(64), chat_pic varchar(64))"+charset,
		"CREATE TABLE ofpubact (id_ "+id+" PRIMARY KEY, title varchar(256), content varchar(3920), user_id varchar(64), ts varchar(64), session_id varchar(64))"+charset,
		"CREATE TABLE ofstyle (style_id "+id+" PRIMARY KEY, style_name varchar(64), style_value int, user_id varchar(64))"+charset)
}

// oldRows are such as the old system left: duplicates, NULLs, old forms.
var oldRows = []string{
	`INSERT INTO ofmessage VALUES ('1', 'm1', 'MTT-000', 'Z', 'L', '1544602393123', '[{"text":"你好"}]', 'Z'),
		('2', 'm1', 'MTT-000', 'Z', 'L', '1544602393123', '[{"text":"你好"}]', 'Z'),
		('3', 'm2', 'MTS-000', 'Z', 'G', '1544602401877', '[{"session_id":"G","text":"开会"}]', 'G'),
		('4', 'm3', 'MTT-101', 'Z', 'L', '1544602410002', '[{"msg_id":"m1"}]', 'Z'),
		('5', 'm4', 'MTS-103', 'Z', 'G', '1544602410003', '[{"session_id":"G"}]', 'G'),
		('6', 'm6', 'MTB-000', 'admin', 'L', '1544602500000', '[{"spType":"1052M001"}]', 'admin'),
		('7', 'm7', 'MTB-100', 'admin', 'L', '1544602500001', '[{"type":2}]', 'admin'),
		('8', NULL, 'MTT-000', 'Z', NULL, NULL, NULL, 'Z'),
		('9', 's', 'MTT-000', 'Z', 'L', '1544602393', '[]', 'Z'),
		('10', 'd', 'MTT-000', 'Z', 'L', '2018-12-12 16:13:13', '[]', 'Z'),
		('11', 'f', 'MTT-000', 'Z', 'L', '1893456000000', '[]', 'Z'),
		('317', 'e', 'MTT-000', 'Z', 'L', '1540000000000', '%5B%7B%22text%22%3A%22a%22%7D%5D', 'L')`,
	`INSERT INTO ofcustomoffline VALUES ('1', 'm2', 'MTS-000', 'Z', 'G', '1544602401877', '[]', 'G', 1, 'Z'),
		('2', 'm2', 'MTS-000', 'Z', 'G', '1544602401877', '[]', 'G', 1, 'Z'),
		('3', 'm2', 'MTS-000', 'Z', 'G', '1544602401877', '[]', 'G', 0, 'Z'),
		('4', 'm2', 'MTS-000', 'Z', 'G', '1544602401877', '[]', 'G', 0, 'L'),
		('5', 'm1', 'MTT-000', 'Z', 'Z', '1544602393123', '[{"text":"??"}]', 'Z', 0, 'L'),
		('6', 'm1', 'MTT-000', 'Z', 'Z', '1544602393123', '[]', 'Z', 0, 'Z'),
		('7', 'm1', 'MTT-000', 'Z', 'L', '1544602393123', '[]', 'Z', 0, 'L'),
		('8', NULL, 'MTT-000', NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
	`INSERT INTO ofsession VALUES ('G', 0, '张三,李四', '1544602300000', NULL, NULL, 0, 'Z', NULL), ('H', NULL, '', '1', NULL, NULL, NULL, NULL, NULL)`,
	`INSERT INTO ofsubscriber VALUES ('L', '李四', 'lisi', '/pic/lisi.png', 'G', '1544602299998'), ('Z', NULL, NULL, NULL, 'G', NULL), ('Z', 'z', NULL, NULL, 'nosuch', '1')`,
	`INSERT INTO ofstatus VALUES ('1', 'm1', 'Z', 'L', 1), ('2', 'm1', 'Z', 'L', 2), ('3', 'm2', 'G', 'L', 2), ('4', NULL, NULL, NULL, 0), ('5', NULL, NULL, NULL, 0)`,
	`INSERT INTO ofchat VALUES ('u1', '张三', 'Z', 'L', '1544602393150', NULL, '/pic/z.png'), ('u2', '李四', 'L', 'Z', '1', NULL, NULL), ('u3', '张三', 'Z', 'L', '2', NULL, NULL)`,
	`INSERT INTO ofpubact VALUES ('1', '放假通知', 'c', 'Z', '1544602600000', 'G')`,
	`INSERT INTO ofstyle VALUES ('1', 'theme', 3, 'Z'), ('2', 'theme', 4, 'Z')`,
}

const varchar64 = "varchar(64) NOT NULL"

func TestLegacyTables(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		var log bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		s, epoch := owned(t, cfg)

		// 1. Only own tables and nullable columns were added, and every missing index is named.
		r := s.Report()
		equal(t, "created", r.Created, []string{"tlim_schema", "tlim_state", "tlim_id", "tlim_user", "tlim_former", "tlim_purge", "tlim_secret", "tlim_file", "tlim_file_use", "tlim_push", "tlim_call", "tlim_call_part", "tlim_key", "tlim_audit", "tlim_event", "tlim_leader"})
		equal(t, "added", r.Added, []string{"ofmessage.flags", "ofcustomoffline.flags"})
		if len(r.Missing) != 15 || !strings.Contains(log.String(), "CREATE INDEX tlim_message_id ON ofmessage (msg_id)") || strings.Contains(fmt.Sprint(r.Missing), "UNIQUE") {
			t.Errorf("missing indexes: got %d\n%s\n%s\nwant 15, log with \"CREATE INDEX tlim_message_id ON ofmessage (msg_id)\", text without UNIQUE", len(r.Missing), strings.Join(r.Missing, "\n"), log.String())
		}
		raw := e.raw(t, cfg)
		run(t, raw, r.Missing...) // they can be built on these rows
		again := open(t, cfg).Report()
		equal(t, "nothing is left to do", len(again.Created)+len(again.Added)+len(again.Missing), 0)

		// 2. No replay of the old system's messages, also not of those whose clock ran ahead.
		st := must[store.State](t)(s.State(ctx))
		equal(t, "positions", store.Positions{Delivered: st.Delivered, Settled: st.Settled}, store.Positions{Delivered: 1544602500001, Settled: 1544602500001})
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Clock: 1700000000001}, []store.Change{tell(1, "a", "b")}))
		equal(t, "replay", ids(must[[]store.Message](t)(s.MessagesAfter(ctx, fmt.Sprint(st.Settled), "", 10))), []string{"m1"})

		// 3. Reads.
		list, total, err := s.ChatHistory(ctx, "Z", "L", store.Page{Length: 100})
		equal(t, "chat", fmt.Sprint(ids(list), total, err), "[d f m3 m1 m1 s e] 7 <nil>")
		list, total, err = s.GroupHistory(ctx, "G", store.Page{Length: 100})
		equal(t, "group", fmt.Sprint(ids(list), total, err), "[m4 m2] 2 <nil>")
		list, total, err = s.NoticeHistory(ctx, "L", "MTB-100", store.Page{Length: 100})
		equal(t, "notices", fmt.Sprint(ids(list), total, err), "[m7] 1 <nil>")
		equal(t, "duplicates", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))["m1"]), 3)
		equal(t, "queue", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "Z", "", "", "", 100))), 4)
		equal(t, "raced receipts", len(must[[]store.Receipt](t)(s.ReceiptsOf(ctx, "m1", "Z"))), 2)
		equal(t, "readers, not rows", must[map[string]int](t)(s.ReadCounts(ctx, "Z", []string{"m1"})), map[string]int{"m1": 1})
		equal(t, "raced chats", len(must[[]store.Chat](t)(s.ChatsOf(ctx, "L"))), 2)
		equal(t, "a NULL type is no list's", len(must[[]store.Group](t)(s.GroupsOf(ctx, "Z"))), 1)
		equal(t, "member without a time", must[map[string][]store.Member](t)(s.Members(ctx, []string{"G"}))["G"],
			[]store.Member{{UserID: "Z", SessionID: "G"}, {UserID: "L", UserName: "李四", Login: "lisi", Pic: "/pic/lisi.png", SessionID: "G", Since: "1544602299998"}})

		// 4. Writes: all duplicates of what is named, nothing else.
		apply(t, s, epoch, store.Change{DropMessages: []store.Drop{{MsgID: "m1", From: "L", To: "Z"}}, DropOffline: []store.OfflineKey{{Owner: "Z", MsgID: "m2"}},
			Chats: []store.Chat{{Partner: "Z", Owner: "L", ModifyTime: "9"}}})
		count := func(query string) (n int) {
			if err := raw.QueryRow(query).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		equal(t, "messages", count("SELECT COUNT(*) FROM ofmessage"), 11) // 12 of before, one new, two gone
		equal(t, "another's message of the same id", ids(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))["m1"]), []string{"m1"})
		equal(t, "offline rows", count("SELECT COUNT(*) FROM ofcustomoffline"), 2)
		equal(t, "receipts", count("SELECT COUNT(*) FROM ofstatus"), 3)
		equal(t, "both raced chats moved", count("SELECT COUNT(*) FROM ofchat WHERE chat_modify_time = '9'"), 2)

		// 5. What the old columns cannot hold is refused, not cut.
		for what, c := range map[string]store.Change{
			"body":   say(50, "z", "g", strings.Repeat("x", 3921)),
			"member": {Members: []store.Member{{UserID: strings.Repeat("x", 65), SessionID: "g"}}},
		} {
			t.Run(what, func(t *testing.T) {
				err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{c})
				if e.name == "mysql" && !errors.Is(err, store.ErrData) {
					t.Errorf("%s too long: got %v, want %v", what, err, store.ErrData)
				}
			})
		}
	})
}

// TestSettingsOfTheServer: what an administrator set for all sessions of a MySQL or MariaDB server changes nothing here. A parameter of the
// DSN makes the new session as a global variable would, without a word to those who use the server beside this test.
func TestSettingsOfTheServer(t *testing.T) {
	e := mysqlEngine
	for _, setting := range []string{
		"sql_select_limit=1", "sql_big_selects=0&max_join_size=1", "sql_safe_updates=1", "sql_auto_is_null=1", "autocommit=0", "completion_type='CHAIN'", "completion_type='RELEASE'",
		"tx_read_only=1", "tx_isolation='SERIALIZABLE'", "max_statement_time=0.000001", "max_sort_length=64", "unique_checks=0", "group_concat_max_len=4", "div_precision_increment=0",
		"time_zone='-11:30'", "innodb_lock_wait_timeout=1", "lock_wait_timeout=1", "character_set_results=latin1", "foreign_key_checks=0", "sql_quote_show_create=0",
		"old_mode=''", "default_storage_engine=MyISAM", "wait_timeout=5", "sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'",
	} {
		t.Run(setting, func(t *testing.T) {
			cfg := e.fresh(t, oldTables(e, varchar64, "")...)
			raw := e.raw(t, cfg)
			if strings.Contains(cfg.DSN, "?") {
				setting = "&" + setting
			} else {
				setting = "?" + setting
			}
			cfg.DSN += setting
			s, epoch := owned(t, cfg)
			first, second := tell(1, "z", "l"), tell(2, "l", "z")
			for n, c := range []store.Change{first, second} { // with four bytes for a character, a sort by 64 bytes sees no difference
				c.Message.MsgID, c.Message.Time = strings.Repeat("a", 30)+fmt.Sprint(n), clock(1)
				c.IDs[0].MsgID = c.Message.MsgID
			}
			first.Message.Body, second.Message.Body = "汉字", `\"'`+"`"
			status := store.Receipt{ID: "r", MsgID: first.Message.MsgID, Sender: "z", Reader: "l", Status: 1}
			first.Receipts = []store.Receipt{status}
			apply(t, s, epoch, first)
			status.ID, status.Status = "", 2
			second.Receipts = []store.Receipt{status}
			apply(t, s, epoch, second)

			var stored int
			if err := raw.QueryRow("SELECT COUNT(*) FROM ofmessage WHERE msg_id LIKE 'aaa%'").Scan(&stored); err != nil || stored != 2 {
				t.Errorf("got %d messages and %v by another session, want the 2 that were written", stored, err)
			}
			page, _, err := s.ChatHistory(ctx, "z", "l", store.Page{Length: 10})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "history", ids(page), ids([]store.Message{*second.Message, *first.Message}))
			found := must[map[string][]store.Message](t)(s.MessagesByID(ctx, ids(page)))
			for _, m := range []*store.Message{first.Message, second.Message} {
				if by := found[m.MsgID]; len(by) != 1 || by[0].Body != m.Body {
					t.Errorf("got %v by the id %s, want the message with %s", by, m.MsgID, m.Body)
				}
			}
			equal(t, "receipts", must[[]store.Receipt](t)(s.ReceiptsOf(ctx, first.Message.MsgID, "z")), []store.Receipt{{ID: "r", MsgID: first.Message.MsgID, Sender: "z", Reader: "l", Status: 2}})
		})
	}
}

func TestLegacyCharacterSets(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8")...)
	raw := e.raw(t, cfg)
	// A server that cuts and replaces, as old ones do: the session has to insist.
	var mode string
	if err := raw.QueryRow("SELECT @@GLOBAL.sql_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run(t, raw, "SET GLOBAL sql_mode = '"+mode+"'") })
	run(t, raw, "SET GLOBAL sql_mode = ''")
	s, epoch := owned(t, cfg)
	if w := fmt.Sprint(s.Report().Warnings); !strings.Contains(w, "ofmessage has the character set utf8") ||
		!strings.Contains(w, "ofcustomoffline has the character set latin1: messages with Chinese") {
		t.Errorf(`got warnings %s, want the character sets of ofmessage and ofcustomoffline in them`, w)
	}
	if d := s.Report().Degraded; len(d) != 1 || !strings.HasPrefix(d[0], "ofcustomoffline has the character set latin1: every Chinese message to somebody whose phone is away is refused") ||
		!strings.Contains(d[0], "ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin") {
		t.Errorf("got degraded %q, want one line, of ofcustomoffline, with what to do", d)
	}
	chinese := say(1, "z", "g", "汉字")
	chinese.Offline = []store.OfflineMessage{waiting(chinese.Message, "l")}
	emoji := say(2, "z", "g", "😀")
	for what, c := range map[string]store.Change{"Chinese into latin1": chinese, "emoji into utf8": emoji} {
		t.Run(what, func(t *testing.T) {
			if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{c}); !errors.Is(err, store.ErrData) {
				t.Errorf("got %v, want %v", err, store.ErrData)
			}
		})
	}
	chinese.Offline = nil
	apply(t, s, epoch, chinese)
	equal(t, "stored", must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))["m1"][0].Body, "汉字")

	// An id that the table cannot hold does not blind the batch to its neighbours.
	equal(t, "neighbours", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"😀", "x", "m1", "😀😀", "y"}))["m1"]), 1)
	equal(t, "pairs", len(must[map[store.ReceiptKey][]store.Receipt](t)(s.Receipts(ctx, []store.ReceiptKey{{MsgID: "😀", Reader: "l"}, {MsgID: "x", Reader: "l"}}))), 0)
	if _, ok, err := s.MessageTime(ctx, "😀"); ok || err != nil {
		t.Errorf("one id: got %v, %v, want none and no error", ok, err)
	}
	equal(t, "latin1", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "张三", "", "", "", 10))), 0)
	// Its collation takes M1 for m1; we do not.
	apply(t, s, epoch, store.Change{DropMessages: []store.Drop{{MsgID: "M1", SessionID: "g"}}})
	equal(t, "still there", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))["m1"]), 1)
}

// TestMixedCollations: tables of two collations are read as if they had one, and what MySQL will not compare is an error, never
// "nothing found".
func TestMixedCollations(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...),
		"ALTER TABLE ofsession CONVERT TO CHARACTER SET utf8 COLLATE utf8_unicode_ci")...)
	s := open(t, cfg)
	equal(t, "groups of a member", len(must[[]store.Group](t)(s.GroupsOf(ctx, "Z"))), 1)

	const join = `SELECT g.session_id FROM ofsession g JOIN ofsubscriber m ON g.session_id = m.session_id WHERE m.user_id == ? AND g.session_name == ?`
	for _, args := range [][]any{{"Z", "G"}, {"Z", "张三,李四"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			if n, err := store.Read(ctx, s, join, args...); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "convert the tables") {
				t.Errorf(`%v: %d rows, %v, want error %v, text with "convert the tables"`, args, n, err, store.ErrUnavailable)
			}
		})
	}
	const update = `UPDATE ofsession SET session_name = ? WHERE session_id == ? AND session_id IN (SELECT session_id FROM ofsubscriber WHERE user_id == ?)`
	if n, err := store.Write(ctx, s, update, "😀", "G", "Z"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an update: %d rows, %v, want %v", n, err, store.ErrUnavailable)
	}

	// Of an argument that its column cannot hold there is nothing, also where others are in the statement.
	const held = `SELECT session_id FROM ofsession WHERE session_id == ? AND session_name == ?`
	for _, args := range [][]any{{"G", "😀"}, {"😀", "张三,李四"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			if n, err := store.Read(ctx, s, held, args...); n != 0 || err != nil {
				t.Errorf("%v: %d rows, %v, want 0, no error", args, n, err)
			}
		})
	}
	if n, err := store.Write(ctx, s, `UPDATE ofsession SET session_name = ? WHERE session_id == ?`, "x", "😀"); n != 0 || err != nil {
		t.Errorf("an update of nothing: %d rows, %v, want 0, no error", n, err)
	}
}

// TestConversions: what is printed mends what it names, and nothing is left to say.
func TestConversions(t *testing.T) {
	e := mysqlEngine
	for charset, want := range map[string][]string{
		"utf8":                               {"ofmessage has the character set utf8mb3: messages with emoji and rare Chinese characters (beyond U+FFFF) are refused, and has the collation utf8mb3_general_ci, which takes lísi for lisi", "ofchat has the character set utf8mb3: names lose emoji", "ofcustomoffline has the character set latin1: messages with Chinese and emoji are refused, and has the collation latin1_swedish_ci", "the tables have different collations (latin1_swedish_ci, utf8mb3_general_ci)"},
		"gbk":                                {"ofmessage has the character set gbk: messages with emoji and characters that GBK lacks are refused, and has the collation gbk_chinese_ci", "ofpubact has the character set gbk: announcements with emoji"},
		"utf8mb4":                            {"ofmessage has the collation utf8mb4_general_ci, which"},
		"utf8 COLLATE utf8_bin":              {"ofmessage has the character set utf8mb3: messages with emoji and rare Chinese characters (beyond U+FFFF) are refused (ALTER"},
		"utf8mb4 COLLATE utf8mb4_unicode_ci": {"ofstyle has the collation utf8mb4_unicode_ci"},
		"utf8mb4 COLLATE utf8mb4_bin ":       {"ofcustomoffline has the character set latin1"},
	} {
		t.Run(charset, func(t *testing.T) {
			cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET "+charset), oldRows[0])...)
			warnings := open(t, cfg).Report().Warnings
			for _, w := range want {
				if !slices.ContainsFunc(warnings, func(got string) bool { return strings.Contains(strings.ReplaceAll(got, "utf8_", "utf8mb3_"), w) }) {
					t.Errorf("got the warnings\n%s\nwant one that says %q", strings.Join(warnings, "\n"), w)
				}
			}
			raw := e.raw(t, cfg)
			for _, w := range warnings {
				if m := regexp.MustCompile(`\((ALTER TABLE [^,)]+)`).FindStringSubmatch(w); m != nil {
					run(t, raw, m[1])
				}
			}
			again := slices.DeleteFunc(open(t, cfg).Report().Warnings, func(w string) bool { return strings.HasPrefix(w, "sync_binlog") }) // of the server
			equal(t, "after the conversions", fmt.Sprint(again), "[]")
		})
	}
	// Our own tables, which somebody else has converted.
	cfg := e.fresh(t)
	open(t, cfg)
	run(t, e.raw(t, cfg), "ALTER TABLE tlim_id CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	if w := fmt.Sprint(open(t, cfg).Report().Warnings); !strings.Contains(w, "tlim_id has the collation utf8mb4_general_ci") || strings.Contains(w, "different") {
		t.Errorf(`got warnings %v, want "tlim_id has the collation utf8mb4_general_ci" in them, nothing that is different`, w)
	}
}

// TestStatementBinlog: a server that logs statements is refused with the remedy, before any table is made.
func TestStatementBinlog(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t)
	raw := e.raw(t, cfg)
	var name, value string
	if err := raw.QueryRow("SHOW VARIABLES LIKE 'log_bin'").Scan(&name, &value); err != nil || value != "ON" {
		t.Skipf("the server has no binary log (%v): start it with scripts/mariadb start --log-bin yes", err)
	}
	statement := cfg
	statement.DSN += "?binlog_format=STATEMENT" // as if the server's were that
	if strings.Contains(cfg.DSN, "?") {
		statement.DSN = cfg.DSN + "&binlog_format=STATEMENT"
	}
	for _, mode := range []store.MigrateMode{store.MigrateAuto, store.MigrateCheck, store.MigrateOff} {
		t.Run(string(mode), func(t *testing.T) {
			statement.Migrate = mode
			_, err := store.Open(ctx, statement)
			if err == nil || !strings.Contains(err.Error(), "binlog_format is STATEMENT") || !strings.Contains(err.Error(), "SET GLOBAL binlog_format = 'ROW'") || strings.Contains(err.Error(), "\n") {
				t.Errorf(`got %v, want an error, error with "binlog_format is STATEMENT", with "SET GLOBAL binlog_format = 'ROW'", without %q`, err, "\n")
			}
		})
	}
	equal(t, "tables", len(tableNames(t, raw, "SHOW TABLES")), 0)
	for _, format := range []string{"MIXED", "ROW"} {
		statement.DSN = strings.Replace(statement.DSN, "STATEMENT", format, 1)
		statement.Migrate = store.MigrateAuto
		s, epoch := owned(t, statement)
		apply(t, s, epoch, tell(len(format), "a", "b"))
		statement.DSN = strings.Replace(statement.DSN, format, "STATEMENT", 1)
	}
}

// TestCharactersThatAColumnLacks: each character set lacks others.
func TestCharactersThatAColumnLacks(t *testing.T) {
	for charset, lacks := range map[string]string{"utf8": "😀𬭎", "gbk": "😀𬭎ü한", "latin1": "😀张", "gb2312": "😀喆", "big5": "😀张", "utf8mb4": ""} {
		t.Run(charset, func(t *testing.T) {
			cfg := mysqlEngine.fresh(t, oldTables(mysqlEngine, varchar64, " CHARACTER SET "+charset)...)
			s := open(t, cfg)
			for _, r := range "a张喆張ü한😀𬭎" {
				if n, err := store.Read(ctx, s, `SELECT id_ FROM ofmessage WHERE msg_from == ? OR msg_to == (?,?)`, string(r), string(r), "x"); n != 0 || err != nil {
					t.Errorf("%q: got %v, want 0, no error", r, err)
				}
			}
			equal(t, charset, len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, strings.Split("a,b,"+lacks, "")))), 0)
		})
	}
}

func TestLegacyEngines(t *testing.T) {
	e := mysqlEngine
	w := fmt.Sprint(open(t, e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8mb4 ENGINE=MyISAM")...)).Report().Warnings)
	if strings.Count(w, "is kept by MyISAM") != 7 || !strings.Contains(w, "ALTER TABLE ofmessage ENGINE=InnoDB") || strings.Contains(w, "tlim_") { // the offline table has no clause
		t.Errorf(`warnings: got %s, want 7 times "is kept by MyISAM", warnings with "ALTER TABLE ofmessage ENGINE=InnoDB", without tlim_`, w)
	}
}

// TestRights: the first start says which rights it wants, and later ones do with fewer.
func TestRights(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8mb4")...)
	server, err := mysql.ParseDSN(cfg.DSN)
	if err != nil {
		t.Fatal(err)
	}
	raw, user := e.raw(t, cfg), "'"+server.DBName+"'@'%'"
	run(t, raw, "CREATE USER "+user+" IDENTIFIED BY 'few'")
	t.Cleanup(func() { run(t, raw, "DROP USER "+user) })
	server.User, server.Passwd = server.DBName, "few"
	cfg.DSN = server.FormatDSN()
	for _, right := range []string{"", "SELECT, INSERT, UPDATE, DELETE", "CREATE", "ALTER"} {
		if right != "" {
			run(t, raw, "GRANT "+right+" ON `"+server.DBName+"`.* TO "+user)
		}
		if _, err := store.Open(ctx, cfg); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "CREATE, ALTER and INDEX at the first start") {
			t.Errorf(`with %q: got %v, want %v, error with "CREATE, ALTER and INDEX at the first start"`, right, err, store.ErrUnavailable)
		}
	}
	run(t, raw, "GRANT INDEX ON `"+server.DBName+"`.* TO "+user)
	open(t, cfg)
	run(t, raw, "REVOKE CREATE, ALTER, INDEX ON `"+server.DBName+"`.* FROM "+user)
	s, epoch := owned(t, cfg)
	apply(t, s, epoch, say(1, "z", "g", "[]"))
}

func TestLegacyNumbers(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, "int NOT NULL AUTO_INCREMENT", " CHARACTER SET utf8mb4"), oldRows...)...)
	s, epoch := owned(t, cfg)
	c := say(1, "z", "g", "[]")
	c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
	c.Receipts = []store.Receipt{{ID: "r", MsgID: "m1", Sender: "z", Reader: "l", Status: 1}}
	apply(t, s, epoch, c)
	got := must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", clock(0), "", "", 10))
	if len(got) != 1 || got[0].ID != "9" {
		t.Fatalf("offline: got %+v, want 1, ID 9", got)
	}
	apply(t, s, epoch, store.Change{Styles: []store.Style{{ID: "uuid", Name: "size", Value: 5, UserID: "z"}}})
	equal(t, "styles", must[[]store.Style](t)(s.StylesOf(ctx, "z")), []store.Style{{ID: "3", Name: "size", Value: 5, UserID: "z"}}) // its collation takes Z for z
	apply(t, s, epoch, store.Change{DropOffline: []store.OfflineKey{{RowID: got[0].ID}}, DropMessages: []store.Drop{{MsgID: "m1", SessionID: "g"}}})
	equal(t, "queue", len(must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", clock(0), "", "", 10))), 0)
	equal(t, "others of the id stay", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1"}))["m1"]), 2)
}

func TestMigrateModes(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		open2 := func(cfg store.Config) (store.Report, error) {
			s, err := store.Open(ctx, cfg)
			if err != nil {
				return store.Report{}, err
			}
			return s.Report(), s.Close()
		}
		refused := func(what string, cfg store.Config, names ...string) {
			t.Helper()
			_, err := open2(cfg)
			if !errors.Is(err, store.ErrSchema) {
				t.Errorf("%s: got %v, want %v", what, err, store.ErrSchema)
			}
			for _, n := range names {
				if !strings.Contains(fmt.Sprint(err), n) || strings.Contains(fmt.Sprint(err), "\n") {
					t.Errorf("%s: got %q, want %q in it, in one line", what, err, n)
				}
			}
		}

		cfg := e.fresh(t, "CREATE TABLE another (id int)")
		check := cfg
		check.Migrate = store.MigrateCheck
		refused("check on nothing", check, "table ofmessage is missing", "table tlim_state is missing", "set it to auto")
		r, err := open2(cfg)
		equal(t, "auto on nothing", fmt.Sprint(len(r.Created), len(r.Missing), err), "24 0 <nil>")
		r, err = open2(check)
		equal(t, "check after auto", fmt.Sprint(len(r.Created), len(r.Missing), err), "0 0 <nil>")
		off := cfg
		off.Migrate = store.MigrateOff
		if _, err := open2(off); err != nil {
			t.Errorf("off: got %v, want no error", err)
		}
		off.Migrate = "yes"
		if _, err := open2(off); err == nil || !strings.Contains(err.Error(), `"yes"`) {
			t.Errorf(`an unknown mode: got %v, want an error that names "yes"`, err)
		}
		run(t, e.raw(t, cfg), "UPDATE tlim_schema SET version = 99")
		refused("a newer tlim's", cfg, "version 99")

		old := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8mb4"), "ALTER TABLE ofsession DROP COLUMN session_pic")...)
		refused("a column is missing", old, "column ofsession.session_pic is missing")
		check = e.fresh(t, oldTables(e, varchar64, " CHARACTER SET utf8mb4")...)
		check.Migrate = store.MigrateCheck
		refused("check on old tables", check, "column ofmessage.flags is missing", "table tlim_id is missing")
		check.Migrate = ""
		r, err = open2(check)
		equal(t, "indexes of empty tables are made", fmt.Sprint(len(r.Created), len(r.Missing), err), "16 0 <nil>")
	})
}

func TestTwoProcessesStartTogether(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		var wg sync.WaitGroup
		for range 3 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				s, err := store.Open(ctx, cfg)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.TakeOver(ctx); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		equal(t, "epochs", must[store.State](t)(open(t, cfg).State(ctx)).Epoch, 3)
	})
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for what, test := range map[string]struct {
		cfg  store.Config
		want string
	}{
		"driver":         {store.Config{Driver: "postgres", DSN: "x"}, "store.driver is not known"},
		"no file":        {store.Config{}, "store.dsn: is empty"},
		"memory":         {store.Config{DSN: ":memory:"}, "give a file name"},
		"no such folder": {store.Config{DSN: "/no/such/folder/tlim.db"}, "/no/such/folder/tlim.db: the database is not available: no such file or directory"},
		"not a DSN":      {store.Config{Driver: "mysql", DSN: "root:geheim@host"}, "write it as user:password@tcp(host:3306)/database"},
		"no database":    {store.Config{Driver: "mysql", DSN: "root:geheim@tcp(127.0.0.1:1)/"}, "names no database"},
		"nobody listens": {store.Config{Driver: "mysql", DSN: "root:geheim@tcp(127.0.0.1:1)/tlim"}, "connection refused"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := store.Open(ctx, test.cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q in one line", err, test.want)
			}
		})
	}
}

// TestCheckMakesNoFile: a command that names the wrong file must not leave one there.
func TestCheckMakesNoFile(t *testing.T) {
	file := t.TempDir() + "/none.db"
	for _, mode := range []store.MigrateMode{store.MigrateCheck, store.MigrateOff} {
		t.Run(string(mode), func(t *testing.T) {
			_, err := store.Open(ctx, store.Config{DSN: file, Migrate: mode})
			if err == nil || !strings.Contains(err.Error(), "open "+file+": no such file") {
				t.Errorf("got %v, want an error, error with %q", err, "open "+file+": no such file")
			}
		})
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file now: got %v, want %v", err, os.ErrNotExist)
	}
}

func TestOddFileNames(t *testing.T) {
	for _, name := range []string{"a b.db", "100%.db", "what?.db", "a#b.db", "数据.db"} {
		t.Run(name, func(t *testing.T) {
			cfg := store.Config{DSN: t.TempDir() + "/" + name}
			s, epoch := owned(t, cfg)
			apply(t, s, epoch, say(1, "z", "g", "[]"))
			equal(t, name, len(must[map[store.IDKey]store.ID](t)(open(t, cfg).IDs(ctx, []string{"m1"}))), 1)
		})
	}
}
