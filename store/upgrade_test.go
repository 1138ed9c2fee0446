package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// firstTables are the statements of the first tlim that had a database: testdata/first is kept as it was.
func firstTables(t *testing.T, e engine) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/first/" + e.name + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	for _, s := range strings.Split(string(text), ";") {
		if s = strings.TrimSpace(s); s != "" {
			statements = append(statements, s)
		}
	}
	return statements
}

// TestUpgrade opens what an earlier tlim made and filled: what is ours is brought up to date, what is large is named, and no
// row is touched.
func TestUpgrade(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.later {
			return
		}
		cfg := e.fresh(t, append(firstTables(t, e),
			`INSERT INTO tlim_schema (id, version, applied) VALUES (1, 1, 1)`,
			`INSERT INTO tlim_state (id, epoch, batch, clock, delivered, settled) VALUES (1, 4, 40, 1700000000001, 1700000000001, 1700000000000)`,
			`INSERT INTO tlim_user (user_id, jid, user_name, confirms, learned) VALUES ('Z', 'z', '张三 😀', 1, 1)`,
			`INSERT INTO tlim_id (msg_id, class, msg_from, state) VALUES ('m1', 'm', 'Z', 'live')`,
			`INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('1', 'm1', 'MTT-000', 'Z', 'L', '1700000000001', '["😀"]', 'Z')`)...)
		s, epoch := owned(t, cfg)
		r := s.Report()
		equal(t, "created", r.Created, []string{"tlim_file", "tlim_file_use", "tlim_push", "tlim_call", "tlim_call_part", "tlim_key", "tlim_audit", "tlim_event", "tlim_leader"})
		equal(t, "added", r.Added, []string{"tlim_user.account", "tlim_user.stale", "tlim_user.robot", "tlim_group_owner"})
		// Their columns have changed since, and so has their name: they can be built beside the old ones.
		equal(t, "missing", strings.Count(fmt.Sprint(r.Missing), "CREATE INDEX"), len(r.Missing))
		pair := map[string]string{"sqlite": "tlim_message_pair", "mysql": "tlim_message_pair_all"}[e.name]
		if all := fmt.Sprint(r.Missing); !strings.Contains(all, "CREATE INDEX "+pair+" ON") {
			t.Errorf("missing: got %s, want %s among it", all, pair)
		}
		run(t, e.raw(t, cfg), r.Missing...)
		equal(t, "nothing is left to do", fmt.Sprint(open(t, cfg).Report().Missing), "[]")

		st := must[store.State](t)(s.State(ctx))
		equal(t, "state", st, store.State{Epoch: 5, Batch: 41, Clock: 1700000000001, Delivered: 1700000000001, Settled: 1700000000000})
		equal(t, "user", must[map[string]store.User](t)(s.UsersByJID(ctx, []string{"z"}))["z"],
			store.User{ID: "Z", JID: "z", Name: "张三 😀", Confirms: store.ConfirmsByReceipts, Learned: true})
		err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")})
		if !errors.Is(err, store.ErrDuplicate) {
			t.Errorf("an id of before: got %v, want %v", err, store.ErrDuplicate)
		}
		apply(t, s, epoch, say(2, "z", "g", "[]"))
		list, total, err := s.ChatHistory(ctx, "Z", "L", store.Page{Length: 9})
		equal(t, "history", fmt.Sprint(ids(list), total, err), "[m1] 1 <nil>")
	})
}

// TestTablesThatAreNotCommitted: a COMMIT that fails (here for a constraint, else for a full disk) is an error of the start.
func TestTablesThatAreNotCommitted(t *testing.T) {
	cfg := sqliteEngine.fresh(t,
		`CREATE TABLE tlim_state (id integer PRIMARY KEY, epoch bigint NOT NULL, batch bigint NOT NULL, clock bigint NOT NULL, delivered bigint NOT NULL, settled bigint NOT NULL)`,
		`CREATE TABLE parent (id int PRIMARY KEY)`,
		`CREATE TABLE child (id int REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`,
		`CREATE TRIGGER unfit AFTER INSERT ON tlim_state BEGIN INSERT INTO child VALUES (1); END`)
	path := cfg.DSN
	cfg.DSN = "file:" + path + "?_pragma=foreign_keys(1)"
	var log bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := store.Open(ctx, cfg); err == nil || !strings.Contains(err.Error(), "commit the tables") {
		t.Errorf(`got %v, want an error, error with "commit the tables"`, err)
	}
	equal(t, "log", log.String(), "")
	run(t, sqliteEngine.raw(t, store.Config{DSN: path}), "DROP TRIGGER unfit")
	cfg.Log = nil
	open(t, cfg)
}

