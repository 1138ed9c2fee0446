package component

import (
	"context"
	"slices"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// look asks the database for all that the batch's messages need to be judged, one query per table.
func (b *batch) look(ctx context.Context) error {
	if len(b.requests) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	var w wanted
	for _, r := range b.requests {
		r.want(&w)
	}
	var err error
	s := b.s
	if b.users, err = s.users.Lookup(ctx, w.users); err != nil {
		return err
	}
	if b.groups, err = b.c.groups.Get(ctx, s.store, w.groups); err != nil {
		return err
	}
	b.optimistic = !b.lookup && !b.isolated && !b.c.legacy && b.now.After(b.c.lookupUntil)
	ids := w.targets
	if !b.optimistic {
		ids = append(ids, w.ids...)
	}
	if b.ids, err = s.store.IDs(ctx, ids); err != nil {
		return err
	}
	for _, id := range ids {
		known, ok := b.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}]
		if !ok && b.c.legacy || ok && known.State == store.Live && known.Digest == "" {
			w.messages = append(w.messages, id)
		}
	}
	if b.stored, err = s.store.MessagesByID(ctx, w.messages); err != nil {
		return err
	}
	if b.receipts, err = s.store.Receipts(ctx, b.receiptKeys()); err != nil {
		return err
	}
	if err = b.lookMarks(ctx); err != nil {
		return err
	}
	if err = b.lookChats(ctx); err != nil {
		return err
	}
	if err = b.lookFormers(ctx); err != nil {
		return err
	}
	b.ready()
	return nil
}

// ready makes the maps that decisions add to.
func (b *batch) ready() {
	if b.ids == nil {
		b.ids = map[store.IDKey]store.ID{}
	}
	if b.stored == nil {
		b.stored = map[string][]store.Message{}
	}
	if b.receipts == nil {
		b.receipts = map[store.ReceiptKey][]store.Receipt{}
	}
}

// wanted gathers keys.
type wanted struct {
	ids      []string // msg_ids of the messages themselves
	targets  []string // msg_ids that revokes name
	messages []string // msg_ids whose rows of ofmessage are needed
	groups   []string
	users    []string // local parts
}

func (s signal) want(w *wanted) {
	w.users = append(w.users, s.from.Local)
	if s.signal != nil && s.toUser != "" {
		w.users = append(w.users, s.toUser)
	}
}

func (m message) want(w *wanted) {
	w.users = append(w.users, m.from.Local)
	if m.kind.Stored {
		w.ids = append(w.ids, m.env.MsgID)
	}
	if m.kind.scope == scopeGroup {
		ids := m.groupIDs()
		w.groups = append(w.groups, ids...)
		for _, id := range m.alsoNamed() {
			if !slices.Contains(ids, id) {
				w.groups = append(w.groups, id)
			}
		}
	} else if local, err := stanza.Localpart(m.env.To); err == nil {
		w.users = append(w.users, local)
	}
	switch m.kind.names {
	case namesRevoked:
		w.targets = append(w.targets, m.targets...)
		w.messages = append(w.messages, m.targets...)
	case namesRead:
		w.messages = append(w.messages, m.targets...)
		if local, err := stanza.Localpart(m.env.To); err == nil {
			w.users = append(w.users, local)
		}
	}
}

// receiptKeys are the receipts that the batch's readers may have written before, under their canonical ids.
func (b *batch) receiptKeys() (keys []store.ReceiptKey) {
	for _, m := range b.messages {
		if m.kind.names != namesRead {
			continue
		}
		reader := b.person(m.from.Local).ID
		for _, id := range m.targets {
			keys = append(keys, store.ReceiptKey{MsgID: id, Reader: reader})
		}
	}
	return keys
}

// groupIDs are where a group's id may stand, best first.
func (a *arrival) groupIDs() []string {
	env := a.env
	var ids []string
	add := func(id string) {
		if id != "" && len(id) <= 4*protocol.MaxID && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if env.Opaque {
		add(a.toUser)
		add(env.To)
		return ids
	}
	if len(env.Objects) > 0 {
		add(env.Objects[0].GroupID)
	}
	if len(ids) == 0 {
		if env.To != env.From { // some clients put their own id there
			add(env.To)
		}
		add(a.toUser)
	}
	return ids
}

// alsoNamed are the other ids that a client may take for the group's: msg_to, and what the body hints at. Only stored kinds have them: the
// msg_to of a read receipt is an author.
func (a *arrival) alsoNamed() []string {
	env := a.env
	switch {
	case !a.kind.Stored:
		return nil
	case env.To == "" || env.To == env.From || len(env.To) > 4*protocol.MaxID:
		return env.Hinted
	}
	return slices.Concat(env.Hinted, []string{env.To})
}

// lookMarks finds out what waits for phones of the read receipts in the batch: one that is repeated is not queued again.
func (b *batch) lookMarks(ctx context.Context) error {
	var ids []string
	for _, m := range b.messages {
		if m.kind.repeatable(m.env.MsgID) {
			ids = append(ids, m.env.MsgID)
		}
	}
	var err error
	if b.marks, err = b.s.store.OfflineMarks(ctx, ids); err == nil && len(ids) > 0 {
		b.s.unconfirmed.Marks(ids, b.marks)
	}
	return err
}

// lookChats finds out which 1:1 list entries exist, of those that the cache does not know.
func (b *batch) lookChats(ctx context.Context) error {
	var keys []store.ChatKey
	for _, m := range b.messages {
		if m.kind.scope != scopeChat || !m.kind.Stored {
			continue
		}
		local, err := stanza.Localpart(m.env.To)
		if err != nil || local == m.from.Local {
			continue
		}
		from, to := b.person(m.from.Local).ID, b.person(local).ID
		for _, key := range [...]store.ChatKey{{Partner: from, Owner: to}, {Partner: to, Owner: from}} {
			if _, known := b.c.chats.Moved(key); !known {
				keys = append(keys, key)
			}
		}
	}
	var err error
	b.chats, err = b.s.store.Chats(ctx, keys)
	return err
}

// lookFormers finds the members of the last 24 hours where a late notice may need them.
func (b *batch) lookFormers(ctx context.Context) error {
	var ids []string
	for _, m := range b.messages {
		if m.kind.late {
			ids = append(ids, m.groupIDs()...)
		}
	}
	formers, err := b.s.store.Formers(ctx, ids, b.now.Add(-protocol.FormerTime).UnixMilli())
	if err != nil {
		return err
	}
	b.formers = map[string]map[string]string{}
	for _, f := range formers {
		if b.formers[f.SessionID] == nil {
			b.formers[f.SessionID] = map[string]string{}
		}
		b.formers[f.SessionID][f.UserID] = f.Time
	}
	return nil
}
