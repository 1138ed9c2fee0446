package stanza

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Kind says what a [Frame] is.
type Kind uint8

// The kinds of frames.
const (
	KindStanza      Kind = iota + 1 // a message, presence or iq
	KindHeader                      // the stream's start tag; ID and From of the Stanza are set
	KindHandshake                   // <handshake/>
	KindStreamError                 // <stream:error/>; the Stanza's children say which
	KindUnknown                     // another element; it was skipped
	KindEnd                         // </stream:stream>: what follows, if anything does, was not the server's own end
	KindBroken                      // something that is no XMPP was skipped, up to here (Limits.Own)
)

// Frame is one thing that the other side sent.
type Frame struct {
	Kind   Kind
	Stanza Stanza
}

// Limits bounds elements, in bytes from '<' to '>'.
type Limits struct {
	Stanza int // everything but answers; 0: DefaultStanza
	Answer int // IQs of type result or error; 0: DefaultAnswer

	// Own is what the ids of our own questions begin with: a secret between us and the server. An answer to one of them tells where a
	// stanza begins, also after something that was no XMPP (resync.go). "": what is no XMPP is an error.
	Own string
}

// What Limits has without being told: a snapshot of 10,000 sessions has some 4 MiB.
const (
	DefaultStanza = 256 << 10
	DefaultAnswer = 16 << 20
)

const (
	firstBuffer = 32 << 10
	// An element larger than this keeps the buffer that it was read into, instead of being copied out of it.
	handOver = 64 << 10
	// A buffer that grew beyond this is not kept after the element that it grew for.
	largeBuffer = 1 << 20
	// A reader that returns nothing so often is broken.
	maxEmptyReads = 100
)

// ErrSyntax is wrapped by the errors of a Framer about bytes that cannot be an XMPP stream. The stream is lost then, unless Limits.Own finds
// a way back.
var ErrSyntax = errors.New("not an XMPP stream")

// Framer cuts a component stream into frames by bytes: it follows tags, quotes, CDATA, comments and processing
// instructions, and reads attributes of top-level elements, nothing else. An element over its limit is skipped without
// being held in memory. A Framer is for one goroutine; after an error it gives nothing more.
type Framer struct {
	r      io.Reader
	limits Limits

	// buf[start:pos] was looked at and belongs to the element under way, buf[pos:end] was read and not looked at.
	buf             []byte
	start, pos, end int
	sync            resync

	in    place
	quote byte
	mark  int // where the markup under way begins, relative to start
	depth int // open elements below the stream

	header  bool // the stream's start tag was seen
	kind    Kind
	current Stanza // the element under way, without its content
	head    int    // length of its start tag, 0 while that is not complete
	limit   int
	skip    bool   // its content is dropped
	begun   []byte // what it begins with, if it is dropped because it is too large
}

// place is where in the grammar pos stands.
type place uint8

const (
	inText place = iota
	atMarkup
	inTag
	inQuote
	inEndTag
	inComment
	inCDATA
	inPI
	inLost // until the next answer to one of our own questions
)

// NewFramer makes a Framer that reads a stream from its beginning.
func NewFramer(r io.Reader, limits Limits) *Framer {
	if limits.Stanza <= 0 {
		limits.Stanza = DefaultStanza
	}
	if limits.Answer <= 0 {
		limits.Answer = DefaultAnswer
	}
	return &Framer{r: r, limits: limits, buf: make([]byte, firstBuffer), limit: limits.Stanza, sync: resync{mark: []byte(limits.Own), at: -1}}
}

// Next blocks for the next frame. It returns the reader's error as it is, io.EOF only between elements, and an error that
// wraps [ErrSyntax] for what is not a stream. The frame's content is the caller's.
func (f *Framer) Next() (Frame, error) {
	for {
		frame, err := f.scanInSync()
		if err != nil || frame.Kind != 0 {
			return frame, err
		}
		if err := f.fill(); err != nil {
			if err == io.EOF && (f.in != inText || f.depth > 0) {
				err = io.ErrUnexpectedEOF
			}
			return Frame{}, err
		}
	}
}

