package store

// Message is a row of ofmessage: one stored message of a conversation.
type Message struct {
	ID        string // id_, made by the application (absent from inserts where the column is an identity)
	MsgID     string
	Type      string // MTT-000 ...
	From, To  string // user ids; To is the group's id for MTS-*
	Time      string // epoch milliseconds, server clock, decimal text
	Body      string // JSON text of the body array, or the opaque body
	SessionID string // the group's id for MTS-*, the sender's id for MTT-* and MTB-*
	Flags     string // "compress,encrypt,version"; "" (NULL) stands for 0,0,2.0.0
}

// OfflineMessage is a row of ofcustomoffline: a message that waits for one owner's phone.
type OfflineMessage struct {
	Message
	Status int    // 0: neither web nor mobile had it; 1: web had it
	Owner  string // delete_user
}

// Group is a row of ofsession ("session" on the wire).
type Group struct {
	ID                                 string
	Type                               int
	Name                               string
	CreateTime, ModifyTime, DeleteTime string
	Valid                              int // 0 open, 1 closed in the web list
	Owner                              string
	Pic                                string
}

// Member is a row of ofsubscriber.
type Member struct {
	UserID, UserName, Login, Pic string
	SessionID                    string
	Since                        string // ts: when the user joined
}

// Former is a row of tlim_former: a member who left or was removed, or whose group is gone.
type Former struct {
	SessionID, UserID string
	Time              string // when it was removed
}

// Receipt is a row of ofstatus: Reader has read MsgID, whose author is Sender.
type Receipt struct {
	ID, MsgID, Sender, Reader string
	Status                    int // 1 read on the web, 2 read on a mobile
}

// ReceiptKey names the receipts of one reader for one message.
type ReceiptKey struct{ MsgID, Reader string }

// Chat is one side of a 1:1 conversation, a row of ofchat: the entry that Owner's list shows for Partner.
type Chat struct {
	ID         string // chat_id
	Name       string // chat_name: the partner's name
	Partner    string // chat_user
	Owner      string // chat_other
	CreateTime string
	ModifyTime string
	Pic        string
}

// ChatKey names one side of a 1:1 conversation.
type ChatKey struct{ Partner, Owner string }

// User is a row of tlim_user: the directory, and what we know of users of other sources.
type User struct {
	ID       string // canonical
	JID      string // the prepared JID local part; unique
	Name     string
	Login    string
	Email    string
	Pic      string
	PushCode string // registration id of the device that receives pushes; "" = none
	PushOS   string // android, ios or ""
	Confirms Confirms
	Left     bool // left the directory
	Learned  bool // only seen on the wire; addUser has not named it
	Robot    bool // no person: a key of the HTTP API speaks as it
}

// Confirms is how a mobile of a user has confirmed messages (PROTOCOL.md, "Confirmed delivery"). The better proof is the higher one.
type Confirms int

// The ways in which mobiles confirm.
const (
	ConfirmsNot        Confirms = iota
	ConfirmsByReceipts          // by what their apps send: XEP-0184 receipts and MTC-000
	ConfirmsByPings             // by what their libraries answer
)

// Scan implements sql.Scanner.
func (c *Confirms) Scan(v any) error {
	var n number
	err := n.Scan(v)
	*c = Confirms(n)
	return err
}

// Class keeps the ids of revokes apart from the ids of the messages they name.
type Class string

// The classes of message ids.
const (
	ClassMessage Class = "m"
	ClassRevoke  Class = "r"
)

// IDState says what became of a message id.
type IDState string

// The states of a message id.
const (
	Live    IDState = "live"
	Revoked IDState = "revoked" // by its author or the group's owner; also when the revoke came before the message
)

// ID is a row of tlim_id: the memory that makes a message exactly-once.
type ID struct {
	MsgID        string
	Class        Class
	From         string
	Conversation string // canonical name of the conversation, made by the caller
	Time         string // msg_time of the first
	Digest       string // of kind and body text, made by the caller
	State        IDState
}

// IDKey is the key of tlim_id.
type IDKey struct {
	MsgID string
	Class Class
}

// State is the row tlim_state.
type State struct {
	Epoch     int64 // fences a deposed process
	Batch     int64 // number of the last committed write transaction
	Clock     int64 // highest msg_time ever given out
	Delivered int64 // everything up to this msg_time is known to have been routed
	Settled   int64 // nothing up to this msg_time is unconfirmed
}

// Purge is a row of tlim_purge: a dissolved group whose messages, receipts and announcements are still to be removed.
type Purge struct {
	SessionID string
	Time      string // of the dissolution
}
