package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/component/retention"
	"tlim/store"
)

func cleanupConfig(c config.Cleanup) retention.Config {
	return retention.Config{Enabled: c.Enabled, Interval: time.Duration(c.Interval), Days: c.Days, OfflineDays: c.OfflineDays,
		FilesDays: c.FilesDays, IDs: c.IDs}
}

func cleanupCommand(from *config.Sources) *cobra.Command {
	cleanup := &cobra.Command{
		Use:   "cleanup",
		Short: "See what clean-up would remove, and have it removed",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	dryRun := &cobra.Command{
		Use:   "dry-run",
		Short: "Count, table by table, what a clean-up would remove now; nothing is changed",
		Long: "Count, table by table, what a clean-up with this configuration would remove now, whether cleanup.enabled is set or not; nothing is " +
			"changed. It reads keys and times of the old rows, and of all of some tables, beside a process that serves. Try another retention with " +
			"--set cleanup.days=90.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cleanupDryRun(cmd.Context(), cmd.OutOrStdout(), *from, asJSON)
		},
	}
	dryRun.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cleanup.AddCommand(dryRun, cleanupRunCommand(from))
	return cleanup
}

func cleanupDryRun(ctx context.Context, out io.Writer, from config.Sources, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	var found retention.Removed
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		found, err = retention.Count(ctx, db, cleanupConfig(cfg.Cleanup), time.Now())
		return err
	})
	if err != nil {
		return err
	}
	return printDryRun(out, cfg.Cleanup, found, asJSON)
}

// withStore opens the database beside a process that serves, for a command that makes no tables.
func withStore(ctx context.Context, cfg config.Config, use func(*store.Store) error) error {
	opened := storeConfig(cfg, slog.New(slog.DiscardHandler))
	opened.Migrate = store.MigrateCheck
	db, err := store.Open(ctx, opened)
	if err != nil {
		return err
	}
	err = use(db)
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}

// cleanedTable is one line of a dry run.
type cleanedTable struct {
	Table string `json:"table"`
	Kept  string `json:"kept"`
	Goes  int    `json:"would_go"`
	Odd   int    `json:"left_alone"` // of unknown age
}

func printDryRun(out io.Writer, c config.Cleanup, found retention.Removed, asJSON bool) error {
	days := func(n int) string {
		if n == 0 {
			return "for ever"
		}
		return fmt.Sprintf("%d days", n)
	}
	tables := []cleanedTable{
		{"ofmessage", days(c.Days), found.Messages, found.OddMessages},
		{"ofstatus", "with the message", found.Receipts, 0},
		{"ofcustomoffline", days(c.OfflineDays), found.Offline, found.OddOffline},
		{"tlim_id", days(c.IDs), found.IDs, 0},
		{"tlim_former", "24 hours", found.Formers, 0},
		{"tlim_file", days(c.FilesDays), found.Files, 0},
		{"tlim_audit", days(retention.AuditDays), found.Audit, 0},
	}
	if asJSON {
		return printJSON(out, struct {
			Enabled bool           `json:"enabled"`
			Tables  []cleanedTable `json:"tables"`
		}{c.Enabled, tables})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TABLE\tKEPT\tWOULD GO\tLEFT ALONE")
	for _, t := range tables {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", t.Table, t.Kept, t.Goes, t.Odd)
	}
	if found.OddMessages+found.OddOffline > 0 {
		fmt.Fprintln(w, "\nleft alone: msg_time is no 13-digit number, or is yet to come, so that nobody can say how old the row is")
	}
	if !c.Enabled {
		fmt.Fprintln(w, "\ncleanup.enabled is false: nothing of this is removed, but by tlim cleanup run")
	}
	return w.Flush()
}
