package httpapi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/store"
)

// proxied lets a lab's callers say by X-Forwarded-For from where they call.
func proxied(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// TestPayers: who pays for a request.
func TestPayers(t *testing.T) {
	l := newLab(t, proxied)
	for _, c := range []struct {
		caller           caller
		remote, forwards string
		want             string
	}{
		{caller{name: "root", keyed: true}, "1.2.3.4:5", "", "key root"},
		{caller{name: tokenName, keyed: true, user: "lisi"}, "1.2.3.4:5", "", "user lisi"},
		{caller{}, "1.2.3.4:5", "5.6.7.8", "address 1.2.3.4"},
		{caller{name: anonymousName}, "127.0.0.1:5", "5.6.7.8", "address 5.6.7.8"},
		{caller{}, "[2001:db8:1:2:3:4:5:6]:7", "", "address 2001:db8:1:2::"},
		{caller{}, "127.0.0.1:5", "nonsense", "address unknown"},
	} {
		t.Run(c.want, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.remote
			if c.forwards != "" {
				r.Header.Set("X-Forwarded-For", c.forwards)
			}
			if got := l.payerOf(r, c.caller); got.name != c.want || got.keyed != (c.caller.keyed && c.caller.user == "") {
				t.Errorf("%+v from %s for %q: got %+v, want %v", c.caller, c.remote, c.forwards, got, c.want)
			}
		})
	}
}

// held are connections that hold something until they are closed.
type held []net.Conn

func (h held) close() {
	for _, conn := range h {
		conn.Close()
	}
}

// trickle begins n large bodies and sends no more.
func trickle(t *testing.T, l *lab, n int, header ...string) (all held) {
	t.Helper()
	for range n {
		conn := dial(t, l)
		fmt.Fprintf(conn, "POST %sfindSessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n", base)
		for i := 0; i < len(header); i += 2 {
			fmt.Fprintf(conn, "%s: %s\r\n", header[i], header[i+1])
		}
		fmt.Fprintf(conn, "\r\n%s", strings.Repeat("x", 2*smallBody))
		all = append(all, conn)
	}
	return all
}

// until waits for what another goroutine does.
func until(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain, want %s", patience, what)
		}
	}
}

// TestTrickle: bodies that do not come hold the sender's own share, and nobody else's.
func TestTrickle(t *testing.T) {
	l := newLab(t, proxied, func(c *Config) { c.AllowAnonymous = AnonymousClients })
	large := "user_id=zhangsan&pad=" + strings.Repeat("y", smallBody)
	lisi, zhangsan := "Bearer "+l.token(t, "lisi"), "Bearer "+l.token(t, "zhangsan")
	call := func(header ...string) int {
		t.Helper()
		return l.do(t, http.MethodPost, "findSessions", "", large, header...).status
	}
	for name, c := range map[string]struct {
		maxBodies int
		same      []string
		others    [][]string
	}{
		"a user":     {userAllowance.bodies, []string{"Authorization", lisi}, [][]string{{"Authorization", zhangsan}, {"X-Forwarded-For", "10.0.0.1"}}},
		"an address": {addressAllowance.bodies, []string{"X-Forwarded-For", "10.0.0.1"}, [][]string{{"X-Forwarded-For", "10.0.0.2"}, {"Authorization", zhangsan}}},
	} {
		t.Run(name, func(t *testing.T) {
			hold := trickle(t, l, c.maxBodies, c.same...)
			until(t, "the bodies to be begun", func() bool { return len(l.bodies.slots) == c.maxBodies })
			if got := call(c.same...); got != http.StatusTooManyRequests {
				t.Errorf("%s with %d bodies under way begins another: got %d, want 429", name, c.maxBodies, got)
			}
			for _, other := range append(c.others, []string{"Authorization", "Bearer " + adminKey}) {
				if got := call(other...); got != http.StatusOK {
					t.Errorf("%q beside %s: got %d, want 200", other, name, got)
				}
			}
			hold.close()
			until(t, "the bodies to be given up", func() bool { return len(l.bodies.slots) == 0 && len(l.bodies.open) == 0 })
		})
	}
}

