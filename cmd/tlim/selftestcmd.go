package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/store"
	"tlim/store/conformance"
)

func selftestCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	var prefix string
	command := &cobra.Command{
		Use:   "selftest",
		Short: "Try on the configured database, in tables of its own, all that tlim asks of one",
		Long: "Try on the configured database all that tlim asks of one, and print a line for each behaviour: ok, failure with what was wanted and what came, or " +
			"skipped and why. It makes tables of its own whose names begin with --prefix, removes them at the end and when it is interrupted, and touches no " +
			"others: it works beside a process that serves. Tables that a killed run has left, the next one with that prefix removes. The user of store.dsn needs " +
			"CREATE, INDEX and DROP for it. On SQLite other writers wait for up to a second. Exit code 0: nothing failed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, func() { time.AfterFunc(echoTime, stop) }) // then a second signal ends it at once
			return selftest(ctx, cmd.OutOrStdout(), *from, prefix, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	command.Flags().StringVar(&prefix, "prefix", store.ScratchPrefix, "what the names of its tables begin with")
	return command
}

// selfTested is the document of --json.
type selfTested struct {
	Version  string      `json:"version"` // of tlim
	Engine   string      `json:"engine"`
	Database string      `json:"database"` // its version
	Prefix   string      `json:"prefix"`
	File     string      `json:"file,omitempty"` // made for it, where there is no database yet
	Removed  []string    `json:"removed,omitempty"`
	Begun    time.Time   `json:"begun"`
	Seconds  float64     `json:"seconds"`
	Passed   int         `json:"passed"`
	Failed   int         `json:"failed"`
	Skipped  int         `json:"skipped"`
	Tested   []behaviour `json:"behaviours"`
}

type behaviour struct {
	Name    string   `json:"name"`
	Outcome string   `json:"outcome"` // ok, failure or skipped
	Seconds float64  `json:"seconds"`
	Faults  []string `json:"faults,omitempty"`
	Why     string   `json:"why,omitempty"` // it was skipped
	Note    string   `json:"note,omitempty"`
}

func selftest(ctx context.Context, out io.Writer, from config.Sources, prefix string, asJSON bool) (err error) {
	if err := store.CheckScratchPrefix(prefix); err != nil {
		return exitError{fmt.Errorf("--prefix: %w", err), exitUsage}
	}
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	t := selfTested{Version: version(), Begun: time.Now()}
	x, err := store.OpenScratch(ctx, storeConfig(cfg, slog.New(slog.DiscardHandler)), prefix)
	if err != nil {
		return interrupted(ctx, err, "interrupted")
	}
	t.Engine, t.Database, t.Prefix, t.File, t.Removed = x.Engine(), x.Version(), x.Prefix(), x.File(), x.Removed()
	lines := out
	if asJSON {
		lines = io.Discard
	}
	t.printHead(lines, fmt.Sprint(cfg.Store.DSN))
	ran := t.run(ctx, lines, x)
	closed := x.Close()
	t.Seconds = seconds(time.Since(t.Begun))
	if closed != nil {
		return errors.Join(ran, closed)
	}
	if ran != nil {
		return interrupted(ctx, ran, "interrupted; its tables are removed")
	}
	if asJSON {
		err = printJSON(out, t)
	} else {
		_, err = fmt.Fprintf(out, "%d behaviours on %s %s in %.1f s: %d passed, %d failed, %d skipped; no table behind %s is left\n",
			len(t.Tested), t.Engine, t.Database, t.Seconds, t.Passed, t.Failed, t.Skipped, t.Prefix)
	}
	if err == nil && t.Failed > 0 {
		err = fmt.Errorf("%d of %d behaviours failed", t.Failed, len(t.Tested))
	}
	return err
}

// interrupted says instead of an error that a signal is behind it.
func interrupted(ctx context.Context, err error, text string) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errors.New(text)
	}
	return err
}

// run runs all behaviours, and prints each when it is done.
func (s *selfTested) run(ctx context.Context, out io.Writer, x *store.Scratch) error {
	ctx, end := x.Context(ctx)
	defer end()
	suite, err := conformance.New(ctx, x)
	if err != nil {
		return err
	}
	for _, b := range conformance.Behaviours() {
		result, err := suite.Run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Name, errors.Join(err, context.Cause(ctx)))
		}
		if err := s.add(result).print(out); err != nil {
			return err
		}
	}
	return nil
}

// add counts a result.
func (s *selfTested) add(r conformance.Result) behaviour {
	b := behaviour{Name: r.Name, Outcome: "ok", Seconds: seconds(r.Took), Why: oneLine(r.Skipped), Note: oneLine(r.Note)}
	for _, f := range r.Faults {
		b.Faults = append(b.Faults, oneLine(f))
	}
	switch {
	case len(b.Faults) > 0:
		b.Outcome = "failure"
		s.Failed++
	case b.Why != "":
		b.Outcome = "skipped"
		s.Skipped++
	default:
		s.Passed++
	}
	s.Tested = append(s.Tested, b)
	return b
}

func (s *selfTested) printHead(out io.Writer, address string) {
	fmt.Fprintf(out, "tlim %s on %s %s (%s), in tables %s…\n", s.Version, s.Engine, s.Database, address, s.Prefix)
	if s.File != "" {
		fmt.Fprintf(out, "the file of the database is not there yet: the tables are in %s, which is removed with them\n", s.File)
	}
	if len(s.Removed) > 0 {
		fmt.Fprintf(out, "removed what a run that was killed had left: %s\n", strings.Join(s.Removed, ", "))
	}
}

// maxFaults is how many faults of a behaviour are printed; those behind follow from them more often than not.
const maxFaults = 5

func (b behaviour) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%-8s %7.3f s  %s", b.Outcome, b.Seconds, b.Name)
	if said := b.Why + b.Note; said != "" {
		text.WriteString(" (" + said + ")")
	}
	for i, f := range b.Faults {
		if i == maxFaults {
			fmt.Fprintf(&text, "\n         and %d more", len(b.Faults)-i)
			break
		}
		text.WriteString("\n         " + f)
	}
	_, err := fmt.Fprintln(out, text.String())
	return err
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// oneLine keeps blanks: they can be what differs.
func oneLine(text string) string { return lineEnds.Replace(text) }

var lineEnds = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\x00`)
