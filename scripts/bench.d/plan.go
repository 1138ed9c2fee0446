package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// plan is what a run does.
type plan struct {
	rounds         int
	round          time.Duration // of one mode
	latencies      int           // messages each way per round
	memoryMessages int
	offline        offlineSize
	history        historySize
	receivers      int   // of the large approval
	fileBytes      int64 // of the file that is compared with cp
	uploadBytes    int64 // of each of the uploads at once
	flood          floodSize
	parts          []string
	profile        bool
}

// partNames are what -only takes, in the order in which they run.
var partNames = []string{"group", "chat", "latency", "cpu", "offline", "history", "approval", "files", "flood"}

func readPlan(args []string) (plan, error) {
	p := plan{round: 2 * time.Second, latencies: 100, memoryMessages: memoryMessages, parts: partNames,
		offline: offlineSize{rows: 10_000, calls: 200}, history: historySize{depth: 1_000_000, calls: 100},
		receivers: 1000, fileBytes: 1 << 30, uploadBytes: 100 << 20,
		flood: floodSize{members: 200, writers: 20, rate: 50, time: time.Minute}}
	flags := flag.NewFlagSet("scripts/bench", flag.ContinueOnError)
	flags.IntVar(&p.rounds, "rounds", 5, "rounds; medians of fewer than 5 say little")
	only := flags.String("only", "", "one part: "+strings.Join(partNames, ", "))
	quick := flags.Bool("quick", false, "short rounds, few messages, small files: does it run at all")
	flags.BoolVar(&p.profile, "profile", false, "a round more of each of ours, with CPU and heap profiles into .run/bench")
	if err := flags.Parse(args); err != nil {
		return p, flag.ErrHelp
	}
	if *quick {
		p.round, p.latencies, p.memoryMessages = 500*time.Millisecond, 20, 20_000
		p.offline, p.history = offlineSize{rows: 1000, calls: 20}, historySize{depth: 50_000, calls: 20}
		p.fileBytes, p.uploadBytes = 64<<20, 10<<20
		p.flood.time = 10 * time.Second
	}
	if *only != "" {
		if !slices.Contains(partNames, *only) {
			return p, fmt.Errorf("-only is one of %s, not %q", strings.Join(partNames, ", "), *only)
		}
		p.parts = []string{*only}
	}
	if p.rounds < 1 || flags.NArg() > 0 {
		return p, errors.New("-rounds is 1 or more, and there are no arguments")
	}
	return p, nil
}

// has says whether any of these parts runs.
func (p plan) has(parts ...string) bool {
	return slices.ContainsFunc(parts, func(name string) bool { return slices.Contains(p.parts, name) })
}
