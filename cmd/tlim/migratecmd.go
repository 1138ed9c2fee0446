package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/store"
)

func migrateCommand(from *config.Sources) *cobra.Command {
	migrate := &cobra.Command{
		Use:   "migrate",
		Short: "See what stands in the database, and change its tables",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	status := &cobra.Command{
		Use:   "status",
		Short: "Print the tables with columns, keys, rows and size, and what is missing; nothing is changed",
		Long: "Print the tables with columns, keys, rows and size, and what is missing, with the statements that add it. Nothing is changed, and it works " +
			"beside a process that serves.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrateStatus(cmd.Context(), cmd.OutOrStdout(), *from, asJSON)
		},
	}
	status.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	var upAsJSON bool
	up := &cobra.Command{
		Use:   "up",
		Short: "Add the tables, columns and indexes that are missing",
		Long: "Add the tables, columns and indexes that are missing; no row is changed. MySQL and MariaDB build indexes while others write, beside a " +
			"process that serves; where they cannot it is said. SQLite's file must not be open elsewhere. Killed, it leaves whole steps, and the next " +
			"one goes on behind them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrateUp(cmd.Context(), printer{cmd.OutOrStdout(), cmd.ErrOrStderr(), upAsJSON}, *from)
		},
	}
	up.Flags().BoolVar(&upAsJSON, "json", false, "print JSON; how far it is goes to standard error")
	migrate.AddCommand(status, up, downCommand(from), convertCommand(from))
	return migrate
}

// database is store.Config for a command, and where it lies, without secrets.
func database(from config.Sources) (cfg config.Config, opened store.Config, err error) {
	if cfg, _, err = config.LoadForOperator(from); err != nil {
		return cfg, opened, err
	}
	return cfg, storeConfig(cfg, slog.New(slog.DiscardHandler)), nil
}

// withRemedy says of an error of opening or asking the database what to do about it.
func withRemedy(cfg store.Config, err error) error {
	if err == nil || errors.As(err, new(*store.RefusedError)) {
		return err
	}
	for _, told := range []error{store.ErrHeld, store.ErrSchema, store.ErrEngine, context.Canceled} {
		if errors.Is(err, told) {
			return err
		}
	}
	remedy := store.Remedy(cfg, err)
	if errors.Is(err, fs.ErrNotExist) {
		remedy = "give store.dsn the right file; tlim serve makes a new one"
	}
	return fmt.Errorf("%w. Remedy: %s", err, remedy)
}

// examined looks at the database and changes nothing.
func examined(ctx context.Context, cfg store.Config, look func(*store.Examination) error) error {
	e, err := store.Examine(ctx, cfg)
	if err != nil {
		return withRemedy(cfg, err)
	}
	return errors.Join(withRemedy(cfg, look(e)), e.Close())
}

func migrateStatus(ctx context.Context, out io.Writer, from config.Sources, asJSON bool) error {
	_, cfg, err := database(from)
	if err != nil {
		return err
	}
	var l store.Layout
	if err := examined(ctx, cfg, func(e *store.Examination) (err error) {
		if l, err = e.Layout(ctx); err != nil {
			return err
		}
		schema, err := e.Schema(ctx, store.MigrateAuto)
		for _, a := range schema {
			if a.Severe {
				l.InTheWay = append(l.InTheWay, a.Seen+". Remedy: "+a.Remedy)
			}
		}
		return err
	}); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, l)
	}
	return printLayout(out, l)
}

