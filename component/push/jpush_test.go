package push

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tlim/component/outbox"
	"tlim/scripts/lab/jpush"
)

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// startJPush starts the vendor's double and a pusher for its app.
func startJPush(t *testing.T) (*jpush.Double, *JPush, *clock) {
	d := jpush.Start()
	t.Cleanup(d.Close)
	c := &clock{time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	return d, NewJPush(JPushConfig{AppKey: d.Key, MasterSecret: d.Secret, BaseURL: d.URL + "/", Now: c.now}), c
}

func jpushNote(t *testing.T, p *JPush, codes ...string) outbox.Note {
	t.Helper()
	id, err := p.NewID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := outbox.Note{ID: id, Type: "MTT-000", Alert: "张三:hi"}
	for _, code := range codes {
		n.To = append(n.To, outbox.Receiver{User: "of " + code, Code: code, MsgID: "m1"})
	}
	return n
}

// what is wrong with the error of a push, which may say neither secrets nor registrations.
func checkJPush(t *testing.T, d *jpush.Double, err error) outbox.Error {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), d.Key) || strings.Contains(err.Error(), d.Secret) || strings.Contains(err.Error(), "1a00")) {
		t.Errorf("an error that says too much: %v, want no key, secret or code in it", err)
	}
	return failure(err)
}

