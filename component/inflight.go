package component

import (
	"sync"
	"time"

	"tlim/component/stanza"
	"tlim/component/trigger"
)

// inFlight counts the copies that were handed to the sender and that the server is not known to have routed: it reads and queues without a
// bound, and a busy group would fill its heap within seconds (measured). An XEP-0199 ping behind them proves that they were routed. It does two
// things with that count.
//
// It bounds it: no more than room says may be handed over. The bound follows the server's speed, by the time that its answers take, so
// that what was handed over is routed within about slowAnswer: whatever comes next waits no longer than that.
//
// And it keeps batches from becoming small just when the server is busy. A conveyor that is faster than the server takes each message
// alone, and pays a commit for it that the server's own work then lacks (two cores: 400 commits for 600 group messages a second). So
// while the copies of two or more batches, and paceCopies in all, are on their way, what comes waits, and the next batch takes it
// together. The server always has a batch to work on meanwhile.
type inFlight struct {
	now func() time.Time
	min int // bounds of the bound
	max int

	mu      sync.Mutex
	bound   int // copies
	copies  int // handed over, and not known to be routed
	bytes   int // of them
	batches int // groups of them that a ping was sent behind
	unasked load
	short   bool      // the bound has kept something back since it was last looked at
	slowed  time.Time // answers to questions from before do not lower the bound again
	held    bool
	life    uint64
	wake    trigger.Trigger // room for one: some were routed
}

// load is a number of copies and their bytes.
type load struct{ copies, bytes int }

const (
	paceCopies = 500 // about 14 ms of Openfire 4.2 (measured); fewer than that never wait
	askCopies  = 100 // between two pings: one costs the server about as much as a copy
	askBytes   = 128 << 10

	// The bound, in copies: what an Openfire 4.2 routes in 100 ms when it shares a busy machine, when it has just begun, and when it has two
	// cores for itself.
	minBound   = 300
	firstBound = 500
	maxBound   = 6000
	boundBytes = 1 << 10 // for each copy of the bound: an envelope of 350 bytes makes a copy of 700
	// slowAnswer is how long the answer to a ping may take before less is handed over: other conversations' messages wait for what was.
	slowAnswer = 120 * time.Millisecond
)

func newInFlight(now func() time.Time) *inFlight {
	return &inFlight{now: now, min: minBound, bound: firstBound, max: maxBound, wake: trigger.New()}
}

// room is how much more may be handed over.
type room struct {
	load
	idle bool // nothing is on its way: one copy may go, whatever its size
}

// fits is how many of these copies may be handed over now.
func (r room) fits(copies, size int) int {
	n := min(copies, r.copies, r.bytes/size)
	if n <= 0 && r.idle {
		return min(copies, 1)
	}
	return max(n, 0)
}

// take is the room that is left after some.
func (r room) take(l load) room {
	return room{load{r.copies - l.copies, r.bytes - l.bytes}, r.idle && l.copies == 0}
}

// room is how much more may be handed over. A caller that has more than that is told by wake when to look again.
func (f *inFlight) room() room {
	f.mu.Lock()
	defer f.mu.Unlock()
	return room{load{f.bound - f.copies, f.bound*boundBytes - f.bytes}, f.copies == 0}
}

// sent notes what was handed to the sender, and asks it to tell when that is routed.
func (f *inFlight) sent(sender Sender, l load) {
	f.mu.Lock()
	f.copies += l.copies
	f.bytes += l.bytes
	f.unasked.copies += l.copies
	f.unasked.bytes += l.bytes
	if f.unasked.copies < askCopies && f.unasked.bytes < askBytes {
		f.mu.Unlock()
		return
	}
	f.ask(sender)
}

// full notes that there was more to hand over than room: the answer to a ping will tell of room, so one must be under way.
func (f *inFlight) full(sender Sender) {
	f.mu.Lock()
	f.short = true
	if f.batches > 0 || f.unasked.copies == 0 {
		f.mu.Unlock()
		return
	}
	f.ask(sender)
}

// ask sends a ping behind what was handed over. It is called with the lock held, and gives it up.
func (f *inFlight) ask(sender Sender) {
	asked, life, at := f.unasked, f.life, f.now()
	f.unasked = load{}
	f.batches++
	f.mu.Unlock()
	sender.Barrier(func(err error) { // a lost link has nothing on its way either
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.life != life {
			return
		}
		f.copies -= asked.copies
		f.bytes -= asked.bytes
		f.batches--
		if err == nil {
			f.adapt(at, asked.copies)
		}
		f.wake.Fire()
	})
}

// adapt moves the bound: down by a quarter when an answer was slow, once for all that was on its way by then, and up by a part of what
// was routed in time while the bound kept something back.
func (f *inFlight) adapt(asked time.Time, copies int) {
	now := f.now()
	switch {
	case now.Sub(asked) > slowAnswer:
		if asked.After(f.slowed) {
			f.bound, f.slowed = max(f.min, f.bound*3/4), now
		}
	case f.short:
		f.bound = min(f.max, f.bound+max(1, copies/8))
		f.short = false
	}
}

// busy says whether the server has enough to do: from paceCopies on, until half of them are left.
func (f *inFlight) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := paceCopies
	if f.held {
		most /= 2
	}
	f.held = f.batches >= 2 && f.copies >= most
	return f.held
}

// reset forgets what was sent on a connection that is gone. The bound stays: it is the same server, mostly.
func (f *inFlight) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.life++
	f.copies, f.bytes, f.batches, f.unasked, f.held = 0, 0, 0, load{}, false
}

// counts are for the metrics, and for how much may wait.
func (f *inFlight) counts() (now load, bound int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return load{f.copies, f.bytes}, f.bound
}

// copyHead is what a copy has around its payload, about, in bytes.
const copyHead = 160

// sizeOf is how many bytes a copy of a delivery has, about.
func sizeOf(d *stanza.Delivery) int { return len(d.Payload) + copyHead }

// loadOf is what a delivery puts on the server.
func loadOf(d *stanza.Delivery) load { return load{len(d.To), len(d.To) * sizeOf(d)} }
