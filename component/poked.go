package component

import (
	"context"
	"time"
)

// poked is a job of its own goroutine that runs when it is poked, and now and then by itself. Make it by newPoked.
type poked struct {
	wake chan struct{} // room for one: a second poke would bring nothing new
}

func newPoked() *poked { return &poked{wake: make(chan struct{}, 1)} }

// poke asks for a run soon; it never blocks.
func (p *poked) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// loop runs work at once, then at each poke and each period, until ctx ends.
func (p *poked) loop(ctx context.Context, period time.Duration, work func(context.Context)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		work(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-p.wake:
		}
	}
}
