package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/stanza"
	"tlim/store"
	"tlim/store/blob"
)

// fileLab is a lab with files in a folder.
type fileLab struct {
	*lab
	dir  string
	rows *fileRows
}

// fileRows are the store's, until a test sets fail.
type fileRows struct {
	*store.Store
	fail error
}

func (f *fileRows) AddFile(ctx context.Context, file store.File) error {
	if f.fail != nil {
		return f.fail
	}
	return f.Store.AddFile(ctx, file)
}

func newFileLab(t testing.TB, change ...func(*Config)) *fileLab {
	t.Helper()
	dir := t.TempDir()
	folder, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	s := seeded(t)
	l := &fileLab{dir: dir, rows: &fileRows{Store: s}}
	l.lab = newLabOver(t, s, append([]func(*Config){func(c *Config) {
		c.Language = English
		c.Files = Files{Blobs: folder, Rows: l.rows, Prefixes: []string{"/cap-aco"}}
	}}, change...)...)
	return l
}

// left is every file in the folder.
func (f *fileLab) left(t testing.TB) (names []string) {
	t.Helper()
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// part is a part of a multipart body; with a file name it is a file.
type part struct{ name, file, content string }

var uploader = part{name: "user_id", content: "zhangsan"}

func body(t testing.TB, parts ...part) (text, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.name + `"`}}
		if p.file != "" {
			h.Set("Content-Disposition", `form-data; name="`+p.name+`"; filename="`+p.file+`"`)
			h.Set("Content-Type", "text/html")
		}
		out, err := w.CreatePart(h)
		if err == nil {
			_, err = io.WriteString(out, p.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), w.FormDataContentType()
}

// upload sends parts with the admin key.
func (f *fileLab) upload(t testing.TB, path, query string, parts ...part) answer {
	t.Helper()
	text, media := body(t, parts...)
	return f.do(t, http.MethodPost, path, query, text, "Content-Type", media, "Authorization", "Bearer "+adminKey)
}

// put uploads one file as zhangsan and returns its id.
func (f *fileLab) put(t testing.TB, name, content string) string {
	t.Helper()
	a := f.upload(t, "/mobileHttpController/uploadForFileId", "", uploader, part{"mFile", name, content})
	if a.status != 200 || !blob.Valid(a.body) {
		t.Fatalf("upload: got %d %s, want 200 and an id", a.status, a.body)
	}
	return a.body
}

var anyID = regexp.MustCompile(`[0-9a-f]{32}`)

// TestUploadAnswers: the five answers, byte for byte, at each place where they are served; and the file behind each.
func TestUploadAnswers(t *testing.T) {
	l := newFileLab(t)
	for path, want := range map[string]struct{ answer, media string }{
		"mobileHttpController/uploadForUrl":        {`/upload/download?fileId=ID&fileName=%E5%B9%B4%20%E6%8A%A5%2B%26.txt`, "text/plain;charset=utf-8"},
		"mobileHttpController/uploadForJsonUrl":    {`{"url":"/upload/download?fileId=ID&fileName=%E5%B9%B4%20%E6%8A%A5%2B%26.txt"}`, "application/json;charset=utf-8"},
		"mobileHttpController/uploadForFileId":     {`ID`, "text/plain;charset=utf-8"},
		"mobileHttpController/uploadForJsonFileId": {`{"fileId":"ID"}`, "application/json;charset=utf-8"},
		"upload/mobileFileUpload":                  {`{"file_id":"ID"}`, "application/json;charset=utf-8"},
	} {
		t.Run(path, func(t *testing.T) {
			for _, prefix := range []string{"/", "/plugins/tlim/", "/cap-aco/"} {
				t.Run("below "+prefix, func(t *testing.T) {
					content := "content of " + prefix + path
					a := l.upload(t, prefix+path, "", uploader, part{"mFile", "年 报+&.txt", content})
					unstored(t, prefix+path, a)
					if got := anyID.ReplaceAllString(a.body, "ID"); a.status != 200 || got != want.answer || a.header.Get("Content-Type") != want.media {
						t.Errorf("%s%s: got %d %q %s, want 200, %q, Content-Type %s", prefix, path, a.status, got, a.header.Get("Content-Type"), want.answer, want.media)
					}
					id := anyID.FindString(a.body)
					row, found, err := l.store.GetFile(t.Context(), id)
					sum := sha256.Sum256([]byte(content))
					if want := (store.File{ID: id, Name: "年 报+&.txt", Type: "application/octet-stream", Size: int64(len(content)), Digest: hex.EncodeToString(sum[:]), Owner: "zhangsan", Time: "1600000000000"}); err != nil || !found || row != want {
						t.Errorf("row: got %+v, %v, %v, want %+v", row, found, err, want)
					}
					if _, link, ok := strings.Cut(strings.Trim(a.body, `"}`), "/upload/download?"); ok {
						if got := l.do(t, http.MethodGet, prefix+"upload/download", link, ""); got.status != 200 || got.body != content {
							t.Errorf("the answered link leads to %d %q, want 200, body %q", got.status, got.body, content)
						}
					}
				})
			}
		})
	}
	if a := l.upload(t, "/other/mobileHttpController/uploadForFileId", "", uploader, part{"mFile", "x", "x"}); a.status != 404 {
		t.Errorf("below a prefix that is not configured: got %d, want 404", a.status)
	}
	based := newFileLab(t, func(c *Config) { c.Files.BaseURL = "https://im.test/x" })
	if a := based.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a.txt", "x"}); anyID.ReplaceAllString(a.body, "ID") != "https://im.test/x/upload/download?fileId=ID&fileName=a.txt" {
		t.Errorf(`with http.base_url: %s, want "https://im.test/x/upload/download?fileId=ID&fileName=a.txt"`, a.body)
	}
	if a := newLab(t).do(t, http.MethodGet, "/upload/download", "fileId="+blob.NewID(), ""); a.status != 404 || !strings.Contains(a.body, `"result":"fail"`) {
		t.Errorf("without files: got %d %s, want 404, body with %q", a.status, a.body, `"result":"fail"`)
	}
}

