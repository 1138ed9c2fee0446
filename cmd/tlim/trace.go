package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/httpapi"
	"tlim/store"
)

func traceCommand(from *config.Sources) *cobra.Command {
	var how traceOptions
	trace := &cobra.Command{
		Use:   "trace MSG_ID",
		Short: "Say what is known of one message: stored, routed, offline rows, receipts, pushes, files",
		Long: "Say what the database knows of one message: stored, routed, offline rows, receipts, pushes, files. It reads beside a process that " +
			"serves. What people wrote is left out unless --body is given. Exit code 1: nothing is known of this id.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return trace(cmd.Context(), cmd.OutOrStdout(), *from, args[0], how)
		},
	}
	trace.Flags().BoolVar(&how.json, "json", false, "print JSON")
	trace.Flags().BoolVar(&how.body, "body", false, "print the bodies too")
	return trace
}

type traceOptions struct{ json, body bool }

func trace(ctx context.Context, out io.Writer, from config.Sources, msgID string, how traceOptions) error {
	if msgID == "" {
		return exitError{fmt.Errorf("the message id is empty"), exitUsage}
	}
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	var found store.Trace
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		found, err = db.Trace(ctx, msgID, httpapi.MaxTraceRows+1)
		return err
	})
	if err != nil {
		return err
	}
	t := httpapi.NewTraced(found, how.body)
	if !t.Known() {
		return fmt.Errorf("nothing is known of %q: it never came, was refused, is of a kind that is not stored, or was cleaned up", msgID)
	}
	if how.json {
		return printJSON(out, t)
	}
	return printTrace(out, t)
}

// printTrace writes one line per row, under what it is.
func printTrace(out io.Writer, t httpapi.Traced) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", what, strings.Map(printable, fmt.Sprintf(format, args...)))
	}
	line("message", "%s", t.MsgID)
	if len(t.Messages) == 0 {
		line("stored", "no: revoked, removed or cleaned up, or of a kind that only phones get")
	}
	for _, m := range t.Messages {
		line("stored", "%s, %s from %s to %s, session %s, %d bytes, row %s", moment(m.Time), m.Type, m.From, m.To, m.Session, m.Bytes, m.Row)
		if m.Body != "" {
			line("body", "%q", m.Body)
		}
		switch {
		case m.Foreign:
			line("routed", "not known: another program stored it, and tlim does not deliver it")
		case m.Settled:
			line("routed", "yes; what was not confirmed is among the offline rows")
		case m.Routed:
			line("routed", "yes; some phone has not confirmed it yet")
		default:
			line("routed", "not proved yet: it is delivered again after a restart or a new link")
		}
	}
	for _, id := range t.Remembered {
		line("remembered", "%s, %s, %s by %s in %q", id.What, id.State, moment(id.Time), id.From, id.Conversation)
	}
	for _, p := range t.Offline {
		line("offline row", "for %s, status %d, row %s", p.User, p.Status, p.Row)
	}
	for _, r := range t.Receipts {
		line("receipt", "read by %s, status %d, of %s", r.Reader, r.Status, r.Sender)
	}
	for _, p := range t.Pushes {
		state := "due"
		if p.Done {
			state = "done"
		}
		for _, to := range p.To {
			line("push", "%s to %s: %s, made %s, %s %s, %d failed", p.Channel, to.User, to.Outcome, moment(strconv.FormatInt(p.Made, 10)), state,
				moment(strconv.FormatInt(p.Due, 10)), p.Tries)
		}
		if p.Alert != "" {
			line("text", "%q", p.Alert)
		}
	}
	for _, id := range t.Files {
		line("file", "%s", id)
	}
	for _, what := range t.Cut {
		line("more", "only the first %d of %s are shown", httpapi.MaxTraceRows, what)
	}
	return w.Flush()
}

// printable keeps what clients chose for an id from moving the terminal's cursor.
func printable(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
		return unicode.ReplacementChar
	}
	return r
}

// moment reads a msg_time: local time, and as it stands in the table.
func moment(text string) string {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || len(text) != 13 {
		return fmt.Sprintf("at %q", text)
	}
	return time.UnixMilli(ms).Format("2006-01-02 15:04:05.000 -0700") + " (" + text + ")"
}
