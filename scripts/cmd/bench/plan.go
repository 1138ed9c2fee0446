package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
	presence       presenceSize
	day            daySize
	against        string // a tlim of another version, whose rows stand beside ours
	parts          []string
	profile        bool
}

// handParts run only when -only names them.
var handParts = []string{"presence", "day"}

// partNames are what runs, in that order, and what -only takes beside handParts.
var partNames = []string{"group", "absent", "chat", "latency", "cpu", "offline", "history", "approval", "files", "flood"}

func readPlan(args []string) (plan, error) {
	p := plan{round: 2 * time.Second, latencies: 100, memoryMessages: memoryMessages, parts: partNames,
		offline: offlineSize{rows: 10_000, calls: 200}, history: historySize{depth: 1_000_000, calls: 100},
		receivers: 1000, fileBytes: 1 << 30, uploadBytes: 100 << 20,
		presence: presenceSize{sessions: []int{10, 1000, 10_000}, window: 10 * time.Second},
		day:      daySize{users: 6000, sessions: 5000, groups: 2000, rate: 35, time: 10 * time.Minute},
		flood:    floodSize{members: 200, writers: 20, rate: 50, time: time.Minute}}
	flags := flag.NewFlagSet("scripts/bench", flag.ContinueOnError)
	flags.IntVar(&p.rounds, "rounds", 5, "rounds; medians of fewer than 5 say little")
	only := flags.String("only", "", "one part: "+strings.Join(slices.Concat(partNames, handParts), ", "))
	quick := flags.Bool("quick", false, "short rounds, few messages, small files: does it run at all")
	flags.StringVar(&p.against, "against", "", "the `binary` of another tlim: rows of it beside ours in group, absent and chat")
	flags.BoolVar(&p.profile, "profile", false, "a round more of each of ours, with CPU and heap profiles into .run/bench")
	if err := flags.Parse(args); err != nil {
		return p, flag.ErrHelp
	}
	if *quick {
		p.round, p.latencies, p.memoryMessages = 500*time.Millisecond, 20, 20_000
		p.offline, p.history = offlineSize{rows: 1000, calls: 20}, historySize{depth: 50_000, calls: 20}
		p.fileBytes, p.uploadBytes = 64<<20, 10<<20
		p.flood.time = 10 * time.Second
		p.day = daySize{users: 120, sessions: 100, groups: 40, rate: 20, time: 10 * time.Second}
		p.presence = presenceSize{sessions: []int{10, 100, 1000}, window: 3 * time.Second}
	}
	if p.against != "" {
		path, err := filepath.Abs(p.against)
		if err != nil {
			return p, fmt.Errorf("-against: %w", err)
		}
		if _, err := os.Stat(path); err != nil {
			return p, fmt.Errorf("-against: %w", err)
		}
		p.against = path
	}
	if *only != "" {
		if names := slices.Concat(partNames, handParts); !slices.Contains(names, *only) {
			return p, fmt.Errorf("-only is one of %s, not %q", strings.Join(names, ", "), *only)
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