// scan looks at what was read, up to stop. A frame of kind 0 means that more is needed.
func (f *Framer) scan(stop int) (Frame, error) {
	for f.pos < stop {
		b := f.buf[f.pos:stop]
		switch f.in {
		case inText:
			i := bytes.IndexByte(b, '<')
			text := b
			if i >= 0 {
				text = b[:i]
			}
			if f.depth == 0 {
				if !blank(text) {
					return Frame{}, fmt.Errorf("%w: text between stanzas", ErrSyntax)
				}
				f.start = f.pos + len(text)
			}
			f.pos += len(text)
			if i >= 0 {
				f.in, f.mark = atMarkup, f.pos-f.start
			}

		case atMarkup:
			ok, err := f.open(b)
			if err != nil || !ok {
				return Frame{}, err
			}

		case inTag:
			i := 0
			for i < len(b) && b[i] != '>' && b[i] != '"' && b[i] != '\'' && b[i] != '<' {
				i++
			}
			if i == len(b) {
				f.pos = stop
				continue
			}
			f.pos += i + 1
			switch b[i] {
			case '<':
				return Frame{}, fmt.Errorf("%w: '<' in a tag", ErrSyntax)
			case '>':
				f.in = inText
				if frame, err := f.tagClosed(f.buf[f.pos-2] == '/'); err != nil || frame.Kind != 0 {
					return frame, err
				}
			default:
				f.in, f.quote = inQuote, b[i]
			}

		case inQuote:
			i := bytes.IndexByte(b, f.quote)
			value := b
			if i >= 0 {
				value = b[:i]
			}
			if bytes.IndexByte(value, '<') >= 0 {
				return Frame{}, fmt.Errorf("%w: '<' in an attribute", ErrSyntax)
			}
			if i < 0 {
				f.pos = stop
				continue
			}
			f.pos += i + 1
			f.in = inTag

		case inEndTag:
			i := bytes.IndexByte(b, '>')
			if i < 0 {
				f.pos = stop
				continue
			}
			f.pos += i + 1
			f.in = inText
			if f.depth == 0 && f.skip {
				return Frame{}, fmt.Errorf("%w: an end tag between stanzas", ErrSyntax)
			}
			if f.depth == 0 {
				name := tagName(f.buf[f.start+f.mark+2 : f.pos-1])
				if _, local := splitName(name); string(local) != "stream" {
					return Frame{}, fmt.Errorf("%w: </%.40s> between stanzas", ErrSyntax, name)
				}
				f.start = f.pos
				return Frame{Kind: KindEnd}, nil
			}
			if f.depth--; f.depth == 0 {
				return f.finish(f.mark)
			}

		case inLost:
			f.pos = stop

		default:
			if !f.close(b, stop) {
				return Frame{}, nil
			}
		}
	}
	return Frame{}, nil
}

// open decides what begins with the '<' at b[0]; false when too little of it was read.
func (f *Framer) open(b []byte) (bool, error) {
	if len(b) < 2 {
		return false, nil
	}
	switch c := b[1]; {
	case c == '/':
		f.in, f.pos = inEndTag, f.pos+2
	case c == '?':
		f.in, f.pos = inPI, f.pos+2
	case c != '!':
		if !startsName(c) {
			return false, fmt.Errorf("%w: %q after '<'", ErrSyntax, c)
		}
		f.in, f.pos = inTag, f.pos+1
	case bytes.HasPrefix(b, openComment):
		f.in, f.pos = inComment, f.pos+len(openComment)
	case bytes.HasPrefix(b, openCDATA) && f.depth > 0:
		f.in, f.pos = inCDATA, f.pos+len(openCDATA)
	case bytes.HasPrefix(openComment, b), f.depth > 0 && bytes.HasPrefix(openCDATA, b):
		return false, nil
	default:
		return false, fmt.Errorf("%w: a document type or declaration", ErrSyntax)
	}
	return true, nil
}

// close looks for the end of a comment, CDATA section or processing instruction; false when more must be read.
func (f *Framer) close(b []byte, stop int) bool {
	end := closeComment
	switch f.in {
	case inCDATA:
		end = closeCDATA
	case inPI:
		end = closePI
	}
	i := bytes.Index(b, end)
	if i < 0 {
		f.pos = max(f.pos, stop-len(end)+1) // the end may be cut in two: its first part is looked at again
		return false
	}
	f.pos += i + len(end)
	f.in = inText
	if f.depth == 0 {
		f.start, f.skip = f.pos, false
	}
	return true
}

// tagClosed takes a start tag that is complete.
func (f *Framer) tagClosed(empty bool) (Frame, error) {
	if f.depth > 0 {
		if !empty {
			f.depth++
		}
		return Frame{}, nil
	}
	if !f.skip {
		end := f.pos - 1
		if empty {
			end--
		}
		if frame, err := f.begin(f.buf[f.start+1:end], empty); err != nil || frame.Kind != 0 {
			return frame, err
		}
	}
	f.head = f.pos - f.start
	if empty {
		return f.finish(f.head)
	}
	f.depth = 1
	return Frame{}, nil
}

// begin reads the start tag of a top-level element.
func (f *Framer) begin(tag []byte, empty bool) (Frame, error) {
	st, space := newStanza(tag)
	kind, err := f.classify(tagName(tag), space)
	if err != nil {
		return Frame{}, err
	}
	if kind == KindHeader {
		if empty {
			return Frame{}, fmt.Errorf("%w: an empty stream", ErrSyntax)
		}
		f.header = true
		f.start = f.pos
		return Frame{Kind: KindHeader, Stanza: st}, nil
	}
	f.kind, f.current = kind, st
	f.skip = kind == KindUnknown
	if st.Name == "iq" && (st.Type == "result" || st.Type == "error") {
		f.limit = f.limits.Answer
	}
	return Frame{}, nil
}

