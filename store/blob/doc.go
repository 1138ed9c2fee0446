// Package blob keeps the bytes of uploaded files: in a [Folder] or in a [Bucket] of any S3-compatible store. What is known
// of a file besides its bytes stands in the database (store.File).
//
// It guarantees four things.
//
//   - When Put has returned, the bytes survive a power cut; when it fails, nothing of them can be read, and nothing stays
//     behind but what a kill at that moment leaves, which [Sweep] removes.
//   - Bytes stream both ways. A Put costs one buffer, however large the file is.
//   - A name is an id of 32 hex digits and nothing else reaches a file system or a URL: no text of a caller is ever a path.
//   - Only what this package wrote is ever removed: foreign files of the same folder or bucket stay, and so do all when the
//     database looks like another one's.
package blob

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"
)

var (
	// ErrNotFound says that there are no bytes of that id.
	ErrNotFound = errors.New("no such file")

	// ErrUnavailable says that the folder or the store could not do it now: full, no right, no connection.
	ErrUnavailable = errors.New("the file store is not available")
)

// idBytes are the random bytes of an id: 128 bits are not guessed.
const idBytes = 16

// NewID makes an id: 32 hex digits.
func NewID() string {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}

// Valid says whether id is one that NewID could have made: 32 lower-case hex digits.
func Valid(id string) bool {
	if len(id) != 2*idBytes {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Blobs is what [Folder] and [Bucket] have in common. All ids must be [Valid]; another one is ErrNotFound. A Put's error is
// that of the reader, when it was the reader that failed, else ErrUnavailable.
type Blobs interface {
	// Put stores what r has until io.EOF, and returns when it is safe. An id is put once.
	Put(ctx context.Context, id string, r io.Reader) (size int64, err error)
	// Open reads a file of size bytes. The reader fetches nothing before the first Read, and may be used by one goroutine;
	// closing it is the caller's.
	Open(ctx context.Context, id string, size int64) (io.ReadSeekCloser, error)
	// Remove removes the bytes; none there is no error.
	Remove(ctx context.Context, id string) error
	// Check says whether files can be written and read now.
	Check(ctx context.Context) error

	// list calls page with ids, a few hundred at a time, that were put before t.
	list(ctx context.Context, before time.Time, page func(ids []string) error) error
	// clear removes the rest of Puts that were under way before t and cannot be any more, and says how many.
	clear(ctx context.Context, before time.Time) (int, error)
}

// copyBuffer is the piece in which bytes go to a disk: four times the read-ahead of Linux.
const copyBuffer = 512 << 10

// readError marks an error of the reader that Put was given.
type readError struct{ error }

// Unwrap returns the reader's own error.
func (r readError) Unwrap() error { return r.error }

// source remembers how its reader failed: an S3 client wraps that beyond recognition.
type source struct {
	r   io.Reader
	n   int64
	err error
}

// Read reads on, and keeps an error.
func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil {
		s.err = err
	}
	return n, err
}

// failed is the error of a Put: the reader's, when it failed, else why.
func (s *source) failed(why error) error {
	if s.err != nil && s.err != io.EOF {
		return s.err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, why)
}
