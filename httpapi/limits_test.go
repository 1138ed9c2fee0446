package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/component"
	"tlim/store"
)

// TestIdempotencyKey: in a header or as a parameter, each caller its own.
func TestIdempotencyKey(t *testing.T) {
	l := newLab(t)
	const form = `params=[{"bizId":"1"}]&msgTo=lisi`
	for _, c := range []struct {
		more, caller string
		header       []string
		want         string // the key and its owner, or the result
	}{
		{"", adminKey, []string{"Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324"}, "8e03978e-40d5-43e8-bc93-6894a57f9324 root"},
		{"", businessKey, []string{"idempotency-key", `"quoted; as it is"`}, `"quoted; as it is" oa`},
		{"&idempotency_key=k%2B1", businessKey, nil, "k+1 oa"},
		{"&idempotency_key=k", businessKey, []string{"Idempotency-Key", "k"}, "k oa"},
		{"&idempotency_key=", businessKey, []string{"Idempotency-Key", ""}, " oa"},
		{"&idempotency_key=", businessKey, []string{"Idempotency-Key", "k"}, "k oa"},
		{"&idempotency_key=" + strings.Repeat("k", 255), businessKey, nil, strings.Repeat("k", 255) + " oa"},
		{"&idempotency_key=a", businessKey, []string{"Idempotency-Key", "b"}, "fail"},
		{"", businessKey, []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, "fail"},
		{"", businessKey, []string{"Idempotency-Key", "\xe9"}, "fail"},
		{"&idempotency_key=+k", businessKey, nil, "fail"},
		{"&idempotency_key=k%0a", businessKey, nil, "fail"},
		{"&idempotency_key=" + strings.Repeat("k", 256), businessKey, nil, "fail"},
	} {
		t.Run(fmt.Sprintf("%.60q %q", c.more, c.header), func(t *testing.T) {
			a := l.do(t, "POST", "approval", "", form+c.more, append([]string{"Authorization", "Bearer " + c.caller}, c.header...)...)
			calls := l.svc.taken()
			if c.want == "fail" {
				if a.status != 400 || a.object(t)["result"] != "fail" || len(calls) != 0 {
					t.Errorf("%q %q: got %d %s after %q, want 400, fail, no calls", c.more, c.header, a.status, a.body, calls)
				}
				return
			}
			var got component.Notice
			if len(calls) != 1 || json.Unmarshal([]byte(strings.TrimPrefix(calls[0], "Notify ")), &got) != nil || got.Key+" "+got.Caller != c.want || a.object(t)["call_id"] != testCall {
				t.Errorf("%q %q: got %d %s after %q, want 1 call, no error, %v, call_id %v", c.more, c.header, a.status, a.body, calls, c.want, testCall)
			}
		})
	}
	if a := l.do(t, "OPTIONS", "approval", "", "", "Origin", "https://a.example"); !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("a page may not send the header: got %v, want Access-Control-Allow-Headers with Idempotency-Key", a.header)
	}
}

// TestManyReceivers goes all the way: 10,000 receivers whose ids are as long as they may be, in one POST.
func TestManyReceivers(t *testing.T) {
	l := newWhole(t)
	receivers := make([]string, 10_000)
	for i := range receivers {
		receivers[i] = fmt.Sprintf("%064d", i)
	}
	list, err := json.Marshal(receivers)
	if err != nil {
		t.Fatal(err)
	}
	a := l.post(t, "approval", url.Values{"params": {`[{"docTitle":"` + strings.Repeat("长", 100) + `"}]`}, "msgTo": {string(list)}}.Encode())
	id, _ := a.object(t)["call_id"].(string)
	if a.status != 200 || id == "" {
		t.Fatalf("got %d %s, want 200, an id", a.status, a.body)
	}
	for start, want := range map[int]int{0: 10_000, 9_990: 10, 10_000: 0} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			found := l.get(t, "findNotice", fmt.Sprintf("call_id=%s&start=%d&length=max", id, start)).object(t)
			rows := found["receivers"].([]any)
			if found["total"] != 10_000.0 || found["state"] != "done" || len(rows) != want {
				t.Errorf("from %d: %d of %v, %v, want total 10000, state done, %d rows", start, len(rows), found["total"], found["state"], want)
			}
			for i, row := range rows {
				if r := row.(map[string]any); r["user_id"] != receivers[start+i] || r["stored"] != "stored" {
					t.Fatalf("receiver %d: got %v, want user_id %v, and how it is stored", start+i, r, receivers[start+i])
				}
			}
		})
	}
}

