package lenient

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth bounds nesting: real envelopes have 4 levels, and every reader behind us recurses.
const maxDepth = 64

// ErrDepth is nesting deeper than any real message has.
var ErrDepth = fmt.Errorf("nested more than %d deep", maxDepth)

// SyntaxError says where a text stops being JSON.
type SyntaxError struct {
	Character int // from 1
	Problem   string
}

func (s *SyntaxError) Error() string {
	return fmt.Sprintf("%s at character %d", s.Problem, s.Character)
}

var errNotUTF8 = errors.New("not UTF-8")

// JSON returns text unchanged when it is strict JSON, else the strict form of the object or array that it is. Order,
// duplicate keys and every value are kept. Errors: [ErrDepth], a *[SyntaxError], or what is not UTF-8. It takes time in
// proportion to the text, which grows by a factor of 6 at most.
func JSON(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errNotUTF8
	}
	if shallow(text) && gjson.Valid(text) {
		return text, nil
	}
	r := reader{in: text, out: make([]byte, 0, len(text)+len(text)/8+16)}
	if err := r.document(); err != nil {
		return "", err
	}
	return string(r.out), nil
}

// shallow says whether no bracket of a strict text lies too deep. Of other texts it says nothing, but no more brackets than
// these come before what makes them other.
func shallow(text string) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			if depth++; depth > maxDepth {
				return false
			}
		case ']', '}':
			depth--
		}
	}
	return true
}

// fail makes the error for what stands at a place of the text.
func (r *reader) fail(at int, format string, args ...any) error {
	return &SyntaxError{Character: utf8.RuneCountInString(r.in[:min(at, len(r.in))]) + 1, Problem: fmt.Sprintf(format, args...)}
}

// unexpected is the error for the character at the reader's place.
func (r *reader) unexpected(wanted string) error {
	if r.pos >= len(r.in) {
		return r.fail(len(r.in), "%s is missing", wanted)
	}
	c, _ := utf8.DecodeRuneInString(r.in[r.pos:])
	return r.fail(r.pos, "%q instead of %s", c, wanted)
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

// appendRune writes a character of a JSON string.
func appendRune(dst []byte, ch rune) []byte {
	switch {
	case ch == '"' || ch == '\\':
		return append(dst, '\\', byte(ch))
	case ch < 0x20 || ch == 0xFFFE || ch == 0xFFFF: // the two are what XML forbids besides
		const hex = "0123456789abcdef"
		return append(dst, '\\', 'u', hex[ch>>12&15], hex[ch>>8&15], hex[ch>>4&15], hex[ch&15])
	}
	return utf8.AppendRune(dst, ch)
}

const byteOrderMark = "\uFEFF"

// trimMark removes a byte order mark.
func trimMark(text string) string { return strings.TrimPrefix(text, byteOrderMark) }
