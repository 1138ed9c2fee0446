package component

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"tlim/component/cache"
	"tlim/component/clock"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

const replayPage = 500

// errLinkLost ends a replay whose connection is gone; the next Up begins it anew.
var errLinkLost = fmt.Errorf("the link was lost")

// recover begins at the positions of the last process, and queues what a crash left unsettled: every message above the settled position gets rows for all who
// were to receive it, and for an author whose phones prove what they have, but for those who have one. A copy too many is harmless; after an orderly stop there is
// nothing to do.
func (c *conveyor) recover(ctx context.Context, state store.State) error {
	c.clock = clock.Clock{Last: state.Clock, Floor: max(state.Clock, state.Delivered)} // nobody knows which conversations have the last time
	c.persisted = store.Positions{Clock: state.Clock, Delivered: state.Delivered, Settled: state.Settled}
	first, err := c.s.store.MessagesAfter(ctx, "", "", 1)
	if err != nil {
		return err
	}
	if len(first) > 0 {
		ids, err := c.s.store.IDs(ctx, []string{first[0].MsgID})
		if err != nil {
			return err
		}
		c.legacy = len(ids) == 0
	}
	if err := c.s.users.LoadRobots(ctx); err != nil {
		return err
	}
	if err := c.s.users.LoadConfirms(ctx); err != nil {
		return err
	}
	if state.Clock == 0 { // the first start on these tables: what they hold was the old system's to deliver
		return nil
	}
	n, later := 0, 0
	known := memberships{}
	rosters := map[string]*unconfirmed.Roster{}
	c.s.unconfirmed.Recovering()
	err = c.walk(ctx, state.Settled, func(page []store.Message) error {
		var ids []string
		for _, m := range page {
			ids = append(ids, m.MsgID)
		}
		have, err := c.s.store.OfflineOwners(ctx, ids)
		if err != nil {
			return err
		}
		var rows []store.OfflineMessage
		write := func(maxLeft int) error {
			for len(rows) > maxLeft {
				k := min(len(rows), maxUnconfirmedRows)
				if err := c.writeRows(ctx, rows[:k]); err != nil {
					return err
				}
				n += k
				rows = rows[k:]
			}
			return nil
		}
		for _, m := range page {
			kind := c.s.kindOf(m.Type)
			if !kind.Queued {
				continue
			}
			to, err := c.receiversOf(ctx, m, known)
			if err != nil {
				return err
			}
			author := protocol.NewPerson(m.From, c.s.cfg.Server)
			written := m.To != m.From && c.s.mayHaveMissed(author)
			if kind.async && written && !have[store.OfflineKey{Owner: author.ID, MsgID: m.MsgID}] {
				rows = append(rows, c.s.lateRow(m, author))
			}
			var missing []int
			for i, p := range to {
				if p.ID == m.From && m.To != m.From && !written || c.s.unqueued(m.Type, p) || have[store.OfflineKey{Owner: p.ID, MsgID: m.MsgID}] {
					continue
				}
				missing = append(missing, i)
			}
			if len(missing) > c.deferring.above { // the process that ended may have left very many, and nobody is to wait for them
				later += len(missing)
				if err := c.followLate(ctx, m, to, missing, rosters); err != nil {
					return err
				}
				continue
			}
			for _, i := range missing {
				rows = append(rows, c.s.lateRow(m, to[i]))
			}
			if err := write(maxUnconfirmedRows); err != nil {
				return err
			}
		}
		return write(0)
	})
	if n+later > 0 {
		c.s.log.Info("queued copies that were not settled when the process ended", "rows", n, "rows_that_follow", later)
	}
	return err
}

// followLate lets the rows of a stored message follow, as they would have. While no more can be remembered it writes some.
func (c *conveyor) followLate(ctx context.Context, m store.Message, to []protocol.Person, missing []int, rosters map[string]*unconfirmed.Roster) error {
	r := rosters[m.SessionID]
	if !r.Is(to) {
		r = unconfirmed.NewRoster(m.SessionID, to)
		rosters[m.SessionID] = r
	}
	late := unconfirmed.NewLater(r)
	for _, i := range missing {
		late.Take(i, to[i].ID, 0)
	}
	row := c.s.lateRow(m, protocol.Person{})
	row.ID = ""
	c.s.unconfirmed.Follow([]*unconfirmed.Deferral{unconfirmed.NewDeferral(&unconfirmed.Message{Row: row, Time: protocol.TimeOrZero(m.Time), Loose: c.s.kindOf(m.Type).loose()}, late)})
	for c.s.unconfirmed.DeferBusy() {
		if n, err := c.writeSlice(ctx); err != nil || n == 0 {
			return cmp.Or(err, store.ErrUnavailable)
		}
	}
	return nil
}

// lateRow is the queue row of a stored message.
func (s *Service) lateRow(m store.Message, owner protocol.Person) store.OfflineMessage {
	row := store.OfflineMessage{Message: m, Owner: owner.ID}
	row.ID = protocol.NewID()
	if s.kindOf(m.Type).scope != scopeGroup {
		row.SessionID = m.From
		if owner.ID == m.From {
			row.SessionID = m.To
		}
	}
	row.To = row.SessionID
	return row
}

// mayHaveMissed says whether a copy of what they wrote may have been unconfirmed for an author's phones when the process ended. Nothing tells by now whether they
// wrote it on a page: their phone may find its own message in its queue.
func (s *Service) mayHaveMissed(author protocol.Person) bool {
	return s.provesOwn() && s.users.Confirms(author.Local) == store.ConfirmsByPings
}