// TestUpgradeOfEmptyTables: an upgrade before the first message builds the indexes itself.
func TestUpgradeOfEmptyTables(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.later {
			return
		}
		equal(t, "missing", len(open(t, e.fresh(t, firstTables(t, e)...)).Report().Missing), 0)
	})
}

// TestRefusedTablesStayAsTheyAre: nothing is added to a database that turns out to be the wrong one.
func TestRefusedTablesStayAsTheyAre(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, ""), "ALTER TABLE ofsession DROP COLUMN session_pic")...)
		if _, err := store.Open(ctx, cfg); !errors.Is(err, store.ErrSchema) {
			t.Fatal(err)
		}
		raw := e.raw(t, cfg)
		for _, query := range []string{"SELECT COUNT(*) FROM tlim_state", "SELECT COUNT(flags) FROM ofmessage"} {
			var n int
			if err := raw.QueryRow(query).Scan(&n); err == nil {
				t.Errorf("was added: %s, want an error", query)
			}
		}
	})
}

// TestUncheckedTables: with store.migrate off nothing is compared, but numbers and lengths of legacy columns are known.
func TestUncheckedTables(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, oldTables(e, "int NOT NULL AUTO_INCREMENT", " CHARACTER SET utf8")...)
	open(t, cfg)
	cfg.Migrate = store.MigrateOff
	s, epoch := owned(t, cfg)
	equal(t, "report", fmt.Sprint(s.Report().Created, s.Report().Added, s.Report().Missing), "[] [] []")
	apply(t, s, epoch, say(1, "z", "g", "[]"))
	apply(t, s, epoch, store.Change{Styles: []store.Style{{ID: "uuid", Name: "theme", Value: 1, UserID: "z"}}})
	long := say(2, "z", "g", strings.Repeat("x", 3921))
	if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{long}); !errors.Is(err, store.ErrData) {
		t.Errorf("longer than the column: got %v, want %v", err, store.ErrData)
	}

	cfg = e.fresh(t, oldTables(e, "int NOT NULL", " CHARACTER SET utf8")...)
	cfg.Migrate = store.MigrateOff
	if w := fmt.Sprint(open(t, cfg).Report().Warnings); !strings.Contains(w, "ofstyle.style_id is int and does not number itself") {
		t.Errorf(`got warnings %s, want "ofstyle.style_id is int and does not number itself" in them`, w)
	}
	cfg.Migrate = store.MigrateAuto
	if _, err := store.Open(ctx, cfg); !errors.Is(err, store.ErrSchema) || !strings.Contains(fmt.Sprint(err), "MODIFY id_ varchar(64) NOT NULL") {
		t.Errorf(`ids that take no text: got %v, want %v, text with "MODIFY id_ varchar(64) NOT NULL"`, err, store.ErrSchema)
	}
}

// timed are the old tables with the times of their messages and queue of another type.
func timed(e engine, kind string) (statements []string) {
	for _, statement := range oldTables(e, varchar64, "") {
		statements = append(statements, strings.Replace(statement, "msg_time varchar(20)", "msg_time "+kind, 1))
	}
	return statements
}

// TestTimesThatAreDates: tables whose times are of a type of dates, or of numbers that hold no milliseconds, are refused whole; the plugin could
// not run on them either. On SQLite a type is a name, of which those of dates are refused as well; H2's catalogue tells of no types.
func TestTimesThatAreDates(t *testing.T) {
	for kind, want := range map[string]bool{"datetime": true, "datetime2": true, "smalldatetime": true, "date": true, "timestamp(6)": true, "varchar": false, "nvarchar": false, "varchar2": false, "bigint": false} {
		t.Run(kind, func(t *testing.T) {
			equal(t, kind, store.Dated(kind), want)
		})
	}
	onShared(t, func(t *testing.T, e engine) {
		kinds := []string{"timestamp"}
		if e.name == "mysql" {
			kinds = append(kinds, "int", "float")
		}
		for _, kind := range kinds {
			cfg := e.fresh(t, timed(e, kind)...)
			raw := e.raw(t, cfg)
			stood := made(t, e, raw)
			must[any](t)(nil, raw.Close())
			for what, err := range map[string]error{"a start": func() error { _, err := store.Open(ctx, cfg); return err }(), "migrate up": func() error {
				m, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
				if err == nil {
					_, err = m.Up(ctx)
					err = errors.Join(err, m.Close())
				}
				return err
			}()} {
				t.Run(kind+" "+what, func(t *testing.T) {
					if text := fmt.Sprint(err); !errors.Is(err, store.ErrSchema) || strings.Count(text, "takes no milliseconds") != 2 || !strings.Contains(text, "ofcustomoffline.msg_time is ") || !strings.Contains(text, "make it varchar(20)") {
						t.Errorf("%s: got %v, want %v that names msg_time of both tables", what, err, store.ErrSchema)
					}
				})
			}
			x := must[*store.Examination](t)(store.Examine(ctx, cfg))
			schema := must[[]store.Advice](t)(x.Schema(ctx, store.MigrateAuto))
			must[any](t)(nil, x.Close())
			if n := len(slices.DeleteFunc(schema, func(a store.Advice) bool { return !a.Severe || !strings.Contains(a.Remedy, "make it varchar(20)") })); n != 2 {
				t.Errorf("an examination: got %d, want 2 with their remedy", n)
			}
			equal(t, "the tables", made(t, e, e.raw(t, cfg)), stood)
		}
	})
}