func TestBodies(t *testing.T) {
	l := newLab(t)
	receivers := make([]string, 10_000)
	for i := range receivers {
		receivers[i] = fmt.Sprintf("0157%032d", i)
	}
	many := `params=[{"bizId":"1"}]&msgTo=` + strings.Join(receivers, ",")
	if a := l.post(t, "approval", many); a.status != 200 || a.object(t)["result"] != "ok" {
		t.Errorf("10,000 receivers in %d bytes: got %d %s, want 200, ok", len(many), a.status, a.body)
	}
	if calls := l.svc.taken(); len(calls) != 1 || strings.Count(calls[0], `"01570000`) != 10_000 {
		t.Errorf("10,000 receivers became %d calls, want 1 call, 10000 times %q", len(calls), `"01570000`)
	}
	fits := "user_id=x&pad=" + strings.Repeat("y", 1<<20-14)
	if a := l.post(t, "findSessions", fits); a.status != 200 {
		t.Errorf("1 MiB: got %d %s, want 200", a.status, a.body)
	}
	for name, c := range map[string]struct {
		body   string
		header []string
		want   int
	}{
		"a byte over 1 MiB": {fits + "y", nil, 413},
		"JSON, empty":       {"", []string{"Content-Type", "application/json"}, 200},
		"a charset":         {"user_id=x", []string{"Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"}, 200},
		"zipped":            {"user_id=x", []string{"Content-Type", "application/x-www-form-urlencoded", "Content-Encoding", "gzip"}, 400},
		"GBK":               {"user_id=%D5%C5", nil, 400},
	} {
		t.Run(name, func(t *testing.T) {
			header := append([]string{"Authorization", "Bearer " + adminKey}, c.header...)
			a := l.do(t, http.MethodPost, "findSessions", "user_id=x", c.body, header...)
			if a.status != c.want {
				t.Errorf("got %d %s, want %d", a.status, a.body, c.want)
			}
			if a.object(t)["result_detail"] == nil {
				t.Errorf("no detail: got %s, want a result_detail", a.body)
			}
		})
	}
	// Without a length that could be looked at before.
	r, err := http.NewRequest(http.MethodPost, l.url+base+"findSessions", io.MultiReader(strings.NewReader(fits), strings.NewReader("yy")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+adminKey)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("a chunked body over the limit: got %d, want 413", resp.StatusCode)
	}
}

// fill takes all slots of a pool that callers without a key may have, and gives them back.
func fill(p *pool) (giveBack func()) {
	n := 0
	for take(p.open) == nil {
		p.slots <- struct{}{}
		n++
	}
	return func() {
		for range n {
			<-p.open
			<-p.slots
		}
	}
}

// TestLargeBodies: bodies cost memory before anybody knows whose they are, so those of strangers and users are counted. Keys
// and small bodies go past.
func TestLargeBodies(t *testing.T) {
	l := newLab(t)
	large := "pad=" + strings.Repeat("y", smallBody)
	key, token := "Bearer "+adminKey, "Bearer "+l.token(t, "zhangsan")
	call := func(what, body, authorization string, want int) {
		t.Helper()
		if a := l.do(t, http.MethodPost, "findSessions", "user_id=zhangsan", body, "Authorization", authorization); a.status != want {
			t.Errorf("%s: %d %s, want %d", what, a.status, a.body, want)
		}
	}
	giveBack := fill(l.bodies)
	call("a stranger", large, "", 503)
	call("a key in the body", large+"&access_token="+adminKey, "", 503)
	call("a user", large, token, 503)
	call("a key", large, key, 200)
	call("a small one of a stranger", "pad=", "", 401)
	call("a small one with its key", "access_token="+adminKey, "", 200)
	giveBack()
	for range maxBodies + 1 { // each gives its slot back
		call("a stranger, later", large, "", 401)
		call("a user, later", large, token, 200)
	}
}

