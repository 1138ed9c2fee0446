package component

import (
	"cmp"
	"strconv"
	"strings"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// Namespaces that the product reads in message stanzas.
const (
	nsTlim       = "im.itonglian.com" // a constant, whatever the domain is
	nsReceipts   = "urn:xmpp:receipts"
	nsChatStates = "http://jabber.org/protocol/chatstates"
	nsMarkers    = "urn:xmpp:chat-markers:0"
)

// content is what a message stanza holds.
type content struct {
	env      *protocol.Envelope
	named    *protocol.Envelope // as far as it could be read, also where it is refused
	kind     *Kind              // of env
	ext      []byte             // the tlim extension, as every copy carries it
	ack      bool               // it asks for an acknowledgement
	confirms bool               // it is a confirmation, also a malformed one
	signal   []byte             // a chat state or marker to pass on
	ignore   bool               // nothing to do and nothing to answer
	toUser   string             // local part of the address
	targets  []string           // of a revoke or a read receipt
}

// decode reads a message stanza, unless that was done before. Its errors are refusals.
func (s *Service) decode(a *arrival) error {
	if !a.decoded {
		a.decoded, a.unfit = true, s.decodeAnew(a)
	}
	return a.unfit
}

func (s *Service) decodeAnew(a *arrival) error {
	m := &a.content
	bodies, other, received := 0, false, false
	text, async := "", false
	var badExtension error
	for c := range a.st.Children() {
		switch {
		case c.Name == "body" && isClientSpace(c.Space):
			bodies++
			text = c.Text()
		case c.Name == "subject" && isClientSpace(c.Space):
			async = async || c.Text() == "ASYNC"
		case c.Name == "tlim" && c.Space == nsTlim:
			m.ack = c.Attr("ack") == "1"
			m.ext, badExtension = extension(c)
		case c.Name == "received" && c.Space == nsReceipts:
			received, other = true, true
		case c.Space == nsChatStates, c.Space == nsMarkers:
			if signal := appendSignal(m.signal, c); len(signal) <= maxSignal {
				m.signal = signal
			}
			other = true
		case !isClientSpace(c.Space):
			other = true
		}
	}
	switch {
	case async:
		m.ignore = true
		s.metrics.ignored.WithLabelValues("async").Inc()
		return nil
	case bodies > 1:
		return protocol.Refuse(protocol.NotJSON, "the stanza has two bodies")
	case bodies == 0 && other:
		m.toUser, m.confirms = addressedTo(a.st.To), received
		if a.copied { // the server passes it on itself
			m.signal = nil
		}
		return nil
	case bodies == 0 && a.copied:
		m.ignore = true
		return nil
	}
	var kind *Kind
	env, long, err := protocol.ParseEnvelope(text, func(msgType string) (protocol.Rules, bool) {
		kind = s.kinds.of(msgType)
		return kind.rules()
	}, s.cfg.Limits)
	m.named, m.confirms = env, kind != nil && kind.names == namesConfirmed
	if a.copied && !m.confirms && (env == nil || err != nil) { // the server's other traffic is not ours to judge
		m.ignore = true
		s.metrics.ignored.WithLabelValues("copy").Inc()
		a.judged(s, err)
		return nil
	}
	if err = cmp.Or(err, badExtension); err != nil {
		return err
	}
	s.metrics.longFields.Add(float64(long))
	m.env, m.kind = env, kind
	m.toUser = addressedTo(a.st.To)
	if m.kind.names != namesNothing && !env.Opaque {
		ids := env.MsgIDs()
		if len(ids) > maxNamed {
			return protocol.Refuse(protocol.TooLarge, "the body names %d messages, and at most %d are taken: send several", len(ids), maxNamed)
		}
		m.targets = ids
	}
	return s.identity(a)
}

// identity holds the envelope against the sender whom the server authenticated.
func (s *Service) identity(a *arrival) error {
	env, kind := a.env, a.kind
	local, err := stanza.Localpart(env.From)
	switch {
	case env.From == "":
		return protocol.Refuse(protocol.UserIDInvalid, "msg_from is empty")
	case err != nil || local != a.from.Local:
		return protocol.Refuse(protocol.NotAllowed, "msg_from is not the sender")
	case local == protocol.AdminID && kind.scope != scopeChat && kind.scope != scopeGroup && kind.names != namesConfirmed:
		return protocol.Refuse(protocol.NotAllowed, "only the component sends notices as admin")
	case kind.Stored && env.MsgID == "":
		return protocol.Refuse(protocol.IDConflict, "msg_id is missing")
	}
	return nil
}

// isClientSpace: children without a namespace of their own are in the stream's.
func isClientSpace(space string) bool {
	return space == "" || space == "jabber:client" || space == "jabber:component:accept"
}

func addressedTo(to string) string {
	if i := strings.IndexByte(to, '@'); i > 0 {
		return to[:i]
	}
	return ""
}

// extension is the tlim element for the copies, made anew of the two attributes that clients use. Nothing else of the sender's
// markup travels: a child would reach clients that look for elements by name as if the server had put it there.
func extension(c stanza.Child) ([]byte, error) {
	b := append([]byte(`<tlim xmlns="`), nsTlim...)
	for _, name := range [...]string{"location", "ack"} {
		v := c.Attr(name)
		switch {
		case v == "":
			continue
		case len(v) > maxAttribute:
			return nil, protocol.Refuse(protocol.TooLarge, "%s of the tlim element is longer than %d bytes", name, maxAttribute)
		}
		b = append(b, `" `...)
		b = append(b, name...)
		b = append(b, `="`...)
		b = stanza.AppendAttr(b, v)
	}
	return append(b, `"/>`...), nil
}

// maxAttribute bounds an attribute of the tlim element, in bytes: real ones have 3.
const maxAttribute = 256

// maxSignal bounds what one stanza has us pass on, in bytes. A chat state with a marker has 200.
const maxSignal = 1 << 10

// appendSignal renders a chat state (XEP-0085) or a marker (XEP-0333) anew: nothing of the sender's markup is passed on.
func appendSignal(b []byte, c stanza.Child) []byte {
	switch c.Space + " " + c.Name {
	case nsChatStates + " active", nsChatStates + " composing", nsChatStates + " paused", nsChatStates + " inactive", nsChatStates + " gone",
		nsMarkers + " received", nsMarkers + " displayed", nsMarkers + " acknowledged":
	default:
		return b
	}
	b = append(b, '<')
	b = append(b, c.Name...)
	b = append(b, ` xmlns="`...)
	b = append(b, c.Space...)
	if id := c.Attr("id"); id != "" && c.Space == nsMarkers {
		b = append(b, `" id="`...)
		b = stanza.AppendAttr(b, id)
	}
	return append(b, `"/>`...)
}

// readPresence reads show and priority.
func readPresence(st *stanza.Stanza) (show string, priority int) {
	for c := range st.Children() {
		if !isClientSpace(c.Space) {
			continue
		}
		switch c.Name {
		case "show":
			show = strings.TrimSpace(c.Text())
		case "priority":
			if n, err := strconv.ParseInt(strings.TrimSpace(c.Text()), 10, 8); err == nil {
				priority = int(n)
			}
		}
	}
	return show, priority
}
