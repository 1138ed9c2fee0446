package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// policy lets a page load its own files and call this host, and nothing else. Pictures and sound that somebody sent are
// shown from this host, or from the page's own memory while they are uploaded.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; " +
	"img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A file below assets has the hash of its content in its name: what has this name never changes.
const (
	hashed       = "assets/"
	cacheForever = "public, max-age=31536000, immutable"
	cacheAsk     = "no-cache" // keep it, and ask each time whether it is still this one
)

// index is the file that is served for the page itself.
const index = "index.html"

// minZipped is the size below which zipping saves no packet.
const minZipped = 1 << 10

// File is one file of a page, as it is served.
type File struct {
	Name string // below the page; "" is the page itself

	content []byte
	media   string
	cache   string
	etag    string
	zipped  func() []byte // nil: nothing is saved by it
}

// Page returns the files of the page in folder name of built, of which the page itself is always one: it says what is missing
// where nothing was built. root is the way from the page to where tlim is: "", or "../" for a page in a folder.
func Page(built fs.FS, name, root string) ([]*File, error) {
	page, err := fs.Sub(built, name)
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	if _, err := fs.Stat(page, index); errors.Is(err, fs.ErrNotExist) {
		return []*File{newFile(index, []byte(strings.ReplaceAll(notBuilt, docs, root+docs)))}, nil
	}
	var files []*File
	err = fs.WalkDir(page, ".", func(name string, entry fs.DirEntry, err error) error {
		hidden := name != "." && strings.HasPrefix(path.Base(name), ".") // the bundler's own
		switch {
		case err == nil && hidden && entry.IsDir():
			return fs.SkipDir
		case err != nil || hidden || entry.IsDir():
			return err
		}
		content, err := fs.ReadFile(page, name)
		if err != nil {
			return err
		}
		files = append(files, newFile(name, content))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	return files, nil
}

// docs is where the document of the API is.
const docs = "plugins/tlim/docs"

// notBuilt is the page of a binary without pages.
const notBuilt = `<!DOCTYPE html>
<html lang="zh"><head><meta charset="utf-8"><title>tlim</title></head><body>
<h1>tlim</h1>
<p lang="zh">此程序编译时没有包含网页。请用 scripts/build 重新编译（需要 Node.js）；其他功能不受影响，接口文档在 <a href="plugins/tlim/docs">plugins/tlim/docs</a>。</p>
<p lang="en">This binary was built without its pages. Build it with scripts/build (which needs Node.js); everything else works, and the API is documented at <a href="plugins/tlim/docs">plugins/tlim/docs</a>.</p>
</body></html>
`

func newFile(name string, content []byte) *File {
	sum := sha256.Sum256(content)
	f := &File{Name: name, content: content, media: mediaOf(name), cache: cacheAsk, etag: base64.RawURLEncoding.EncodeToString(sum[:12])}
	if strings.HasPrefix(name, hashed) {
		f.cache = cacheForever
	}
	if name == index {
		f.Name = ""
	}
	if len(content) >= minZipped && zips(f.media) {
		f.zipped = sync.OnceValue(func() []byte { return zip(content) })
	}
	return f
}

// medias are those of the files that a build writes, whatever the machine's own table says.
var medias = map[string]string{
	".html": "text/html;charset=utf-8", ".js": "text/javascript;charset=utf-8", ".css": "text/css;charset=utf-8", ".json": "application/json;charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp", ".woff2": "font/woff2", ".txt": "text/plain;charset=utf-8",
	".webmanifest": "application/manifest+json", ".mp3": "audio/mpeg", ".map": "application/json;charset=utf-8",
}

func mediaOf(name string) string {
	ending := path.Ext(name)
	if media, ok := medias[ending]; ok {
		return media
	}
	if media := mime.TypeByExtension(ending); media != "" {
		return media
	}
	return "application/octet-stream"
}

// zips says whether a media type is text that gets smaller.
func zips(media string) bool {
	return strings.HasPrefix(media, "text/") || strings.HasPrefix(media, "application/json") || strings.HasPrefix(media, "application/manifest") || media == "image/svg+xml"
}

// zip makes it small; nothing fails in memory.
func zip(content []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // the level is one that there is, and a buffer takes all
	}
	return out.Bytes()
}

// ServeHTTP answers GET and HEAD.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("Cache-Control", f.cache)
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	content, etag := f.content, f.etag
	if f.zipped != nil {
		h.Set("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Values("Accept-Encoding")) {
			content, etag = f.zipped(), f.etag+"-gzip"
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", strconv.Quote(etag))
	plain := *r
	plain.Header = r.Header.Clone()
	plain.Header.Del("Range") // nobody needs a part of these
	http.ServeContent(w, &plain, "", time.Time{}, bytes.NewReader(content))
}

// takesGzip says whether a client reads gzip (RFC 9110, 12.5.3).
func takesGzip(fields []string) bool {
	for coding := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if name = strings.ToLower(name); name != "gzip" && name != "*" {
			continue
		}
		quality, found := strings.CutPrefix(strings.ToLower(weight), "q=")
		if number, err := strconv.ParseFloat(quality, 64); !found || err == nil && number > 0 {
			return true
		}
	}
	return false
}
