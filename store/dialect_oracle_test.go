package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	ora "github.com/sijms/go-ora/v2"
	"github.com/sijms/go-ora/v2/configurations"
	"github.com/sijms/go-ora/v2/network"
)

// What administrators have at hand is understood: URLs, sqlplus, and what openfire.xml has.
func TestOracleAddresses(t *testing.T) {
	const descriptor = "(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=TCP)(HOST=db)(PORT=1522))(ADDRESS=(PROTOCOL=TCP)(HOST=db2)(PORT=1521)))(CONNECT_DATA=(SERVICE_NAME=im.example.com)))"
	for _, c := range []struct{ dsn, want string }{
		{"oracle://scott:tiger@db:1522/im", "scott tiger db:1522 im "},
		{"oracle://scott:t%2F%40ger@db/im.example.com?TIMEOUT=5&PREFETCH_ROWS=1", "scott t/@ger db:1521 im.example.com "},
		{"ORACLE://scott:tiger@[::1]:1521/?SID=ORCL", "scott tiger [::1]:1521  ORCL"},
		{"oracle://scott:tiger@:0/?connStr=" + descriptor, "scott tiger db:1522,db2:1521 im.example.com "},
		{"oracle://scott:tiger@:0/?connStr=(DESCRIPTION%3D(ADDRESS%3D(PROTOCOL%3Dtcps)(HOST%3Ddb)(PORT%3D2484))(CONNECT_DATA%3D(SID%3DORCL)))", "scott tiger db:2484  ORCL"},
		{"oracle://scott:tiger@db:1521/im?SSL=true&SSL+VERIFY=false", "scott tiger db:1521 im "},
		{"jdbc:oracle:thin:scott/ti@ger@db:1521:ORCL", "scott ti@ger db:1521  ORCL"},
		{`jdbc:oracle:thin:scott/"ti/ger"@//db:1522/im`, "scott ti/ger db:1522 im "},
		{"jdbc:oracle:oci:scott/tiger@db/im:dedicated", "scott tiger db:1521 im "},
		{"jdbc:oracle:thin:scott/t@(ger@" + descriptor, "scott t@(ger db:1522,db2:1521 im.example.com "},
		{"scott/tiger@db:1521/im", "scott tiger db:1521 im "},
		{"scott/tiger@" + strings.ReplaceAll(descriptor, ")(", ") ("), "scott tiger db:1522,db2:1521 im.example.com "},
	} {
		t.Run(c.dsn, func(t *testing.T) {
			got, err := oracleAddress(c.dsn)
			if err != nil {
				t.Fatal(err)
			}
			var servers []string
			for _, s := range got.Servers {
				servers = append(servers, s.NetworkAddr())
			}
			if text := strings.Join([]string{got.UserID, got.Password, strings.Join(servers, ","), got.ServiceName, got.SID}, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			if got.AuthType != configurations.Normal || got.PrefetchRows == 1 || got.SessionInfo.Timeout == 5*time.Second || got.SSL != strings.Contains(c.dsn, "SSL=") {
				t.Errorf("got login %v, %d rows, %v, TLS %v; want a password's login, our own rows and times, and TLS as asked for", got.AuthType, got.PrefetchRows, got.Timeout, got.SSL)
			}
			if engine := DriverOf(c.dsn, "oracle"); engine != "oracle" {
				t.Errorf("it is taken for %s, want oracle", engine)
			}
			if shown := MaskDSN(c.dsn); shown != Mask && !strings.HasPrefix(shown, "oracle://scott:********@") || strings.Contains(shown, got.Password) {
				t.Errorf("the DSN is shown as %s, want its password masked", shown)
			}
		})
	}
	for dsn, want := range map[string]string{
		"oracle://u:HUSH@db":                     "names neither a service nor a SID",
		"oracle://db:1521/im":                    "names no user",
		"oracle://u@db:1521/im":                  "has no password",
		"oracle://u:HU/HUSH@db:1521/im":          "is no URL",
		"oracle://u:1/HUSH@db:1521/im":           "names no user",
		"oracle://u:a#HUSH@db:1521/im":           "is no URL",
		"oracle://u:HUSH@db:99999/im":            "no number from 1 to 65535",
		"oracle://u:HUSH@a,b:1521/im":            "something else than host and port",
		"oracle://u:HUSH@db:1521/im?x=%zzHUSH":   "begins no escape",
		"oracle://u:HUSH@db:1521/im/HUSH":        "a name of a service or a SID that none has",
		"oracle://u:HUSH@db/im?WALLET=/HUSH":     "a parameter with a value",
		"oracle://u:HUSH@db/im?ENCRYPTION=HUSH":  "a parameter with a value",
		"oracle://u:HUSH@:0/?connStr=(HUSH)":     "a descriptor that is not whole",
		"u/HUSH@(DESCRIPTION=(ADDRESS=(HUSH=a))": "a descriptor that is not whole",
		"u/HUSH@(DESCRIPTION=(SID=a))":           "in which no (ADDRESS=",
		"u/HUSH@(DESCRIPTION=(ADDRESS=(HOST=a)(PORT=1521))(CONNECT_DATA=(SID=a)(PASSWORD=HUSH)))": "a user or a password in its descriptor",
		"jdbc:oracle:thin:@db:1521:ORCL":            "names no user; openfire.xml has",
		"jdbc:oracle:thin:u/HUSH@IMPROD":            "names of tnsnames.ora",
		"jdbc:oracle:thin:u/HUSH@tcps://db:2484/im": "names its server neither by",
		"tlim.db":                "is no address of an Oracle server: write it as oracle://",
		"u:HUSH@tcp(db:3306)/im": "set store.driver: mysql",
	} {
		t.Run(dsn, func(t *testing.T) {
			err := CheckDSN("oracle", dsn)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "HUSH") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q in one line, without HUSH", err, want)
			}
			if shown := MaskDSN(dsn); strings.Contains(shown, "HUSH") {
				t.Errorf("the DSN is shown as %s, want no HUSH in it", shown)
			}
		})
	}
}

