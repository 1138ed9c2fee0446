package outbox

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Note is one push: the same text for the phones of all its receivers.
type Note struct {
	ID      string // of the request, by NewID. A repeated note has the same: who has seen it leaves it at that
	Type    string // of the message: MTT-000 ...
	Title   string // the group's name; "" for 1:1
	Alert   string
	Android bool // for Android only: the receivers' iPhones have the message already
	To      []Receiver
}

// Receiver is one phone that a note goes to.
type Receiver struct {
	User  string // their canonical id
	Code  string // registration id of their device
	MsgID string // what it is about: notes of several messages with the same text go out together
}

// Pusher hands notes to a vendor. Its methods may be called from several goroutines, return when ctx ends, and name neither
// registration ids nor secrets in their errors.
type Pusher interface {
	// NewID names the next request. It may ask the vendor for a name; an error means that the request has to wait, and can be a
	// *Error that says how long.
	NewID(ctx context.Context) (string, error)
	// Push makes one request, for at most MaxReceivers. After an error retry says whether the same note can succeed later; the
	// error can be a *Error that says more.
	Push(ctx context.Context, n Note) (retry bool, err error)
}

// MaxReceivers is how many registration ids JPush takes in one request.
const MaxReceivers = 1000

// Channel is a way by which pushes leave. Notes go out by every channel that takes their type.
type Channel struct {
	Name   string   // in rows and metrics; at most 20 characters
	Kinds  []string // message types that it takes, those ending in - with all that they begin; none: every type
	Pusher Pusher
}

// takes says whether notes of a message type leave by this channel.
func (c *Channel) takes(msgType string) bool {
	return len(c.Kinds) == 0 || slices.ContainsFunc(c.Kinds, func(kind string) bool {
		return kind == msgType || strings.HasSuffix(kind, "-") && strings.HasPrefix(msgType, kind)
	})
}

// Error says more of a push than that it failed.
type Error struct {
	Err   error         // nil: it went to all receivers but the Dead
	Wait  time.Duration // the vendor's word on when to come again; 0: it gave none
	Dead  []string      // registration ids of the note that the vendor does not know any more
	Split bool          // one of several receivers is at fault: the others may succeed without it
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "some registrations are dead"
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }
