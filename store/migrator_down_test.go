package store_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

var (
	downMessages = flag.Int("down.messages", 300, "how many messages TestDown stores between adopting the plugin's tables and giving them back")
	downFor      = flag.Duration("down.for", 0, "for how long TestDown uses the plugin's tables instead, with 25 messages a second")
)

func down(t *testing.T, cfg store.Config) []string {
	t.Helper()
	m := migrator(t, cfg, nil)
	defer m.Close()
	return must[[]string](t)(m.Down(ctx))
}

// made is how the tables stand there: every column and index, in the engine's words.
func made(t *testing.T, e engine, db *sql.DB) (text string) {
	t.Helper()
	rows := must[*sql.Rows](t)(db.Query(e.stands()))
	defer rows.Close()
	for rows.Next() {
		var name, how string
		must[any](t)(nil, rows.Scan(&name, &how))
		text += name + ": " + how + "\n"
	}
	must[any](t)(nil, rows.Err())
	return text
}

// TestDown is a site that goes there and back: the plugin's day on its own tables and the same day on tables that tlim has adopted, used and
// given back have the same answers and leave the same rows; what tlim stored is read by the plugin's statements; and tlim comes back to all
// of it.
func TestDown(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		before := slices.Concat(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows, userTables)
		own := e.fresh(t, before...)
		cfg := e.fresh(t, before...)
		raw := e.raw(t, cfg)
		stood, rows := made(t, e, raw), oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close())

		// 1. There and back at once: nothing is left, and no row is another.
		up(t, cfg)
		gone := down(t, cfg)
		equal(t, "what went", len(gone), 16+2+15)
		raw = e.raw(t, cfg)
		equal(t, "the tables", made(t, e, raw), stood)
		equal(t, "the rows", oldRowsOf(t, raw), rows)
		theirs := e.raw(t, own)
		first, second := played(t, e, theirs, "a"), played(t, e, raw, "a")
		equal(t, "the plugin's answers", second.answers, first.answers)
		equal(t, "the rows after its day", oldRowsOf(t, raw), oldRowsOf(t, theirs))
		equal(t, "statements played", len(first.played), 15+5+8+4+7+4+4+4+8)
		must[any](t)(nil, raw.Close())
		equal(t, "nothing is left to give back", down(t, cfg), []string(nil))

		// 2. tlim works on them, and gives them back.
		up(t, cfg)
		s := must[*store.Store](t)(store.Open(ctx, cfg))
		epoch := must[store.State](t)(s.TakeOver(ctx)).Epoch
		of := newUsage(t, s, epoch)
		if *downFor > 0 {
			of.last(*downFor)
		} else {
			of.store(*downMessages, usageLater)
		}
		must[any](t)(nil, s.Close())
		raw = e.raw(t, cfg)
		with := oldRowsOf(t, raw)
		same(t, "the plugin's rows and those of tlim", with, slices.Concat(oldRowsOf(t, theirs), slices.Collect(maps.Values(of.rows))))
		must[any](t)(nil, raw.Close())
		down(t, cfg)
		raw = e.raw(t, cfg)
		equal(t, "the tables again", made(t, e, raw), stood)
		same(t, "the rows again", oldRowsOf(t, raw), with)
		p := &oldPlugin{t: t, e: e, db: raw, played: map[string]bool{}}
		p.first("M3", "*", "ofmessage", "session_id = ?", 9999999, "g")
		p.ask("O2", `select * from ofcustomoffline where delete_user = ? order by msg_time`, "phone")
		p.ask("T5", `select * from ofstatus where msg_id = ? and sender = ?`, "m7", "z")
		for i, row := range []string{"{1700000", "{1700000", "{m7 "} { // its collation takes g for G
			if got, want := strings.Count(p.answers[i], row), []int{len(of.group), len(of.group), 1}[i]; got != want {
				t.Errorf("the plugin's answer %d: got %d rows, want %d", i, got, want)
			}
		}
		t.Logf("%d messages were stored, %d rows of them were left", of.n, len(of.rows))
		played(t, e, raw, "b")
		with = oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close())

		// 3. And tlim comes back: every row is as the plugin left it, and nothing is delivered again.
		up(t, cfg)
		equal(t, "missing", layout(t, cfg).Missing, []store.Missing{})
		same(t, "the rows at last", oldRowsOf(t, e.raw(t, cfg)), with)
		s, epoch = owned(t, cfg)
		st, last := must[store.State](t)(s.State(ctx)), of.n+1
		must[any](t)(nil, s.Apply(ctx, epoch, store.Positions{Clock: 1700000000000 + int64(last)}, []store.Change{say(last, "z", "g", "[]")}))
		equal(t, "replay", ids(must[[]store.Message](t)(s.MessagesAfter(ctx, fmt.Sprint(st.Settled), "", 10))), []string{fmt.Sprint("m", last)})
	})
}

