package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"tlim/scripts/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "bare" {
		err = bareMain(ctx, os.Args[2:])
	} else {
		err = benchMain(ctx, os.Args[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func benchMain(ctx context.Context, args []string) (err error) {
	p, err := readPlan(args)
	if err != nil {
		return err
	}
	root, err := lab.Root()
	if err != nil {
		return err
	}
	began := time.Now()
	dir := filepath.Join(root, ".run", "bench", began.Format("20060102-150405"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder of the results: %w", err)
	}
	report := newReport(root, began, p)
	r, err := startRig(ctx, dir, p)
	if err != nil {
		return err
	}
	err = measure(ctx, r, p, report)
	if stopErr := r.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	if err := r.clean(); err != nil {
		return err
	}
	report.Took = time.Since(began).Seconds()
	fmt.Println()
	if err := report.print(os.Stdout); err != nil {
		return err
	}
	path := filepath.Join(dir, "result.json")
	if err := report.write(path); err != nil {
		return err
	}
	fmt.Printf("\nraw results: %s\n", path)
	return nil
}

// turn is one mode in the rotation of a part.
type turn struct {
	series *Series
	round  func(context.Context, *rig, time.Duration) (Sample, error)
}

// How many rounds of a part do not count: a server on a JVM compiles its code as it runs, ours and the databases only fill caches.
const (
	warmUps     = 2
	warmUpsHTTP = 1
)

// rotate runs all turns in every round, beginning with another one each time, after rounds that do not count.
func rotate(ctx context.Context, r *rig, p plan, warm int, turns []turn) error {
	for round := -warm; round < p.rounds; round++ {
		if round < 0 {
			say("%s: warming up", turns[0].series.Part)
		} else {
			say("%s: round %d of %d", turns[0].series.Part, round+1, p.rounds)
		}
		for i := range turns {
			t := turns[(i+round+warm)%len(turns)]
			sample, err := t.round(ctx, r, p.round)
			if err != nil {
				return err
			}
			if round >= 0 {
				t.series.add(sample)
			}
		}
	}
	return nil
}

// measure runs the parts and adds what they gave to the report.
func measure(ctx context.Context, r *rig, p plan, report *report) (err error) {
	var c *commits
	if p.has("chat", "latency") {
		if c, err = openCommits(ctx, r.dir); err != nil {
			return err
		}
		defer func() {
			if closeErr := c.store.Close(); err == nil {
				err = closeErr
			}
		}()
	}
	parts := map[string]func() error{
		"group":    func() error { return measureGroup(ctx, r, p, report) },
		"absent":   func() error { return measureAbsent(ctx, r, p, report) },
		"chat":     func() error { return measureChat(ctx, r, p, report, c) },
		"latency":  func() error { return measureLatency(ctx, r, p, report, c) },
		"cpu":      func() error { return measureMemory(ctx, r, p, report) },
		"offline":  func() error { return measureOffline(ctx, r, p, report) },
		"history":  func() error { return measureHistory(ctx, r, p, report) },
		"approval": func() error { return measureApproval(ctx, r, p, report) },
		"files":    func() error { return measureFiles(ctx, r, p, report) },
		"presence": func() error { return measurePresence(ctx, r, p, report) },
		"day":      func() error { return measureDay(ctx, r, p, report) },
		"flood":    func() error { return measureFlood(ctx, r, p, report) },
	}
	for _, name := range p.parts {
		if err := parts[name](); err != nil {
			return err
		}
	}
	return nil
}

// beforeGoal is for a change that must not cost speed: one within 3 % of the version that is measured against.
const beforeGoal = "0.97 of before"

func measureGroup(ctx context.Context, r *rig, p plan, report *report) error {
	modes := r.groupModes()
	turns := make([]turn, len(modes))
	for i, m := range modes {
		turns[i] = turn{m.series, m.round}
	}
	if err := rotate(ctx, r, p, warmUps, turns); err != nil {
		return err
	}
	bare, ours, pings := modes[0].series, modes[1].series, modes[2].series
	for _, m := range modes {
		report.add(m.series, bare)
	}
	report.goal(ours, atLeast("0.95 of bare", ours.ratio(bare), 0.95))
	report.goal(pings, atLeast("0.8 of bare", pings.ratio(bare), 0.8))
	report.goal(pings, atMost(cpuGoal, pings.perItem(cpuOf), 10))
	for _, m := range modes {
		if m.before != nil {
			report.goal(m.series, atLeast(beforeGoal, m.series.ratio(m.before.series), 0.97))
		}
	}
	if !p.profile {
		return nil
	}
	return profiled(ctx, r, "group", modes[2].service.Tlim, modes[2].round)
}

func measureChat(ctx context.Context, r *rig, p plan, report *report, c *commits) error {
	modes := r.chatModes()
	commit := turn{&Series{Part: "chat", Mode: "commits of 128, no XMPP", Unit: "messages/s"}, c.round}
	turns := []turn{commit}
	for _, m := range modes {
		turns = append(turns, turn{m.series, m.round})
	}
	if err := rotate(ctx, r, p, warmUps, turns); err != nil {
		return err
	}
	bare, ours := modes[0].series, modes[1].series
	for _, t := range turns {
		report.add(t.series, bare, commit.series)
	}
	report.goal(ours, atLeast("0.7 of the lower", ours.ratio(bare, commit.series), 0.7))
	for _, m := range modes {
		if m.before != nil {
			report.goal(m.series, atLeast(beforeGoal, m.series.ratio(m.before.series), 0.97))
		}
	}
	if !p.profile {
		return nil
	}
	return profiled(ctx, r, "chat", modes[1].service.Tlim, modes[1].round)
}

func measureLatency(ctx context.Context, r *rig, p plan, report *report, c *commits) error {
	l := r.latencies(c)
	for round := -1; round < p.rounds; round++ {
		if round < 0 {
			say("latency: warming up")
		} else {
			say("latency: round %d of %d", round+1, p.rounds)
		}
		samples, err := l.round(ctx, p.latencies)
		if err != nil {
			return err
		}
		for i, s := range l.all() {
			if round >= 0 {
				s.add(samples[i])
			}
		}
	}
	bare, ours := l.ways[0].series, l.ways[1].series
	over := make([]float64, p.rounds)
	for i := range over {
		over[i] = ours.Samples[i].Value - bare.Samples[i].Value - l.commit.Samples[i].Value
	}
	for _, s := range l.all() {
		report.add(s, bare)
	}
	report.goal(ours, atMost("bare + commit + 0.5 ms", median(over), 0.5))
	return nil
}

func measureMemory(ctx context.Context, r *rig, p plan, report *report) error {
	if !p.has("group") { // which has measured it
		mode := newServiceMode("group", ", all confirm by pings", r.plain, r.sqlite, ofPlain)
		if err := rotate(ctx, r, p, warmUps, []turn{{mode.series, mode.round}}); err != nil {
			return err
		}
		report.add(mode.series)
		report.goal(mode.series, atMost(cpuGoal, mode.series.perItem(cpuOf), 10))
	}
	mode := r.chatModes()[0]
	if mode.service != r.sqlite {
		mode = r.chatModes()[1] // the bare component is the first when it runs
	}
	say("memory: %d messages", p.memoryMessages)
	sample, err := r.memory(ctx, mode, p.memoryMessages)
	if err != nil {
		return err
	}
	series := &Series{Part: "cpu", Mode: fmt.Sprintf("tlim, SQLite: memory over %s 1:1 messages", number(float64(p.memoryMessages))), Unit: "MiB"}
	series.add(sample)
	report.add(series)
	report.goal(series, atMost("flat, last quarter <= 1.1 of the second", growth(sample.All), flatGrowth))
	return nil
}

const cpuGoal = "10 us CPU per delivery"

// flatGrowth is what counts as flat: the collector's rhythm moves the resident size by some percent.
const flatGrowth = 1.1

var started = time.Now()

// say tells on standard error how far the run is; standard output is the table's.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}
