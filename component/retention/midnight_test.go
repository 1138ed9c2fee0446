package retention

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // the zones below must be there on every machine
)

// TestMidnight: clean-ups begin at the next local midnight and stay there when clocks are changed.
func TestMidnight(t *testing.T) {
	const layout = "2006-01-02 15:04:05 -07"
	for _, c := range []struct {
		zone, now string
		interval  time.Duration
		want      []string // the first, then each next
	}{
		{"UTC", "2026-03-01 13:00:00 +00", day, []string{"2026-03-02 00:00:00 +00", "2026-03-03 00:00:00 +00"}},
		{"UTC", "2026-03-01 00:00:00 +00", day, []string{"2026-03-02 00:00:00 +00"}}, // started at midnight: a day later
		{"UTC", "2026-02-28 23:59:59 +00", 7 * day, []string{"2026-03-01 00:00:00 +00", "2026-03-08 00:00:00 +00"}},
		{"UTC", "2026-12-31 12:00:00 +00", 6 * time.Hour, []string{"2027-01-01 00:00:00 +00", "2027-01-01 06:00:00 +00", "2027-01-01 12:00:00 +00"}},
		{"Asia/Shanghai", "2026-06-01 20:00:00 +08", day, []string{"2026-06-02 00:00:00 +08", "2026-06-03 00:00:00 +08"}},
		// Clocks go forward and back at 2:00 or 3:00.
		{"Europe/Berlin", "2026-03-28 12:00:00 +01", day, []string{"2026-03-29 00:00:00 +01", "2026-03-30 00:00:00 +02"}},
		{"Europe/Berlin", "2026-10-24 12:00:00 +02", day, []string{"2026-10-25 00:00:00 +02", "2026-10-26 00:00:00 +01"}},
		{"Europe/Berlin", "2026-03-28 12:00:00 +01", 12 * time.Hour, []string{"2026-03-29 00:00:00 +01", "2026-03-29 13:00:00 +02"}}, // hours are hours
		// 0:00 is left out, for one day only.
		{"America/Sao_Paulo", "2018-11-03 12:00:00 -03", day, []string{"2018-11-04 01:00:00 -02", "2018-11-05 00:00:00 -02"}},
		{"America/Sao_Paulo", "2018-11-02 12:00:00 -03", 2 * day, []string{"2018-11-03 00:00:00 -03", "2018-11-05 00:00:00 -02"}},
		{"Asia/Beirut", "2021-03-26 12:00:00 +02", day, []string{"2021-03-27 00:00:00 +02", "2021-03-28 01:00:00 +03", "2021-03-29 00:00:00 +03"}},
		// 23:00 comes twice, 0:00 once.
		{"America/Sao_Paulo", "2019-02-16 12:00:00 -02", day, []string{"2019-02-17 00:00:00 -03", "2019-02-18 00:00:00 -03"}},
		// A whole day is left out.
		{"Pacific/Apia", "2011-12-28 12:00:00 -10", day, []string{"2011-12-29 00:00:00 -10"}},
	} {
		t.Run(fmt.Sprint(c.zone, " ", c.now, " every ", c.interval), func(t *testing.T) {
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.ParseInLocation(layout, c.now, zone)
			if err != nil {
				t.Fatal(err)
			}
			next := firstClean(now.In(zone))
			for i, want := range c.want {
				if i > 0 {
					next = nextClean(next, next, c.interval)
				}
				if got := next.Format(layout); got != want {
					t.Errorf("%d: got %s, want %s", i, got, want)
				}
			}
		})
	}
	// A machine that slept over some leaves them out.
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, interval := range []time.Duration{day, 12 * time.Hour} {
		t.Run(fmt.Sprint("every ", interval), func(t *testing.T) {
			if got, want := nextClean(begin, begin.Add(3*day+time.Minute), interval), begin.Add(3*day+interval); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	// No zone and no day has it stand still.
	for _, name := range []string{"Pacific/Apia", "America/Havana", "Asia/Tehran", "Africa/Cairo", "Antarctica/Troll"} {
		t.Run(name, func(t *testing.T) {
			zone, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			for next, n := time.Date(2009, 1, 1, 0, 0, 0, 0, zone), 0; n < 6000; n++ {
				after := nextClean(next, next, day)
				if gap := after.Sub(next); gap < 22*time.Hour || gap > 49*time.Hour {
					t.Fatalf("from %s to %s, want %v to %v", next, after, 22*time.Hour, 49*time.Hour)
				}
				next = after
			}
		})
	}
}
