package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Apply writes changes in one transaction, in the order that [Change] promises. It takes turns with other writes.
//
// nil: committed. ErrFenced: another process has taken over. ErrDuplicate, ErrData: nothing is written, the fault is in
// one of the changes (apply them one by one to learn which). ErrUnavailable: nothing is written, try later.
// [*UnknownError]: the answer to the COMMIT was lost, ask [Store.Committed].
//
// The clock and the positions grow with the write; without changes Apply writes just them.
func (s *Store) Apply(ctx context.Context, epoch int64, pos Positions, changes []Change) error {
	var err error
	for range maxDeadlockTries {
		err = s.write(ctx, epoch, pos, func(ctx context.Context, t *tx) error {
			all := merge(changes)
			t.all = &all.Change
			for i := range changeSteps {
				if err := changeSteps[i].write(ctx, t, all); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil || s.dialect.deadlocked == nil || !s.dialect.deadlocked(err) || errors.As(err, new(*UnknownError)) || ctx.Err() != nil {
			break
		}
		s.log.Debug("the transaction was rolled back for another one; it is tried again", "err", err)
	}
	if err != nil {
		return fmt.Errorf("apply %d changes: %w", len(changes), err)
	}
	return nil
}

// maxDeadlockTries bounds how often a batch is written that lost against another transaction: a deadlock, or a write-set that a cluster did not certify. Beside another
// program that writes the same row 260 times a second on another node, one batch in some hundreds lost four times in a row.
const maxDeadlockTries = 8

// changeStep is one part of a [Change]: how those of several changes become one, and how it is written.
type changeStep struct {
	merge func(all *merged, c *Change)
	write func(ctx context.Context, t *tx, all *merged) error
}

// changeSteps are all parts of a [Change], in the order in which they are written. A field of Change that no step merges fails
// TestEveryFieldOfAChangeHasAStep.
var changeSteps = []changeStep{
	// Deletions of all changes.
	step(func(c *Change) *[]Drop { return &c.DropMessages }, (*tx).dropMessages),
	step(func(c *Change) *[]OfflineKey { return &c.DropOffline }, (*tx).dropOffline),
	step(func(c *Change) *[]string { return &c.DropQueues }, (*tx).dropQueues),
	step(func(c *Change) *[]Erased { return &c.Erase }, (*tx).erase),
	step(func(c *Change) *[]Author { return &c.DropAuthors }, (*tx).eraseAuthors),
	step(func(c *Change) *[]string { return &c.DropGroups }, (*tx).dropGroups),
	step(func(c *Change) *[]Member { return &c.DropMembers }, (*tx).dropMembers),
	step(func(c *Change) *[]string { return &c.DropUsers }, (*tx).dropUsers),
	step(func(c *Change) *[]string { return &c.DropAnnouncements }, (*tx).dropAnnouncements),
	step(func(c *Change) *[]string { return &c.FreeCalls }, (*tx).freeCalls),
	step(func(c *Change) *[]CallPart { return &c.DropCallParts }, (*tx).dropCallParts),

	// Insertions and updates. Keys first: a duplicate is found before the large rows are written.
	step(func(c *Change) *[]ID { return &c.IDs }, (*tx).addIDs),
	step(func(c *Change) *[]ID { return &c.SetIDs }, (*tx).setIDs),
	step(func(c *Change) *[]Call { return &c.Calls }, (*tx).addCalls),
	step(func(c *Change) *[]CallPart { return &c.CallParts }, (*tx).addCallParts),
	step(func(c *Change) *[]CallEdit { return &c.EditCalls }, (*tx).editCalls),
	{mergeMessage, func(ctx context.Context, t *tx, all *merged) error { return t.addMessages(ctx, all.messages) }},
	step(func(c *Change) *[]OfflineMessage { return &c.Offline }, (*tx).addOffline),
	step(func(c *Change) *[]Receipt { return &c.Receipts }, (*tx).putReceipts),
	step(func(c *Change) *[]Chat { return &c.Chats }, (*tx).putChats),
	step(func(c *Change) *[]Group { return &c.Groups }, (*tx).addGroups),
	{mergeGroupEdits, func(ctx context.Context, t *tx, all *merged) error { return t.editGroups(ctx, all.EditGroups) }},
	step(func(c *Change) *[]Member { return &c.Members }, (*tx).putMembers),
	step(func(c *Change) *[]Former { return &c.Formers }, (*tx).putFormers),
	step(func(c *Change) *[]User { return &c.Users }, (*tx).putUsers),
	step(func(c *Change) *[]User { return &c.Robots }, (*tx).putRobots),
	step(func(c *Change) *[]User { return &c.Learn }, (*tx).learnUsers),
	step(func(c *Change) *[]User { return &c.Relearn }, (*tx).relearnUsers),
	step(func(c *Change) *[]User { return &c.SetPush }, (*tx).setPush),
	step(func(c *Change) *[]Confirming { return &c.Confirming }, (*tx).confirming),
	step(func(c *Change) *[]Purge { return &c.Purges }, (*tx).addPurges),
	step(func(c *Change) *[]Announcement { return &c.Announcements }, (*tx).addAnnouncements),
	step(func(c *Change) *[]AnnouncementEdit { return &c.EditAnnouncements }, (*tx).editAnnouncements),
	step(func(c *Change) *[]Style { return &c.Styles }, (*tx).putStyles),
	step(func(c *Change) *[]FileUse { return &c.FileUses }, (*tx).addFileUses),
	step(func(c *Change) *[]Push { return &c.Pushes }, (*tx).addPushes),
	step(func(c *Change) *[]Event { return &c.Events }, (*tx).addEvents),
}

// step is a list in a [Change]: those of several changes are written as one, in the order of the changes.
func step[T any](list func(*Change) *[]T, write func(*tx, context.Context, []T) error) changeStep {
	return changeStep{
		merge: func(all *merged, c *Change) {
			from, to := *list(c), list(&all.Change)
			if *to == nil {
				*to = slices.Clip(from) // most batches have it in one change, which stays as it is
				return
			}
			*to = append(*to, from...)
		},
		write: func(ctx context.Context, t *tx, all *merged) error { return write(t, ctx, *list(&all.Change)) },
	}
}

// merged is all changes as one.
type merged struct {
	Change
	messages []*Message
}

func merge(changes []Change) *merged {
	all := &merged{messages: make([]*Message, 0, len(changes))}
	for i := range changes {
		for _, s := range changeSteps {
			s.merge(all, &changes[i])
		}
	}
	return all
}

func mergeMessage(all *merged, c *Change) {
	if c.Message != nil {
		all.messages = append(all.messages, c.Message)
	}
}

var groupOpen = 0 // session_valid of a group that got a message

// mergeGroupEdits puts the touch of a change before its edits.
func mergeGroupEdits(all *merged, c *Change) {
	if c.TouchGroup != "" {
		touch := GroupEdit{ID: c.TouchGroup, Valid: &groupOpen}
		if c.Message != nil {
			touch.ModifyTime = &c.Message.Time
		}
		all.EditGroups = append(all.EditGroups, touch)
	}
	all.EditGroups = append(all.EditGroups, c.EditGroups...)
}
