package openfire

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// copyCount counts the packet copies of one period by their senders. It belongs to the copy link's reader.
type copyCount struct {
	period time.Time // its begin
	total  int
	by     map[string]int
}

// add counts a copy, and says how many of the period are this sender's.
func (c *copyCount) add(sender string, now time.Time) (own int) {
	if now.Sub(c.period) >= copyPeriod-copyJitter {
		*c = copyCount{period: now, by: map[string]int{}}
	}
	c.total++
	c.by[sender]++
	return c.by[sender]
}

// maxNamedSenders is how many senders the log names, the busiest first.
const maxNamedSenders = 3

// busiest names those who sent most, and says whether one of them sent more than all others together.
func (c *copyCount) busiest() (names string, one bool) {
	senders := slices.SortedFunc(maps.Keys(c.by), func(a, b string) int {
		return cmp.Or(c.by[b]-c.by[a], strings.Compare(a, b))
	})
	var list []string
	for _, sender := range senders[:min(len(senders), maxNamedSenders)] {
		list = append(list, fmt.Sprintf("%s: %d", sender, c.by[sender]))
	}
	return strings.Join(list, ", "), len(senders) > 0 && 2*c.by[senders[0]] > c.total
}

// copyPauses says for how long the link stays closed after an overload. While many send much nothing is gained by trying; one
// sender's flood is soon over as a rule, and must not cost everybody more than it lasts, so the link tries early, and later
// each time that it meets the flood again.
type copyPauses struct{ last time.Duration }

const (
	copyPause      = 5 * time.Minute
	copyFloodPause = 30 * time.Second
)

// next is the pause after a link that was open for so long.
func (c *copyPauses) next(one bool, open time.Duration) time.Duration {
	switch {
	case !one:
		c.last = copyPause
	case c.last == 0 || open >= copyPause:
		c.last = copyFloodPause
	default:
		c.last = min(2*c.last, copyPause)
	}
	return c.last
}
