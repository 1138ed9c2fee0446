package config

import (
	"errors"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"tlim/store"
)

// This file holds the types of values that are never shown: no log line, no printed configuration and no error has a part of
// them, however wrong they are.

const masked = store.Mask

// Secret is a text that nothing shows. It may be given as KEY_file as well.
type Secret struct{ text string }

// Reveal is the secret itself.
func (s Secret) Reveal() string { return s.text }

// String hides the secret; "" when there is none.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return masked
}

// GoString hides it from %#v as well.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides it from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides it from every encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) reveal(text string) { s.text = text }

// DSN is the address of a database. It holds a password, of which nothing is shown; where the data goes is, because an
// administrator must see that. It may be given as KEY_file as well.
type DSN struct{ text string }

// Reveal is the address with its password.
func (d DSN) Reveal() string { return d.text }

// String hides the password, and all of an address that cannot be read.
func (d DSN) String() string { return store.MaskDSN(d.text) }

// GoString hides it from %#v as well.
func (d DSN) GoString() string { return strconv.Quote(d.String()) }

// LogValue hides it from slog.
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalText hides it from every encoder.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// private says whether the address holds a password, or can hold one. A file's name does not.
func (d DSN) private() bool {
	return passwordInDSN.MatchString(d.text) || strings.ContainsAny(d.text, "@＠") && d.String() == masked
}

var passwordInDSN = regexp.MustCompile(`(?is):.*@|(password|passwd|pwd|_auth_pass|key)\s*=`)

func (d *DSN) reveal(text string) { d.text = text }

// URL is an address of the web. Its user-info and its query can hold a password or a token: they are not shown.
type URL struct{ text string }

// Reveal is the whole address.
func (u URL) Reveal() string { return u.text }

// String hides user-info and query, and all of what is no address.
func (u URL) String() string { return maskURL(u.text) }

// GoString hides them from %#v as well.
func (u URL) GoString() string { return strconv.Quote(u.String()) }

// LogValue hides them from slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText hides them from every encoder.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText takes an address as it is; each key says what is wrong with its own.
func (u *URL) UnmarshalText(text []byte) error {
	if u.text = strings.TrimSpace(string(text)); strings.ContainsFunc(u.text, unicode.IsControl) {
		return errors.New("holds a control character")
	}
	return nil
}

// bareHost is what files.s3.endpoint may be as well.
var bareHost = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?$|^[A-Za-z0-9-]+:[0-9]+$`)

// maskURL shows scheme, host and path of an address. A "@" behind them means that user and password are not escaped, so that
// nobody can tell where they end.
func maskURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme) || u.Host == "" || u.Opaque != "" {
		if bareHost.MatchString(text) {
			return text
		}
		return masked
	}
	if strings.Contains(u.EscapedPath()+u.RawQuery+u.Fragment, "@") {
		return u.Scheme + "://" + masked
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += masked + "@"
	}
	shown += u.Host + u.EscapedPath()
	if u.RawQuery != "" || u.ForceQuery {
		shown += "?" + masked
	}
	if u.Fragment != "" {
		shown += "#" + masked
	}
	return shown
}

// quoted shows a value of a key that holds no secret by itself. What looks as if it came from another key is not shown.
func quoted(value string) string {
	if foreignValue(value) {
		return "the value"
	}
	return strconv.Quote(value)
}

// foreignValue finds what a plain value never has and an address with a password may have.
func foreignValue(value string) bool {
	return len(value) > 100 || strings.ContainsAny(value, "@＠?=\n")
}

// Shown is the configuration as it may be printed: secrets hide themselves, and so does what stands in the wrong key and may be one.
func (c Config) Shown() Config {
	hide(reflect.ValueOf(&c).Elem())
	return c
}

func hide(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[Path](): // Load has looked at it
	case v.Kind() == reflect.String:
		if foreignValue(v.String()) {
			v.SetString(masked)
		}
	case v.Kind() == reflect.Slice:
		shown := reflect.MakeSlice(v.Type(), v.Len(), v.Len()) // the caller keeps theirs
		reflect.Copy(shown, v)
		for i := range shown.Len() {
			hide(shown.Index(i))
		}
		v.Set(shown)
	case isSection(v.Type()):
		for _, f := range v.Fields() {
			hide(f)
		}
	}
}
