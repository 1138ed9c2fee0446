package httpapi

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"tlim/component/pause"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
	"tlim/store/blob"
)

const (
	maxUploadParts = 32       // parts of one upload; shipped clients send two
	maxUploadField = 4 << 10  // bytes of a field; an id has 64 characters, a token some hundreds
	maxUploadSlack = 64 << 10 // bytes of a body that are not the file

	bodyBuffer = 64 << 10

	// maxUnknownBytes is what a caller may send within Limits.BodyTime before it is known who that is.
	maxUnknownBytes = 64 << 10
)

// upload is the way of an upload, instead of [API.call]: its body is not a form in memory but a file on its way to the disk.
func (a *API) upload(answer func(*API, store.File) any) func(http.ResponseWriter, *http.Request, *route, *request) (any, error) {
	return func(w http.ResponseWriter, r *http.Request, rt *route, req *request) (any, error) {
		u := &uploading{a: a, w: w, r: r, rt: rt, req: req}
		f, err := u.run()
		if err != nil {
			if refused := failureOf(err); refused.status == http.StatusOK {
				// Three of these endpoints answer in text: a client would take the JSON of a failure for a link.
				as400 := *refused
				as400.status = http.StatusBadRequest
				err = &as400
			}
			return nil, err
		}
		return answer(a, f), nil
	}
}

// uploading is one upload under way.
type uploading struct {
	a      *API
	w      http.ResponseWriter
	r      *http.Request
	rt     *route
	req    *request
	secret string // the credential that was looked at
	may    bool   // whoever is known by now may upload
	slot   bool   // it has one of the file transfers, and the time that these have

	room *room       // what it has taken; nil before the file's first byte
	file *store.File // its bytes are put
	err  error       // of the caller's line, while the body was read
}

// run reads the parts in whatever order they come: the credential and user_id may stand before or behind the file, but
// nothing of a file is stored before somebody who may upload is known.
func (u *uploading) run() (store.File, error) {
	// 1. Who calls, as far as head and URL tell.
	if err := u.req.form.add(u.r.URL.RawQuery); err != nil {
		return store.File{}, err
	}
	if err := u.identify(); err != nil {
		return store.File{}, err
	}
	limit := u.a.cfg.Files.MaxSize
	if u.r.ContentLength > limit+maxUploadSlack {
		return store.File{}, u.tooLarge()
	}
	if u.r.Header.Get("Content-Encoding") != "" {
		return store.File{}, badRequest(textContentEncoding)
	}
	u.r.Body = http.MaxBytesReader(u.w, u.r.Body, limit+maxUploadSlack)
	body := &timedBody{ReadCloser: u.r.Body, u: u, control: http.NewResponseController(u.w), left: maxUnknownBytes, budget: newTimeBudget(u.a.cfg.Limits.BodyTime, u.a.cfg.Limits.MinRate)}
	u.r.Body = buffered{bufio.NewReaderSize(body, bodyBuffer), body}
	boundary := boundary(u.r.Header.Get("Content-Type"))
	if boundary == "" {
		return store.File{}, badRequest(textNoMultipart)
	}
	var err error
	if u.secret != "" || u.a.anonymous(u.r).may(u.rt) == nil {
		err = u.transfer()
	} else { // not known yet: who does not say soon who they are holds no transfer up
		var slot func()
		if slot, err = u.a.bodies.take(u.req.payer, u.req.payer.bodies); err == nil {
			u.req.release = slot
		}
	}
	if err != nil {
		return store.File{}, err
	}

	// 2. The parts. From the first stored byte on, every way out but the last removes it again.
	defer func() {
		if u.room != nil {
			u.room.done()
		}
	}()
	err = u.parts(multipart.NewReader(u.r.Body, boundary))
	if err == nil {
		_, _ = io.Copy(io.Discard, u.r.Body) // so that the connection can go on; a line that breaks here has brought the file
		err = u.commit()
	}
	if err != nil {
		return store.File{}, errors.Join(err, u.undo())
	}
	_ = http.NewResponseController(u.w).SetReadDeadline(time.Time{}) // a ResponseWriter of a test has none
	return *u.file, nil
}

func (u *uploading) parts(parts *multipart.Reader) error {
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return u.broken(err)
		case n == maxUploadParts:
			return badRequest(textTooManyParameters, maxUploadParts)
		}
		if field, file := partNames(part); file != "" || field == "mFile" {
			err = u.put(part, file)
		} else {
			err = u.field(part, field)
		}
		if err != nil {
			return err
		}
	}
}

