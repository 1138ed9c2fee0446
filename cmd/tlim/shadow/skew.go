package shadow

import "time"

// skew tells how far the server's clock is behind this one. Copies carry its times, and come some seconds later, but the youngest of them
// never later than copyDelay: what is beyond is the clocks' difference.
type skew struct {
	least, before time.Duration // of this time and the one before it
	since         time.Time
}

// skewTime is how long a copy's age is remembered, at least: clocks are set.
const skewTime = time.Minute

// of notes the age of a copy, and says by how much the server's times are to be put forward; 0 where they can be right.
func (s *skew) of(age time.Duration, now time.Time) time.Duration {
	switch {
	case s.since.IsZero():
		s.before, s.least, s.since = age, age, now
	case now.Sub(s.since) > skewTime:
		s.before, s.least, s.since = s.least, age, now
	}
	s.least = min(s.least, age)
	if apart := min(s.least, s.before); apart < 0 || apart > copyDelay {
		return apart
	}
	return 0
}
