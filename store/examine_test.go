package store_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/store"
)

// Of a large table a part is read, and said to be one: what stands twice is found along its index, or not looked for without.
func TestDirtOfALargeTable(t *testing.T) {
	e := sqliteEngine
	cfg := e.fresh(t)
	must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
	raw := e.raw(t, cfg)
	run(t, raw, `INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50010) SELECT i, 'm' || printf('%06d', i / 2 * 2), 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z' FROM n`,
		`INSERT INTO ofstatus (id_, msg_id, sender, reader, status) VALUES ('1', 'm000002', 'z', 'l', 1), ('2', 'gone', 'z', 'l', 1)`)
	most := time.Hour // however busy the machine
	look := func(table string) store.Dirt {
		t.Helper()
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		defer x.Close()
		return must[store.Dirt](t)(x.Dirt(ctx, table, time.Now(), most))
	}
	d := look("ofmessage")
	if !d.Part || d.Looked != 50000 || len(d.Advice) != 1 || !strings.Contains(d.Advice[0].Seen, "(msg_id) that stand more than once") || len(d.Unseen) != 0 {
		t.Errorf("with an index: got %+v, want part of it, and values that stand more than once", d)
	}
	if d := look("ofstatus"); d.Part || len(d.Advice) != 1 || !strings.Contains(d.Advice[0].Seen, `1 values of msg_id that no row of ofmessage has, such as "gone"`) {
		t.Errorf("references with an index: got %+v, want the one that leads nowhere", d)
	}
	most = 0
	if d := look("ofmessage"); !d.Part || d.Looked != 0 || len(d.Advice) != 0 {
		t.Errorf("without time: got %+v, want a part of no row", d)
	}
	most = time.Hour
	run(t, raw, "DROP INDEX tlim_message_id")
	if d := look("ofmessage"); !d.Part || len(d.Advice) != 0 || len(d.Unseen) != 1 || !strings.Contains(d.Unseen[0], "has no index") {
		t.Errorf("without an index: got %+v, want it to say that nothing was looked for", d)
	}
	if d := look("ofstatus"); len(d.Advice) != 0 || len(d.Unseen) != 1 || !strings.Contains(d.Unseen[0], "is large and has no index") {
		t.Errorf("references without an index: got %+v, want it to say that nothing was looked for", d)
	}
}

