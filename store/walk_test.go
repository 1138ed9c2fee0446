package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestConditionOfAPage(t *testing.T) {
	by := keys{"a?", "b?", "k"}
	oracle := &dialect{lowest: "\x01"}
	for _, test := range []struct {
		d      *dialect
		by     keys
		values []string
		want   string
	}{
		{&sqliteDialect, by, []string{"", "", ""}, `SELECT k FROM t ORDER BY a, b, k []`},
		{&sqliteDialect, by, []string{"1", "2", "3"}, `SELECT k FROM t WHERE a >= ? AND (a > ? OR b >= ? AND (b > ? OR k > ?)) ORDER BY a, b, k [1 1 2 2 3]`},
		{&sqliteDialect, by, []string{"1", "", "3"}, `SELECT k FROM t WHERE a >= ? AND (a > ? OR (b IS NOT NULL OR k > ?)) ORDER BY a, b, k [1 1 3]`},
		{&sqliteDialect, by, []string{"1", "", ""}, `SELECT k FROM t WHERE a >= ? AND (a > ? OR (b IS NOT NULL OR k > ?)) ORDER BY a, b, k [1 1 ]`},
		{&sqliteDialect, by, []string{"", "", "3"}, `SELECT k FROM t WHERE (a IS NOT NULL OR (b IS NOT NULL OR k > ?)) ORDER BY a, b, k [3]`},
		{&sqliteDialect, keys{"k"}, []string{"3"}, `SELECT k FROM t WHERE k > ? ORDER BY k [3]`},
		{oracle, keys{"a", "k"}, []string{"", "3"}, "SELECT k FROM t WHERE a >= ? AND (a > ? OR k > ?) ORDER BY a, k [\x01 \x01 3]"},
	} {
		t.Run(strings.Join(test.values, ","), func(t *testing.T) {
			query, args := test.by.from(test.d, `SELECT k FROM t`, nil, test.values...)
			if got := fmt.Sprint(query, " ", args); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestWalkReadsEveryRowOnce walks rows with every combination of NULL and two texts, in pages of every size, also with the order of
// NULLs spelled out as Oracle needs it.
func TestWalkReadsEveryRowOnce(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: filepath.Join(t.TempDir(), "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := s.pools.writer.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE TABLE walked (a text, b text, k text NOT NULL)`)
	texts := []any{nil, "1", "2"}
	var want []string
	for _, a := range texts {
		for _, b := range texts {
			for _, k := range texts[1:] {
				id := fmt.Sprint(k, len(want))
				run(`INSERT INTO walked (a, b, k) VALUES (?, ?, ?)`, a, b, id)
				want = append(want, id)
			}
		}
	}
	spelled := sqliteDialect
	spelled.nullsUp, spelled.nullsDown = " NULLS FIRST", " NULLS LAST"
	for _, d := range []*dialect{&sqliteDialect, &spelled} {
		s.dialect = d
		for size := 1; size <= len(want)+1; size++ {
			t.Run(fmt.Sprintf("%q, %d at a time", d.nullsUp, size), func(t *testing.T) {
				var got []string
				after := []string{"", "", ""}
				for more := true; more && len(got) <= len(want); {
					n := 0
					err := s.walk(t.Context(), `SELECT a, b, k FROM walked`, nil, keys{"a?", "b?", "k"}, after, size, func(scan scanner) error {
						n++
						err := scan((*text)(&after[0]), (*text)(&after[1]), (*text)(&after[2]))
						got = append(got, after[2])
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
					more = n == size
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
			})
		}
	}
}

// TestOrderOfNullsCanBeSpelled has SQLite read each query as an engine gets it whose NULLs sort above everything.
func TestOrderOfNullsCanBeSpelled(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: filepath.Join(t.TempDir(), "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	spelled := sqliteDialect
	spelled.nullsUp, spelled.nullsDown = " NULLS FIRST", " NULLS LAST"
	ordered := 0
	for _, q := range everyQuery() {
		if strings.Contains(q, "?*") {
			q = list(q, 3)
		}
		if strings.Contains(q, ")*") {
			q = alternatives(q, 3)
		}
		c, err := prepare(t.Context(), s.pools.writer, spelled.command(q))
		if err != nil {
			t.Errorf("got %v, want it prepared: %s", err, q)
			continue
		}
		c.stmt.Close()
		columns := 0
		if _, clause, found := strings.Cut(q, " ORDER BY "); found {
			columns = strings.Count(clause, ",") + 1
			ordered++
		}
		if got := strings.Count(c.text, " NULLS "); got != columns {
			t.Errorf("%d columns are told where NULLs go, want %d: %s", got, columns, c.text)
		}
	}
	if ordered == 0 {
		t.Error("got no query with an order, want some")
	}
}
