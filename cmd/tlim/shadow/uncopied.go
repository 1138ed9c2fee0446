package shadow

import (
	"context"
	"maps"
	"time"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/store"
)

// uncopied is a row for which no copy has come yet.
type uncopied struct {
	row   store.Message
	seen  time.Time
	old   bool // it was there when the copies began
	early bool // its message may be of before
	gap   bool // there was a time without copies
}

// scanFirst learns which rows need no copy, once there are copies.
func (c *Comparison) scanFirst(ctx context.Context) {
	c.mu.Lock()
	began := c.began
	c.mu.Unlock()
	if began.IsZero() || c.baseline || c.now().Before(c.nextFirst) {
		return
	}
	c.scan(ctx)
}

// scan finds rows for which no copy has come: the server loses copies without a sign.
func (c *Comparison) scan(ctx context.Context) {
	c.scanning.Lock()
	defer c.scanning.Unlock()
	c.mu.Lock()
	began, gap := c.began, c.linkedAt.IsZero() || !c.gap.IsZero() && c.now().Sub(c.gap) < keepTime
	c.mu.Unlock()
	if began.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, siteTime)
	defer cancel()
	now, first := c.now(), !c.baseline
	since, seen := now.Add(-clockSkew), map[string]bool{}
	more, err := c.site.StoredSince(ctx, since.UnixMilli(), now.Add(24*time.Hour).UnixMilli(), maxScan, func(row store.Message) {
		seen[row.ID] = true
		if c.before[row.ID] {
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if first {
			if m := c.open[row.MsgID]; m == nil {
				c.uncopied[row.ID] = &uncopied{row: row, seen: now, old: true}
			}
			return
		}
		if _, there := c.known[row.MsgID]; !there {
			c.uncopied[row.ID] = &uncopied{row: row, seen: now, gap: gap, early: now.Sub(began) < copyDelay}
		}
	})
	c.nextFirst = now.Add(time.Minute)
	if err != nil || more {
		maps.Copy(c.before, seen)
		c.mu.Lock()
		c.tally.not(NotScanned, 1, "")
		c.mu.Unlock()
		c.log.Warn("rows without a packet copy could not be looked for", "error", err, "more_than", maxScan, "remedy", "an index on ofmessage (msg_time)")
		return // without a first whole scan nobody knows which rows are of before
	}
	maps.Copy(seen, c.uncopiedIDs())
	c.before, c.baseline = seen, true
}

// uncopiedIDs are the keys of rows that wait for their copies. The caller holds scanning.
func (c *Comparison) uncopiedIDs() map[string]bool {
	ids := make(map[string]bool, len(c.uncopied))
	for id := range c.uncopied {
		ids[id] = true
	}
	return ids
}

// settleUncopied counts rows whose copy would have come by now.
func (c *Comparison) settleUncopied(all bool) {
	c.scanning.Lock()
	defer c.scanning.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for key, u := range c.uncopied {
		if _, came := c.known[u.row.MsgID]; came && u.row.MsgID != "" {
			if u.old {
				if m := c.open[u.row.MsgID]; m != nil && u.seen.Before(m.sent) {
					m.before = true
				}
			}
			delete(c.uncopied, key)
			continue
		}
		if !all && now.Sub(u.seen) < 2*copyDelay {
			continue
		}
		delete(c.uncopied, key)
		if u.old {
			continue
		}
		id, msgType, is := u.row.MsgID, u.row.Type, component.TraitsOf(u.row.Type)
		switch {
		case is.Notice, u.row.From == protocol.AdminID, is.ByServer && u.row.From == u.row.To:
			c.tally.not(NotHTTP, 1, id)
		case id == "":
			c.tally.not(NotID, 1, msgType+" of "+u.row.From)
		case u.early:
			c.tally.not(NotBegun, 1, id)
		case u.gap:
			c.tally.uncopied(id, "while the copy link was down")
		default:
			c.tally.uncopied(id, "")
		}
	}
}
