package httpapi

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tlim/component/protocol"
	"tlim/store"
	"tlim/store/blob"
)

// download serves a file by its id. oldPath and names are its path and parameters in the old system, for the fallback.
func (a *API) download(oldPath string, names ...string) func(context.Context, *request) (any, error) {
	return func(ctx context.Context, r *request) (any, error) {
		id := r.first("fileId")
		if id == "" {
			return nil, badRequest(textMissing, "fileId")
		}
		size := r.size()
		if r.err != nil {
			return nil, r.err
		}
		f, err := a.fileFor(ctx, r, id, "")
		if errors.Is(err, errNoFile) {
			return a.elsewhere(r, oldPath, names)
		}
		if err != nil {
			return nil, err
		}
		return a.openSmall(ctx, r, f, size)
	}
}

// loadImg serves a session picture that was uploaded here: pic is its id or the link that the upload answered. Never a path
// of this host, never a fetch from another: anything else is as unknown as an old picture.
func (a *API) loadImg(ctx context.Context, r *request) (any, error) {
	pic := r.first("pic")
	if pic == "" {
		return nil, badRequest(textMissing, "pic")
	}
	id := pic
	if _, query, ok := strings.Cut(pic, "/upload/download?"); ok {
		inner := form{}
		if inner.add(query) == nil {
			id = inner.first("fileId")
		}
	}
	size := r.size()
	if r.err != nil {
		return nil, r.err
	}
	f, err := a.fileFor(ctx, r, id, pic)
	if err == nil && !strings.HasPrefix(f.Type, "image/") {
		err = errNoFile
	}
	if errors.Is(err, errNoFile) {
		return a.elsewhere(r, "uploader/loadImg", []string{"pic"})
	}
	if err != nil {
		return nil, err
	}
	return a.openSmall(ctx, r, f, size)
}

// errNoFile says that there is no such file, or that it is not for this caller: nobody learns which.
var errNoFile = errors.New("no such file")

// open takes a transfer's slot and the bytes.
func (a *API) open(r *request, f store.File) (any, error) {
	if err := a.transfer(r); err != nil {
		return nil, err
	}
	content, err := a.blob(r.http.Context(), f) // the request's own context: the handler's ends with the handler
	if err != nil {
		return nil, err
	}
	return &fileAnswer{request: r.http, file: f, content: content}, nil
}

// blob opens the bytes of a file.
func (a *API) blob(ctx context.Context, f store.File) (io.ReadSeekCloser, error) {
	content, err := a.cfg.Files.Blobs.Open(ctx, f.ID, f.Size)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		a.log.Error("a file has lost its bytes", "file", f.ID, "error", err)
		return nil, noFile()
	case err != nil:
		a.log.Error("a file cannot be read", "file", f.ID, "error", err)
		return nil, errors.Join(protocol.ErrUnavailable, err)
	}
	return content, nil
}

func noFile() *failure {
	return &failure{status: http.StatusNotFound, result: resultFail, text: textNoSuchFile}
}

// elsewhere redirects to the old system, with the parameters that name the file and no others: a credential stays here.
func (a *API) elsewhere(r *request, path string, names []string) (any, error) {
	fallback := a.cfg.Files.FallbackURL
	if fallback == "" {
		return nil, noFile()
	}
	query := url.Values{}
	for _, name := range names {
		if v := r.first(name); v != "" {
			if len(v) > 1<<10 {
				return nil, noFile()
			}
			query.Set(name, v)
		}
	}
	return redirect(strings.TrimSuffix(fallback, "/") + "/" + path + "?" + query.Encode()), nil
}

// redirect is an answer 302.
type redirect string

func (r redirect) write(o *responder) error {
	o.status = http.StatusFound
	o.w.Header().Set("Location", string(r))
	o.w.WriteHeader(o.status)
	return nil
}

// maxRanges is how many pieces a file is sent in; who asks for more gets the whole. Each is a request of its own to an object
// store, and a head holds tens of thousands of them.
const maxRanges = 16

// fileAnswer is a file as an answer.
type fileAnswer struct {
	request *http.Request
	file    store.File
	content io.ReadSeekCloser
}

// write sends the file, or the ranges that were asked for.
func (f *fileAnswer) write(o *responder) error {
	defer f.content.Close()
	o.api.fileHeaders(o.w.Header(), f.file, f.file.Type)
	o.w.Header().Set("ETag", `"`+f.file.Digest+`"`)
	var modified time.Time
	if ms, err := strconv.ParseInt(f.file.Time, 10, 64); err == nil {
		modified = time.UnixMilli(ms)
	}
	// A download by POST has its parameters in the body; its conditions count as those of a GET do. Ranges are GET's alone.
	request := *f.request
	if request.Method == http.MethodPost {
		request.Method = http.MethodGet
	}
	rangesFor(&request, f.file.Size)
	w := &fileWriter{responder: o}
	http.ServeContent(w, &request, f.file.Name, modified, f.content)
	o.api.metrics.fileBytes.WithLabelValues("down").Add(float64(w.sent))
	return nil
}

// fileHeaders say what a file is. What pages show is kept by the browser, as an id's content never changes; not where every reader is
// looked at: who uses the browser next has other rights.
func (a *API) fileHeaders(h http.Header, f store.File, media string) {
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", attachment(f.Name))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Disposition, Content-Range, ETag")
	if media != otherMedia && !a.cfg.Files.Strict {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
}

// rangesFor makes of the ranges that a request asks for those that a file of so many bytes has; of many, and of those that a
// HEAD asks for, the whole.
func rangesFor(r *http.Request, size int64) {
	field := r.Header.Get("Range")
	if field == "" {
		return
	}
	r.Header = r.Header.Clone()
	r.Header.Del("Range")
	if r.Method != http.MethodGet || strings.Count(field, ",") >= maxRanges {
		return
	}
	if ranges := byteRanges(field, size); ranges != "" {
		r.Header.Set("Range", ranges)
	}
}

// fileWriter sends a file piece by piece, each with its own deadline: a slow reader of a long file is fine, one that stopped
// reading is not.
type fileWriter struct {
	*responder
	sent int64
}

// piece is what has to be taken within the time for it; large enough that the kernel copies from disk to line by itself.
const piece = 256 << 10

// Header is the answer's header.
func (f *fileWriter) Header() http.Header { return f.w.Header() }

// WriteHeader keeps the status for the metrics.
func (f *fileWriter) WriteHeader(status int) {
	f.status = status
	if status >= http.StatusBadRequest { // 412 and 416 are texts of net/http, which takes Cache-Control off its errors
		f.Header().Set("Content-Type", "text/plain;charset=utf-8")
		f.Header().Set("Cache-Control", "no-store")
	}
	f.w.WriteHeader(status)
}

// Write sends a piece of a multipart/byteranges answer.
func (f *fileWriter) Write(p []byte) (int, error) {
	n, err := f.responder.Write(p)
	f.sent += int64(n)
	return n, err
}

// ReadFrom hands the file to net/http, which hands it to the kernel where it can (sendfile): that sees through one
// io.LimitedReader, so there must not be two.
func (f *fileWriter) ReadFrom(src io.Reader) (int64, error) {
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	var total int64
	for limited.N > 0 {
		want := min(limited.N, piece)
		var n int64
		var err error
		f.inTime(want, func() int64 {
			n, err = io.Copy(f.w, &io.LimitedReader{R: limited.R, N: want})
			return n
		})
		total, limited.N, f.sent = total+n, limited.N-n, f.sent+n
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}
