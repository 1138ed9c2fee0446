package httpapi

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"tlim/component/protocol"
	"tlim/httpapi/picture"
	"tlim/store"
)

// Small pictures are made one at a time, whoever asks, because one takes up to picture.MaxMemory; those that were made lately are
// kept. They come in a few sizes, so that pages that ask for nearly the same share one.
const (
	minThumbnail      = 64   // pixels of the longer side; each size is twice the one before
	maxThumbnail      = 1024 // the largest
	thumbnailTime     = 10 * time.Second
	thumbnailWeight   = 10        // against limits.per_user_http, of one that is made
	maxKeptThumbnails = 256       // that are kept
	maxKept           = 128 << 10 // bytes of one that is
	maxKeptFailures   = 4096      // files that are remembered because they cannot be made small: a page asks each time it shows them
)

// thumbnail is a small picture.
type thumbnail struct {
	content []byte
	media   string
}

// thumbnailKey is whose.
type thumbnailKey struct {
	id   string
	size int
}

// size is the parameter of that name, as one of the sizes that there are; 0 when it is absent.
func (r *request) size() int {
	wanted := r.first("size")
	if wanted == "" {
		return 0
	}
	n, err := strconv.ParseUint(wanted, 10, 31)
	if err != nil || n == 0 || n > maxThumbnail {
		r.refuse(badRequest(textBadSize, maxThumbnail))
		return 0
	}
	size := minThumbnail
	for uint64(size) < n {
		size *= 2
	}
	return size
}

// openSmall answers the file as a small picture where it is a picture that we can make small, else as it is.
func (a *API) openSmall(ctx context.Context, r *request, f store.File, size int) (any, error) {
	if size == 0 || !picture.Decodes(f.Type) {
		return a.open(r, f)
	}
	key := thumbnailKey{f.ID, size}
	t, ok := a.thumbnails.Get(key)
	if !ok {
		if a.unshrunk.Contains(f.ID) {
			return nil, noThumbnail()
		}
		r.charge(thumbnailWeight)
		var err error
		if t, err = a.shrink(ctx, r, f, size); err != nil {
			return nil, err
		}
		if len(t.content) <= maxKept {
			a.thumbnails.Add(key, t)
		}
	}
	return &thumbnailAnswer{request: r.http, file: f, size: size, thumbnail: t}, nil
}

func (a *API) shrink(ctx context.Context, r *request, f store.File, size int) (thumbnail, error) {
	if err := a.transfer(r); err != nil {
		return thumbnail{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, thumbnailTime)
	defer cancel()
	select {
	case a.shrinking <- struct{}{}:
		defer func() { <-a.shrinking }()
	case <-ctx.Done():
		return thumbnail{}, unavailable()
	}
	content, err := a.blob(ctx, f)
	if err != nil {
		return thumbnail{}, err
	}
	defer content.Close()
	small, media, err := picture.Thumbnail(ctx, content, f.Type, size)
	switch {
	case errors.Is(err, picture.ErrTooLarge), errors.Is(err, picture.ErrBroken) && ctx.Err() == nil:
		a.log.Debug("no small picture", "file", f.ID, "error", err)
		a.unshrunk.Add(f.ID, struct{}{})
		return thumbnail{}, noThumbnail()
	case ctx.Err() != nil:
		return thumbnail{}, unavailable()
	}
	return thumbnail{small, media}, err
}

func noThumbnail() error {
	return &failure{status: http.StatusUnsupportedMediaType, result: protocol.TooLarge, text: textNoThumbnail}
}

// thumbnailAnswer is a small picture as an answer.
type thumbnailAnswer struct {
	request *http.Request
	file    store.File
	size    int
	thumbnail
}

// write sends it whole: nobody needs a part of so little.
func (t *thumbnailAnswer) write(o *responder) error {
	o.api.fileHeaders(o.w.Header(), t.file, t.media)
	o.w.Header().Set("ETag", `"`+t.file.Digest+"-"+strconv.Itoa(t.size)+`"`)
	plain := *t.request
	if plain.Method == http.MethodPost {
		plain.Method = http.MethodGet
	}
	plain.Header = plain.Header.Clone()
	plain.Header.Del("Range")
	w := &fileWriter{responder: o}
	http.ServeContent(w, &plain, "", time.Time{}, bytes.NewReader(t.content))
	o.api.metrics.fileBytes.WithLabelValues("down").Add(float64(w.sent))
	return nil
}

// The sentences about small pictures.
var (
	textBadSize     = text{"参数 size 应为 1 至 %d", "parameter size is not between 1 and %d"}
	textNoThumbnail = text{"无法为此图片生成缩略图：像素过多或已损坏", "no small picture can be made of this one: it has too many pixels, or is broken"}
)
