package store

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// newTDS plays a SQL Server: TDS 7.4 without encryption. Its requests are "prelogin", "login", "begin", "commit", "rollback", and statements.
func newTDS(t *testing.T, wait time.Duration, answer func(request string) []byte) (*wire, *Store) {
	t.Helper()
	w := newWire(t, wait, answer, serveTDS)
	return w, w.store(t, &sqlserverDialect, Config{Driver: "sqlserver", DSN: "sqlserver://sa:geheim@" + w.Addr().String() + "?database=im&encrypt=disable", MaxWait: wait}.withDefaults())
}

func serveTDS(conn net.Conn, w *wire) {
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
		answer := w.ask(request)
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

// wellSQLServer is what a server says to whom all goes well; its epoch is 7.
func wellSQLServer(request string) []byte {
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

// TestWireOfSQLServer: what the driver makes of a server's troubles is what is promised of them.
func TestWireOfSQLServer(t *testing.T) {
	insert := "INSERT INTO tlim_purge"
	but := func(kind string, times int, otherwise []byte) func(string) []byte {
		return but(wellSQLServer, kind, times, otherwise)
	}
	for _, c := range []calamity{
		{name: "all is well", answer: wellSQLServer},
		{name: "duplicate key", answer: but(insert, 1, tdsFailed(2627, "Violation of PRIMARY KEY constraint")), want: ErrDuplicate, said: "Violation", rolledBack: 1},
		{name: "duplicate in an index", answer: but(insert, 1, tdsFailed(2601, "Cannot insert duplicate key row")), want: ErrDuplicate, said: "Cannot insert", rolledBack: 1},
		{name: "deadlock", answer: but(insert, 1, tdsFailed(1205, "deadlock victim")), want: ErrUnavailable, said: "deadlock victim", rolledBack: 1},
		{name: "deadlock in a COMMIT", answer: but("commit", 1, tdsFailed(1205, "deadlock victim")), want: ErrUnavailable, said: "deadlock victim"},
		{name: "lock time-out", answer: but("UPDATE tlim_state", 1, tdsFailed(1222, "Lock request time out period exceeded")), want: ErrUnavailable, said: "Lock request", rolledBack: 1},
		{name: "cut in a statement", answer: but(insert, 1, nil), want: ErrUnavailable},
		{name: "cut in BEGIN", answer: but("begin", always, nil), want: ErrUnavailable},
		{name: "cut in a COMMIT", answer: but("commit", 1, nil), unknown: true},
		{name: "an error of a COMMIT that says nothing of its end", answer: but("commit", 1, tdsFailed(9001, "The log is not available")), unknown: true},
		{name: "login refused", answer: but("login", always, tdsFailed(18456, "Login failed for user 'sa'.")), want: ErrUnavailable, said: "Login failed for user 'sa'", remedy: "correct user and password"},
		{name: "silent statement", answer: but(insert, 1, silence), want: ErrUnavailable, said: "gave no answer within"},
		{name: "silent login", answer: but("login", always, silence), want: ErrUnavailable, said: "gave no answer within"},
	} {
		t.Run(c.name, func(t *testing.T) { c.isTold(t, newTDS) })
	}
}