func oraError(code int) error {
	return &network.OracleError{ErrCode: code, ErrMsg: fmt.Sprintf("ORA-%05d", code)}
}

func TestErrorsOfOracle(t *testing.T) {
	s := &Store{dialect: &oracleDialect}
	for _, c := range []struct {
		err  error
		want error
	}{
		{oraError(1), ErrDuplicate},
		{oraError(12899), ErrData}, {oraError(1401), ErrData}, {oraError(1438), ErrData}, {oraError(1400), ErrData}, {oraError(1407), ErrData},
		{oraError(1461), ErrData}, {oraError(1722), ErrData}, {oraError(1450), ErrData},
		{oraError(60), ErrUnavailable}, {oraError(8177), ErrUnavailable}, {oraError(3113), ErrUnavailable}, {oraError(3135), ErrUnavailable}, {oraError(12541), ErrUnavailable},
		{oraError(12514), ErrUnavailable}, {oraError(1653), ErrUnavailable}, {oraError(942), ErrUnavailable}, {oraError(1017), ErrUnavailable}, {oraError(1013), ErrUnavailable},
		{errUnsent, ErrUnavailable}, {errNoAnswer, ErrUnavailable}, {driver.ErrBadConn, ErrUnavailable}, {context.DeadlineExceeded, ErrUnavailable},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, ErrUnavailable},
	} {
		t.Run(fmt.Sprintf("%T %v", c.err, c.err), func(t *testing.T) {
			failsAs(t, s, c.err, c.want)
		})
	}
	for _, c := range []struct {
		err  error
		want bool
	}{
		{errUnsent, true}, {oraError(2091), true},
		{driver.ErrBadConn, false}, {errNoAnswer, false}, {io.EOF, false}, {oraError(3113), false}, {oraError(3135), false}, {context.DeadlineExceeded, false},
	} {
		t.Run(fmt.Sprintf("COMMIT: %T %v", c.err, c.err), func(t *testing.T) {
			if got := uncommittedOracle(c.err); got != c.want {
				t.Errorf("certainly not committed: got %v, want %v", got, c.want)
			}
		})
	}
	two := &network.OracleError{ErrCode: 1031, ErrMsg: "ORA-01031: insufficient privileges\n"}
	if err := explainOracle(Config{}, fmt.Errorf("x: %w", two)); strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "CREATE TABLE and a quota") || oracleCode(err) != 1031 {
		t.Errorf("got %v, want the rights in one line", err)
	}
	for _, code := range []int{1017, 1045, 28000, 1031, 12514, 12505, 12541, 1034, 1653} {
		t.Run(fmt.Sprint("remedy ", code), func(t *testing.T) {
			if got := Remedy(Config{Driver: "oracle"}, s.fail(oraError(code))); got != remedyOracle(Config{}, oraError(code)) || got == "" {
				t.Errorf("got %q, want the remedy of this error", got)
			}
		})
	}
}

