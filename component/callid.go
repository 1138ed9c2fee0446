package component

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// A call's messages have ids made of the call's own: its first 30 characters and the receiver's number in hex, from 1. So the
// call itself need not be stored for its messages to be found, and no message of it can be stored twice.
const (
	callStem  = 30
	callMost  = 1<<24 - 1 // receivers of one call
	callFirst = "000001"
	callLast  = "ffffff"
)

// newCallID makes a UUID of version 7 whose last 24 bits are free for numbers. Its time is the service's clock, so that a time
// is a place in the order of ids.
func newCallID(now time.Time) string {
	id := uuid.Must(uuid.NewV7())
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[13], id[14], id[15] = 0, 0, 0
	return id.String()
}

// callIDFrom is below the ids of all calls made at t or later, and above all others.
func callIDFrom(t time.Time) string {
	ms := fmt.Sprintf("%012x", max(0, t.UnixMilli()))
	return ms[:8] + "-" + ms[8:]
}

// noticeID is the msg_id of the message to a call's n-th receiver.
func noticeID(call string, n int) string {
	digits := strconv.FormatInt(int64(n), 16)
	return call[:callStem] + callFirst[:6-len(digits)] + digits
}

// noticeNumber is the receiver's number in a noticeID.
func noticeNumber(msgID string) int {
	n, _ := strconv.ParseInt(msgID[callStem:], 16, 32)
	return int(n)
}

// validCallID says whether a text can be a call's id.
func validCallID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id && strings.HasSuffix(id, "000000")
}

// hashed makes a key of texts that no collation takes for another one, and that is never empty.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// key is what a repeat of the call is known by; "" without an idempotency key.
func (n *Notice) key() string {
	if n.Key == "" {
		return ""
	}
	return hashed("key", n.Caller, n.Type, n.Key)
}

// digest tells two requests under one key apart.
func (n *Notice) digest() string {
	return hashed(append([]string{n.Body}, n.Receivers...)...)
}

// business is what other calls about the same business are known by: bizId and taskId of each object, and the type, because the
// answer to an approval is about the same task. "" when an object lacks one of them.
func (n *Notice) business() string {
	parts := []string{"business", n.Caller, n.Type}
	for _, o := range gjson.Parse(n.Body).Array() {
		biz, task := o.Get("bizId").String(), o.Get("taskId").String()
		if biz == "" || task == "" {
			return ""
		}
		parts = append(parts, biz, task)
	}
	return hashed(parts...)
}

// check refuses what cannot be a message, and counts fields that are longer than documented.
func (n *Notice) check(lim protocol.Limits) (long int, err error) {
	switch {
	case !stanza.ValidXML(n.Body):
		return 0, protocol.Refuse(protocol.NotJSON, "params hold a character that XML forbids")
	case len(n.Body) > lim.Body:
		return 0, protocol.Refuse(protocol.TooLarge, "params are larger than %d bytes", lim.Body)
	}
	for _, o := range gjson.Parse(n.Body).Array() {
		k, err := protocol.CheckFields(o, lim)
		if err != nil {
			return 0, err
		}
		long += k
	}
	return long, nil
}
