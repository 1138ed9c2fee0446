package store

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/network"
)

// H2 stands for servers that no registry has, SQL Server and Oracle. It takes their SQL, as far as it knows it, in databases in memory
// (scripts/h2, scripts/lab/h2/Door.java). An address is "<engine>://h2@<host:port>/<database>"; the dialect and its statements are those of
// the real engine, and errors come as those of its driver.

// IsH2 says whether an address is one of H2.
func IsH2(dsn string) bool { return strings.Contains(dsn, "://h2@") }

// h2Unsaid is what H2 cannot say of an engine's SQL, with what it gets instead and why.
type h2Unsaid struct {
	why  string
	says *regexp.Regexp
	as   string                    // with $1
	form func(found string) string // instead of as

	taken string // what H2 means otherwise, where it refuses nothing
}

var h2Modes = map[string][]h2Unsaid{
	"MSSQLServer": {
		{why: "columns have no collation of their own; H2 compares all texts exactly", says: regexp.MustCompile(` COLLATE Latin1_General_100_BIN2`), as: ""},
		{why: "no filtered indexes; NULL is not one value in its unique ones", says: regexp.MustCompile(`(CREATE (?:UNIQUE )?INDEX .*\)) WHERE .*`), as: "$1"},
		{why: "no included columns", says: regexp.MustCompile(` INCLUDE \(id_\)`), as: ""},
		{why: "what is grouped by has to be a column, or to be read", says: regexp.MustCompile(`(?s)\sGROUP BY .*`), form: func(found string) string {
			return regexp.MustCompile(`CAST\(CAST\((\w+) AS nvarchar\(256\)\) AS varbinary\(512\)\)`).ReplaceAllString(found, "$1")
		}},
		{why: "the catalogue sys: columns", says: exactly(sqlserverColumns), as: `SELECT table_name, column_name,
			CASE data_type WHEN 'CHARACTER VARYING' THEN 'nvarchar' WHEN 'CHARACTER LARGE OBJECT' THEN 'nvarchar' WHEN 'INTEGER' THEN 'int' ELSE LOWER(data_type) END,
			CASE data_type WHEN 'CHARACTER VARYING' THEN CASE WHEN character_maximum_length > 4000 THEN -1 ELSE 2 * character_maximum_length END ELSE -1 END,
			NULL, NULL, CASE is_identity WHEN 'YES' THEN 1 ELSE 0 END
			FROM INFORMATION_SCHEMA.columns WHERE table_schema = SCHEMA()`},
		{why: "the catalogue sys: indexes", says: exactly(sqlserverIndexes), as: `SELECT table_name, index_name, column_name FROM INFORMATION_SCHEMA.index_columns
			WHERE table_schema = SCHEMA() ORDER BY table_name, index_name, ordinal_position`},
		{why: "the catalogue sys: identities", says: exactly(sqlserverIdentities), as: `SELECT table_name, column_name, CASE data_type WHEN 'INTEGER' THEN 'int' ELSE LOWER(data_type) END,
			numeric_precision, identity_base - 1, 'pk', 1, 'NONCLUSTERED' FROM INFORMATION_SCHEMA.columns WHERE table_schema = SCHEMA() AND is_identity = 'YES' ORDER BY table_name`},
		{why: "the clock as a number", says: exactly(sqlserverNow), as: `SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 AS bigint)`},
		{why: "settings of a database", says: exactly(sqlserverSettings), as: `SELECT 1`},
		{why: "the version of a server", says: exactly(sqlserverVersion), as: `SELECT 'H2 ' || H2VERSION()`},
		{why: "delayed durability", says: exactly(sqlserverDelayed), as: `SELECT 0`},
		{why: "application locks, which the driver below has", says: exactly(sqlserverLock), as: `SELECT 0`},
		{why: "application locks, likewise", says: exactly(sqlserverHold), as: `SELECT 0`},
		{why: "application locks that mark a connection: the driver below counts those of stores", says: exactly(sqlserverOpen), as: `SELECT CASE h2_open WHEN 0 THEN 1 ELSE 0 END`},
		{why: "rights", says: exactly(sqlserverMayAlter), as: `SELECT 1`},
		{why: "how many rows a table has, without a count", says: exactly(sqlserverSizes), as: `SELECT table_name, row_count_estimate, 8192 FROM INFORMATION_SCHEMA.tables WHERE table_schema = SCHEMA()`},
		{why: "indexes that are built while others write", says: regexp.MustCompile(` WITH \(ONLINE = ON\)`), as: ""},
		{why: "application locks", says: exactly(sqlserverUnlock), as: `SELECT 0`},
		{why: "parameters have numbers and not names", says: regexp.MustCompile(`@p(\d+)`), as: "?$1"},
	},
	"Oracle": {
		{why: "a character beyond U+FFFF counts twice", says: regexp.MustCompile(`VARCHAR2\((\d+) CHAR\)`), form: func(found string) string {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(found, "VARCHAR2("), " CHAR)"))
			return fmt.Sprintf("VARCHAR2(%d CHAR)", 2*n)
		}, taken: "it counts a character beyond U+FFFF as two of the length"},
		{why: "the dictionary: columns", says: exactly(oracleColumns), as: `SELECT UPPER(c.table_name), UPPER(c.column_name),
			CASE c.data_type WHEN 'CHARACTER VARYING' THEN 'VARCHAR2' WHEN 'CHARACTER LARGE OBJECT' THEN 'CLOB' ELSE 'NUMBER' END,
			CASE c.data_type WHEN 'CHARACTER VARYING' THEN LEAST(4 * c.character_maximum_length, 4000) ELSE 22 END,
			CASE c.data_type WHEN 'CHARACTER VARYING' THEN c.character_maximum_length ELSE 0 END, CASE c.data_type WHEN 'CHARACTER VARYING' THEN 'C' END, 'AL32UTF8'
			FROM INFORMATION_SCHEMA.columns c WHERE c.table_schema = SCHEMA()`},
		{why: "the dictionary: indexes", says: exactly(oracleIndexes), as: `SELECT UPPER(table_name), index_name, UPPER(column_name) FROM INFORMATION_SCHEMA.index_columns
			WHERE table_schema = SCHEMA() ORDER BY table_name, index_name, ordinal_position`},
		{why: "the dictionary: names in quotation marks", says: exactly(oracleQuoted), as: `SELECT 'none' WHERE 1 = 0`},
		{why: "the version of a server", says: exactly(oracleVersion), as: `SELECT 'H2 ' || H2VERSION()`},
		{why: "locks of tables, which the driver below has", says: exactly(oracleLock), as: `SELECT 0`},
		{why: "locks of tables, likewise", says: exactly(oracleHold), as: `SELECT 0`},
		{why: "sessions by their programs: the driver below counts those of stores", says: exactly(oracleUsers), as: `SELECT x, 'u', 'h' FROM SYSTEM_RANGE(1, h2_open)`},
		{why: "indexes that are built while others write", says: regexp.MustCompile(` ONLINE$`), as: ""},
		{why: "parameters have numbers and not names", says: regexp.MustCompile(`:arg(\d+)`), as: "?$1"},
	},
}

