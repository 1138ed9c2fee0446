package component

// The types of options that have names for values. The values are those of the configuration (CONFIG.md).

// DeliveryMode says how a receiver's devices are addressed.
type DeliveryMode string

const (
	DeliverAuto        DeliveryMode = "auto"      // each device that is known; the bare address where one may be there that is not
	DeliverToBare      DeliveryMode = "bare"      // the bare address: the server is set to route to all of a user's devices
	DeliverToResources DeliveryMode = "resources" // each device that is known, and no others
)

// ServerReceiptMode says who gets the acknowledgement that a message is stored (MTC-100).
type ServerReceiptMode string

const (
	ServerReceiptsRequested ServerReceiptMode = "requested" // who asks for it in the message
	ServerReceiptsAlways    ServerReceiptMode = "always"    // every sender
	ServerReceiptsNever     ServerReceiptMode = "never"     // nobody
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
	ConfirmAuto       ConfirmMode = "auto"     // an answered ping or a receipt, of users whose devices have given one before
	ConfirmByPresence ConfirmMode = "presence" // nothing: who is available has what was sent
	ConfirmByReceipt  ConfirmMode = "receipt"  // the same as auto, of every user
)
