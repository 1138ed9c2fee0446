package store_test

import (
	"crypto/rand"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

func init() { engines = append(engines, mysqlEngine) }

// mysqlEngine needs a server: TLIM_TEST_MYSQL_DSN names one on which databases may be created, for example
// root@tcp(127.0.0.1:3306)/. Each test has a database of its own, dropped at its end.
var mysqlEngine = engine{
	name:    "mysql",
	lock:    "START TRANSACTION",
	onTable: true,
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
	stands: func() string {
		return `SELECT table_name, CONCAT_WS(' ', column_name, column_type, is_nullable, column_default, character_set_name, collation_name, extra, ordinal_position) FROM information_schema.columns WHERE table_schema = DATABASE()
			UNION ALL SELECT table_name, CONCAT_WS(' ', index_name, non_unique, seq_in_index, column_name) FROM information_schema.statistics WHERE table_schema = DATABASE() ORDER BY 1, 2`
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
