package stanza

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// AppendEscaped appends s as character data. Quotes stay as they are: bodies are JSON, full of them, and Openfire's framing
// looks at quotes inside of tags only. What XML 1.0 does not allow, invalid UTF-8 included, becomes U+FFFD: one such
// character would end the whole stream. Callers that must not change a text ask [ValidXML] before. Characters above U+FFFF
// stay as they are: the server cuts references to them to 16 bits (measured).
func AppendEscaped(dst []byte, s string) []byte { return appendEscaped(dst, s, &textEscapes) }

// AppendAttr appends s as the value of a double-quoted attribute; see [AppendEscaped].
func AppendAttr(dst []byte, s string) []byte { return appendEscaped(dst, s, &attrEscapes) }

const (
	plain = "" // copied as it is

	replacement = "\uFFFD"
)

// wide marks the bytes that begin or continue a sequence of several, which must be decoded to be judged.
const wide = "wide"

var textEscapes, attrEscapes = escapeTables()

func escapeTables() (text, attr [256]string) {
	for c := range 256 {
		switch {
		case c < 0x20:
			text[c] = replacement
		case c >= utf8.RuneSelf:
			text[c] = wide
		}
	}
	text['&'], text['<'], text['>'] = "&amp;", "&lt;", "&gt;"
	text['\t'], text['\n'], text['\r'] = plain, plain, "&#13;"
	attr = text
	attr['"'], attr['\t'], attr['\n'] = "&quot;", "&#9;", "&#10;"
	return text, attr
}

func appendEscaped(dst []byte, s string, table *[256]string) []byte {
	from := 0
	for i := 0; i < len(s); {
		escape := table[s[i]]
		if escape == plain {
			i++
			continue
		}
		size := 1
		if escape == wide {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if !(r == utf8.RuneError && size == 1) && r != 0xFFFE && r != 0xFFFF {
				i += size
				continue
			}
			escape = replacement
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, escape...)
		i += size
		from = i
	}
	return append(dst, s[from:]...)
}

// ValidXML says whether s is valid UTF-8 and holds only characters that XML 1.0 allows.
func ValidXML(s string) bool {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		i += size
	}
	return true
}

// unescape resolves references and normalises line ends, in attributes also tabs and line ends to spaces (XML 1.0 section 3.3.3).
// A reference to a character that XML does not allow becomes U+FFFD; what is no reference that XML knows stays as it is.
func unescape(s string, attribute bool) string {
	i := 0
	for i < len(s) && s[i] != '&' && s[i] != '\r' && !(attribute && (s[i] == '\n' || s[i] == '\t')) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for i < len(s) {
		c := s[i]
		i++
		switch {
		case c == '&':
			text, n := reference(s[i:])
			b.WriteString(text)
			i += n
		case c == '\r' || attribute && (c == '\n' || c == '\t'):
			if c == '\r' && i < len(s) && s[i] == '\n' {
				i++
			}
			if attribute {
				b.WriteByte(' ')
			} else {
				b.WriteByte('\n')
			}
		default:
			run := i
			for run < len(s) && s[run] != '&' && s[run] >= 0x20 {
				run++
			}
			b.WriteString(s[i-1 : run])
			i = run
		}
	}
	return b.String()
}

// maxReference bounds the search for the semicolon: "#x0010FFFF" and some leading zeros.
const maxReference = 16

// reference reads what follows an ampersand and returns its text and length; "&", 0 when it is none.
func reference(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), maxReference)], ';')
	if end < 2 {
		return "&", 0
	}
	switch name := s[:end]; name {
	case "amp":
		return "&", end + 1
	case "lt":
		return "<", end + 1
	case "gt":
		return ">", end + 1
	case "quot":
		return `"`, end + 1
	case "apos":
		return "'", end + 1
	default:
		if name[0] != '#' {
			return "&", 0
		}
		digits, base := name[1:], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		if err != nil {
			return "&", 0
		}
		if n > utf8.MaxRune || n < 0x20 && n != '\t' && n != '\n' && n != '\r' ||
			0xD800 <= n && n < 0xE000 || n == 0xFFFE || n == 0xFFFF {
			return replacement, end + 1
		}
		return string(rune(n)), end + 1
	}
}

// lineEnds normalises the line ends of CDATA, in which nothing else has a meaning.
func lineEnds(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
