package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// passing is the way of an answer to the client: each piece has to be taken within the time.
type passing struct {
	http.ResponseWriter
	control    *http.ResponseController
	idle, slow time.Duration
	body       *timely // nil with a WebSocket
}

// Write passes a piece on.
func (p *passing) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.slow)) // a ResponseWriter of a test has none
	return p.ResponseWriter.Write(b)
}

// Hijack hands the connection of a WebSocket over.
func (p *passing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := p.control.Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &patient{Conn: conn, slow: p.slow, idle: p.idle}, buffers, nil
}

// Unwrap is for [http.ResponseController].
func (p *passing) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// patient is a connection on which the other side has so long to take a piece, and, where idle is set, that ends when nothing
// moved either way for so long.
type patient struct {
	net.Conn
	slow, idle time.Duration
}

// Read reads what comes while the connection is not idle.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.busy(); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

// Write writes a piece; a Read that waits meanwhile waits on.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.Conn.SetWriteDeadline(time.Now().Add(p.slow)); err != nil {
		return 0, err
	}
	n, err := p.Conn.Write(b)
	if err == nil {
		err = p.busy()
	}
	return n, err
}

func (p *patient) busy() error {
	if p.idle == 0 {
		return nil
	}
	return p.Conn.SetReadDeadline(time.Now().Add(p.idle))
}

// errBody is a request that did not come whole, or not in time.
var errBody = errors.New("the request did not come whole")

// timely is a request's body that has to be read before a deadline, which is taken off at its end: what the connection is
// watched for after that has no hurry.
type timely struct {
	io.ReadCloser
	control *http.ResponseController
	whole   atomic.Bool
}

// Read reads on.
func (t *timely) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, io.EOF):
		t.whole.Store(true)
		_ = t.control.SetReadDeadline(time.Time{}) // a ResponseWriter of a test has none
	case err != nil && !errors.As(err, &large):
		err = fmt.Errorf("%w: %w", errBody, err)
	}
	return n, err
}
