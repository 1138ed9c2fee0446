package component

import (
	"context"

	"tlim/component/cache"
	"tlim/component/lenient"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Dissolve removes a group as PROTOCOL.md section 7 says; one that is gone is no error.
func (s *Service) Dissolve(ctx context.Context, id string) error {
	return s.do(ctx, &task{alone: true, about: id, plan: func(ctx context.Context, b *batch) error {
		g, err := b.mustFind(ctx, id)
		if err != nil {
			if protocol.AsError(err).Code == protocol.NoSuchGroup {
				return nil
			}
			return err
		}
		b.dissolve(g)
		return nil
	}})
}

// actDissolveNotice takes MTS-107: the owner's word dissolves the group. Clients do both, HTTP and this; the second of the
// two finds the group gone and does nothing.
func actDissolveNotice(m message, v *view) (effects, error) {
	former, err := v.mayPost()
	switch {
	case err != nil || v.group == nil:
		return effects{}, err
	case former || v.sender.Local != v.group.OwnedBy.Local:
		return effects{}, protocol.Refuse(protocol.NotAllowed, "only the owner may dissolve a session")
	case m.env.Opaque: // its body is for the members alone
		return v.toMembers(), nil
	}
	return effects{nowhere: true, dissolves: true}, nil // the members get notices that the server makes
}

// dissolve removes a group, its members and its queues, and tells every member, all in one transaction. Messages, receipts
// and announcements follow in batches.
func (b *batch) dissolve(g *cache.Group) {
	s := b.s
	now := protocol.FormatTime(b.c.clock.Next(b.now, g.ID))
	formers := g.Formers(now)
	b.changes = append(b.changes, store.Change{DropGroups: []string{g.ID}, DropQueues: []string{g.ID}, Formers: formers})
	b.staleGroups = append(b.staleGroups, g.ID)
	delete(b.groups, g.ID)      // what comes later in this batch finds it gone
	if b.formers[g.ID] == nil { // else those who had left before may still be late, too
		b.formers[g.ID] = map[string]string{}
	}
	for _, f := range formers {
		b.formers[g.ID][f.UserID] = f.Time
	}
	for _, p := range g.Members {
		msgID := protocol.NewID()
		body := `[{"session_id":` + lenient.String(g.ID) + `}]`
		b.speak(view{kind: s.kindOf(dissolved), sender: p, group: g, groupID: g.ID, conversation: g.ID}, dissolved, msgID, body, p)
	}
	// Everything of the group up to here goes, once it is known that the notices were delivered.
	b.changes = append(b.changes, store.Change{Purges: []store.Purge{{SessionID: g.ID, Time: protocol.FormatTime(b.c.clock.Last)}}})
	b.gone = append(b.gone, unconfirmed.Removal{Group: g.ID, Except: dissolved})
	b.after = append(b.after, s.purger.Wake)
}