// TestAddressShare: whatever a stranger holds open, the share is their address's, taken before the body is read.
func TestAddressShare(t *testing.T) {
	l := newLab(t, proxied)
	var all held
	for range addressAllowance.calls {
		conn := dial(t, l)
		fmt.Fprintf(conn, "POST %sfindSessions HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.0.0.1\r\nContent-Length: 10\r\n\r\nx", base)
		all = append(all, conn)
	}
	defer all.close()
	until(t, "the calls to be under way", func() bool {
		l.calls.mu.Lock()
		defer l.calls.mu.Unlock()
		sh := l.calls.of["address 10.0.0.1"]
		return sh != nil && len(sh.slots) == addressAllowance.calls
	})
	if a := l.do(t, http.MethodPost, "findSessions", "", "user_id=x", "X-Forwarded-For", "10.0.0.1"); a.status != 429 || a.header.Get("Retry-After") != "1" || a.object(t)["result"] != "error-013" {
		t.Errorf("one too many: got %d %s, want 429, Retry-After 1, error-013", a.status, a.body)
	}
	if a := l.do(t, http.MethodPost, "findSessions", "", "user_id=x", "X-Forwarded-For", "10.0.0.2"); a.status != 401 {
		t.Errorf("another address: got %d, want 401", a.status)
	}
	// Who is known pays for themselves, wherever they call from.
	for _, key := range []string{"Bearer " + adminKey, "Bearer " + l.token(t, "x")} {
		if a := l.do(t, http.MethodPost, "findSessions", "", "user_id=x", "X-Forwarded-For", "10.0.0.1", "Authorization", key); a.status != 200 {
			t.Errorf("a known caller from there: got %d %s, want 200", a.status, a.body)
		}
	}
	all.close()
	until(t, "everything to be given back", func() bool {
		l.calls.mu.Lock()
		defer l.calls.mu.Unlock()
		return len(l.calls.of) == 0
	})
}

// TestKeysGetThrough: each pool keeps slots that only keys get.
func TestKeysGetThrough(t *testing.T) {
	l := newFileLab(t)
	key, token := "Bearer "+adminKey, "Bearer "+l.token(t, "zhangsan")
	text, media := body(t, uploader, part{"mFile", "a", "x"})
	for name, c := range map[string]struct {
		pool *pool
		call func(authorization string) int
	}{
		"calls": {l.inflight, func(by string) int {
			return l.do(t, http.MethodGet, "findSessions", "user_id=zhangsan", "", "Authorization", by).status
		}},
		"uploads": {l.transfers, func(by string) int {
			return l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", text, "Content-Type", media, "Authorization", by).status
		}},
	} {
		t.Run(name, func(t *testing.T) {
			giveBack := fill(c.pool)
			if got := c.call(token); got != 503 {
				t.Errorf("%s, a user while users have all they may have: got %d, want 503", name, got)
			}
			if got := c.call(key); got != 200 {
				t.Errorf("%s, a key: got %d, want 200", name, got)
			}
			giveBack()
			if got := c.call(token); got != 200 {
				t.Errorf("%s, a user later: got %d, want 200", name, got)
			}
			if len(c.pool.slots) != 0 || len(c.pool.open) != 0 || len(c.pool.own.of) != 0 {
				t.Errorf("got %d, %d, %v not given back, want none", len(c.pool.slots), len(c.pool.open), c.pool.own.of)
			}
		})
	}
}

// TestWritingHoldsNoSlot: an answer that nobody takes does not hold up the one call that there may be.
func TestWritingHoldsNoSlot(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.Inflight = 1 })
	for range 400 {
		l.svc.offline = append(l.svc.offline, store.OfflineMessage{Message: store.Message{ID: "p", MsgID: "m", Body: strings.Repeat("x", 64<<10)}, Owner: "lisi"})
	}
	conn := dial(t, l)
	fmt.Fprintf(conn, "GET %sgetOffline?user_id=lisi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", base, adminKey)
	until(t, "the first piece", func() bool { _, err := conn.Read(make([]byte, 1)); return err == nil })
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 200 {
		t.Errorf("got %d %s, want 200", a.status, a.body)
	}
}

