package store_test

import (
	"bufio"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

// onShared runs a test over the engines whose databases other processes can open: the locks of those of H2 are in the tests' driver.
func onShared(t *testing.T, test func(t *testing.T, e engine)) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.name != "sqlite" && e.name != "mysql" {
			return
		}
		test(t, e)
	})
}

func migrator(t *testing.T, cfg store.Config, tell func(store.Progress)) *store.Migrator {
	t.Helper()
	if tell == nil {
		tell = func(store.Progress) {}
	}
	m, err := store.NewMigrator(ctx, cfg, tell)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// up migrates, and says what was added.
func up(t *testing.T, cfg store.Config) store.Report {
	t.Helper()
	m := migrator(t, cfg, nil)
	defer m.Close()
	return must[store.Report](t)(m.Up(ctx))
}

func layout(t *testing.T, cfg store.Config) store.Layout {
	t.Helper()
	x := must[*store.Examination](t)(store.Examine(ctx, cfg))
	defer x.Close()
	return must[store.Layout](t)(x.Layout(ctx))
}

// oldRowsOf is every row of the deployed tables, with the columns that the old plugin knows.
func oldRowsOf(t *testing.T, db *sql.DB) (rows []string) {
	t.Helper()
	for table, columns := range oldColumns {
		found, err := db.Query("SELECT * FROM " + table) // by its own name session_user would be somebody else on some engines
		if err != nil {
			t.Fatal(err)
		}
		known := strings.Split(columns, ", ")
		names := must[[]string](t)(found.Columns())
		for found.Next() {
			values, into := make([]sql.NullString, len(known)), make([]any, len(names))
			for i, name := range names {
				if at := slices.Index(known, strings.ToLower(name)); at >= 0 {
					into[i] = &values[at]
				} else {
					into[i] = new(any)
				}
			}
			if err := found.Scan(into...); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, fmt.Sprintf("%s %+v", table, values))
		}
		if err := errors.Join(found.Err(), found.Close()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(rows)
	return rows
}

var oldColumns = map[string]string{
	"ofmessage":       "id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id",
	"ofcustomoffline": "id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id, msg_status, delete_user",
	"ofsession":       "session_id, session_type, session_name, session_create_time, session_modify_time, session_delete_time, session_valid, session_user, session_pic",
	"ofsubscriber":    "user_id, user_name, acct_login, pic, session_id, ts",
	"ofstatus":        "id_, msg_id, sender, reader, status",
	"ofchat":          "chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_modify_time, chat_pic",
	"ofpubact":        "id_, title, content, user_id, ts, session_id",
	"ofstyle":         "style_id, style_name, style_value, user_id",
}

// What status lists as missing is what up adds, with every row as it was; then nothing is.
func TestUp(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		raw := e.raw(t, cfg)
		before := oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close()) // SQLite's file is one's alone
		l := layout(t, cfg)
		kinds := map[string]int{}
		for _, m := range l.Missing {
			kinds[m.Kind]++
		}
		equal(t, "missing", kinds, map[string]int{"table": 16, "column": 2, "index": 28})
		equal(t, "tables", len(l.Tables), 8)
		message := l.Tables[0]
		equal(t, "a table", fmt.Sprintf("%s %v %d %d %d", strings.ToLower(message.Name), message.Deployed, message.Rows, len(message.Columns), len(message.Indexes)), "ofmessage true 12 8 1")
		if e.name == "mysql" {
			equal(t, "a column", fmt.Sprintf("%v %s", message.Columns[1], message.Engine), "{msg_id varchar 64 utf8mb3 utf8mb3_general_ci false false} InnoDB")
			if message.Bytes == 0 || !message.Estimated {
				t.Errorf("got %+v, want its size, and that the rows are an estimate", message)
			}
		}

		var steps []store.Progress
		m := migrator(t, cfg, func(p store.Progress) { steps = append(steps, p) })
		r := must[store.Report](t)(m.Up(ctx))
		must[any](t)(nil, m.Close())
		equal(t, "created", len(r.Created), 16)
		equal(t, "added", len(r.Added), 2+15)
		last := steps[len(steps)-1]
		if !last.Done || last.Step != last.Steps || last.Rows != last.Total || last.Total == 0 || last.Rate == 0 {
			t.Errorf("the last progress: got %+v, want all rows of the last step", last)
		}
		equal(t, "writers wait", last.Locks, e.name == "sqlite")
		equal(t, "missing then", layout(t, cfg).Missing, []store.Missing{})
		r = up(t, cfg)
		equal(t, "again", len(r.Created)+len(r.Added), 0)
		r = open(t, cfg).Report()
		equal(t, "a start has nothing to do", len(r.Created)+len(r.Added)+len(r.Missing), 0)
		equal(t, "rows", oldRowsOf(t, e.raw(t, cfg)), before)
	})
}

