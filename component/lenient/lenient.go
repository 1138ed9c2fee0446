// Package lenient reads the JSON that shipped clients and integrators really send: unquoted keys, single quotes,
// trailing commas, comments ([JSON5]). It answers strict JSON text, so that everything behind it, other programs
// included, reads one and the same thing.
//
// [JSON5]: https://spec.json5.org
package lenient

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/titanous/json5"
)

// maxDepth bounds nesting: real envelopes have 4 levels, and every reader behind us recurses.
const maxDepth = 64

// ErrDepth is nesting deeper than any real message has.
var ErrDepth = errors.New("nested too deeply")

var errSyntax = errors.New("not JSON")

// JSON returns text unchanged when it is strict JSON, else its strict form when it is JSON5. Order, duplicate keys and
// every value are kept; Infinity and NaN, which JSON cannot say, are errors.
func JSON(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("not UTF-8")
	}
	if tooDeep(text) {
		return "", ErrDepth
	}
	if gjson.Valid(text) {
		return text, nil
	}
	var ignored any
	if err := json5.Unmarshal([]byte(text), &ignored); err != nil {
		return "", err
	}
	// The library has judged the text; what is left is lexical. (It cannot do this part: its maps lose order and duplicates.)
	r := rewriter{in: text}
	if err := r.rewrite(); err != nil {
		return "", err
	}
	strict := string(r.out)
	if !gjson.Valid(strict) {
		return "", errSyntax
	}
	return strict, nil
}

