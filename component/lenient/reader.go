package lenient

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// reader goes over a text once and writes its strict form.
type reader struct {
	in  string
	pos int
	out []byte
}

// document takes the whole text: one object or array.
func (r *reader) document() error {
	r.in = trimMark(r.in)
	if err := r.skip(control); err != nil {
		return err
	}
	if c := r.peek(); c != '{' && c != '[' {
		return r.unexpected("{ or [")
	}
	if err := r.value(1); err != nil {
		return err
	}
	if err := r.skip(control); err != nil {
		return err
	}
	if r.pos < len(r.in) {
		return r.unexpected("the end")
	}
	return nil
}

// peek is the next byte, 0 at the end.
func (r *reader) peek() byte {
	if r.pos < len(r.in) {
		return r.in[r.pos]
	}
	return 0
}

// What may stand between tokens beside comments. The old parser took control characters before values only.
func blank(c byte) bool   { return c == ' ' || '\b' <= c && c <= '\r' && c != '\v' }
func control(c byte) bool { return c <= ' ' || c == 0x7F }

// skip passes over blanks and comments.
func (r *reader) skip(space func(byte) bool) error {
	for r.pos < len(r.in) {
		switch c := r.in[r.pos]; {
		case space(c):
			r.pos++
		case c != '/':
			return nil
		default:
			rest, size := r.in[r.pos:], 0
			switch {
			case strings.HasPrefix(rest, "//"):
				if size = strings.IndexByte(rest, '\n') + 1; size == 0 {
					size = len(rest)
				}
			case strings.HasPrefix(rest, "/*"):
				end := strings.Index(rest[2:], "*/")
				if end < 0 {
					return r.fail(r.pos, "a comment that nothing closes")
				}
				size = 2 + end + 2
			default:
				return nil
			}
			r.pos += size
		}
	}
	return nil
}

// value takes one value; depth counts the arrays and objects that it would be inside of its own elements.
func (r *reader) value(depth int) error {
	switch c := r.peek(); {
	case c == '[' || c == '{':
		if depth > maxDepth {
			return ErrDepth
		}
		r.pos++
		r.out = append(r.out, c)
		if c == '[' {
			return r.elements(depth)
		}
		return r.members(depth)
	case c == '"' || c == '\'':
		return r.quoted(c)
	case c == '-' || c == '+' || isDigit(c):
		return r.number()
	}
	return r.word()
}

// elements takes what follows the bracket of an array.
func (r *reader) elements(depth int) error {
	for first := true; ; {
		if err := r.skip(control); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
			continue
		case ']':
			r.pos++
			r.out = append(r.out, ']')
			return nil
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		if r.pos >= len(r.in) {
			return r.unexpected("]")
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
}

// members takes what follows the bracket of an object.
func (r *reader) members(depth int) error {
	for first, comma := true, true; ; {
		if err := r.skip(blank); err != nil {
			return err
		}
		switch c := r.peek(); {
		case c == ',':
			r.pos++
			comma = true
			continue
		case c == '}':
			r.pos++
			r.out = append(r.out, '}')
			return nil
		case !comma:
			return r.unexpected(", or }")
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first, comma = false, false
		if err := r.key(); err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.unexpected(":")
		}
		r.pos++
		r.out = append(r.out, ':')
		if err := r.skip(control); err != nil {
			return err
		}
		if err := r.value(depth + 1); err != nil {
			return err
		}
	}
}

// key takes a key and the blanks behind it.
func (r *reader) key() error {
	switch c := r.peek(); {
	case c == '"' || c == '\'':
		if err := r.quoted(c); err != nil {
			return err
		}
	case c == '-' || isDigit(c): // the colon has to follow at once
		r.out = append(r.out, '"')
		if err := r.integer(); err != nil {
			return err
		}
		r.out = append(r.out, '"')
		return nil
	default:
		name := r.name()
		if name == "" {
			return r.unexpected("a key")
		}
		r.out = AppendString(r.out, name)
	}
	return r.skip(blank)
}

// name takes an identifier; "" when there is none.
func (r *reader) name() string {
	start := r.pos
	for r.pos < len(r.in) {
		c, size := utf8.DecodeRuneInString(r.in[r.pos:])
		if !inName(c) || r.pos == start && c < utf8.RuneSelf && isDigit(byte(c)) {
			break
		}
		r.pos += size
	}
	return r.in[start:r.pos]
}

// inName says whether a character may stand in a key without quotes. The old parser took everything from U+0100 on, quotes and
// blanks of other scripts included, and so made other keys than were meant.
func inName(c rune) bool {
	switch {
	case c < utf8.RuneSelf:
		return c == '_' || c == '$' || 'a' <= c|0x20 && c|0x20 <= 'z' || isDigit(byte(c))
	case c < 0x100:
		return false
	}
	return unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsNumber(c)
}

// word takes what has a name: the literals, and a date.
func (r *reader) word() error {
	start := r.pos
	name := r.name()
	switch name {
	case "":
		return r.unexpected("a value")
	case "true", "false", "null":
		r.out = append(r.out, name...)
	case "undefined", "NULL", "Null", "NaN":
		r.out = append(r.out, "null"...)
	case "new":
		return r.date()
	default:
		return r.fail(start, "the word %.20q without quotes", name)
	}
	return r.ended(blank, ",:]}/")
}

// ended refuses what is glued to a word or a number, but for some characters.
func (r *reader) ended(space func(byte) bool, by string) error {
	switch c := r.peek(); {
	case r.pos >= len(r.in), space(c), strings.IndexByte(by, c) >= 0:
		return nil
	}
	return r.unexpected(", ] or }")
}

// date takes what follows the new of new Date(milliseconds).
func (r *reader) date() error {
	if !blank(r.peek()) {
		return r.unexpected("Date(milliseconds)")
	}
	for _, token := range []string{"Date", "("} {
		for blank(r.peek()) {
			r.pos++
		}
		if !strings.HasPrefix(r.in[r.pos:], token) {
			return r.unexpected("Date(milliseconds)")
		}
		r.pos += len(token)
	}
	if err := r.skip(blank); err != nil {
		return err
	}
	from := len(r.out)
	if r.peek() == '+' {
		r.pos++
	}
	if err := r.integer(); err != nil {
		return err
	}
	if len(r.out)-from > maxDate {
		return r.unexpected("milliseconds")
	}
	if err := r.skip(blank); err != nil {
		return err
	}
	if r.peek() != ')' {
		return r.unexpected(")")
	}
	r.pos++
	return nil
}

// maxDate is as many digits as every reader reads exactly.
const maxDate = 15
