package httpapi

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"tlim/component/stanza"
)

// maxPairs bounds what one request may make us allocate: 10,000 receivers fit even as 10,000 msgTo parameters.
const maxPairs = 20_000

// form holds the parameters of a request; those of the query string come before those of the body, as in a servlet.
type form map[string][]string

// first returns the first value of a parameter, "" when it is absent.
func (f form) first(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// add splits a query string or a form body into f. It is split at & only: integrators send raw JSON, so ';', '[', '{', '"'
// and a bad % escape are data (net/url drops such a pair as a whole). '+' is a blank. It refuses what no answer, table or
// stanza could carry: invalid UTF-8, and characters that XML forbids.
func (f form) add(encoded string) error {
	pairs := 0
	for _, v := range f {
		pairs += len(v)
	}
	for encoded != "" {
		var pair string
		pair, encoded, _ = strings.Cut(encoded, "&")
		if pair == "" {
			continue
		}
		if pairs++; pairs > maxPairs {
			return badRequest(textTooManyParameters, maxPairs)
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, value := unescape(rawName), unescape(rawValue)
		if !stanza.ValidXML(name) {
			return badRequest(textBadName)
		}
		if !stanza.ValidXML(value) {
			return badRequest(textBadCharacters, name)
		}
		f[name] = append(f[name], value)
	}
	return nil
}

// ascii says whether all names and values are ASCII.
func (f form) ascii() bool {
	other := func(r rune) bool { return r >= utf8.RuneSelf }
	for name, values := range f {
		if strings.ContainsFunc(name, other) || strings.ContainsFunc(strings.Join(values, ""), other) {
			return false
		}
	}
	return true
}

// unescape resolves %XX and '+'; a '%' without two hex digits stays as it is.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			out = append(out, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// LogValue names the parameters and not their values: this is what may be logged.
func (f form) LogValue() slog.Value {
	const maxNames = 50
	names := make([]string, 0, min(len(f), maxNames))
	for name := range f {
		if len(names) == maxNames {
			break
		}
		names = append(names, fmt.Sprintf("%.40q", name))
	}
	return slog.StringValue(strings.Join(names, " "))
}
