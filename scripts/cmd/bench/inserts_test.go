package main

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tlim/store"
)

func sqliteFile(t *testing.T) database {
	return database{"SQLite", "sqlite", filepath.Join(t.TempDir(), "bench #1.db")}
}

func TestInserts(t *testing.T) {
	b, err := openInserts(t.Context(), sqliteFile(t), 4)
	if err != nil {
		t.Fatal(err)
	}
	defer b.db.Close()
	receivers := make([]string, 273) // every size of a statement
	for i := range receivers {
		receivers[i] = receiverName(i)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := b.commit(t.Context(), receivers, "1700000000000", approvalBody); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got, err := wrote(t.Context(), b.db, b.tables)
	if err != nil {
		t.Fatal(err)
	}
	characters := int64(0)
	for _, row := range insertRow(receivers[0], "1700000000000", approvalBody)[1] {
		if text, ok := row.(string); ok {
			characters += int64(len(text))
		}
	}
	for i, w := range got {
		if w.rows != 4*273 {
			t.Errorf("%s has %d rows, want %d", b.tables[i].name, w.rows, 4*273)
		}
	}
	if got[1].characters != characters*4*273 {
		t.Errorf("%d characters, want %d for each row", got[1].characters, characters)
	}

	// A commit that fails leaves nothing.
	if _, err := b.db.ExecContext(t.Context(), "DROP TABLE ofcustomoffline"); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(t.Context(), receivers, "1", "[]"); err == nil || !strings.Contains(err.Error(), "ofcustomoffline") {
		t.Errorf("commit without a table: got %v, want an error, error with ofcustomoffline", err)
	}
	if again, err := wrote(t.Context(), b.db, b.tables[:2]); err != nil || again[0] != got[0] || again[1] != got[1] {
		t.Errorf("after the failed commit: got %v, %v, want %v as before and no error", again, err, got[:2])
	}
}

func TestAlike(t *testing.T) {
	for _, c := range []struct {
		name         string
		ours, bare   written
		oursN, bareN int64
		want         string
	}{
		{"alike", written{10, 1000}, written{4, 400}, 10, 4, ""},
		{"a row is missing", written{9, 900}, written{4, 400}, 10, 4, "9 rows for 10 receivers"},
		{"bare writes less", written{10, 1000}, written{4, 396}, 10, 4, "100.0 characters by tlim and 99.0 bare"},
		{"nothing was measured", written{}, written{}, 0, 0, "0 rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := alike(c.ours, c.oursN, c.bare, c.bareN)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got the error %v, want %q", err, c.want)
			}
		})
	}
}

func TestReceiversTakeTurns(t *testing.T) {
	a := &approvals{receivers: []string{"a", "b", "c"}}
	count := map[string]int{}
	for range 6 {
		count[a.one()[0]]++
	}
	for _, name := range a.some(3) {
		count[name]++
	}
	if count["a"] != 3 || count["b"] != 3 || count["c"] != 3 {
		t.Errorf("got %v, want a 3, b 3, c 3", count)
	}
}

// What a fill leaves is a database on which a tlim starts without anything to deliver again.
func TestFill(t *testing.T) {
	d := sqliteFile(t)
	const rows, newest = fillBatch + 10, 1_700_000_000_000
	err := d.fill(t.Context(), newest, func(yield func(store.Change) bool) {
		for i := range rows {
			if !yield(store.Change{Offline: []store.OfflineMessage{waiting("m00", newest-int64(rows-i))}}) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found, err := s.Offline(t.Context(), "m00", "", "", "", rows+1)
	if err != nil || len(found) != rows || found[0].Time >= found[rows-1].Time {
		t.Errorf("got %d rows, %v, want %d, the oldest first, and no error", len(found), err, rows)
	}
	if state, err := s.State(t.Context()); err != nil || state.Clock != newest || state.Delivered != newest || state.Settled != newest {
		t.Errorf("got %+v, %v, want all three at %v", state, err, newest)
	}
}
