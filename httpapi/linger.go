package httpapi

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// What is read of a body that nobody wants any more, after its answer was written. Java's and Python's clients look for an
// answer only when they have sent all: a connection that is closed before is an error without a word for them.
const (
	maxLingerBytes         = 64 << 20
	maxLingerTime          = 10 * time.Second
	maxLingerQuiet         = 2 * time.Second        // without a byte
	lingerLast             = 500 * time.Millisecond // for who is not, or not any more, read on
	lingerBuffer           = 32 << 10
	maxLingering           = 64 // connections at once; beyond, they are closed as they are
	maxLingeringPerAddress = 8  // of one address
)

// lingering serves next. Of a request whose body was not read to its end the answer says that the connection ends, and the
// rest is read then. That costs no slot: whatever the call held is given back before.
func (a *API) lingering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor != 1 { // HTTP/2 ends one stream without the others
			next.ServeHTTP(w, r)
			return
		}
		body := &remains{ReadCloser: r.Body}
		inner := *r // net/http looks at its own
		inner.Body = body
		next.ServeHTTP(&closing{ResponseWriter: w, body: body}, &inner)
		if !body.ended.Load() && !body.broken.Load() {
			a.linger(w, r, body)
		}
	})
}

// linger reads on what the client still sends.
func (a *API) linger(w http.ResponseWriter, r *http.Request, body *remains) {
	// Errors: a ResponseWriter of a test has neither.
	control := http.NewResponseController(w)
	_ = control.Flush()
	end := time.Now().Add(maxLingerTime)
	if leave, err := a.lingerers.take(payer{name: clientAddr(r, a.cfg.TrustedProxies).String()}, maxLingeringPerAddress); err == nil {
		buffer := make([]byte, lingerBuffer)
		for left := maxLingerBytes; left > 0 && !a.stopping.Load(); {
			soon := time.Now().Add(maxLingerQuiet)
			if soon.After(end) {
				soon = end
			}
			_ = control.SetReadDeadline(soon)
			n, err := body.Read(buffer)
			if left -= n; err != nil {
				break
			}
		}
		leave()
	}
	if !body.ended.Load() { // net/http looks for the end, too, and knows no limit of time
		_ = control.SetReadDeadline(time.Now().Add(lingerLast))
	}
}

// remains is a body that knows whether there can be more of it.
type remains struct {
	io.ReadCloser
	ended, broken atomic.Bool // read to its end; cannot be read on. A file store may read in a goroutine of its own
}

// Read reads on.
func (r *remains) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	switch err {
	case nil:
	case io.EOF:
		r.ended.Store(true)
	default: // cut, not well formed, or too slow
		r.broken.Store(true)
	}
	return n, err
}

// closing writes an answer that ends the connection when the request's body is not read to its end.
type closing struct {
	http.ResponseWriter
	body  *remains
	wrote bool
}

// WriteHeader begins the answer.
func (c *closing) WriteHeader(status int) {
	if c.wrote = true; !c.body.ended.Load() {
		c.Header().Set("Connection", "close") // net/http then does not wait for the rest of the body before it answers
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write begins the answer, if it is not begun.
func (c *closing) Write(p []byte) (int, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(p)
}

// ReadFrom lets net/http hand a file to the kernel.
func (c *closing) ReadFrom(src io.Reader) (int64, error) {
	if !c.wrote {
		c.WriteHeader(http.StatusOK)
	}
	return io.Copy(c.ResponseWriter, src)
}

// Unwrap is for [http.ResponseController].
func (c *closing) Unwrap() http.ResponseWriter { return c.ResponseWriter }
