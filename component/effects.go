package component

import (
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// view is what a kind decides by: what the database says, and what earlier messages of the batch add to it. A kind only reads it.
type view struct {
	cfg  *Config
	now  time.Time
	kind *Kind

	sender       protocol.Person
	peer         protocol.Person // 1:1, notices and commands
	group        *group          // nil for a group that is gone
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
