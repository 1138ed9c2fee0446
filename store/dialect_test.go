package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// foreignDialect differs from ours in all that a statement's text can differ in, as those of SQL Server and Oracle do.
var foreignDialect = dialect{
	name:      "foreign",
	quote:     func(n string) string { return "[" + n + "]" },
	bind:      sqlx.AT,
	family:    func(column, family string) string { return column + " LIKE '" + family + "-%'" },
	nullsUp:   " NULLS FIRST",
	nullsDown: " NULLS LAST",
}

func TestTextOfAnEngine(t *testing.T) {
	const query = `SELECT session_user FROM t WHERE session_id = ?` + mtb + ` ORDER BY msg_time DESC, id_`
	for d, want := range map[*dialect]string{
		&sqliteDialect:  `SELECT "session_user" FROM t WHERE session_id = ? AND msg_type >= 'MTB-' AND msg_type < 'MTB.' ORDER BY msg_time DESC, id_`,
		&mysqlDialect:   "SELECT `session_user` FROM t WHERE session_id = ? AND msg_type >= 'MTB-' AND msg_type < 'MTB.' ORDER BY msg_time DESC, id_",
		&foreignDialect: `SELECT [session_user] FROM t WHERE session_id = @p1 AND msg_type LIKE 'MTB-%' ORDER BY msg_time DESC NULLS LAST, id_ NULLS FIRST`,
	} {
		t.Run(d.name, func(t *testing.T) {
			if got := d.text(query); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

func TestExpansion(t *testing.T) {
	if got := list(`a IN (?*) AND b = ?`, 3); got != `a IN (?,?,?) AND b = ?` {
		t.Errorf(`got %v, want "a IN (?,?,?) AND b = ?"`, got)
	}
	if got := alternatives(`SELECT COUNT(x) WHERE (a = ? AND b = ?)*`, 2); got != `SELECT COUNT(x) WHERE ((a = ? AND b = ?) OR (a = ? AND b = ?))` {
		t.Errorf(`got %v, want "SELECT COUNT(x) WHERE ((a = ? AND b = ?) OR (a = ? AND b = ?))"`, got)
	}
}

// TestInsertIsBounded renders what is sent: 300 rows in few prepared sizes, and never more than the limit of bytes.
func TestInsertIsBounded(t *testing.T) {
	s := &Store{shapes: map[string]*shape{tPurge.name: sqliteDialect.shapeOf(tPurge), tMessage.name: sqliteDialect.shapeOf(tMessage)}}
	var sent []string
	exec := func(_ context.Context, name string, n int, text func() string, args []any) (int64, error) {
		if bytes := bytesOf(args); n > 1 && bytes > maxStatementBytes {
			t.Errorf("%d bytes in one statement, want at most %d", bytes, maxStatementBytes)
		}
		if got := strings.Count(text(), "?"); got != len(args) {
			t.Errorf("got %d placeholders for %d values, want as many", got, len(args))
		}
		sent = append(sent, fmt.Sprint(n))
		return int64(n), nil
	}
	r := s.rowsOf(tPurge, 0)
	for range 300 {
		r.add("g", "t")
	}
	if err := insertValues(t.Context(), exec, r); err != nil || strings.Join(sent, " ") != "128 128 32 8 1 1 1 1" {
		t.Errorf(`got %v, %v, want no error, sent "128 128 32 8 1 1 1 1"`, sent, err)
	}
	sent = nil
	r = s.rowsOf(tMessage, 0)
	for range 20 {
		r.add("", "", "", "", "", "", strings.Repeat("x", 100<<10), "", "")
	}
	if err := insertValues(t.Context(), exec, r); err != nil || len(sent) != 20 {
		t.Errorf("got %d statements, %v, want 20", len(sent), err)
	}
}

func TestEveryEngineHasTheSameTables(t *testing.T) {
	for name := range dialects {
		parts, err := schema(name)
		if err != nil {
			t.Fatal(err)
		}
		made := map[string]string{}
		for _, p := range parts {
			made[p.kind+" "+p.name] = p.sql
		}
		for _, tab := range allTables() {
			text := made["table "+tab.name]
			if text == "" {
				t.Errorf("%s: the schema makes no table %s, want it made", name, tab.name)
			}
			for _, c := range tab.columns {
				want := `\b` + c.name + `\b`
				if c.limit > 0 {
					want = fmt.Sprintf(`(?i)\b%s[\]"]? n?varchar2?\((%d|%d)( CHAR)?\)`, c.name, c.limit, 2*c.limit) // some count a character twice
				}
				if !regexp.MustCompile(want).MatchString(text) {
					t.Errorf("%s: table %s has no %q, want it", name, tab.name, want)
				}
			}
		}
	}
}

// failsAs says that what Store makes of a driver's error is of this kind alone.
func failsAs(t *testing.T, s *Store, err, want error) error {
	t.Helper()
	got := s.fail(fmt.Errorf("insert: %w", err))
	for _, kind := range []error{ErrDuplicate, ErrData, ErrUnavailable, ErrFenced} {
		if errors.Is(got, kind) != errors.Is(want, kind) {
			t.Errorf("%v is %v: got %v, want %v", got, kind, errors.Is(got, kind), errors.Is(want, kind))
		}
	}
	return got
}

func TestErrorsOfTheDrivers(t *testing.T) {
	s := &Store{dialect: &mysqlDialect}
	for _, test := range []struct {
		err  error
		want error
	}{
		{&mysql.MySQLError{Number: 1062}, ErrDuplicate},
		{&mysql.MySQLError{Number: 1366}, ErrData},
		{&mysql.MySQLError{Number: 1406}, ErrData},
		{mysql.ErrPktTooLarge, ErrData},
		{&mysql.MySQLError{Number: 1213}, ErrUnavailable},
		{&mysql.MySQLError{Number: 1142}, ErrUnavailable},
		{mysql.ErrInvalidConn, ErrUnavailable},
		{driver.ErrBadConn, ErrUnavailable},
		{context.DeadlineExceeded, ErrUnavailable},
		{fmt.Errorf("x: %w", ErrFenced), ErrFenced},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			if got := failsAs(t, s, test.err, test.want); !errors.Is(got, test.err) {
				t.Errorf("got %v, want %v in it", got, test.err)
			}
		})
	}
	if s.fail(nil) != nil {
		t.Error("of nil: got an error, want none")
	}
	unknown := s.fail(fmt.Errorf("apply: %w", &UnknownError{Batch: 1, Err: mysql.ErrInvalidConn}))
	if errors.Is(unknown, ErrUnavailable) {
		t.Errorf("an unknown outcome: got %v too, want it not to look like nothing written", ErrUnavailable)
	}
	for err, want := range map[error]bool{&mysql.MySQLError{Number: 1213}: true, driver.ErrBadConn: true, mysql.ErrInvalidConn: false, &mysql.MySQLError{Number: 1180}: false} {
		t.Run("COMMIT: "+err.Error(), func(t *testing.T) {
			if got := uncommittedMySQL(err); got != want {
				t.Errorf("certainly not committed: got %v, want %v", got, want)
			}
		})
	}
}