// TestUploadRefused: every way in which an upload fails has its status and code, and leaves nothing.
func TestUploadRefused(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.MaxSize = 1 << 20 })
	file := part{"mFile", "a.txt", "hello"}
	whole, media := body(t, uploader, file)
	bearer := []string{"Authorization", "Bearer " + adminKey}
	multi := append([]string{"Content-Type", media}, bearer...)
	many := make([]part, 40)
	for i := range many {
		many[i] = part{name: fmt.Sprint("f", i), content: "x"}
	}
	send := func(header []string, parts ...part) answer {
		text, media := body(t, parts...)
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", text, append([]string{"Content-Type", media}, header...)...)
	}
	for name, test := range map[string]struct {
		got    answer
		status int
		result string
	}{
		"nobody":               {send(nil, uploader, file), 401, "error-011"},
		"nobody, no file":      {send(nil, uploader), 401, "error-011"},
		"a wrong key":          {send([]string{"Authorization", "Bearer nonsense-nonsense"}, uploader, file), 401, "error-011"},
		"a wrong key, behind":  {send(nil, uploader, file, part{name: "access_token", content: "nonsense"}), 401, "error-011"},
		"a key behind":         {send(nil, uploader, file, part{name: "access_token", content: adminKey}), 401, "error-011"},
		"a business key":       {send([]string{"Authorization", "Bearer " + businessKey}, uploader, file), 403, "error-011"},
		"no file":              {send(bearer, uploader), 400, "fail"},
		"two files":            {send(bearer, uploader, file, file), 400, "fail"},
		"no user":              {send(bearer, file), 400, "error-008"},
		"no user in the end":   {send(bearer, file, part{name: "other", content: "x"}), 400, "error-008"},
		"an impossible user":   {send(bearer, file, part{name: "user_id", content: " "}), 400, "error-008"},
		"a long user":          {send(bearer, file, part{name: "user_id", content: strings.Repeat("x", 65)}), 400, "error-012"},
		"a hostile user":       {send(bearer, file, part{name: "user_id", content: "a\x00b"}), 400, "fail"},
		"not UTF-8":            {send(bearer, file, part{name: "user_id", content: "\xd5\xc5"}), 400, "fail"},
		"a huge field":         {send(bearer, file, part{name: "user_id", content: strings.Repeat("x", 5000)}), 400, "fail"},
		"many parts":           {send(bearer, append(many, uploader, file)...), 400, "fail"},
		"a byte too many":      {send(bearer, uploader, part{"mFile", "a", strings.Repeat("x", 1<<20+1)}), 413, "error-012"},
		"far too many":         {send(bearer, uploader, part{"mFile", "a", strings.Repeat("x", 2<<20)}), 413, "error-012"},
		"too many fields":      {send(bearer, uploader, part{"mFile", "a", strings.Repeat("x", 1<<20-10)}, part{name: "x", content: strings.Repeat("x", 80<<10)}), 413, "error-012"},
		"a form":               {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", "user_id=x", bearer...), 400, "fail"},
		"no boundary":          {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", whole, append([]string{"Content-Type", "multipart/form-data"}, bearer...)...), 400, "fail"},
		"another boundary":     {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", whole, append([]string{"Content-Type", "multipart/form-data; boundary=x"}, bearer...)...), 400, "fail"},
		"cut":                  {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", whole[:len(whole)-9], multi...), 400, "fail"},
		"cut within the file":  {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", whole[:strings.Index(whole, "llo")], multi...), 400, "fail"},
		"zipped":               {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", whole, append([]string{"Content-Encoding", "gzip"}, multi...)...), 400, "fail"},
		"empty":                {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", "", multi...), 400, "fail"},
		"GET":                  {l.do(t, http.MethodGet, "/mobileHttpController/uploadForUrl", "", "", bearer...), 405, "fail"},
		"PUT":                  {l.do(t, http.MethodPut, "/mobileHttpController/uploadForUrl", "", "", bearer...), 405, "fail"},
		"a hostile query":      {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "user_id=%00", whole, multi...), 400, "fail"},
		"another user's query": {l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "user_id=wangwu", whole, multi...), 400, "fail"},
	} {
		t.Run(name, func(t *testing.T) {
			unstored(t, name, test.got)
			if v := test.got.object(t); test.got.status != test.status || v["result"] != test.result || v["result_detail"] == "" {
				t.Errorf("got %d %s, want %d, %v, a result_detail", test.got.status, test.got.body, test.status, test.result)
			}
		})
	}
	if left := l.left(t); len(left) != 0 {
		t.Errorf("left behind: got %q, want none", left)
	}
	if log := l.log.String(); strings.Contains(log, adminKey) || strings.Contains(log, "nonsense") || strings.Contains(log, "zhangsan") {
		t.Errorf("got log\n%s\nwant neither %q, nonsense nor zhangsan in it", log, adminKey)
	}
	if a := l.do(t, http.MethodGet, "/mobileHttpController/uploadForUrl", "", ""); a.header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf(`Allow %q, want "POST, OPTIONS"`, a.header.Get("Allow"))
	}
	// The largest that fits, the fields in every order, the key in the URL or in a part before the file.
	most := part{"mFile", "a", strings.Repeat("x", 1<<20)}
	token := part{name: "access_token", content: adminKey}
	for i, parts := range [][]part{{uploader, most, token}, {most, uploader}, {token, most, uploader}, {token, uploader, {"mFile", "e", ""}}} {
		t.Run(fmt.Sprintf("order %d", i), func(t *testing.T) {
			var header []string
			if i < 2 {
				header = bearer
			}
			if a := send(header, parts...); a.status != 200 {
				t.Errorf("order %d: got %d %s, want 200", i, a.status, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "access_token="+adminKey, whole, "Content-Type", media); a.status != 200 {
		t.Errorf("a key in the URL: got %d %s, want 200", a.status, a.body)
	}
	if a := l.upload(t, "/upload/mobileFileUpload", "", part{"file", "a", "document 1.3"}); a.status != 200 {
		t.Errorf("document 1.3: got %d %s, want 200", a.status, a.body)
	}
	if left := l.left(t); len(left) != 6 {
		t.Errorf("%d files, want 6: %q", len(left), left)
	}
}

// TestBrokenUpload: a line that breaks at any point leaves neither row nor byte.
func TestBrokenUpload(t *testing.T) {
	l := newFileLab(t)
	text, media := body(t, uploader, part{"mFile", "a", strings.Repeat("0123456789abcdef", 64<<10)})
	head := func(length int) string {
		return fmt.Sprintf("POST /mobileHttpController/uploadForUrl HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", adminKey, media, length)
	}
	for _, at := range []int{0, 10, 150, 300, 5000, 300_000, len(text) - 40, len(text) - 1} {
		t.Run(fmt.Sprint("at ", at), func(t *testing.T) {
			conn := dial(t, l.lab)
			if _, err := io.WriteString(conn, head(len(text))+text[:at]); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			wait(t, l.over)
		})
	}
	// One that only holds its connection is told so.
	hasty := newFileLab(t, func(c *Config) { c.Limits.BodyTime = 100 * time.Millisecond })
	conn := dial(t, hasty.lab)
	if _, err := io.WriteString(conn, head(len(text))+text[:70_000]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(newReader(conn), nil)
	if err != nil || resp.StatusCode != 400 || !resp.Close {
		t.Errorf("a stalled upload: got %v, %v, want 400 and an end of the connection", resp, err)
	}
	wait(t, hasty.over)
	if left := hasty.left(t); len(left) != 0 {
		t.Errorf("left behind: got %q, want none", left)
	}
	// The database refuses, or goes away: in doubt the bytes stay, for the sweep to judge.
	l.rows.fail = store.ErrData
	if a := l.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a", "x"}); a.status != 400 || a.object(t)["result"] != "error-012" {
		t.Errorf("a row that does not fit: got %d %s, want 400, error-012", a.status, a.body)
	}
	if left := l.left(t); len(left) != 0 {
		t.Errorf("left behind: got %q, want none", left)
	}
	l.rows.fail = store.ErrUnavailable
	if a := l.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a", "x"}); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("no database: got %d %s, want 503, a Retry-After", a.status, a.body)
	}
	if left := l.left(t); len(left) != 1 {
		t.Errorf("a row that may be there has %d files, want 1", len(left))
	}
	// No folder any more.
	l.rows.fail = nil
	l.cfg.Files.Blobs.(*blob.Folder).Close()
	if a := l.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a", "x"}); a.status != 503 {
		t.Errorf("no folder: got %d %s, want 503", a.status, a.body)
	}
	if known := l.store; known != nil {
		if ids, err := known.FilesBefore(t.Context(), 1<<42, 10); err != nil || len(ids) != 0 {
			t.Errorf("rows %q, %v, want no ids, no error", ids, err)
		}
	}
}

// TestTroubleWithFilesIsLogged: once when it begins and once when it is over.
func TestTroubleWithFilesIsLogged(t *testing.T) {
	l := newFileLab(t)
	logged := func(what string, away, back int) {
		t.Helper()
		if log := l.log.String(); strings.Count(log, "files cannot be stored now") != away || strings.Count(log, "files can be stored again") != back {
			t.Errorf("%s:\n%s\nwant %v times \"files cannot be stored now\", %v times \"files can be stored again\"", what, log, away, back)
		}
	}
	l.put(t, "a", "x")
	logged("all is well", 0, 0)
	l.cfg.Files.Blobs.(*blob.Folder).Close()
	for range 2 {
		l.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a", "x"})
		logged("no folder", 1, 0)
	}
	folder, err := blob.OpenFolder(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	l.cfg.Files.Blobs = folder
	for range 2 {
		l.put(t, "a", "x")
		logged("a folder again", 1, 1)
	}
}

// slowBlobs wait before they read on, once the first bytes are there.
type slowBlobs struct {
	Blobs
	wait func()
}

func (s slowBlobs) Put(ctx context.Context, id string, r io.Reader) (int64, error) {
	first := make([]byte, 1000)
	n, err := io.ReadFull(r, first)
	if err != nil {
		return 0, err
	}
	s.wait()
	return s.Blobs.Put(ctx, id, io.MultiReader(bytes.NewReader(first[:n]), r))
}

// TestSlowStore: the time that a store takes is not held against the caller, who could not go on meanwhile.
func TestSlowStore(t *testing.T) {
	const pace = time.Second // for 64 KiB within this process
	l := newFileLab(t, func(c *Config) {
		c.Limits.BodyTime = pace
		c.Files.Blobs = slowBlobs{c.Files.Blobs, func() { <-time.After(pace + pace/10) }}
	})
	if a := l.upload(t, "/mobileHttpController/uploadForFileId", "", uploader, part{"mFile", "a", strings.Repeat("x", 8<<20)}); a.status != 200 {
		t.Fatalf("got %d %s, want 200", a.status, a.body)
	}
}

// unstored: what every answer says, whatever it is.
func unstored(t *testing.T, what string, a answer) {
	t.Helper()
	for field, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := a.header.Get(field); got != want {
			t.Errorf("%s (%d): %s is %q, want %q", what, a.status, field, got, want)
		}
	}
}

// TestDownload: ranges, conditions, HEAD, and what every answer says of itself.
func TestDownload(t *testing.T) {
	l := newFileLab(t)
	content := strings.Repeat("0123456789", 1000)
	id := l.put(t, "报告 \"1\".pdf", content)
	sum := sha256.Sum256([]byte(content))
	etag := `"` + hex.EncodeToString(sum[:]) + `"`
	date := "Sun, 13 Sep 2020 12:26:40 GMT"
	for name, test := range map[string]struct {
		header []string
		status int
		body   string
		span   string
	}{
		"all":                  {nil, 200, content, ""},
		"the first byte":       {[]string{"Range", "bytes=0-0"}, 206, "0", "bytes 0-0/10000"},
		"resumed":              {[]string{"Range", "bytes=9990-"}, 206, "0123456789", "bytes 9990-9999/10000"},
		"the last":             {[]string{"Range", "bytes=-3"}, 206, "789", "bytes 9997-9999/10000"},
		"beyond the end":       {[]string{"Range", "bytes=9999-20000"}, 206, "9", "bytes 9999-9999/10000"},
		"behind the end":       {[]string{"Range", "bytes=10000-"}, 416, "*", "bytes */10000"},
		"nonsense":             {[]string{"Range", "bytes=5-1"}, 416, "*", "bytes */10000"},
		"another unit":         {[]string{"Range", "lines=5-6"}, 200, content, ""},
		"the last no bytes":    {[]string{"Range", "bytes=-0"}, 416, "*", "bytes */10000"},
		"no bytes and some":    {[]string{"Range", "bytes=-0,1-1"}, 206, "1", "bytes 1-1/10000"},
		"more than all":        {[]string{"Range", "bytes=-20000"}, 206, content, "bytes 0-9999/10000"},
		"far beyond":           {[]string{"Range", "Bytes = 9999-99999999999999999999999"}, 206, "9", "bytes 9999-9999/10000"},
		"far behind":           {[]string{"Range", "bytes=99999999999999999999999-"}, 416, "*", "bytes */10000"},
		"no bytes, changed":    {[]string{"Range", "bytes=-0", "If-Range", `"other"`}, 200, content, ""},
		"resumed, unchanged":   {[]string{"Range", "bytes=9998-", "If-Range", etag}, 206, "89", "bytes 9998-9999/10000"},
		"resumed, changed":     {[]string{"Range", "bytes=9998-", "If-Range", `"other"`}, 200, content, ""},
		"resumed by date":      {[]string{"Range", "bytes=9998-", "If-Range", date}, 206, "89", "bytes 9998-9999/10000"},
		"known already":        {[]string{"If-None-Match", etag}, 304, "", ""},
		"known another":        {[]string{"If-None-Match", `"other"`}, 200, content, ""},
		"not modified since":   {[]string{"If-Modified-Since", date}, 304, "", ""},
		"another expected":     {[]string{"If-Match", `"other"`}, 412, "*", ""},
		"ten thousand ranges":  {[]string{"Range", "bytes=" + strings.Repeat("0-,", 10_000)}, 200, content, ""},
		"too many ranges":      {[]string{"Range", "bytes=0-0" + strings.Repeat(",2-2", maxRanges)}, 200, content, ""},
		"the most ranges":      {[]string{"Range", "bytes=0-0" + strings.Repeat(",2-2", maxRanges-1)}, 206, "*", ""},
		"two ranges, as parts": {[]string{"Range", "bytes=0-1,5-6"}, 206, "*", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/upload/download", "/plugins/tlim/upload/download", "/cap-aco/upload/download", "/upload/mobileFileDownload"} {
				t.Run(path, func(t *testing.T) {
					a := l.do(t, http.MethodGet, path, "fileId="+id+"&fileName=x.exe", "", test.header...)
					if a.status != test.status || test.body != "*" && a.body != test.body || test.span != "" && a.header.Get("Content-Range") != test.span {
						t.Errorf("got %d, %d bytes, range %q, want %d, body %.100q, range %q (a body * is any)", a.status, len(a.body), a.header.Get("Content-Range"), test.status, test.body, test.span)
					}
					unstored(t, name, a)
					if a.status == 200 || a.status == 206 {
						for field, want := range map[string]string{
							"Content-Disposition":         `attachment; filename="__ _1_.pdf"; filename*=UTF-8''%E6%8A%A5%E5%91%8A%20_1_.pdf`,
							"Content-Security-Policy":     "default-src 'none'; sandbox",
							"Etag":                        etag,
							"Accept-Ranges":               "bytes",
							"Last-Modified":               date,
							"Access-Control-Allow-Origin": "*",
						} {
							if got := a.header.Get(field); got != want {
								t.Errorf("got %s is %q, want %q", field, got, want)
							}
						}
					}
				})
			}
		})
	}
	if a := l.do(t, http.MethodHead, "/upload/download", "fileId="+id, ""); a.status != 200 || a.body != "" || a.header.Get("Content-Length") != "10000" || a.header.Get("ETag") != etag {
		t.Errorf(`HEAD: got %d %v, want 200 without a body, Content-Length 10000, ETag %v`, a.status, a.header, etag)
	}
	if a := l.do(t, http.MethodHead, "/upload/download", "fileId="+id, "", "Range", "bytes=0-1"); a.status != 200 || a.header.Get("Content-Length") != "10000" {
		t.Errorf("HEAD of a range: got %d %v, want 200, Content-Length 10000", a.status, a.header)
	}
	if a := l.do(t, http.MethodPost, "/upload/download", "", "fileId="+id, "Range", "bytes=1-2"); a.status != 206 || a.body != "12" {
		t.Errorf("POST: got %d %s, want 206, body 12", a.status, a.body)
	}
	empty := "fileId=" + l.put(t, "empty", "")
	for _, ranges := range []string{"", "bytes=0-", "bytes=-0", "bytes=-1"} {
		t.Run(fmt.Sprintf("%q", ranges), func(t *testing.T) {
			if a := l.do(t, http.MethodGet, "/upload/download", empty, "", "Range", ranges); a.status != 200 || a.body != "" {
				t.Errorf(`an empty file, %q: got %d %q, want 200, body ""`, ranges, a.status, a.body)
			}
		})
	}
	if a := l.do(t, http.MethodDelete, "/upload/download", "", ""); a.status != 405 {
		t.Errorf("DELETE: got %d, want 405", a.status)
	}
	if a := l.do(t, http.MethodOptions, "/cap-aco/upload/download", "", ""); a.status != 204 {
		t.Errorf("OPTIONS: got %d, want 204", a.status)
	}
	// A file that lost its bytes.
	if err := l.cfg.Files.Blobs.Remove(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+id, ""); a.status != 404 || !strings.Contains(l.log.String(), "lost its bytes") {
		t.Errorf(`without bytes: got %d %s, want 404, log with "lost its bytes"`, a.status, a.body)
	}
}

// TestActiveContent: nothing that was uploaded is ever sent as something that a browser runs.
func TestActiveContent(t *testing.T) {
	l := newFileLab(t)
	for name, test := range map[string]struct{ content, media string }{
		"a.html": {"<!DOCTYPE html><script>alert(1)</script>", "application/octet-stream"},
		"a.svg":  {`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "application/octet-stream"},
		"a.xml":  {`<?xml version="1.0"?><x/>`, "application/octet-stream"},
		"a.pdf":  {"%PDF-1.4", "application/octet-stream"},
		"a.js":   {"alert(1)", "application/octet-stream"},
		"b.gif":  {"GIF89a<script>alert(1)</script>", "image/gif"}, // with nosniff it stays a broken picture
		"c.html": {"\x89PNG\x0D\x0A\x1A\x0A", "image/png"},
		"d.png":  {"<html>", "application/octet-stream"},
		"v.AMR":  {"#!AMR\n\x00\x01", "audio/amr"},
		"w.amr":  {"<html><script>", "application/octet-stream"},
		"e.mp3":  {"ID3\x03", "audio/mpeg"},
	} {
		t.Run(name, func(t *testing.T) {
			a := l.do(t, http.MethodGet, "/upload/download", "fileId="+l.put(t, name, test.content), "")
			if a.header.Get("Content-Type") != test.media || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;") || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf(`got %v, want Content-Type %v, Content-Disposition beginning with "attachment;", X-Content-Type-Options nosniff`, a.header, test.media)
			}
		})
	}
}

func TestFileNames(t *testing.T) {
	l := newFileLab(t)
	for given, want := range map[string]string{
		"a.txt":                            "a.txt",
		"../../etc/passwd":                 "passwd",
		`C:\Windows\win.ini`:               "win.ini",
		"/":                                "file",
		"..":                               "file",
		" . ":                              "file",
		"a\x00b.txt":                       "ab.txt",
		"a\r\nSet-Cookie: x=1":             "aSet-Cookie_ x=1",
		"photo\u202egpj.exe":               "photogpj.exe",
		"\xff\xfe.txt":                     "_.txt",
		"CON|<>.txt":                       "CON___.txt",
		strings.Repeat("长", 300) + ".jpeg": strings.Repeat("长", 250) + ".jpeg",
		"x." + strings.Repeat("y", 300):    "x." + strings.Repeat("y", 253),
		"年报 😀.txt":                         "年报 😀.txt",
		"%2e%2e%2f.txt":                    "%2e%2e%2f.txt",
		`a";filename=b.exe`:                "a__filename=b.exe",
		strings.Repeat("../", 2000) + "x":  "x",
		"a\u2028b\u200f.txt":               "a\u2028b.txt",
	} {
		t.Run(fmt.Sprintf("%.60q", given), func(t *testing.T) {
			if given == `a";filename=b.exe` {
				want = "a_;filename=b.exe"
			}
			if got := fileName(given); got != want {
				t.Errorf("%q becomes %q, want %q", given, got, want)
			}
			disposition := attachment(fileName(given))
			if strings.ContainsAny(disposition, "\r\n\x00") || strings.Count(disposition, `"`) != 2 {
				t.Errorf("%q: got %q, want one line with one quoted name", given, disposition)
			}
		})
	}
	// As browsers and some clients send them: raw UTF-8 in quotes.
	id := l.put(t, "年报 😀.txt", "x")
	if row, _, err := l.store.GetFile(t.Context(), id); err != nil || row.Name != "年报 😀.txt" {
		t.Errorf(`got %q, %v stored, want "年报 😀.txt"`, row.Name, err)
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("a.txt")
	f.Add("../\u202e\x00\xff")
	f.Fuzz(func(t *testing.T, given string) {
		name := fileName(given)
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\r\n\x00\"") || !stanza.ValidXML(name) || len([]rune(name)) > 255 {
			t.Errorf("%q becomes %q, want the name of a file: no folder, no control character, at most 255 characters", given, name)
		}
		if again := fileName(name); again != name {
			t.Errorf("%q becomes %q and then %q, want the same", given, name, again)
		}
	})
}

// TestHostileDownload: no parameter reads anything but an uploaded file, and no path or URL of the host is ever opened.
func TestHostileDownload(t *testing.T) {
	l := newFileLab(t)
	id := l.put(t, "a.png", "\x89PNG\x0D\x0A\x1A\x0A")
	hostile := []string{"/etc/passwd", "../../../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/etc/passwd", "file:///etc/passwd", l.dir, l.url + "/upload/download?fileId=1",
		"http://169.254.169.254/latest/meta-data/", "gopher://127.0.0.1:1/", `\\host\share`, strings.ToUpper(id), id + "%00", id + ".png", id[:31], id[:2] + "/" + id, "incoming/" + id,
		"' OR 1=1 --", "%", strings.Repeat("x", 100_000), "\xff", "{}", "[]", "*", id + "," + id, "/upload/download?fileId=../../etc/passwd"}
	for _, value := range hostile {
		t.Run(fmt.Sprintf("%.40q", value), func(t *testing.T) {
			value = strings.ReplaceAll(value, " ", "%20")
			for _, target := range []string{"upload/download?fileId=", "upload/mobileFileDownload?fileId=", "uploader/loadImg?pic=", "upload/download?fileId=&fileName="} {
				t.Run(target, func(t *testing.T) {
					path, name, _ := strings.Cut(target, "?")
					a := l.do(t, http.MethodGet, "/"+path, name+value, "")
					if v := a.object(t); a.status != 404 && a.status != 400 || v["result"] != "fail" || strings.Contains(a.body, "root:") {
						t.Errorf("%s%.40s: got %d %.200s, want 404 or 400, fail, nothing of a file", target, value, a.status, a.body)
					}
				})
			}
		})
	}
	// What is served to a picture's address.
	for pic, want := range map[string]int{
		id: 200,
		"%2Fupload%2Fdownload%3FfileId%3D" + id + "%26fileName%3Da.png": 200,
		"https://elsewhere/upload/download?fileId=" + id:                200, // ours by its id; elsewhere is never asked
		l.put(t, "a.html", "<html>"):                                    404,
		blob.NewID():                                                    404,
		"":                                                              400,
	} {
		t.Run(pic, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, "/cap-aco/uploader/loadImg", "pic="+pic, ""); a.status != want {
				t.Errorf("pic=%s: got %d %s, want %d", pic, a.status, a.body, want)
			}
		})
	}
	for _, path := range []string{"/upload/../../etc/passwd", "/upload/download/../../../etc/passwd", "/files/" + id, "/" + id[:2] + "/" + id, "//etc/passwd"} {
		t.Run(path, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, path, "", ""); a.status != 404 {
				t.Errorf("got %d, want 404", a.status)
			}
		})
	}
}