// What a call ended with says whether its connection can be used again, and what became of a COMMIT.
func TestBrokenConnectionsOfOracle(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx    context.Context
		err    error
		lost   bool
		broken bool
	}{
		"an answer":             {t.Context(), nil, false, false},
		"a duplicate":           {t.Context(), oraError(1), false, false},
		"a deadlock":            {t.Context(), oraError(60), false, false},
		"no contact":            {t.Context(), oraError(3135), false, true},
		"a killed session":      {t.Context(), oraError(28), false, true},
		"a time-out":            {t.Context(), &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, false, true},
		"no form":               {t.Context(), errors.New("TTC error: received code 0 during response reading"), false, true},
		"no answer":             {t.Context(), errNoAnswer, false, true},
		"a late answer":         {gone, nil, false, true},
		"broken off":            {gone, oraError(1013), false, true},
		"an answer and the end": {t.Context(), nil, true, true},
	} {
		t.Run(what, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			o := &oracleConn{connector: &oracleConnector{wait: time.Second}, socket: &oracleSocket{Conn: client}}
			o.socket.lost.Store(c.lost)
			err := o.ended(c.ctx, c.err)
			if !errors.Is(err, c.err) || c.err != nil && c.ctx == gone && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %v, and why it was broken off", err, c.err)
			}
			if o.IsValid() == c.broken {
				t.Fatalf("the connection is used again: %v, want %v", o.IsValid(), !c.broken)
			}
			if !c.broken {
				return
			}
			if _, err := server.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("a server that writes gets %v, want the socket closed", err)
			}
			if _, err := o.ExecContext(t.Context(), "x", nil); err != driver.ErrBadConn { //nolint:errorlint // database/sql compares so, too
				t.Errorf("a statement: got %v, want %v", err, driver.ErrBadConn)
			}
			if err := (&oracleTx{nil, o}).Commit(); !uncommittedOracle(err) {
				t.Errorf("a COMMIT: got %v, want it certainly not sent", err)
			}
			if err := (&oracleRows{nil, o}).Next(nil); !errors.Is(err, errNoAnswer) {
				t.Errorf("more rows: got %v, want %v and no end", err, errNoAnswer)
			}
		})
	}
}

// hungUp stands for rows of the driver whose server hung up: it says that there are no more.
type hungUp struct{}

func (hungUp) Columns() []string         { return nil }
func (hungUp) Close() error              { return nil }
func (hungUp) Next([]driver.Value) error { return io.EOF }

// A server that hangs up in the middle of an answer has not come to its end.
func TestHalfAnAnswerOfOracle(t *testing.T) {
	client, server := net.Pipe()
	o := &oracleConn{connector: &oracleConnector{}, socket: &oracleSocket{Conn: client}}
	rows := &oracleRows{hungUp{}, o}
	if err := rows.Next(nil); err != io.EOF { // database/sql compares so, too
		t.Errorf("the end: got %v, want %v", err, io.EOF)
	}
	server.Close()
	if _, err := o.socket.Read(make([]byte, 1)); err == nil {
		t.Fatal("got no error of a closed socket, want one")
	}
	if err := rows.Next(nil); !errors.Is(err, errNoAnswer) || err == io.EOF || o.IsValid() {
		t.Errorf("the server hung up: got %v, valid %v; want %v and the connection gone", err, o.IsValid(), errNoAnswer)
	}
}

