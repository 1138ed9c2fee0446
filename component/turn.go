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

// turn is one message on its way through a batch. Its decision is one store.Change, the copies to send, and whether the
// sender gets a receipt.
type turn struct {
	b       *batch
	arrival *arrival // nil for messages that the server makes
	env     *protocol.Envelope
	view
	at int64 // its place in the order, which is the msg_time of stored kinds; given by emit at the latest

	payload []byte // of the copies
	change  store.Change
	effects
	reached int // of to and toOnly, those who are sent copies
}

// meet is who has sent a stanza. Who is not known yet is learned.
func (b *batch) meet(from stanza.JID) protocol.Person {
	if _, ok := b.users[from.Local]; !ok {
		b.s.users.Learn([]string{from.Local})
	}
	return b.s.users.Person(from.Local, b.users)
}

// view is what the batch knows for a message of some kind and sender. Where it belongs is added by address.
func (b *batch) view(kind *Kind, sender protocol.Person) view {
	return view{cfg: &b.s.cfg, now: b.now, kind: kind, sender: sender, ids: b.ids, messages: b.stored, receipts: b.receipts,
		keepsUnknown: b.s.keepsUnknown(), person: b.person}
}

func (m message) decide(_ context.Context, b *batch) error {
	return (&turn{b: b, arrival: m.arrival, env: m.env, view: b.view(m.kind, b.meet(m.from))}).decide()
}

// decide takes a client's message through the phases that all kinds share; act is the kind's own.
func (t *turn) decide() error {
	s := t.b.s
	m := &t.arrival.content
	if err := t.afford(); err != nil {
		return err
	}

	// 1. where it belongs
	if err := t.address(); err != nil {
		return err
	}
	t.b.count(s.metrics.messages.WithLabelValues(t.kind.Name), 1)
	if t.kind.scope != scopeCommand && m.toUser != "" && m.toUser != t.peer.Local && !protocol.SameUser(m.toUser, t.groupID) {
		t.b.count(s.metrics.misaddressed, 1)
	}

	// 2. exactly once
	if t.kind.Stored {
		if known, err := t.known(); known || err != nil {
			return err
		}
	}

	if t.payload = protocol.Payload(t.env.Text, m.ext, false); len(t.payload) > protocol.MaxPayload {
		return protocol.Refuse(protocol.TooLarge, "the message is larger than the server takes")
	}

	// 3. what the kind does
	effects, err := t.kind.act(message{t.arrival}, &t.view)
	if err != nil {
		if t.b.trusting && t.kind.Stored { // it may be the retry of what its sender was allowed then
			return errLookFirst
		}
		t.chargeRefused()
		return err
	}

	// 4. rows, copies, receipt
	t.apply(effects)
	t.emit()
	t.charge()
	return nil
}

// address finds the peer or the group and names the conversation.
func (t *turn) address() error {
	if t.kind.scope == scopeGroup {
		return t.addressGroup()
	}
	local, err := stanza.Localpart(t.env.To)
	if err != nil {
		return protocol.Refuse(protocol.UserIDInvalid, "msg_to is empty or cannot be part of an address")
	}
	t.peer = t.person(local)
	t.conversation = protocol.ChatName(t.sender.ID, t.peer.ID)
	return nil
}

// digest tells two messages with one id apart.
func (t *turn) digest() string {
	sum := sha256.Sum256([]byte(t.env.Type + "\x00" + t.env.Body))
	return hex.EncodeToString(sum[:16])
}

func (t *turn) idKey() store.IDKey {
	return store.IDKey{MsgID: t.env.MsgID, Class: t.kind.idClass()}
}