func printLayout(out io.Writer, l store.Layout) error {
	var b strings.Builder
	for _, t := range l.Tables {
		fmt.Fprintf(&b, "%s: %s", t.Name, rowsOf(t.Rows, t.Estimated))
		if t.Bytes > 0 {
			fmt.Fprintf(&b, ", %s", bytesOf(t.Bytes))
		}
		if t.Engine != "" {
			fmt.Fprintf(&b, ", %s", t.Engine)
		}
		b.WriteByte('\n')
		for _, c := range t.Columns {
			fmt.Fprintf(&b, "  %s %s", c.Name, c.Type)
			if c.Length > 0 {
				fmt.Fprintf(&b, "(%d)", c.Length)
			}
			for _, word := range []string{c.Charset, c.Collation} {
				if word != "" {
					fmt.Fprintf(&b, " %s", word)
				}
			}
			if c.Numbered {
				b.WriteString(", numbers itself")
			}
			if c.Foreign {
				b.WriteString(", not of tlim")
			}
			b.WriteByte('\n')
		}
		for _, i := range t.Indexes {
			fmt.Fprintf(&b, "  key %s (%s)\n", i.Name, strings.Join(i.Columns, ", "))
		}
	}
	for _, reason := range l.InTheWay {
		fmt.Fprintf(&b, "in the way: %s\n", reason)
	}
	if len(l.Missing) == 0 {
		b.WriteString("nothing is missing\n")
	}
	estimated := slices.ContainsFunc(l.Tables, func(t store.TableLayout) bool { return t.Estimated })
	for _, m := range l.Missing {
		fmt.Fprintf(&b, "missing: %s", m)
		if m.Kind != "table" {
			fmt.Fprintf(&b, ": %s", m.Statement)
		}
		switch {
		case m.Kind != "index" || m.Rows == 0:
		case m.Locks:
			fmt.Fprintf(&b, " (%s; nobody writes the table meanwhile)", rowsOf(m.Rows, estimated))
		default:
			fmt.Fprintf(&b, " (%s; others write meanwhile)", rowsOf(m.Rows, estimated))
		}
		b.WriteByte('\n')
	}
	if len(l.Missing) > 0 {
		b.WriteString("tlim migrate up adds what is missing\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func rowsOf(n int64, estimated bool) string {
	if estimated {
		return fmt.Sprintf("about %d rows", n)
	}
	return fmt.Sprintf("%d rows", n)
}

func bytesOf(n int64) string {
	const step = 1024
	if n < step*step {
		return fmt.Sprintf("%.0f KiB", float64(n)/step)
	}
	if n < step*step*step {
		return fmt.Sprintf("%.1f MiB", float64(n)/step/step)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/step/step/step)
}

// migrated works on the tables until it is done or a signal comes. line is what people read of progress; "" is nothing.
func migrated(ctx context.Context, out io.Writer, cfg store.Config, line func(store.Progress) string, work func(context.Context, *store.Migrator) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	m, err := store.NewMigrator(ctx, cfg, func(p store.Progress) {
		if said := line(p); said != "" {
			fmt.Fprintln(out, said)
		}
	})
	if err != nil {
		return withRemedy(cfg, err)
	}
	err = work(ctx, m)
	if err != nil && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted; what was done stays, and the same command goes on from there: %w", err)
	}
	return errors.Join(withRemedy(cfg, err), m.Close())
}

func progressLine(p store.Progress) string {
	switch {
	case p.Unmeasured && p.Took < time.Second:
		return p.What + ": at once, but by a server that has to copy the table for it"
	case p.Unmeasured:
		return fmt.Sprintf("%s: for %v", p.What, p.Took.Round(time.Second))
	}
	line := fmt.Sprintf("%d of %d: %s", p.Step, p.Steps, p.What)
	switch {
	case p.Done:
		line += fmt.Sprintf(": done in %v", p.Took.Round(time.Millisecond))
	case p.Took < time.Millisecond:
		line += ": others write meanwhile"
		if p.Locks {
			line = strings.TrimSuffix(line, "others write meanwhile") + "the engine locks the table, nobody writes it meanwhile"
		}
	default:
		line += fmt.Sprintf(": for %v", p.Took.Round(time.Second))
	}
	line += fmt.Sprintf("; rows done %d of %d", p.Rows, p.Total)
	if p.Rate > 0 {
		line += fmt.Sprintf(", %.0f a second", p.Rate)
	}
	if p.Left > 0 {
		line += fmt.Sprintf(", %v left", p.Left.Round(time.Second))
	}
	return line
}

// printer prints what a command did, as lines or as one document.
type printer struct {
	out, stderr io.Writer
	asJSON      bool
}

// progress is where it goes how far a long work is.
func (p printer) progress() io.Writer {
	if p.asJSON {
		return p.stderr
	}
	return p.out
}

// whole is a list as JSON has it: none is [].
func whole[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func migrateUp(ctx context.Context, p printer, from config.Sources) error {
	_, cfg, err := database(from)
	if err != nil {
		return err
	}
	var r store.Report
	err = migrated(ctx, p.progress(), cfg, progressLine, func(ctx context.Context, m *store.Migrator) (err error) {
		r, err = m.Up(ctx)
		return err
	})
	if p.asJSON {
		return errors.Join(err, printJSON(p.out, struct {
			Created  []string `json:"created"`
			Added    []string `json:"added"`
			Missing  []string `json:"missing"` // statements
			Degraded []string `json:"degraded"`
			Warnings []string `json:"warnings"`
		}{whole(r.Created), whole(r.Added), whole(r.Missing), whole(r.Degraded), whole(r.Warnings)}))
	}
	out := p.out
	for _, name := range r.Created {
		fmt.Fprintf(out, "made: table %s\n", name)
	}
	for _, name := range r.Added {
		fmt.Fprintf(out, "added: %s\n", name)
	}
	if err != nil {
		if len(r.Missing) > 0 {
			fmt.Fprintf(out, "%d indexes are still missing; tlim migrate up goes on from here\n", len(r.Missing))
		}
		return err
	}
	if len(r.Created)+len(r.Added) == 0 {
		fmt.Fprintln(out, "nothing was missing")
	}
	for _, warning := range r.Degraded {
		fmt.Fprintf(out, "note: %s\n", warning)
	}
	if n := len(r.Warnings); n > 0 {
		fmt.Fprintf(out, "note: of %d more things tlim doctor has the remedies\n", n)
	}
	return nil
}
