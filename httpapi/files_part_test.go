package httpapi

import (
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"tlim/component/stanza"
)

func TestBoundary(t *testing.T) {
	for given, want := range map[string]string{
		`multipart/form-data; boundary=abc`:                                  "abc",
		`Multipart/Form-Data;Boundary="a b/c"`:                               "a b/c",
		`multipart/form-data; boundary=----=_Part_0_1.2`:                     "----=_Part_0_1.2",
		`multipart/form-data; charset=UTF-8; boundary==_x/y:z?(1), <@>[2]`:   "=_x/y:z?(1), <@>[2]",
		`multipart/form-data;boundary=----=_Part_0; charset=GBK`:             "----=_Part_0",
		`multipart/form-data; boundary = --=x `:                              "--=x",
		`multipart/form-data; boundary="--=x"; charset`:                      "--=x",
		`multipart/mixed; boundary=x`:                                        "x",
		`multipart/form-data`:                                                "",
		`multipart/form-data; boundary=`:                                     "",
		`multipart/form-data; boundary=""`:                                   "",
		`multipart/form-data; xboundary==x`:                                  "",
		`multipart/form-data; boundary==` + strings.Repeat("x", maxBoundary): "",
		`multipart/related; boundary=x`:                                      "",
		`multipart/related; boundary==x`:                                     "",
		`application/x-www-form-urlencoded; boundary=x`:                      "",
		`text/plain; a="multipart/form-data; boundary==x"`:                   "",
		``: "",
	} {
		t.Run(fmt.Sprintf("%.60q", given), func(t *testing.T) {
			if got := boundary(given); got != want {
				t.Errorf("%q: %q, want %q", given, got, want)
			}
		})
	}
}

// TestPartNames: what a client calls a file keeps its letters where they can be known, and its ending in any case, up to the
// answered link and the row.
func TestPartNames(t *testing.T) {
	l := newFileLab(t)
	send := func(contentType, boundary, disposition string) answer {
		text := strings.Join([]string{"--" + boundary, `Content-Disposition: form-data; name="user_id"`, "", "zhangsan",
			"--" + boundary, "Content-Disposition: " + disposition, "Content-Type: application/octet-stream", "", "content", "--" + boundary + "--", ""}, "\r\n")
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, "Content-Type", contentType, "Authorization", "Bearer "+adminKey)
	}
	for disposition, want := range map[string]string{
		`form-data; name="mFile"; filename="年报.pdf"`:                                           "年报.pdf",
		`form-data; name="mFile"; filename*=UTF-8''%E5%B9%B4%E6%8A%A5.pdf`:                     "年报.pdf",
		`form-data; name="mFile"; filename="=?UTF-8?B?5bm05oqlLnBkZg==?="`:                     "年报.pdf",
		`form-data; name="mFile"; filename==?UTF-8?B?5bm05oqlLnBkZg==?=`:                       "年报.pdf",
		`form-data; name="mFile"; filename="=?utf-8?Q?=E5=B9=B4=E6=8A=A5.pdf?="`:               "年报.pdf",
		`form-data; name="mFile"; filename="=?GBK?B?xOqxqC5wZGY=?="`:                           "年报.pdf",
		`form-data; name="mFile"; filename="=?gb2312?Q?=C4=EA=B1=A8?= =?GB18030?B?LnBkZg==?="`: "年报.pdf",
		`form-data; name="mFile"; filename="=?BIG5?B?pkCz+C5wZGY=?="`:                          "_@__.pdf",
		`form-data; name="mFile"; filename="=?UTF-8?B?!?=.pdf"`:                                "=_UTF-8_B_!_=.pdf",
		`form-data; name="mFile"; filename="=?UTF-8?B?Li4vLi4vZXRjL3Bhc3N3ZA==?="`:             "passwd", // ../../etc/passwd
		`form-data; name="mFile"; filename="=?UTF-8?Q?a=00=E2=80=AEgpj.exe?="`:                 "agpj.exe",
		"form-data; name=\"mFile\"; filename=\"\xc4\xea\xb1\xa8.pdf\"":                         "年报.pdf",
		"form-data; name=\"mFile\"; filename=\"C:\\\xb1\xa8\\\xc4\xea\xb1\xa8.pdf\"":           "年报.pdf",
		"form-data; name=\"mFile\"; filename=\"\x95\\\x8d|.pdf\"":                              "昞峾.pdf", // trail bytes \ and |
		"form-data; name=\"mFile\"; filename=\xc4\xea\xb1\xa8.pdf":                             "年报.pdf",
		"form-data; name=\"mFile\"; filename=\"r\xe9sum\xe9.pdf\"":                             "r_sum_.pdf", // Latin-1
		"form-data; name=\"mFile\"; filename=\"\xff\xff.pdf\"":                                 "_.pdf",
		`form-data; name="mFile"; filename*=GBK''%C4%EA%B1%A8.pdf`:                             "年报.pdf",
		`form-data; name="mFile"; filename="x.pdf"; filename*=gb2312'zh'%C4%EA%B1%A8.pdf`:      "年报.pdf",
		`form-data; name="mFile"; filename="x.pdf"; filename*=Big5''%A6%40+.pdf`:               "_@+.pdf",
		`form-data; name="mFile"; filename="a "quoted" name.pdf"`:                              "a _quoted_ name.pdf",
		`form-data; name="mFile"`:                "file",
		`form-data; name=mFile; filename=年报.pdf`: "年报.pdf",
	} {
		t.Run(disposition, func(t *testing.T) {
			a := send("multipart/form-data; boundary=x", "x", disposition)
			if row, found, err := l.store.GetFile(t.Context(), a.body); a.status != 200 || err != nil || !found || row.Name != want {
				t.Errorf("got %d %.60q, stored as %q, want %q (%v)", a.status, a.body, row.Name, want, err)
			}
		})
	}
	for contentType, boundary := range map[string]string{
		"multipart/form-data; boundary=----=_Part_1/2:3":         "----=_Part_1/2:3",
		"multipart/form-data; boundary==?x?=; charset=GBK":       "=?x?=",
		`multipart/form-data; charset=UTF-8; boundary="a (b) c"`: "a (b) c",
	} {
		t.Run(contentType, func(t *testing.T) {
			if a := send(contentType, boundary, `form-data; name="mFile"; filename="a.pdf"`); a.status != 200 {
				t.Errorf("got %d %s, want 200", a.status, a.body)
			}
		})
	}
}