// known answers a message whose id was there before: with the receipt of the first when it is the same message, which then
// goes nowhere again, else with an error.
func (t *turn) known() (bool, error) {
	key := t.idKey()
	if key.Class == store.ClassMessage && t.b.s.calls.Owns(key.MsgID) {
		return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
	}
	old, ok := t.b.ids[key]
	if ok && t.b.trusting {
		return false, errLookFirst
	}
	if !ok && !t.b.s.adopted {
		return false, nil
	}
	if !ok || old.State == store.Live && old.Digest == "" { // the latter: somebody had revoked it before it came, in vain
		return t.stored(key)
	}
	sameSender := old.From == t.sender.ID && old.Conversation == t.conversation
	switch {
	case old.State == store.Revoked && old.Conversation == t.conversation && (sameSender || old.Digest == "" && t.group != nil && old.From == t.group.Owner):
		t.acknowledge(old.Time)
		return true, nil
	case old.State == store.Revoked && old.Digest == "": // somebody's word about a message he did not write
		return false, nil
	case sameSender && old.Digest == t.digest():
		t.acknowledge(old.Time)
		return true, nil
	}
	return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
}

// stored looks for the message itself where tlim_id does not say enough: among those that the old system stored.
func (t *turn) stored(key store.IDKey) (bool, error) {
	rows := t.b.stored[key.MsgID]
	if len(rows) == 0 || key.Class == store.ClassRevoke {
		return false, nil
	}
	for _, m := range rows {
		if m.From == t.sender.ID && m.Type == t.env.Type && m.Body == t.env.Body && (m.To == t.peer.ID || t.groupID != "" && m.SessionID == t.groupID) {
			t.acknowledge(m.Time)
			return true, nil
		}
	}
	return false, protocol.Refuse(protocol.IDConflict, "msg_id is in use by another message")
}

// acknowledge notes a server receipt, where the sender or the configuration wants one.
func (t *turn) acknowledge(msgTime string) {
	if t.arrival == nil {
		return
	}
	switch t.b.s.cfg.ServerReceipts {
	case ServerReceiptsNever:
		return
	case ServerReceiptsAlways:
	default:
		if !t.arrival.ack {
			return
		}
	}
	t.b.acks = append(t.b.acks, ack{message: message{t.arrival}, id: t.env.MsgID, msgTime: msgTime})
}

// emit makes the rows and copies of an accepted message: both from one look at who is there.
func (t *turn) emit() {
	b, kind := t.b, t.kind
	if t.at == 0 {
		t.at = t.b.c.clock.next(b.now, t.conversation)
	}
	if kind.Stored {
		t.store(protocol.FormatTime(t.at))
	}
	if kind.acknowledged(t.env.MsgID) {
		t.acknowledge(protocol.FormatTime(t.at))
	}
	if !t.nowhere {
		own := b.s.presence.Devices(t.sender.Local)
		t.copies(t.at, own)
		t.ownCopies(own)
		t.push()
	}
	t.commit()
}

// ownCopies are for the sender's other devices.
func (t *turn) ownCopies(own []presence.Device) {
	if !t.async && !t.others {
		return
	}
	targets := t.otherDevices(own)
	payload := t.payload
	if t.async {
		payload = protocol.Payload(t.env.Text, t.arrival.ext, true)
	}
	d := stanza.Delivery{ID: t.stanzaID(), From: t.from(), Payload: payload, To: targets}
	t.remember(d, []protocol.Person{t.sender}, true)
	if len(targets) > 0 {
		w := t.way(nil)
		w.Request = false
		t.b.send(d, w)
	}
}

// from is the bare JID that its copies come from.
func (t *turn) from() string {
	if t.groupID != "" {
		return t.b.s.groupAddress(t.sender, t.group)
	}
	return t.b.s.fromAddress(t.sender)
}

// commit adds the turn's change to the batch.
func (t *turn) commit() {
	c := &t.change
	if c.Message == nil && len(c.Offline)+len(c.Receipts)+len(c.IDs)+len(c.SetIDs)+len(c.DropMessages)+len(c.DropOffline)+len(c.DropGroups)+len(c.Confirming)+len(c.Formers) == 0 {
		return
	}
	t.b.changes = append(t.b.changes, t.change)
}

