package component

import (
	"slices"

	"tlim/component/cache"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// fromAddress is the bare JID that copies come from. A live full JID would make the server send carbons to the sender. A robot has no address
// at the server, so that what clients send back comes to ours.
func (s *Service) fromAddress(p protocol.Person) string {
	if s.cfg.SenderAsUser && !s.users.IsRobot(p.Local) {
		return p.Bare
	}
	return s.ourAddress(p)
}

// groupAddress is where copies of what p wrote into g come from; g is nil for a group that is gone. Clients send
// their XEP-0184 confirmations to that address: a former member has one of ours there, else these would tell them who the members are.
func (s *Service) groupAddress(p protocol.Person, g *cache.Group) string {
	if s.cfg.SenderAsUser && g != nil && !s.users.IsRobot(p.Local) && (g.Has(p.Local) || p.Local == protocol.AdminID) {
		return p.Bare
	}
	return s.ourAddress(p)
}

// ourAddress is a user's address at the component.
func (s *Service) ourAddress(p protocol.Person) string { return p.Local + "@" + s.cfg.Component }

// targets adds the addresses by which each device of a user gets a message exactly once: the full JID of each that is known. To a
// full JID the server makes carbon copies, unless told not to. What is sent to the bare JID reaches one device only, unless the
// server is set to route to all, and that may be one that nobody knows yet: so nothing goes there where others are known, and a user
// of whom a fresh snapshot has no session is sent nothing at all. Nor is a robot, which has no session.
func (s *Service) targets(list []stanza.Target, p protocol.Person, devices []presence.Device) []stanza.Target {
	switch {
	case p.Local == "", s.users.IsRobot(p.Local):
		return list
	case len(devices) == 0 && s.presence.Fresh():
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
func (s *Service) unheard(devices []presence.Device) bool {
	return !s.presence.Fresh() && !slices.ContainsFunc(devices, func(d presence.Device) bool { return d.Mobile })
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
