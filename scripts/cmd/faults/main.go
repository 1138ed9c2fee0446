package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"tlim/scripts/cmd/faults/checker"
)

// Messages flow when so many of so many people that were sent since have been acknowledged.
const enough, enoughPeople = 20, 4

func main() {
	var o options
	flag.IntVar(&o.faults, "n", 20, "how many faults")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the choice of faults")
	flag.IntVar(&o.round, "round", 10, "how many faults lie between two judgements")
	flag.DurationVar(&o.time, "for", 0, "begin no fault after this time; 0: all of -n")
	flag.DurationVar(&o.longest, "longest", maxBroken, "what is stopped or cut off stays so for at most this time")
	flag.StringVar(&o.binary, "tlim", "", "the program; scripts/faults builds it")
	only := flag.String("only", "", "kinds of faults, by name, separated by commas")
	list := flag.Bool("list", false, "print the kinds of faults")
	flag.Parse()
	if flag.NArg() > 0 || o.faults < 1 || o.round < 1 || o.longest <= minBroken {
		fmt.Fprintf(os.Stderr, "faults: -n and -round are 1 at least, -longest is more than %s, and there are no other arguments\n", minBroken)
		os.Exit(2)
	}
	o.kinds = kinds
	if *only != "" {
		o.kinds = nil
		for name := range strings.SplitSeq(*only, ",") {
			i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == strings.TrimSpace(name) })
			if i < 0 {
				fmt.Fprintf(os.Stderr, "faults: no kind %q; -list prints them\n", name)
				os.Exit(2)
			}
			o.kinds = append(o.kinds, kinds[i])
		}
	}
	if *list {
		for _, k := range kinds {
			fmt.Println(k.name)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

type options struct {
	faults, round int
	seed          uint64
	kinds         []kind
	binary        string
	time          time.Duration
	longest       time.Duration
}

// errBroken says that a promise was broken.
var errBroken = errors.New("a promise was broken")

func (o *options) run(ctx context.Context) (err error) {
	s := &site{journal: newJournal(), dir: filepath.Join(".run", "faults", time.Now().Format("20060102-150405"))}
	if err := os.MkdirAll(filepath.Join(s.dir, "files"), 0o755); err != nil {
		return err
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	r := &trial{options: o, site: s, commit: commit(), began: time.Now(), dice: rand.New(rand.NewPCG(o.seed, 1)), results: map[string]*result{}}
	fmt.Printf("seed %d, commit %s, in %s\n", o.seed, r.commit, s.dir)
	defer func() { err = errors.Join(err, s.stop()) }()
	r.rounds = 1
	if err := s.journal.begin(r.file()); err != nil {
		return err
	}
	names := make([]string, 0, 10)
	for i := range cap(names) {
		names = append(names, fmt.Sprintf("u%d", i))
	}
	starting, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := start(starting, s, o.binary, names); err != nil {
		return fmt.Errorf("start the site: %w", err)
	}
	fmt.Printf("an Openfire, three nodes, two tlim run after %s\n", time.Since(r.began).Round(time.Second))
	if err := r.people(starting, names); err != nil {
		return err
	}
	err = r.breakAll(ctx)
	text := r.summary()
	fmt.Print(text)
	return errors.Join(err, os.WriteFile(filepath.Join(s.dir, "result"), []byte(text), 0o644))
}

// commit is that of the checkout, with a mark when it is not what is committed.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude", "*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// trial is one run.
type trial struct {
	*options
	*site
	commit  string // of the checkout when it began
	began   time.Time
	dice    *rand.Rand
	talks   []*talk
	crowd   []*person
	rounds  int
	since   string // the newest message of the last round
	done    int
	results map[string]*result

	sent, acknowledged, again, batches, terms int
	violations                                []checker.Violation
}

type result struct {
	faults  int
	longest time.Duration
	sum     time.Duration
}

func (t *trial) file() string { return filepath.Join(t.dir, fmt.Sprintf("history-%d.jsonl", t.rounds)) }

// people makes users, groups and pairs. The last user has a page and no phone, and only reads.
func (t *trial) people(ctx context.Context, names []string) error {
	known := map[string]string{}
	for _, name := range names {
		known[name] = "Name of " + name
	}
	p := t.tlims[0]
	if err := p.AddUsers(ctx, known); err != nil {
		return err
	}
	for _, members := range [][]string{names, names[:4], names[2:7]} {
		id, err := p.AddSession(ctx, members[0], members...)
		if err != nil {
			return err
		}
		t.talks = append(t.talks, &talk{name: id, group: id, members: members})
	}
	for i := 0; i+1 < len(names)-1; i++ {
		t.talks = append(t.talks, &talk{name: pair(names[i], names[i+1]), members: []string{names[i], names[i+1]}})
	}
	for i, name := range names {
		one := &person{name: name, site: t.site, dice: rand.New(rand.NewPCG(t.seed, uint64(i)+2)), open: map[string]*open{}}
		for _, c := range t.talks {
			if slices.Contains(c.members, name) {
				one.talks = append(one.talks, c)
			}
		}
		t.crowd = append(t.crowd, one)
	}
	// A page beside the phone of two.
	for i, name := range names[:2] {
		t.crowd = append(t.crowd, &person{name: name, site: t.site, dice: rand.New(rand.NewPCG(t.seed, uint64(i)+100)), open: map[string]*open{}, page: true})
	}
	return nil
}

// faults_ breaks one thing after the other, and judges what was seen after each round.
func (t *trial) breakAll(ctx context.Context) error {
	for t.since = "0"; ; {
		if err := t.aRound(ctx); err != nil {
			return err
		}
		if t.over(ctx) {
			break
		}
		t.rounds++
		if err := t.journal.begin(t.file()); err != nil {
			return err
		}
	}
	if len(t.violations) > 0 {
		return errBroken
	}
	return ctx.Err()
}

// over says that no fault follows.
func (t *trial) over(ctx context.Context) bool {
	return t.done >= t.faults || ctx.Err() != nil || t.time > 0 && time.Since(t.began) > t.time
}

func (t *trial) aRound(ctx context.Context) error {
	for _, c := range t.talks {
		t.journal.add(checker.Event{Kind: checker.Talk, Conversation: c.name, Members: c.members})
	}
	living, stop := context.WithCancel(ctx)
	defer stop()
	var crowd sync.WaitGroup
	for _, p := range t.crowd {
		p.setQuiet(false)
		crowd.Go(func() { p.run(living) })
	}
	err := t.journal.flows(enough, enoughPeople, recoverTime)
	for n := 0; err == nil && n < t.round && !t.over(ctx); n++ {
		err = t.fault(ctx)
	}
	// All that was sent gets its acknowledgement; then everybody goes. What was broken before a fault that did not end well is judged all the same.
	for _, p := range t.crowd {
		p.setQuiet(true)
	}
	unsettled := t.journal.settled(recoverTime)
	stop()
	crowd.Wait()
	if unsettled != nil {
		return errors.Join(err, unsettled, t.journal.end())
	}
	collecting, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	unread := t.collect(collecting, t.talks, t.crowd, t.since)
	if at, failed := t.newest(collecting); failed == nil {
		t.since = at
	} else {
		unread = errors.Join(unread, failed)
	}
	if unread := errors.Join(unread, t.journal.end()); unread != nil {
		return errors.Join(err, unread)
	}
	return errors.Join(err, t.judge())
}

// fault is one fault, from a site that is whole to one that is whole again.
func (t *trial) fault(ctx context.Context) error {
	k := t.kinds[t.dice.IntN(len(t.kinds))]
	s := &scene{site: t.site, longest: t.longest, dice: rand.New(rand.NewPCG(t.dice.Uint64(), 1))}
	var err error
	if s.leader, s.standby, s.node, err = t.roles(ctx); err != nil {
		return err
	}
	if err := t.journal.flows(enough, enoughPeople, recoverTime); err != nil {
		return err
	}
	var notes []string
	began := time.Now()
	t.journal.add(checker.Event{Kind: checker.Fault, Text: k.name})
	t.journal.watch()
	err = k.do(ctx, s, func(text string) { notes = append(notes, text) })
	if err == nil {
		err = t.journal.flows(enough, enoughPeople, recoverTime)
	}
	pause := t.journal.pause()
	if err == nil {
		_, _, _, err = t.roles(ctx)
	}
	t.done++
	res := t.results[k.name]
	if res == nil {
		res = &result{}
		t.results[k.name] = res
	}
	res.faults++
	res.sum += pause
	res.longest = max(res.longest, pause)
	text := fmt.Sprintf("%4d  %s (%s): pause %s, whole again after %s", t.done, k.name, strings.Join(notes, ", "), pause.Round(100*time.Millisecond), time.Since(began).Round(time.Second))
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	fmt.Println(text)
	t.journal.add(checker.Event{Kind: checker.Fault, Text: text})
	return nil
}

func (t *trial) judge() error {
	f, err := os.Open(t.file())
	if err != nil {
		return err
	}
	defer f.Close()
	events, err := checker.Read(f)
	if err != nil {
		return err
	}
	report := checker.Check(events)
	t.sent += report.Sent
	t.acknowledged += report.Acknowledged
	t.again += report.Again
	t.batches += report.Batches
	t.terms += report.Terms
	t.violations = append(t.violations, report.Violations...)
	fmt.Printf("round %d: %d sent, %d acknowledged, %d copies again, %d transactions in %d terms: %d violations\n", t.rounds, report.Sent, report.Acknowledged, report.Again, report.Batches, report.Terms, len(report.Violations))
	for i, v := range report.Violations {
		if i == 20 {
			fmt.Printf("  and %d more\n", len(report.Violations)-i)
			break
		}
		fmt.Printf("  %s: %s\n", v.Kind, v.Text)
	}
	return nil
}

func (t *trial) summary() string {
	var b strings.Builder
	count := func(kind string) int {
		n := 0
		for _, v := range t.violations {
			if v.Kind == kind {
				n++
			}
		}
		return n
	}
	fmt.Fprintf(&b, "seed %d, commit %s, %s: %d faults in %s, %d messages acknowledged of %d, %d transactions. Lost %d, doubled %d, other orders %d, interleaved %d, untrue %d, not to be judged %d.\n\n",
		t.seed, t.commit, t.began.Format(time.DateOnly), t.done, time.Since(t.began).Round(time.Second), t.acknowledged, t.sent, t.batches,
		count(checker.Lost), count(checker.Doubled), count(checker.Order), count(checker.Interleaved), count(checker.Untrue), count(checker.Incomplete))
	fmt.Fprintf(&b, "| fault | times | longest pause | mean |\n|---|---|---|---|\n")
	for _, k := range kinds {
		if res := t.results[k.name]; res != nil {
			fmt.Fprintf(&b, "| %s | %d | %.1f s | %.1f s |\n", k.name, res.faults, res.longest.Seconds(), res.sum.Seconds()/float64(res.faults))
		}
	}
	return b.String()
}
