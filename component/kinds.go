package component

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"tlim/component/cache"
	"tlim/component/protocol"
	"tlim/store"
)

// scope is what kind of conversation a message belongs to.
type scope int

const (
	scopeChat     scope = iota // 1:1
	scopeGroup                 // a session
	scopeBusiness              // from admin to one user, made by HTTP
	scopeCommand               // neither stored nor queued
)

// Kind is a message type of PROTOCOL.md section 3: a row of the table.
type Kind struct {
	Name   string // MTT-000; a name that ends in - stands for all others of its family
	Stored bool   // a row in ofmessage, exactly once by msg_id, an acknowledgement
	Queued bool   // rows for absent phones, unconfirmed copies to present ones
	Pushed bool

	scope    scope
	async    bool             // the sender's other devices get a copy with the subject ASYNC
	confirm  bool             // deliveries ask for a confirmation by XEP-0184
	reads    bool             // the server acts on ids in the body objects
	names    reference        // what the messages are whose ids the body names
	class    store.Class      // of its own id; "" is store.ClassMessage
	bodyless bool             // it says all by its type: the body may be missing
	late     bool             // a notice that a former member may still send
	told     bool             // former members whom it names get it, too
	each     bool             // made by the server, one message for each member
	first    bool             // it deletes rows, so it begins a batch (store.Change: deletions come first)
	alert    alert            // what a push says of it; nil: that there is a message
	alerts   map[string]alert // likewise, of single types of a family
	act      func(message, *view) (effects, error)
}

// reference is what a message says about those whose ids its body names: maxNamed at most.
type reference int

const (
	namesNothing   reference = iota
	namesRead                // its sender has read them
	namesRevoked             // they are to be removed
	namesConfirmed           // a phone of its sender has them
)

// repeatable says whether a message is queued and not stored, so that nothing but its queue rows tells of it. (A read receipt.)
func (k *Kind) repeatable(msgID string) bool { return k.Queued && !k.Stored && msgID != "" }

// idClass says among which ids its own is: a revoke is keyed apart from the message that it names.
func (k *Kind) idClass() store.Class { return cmp.Or(k.class, store.ClassMessage) }

// loose says whether another message may have the same msg_id as one of this kind: only what is stored has an id of its own.
func (k *Kind) loose() bool { return !k.Stored || k.idClass() != store.ClassMessage }

// acknowledged says whether MTC-100 answers a message of this kind: it is stored, or waits for phones.
func (k *Kind) acknowledged() bool { return k.Stored || k.Queued }

// counted says whether a message of this kind counts as unread.
func (k *Kind) counted() bool { return k.names != namesRead }

// alertOf is what a push says of a message.
func (k *Kind) alertOf(env *protocol.Envelope, sender string) string {
	say := k.alert
	if one, ok := k.alerts[env.Type]; ok {
		say = one
	}
	if say == nil {
		return alertHidden
	}
	return cmp.Or(say(env, sender), alertHidden)
}

// kindTable finds kinds by msg_type.
type kindTable struct {
	named  map[string]*Kind
	family map[string]*Kind
	notice *Kind // MTB-* as the component makes them
}

// Traits are what the table says of a msg_type to those who compare what another program has made of its messages.
type Traits struct {
	Group      bool // it belongs to a group
	Outside    bool // clients send none that would be stored: a business message, a command
	Notice     bool // of these, a business message
	Receipt    bool // its sender has read what it names
	Revoke     bool // it removes what it names
	Late       bool // former members may still send it
	TellsNamed bool // former members whom it names get it, too
	ByServer   bool // made by the server, one for each member
}

var sharedKinds = sync.OnceValue(newKinds)

// TraitsOf has none for a msg_type that is not valid.
func TraitsOf(msgType string) Traits {
	k := sharedKinds().of(msgType)
	if k == nil {
		return Traits{}
	}
	return Traits{Group: k.scope == scopeGroup, Outside: k.scope == scopeBusiness || k.scope == scopeCommand, Notice: k.scope == scopeBusiness,
		Receipt: k.names == namesRead, Revoke: k.names == namesRevoked, Late: k.late, TellsNamed: k.told, ByServer: k.each}
}

