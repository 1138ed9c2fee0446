package component

import "tlim/component/stanza"

// UserKey is by what user ids are compared: their prepared form ([stanza.Localpart]), as the server compares accounts. An id that
// cannot be a local part, which adopted tables hold, is equal to itself alone. "" is nobody's, and equal to no id.
func UserKey(id string) string {
	local, err := stanza.Localpart(id)
	if err != nil && id != "" {
		return "\x00" + id // no local part begins like that
	}
	return local
}

// SameUser says whether two ids are one user's. Rows of adopted tables hold people in another spelling than the directory. No
// letter case of Go's does for it: strings.EqualFold and strings.ToLower know neither what XEP-0106 escapes nor what nodeprep
// maps, and ToLower makes one id of two accounts' (İ and i).
func SameUser(a, b string) bool {
	return a != "" && (a == b || UserKey(a) == UserKey(b))
}
