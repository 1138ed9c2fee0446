package httpapi

import (
	"bytes"
	"context"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// countingBlobs counts the files that are opened.
type countingBlobs struct {
	Blobs
	opened atomic.Int64
}

func (c *countingBlobs) Open(ctx context.Context, id string, size int64) (io.ReadSeekCloser, error) {
	c.opened.Add(1)
	return c.Blobs.Open(ctx, id, size)
}

func TestThumbnails(t *testing.T) {
	blobs := &countingBlobs{}
	l := newFileLab(t, func(c *Config) {
		blobs.Blobs = c.Files.Blobs
		c.Files.Blobs = blobs
	})
	var photo, picture bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 600, 300)), nil); err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(&picture, image.NewNRGBA(image.Rect(0, 0, 20, 600))); err != nil {
		t.Fatal(err)
	}
	id := l.put(t, "a.jpg", photo.String())
	clear := l.put(t, "b.png", picture.String())
	const webp = "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"
	other, text := l.put(t, "c.webp", webp), l.put(t, "d.txt", "text")
	bomb := l.put(t, "e.png", "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x02\x00\x00\x00\xa6\x0a\x21\xdd")

	// Each size that is asked for, and what comes.
	for query, want := range map[string]struct {
		media         string
		width, height int
	}{
		"fileId=" + id + "&size=1": {"image/jpeg", 64, 32}, "fileId=" + id + "&size=64": {"image/jpeg", 64, 32}, "fileId=" + id + "&size=65": {"image/jpeg", 128, 64},
		"fileId=" + id + "&size=1024": {"image/jpeg", 600, 300}, "fileId=" + clear + "&size=300": {"image/png", 17, 512}, "fileId=" + id: {"image/jpeg", 600, 300},
	} {
		t.Run(query, func(t *testing.T) {
			a := l.do(t, http.MethodGet, "/upload/download", query, "")
			m, _, err := image.DecodeConfig(strings.NewReader(a.body))
			if a.status != 200 || err != nil || m.Width != want.width || m.Height != want.height || a.header.Get("Content-Type") != want.media {
				t.Errorf("got %d, %s, %d x %d, %v, want 200, %s, %d x %d", a.status, a.header.Get("Content-Type"), m.Width, m.Height, err, want.media, want.width, want.height)
			}
			for field, value := range map[string]string{"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"} {
				if got := a.header.Get(field); got != value {
					t.Errorf("%s: got %q, want %q", field, got, value)
				}
			}
			if again := l.do(t, http.MethodGet, "/upload/download", query, "", "If-None-Match", a.header.Get("ETag")); again.status != http.StatusNotModified {
				t.Errorf("asked again: got %d, want 304", again.status)
			}
		})
	}
	// What was made is kept, whoever asks and by whatever path.
	before := blobs.opened.Load()
	if a := l.do(t, http.MethodGet, "/uploader/loadImg", "pic="+id+"&size=50", ""); a.status != 200 || blobs.opened.Load() != before {
		t.Errorf("a second time: got %d, and the file was opened %d times, want 200, not at all", a.status, blobs.opened.Load()-before)
	}
	// Nor is it tried again with what could not be made small, in whatever size.
	for i, size := range []string{"64", "64", "512"} {
		a := l.do(t, http.MethodGet, "/upload/download", "fileId="+bomb+"&size="+size, "")
		if i == 0 {
			before = blobs.opened.Load()
		}
		if opened := blobs.opened.Load() - before; a.status != 415 || opened != 0 {
			t.Errorf("the bomb, call %d: got %d, and the file was opened %d times since the first, want 415, not at all", i+1, a.status, opened)
		}
	}
	// What cannot be made small comes as it is, or not at all.
	for name, c := range map[string]struct {
		query  string
		status int
		body   string
	}{
		"another format":   {"fileId=" + other + "&size=64", 200, webp},
		"no picture":       {"fileId=" + text + "&size=64", 200, "text"},
		"a bomb":           {"fileId=" + bomb + "&size=64", 415, ""},
		"the bomb itself":  {"fileId=" + bomb, 200, ""},
		"size 0":           {"fileId=" + id + "&size=0", 400, ""},
		"too large a size": {"fileId=" + id + "&size=1025", 400, ""},
		"no number":        {"fileId=" + id + "&size=-1", 400, ""},
		"no file":          {"fileId=" + strings.Repeat("0", 32) + "&size=64", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := l.do(t, http.MethodGet, "/upload/download", c.query, "")
			if a.status != c.status || c.body != "" && a.body != c.body {
				t.Errorf("got %d %q, want %d %q", a.status, a.body, c.status, c.body)
			}
			if a.status >= 400 && a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control of a failure: got %q, want no-store", a.header.Get("Cache-Control"))
			}
			if a.status == 415 && a.object(t)["result"] != "error-012" {
				t.Errorf("got %s, want error-012", a.body)
			}
		})
	}
	if a := l.do(t, http.MethodGet, "/upload/download", "fileId="+text, ""); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a text: got %q, want no-store", a.header.Get("Cache-Control"))
	}
}

// Where each reader is looked at, the browser keeps nothing for the next one, and what was made for one is not for another.
func TestThumbnailsAreForWhoMayRead(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Strict = true })
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewRGBA(image.Rect(0, 0, 600, 300)), nil); err != nil {
		t.Fatal(err)
	}
	id := l.put(t, "a.jpg", photo.String())
	query := "fileId=" + id + "&size=64"
	a := l.do(t, http.MethodGet, "/upload/download", query, "", "Authorization", "Bearer "+adminKey)
	if a.status != 200 || a.header.Get("Cache-Control") != "no-store" || len(a.body) > photo.Len() {
		t.Errorf("got %d, %q, %d bytes, want 200, no-store, a small one", a.status, a.header.Get("Cache-Control"), len(a.body))
	}
	for name, header := range map[string][]string{"nobody known": nil, "another user": {"Authorization", "Bearer " + l.token(t, "wangwu")}} {
		t.Run(name, func(t *testing.T) {
			if a := l.do(t, http.MethodGet, "/upload/download", query, "", header...); a.status != 401 && a.status != 404 {
				t.Errorf("%s: got %d, want it refused", name, a.status)
			}
		})
	}
}