func TestFallback(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.FallbackURL = "http://old.test/cap-aco/" })
	for from, want := range map[string]string{
		"upload/download?fileId=4711&fileName=%E5%B9%B4.txt&access_token=" + adminKey: "http://old.test/cap-aco/upload/download?fileId=4711&fileName=%E5%B9%B4.txt",
		"upload/download?fileId=" + strings.Repeat("0", 32):                           "http://old.test/cap-aco/upload/download?fileId=" + strings.Repeat("0", 32),
		"upload/mobileFileDownload?fileId=4711&x=y":                                   "http://old.test/cap-aco/upload/download?fileId=4711",
		"uploader/loadImg?pic=/a/b.png":                                               "http://old.test/cap-aco/uploader/loadImg?pic=%2Fa%2Fb.png",
		"upload/download?fileId=x%0d%0aSet-Cookie:%20a=b":                             "http://old.test/cap-aco/upload/download?fileId=x%0D%0ASet-Cookie%3A+a%3Db",
	} {
		t.Run(fmt.Sprintf("%.60q", from), func(t *testing.T) {
			path, query, _ := strings.Cut(from, "?")
			a := l.do(t, http.MethodGet, "/cap-aco/"+path, query, "")
			if a.status != 302 || a.header.Get("Location") != want {
				t.Errorf("%s: got %d to %q, want 302 to %q", from, a.status, a.header.Get("Location"), want)
			}
			unstored(t, from, a)
		})
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+strings.Repeat("x", 2000), ""); a.status != 404 {
		t.Errorf("an endless id: got %d, want 404", a.status)
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+l.put(t, "a", "ours"), ""); a.status != 200 || a.body != "ours" {
		t.Errorf("one of ours: got %d %s, want 200, body ours", a.status, a.body)
	}
}