// Every call has an end, whatever its context says.
func TestCallsOfOracleEnd(t *testing.T) {
	o := &oracleConn{connector: &oracleConnector{wait: time.Hour}}
	ctx, cancel := o.bounded(t.Context(), 0)
	defer cancel()
	if at, has := ctx.Deadline(); !has || time.Until(at) > time.Hour {
		t.Errorf("got an end at %v, %v; want one within an hour", at, has)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ctx, cancel = o.bounded(soon, 0)
	defer cancel()
	if at, _ := ctx.Deadline(); time.Until(at) > time.Second {
		t.Errorf("got an end at %v, want the caller's", at)
	}
	o.connector.wait = 0 // changes of tables take as long as they take
	ctx, cancel = o.bounded(t.Context(), 0)
	defer cancel()
	if _, has := ctx.Deadline(); has {
		t.Error("a change of a table got an end, want none")
	}
}

// A server that hangs up, one that says nothing, and one that is not there are errors of the start in one line, within their time.
func TestOracleThatHangsUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := make(chan net.Conn, 100)
	mode := make(chan string, 1)
	go func() {
		state := ""
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(silent)
				return
			}
			select {
			case state = <-mode:
			default:
			}
			switch state {
			case "hangs up":
				conn.Close()
			case "refuses": // a REFUSE packet of a listener
				conn.Read(make([]byte, 8192))
				text := "(DESCRIPTION=(ERR=12514)(VSNNUM=0)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))"
				size := len(text) + 12
				conn.Write(append([]byte{byte(size >> 8), byte(size), 0, 0, 4, 0, 0, 0, 0x22, 0, 0, byte(len(text))}, text...))
				silent <- conn
			default:
				silent <- conn
			}
		}
	}()
	cfg := Config{Driver: "oracle", DSN: "oracle://u:geheim@" + listener.Addr().String() + "/im", MaxWait: time.Second}
	for _, c := range []struct{ state, want string }{
		{"hangs up", "hangs or refuses this host"}, {"refuses", "lsnrctl status"}, {"is silent", "are host and port of store.dsn the database's"}, {"is not there", "start the database"},
	} {
		t.Run(c.state, func(t *testing.T) {
			if c.state == "is not there" {
				listener.Close()
			} else {
				mode <- c.state
			}
			began := time.Now()
			_, err := Open(t.Context(), cfg)
			if !errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "geheim") {
				t.Errorf("got %v, want %v in one line", err, ErrUnavailable)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %v, want some seconds", took)
			}
			if got := Remedy(cfg, err); !strings.Contains(got, c.want) {
				t.Errorf("of %v got the remedy %q, want %q", err, got, c.want)
			}
		})
	}
	listener.Close()           // with -run a part of the cases can be left out
	for conn := range silent { // none is left open
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("got a connection left open, want it closed")
		}
		conn.Close()
	}
}