// What a killed process left of it is completed, whatever it was.
func TestUpAfterHalf(t *testing.T) {
	for name, half := range map[string][]string{
		"one column":    {"ALTER TABLE ofmessage ADD COLUMN flags varchar(20) NULL"},
		"no first rows": {"DELETE FROM tlim_state", "DELETE FROM tlim_schema"},
		"lost tables":   {"DROP TABLE tlim_push", "DROP TABLE tlim_state"},
		"one index":     {"CREATE INDEX tlim_message_id ON ofmessage (msg_id)"},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e engine) {
				cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
				raw := e.raw(t, cfg)
				before := oldRowsOf(t, raw)
				if strings.Contains(half[0], "tlim_") && !strings.Contains(half[0], "CREATE") {
					must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
				}
				run(t, raw, half...)
				must[any](t)(nil, raw.Close())
				up(t, cfg)
				equal(t, "missing", layout(t, cfg).Missing, []store.Missing{})
				equal(t, "rows", oldRowsOf(t, e.raw(t, cfg)), before)
				owned(t, cfg)
			})
		})
	}
}

// TestMain is a process of TestUpKilled and TestKilledAtEveryStatement, where they say so.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("TLIM_MIGRATE_DSN"); dsn != "" {
		os.Exit(migratorProcess(store.Config{Driver: os.Getenv("TLIM_MIGRATE_DRIVER"), DSN: dsn}))
	}
	os.Exit(m.Run())
}

// migrations are what a process is asked to do.
var migrations = map[string]func(*store.Migrator) error{
	"up":      func(m *store.Migrator) error { _, err := m.Up(ctx); return err },
	"down":    func(m *store.Migrator) error { _, err := m.Down(ctx); return err },
	"utf8mb4": func(m *store.Migrator) error { _, err := m.Convert(ctx); return err },
}

// migratorProcess dies at the beginning of a statement, where it is told which.
func migratorProcess(cfg store.Config) int {
	last, _ := strconv.Atoi(os.Getenv("TLIM_MIGRATE_KILL"))
	begun := 0
	m, err := store.NewMigrator(ctx, cfg, func(p store.Progress) {
		fmt.Printf("step %d %v\n", p.Step, p.Done)
		if p.Done {
			return
		}
		if begun++; begun == last {
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			fmt.Fprintln(os.Stderr, "not killed:", err)
			select {}
		}
	})
	if err == nil {
		defer m.Close()
		err = migrations[os.Getenv("TLIM_MIGRATE")](m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func migratorCommand(cfg store.Config, what string, kill int) *exec.Cmd {
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), "TLIM_MIGRATE_DRIVER="+cfg.Driver, "TLIM_MIGRATE_DSN="+cfg.DSN, "TLIM_MIGRATE="+what, fmt.Sprint("TLIM_MIGRATE_KILL=", kill))
	return process
}

// By hand: go test ./store -run TestKilledAtEveryStatement -args -killed.all
var killedAll = flag.Bool("killed.all", false, "TestKilledAtEveryStatement kills up at every statement, also on MySQL, where that is some forty processes")

// TestKilledAtEveryStatement: whichever statement of up, utf8mb4 and down a kill comes before, no row of the plugin's is another, and who goes on
// comes to the same end as who was never killed. SQLite's down is one transaction, in which every third is tried, and its up is killed at every
// third, without -killed.all.
func TestKilledAtEveryStatement(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		whole := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		raw := e.raw(t, cfg)
		rows := oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close())
		for _, what := range []string{"up", "utf8mb4", "down"} {
			if e.name != "mysql" && what == "utf8mb4" {
				continue
			}
			m := migrator(t, whole, nil)
			must[any](t)(nil, errors.Join(migrations[what](m), m.Close()))
			if what == "up" && e.name == "mysql" && !*killedAll {
				up(t, cfg)
				continue
			}
			raw := e.raw(t, whole)
			want := made(t, e, raw)
			must[any](t)(nil, raw.Close())

			kills, before := 0, ""
			for n := 1; ; kills++ {
				said, err := migratorCommand(cfg, what, n).CombinedOutput()
				raw := e.raw(t, cfg)
				equal(t, fmt.Sprintf("%s: the rows after kill %d", what, kills), oldRowsOf(t, raw), rows)
				stands := made(t, e, raw)
				must[any](t)(nil, raw.Close())
				if err == nil {
					equal(t, what+": the tables", stands, want)
					break
				}
				if !strings.HasPrefix(string(said), "step ") || strings.Contains(string(said), "not killed") || strings.Contains(string(said), "another process") {
					t.Fatalf("%s, kill %d: got %v, %s, want it killed at a statement", what, kills, err, said)
				}
				switch {
				case e.name == "sqlite" && what == "down", e.name == "sqlite" && !*killedAll:
					n += 3
				case stands == before: // the first that a process does changes nothing
					n++
				}
				before = stands
			}
			if kills < 7 && (e.name != "sqlite" || what != "up" || *killedAll) || kills < 2 {
				t.Errorf("%s: got %d kills, want one for each statement", what, kills)
			}
			t.Logf("%s: %d kills", what, kills)
		}
	})
}