// TestFileRights is the table of who may upload and read.
func TestFileRights(t *testing.T) {
	upload := func(l *fileLab, header ...string) int {
		text, media := body(t, uploader, part{"mFile", "a", "x"})
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForUrl", "", text, append([]string{"Content-Type", media}, header...)...).status
	}
	admin, business := []string{"Authorization", "Bearer " + adminKey}, []string{"Authorization", "Bearer " + businessKey}
	foreign := []string{"Origin", "https://evil.test", "Sec-Fetch-Site", "cross-site"}
	for _, test := range []struct {
		mode   Anonymous
		strict bool
		caller string
		header []string
		upload int
		read   int
	}{
		{AnonymousNone, false, "nobody", nil, 401, 200},
		{AnonymousNone, false, "admin", admin, 200, 200},
		{AnonymousNone, false, "business", business, 403, 200},
		{AnonymousClients, false, "nobody", nil, 200, 200},
		{AnonymousClients, false, "another site", foreign, 403, 200},
		{AnonymousAll, false, "nobody", nil, 200, 200},
		{AnonymousNone, true, "nobody", nil, 401, 401},
		{AnonymousNone, true, "admin", admin, 200, 200},
		{AnonymousNone, true, "business", business, 403, 403},
		{AnonymousClients, true, "nobody", nil, 200, 401},
		{AnonymousAll, true, "nobody", nil, 200, 200},
	} {
		t.Run(fmt.Sprintf("%s, strict %v, by %s", test.mode, test.strict, test.caller), func(t *testing.T) {
			l := newFileLab(t, func(c *Config) { c.AllowAnonymous, c.Files.Strict = test.mode, test.strict })
			id := l.put(t, "a", "x")
			if got := upload(l, test.header...); got != test.upload {
				t.Errorf("%s uploads (%s, strict %v): %d, want %d", test.caller, test.mode, test.strict, got, test.upload)
			}
			if got := l.do(t, http.MethodGet, "/upload/download", "fileId="+id, "", test.header...).status; got != test.read {
				t.Errorf("%s reads (%s, strict %v): %d, want %d", test.caller, test.mode, test.strict, got, test.read)
			}
			// To who may not read, a file that is there looks like one that is not.
			absent := l.do(t, http.MethodGet, "/upload/download", "fileId="+blob.NewID(), "", test.header...)
			if there := l.do(t, http.MethodGet, "/upload/download", "fileId="+id, "", test.header...); there.status != 200 && there.body != absent.body {
				t.Errorf("%s sees whether a file is there: got %s, want %s", test.caller, there.body, absent.body)
			}
		})
	}
}