// TestPartCharset: a field says in which characters it is; what is not UTF-8 is not guessed.
func TestPartCharset(t *testing.T) {
	l := newFileLab(t)
	for _, c := range []struct {
		media, user string
		want        int
	}{
		{"", "zhangsan", 200}, {"text/plain; charset=UTF-8", "张三", 200}, {"text/plain; charset=ISO-8859-1", "zhangsan", 200},
		{"text/plain; charset=GBK", "zhangsan", 200}, {"text/plain; charset=GBK", "张三", 400}, {"text/plain;charset=ISO-8859-1", "张三", 400}, {"text/plain", "\xd5\xc5", 400},
	} {
		t.Run(c.media+" "+c.user, func(t *testing.T) {
			text := strings.Join([]string{"--x", `Content-Disposition: form-data; name="user_id"`, "Content-Type: " + c.media, "", c.user,
				"--x", `Content-Disposition: form-data; name="mFile"; filename="a"`, "", "content", "--x--", ""}, "\r\n")
			a := l.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, "Content-Type", "multipart/form-data; boundary=x", "Authorization", "Bearer "+adminKey)
			if a.status != c.want {
				t.Errorf("%+v: got %d %s, want %d", c, a.status, a.body, c.want)
			}
		})
	}
	if left := l.left(t); len(left) != 4 {
		t.Errorf("%d files, want 4", len(left))
	}
}

// FuzzPartHead: whatever stands in the heads of an upload, its name can be stored and shown.
func FuzzPartHead(f *testing.F) {
	f.Add("multipart/form-data; boundary=x", "form-data; name=\"mFile\"; filename=\"=?GBK?B?xOqxqC5wZGY=?=\"")
	f.Add("multipart/form-data; boundary==?x", "form-data; name=mFile; filename*=GBK''%C4%EA; filename=\xb1\xa8")
	f.Fuzz(func(t *testing.T, contentType, disposition string) {
		if got := boundary(contentType); len(got) > maxBoundary {
			t.Errorf("boundary %q, want at most %v", got, maxBoundary)
		}
		_, file := partNames(&multipart.Part{Header: textproto.MIMEHeader{"Content-Disposition": {disposition}}})
		if name := fileName(file); name == "" || !stanza.ValidXML(name) || strings.ContainsAny(name, "/\\\"") || len([]rune(name)) > 255 {
			t.Errorf("%q becomes %q, want the name of a file: not empty, no separator, at most 255 characters", disposition, name)
		}
	})
}
