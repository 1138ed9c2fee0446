package main

import (
	"fmt"
	"math"
	"testing"
)

func series(values ...float64) *Series {
	s := &Series{}
	for _, v := range values {
		s.add(Sample{Value: v, Count: 100, CPU: v / 1000})
	}
	return s
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		t.Run(fmt.Sprint(c.values), func(t *testing.T) {
			if got := median(c.values); got != c.want {
				t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
			}
		})
	}
}

// A slow spell of the machine in one round must not move the ratio: the ratio of the medians would be 1.
func TestRatioIsOfRounds(t *testing.T) {
	ours, bare := series(50, 90, 10), series(100, 180, 20)
	if got := ours.ratio(bare); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
	if got := series(6, 6, 6).ratio(series(10, 20, 12), series(20, 10, 12)); got != 0.6 {
		t.Errorf("to the lower of two: %v, want 0.6", got)
	}
}

func TestPerItem(t *testing.T) {
	if got := series(1, 3).perItem(cpuOf); math.Abs(got-20) > 1e-9 { // 4 ms for 200
		t.Errorf("%v us, want 20", got)
	}
	if got := (&Series{}).perItem(cpuOf); got != 0 {
		t.Errorf("of nothing: got %v, want 0", got)
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal Goal
		want string
	}{
		{atLeast("a", 0.95, 0.95), "a: met"}, {atLeast("a", 0.949, 0.95), "a: MISSED"},
		{atMost("b", 10, 10), "b: met"}, {atMost("b", 10.01, 10), "b: MISSED"}, {atMost("b", math.NaN(), 10), "b: MISSED"},
	} {
		t.Run(fmt.Sprintf("%+v", c.goal), func(t *testing.T) {
			if got := c.goal.verdict(); got != c.want {
				t.Errorf("%v is %q, want %q", c.goal, got, c.want)
			}
		})
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.354: "0.35", 12.34: "12.3", 1000: "1,000", 58600.4: "58,600", 1234567: "1,234,567"} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			if got := number(v); got != want {
				t.Errorf("%v is printed as %s, want %s", v, got, want)
			}
		})
	}
}

func TestAmount(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 10: "10", 999: "999", 1000: "1,000", 1000000: "1,000,000"} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if got := amount(n); got != want {
				t.Errorf("%d is printed as %s, want %s", n, got, want)
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	steady := []float64{10, 20, 40, 41, 40, 39, 40, 42, 40, 40, 41, 39}
	if got := growth(steady); got > flatGrowth {
		t.Errorf("a way to the working size counts as growth: got %v, want at most %v", got, flatGrowth)
	}
	leak := make([]float64, 40)
	for i := range leak {
		leak[i] = 20 + float64(i)
	}
	if got := growth(leak); got <= flatGrowth {
		t.Errorf("a leak does not count as growth: got %v, want more than %v", got, flatGrowth)
	}
}
