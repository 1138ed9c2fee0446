package clock

import (
	"testing"
	"time"
)

// TestNext: times never go back, over restarts neither, and no conversation gets one twice.
func TestNext(t *testing.T) {
	c := Clock{Last: 1000, Floor: 1000}
	at := func(ms int64, conversation string, want int64) {
		t.Helper()
		if got := c.Next(time.UnixMilli(ms), conversation); got != want {
			t.Errorf("at %d in %s: got %d, want %d", ms, conversation, got, want)
		}
	}
	at(900, "a", 1001) // the host's clock went back over a restart; 1000 counts as delivered
	at(900, "b", 1001)
	at(900, "a", 1002)
	at(900, "b", 1002)
	at(2000, "a", 2000)
	at(2000, "a", 2001)
	at(1999, "b", 2001)
}

// TestBack: a batch that is decided again gets the same times again, however often, and none of those before it.
func TestBack(t *testing.T) {
	c := Clock{}
	now := time.UnixMilli(5000)
	before := c.Next(now, "a")
	for try := range 3 {
		for _, conversation := range []string{"a", "b"} {
			if got := c.Next(now, conversation); try > 0 && got != before+1 || got < before {
				t.Errorf("try %d in %s: got %d, want %d", try, conversation, got, before+1)
			}
		}
		c.Back(before)
	}
	c.Back(9000) // of what was not given out there is nothing to take back
	if got := c.Next(now, "a"); got != before+1 {
		t.Errorf("after going back to what is to come: got %d, want %d", got, before+1)
	}
}
