package stanza

import (
	"bytes"
	"errors"
	"iter"
)

// Stanza is one top-level element of a stream: its attributes, and its content as received.
type Stanza struct {
	Name               string // "message", "presence" or "iq"
	From, To, ID, Type string // unescaped attribute values, as received: addresses are not prepared
	Inner              []byte // bytes between start and end tag, still escaped; the receiver of the Stanza owns them
	Oversize           bool   // over the size limit: only the attributes are known, Inner is nil
	Ends               []byte // of an oversize one, its first and its last KiB, from start tag to end tag: what it was can be told, not read

	ns *scope // namespaces that the start tag declares; nil when there are none beside the stream's own
}

// Child is an element inside a stanza. Its slices point into the stanza's Inner.
type Child struct {
	Name  string // local name
	Space string // namespace; "" when none is declared inside the stanza, so that it is the stream's own
	Inner []byte // bytes between start and end tag, still escaped
	Raw   []byte // the whole element; a prefix declared outside of it is not bound in it

	tag []byte // start tag without angle brackets and slash
	ns  *scope // declarations outside of this element
}

var errNotElement = errors.New("stanza: not one XML element")

// Parse reads one element that is complete in b, whatever its name, surrounded at most by white space. The result points
// into b. Its content is not looked at further than to find its end.
func Parse(b []byte) (Stanza, error) {
	b = bytes.TrimSpace(b)
	el, n := element(b)
	if n == 0 || n != len(b) {
		return Stanza{}, errNotElement
	}
	st, _ := newStanza(el.tag)
	st.Inner = el.inner
	return st, nil
}

// Children yields the elements at depth 1 in order. Malformed content ends the sequence.
func (s *Stanza) Children() iter.Seq[Child] { return children(s.Inner, s.ns) }

// Children yields the elements one level below, as Stanza.Children does.
func (c Child) Children() iter.Seq[Child] { return children(c.Inner, c.ns.with(c.tag)) }

// Child returns the first child of this name and namespace.
func (c Child) Child(name, space string) (Child, bool) { return first(c.Children(), name, space) }

// Child returns the first child of this name and namespace.
func (s *Stanza) Child(name, space string) (Child, bool) { return first(s.Children(), name, space) }

func first(seq iter.Seq[Child], name, space string) (Child, bool) {
	for c := range seq {
		if c.Name == name && c.Space == space {
			return c, true
		}
	}
	return Child{}, false
}

// Stanza reads a child as a stanza of its own, as those that carry a forwarded stanza need.
func (c Child) Stanza() Stanza {
	st, _ := newStanza(c.tag)
	st.Inner = c.Inner
	st.ns = c.ns.with(c.tag)
	return st
}

// Attr returns the unescaped value of an attribute by its name as written (with prefix, if it has one), "" when it is absent.
func (c Child) Attr(name string) string {
	for a := (attr{}); a.read(c.tag); {
		if string(a.name(c.tag)) == name {
			return unescape(string(a.value(c.tag)), true)
		}
	}
	return ""
}

// Text returns the character data at depth 1: references and CDATA resolved, line ends as XML wants them (\n), text of
// elements inside left out. A character reference to what XML does not allow becomes U+FFFD.
func (c Child) Text() string {
	if bytes.IndexByte(c.Inner, '<') < 0 {
		return unescape(string(c.Inner), false)
	}
	var text []byte
	for b := c.Inner; len(b) > 0; {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			i = len(b)
		}
		text = append(text, unescape(string(b[:i]), false)...)
		if b = b[i:]; len(b) == 0 {
			break
		}
		n := 0
		switch kind, length := markup(b); kind {
		case markCDATA:
			text = append(text, lineEnds(string(b[len(openCDATA):length-len(closeCDATA)]))...)
			n = length
		case markSkip:
			n = length
		case markStart, markEmpty:
			_, n = element(b)
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	return string(text)
}

func children(inner []byte, outside *scope) iter.Seq[Child] {
	return func(yield func(Child) bool) {
		for b := inner; ; {
			i := bytes.IndexByte(b, '<')
			if i < 0 {
				return
			}
			b = b[i:]
			switch kind, n := markup(b); kind {
			case markSkip, markCDATA:
				b = b[n:]
			case markStart, markEmpty:
				el, n := element(b)
				if n == 0 {
					return
				}
				c := Child{Inner: el.inner, Raw: b[:n:n], tag: el.tag, ns: outside}
				prefix, local := splitName(tagName(el.tag))
				c.Name, c.Space = intern(local), resolve(prefix, el.tag, outside)
				if !yield(c) {
					return
				}
				b = b[n:]
			default:
				return
			}
		}
	}
}

// newStanza reads a start tag. Its strings are pieces of one copy of the tag.
func newStanza(tag []byte) (st Stanza, space string) {
	name := tagName(tag)
	_, local := splitName(name)
	st.Name = intern(local)
	if len(name) == len(tag) {
		return st, ""
	}
	text, declaring := string(tag), false
	for a := (attr{}); a.read(tag); {
		var to *string
		switch name := a.name(tag); string(name) {
		case "from":
			to = &st.From
		case "to":
			to = &st.To
		case "id":
			to = &st.ID
		case "type":
			to = &st.Type
		case "xmlns":
			to = &space
		default:
			if !bytes.HasPrefix(name, xmlnsColon) {
				continue
			}
		}
		if to != nil && *to == "" {
			*to = unescape(text[a.valueAt:a.valueEnd], true)
		}
		declaring = declaring || to == &space || to == nil
	}
	if declaring {
		st.ns = st.ns.with(tag)
	}
	return st, space
}

// intern keeps the names that occur all the time from being allocated.
func intern(name []byte) string {
	switch string(name) {
	case "message":
		return "message"
	case "presence":
		return "presence"
	case "iq":
		return "iq"
	case "body":
		return "body"
	case "tlim":
		return "tlim"
	case "subject":
		return "subject"
	case "received":
		return "received"
	case "request":
		return "request"
	case "show":
		return "show"
	case "status":
		return "status"
	case "priority":
		return "priority"
	case "value":
		return "value"
	case "query":
		return "query"
	}
	return string(name)
}
