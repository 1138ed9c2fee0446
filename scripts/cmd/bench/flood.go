package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tlim/scripts/lab"
)

// floodSize is how hard a flood is.
type floodSize struct {
	members, writers int
	rate             float64 // messages a second of each writer
	time             time.Duration
}

const (
	floodEnvelope = 350 // bytes
	floodSettle   = 30 * time.Second
	floodHeap     = 0.7 // of the old generation
	floodWait     = 1.0 // seconds of another pair's message
)

// floodPair talk meanwhile.
var floodPair = [2]string{"f-one", "f-two"}

// floodUsers are the members of the group, and all accounts of a flood with their names.
func floodUsers(size floodSize) (members []string, names map[string]string) {
	names = map[string]string{floodPair[0]: "one", floodPair[1]: "two"}
	for i := range size.members {
		members = append(members, fmt.Sprintf("f%03d", i))
		names[members[i]] = members[i]
	}
	return members, names
}

// measureFlood lets a group be written into faster than the server delivers, each sender without a rate limit: what is measured is how much
// is let through to the server, not how much a sender may send.
func measureFlood(ctx context.Context, r *rig, p plan, report *report) (err error) {
	size := p.flood
	members, users := floodUsers(size)
	settings := lab.ServerConfig(r.server)
	settings["limits.per_user_rate"] = 0
	tlim, err := lab.StartTlim(ctx, lab.TlimOptions{Dir: filepath.Join(r.dir, "tlim-flood"), Config: settings})
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := tlim.Stop(); err == nil {
			err = stopErr
		}
	}()
	if err := tlim.AddUsers(ctx, users); err != nil {
		return err
	}
	session, err := tlim.AddSession(ctx, members[0], members...)
	if err != nil {
		return err
	}

	say("flood: %d of %d members write %.0f messages a second each for %s", size.writers, size.members, size.rate, size.time)
	memory := watchMemory(tlim.PID(), time.Second)
	result, err := lab.Flood{Server: r.server, Component: "tlim." + r.server.Domain, Session: session, Members: members, Pair: floodPair,
		Password: func(string) string { return password }, Writers: size.writers, Rate: size.rate, Size: floodEnvelope, Time: size.time, Settle: floodSettle}.Run(ctx)
	resident, watchErr := memory.stop()
	if err != nil {
		return err
	}
	if watchErr != nil {
		return watchErr
	}

	for text, n := range result.Refused {
		say("flood: %d refused: %s", n, text)
	}
	say("flood: %d sent, %d accepted, %d without an answer, %d copies, %d missing, %d twice, %d members in another order, the last %s after the end",
		result.Sent, result.Accepted, result.Silent, result.Copies, result.Missing, result.Twice, result.Disorder, result.Last.Round(time.Millisecond))
	last := result.Heap[len(result.Heap)-1]
	say("flood: full collections %d, collecting %s", last.Full-result.Heap[0].Full, (last.GC - result.Heap[0].GC).Round(time.Millisecond))

	mode := fmt.Sprintf("%d writers x %.0f/s, %d members, %s", size.writers, size.rate, size.members, size.time)
	one := func(what, unit string, value float64, all []float64, goals ...Goal) {
		s := &Series{Part: "flood", Mode: mode + ": " + what, Unit: unit}
		s.add(Sample{Value: value, Count: result.Copies, Seconds: size.time.Seconds(), All: all})
		report.add(s)
		for _, g := range goals {
			report.goal(s, g)
		}
	}
	var waits, heap []float64
	for _, w := range result.Waits {
		waits = append(waits, float64(w.Microseconds())/1e3)
	}
	for _, h := range result.Heap {
		heap = append(heap, 100*h.Old)
	}
	one("copies", "copies/s", float64(result.Copies)/size.time.Seconds(), nil)
	one("server's old generation, fullest", "%", 100*result.FullestHeap(), heap, atMost("70 % of the heap", result.FullestHeap(), floodHeap))
	one("another pair's message, slowest", "ms", float64(result.Slowest().Microseconds())/1e3, waits, atMost("1 s", result.Slowest().Seconds(), floodWait))
	one("another pair's message, median", "ms", median(waits), waits)
	one("accepted that did not arrive", "copies", float64(result.Missing), nil, atMost("none", float64(result.Missing), 0))
	one("without an answer", "messages", float64(result.Silent), nil, atMost("none", float64(result.Silent), 0))
	report.memory("flood", mode+": our memory", resident)
	if slices.Max(resident) == 0 {
		return fmt.Errorf("flood: no memory was seen")
	}
	return nil
}
