package main

import (
	"fmt"
	"time"

	"tlim/store"
)

// maxAhead is how far the stored clock may be ahead of this machine's: a burst in one conversation takes a millisecond a message, and
// time servers step a clock back by seconds.
const maxAhead = time.Minute

// clockAhead says what a stored clock means that runs ahead of this machine's; "" when it does not. Times of messages never go back, so
// until then all messages get times of the future.
func clockAhead(state store.State, now time.Time) string {
	stored := time.UnixMilli(max(state.Clock, state.Delivered, state.Settled))
	ahead := stored.Sub(now)
	if ahead <= maxAhead {
		return ""
	}
	at := now.UnixMilli()
	return fmt.Sprintf("the clock stored in tlim_state (%s) is %v ahead of this machine's (%s), so messages get times of the future. If this machine's clock is wrong, set it. "+
		"If it is right, it once was not: stop tlim and run: UPDATE ofmessage SET msg_time = '%d' WHERE msg_time > '%d'; UPDATE ofcustomoffline SET msg_time = '%d' WHERE msg_time > '%d'; "+
		"UPDATE tlim_state SET clock = %d, delivered = %d, settled = %d WHERE id = 1",
		stored.UTC().Format(time.DateTime), ahead.Round(time.Second), now.UTC().Format(time.DateTime), at, at, at, at, at, at, at)
}

// degraded is what works otherwise than it should, the worst first: nothing of it keeps messages from being taken.
func degraded(report store.Report, state store.State, now time.Time) []string {
	list := append([]string{}, report.Degraded...)
	if text := clockAhead(state, now); text != "" {
		list = append(list, text)
	}
	return list
}
