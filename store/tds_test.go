package store

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	mssql "github.com/microsoft/go-mssqldb"
)

// tds plays a SQL Server on the wire, as far as our statements need one: TDS 7.4 without encryption. It answers a login, and each request
// by what answer says.
type tds struct {
	net.Listener
	wait time.Duration // how long it is waited for
	// answer makes the tokens of the answer to a request: "login", "begin", "commit", "rollback", or a statement. nil hangs up, and
	// silence says nothing.
	answer func(request string) []byte

	mu    sync.Mutex
	asked []string
}

var silence = []byte{}

func newTDS(t *testing.T, wait time.Duration, answer func(request string) []byte) (*tds, *Store) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	d := &tds{Listener: listener, wait: wait, answer: answer}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(conn)
		}
	}()
	p, err := sqlserverDialect.open(d.config())
	if err != nil {
		t.Fatal(err)
	}
	s := unstarted(d.config(), &sqlserverDialect, p)
	s.shared = newSharedReads(p.reader.Stats().MaxOpenConnections)
	t.Cleanup(func() { s.Close() })
	return d, s
}

// config is how the server is reached.
func (d *tds) config() Config {
	return Config{Driver: "sqlserver", DSN: "sqlserver://sa:geheim@" + d.Addr().String() + "?database=im&encrypt=disable", MaxWait: d.wait}.withDefaults()
}

// requests are those of one kind that came.
func (d *tds) requests(kind string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.asked {
		if strings.HasPrefix(r, kind) {
			n++
		}
	}
	return n
}

func (d *tds) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		kind, body, err := tdsMessage(in)
		if err != nil {
			return
		}
		request := ""
		switch kind {
		case 18:
			request = "prelogin"
		case 16:
			request = "login"
		case 14:
			request = map[uint16]string{5: "begin", 7: "commit", 8: "rollback"}[binary.LittleEndian.Uint16(body[binary.LittleEndian.Uint32(body):])]
		default: // a batch, or a call of sp_executesql: the rest of it is no text
			request = tdsStatement.FindString(strings.ReplaceAll(string(body), "\x00", ""))
		}
		d.mu.Lock()
		d.asked = append(d.asked, request)
		d.mu.Unlock()
		answer := d.answer(request)
		switch {
		case answer == nil:
			return
		case len(answer) == 0: // until the other side is tired of it
			_, _ = io.Copy(io.Discard, in)
			return
		}
		head := []byte{4, 1, 0, 0, 0, 0, 1, 0}
		binary.BigEndian.PutUint16(head[2:], uint16(len(head)+len(answer)))
		if _, err := conn.Write(append(head, answer...)); err != nil {
			return
		}
	}
}

var tdsStatement = regexp.MustCompile(`(?s)(SET ANSI_|SELECT |INSERT |UPDATE |DELETE ).*`)

// tdsMessage reads the packets of one message.
func tdsMessage(in io.Reader) (kind byte, body []byte, err error) {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(in, head); err != nil {
			return 0, nil, err
		}
		part := make([]byte, int(binary.BigEndian.Uint16(head[2:]))-len(head))
		if _, err := io.ReadFull(in, part); err != nil {
			return 0, nil, err
		}
		if body = append(body, part...); head[1]&1 != 0 {
			return head[0], body, nil
		}
	}
}

func tdsText(text string) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// token is a token with its length.
func tdsToken(kind byte, body []byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte{kind}, uint16(len(body))), body...)
}

func tdsDone(status uint16, rows uint64) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0xfd}, status)
	return binary.LittleEndian.AppendUint64(append(b, 0, 0), rows)
}

// changed is the answer to a statement that changed so many rows.
func tdsChanged(rows uint64) []byte { return tdsDone(0x10, rows) }

// tdsFailed is an error of the server.
func tdsFailed(number uint32, text string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, number)
	b = append(b, 1, 14)
	b = append(binary.LittleEndian.AppendUint16(b, uint16(len(text))), tdsText(text)...)
	return append(tdsToken(0xaa, append(b, 0, 0, 1, 0, 0, 0)), tdsDone(2, 0)...)
}

