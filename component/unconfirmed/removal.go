package unconfirmed

import "tlim/store"

// Removal is what a batch removes from the queues.
type Removal struct {
	IDs    map[string]bool // messages of these ids; there may be thousands, and each unconfirmed copy is held against them
	Group  string          // or all messages of a group
	Except string          // but those of this msg_type: the notices that it is gone
}

// Matches says whether a row is among what is removed.
func (r Removal) Matches(row store.OfflineMessage) bool {
	return r.IDs[row.MsgID] || r.Group != "" && row.SessionID == r.Group && row.Type != r.Except
}
