package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/component/retention"
	"tlim/store"
)

func cleanupRunCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "run",
		Short: "Remove now what is expired, whether or not cleanup.enabled is set",
		Long: "Remove now what is expired, as cleanup.* says, whether cleanup.enabled is set or not, in small transactions. The process that serves at " +
			"http.listen does it, which is asked with an admin key of the configuration; where nobody listens there, the command does it itself. The audit log has it. " +
			"Progress goes to stderr. Ctrl-C stops it behind its transaction; the next one goes on. Count first: tlim cleanup dry-run.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, func() { time.AfterFunc(echoTime, stop) }) // then a second signal ends it at once
			return cleanupRun(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), *from, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// cleaned is the document of `tlim cleanup run --json`: how a clean-up ended.
type cleaned struct {
	By     string         `json:"by"` // the process that serves, or this command
	State  string         `json:"state"`
	Tables []removedTable `json:"tables"`
	Error  string         `json:"error,omitempty"`
}

type removedTable struct {
	Name string `json:"table"`
	Rows int    `json:"removed"`
}

func (c cleaned) removed() string {
	text := ""
	for _, t := range c.Tables {
		text += fmt.Sprintf(", %s %d", t.Name, t.Rows)
	}
	if text == "" {
		return "nothing"
	}
	return text[2:]
}

// tablesOf are the tables of which something went.
func tablesOf(done retention.Removed) []removedTable {
	tables := []removedTable{}
	for _, t := range done.Tables(retention.Config{}) {
		if t.Rows > 0 {
			tables = append(tables, removedTable{t.Name, t.Rows})
		}
	}
	return tables
}

const (
	progressPeriod = time.Second // between two lines of progress
	lastWords      = 10 * time.Second
)

// cleanupRun has the process that serves clean up, or does it where nobody serves.
func cleanupRun(ctx context.Context, out, errs io.Writer, from config.Sources, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	progress := func(table string, c cleaned) { fmt.Fprintf(errs, "%s: removed %s\n", table, c.removed()) }
	server, err := serverOf(ctx, cfg.HTTP)
	if err != nil {
		return err
	}
	var done cleaned
	if server != nil {
		done, err = cleanupAsked(ctx, server, progress)
	} else {
		log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
		done, err = cleanupHere(ctx, cfg, log, progress)
	}
	if done.State == "" {
		return err
	}
	printed := func() error { _, err := fmt.Fprintf(out, "removed %s\n", done.removed()); return err }
	if asJSON {
		printed = func() error { return printJSON(out, done) }
	}
	err = errors.Join(err, printed())
	switch done.State {
	case retention.Stopped:
		return exitError{errors.Join(errors.New("stopped; what is left is for the next clean-up"), err), exitAbort}
	case retention.Failed:
		return errors.Join(errors.New(done.Error), err)
	}
	return err
}

// cleanupHere cleans up in the name of the last process that served: one that takes the database over meanwhile ends it.
func cleanupHere(ctx context.Context, cfg config.Config, log *slog.Logger, progress func(string, cleaned)) (done cleaned, err error) {
	var files retention.Files
	if cfg.Cleanup.FilesDays > 0 {
		blobs, closeFiles, err := openFiles(ctx, cfg.Files, log)
		if err != nil {
			return done, err
		}
		files = blobs
		defer func() { err = errors.Join(err, closeFiles()) }()
	}
	err = withStore(ctx, cfg, func(db *store.Store) error {
		state, err := db.State(ctx)
		if err != nil {
			return err
		}
		var said time.Time
		cleaner := retention.New(cleanupConfig(cfg.Cleanup), retention.Deps{Store: db, Files: files, Audit: db, Epoch: func() int64 { return state.Epoch }, Log: log, Now: time.Now,
			Progress: func(p retention.Progress) {
				if now := time.Now(); now.Sub(said) >= progressPeriod {
					said = now
					progress(p.Table, cleaned{Tables: tablesOf(p.Removed)})
				}
			}})
		removed, err := cleaner.CleanFor(ctx, byCommand("cleanup/run", ""))
		run := cleaner.State().Run
		if run == nil {
			return err
		}
		if errors.Is(err, store.ErrFenced) {
			run.Err = "a process took the database over meanwhile; run it again"
		}
		done = cleaned{By: "this command", State: run.State, Tables: tablesOf(removed), Error: run.Err}
		return nil // done has it
	})
	return done, err
}
