package calls

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A call's messages have ids made of the call's own: its first 30 characters and the receiver's number in hex, from 1. So the
// call itself need not be stored for its messages to be found, and no message of it can be stored twice.
const (
	Stem         = 30        // characters of a call's id that begin those of its messages
	MaxReceivers = 1<<24 - 1 // receivers of one call
	PartSize     = 500       // receivers of one part, at most
	First        = "000001"  // what ends the id of the first receiver's message
	Last         = "ffffff"  // and no later than this the last one's
)

// NewID makes a UUID of version 7 whose last 24 bits are free for numbers. Its time is the service's clock, so that a time
// is a place in the order of ids.
func NewID(now time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[13], id[14], id[15] = 0, 0, 0
	return id.String()
}

// IDFrom is below the ids of all calls made at t or later, and above all others.
func IDFrom(t time.Time) string {
	ms := fmt.Sprintf("%012x", max(0, t.UnixMilli()))
	return ms[:8] + "-" + ms[8:]
}

// MessageID is the msg_id of the message to a call's n-th receiver.
func MessageID(call string, n int) string {
	digits := strconv.FormatInt(int64(n), 16)
	return call[:Stem] + First[:6-len(digits)] + digits
}

// Number is the receiver's number in a [MessageID].
func Number(msgID string) int {
	n, _ := strconv.ParseInt(msgID[Stem:], 16, 32)
	return int(n)
}

// ValidID says whether a text can be a call's id.
func ValidID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id && strings.HasSuffix(id, "000000")
}
