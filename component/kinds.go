package component

import (
	"strings"

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
	Stored bool   // a row in ofmessage, exactly once by msg_id, a server receipt
	Queued bool   // rows for absent phones, copies owed to present ones
	Pushed bool

	scope   scope
	async   bool // the sender's other devices get a copy with the subject ASYNC
	confirm bool // copies ask for an XEP-0184 receipt
	reads   bool // the server acts on ids in the body objects
	names   bool // on ids of messages, which are maxNamed at most
	bare    bool // it says all by its type: the body may be missing
	late    bool // a notice that a former member may still send
	first   bool // deletes rows, so it begins a batch (store.Change: deletions come first)
	act     func(*turn) error
}

// repeatable says whether a message is queued and not stored, so that nothing but its queue rows tells of it. (A read receipt.)
func (k *Kind) repeatable(msgID string) bool { return k.Queued && !k.Stored && msgID != "" }

// loose says whether another message may have the same msg_id as one of this kind: only what is stored has an id of its own, and a revoke is
// keyed apart from the message that it names.
func (k *Kind) loose() bool { return !k.Stored || k.Name == "MTT-101" || k.Name == "MTS-101" }

// kindTable finds kinds by msg_type.
type kindTable struct {
	named  map[string]*Kind
	family map[string]*Kind
	notice *Kind // MTB-* as the component makes them
}

// newKinds builds the table. (A package variable would refer to itself through the functions in it.)
func newKinds() *kindTable {
	rows := []Kind{
		// 1:1
		{Name: "MTT-100", scope: scopeChat, Queued: true, async: true, reads: true, names: true, act: actReadChat},
		{Name: "MTT-101", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, reads: true, names: true, first: true, act: actRevokeChat},
		{Name: "MTT-102", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, bare: true, act: actChat},
		{Name: "MTT-", scope: scopeChat, Stored: true, Queued: true, Pushed: true, async: true, confirm: true, act: actChat},
		// groups
		{Name: "MTS-100", scope: scopeGroup, Queued: true, reads: true, names: true, act: actReadGroup},
		{Name: "MTS-101", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, names: true, late: true, first: true, act: actRevokeGroup},
		{Name: "MTS-103", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, act: actRemovedNotice},
		{Name: "MTS-104", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, act: actGroup},
		{Name: "MTS-106", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, act: actGroup},
		{Name: "MTS-107", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, late: true, first: true, act: actDissolveNotice},
		{Name: "MTS-", scope: scopeGroup, Stored: true, Queued: true, Pushed: true, confirm: true, reads: true, act: actGroup},
		// business messages from clients: passed on or refused, without a trace
		{Name: "MTB-", scope: scopeBusiness, confirm: true, act: actClientNotice},
		// commands
		{Name: confirmation, scope: scopeCommand, reads: true, names: true, act: actConfirm},
		{Name: serverReceipt, scope: scopeCommand, act: actForgedReceipt},
		{Name: "MTC-", scope: scopeCommand, bare: true, act: actCommand},
	}
	t := &kindTable{named: map[string]*Kind{}, family: map[string]*Kind{},
		notice: &Kind{Name: "MTB-", Stored: true, Queued: true, Pushed: true, scope: scopeBusiness, confirm: true}}
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
func (t *kindTable) of(msgType string) *Kind {
	if k := t.named[msgType]; k != nil {
		return k
	}
	if !store.ValidType(msgType) {
		return nil
	}
	if strings.HasPrefix(msgType, serverReceipt) { // a client that compares beginnings would take it for one
		return t.named[serverReceipt]
	}
	return t.family[store.FamilyOf(msgType)]
}

// rules says how an envelope of a msg_type is read.
func (t *kindTable) rules(msgType string) (protocol.Rules, bool) {
	k := t.of(msgType)
	if k == nil {
		return protocol.Rules{}, false
	}
	return protocol.Rules{Objects: k.reads, Bare: k.bare, Group: k.scope == scopeGroup}, true
}

// serverReceipt is the type of our receipts.
const serverReceipt = "MTC-100"

// reservedNotice says whether only the component may make notices of this type, or of what it begins like.
func reservedNotice(msgType string) bool {
	return strings.HasPrefix(msgType, "MTB-000") || strings.HasPrefix(msgType, "MTB-100")
}