// classify names a top-level element.
func (f *Framer) classify(name []byte, space string) (Kind, error) {
	prefix, local := splitName(name)
	switch {
	case string(local) == "stream":
		if f.header {
			return 0, fmt.Errorf("%w: a second stream header", ErrSyntax)
		}
		return KindHeader, nil
	case !f.header:
		return 0, fmt.Errorf("%w: <%.40s> instead of a stream header", ErrSyntax, name)
	case string(local) == "error":
		return KindStreamError, nil
	case len(prefix) > 0 || space != "" && space != "jabber:component:accept" && space != "jabber:client":
		return KindUnknown, nil
	}
	switch string(local) {
	case "message", "presence", "iq":
		return KindStanza, nil
	case "handshake":
		return KindHandshake, nil
	}
	return KindUnknown, nil
}

// finish makes the frame of the element that ends at pos. mark is where its end tag begins.
func (f *Framer) finish(mark int) (Frame, error) {
	frame := Frame{Kind: f.kind, Stanza: f.current}
	element := f.buf[f.start:f.pos]
	switch {
	case f.kind == KindUnknown:
	case f.skip, len(element) > f.limit:
		frame.Stanza.Oversize = true
		frame.Stanza.Ends = f.ends(element)
	case mark > f.head:
		inner := element[f.head:mark:mark]
		if len(element) < handOver || len(element) < len(f.buf)/4 {
			inner = bytes.Clone(inner)
		} else {
			f.renew()
		}
		frame.Stanza.Inner = inner
	}
	if !f.skip && mark < len(element) {
		begun, ended := tagName(element[1:f.head-1]), tagName(element[mark+2:len(element)-1])
		if !bytes.Equal(begun, ended) {
			return Frame{}, fmt.Errorf("%w: <%.40s> ends with </%.40s>", ErrSyntax, begun, ended)
		}
	}
	if len(f.buf) > largeBuffer {
		f.renew()
	}
	f.start = f.pos
	f.current, f.head, f.limit, f.skip, f.begun = Stanza{}, 0, f.limits.Stanza, false, nil
	return frame, nil
}

// ends are what an element that is too large begins with, and ends with. rest is what is there of it.
func (f *Framer) ends(rest []byte) []byte {
	begun := f.begun
	if !f.skip {
		begun = rest[:min(len(rest), maxKeptWhileSkipping)]
	}
	return slices.Concat(begun, rest[max(0, len(rest)-maxKeptWhileSkipping):])
}

// renew leaves the buffer to whoever holds a piece of it, or to the collector.
func (f *Framer) renew() {
	rest := f.buf[f.pos:f.end]
	f.buf = make([]byte, max(firstBuffer, len(rest)))
	f.end = copy(f.buf, rest)
	f.sync.shift(f.pos)
	f.start, f.pos = 0, 0
}

// fill reads more, making room first.
func (f *Framer) fill() error {
	if !f.skip && f.in != inLost && f.pos-f.start > f.limit {
		if err := f.drop(); err != nil {
			return err
		}
	}
	if f.skip || f.in == inLost {
		f.start = max(f.start, f.pos-maxKeptWhileSkipping)
	}
	if f.end == len(f.buf) {
		if f.start >= len(f.buf)/2 {
			f.end = copy(f.buf, f.buf[f.start:f.end])
		} else {
			grown := make([]byte, 2*len(f.buf))
			f.end = copy(grown, f.buf[f.start:f.end])
			f.buf = grown
		}
		f.pos -= f.start
		f.sync.shift(f.start)
		f.start = 0
	}
	for range maxEmptyReads {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// drop begins to skip the element under way, which is over its limit.
func (f *Framer) drop() error {
	if f.depth == 0 { // its start tag alone is
		kind := KindUnknown
		if f.in == inTag || f.in == inQuote {
			name := tagName(f.buf[f.start+1 : f.pos])
			var err error
			if kind, err = f.classify(name, ""); err != nil {
				return err
			}
			if kind == KindHeader {
				return fmt.Errorf("%w: a stream header over %d bytes", ErrSyntax, f.limit)
			}
			f.current = Stanza{Name: intern(name)}
		}
		f.kind = kind
	}
	f.skip, f.begun = true, bytes.Clone(f.buf[f.start:min(f.start+maxKeptWhileSkipping, f.pos)])
	return nil
}

func blank(b []byte) bool {
	for _, c := range b {
		if !isSpace(c) {
			return false
		}
	}
	return true
}
