package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
)

// What administrators have at hand is understood: URLs, ADO, and what openfire.xml has.
func TestSQLServerAddresses(t *testing.T) {
	for _, c := range []struct{ dsn, want, encrypt string }{
		{"sqlserver://sa:p@db:1433?database=im", "sa p db 1433  im", ""},
		{"mssql://sa:p%40w@db?database=im&encrypt=disable", "sa p@w db 0  im", "disable"},
		{"sqlserver://sa:p@db/SQL2012?database=im&connection+timeout=3", "sa p db 0 SQL2012 im", ""},
		{"sqlserver://sa:p@[::1]:1433?database=im", "sa p ::1 1433  im", ""},
		{"Server=db,1433;Database=im;User Id=sa;Password=p", "sa p db 1433  im", ""},
		{"server=tcp:db.example.com,1444; initial catalog=im; uid=sa; pwd=p=q; Encrypt=True; TrustServerCertificate=yes;", "sa p=q db.example.com 1444  im", "true"},
		{`Data Source=.\SQLEXPRESS;Database=im;User Id=sa;Password={a;b}}c}`, "sa a;b}c localhost 0 SQLEXPRESS im", ""},
		{`Server=(local);Database=im;User Id=sa;Password="a""b;"`, `sa a"b; localhost 0  im`, ""},
		{"jdbc:sqlserver://db:1433;databaseName=im;user=sa;password=p;applicationName=Openfire", "sa p db 1433  im", ""},
		{`jdbc:sqlserver://db\SQL2012;databaseName=im;user=sa;password=p;encrypt=false`, "sa p db 0 SQL2012 im", "false"},
		{"jdbc:jtds:sqlserver://db/im;appName=jive;user=sa;password=p;ssl=request", "sa p db 0  im", "false"},
		{"jdbc:jtds:sqlserver://db:1500/im;instance=X;user=sa;password=p", "sa p db 1500 X im", ""},
	} {
		t.Run(c.dsn, func(t *testing.T) {
			got, err := sqlserverAddress(c.dsn)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join([]string{got.User, got.Password, got.Host, fmt.Sprint(got.Port), got.Instance, got.Database}, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			if got.Parameters["encrypt"] != c.encrypt {
				t.Errorf("encrypt is %q, want %q", got.Parameters["encrypt"], c.encrypt)
			}
			if engine := DriverOf(c.dsn, "sqlite"); engine != "sqlserver" {
				t.Errorf("it is taken for %s, want sqlserver", engine)
			}
			if shown := MaskDSN(c.dsn); !strings.HasPrefix(shown, "sqlserver://sa:********@") || strings.Contains(shown, got.Password+"@") {
				t.Errorf("the DSN is shown as %s, want its password masked", shown)
			}
		})
	}
	for dsn, want := range map[string]string{
		"sqlserver://sa:HUSH@db":                                "names no database",
		"sqlserver://db?database=im":                            "names no user",
		"sqlserver://sa:HU/HUSH@db?database=im":                 "is no URL",
		"sqlserver://sa:a@b/HUSH@db?database=im":                "is no URL",
		"sqlserver://sa:a@b#HUSH@db?database=im":                "is no URL",
		"sqlserver://sa:HUSH@db:99999?database=im":              "no number from 1 to 65535",
		"sqlserver://sa:HUSH@db?database=im&encrypt=HUSH":       "encrypt that is not known",
		"sqlserver://sa:HUSH@db?database=im&x=%zzHUSH":          "begins no escape",
		"sqlserver://sa:HUSH@db?database=im&tlsmin=HUSH":        "",
		"sqlserver://sa:HUSH@db?database=im&certificate=/HUSH":  "a parameter certificate with a value",
		"Server=db;Database=im;User Id=sa;Password=a;HUSH":      `a part without "="`,
		"Server=db;Database=im;User Id=sa;Password={HUSH":       "is not closed",
		"Server=db;Database=im;Integrated Security=SSPI":        "the login of Windows",
		"Server=db HUSH;Database=im;User Id=sa;Password=HUSH":   "something else than host and port",
		"jdbc:sqlserver://db:1433;databaseName=im;user=sa;HUSH": `a part without "="`,
		"Database=im;User Id=sa;Password=HUSH":                  "names no server",
		"tlim.db":                                               "is no address of a SQL Server: write it as sqlserver://",
		"u:HUSH@tcp(db:3306)/im":                                "set store.driver: mysql",
	} {
		t.Run(dsn, func(t *testing.T) {
			err := CheckDSN("sqlserver", dsn)
			if want == "" {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "HUSH") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q in one line, without HUSH", err, want)
			}
			if shown := MaskDSN(dsn); strings.Contains(shown, "HUSH") {
				t.Errorf("the DSN is shown as %s, want no HUSH in it", shown)
			}
		})
	}
}