// newKinds builds the table. (A package variable would refer to itself through the functions in it.)
func newKinds() *kindTable {
	text, picture, file, voice := alertText, says("发送了一个图片消息"), says("发送了一个文件消息"), says("发送了一条语音消息")
	system := says("收到一条系统消息")
	rows := []Kind{
		// 1:1
		{Name: "MTT-100", scope: scopeChat, Queued: true, async: true, reads: true, names: namesRead, act: actReadChat},
		{Name: "MTT-101", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, reads: true, names: namesRevoked, class: store.ClassRevoke, first: true,
			alert: saysOfSender("撤回了一条消息"), act: actRevokeChat},
		{Name: "MTT-102", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, bodyless: true, act: actChat},
		{Name: "MTT-", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, act: actChat,
			alerts: map[string]alert{"MTT-000": text, "MTT-001": picture, "MTT-002": file, "MTT-003": voice,
				"MTT-200": saysOfSender(":向您发起清空消息请求"), "MTT-201": alertCleared}},
		// groups
		{Name: "MTS-100", scope: scopeGroup, Queued: true, reads: true, names: namesRead, act: actReadGroup},
		{Name: "MTS-101", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, names: namesRevoked, class: store.ClassRevoke, late: true, first: true,
			alert: saysOfSender(":撤回了一条消息"), act: actRevokeGroup},
		{Name: "MTS-103", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, told: true, alert: system, act: actRemovedNotice},
		{Name: "MTS-104", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, alert: system, act: actGroup},
		{Name: "MTS-106", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, alert: system, act: actGroup},
		{Name: dissolved, scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, each: true, first: true,
			alert: system, act: actDissolveNotice},
		{Name: "MTS-", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, act: actGroup,
			alerts: map[string]alert{"MTS-000": text, "MTS-001": picture, "MTS-002": file, "MTS-003": voice, "MTS-102": system, "MTS-105": system}},
		// business messages from clients: passed on or refused, without a trace
		{Name: "MTB-", scope: scopeBusiness, confirm: true, act: actClientNotice},
		// commands
		{Name: confirmation, scope: scopeCommand, reads: true, names: namesConfirmed, act: actConfirm},
		{Name: acknowledgement, scope: scopeCommand, act: actForgedAcknowledgement},
		{Name: "MTC-", scope: scopeCommand, bodyless: true, act: actCommand},
	}
	t := &kindTable{named: map[string]*Kind{}, family: map[string]*Kind{},
		notice: &Kind{Name: "MTB-", Stored: true, Queued: true, Pushed: true, scope: scopeBusiness, confirm: true,
			alerts: map[string]alert{NoticeApproval: says("收到了一条审批消息"), NoticeApprovalBack: says("收到了一条朋友圈转发消息")}}}
	for i := range rows {
		k := &rows[i]
		if family, ok := strings.CutSuffix(k.Name, "-"); ok {
			t.family[family] = k
		} else {
			t.named[k.Name] = k
		}
	}
	return t
}

// of finds the kind of a msg_type; nil when it is not valid (store.ValidType).
func (k *kindTable) of(msgType string) *Kind {
	if kind := k.named[msgType]; kind != nil {
		return kind
	}
	if !store.ValidType(msgType) {
		return nil
	}
	if strings.HasPrefix(msgType, acknowledgement) { // a client that compares beginnings would take it for one
		return k.named[acknowledgement]
	}
	return k.family[store.FamilyOf(msgType)]
}

// rules says how an envelope of this kind is read; false for no kind.
func (k *Kind) rules() (protocol.Rules, bool) {
	if k == nil {
		return protocol.Rules{}, false
	}
	return protocol.Rules{Objects: k.reads, Bodyless: k.bodyless, Group: k.scope == scopeGroup}, true
}

// rules are those of a msg_type.
func (k *kindTable) rules(msgType string) (protocol.Rules, bool) { return k.of(msgType).rules() }

