package store

// Change is what one message, or one call, changes. All of it is written or none of it.
//
// Within one [Store.Apply] the deletions of all changes come before all insertions, so a change may delete rows of
// earlier Apply calls only, never rows that the same call inserts.
type Change struct {
	// Deletions.
	DropMessages      []Drop       // revoked messages: ofmessage, ofcustomoffline and ofstatus rows
	DropOffline       []OfflineKey // confirmed or cleared offline rows
	DropGroups        []string     // ofsession and ofsubscriber rows
	DropQueues        []string     // ofcustomoffline rows of these groups (dissolve), a thousand at most; [Store.PurgeQueue] removes the others
	DropMembers       []Member     // SessionID and UserID count
	Erase             []Erased     // ofmessage rows with their receipts; what waits for phones stays
	DropAuthors       []Author     // all that a user wrote in a group, as by Erase; many rows are for Erase, in batches, first
	DropUsers         []string     // by ID: marked as left, never deleted
	DropAnnouncements []string     // announcements, by ID as a row has it
	DropCallParts     []CallPart   // by CallID and First
	FreeCalls         []string     // by ID: they lose their Key

	// Insertions and updates.
	IDs               []ID // inserted; a key that exists is ErrDuplicate
	SetIDs            []ID // inserted, or State, From, Conversation overwritten (tombstones)
	Message           *Message
	Offline           []OfflineMessage
	Receipts          []Receipt // ID set: insert; ID empty: update Status where MsgID and Reader match
	Chats             []Chat    // CreateTime set: insert; else update ModifyTime where Partner and Owner match
	TouchGroup        string    // session_modify_time = Time of Message, session_valid = 0
	Groups            []Group   // inserted
	EditGroups        []GroupEdit
	Members           []Member // inserted, or name, login and picture refreshed (Since of an existing row stays)
	Formers           []Former // inserted, or Time refreshed
	Users             []User   // addUser: inserted, or Name, Login, Email, Pic overwritten, Left and Learned cleared
	Robots            []User   // inserted, or ID and Name of a robot overwritten, Left cleared; ErrDuplicate where a person has the ID
	Learn             []User   // inserted when absent
	Relearn           []User   // by JID, of who is Learned: Name, Login, Email overwritten, AccountThere; of AccountsGone: back as well
	SetPush           []User   // PushCode, PushOS by ID; a code is taken from any other user who had it
	Confirming        []Confirming
	Purges            []Purge        // inserted
	Announcements     []Announcement // inserted
	EditAnnouncements []AnnouncementEdit
	Styles            []Style    // inserted, or Value overwritten where Name and UserID match
	FileUses          []FileUse  // inserted when absent
	Pushes            []Push     // inserted
	Calls             []Call     // inserted; a Key that exists is ErrDuplicate
	CallParts         []CallPart // inserted
	EditCalls         []CallEdit
	Events            []Event // inserted
}

// Confirming raises a user's Confirms, which is never lowered; ConfirmsNot forgets it. Within one [Store.Apply] what is forgotten comes
// first.
type Confirming struct {
	UserID string
	How    Confirms
}

// Drop names a message to remove: only rows of that conversation go.
type Drop struct {
	MsgID string
	// SessionID is the group's id for MTS-*; for 1:1 From and To are the two users, in either direction.
	SessionID string
	From, To  string
}

// OfflineKey names offline rows: by RowID (id_) when set, else all of (Owner, MsgID).
type OfflineKey struct{ Owner, MsgID, RowID string }

// Author names what one user wrote in one group.
type Author struct{ SessionID, UserID string }

// GroupEdit changes the non-nil fields of one ofsession row.
type GroupEdit struct {
	ID         string
	Name       *string
	ModifyTime *string
	Pic        *string
	Valid      *int
}

// Positions are the values that go into tlim_state with a write. They only ever grow: 0, and whatever is lower than what
// stands there, leaves a column as it is.
type Positions struct{ Clock, Delivered, Settled int64 }
