package store_test

import (
	"context"
	"database/sql"
	"slices"
	"testing"

	"tlim/store"
)

// engine is a database engine that the conformance suite runs over.
type engine struct {
	name string
	// fresh makes an empty database, with these statements run in it, and says how to open it.
	fresh func(t testing.TB, statements ...string) store.Config
	// raw opens it without tlim.
	raw func(t testing.TB, cfg store.Config) *sql.DB
	// stands is a query for how all tables stand there: a name, and every column and index of it in the engine's words.
	stands func() string
	// own makes the engine's form of a statement of the tests, where it has another one. nil: as it is.
	own func(statement string) string
	// lock begins a transaction that may write, in raw. "": its driver begins it.
	lock string
	// onTable says that DROP INDEX names the table, too.
	onTable bool
	// later says that the first tlim had no such engine: nobody upgrades from there.
	later bool
}

// engines are those of the conformance suite. A file engine_<name>_test.go adds its own.
var engines []engine

// indexOf is what follows the name of an index that is dropped.
func (e engine) indexOf(table string) string {
	if e.onTable {
		return " ON " + table
	}
	return ""
}

// form is the engine's form of statements of the tests.
func (e engine) form(statements ...string) []string {
	if e.own == nil {
		return statements
	}
	var own []string
	for _, s := range statements {
		own = append(own, e.own(s))
	}
	return own
}

// locked writes in a transaction beside tlim, and returns what commits it.
func (e engine) locked(t testing.TB, cfg store.Config, statement string) (commit func()) {
	t.Helper()
	raw := e.raw(t, cfg)
	if e.lock == "" {
		tx, err := raw.BeginTx(ctx, nil)
		if err == nil {
			_, err = tx.ExecContext(ctx, statement)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() { t.Helper(); must[any](t)(nil, tx.Commit()) }
	}
	conn := must[*sql.Conn](t)(raw.Conn(ctx))
	t.Cleanup(func() { conn.Close() })
	exec := func(q string) { t.Helper(); must[sql.Result](t)(conn.ExecContext(ctx, q)) }
	exec(e.lock)
	exec(statement)
	return func() { t.Helper(); exec("COMMIT") }
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
			t.Fatalf("got %v, want no error from: %s", err, s)
		}
	}
}

// onEngines runs a test over every engine.
func onEngines(t *testing.T, test func(t *testing.T, e engine)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, e) })
	}
}

// No engine of this release is left out of the suite.
func TestEveryEngineIsInTheSuite(t *testing.T) {
	for _, have := range store.Engines() {
		if !slices.ContainsFunc(engines, func(e engine) bool { return e.name == have.Name }) {
			t.Errorf("got no conformance suite over %s, want engine_%s_test.go", have.Name, have.Name)
		}
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
			t.Errorf("close: got %v, want no error", err)
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
