package protocol

import (
	"unicode/utf8"

	"github.com/google/uuid"
)

// NewID makes a row id. Version 7 is ordered by time, which keeps the primary key's tree in cache.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// AdminID is the reserved user in whose name the server speaks.
const AdminID = "admin"

// oddInID says whether a character can be in no id. Half a surrogate reads as U+FFFD here and as itself in a JavaScript client: two
// ids to one of them, one to the other.
func oddInID(c rune) bool {
	return c < ' ' || c == 0x7F || c == utf8.RuneError || c == 0xFFFE || c == 0xFFFF
}

// Shorten shortens a copy of a name to what its column holds.
func Shorten(text string, characters int) string {
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	return string([]rune(text)[:characters])
}