// A kill in the middle leaves whole steps; the next one goes on behind them, and says who is there while the server still works.
func TestUpKilled(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		raw := e.raw(t, cfg)
		const rows = 40000
		many := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + fmt.Sprint(rows) + ") SELECT CONCAT('k', i), CONCAT('k', i), 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z' FROM n"
		if e.name == "sqlite" {
			many = strings.ReplaceAll(many, "CONCAT('k', i)", "'k' || i")
		}
		insert := "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) " + many
		if e.name == "mysql" {
			insert = "SET STATEMENT max_recursive_iterations = 1000000 FOR " + insert
		}
		run(t, raw, insert)
		before := oldRowsOf(t, raw)
		must[any](t)(nil, raw.Close())

		process := migratorCommand(cfg, "up", 0)
		out, err := process.StdoutPipe()
		if err == nil {
			err = process.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "step 3 false"; {
		}
		must[any](t)(nil, process.Process.Kill())
		if err := process.Wait(); err == nil {
			t.Fatal("the process ended by itself, want it killed in the middle")
		}
		equalIndexes := func(min int) {
			t.Helper()
			if n := len(layout(t, cfg).Missing); n == 0 || n > 15-min {
				t.Errorf("after the kill %d parts are missing, want some, and at most %d", n, 15-min)
			}
		}
		equalIndexes(2)
		deadline := time.Now().Add(time.Minute)
		for {
			m, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
			if errors.Is(err, store.ErrHeld) && time.Now().Before(deadline) { // the server ends the statement of before
				if !strings.Contains(err.Error(), "of the server") {
					t.Fatalf("got %v, want who it is", err)
				}
				time.Sleep(10 * time.Millisecond)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			must[store.Report](t)(m.Up(ctx))
			must[any](t)(nil, m.Close())
			break
		}
		equal(t, "missing", layout(t, cfg).Missing, []store.Missing{})
		after := oldRowsOf(t, e.raw(t, cfg))
		equal(t, "rows", len(after), len(before))
		if !slices.Equal(after, before) {
			t.Error("the rows are other ones than before, want the same")
		}
	})
}

// One at a time: the second one hears who is there, and beside a store that is open SQLite's has to wait.
func TestMigratorsTakeTurns(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
		first := migrator(t, cfg, nil)
		refused := func(what string) {
			t.Helper()
			_, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
			if !errors.Is(err, store.ErrHeld) || strings.Contains(fmt.Sprint(err), "\n") {
				t.Fatalf("%s: got %v, want one line, %v", what, err, store.ErrHeld)
			}
			if server, err := mysql.ParseDSN(cfg.DSN); e.name == "mysql" && err == nil && strings.Contains(fmt.Sprint(err), server.Passwd) {
				t.Errorf("%s: got the password in the error, want it masked", what)
			}
		}
		refused("beside another")
		must[store.Report](t)(first.Up(ctx))
		refused("after its work, before its end")
		must[any](t)(nil, first.Close())
		s := open(t, cfg)
		if e.name == "sqlite" {
			refused("beside a store")
			return
		}
		m := migrator(t, cfg, nil)
		defer m.Close()
		must[store.Report](t)(m.Up(ctx))
		must[store.State](t)(s.State(ctx))
	})
}

