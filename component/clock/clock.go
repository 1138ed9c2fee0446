package clock

import "time"

// Clock gives out msg_time: the server's clock at intake, never less than any value given out before, strictly increasing
// within a conversation, and above the position that counts as delivered, so that replay finds every message by its time.
type Clock struct {
	Last  int64               // highest ever given out, over restarts
	Floor int64               // delivered position; after a start, the highest given out before
	given map[string]struct{} // conversations that have Last already
}

// Next gives the time of a conversation's next message, in epoch milliseconds.
func (c *Clock) Next(now time.Time, conversation string) int64 {
	t := max(now.UnixMilli(), c.Last, c.Floor+1)
	if _, taken := c.given[conversation]; taken && t == c.Last {
		t++
	}
	if t > c.Last || c.given == nil {
		c.Last = t
		c.given = map[string]struct{}{}
	}
	c.given[conversation] = struct{}{}
	return t
}

// Back takes back what was given out since Last was the highest: none of it was stored. Without it, batches that fail drive the
// clock ahead of the server's.
func (c *Clock) Back(last int64) {
	if c.Last > last {
		c.Last, c.Floor, c.given = last, max(c.Floor, last), nil // nobody knows any more which conversations have it
	}
}