// TestFilesOfUsers: with tokens a user uploads as nobody else, and with files.access strict reads what was sent to it.
func TestFilesOfUsers(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Strict = true })
	as := func(user string) []string { return []string{"Authorization", "Bearer " + l.token(t, user)} }
	upload := func(user string, parts ...part) answer {
		text, media := body(t, append(parts, part{"mFile", "a.png", "\x89PNG\x0D\x0A\x1A\x0A"})...)
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, append([]string{"Content-Type", media}, as(user)...)...)
	}
	if a := upload("lisi", uploader); a.status != 403 || a.object(t)["result"] != "error-011" {
		t.Errorf("in another's name: got %d %s, want 403, error-011", a.status, a.body)
	}
	if left := l.left(t); len(left) != 0 {
		t.Errorf("left behind: got %q, want none", left)
	}
	named, own := upload("zhangsan", uploader), upload("zhangsan") // the token says who it is
	if named.status != 200 || own.status != 200 {
		t.Fatalf("got %d %s and %d %s, want 200 twice", named.status, named.body, own.status, own.body)
	}
	for _, id := range []string{named.body, own.body} {
		if row, _, err := l.store.GetFile(t.Context(), id); err != nil || row.Owner != "zhangsan" {
			t.Errorf("got the uploader %q, %v, want zhangsan", row.Owner, err)
		}
	}
	pic := "/uploader/loadImg?pic=" + own.body
	apply(t, l.store, []store.Change{
		{Message: &store.Message{ID: "row-f1", MsgID: "f1", Type: "MTT-001", From: "zhangsan", To: "lisi", SessionID: "zhangsan", Time: "1600000000001"},
			FileUses: []store.FileUse{{FileID: named.body, MsgID: "f1"}}},
		{EditGroups: []store.GroupEdit{{ID: "g1", Pic: &pic}}},
	})
	for user, want := range map[string]struct{ file, picture int }{"zhangsan": {200, 200}, "lisi": {200, 200}, "wangwu": {404, 404}} {
		t.Run(user, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+named.body, "", as(user)...); a.status != want.file {
				t.Errorf("%s reads the file: got %d %s, want %d", user, a.status, a.body, want.file)
			}
			if a := l.do(t, http.MethodGet, "/uploader/loadImg", "pic="+own.body, "", as(user)...); a.status != want.picture {
				t.Errorf("%s sees the group's picture: got %d %s, want %d", user, a.status, a.body, want.picture)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+own.body, "", as("lisi")...); a.status != 404 {
		t.Errorf("a group's picture as a file: got %d, want 404", a.status)
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+named.body+"&access_token="+l.token(t, "lisi"), ""); a.status != 200 {
		t.Errorf("a token in the link: got %d %s, want 200", a.status, a.body)
	}
}

