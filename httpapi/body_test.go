package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBodyTypes: the parameters of the URL count whatever the body is, as they did for getParameter of a servlet; those of a form
// come behind them; a body of which nothing can be known is refused when it would have to be believed.
func TestBodyTypes(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Language = English })
	const form, json = "application/x-www-form-urlencoded", "application/json;charset=utf-8"
	kind := func(media string) []string { return []string{"Content-Type", media} }
	const full = "user_id=lisi&registrationId=r1"
	for _, c := range []struct {
		what, url, body string
		header          []string
		want            string // the call, or status and a word of the sentence
	}{
		{"JSON beside the URL", full, `{"user_id":"zhangsan"}`, kind(json), `RegisterPush "lisi" "r1"`},
		{"JSON in GBK", full, "{\"a\":\"\xd5\xc5\"}", kind("application/json;charset=GBK"), `RegisterPush "lisi" "r1"`},
		{"text", full, "user_id=zhangsan", kind("text/plain"), `RegisterPush "lisi" "r1"`},
		{"XML", full, "<x/>", kind("text/xml; charset=gb2312"), `RegisterPush "lisi" "r1"`},
		{"bytes", full, "\xff\x00\xfe", kind("application/octet-stream"), `RegisterPush "lisi" "r1"`},
		{"multipart", full, "--x\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nzhangsan\r\n--x--", kind("multipart/form-data; boundary=x"), `RegisterPush "lisi" "r1"`},
		{"bad multipart", full, "--x--", kind("multipart/form-data; =;"), `RegisterPush "lisi" "r1"`},
		{"a type that is none", full, "x", kind("json"), `RegisterPush "lisi" "r1"`},
		{"zipped JSON", full, "\x1f\x8b", []string{"Content-Type", json, "Content-Encoding", "gzip"}, `RegisterPush "lisi" "r1"`},
		{"no type, bytes", full, "\xff\x00\xfe", kind(""), `RegisterPush "lisi" "r1"`},
		{"no type, JSON", full, `{"user_id":"zhangsan"}`, kind(""), `RegisterPush "lisi" "r1"`},
		{"no type, a form", "user_id=lisi", "registrationId=r1", kind(""), `RegisterPush "lisi" "r1"`},
		{"no type, only a form", "", full, kind(""), `RegisterPush "lisi" "r1"`},
		{"another one in the form", "user_id=lisi", "registrationId=r1&user_id=zhangsan", kind(form), "400 user_id is given more than once"},
		{"the same one in the form", "user_id=lisi", "registrationId=r1&user_id=lisi", kind(form), `RegisterPush "lisi" "r1"`},
		{"two keys", "access_token=" + adminKey, full + "&access_token=x", kind(form), "400 access_token is given more than once"},
		{"twice what nobody reads", "x=1", full + "&x=2", kind(form), `RegisterPush "lisi" "r1"`},
		{"an empty body", full, "", kind(json), `RegisterPush "lisi" "r1"`},
		{"identity", "", full, []string{"Content-Type", form, "Content-Encoding", "identity"}, `RegisterPush "lisi" "r1"`},
		{"JSON beside a part", "user_id=lisi", `{"registrationId":"r1"}`, kind(json), "400 registrationId"},
		{"only JSON", "", `{"user_id":"lisi","registrationId":"r1"}`, kind(json), `RegisterPush "lisi" "r1"`},
		{"only JSON, with the key", "access_token=" + adminKey, `{"user_id":"lisi","registrationId":"张"}`, kind(json), `RegisterPush "lisi" "张"`},
		{"JSON without a charset, with a mark", "", "\ufeff{\"user_id\":\"lisi\",\"registrationId\":\"\"}\n", kind("Application/JSON"), `RegisterPush "lisi" ""`},
		{"JSON with a number", "", `{"user_id":15748,"registrationId":7}`, kind(json), `RegisterPush "15748" "7"`},
		{"JSON with the key", "", `{"access_token":"` + adminKey + `","user_id":"lisi","registrationId":"r1"}`, kind(json), `RegisterPush "lisi" "r1"`},
		{"JSON, null", "", `{"user_id":"lisi","registrationId":null}`, kind(json), "400 registrationId is missing"},
		{"JSON, empty", "", ` `, kind(json), "200 error-008"},
		{"JSON, an unknown field", "", `{"user_id":"lisi","registrationid":"r1"}`, kind(json), `400 has no parameter \"registrationid\"`},
		{"JSON, a field twice", "", `{"user_id":"lisi","registrationId":"r1","user_id":"zhangsan"}`, kind(json), `400 has \"user_id\" twice`},
		{"JSON, twice by an escape", "", `{"user_id":"lisi","registrationId":"r1","user\u005fid":"lisi"}`, kind(json), `400 has \"user_id\" twice`},
		{"JSON, a list for one", "", `{"user_id":["lisi"],"registrationId":"r1"}`, kind(json), "400 user_id"},
		{"JSON, an object for one", "", `{"user_id":{"id":"lisi"},"registrationId":"r1"}`, kind(json), "400 user_id"},
		{"JSON, a truth for one", "", `{"user_id":true,"registrationId":"r1"}`, kind(json), "400 user_id"},
		{"JSON, an odd number", "", `{"user_id":1e3,"registrationId":"r1"}`, kind(json), "400 1e3"},
		{"JSON, half a character", "", `{"user_id":"lisi","registrationId":"\ud83d"}`, kind(json), "400 registrationId"},
		{"JSON, a whole one", "", `{"user_id":"lisi","registrationId":"\ud83d\ude00\ufffd"}`, kind(json), `RegisterPush "lisi" "😀` + "\ufffd" + `"`},
		{"JSON, a control character", "", `{"user_id":"lisi","registrationId":"\u0000"}`, kind(json), "400 registrationId"},
		{"JSON that is a list", "", `[{"user_id":"lisi"}]`, kind(json), "400 no object"},
		{"JSON that is none", "", `{user_id:'lisi'}`, kind(json), "400 not JSON"},
		{"JSON, two of them", "", `{}{}`, kind(json), "400 not JSON"},
		{"JSON, deep", "", strings.Repeat(`{"user_id":`, 200_000), kind(json), "413"},
		{"JSON, not so deep", "", strings.Repeat(`{"user_id":`, 50_000), kind(json), "400 not JSON"},
		{"JSON, not UTF-8", "", "{\"user_id\":\"\xd5\xc5\"}", kind(json), "400 UTF-8"},
		{"JSON in GBK alone", "", "{\"user_id\":\"\xd5\xc5\"}", kind("application/json; charset=GBK"), "400 charset"},
		{"JSON, Java's own charset", "", `{"user_id":"张"}`, kind("application/json; charset=ISO-8859-1"), "400 charset"},
		{"zipped JSON alone", "", "\x1f\x8b", []string{"Content-Type", json, "Content-Encoding", "gzip"}, "400 compressed"},
		{"only parts", "", "--x--", kind("Multipart/form-data; boundary=x"), "400 multipart"},
		{"zipped", full, "x", []string{"Content-Type", form, "Content-Encoding", "gzip"}, "400 compressed"},
		{"a form that is none", full, "\xff", kind(form), "400 UTF-8"},
		{"no type, only bytes", "", "\xff", kind(""), "400 UTF-8"},

		{"UTF-8", "", "user_id=lisi&registrationId=%E5%BC%A0", kind(form + ";charset=UTF-8"), `RegisterPush "lisi" "张"`},
		{"utf8", "", "user_id=lisi&registrationId=张", kind(form + `; Charset="utf8"`), `RegisterPush "lisi" "张"`},
		{"a colon", "", full, kind(form + ";charset:utf-8;"), `RegisterPush "lisi" "r1"`},
		{"an empty charset", "", full, kind(form + "; charset="), `RegisterPush "lisi" "r1"`},
		{"Java's own, ASCII", "", full, kind(form + "; charset=ISO-8859-1"), `RegisterPush "lisi" "r1"`},
		{"Java's own, not ASCII", "", "user_id=lisi&registrationId=%E5%BC%A0", kind(form + "; charset=ISO-8859-1"), "400 charset"},
		{"ASCII that is not", "", "user_id=lisi&registrationId=r1&%E5%BC%A0=1", kind(form + "; charset=US-ASCII"), "400 charset"},
		{"GBK", "", "user_id=lisi&registrationId=%D5%C5", kind(form + "; charset=GBK"), "400 charset"},
		{"GBK that reads as UTF-8", "", "user_id=lisi&registrationId=%E5%BC%A0%E5%BC%A0", kind(form + "; charset=gb2312"), "400 charset"},
		{"GBK beside the URL", full, "x=%D5%C5", kind(form + ";charset=GBK"), "400 charset"},
		{"GBK with a colon", "", full, kind(form + ";charset:gbk"), "400 charset"},
		{"UTF-16", "", full, kind(form + ";charset=utf-16"), "400 charset"},
	} {
		t.Run(c.what, func(t *testing.T) {
			a := l.do(t, http.MethodPost, "registerAppPushCode", c.url, c.body, append([]string{"Authorization", "Bearer " + adminKey}, c.header...)...)
			calls := l.svc.taken()
			if strings.HasPrefix(c.want, "Register") {
				if a.status != 200 || len(calls) != 1 || calls[0] != c.want {
					t.Errorf("got %d %s after %q, want %s", a.status, a.body, calls, c.want)
				}
				return
			}
			status, word, _ := strings.Cut(c.want, " ")
			if fmt.Sprint(a.status) != status || !strings.Contains(a.body, word) || a.object(t)["result"] == "ok" || len(calls) > 0 {
				t.Errorf("got %d %s after %q, want %s", a.status, a.body, calls, c.want)
			}
		})
	}
	// Every endpoint takes its parameters so.
	for _, rt := range l.routes() {
		query := repeatedQuery(rt.path)
		header := []string{"Authorization", "Bearer " + adminKey}
		want := l.do(t, http.MethodPost, rt.path, "", query, header...)
		l.svc.taken()
		for _, media := range []string{json, "text/plain", "multipart/form-data; boundary=x"} {
			if query == "" { // it was dropped
				continue
			}
			if strings.HasPrefix(rt.path, "admin/") { // whose callers are no old integrators
				if got := l.do(t, http.MethodPost, rt.path, query, "{}", append([]string{"Content-Type", media}, header...)...); got.status != 400 || !strings.Contains(got.body, "in the URL or in the body") {
					t.Errorf("%s with %s beside the URL: got %d %s, want 400 that says so", rt.path, media, got.status, got.body)
				}
				continue
			}
			if got := l.do(t, http.MethodPost, rt.path, query, "{}", append([]string{"Content-Type", media}, header...)...); got.status != want.status || got.body != want.body {
				t.Errorf("%s with %s: got %d %s, want %d %s as of a form", rt.path, media, got.status, got.body, want.status, want.body)
			}
		}
	}
}

// TestIgnoredBodies: what is read past is still bounded.
func TestIgnoredBodies(t *testing.T) {
	l := newLab(t)
	key := []string{"Content-Type", "application/json", "Authorization", "Bearer " + adminKey}
	defer fill(l.bodies)() // it keeps nothing, so it costs no slot
	if a := l.do(t, http.MethodPost, "findSessions", "user_id=x", strings.Repeat(" ", 1<<20), key...); a.status != 200 {
		t.Errorf("1 MiB: got %d %s, want 200", a.status, a.body)
	}
	if a := l.do(t, http.MethodPost, "findSessions", "user_id=x", strings.Repeat(" ", 1<<20+1), key...); a.status != 413 {
		t.Errorf("more: got %d %s, want 413", a.status, a.body)
	}
}