// Beside a process that writes, indexes are built while it does.
func TestUpBesideWriters(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	s, epoch := owned(t, cfg)
	wrote := 0
	m := migrator(t, cfg, func(store.Progress) {
		wrote++
		apply(t, s, epoch, say(wrote, "z", "g", "[]"))
	})
	defer m.Close()
	must[store.Report](t)(m.Up(ctx))
	if wrote < 30 {
		t.Errorf("wrote %d messages, want one for each beginning and end of 15 steps", wrote)
	}
	equal(t, "missing", layout(t, cfg).Missing, []store.Missing{})
}

// Where the engine cannot, it is said, and done.
func TestUpLocksWhereItMust(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t, append(append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...), "ALTER TABLE ofchat ENGINE=MyISAM")...)
	for _, m := range layout(t, cfg).Missing {
		equal(t, m.String(), m.Locks, m.Table == "ofchat" && m.Kind == "index")
	}
	locked := map[string]bool{}
	m := migrator(t, cfg, func(p store.Progress) { locked[p.What] = p.Locks })
	defer m.Close()
	must[store.Report](t)(m.Up(ctx))
	equal(t, "a table without transactions", locked["index tlim_chat_owner of ofchat"], true)
	equal(t, "another", locked["index tlim_message_id of ofmessage"], false)
}

// Bad input: one line, no password, and nothing half-done.
func TestMigratorRefuses(t *testing.T) {
	refused := func(t *testing.T, cfg store.Config, want string) {
		t.Helper()
		m, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
		if err == nil {
			_, err = m.Up(ctx)
			defer m.Close()
		}
		if text := fmt.Sprint(err); err == nil || !strings.Contains(text, want) || strings.Contains(text, "\n") || strings.Contains(text, "s3cret") {
			t.Errorf("got %v, want one line with %q and without a password", err, want)
		}
	}
	t.Run("a file that is not there", func(t *testing.T) {
		cfg := store.Config{DSN: t.TempDir() + "/none.db"}
		refused(t, cfg, "there is no such file")
		if _, err := os.Stat(cfg.DSN); err == nil {
			t.Error("got the file made, want none")
		}
	})
	if os.Getuid() != 0 { // root writes everything
		t.Run("a file that may not be written", func(t *testing.T) {
			cfg := sqliteEngine.fresh(t, oldTables(sqliteEngine, varchar64, "")...)
			must[any](t)(nil, os.Chmod(cfg.DSN, 0o400))
			refused(t, cfg, "readonly")
		})
	}
	t.Run("another database", func(t *testing.T) {
		refused(t, sqliteEngine.fresh(t, "CREATE TABLE ofmessage (a int)"), "column ofmessage.id_ is missing")
	})
	t.Run("no server", func(t *testing.T) {
		refused(t, store.Config{Driver: "mysql", DSN: "u:s3cret@tcp(127.0.0.1:1)/db"}, "connection refused")
		refused(t, store.Config{Driver: "sqlserver", DSN: "sqlserver://sa:s3cret@127.0.0.1:1?database=db"}, "connection refused")
		refused(t, store.Config{Driver: "oracle", DSN: "oracle://u:s3cret@127.0.0.1:1/service"}, "connection refused")
	})
	t.Run("a wrong address", func(t *testing.T) {
		refused(t, store.Config{Driver: "mysql", DSN: "u:s3cret@127.0.0.1:1/db"}, "store.dsn: has no tcp(…)")
	})
	e := mysqlEngine
	cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
	raw := e.raw(t, cfg)
	server := must[*mysql.Config](t)(mysql.ParseDSN(cfg.DSN))
	name := "mig_" + server.DBName[len(server.DBName)-8:]
	run(t, raw, "CREATE USER "+name+"@'%' IDENTIFIED BY 's3cret'", "GRANT SELECT, INSERT, UPDATE, DELETE ON "+server.DBName+".* TO "+name+"@'%'")
	t.Cleanup(func() { run(t, raw, "DROP USER "+name+"@'%'") })
	server.User, server.Passwd = name, "s3cret"
	lesser := store.Config{Driver: "mysql", DSN: server.FormatDSN()}
	t.Run("no right for DDL", func(t *testing.T) {
		refused(t, lesser, "nothing was changed: the user of store.dsn lacks CREATE, ALTER, INDEX")
	})
	t.Run("a wrong password", func(t *testing.T) {
		wrong := *server
		wrong.Passwd = "s3cret2"
		refused(t, store.Config{Driver: "mysql", DSN: wrong.FormatDSN()}, "Access denied")
	})
	t.Run("a replica", func(t *testing.T) {
		run(t, raw, "GRANT ALL ON "+server.DBName+".* TO "+name+"@'%'", "SET GLOBAL read_only = ON")
		defer run(t, raw, "SET GLOBAL read_only = OFF")
		refused(t, lesser, "nothing was changed: the server is read-only")
	})
	equal(t, "tables", len(layout(t, cfg).Tables), 8)
	equal(t, "a column", strings.Contains(fmt.Sprint(layout(t, cfg).Tables[0].Columns), "flags"), false)
}

