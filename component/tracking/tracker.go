package tracking

import (
	"context"

	"tlim/component/presence"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Store is what a Tracker reads of the database. *store.Store implements it.
type Store interface {
	Call(ctx context.Context, id string) (store.Call, bool, error)
	ListCalls(ctx context.Context, after string, limit int) ([]store.Call, error)
	CountCall(ctx context.Context, author, msgType, from, to string) (store.CallCounts, error)
	CallParts(ctx context.Context, id string, first, limit int) ([]store.CallPart, error)
	CountIDs(ctx context.Context, author, from, to string) (int, error)
	IDsBetween(ctx context.Context, author, from, to string, limit int) ([]store.ID, error)
	MessageHeads(ctx context.Context, msgIDs []string) (map[string]store.Message, error)
	MessagesByID(ctx context.Context, msgIDs []string) (map[string][]store.Message, error)
	OfflineOwners(ctx context.Context, msgIDs []string) (map[store.OfflineKey]bool, error)
	PushesOf(ctx context.Context, msgIDs []string) (map[string][]store.Push, error)
	Receipts(ctx context.Context, keys []store.ReceiptKey) (map[store.ReceiptKey][]store.Receipt, error)
}

// Deps are what a Tracker looks at.
type Deps struct {
	Store       Store
	Server      string // the domain of users
	Unconfirmed *unconfirmed.Table
	Proofs      *unconfirmed.Proofs
	Missed      *unconfirmed.Proofs // of what was sent in vain; by ids, as rows have them
	Presence    *presence.Table
	Delivered   func() int64             // up to which msg_time all is known to be routed
	Confirms    func(local string) bool  // whether phones of the user confirm what they get
	Title       func(text string) string // a title as pushes show it
}

// Tracker says what became of messages. Its methods may be called by any goroutine; they change nothing.
type Tracker struct{ Deps }

// New makes a Tracker.
func New(deps Deps) *Tracker { return &Tracker{deps} }