func exactly(statement string) *regexp.Regexp {
	return regexp.MustCompile("^" + regexp.QuoteMeta(statement) + "$")
}

func init() {
	for _, d := range []*dialect{&sqlserverDialect, &oracleDialect} {
		server := d.open
		d.open = func(cfg Config) (*pools, error) {
			if !IsH2(cfg.DSN) {
				return server(cfg)
			}
			make := func(n int, mark bool) *sql.DB {
				db := openH2(cfg.DSN, cfg.MaxWait, mark && !cfg.readOnly)
				db.SetMaxOpenConns(n)
				db.SetMaxIdleConns(n)
				return db
			}
			return &pools{reader: make(cfg.MaxOpen, true), writer: make(1, true), admin: make(2, false)}, nil
		}
		ddl := d.ddl.open
		d.ddl.open = func(cfg Config) (*sql.DB, error) {
			if !IsH2(cfg.DSN) {
				return ddl(cfg)
			}
			db := openH2(cfg.DSN, cfg.MaxWait, false)
			db.SetMaxOpenConns(2)
			return db, nil
		}
	}
}

// OpenH2 opens an address of H2 without tlim.
func OpenH2(dsn string) *sql.DB { return openH2(dsn, 10*time.Second, false) }

func openH2(dsn string, wait time.Duration, store bool) *sql.DB {
	engine, rest, _ := strings.Cut(dsn, "://h2@")
	address, name, _ := strings.Cut(rest, "/")
	mode, null := "MSSQLServer", "LOW"
	if engine == "oracle" {
		mode, null = "Oracle", "HIGH"
	}
	// H2 answers a query by its last result where it believes that nothing changed since, and it can be wrong beside writers.
	return sql.OpenDB(&h2Connector{address: address, name: name, mode: mode, store: store,
		url: "jdbc:h2:mem:" + name + ";MODE=" + mode + ";DEFAULT_NULL_ORDERING=" + null +
			";DATABASE_TO_UPPER=FALSE;CASE_INSENSITIVE_IDENTIFIERS=TRUE;NON_KEYWORDS=VALUE;DB_CLOSE_DELAY=-1;OPTIMIZE_REUSE_RESULTS=0;LOCK_TIMEOUT=" + fmt.Sprint(wait.Milliseconds())})
}

