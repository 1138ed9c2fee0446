package store

import (
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strings"
)

// dialect is all that differs between engines: a new one is a file dialect_<engine>.go that registers itself and imports the driver, and
// a folder schema/<engine>. Statements are written once, with "?", plain column names and the operators of
// command.go, in the file of their noun; command makes the engine's own form of them.
type dialect struct {
	name    string   // as in the configuration; also the folder below schema/
	aliases []string // other names in the configuration
	title   string   // for people, with what else it stands for

	// address matches the addresses of this engine. It is nil where the form of an address does not tell the engine. server says to
	// people what an address is of, and form how it is written. mask makes of an address what may be shown; its ok is false for
	// addresses of other engines.
	address      *regexp.Regexp
	server, form string
	mask         func(dsn string) (shown string, ok bool)

	// file names the file that the database lies in. It is nil for servers.
	file func(cfg Config) string

	// inFolder puts a folder in front of an address that is a relative name. It is nil for servers.
	inFolder func(dsn, folder string) string

	// prefix stands in front of the names of all tables and indexes: see under.
	prefix string

	quote func(name string) string
	bind  int // how placeholders are written, of sqlx: QUESTION, AT, NAMED

	// loose: the engine's own "=" can take more for equal than the same characters. exact is the form of a column of text in
	// which it does not; a comparison then asks for both, and the index serves the loose one.
	loose bool
	exact func(column string) string

	// exactValue is the form of a placeholder that exact is compared with. nil: as it is.
	exactValue func(placeholder string) string

	// value is an argument as the driver is to have it. nil: as it is.
	value func(any) any

	// longest is how many bytes of a text a comparison takes; no key is as long. 0: all.
	longest int

	// local says that the database is a file of this machine. Statements cannot hang in a network then, so writes do not watch the
	// context for its end, which costs a goroutine per statement in modernc's driver.
	local bool

	// nullsUp and nullsDown stand behind a column of ORDER BY that goes up or down, so that NULL sorts below everything. They are ""
	// where the engine sorts NULL there by itself.
	nullsUp, nullsDown string

	// family is the condition that a column of msg_types begins with a family and its dash, in the form that an index serves:
	// familyRange where the order of the column is that of its characters.
	family func(column, family string) string

	// wildcards are the characters that LIKE does not take as they are.
	wildcards string

	// lowest is a text that sorts below all others. It is "", but for engines that take "" for NULL.
	lowest string

	// open connects: a pool of exactly one connection that writes, and one that reads. It makes a database only where cfg.Migrate is
	// auto.
	open func(cfg Config) (*pools, error)

	// connect makes the first connection. It is nil where connecting is all.
	connect func(ctx context.Context, writer *sql.DB) error

	// prepare makes ready what is to be opened, and says what is wrong with it. It is nil where nothing has to be done.
	prepare func(cfg Config) (warnings []string, err error)

	// explain adds to an error of the start what the engine's own words leave open. It may be nil.
	explain func(cfg Config, err error) error

	// remedy says what to do about an error that only this engine has; "" for every other one. It may be nil. See [Remedy].
	remedy func(cfg Config, err error) string

	// page appends the engine's clause for "length rows after the first offset", and its arguments.
	page func(query string, args []any, length, offset int64) (string, []any)

	// insert writes rows, bounded in rows and bytes per statement.
	insert func(ctx context.Context, exec execFunc, r *rows) error

	// classify says ErrDuplicate or ErrData, or nil for everything else.
	classify func(error) error

	// unmatched says that the error may mean "no row can equal this value", because the column's character set lacks it.
	unmatched func(error) bool

	// held makes of a text what a character set can hold, with a "?" for each character that it lacks. It may be nil where columns
	// have no character set. replaces says that the engine stores such a "?" without a word, so texts are looked at before.
	held     func(ctx context.Context, db querier, set charset, text string) (string, error)
	replaces bool

	// width is how much of a column's length a text takes. nil: as much as it has characters.
	width func(set charset, text string) int

	// uncommitted says that a COMMIT which answered with this error did certainly not happen.
	uncommitted func(error) bool

	// deadlocked says that the transaction was rolled back because of another one, and may be tried again at once. nil: no error says so.
	deadlocked func(error) bool

	// left says that the server is no part of its cluster any more, so that its connections are of no use. nil: no error says so.
	left func(error) bool

	// caughtUp waits until the server of the next connection of the pool has all that was committed in its cluster. nil: it has.
	caughtUp func(ctx context.Context, writer *sql.DB) error

	// catalogue reads what stands in the database.
	catalogue func(ctx context.Context, db querier) (catalogue, error)

	// lock keeps other processes from migrating at the same time, until the connection's unlock, whose error says that
	// nothing of the migration is there.
	lock func(ctx context.Context, conn *sql.Conn) (unlock func() error, err error)

	// refuse names a setting of the server with which no row can be written, and its remedy. It is nil where there is no such setting.
	refuse func(ctx context.Context, db querier) (why string, err error)

	// integers are the types of columns that hold numbers only.
	integers []string

	// narrow are the types of numbers that hold no time in milliseconds, or not exactly.
	narrow []string

	// exactCollation says whether a collation tells all texts apart, but for blanks at their end; collation is the one that columns
	// should have.
	exactCollation func(name string) bool
	collation      string

	// widenBody and widenKey say how a body gets the length that ours has, and how a key takes texts of ours.
	widenBody func(table string) string
	widenKey  func(table, column string) string

	// convert says how a table gets columns that hold every character and tell all texts apart.
	convert func(table string) string

	// advise names settings of the server with which acknowledged messages can be lost.
	advise func(ctx context.Context, db querier) ([]string, error)

	// version asks for the version of the server, or the library. session asks for the number of a session, and kill ends one, from
	// another; these two are "" where there are none. purge stands behind DROP TABLE where that keeps the table for a while.
	version, session, kill, purge string

	// looks are for [Examination] alone, ddl for [Migrator].
	looks looks
	ddl   ddl
}