// What is in the way is said before anything goes.
func TestDownRefuses(t *testing.T) {
	folded := strings.NewReplacer("ofVersion", "ofversion", "OFVERSION", "ofversion") // as each engine spells it
	refused := func(t *testing.T, cfg store.Config, want string) {
		t.Helper()
		m, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
		var gone []string
		if err == nil {
			gone, err = m.Down(ctx)
			defer m.Close()
		}
		if text := fmt.Sprint(err); err == nil || len(gone) > 0 || !strings.Contains(folded.Replace(text), want) || strings.Contains(text, "\n") || strings.Contains(text, "s3cret") {
			t.Errorf("got %v, %v, want nothing gone and one line with %q", gone, err, want)
		}
	}
	for name, c := range map[string]struct {
		before []string
		want   string
	}{
		"the plugin would drop all": {[]string{"CREATE TABLE ofVersion (name varchar(50) NOT NULL PRIMARY KEY, version int NOT NULL)", "INSERT INTO ofVersion VALUES ('openfire', 25)"}, "INSERT INTO ofversion (name, version) VALUES ('tlim', 1)"},
		"another database":          {[]string{"DROP TABLE ofstyle"}, "there is no table ofstyle: is store.dsn the right database?"},
		"another program's state":   {[]string{"DROP TABLE tlim_state", "CREATE TABLE tlim_state (name varchar(50))", "INSERT INTO tlim_state VALUES ('theirs')"}, "the table tlim_state is another program's, and would be dropped: it has no column tlim_state.id, tlim_state.epoch"},
		"another program's version": {[]string{"DROP TABLE tlim_schema", "CREATE TABLE tlim_schema (version int)", "INSERT INTO tlim_schema VALUES (99)"}, "the table tlim_schema is another program's"},
		"another program's calls":   {[]string{"DROP TABLE tlim_call", "CREATE TABLE tlim_call (call_id int, agent varchar(64))"}, "the table tlim_call is another program's"},
		"a newer tlim":              {[]string{"UPDATE tlim_schema SET version = 99"}, "made by a newer tlim"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e engine) {
				cfg := e.fresh(t)
				must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
				raw := e.raw(t, cfg)
				run(t, raw, c.before...)
				stood := made(t, e, raw)
				x := must[*store.Examination](t)(store.Examine(ctx, cfg))
				r := must[store.Return](t)(x.Return(ctx))
				if !strings.Contains(folded.Replace(fmt.Sprint(r.Refused)), c.want) {
					t.Errorf("the plan: got %q, want %q", r.Refused, c.want)
				}
				must[any](t)(nil, errors.Join(x.Close(), raw.Close()))
				refused(t, cfg, c.want)
				equal(t, "the tables", made(t, e, e.raw(t, cfg)), stood)
			})
		})
	}
	t.Run("a process that has the database open", func(t *testing.T) {
		onEngines(t, func(t *testing.T, e engine) {
			cfg := e.fresh(t)
			s := must[*store.Store](t)(store.Open(ctx, cfg))
			must[store.State](t)(s.State(ctx))
			refused(t, cfg, "another process is at it")
			must[store.State](t)(s.TakeOver(ctx))
			must[any](t)(nil, s.Close())
			down(t, cfg)
		})
	})
	t.Run("no right to drop", func(t *testing.T) {
		e := mysqlEngine
		cfg := e.fresh(t)
		must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
		raw := e.raw(t, cfg)
		stood := made(t, e, raw)
		refused(t, asUser(t, e, cfg, "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX"), "nothing was changed: the user of store.dsn lacks DROP. Remedy: GRANT DROP ON ")
		equal(t, "the tables", made(t, e, raw), stood)
	})
}

