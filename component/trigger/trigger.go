package trigger

import (
	"context"
	"time"
)

// Trigger tells one goroutine that there is work. It has room for one signal: a second one before the first is taken would tell nothing new.
// The goroutine receives from it as from any channel.
type Trigger chan struct{}

// New makes a Trigger that is not fired.
func New() Trigger { return make(Trigger, 1) }

// Fire signals. It never blocks.
func (t Trigger) Fire() {
	select {
	case t <- struct{}{}:
	default:
	}
}

// Clear takes back a signal that nobody has received yet.
func (t Trigger) Clear() {
	select {
	case <-t:
	default:
	}
}

// Loop does work at once, then whenever the trigger fires and once in each period, until ctx ends.
func (t Trigger) Loop(ctx context.Context, period time.Duration, work func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		work(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-t:
		}
	}
}
