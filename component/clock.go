package component

import "time"

// clock gives out msg_time: the server's clock at intake, never less than any value given out before, strictly increasing
// within a conversation, and above the position that counts as delivered, so that replay finds every message by its time.
type clock struct {
	last  int64               // highest ever given out, over restarts
	floor int64               // delivered position; after a start, the highest given out before
	given map[string]struct{} // conversations that have last already
}

// next gives the time of a conversation's next message, in epoch milliseconds.
func (c *clock) next(now time.Time, conversation string) int64 {
	t := max(now.UnixMilli(), c.last, c.floor+1)
	if _, taken := c.given[conversation]; taken && t == c.last {
		t++
	}
	if t > c.last || c.given == nil {
		c.last = t
		c.given = map[string]struct{}{}
	}
	c.given[conversation] = struct{}{}
	return t
}

// back takes back what was given out since last was the highest: none of it was stored. Without it, batches that fail drive the
// clock ahead of the server's.
func (c *clock) back(last int64) {
	if c.last > last {
		c.last, c.floor, c.given = last, max(c.floor, last), nil // nobody knows any more which conversations have it
	}
}