// A half of it, left by a kill, is completed; and a start goes on from it as well.
func TestDownAfterHalf(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		raw := e.raw(t, cfg)
		stood, rows := made(t, e, raw), oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close())
		half := func() {
			t.Helper()
			up(t, cfg)
			raw := e.raw(t, cfg)
			run(t, raw, "DROP INDEX tlim_message_id"+e.indexOf("ofmessage"), "ALTER TABLE ofmessage DROP COLUMN flags", "DROP TABLE tlim_id", "DROP TABLE tlim_user")
			must[any](t)(nil, raw.Close())
		}
		half()
		s := must[*store.Store](t)(store.Open(ctx, cfg))
		epoch := must[store.State](t)(s.TakeOver(ctx)).Epoch
		apply(t, s, epoch, store.Change{Chats: []store.Chat{{Partner: "nobody", Owner: "nobody", ModifyTime: "9"}}})
		must[any](t)(nil, s.Close())
		half()
		down(t, cfg)
		raw = e.raw(t, cfg)
		equal(t, "the tables", made(t, e, raw), stood)
		equal(t, "the rows", oldRowsOf(t, raw), rows)
	})
}

// Whoever still writes, though nobody saw them, is fenced before anything goes.
func TestDownFences(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t)
	cfg.MaxWait = time.Second
	s := must[*store.Store](t)(store.Open(ctx, cfg))
	epoch := must[store.State](t)(s.TakeOver(ctx)).Epoch
	raw := e.raw(t, cfg)
	m := migrator(t, cfg, nil)
	defer m.Close()
	// Its connections are cut, so that nothing tells of it.
	for _, id := range tableNames(t, raw, "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND IS_USED_LOCK(CONCAT('tlim_open ', id)) = id") {
		run(t, raw, "KILL "+id)
	}
	lock := must[*sql.Tx](t)(raw.Begin())
	must[sql.Result](t)(lock.Exec("INSERT INTO ofstyle (style_id) VALUES ('x')")) // keeps the last index from going
	_, err := m.Down(ctx)
	if err == nil {
		t.Fatal("got no error, want that of a table that is held")
	}
	must[any](t)(nil, lock.Rollback())
	if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{say(1, "z", "g", "[]")}); err == nil {
		t.Error("got a message written in the middle of it, want an error")
	}
	must[any](t)(nil, s.Close())
	must[[]string](t)(m.Down(ctx))
}