// pools are the connections of a store. The writer has one connection at most: writes take turns anyway, and a second
// one gains nothing (measured) but lock conflicts.
type pools struct {
	writer, reader, admin *sql.DB // admin: without time-outs, for DDL; closed after Open

	// Of a cluster of which one node does the work; nil elsewhere.
	node  func() string // which one; "" where there is one address
	moved func() int    // how often it changed
	leave func()        // ends all connections: the next one looks for a node that takes writes
}

func (p *pools) close() error {
	var errs []error
	for _, db := range []*sql.DB{p.reader, p.writer, p.admin} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// querier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// atLeast is a text as a lower bound: "" takes in all texts.
func (d *dialect) atLeast(text string) string {
	if text == "" {
		return d.lowest
	}
	return text
}

// list replaces the one "?*" of a query by n placeholders.
func list(query string, n int) string {
	return strings.Replace(query, "?*", strings.TrimSuffix(strings.Repeat("?,", n), ","), 1)
}

// alternatives replaces the one "(..)*" of a query by n times its inside, joined by OR: the portable form of a list of
// pairs, which every engine answers from an index, unlike row values (measured: 687 ms instead of 1.4).
func alternatives(query string, n int) string {
	end := strings.Index(query, ")*")
	start := strings.LastIndex(query[:end], "(")
	one := query[start : end+1]
	return query[:start] + "(" + strings.TrimSuffix(strings.Repeat(one+" OR ", n), " OR ") + ")" + query[end+2:]
}

// limitOffset is the clause of SQLite and MySQL.
func limitOffset(query string, args []any, length, offset int64) (string, []any) {
	return query + " LIMIT ? OFFSET ?", append(args, length, offset)
}

// oneLine is an error whose text the driver has written in several lines.
type oneLine struct{ error }

// Error joins the lines.
func (o oneLine) Error() string { return strings.ReplaceAll(o.error.Error(), "\n", "; ") }

// Unwrap returns the error itself.
func (o oneLine) Unwrap() error { return o.error }