// tooDeep counts brackets outside strings and comments, before any recursive reader sees the text. A quote in a comment
// begins no string: brackets behind it count.
func tooDeep(text string) bool {
	depth := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '/':
			if end := commentEnd(text[i:]); end > 0 {
				i += end - 1
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}

// rewriter turns valid JSON5 into JSON, token by token.
type rewriter struct {
	in    string
	pos   int
	out   []byte
	comma bool // one was read and not yet written: a trailing one never is
}

func (r *rewriter) rewrite() error {
	for r.pos < len(r.in) {
		c := r.in[r.pos]
		switch {
		case c == '/':
			end := commentEnd(r.in[r.pos:])
			if end == 0 || odd(r.in[r.pos:r.pos+end]) {
				return errSyntax
			}
			r.pos += end
		case c == ',':
			r.comma = true
			r.pos++
		case c == ']' || c == '}':
			r.comma = false
			r.out = append(r.out, c)
			r.pos++
		case c == '[' || c == '{' || c == ':':
			r.flush()
			r.out = append(r.out, c)
			r.pos++
		case c == '"' || c == '\'':
			r.flush()
			if err := r.quoted(c); err != nil {
				return err
			}
		default:
			_, size := utf8.DecodeRuneInString(r.in[r.pos:])
			if isSpace(r.in[r.pos : r.pos+size]) {
				r.pos += size
				continue
			}
			r.flush()
			if err := r.word(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rewriter) flush() {
	if r.comma {
		r.out = append(r.out, ',')
		r.comma = false
	}
}

// commentEnd is the length of the comment at the begin of text, with the line end of one in a line; 0 when there is none.
func commentEnd(text string) int {
	open, end := 2, "*/"
	switch {
	case strings.HasPrefix(text, "//"):
		end = "\n"
	case !strings.HasPrefix(text, "/*"):
		return 0
	}
	if i := strings.Index(text[open:], end); i >= 0 {
		return open + i + len(end)
	}
	return len(text)
}

// odd says whether a comment is one thing for JavaScript and another for the library: one that nothing closes, or one in a
// line that holds what ends the line for JavaScript alone: what follows is data for the one and comment for the other.
func odd(comment string) bool {
	if strings.HasPrefix(comment, "/*") {
		return len(comment) < len("/**/") || !strings.HasSuffix(comment, "*/")
	}
	line, ended := strings.CutSuffix(comment, "\n")
	if ended {
		line = strings.TrimSuffix(line, "\r")
	}
	return strings.ContainsAny(line, "\r\u2028\u2029")
}

// word takes an identifier, a literal or a number.
func (r *rewriter) word() error {
	start := r.pos
	for r.pos < len(r.in) {
		_, size := utf8.DecodeRuneInString(r.in[r.pos:])
		if strings.ContainsAny(r.in[r.pos:r.pos+1], "[]{},:\"'/") || isSpace(r.in[r.pos:r.pos+size]) {
			break
		}
		r.pos += size
	}
	word := r.in[start:r.pos]
	if word == "" {
		return errSyntax
	}
	if r.isKey() {
		if strings.ContainsRune(word, '\\') { // an escaped identifier: legal JSON5 that nobody sends
			return errSyntax
		}
		r.out = AppendString(r.out, word)
		return nil
	}
	if word == "true" || word == "false" || word == "null" {
		r.out = append(r.out, word...)
		return nil
	}
	number, err := strictNumber(word)
	r.out = append(r.out, number...)
	return err
}

// isKey says whether a colon follows.
func (r *rewriter) isKey() bool {
	ahead := rewriter{in: r.in, pos: r.pos}
	for ahead.pos < len(ahead.in) {
		_, size := utf8.DecodeRuneInString(ahead.in[ahead.pos:])
		switch {
		case commentEnd(ahead.in[ahead.pos:]) > 0:
			ahead.pos += commentEnd(ahead.in[ahead.pos:])
		case isSpace(ahead.in[ahead.pos : ahead.pos+size]):
			ahead.pos += size
		default:
			return ahead.in[ahead.pos] == ':'
		}
	}
	return false
}

func strictNumber(word string) (string, error) {
	if gjson.Valid(word) {
		return word, nil
	}
	sign, digits := "", word
	switch {
	case strings.HasPrefix(word, "-"):
		sign, digits = "-", word[1:]
	case strings.HasPrefix(word, "+"):
		digits = word[1:]
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 64)
		return sign + strconv.FormatUint(n, 10), err
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", errSyntax
	}
	if strings.HasPrefix(digits, ".") {
		digits = "0" + digits
	}
	digits = strings.Replace(digits, ".e", ".0e", 1)
	digits = strings.Replace(digits, ".E", ".0E", 1)
	if strings.HasSuffix(digits, ".") {
		digits += "0"
	}
	return sign + digits, nil
}

// quoted takes a string in either kind of quotes, with the escapes that JSON does not have resolved.
func (r *rewriter) quoted(quote byte) error {
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
		case c == '"':
			r.out = append(r.out, '\\', '"')
			r.pos++
		case c < 0x20:
			r.out = appendRune(r.out, rune(c))
			r.pos++
		default:
			r.out = append(r.out, c)
			r.pos++
		}
	}
	return errSyntax
}

func (r *rewriter) escape() error {
	if r.pos+1 >= len(r.in) {
		return errSyntax
	}
	c := r.in[r.pos+1]
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't', 'u':
		r.out = append(r.out, '\\', c)
		r.pos += 2
	case '\r':
		r.pos += 2
		if r.pos < len(r.in) && r.in[r.pos] == '\n' {
			r.pos++
		}
	case '\n':
		r.pos += 2
	default: // the library passes only the single quote
		r.out = appendRune(r.out, rune(c))
		r.pos += 2
	}
	return nil
}

func isSpace(s string) bool {
	switch s {
	case " ", "\t", "\n", "\r", "\v", "\f", "\u00a0", "\ufeff", "\u2028", "\u2029":
		return true
	}
	return false
}

// appendRune writes a character of a JSON string.
func appendRune(dst []byte, ch rune) []byte {
	switch {
	case ch == '"' || ch == '\\':
		return append(dst, '\\', byte(ch))
	case ch < 0x20 || ch == 0xFFFE || ch == 0xFFFF || utf16.IsSurrogate(ch): // the two are what XML forbids besides
		const hex = "0123456789abcdef"
		return append(dst, '\\', 'u', hex[ch>>12&15], hex[ch>>8&15], hex[ch>>4&15], hex[ch&15])
	}
	return utf8.AppendRune(dst, ch)
}

// String returns s as a JSON string, quotes included, without escaping what JSON does not ask to be escaped.
func String(s string) string { return string(AppendString(make([]byte, 0, len(s)+2), s)) }

// AppendString appends s as a JSON string, quotes included.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, ch := range s {
		dst = appendRune(dst, ch)
	}
	return append(dst, '"')
}
