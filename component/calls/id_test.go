package calls

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestIDs: a call's id tells its time by its place in the order, and its messages' ids tell the call and the receiver.
func TestIDs(t *testing.T) {
	now := time.UnixMilli(1_600_000_000_000)
	id := NewID(now)
	if !ValidID(id) {
		t.Errorf("%s is not valid, want a valid id", id)
	}
	if from, after := IDFrom(now), IDFrom(now.Add(time.Millisecond)); id < from || id >= after {
		t.Errorf("got id %s, want one from %s on and below %s", id, from, after)
	}
	for _, n := range []int{1, 255, MaxReceivers} {
		t.Run(fmt.Sprint("message ", n), func(t *testing.T) {
			got := MessageID(id, n)
			if Number(got) != n || !strings.HasPrefix(got, id[:Stem]) || got < id[:Stem]+First || got > id[:Stem]+Last {
				t.Errorf("got id %s of number %d, want one from %s to %s of its number", got, Number(got), id[:Stem]+First, id[:Stem]+Last)
			}
			if ValidID(got) {
				t.Errorf("got id %s taken for a call's, want a message's", got)
			}
		})
	}
}
