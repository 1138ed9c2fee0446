package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// putOff checks that a write was put off and left nothing behind.
func putOff(t *testing.T, s *store.Store, before store.State, err error) {
	t.Helper()
	var unknown *store.UnknownError
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrData) || errors.As(err, &unknown) {
		t.Errorf("got %v, want %v alone", err, store.ErrUnavailable)
	}
	equal(t, "state", must[store.State](t)(s.State(ctx)), before)
	equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"m2"}))), 0)
	equal(t, "messages", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m2"}))), 0)
}

// TestFullDisk: what does not fit is put off whole, and what was there stays readable.
func TestFullDisk(t *testing.T) {
	cfg := sqliteEngine.fresh(t)
	path := cfg.DSN
	first, epoch := owned(t, cfg)
	apply(t, first, epoch, say(1, "z", "g", "[]"))
	var pages int
	if err := sqliteEngine.raw(t, cfg).QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}

	cfg.DSN = fmt.Sprintf("file:%s?_pragma=max_page_count(%d)", path, pages+8)
	s, epoch := owned(t, cfg)
	before := must[store.State](t)(s.State(ctx))
	big := say(2, "z", "g", `["`+strings.Repeat("x", 64<<10-4)+`"]`)
	err := s.Apply(ctx, epoch, store.Positions{Clock: 99}, []store.Change{big})
	putOff(t, s, before, err)
	if !strings.Contains(fmt.Sprint(err), "full") {
		t.Errorf("got %v, want why, full, in it", err)
	}
	apply(t, s, epoch, say(3, "z", "g", "[]")) // it fits

	cfg.DSN = path
	s, epoch = owned(t, cfg)
	apply(t, s, epoch, big)
	equal(t, "messages", len(must[map[string][]store.Message](t)(s.MessagesByID(ctx, []string{"m1", "m2", "m3"}))), 3)
}

// TestDeadlock: the server picks our transaction as its victim, and it is written again.
func TestDeadlock(t *testing.T) {
	cfg := mysqlEngine.fresh(t)
	s, epoch := owned(t, cfg)
	c := say(1, "z", "g", "[]")
	c.Groups = []store.Group{{ID: "g", Name: "g", Owner: "z", CreateTime: clock(0)}}
	apply(t, s, epoch, c)
	before := must[store.State](t)(s.State(ctx))

	// The other transaction has changed more rows, so it is the one that survives. It holds the group, which our touch of it
	// waits for, and then asks for tlim_state, which we hold.
	raw := mysqlEngine.raw(t, cfg)
	other, err := raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	do := func(query string) {
		t.Helper()
		if _, err := other.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	do("UPDATE ofsession SET session_name = 'x' WHERE session_id = 'g'")
	for i := range 50 {
		do(fmt.Sprintf("INSERT INTO ofpubact (id_) VALUES ('%d')", i))
	}
	touched := say(2, "z", "g", "[]")
	touched.TouchGroup = "g"
	done := make(chan error, 1)
	go func() { done <- s.Apply(ctx, epoch, store.Positions{Clock: 99}, []store.Change{touched}) }()
	const waits = `SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE ofsession SET session_modify_time%'`
	for n := 0; n == 0; {
		if err := raw.QueryRow(waits).Scan(&n); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("the call ended with %v, want it to wait for the group", err)
		default:
		}
	}
	do("UPDATE tlim_state SET batch = batch WHERE id = 1")
	if err := other.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) { // else the second try waits for it
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v, want it written when it was tried again", err)
	}
	if st := must[store.State](t)(s.State(ctx)); st.Clock != 99 || st.Batch == before.Batch {
		t.Errorf("got %+v, before %+v, want a batch more, and the clock 99", st, before)
	}
}

// TestConnectionLostInABatch: the connection of the transaction dies between two of its statements.
func TestConnectionLostInABatch(t *testing.T) {
	cfg := mysqlEngine.fresh(t)
	s, epoch := owned(t, cfg)
	c := say(1, "z", "g", "[]")
	c.Groups = []store.Group{{ID: "g", Name: "g", Owner: "z", CreateTime: clock(0)}}
	apply(t, s, epoch, c)
	before := must[store.State](t)(s.State(ctx))

	raw := mysqlEngine.raw(t, cfg)
	other, err := raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback()
	if _, err := other.Exec("UPDATE ofsession SET session_name = 'x' WHERE session_id = 'g'"); err != nil {
		t.Fatal(err)
	}
	touched := say(2, "z", "g", "[]")
	touched.TouchGroup = "g"
	done := make(chan error, 1)
	go func() { done <- s.Apply(ctx, epoch, store.Positions{Clock: 99}, []store.Change{touched}) }()
	var id int
	for err = sql.ErrNoRows; errors.Is(err, sql.ErrNoRows); {
		err = raw.QueryRow(`SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE ofsession SET session_modify_time%'`).Scan(&id)
		select {
		case early := <-done:
			t.Fatalf("the call ended with %v, want it to wait for the group", early)
		default:
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, raw, fmt.Sprint("KILL ", id))
	err = <-done
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	putOff(t, s, before, err)
	apply(t, s, epoch, touched)
}

// TestRefusedStatement: a statement that the database refuses, for a right or a table that is missing, fails its own caller
// and nobody else.
func TestRefusedStatement(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		source, raw := newSource(t, s, "isc", ""), e.raw(t, cfg)
		refused := func() {
			t.Helper()
			if err := source.SetPush(ctx, "b", ""); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, store.ErrUnavailable)
			}
		}
		refused()
		apply(t, s, epoch, say(1, "z", "g", "[]"))
		// It ran once, and is to be prepared when it cannot any more.
		run(t, raw, sourceTables(e, "")...)
		must[any](t)(nil, source.SetPush(ctx, "b", ""))
		run(t, raw, "DROP TABLE isc_user")
		apply(t, s, epoch, say(2, "z", "g", "[]"))
		refused()
		apply(t, s, epoch, say(3, "z", "g", "[]"))
	})
}
