package store_test

import (
	"crypto/rand"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// freshH2 makes an empty database in a mode of H2. It skips without H2, and fails instead where REQUIRE_DB lists h2.
func freshH2(t testing.TB, driver, name string, statements []string) store.Config {
	t.Helper()
	address := os.Getenv("TLIM_TEST_H2")
	if address == "" {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_DB"), ","), "h2") {
			t.Fatal("REQUIRE_DB wants h2, but TLIM_TEST_H2 is not set")
		}
		t.Skip("no H2: TLIM_TEST_H2 is not set (scripts/h2 start prints H2_ADDRESS)")
	}
	cfg := store.Config{Driver: driver, DSN: driver + "://h2@" + address + "/" + name}
	raw := rawH2(t, cfg)
	run(t, raw, statements...)
	t.Cleanup(func() { run(t, raw, "SHUTDOWN") })
	return cfg
}

func rawH2(t testing.TB, cfg store.Config) *sql.DB {
	db := store.OpenH2(cfg.DSN)
	t.Cleanup(func() { db.Close() })
	return db
}

const standsH2 = `SELECT table_name, CONCAT_WS(' ', column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity, ordinal_position) FROM INFORMATION_SCHEMA.columns WHERE table_schema = SCHEMA()
	UNION ALL SELECT table_name, CONCAT_WS(' ', index_name, is_unique, ordinal_position, column_name) FROM INFORMATION_SCHEMA.index_columns WHERE table_schema = SCHEMA() AND index_name NOT LIKE 'PRIMARY_KEY_%' ORDER BY 1, 2`

func freshName() string { return strings.ToLower(rand.Text()[:12]) }
