package store

import (
	"context"
	"fmt"
)

// Apply writes changes in one transaction, in the order that [Change] promises. It takes turns with other writes.
//
// nil: committed. ErrFenced: another process has taken over. ErrDuplicate, ErrData: nothing is written, the fault is in
// one of the changes (apply them one by one to learn which). ErrUnavailable: nothing is written, try later.
// [*UnknownError]: the answer to the COMMIT was lost, ask [Store.Committed].
//
// The clock and the positions grow with the write; without changes Apply writes just them.
func (s *Store) Apply(ctx context.Context, epoch int64, pos Positions, changes []Change) error {
	err := s.write(ctx, epoch, pos, func(ctx context.Context, t *tx) error {
		all := merge(changes)
		t.all = &all.Change
		for _, step := range []func(context.Context) error{
			// Deletions of all changes.
			func(ctx context.Context) error { return t.dropMessages(ctx, all.DropMessages) },
			func(ctx context.Context) error { return t.dropPending(ctx, all.DropPending) },
			func(ctx context.Context) error { return t.dropQueues(ctx, all.DropQueues) },
			func(ctx context.Context) error { return t.erase(ctx, all.Erase) },
			func(ctx context.Context) error { return t.eraseAuthors(ctx, all.DropAuthors) },
			func(ctx context.Context) error { return t.dropGroups(ctx, all.DropGroups) },
			func(ctx context.Context) error { return t.dropMembers(ctx, all.DropMembers) },
			func(ctx context.Context) error { return t.dropUsers(ctx, all.DropUsers) },
			func(ctx context.Context) error { return t.dropAnnouncements(ctx, all.DropAnnouncements) },
			func(ctx context.Context) error { return t.dropCalls(ctx, all.DropCalls) },
			func(ctx context.Context) error { return t.dropCallParts(ctx, all.DropCallParts) },
			// Insertions and updates. Keys first: a duplicate is found before the large rows are written.
			func(ctx context.Context) error { return t.addIDs(ctx, all.IDs) },
			func(ctx context.Context) error { return t.setIDs(ctx, all.SetIDs) },
			func(ctx context.Context) error { return t.addCalls(ctx, all.Calls) },
			func(ctx context.Context) error { return t.addCallParts(ctx, all.CallParts) },
			func(ctx context.Context) error { return t.editCalls(ctx, all.EditCalls) },
			func(ctx context.Context) error { return t.addMessages(ctx, all.messages) },
			func(ctx context.Context) error { return t.addPending(ctx, all.Pending) },
			func(ctx context.Context) error { return t.putReceipts(ctx, all.Receipts) },
			func(ctx context.Context) error { return t.putChats(ctx, all.Chats) },
			func(ctx context.Context) error { return t.addGroups(ctx, all.Groups) },
			func(ctx context.Context) error { return t.editGroups(ctx, all.edits) },
			func(ctx context.Context) error { return t.putMembers(ctx, all.Members) },
			func(ctx context.Context) error { return t.putFormers(ctx, all.Formers) },
			func(ctx context.Context) error { return t.putUsers(ctx, all.Users) },
			func(ctx context.Context) error { return t.learnUsers(ctx, all.Learn) },
			func(ctx context.Context) error { return t.relearnUsers(ctx, all.Relearn) },
			func(ctx context.Context) error { return t.setPush(ctx, all.SetPush) },
			func(ctx context.Context) error { return t.confirming(ctx, all.Confirming) },
			func(ctx context.Context) error { return t.addPurges(ctx, all.Purges) },
			func(ctx context.Context) error { return t.addAnnouncements(ctx, all.Announcements) },
			func(ctx context.Context) error { return t.editAnnouncements(ctx, all.EditAnnouncements) },
			func(ctx context.Context) error { return t.putStyles(ctx, all.Styles) },
			func(ctx context.Context) error { return t.addFileUses(ctx, all.FileUses) },
			func(ctx context.Context) error { return t.addPushes(ctx, all.Pushes) },
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("apply %d changes: %w", len(changes), err)
	}
	return nil
}

// merged is all changes as one.
type merged struct {
	Change
	messages []*Message
	edits    []GroupEdit // touches and edits, in the order of the changes
}

var closedNot = 0 // session_valid of a group that got a message

func merge(changes []Change) *merged {
	m := &merged{messages: make([]*Message, 0, len(changes))}
	if len(changes) == 1 {
		m.Change = changes[0]
	}
	for i := range changes {
		c := &changes[i]
		if len(changes) > 1 {
			m.append(c)
		}
		if c.Message != nil {
			m.messages = append(m.messages, c.Message)
		}
		if c.TouchGroup != "" {
			touch := GroupEdit{ID: c.TouchGroup, Valid: &closedNot}
			if c.Message != nil {
				touch.ModifyTime = &c.Message.Time
			}
			m.edits = append(m.edits, touch)
		}
		m.edits = append(m.edits, c.EditGroups...)
	}
	return m
}

func (m *merged) append(c *Change) {
	m.DropMessages = append(m.DropMessages, c.DropMessages...)
	m.DropPending = append(m.DropPending, c.DropPending...)
	m.DropGroups = append(m.DropGroups, c.DropGroups...)
	m.DropQueues = append(m.DropQueues, c.DropQueues...)
	m.DropMembers = append(m.DropMembers, c.DropMembers...)
	m.DropUsers = append(m.DropUsers, c.DropUsers...)
	m.Erase = append(m.Erase, c.Erase...)
	m.DropAuthors = append(m.DropAuthors, c.DropAuthors...)
	m.DropAnnouncements = append(m.DropAnnouncements, c.DropAnnouncements...)
	m.IDs = append(m.IDs, c.IDs...)
	m.SetIDs = append(m.SetIDs, c.SetIDs...)
	m.Pending = append(m.Pending, c.Pending...)
	m.Receipts = append(m.Receipts, c.Receipts...)
	m.Chats = append(m.Chats, c.Chats...)
	m.Groups = append(m.Groups, c.Groups...)
	m.Members = append(m.Members, c.Members...)
	m.Formers = append(m.Formers, c.Formers...)
	m.Users = append(m.Users, c.Users...)
	m.Learn = append(m.Learn, c.Learn...)
	m.Relearn = append(m.Relearn, c.Relearn...)
	m.SetPush = append(m.SetPush, c.SetPush...)
	m.Confirming = append(m.Confirming, c.Confirming...)
	m.Purges = append(m.Purges, c.Purges...)
	m.Announcements = append(m.Announcements, c.Announcements...)
	m.EditAnnouncements = append(m.EditAnnouncements, c.EditAnnouncements...)
	m.Styles = append(m.Styles, c.Styles...)
	m.FileUses = append(m.FileUses, c.FileUses...)
	m.Pushes = append(m.Pushes, c.Pushes...)
	m.DropCalls = append(m.DropCalls, c.DropCalls...)
	m.DropCallParts = append(m.DropCallParts, c.DropCallParts...)
	m.Calls = append(m.Calls, c.Calls...)
	m.CallParts = append(m.CallParts, c.CallParts...)
	m.EditCalls = append(m.EditCalls, c.EditCalls...)
}
