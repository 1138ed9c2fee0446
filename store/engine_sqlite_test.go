package store_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"tlim/store"
)

func init() { engines = append(engines, sqliteEngine) }

var sqliteEngine = engine{
	name: "sqlite",
	lock: "BEGIN IMMEDIATE",
	fresh: func(t testing.TB, statements ...string) store.Config {
		cfg := store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "tlim.db")}
		run(t, rawSQLite(t, cfg), statements...)
		return cfg
	},
	raw:    rawSQLite,
	stands: func() string { return "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name" },
}

func rawSQLite(t testing.TB, cfg store.Config) *sql.DB {
	t.Helper()
	return opened(t, "sqlite", "file:"+cfg.DSN+"?_pragma=busy_timeout(5000)")
}