// begins are the two ways in which tables are taken over.
var begins = map[string]func(cfg store.Config) error{
	"a start": func(cfg store.Config) error {
		s, err := store.Open(ctx, cfg)
		if err != nil {
			return err
		}
		return s.Close()
	},
	"migrate up": func(cfg store.Config) error {
		m, err := store.NewMigrator(ctx, cfg, func(store.Progress) {})
		if err != nil {
			return err
		}
		_, err = m.Up(ctx)
		return errors.Join(err, m.Close())
	},
}

// TestFullDiskOfATakeover: where the disk is full the first start and up say so in one line and leave each table and each row whole; with room again the
// next one goes on. On MySQL a table in memory that has reached its bound stands for the disk.
func TestFullDiskOfATakeover(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		for what, begin := range begins {
			t.Run(what, func(t *testing.T) {
				cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
				full, raw := cfg, e.raw(t, cfg)
				before := oldRowsOf(t, raw)
				if e.name == "sqlite" {
					var pages int
					must[any](t)(nil, raw.QueryRow("PRAGMA page_count").Scan(&pages))
					full.DSN = fmt.Sprintf("file:%s?_pragma=max_page_count(%d)", cfg.DSN, pages+3)
					must[any](t)(nil, raw.Close())
				} else {
					var bound int64
					must[any](t)(nil, raw.QueryRow("SELECT @@GLOBAL.max_heap_table_size").Scan(&bound))
					run(t, raw, "ALTER TABLE ofmessage ENGINE=MEMORY", "SET GLOBAL max_heap_table_size = 16384")
					t.Cleanup(func() { run(t, raw, fmt.Sprint("SET GLOBAL max_heap_table_size = ", bound)) })
				}
				err := begin(full)
				if text := fmt.Sprint(err); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(text, "full") || strings.Contains(text, "\n") {
					t.Errorf("got %v, want one line that says what is full", err)
				}
				if len(layout(t, cfg).Missing) == 0 {
					t.Error("got nothing missing, want it ended on the way")
				}
				if e.name == "mysql" {
					run(t, raw, "SET GLOBAL max_heap_table_size = 16777216")
				}
				seen := e.raw(t, cfg)
				equal(t, "the rows", oldRowsOf(t, seen), before)
				must[any](t)(nil, seen.Close())
				must[any](t)(nil, begin(cfg))
				up(t, cfg)
				equal(t, "missing", layout(t, cfg).Missing, []store.Missing{})
				equal(t, "the rows at last", oldRowsOf(t, e.raw(t, cfg)), before)
			})
		}
	})
}

// TestReadOnlyTakeover: a database that takes no writes is named in one line, and nothing is made.
func TestReadOnlyTakeover(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		for what, begin := range begins {
			t.Run(what, func(t *testing.T) {
				cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"), oldRows...)...)
				raw := e.raw(t, cfg)
				stood, rows := made(t, e, raw), oldRowsOf(t, raw)
				replica := cfg
				if e.name == "sqlite" {
					replica.DSN = "file:" + cfg.DSN + "?mode=ro"
					must[any](t)(nil, raw.Close())
				} else {
					replica = asUser(t, e, cfg, "ALL")
					run(t, raw, "SET GLOBAL read_only = ON")
					t.Cleanup(func() { run(t, raw, "SET GLOBAL read_only = OFF") })
				}
				err := begin(replica)
				if text := strings.ReplaceAll(fmt.Sprint(err), "readonly", "read-only"); err == nil || !strings.Contains(text, "read-only") || strings.Contains(text, "\n") {
					t.Errorf("got %v, want one line that says that it is read-only", err)
				}
				if e.name == "mysql" {
					run(t, raw, "SET GLOBAL read_only = OFF")
				}
				seen := e.raw(t, cfg)
				equal(t, "the tables", made(t, e, seen), stood)
				equal(t, "the rows", oldRowsOf(t, seen), rows)
				must[any](t)(nil, seen.Close())
				must[any](t)(nil, begin(cfg))
			})
		}
	})
}