// store makes the rows of ofmessage and tlim_id.
func (t *turn) store(msgTime string) {
	env := t.env
	m := &store.Message{ID: protocol.NewID(), MsgID: env.MsgID, Type: env.Type, From: t.sender.ID, To: t.peer.ID, Time: msgTime,
		Body: env.Body, SessionID: t.sender.ID, Flags: env.Flags}
	if t.groupID != "" {
		m.To, m.SessionID = t.groupID, t.groupID
	}
	key := t.idKey()
	id := store.ID{MsgID: key.MsgID, Class: key.Class, From: t.sender.ID, Conversation: t.conversation, Time: msgTime, Digest: t.digest(), State: store.Live}
	if _, tombstone := t.b.ids[key]; tombstone {
		t.change.SetIDs = append(t.change.SetIDs, id)
	} else {
		t.change.IDs = append(t.change.IDs, id)
	}
	t.b.ids[key] = id
	if t.nowhere {
		return
	}
	t.change.Message, t.change.FileUses = m, env.FileUses()
	if key.Class == store.ClassMessage {
		t.b.stored[m.MsgID] = append(t.b.stored[m.MsgID], *m)
	}
}

// copies decides for every receiver whether a row is written, and lists the devices that get a copy. own are the sender's.
func (t *turn) copies(at int64, own []presence.Device) {
	b, s, kind := t.b, t.b.s, t.kind
	row := t.row(at)
	if len(t.to)+len(t.toOnly) == 0 { // an author who has left is told nothing
		if kind.Queued && (t.async || t.others) {
			t.ownRow(row, own)
		}
		return
	}
	later := t.later()
	fresh := s.presence.Fresh()
	most := len(t.to) + len(t.toOnly)
	if fresh && t.group != nil {
		most = min(most, t.b.c.there(t.group)) // of a large group most are not there, and the list is kept for those who come
	}
	targets := make([]stanza.Target, 0, most+4)
	byServer := false
	var owe []unconfirmed.Owner
	for i, p := range t.to {
		devices := s.presence.Devices(p.Local)
		switch n := len(targets); {
		case t.deliveredByServer(p, devices):
			byServer = true
		case fresh && len(devices) == 0:
		default:
			if targets = s.targets(targets, p, devices); len(targets) > n {
				t.reached++
			}
		}
		if !kind.Queued || t.waits(&row, p) {
			continue
		}
		mobile, web := presence.Available(devices)
		status := 0
		if web {
			status = 1
		}
		switch {
		case p.Local == t.sender.Local && t.arrival != nil && t.sender.Local != t.peer.Local:
			if web && !mobile && !presence.IsMobile(t.arrival.from.Resource) {
				t.queue(row, p, 1)
			}
		case !mobile:
			if !later.Take(i, p.ID, status) {
				t.queue(row, p, status)
			}
		case s.cfg.Confirm != ConfirmByPresence:
			how := s.users.Confirms(p.Local)
			owe = append(owe, unconfirmed.Owner{Local: p.Local, ID: p.ID, Status: status,
				Confirm: how == store.ConfirmsByPings || kind.confirm && (how == store.ConfirmsByReceipts || s.cfg.Confirm == ConfirmByReceipt)})
		}
	}
	for _, p := range t.toOnly {
		devices, n := s.presence.Devices(p.Local), len(targets)
		if t.deliveredByServer(p, devices) {
			byServer = true
		} else if targets = s.targets(targets, p, devices); len(targets) > n {
			t.reached++
		}
	}
	if kind.Queued && (t.async || t.others) {
		t.ownRow(row, own)
	}
	m := &unconfirmed.Message{Row: row, Time: at, Loose: t.kind.loose()}
	var owed *unconfirmed.Message
	if len(owe) > 0 {
		owed = m
		b.owe = append(b.owe, owing{message: owed, to: owe})
	}
	t.follow(m, later)
	d := stanza.Delivery{ID: t.stanzaID(), From: t.from(), Payload: t.payload, To: targets}
	if !byServer {
		to := t.to
		if len(t.toOnly) > 0 {
			to = slices.Concat(t.to, t.toOnly)
		}
		t.remember(d, to, false)
	}
	if len(targets) > 0 {
		b.send(d, t.way(owed))
	}
}

