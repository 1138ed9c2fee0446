package component

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/tidwall/gjson"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

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
