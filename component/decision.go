package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// decision is about one message of a batch: one store.Change, the deliveries, and whether the
// sender gets an acknowledgement.
type decision struct {
	b       *batch
	arrival *arrival // nil: see serverMade
	env     *protocol.Envelope
	view
	at int64 // its place in the order, which is the msg_time of stored kinds; given by emit at the latest

	payload []byte // of the deliveries
	change  store.Change
	effects
	own     *unconfirmed.Message // what the sender's phones have to confirm of their own; nil: nothing
	reached int                  // of to and toOnly, those who are sent anything
}

// serverMade says whether no client sent the message: a notice, or a dissolution's word to a member. It was made by speak, goes to one
// receiver, and nobody waits for an answer.
func (d *decision) serverMade() bool { return d.arrival == nil }

// meet is who has sent a stanza. Who is not known yet is learned, by the same batch: that they were seen is true whatever becomes of it.
func (b *batch) meet(from stanza.JID) protocol.Person {
	if _, ok := b.users[from.Local]; !ok {
		b.met = append(b.met, from.Local)
	}
	return b.person(from.Local)
}

// view is what the batch knows for a message of some kind and sender. Where it belongs is added by address.
func (b *batch) view(kind *Kind, sender protocol.Person) view {
	return view{cfg: &b.s.cfg, now: b.now, kind: kind, sender: sender, ids: b.ids, messages: b.stored, receipts: b.receipts,
		keepsUnknown: b.c.keepsUnknown(), person: b.person}
}

func (m message) decide(_ context.Context, b *batch) error {
	return (&decision{b: b, arrival: m.arrival, env: m.env, view: b.view(m.kind, b.meet(m.from))}).decide()
}

// speak adds a message that the server makes, to one receiver.
func (b *batch) speak(v view, msgType, msgID, body string, to protocol.Person) {
	at := b.c.clock.Next(b.now, v.conversation)
	text := protocol.NewEnvelope(msgType, msgID, v.sender.ID, to.ID, protocol.FormatTime(at), body, b.s.cfg.ArrayBodies)
	d := &decision{b: b, view: v, at: at,
		env: &protocol.Envelope{Type: msgType, MsgID: msgID, From: v.sender.ID, To: to.ID, Body: body, Text: text}}
	d.effects, d.payload = effects{to: []protocol.Person{to}}, protocol.Payload(text, nil, false)
	d.emit()
}

// decide takes a client's message through the phases that all kinds share; act is the kind's own.
func (d *decision) decide() error {
	s := d.b.s
	m := &d.arrival.content
	if err := d.afford(); err != nil {
		return err
	}

	// 1. where it belongs
	if err := d.address(); err != nil {
		return err
	}
	d.b.count(s.metrics.messages.WithLabelValues(d.kind.Name), 1)
	if d.kind.scope != scopeCommand && m.toUser != "" && m.toUser != d.peer.Local && !protocol.SameUser(m.toUser, d.groupID) {
		d.b.count(s.metrics.misaddressed, 1)
	}

	// 2. exactly once
	if d.kind.Stored {
		if known, err := d.known(); known || err != nil {
			return err
		}
	}

	if d.payload = protocol.Payload(d.env.Text, m.ext, false); len(d.payload) > protocol.MaxPayload {
		return protocol.Refuse(protocol.TooLarge, "the message is larger than the server takes")
	}

	// 3. what the kind does
	effects, err := d.act()
	if err != nil {
		if d.b.optimistic && d.kind.Stored { // it may be the retry of what its sender was allowed then
			return errLookup
		}
		d.chargeRefused()
		return err
	}

	// 4. rows, deliveries, acknowledgement
	d.apply(effects)
	d.emit()
	d.charge()
	return nil
}

// act asks the kind.
func (d *decision) act() (effects, error) {
	if s := d.arrival.speech; s != nil && s.barred != nil {
		return effects{}, s.barred
	}
	return d.kind.act(message{d.arrival}, &d.view)
}

// address finds the peer or the group and names the conversation.
func (d *decision) address() error {
	if d.kind.scope == scopeGroup {
		return d.addressGroup()
	}
	local, err := stanza.Localpart(d.env.To)
	if err != nil {
		return protocol.Refuse(protocol.UserIDInvalid, "msg_to is empty or cannot be part of an address")
	}
	d.peer = d.person(local)
	d.conversation = protocol.ChatName(d.sender.ID, d.peer.ID)
	return nil
}

// digest tells two messages with one id apart.
func (d *decision) digest() string {
	sum := sha256.Sum256([]byte(d.env.Type + "\x00" + d.env.Body))
	return hex.EncodeToString(sum[:16])
}

func (d *decision) idKey() store.IDKey {
	return store.IDKey{MsgID: d.env.MsgID, Class: d.kind.idClass()}
}