// field is a parameter in a part of its own.
func (u *uploading) field(part *multipart.Part, name string) error {
	value, err := io.ReadAll(io.LimitReader(part, maxUploadField+1))
	if err != nil {
		return u.broken(err)
	}
	switch {
	case !stanza.ValidXML(name):
		return badRequest(textBadName)
	case len(value) > maxUploadField:
		return badRequest(textLongField, name)
	case !stanza.ValidXML(string(value)):
		return badRequest(textBadCharacters, name)
	case charsetOf(part.Header.Get("Content-Type")) != utf8Charset && !(form{"": {string(value)}}).ascii():
		return badRequest(textCharset)
	}
	u.req.form[name] = append(u.req.form[name], string(value))
	return u.identify()
}

// transfer takes the upload's slot, once.
func (u *uploading) transfer() error {
	if u.slot {
		return nil
	}
	err := u.a.transfer(u.req)
	u.slot = err == nil
	return err
}

// identify looks at the credential as soon as it is there; the first counts.
func (u *uploading) identify() (err error) {
	secret := credential(u.r, u.req.form)
	delete(u.req.form, "access_token") // from here on nothing can show it
	if secret != "" && u.secret == "" {
		u.secret, u.may = secret, false
		u.req.caller, err = u.a.identify(u.r, secret, u.rt)
	}
	if err != nil {
		return err
	}
	return u.a.enter(u.req, u.rt)
}

// admit says whether who is known by now may upload.
func (u *uploading) admit() error {
	if u.may {
		return nil
	}
	if u.secret == "" {
		u.req.caller = u.a.anonymous(u.r)
	}
	if err := u.a.allow(u.r, u.rt, u.req.caller); err != nil {
		return err
	}
	if err := u.transfer(); err != nil {
		return err
	}
	u.may = true
	return nil
}

// put stores the file's bytes.
func (u *uploading) put(part *multipart.Part, name string) error {
	if err := u.admit(); err != nil {
		return err
	}
	if u.file != nil {
		return badRequest(textTwoFiles)
	}
	f := store.File{ID: blob.NewID(), Name: fileName(name)}
	u.room = &room{a: u.a, owner: u.req.caller.user, limited: u.a.cfg.Files.Quota > 0 && !u.req.payer.keyed}
	in := &measured{r: part, left: u.a.cfg.Files.MaxSize, sum: sha256.New(), grow: func(n, have int64) error {
		// Of what is announced, all but the other parts is still to come.
		return u.room.grow(u.req.reading(u.r.Context()), n, max(0, u.r.ContentLength-maxUploadSlack-have))
	}}
	size, err := u.a.cfg.Files.Blobs.Put(u.r.Context(), f.ID, in)
	u.a.metrics.fileBytes.WithLabelValues("up").Add(float64(in.size))
	switch {
	case errors.Is(err, errLargeFile):
		return u.tooLarge()
	case err != nil && in.refused != nil:
		return in.refused
	case err != nil && u.err != nil, err != nil && in.err != nil:
		return u.broken(err)
	case err != nil:
		if u.r.Context().Err() == nil {
			u.a.noteStored(err)
		}
		return fmt.Errorf("%w: put a file: %w", protocol.ErrUnavailable, err)
	case size != in.size:
		u.file = &f
		return fmt.Errorf("put a file: %d bytes of %d", size, in.size)
	}
	u.a.noteStored(nil)
	f.Size, f.Type, f.Digest = size, mediaType(in.head, f.Name), hex.EncodeToString(in.sum.Sum(nil))
	u.file = &f
	return nil
}

// noteStored logs when files cannot be stored any more and when they can again, once each.
func (a *API) noteStored(err error) {
	if was := a.unstored.Swap(err != nil); was == (err != nil) {
		return
	}
	if err != nil {
		a.log.Error("files cannot be stored now", "error", err)
		return
	}
	a.log.Info("files can be stored again")
}