func TestErrorsOfSQLServer(t *testing.T) {
	s := &Store{dialect: &sqlserverDialect}
	number := func(n int32) error { return mssql.Error{Number: n, Message: "m"} }
	terminated := mssql.Error{Number: 3621, Message: "The statement has been terminated.", All: []mssql.Error{{Number: 2627}, {Number: 3621}}}
	for _, c := range []struct {
		err  error
		want error
	}{
		{number(2627), ErrDuplicate}, {number(2601), ErrDuplicate}, {terminated, ErrDuplicate},
		{number(8152), ErrData}, {number(2628), ErrData}, {number(515), ErrData}, {number(8114), ErrData}, {number(1946), ErrData},
		{number(1205), ErrUnavailable}, {number(1222), ErrUnavailable}, {number(8115), ErrUnavailable}, {number(229), ErrUnavailable}, {number(1105), ErrUnavailable},
		{number(9002), ErrUnavailable}, {number(208), ErrUnavailable}, {mssql.StreamError{InnerError: io.ErrUnexpectedEOF}, ErrUnavailable},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, ErrUnavailable}, {driver.ErrBadConn, ErrUnavailable}, {context.DeadlineExceeded, ErrUnavailable},
	} {
		t.Run(fmt.Sprintf("%T %v", c.err, c.err), func(t *testing.T) {
			failsAs(t, s, c.err, c.want)
		})
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{number(1205), true}, {number(1222), true}, {driver.ErrBadConn, true}, {retryable{}, false},
		{io.EOF, false}, {number(3902), false}, {mssql.ServerError{}, false}, {context.DeadlineExceeded, false},
	} {
		t.Run(fmt.Sprintf("COMMIT: %T %v", c.err, c.err), func(t *testing.T) {
			if got := uncommittedSQLServer(c.err); got != c.want {
				t.Errorf("certainly not committed: got %v, want %v", got, c.want)
			}
		})
	}
	if err := explainSQLServer(Config{}, fmt.Errorf("x: %w", mssql.Error{Number: 262, All: []mssql.Error{{Number: 262, Message: "a"}, {Number: 1, Message: "b"}}})); strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "CREATE TABLE and ALTER") || sqlserverNumber(err) != 262 {
		t.Errorf("got %v, want the rights in one line", err)
	}
}

// retryable stands for mssql.RetryableError, which the driver alone can make: sent, and then lost.
type retryable struct{}

func (retryable) Error() string        { return "write: broken pipe" }
func (retryable) Is(target error) bool { return target == driver.ErrBadConn }

// A server that hangs up, and one that is not there, are errors of the start in one line.
func TestSQLServerThatHangsUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	cfg := Config{Driver: "sqlserver", DSN: "sqlserver://sa:geheim@" + listener.Addr().String() + "?database=im", MaxWait: 2 * time.Second}
	for _, state := range []string{"hangs up", "is not there"} {
		t.Run(state, func(t *testing.T) {
			_, err := Open(t.Context(), cfg)
			if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "geheim") {
				t.Errorf("got %v, want %v in one line", err, ErrUnavailable)
			}
		})
		listener.Close()
	}
}

