package retention

import "time"

const day = 24 * time.Hour

// firstClean is the next midnight of the machine's time zone.
func firstClean(now time.Time) time.Time { return midnight(now, 1) }

// midnight begins the day that lies days after the one of t: at 0:00, or at the first moment after it where clocks are put
// forward then.
func midnight(t time.Time, days int) time.Time {
	y, m, d := t.Date()
	begin := time.Date(y, m, d+days, 0, 0, 0, 0, t.Location())
	if begin.Hour() == 23 { // of a 0:00 that is left out, time.Date answers an hour before or after
		begin = begin.Add(time.Hour)
	}
	return begin
}

// nextClean is the first time after now that lies whole intervals behind last. Whole days stay at midnight when the clocks
// are changed.
func nextClean(last, now time.Time, interval time.Duration) time.Time {
	for n := 1; ; n++ {
		next := last.Add(time.Duration(n) * interval)
		if interval%day == 0 {
			next = midnight(last, n*int(interval/day))
		}
		if next.After(now) {
			return next
		}
	}
}