// The types that the component itself makes, or acts on before the table is asked.
const (
	confirmation    = "MTC-000" // of what a client's phone has got
	acknowledgement = "MTC-100" // to a sender: the message is stored
	dissolved       = "MTS-107" // the group is gone
)

// The types of notices that callers push.
const (
	NoticeApproval     = "MTB-000"
	NoticeApprovalBack = "MTB-001"
	NoticeSystem       = "MTB-100"
)

// SpokenType is what a robot can send: its msg_type to a user and to a group, and the field of the body that its content is.
type SpokenType struct{ Chat, Group, Field string }

// SpokenTypes are those that the API has names for.
var SpokenTypes = map[string]SpokenType{
	"text":    {"MTT-000", "MTS-000", "text"},
	"picture": {"MTT-001", "MTS-001", "fileId"},
	"file":    {"MTT-002", "MTS-002", "fileId"},
	"voice":   {"MTT-003", "MTS-003", "fileId"},
	"revoke":  {"MTT-101", "MTS-101", "msg_id"},
}

// reservedNotice says whether only the component may make notices of this type, or of what it begins like.
func reservedNotice(msgType string) bool {
	return strings.HasPrefix(msgType, NoticeApproval) || strings.HasPrefix(msgType, NoticeSystem)
}

// view is what a kind decides by: what the database says, and what earlier messages of the batch add to it. A kind only reads it.
type view struct {
	cfg  *Config
	now  time.Time
	kind *Kind

	sender       protocol.Person
	peer         protocol.Person // 1:1, notices and commands
	group        *cache.Group    // nil for a group that is gone
	groupID      string
	conversation string

	ids          map[store.IDKey]store.ID
	messages     map[string][]store.Message // by msg_id, those that the message names
	receipts     map[store.ReceiptKey][]store.Receipt
	formers      map[string]string // user ids of the group's former members, and when they left
	keepsUnknown bool              // receipts are written for messages that are not in ofmessage
	person       func(local string) protocol.Person
}

// effects are what a message of some kind does beside being stored: a kind returns them, the batch applies them.
type effects struct {
	to      []protocol.Person // who gets a delivery, with a row or an unconfirmed entry where the kind is queued
	toOnly  []protocol.Person // who gets a delivery and nothing else
	async   bool              // the sender's other devices get a delivery with the subject ASYNC
	others  bool              // the sender's other devices get a plain one
	nowhere bool              // accepted, but nobody gets it

	receipts   []store.Receipt // to be written, or raised
	tombstones []store.ID      // messages that are removed, with their rows
	moves      bool            // the entries of the conversation in lists move up
	dissolves  bool            // the group is removed
}

// apply makes a kind's effects a part of the batch: later messages of it see them.
func (d *decision) apply(e effects) {
	e.nowhere = e.nowhere || d.kind.scope == scopeGroup && d.group == nil // a late notice of a group that is gone
	d.effects = e
	b := d.b
	for _, r := range e.receipts {
		d.change.Receipts = append(d.change.Receipts, r)
		b.receipts[store.ReceiptKey{MsgID: r.MsgID, Reader: r.Reader}] = []store.Receipt{{MsgID: r.MsgID, Sender: r.Sender, Reader: r.Reader, Status: r.Status}}
	}
	if len(e.tombstones) > 0 {
		d.remove(e.tombstones)
	}
	switch {
	case !e.moves:
	case d.group != nil:
		d.moveGroup()
	default:
		d.moveChats()
	}
	if e.dissolves {
		b.dissolve(d.group)
	}
}

// Treatment says what is done with messages of a type: are they stored, do they wait for absent phones, do they wake them.
func (s *Service) Treatment(msgType string) (stored, queued, pushed bool) {
	k := s.kinds.of(msgType)
	switch {
	case k == nil:
		return false, false, false
	case k.scope == scopeBusiness: // what is stored of them is made by the server; clients' own pass without a trace
		k = s.kinds.notice
	}
	return k.Stored, k.Queued, k.Pushed
}