// way is how its copies go.
func (t *turn) way(owed *unconfirmed.Message) way {
	w := way{conversation: t.groupID, at: t.at, large: t.arrival == nil, Way: unconfirmed.Way{Message: owed, Request: t.kind.confirm}}
	switch {
	case t.groupID != "":
	case t.arrival != nil:
		w.conversation = t.arrival.waits.key
	default:
		w.conversation = protocol.ChatName(t.sender.Local, t.peer.Local)
	}
	return w
}

// deliveredByServer says whether a message to one user that was seen as a packet copy has reached him without us: it was
// addressed to him, and he has no second device that the server leaves out.
func (t *turn) deliveredByServer(p protocol.Person, devices []presence.Device) bool {
	return t.arrival != nil && t.arrival.copied && t.kind.scope != scopeGroup && t.arrival.toUser == p.Local && len(devices) <= 1
}

// row is what a queue row of this message looks like to a receiver: session_id and msg_to are both the peer as he sees it.
func (t *turn) row(at int64) store.OfflineMessage {
	session := t.sender.ID
	if t.groupID != "" {
		session = t.groupID
	}
	return store.OfflineMessage{Message: store.Message{MsgID: t.env.MsgID, Type: t.env.Type, From: t.sender.ID, To: session, Time: protocol.FormatTime(at),
		Body: t.env.Body, SessionID: session, Flags: t.env.Flags}}
}

// waits says whether a message that is repeated waits for a user, as a row or in memory; if not, it is about to.
func (t *turn) waits(row *store.OfflineMessage, p protocol.Person) bool {
	if !t.kind.repeatable(t.env.MsgID) {
		return false
	}
	mark := store.OfflineMark{Owner: p.ID, MsgID: row.MsgID, From: row.From, Type: row.Type}
	if t.b.marks[mark] || t.b.s.owed.Owes(p.Local, mark) {
		return true
	}
	t.b.marks[mark] = true
	return false
}

func (t *turn) queue(row store.OfflineMessage, p protocol.Person, status int) {
	t.b.rows++
	row.ID, row.Owner, row.Status = protocol.NewID(), p.ID, status
	t.change.Offline = append(t.change.Offline, row)
}

// ownRow lets the phone of a sender who is online on the web only catch up.
func (t *turn) ownRow(row store.OfflineMessage, own []presence.Device) {
	mobile, web := presence.Available(own)
	if web && !mobile && !presence.IsMobile(t.arrival.from.Resource) && !t.waits(&row, t.sender) {
		if t.groupID == "" {
			row.To, row.SessionID = t.peer.ID, t.peer.ID
		}
		t.queue(row, t.sender, 1)
	}
}

// otherDevices are the sender's devices but the sending one; his bare JID where others may be there that nobody knows.
func (t *turn) otherDevices(own []presence.Device) []stanza.Target {
	var targets []stanza.Target
	s, sending := t.b.s, t.arrival.from.String()
	for _, d := range own {
		if d.Full != sending {
			targets = append(targets, stanza.Target{JID: d.Full, Private: true})
		}
	}
	if !s.presence.Known() && (targets == nil || s.cfg.Delivery != DeliverToResources && s.unheard(own)) {
		targets = []stanza.Target{{JID: t.sender.Bare}}
	}
	return targets
}

// stanzaID is the id attribute of the copies.
func (t *turn) stanzaID() string {
	if t.env.MsgID == "" && t.arrival != nil && stanza.ValidXML(t.arrival.st.ID) {
		return t.arrival.st.ID
	}
	return t.env.MsgID
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
