package component

// NewGroup asks for a group. Members that the directory does not know are skipped; one named twice is taken once.
type NewGroup struct {
	Type    int
	Owner   string // need not be known, nor a member
	Members []string
}

// GroupEdit changes a group: a new name unless Name is empty, and members added or removed. Users unknown to the directory
// are skipped; an added user who is a member already is refreshed.
type GroupEdit struct {
	ID, Name    string
	Add, Remove []string
}

// Notice is what a business system pushes: one message from admin to each receiver.
type Notice struct {
	Type      string   // MTB-000, MTB-001 or MTB-100
	Body      string   // strict JSON text of the array of objects
	Receivers []string // user ids, @session:<group id> or @all
	Caller    string   // whose Key it is; two callers may use the same
	Key       string   // a repeated call has the same, among those of the Type; "" for none
}

// MemberPresence is what findPresence answers of one member.
type MemberPresence struct {
	UserID string
	Status string // available, away or offline
}
