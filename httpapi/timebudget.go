package httpapi

import "time"

// timeBudget is a line's allowance of time: what it moves adds to it, what it takes is taken off. A bad line that goes on has all the
// time it needs; who stops, or goes slower than so many bytes a second all the while, is cut. So n bytes take at most the
// allowance and n/rate.
type timeBudget struct {
	maxSpare time.Duration // the allowance at the beginning, and what can be saved up
	rate     int64         // bytes a second
	spare    time.Duration
}

func newTimeBudget(maxSpare time.Duration, rate int64) timeBudget {
	return timeBudget{maxSpare: maxSpare, rate: rate, spare: maxSpare}
}

func (t *timeBudget) worth(n int64) time.Duration {
	return time.Duration(float64(n) / float64(t.rate) * float64(time.Second))
}

// until is when n bytes that are moved from now on have to be through.
func (t *timeBudget) until(now time.Time, n int64) time.Time { return now.Add(t.spare + t.worth(n)) }

// moved says that n bytes took so long.
func (t *timeBudget) moved(n int64, took time.Duration) {
	t.spare = min(t.maxSpare, t.spare-took+t.worth(n))
}