func TestHugeHead(t *testing.T) {
	l := newLab(t)
	if a := l.get(t, "findSessions", "user_id=x&pad="+strings.Repeat("y", 200<<10)); a.status != 200 {
		t.Errorf("an URL of 200 KiB: got %d, want 200", a.status)
	}
	conn := dial(t, l)
	fmt.Fprintf(conn, "GET %sfindSessions?user_id=x&pad=%s HTTP/1.1\r\nHost: x\r\n\r\n", base, strings.Repeat("y", 300<<10))
	resp, err := http.ReadResponse(newReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("an URL of 300 KiB: got %d, want 431", resp.StatusCode)
	}
}

// TestSlowBody: a body that does not arrive costs its own connection and nothing else.
func TestSlowBody(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.BodyTime = 50 * time.Millisecond })
	conn := dial(t, l)
	fmt.Fprintf(conn, "POST %sdissolved HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nsession_id=g1", base, adminKey)
	resp, err := http.ReadResponse(newReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 400 || err != nil || !strings.Contains(string(content), `"result":"fail"`) || !resp.Close {
		t.Errorf("got %d %s, close %v, %v, want 400, fail, close true", resp.StatusCode, content, resp.Close, err)
	}
	if calls := l.svc.taken(); len(calls) != 0 {
		t.Errorf("half a request was carried out: got %q, want none", calls)
	}
}

func TestSlowHead(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.HeadTime = 50 * time.Millisecond })
	conn := dial(t, l)
	fmt.Fprintf(conn, "GET %sfindSessions HTTP/1.1\r\nHost:", base)
	if _, err := io.ReadAll(conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the connection stays open: got %v, want its end", err)
	}
}

// TestSlowReader: a caller that stops reading its answer is cut, and its queue stays.
func TestSlowReader(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.WriteTime, c.Limits.MinRate = 50*time.Millisecond, 1<<30 })
	body := strings.Repeat("x", 64<<10)
	for range 400 { // 25 MiB: more than the buffers of both ends of a TCP connection hold
		l.svc.offline = append(l.svc.offline, store.OfflineMessage{Message: store.Message{ID: "p", MsgID: "m", Body: body}, Owner: "lisi"})
	}
	conn := dial(t, l)
	fmt.Fprintf(conn, "GET %sgetOffline?user_id=lisi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", base, adminKey)
	wait(t, l.over)
	if calls := l.svc.taken(); len(calls) != 1 || !strings.HasPrefix(calls[0], "Offline ") {
		t.Errorf("got calls %q, want the one of Offline: a queue that nobody read stays", calls)
	}
}

func wait[T any](t *testing.T, done <-chan T) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("what the test waits for goes on after %s, want its end", patience)
	}
}

func dial(t *testing.T, l *lab) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestInflight(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.Inflight = 1 })
	entered, leave := make(chan struct{}), make(chan struct{})
	l.svc.hook = func(call string) {
		if call == `Dissolve "slow"` {
			close(entered)
			<-leave
		}
	}
	first := make(chan answer, 1)
	go func() { first <- l.get(t, "dissolved", "session_id=slow") }()
	wait(t, entered)
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 503 || a.header.Get("Retry-After") != "5" || a.object(t)["result"] != "error-013" {
		t.Errorf("beyond the limit: got %d, Retry-After %q, %s, want 503, Retry-After 5, error-013", a.status, a.header.Get("Retry-After"), a.body)
	}
	close(leave)
	if a := <-first; a.status != 200 {
		t.Errorf("the first call: got %d, want 200", a.status)
	}
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 200 {
		t.Errorf("after it: got %d %s, want 200", a.status, a.body)
	}
}

