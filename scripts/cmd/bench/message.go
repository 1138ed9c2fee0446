package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// mark is in the text of every message that is measured, and in nothing else.
const mark = "benchmark "

// text is 100 bytes.
var text = mark + strings.Repeat("x", 100-len(mark))

// writer makes the message stanzas of one sender to one address. All modes send the same stanza, but for its address and
// type: the extension, which asks for the acknowledgement, and the envelope of a current client.
type writer struct {
	head, afterID, afterMsgID string
	run                       uint64
	n                         uint64
}

// newGroupWriter writes to a session, as stanzas of that type to that address.
func newGroupWriter(from, address, stanzaType, session string, ack bool) *writer {
	return newWriter(address, stanzaType, "MTS-000", from, session, `"session_id":"`+session+`",`, ack)
}

// newChatWriter writes 1:1 messages that ask for acknowledgements.
func newChatWriter(from, to, address string) *writer {
	return newWriter(address, "chat", "MTT-000", from, to, "", true)
}

func newWriter(address, stanzaType, kind, from, to, field string, ack bool) *writer {
	extension := `<tlim xmlns="im.itonglian.com" location="web"/>`
	if ack {
		extension = `<tlim xmlns="im.itonglian.com" ack="1"/>`
	}
	return &writer{
		head: `<message type="` + stanzaType + `" to="` + address + `" id="`,
		afterID: `">` + extension + `<body>{"compress":"0","encode":"1","encrypt":"0","version":"2.1.0","msg_type":"` + kind +
			`","msg_from":"` + from + `","msg_to":"` + to + `","msg_time":"1700000000000","msg_id":"`,
		afterMsgID: `","body":[{` + field + `"text":"` + text + `"}]}</body>` + noStore + request + `</message>`,
		run:        rand.Uint64(),
	}
}

// What the component adds to its copies. Senders of the bench send it already, so that a message through the server's MUC
// has the same children as one through a component; the component takes nothing of it over.
const (
	noStore = `<no-store xmlns="urn:xmpp:hints"/>`
	request = `<request xmlns="urn:xmpp:receipts"/>`
)

// next appends one stanza with an id that no other stanza of any run has.
func (w *writer) next(b []byte) []byte {
	w.n++
	id := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", w.run>>32, w.run>>16&0xffff, w.run&0xffff, w.n>>48&0xffff, w.n&0xffffffffffff)
	b = append(b, w.head...)
	b = append(b, id...)
	b = append(b, w.afterID...)
	b = append(b, id...)
	return append(b, w.afterMsgID...)
}

// batch returns n stanzas.
func (w *writer) batch(n int) string {
	b := make([]byte, 0, n*(len(w.head)+len(w.afterID)+len(w.afterMsgID)+72))
	for range n {
		b = w.next(b)
	}
	return string(b)
}
