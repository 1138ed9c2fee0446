package stanza

import "bytes"

// mark is what a piece of markup is.
type mark uint8

const (
	markBad   mark = iota // malformed, or cut off
	markStart             // <a>
	markEmpty             // <a/>
	markEnd               // </a>
	markCDATA             // <![CDATA[..]]>
	markSkip              // a comment or processing instruction
)

var (
	openComment  = []byte("<!--")
	closeComment = []byte("-->")
	openCDATA    = []byte("<![CDATA[")
	closeCDATA   = []byte("]]>")
	closePI      = []byte("?>")
	xmlnsName    = []byte("xmlns")
	xmlnsColon   = []byte("xmlns:")
)

// markup tells what begins at b[0], a '<', and how long it is.
func markup(b []byte) (mark, int) {
	if len(b) < 2 {
		return markBad, 0
	}
	kind, open, end := markSkip, 2, []byte(nil)
	switch c := b[1]; {
	case c == '/':
		if i := bytes.IndexByte(b, '>'); i > 2 {
			return markEnd, i + 1
		}
		return markBad, 0
	case c == '?':
		end = closePI
	case bytes.HasPrefix(b, openComment):
		open, end = len(openComment), closeComment
	case bytes.HasPrefix(b, openCDATA):
		kind, open, end = markCDATA, len(openCDATA), closeCDATA
	case !startsName(c):
		return markBad, 0
	default:
		i := tagEnd(b)
		switch {
		case i < 0:
			return markBad, 0
		case b[i-1] == '/':
			return markEmpty, i + 1
		}
		return markStart, i + 1
	}
	i := bytes.Index(b[open:], end)
	if i < 0 {
		return markBad, 0
	}
	return kind, open + i + len(end)
}

// tagEnd finds the '>' of the start tag at the beginning of b; -1 when it is malformed or cut off.
func tagEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '>':
			return i
		case '<':
			return -1
		case '"', '\'':
			n := bytes.IndexByte(b[i+1:], c)
			if n < 0 {
				return -1
			}
			i += n + 1
		}
	}
	return -1
}

// span is an element in a buffer.
type span struct {
	tag   []byte // start tag without angle brackets and slash
	inner []byte
}

// element finds the end of the element that begins at b[0]; n is its length, 0 when there is none. Names of end tags are
// compared at depth 1 only: what is deeper belongs to whoever reads it.
func element(b []byte) (el span, n int) {
	kind, head := markup(b)
	switch kind {
	case markEmpty:
		return span{tag: b[1 : head-2]}, head
	case markStart:
	default:
		return span{}, 0
	}
	el.tag = b[1 : head-1]
	at := head
	for depth := 1; depth > 0; {
		i := bytes.IndexByte(b[at:], '<')
		if i < 0 {
			return span{}, 0
		}
		at += i
		kind, length := markup(b[at:])
		switch kind {
		case markBad:
			return span{}, 0
		case markStart:
			depth++
		case markEnd:
			depth--
			if depth == 0 {
				if !bytes.Equal(tagName(b[at+2:at+length-1]), tagName(el.tag)) {
					return span{}, 0
				}
				el.inner = b[head:at:at]
			}
		}
		at += length
	}
	return el, at
}

func startsName(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// tagName is the name at the beginning of a tag, with its prefix.
func tagName(tag []byte) []byte {
	for i, c := range tag {
		if isSpace(c) || c == '/' {
			return tag[:i]
		}
	}
	return tag
}

func splitName(name []byte) (prefix, local []byte) {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}

// attr walks over the attributes of a start tag: a zero attr and repeated calls of read. It holds places instead of slices so that
// a copy of the tag can be cut in the same way.
type attr struct {
	nameAt, nameEnd, valueAt, valueEnd int
	at                                 int
}

func (a *attr) name(tag []byte) []byte  { return tag[a.nameAt:a.nameEnd] }
func (a *attr) value(tag []byte) []byte { return tag[a.valueAt:a.valueEnd] }

// read moves on to the next attribute; false at the end and where the tag is malformed.
func (a *attr) read(tag []byte) bool {
	i := a.at
	if i == 0 {
		i = len(tagName(tag))
	}
	for i < len(tag) && isSpace(tag[i]) {
		i++
	}
	a.nameAt = i
	for i < len(tag) && tag[i] != '=' && !isSpace(tag[i]) {
		i++
	}
	a.nameEnd = i
	for i < len(tag) && isSpace(tag[i]) {
		i++
	}
	if i >= len(tag) || tag[i] != '=' || a.nameEnd == a.nameAt {
		return false
	}
	i++
	for i < len(tag) && isSpace(tag[i]) {
		i++
	}
	if i >= len(tag) || tag[i] != '"' && tag[i] != '\'' {
		return false
	}
	a.valueAt = i + 1
	n := bytes.IndexByte(tag[a.valueAt:], tag[i])
	if n < 0 {
		return false
	}
	a.valueEnd = a.valueAt + n
	a.at = a.valueEnd + 1
	return true
}

// scope is what start tags declare, the innermost first. nil declares nothing. It is read from the tags once: a stanza can have
// a tag of 100 KiB and 30,000 children, each of which asks.
type scope struct {
	spaces map[string]string // by prefix; "" is the default one
	outer  *scope
}

// with adds a start tag if it declares something.
func (s *scope) with(tag []byte) *scope {
	if !bytes.Contains(tag, xmlnsName) {
		return s
	}
	spaces := map[string]string{}
	for a := (attr{}); a.read(tag); {
		if prefix, ok := declares(a.name(tag)); ok {
			if _, twice := spaces[string(prefix)]; !twice {
				spaces[string(prefix)] = internSpace(a.value(tag))
			}
		}
	}
	return &scope{spaces: spaces, outer: s}
}

// resolve finds the namespace of an element by its prefix ("" is the default one), from its own tag outwards. A prefix
// that nobody declares stays visible, so that it equals no real namespace.
func resolve(prefix, tag []byte, outside *scope) string {
	if space, ok := declared(prefix, tag); ok {
		return space
	}
	for s := outside; s != nil; s = s.outer {
		if space, ok := s.spaces[string(prefix)]; ok {
			return space
		}
	}
	switch string(prefix) {
	case "":
		return ""
	case "xml":
		return "http://www.w3.org/XML/1998/namespace"
	}
	return "unbound prefix " + string(prefix)
}

func declared(prefix, tag []byte) (space string, ok bool) {
	if !bytes.Contains(tag, xmlnsName) {
		return "", false
	}
	for a := (attr{}); a.read(tag); {
		if p, ok := declares(a.name(tag)); ok && bytes.Equal(p, prefix) {
			return internSpace(a.value(tag)), true
		}
	}
	return "", false
}

// declares says whether an attribute of this name declares a namespace, and for which prefix.
func declares(name []byte) (prefix []byte, ok bool) {
	if len(name) == len(xmlnsName) {
		return nil, bytes.Equal(name, xmlnsName)
	}
	return bytes.CutPrefix(name, xmlnsColon)
}

// internSpace keeps frequent namespaces from being allocated.
func internSpace(value []byte) string {
	switch string(value) {
	case "":
		return ""
	case "im.itonglian.com":
		return "im.itonglian.com"
	case "urn:xmpp:receipts":
		return "urn:xmpp:receipts"
	case "urn:xmpp:hints":
		return "urn:xmpp:hints"
	case "jabber:client":
		return "jabber:client"
	}
	return unescape(string(value), true)
}
