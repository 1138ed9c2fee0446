package httpapi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// queue makes rows whose answer is larger than what one write takes.
func queue(n int) []store.OfflineMessage {
	var rows []store.OfflineMessage
	for i := range n {
		id := fmt.Sprintf("m%04d", i)
		rows = append(rows, store.OfflineMessage{Message: store.Message{ID: "p" + id, MsgID: id, Body: strings.Repeat("x", 1000)}, Owner: "lisi"})
	}
	return rows
}

// TestOfflineClearsWhatItAnswered: after the answer, before its end: who has read it whole finds the queue cleared.
func TestOfflineClearsWhatItAnswered(t *testing.T) {
	l := newLab(t)
	l.svc.offline = queue(500)
	conn := dial(t, l)
	cleared, goOn := make(chan struct{}), make(chan struct{})
	l.svc.hook = func(call string) {
		if strings.HasPrefix(call, "ClearOffline") {
			close(cleared)
			<-goOn
		}
	}
	fmt.Fprintf(conn, "GET %sgetOffline?user_id=lisi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", base, adminKey)
	resp, err := http.ReadResponse(newReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	const end = `],"result":"ok","result_detail":""}`
	var got strings.Builder
	if _, err := io.CopyN(&got, resp.Body, int64(500*1000)); err != nil {
		t.Fatal(err)
	}
	for !strings.HasSuffix(got.String(), end) {
		if _, err := io.CopyN(&got, resp.Body, 1); err != nil {
			t.Fatalf("got %v after ...%s, want %q at the end", err, got.String()[max(0, got.Len()-100):], end)
		}
	}
	wait(t, cleared) // all rows are here, and the answer's end is not
	close(goOn)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) != 0 {
		t.Errorf("after the answer: %q %v, want no rest, no error", rest, err)
	}
	calls := l.svc.taken()
	if len(calls) != 2 || strings.Count(calls[1], "/lisi/m") != 500 {
		t.Errorf(`%d calls, want 2, 500 times "/lisi/m"`, len(calls))
	}
}

// TestOfflineKeepsWhatWasNotTaken: the caller's connection breaks while the answer is written.
func TestOfflineKeepsWhatWasNotTaken(t *testing.T) {
	l := newLab(t)
	l.svc.offline = queue(30_000) // 30 MB: more than a TCP connection holds
	conn := dial(t, l)
	fmt.Fprintf(conn, "GET %sgetOffline?user_id=lisi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", base, adminKey)
	if _, err := io.CopyN(io.Discard, conn, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	wait(t, l.over)
	if calls, want := l.svc.taken(), []string{`Offline "lisi" "" 0`}; !slices.Equal(calls, want) {
		t.Errorf("calls: got %.300q, want %q", calls, want)
	}
}

// TestOfflineClearFails: the rows were answered, so the answer stays ok; they will come again, and the log says so.
func TestOfflineClearFails(t *testing.T) {
	l := newLab(t)
	l.svc.offline = queue(1)
	l.svc.clearErr = io.ErrUnexpectedEOF
	if a := l.get(t, "getOffline", "user_id=lisi"); a.status != 200 || a.object(t)["result"] != "ok" {
		t.Errorf("got %d %s, want 200, ok", a.status, a.body)
	}
	if !strings.Contains(l.log.String(), "could not be cleared") {
		t.Errorf(`got log %s, want "could not be cleared" in it`, l.log.String())
	}
	// What the client names itself is cleared before the answer, so there a failure is one.
	if a := l.get(t, "getOffline", "user_id=lisi&clear=m1"); a.status != 500 || a.object(t)["result"] != "fail" {
		t.Errorf("got %d %s, want 500, fail", a.status, a.body)
	}
}