type h2Connector struct {
	address, name, mode, url string

	store bool // its connections are those of a store
}

func (h *h2Connector) Driver() driver.Driver { return nil }

func (h *h2Connector) Connect(ctx context.Context) (driver.Conn, error) {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", h.address)
	if err != nil {
		return nil, err
	}
	conn := &h2Conn{c: h, socket: socket, in: bufio.NewReader(socket), out: bufio.NewWriter(socket)}
	conn.text(h.url)
	if _, err := conn.answer(ctx); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	if h.store {
		conn.opened().Add(1)
	}
	return conn, nil
}

// h2Locks are the application locks by database and lock, and h2Opened how many connections of stores are open, by database.
var h2Locks, h2Opened sync.Map

type h2Conn struct {
	c      *h2Connector
	socket net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	broken error
	locked []chan struct{}
	closed bool
}

func (h *h2Conn) opened() *atomic.Int64 {
	n, _ := h2Opened.LoadOrStore(h.c.name, &atomic.Int64{})
	return n.(*atomic.Int64)
}

// translate makes H2's form of a statement.
func (h *h2Conn) translate(query string) string {
	for _, u := range h2Modes[h.c.mode] {
		if u.form != nil {
			query = u.says.ReplaceAllStringFunc(query, u.form)
		} else {
			query = u.says.ReplaceAllString(query, u.as)
		}
	}
	return strings.ReplaceAll(query, "h2_open", fmt.Sprint(h.opened().Load()))
}

// h2Spoken are the dialects that H2 is asked in, with the statements that no list of queries has.
type h2Spoken struct {
	mode  string
	d     *dialect
	asked []string
}

var h2Asked = []h2Spoken{
	{"MSSQLServer", &sqlserverDialect, []string{sqlserverColumns, sqlserverIndexes, sqlserverIdentities, sqlserverNow, sqlserverSettings, sqlserverVersion, sqlserverOwnID, sqlserverDelayed, sqlserverLock, sqlserverUnlock,
		sqlserverHold, sqlserverOpen, sqlserverMayAlter, sqlserverSizes, sqlserverDDL.online("CREATE INDEX online ON t (a)"), sqlserverDDL.dropIndex("i", "t")}},
	{"Oracle", &oracleDialect, []string{oracleColumns, oracleIndexes, oracleQuoted, oracleVersion, oracleLock, oracleHold, oracleUsers, oracleDDL.online("CREATE INDEX online ON t (a)")}},
}

// statements are all that are said in it.
func (h h2Spoken) statements(t *testing.T) []string {
	parts, err := schema(h.d.name)
	if err != nil {
		t.Fatal(err)
	}
	statements := append(statementsOf(t, h.d), h.asked...)
	for _, p := range parts {
		statements = append(statements, p.sql)
	}
	return statements
}

// TestUnsaidByH2: each entry is about a statement of ours, so none outlives it.
func TestUnsaidByH2(t *testing.T) {
	for _, c := range h2Asked {
		statements := c.statements(t)
		for _, u := range h2Modes[c.mode] {
			t.Run(c.mode+" "+u.why, func(t *testing.T) {
				if !slices.ContainsFunc(statements, u.says.MatchString) {
					t.Errorf("got no statement that says %s, want one, or take the entry away", u.says)
				}
			})
		}
	}
}

