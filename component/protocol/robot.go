package protocol

import (
	"cmp"
	"errors"
	"unicode/utf8"

	"tlim/component/stanza"
)

// Robot is a user who is no person: keys of the HTTP API speak as it. It has no account, and is sent nothing.
type Robot struct {
	ID   string
	Name string // "" is the ID
}

// MaxRobotName is how many characters the name of a robot has at most.
const MaxRobotName = 64

// Check says what is wrong with a robot as it is declared, in one sentence; nil for nothing.
func (r Robot) Check() error {
	local, err := stanza.Localpart(r.ID)
	switch {
	case r.ID == "" && r.Name != "":
		return errors.New("a robot needs an id")
	case err != nil:
		return errors.New("the id of a robot is empty or cannot be part of an address")
	case local == AdminID:
		return errors.New("the user id admin is reserved, no robot can have it")
	case utf8.RuneCountInString(r.ID) > MaxID:
		return errors.New("the id of a robot is longer than 64 characters")
	case utf8.RuneCountInString(r.Name) > MaxRobotName:
		return errors.New("the name of a robot is longer than 64 characters")
	case !stanza.ValidXML(r.ID + r.Name):
		return errors.New("the id or the name of a robot holds a character that XML forbids")
	}
	return nil
}

// Shown is the name that people see.
func (r Robot) Shown() string { return cmp.Or(r.Name, r.ID) }

// Same says whether two declarations are of one robot and say the same of it; of is false for two robots.
func (r Robot) Same(o Robot) (same, of bool) {
	of = SameUser(r.ID, o.ID)
	return of && r.ID == o.ID && r.Shown() == o.Shown(), of
}
