package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Sample is what one round of one mode gave.
type Sample struct {
	Value   float64 `json:"value"`   // in the series' unit
	Count   int     `json:"count"`   // deliveries, messages or commits
	Seconds float64 `json:"seconds"` // that they took
	CPU     float64 `json:"cpu"`     // seconds of the component's process; 0 where there is none
	Java    float64 `json:"java"`    // seconds of the server's process
	Driver  float64 `json:"driver"`  // seconds of this process: clients, and the bare commits
	// AckStanzas is how many stanzas carried the acknowledgements of the round.
	AckStanzas int `json:"ack_stanzas,omitempty"`
	// Answers is how many stanzas came back to tlim for the copies: answers to pings, and confirmations; its own link's pings are among them.
	Answers int `json:"answers,omitempty"`
	// All are the single values behind a median: latencies in ms, memory in MiB.
	All []float64 `json:"all,omitempty"`
}

// Series is one mode over all rounds; its n-th sample ran in the same round as the n-th of the part's other series.
type Series struct {
	Part    string   `json:"part"`
	Mode    string   `json:"mode"`
	Unit    string   `json:"unit"`
	Samples []Sample `json:"samples"`
}

func (s *Series) add(sample Sample) { s.Samples = append(s.Samples, sample) }

func (s *Series) values() []float64 {
	list := make([]float64, len(s.Samples))
	for i, one := range s.Samples {
		list[i] = one.Value
	}
	return list
}

func (s *Series) median() float64 { return median(s.values()) }

// perItem is the microseconds that something costs for each counted thing, over all rounds: /proc counts in steps of 10 ms.
func (s *Series) perItem(cost func(Sample) float64) float64 {
	seconds, count := 0.0, 0
	for _, one := range s.Samples {
		seconds += cost(one)
		count += one.Count
	}
	if count == 0 {
		return 0
	}
	return seconds / float64(count) * 1e6
}

func cpuOf(s Sample) float64    { return s.CPU }
func javaOf(s Sample) float64   { return s.Java }
func driverOf(s Sample) float64 { return s.Driver }
func cpuOfAll(s Sample) float64 { return s.CPU + s.Java + s.Driver }

// ackStanzasPerMessage is how many stanzas with acknowledgements a message cost.
func (s *Series) ackStanzasPerMessage() float64 {
	stanzas, count := 0, 0
	for _, one := range s.Samples {
		stanzas += one.AckStanzas
		count += one.Count
	}
	return float64(stanzas) / float64(max(count, 1))
}

// answersPerItem is how many stanzas came back for each delivery.
func (s *Series) answersPerItem() float64 {
	answers, count := 0, 0
	for _, one := range s.Samples {
		answers += one.Answers
		count += one.Count
	}
	return float64(answers) / float64(max(count, 1))
}

// ratio is the median of the rounds' ratios of s to the lowest of the others.
func (s *Series) ratio(others ...*Series) float64 {
	list := make([]float64, len(s.Samples))
	for i := range s.Samples {
		lowest := others[0].Samples[i].Value
		for _, o := range others[1:] {
			lowest = min(lowest, o.Samples[i].Value)
		}
		list[i] = s.Samples[i].Value / lowest
	}
	return median(list)
}

// median of no values is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Goal is one of the goals, held against the run.
type Goal struct {
	Text string  `json:"goal"`
	Got  float64 `json:"got"`
	Want float64 `json:"want"` // the limit
	Met  bool    `json:"met"`
}

func atLeast(text string, got, want float64) Goal {
	return Goal{Text: text, Got: got, Want: want, Met: got >= want}
}

func atMost(text string, got, want float64) Goal {
	return Goal{Text: text, Got: got, Want: want, Met: got <= want}
}

// verdict is the goal as a cell of the table.
func (g Goal) verdict() string {
	if g.Met {
		return g.Text + ": met"
	}
	return g.Text + ": MISSED"
}

// amount prints a whole number, thousands with separators.
func amount(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return number(float64(n))
}

// number prints thousands with separators and small figures with decimals.
func number(v float64) string {
	if v < 1000 && v > -1000 {
		switch {
		case v == 0:
			return "0"
		case v < 10:
			return fmt.Sprintf("%.2f", v)
		default:
			return fmt.Sprintf("%.1f", v)
		}
	}
	digits := strconv.FormatInt(int64(v+0.5), 10)
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