// replay delivers what the server may have lost: stored messages above the delivered position, in order, to the members of
// that time, under the same ids.
func (c *conveyor) replay(ctx context.Context) error {
	if c.persisted.Clock == 0 { // nothing here is ours yet
		return nil
	}
	n := 0
	known := memberships{}
	err := c.walk(ctx, c.s.from(), func(page []store.Message) error {
		var batch []stanza.Delivery
		var ways []way
		for _, m := range page {
			to, err := c.receiversOf(ctx, m, known)
			if err != nil {
				return err
			}
			kind := c.s.kindOf(m.Type)
			from := protocol.NewPerson(m.From, c.s.cfg.Server)
			address := c.s.fromAddress(from)
			if c.s.cfg.SenderAsUser && kind.scope == scopeGroup {
				groups, err := c.groups.Get(ctx, c.s.store, []string{m.SessionID})
				if err != nil {
					return err
				}
				address = c.s.groupAddress(from, groups[m.SessionID])
			}
			text := protocol.Rebuild(m, c.s.cfg.ArrayBodies)
			d := stanza.Delivery{ID: m.MsgID, From: address, Payload: protocol.Payload(text, nil, false)}
			for _, p := range to {
				d.To = c.s.targets(d.To, p, c.s.presence.Devices(p.Local))
			}
			sent := &sentMessage{Delivery: d, at: c.s.now(), kind: kind, typ: m.Type, session: m.SessionID, conversation: m.SessionID, sender: from, people: to}
			if kind.scope != scopeGroup && len(to) == 1 {
				sent.conversation = protocol.ChatName(from.Local, to[0].Local)
			}
			c.recent.add(sent)
			if len(d.To) > 0 && from.Local != "" {
				batch, ways = append(batch, d), append(ways, way{Way: unconfirmed.Way{Rows: kind.Queued, Loose: kind.loose(), Request: kind.confirm}})
			}
			if kind.async && m.From != m.To {
				own := stanza.Delivery{ID: m.MsgID, From: d.From, Payload: protocol.Payload(text, nil, true)}
				for _, device := range c.s.presence.Devices(from.Local) {
					own.To = append(own.To, stanza.Target{JID: device.Full, Private: true})
				}
				mine := *sent
				mine.Delivery, mine.people, mine.own = own, []protocol.Person{from}, true
				c.recent.add(&mine)
				if len(own.To) > 0 {
					batch, ways = append(batch, own), append(ways, way{Way: unconfirmed.Way{Rows: kind.Queued, Loose: kind.loose()}})
				}
			}
			n++
		}
		if c.s.connection.Load() != c.readyOn {
			return errLinkLost
		}
		return c.deliverAll(ctx, batch, ways)
	})
	if n > 0 {
		c.s.log.Info("delivered again what the server may have lost", "messages", n)
		c.s.metrics.replayed.Add(float64(n))
		if err == nil {
			c.barrier.ask(c, true)
		}
	}
	return err
}

// walk visits the stored messages above a position, in order.
func (c *conveyor) walk(ctx context.Context, after int64, visit func([]store.Message) error) error {
	id := ""
	for at := protocol.FormatTime(after); ; {
		page, err := c.s.store.MessagesAfter(ctx, at, id, replayPage)
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
// and those added since left out. The list must not be changed: known keeps it for the next messages.
func (c *conveyor) receiversOf(ctx context.Context, m store.Message, known memberships) ([]protocol.Person, error) {
	kind := c.s.kindOf(m.Type)
	if kind.scope != scopeGroup || m.To != m.SessionID {
		return []protocol.Person{protocol.NewPerson(m.To, c.s.cfg.Server)}, nil
	}
	groups, err := c.groups.Get(ctx, c.s.store, []string{m.SessionID})
	if err != nil {
		return nil, err
	}
	g := groups[m.SessionID]
	if g == nil { // deleted, and what it had said is still to be delivered; or dissolved, and all of it goes
		purges, err := c.s.store.Purges(ctx)
		if err != nil || slices.ContainsFunc(purges, func(p store.Purge) bool { return p.SessionID == m.SessionID }) {
			return nil, err
		}
		g = &cache.Group{}
	}
	at := protocol.TimeOrZero(m.Time)
	if k := known[m.SessionID]; k != nil && k.group == g && k.from <= at && at < k.until && !kind.told {
		return k.list, nil
	}
	k := &membership{group: g, from: at, until: math.MaxInt64}
	list := make([]protocol.Person, 0, len(g.Rows))
	for _, row := range g.Rows {
		if since := protocol.TimeOrZero(row.Since); since <= at {
			list = append(list, protocol.NewPerson(row.UserID, c.s.cfg.Server))
		} else {
			k.until = min(k.until, since)
		}
	}
	since := at
	if kind.told {
		since -= protocol.FormerTime.Milliseconds()
	}
	formers, err := c.s.store.Formers(ctx, []string{m.SessionID}, since)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	if kind.told {
		if env, _, err := protocol.ParseEnvelope(protocol.Rebuild(m, false), c.s.kinds.rules, protocol.Limits{Body: len(m.Body)}); err == nil {
			names = env.Named()
		}
	}
	for _, f := range formers {
		p := protocol.NewPerson(f.UserID, c.s.cfg.Server)
		left := protocol.TimeOrZero(f.Time)
		if left > at {
			k.until = min(k.until, left)
		}
		if (left > at || names[p.Local]) && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	if !kind.told {
		k.list = slices.Clip(list)
		known[m.SessionID] = k
	}
	return list, nil
}

// memberships are who was to receive what was written in groups, for a walk over messages in the order of time.
type memberships map[string]*membership

// membership is for the messages of a group from a time on, until somebody has come or gone.
type membership struct {
	group       *cache.Group
	from, until int64
	list        []protocol.Person
}
