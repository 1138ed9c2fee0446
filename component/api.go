package component

import (
	"tlim/component/protocol"
	"tlim/component/unasked"
	"tlim/store"
)

// GroupSpec asks for a group. A member named twice is taken once; one whom the directory does not have is looked for on the
// server, and left out only when there is no such account.
type GroupSpec struct {
	Type    int
	Owner   string // need not be known, nor a member
	Members []string
	Asker   string // who it is, "" for one with a key: see [Service.CreateGroup]
}

// GroupMembers are those of a call who were taken into a group, and those who were not.
type GroupMembers struct {
	Taken   []store.Member
	Skipped []protocol.Skipped
}

// GroupEdit changes a group: a new name unless Name is empty, and members added or removed. Who is added is looked for as in
// GroupSpec; a user who is a member already is refreshed.
type GroupEdit struct {
	ID, Name    string
	Add, Remove []string
	Asker       string // as of GroupSpec
}

// GroupEdited is what became of a GroupEdit.
type GroupEdited struct {
	Time    string             // of the change, in epoch milliseconds
	Skipped []protocol.Skipped // of Add
}

// Notice is what a business system pushes: one message from admin to each receiver.
type Notice struct {
	Type      string   // MTB-000, MTB-001 or MTB-100
	Body      string   // strict JSON text of the array of objects
	Receivers []string // user ids, @session:<group id> or @all
	Caller    string   // whose Key it is; two callers may use the same
	Asker     string   // who it is, "" for one with a key: see [Service.CreateGroup]
	Key       string   // a repeated call has the same, among those of the Type; "" for none
}

// Noticed is what became of a Notice.
type Noticed struct {
	CallID  string             // for [Service.TrackNotice]
	Skipped []protocol.Skipped // of Receivers: who has no account, and groups in which there is nobody
}

// MemberPresence is what findPresence answers of one member.
type MemberPresence struct {
	UserID string
	Status string // available, away or offline
}

// Client is one user with one class of client.
type Client = unasked.Client

// Unasking lists at most n clients that send without ever asking for an acknowledgement, those that sent last first.
func (s *Service) Unasking(n int) []Client {
	if s.conveyor.unasked == nil {
		return nil
	}
	return s.conveyor.unasked.Silent(n)
}