// TestPicturesOpenNothing: a group with the uploader in it, which anybody can make, and an id that was passed on do not make their
// file its picture.
func TestPicturesOpenNothing(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Strict = true })
	id := l.put(t, "a.png", "\x89PNG\x0D\x0A\x1A\x0A") // zhangsan's
	apply(t, l.store, []store.Change{{Groups: []store.Group{{ID: "trap", Owner: "mallory"}}, Members: []store.Member{{SessionID: "trap", UserID: "zhangsan"}, {SessionID: "trap", UserID: "mallory"}}}})
	set := func(user, pic string) answer {
		t.Helper()
		return l.do(t, http.MethodPost, "updateSessionPic", "", "session_id=trap&session_pic="+url.QueryEscape(pic), "Authorization", "Bearer "+l.token(t, user))
	}
	for _, pic := range []string{id, "/upload/download?fileId=" + id + "&fileName=a.png", "/uploader/loadImg?pic=" + id, blob.NewID() + " " + id} {
		t.Run(pic, func(t *testing.T) {
			if a := set("mallory", pic); a.status != 403 || a.object(t)["result"] != "error-011" {
				t.Errorf("mallory shows %s: got %d %s, want 403, error-011", pic, a.status, a.body)
			}
		})
	}
	if calls := l.svc.taken(); len(calls) != 0 {
		t.Errorf("it was done: got %q, want none", calls)
	}
	for user, pic := range map[string]string{"mallory": "/old/" + blob.NewID() + ".png", "zhangsan": "/upload/download?fileId=" + id} {
		t.Run(user, func(t *testing.T) {
			if a := set(user, pic); a.status != 200 {
				t.Errorf("%s shows %s: got %d %s, want 200", user, pic, a.status, a.body)
			}
		})
	}
	// What is inside a longer run is no id, on either side.
	pic := "0" + id
	apply(t, l.store, []store.Change{{EditGroups: []store.GroupEdit{{ID: "trap", Pic: &pic}}}})
	if a := l.do(t, http.MethodGet, "/uploader/loadImg", "pic="+id, "", "Authorization", "Bearer "+l.token(t, "mallory")); a.status != 404 {
		t.Errorf("mallory sees it: got %d, want 404", a.status)
	}
}

