package openfire

import (
	"context"
	"fmt"
	"time"

	"tlim/component/stanza"
)

const nsPacket = "http://jabber.org/protocol/packet#event"

// SubscribeCopies asks for a copy of every message that clients send, before it is routed. The subscription belongs to the
// connection and must be renewed on the next one. Copies come in bursts every 5 s, and the server loses them without a sign
// and slows down above about 300 messages a second (measured).
func (s *Server) SubscribeCopies(ctx context.Context) error {
	_, err := s.execute(ctx, "packets_notification", []field{
		{"packet_type", []string{"message"}}, {"direction", []string{"incoming"}}, {"processed", []string{"false"}}, // never outgoing: it copies the copies
	})
	if err != nil {
		return fmt.Errorf("subscribe to packet copies: %w", err)
	}
	return nil
}

// Copy unpacks a packet copy. It counts only when it comes from exactly the server's bare domain: clients can send
// look-alikes.
func Copy(st stanza.Stanza, server string) (inner stanza.Stanza, ok bool) {
	inner, _, ok = datedCopy(st, server)
	return inner, ok
}

// datedCopy also says when the server got the message; the zero time where it does not tell.
func datedCopy(st stanza.Stanza, server string) (inner stanza.Stanza, at time.Time, ok bool) {
	if st.Name != "message" || st.From != server || st.Type == "error" {
		return inner, at, false
	}
	wrapper, ok := st.Child("copy", nsPacket)
	if !ok || wrapper.Attr("incoming") != "true" || wrapper.Attr("processed") != "false" {
		return inner, at, false
	}
	for c := range wrapper.Children() {
		if c.Name == "message" && c.Space == "" {
			at, _ = time.Parse(time.RFC3339, wrapper.Attr("date")) // left out where it is none
			return c.Stanza(), at, true
		}
	}
	return inner, at, false
}