// known answers a message whose id was there before: with the acknowledgement of the first when it is the same message, which then
// goes nowhere again, else with an error.
func (d *decision) known() (bool, error) {
	key := d.idKey()
	if key.Class == store.ClassMessage && d.b.s.calls.Owns(key.MsgID) {
		return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
	}
	old, ok := d.b.ids[key]
	if ok && d.b.optimistic {
		return false, errLookup
	}
	if !ok && !d.b.c.legacy {
		return false, nil
	}
	if !ok || old.State == store.Live && old.Digest == "" { // the latter: somebody had revoked it before it came, in vain
		return d.knownLegacy(key)
	}
	sameSender := old.From == d.sender.ID && old.Conversation == d.conversation
	switch {
	case old.State == store.Revoked && old.Conversation == d.conversation && (sameSender || old.Digest == "" && d.group != nil && old.From == d.group.Owner):
		d.acknowledge(old.Time)
		return true, nil
	case old.State == store.Revoked && old.Digest == "": // somebody's word about a message they did not write
		return false, nil
	case sameSender && old.Digest == d.digest():
		d.acknowledge(old.Time)
		return true, nil
	}
	return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
}

// knownLegacy looks for the message itself where tlim_id does not say enough: among those that the old system stored.
func (d *decision) knownLegacy(key store.IDKey) (bool, error) {
	rows := d.b.stored[key.MsgID]
	if len(rows) == 0 || key.Class == store.ClassRevoke {
		return false, nil
	}
	for _, m := range rows {
		if m.From == d.sender.ID && m.Type == d.env.Type && m.Body == d.env.Body && (m.To == d.peer.ID || d.groupID != "" && m.SessionID == d.groupID) {
			d.acknowledge(m.Time)
			return true, nil
		}
	}
	return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
}

// acknowledge notes an acknowledgement, where the sender or the configuration wants one.
func (d *decision) acknowledge(msgTime string) {
	if d.serverMade() {
		return
	}
	if s := d.arrival.speech; s != nil {
		s.time = msgTime
		return
	}
	switch d.b.s.cfg.Acknowledgements {
	case AcknowledgementsNever:
		return
	case AcknowledgementsAlways:
	default:
		if !d.arrival.ack {
			return
		}
	}
	if id := d.stanzaID(); id != "" { // else there is nothing to name
		d.b.acks = append(d.b.acks, ack{message: message{d.arrival}, id: id, msgTime: msgTime})
	}
}

// emit makes the rows and deliveries of an accepted message: both from one look at who is there.
func (d *decision) emit() {
	b, kind := d.b, d.kind
	if d.at == 0 {
		d.at = d.b.c.clock.Next(b.now, d.conversation)
	}
	if kind.Stored {
		d.store(protocol.FormatTime(d.at))
	}
	if kind.acknowledged() {
		d.acknowledge(protocol.FormatTime(d.at))
	}
	if !d.nowhere {
		var own []presence.Device
		if d.serverMade() || d.arrival.speech == nil {
			own = b.s.presence.Served(d.sender.Local)
		}
		d.deliver(d.at, own)
		d.deliverOwn(own)
		d.push()
	}
	d.commit()
}

// deliverOwn is for the sender's other devices.
func (d *decision) deliverOwn(own []presence.Device) {
	if !d.async && !d.others || d.arrival.speech != nil { // a robot has no devices
		return
	}
	targets := d.otherDevices(own)
	payload := d.payload
	if d.async {
		payload = protocol.Payload(d.env.Text, d.arrival.ext, true)
	}
	delivery := stanza.Delivery{ID: d.stanzaID(), From: d.from(), Payload: payload, To: targets}
	d.remember(delivery, []protocol.Person{d.sender}, true)
	if len(targets) > 0 {
		w := d.way(d.own)
		w.Request = false
		d.b.send(delivery, w)
	}
}

// from is the bare JID that its deliveries come from.
func (d *decision) from() string {
	if d.groupID != "" {
		return d.b.s.groupAddress(d.sender, d.group)
	}
	return d.b.s.fromAddress(d.sender)
}

// commit adds the decision's change to the batch.
func (d *decision) commit() {
	c := &d.change
	if c.Message == nil && len(c.Offline)+len(c.Receipts)+len(c.IDs)+len(c.SetIDs)+len(c.DropMessages)+len(c.DropOffline)+len(c.DropGroups)+len(c.Confirming)+len(c.Formers) == 0 {
		return
	}
	d.b.changes = append(d.b.changes, d.change)
}

