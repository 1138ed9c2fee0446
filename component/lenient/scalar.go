package lenient

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits takes ASCII digits.
func (r *reader) digits() string {
	start := r.pos
	for isDigit(r.peek()) {
		r.pos++
	}
	return r.in[start:r.pos]
}

// integer takes a whole number, with a minus sign perhaps, and drops its leading zeros.
func (r *reader) integer() error {
	negative := r.peek() == '-'
	if negative {
		r.pos++
	}
	digits := r.digits()
	if digits == "" {
		return r.unexpected("a digit")
	}
	digits = strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
	if negative && digits != "0" {
		r.out = append(r.out, '-')
	}
	r.out = append(r.out, digits...)
	return nil
}

// number takes a number. It is written with the digits that it came with: no reader may lose some that another has.
func (r *reader) number() error {
	if r.peek() == '+' {
		r.pos++
	}
	from := len(r.out)
	negative := r.peek() == '-'
	if err := r.integer(); err != nil {
		return err
	}
	whole := len(r.out)
	if r.peek() == '.' {
		r.pos++
		if fraction := r.digits(); fraction != "" {
			r.out = append(r.out, '.')
			r.out = append(r.out, fraction...)
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.pos++
		r.out = append(r.out, 'e')
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
			r.out = append(r.out, c)
		}
		exponent := r.digits()
		if exponent == "" {
			return r.unexpected("a digit")
		}
		r.out = append(r.out, exponent...)
	}
	if negative && len(r.out) > whole && r.out[from] != '-' { // -0.5, of which integer has seen -0
		r.out = append(r.out, 0)
		copy(r.out[from+1:], r.out[from:])
		r.out[from] = '-'
	}
	return r.ended(control, ",:]}/\"'[{")
}

// quoted takes a string in either kind of quotes.
func (r *reader) quoted(quote byte) error {
	start := r.pos
	r.pos++
	r.out = append(r.out, '"')
	for r.pos < len(r.in) {
		c := r.in[r.pos]
		switch {
		case c == quote:
			r.pos++
			r.out = append(r.out, '"')
			return nil
		case c == '\\':
			if err := r.escape(); err != nil {
				return err
			}
		case c < utf8.RuneSelf:
			r.out = appendRune(r.out, rune(c))
			r.pos++
		default:
			ch, size := utf8.DecodeRuneInString(r.in[r.pos:])
			r.out = appendRune(r.out, ch)
			r.pos += size
		}
	}
	return r.fail(start, "a string that nothing closes")
}

func (r *reader) escape() error {
	start := r.pos
	r.pos++
	c := r.peek()
	if r.pos < len(r.in) {
		r.pos++
	}
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		r.out = append(r.out, '\\', c)
	case 'u':
		if _, ok := r.hex(4); !ok {
			return r.fail(start, "\\u without four hex digits")
		}
		r.out = append(r.out, r.in[start:r.pos]...)
	case 'x':
		ch, ok := r.hex(2)
		if !ok {
			return r.fail(start, "\\x without two hex digits")
		}
		r.out = appendRune(r.out, ch)
	case '\'':
		r.out = append(r.out, c)
	case 'v':
		r.out = appendRune(r.out, '\v')
	case 'F':
		r.out = append(r.out, '\\', 'f')
	case '0', '1', '2', '3', '4', '5', '6', '7':
		r.out = appendRune(r.out, rune(c-'0'))
	default:
		return r.fail(start, "an escape that JSON does not have")
	}
	return nil
}

// hex takes n hex digits.
func (r *reader) hex(n int) (value rune, ok bool) {
	if r.pos+n > len(r.in) {
		return 0, false
	}
	for _, c := range []byte(r.in[r.pos : r.pos+n]) {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' {
			return 0, false
		}
		value = value<<4 | rune(digit)
	}
	r.pos += n
	return value, true
}

// Text reads a string, or a number where a text is expected. ok is false for all else, and for a number that a JavaScript
// reader makes another text of than stands there: beyond 2^53, -0, 15748.0, 1e3. Null is no text: "", true.
func Text(value gjson.Result) (text string, ok bool) {
	switch value.Type {
	case gjson.String:
		return value.Str, true
	case gjson.Null:
		return "", true
	case gjson.Number:
		return value.Raw, asWritten(value.Raw)
	}
	return "", false
}

// asWritten says whether ECMAScript's Number::toString gives a number back as it was written.
func asWritten(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if size := math.Abs(f); err != nil || size >= 1e21 || size < 1e-6 && size != 0 {
		return false
	}
	return number != "-0" && strconv.FormatFloat(f, 'f', -1, 64) == number
}
