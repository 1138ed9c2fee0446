package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the driver

	"tlim/store"
)

// inserts is the database without tlim: plain SQL that writes the rows of approvals, many to a statement, each transaction
// committed as safely as tlim's. The tables and indexes are those that tlim makes.
type inserts struct {
	db     *sql.DB
	tables []insertTable
}

// insertTable is a table that an approval for a receiver who is away writes one row to.
type insertTable struct {
	name    string
	columns []string
	ready   map[int]*sql.Stmt // by rows
}

// insertSizes are how many rows a statement takes; more cost MariaDB as much per row again.
var insertSizes = []int{100, approvalCallers, 8, 1}

// openInserts makes the tables in an empty database and prepares the statements. Connections are for so many callers; SQLite
// has one writer, whoever waits.
func openInserts(ctx context.Context, d database, callers int) (b *inserts, err error) {
	s, err := d.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("bare inserts: %w", err)
	}
	if err := s.Close(); err != nil {
		return nil, fmt.Errorf("bare inserts: %w", err)
	}
	b = &inserts{tables: []insertTable{
		{name: "tlim_id", columns: []string{"msg_id", "class", "msg_from", "conversation", "msg_time", "digest", "state"}},
		{name: "ofmessage", columns: []string{"id_", "msg_id", "msg_type", "msg_from", "msg_to", "msg_time", "body", "session_id", "flags"}},
		{name: "ofcustomoffline", columns: []string{"id_", "msg_id", "msg_type", "msg_from", "msg_to", "msg_time", "body", "session_id", "msg_status", "delete_user", "flags"}},
	}}
	driver, dsn := d.driver, d.dsn
	if driver == "sqlite" { // as safe, and with as much cache, as tlim's
		driver, dsn, callers = "sqlite", "file:"+(&url.URL{Path: dsn}).EscapedPath()+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
			"&_pragma=cache_size(-65536)&_pragma=wal_autocheckpoint(4000)&_pragma=temp_store(MEMORY)&_txlock=immediate", 1
	}
	if b.db, err = sql.Open(driver, dsn); err != nil {
		return nil, fmt.Errorf("bare inserts: %w", err)
	}
	b.db.SetMaxOpenConns(callers)
	b.db.SetMaxIdleConns(callers)
	for i := range b.tables {
		t := &b.tables[i]
		t.ready = map[int]*sql.Stmt{}
		for _, rows := range insertSizes {
			if t.ready[rows], err = b.db.PrepareContext(ctx, t.statement(rows)); err != nil {
				return nil, errors.Join(fmt.Errorf("bare inserts: %s: %w", t.name, err), b.db.Close())
			}
		}
	}
	return b, nil
}

// statement inserts so many rows.
func (i *insertTable) statement(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(i.columns)), ",") + ")"
	return "INSERT INTO " + i.name + " (" + strings.Join(i.columns, ", ") + ") VALUES " + strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
}

// insertRow are the values of one receiver's rows, in the order of the tables. All ids ascend, as tlim's do for what it writes
// itself: random ones would cost the indexes more.
func insertRow(receiver, at, body string) [][]any {
	id := uuid.Must(uuid.NewV7()).String()
	return [][]any{
		{id, string(store.ClassMessage), "admin", "admin " + receiver, at, "0123456789abcdef0123456789abcdef", string(store.Live)},
		{uuid.Must(uuid.NewV7()).String(), id, "MTB-000", "admin", receiver, at, body, "admin", nil},
		{uuid.Must(uuid.NewV7()).String(), id, "MTB-000", "admin", "admin", at, body, "admin", int64(0), receiver, nil},
	}
}

// commit writes the rows of these receivers in one transaction. Several may run at once.
func (i *inserts) commit(ctx context.Context, receivers []string, at, body string) (err error) {
	values := make([][]any, len(i.tables))
	for _, receiver := range receivers {
		for n, row := range insertRow(receiver, at, body) {
			values[n] = append(values[n], row...)
		}
	}
	tx, err := i.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("bare inserts: %w", err)
	}
	for n := range i.tables {
		if err := i.tables[n].insert(ctx, tx, values[n]); err != nil {
			return errors.Join(fmt.Errorf("bare inserts: %s: %w", i.tables[n].name, err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("bare inserts: %w", err)
	}
	return nil
}

// insert writes rows, as many to a statement as go.
func (i *insertTable) insert(ctx context.Context, tx *sql.Tx, values []any) error {
	for len(values) > 0 {
		n := len(i.columns)
		rows := insertSizes[slices.IndexFunc(insertSizes, func(size int) bool { return size*n <= len(values) })]
		if _, err := tx.StmtContext(ctx, i.ready[rows]).ExecContext(ctx, values[:rows*n]...); err != nil {
			return err
		}
		values = values[rows*n:]
	}
	return nil
}

// written is what stands in the tables: rows, and the characters of their text columns.
type written struct{ rows, characters int64 }

// wrote reads it for each table, of messages from admin. It serves tlim's own database as well: the columns are the same.
func wrote(ctx context.Context, db *sql.DB, tables []insertTable) ([]written, error) {
	list := make([]written, len(tables))
	for i, t := range tables {
		lengths := make([]string, len(t.columns))
		for j, c := range t.columns {
			lengths[j] = "COALESCE(LENGTH(" + c + "), 0)"
		}
		query := "SELECT COUNT(*), COALESCE(SUM(" + strings.Join(lengths, " + ") + "), 0) FROM " + t.name + " WHERE msg_from = 'admin'"
		if err := db.QueryRowContext(ctx, query).Scan(&list[i].rows, &list[i].characters); err != nil {
			return nil, fmt.Errorf("rows of %s: %w", t.name, err)
		}
	}
	return list, nil
}
