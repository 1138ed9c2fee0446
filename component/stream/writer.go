package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"tlim/component/trigger"
)

// writer is the way out of one link: callers fill one buffer while the other one is on its way.
type writer struct {
	conn    net.Conn
	timeout time.Duration // of a write without progress
	limit   int           // bytes that wait, for those who can wait themselves
	reserve int           // on top, for those who cannot
	down    <-chan struct{}
	metrics *metrics
	budget  *budget // of answers

	mu       sync.Mutex
	buf      []byte          // being filled
	spare    []byte          // the other one: on its way, or written
	taken    uint64          // bytes of the stream that were taken out of buf
	sent     uint64          // bytes of the stream that were written
	finished bool            // the stream's end is in the buffer: nothing more is taken
	closed   bool            // nothing more is taken, what is there is lost
	stanzas  int             // appended since the last ping
	marked   uint64          // end of that ping in the stream
	room     chan struct{}   // closed when something was written, as any number of callers may wait
	wake     trigger.Trigger // there is something in buf
}

const (
	// One write: small enough for progress to be seen on a slow connection, large enough to be cheap.
	chunk = 64 << 10
	// How far pings lie apart at most: what the server has to work off in the time for one answer. A busy 4.2 routes 1,200 copies
	// a second (measured); with one ping behind 12,000 it counted as dead.
	maxPingStanzas = 1000
	maxPingBytes   = 256 << 10
	// Buffers that together grew beyond this are given back when there is nothing left to write. Two batches of group messages
	// to 50 are 1 MiB: given back and grown anew for each they were half of all that the process allocated (measured).
	maxKeptBuffer = 4 << 20
)

func newWriter(conn net.Conn, cfg *Config, down <-chan struct{}, m *metrics) *writer {
	return &writer{conn: conn, timeout: cfg.WriteTimeout, limit: cfg.BufferBytes, reserve: cfg.ReserveBytes, down: down, metrics: m,
		budget: newBudget(cfg), wake: trigger.New()}
}

// run writes until the connection fails. nil means that the stream's end was written.
func (w *writer) run() error {
	for {
		b, last := w.take()
		for len(b) > 0 {
			n, err := w.write(b[:min(len(b), chunk)])
			if err != nil {
				return err
			}
			b = b[n:]
		}
		if last {
			return nil
		}
		if !w.idle() {
			return nil
		}
	}
}

// take swaps the buffers. last says that nothing will follow.
func (w *writer) take() (b []byte, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b = w.buf
	w.taken += uint64(len(b))
	w.buf, w.spare = w.spare[:0], b // b is read until the next take, and filled only after it
	return b, w.finished
}

// idle waits for something to write; false when the link is down.
func (w *writer) idle() bool {
	for {
		w.mu.Lock()
		some := len(w.buf) > 0 || w.finished
		if !some && cap(w.buf)+cap(w.spare) > maxKeptBuffer {
			w.buf, w.spare = nil, nil
		}
		w.mu.Unlock()
		if some {
			return true
		}
		select {
		case <-w.wake:
		case <-w.down:
			return false
		}
	}
}

// write writes one piece. Each deadline is for one byte at least.
func (w *writer) write(b []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(b)
	w.metrics.bytesOut.Add(float64(n))
	w.mu.Lock()
	w.sent += uint64(n)
	w.budget.written(w.sent)
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	w.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if n > 0 {
			return n, nil
		}
		return 0, errStalled
	}
	return n, err
}

// acquire waits for room and returns holding the lock: the caller appends to w.buf and calls release.
func (w *writer) acquire(ctx context.Context) error {
	w.mu.Lock()
	for {
		if w.closed || w.finished {
			w.mu.Unlock()
			return ErrDown
		}
		if w.unsent() < w.limit {
			return nil
		}
		if err := w.progress(ctx); err != nil {
			return err
		}
	}
}

// progress gives the lock up until something was written. It returns holding it again, but not with an error.
func (w *writer) progress(ctx context.Context) error {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	room := w.room
	w.mu.Unlock()
	select {
	case <-room:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.down:
		return ErrDown
	}
	w.mu.Lock()
	return nil
}

// release gives the lock back and gets the buffer written.
func (w *writer) release() {
	w.mu.Unlock()
	w.wake.Fire()
}

// full says whether the holder of the lock should wait for room. It is called while the lock is held.
func (w *writer) full() bool { return w.unsent() >= w.limit }

// unsent is what waits and what is on its way. It is called while the lock is held.
func (w *writer) unsent() int { return int(w.taken-w.sent) + len(w.buf) }

// due says whether it is time for a ping, so that the server's progress can be seen.
func (w *writer) due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stanzas >= maxPingStanzas || w.taken+uint64(len(w.buf))-w.marked >= maxPingBytes
}

// post appends without waiting, out of the reserve when there is no other room.
func (w *writer) post(b []byte) bool {
	w.mu.Lock()
	if w.closed || w.finished || w.unsent()+len(b) > w.limit+w.reserve {
		w.mu.Unlock()
		return false
	}
	w.buf = append(w.buf, b...)
	w.stanzas++
	w.release()
	return true
}

// answer appends an answer to a sender without waiting, out of the part of the reserve that post leaves when there is no other
// room. within is false for one over the sender's budget.
func (w *writer) answer(sender string, b []byte) (queued, within bool) {
	w.mu.Lock()
	if w.closed || w.finished || w.unsent()+len(b) > w.limit+w.reserve/2 {
		w.mu.Unlock()
		return false, true
	}
	end := w.taken + uint64(len(w.buf)+len(b))
	if !w.budget.take(sender, len(b), end, w.unsent()+len(b) > w.limit) {
		w.mu.Unlock()
		return false, false
	}
	w.buf = append(w.buf, b...)
	w.stanzas++
	w.release()
	return true, true
}

// ping appends a ping, whatever waits, and returns the end of it in the stream.
func (w *writer) ping(b []byte) (pos uint64, ok bool) {
	w.mu.Lock()
	if w.closed || w.finished {
		w.mu.Unlock()
		return 0, false
	}
	w.buf = append(w.buf, b...)
	pos = w.taken + uint64(len(w.buf))
	w.stanzas, w.marked = 0, pos
	w.release()
	return pos, true
}

// finish appends the end of the stream; nothing is taken after it.
func (w *writer) finish(end string) {
	w.mu.Lock()
	if !w.closed && !w.finished {
		w.buf = append(w.buf, end...)
		w.finished = true
	}
	w.release()
}

// shut refuses everything from now on.
func (w *writer) shut() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
}

func (w *writer) isFinished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished
}

// written is how much of the stream is on the wire.
func (w *writer) written() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// waiting is how many bytes are not.
func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsent()
}

// flushed waits until what was appended up to now is written.
func (w *writer) flushed(ctx context.Context) error {
	w.mu.Lock()
	end := w.taken + uint64(len(w.buf))
	for w.sent < end {
		if w.closed {
			w.mu.Unlock()
			return ErrDown
		}
		if err := w.progress(ctx); err != nil {
			return err
		}
	}
	w.mu.Unlock()
	return nil
}