// store makes the rows of ofmessage and tlim_id.
func (d *decision) store(msgTime string) {
	env := d.env
	m := &store.Message{ID: protocol.NewID(), MsgID: env.MsgID, Type: env.Type, From: d.sender.ID, To: d.peer.ID, Time: msgTime,
		Body: env.Body, SessionID: d.sender.ID, Flags: env.Flags}
	if d.groupID != "" {
		m.To, m.SessionID = d.groupID, d.groupID
	}
	if d.kind.each && d.serverMade() { // replay sends it to this one member
		m.To = d.to[0].ID
	}
	key := d.idKey()
	id := store.ID{MsgID: key.MsgID, Class: key.Class, From: d.sender.ID, Conversation: d.conversation, Time: msgTime, Digest: d.digest(), State: store.Live}
	if _, tombstone := d.b.ids[key]; tombstone {
		d.change.SetIDs = append(d.change.SetIDs, id)
	} else {
		d.change.IDs = append(d.change.IDs, id)
	}
	d.b.ids[key] = id
	if d.nowhere {
		return
	}
	d.change.Message, d.change.FileUses = m, env.FileUses()
	if key.Class == store.ClassMessage {
		d.b.stored[m.MsgID] = append(d.b.stored[m.MsgID], *m)
	}
}

// deliver decides for every receiver whether a row is written, and lists the devices that get a delivery. own are the sender's.
func (d *decision) deliver(at int64, own []presence.Device) {
	b, s, kind := d.b, d.b.s, d.kind
	row := d.row(at)
	if len(d.to)+len(d.toOnly) == 0 { // an author who has left is told nothing
		if kind.Queued && (d.async || d.others) {
			d.ownRow(row, own)
		}
		return
	}
	later := d.later()
	fresh := s.presence.Fresh()
	maxTargets := len(d.to) + len(d.toOnly)
	if fresh && d.group != nil {
		maxTargets = min(maxTargets, d.b.c.there(d.group)) // of a large group most are not there, and the list is kept for those who come
	}
	targets := make([]stanza.Target, 0, maxTargets+4)
	byServer := false
	var owners []unconfirmed.Owner
	for i, p := range d.to {
		devices := s.presence.Served(p.Local)
		robot := s.users.IsRobot(p.Local)
		if robot { // whoever made an account of its name
			devices = nil
		}
		switch n := len(targets); {
		case d.deliveredByServer(p):
			byServer = true
		case fresh && len(devices) == 0:
		default:
			if targets = s.targets(targets, p, devices); len(targets) > n {
				d.reached++
			}
		}
		if !kind.Queued || robot && s.unqueued(d.env.Type, p) || d.waits(&row, p) {
			continue
		}
		if robot {
			b.toRobots = append(b.toRobots, p)
		}
		mobile, web := presence.Available(devices)
		status := 0
		if web {
			status = 1
		}
		switch {
		case p.Local == d.sender.Local && !d.serverMade() && d.sender.Local != d.peer.Local:
			switch {
			case presence.IsMobile(d.arrival.from.Resource):
			case !mobile:
				d.queue(row, p, 1)
			case s.provesOwn():
				owners = append(owners, ownCopy(p))
			}
		case !mobile:
			if !later.Take(i, p.ID, status) {
				d.queue(row, p, status)
			}
		case s.cfg.Confirm != ConfirmByPresence:
			owners = append(owners, unconfirmed.Owner{Local: p.Local, ID: p.ID, Status: status, Confirm: kind.confirm && s.cfg.Confirm == ConfirmByReceipt})
		}
	}
	for _, p := range d.toOnly {
		n := len(targets)
		if d.deliveredByServer(p) {
			byServer = true
		} else if targets = s.targets(targets, p, s.presence.Served(p.Local)); len(targets) > n {
			d.reached++
		}
	}
	if kind.Queued && (d.async || d.others) {
		d.ownRow(row, own)
	}
	m := &unconfirmed.Message{Row: row, Time: at, Loose: d.kind.loose(), Confirmable: kind.confirm}
	var entry *unconfirmed.Message
	if len(owners) > 0 {
		entry = m
		b.unconfirmed = append(b.unconfirmed, unconfirmedMessage{message: entry, to: owners})
	}
	d.follow(m, later)
	delivery := stanza.Delivery{ID: d.stanzaID(), From: d.from(), Payload: d.payload, To: targets}
	if !byServer {
		to := d.to
		if len(d.toOnly) > 0 {
			to = slices.Concat(d.to, d.toOnly)
		}
		d.remember(delivery, to, false)
	}
	if len(targets) > 0 {
		b.send(delivery, d.way(entry))
	}
}

// way is how its copies go.
func (d *decision) way(entry *unconfirmed.Message) way {
	w := way{conversation: d.groupID, at: d.at, large: d.serverMade(), Way: unconfirmed.Way{Message: entry, Request: d.kind.confirm}}
	switch {
	case d.groupID != "":
	case d.serverMade():
		w.conversation = protocol.ChatName(d.sender.Local, d.peer.Local)
	default:
		w.conversation = d.arrival.waits.key
	}
	return w
}

