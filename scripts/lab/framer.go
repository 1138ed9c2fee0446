package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	firstBuffer = 64 << 10
	// The largest element that a client of ours takes: snapshots of big servers have some MiB.
	maxElement = 32 << 20
)

var errStreamEnd = errors.New("the server ended the stream")

// framer cuts an XMPP stream into its top-level elements, by bytes: it looks at tags, quotes, comments and CDATA, and
// knows nothing of names or namespaces. A server's output is well-formed, so it does not check that end tags match.
type framer struct {
	r        io.Reader
	buf      []byte
	from, to int // what was read and not yet handed out: buf[from:to]
	at       int // where the search goes on, relative to from
	depth    int // open elements at that place
}

func newFramer(r io.Reader) *framer { return &framer{r: r, buf: make([]byte, firstBuffer)} }

// header reads an XML declaration, if any, and the open tag of the stream, and returns that tag.
func (f *framer) header() ([]byte, error) {
	for {
		f.skipSpace()
		b := f.buf[f.from:f.to]
		n, kind, err := markup(b)
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			if err := f.more(); err != nil {
				return nil, err
			}
			continue
		}
		f.from += n
		switch kind {
		case openTag:
			return b[:n], nil
		case endTag, emptyTag:
			return nil, fmt.Errorf("not a stream header: %q", b[:n])
		}
	}
}

// next returns the next top-level element, errStreamEnd at the stream's end tag. The bytes are valid until the next call.
func (f *framer) next() ([]byte, error) {
	for {
		if f.depth == 0 {
			f.skipSpace()
		}
		b := f.buf[f.from:f.to]
		i := bytes.IndexByte(b[f.at:], '<')
		if i < 0 {
			f.at = len(b)
			if err := f.more(); err != nil {
				return nil, err
			}
			continue
		}
		if f.depth == 0 && i > 0 {
			return nil, fmt.Errorf("text between stanzas: %.40q", b)
		}
		f.at += i
		n, kind, err := markup(b[f.at:])
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			if err := f.more(); err != nil {
				return nil, err
			}
			continue
		}
		f.at += n
		switch kind {
		case openTag:
			f.depth++
		case endTag:
			if f.depth == 0 {
				return nil, errStreamEnd
			}
			f.depth--
		}
		if f.depth == 0 {
			f.from, f.at = f.from+f.at, 0
			if kind != otherMarkup {
				return b[:len(b)-(f.to-f.from)], nil
			}
		}
	}
}

// empty says that nothing more can be had without reading from the network.
func (f *framer) empty() bool { return f.from == f.to }

func (f *framer) skipSpace() {
	for f.from < f.to {
		switch f.buf[f.from] {
		case ' ', '\t', '\r', '\n':
			f.from++
		default:
			return
		}
	}
}

func (f *framer) more() error {
	if f.from > 0 {
		copy(f.buf, f.buf[f.from:f.to])
		f.from, f.to = 0, f.to-f.from
	}
	if f.to == len(f.buf) {
		if f.to >= maxElement {
			return fmt.Errorf("an element of more than %d bytes", maxElement)
		}
		f.buf = append(f.buf, make([]byte, len(f.buf))...)
	}
	n, err := f.r.Read(f.buf[f.to:])
	f.to += n
	if n > 0 {
		return nil
	}
	return err
}

type tagKind int

const (
	openTag tagKind = iota
	emptyTag
	endTag
	otherMarkup // comment, processing instruction, CDATA
)

// markup returns the length of the tag (or comment ...) at the start of b, 0 when b holds only a part of it.
func markup(b []byte) (int, tagKind, error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	if b[0] != '<' {
		return 0, 0, fmt.Errorf("no tag: %.40q", b)
	}
	switch b[1] {
	case '/':
		return bytes.IndexByte(b, '>') + 1, endTag, nil
	case '?':
		return until(b, 2, "?>"), otherMarkup, nil
	case '!':
		for _, m := range [...]struct{ open, close string }{{"<!--", "-->"}, {"<![CDATA[", "]]>"}} {
			if n := min(len(b), len(m.open)); string(b[:n]) == m.open[:n] {
				return until(b, len(m.open), m.close), otherMarkup, nil
			}
		}
		return 0, 0, fmt.Errorf("markup that XMPP forbids: %.40q", b)
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '"', '\'':
			n := bytes.IndexByte(b[i+1:], c)
			if n < 0 {
				return 0, 0, nil
			}
			i += n + 1
		case '>':
			if b[i-1] == '/' {
				return i + 1, emptyTag, nil
			}
			return i + 1, openTag, nil
		}
	}
	return 0, 0, nil
}

// until returns where end ends in b, searched from a place that may lie beyond b; 0 when it is not there.
func until(b []byte, from int, end string) int {
	if from > len(b) {
		return 0
	}
	i := bytes.Index(b[from:], []byte(end))
	if i < 0 {
		return 0
	}
	return from + i + len(end)
}