// TestTimesThatAreNumbers: tables whose times are large numbers are worked with as if they were texts: what is read of them is the same, to the field.
func TestTimesThatAreNumbers(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		seen := func(kind string) (answers []string) {
			cfg := e.fresh(t, append(timed(e, kind),
				"INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('old', 'old', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z')",
				"INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('s', 's', 'MTT-000', 'z', 'l', '1544602393', '[]', 'z')",
				"INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('n', 'n', 'MTT-000', 'z', 'l', NULL, '[]', 'z')")...)
			s, epoch := owned(t, cfg)
			note := func(what string, values ...any) {
				t.Helper()
				answers = append(answers, what+": "+fmt.Sprintf("%+v", values))
			}
			note("state", must[store.State](t)(s.State(ctx)).Settled)
			for i := range 6 {
				c := tell(i, "z", "l")
				c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
				apply(t, s, epoch, c)
				apply(t, s, epoch, say(10+i, "z", "g", "[]"))
			}
			page := must[[]store.Message](t)(s.MessagesAfter(ctx, clock(1), "m1", 100))
			note("after", page)
			for _, p := range []store.Page{{Length: 3}, {Start: 2, Length: 100}, {Length: 100, BeforeTime: clock(3), BeforeID: "m3"}, {Length: 100, BeforeTime: clock(0), BeforeID: "m0"}} {
				list, total, err := s.ChatHistory(ctx, "z", "l", p)
				note("two", list, total, err)
				list, total, err = s.GroupHistory(ctx, "g", p)
				note("group", list, total, err)
			}
			note("queue", must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", clock(0), "", "", 100)))
			note("queue on", must[[]store.OfflineMessage](t)(s.Offline(ctx, "l", clock(0), clock(2), "m2", 100)))
			note("recent", must[[]store.OfflineMessage](t)(s.RecentOffline(ctx, "l", 1700000000003, 100)))
			note("unread", must[[]store.Unread](t)(s.UnreadCounts(ctx, "l")))
			note("sizes", must[map[string]store.QueueSize](t)(s.QueueSizes(ctx, []string{"l"})))
			note("walk", walked(t, 2, func(after store.Old, limit int) ([]store.Old, error) { return s.WalkOffline(ctx, after, limit) }))
			note("odd", must[int](t)(s.OddMessages(ctx, 1)))
			old := walked(t, 2, func(after store.Old, limit int) ([]store.Old, error) {
				return s.OldMessages(ctx, 1700000000002, after, limit)
			})
			note("old", old)
			note("gone", must[int](t)(s.DeleteMessages(ctx, epoch, old)))
			list, total, err := s.ChatHistory(ctx, "z", "l", store.Page{Length: 100})
			note("left", list, total, err)
			x := must[*store.Examination](t)(store.Examine(ctx, cfg))
			dirt := must[store.Dirt](t)(x.Dirt(ctx, "ofmessage", time.UnixMilli(1700000001000), time.Hour))
			must[any](t)(nil, x.Close())
			note("dirt", dirt)
			return answers
		}
		texts, numbers := seen("varchar(20)"), seen("bigint")
		for i := range texts {
			equal(t, "of numbers", numbers[i], texts[i])
		}
	})
}

