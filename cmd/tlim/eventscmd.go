package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/httpapi"
	"tlim/store"
)

func eventsCommand(from *config.Sources) *cobra.Command {
	events := &cobra.Command{Use: "events", Short: "Events for the business system (events.webhook): what waits, and what was given up"}
	events.AddCommand(eventsListCommand(from), eventsReplayCommand(from))
	return events
}

func eventsListCommand(from *config.Sources) *cobra.Command {
	var state string
	var limit int
	var asJSON bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the events that were given up, or that wait, the oldest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listEvents(cmd.Context(), cmd.OutOrStdout(), *from, state, limit, asJSON)
		},
	}
	command.Flags().StringVar(&state, "state", httpapi.EventsDead, "which: dead, waiting, or failing (they wait and have failed before)")
	command.Flags().IntVar(&limit, "limit", 100, "how many, 1 to 10000")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// listedEvent is a line of tlim events list.
type listedEvent struct {
	ID           string    `json:"event_id"`
	Kind         string    `json:"kind"`
	Conversation string    `json:"conversation"`
	Made         time.Time `json:"made"`
	Due          time.Time `json:"due"` // of a dead one, when it was given up
	Tries        int       `json:"tries"`
	Reason       string    `json:"reason,omitempty"`
}

func listEvents(ctx context.Context, out io.Writer, from config.Sources, state string, limit int, asJSON bool) error {
	if limit < 1 || limit > 10_000 {
		return exitError{errors.New("--limit is 1 to 10000"), exitUsage}
	}
	if !httpapi.EventState(state) {
		return exitError{errors.New("--state is dead, waiting or failing"), exitUsage}
	}
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	list := []listedEvent{}
	if err := withStore(ctx, cfg, func(db *store.Store) error {
		found, err := httpapi.EventsOf(ctx, db, state, "", limit)
		for _, e := range found {
			list = append(list, listedEvent{e.ID, e.Kind, e.Conversation, time.UnixMilli(e.Made), time.UnixMilli(e.Due), e.Tries, e.Reason})
		}
		return err
	}); err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EVENT\tKIND\tCONVERSATION\tMADE\tDUE\tTRIES\tREASON")
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", e.ID, e.Kind, strings.Map(printable, e.Conversation), e.Made.Format(time.DateTime), e.Due.Format(time.DateTime), e.Tries,
			strings.Map(printable, e.Reason))
	}
	return w.Flush()
}

func eventsReplayCommand(from *config.Sources) *cobra.Command {
	var all, asJSON bool
	command := &cobra.Command{
		Use:   "replay [EVENT]",
		Short: "Send an event that was given up again, or all of them with --all; a process that serves does it within a minute",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == all {
				return exitError{errors.New("name one event, or give --all"), exitUsage}
			}
			return replayEvents(cmd.Context(), cmd.OutOrStdout(), *from, strings.Join(args, ""), asJSON)
		},
	}
	command.Flags().BoolVar(&all, "all", false, "all that were given up")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// replayEvents lets one event wait again; all of them where id is "".
func replayEvents(ctx context.Context, out io.Writer, from config.Sources, id string, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	replayed := 0
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		entry := func(n int) store.AuditEvent {
			e := byCommand("events/replay", id)
			if id == "" {
				e.Target = "all"
			}
			e.Detail = strconv.Itoa(n) + " events"
			return e
		}
		if id != "" {
			replayed, err = db.ReplayEvents(ctx, []string{id}, time.Now().UnixMilli(), entry(1))
			return err
		}
		for after := ""; ; {
			n, last, err := httpapi.ReplayPage(ctx, db, after, entry, time.Now().UnixMilli())
			if err != nil || last == "" {
				return err
			}
			replayed, after = replayed+n, last
		}
	})
	switch {
	case err != nil && replayed > 0:
		return fmt.Errorf("%d events wait again, the rest does not: %w", replayed, err)
	case err != nil:
		return err
	case id != "" && replayed == 0:
		return fmt.Errorf("no event %s was given up; tlim events list has all", strings.Map(printable, id))
	case asJSON:
		return printJSON(out, struct {
			Replayed int `json:"replayed"`
		}{replayed})
	}
	_, err = fmt.Fprintf(out, "%d events wait again\n", replayed)
	return err
}
