package component

import (
	"context"
	"fmt"
	"slices"

	"tlim/component/stanza"
	"tlim/store"
)

const replayPage = 500

// errLinkLost ends a replay whose connection is gone; the next Up begins it anew.
var errLinkLost = fmt.Errorf("the link was lost")

// recover queues, at start, what a crash left unsettled: every message above the settled position gets rows for all who
// were to receive it, but for those who have one. A copy too many is harmless; after an orderly stop there is nothing to do.
func (s *Service) recover(ctx context.Context, state store.State) error {
	first, err := s.store.MessagesAfter(ctx, "", "", 1)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		ids, err := s.store.IDs(ctx, []string{first[0].MsgID})
		if err != nil {
			return err
		}
		s.adopted = len(ids) == 0
	}
	if err := s.users.loadConfirming(ctx); err != nil {
		return err
	}
	if state.Clock == 0 { // the first start on these tables: what they hold was the old system's to deliver
		return nil
	}
	n := 0
	err = s.walk(ctx, state.Settled, func(page []store.Message) error {
		var ids []string
		for _, m := range page {
			ids = append(ids, m.MsgID)
		}
		have, err := s.store.PendingOwners(ctx, ids)
		if err != nil {
			return err
		}
		var rows []store.Pending
		for _, m := range page {
			to, err := s.receiversOf(ctx, m)
			if err != nil {
				return err
			}
			for _, p := range to {
				if p.ID == m.From && m.To != m.From || have[store.PendingKey{Owner: p.ID, MsgID: m.MsgID}] {
					continue
				}
				rows = append(rows, s.lateRow(m, p))
			}
		}
		for len(rows) > 0 {
			k := min(len(rows), owedRows)
			if err := s.writeRows(ctx, rows[:k]); err != nil {
				return err
			}
			n += k
			rows = rows[k:]
		}
		return nil
	})
	if n > 0 {
		s.log.Info("queued copies that were not settled when the process ended", "rows", n)
	}
	return err
}

// lateRow is the queue row of a stored message.
func (s *Service) lateRow(m store.Message, owner person) store.Pending {
	row := store.Pending{Message: m, Owner: owner.ID}
	row.ID = newID()
	if s.kindOf(m.Type).scope != scopeGroup {
		row.SessionID = m.From
	}
	row.To = row.SessionID
	return row
}

// replay delivers what the server may have lost: stored messages above the delivered position, in order, to the members of
// that time, under the same ids.
func (s *Service) replay(ctx context.Context) error {
	if s.persisted.Clock == 0 { // nothing here is ours yet
		return nil
	}
	n := 0
	err := s.walk(ctx, s.delivered.Load(), func(page []store.Message) error {
		var batch []stanza.Delivery
		var ways []way
		for _, m := range page {
			to, err := s.receiversOf(ctx, m)
			if err != nil {
				return err
			}
			kind := s.kindOf(m.Type)
			from := newPerson(m.From, s.cfg.Server)
			address := s.fromAddress(from)
			if s.cfg.SenderAsUser && kind.scope == scopeGroup {
				groups, err := s.groups.get(ctx, s.store, []string{m.SessionID})
				if err != nil {
					return err
				}
				address = s.groupAddress(from, groups[m.SessionID])
			}
			text := rebuild(m, s.cfg.ArrayBodies)
			d := stanza.Delivery{ID: m.MsgID, From: address, Payload: renderPayload(text, nil, false)}
			for _, p := range to {
				d.To = s.targets(d.To, p, s.presence.devices(p.Local))
			}
			sent := sentMessage{Delivery: d, at: s.now(), kind: kind, typ: m.Type, session: m.SessionID, conversation: m.SessionID, sender: from, people: to}
			if kind.scope != scopeGroup && len(to) == 1 {
				sent.conversation = chatName(from.Local, to[0].Local)
			}
			s.recent.add(sent)
			if len(d.To) > 0 && from.Local != "" {
				batch, ways = append(batch, d), append(ways, way{rows: true, request: kind.confirm})
			}
			if kind.async && m.From != m.To {
				own := stanza.Delivery{ID: m.MsgID, From: d.From, Payload: renderPayload(text, nil, true)}
				for _, device := range s.presence.devices(from.Local) {
					own.To = append(own.To, stanza.Target{JID: device.Full, Private: true})
				}
				sent.Delivery, sent.people, sent.own = own, []person{from}, true
				s.recent.add(sent)
				if len(own.To) > 0 {
					batch, ways = append(batch, own), append(ways, way{rows: true})
				}
			}
			n++
		}
		if s.connection.Load() != s.readyOn {
			return errLinkLost
		}
		return s.deliverAll(ctx, batch, ways)
	})
	if n > 0 {
		s.log.Info("delivered again what the server may have lost", "messages", n)
		s.metrics.replayed.Add(float64(n))
		if err == nil {
			s.barrier.ask(s, true)
		}
	}
	return err
}

// walk visits the stored messages above a position, in order.
func (s *Service) walk(ctx context.Context, after int64, visit func([]store.Message) error) error {
	id := ""
	for at := millis(after); ; {
		page, err := s.store.MessagesAfter(ctx, at, id, replayPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := visit(page); err != nil {
			return err
		}
		last := page[len(page)-1]
		at, id = last.Time, last.ID
	}
}

// receiversOf says who was to receive a stored message: for a group its members of that time, those removed since included
// and those added since left out.
func (s *Service) receiversOf(ctx context.Context, m store.Message) ([]person, error) {
	if s.kindOf(m.Type).scope != scopeGroup || m.To != m.SessionID {
		return []person{newPerson(m.To, s.cfg.Server)}, nil
	}
	groups, err := s.groups.get(ctx, s.store, []string{m.SessionID})
	if err != nil {
		return nil, err
	}
	g := groups[m.SessionID]
	if g == nil { // deleted, and what it had said is still to be delivered; or dissolved, and all of it goes
		purges, err := s.store.Purges(ctx)
		if err != nil || slices.ContainsFunc(purges, func(p store.Purge) bool { return p.SessionID == m.SessionID }) {
			return nil, err
		}
		g = &group{}
	}
	at := parseMillis(m.Time)
	var list []person
	for _, row := range g.rows {
		if parseMillis(row.Since) <= at {
			list = append(list, newPerson(row.UserID, s.cfg.Server))
		}
	}
	since := at
	if m.Type == "MTS-103" {
		since -= formerTime.Milliseconds()
	}
	formers, err := s.store.Formers(ctx, []string{m.SessionID}, since)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if m.Type == "MTS-103" {
		if env, _, err := parseEnvelope(rebuild(m, false), s.kinds, Limits{Body: len(m.Body)}); err == nil {
			names = env.named()
		}
	}
	for _, f := range formers {
		p := newPerson(f.UserID, s.cfg.Server)
		if (parseMillis(f.Time) > at || names[p.Local]) && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list, nil
}
