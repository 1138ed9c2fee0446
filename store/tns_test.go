package store

import (
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

// newTNS plays an Oracle 11.2, as far as the driver needs one: its own key of the session is any, since the driver does not ask the server for proof
// that it knows the password. Its requests are "connect", "protocol", "types", "login", "password", "version", "commit", "rollback", "ping",
// "logoff", and statements.
func newTNS(t *testing.T, wait time.Duration, answer func(request string) []byte) (*wire, *Store) {
	t.Helper()
	w := newWire(t, wait, answer, serveTNS)
	return w, w.store(t, &oracleDialect, Config{Driver: "oracle", DSN: "oracle://im:geheim@" + w.Addr().String() + "/im", MaxWait: wait}.withDefaults())
}

// The packets of TNS that are used here.
const (
	tnsConnect, tnsAccept, tnsRefuse = 1, 2, 4
	tnsData                          = 6
)

// serveTNS answers what the driver asks on one connection.
func serveTNS(conn net.Conn, w *wire) {
	defer conn.Close()
	for {
		kind, body, err := tnsPacket(conn)
		if err != nil {
			return
		}
		request := "connect"
		switch kind {
		case tnsData:
			request = tnsRequest(body)
		case tnsConnect:
		default: // it asks to break off what it has asked for
			continue
		}
		answer := w.ask(request)
		switch {
		case answer == nil:
			return
		case len(answer) == 0: // until the other side is tired of it
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

var tnsStatement = regexp.MustCompile(`(?s)(ALTER SESSION|SELECT |INSERT |UPDATE |DELETE |CREATE |LOCK |DROP ).*`)

// tnsRequest names what a packet asks for.
func tnsRequest(body []byte) string {
	switch body[0] {
	case 1:
		return "protocol"
	case 2:
		return "types"
	}
	switch body[1] {
	case 0x76:
		return "login"
	case 0x73:
		return "password"
	case 0x3b:
		return "version"
	case 0x0e:
		return "commit"
	case 0x0f:
		return "rollback"
	case 0x93:
		return "ping"
	case 0x09:
		return "logoff"
	}
	return tnsStatement.FindString(string(body)) // what was bound follows it
}

// tnsPacket reads a packet; that of data without its flags.
func tnsPacket(in io.Reader) (kind byte, body []byte, err error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(in, head); err != nil {
		return 0, nil, err
	}
	body = make([]byte, int(binary.BigEndian.Uint16(head))-len(head))
	if _, err := io.ReadFull(in, body); err != nil {
		return 0, nil, err
	}
	if head[4] == tnsData {
		if body = body[2:]; len(body) == 0 { // its farewell
			return 0, nil, io.EOF
		}
	}
	return head[4], body, nil
}

func tnsSend(kind byte, parts ...[]byte) []byte {
	packet := make([]byte, 8)
	if kind == tnsData {
		packet = append(packet, 0, 0)
	}
	for _, part := range parts {
		packet = append(packet, part...)
	}
	binary.BigEndian.PutUint16(packet, uint16(len(packet)))
	packet[4] = kind
	return packet
}

// tnsNumber is a number as the protocol has them: its length, and its bytes without zeroes in front.
func tnsNumber(n uint32) []byte {
	whole := binary.BigEndian.AppendUint32(nil, n)
	for len(whole) > 0 && whole[0] == 0 {
		whole = whole[1:]
	}
	return append([]byte{byte(len(whole))}, whole...)
}

// tnsText is a text of less than 253 bytes with its length.
func tnsText(text string) []byte { return append([]byte{byte(len(text))}, text...) }

// tnsPair is a text by its name, and a number that belongs to it.
func tnsPair(name, value string, n uint32) (pair []byte) {
	for _, text := range []string{name, value} {
		if pair = append(pair, tnsNumber(uint32(len(text)))...); text != "" {
			pair = append(pair, tnsText(text)...)
		}
	}
	return append(pair, tnsNumber(n)...)
}

// tnsEnd is the end of an answer: how many rows there were, and the number and text of an error. The rest of it is 0.
func tnsEnd(rows, code uint32, text string) []byte {
	end := append([]byte{4}, tnsNumber(rows)...)
	end = append(end, tnsNumber(code)...)
	end = append(end, make([]byte, 24)...)
	if code != 0 {
		end = append(end, tnsText(text)...)
	}
	return end
}

// oraFailed is an error of the server.
func oraFailed(code uint32, text string) []byte { return tnsSend(tnsData, tnsEnd(0, code, text)) }

// oraRefused is what a listener says that knows no such service, or that nobody listens for the database.
func oraRefused(code string) []byte {
	text := "(DESCRIPTION=(ERR=" + code + ")(VSNNUM=0)(ERROR_STACK=(ERROR=(CODE=" + code + ")(EMFI=4))))"
	return tnsSend(tnsRefuse, []byte{0x22, 0, 0, byte(len(text))}, []byte(text))
}

// oraRows is the answer to a query: one row of numbers below 100, or none.
func oraRows(values ...byte) []byte {
	columns := max(1, len(values))
	describe := append([]byte{16, 0, 0}, tnsNumber(uint32(columns))...)
	describe = append(describe, 0)
	for range columns { // a NUMBER of 22 bytes by the name of C
		describe = append(describe, 2, 0, 0, 0, 1, 22, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 'C', 0, 0, 0, 0)
	}
	describe = append(describe, make([]byte, 6)...)
	if len(values) == 0 {
		return tnsSend(tnsData, describe, tnsEnd(0, 1403, "ORA-01403: no data found"))
	}
	row := append([]byte{6, 0}, tnsNumber(uint32(columns))...)
	row = append(row, 0, 0, 0, 0, 0, 7)
	for _, v := range values {
		if v == 0 {
			row = append(row, 1, 0x80)
		} else {
			row = append(row, 2, 0xc1, v+1)
		}
	}
	return tnsSend(tnsData, describe, row, tnsEnd(1, 1403, "ORA-01403: no data found"))
}

// wellOracle is what a server says to whom all goes well; its epoch is 7.
func wellOracle(request string) []byte {
	switch {
	case request == "connect":
		accepted := make([]byte, 24)
		binary.BigEndian.PutUint16(accepted, 314)
		binary.BigEndian.PutUint16(accepted[4:], 8192)
		binary.BigEndian.PutUint16(accepted[6:], 32767)
		binary.BigEndian.PutUint16(accepted[12:], 32)
		return tnsSend(tnsAccept, accepted)
	case request == "protocol": // AL32UTF8, AL16UTF16, and what an 11.2 can
		return tnsSend(tnsData, []byte{1, 6, 0}, []byte("a double of an Oracle, for tests alone\x00"), []byte{873 & 0xff, 873 >> 8, 0, 0, 0},
			[]byte{0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2000 >> 8, 2000 & 0xff}, []byte{8, 0, 0, 0, 0, 2, 0, 0, 6}, []byte{2, 2, 1})
	case request == "types": // the zone is UTC
		return tnsSend(tnsData, []byte{2, 128, 0, 0, 0, 60, 60, 60, 128, 0, 0, 0, 0})
	case request == "login":
		return tnsSend(tnsData, []byte{8}, tnsNumber(2), tnsPair("AUTH_SESSKEY", strings.Repeat("0A", 48), 0), tnsPair("AUTH_VFR_DATA", strings.Repeat("1B", 10), 6949), tnsEnd(0, 0, ""))
	case request == "password":
		language := append([]byte{23, 4, 0, 0}, tnsNumber(1)...)
		language = append(append(language, tnsPair("AUTH_NLS_LXLAN", "AMERICAN", 16)...), 0, 0, 0)
		return tnsSend(tnsData, []byte{8}, tnsNumber(2), tnsPair("AUTH_SESSION_ID", "1", 0), tnsPair("AUTH_SERIAL_NUM", "1", 0), language, tnsEnd(0, 0, ""))
	case request == "version":
		return tnsSend(tnsData, []byte{8}, tnsNumber(6), tnsText("Double"), tnsNumber(0x0b200400))
	case request == "commit", request == "rollback", request == "ping", request == "logoff":
		return tnsSend(tnsData, []byte{9})
	case strings.Contains(request, "SELECT epoch"):
		return oraRows(7, 41, 0, 0, 0)
	case strings.HasPrefix(request, "SELECT"):
		return oraRows()
	}
	return tnsSend(tnsData, tnsEnd(1, 0, ""))
}

// TestWireOfOracle: what the driver makes of a server's troubles is what is promised of them.
func TestWireOfOracle(t *testing.T) {
	insert := "INSERT INTO tlim_purge"
	but := func(kind string, times int, otherwise []byte) func(string) []byte {
		return but(wellOracle, kind, times, otherwise)
	}
	for _, c := range []calamity{
		{name: "all is well", answer: wellOracle},
		{name: "duplicate key", answer: but(insert, 1, oraFailed(1, "ORA-00001: unique constraint (IM.PK) violated")), want: ErrDuplicate, said: "ORA-00001", rolledBack: 1},
		{name: "too long a value", answer: but(insert, 1, oraFailed(12899, "ORA-12899: value too large for column")), want: ErrData, said: "ORA-12899", rolledBack: 1},
		{name: "deadlock", answer: but(insert, 1, oraFailed(60, "ORA-00060: deadlock detected while waiting for resource")), want: ErrUnavailable, said: "ORA-00060", rolledBack: 1},
		{name: "cannot serialize", answer: but("UPDATE tlim_state", 1, oraFailed(8177, "ORA-08177: can't serialize access for this transaction")), want: ErrUnavailable, said: "ORA-08177", rolledBack: 1},
		{name: "end of the channel", answer: but(insert, 1, oraFailed(3113, "ORA-03113: end-of-file on communication channel")), want: ErrUnavailable},
		{name: "contact lost", answer: but(insert, 1, oraFailed(3135, "ORA-03135: connection lost contact")), want: ErrUnavailable},
		{name: "contact lost in a COMMIT", answer: but("commit", 1, oraFailed(3135, "ORA-03135: connection lost contact")), unknown: true},
		{name: "a COMMIT that was rolled back", answer: but("commit", 1, oraFailed(2091, "ORA-02091: transaction rolled back")), want: ErrUnavailable, said: "ORA-02091"},
		{name: "cut in a statement", answer: but(insert, 1, nil), want: ErrUnavailable},
		{name: "cut in a COMMIT", answer: but("commit", 1, nil), unknown: true},
		{name: "cut in the protocol of a login", answer: but("protocol", always, nil), want: ErrUnavailable},
		{name: "cut in a login", answer: but("password", always, nil), want: ErrUnavailable},
		{name: "a password that is wrong", answer: but("password", always, oraFailed(1017, "ORA-01017: invalid username/password; logon denied")), want: ErrUnavailable, said: "ORA-01017", remedy: "correct user and password"},
		{name: "an account that is locked", answer: but("login", always, oraFailed(28000, "ORA-28000: the account is locked")), want: ErrUnavailable, said: "ORA-28000", remedy: "unlock the account"},
		{name: "no such service", answer: but("connect", always, oraRefused("12514")), want: ErrUnavailable, said: "ORA-12514", remedy: "lsnrctl status"},
		{name: "no listener for it", answer: but("connect", always, oraRefused("12541")), want: ErrUnavailable, said: "ORA-12541", remedy: "start the listener"},
		{name: "no right to begin a session", answer: but("ALTER SESSION", always, oraFailed(1031, "ORA-01031: insufficient privileges")), want: ErrUnavailable, said: "ORA-01031", remedy: "GRANT CREATE TABLE"},
		{name: "silent statement", answer: but(insert, 1, silence), want: ErrUnavailable, said: "gave no answer within"},
		{name: "silent in the middle of an answer to a login", answer: but("version", always, tnsSend(tnsData, []byte{8}, tnsNumber(6))), want: ErrUnavailable, said: "gave no answer within"},
		{name: "silent login", answer: but("password", always, silence), want: ErrUnavailable, said: "gave no answer within"},
	} {
		t.Run(c.name, func(t *testing.T) { c.isTold(t, newTNS) })
	}
}
