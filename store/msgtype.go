package store

import "strings"

// The families of msg_type: 1:1, groups, business messages, commands.
const (
	FamilyChat     = "MTT"
	FamilyGroup    = "MTS"
	FamilyBusiness = "MTB"
	FamilyCommand  = "MTC"
)

// The same in SQL, see command.go.
const (
	mtt = ` AND family(msg_type, MTT)`
	mts = ` AND family(msg_type, MTS)`
	mtb = ` AND family(msg_type, MTB)`
)

// The single types that statements ask for. What else is special about them says component's table of kinds; a test there compares the two.
const (
	TypeReadChat     = "MTT-100" // a receipt of reading, 1:1
	TypeReadGroup    = "MTS-100" // the same in a group
	TypeSystemNotice = "MTB-100" // a system notice: who asks for it gets the newest
)

// notReceipt is all that counts as unread: receipts of reading do not.
const notReceipt = ` AND msg_type <> '` + TypeReadChat + `' AND msg_type <> '` + TypeReadGroup + `'`

// familyRange is every type that begins with the family and its dash, for engines that sort "-" and "." as characters. It stands in the
// text of each statement because partial indexes (SQLite) serve only queries that repeat their condition.
func familyRange(column, family string) string {
	return column + " >= '" + family + "-' AND " + column + " < '" + family + ".'"
}

// FamilyOf is the family that a msg_type belongs to by its beginning, "MTT-" and so on; "" for all else. The old system looked
// for the three letters anywhere, so a legacy row can be of none: it is read and queued like a 1:1 message, and no history
// of a kind holds it.
func FamilyOf(msgType string) string {
	if len(msgType) <= familyLength || msgType[familyLength] != '-' {
		return ""
	}
	switch family := msgType[:familyLength]; family {
	case FamilyChat, FamilyGroup, FamilyBusiness, FamilyCommand:
		return family
	}
	return ""
}

const (
	familyLength = 3
	maxSuffix    = 16 // behind the dash; the column holds 20
)

// ValidType says whether a new message may be of this type: a family, a dash, and 1 to 16 ASCII letters or digits. What else
// a database takes for equal or sorts into a family's range (blanks, other scripts, other letter cases) is not in it.
func ValidType(msgType string) bool {
	if FamilyOf(msgType) == "" {
		return false
	}
	suffix := msgType[familyLength+1:]
	return suffix != "" && len(suffix) <= maxSuffix && strings.Trim(suffix, alphanumeric) == ""
}

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