// TestShares: one user cannot hold all there is, and gives back what they have.
func TestShares(t *testing.T) {
	l := newFileLab(t)
	lisi, zhangsan := "Bearer "+l.token(t, "lisi"), "Bearer "+l.token(t, "zhangsan")
	call := func(authorization string) answer {
		t.Helper()
		user := "lisi"
		if authorization == zhangsan {
			user = "zhangsan"
		}
		return l.do(t, http.MethodGet, "hasUnread", "user_id="+user, "", "Authorization", authorization)
	}
	up := func() answer {
		t.Helper()
		text, media := body(t, part{"user_id", "", "lisi"}, part{"mFile", "a", "x"})
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", text, "Content-Type", media, "Authorization", lisi)
	}
	for range maxPerUser + 1 { // each is given back
		if a, b := call(lisi), up(); a.status != 200 || b.status != 200 {
			t.Fatalf("got %d %s and %d %s, want 200 twice", a.status, a.body, b.status, b.body)
		}
	}

	var entered sync.WaitGroup
	leave := make(chan struct{})
	entered.Add(maxPerUser)
	l.svc.hook = func(call string) {
		if strings.HasPrefix(call, `HasUnread "lisi"`) {
			entered.Done()
			<-leave
		}
	}
	over := make(chan answer, maxPerUser)
	for range maxPerUser {
		go func() { over <- call(lisi) }()
	}
	entered.Wait()
	for what, a := range map[string]answer{"one too many": l.do(t, http.MethodGet, "findSessions", "user_id=lisi", "", "Authorization", lisi), "a file": up()} {
		t.Run(what, func(t *testing.T) {
			if a.status != 429 || a.header.Get("Retry-After") != "1" || a.object(t)["result"] != "error-013" {
				t.Errorf("got %d %s, want 429, Retry-After 1, error-013", a.status, a.body)
			}
		})
	}
	if a := call(zhangsan); a.status != 200 {
		t.Errorf("another user: got %d %s, want 200", a.status, a.body)
	}
	if a := l.get(t, "findSessions", "user_id=lisi"); a.status != 200 {
		t.Errorf("a key: got %d %s, want 200", a.status, a.body)
	}
	close(leave)
	for range maxPerUser {
		if a := <-over; a.status != 200 {
			t.Errorf("got %d %s, want 200", a.status, a.body)
		}
	}
}

// TestFaults: what went wrong inside is logged and not told.
func TestFaults(t *testing.T) {
	l := newLab(t)
	for id, want := range map[string]struct {
		status int
		result string
	}{
		"broken":  {500, "fail"},
		"panic":   {500, "fail"},
		"away":    {503, "error-013"},
		"busy":    {503, "error-013"},
		"fat":     {200, "error-012"},
		"strange": {200, "error-999"},
	} {
		t.Run(id, func(t *testing.T) {
			a := l.get(t, "dissolved", "session_id="+id)
			v := a.object(t)
			if a.status != want.status || v["result"] != want.result || v["session_id"] != id {
				t.Errorf("got %d %s, want %d, %s, session_id %s", a.status, a.body, want.status, want.result, id)
			}
			if (a.status == 503) != (a.header.Get("Retry-After") != "") {
				t.Errorf("got %d with Retry-After %q, want a Retry-After with 503 alone", a.status, a.header.Get("Retry-After"))
			}
			if strings.Contains(a.body, "hunter2") || strings.Contains(a.body, ".go") || strings.Contains(a.body, "goroutine") {
				t.Errorf(`%s tells %s, want neither hunter2, ".go" nor goroutine`, id, a.body)
			}
		})
	}
	if log := l.log.String(); !strings.Contains(log, "disk on fire") || !strings.Contains(log, "panicked") || strings.Contains(log, "disco") {
		t.Errorf(`got log %s, want "disk on fire" and panicked in it, not disco`, log)
	}
}