// tdsRow is the answer to a query: one row of numbers.
func tdsRow(values ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16([]byte{0x81}, uint16(len(values)))
	for range values {
		b = append(b, 0, 0, 0, 0, 0, 0, 0x26, 8, 1)
		b = append(b, tdsText("c")...)
	}
	b = append(b, 0xd1)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(append(b, 8), v)
	}
	return append(b, tdsDone(0x10, 1)...)
}

// healthy is what a server says to whom all goes well; its epoch is 7.
func healthy(request string) []byte {
	switch {
	case request == "prelogin":
		return []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2} // no encryption
	case request == "login":
		name := tdsText("double")
		return append(tdsToken(0xad, append(append([]byte{1, 0x74, 0, 0, 4, byte(len(name) / 2)}, name...), 16, 0, 0, 0)), tdsDone(0, 0)...)
	case request == "begin":
		return append(tdsToken(0xe3, []byte{8, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0}), tdsDone(0, 0)...)
	case request == "commit", request == "rollback":
		kind := map[string]byte{"commit": 9, "rollback": 10}[request]
		return append(tdsToken(0xe3, []byte{kind, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}), tdsDone(0, 0)...)
	case strings.Contains(request, "SELECT epoch"):
		return tdsRow(7, 41, 0, 0, 0)
	case strings.HasPrefix(request, "SELECT"):
		return tdsDone(0, 0)
	}
	return tdsChanged(1)
}

// but is a healthy server that answers to a kind of requests once, or always, otherwise.
func but(kind string, times int, otherwise []byte) func(string) []byte {
	var mu sync.Mutex
	return func(request string) []byte {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(request, kind) && times > 0 {
			times--
			return otherwise
		}
		return healthy(request)
	}
}

const always = 1 << 20

func purge(s *Store) error {
	return s.Apply(context.Background(), 7, Positions{}, []Change{{Purges: []Purge{{SessionID: "g", Time: "1"}}}})
}

// TestWireOfSQLServer: what the driver makes of a server's troubles is what is promised of them.
func TestWireOfSQLServer(t *testing.T) {
	insert := "INSERT INTO tlim_purge"
	for _, c := range []struct {
		name       string
		answer     func(string) []byte
		want       error // nil: none
		unknown    bool  // the outcome
		said       string
		rolledBack int
	}{
		{"all is well", healthy, nil, false, "", 0},
		{"duplicate key", but(insert, 1, tdsFailed(2627, "Violation of PRIMARY KEY constraint")), ErrDuplicate, false, "Violation", 1},
		{"duplicate in an index", but(insert, 1, tdsFailed(2601, "Cannot insert duplicate key row")), ErrDuplicate, false, "Cannot insert", 1},
		{"deadlock", but(insert, 1, tdsFailed(1205, "deadlock victim")), ErrUnavailable, false, "deadlock victim", 1},
		{"deadlock in a COMMIT", but("commit", 1, tdsFailed(1205, "deadlock victim")), ErrUnavailable, false, "deadlock victim", 0},
		{"lock time-out", but("UPDATE tlim_state", 1, tdsFailed(1222, "Lock request time out period exceeded")), ErrUnavailable, false, "Lock request", 1},
		{"cut in a statement", but(insert, 1, nil), ErrUnavailable, false, "", 0},
		{"cut in BEGIN", but("begin", always, nil), ErrUnavailable, false, "", 0},
		{"cut in a COMMIT", but("commit", 1, nil), nil, true, "", 0},
		{"an error of a COMMIT that says nothing of its end", but("commit", 1, tdsFailed(9001, "The log is not available")), nil, true, "", 0},
		{"login refused", but("login", always, tdsFailed(18456, "Login failed for user 'sa'.")), ErrUnavailable, false, "Login failed for user 'sa'", 0},
		{"silent statement", but(insert, 1, silence), ErrUnavailable, false, "gave no answer within", 0},
		{"silent login", but("login", always, silence), ErrUnavailable, false, "gave no answer within", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wait, limit := 10*time.Second, 20*time.Second
			if strings.HasPrefix(c.name, "silent") {
				wait, limit = 300*time.Millisecond, 400*time.Millisecond
			}
			d, s := newTDS(t, wait, c.answer)
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			err := s.Apply(ctx, 7, Positions{}, []Change{{Purges: []Purge{{SessionID: "g", Time: "1"}}}})
			var unknown *UnknownError
			switch {
			case errors.As(err, &unknown) != c.unknown:
				t.Fatalf("got %v, want an outcome that is not known: %v", err, c.unknown)
			case c.unknown && (unknown.Batch != 42 || errors.Is(err, ErrUnavailable)):
				t.Errorf("got batch %d of %v, want 42 and not %v", unknown.Batch, err, ErrUnavailable)
			case !c.unknown && !errors.Is(err, c.want), err != nil && !strings.Contains(err.Error(), c.said):
				t.Errorf("got %v, want %v with %q", err, c.want, c.said)
			case strings.Contains(fmt.Sprint(err), "geheim"):
				t.Errorf("got %v, want no password in it", err)
			}
			if n := d.requests("rollback"); n != c.rolledBack {
				t.Errorf("got %d rollbacks, want %d", n, c.rolledBack)
			}
			if c.name == "login refused" {
				var e mssql.Error
				if remedy := Remedy(d.config(), err); !errors.As(err, &e) || e.Number != 18456 || !strings.Contains(remedy, "correct user and password") {
					t.Errorf("got %v, %s, want 18456 and its remedy", err, remedy)
				}
				return
			}
			if strings.HasSuffix(c.name, "login") || strings.HasSuffix(c.name, "BEGIN") {
				return
			}
			// The next try is a whole transaction of its own.
			if err := purge(s); err != nil {
				t.Errorf("again: got %v, want no error", err)
			}
			if n := d.requests("begin"); n != 2 {
				t.Errorf("got %d transactions, want 2", n)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			if last := d.asked[len(d.asked)-1]; last != "commit" {
				t.Errorf("it ended with %q, want a commit", last)
			}
		})
	}
}

