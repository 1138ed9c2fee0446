package component

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/stanza"
	"tlim/store"
)

// renderPayload renders what is inside a copy: exactly the body, the tlim extension, the subject of an ASYNC copy, a hint
// that keeps the server from storing it a second time.
func renderPayload(text string, ext []byte, async bool) []byte {
	b := make([]byte, 0, len(text)+len(text)/8+len(ext)+160)
	b = append(b, "<body>"...)
	b = stanza.AppendEscaped(b, text)
	b = append(b, "</body>"...)
	b = append(b, ext...)
	if async {
		b = append(b, "<subject>ASYNC</subject>"...)
	}
	return append(b, `<no-store xmlns="urn:xmpp:hints"/>`...)
}

// fromAddress is the bare JID that copies come from. A live full JID would make the server send carbons to the sender.
func (s *Service) fromAddress(p person) string {
	if s.cfg.SenderAsUser {
		return p.Bare
	}
	return s.ourAddress(p)
}

// groupAddress is where copies of what p wrote into g come from; g is nil for a group that is gone. Clients answer the request for
// an XEP-0184 receipt to that address, so who is in the group no more has none of the server's: he would learn who is.
func (s *Service) groupAddress(p person, g *group) string {
	if s.cfg.SenderAsUser && g != nil && (g.has(p.Local) || p.Local == adminID) {
		return p.Bare
	}
	return s.ourAddress(p)
}

// ourAddress is a user's address at the component.
func (s *Service) ourAddress(p person) string { return p.Local + "@" + s.cfg.Component }

// targets adds the addresses by which each device of a user gets a message exactly once: the full JID of each that is known. To a
// full JID the server makes carbon copies, unless told not to. What is sent to the bare JID reaches one device only, unless the
// server is set to route to all, and that may be one that nobody knows yet: so nothing goes there where others are known, and a user
// of whom a fresh snapshot has no session is sent nothing at all.
func (s *Service) targets(list []stanza.Target, p person, devices []Device) []stanza.Target {
	switch {
	case p.Local == "":
		return list
	case len(devices) == 0 && s.presence.fresh():
		return list
	case s.cfg.Delivery == DeliverToBare,
		len(devices) == 0,
		s.cfg.Delivery != DeliverToResources && s.unheard(devices):
		return append(list, stanza.Target{JID: p.Bare})
	}
	for i := range devices {
		list = append(list, stanza.Target{JID: devices[i].Full, Private: true})
	}
	return list
}

// unheard says whether a user, of whom these devices are known, may have a phone that nobody knows of. Where no snapshot tells, only
// what a client sends us does, and one that has said nothing yet gets its messages by the bare JID.
func (s *Service) unheard(devices []Device) bool {
	return !s.presence.fresh() && !slices.ContainsFunc(devices, func(d Device) bool { return d.Mobile })
}

// rebuild makes an envelope for a stored message whose own text is gone: when it is delivered again after a crash.
func rebuild(m store.Message, asArray bool) string {
	compress, encrypt, version := "0", "0", "2.0.0"
	if flags := strings.SplitN(m.Flags, ",", 3); len(flags) == 3 {
		compress, encrypt, version = flags[0], flags[1], flags[2]
	}
	asArray = asArray && compress == "0" && encrypt == "0" && stanza.ValidXML(m.Body) && gjson.Valid(m.Body)
	return writeEnvelope(m, compress, encrypt, version, asArray)
}

// kindOf is the kind of a stored message; the one of plain 1:1 messages for what the old system stored without a valid type.
func (s *Service) kindOf(msgType string) *Kind {
	switch k := s.kinds.of(msgType); {
	case k == nil:
		return s.kinds.family[store.FamilyChat]
	case k.scope == scopeBusiness:
		return s.kinds.notice
	default:
		return k
	}
}
