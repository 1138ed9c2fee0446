package protocol

import (
	"strings"

	"tlim/component/stanza"
)

// UserKey is by what user ids are compared: their prepared form ([stanza.Localpart]), as the server compares accounts. An id that
// cannot be a local part, which legacy tables hold, is equal to itself alone. "" is nobody's, and equal to no id.
func UserKey(id string) string {
	local, err := stanza.Localpart(id)
	if err != nil && id != "" {
		return "\x00" + id // no local part begins like that
	}
	return local
}

// SameUser says whether two ids are one user's. Rows of legacy tables hold people in another spelling than the directory. No
// letter case of Go's does for it: strings.EqualFold and strings.ToLower know neither what XEP-0106 escapes nor what nodeprep
// maps, and ToLower makes one id of two accounts' (İ and i).
func SameUser(a, b string) bool {
	return a != "" && (a == b || UserKey(a) == UserKey(b))
}

// Person is a user as rows name them and as the server addresses them.
type Person struct {
	ID    string // canonical
	Local string // prepared JID local part; "" when the id cannot be one (legacy rows): rows are written, nothing is sent
	Bare  string // bare JID
}

// NewPerson prepares a user id. One that cannot be a local part has no address.
func NewPerson(id, domain string) Person {
	local, err := stanza.Localpart(id)
	if err != nil {
		return Person{ID: id}
	}
	return Person{ID: id, Local: local, Bare: local + "@" + domain}
}

// ChatName names a 1:1 conversation, the same for both directions.
func ChatName(a, b string) string {
	if b < a {
		a, b = b, a
	}
	return a + " " + b
}

// ChatPeer is the other one of a 1:1 conversation.
func ChatPeer(conversation, one string) string {
	if other, ok := strings.CutPrefix(conversation, one+" "); ok {
		return other
	}
	other, _ := strings.CutSuffix(conversation, " "+one)
	return other
}