// The conversion is planned, and made in that order: the queue first. No character is another then.
func TestConvert(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, slices.Concat(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows, userTables)...)
	cfg.MaxWait = time.Second
	raw := e.raw(t, cfg)
	run(t, raw, "INSERT INTO ofcustomoffline (id_, body) VALUES ('umlaut', 'äöü€?')", "INSERT INTO ofcustomoffline (id_, body) VALUES ('misread', CONVERT(CONVERT('汉字' USING binary) USING latin1))",
		"INSERT INTO ofmessage (id_, body) "+`SELECT CONCAT('k', seq), REPEAT('汉', 300) FROM seq_1_to_2000`, "ANALYZE TABLE ofmessage")
	before := oldRowsOf(t, raw)
	plan := func() []store.Conversion {
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		defer x.Close()
		return must[[]store.Conversion](t)(x.Conversions(ctx))
	}
	var order []string
	for _, c := range plan() {
		order = append(order, c.Table)
		if c.Time <= 0 || c.Disk <= c.Bytes || c.Bytes == 0 || len(c.Faults) != 2 {
			t.Errorf("got %+v, want time, disk and what is wrong", c)
		}
		if note := fmt.Sprint(c.Notes); c.Table == "ofcustomoffline" && !strings.Contains(note, `1 values of body are UTF-8 that was written as latin1, such as that of id_ "misread"`) || c.Table != "ofcustomoffline" && note != "[]" {
			t.Errorf("%s: got the notes %s, want the misread row", c.Table, note)
		}
	}
	if len(order) != 8 || order[0] != "ofcustomoffline" || order[7] != "ofmessage" {
		t.Errorf("got the order %v, want the queue first and the largest last", order)
	}
	s := must[*store.Store](t)(store.Open(ctx, cfg))
	must[store.State](t)(s.State(ctx))
	m := migrator(t, cfg, nil)
	if _, err := m.Convert(ctx); !errors.Is(err, store.ErrHeld) {
		t.Errorf("beside a process that serves: got %v, want %v", err, store.ErrHeld)
	}
	must[any](t)(nil, errors.Join(s.Close(), m.Close()))

	// A table that somebody holds stays as it is, and so does what comes behind it; the next one goes on.
	tx := must[*sql.Tx](t)(raw.Begin())
	must[sql.Result](t)(tx.Exec("INSERT INTO ofmessage (id_) VALUES ('held')"))
	m = migrator(t, cfg, nil)
	done, err := m.Convert(ctx)
	if err == nil || !strings.Contains(err.Error(), "ofmessage stays as it was") || len(done) != 7 {
		t.Errorf("got %v, %v, want seven tables, and that ofmessage stays as it was", done, err)
	}
	must[any](t)(nil, errors.Join(tx.Rollback(), m.Close()))
	equal(t, "what is left", len(plan()), 1)
	m = migrator(t, cfg, nil)
	done = must[[]string](t)(m.Convert(ctx))
	must[any](t)(nil, m.Close())
	equal(t, "the rest", done, []string{"ofmessage"})
	equal(t, "nothing is left", len(plan()), 0)
	equal(t, "the rows", oldRowsOf(t, raw), before)

	s = must[*store.Store](t)(store.Open(ctx, cfg))
	epoch := must[store.State](t)(s.TakeOver(ctx)).Epoch
	c := say(1, "z", "g", "汉字 😀")
	c.Offline = []store.OfflineMessage{waiting(c.Message, "l")}
	apply(t, s, epoch, c)
	must[any](t)(nil, s.Close())
	down(t, cfg) // the plugin works on them
	played(t, e, raw, "c")
}

// Elsewhere it is one line.
func TestConvertElsewhere(t *testing.T) {
	cfg := sqliteEngine.fresh(t, oldTables(sqliteEngine, varchar64, "")...)
	m := migrator(t, cfg, nil)
	defer m.Close()
	if _, err := m.Convert(ctx); err == nil || !strings.Contains(err.Error(), "in sqlite there is nothing to convert") {
		t.Errorf("got %v, want that there is nothing to convert", err)
	}
}

// An interrupted step is ended on the server as well, and what was done before it stays.
func TestDownInterrupted(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	up(t, cfg)
	raw := e.raw(t, cfg)
	held := must[*sql.Tx](t)(raw.Begin())
	must[sql.Result](t)(held.Exec("INSERT INTO ofstyle (style_id) VALUES ('held')"))
	waiting, interrupt := context.WithCancel(ctx)
	defer interrupt()
	m := migrator(t, cfg, func(p store.Progress) {
		if p.Took > 0 && strings.Contains(p.What, "ofstyle") && p.Took >= time.Second/2 {
			interrupt()
		}
	})
	gone, err := m.Down(waiting)
	if !errors.Is(err, context.Canceled) || strings.Contains(fmt.Sprint(err), "not available") || len(gone) < 10 {
		t.Errorf("got %v, %v, want what went before, and that it was interrupted", gone, err)
	}
	equal(t, "statements that the server goes on with", tableNames(t, raw, "SELECT info FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'DROP%'"), []string(nil))
	must[any](t)(nil, errors.Join(m.Close(), held.Rollback()))
	down(t, cfg)
}

// While tables are converted no tlim starts on them: it would know the columns of before.
func TestNobodyStartsMeanwhile(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	up(t, cfg)
	tried := 0
	start := func(p store.Progress) {
		if p.Done || tried > 0 {
			return
		}
		tried++
		soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		s, err := store.Open(soon, cfg)
		if err == nil {
			err = s.Close()
			t.Errorf("got a tlim started in the midst of it (%v), want it refused", err)
		}
	}
	for _, what := range []string{"utf8mb4", "down"} {
		tried = 0
		m := migrator(t, cfg, start)
		must[any](t)(nil, errors.Join(migrations[what](m), m.Close()))
		equal(t, what+": starts tried", tried, 1)
		must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
	}
}

