package stanza

import (
	"bytes"
	"errors"
)

// Openfire 4.2 writes namespaces unescaped (measured): a client that declares xmlns="urn:x:&quot;" makes it send us
// xmlns="urn:x:"", and by what it adds there it can leave elements, quotes and comments open. All that follows then looks
// like a part of its stanza, and the stream would be deaf to everybody. So the answers to our own questions, whose ids nobody
// else can know, are looked for in the bytes as they come: where one begins, a stanza begins, whatever came before.

// maxKeptWhileSkipping is how much of what is skipped stays: the start tag of an answer, up to its id, fits. It is also what is told of both
// ends of what is too large.
const maxKeptWhileSkipping = 1 << 10

// resync looks for answers to our own questions. Its places are those of the Framer's buffer.
type resync struct {
	mark   []byte // what their ids begin with; empty: it looks for nothing
	sought int    // where to look on
	at     int    // where the next one begins, -1 when none is known
}

// answerTag is what an answer begins with.
var answerTag = []byte("<iq ")

// find looks for the next answer in buf[start:end], unless one is known.
func (r *resync) find(buf []byte, start, end int) {
	for r.at < 0 {
		r.sought = max(r.sought, start)
		i := bytes.Index(buf[r.sought:end], r.mark)
		if i < 0 {
			r.sought = max(r.sought, end-len(r.mark)+1)
			return
		}
		i += r.sought
		r.sought = i + len(r.mark)
		tag := bytes.LastIndex(buf[start:i], answerTag)
		if tag >= 0 && !bytes.ContainsAny(buf[start+tag+1:i], "<>") {
			r.at = start + tag
		}
	}
}

// shift follows the buffer, of which the first n bytes were dropped.
func (r *resync) shift(n int) {
	r.sought = max(0, r.sought-n)
	if r.at >= 0 {
		r.at -= n
	}
}

// scanInSync is scan, but where an answer to our own question begins, a stanza does. When scan took that for something else,
// or found what is no XMPP, a frame of KindBroken tells.
func (f *Framer) scanInSync() (Frame, error) {
	if len(f.sync.mark) == 0 || !f.header {
		return f.scan(f.end)
	}
	for {
		f.sync.find(f.buf, f.start, f.end)
		at := f.sync.at
		if at >= 0 && at <= f.pos {
			f.sync.at = -1
			if f.beginsAt(at) {
				continue
			}
			known := f.in == inLost
			f.restart(at)
			if !known {
				return Frame{Kind: KindBroken}, nil
			}
			continue
		}
		stop := f.end
		if at >= 0 {
			stop = at
		}
		frame, err := f.scan(stop)
		if errors.Is(err, ErrSyntax) {
			start := max(f.start, f.pos-maxKeptWhileSkipping) // the answer may have begun with what was one '<' too many
			f.restart(f.pos)
			f.in, f.start = inLost, start
			return Frame{Kind: KindBroken}, nil
		}
		if err != nil || frame.Kind != 0 || at < 0 {
			return frame, err
		}
		f.pos = at // it may have waited for more of what ends there
	}
}

// beginsAt says whether a top-level element begins there as scan sees it: where it stands, or with the tag under way.
func (f *Framer) beginsAt(at int) bool {
	if f.depth > 0 || f.skip {
		return false
	}
	return f.in == inText && f.pos == at || f.start == at && (f.in == atMarkup || f.in == inTag || f.in == inQuote)
}

// restart drops the element under way and goes on between stanzas.
func (f *Framer) restart(at int) {
	f.start, f.pos = at, at
	f.in, f.depth, f.head, f.mark = inText, 0, 0, 0
	f.current, f.limit, f.skip, f.begun = Stanza{}, f.limits.Stanza, false, nil
}
