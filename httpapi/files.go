package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"tlim/store"
)

// Files is the section files of the configuration, and what stands behind it.
type Files struct {
	Blobs Blobs    // where the bytes are; nil: no file transfer, its paths are 404
	Rows  FileRows // what is known of each file

	Prefixes    []string // paths like /cap-aco, under which the files' paths are served as well
	Strict      bool     // only who uploaded a file, or was sent it, may read it; else whoever holds its link
	FallbackURL string   // where ids that we do not have are redirected: path and ids are appended; "" is 404
	BaseURL     string   // put before answered links; "" leaves them relative
	MaxSize     int64    // bytes of one file; 0 is 100 MiB
	Quota       int64    // bytes of all files of one owner; 0 is no quota. Uploads by keys are not refused by it
	// MinFree is how many bytes have to stay free on the disks that Free speaks of, which answers the least of them; 0 is not looked at.
	MinFree   int64
	Free      func() (int64, error)
	Transfers int // uploads and downloads at once; 503 beyond. 0 is 256
}

// Blobs keeps bytes by id (store/blob says what it guarantees). Put's error is that of r when r failed; a Put that fails
// leaves nothing. Open asks whether size bytes are there.
type Blobs interface {
	Put(ctx context.Context, id string, r io.Reader) (int64, error)
	Open(ctx context.Context, id string, size int64) (io.ReadSeekCloser, error)
	Remove(ctx context.Context, id string) error
}

// FileRows are the rows of files, and what says who may read them.
type FileRows interface {
	AddFile(ctx context.Context, f store.File) error
	GetFile(ctx context.Context, id string) (store.File, bool, error)
	FileMessages(ctx context.Context, id string, limit int) ([]store.Message, error)
	// StoredBytes is the size of all files of an owner.
	StoredBytes(ctx context.Context, owner string) (int64, error)
}

// DefaultTransfers is the default of [Files].Transfers.
const DefaultTransfers = 256

const defaultFileSize = 100 << 20 // of MaxSize

var filePrefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// ValidPrefix says whether p can be one of [Files].Prefixes: a path like /cap-aco, without the steps . and .., which no
// request path that is served has.
func ValidPrefix(p string) bool { return filePrefix.MatchString(p) }

// withDefaults fills in what is empty and says everything that is wrong.
func (f Files) withDefaults() (Files, error) {
	if f.MaxSize == 0 {
		f.MaxSize = defaultFileSize
	}
	if f.Transfers == 0 {
		f.Transfers = DefaultTransfers
	}
	var errs []error
	if f.MinFree > 0 && f.Free == nil {
		errs = append(errs, errors.New("files.min_free: nothing says what is free"))
	}
	for _, p := range f.Prefixes {
		if !ValidPrefix(p) {
			errs = append(errs, fmt.Errorf("files.prefixes: %q is no path like /cap-aco", p))
		}
	}
	for name, link := range map[string]string{"files.fallback_url": f.FallbackURL, "http.base_url": f.BaseURL} {
		u, err := url.Parse(link)
		if link != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
			errs = append(errs, fmt.Errorf("%s: is not http(s)://host/path", name))
		}
	}
	f.BaseURL = strings.TrimSuffix(f.BaseURL, "/")
	return f, errors.Join(errs...)
}

// fileRoute is one path of the files: an upload has an answer, a download has none.
type fileRoute struct {
	route
	answer func(a *API, f store.File) any
}

// fileRoutes is the table of the files' paths: those of HTTP.md and the two of document 1.3. Uploading always needs a
// caller. So does reading, where files.access is strict; what a known caller may read is then asked for each file.
func (a *API) fileRoutes() []fileRoute {
	readers := byAnybody
	if a.cfg.Files.Strict {
		readers = byClients
	}
	return []fileRoute{
		{route{"mobileHttpController/uploadForUrl", byClients, writes, nil, nil}, func(a *API, f store.File) any { return plain(a.link(f)) }},
		{route{"mobileHttpController/uploadForJsonUrl", byClients, writes, nil, nil}, func(a *API, f store.File) any { return bare{map[string]string{"url": a.link(f)}} }},
		{route{"mobileHttpController/uploadForFileId", byClients, writes, nil, nil}, func(_ *API, f store.File) any { return plain(f.ID) }},
		{route{"mobileHttpController/uploadForJsonFileId", byClients, writes, nil, nil}, func(_ *API, f store.File) any { return bare{map[string]string{"fileId": f.ID}} }},
		{route{"upload/mobileFileUpload", byClients, writes, nil, nil}, func(_ *API, f store.File) any { return bare{map[string]string{"file_id": f.ID}} }},
		{route{"upload/download", readers, reads, a.download("upload/download", "fileId", "fileName"), nil}, nil},
		{route{"upload/mobileFileDownload", readers, reads, a.download("upload/download", "fileId"), nil}, nil},
		{route{"uploader/loadImg", readers, reads, a.loadImg, nil}, nil},
	}
}

// mountFiles serves the files' paths at the root, below base and below every prefix.
func (a *API) mountFiles(p paths) {
	if a.cfg.Files.Blobs == nil {
		return
	}
	for _, rt := range a.fileRoutes() {
		allow, h := "GET, HEAD, POST, OPTIONS", a.serve(&rt.route)
		handlers := map[string]http.HandlerFunc{http.MethodGet: h, http.MethodHead: h, http.MethodPost: h, http.MethodOptions: a.preflight}
		if rt.answer != nil {
			allow = "POST, OPTIONS"
			handlers = map[string]http.HandlerFunc{http.MethodPost: a.serveBy(&rt.route, a.upload(rt.answer)), http.MethodOptions: a.preflight}
		}
		other := a.refusing(&failure{status: http.StatusMethodNotAllowed, result: resultFail, text: textFileMethod, args: []any{allow}, allow: allow})
		for _, prefix := range append([]string{"", base[:len(base)-1]}, a.cfg.Files.Prefixes...) {
			p.add(prefix+"/"+rt.path, handlers, other)
		}
	}
}

// transfer takes a slot among the file transfers, which last as long as the caller's line needs, instead of the one that the
// request has.
func (a *API) transfer(r *request) error {
	slot, err := a.transfers.take(r.payer, r.payer.transfers)
	if err != nil {
		return err
	}
	r.release()
	r.release = slot
	return nil
}

// link is the address of a file as clients get it: without prefix, because they put their own before it.
func (a *API) link(f store.File) string {
	return a.cfg.Files.BaseURL + "/upload/download?fileId=" + f.ID + "&fileName=" + escapeName(f.Name)
}

// plain is an answer in text.
type plain string

func (p plain) write(o *responder) error {
	o.status = http.StatusOK
	o.w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	o.w.WriteHeader(o.status)
	if _, err := o.Write([]byte(p)); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return nil
}

// The sentences about files.
var (
	textFileMethod  = text{"此路径只支持 %s", "only %s are taken here"}
	textNoMultipart = text{"请以 multipart/form-data 上传文件", "a file is uploaded as multipart/form-data"}
	textNoFile      = text{"缺少文件 mFile", "the file mFile is missing"}
	textTwoFiles    = text{"一次只能上传一个文件", "one file at a time"}
	textBrokenFile  = text{"文件未能完整上传", "the file did not arrive whole"}
	textLargeFile   = text{"文件超过 %d 字节", "the file is larger than %d bytes"}
	textLongField   = text{"参数 %s 过长", "parameter %s is too long"}
	textNotOwn      = text{"只能以自己的身份上传", "a file is uploaded in one's own name"}
	textNoSuchFile  = text{"文件不存在或无权读取", "there is no such file, or it is not for this caller"}
)