// deliveredByServer says whether a message to one user that was seen as a packet copy has reached them without us: it was
// addressed to them, and they have no second device that the server leaves out.
func (d *decision) deliveredByServer(p protocol.Person) bool {
	return !d.serverMade() && d.arrival.copied && d.kind.scope != scopeGroup && d.arrival.toUser == p.Local && len(d.b.s.presence.Devices(p.Local)) <= 1
}

// row is what a queue row of this message looks like to a receiver: session_id and msg_to are both the peer as they see it.
func (d *decision) row(at int64) store.OfflineMessage {
	session := d.sender.ID
	if d.groupID != "" {
		session = d.groupID
	}
	return store.OfflineMessage{Message: store.Message{MsgID: d.env.MsgID, Type: d.env.Type, From: d.sender.ID, To: session, Time: protocol.FormatTime(at),
		Body: d.env.Body, SessionID: session, Flags: d.env.Flags}}
}

// waits says whether a message that is repeated waits for a user, as a row or in memory; if not, it is about to.
func (d *decision) waits(row *store.OfflineMessage, p protocol.Person) bool {
	if !d.kind.repeatable(d.env.MsgID) {
		return false
	}
	mark := store.OfflineMark{Owner: p.ID, MsgID: row.MsgID, From: row.From, Type: row.Type}
	if d.b.marks[mark] || d.b.s.unconfirmed.Has(p.Local, mark) {
		return true
	}
	d.b.marks[mark] = true
	return false
}

func (d *decision) queue(row store.OfflineMessage, p protocol.Person, status int) {
	d.b.rows++
	row.ID, row.Owner, row.Status = protocol.NewID(), p.ID, status
	d.change.Offline = append(d.change.Offline, row)
}

// ownRow lets the phone of a sender who writes on the web catch up: with a row where it is away, else with one if it does not confirm its copy.
func (d *decision) ownRow(row store.OfflineMessage, own []presence.Device) {
	mobile, _ := presence.Available(own)
	if presence.IsMobile(d.arrival.from.Resource) || mobile && !d.b.s.provesOwn() || d.waits(&row, d.sender) {
		return
	}
	if d.groupID == "" {
		row.To, row.SessionID = d.peer.ID, d.peer.ID
	}
	if !mobile {
		d.queue(row, d.sender, 1)
		return
	}
	d.own = &unconfirmed.Message{Row: row, Time: d.at, Loose: d.kind.loose()}
	d.b.unconfirmed = append(d.b.unconfirmed, unconfirmedMessage{message: d.own, to: []unconfirmed.Owner{ownCopy(d.sender)}})
}

// provesOwn says whether phones can prove that they have what their user wrote on the web. Pings alone do, and none stands beside a copy to a bare JID.
func (s *Service) provesOwn() bool {
	return s.cfg.Confirm != ConfirmByPresence && s.cfg.Delivery != DeliverToBare
}

// ownCopy is a sender whose phones get a copy of what they wrote on the web, where they have seen it.
func ownCopy(sender protocol.Person) unconfirmed.Owner {
	return unconfirmed.Owner{Local: sender.Local, ID: sender.ID, Status: 1, Own: true}
}

// otherDevices are the sender's devices but the sending one; their bare JID where others may be there that nobody knows.
func (d *decision) otherDevices(own []presence.Device) []stanza.Target {
	var targets []stanza.Target
	s, sending := d.b.s, d.arrival.from.String()
	for _, device := range own {
		if device.Full != sending {
			targets = append(targets, stanza.Target{JID: device.Full, Private: true})
		}
	}
	if !s.presence.Known() && (targets == nil || s.cfg.Delivery != DeliverToResources && s.unheard(own)) {
		targets = []stanza.Target{{JID: d.sender.Bare}}
	}
	return targets
}

// stanzaID is the id attribute of the copies, and what an acknowledgement names: a read receipt may have no msg_id.
func (d *decision) stanzaID() string {
	if d.env.MsgID == "" && !d.serverMade() && stanza.ValidXML(d.arrival.st.ID) {
		return d.arrival.st.ID
	}
	return d.env.MsgID
}

// decide passes on what is in a stanza without an envelope: chat states and markers go to the known devices of a 1:1 receiver.
func (s signal) decide(_ context.Context, b *batch) error {
	sender := b.meet(s.from)
	if s.ignore || s.signal == nil || s.toUser == "" {
		return nil
	}
	var targets []stanza.Target
	for _, d := range b.s.presence.Devices(s.toUser) {
		targets = append(targets, stanza.Target{JID: d.Full, Private: true})
	}
	if len(targets) > 0 {
		payload := append(s.signal, `<no-store xmlns="urn:xmpp:hints"/>`...)
		b.send(stanza.Delivery{ID: s.st.ID, From: b.s.fromAddress(sender), Payload: payload, To: targets}, way{conversation: s.waits.key})
	}
	return nil
}
