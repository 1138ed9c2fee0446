package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tlim/component/outbox"
)

// received is a call as a site's own sender takes it, by what the administrator's guide says and nothing of this package.
type received struct {
	id, timestamp, signature, body string
}

// site answers 200 with a text, and keeps the call.
func site(t *testing.T, answer string) (*httptest.Server, *received) {
	t.Helper()
	var got received
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = received{r.Header.Get("X-Tlim-Id"), r.Header.Get("X-Tlim-Timestamp"), r.Header.Get("X-Tlim-Signature"), string(body)}
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf(`got headers %v, want neither Authorization nor Cookie`, r.Header)
		}
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server, &got
}

func TestWebhookRequest(t *testing.T) {
	server, got := site(t, "")
	at := time.Date(2026, 5, 1, 12, 0, 0, 500, time.UTC)
	p := NewWebhook(WebhookConfig{URL: server.URL, Secret: secret, Now: func() time.Time { return at }})
	n := outbox.Note{ID: "call-1", Type: "MTS-000", Title: "组", Alert: "张三(组):<b>\"hi\" & 😀", To: []outbox.Receiver{
		{User: "lisi", Code: "c1", MsgID: "m1"}, {User: "wangwu", Code: "c2", MsgID: "m2"}}}
	for _, c := range []struct {
		android   bool
		platforms string
	}{{false, `["android","ios"]`}, {true, `["android"]`}} {
		t.Run(c.platforms, func(t *testing.T) {
			n.Android = c.android
			if retry, err := p.Push(t.Context(), n); retry || err != nil {
				t.Fatalf("got retry %v, %v, want no retry, no error", retry, err)
			}
			var body any
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatal(err)
			}
			want := `{"id":"call-1","msg_type":"MTS-000","title":"组","alert":"张三(组):<b>\"hi\" & 😀","platforms":` + c.platforms +
				`,"receivers":[{"user_id":"lisi","registration_id":"c1","msg_id":"m1"},{"user_id":"wangwu","registration_id":"c2","msg_id":"m2"}]}`
			var wanted any
			if err := json.Unmarshal([]byte(want), &wanted); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(body) != fmt.Sprint(wanted) {
				t.Errorf("body %s\nwant %s", got.body, want)
			}
			if got.id != "call-1" || got.timestamp != "1777636800" {
				t.Errorf("got headers %+v, want id call-1, timestamp 1777636800", got)
			}
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(got.timestamp + "." + got.body))
			if got.signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
				t.Errorf("got signature %q, want %q", got.signature, "sha256="+hex.EncodeToString(mac.Sum(nil)))
			}
		})
	}
	if strings.Contains(got.body, secret) {
		t.Error("the secret is in the body, want it not")
	}
	body := got.body
	for name, wrong := range map[string]string{"secret": Sign("another", got.timestamp, []byte(body)), "time": Sign(secret, "1777636801", []byte(body)),
		"body": Sign(secret, got.timestamp, []byte(body+" "))} {
		t.Run(name, func(t *testing.T) {
			if wrong == got.signature {
				t.Errorf("got the same signature with another %s, want another one", name)
			}
		})
	}
}

// A signature that another program made: Python's hmac.
func TestSign(t *testing.T) {
	const want = "sha256=b9cf3b85e3038a9e7bf65b1443b84e740c68713dd6a5989acb93a195f7b0e631"
	if got := Sign("a-secret-of-16-or-more", "1777636800", []byte(`{"id":"张三"}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for answer, dead := range map[string]string{
		"":                               "[]",
		"ok":                             "[]",
		"<html>":                         "[]",
		"null":                           "[]",
		`{"dead":[]}`:                    "[]",
		`{"dead":null}`:                  "[]",
		`{"dead":"c1"}`:                  "[]",
		`{"dead":["c1"]`:                 "[]",
		`{"dead":["c1"]}`:                "[c1]",
		`{"dead":["c1","c2"],"more":{}}`: "[c1 c2]",
		`{"dead":["` + strings.Repeat("x", maxAnswer) + `"]}`: "[]", // longer than is read
	} {
		t.Run(fmt.Sprintf("%.60q", answer), func(t *testing.T) {
			server, _ := site(t, answer)
			p := NewWebhook(WebhookConfig{URL: server.URL, Secret: secret})
			retry, err := p.Push(t.Context(), outbox.Note{ID: "x", Alert: "hi", To: []outbox.Receiver{{Code: "c1"}, {Code: "c2"}}})
			if got := failure(err); retry || got.Err != nil || fmt.Sprint(got.Dead) != dead {
				t.Errorf("%.60s: got retry %v, %v, dead %v, want no retry, no error, %s", answer, retry, err, got.Dead, dead)
			}
		})
	}
}

// A site's sender that refuses the note refuses it for good: it may have its reasons, and says 503 when it has none.
func TestWebhookRefuses(t *testing.T) {
	for status, again := range map[int]bool{401: false, 403: false, 409: false, 422: false, 429: true} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
			p := NewWebhook(WebhookConfig{URL: server.URL, Secret: secret})
			retry, err := p.Push(t.Context(), outbox.Note{ID: "x", Alert: "hi"})
			if got := failure(err); retry != again || got.Wait != 0 || err.Error() != fmt.Sprintf("webhook: status %d", status) {
				t.Errorf("%d: got retry %v, wait %v, %v, want retry %v, no wait, webhook: status %d", status, retry, got.Wait, err, again, status)
			}
			server.Close()
		})
	}
}

func TestWebhookBadURL(t *testing.T) {
	p := NewWebhook(WebhookConfig{URL: "http://" + secret + "\x7f/", Secret: secret})
	retry, err := p.Push(t.Context(), outbox.Note{ID: "x"})
	discreet(t, err)
	if retry || err == nil || !strings.Contains(err.Error(), "push.webhook.url") {
		t.Errorf("got retry %v, %v, want no retry, an error with push.webhook.url", retry, err)
	}
}
