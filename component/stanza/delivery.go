package stanza

import "slices"

// Target is one address of a [Delivery].
type Target struct {
	JID     string // prepared, bare or full, in the server's domain
	Private bool   // adds <private/> (XEP-0280), so that the server makes no carbon copies of a copy to a full JID
	Request bool   // adds <request/> (XEP-0184), so that a client confirms it
}

// Delivery is one message of type chat to many.
type Delivery struct {
	ID, From string
	Payload  []byte // the children, rendered and escaped once
	To       []Target
}

// Run is what one device gets of a list of deliveries: copies of some of them, in order, between two pings (XEP-0199) to the same address.
// Nothing of others comes in between. The answers to both are proof of these copies: the server routes stanza by stanza, so another client may
// take the address over between a copy and the ping behind it.
type Run struct {
	JID   string
	Front string // id of the ping in front; "" for none, where the one behind the run before stands there
	Of    []RunCopy
	Ping  string // id of the ping behind; "" for none
}

// Pings is how many pings are in it.
func (r *Run) Pings() int {
	n := 0
	for _, id := range [...]string{r.Front, r.Ping} {
		if id != "" {
			n++
		}
	}
	return n
}

// RunCopy is one copy of a [Run].
type RunCopy struct {
	Delivery int // index in the list; its To does not have the target
	Target
}

// Joined gives the copies of runs back to a copy of their deliveries; nothing is left of the pings.
func Joined(d []Delivery, runs []Run) []Delivery {
	list := slices.Clone(d)
	for i := range list {
		list[i].To = slices.Clone(list[i].To)
	}
	for _, r := range runs {
		for _, c := range r.Of {
			list[c.Delivery].To = append(list[c.Delivery].To, c.Target)
		}
	}
	return list
}

const (
	copyBegin   = `<message type="chat" id="`
	copyFrom    = `" from="`
	copyTo      = `" to="`
	copyEnd     = `</message>`
	copyPrivate = `<private xmlns="urn:xmpp:carbons:2"/>`
	copyRequest = `<request xmlns="urn:xmpp:receipts"/>`
)

// AppendHead renders what all copies begin with. Attributes are double-quoted: a quote of the other kind inside of single quotes makes Openfire 4.2
// stop reading without an error (measured). With it, AppendCopy escapes no more than the address of each.
func (d Delivery) AppendHead(dst []byte) []byte {
	dst = append(dst, copyBegin...)
	dst = AppendAttr(dst, d.ID)
	dst = append(dst, copyFrom...)
	dst = AppendAttr(dst, d.From)
	return append(dst, copyTo...)
}

// AppendCopy renders one copy behind a head made by AppendHead; an empty head stands in dst already.
func (d Delivery) AppendCopy(dst, head []byte, t Target) []byte {
	dst = append(dst, head...)
	dst = AppendAttr(dst, t.JID)
	dst = append(dst, '"', '>')
	dst = append(dst, d.Payload...)
	return AppendEnd(dst, t)
}

// AppendEnd renders what a copy has behind the payload.
func AppendEnd(dst []byte, t Target) []byte {
	if t.Request {
		dst = append(dst, copyRequest...)
	}
	if t.Private {
		dst = append(dst, copyPrivate...)
	}
	return append(dst, copyEnd...)
}
