package component

import (
	"time"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/component/retention"
)

// Config is what the product's behaviour depends on; the names follow CONFIG.md.
type Config struct {
	Server    string            // D, the server's domain
	Component string            // C, ours
	Language  protocol.Language // of error stanzas; "": English

	Copies             bool // messages to the server's own domain come too, late
	SenderAsUser       bool // copies come from user@D instead of user@C
	Delivery           DeliveryMode
	Acknowledgements   AcknowledgementMode
	GroupReceipts      GroupReceiptMode
	ArrayBodies        bool // bodies of server-made messages are arrays instead of strings
	Confirm            ConfirmMode
	Grace              time.Duration // until an unconfirmed copy becomes a row
	RevokeWindow       time.Duration // 0: no limit
	PurgeOnRemove      bool
	PushHidden         bool // pushes show nothing of a message, nor of its sender and group
	SnapshotPeriod     time.Duration
	Limits             protocol.Limits
	UserRate           float64 // messages a second of one sender; 0: no limit
	UserBurst          int
	UserInflight       int // messages of one sender that wait
	Inflight           int // messages that wait in all
	InflightBytes      int64
	UnconfirmedPerUser int // unconfirmed copies to one user, in memory
	Directory          directory.Config
	Cleanup            retention.Config
	Calls              CallConfig
	ShutdownTimeout    time.Duration // bounds the last writes
}

// The types of options that have names for values. The values are those of the configuration (CONFIG.md).

// DeliveryMode says how a receiver's devices are addressed.
type DeliveryMode string

const (
	DeliverAuto        DeliveryMode = "auto"      // each device that is known; the bare address where one may be there that is not
	DeliverToBare      DeliveryMode = "bare"      // the bare address: the server is set to route to all of a user's devices
	DeliverToResources DeliveryMode = "resources" // each device that is known, and no others
)

// AcknowledgementMode says who gets the acknowledgement that a message is stored (MTC-100).
type AcknowledgementMode string

const (
	AcknowledgementsRequested AcknowledgementMode = "requested" // who asks for it in the message
	AcknowledgementsAlways    AcknowledgementMode = "always"    // every sender
	AcknowledgementsNever     AcknowledgementMode = "never"     // nobody
)

// GroupReceiptMode says who gets the read receipts of a group's messages.
type GroupReceiptMode string

const (
	GroupReceiptsToAuthor GroupReceiptMode = "author" // the author of the message
	GroupReceiptsToAll    GroupReceiptMode = "all"    // every member
)

// ConfirmMode says what proves that a device has a message.
type ConfirmMode string

const (
	ConfirmAuto       ConfirmMode = "auto"     // an answered ping or an XEP-0184 confirmation, of users whose devices have given one before
	ConfirmByPresence ConfirmMode = "presence" // nothing: who is available has what was sent
	ConfirmByReceipt  ConfirmMode = "receipt"  // the same as auto, of every user
)