// TestArgumentsOfSQLServer: keys reach an index of varchar, and what is beyond ASCII loses nothing.
func TestArgumentsOfSQLServer(t *testing.T) {
	got := sqlserverDialect.command(messageTime).arrange([]any{"m1"})
	if want := []any{mssql.VarChar("m1"), mssql.VarChar("m1")}; !slices.Equal(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	for v, want := range map[any]any{"张三": "张三", "": mssql.VarChar(""), int64(5): int64(5), nil: nil} {
		t.Run(fmt.Sprintf("%#v", v), func(t *testing.T) {
			if got := sqlserverValue(v); got != want {
				t.Errorf("%#v: got %#v, want %#v", v, got, want)
			}
		})
	}
}

// TestCodePages: what a varchar column cannot hold is an error before the server stores a "?", and lengths are bytes.
func TestCodePages(t *testing.T) {
	s := &Store{dialect: &sqlserverDialect, pools: &pools{}, shapes: map[string]*shape{}}
	sh := sqlserverDialect.shapeOf(tMessage)
	body := slices.Index(sh.names, "body")
	s.shapes[tMessage.name] = sh
	sent := false
	ours := sqlserverDialect
	ours.insert = func(context.Context, execFunc, *rows) error { sent = true; return nil }
	s.dialect = &ours
	for _, c := range []struct {
		charset charset
		size    int
		text    string
		fits    bool
	}{
		{charset{}, 4, "ab😀", true}, {charset{}, 4, "abc😀", false}, {charset{}, 0, "张😀", true},
		{codePage(936), 0, "张三", true}, {codePage(936), 0, "张😀", false}, {codePage(936), 4, "张三", true}, {codePage(936), 4, "张三a", false},
		{codePage(1252), 0, "é", true}, {codePage(1252), 0, "张", false}, {codePage(1252), 1, "é", true},
		{codePage(950), 0, "張", true}, {codePage(950), 0, "张", false}, {codePage(932), 0, "日本", true}, {codePage(949), 0, "한국", true},
		{codePage(65001), 4, "张a", true}, {codePage(65001), 4, "张三", false}, {codePage(99), 0, "abc", true}, {codePage(99), 0, "é", false},
	} {
		t.Run(fmt.Sprintf("%s(%d) %s", c.charset.name, c.size, c.text), func(t *testing.T) {
			sh.charsets[body], sh.sizes[body], sent = c.charset, c.size, false
			r := s.rowsOf(tMessage, 1)
			r.add("1", "m", "MTT-000", "z", "l", "1", c.text, "z", "")
			err := (&tx{s: s}).insert(t.Context(), r)
			if c.fits && (err != nil || !sent) || !c.fits && (!errors.Is(err, ErrData) || sent) {
				t.Errorf("got %v, sent %v; want it to fit: %v", err, sent, c.fits)
			}
		})
	}
	name := sqlserverDialect.shapeOf(tGroup)
	i := slices.Index(name.names, "session_name")
	name.sizes[i], name.charsets[i] = 5, codePage(936)
	if got := name.decorate(i, "张三李四"); got != "张三" {
		t.Errorf("a name cut to 5 bytes: got %s, want 张三", got)
	}
}

// TestNoStatementIsTooLarge: SQL Server takes 2,098 parameters and 1,000 rows.
func TestNoStatementIsTooLarge(t *testing.T) {
	for _, d := range engines() {
		t.Run(d.name, func(t *testing.T) {
			most := 0
			check := func(query string) {
				c := d.command(query)
				n := max(len(c.args), len(c.compared))
				if most = max(most, n); n > 2098 {
					t.Errorf("got %d parameters, want at most 2098: %s", n, query[:80])
				}
			}
			for _, q := range append(everyQuery(), walks...) {
				if strings.Contains(q, "?*") {
					q = list(q, slices.Max(listSizes))
				}
				if strings.Contains(q, ")*") {
					q = alternatives(q, slices.Max(pairSizes))
				}
				check(q)
			}
			check(chatMove(slices.Max(chatSizes)))
			for _, of := range allTables() {
				most = max(most, len(of.columns)*slices.Max(rowSizes))
			}
			if most < 1000 || most > 2098 || slices.Max(rowSizes) > 1000 {
				t.Errorf("at most %d parameters, %d rows; want some 1,000 to 2,098 and 1,000", most, slices.Max(rowSizes))
			}
		})
	}
}

// TestWidening: the server alters no column that its key or an index holds, also as an included one, and the table keeps the kind of its key.
func TestWidening(t *testing.T) {
	for _, c := range []struct {
		name string
		i    identity
		want string
	}{
		{"before the first start", identity{table: "ofMessage", column: "id_", key: "PK__of__1", kind: "NONCLUSTERED"},
			"SET XACT_ABORT ON; BEGIN TRANSACTION; ALTER TABLE ofMessage DROP CONSTRAINT [PK__of__1]; ALTER TABLE ofMessage ALTER COLUMN id_ numeric(18) NOT NULL; " +
				"ALTER TABLE ofMessage ADD CONSTRAINT [PK__of__1] PRIMARY KEY NONCLUSTERED (id_); COMMIT TRANSACTION"},
		{"a heap", identity{table: "ofstatus", column: "id_"},
			"SET XACT_ABORT ON; BEGIN TRANSACTION; ALTER TABLE ofstatus ALTER COLUMN id_ numeric(18) NOT NULL; COMMIT TRANSACTION"},
		{"with indexes", identity{table: "ofmessage", column: "id_", key: "pk", kind: "CLUSTERED", indexes: []string{"tlim_message_group_all", "theirs"}},
			"SET XACT_ABORT ON; BEGIN TRANSACTION; DROP INDEX [tlim_message_group_all] ON ofmessage; DROP INDEX [theirs] ON ofmessage; " +
				"ALTER TABLE ofmessage DROP CONSTRAINT [pk]; ALTER TABLE ofmessage ALTER COLUMN id_ numeric(18) NOT NULL; " +
				"ALTER TABLE ofmessage ADD CONSTRAINT [pk] PRIMARY KEY CLUSTERED (id_); " +
				"CREATE INDEX tlim_message_group_all ON ofmessage (session_id, msg_time, msg_id, msg_type) INCLUDE (id_); COMMIT TRANSACTION; " +
				"then make theirs again, as your own scripts have it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.i.widen(); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}