// Rows go as arrays, and a text that has to be a LOB in a statement of its own row.
func TestArraysOfOracle(t *testing.T) {
	s := &Store{shapes: map[string]*shape{tMessage.name: oracleDialect.shapeOf(tMessage)}}
	r := s.rowsOf(tMessage, 0)
	bodies := slices.Concat(slices.Repeat([]string{"x"}, 130), []string{strings.Repeat("汉", 1334), "y", strings.Repeat("汉", 1333), "", strings.Repeat("z", 4001)})
	for i, body := range bodies {
		r.add(fmt.Sprint(i), Class("m"), "t", "f", "", "1", body, "g", "")
	}
	var sent []string
	var got []string // bodies
	err := insertArrays(t.Context(), func(_ context.Context, name string, n int, text func() string, args []any) (int64, error) {
		c := oracleDialect.command(text())
		placed := c.arrange(args)
		if name != "insert ofmessage" || len(placed) != 9 || !strings.HasSuffix(c.text, "VALUES (:arg1,:arg2,:arg3,:arg4,:arg5,:arg6,:arg7,:arg8,:arg9)") {
			t.Errorf("got %d arguments for %s of %s, want 9 of an insert", len(placed), c.text, name)
		}
		for _, a := range placed {
			if err := checkOracleValue(&driver.NamedValue{Value: a}); err != nil {
				t.Error(err)
			}
		}
		switch body := placed[6].(type) {
		case []any:
			sent = append(sent, fmt.Sprint(len(body), " of ", n))
			for i, b := range body {
				if _, is := placed[1].([]any)[i].(string); !is {
					t.Errorf("got a %T in an array, want a string", placed[1].([]any)[i])
				}
				text, _ := b.(string)
				got = append(got, text)
			}
		case ora.Clob:
			sent = append(sent, fmt.Sprint("LOB of ", n))
			got = append(got, body.String)
		default:
			sent = append(sent, fmt.Sprint("1 of ", n))
			text, _ := body.(string)
			got = append(got, text)
		}
		return 1, nil
	}, r)
	if want := []string{"128 of 3", "2 of 3", "LOB of 2", "3 of 3", "LOB of 2"}; err != nil || !slices.Equal(sent, want) || r.done != r.count {
		t.Errorf("got %v, %v, %d of %d rows; want %v", sent, err, r.done, r.count, want)
	}
	if !slices.Equal(got, bodies) {
		t.Errorf("got %d bodies that differ, want the %d as they were", len(got), len(bodies))
	}
}

// A key that no row can have is compared as far as it goes, and what is searched for in bodies goes whole.
func TestLongArgumentsOfOracle(t *testing.T) {
	long := strings.Repeat("汉", 2000)
	key := oracleDialect.command(messageTime).arrange([]any{long})
	if got, is := key[0].(string); !is || len(got) > maxOracleText || !strings.HasPrefix(long, got) || len(got) < maxOracleText-3 {
		t.Errorf("got a %T of %d bytes, want the first 4,000 of the text", key[0], len(got))
	}
	found := oracleDialect.command(`SELECT id_ FROM ofmessage WHERE LOWER(body) LIKE ? ESCAPE '!'`).arrange([]any{long})
	set := oracleDialect.command(`UPDATE ofpubact SET content = ? WHERE id_ == ?`).arrange([]any{long, "1"})
	for _, args := range [][]any{found, set} {
		if got, is := args[0].(ora.Clob); !is || got.String != long {
			t.Errorf("got a %T, want a LOB of the whole text", args[0])
		}
	}
}

// Pages work on 11g, which knows no FETCH, and have the columns of their query.
func TestPagesOfOracle(t *testing.T) {
	for _, c := range []struct {
		query          string
		length, offset int64
		want           string
		args           []any
	}{
		{`SELECT a, b FROM t WHERE c = ? ORDER BY a`, 10, 0, `SELECT * FROM (SELECT a, b FROM t WHERE c = ? ORDER BY a) WHERE ROWNUM <= ?`, []any{"c", int64(10)}},
		{`SELECT id_ AS k, b FROM t WHERE c = ?`, 10, 20, `SELECT k, b FROM (SELECT ordered.*, ROWNUM place FROM (SELECT id_ AS k, b FROM t WHERE c = ?) ordered WHERE ROWNUM <= ?) WHERE place > ?`, []any{"c", int64(30), int64(20)}},
	} {
		t.Run(c.query, func(t *testing.T) {
			got, args := rownum(c.query, []any{"c"}, c.length, c.offset)
			if got != c.want || !reflect.DeepEqual(args, c.args) {
				t.Errorf("got %s, %v\nwant %s, %v", got, args, c.want, c.args)
			}
		})
	}
	name := regexp.MustCompile(`^\w+$`)
	for _, q := range append(everyQuery(), walks...) {
		if m := selectList.FindStringSubmatch(q); m == nil || strings.Contains(m[1], "(") { // of groups nobody reads a page
			continue
		}
		seen := map[string]bool{}
		for _, label := range strings.Split(labels(q), ", ") {
			if label != "1" && (!name.MatchString(label) || seen[label]) {
				t.Errorf("%s: %q is no name of a column, or of two; want each to have one", q, label)
			}
			seen[label] = true
		}
	}
}

