package store_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

// engine is a database engine that the conformance suite runs over.
type engine struct {
	name string
	// fresh makes an empty database, with these statements run in it, and says how to open it.
	fresh func(t testing.TB, statements ...string) store.Config
	// raw opens it without tlim.
	raw func(t testing.TB, cfg store.Config) *sql.DB
}

var sqliteEngine = engine{
	name: "sqlite",
	fresh: func(t testing.TB, statements ...string) store.Config {
		cfg := store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "tlim.db")}
		run(t, rawSQLite(t, cfg), statements...)
		return cfg
	},
	raw: rawSQLite,
}

func rawSQLite(t testing.TB, cfg store.Config) *sql.DB {
	return opened(t, "sqlite", "file:"+cfg.DSN+"?_pragma=busy_timeout(5000)")
}

// mysqlEngine needs a server: TLIM_TEST_MYSQL_DSN names one on which databases may be created, for example
// root@tcp(127.0.0.1:3306)/. Each test has a database of its own, dropped at its end.
var mysqlEngine = engine{
	name: "mysql",
	fresh: func(t testing.TB, statements ...string) store.Config {
		server := mysqlServer(t)
		admin := opened(t, "mysql", server.FormatDSN())
		name := "tlim_test_" + strings.ToLower(rand.Text()[:12])
		run(t, admin, "CREATE DATABASE "+name)
		t.Cleanup(func() { run(t, admin, "DROP DATABASE "+name) })
		server.DBName = name
		cfg := store.Config{Driver: "mysql", DSN: server.FormatDSN()}
		run(t, opened(t, "mysql", cfg.DSN), statements...)
		return cfg
	},
	raw: func(t testing.TB, cfg store.Config) *sql.DB { return opened(t, "mysql", cfg.DSN) },
}

// mysqlServer skips without a server, and fails instead where REQUIRE_DB lists mysql.
func mysqlServer(t testing.TB) *mysql.Config {
	t.Helper()
	dsn := os.Getenv("TLIM_TEST_MYSQL_DSN")
	if dsn == "" {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_DB"), ","), "mysql") {
			t.Fatal("REQUIRE_DB wants mysql, but TLIM_TEST_MYSQL_DSN is not set")
		}
		t.Skip("no MySQL or MariaDB: TLIM_TEST_MYSQL_DSN is not set (for example root@tcp(127.0.0.1:3306)/)")
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func opened(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%v in: %s", err, s)
		}
	}
}

// onEngines runs a test over every engine.
func onEngines(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range []engine{sqliteEngine, mysqlEngine} {
		t.Run(e.name, func(t *testing.T) { test(t, e) })
	}
}

// open opens a store that the test's end closes.
func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return s
}

// owned opens a store and takes it over.
func owned(t testing.TB, cfg store.Config) (*store.Store, int64) {
	t.Helper()
	s := open(t, cfg)
	st, err := s.TakeOver(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, st.Epoch
}

// apply writes and fails the test when that fails.
func apply(t testing.TB, s *store.Store, epoch int64, changes ...store.Change) {
	t.Helper()
	if err := s.Apply(context.Background(), epoch, store.Positions{}, changes); err != nil {
		t.Fatal(err)
	}
}