// What cannot be seen is not said to be right.
func TestConvertSeesNothing(t *testing.T) {
	e := mysqlEngine
	plan := func(cfg store.Config, want string) {
		t.Helper()
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		defer x.Close()
		if list, err := x.Conversions(ctx); !errors.Is(err, store.ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v, want %v with %q", list, err, store.ErrSchema, want)
		}
	}
	plan(e.fresh(t), "no table of the plugin's or of tlim's is seen")
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	lesser := asUser(t, e, cfg, "CREATE, ALTER, INDEX, DROP")
	plan(lesser, "ofmessage.id_")
}

// asUser is a database for a user with some rights on it.
func asUser(t *testing.T, e engine, cfg store.Config, rights string) store.Config {
	t.Helper()
	raw := e.raw(t, cfg)
	server := must[*mysql.Config](t)(mysql.ParseDSN(cfg.DSN))
	name := "mig_" + server.DBName[len(server.DBName)-8:]
	run(t, raw, "CREATE USER "+name+"@'%' IDENTIFIED BY 's3cret'", "GRANT "+rights+" ON "+server.DBName+".* TO "+name+"@'%'")
	t.Cleanup(func() { run(t, raw, "DROP USER "+name+"@'%'") })
	server.User, server.Passwd = name, "s3cret"
	return store.Config{Driver: "mysql", DSN: server.FormatDSN()}
}

// A plan says what is in the way of it, and an error of a change what to do.
func TestWhatIsInTheWay(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	up(t, cfg)
	lesser := asUser(t, e, cfg, "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX")
	name := must[*mysql.Config](t)(mysql.ParseDSN(lesser.DSN)).User
	database := must[*mysql.Config](t)(mysql.ParseDSN(lesser.DSN)).DBName
	s := must[*store.Store](t)(store.Open(ctx, lesser))
	must[store.State](t)(s.State(ctx))
	x := must[*store.Examination](t)(store.Examine(ctx, lesser))
	equal(t, "for a conversion", len(must[[]string](t)(x.InTheWay(ctx, false))), 1)
	why := must[[]string](t)(x.InTheWay(ctx, true))
	must[any](t)(nil, errors.Join(s.Close(), x.Close()))
	equal(t, "in the way", why[0], "the user of store.dsn lacks DROP. Remedy: GRANT DROP ON `"+database+"`.* TO '"+name+"'@'%'")
	if len(why) != 2 || !strings.HasPrefix(why[1], "a tlim has the database open (connection ") {
		t.Errorf("got %q, want the right that is missing, and who has the database open", why)
	}

	raw := e.raw(t, cfg)
	run(t, raw, "DELETE FROM ofsubscriber WHERE session_id = 'nosuch'", "ALTER TABLE ofsubscriber ADD CONSTRAINT theirs FOREIGN KEY (session_id) REFERENCES ofsession (session_id)")
	for table, c := range map[string]struct{ before, want string }{
		"ofsession": {"", "drop the foreign key"},
		"ofmessage": {"ALTER TABLE ofmessage MODIFY body varchar(20000)", "mediumtext"},
		"ofchat":    {"ALTER TABLE ofchat ROW_FORMAT=COMPACT, MODIFY chat_pic varchar(255), ADD INDEX theirs (chat_pic)", "ROW_FORMAT=DYNAMIC"},
	} {
		t.Run(table, func(t *testing.T) {
			if c.before != "" {
				run(t, raw, c.before)
			}
			_, err := raw.Exec("ALTER TABLE " + table + " CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
			if remedy := store.Remedy(cfg, err); err == nil || !strings.Contains(remedy, c.want) {
				t.Errorf("%s: got %v, the remedy %q, want one with %q", table, err, remedy, c.want)
			}
		})
	}
	for number, message := range map[uint16]string{1114: "The table 'ofmessage' is full", 1005: "Can't create table `t` (errno: 135 \"No more room in record file\")", 1030: "Got error 28 \"No space left on device\" from storage engine InnoDB"} {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			if remedy := store.Remedy(cfg, &mysql.MySQLError{Number: number, Message: message}); !strings.Contains(remedy, "make room on the disk") {
				t.Errorf("%d: got %q, want that of a full disk", number, remedy)
			}
		})
	}
}