// What a remedy shows is what was counted, and what it writes mends it.
func TestRemediesOfRows(t *testing.T) {
	onShared(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8mb4"), `INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES
			('1', 'a', 'MTT-000', 'z ', 'l', '1544602393123', '[]', 'z'), ('2', 'b', 'MTT-000', '	z', 'l', '1544602393123', '[]', 'z'),
			('3', '', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z'), ('4', NULL, 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z'), ('5', 'e', 'MTT-000', 'z', 'l', '1544602393123', '[]', 'z　')`)...)
		look := func() []store.Advice {
			t.Helper()
			x := must[*store.Examination](t)(store.Examine(ctx, cfg))
			defer x.Close()
			return must[store.Dirt](t)(x.Dirt(ctx, "ofmessage", time.UnixMilli(1700000000000), time.Hour)).Advice
		}
		found := look()
		raw := e.raw(t, cfg)
		for _, a := range found {
			if _, shown, ok := strings.Cut(a.Remedy, "see them: "); ok {
				equal(t, a.Seen+": rows shown", len(tableNames(t, raw, strings.Replace(shown, "*", "id_", 1))), 2)
			} else {
				run(t, raw, a.Remedy[strings.Index(a.Remedy, "UPDATE"):])
			}
		}
		must[any](t)(nil, raw.Close())
		equal(t, "found", len(found), 4)
		equal(t, "left", len(look()), 1)
	})
}

// A look leaves the files as they are, and sees what a killed process had not copied back.
func TestExamineLeavesFilesAlone(t *testing.T) {
	e := sqliteEngine
	for name, c := range map[string]struct {
		left string // of the files beside
		mode os.FileMode
	}{"closed in order": {"", 0}, "an empty log": {"-wal", 0o400}} {
		t.Run(name, func(t *testing.T) {
			cfg := e.fresh(t)
			must[any](t)(nil, must[*store.Store](t)(store.Open(ctx, cfg)).Close())
			if c.left != "" {
				must[any](t)(nil, os.WriteFile(cfg.DSN+c.left, nil, c.mode))
			}
			files := func() (list []string) {
				for _, f := range must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(cfg.DSN))) {
					info := must[os.FileInfo](t)(f.Info())
					list = append(list, fmt.Sprint(f.Name(), info.Mode(), info.Size(), info.ModTime()))
				}
				return list
			}
			before := files()
			x := must[*store.Examination](t)(store.Examine(ctx, cfg))
			if _, found, err := x.State(ctx); !found || err != nil {
				t.Errorf("State: got %v %v, want the row", found, err)
			}
			if advice, err := x.Durability(ctx); len(advice) > 0 || err != nil {
				t.Errorf("Durability: got %v %v, want nothing", advice, err)
			}
			must[any](t)(nil, x.Close())
			if after := files(); !slices.Equal(before, after) {
				t.Errorf("got %v, want %v", after, before)
			}
		})
	}
	t.Run("beside a writer", func(t *testing.T) {
		cfg := e.fresh(t)
		s := must[*store.Store](t)(store.Open(ctx, cfg))
		defer s.Close()
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		defer x.Close()
		if len(x.Tables()) == 0 {
			t.Error("got no tables, want those that stand in the log alone")
		}
	})
}

// What is no file is refused by name, at a start as well.
func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket.db")
	var listen net.ListenConfig
	l := must[net.Listener](t)(listen.Listen(ctx, "unix", socket))
	defer l.Close()
	for name, c := range map[string]struct{ dsn, want string }{"folder": {dir, "is a folder, no database"}, "socket": {socket, "is a device or a socket, no database"}} {
		t.Run(name, func(t *testing.T) {
			_, opened := store.Open(ctx, store.Config{DSN: c.dsn})
			_, examined := store.Examine(ctx, store.Config{DSN: c.dsn})
			for what, err := range map[string]error{"Open": opened, "Examine": examined} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got the error %v, want %q", what, err, c.want)
				} else if remedy := store.Remedy(store.Config{DSN: c.dsn}, err); !strings.Contains(remedy, "the name of a file") {
					t.Errorf("%s: got the remedy %q, want a file's name", what, remedy)
				}
			}
		})
	}
}

// What other programs left in a table is found on every engine.
func TestDirtOnEveryEngine(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		long := strings.Repeat("x", 70)
		rows := e.form(`INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES
			('1', 'a', 'MTT-000', 'z ', 'l', '1544602393123', '[]', 'z'), ('2', 'a', 'MTT-000', 'Z', 'l', '1544602393', '%5B%5D', 'z'),
			('3', 'c', 'MTT-000', 'z', 'l', '2018-12-12 16:13:13', '[]', '`+long+`'), ('4', 'd', 'MTT-000', 'z', 'l', '1893456000000', NULL, 'z')`,
			`INSERT INTO ofstatus (id_, msg_id, sender, reader, status) VALUES ('1', 'a', 'z', 'l', 1), ('2', '张三', 'z', 'l', 1)`)
		cfg := e.fresh(t, append(slices.Concat(oldTables(e, varchar64, " CHARACTER SET utf8mb4"), e.form("DROP TABLE ofmessage",
			"CREATE TABLE ofmessage (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(80))")), rows...)...)
		x := must[*store.Examination](t)(store.Examine(ctx, cfg))
		t.Cleanup(func() { x.Close() })
		for table, wanted := range map[string][]string{
			"ofmessage": {"1 values of msg_from with blanks at an end", "1 users in msg_from with capitals", "1 values of session_id with more than 64 characters",
				"1 values of msg_time that are seconds", "1 values of msg_time that are dates", "1 values of msg_time that are in the future",
				"1 values of body that are URL-encoded", "1 rows without body", `1 values of (msg_id) that stand more than once, such as "a"`},
			"ofstatus": {`1 values of msg_id that no row of ofmessage has, such as "张三"`},
		} {
			t.Run(table, func(t *testing.T) {
				d := must[store.Dirt](t)(x.Dirt(ctx, table, time.UnixMilli(1700000000000), time.Hour))
				said := fmt.Sprint(d.Advice)
				for _, want := range wanted {
					if !strings.Contains(said, want) {
						t.Errorf("%s: got %s, want %q", table, said, want)
					}
				}
				if len(d.Advice) != len(wanted) || d.Part || len(d.Unseen) > 0 {
					t.Errorf("%s: got %d findings, %+v, want %d of all rows", table, len(d.Advice), d, len(wanted))
				}
			})
		}
	})
}