// Lengths of old columns are of bytes, and those of CHAR semantics end at both.
func TestLengthsOfOracle(t *testing.T) {
	for _, c := range []struct {
		charset       charset
		length, chars int
		text          string
		fits          bool
	}{
		{charset{}, 10, 0, "汉字三", true}, {charset{}, 10, 0, "汉字三四", false}, {oracleCharsets["ZHS16GBK"], 10, 0, "汉字三四五", true}, {oracleCharsets["ZHS16GBK"], 10, 0, "汉字三四五a", false},
		{charset{}, 40, 10, "汉字三四五六七八九十", true}, {charset{}, 40, 10, "汉字三四五六七八九十a", false}, {charset{}, 40, 20, "😀😀😀😀😀😀😀😀😀😀", true}, {charset{}, 40, 20, "😀😀😀😀😀😀😀😀😀😀a", false},
		{oracleCharsets["ZHS16GBK"], 0, 0, "😀", false}, {oracleUTF8, 10, 0, "汉字三", true}, {oracleUTF8, 100, 0, "😀", false},
	} {
		t.Run(fmt.Sprintf("%s(%d, %d) %s", c.charset.name, c.length, c.chars, c.text), func(t *testing.T) {
			ours := oracleDialect
			ours.insert = func(context.Context, execFunc, *rows) error { return nil }
			s := &Store{dialect: &ours, pools: &pools{}, shapes: map[string]*shape{tAnnouncement.name: ours.shapeOf(tAnnouncement)}}
			info := &tableInfo{columns: map[string]columnInfo{"title": {name: "title", kind: "varchar2", length: c.length, characters: c.chars, charset: c.charset}}}
			(&migration{s: s}).adopt(tAnnouncement, info)
			r := s.rowsOf(tAnnouncement, 1)
			r.add("1", c.text, "c", "u", "1", "g")
			if err := (&tx{s: s}).insert(t.Context(), r); c.fits != (err == nil) || err != nil && !errors.Is(err, ErrData) {
				t.Errorf("got %v, want it to fit: %v", err, c.fits)
			}
		})
	}
}

// Drivers answer numbers in several forms.
func TestNumbersOfDrivers(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int64
		ok   bool
	}{{int64(7), 7, true}, {"7", 7, true}, {[]byte("7"), 7, true}, {float64(7), 7, true}, {nil, 0, true}, {7.5, 0, false}, {"x", 0, false}, {1e300, 0, false}} {
		t.Run(fmt.Sprintf("%T %v", c.v, c.v), func(t *testing.T) {
			var n number
			if err := n.Scan(c.v); (err == nil) != c.ok || c.ok && int64(n) != c.want {
				t.Errorf("got %d, %v; want %d, no error: %v", n, err, c.want, c.ok)
			}
		})
	}
	var id text
	if err := id.Scan(float64(1234567)); err != nil || id != "1234567" {
		t.Errorf("got %s, %v; want 1234567", id, err)
	}
}

// Names have at most 30 bytes, and no table has two indexes of the same columns, which is an error there.
func TestNamesOfOracle(t *testing.T) {
	parts, err := schema("oracle")
	if err != nil {
		t.Fatal(err)
	}
	indexed := map[string]string{}
	for _, p := range parts {
		if len(p.name) > 30 || len(p.table) > 30 {
			t.Errorf("%s has %d bytes, want at most 30", p.name, len(p.name))
		}
		if p.kind == "index" {
			columns := p.table + " " + strings.Join(p.columns, ",")
			if indexed[columns] != "" {
				t.Errorf("%s and %s: got the same columns %s, want one index of them", p.name, indexed[columns], columns)
			}
			indexed[columns] = p.name
		}
	}
	for _, of := range allTables() {
		for _, c := range of.columns {
			if len(c.name) > 30 {
				t.Errorf("%s.%s has %d bytes, want at most 30", of.name, c.name, len(c.name))
			}
		}
	}
}
