package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestPictures: what becomes the picture of a session for all its members is a picture of ours or an http address, unless an admin
// key says otherwise.
func TestPictures(t *testing.T) {
	l := newFileLab(t)
	open := newLabOver(t, l.store, func(c *Config) { c.AllowAnonymous, c.Files = AnonymousClients, l.cfg.Files })
	id := strings.Repeat("0f", 16)
	for pic, want := range map[string]int{
		"":                200,
		id:                200,
		"8a8a8b1c-17.png": 200,
		"/upload/download?fileId=" + id + "&fileName=%E5%B9%B4.png": 200,
		"/cap-aco/upload/download?fileId=" + id:                     200,
		"/plugins/tlim/uploader/loadImg?pic=" + id:                  200,
		"/Uploader/LoadImg;jsessionid=1?pic=1":                      200,
		"upload/mobileFileDownload?fileId=" + id:                    200,
		"http://oa.example/p.png":                                   200,
		"HTTPS://oa.example:8443/p.png?x=1#y":                       200,
		"http://[::1]/p.png":                                        200,
		"javascript:alert(1)":                                       403,
		" javascript:alert(1)":                                      403,
		"JaVa\tScript:alert(1)":                                     403,
		"vbscript:x":                                                403,
		"data:image/svg+xml,<svg onload=alert(1)>":                  403,
		"data:text/html;base64,PHNjcmlwdD4=":                        403,
		"file:///etc/passwd":                                        403,
		"blob:http://x/1":                                           403,
		"ftp://x/y.png":                                             403,
		"//evil.example/p.png":                                      403,
		"/\\evil.example/p.png":                                     403,
		"\\\\evil\\share":                                           403,
		"http:evil":                                                 403,
		"http:///evil":                                              403,
		"http://user:pass@evil.example/":                            403,
		"http://x/\" onerror=\"alert(1)":                            403,
		"http://x/<script>":                                         403,
		"http://x/'":                                                403,
		"http://x/ y":                                               403,
		"http://x/\u0085":                                           200,
		"/plugins/tlim/getOffline?user_id=lisi":                     403,
		"/plugins/tlim/docs/../upload/download?fileId=1":            403,
		"/cap-aco/images/Group.PNG":                                 200,
		"/cap-aco/logout":                                           403,
		"/logout?x=.png":                                            403,
		"/x/../logout.png":                                          403,
		"/x/upload/download?fileId=1":                               403,
		"../upload/download?fileId=1":                               403,
		"mailto:x":                                                  403,
		"x:y":                                                       403,
	} {
		t.Run(fmt.Sprintf("%q", pic), func(t *testing.T) {
			form := "session_id=g1&session_pic=" + url.QueryEscape(pic)
			for who, call := range map[string]func() answer{
				"a token": func() answer {
					return l.do(t, http.MethodPost, "updateSessionPic", "", form, "Authorization", "Bearer "+l.token(t, "zhangsan"))
				},
				"a stranger": func() answer { return open.do(t, http.MethodPost, "updateSessionPic", "", form) },
			} {
				t.Run(fmt.Sprintf("%q by %s", pic, who), func(t *testing.T) {
					a := call()
					calls := len(l.svc.taken()) + len(open.svc.taken())
					if a.status != want || (want == 200) != (calls == 1) || want == 403 && a.object(t)["result"] != "error-011" {
						t.Errorf("got %d %s, %d calls, want %d (200: one call, 403: error-011)", a.status, a.body, calls, want)
					}
				})
			}
			if a := l.post(t, "updateSessionPic", form); a.status != 200 {
				t.Errorf("%q by a key: got %d %s, want 200", pic, a.status, a.body)
			}
			l.svc.taken()
		})
	}
	if a := l.do(t, http.MethodPost, "updateSessionPic", "", "session_id=g1&session_pic=http://x/"+strings.Repeat("x", 256), "Authorization", "Bearer "+l.token(t, "zhangsan")); a.object(t)["result"] != "error-012" {
		t.Errorf("a long one: got %d %s, want error-012", a.status, a.body)
	}
}

// TestPlainTypes: a user token makes groups and nothing that the business suite or the lists of clients make.
func TestPlainTypes(t *testing.T) {
	l := newLab(t)
	token := []string{"Authorization", "Bearer " + l.token(t, "zhangsan")}
	for kind, want := range map[string]struct {
		status int
		result string
	}{
		"0": {200, "ok"}, "00": {200, "ok"}, "1": {403, "error-011"}, "2": {403, "error-011"}, "99": {403, "error-011"}, "100": {403, "error-011"}, "%20100": {403, "error-011"}, "2147483647": {403, "error-011"},
		"": {200, "error-002"}, "x": {200, "error-002"}, "-1": {200, "error-002"}, "0x63": {200, "error-002"}, "99999999999": {200, "error-002"},
	} {
		t.Run(kind, func(t *testing.T) {
			form := "request_user=zhangsan&subscribers=[{user_id:'lisi'}]&session_type=" + kind
			a := l.do(t, http.MethodPost, "addSession", "", form, token...)
			calls := l.svc.taken()
			if a.status != want.status || a.object(t)["result"] != want.result || (want.result == "ok") != (len(calls) == 1) {
				t.Errorf("got %d %s after %q, want %d, %s (ok: one call)", a.status, a.body, calls, want.status, want.result)
			}
		})
	}
	if a := l.post(t, "addSession", "request_user=zhangsan&subscribers=[{user_id:'lisi'}]&session_type=1"); a.status != 200 || a.object(t)["result"] != "ok" {
		t.Errorf("by a key: got %d %s, want 200, ok", a.status, a.body)
	}
}