// TestH2LacksWhatIsListed: without its entry H2 refuses some statement that the entry is about, so that none is kept which a newer H2 does not need.
// Where H2 takes it and means another thing, the entry says so.
func TestH2LacksWhatIsListed(t *testing.T) {
	address := os.Getenv("TLIM_TEST_H2")
	if address == "" {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_DB"), ","), "h2") {
			t.Fatal("REQUIRE_DB wants h2, but TLIM_TEST_H2 is not set")
		}
		t.Skip("no H2: TLIM_TEST_H2 is not set (scripts/h2 start prints H2_ADDRESS)")
	}
	argument := regexp.MustCompile(`@p\d+|:arg\d+`)
	for _, c := range h2Asked {
		database := func() *sql.DB {
			db := OpenH2(c.d.name + "://h2@" + address + "/lacks_" + strings.ToLower(rand.Text()[:12]))
			db.SetMaxIdleConns(-1) // a lock is given back with its connection
			t.Cleanup(func() {
				if _, err := db.Exec("SHUTDOWN"); err != nil {
					t.Error(err)
				}
				db.Close()
			})
			return db
		}
		parts, err := schema(c.d.name)
		if err != nil {
			t.Fatal(err)
		}
		empty, made := database(), database()
		for _, p := range append([]part{{kind: "table", sql: "CREATE TABLE t (a int)"}, {kind: "table", sql: "CREATE INDEX i ON t (a)"}}, parts...) {
			if p.kind != "table" {
				continue
			}
			if _, err := made.Exec(p.sql); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range allTables() { // some refusals need a row
			var names, values []string
			for _, column := range table.columns {
				names, values = append(names, c.d.quote(column.name)), append(values, "'1'")
			}
			if _, err := made.Exec("INSERT INTO " + table.name + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"); err != nil {
				t.Fatal(err)
			}
		}
		takes := func(statement string) bool {
			db := made
			if strings.HasPrefix(statement, "CREATE TABLE ") {
				db = empty
			}
			args := make([]any, len(argument.FindAllString(statement, -1)))
			for i := range args {
				args[i] = "1"
			}
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback() // the rows stay
			rows, err := tx.QueryContext(t.Context(), strings.TrimSuffix(statement, ";"), args...)
			return err == nil && rows.Close() == nil
		}
		all := h2Modes[c.mode]
		for i, u := range all {
			t.Run(c.mode+" "+u.why, func(t *testing.T) {
				defer func() { h2Modes[c.mode] = all }()
				lacked := slices.ContainsFunc(c.statements(t), func(statement string) bool {
					if !u.says.MatchString(statement) {
						return false
					}
					h2Modes[c.mode] = slices.Delete(slices.Clone(all), i, i+1)
					refused := !takes(statement)
					h2Modes[c.mode] = all
					return refused && takes(statement) // else it wants other arguments
				})
				if lacked == (u.taken != "") {
					t.Errorf("H2 refuses it: got %v, and that it takes it otherwise: %q; want one of them, or take the entry away", lacked, u.taken)
				}
			})
		}
	}
}