// TestSilentServer: of a server that does not answer it is said who and for how long, at the start, in an examination and in a look at
// whether it is there; whatever the driver.
func TestSilentServer(t *testing.T) {
	said := regexp.MustCompile(`the database \S+ gave no answer within (\d{3}ms|\d(\.\d)?s)`)
	check := func(t *testing.T, who string, err error, address string) {
		t.Helper()
		text := fmt.Sprint(err)
		if err == nil {
			t.Fatalf("%s: got no error, want one", who)
		}
		if !errors.Is(err, ErrUnavailable) || !said.MatchString(text) || !strings.Contains(text, address) || strings.Contains(text, "geheim") || strings.Contains(text, "\n") {
			t.Errorf("%s: got %v, want %v, who did not answer, and the time", who, err, ErrUnavailable)
		}
		if !strings.Contains(Remedy(Config{Driver: "sqlserver"}, err), "a firewall swallows") {
			t.Errorf("%s: got %s, want the remedy of silence", who, Remedy(Config{Driver: "sqlserver"}, err))
		}
	}
	for _, at := range []string{"prelogin", "login", "SET ANSI", "SELECT"} {
		t.Run("sqlserver "+at, func(t *testing.T) {
			t.Parallel()
			d, s := newTDS(t, 300*time.Millisecond, but(at, always, silence))
			if at != "SELECT" { // a look at the tables may take its time
				_, err := Open(t.Context(), d.config())
				check(t, "open", err, d.Addr().String())
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := Examine(ctx, d.config())
			check(t, "examine", err, d.Addr().String())
			check(t, "ping", s.Ping(t.Context()), d.Addr().String())
		})
	}
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		d, _ := newTDS(t, 300*time.Millisecond, func(string) []byte { return silence })
		cfg := Config{Driver: "mysql", DSN: "im:geheim@tcp(" + d.Addr().String() + ")/im", MaxWait: 300 * time.Millisecond}
		_, err := Open(t.Context(), cfg)
		check(t, "open", err, d.Addr().String())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = Examine(ctx, cfg)
		check(t, "examine", err, d.Addr().String())
	})
}