// TestLargeAnswers: answers that lie in memory until a slow line has taken them are counted by payer.
func TestLargeAnswers(t *testing.T) {
	l := newLab(t)
	big := bare{[]string{strings.Repeat("x", largeAnswer)}}
	answer := func(who payer) int {
		w := httptest.NewRecorder()
		out := l.responder(w)
		out.payer = who
		if err := out.answer(big); err != nil {
			return failureOf(err).status
		}
		return w.Code
	}
	lisi, root := payer{name: "user lisi", allowance: userAllowance}, payer{name: "key root", keyed: true, allowance: keyAllowance}
	var give []func()
	for range userAllowance.large {
		g, ok := l.large.take(lisi.name, lisi.large)
		if !ok {
			t.Fatal("got no file so large, want one")
		}
		give = append(give, g)
	}
	if got := answer(lisi); got != 429 {
		t.Errorf("one too many: got %d, want 429", got)
	}
	if got := answer(root); got != 200 {
		t.Errorf("a key: got %d, want 200", got)
	}
	for _, g := range give {
		g()
	}
	if got := answer(lisi); got != 200 || len(l.large.of) != 0 {
		t.Errorf("later: got %d, %v, want 200, none under way", got, l.large.of)
	}
}

// TestTurns: a user changes two things at once; their other calls that change something wait, and nobody else does.
func TestTurns(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	now, highest := 0, 0
	entered, leave := make(chan struct{}, 100), make(chan struct{})
	l.svc.hook = func(call string) {
		if !strings.HasPrefix(call, `SetStyle {"ID":"","Name":"slow"`) {
			return
		}
		mu.Lock()
		now++
		highest = max(highest, now)
		mu.Unlock()
		entered <- struct{}{}
		<-leave
		mu.Lock()
		now--
		mu.Unlock()
	}
	lisi, zhangsan := "Bearer "+l.token(t, "lisi"), "Bearer "+l.token(t, "zhangsan")
	const calls = 10
	over := make(chan answer, calls)
	for range calls {
		go func() {
			over <- l.do(t, http.MethodGet, "addStyle", "user_id=lisi&style_name=slow", "", "Authorization", lisi)
		}()
	}
	for range userAllowance.writes {
		wait(t, entered)
	}
	if a := l.do(t, http.MethodGet, "addStyle", "user_id=zhangsan&style_name=x", "", "Authorization", zhangsan); a.status != 200 {
		t.Errorf("another user: got %d %s, want 200", a.status, a.body)
	}
	if a := l.do(t, http.MethodGet, "findStyleList", "user_id=lisi", "", "Authorization", lisi); a.status != 200 {
		t.Errorf("a call that changes nothing: got %d %s, want 200", a.status, a.body)
	}
	close(leave)
	for range calls {
		if a := <-over; a.status != 200 {
			t.Errorf("got %d %s, want 200", a.status, a.body)
		}
	}
	if highest != userAllowance.writes {
		t.Errorf("got %d at once, want %d", highest, userAllowance.writes)
	}
}

// TestTimeBudget: a line that goes on has all the time it needs, and one that falls behind is cut.
func TestTimeBudget(t *testing.T) {
	now := time.Unix(0, 0)
	p := newTimeBudget(10*time.Second, 1000)
	p.moved(1_000_000, 0) // nothing is saved up by being fast
	if got := p.until(now, 0); got != now.Add(10*time.Second) {
		t.Errorf("after a fast part: got %v, want %v", got, now.Add(10*time.Second))
	}
	for range 100 { // at the minimum rate for ever
		if got := p.until(now, 2000); got != now.Add(12*time.Second) {
			t.Fatalf("at the minimum rate: got %v, want %v", got, now.Add(12*time.Second))
		}
		p.moved(2000, 2*time.Second)
	}
	for range 9 { // half of it: the allowance melts
		p.moved(500, time.Second+500*time.Millisecond)
	}
	if got := p.until(now, 0); got != now.Add(time.Second) {
		t.Errorf("at half of it: got %v, want %v", got, now.Add(time.Second))
	}
}

// TestTricklingReader: who takes an answer byte by byte is cut, however regularly they do.
func TestTricklingReader(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Limits.WriteTime, c.Limits.MinRate = 300*time.Millisecond, 64<<20 })
	for range 400 { // 25 MiB, for which the rate leaves 0.7 s
		l.svc.offline = append(l.svc.offline, store.OfflineMessage{Message: store.Message{ID: "p", MsgID: "m", Body: strings.Repeat("x", 64<<10)}, Owner: "lisi"})
	}
	conn := dial(t, l)
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %sgetOffline?user_id=lisi HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", base, adminKey)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.CopyN(io.Discard, conn, 8<<10); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond) // 1.6 MiB a second
		}
	}()
	wait(t, l.over)
	if calls := l.svc.taken(); len(calls) != 1 || !strings.HasPrefix(calls[0], "Offline ") {
		t.Errorf("got calls %q, want the one of Offline: a queue that was not read stays", calls)
	}
	conn.Close()
	<-done
}