// TestMayRead: the uploader, who was sent it, the members of the group that it was sent to, and on from there; nobody else, in
// particular nobody to whom a stranger sent the bare id.
func TestMayRead(t *testing.T) {
	s := emptyStore(t)
	f := store.File{ID: blob.NewID(), Owner: "zhangsan", Time: "1600000000000"}
	l := newLabOver(t, s, func(c *Config) { c.Files.Rows = s })
	n := 0
	naming := func(kind, from, to string) store.Change {
		n++
		id, session := fmt.Sprint("m", n), from
		if strings.HasPrefix(kind, "MTS-") {
			session = to
		}
		return store.Change{Message: &store.Message{ID: "row-" + id, MsgID: id, Type: kind, From: from, To: to, SessionID: session, Time: fmt.Sprint(1600000000000 + n)},
			FileUses: []store.FileUse{{FileID: f.ID, MsgID: id}}}
	}
	members := func(group string, users ...string) store.Change {
		c := store.Change{Groups: []store.Group{{ID: group, Owner: users[0], CreateTime: "1", Pic: "/uploader/loadImg?pic=" + f.ID}}}
		for _, u := range users {
			c.Members = append(c.Members, store.Member{SessionID: group, UserID: u, Since: "1"})
		}
		return c
	}
	apply(t, s, []store.Change{
		members("g1", "zhangsan", "wangwu"), members("g2", "wangwu", "zhaoliu"), members("g3", "mallory", "eve"),
		naming("MTT-001", "mallory", "eve"), // knows the id, may not read: opens nothing
		naming("MTS-001", "mallory", "g3"),
		naming("MTT-001", "early", "bird"), // before it could read
		naming("MTT-001", "zhangsan", "lisi"),
		naming("MTT-002", "lisi", "qianqi"), // passed on
		naming("MTS-001", "zhangsan", "g1"),
		naming("MTS-002", "wangwu", "g2"),
		naming("MTT-001", "zhaoliu", "sunba"),
		naming("MTT-001", "zhangsan", "early"),
		naming("MTB-100", "admin", "zhoujiu"),
		naming("MTB-MTT", "mallory", "eve"), // types that once made a notice of a chat message, or a group's of one
		naming("MTB-000", "mallory", "eve"),
		naming("MTS-000MTT", "mallory", "eve"),
		naming("xMTB-000", "mallory", "eve"),
	})
	for user, want := range map[string]bool{"zhangsan": true, "lisi": true, "qianqi": true, "wangwu": true, "zhaoliu": true, "sunba": true, "zhoujiu": true, "early": true,
		"bird": false, "eve": false, "mallory": false, "stranger": false, "": false, "g1": false, "admin": false} {
		t.Run(fmt.Sprintf("%q", user), func(t *testing.T) {
			got, err := l.mayRead(t.Context(), user, f)
			if err != nil || got != want {
				t.Errorf("%q may read: got %v, %v, want %v, no error", user, got, err, want)
			}
		})
	}
	orphan := f
	orphan.Owner = ""
	if got, err := l.mayRead(t.Context(), "", orphan); err != nil || got {
		t.Errorf("nobody reads nobody's file: got %v, %v, want false, no error", got, err)
	}
	for user, want := range map[string]bool{"wangwu": true, "zhaoliu": false, "eve": false} {
		t.Run("a picture for "+user, func(t *testing.T) {
			if got, err := l.showsPicture(t.Context(), user, f); err != nil || got != want {
				t.Errorf("%q sees it as a group's picture: got %v, %v, want %v, no error", user, got, err, want)
			}
		})
	}
}

