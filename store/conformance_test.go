package store_test

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
	"tlim/store/conformance"
)

// TestConformance: the suite of package conformance, which `tlim selftest` runs on the database of a site, on every engine of the tests.
func TestConformance(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		x, err := store.OpenScratch(ctx, cfg, store.ScratchPrefix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
		suite := must[*conformance.Suite](t)(conformance.New(ctx, x))
		for _, b := range conformance.Behaviours() {
			t.Run(b.Name, func(t *testing.T) {
				r := must[conformance.Result](t)(suite.Run(ctx, b))
				for _, fault := range r.Faults {
					t.Error(fault)
				}
				if r.Skipped != "" && e.name == mysqlEngine.name {
					t.Errorf("a real server: got %q skipped, want all behaviours seen", r.Skipped)
				}
				t.Log(r.Note, r.Skipped)
			})
		}
	})
}

// TestConformanceFindsFaults: what an engine does otherwise fails some behaviour.
func TestConformanceFindsFaults(t *testing.T) {
	for what, change := range store.PlantedFaults {
		t.Run(what, func(t *testing.T) {
			cfg := sqliteEngine.fresh(t)
			store.Plant(t, change)
			x, err := store.OpenScratch(ctx, cfg, "broken_")
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			suite := must[*conformance.Suite](t)(conformance.New(ctx, x))
			for _, b := range conformance.Behaviours() {
				r := must[conformance.Result](t)(suite.Run(ctx, b))
				if len(r.Faults) > 0 {
					t.Logf("%s: %s", b.Name, r.Faults[0])
					return
				}
			}
			t.Error("every behaviour passed, want one to fail")
		})
	}
}

// TestScratchRights: who may not remove tables makes one at most, and is told so; who may, removes it.
func TestScratchRights(t *testing.T) {
	e := mysqlEngine
	cfg := e.fresh(t)
	server, err := mysql.ParseDSN(cfg.DSN)
	if err != nil {
		t.Fatal(err)
	}
	raw, user := e.raw(t, cfg), "'"+server.DBName+"'@'%'"
	run(t, raw, "CREATE USER "+user+" IDENTIFIED BY 'few'")
	t.Cleanup(func() { run(t, raw, "DROP USER "+user) })
	server.User, server.Passwd = server.DBName, "few"
	few := cfg
	few.DSN = server.FormatDSN()
	const wanted = "the user of store.dsn needs CREATE, INDEX and DROP for the self-test"
	for _, step := range []struct {
		right  string
		tables []string
	}{{"SELECT, INSERT, UPDATE, DELETE", []string{}}, {"CREATE, INDEX", []string{"some_tlim_scratch"}}} {
		run(t, raw, "GRANT "+step.right+" ON `"+server.DBName+"`.* TO "+user)
		if _, err := store.OpenScratch(ctx, few, "some_"); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("with %s: got %v, want %q", step.right, err, wanted)
		}
		equal(t, "tables with "+step.right, tablesOf(t, raw), step.tables)
	}
	run(t, raw, "GRANT DROP ON `"+server.DBName+"`.* TO "+user)
	x, err := store.OpenScratch(ctx, few, "some_")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "removed", x.Removed(), []string{"some_tlim_scratch"})
	must[*store.Store](t)(x.Open(ctx, 0))
	if err := x.Close(); err != nil {
		t.Error(err)
	}
	equal(t, "tables", tablesOf(t, raw), []string{})
}

func tablesOf(t *testing.T, db *sql.DB) []string {
	t.Helper()
	names := []string{}
	rows, err := db.Query("SHOW TABLES")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}
