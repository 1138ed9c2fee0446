package stanza

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// JID is an XMPP address (RFC 6122) whose parts are prepared: two addresses are the same when their JIDs are equal.
type JID struct {
	Local    string // "" for a server's or component's own address
	Domain   string
	Resource string // "" for a bare JID
}

// maxPart is the longest part of a JID in bytes (RFC 6122 section 2.1).
const maxPart = 1023

var (
	errEmptyPart = errors.New("an empty part")
	errLongPart  = fmt.Errorf("a part longer than %d bytes", maxPart)
	errNotUTF8   = errors.New("invalid UTF-8")

	errNotPrepared = errors.New("not in its prepared form")
)

// ParseJID splits and prepares an address: nodeprep, a lower-case domain, resourceprep. An address of plain ASCII in lower
// case costs no allocation.
func ParseJID(s string) (JID, error) {
	var j JID
	rest, err := s, error(nil)
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		if j.Resource, err = resourceprep(rest[i+1:]); err != nil {
			return JID{}, fmt.Errorf("jid %.80q: resource: %w", s, err)
		}
		rest = rest[:i]
	}
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		if j.Local, err = nodeprep(rest[:i]); err != nil {
			return JID{}, fmt.Errorf("jid %.80q: local part: %w", s, err)
		}
		rest = rest[i+1:]
	}
	if j.Domain, err = domainprep(rest); err != nil {
		return JID{}, fmt.Errorf("jid %.80q: domain: %w", s, err)
	}
	return j, nil
}

// ParsePrepared reads an address that the server vouches for. Its local part and resource have to be what preparation leaves as
// they are: a server that prepares by other tables than ours could let one account in under a form that we take for another's.
// Of the domain only the letter case of ASCII may differ, because nobody but the server itself can have it.
func ParsePrepared(s string) (JID, error) {
	j, err := ParseJID(s)
	if err != nil {
		return JID{}, err
	}
	rest, resource, _ := strings.Cut(s, "/")
	local, domain := "", rest
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		local, domain = rest[:i], rest[i+1:]
	}
	_, onlyASCII := scan(domain, inDomain)
	if local != j.Local || resource != j.Resource || domain != j.Domain && !onlyASCII {
		return JID{}, fmt.Errorf("jid %.80q: %w", s, errNotPrepared)
	}
	return j, nil
}

// Bare is the address without the resource.
func (j JID) Bare() string {
	if j.Local == "" {
		return j.Domain
	}
	return j.Local + "@" + j.Domain
}

// String is the whole address, not escaped for XML.
func (j JID) String() string {
	switch {
	case j.Resource == "":
		return j.Bare()
	case j.Local == "":
		return j.Domain + "/" + j.Resource
	}
	return j.Local + "@" + j.Domain + "/" + j.Resource
}

// Localpart turns a user id into the local part of that user's JID: what a JID cannot hold is escaped (XEP-0106), then
// nodeprep makes it lower case. A backslash is left alone: clients use the local part of their JID as their id, so an id that
// holds escape sequences is one that was escaped already, and Localpart of a local part is that local part. An id that is
// empty, begins or ends with a space, holds what nodeprep prohibits, what Unicode 3.2 does not know or what preparation would
// change once more, or gets longer than 1,023 bytes is an error.
func Localpart(userID string) (string, error) {
	if strings.HasPrefix(userID, " ") || strings.HasSuffix(userID, " ") {
		return "", fmt.Errorf("user id %.80q begins or ends with a space", userID) // XEP-0106 section 4.2
	}
	escaped := userID
	if strings.ContainsAny(userID, escapable) {
		b := make([]byte, 0, len(userID)+8)
		for i := range len(userID) {
			c := userID[i]
			if strings.IndexByte(escapable, c) < 0 {
				b = append(b, c)
				continue
			}
			b = append(b, '\\', hexDigits[c>>4], hexDigits[c&15])
		}
		escaped = string(b)
	}
	local, err := nodeprep(escaped)
	if err != nil {
		return "", fmt.Errorf("user id %.80q cannot be the local part of a JID: %w", userID, err)
	}
	// Escaped, a space inside that only preparation brought to the edge would still be one.
	if strings.HasPrefix(local, `\20`) || strings.HasSuffix(local, `\20`) {
		return "", fmt.Errorf("user id %.80q begins or ends with a space", userID)
	}
	return local, nil
}

// escapable are the characters that XEP-0106 gives an escape sequence, the backslash excepted.
const (
	escapable = ` "&'/:<>@`
	hexDigits = "0123456789abcdef"
)

// class sorts the ASCII characters by what the three profiles do with them.
type class uint8

const (
	inLocal    class = 1 << iota // stays in a local part
	inDomain                     // stays in a domain
	inResource                   // stays in a resource
	upper                        // becomes lower case in the first two
)

var ascii = func() (t [utf8.RuneSelf]class) {
	for c := 0x20; c < 0x7F; c++ {
		t[c] = inResource
		if c != ' ' && strings.IndexByte(escapable, byte(c)) < 0 {
			t[c] |= inLocal
		}
		switch {
		case 'A' <= c && c <= 'Z':
			t[c] = inResource | upper
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._:[]", byte(c)) >= 0:
			t[c] |= inDomain
		}
	}
	return t
}()

// scan says whether every character of s is plain ASCII of this class, and otherwise whether it is ASCII at least.
func scan(s string, want class) (plain, onlyASCII bool) {
	plain = true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false, false
		}
		plain = plain && ascii[s[i]]&want != 0
	}
	return plain, true
}