// commit checks what is known when all parts are there, and writes the row.
func (u *uploading) commit() error {
	if err := u.admit(); err != nil { // also without a file, so that a stranger learns nothing else
		return err
	}
	if u.file == nil {
		return badRequest(textNoFile)
	}
	if err := u.req.once(described[u.rt.path]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(u.r.Context(), u.a.cfg.Limits.WorkTime)
	defer cancel()
	u.req.ctx = ctx
	own := u.req.caller.user
	if u.req.first("user_id") != "" || own == "" && u.rt.path != "upload/mobileFileUpload" {
		u.file.Owner = u.req.user("user_id")
	}
	if u.req.err != nil {
		return u.req.err
	}
	if own != "" && u.file.Owner != "" && !protocol.SameUser(own, u.file.Owner) {
		return forbidden(http.StatusForbidden, textNotOwn)
	}
	if own != "" {
		u.file.Owner = own
	}
	if err := u.room.of(ctx, u.file.Owner); err != nil {
		return err
	}
	u.file.Time = strconv.FormatInt(u.a.cfg.Clock().UnixMilli(), 10)
	err := u.a.cfg.Files.Rows.AddFile(ctx, *u.file)
	if errors.Is(err, store.ErrUnavailable) {
		u.file = nil // the row may be there, when only the answer was lost; the sweep of orphans finds out
	}
	return err
}

// undo removes the bytes of an upload that came to nothing. What cannot be removed now is an orphan, which the sweep finds.
func (u *uploading) undo() error {
	if u.file == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.r.Context()), u.a.cfg.Limits.WorkTime)
	defer cancel()
	if err := u.a.cfg.Files.Blobs.Remove(ctx, u.file.ID); err != nil {
		u.a.log.Warn("a broken upload could not be removed yet", "file", u.file.ID, "error", err)
	}
	return nil
}

func (u *uploading) tooLarge() error {
	return &failure{status: http.StatusRequestEntityTooLarge, result: protocol.TooLarge, text: textLargeFile, args: []any{u.a.cfg.Files.MaxSize}}
}

// broken is a body that does not go on: too large as a whole, from nobody known, no multipart, or cut.
func (u *uploading) broken(err error) error {
	var tooLarge *http.MaxBytesError
	var refused *failure
	switch {
	case errors.As(err, &tooLarge), errors.As(u.err, &tooLarge):
		return u.tooLarge()
	case errors.As(u.err, &refused):
		return refused
	}
	return badRequest(textBrokenFile)
}

// buffered is a body in pieces of bodyBuffer: mime/multipart asks for 4 KiB, each of which would be a call of the kernel.
type buffered struct {
	*bufio.Reader
	io.Closer
}

// timedBody is a body that has to keep the minimum rate.
type timedBody struct {
	io.ReadCloser
	u       *uploading
	control *http.ResponseController
	left    int // bytes that may come before it is known from whom
	budget  timeBudget
}

// Read reads on. Only the time in here counts: while a store takes its part, nobody reads and the caller is not to blame.
func (t *timedBody) Read(b []byte) (int, error) {
	if t.left <= 0 && !t.u.slot {
		t.u.err = forbidden(http.StatusUnauthorized, textNoCaller)
		return 0, t.u.err
	}
	start := time.Now()
	_ = t.control.SetReadDeadline(t.budget.until(start, 0)) // a ResponseWriter of a test has none
	n, err := t.ReadCloser.Read(b)
	t.left -= n
	moved := int64(n)
	if !t.u.slot { // this time is the only one
		moved = 0
	}
	t.budget.moved(moved, time.Since(start))
	if err == nil && t.u.slot && !t.u.req.payer.keyed {
		if wait := t.u.a.uploads.owe(t.u.req.payer.name, time.Now(), n); wait > 0 {
			err = pause.For(t.u.r.Context(), wait)
		}
	}
	if err != nil && err != io.EOF {
		t.u.err = err
	}
	return n, err
}

var errLargeFile = errors.New("the file is too large")

// measured counts, hashes and limits a file on its way.
type measured struct {
	r    io.Reader
	left int64 // bytes that may still come
	size int64
	sum  hash.Hash
	head []byte // the first, by which a type is known
	err  error

	grow    func(n, have int64) error // asks for n more bytes' room; have is what there is then
	refused error                     // its error
}

// sniffed is how many bytes [http.DetectContentType] looks at.
const sniffed = 512

// Read reads on.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if int64(n) > m.left {
		m.err = errLargeFile
		return 0, errLargeFile
	}
	if len(m.head) < sniffed {
		m.head = append(m.head, p[:min(n, sniffed-len(m.head))]...)
	}
	m.sum.Write(p[:n]) // never fails
	m.size, m.left = m.size+int64(n), m.left-int64(n)
	if n > 0 && m.grow != nil {
		if m.refused = m.grow(int64(n), m.size); m.refused != nil {
			return 0, m.refused
		}
	}
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}