// The bodies, field by field as PROTOCOL.md section 9 and the vendor have them.
func TestJPushRequest(t *testing.T) {
	d, p, _ := startJPush(t)
	n := jpushNote(t, p, "1a0018970a1", "1a0018970b2")
	n.Title, n.Alert = "项目组", "张三(项目组):<b>\"hi\"😀"
	if retry, err := p.Push(t.Context(), n); retry || err != nil {
		t.Fatalf("got retry %v, %v, want no retry, no error", retry, err)
	}
	n = jpushNote(t, p, "1a0018970c3")
	n.Android = true
	if retry, err := p.Push(t.Context(), n); retry || err != nil {
		t.Fatalf("got retry %v, %v, want no retry, no error", retry, err)
	}
	var got []string
	for _, r := range d.Rang() {
		got = append(got, strings.NewReplacer(d.Key, "KEY", `\u003c`, "<", `\u003e`, ">").Replace(r.Body))
	}
	want := []string{
		`{"cid":"KEY-00000000-0000-4000-8000-000000000001","platform":["android","ios"],"audience":{"registration_id":["1a0018970a1","1a0018970b2"]},` +
			`"notification":{"alert":"张三(项目组):<b>\"hi\"😀","android":{"alert":"张三(项目组):<b>\"hi\"😀","title":"项目组"},` +
			`"ios":{"alert":"张三(项目组):<b>\"hi\"😀","sound":"default","badge":"+1"}},"options":{"apns_production":true}}`,
		`{"cid":"KEY-00000000-0000-4000-8000-000000000002","platform":["android"],"audience":{"registration_id":["1a0018970c3"]},` +
			`"notification":{"alert":"张三:hi","android":{"alert":"张三:hi","title":""}},"options":{"apns_production":true}}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("bodies\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Each documented error: is another try worth it, and when?
func TestJPushErrors(t *testing.T) {
	for _, c := range []struct {
		status, code int
		retry        bool
		wait         time.Duration
		split        bool
		says         string
	}{
		{status: 500, code: 1000, retry: true},
		{status: 405, code: 1001},
		{status: 400, code: 1002},
		{status: 400, code: 1003, split: true},
		{status: 401, code: 1004, retry: true, wait: accountPause, says: "do not belong together"},
		{status: 400, code: 1005, says: "too large"},
		{status: 400, code: 1008, retry: true, wait: accountPause, says: "app_key"},
		{status: 400, code: 1009},
		{status: 404, code: 1020, retry: true, wait: accountPause, says: "https"},
		{status: 503, code: 1030, retry: true},
		{status: 429, code: 2002, retry: true, wait: defaultPause},
		{status: 403, code: 2002, retry: true, wait: defaultPause},
		{status: 403, code: 2003, retry: true, wait: accountPause, says: "blocked"},
		{status: 403, code: 2004, retry: true, wait: accountPause, says: "allowed addresses"},
		{status: 403, code: 2005, retry: true, wait: accountPause, says: "too much"},
		{status: 400, code: 9999},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.code), func(t *testing.T) {
			d, p, _ := startJPush(t)
			d.Fail(jpush.Fault{Status: c.status, Code: c.code, Text: "1a0018970a1 of " + d.Key})
			n := jpushNote(t, p, "a", "b")
			retry, err := p.Push(t.Context(), n)
			got := checkJPush(t, d, err)
			if err == nil || retry != c.retry || got.Wait != c.wait || got.Split != c.split || len(got.Dead) > 0 || !strings.Contains(err.Error(), fmt.Sprintf("status %d, code %d", c.status, c.code)) ||
				!strings.Contains(err.Error(), c.says) {
				t.Errorf("got retry %v, wait %v, split %v, dead %v, %v; want retry %v, wait %v, split %v, nobody dead, status %d, code %d, %q", retry, got.Wait, got.Split, got.Dead, err, c.retry, c.wait, c.split, c.status, c.code, c.says)
			}
			if retry, err = p.Push(t.Context(), n); retry || err != nil { // the vendor is well again, and had taken nothing
				t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
			}
			if got := fmt.Sprint(d.Counts()); got != "map[a 张三:hi:1 b 张三:hi:1]" {
				t.Errorf(`rang %s, want "map[a 张三:hi:1 b 张三:hi:1]"`, got)
			}
		})
	}
}

// The two ways in which the app's own account is wrong, as the vendor itself finds them.
func TestJPushAccount(t *testing.T) {
	d, _, c := startJPush(t)
	for name, cfg := range map[string]JPushConfig{"another secret": {AppKey: d.Key, MasterSecret: "wrong-" + d.Secret}, "another key": {AppKey: "another", MasterSecret: d.Secret}, "neither": {}} {
		t.Run(name, func(t *testing.T) {
			cfg.BaseURL, cfg.Now = d.URL, c.now
			p := NewJPush(cfg)
			retry, err := p.Push(t.Context(), jpushNote(t, p, "a"))
			if got := checkJPush(t, d, err); err == nil || !retry || got.Wait != accountPause || len(got.Dead) > 0 {
				t.Errorf("got %v, retry %v, %v, want a retry after %v, nobody dead", err, retry, got, accountPause)
			}
		})
	}
	if rang := d.Rang(); len(rang) > 0 {
		t.Errorf("rang %v, want none", rang)
	}
}

func TestJPushDeadRegistrations(t *testing.T) {
	d, p, _ := startJPush(t)
	for _, code := range []string{"dead1", "dead2"} {
		d.Kill(code)
	}
	d.Phone("iphone", "ios")

	// 1011: nobody of them is there.
	retry, err := p.Push(t.Context(), jpushNote(t, p, "dead1", "dead2"))
	if got := checkJPush(t, d, err); retry || got.Err == nil || fmt.Sprint(got.Dead) != "[dead1 dead2]" || got.Split {
		t.Errorf(`got retry %v, dead %v, %v, want no retry, an error, [dead1 dead2], no split`, retry, got.Dead, err)
	}
	// Among others they are not noticed, and cost them nothing.
	if retry, err := p.Push(t.Context(), jpushNote(t, p, "dead1", "alive")); retry || err != nil {
		t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
	}
	// An iPhone in a note for Android: the outbox, which knows what it asked, makes nothing of the answer.
	n := jpushNote(t, p, "iphone")
	n.Android = true
	retry, err = p.Push(t.Context(), n)
	if got := checkJPush(t, d, err); retry || fmt.Sprint(got.Dead) != "[iphone]" {
		t.Errorf(`got retry %v, dead %v, %v, want no retry, [iphone]`, retry, got.Dead, err)
	}
	if got := fmt.Sprint(d.Counts()); got != "map[alive 张三:hi:1]" {
		t.Errorf(`rang %s, want "map[alive 张三:hi:1]"`, got)
	}

	// 1003 names it, in one way or another; a name within a longer one is another's.
	for text, dead := range map[string]string{
		`{"error":{"code":1003,"message":"Registration id bad-1 is invalid"}}`:             "[bad-1]",
		`{"error":{"code":1003,"message":"registration_id ['bad-1', \"bad-2\"] invalid"}}`: "[bad-1 bad-2]",
		`{"error":{"code":1003,"message":"invalid","illegal_rids":["bad-2"]}}`:             "[bad-2]",
		`{"error":{"code":1003,"message":"xbad-1 bad-12 invalid"}}`:                        "[]",
		`{"error":{"code":1003,"message":"platform is not valid"}}`:                        "[]",
	} {
		t.Run(text, func(t *testing.T) {
			d.Fail(jpush.Fault{Status: 400, Text: text})
			retry, err := p.Push(t.Context(), jpushNote(t, p, "bad-1", "bad-2", "good"))
			if got := checkJPush(t, d, err); retry || got.Err == nil || fmt.Sprint(got.Dead) != dead || !got.Split {
				t.Errorf("got retry %v, dead %v, split %v, %v, want no retry, an error, %v, a split", retry, got.Dead, got.Split, err, dead)
			}
		})
	}
	d.Fail(jpush.Fault{Status: 400, Code: 1003, Text: "invalid"})
	if retry, err := p.Push(t.Context(), jpushNote(t, p, "one")); retry || failure(err).Split || len(failure(err).Dead) > 0 {
		t.Errorf("nothing to split, and nobody named: got retry %v, %v, want no retry, no split, nobody dead", retry, err)
	}
}

// A call whose answer was lost rings once however often it is made.
func TestJPushRepeats(t *testing.T) {
	for name, fault := range map[string]jpush.Fault{"cut": {Taken: true, Cut: true}, "503": {Taken: true, Status: 503, Code: 1030}} {
		t.Run(name, func(t *testing.T) {
			d, p, _ := startJPush(t)
			d.Fail(fault, fault)
			n := jpushNote(t, p, "a")
			for range 2 {
				if retry, err := p.Push(t.Context(), n); !retry || err == nil {
					t.Errorf("got retry %v, %v, want a retry, an error", retry, err)
				}
			}
			again := NewJPush(JPushConfig{AppKey: d.Key, MasterSecret: d.Secret, BaseURL: d.URL}) // after kill -9
			if retry, err := again.Push(t.Context(), n); retry || err != nil {
				t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
			}
			if calls, repeated := d.Calls(); calls != 3 || repeated != 2 || len(d.Rang()) != 1 {
				t.Errorf("got %d calls, %d repeated, rang %v, want 3, 2, once", calls, repeated, d.Rang())
			}
		})
	}
}

// An answer 200 that the vendor cannot have given is no success. A call with a cid is made again, one without could ring twice.
func TestJPushGarbage(t *testing.T) {
	for _, text := range []string{"", "<html>welcome to the hotel</html>", "null", "[]", `{"ok":true}`, `{"msg_id":`, `"msg_id"`} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			d, p, _ := startJPush(t)
			d.Fail(jpush.Fault{Status: 200, Text: text}, jpush.Fault{Status: 200, Text: text})
			n := jpushNote(t, p, "a")
			retry, err := p.Push(t.Context(), n)
			if checkJPush(t, d, err); !retry || err == nil {
				t.Errorf("got retry %v, %v, want a retry, an error", retry, err)
			}
			nameless := n
			nameless.ID = "0190"
			if retry, err := p.Push(t.Context(), nameless); retry || err == nil {
				t.Errorf("%q without a cid: got retry %v, %v, want no retry, an error", text, retry, err)
			}
			if retry, err := p.Push(t.Context(), n); retry || err != nil || len(d.Rang()) != 1 {
				t.Errorf("got retry %v, %v, rang %v, want no retry, no error, once", retry, err, d.Rang())
			}
		})
	}
	d, p, _ := startJPush(t)
	for _, text := range []string{`{"sendno":0,"msg_id":1}`, `{"msg_id":"18100287008546151"}`} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			d.Fail(jpush.Fault{Status: 200, Text: text})
			if retry, err := p.Push(t.Context(), jpushNote(t, p, "a")); retry || err != nil {
				t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
			}
		})
	}
	d.Fail(jpush.Fault{Status: 200, Code: 1003}) // never seen, and no success
	if retry, err := p.Push(t.Context(), jpushNote(t, p, "a")); retry || err == nil {
		t.Errorf("an error with 200: got retry %v, %v, want no retry, an error", retry, err)
	}
}

// The calls of a minute are used up before the vendor says no: none is made until they are there again.
func TestJPushLimit(t *testing.T) {
	d, p, c := startJPush(t)
	d.Limit(3, 42) // one for the cids
	first, second, third := jpushNote(t, p, "a"), jpushNote(t, p, "b"), jpushNote(t, p, "c")
	for _, n := range []outbox.Note{first, second} {
		if retry, err := p.Push(t.Context(), n); retry || err != nil {
			t.Fatalf("got retry %v, %v, want no retry, no error", retry, err)
		}
	}
	c.t = c.t.Add(2 * time.Second)
	retry, err := p.Push(t.Context(), third)
	if got := failure(err); !retry || got.Wait != 40*time.Second {
		t.Errorf("got retry %v, wait %v, want a retry after %v", retry, got.Wait, 40*time.Second)
	}
	if calls, _ := d.Calls(); calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}

	// Others use the same app: what it says then counts.
	c.t = c.t.Add(40 * time.Second)
	d.Limit(0, 17)
	retry, err = p.Push(t.Context(), third)
	if got := failure(err); !retry || got.Wait != 17*time.Second {
		t.Errorf("got retry %v, wait %v, %v, want a retry after %v", retry, got.Wait, err, 17*time.Second)
	}
	fresh := NewJPush(JPushConfig{AppKey: d.Key, MasterSecret: d.Secret, BaseURL: d.URL, Now: c.now})
	if _, err := fresh.NewID(t.Context()); failure(err).Wait != 17*time.Second {
		t.Errorf("a name while there are no calls: got %v, want a wait of %v", err, 17*time.Second)
	}
	if _, err := fresh.NewID(t.Context()); failure(err).Wait != 17*time.Second {
		t.Errorf("and again: got %v, want a wait of %v", err, 17*time.Second)
	}
	c.t = c.t.Add(17 * time.Second)
	d.Limit(600, 60)
	if retry, err := p.Push(t.Context(), third); retry || err != nil {
		t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
	}

	// Without the header a limit is a minute.
	d.Limit(-1, 0)
	d.Fail(jpush.Fault{Status: 429}, jpush.Fault{Status: 429, Header: map[string]string{"Retry-After": "9"}},
		jpush.Fault{Status: 429, Header: map[string]string{"X-Rate-Limit-Reset": "-3"}}, jpush.Fault{Status: 429, Header: map[string]string{"X-Rate-Limit-Reset": "31"}})
	for _, want := range []time.Duration{defaultPause, 9 * time.Second, defaultPause, 31 * time.Second} {
		if retry, err := p.Push(t.Context(), third); !retry || failure(err).Wait != want {
			t.Errorf("got retry %v, %v, wait %v, want a retry after %v", retry, err, failure(err).Wait, want)
		}
	}
}

// Names come from the vendor ten at a time, live half a day, and are missed rather than waited for when it gives none.
func TestJPushNames(t *testing.T) {
	d, p, c := startJPush(t)
	name := func() string {
		t.Helper()
		id, err := p.NewID(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	seen := map[string]bool{}
	for range 15 {
		seen[name()] = true
	}
	if len(seen) != 15 {
		t.Errorf("got %d names, want 15", len(seen))
	}
	if id := name(); !strings.HasSuffix(id, "16") { // the vendor has given 20
		t.Errorf("got name %s, want one that ends in 16", id)
	}
	c.t = c.t.Add(cidLife + time.Second)
	if id := name(); !strings.HasSuffix(id, "21") {
		t.Errorf("got name %s, want one that ends in 21: the old ones are too old", id)
	}

	// Trouble of the moment is waited for.
	c.t = c.t.Add(cidLife + time.Second)
	for _, f := range []jpush.Fault{{Status: 503}, {Status: 429, Header: map[string]string{"X-Rate-Limit-Reset": "5"}}, {Cut: true}} {
		t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
			f.Path = "/v3/push/cid"
			d.Fail(f, f) // a GET on a connection that was idle is made again by net/http
			id, err := p.NewID(t.Context())
			d.Mend()
			if checkJPush(t, d, err); err == nil {
				t.Errorf("got name %q, want an error", id)
			}
		})
	}
	if id := name(); !strings.HasSuffix(id, "31") {
		t.Errorf("got name %s, want one that ends in 31", id)
	}

	// Whatever else it says instead of names: calls go without, and it is asked again after a while.
	for _, f := range []jpush.Fault{{Status: 400, Code: 1003}, {Status: 404}, {Status: 401, Code: 1004}, {Status: 200, Text: "<html>"}, {Status: 200, Text: `{"cidlist":[]}`},
		{Status: 200, Text: `{"cidlist":["another-app"]}`}, {Status: 200, Text: `{"cidlist":["` + d.Key + "-" + strings.Repeat("x", maxCIDLength) + `"]}`}, {Status: 302}} {
		t.Run(fmt.Sprintf("%+.60v", f), func(t *testing.T) {
			c.t = c.t.Add(cidLife + time.Second)
			f.Path = "/v3/push/cid"
			d.Fail(f)
			first, second := name(), name()
			if strings.HasPrefix(first, d.Key) || strings.HasPrefix(second, d.Key) || first == second {
				t.Errorf("%+v: got names %s and %s, want two that do not begin with %q", f, first, second, d.Key)
			}
			before := len(d.Rang())
			if retry, err := p.Push(t.Context(), outbox.Note{ID: first, Alert: "hi", To: []outbox.Receiver{{Code: "a"}}}); retry || err != nil {
				t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
			}
			if rang := d.Rang(); len(rang) != before+1 || rang[before].CID != "" {
				t.Errorf("%+v: got rang %+v, want once more, without a name", f, rang[before:])
			}
			c.t = c.t.Add(cidRetry + time.Second)
			if id := name(); !strings.HasPrefix(id, d.Key) {
				t.Errorf("%+v: got name %s, want one that begins with %q: the vendor is asked again", f, id, d.Key)
			}
		})
	}
	// A name of another app's, in a row that was written before the key changed.
	if retry, err := p.Push(t.Context(), outbox.Note{ID: "0123456789abcdef01234567-1", Alert: "hi", To: []outbox.Receiver{{Code: "a"}}}); retry || err != nil {
		t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
	}
}

func TestJPushDefaults(t *testing.T) {
	var asked []string
	p := NewJPush(JPushConfig{AppKey: "k", MasterSecret: "s", Client: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		key, secret, _ := r.BasicAuth()
		asked = append(asked, fmt.Sprint(r.Method, " ", r.URL, " ", key, " ", secret))
		w := httptest.NewRecorder()
		w.WriteString(`{"msg_id":"1"}`)
		return w.Result(), nil
	})}})
	if retry, err := p.Push(t.Context(), jpushNote(t, p, "a")); retry || err != nil {
		t.Fatalf("got retry %v, %v, want no retry, no error", retry, err)
	}
	if got := strings.Join(asked, "\n"); got != "GET https://api.jpush.cn/v3/push/cid?count=100 k s\nPOST https://api.jpush.cn/v3/push k s" {
		t.Errorf("asked\n%s\nwant %q", got, "GET https://api.jpush.cn/v3/push/cid?count=100 k s\nPOST https://api.jpush.cn/v3/push k s")
	}
	p = NewJPush(JPushConfig{AppKey: "k", MasterSecret: secret, BaseURL: "http://" + secret + "\x7f"})
	_, err := p.NewID(t.Context())
	discreet(t, err)
	if err == nil || !strings.Contains(err.Error(), "base_url") {
		t.Errorf("got %v, want an error that names base_url", err)
	}
}