// TestDurabilityIsWarnedOf: what could lose acknowledged messages is said at every start.
func TestDurabilityIsWarnedOf(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		cfg := sqliteEngine.fresh(t)
		path := cfg.DSN
		// Parameters of the site's own do not weaken it.
		cfg.DSN = "file:" + path + "?_pragma=synchronous(OFF)&_pragma=journal_mode(DELETE)"
		equal(t, "warnings", fmt.Sprint(open(t, cfg).Report().Warnings), "[]")
		// A file system without shared memory cannot have WAL; unix-dotfile stands for one.
		cfg.DSN = "file:" + path + "2?vfs=unix-dotfile"
		if w := fmt.Sprint(open(t, cfg).Report().Warnings); !strings.Contains(w, "journal_mode delete") {
			t.Errorf(`got warnings %s, want "journal_mode delete" in them`, w)
		}
	})
	t.Run("mysql", func(t *testing.T) {
		cfg := mysqlEngine.fresh(t)
		raw := mysqlEngine.raw(t, cfg)
		var flush int
		if err := raw.QueryRow("SELECT @@GLOBAL.innodb_flush_log_at_trx_commit").Scan(&flush); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { run(t, raw, fmt.Sprint("SET GLOBAL innodb_flush_log_at_trx_commit = ", flush)) })
		for value, want := range []bool{true, false, true} {
			run(t, raw, fmt.Sprint("SET GLOBAL innodb_flush_log_at_trx_commit = ", value))
			for _, mode := range []store.MigrateMode{store.MigrateAuto, store.MigrateCheck, store.MigrateOff} {
				t.Run(fmt.Sprintf("%d with migrate %s", value, mode), func(t *testing.T) {
					var log bytes.Buffer
					cfg.Migrate, cfg.Log = mode, slog.New(slog.NewTextHandler(&log, nil))
					open(t, cfg)
					if got := strings.Contains(log.String(), fmt.Sprintf("innodb_flush_log_at_trx_commit is %d", value)); got != want {
						t.Errorf("warned of: got %v, want %v", got, want)
					}
				})
			}
		}
	})
}

// TestOldPluginGoesOn: the statements of the old plugin, which name the columns they write and read all, work on tables that
// tlim has taken over and written to.
func TestOldPluginGoesOn(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		s, epoch := owned(t, cfg)
		c := say(1, "z", "g", "[]")
		c.Message.Flags = "1,0,2.0.0"
		c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
		apply(t, s, epoch, c)
		raw := e.raw(t, cfg)
		run(t, raw, s.Report().Missing...)
		run(t, raw, e.form(
			`INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES ('p1', 'm1', 'MTT-000', 'Z', 'L', '1', '[]', 'Z')`,
			`INSERT INTO ofcustomoffline (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id, msg_status, delete_user) VALUES ('p1', 'm1', 'MTT-000', 'Z', 'Z', '1', '[]', 'Z', 0, 'L')`,
			`INSERT INTO ofsession (session_id, session_type, session_name, session_create_time, session_valid, session_user) VALUES ('p', 0, '', '1', 0, 'Z')`,
			`INSERT INTO ofsubscriber (user_id, user_name, acct_login, pic, session_id, ts) VALUES ('L', NULL, NULL, NULL, 'p', '1')`,
			`INSERT INTO ofstatus (id_, msg_id, sender, reader, status) VALUES ('p1', 'm1', 'Z', 'L', 1), ('p2', NULL, NULL, NULL, 0)`,
			`INSERT INTO ofchat (chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_pic) VALUES ('p', NULL, 'Z', 'L', '1', NULL)`,
			`INSERT INTO ofpubact (id_, title, content, user_id, ts, session_id) VALUES ('p', NULL, NULL, 'Z', '1', 'g')`,
			`INSERT INTO ofstyle (style_id, style_name, style_value, user_id) VALUES ('p', 'theme', 1, 'Z')`,
			`UPDATE ofsession SET session_modify_time = '2' WHERE session_id = 'p'`)...)
		rows := 0
		found, err := raw.Query(`SELECT * FROM ofmessage WHERE msg_from = 'Z' AND msg_to = 'L' UNION SELECT * FROM ofmessage WHERE msg_from = 'L' AND msg_to = 'Z'`)
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		for found.Next() {
			rows++
		}
		equal(t, "history", fmt.Sprint(rows, found.Err()), "8 <nil>")
		// And tlim comes back to what it wrote.
		list, total, err := s.ChatHistory(ctx, "Z", "L", store.Page{Length: 100})
		equal(t, "ours", fmt.Sprint(len(list), total, err), "8 8 <nil>")
	})
}