func (h *h2Conn) request(ctx context.Context, verb byte, query string, args []driver.NamedValue) (*h2Rows, error) {
	if h.broken != nil {
		return nil, driver.ErrBadConn
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch query {
	case sqlserverLock, oracleLock, sqlserverHold, oracleHold:
		if held, err := h.lock(ctx, query); err != nil || held {
			if held && query == sqlserverHold {
				return &h2Rows{columns: []string{""}, rows: [][]driver.Value{{int64(-1)}}}, nil
			}
			if held {
				err = &network.OracleError{ErrCode: 30006, ErrMsg: "ORA-30006: resource busy"}
			}
			return nil, err
		}
	case sqlserverUnlock:
		h.unlock()
	}
	if query == "SHUTDOWN" {
		verb = 'D'
	}
	h.out.WriteByte(verb)
	h.text(h.translate(query))
	binary.Write(h.out, binary.BigEndian, int32(len(args)))
	for _, a := range args {
		switch v := a.Value.(type) {
		case nil:
			h.out.WriteByte('N')
		case int64:
			h.out.WriteByte('I')
			binary.Write(h.out, binary.BigEndian, v)
		case string:
			h.out.WriteByte('S')
			h.text(v)
		default:
			return nil, fmt.Errorf("an argument of type %T", v)
		}
	}
	return h.answer(ctx)
}

// lock takes the lock of a statement. held: it waited as long for it as the statement says.
func (h *h2Conn) lock(ctx context.Context, statement string) (held bool, err error) {
	turn, _ := h2Locks.LoadOrStore(h.c.name+statement, make(chan struct{}, 1))
	lock := turn.(chan struct{})
	var given <-chan time.Time
	if statement == sqlserverHold || statement == oracleHold {
		given = time.After(2 * time.Second)
	}
	select {
	case lock <- struct{}{}:
		h.locked = append(h.locked, lock)
		return false, nil
	case <-given:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// unlock gives back the newest.
func (h *h2Conn) unlock() {
	if n := len(h.locked) - 1; n >= 0 {
		<-h.locked[n]
		h.locked = h.locked[:n]
	}
}

func (h *h2Conn) text(s string) {
	binary.Write(h.out, binary.BigEndian, int32(len(s)))
	h.out.WriteString(s)
}

type h2Rows struct {
	columns []string
	rows    [][]driver.Value
	changed int64
}

// answer reads a whole answer. A context that ends cuts the connection.
func (h *h2Conn) answer(ctx context.Context) (r *h2Rows, err error) {
	stop := context.AfterFunc(ctx, func() { h.socket.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() { // the deadline stands, also where the answer came first
			h.lost(ctx.Err())
			if err != nil {
				err = ctx.Err()
			}
		}
	}()
	if err := h.out.Flush(); err != nil {
		return nil, h.lost(err)
	}
	kind, err := h.in.ReadByte()
	if err != nil {
		return nil, h.lost(err)
	}
	r = &h2Rows{}
	switch kind {
	case 'U':
		err = binary.Read(h.in, binary.BigEndian, &r.changed)
	case 'E':
		var code int32
		var message string
		if err = binary.Read(h.in, binary.BigEndian, &code); err == nil {
			message, err = h.readText()
		}
		if err == nil {
			return nil, h2Error(h.c.mode, code, message)
		}
	case 'R':
		err = h.readRows(r)
	default:
		err = fmt.Errorf("an answer of kind %q", kind)
	}
	if err != nil {
		return nil, h.lost(err)
	}
	return r, nil
}

func (h *h2Conn) lost(err error) error {
	h.broken = err
	h.unlock()
	return err
}

func (h *h2Conn) readRows(r *h2Rows) error {
	var width int32
	if err := binary.Read(h.in, binary.BigEndian, &width); err != nil {
		return err
	}
	for range width {
		label, err := h.readText()
		if err != nil {
			return err
		}
		r.columns = append(r.columns, label)
	}
	for {
		kind, err := h.in.ReadByte()
		if err != nil || kind == '.' {
			return err
		}
		row := make([]driver.Value, width)
		for i := range row {
			if row[i], err = h.readValue(); err != nil {
				return err
			}
		}
		r.rows = append(r.rows, row)
	}
}

func (h *h2Conn) readValue() (driver.Value, error) {
	kind, err := h.in.ReadByte()
	if err != nil {
		return nil, err
	}
	switch kind {
	case 'N':
		return nil, nil
	case 'I':
		var n int64
		err = binary.Read(h.in, binary.BigEndian, &n)
		return n, err
	case 'S':
		return h.readText()
	case 'B':
		text, err := h.readText()
		return []byte(text), err
	}
	return nil, fmt.Errorf("a value of kind %q", kind)
}

func (h *h2Conn) readText() (string, error) {
	var n int32
	if err := binary.Read(h.in, binary.BigEndian, &n); err != nil {
		return "", err
	}
	if n < 0 || n > math.MaxInt32/2 {
		return "", fmt.Errorf("a text of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(h.in, b)
	return string(b), err
}

// h2Error is H2's error as the driver of the engine would say it.
func h2Error(mode string, code int32, message string) error {
	if mode == "Oracle" {
		return &network.OracleError{ErrMsg: fmt.Sprintf("%s (H2 %d)", message, code), ErrCode: map[int32]int{
			23505: 1,     // duplicate key
			22001: 12899, // too long
			23502: 1400,  // NULL
			22018: 1722,  // no number
			22003: 1438,  // out of range
			40001: 60,    // deadlock
			50200: 30006, // lock time-out
			90131: 8177,  // concurrent update
			42101: 955,   // the table is there
			42102: 942,   // no such table
			42104: 942,
		}[code]}
	}
	number := map[int32]int32{
		23505: 2627, // duplicate key
		22001: 2628, // too long
		23502: 515,  // NULL
		22018: 8114, // no number
		22003: 220,  // out of range
		40001: 1205, // deadlock
		50200: 1222, // lock time-out
		90131: 1205, // concurrent update
		42102: 208,  // no such table
		42104: 208,
	}[code]
	return mssql.Error{Number: number, Class: 14, Message: fmt.Sprintf("%s (H2 %d)", message, code)}
}

func (h *h2Conn) CheckNamedValue(v *driver.NamedValue) error {
	switch value := v.Value.(type) {
	case mssql.VarChar:
		v.Value = string(value)
		return nil
	case ora.Clob:
		v.Value = value.String
		return nil
	case []any: // an array, see ExecContext
		return nil
	}
	value, err := driver.DefaultParameterConverter.ConvertValue(v.Value)
	v.Value = value
	return err
}

// beside is another session of the same kind.
func (h *h2Conn) beside() *sql.DB { return sql.OpenDB(h.c) }

// ExecContext runs a statement, once for each row of arrays. Those before one that fails stay, as they do on Oracle.
func (h *h2Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) > 0 {
		if first, is := args[0].Value.([]any); is {
			changed := int64(0)
			for i := range first {
				row := make([]driver.NamedValue, len(args))
				for n, a := range args {
					row[n].Value = a.Value.([]any)[i]
				}
				r, err := h.request(ctx, 'X', query, row)
				if err != nil {
					return nil, err
				}
				changed += r.changed
			}
			return driver.RowsAffected(changed), nil
		}
	}
	r, err := h.request(ctx, 'X', query, args)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(r.changed), nil
}

func (h *h2Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	r, err := h.request(ctx, 'X', query, args)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (h *h2Conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if _, err := h.request(ctx, 'P', query, nil); err != nil {
		return nil, err
	}
	return &h2Stmt{h, query}, nil
}

func (h *h2Conn) Prepare(query string) (driver.Stmt, error) {
	return h.PrepareContext(context.Background(), query)
}

func (h *h2Conn) Begin() (driver.Tx, error) {
	_, err := h.request(context.Background(), 'B', "", nil)
	return h, err
}

func (h *h2Conn) Commit() error { _, err := h.request(context.Background(), 'C', "", nil); return err }
func (h *h2Conn) Rollback() error {
	if h.c.mode == "Oracle" { // its locks end with the transaction
		h.unlock()
	}
	_, err := h.request(context.Background(), 'R', "", nil)
	return err
}
func (h *h2Conn) IsValid() bool { return h.broken == nil }

func (h *h2Conn) Close() error {
	for len(h.locked) > 0 {
		h.unlock()
	}
	if h.c.store && !h.closed {
		h.opened().Add(-1)
	}
	h.closed = true
	return h.socket.Close()
}

type h2Stmt struct {
	c     *h2Conn
	query string
}

func (h *h2Stmt) Close() error                               { return nil }
func (h *h2Stmt) NumInput() int                              { return -1 }
func (h *h2Stmt) Exec([]driver.Value) (driver.Result, error) { return nil, driver.ErrSkip }
func (h *h2Stmt) Query([]driver.Value) (driver.Rows, error)  { return nil, driver.ErrSkip }
func (h *h2Stmt) CheckNamedValue(v *driver.NamedValue) error { return h.c.CheckNamedValue(v) }
func (h *h2Stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return h.c.ExecContext(ctx, h.query, args)
}
func (h *h2Stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return h.c.QueryContext(ctx, h.query, args)
}

func (h *h2Rows) Columns() []string { return h.columns }
func (h *h2Rows) Close() error      { return nil }
func (h *h2Rows) Next(dest []driver.Value) error {
	if len(h.rows) == 0 {
		return io.EOF
	}
	copy(dest, h.rows[0])
	h.rows = h.rows[1:]
	return nil
}
