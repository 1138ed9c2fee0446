package component

import (
	"context"
	"slices"
	"strings"
	"time"

	"tlim/component/cache"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// comings acts on devices that came and went. It stands before the messages: what a device has missed is older than they are.
func (b *batch) comings(ctx context.Context) {
	s := b.s
	b.asof = s.presence.LookedAt() // one that comes later may show that a phone is gone, which only the next batch hears of
	changes, oldest := s.presence.TakeChanges()
	looks := s.presence.Known()
	if !looks {
		oldest = b.now.Add(-unheardTime)
	}
	seen, ofUser := map[string]bool{}, map[string]int{}
	room := b.c.backlogTakes(true)
	maxAsked := max(1, min(maxCatchUpDevices, maxCatchUpVisits/max(1, b.c.recent.len())))
	asked := 0 // for how many what was sent of late was looked through
	var later []presence.Change
	for _, change := range changes {
		if change.Came == nil {
			s.unconfirmed.DeviceGone(change.Local, s.presence.Devices(change.Local))
			continue
		}
		full := change.Came.Full
		if !b.c.ready || seen[full] || !slices.ContainsFunc(s.presence.Devices(change.Local), func(d presence.Device) bool { return d.Full == full }) {
			continue
		}
		seen[full] = true
		if !looks {
			change.Since = change.Came.Seen.Add(-unheardTime)
		}
		last, before := b.c.caughtUp.Get(full)
		mayHave := room && b.cost < maxBatchCost && !(before && b.now.Sub(last) < b.c.spacing) && b.c.comingsOf(change.Local, b.now)+ofUser[change.Local] < b.c.maxComings
		if asked >= maxAsked || change.Missed && !mayHave {
			later = append(later, change)
			continue
		}
		asked++
		if !b.catchUp(ctx, &change, !looks, mayHave) {
			later = append(later, change)
			continue
		}
		if change.Missed {
			ofUser[change.Local]++
		}
		b.came = append(b.came, change)
	}
	s.presence.GiveBack(later)
	for _, change := range slices.Concat(later, b.came) { // the batch may fail, and give them back
		if change.Since.Before(oldest) {
			oldest = change.Since
		}
	}
	b.c.recent.expire(oldest)
	b.absent = oldest
}

const (
	// catchUpSpacing lies between two times that a device is sent what it has missed: each is up to a batch of copies, and a client can
	// come and go a thousand times a second.
	catchUpSpacing    = time.Second
	maxCaughtUp       = 10_000  // devices that are remembered for it, and users
	maxCatchUpDevices = 100     // in one batch: a whole company comes at nine
	maxCatchUpVisits  = 500_000 // entries of what was sent of late that one batch looks through for them: minutes of it, where looks fail
	maxComings        = 10      // of one user in a second; others of theirs have to wait
)

// comings is how many devices of a user were sent what they have missed in a second.
type comings struct {
	n     int
	since time.Time
}

// comingsOf is how many of a user's devices were served in this second.
func (c *conveyor) comingsOf(local string, now time.Time) int {
	if n, ok := c.comings.Get(local); ok && now.Sub(n.since) < time.Second {
		return n.n
	}
	return 0
}

// noteComing counts one.
func (c *conveyor) noteComing(local string, now time.Time) {
	served, ok := c.comings.Get(local)
	if !ok || now.Sub(served.since) >= time.Second {
		served = comings{since: now}
	}
	served.n++
	c.comings.Add(local, served)
}

// catchUp sends a device that has become known what its user was sent since it was absent; without looks what went to the bare JID.
// Queue rows of it stay until they are confirmed. It is false when the database could not be read, or there is something and the device may
// have nothing now, and is tried again.
func (b *batch) catchUp(ctx context.Context, change *presence.Change, unlooked, mayHave bool) bool {
	s, full := b.s, change.Came.Full
	bare, _, _ := strings.Cut(full, "/")
	var list []*sentMessage
	var ids []string // of groups whose members matter now
	b.c.recent.visit(change.Local, full, change.Since, func(m *sentMessage) {
		switch byBare := m.reached(bare); {
		case unlooked && !byBare, !unlooked && byBare && s.cfg.Delivery == DeliverToBare: // where the server routes to all it has reached this one
			return
		}
		list = append(list, m)
		if s.cfg.SenderAsUser && m.kind.scope == scopeGroup && !m.own {
			ids = append(ids, m.session)
		}
	})
	cut := !b.c.recent.cut.Before(change.Since)
	if change.Missed = cut || len(list) > 0; change.Missed && !mayHave {
		return false
	}
	groups, err := b.c.groups.Get(ctx, s.store, ids)
	if err != nil {
		return false
	}
	if cut && !b.catchUpRows(ctx, *change, list) {
		return false
	}
	for _, m := range list {
		d := m.Delivery
		if s.cfg.SenderAsUser && m.kind.scope == scopeGroup && !m.own {
			d.From = s.groupAddress(m.sender, groups[m.session])
		}
		d.To = []stanza.Target{{JID: full, Private: true}}
		b.send(d, way{conversation: m.conversation, large: true,
			Way: unconfirmed.Way{Rows: m.kind.Queued, Loose: m.kind.loose(), Request: m.kind.confirm && !m.own}})
	}
	return true
}

// catchUpRows sends a device the rows of its user's queue that are as young, but for those in list: for when what was sent took too much
// memory, and the oldest of it is gone.
func (b *batch) catchUpRows(ctx context.Context, change presence.Change, list []*sentMessage) bool {
	s := b.s
	found, err := s.users.Lookup(ctx, []string{change.Local})
	if err != nil {
		return false
	}
	since := change.Since.Add(-storeTime).UnixMilli()
	owner := s.users.Person(change.Local, found).ID
	later := s.unconfirmed.Following(owner, since)
	rows, err := s.store.RecentOffline(ctx, owner, since, maxBatchItems)
	if err != nil {
		return false
	}
	if len(later) > 0 { // of the rest there may be more than fits, on either side
		var entries []unconfirmed.Entry
		for _, e := range later {
			entries = append(entries, e.Entry)
		}
		slices.SortStableFunc(entries, func(a, b unconfirmed.Entry) int { return strings.Compare(a.Time(), b.Time()) })
		whole := len(rows) < maxBatchItems
		rows, entries = mergeUnconfirmed(owner, rows, entries)
		if whole {
			rows = append(rows, unconfirmed.Rows(owner, entries[:min(len(entries), maxBatchItems)])...)
		}
		rows = rows[:min(len(rows), maxBatchItems)]
	}
	groups, err := b.c.groupsOf(ctx, rows)
	if err != nil {
		return false
	}
	b.count(s.metrics.caughtUpByRows, 1)
	b.c.cuts.Do(func() {
		s.log.Warn("what was sent in the last moments took more memory than it may: devices that come get what is queued for them instead", "bytes", b.c.recent.maxBytes)
	})
	for _, row := range rows {
		from := protocol.NewPerson(row.From, s.cfg.Server)
		if from.Local == "" || !change.Came.Mobile && row.Status != 0 || slices.ContainsFunc(list, func(m *sentMessage) bool { return m.ID == row.MsgID }) {
			continue
		}
		kind, address := s.kindOf(row.Type), s.fromAddress(from)
		if kind.scope == scopeGroup {
			address = s.groupAddress(from, groups[row.SessionID])
		}
		m := row.Message
		own := kind.scope != scopeGroup && row.From == row.Owner && row.To != row.Owner
		if kind.scope != scopeGroup && !own || kind.each {
			m.To = row.Owner // the row names the peer or the group there
		}
		text := protocol.Rebuild(m, s.cfg.ArrayBodies)
		conversation := row.SessionID
		if kind.scope != scopeGroup {
			conversation = protocol.ChatName(change.Local, protocol.NewPerson(row.SessionID, s.cfg.Server).Local)
		}
		b.send(stanza.Delivery{ID: row.MsgID, From: address,
			Payload: protocol.Payload(text, nil, own && kind.async),
			To:      []stanza.Target{{JID: change.Came.Full, Private: true}}},
			way{conversation: conversation, large: true, Way: unconfirmed.Way{Rows: true, Loose: kind.loose(), Request: kind.confirm && !own}}) // the rows stay until it is confirmed
	}
	return true
}

// groupsOf are the groups of queued messages, where their addresses depend on them.
func (c *conveyor) groupsOf(ctx context.Context, rows []store.OfflineMessage) (map[string]*cache.Group, error) {
	var ids []string
	for _, row := range rows {
		if c.s.cfg.SenderAsUser && c.s.kindOf(row.Type).scope == scopeGroup {
			ids = append(ids, row.SessionID)
		}
	}
	return c.groups.Get(ctx, c.s.store, ids)
}