// TestTransfersAreApart: file transfers are bounded, and take nothing from the short calls.
func TestTransfersAreApart(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Transfers, c.Limits.Inflight = 2, 1 })
	big := l.put(t, "big", strings.Repeat("x", 32<<20)) // more than both ends of a connection buffer
	var held []io.Closer
	for range 2 {
		conn := dial(t, l.lab)
		fmt.Fprintf(conn, "GET /upload/download?fileId=%s HTTP/1.1\r\nHost: x\r\n\r\n", big)
		if _, err := conn.Read(make([]byte, 100)); err != nil { // it has its slot
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+big, ""); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("a third transfer: got %d, want 503, a Retry-After", a.status)
	}
	if a := l.upload(t, "/mobileHttpController/uploadForUrl", "", uploader, part{"mFile", "a", "x"}); a.status != 503 {
		t.Errorf("a third transfer, up: got %d %s, want 503", a.status, a.body)
	}
	if a := l.get(t, "findSessions", "user_id=x"); a.status != 200 {
		t.Errorf("a short call: got %d, want 200", a.status)
	}
	for range len(l.over) {
		<-l.over
	}
	for _, c := range held {
		c.Close()
		wait(t, l.over)
	}
	if a := l.do(t, http.MethodHead, "/upload/download", "fileId="+big, ""); a.status != 200 {
		t.Errorf("afterwards: got %d, want 200", a.status)
	}
}

// TestStrangersHoldNothing: whoever has not said who they are has no file transfer, and soon no connection.
func TestStrangersHoldNothing(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Transfers, c.Limits.BodyTime = 1, 200*time.Millisecond })
	const path = "/mobileHttpController/uploadForUrl"
	head := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
	status := func(conn net.Conn) int {
		resp, err := http.ReadResponse(newReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}

	slow := dial(t, l.lab)
	fmt.Fprintf(slow, "%s--b\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\nzhang", head)
	if got := status(slow); got != 400 {
		t.Errorf("one that says no more: got %d, want 400", got)
	}
	long := dial(t, l.lab)
	fmt.Fprintf(long, "%s%s", head, strings.Repeat("before the first part\r\n", 10_000))
	if got := status(long); got != 401 {
		t.Errorf("one that goes on without a credential: got %d, want 401", got)
	}

	nameless, media := body(t, uploader, part{"mFile", "a", "x"})
	giveBack := fill(l.transfers)
	if a := l.do(t, http.MethodPost, path, "", nameless, "Content-Type", media); a.status != 401 {
		t.Errorf("a stranger while all transfers are taken: got %d %s, want 401", a.status, a.body)
	}
	giveBack()
	giveBack = fill(l.bodies)
	text, media := body(t, uploader, part{"access_token", "", adminKey}, part{"mFile", "a", "x"})
	if a := l.do(t, http.MethodPost, path, "", text, "Content-Type", media); a.status != 503 {
		t.Errorf("one stranger too many: got %d %s, want 503", a.status, a.body)
	}
	giveBack()
	for range maxBodies + 1 { // each gives its slots back
		if a := l.do(t, http.MethodPost, path, "", text, "Content-Type", media); a.status != 200 {
			t.Fatalf("a stranger who says who they are: got %d %s, want 200", a.status, a.body)
		}
	}
}

func TestFilesConfig(t *testing.T) {
	for _, bad := range []Files{{Prefixes: []string{"cap-aco"}}, {Prefixes: []string{"/x/"}}, {Prefixes: []string{"/{id}"}}, {Prefixes: []string{"/*"}}, {FallbackURL: "javascript:alert(1)"}, {FallbackURL: "/x"}, {BaseURL: "http://x?y"}} {
		t.Run(fmt.Sprintf("%+v", bad), func(t *testing.T) {
			if _, err := bad.withDefaults(); err == nil {
				t.Errorf("%+v is taken, want it refused", bad)
			}
		})
	}
	f, err := Files{Prefixes: []string{"/a", "/a/b-c"}, FallbackURL: "http://x/y", BaseURL: "https://x"}.withDefaults()
	if err != nil || f.MaxSize != 100<<20 || !slices.Equal(f.Prefixes, []string{"/a", "/a/b-c"}) {
		t.Errorf(`got %+v, %v, want at most %v bytes, and the prefixes ["/a" "/a/b-c"]`, f, err, 100<<20)
	}
}
