package main

import (
	"cmp"
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

// maxTraceRows bounds the receipts and the offline rows that are listed, each.
const maxTraceRows = 1000

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
		found, err = db.Trace(ctx, msgID, maxTraceRows+1)
		return err
	})
	if err != nil {
		return err
	}
	t := newTraced(found, how.body)
	if !t.known() {
		return fmt.Errorf("nothing is known of %q: it never came, was refused, is of a kind that is not stored, or was cleaned up", msgID)
	}
	if how.json {
		return printJSON(out, t)
	}
	return t.print(out)
}

// traced is a trace as it is shown. Lists that were cut at maxTraceRows say so in Cut.
type traced struct {
	MsgID      string          `json:"msg_id"`
	Messages   []tracedMessage `json:"messages"`   // several only in tables of the old system
	Remembered []tracedID      `json:"remembered"` // what a repeated message is recognised by
	Offline    []tracedOffline `json:"offline"`
	Receipts   []tracedReceipt `json:"receipts"`
	Pushes     []tracedPush    `json:"pushes"`
	Files      []string        `json:"files"`
	Cut        []string        `json:"cut,omitempty"`
}

type tracedMessage struct {
	Row     string `json:"id_"`
	Type    string `json:"msg_type"`
	From    string `json:"msg_from"`
	To      string `json:"msg_to"`
	Session string `json:"session_id"`
	Time    string `json:"msg_time"`
	Bytes   int    `json:"bytes"`
	Body    string `json:"body,omitempty"`
	Routed  bool   `json:"routed"`  // the server proved it
	Settled bool   `json:"settled"` // nothing is unconfirmed in memory only
	Foreign bool   `json:"foreign"` // another program stored it: its time is none that was given out here
}

type tracedID struct {
	What         string `json:"what"` // message or revoke
	State        string `json:"state"`
	From         string `json:"msg_from"`
	Conversation string `json:"conversation"`
	Time         string `json:"msg_time"`
}

type tracedOffline struct {
	User   string `json:"user_id"`
	Status int    `json:"msg_status"`
	Row    string `json:"id_"`
}

type tracedReceipt struct {
	Reader string `json:"reader"`
	Sender string `json:"sender"`
	Status int    `json:"status"`
}

type tracedPush struct {
	Channel string         `json:"channel"`
	Done    bool           `json:"done"`
	Tries   int            `json:"tries"` // failed so far
	Made    int64          `json:"made"`
	Due     int64          `json:"due"` // of one that is done, when that was
	Title   string         `json:"title,omitempty"`
	Alert   string         `json:"alert,omitempty"`
	To      []tracedPushTo `json:"to"`
}

type tracedPushTo struct {
	User    string `json:"user_id"`
	Outcome string `json:"outcome"`
}

func newTraced(f store.Trace, body bool) traced {
	t := traced{MsgID: f.MsgID, Messages: []tracedMessage{}, Remembered: []tracedID{}, Offline: []tracedOffline{}, Receipts: []tracedReceipt{},
		Pushes: []tracedPush{}, Files: append([]string{}, f.Files...)}
	for _, m := range f.Messages {
		at, err := strconv.ParseInt(m.Time, 10, 64)
		one := tracedMessage{Row: m.ID, Type: m.Type, From: m.From, To: m.To, Session: m.SessionID, Time: m.Time, Bytes: len(m.Body),
			Routed: err == nil && at <= f.State.Delivered, Settled: err == nil && at <= f.State.Settled}
		one.Foreign = err != nil || at > max(f.State.Clock, f.State.Delivered)
		if body {
			one.Body = m.Body
		}
		t.Messages = append(t.Messages, one)
	}
	for _, id := range f.IDs {
		what := "message"
		if id.Class == store.ClassRevoke {
			what = "revoke"
		}
		t.Remembered = append(t.Remembered, tracedID{what, string(id.State), id.From, id.Conversation, id.Time})
	}
	for _, p := range f.Offline {
		t.Offline = append(t.Offline, tracedOffline{p.Owner, p.Status, p.ID})
	}
	for _, r := range f.Receipts {
		t.Receipts = append(t.Receipts, tracedReceipt{r.Reader, r.Sender, r.Status})
	}
	for _, p := range f.Pushes {
		one := tracedPush{Channel: p.Channel, Done: p.Done, Tries: p.Tries, Made: p.Made, Due: p.Due, To: []tracedPushTo{}}
		if body {
			one.Title, one.Alert = p.Title, p.Alert
		}
		for _, to := range p.To {
			one.To = append(one.To, tracedPushTo{to.User, cmp.Or(to.Outcome, p.Outcome, "waits")})
		}
		t.Pushes = append(t.Pushes, one)
	}
	t.Offline = cut(&t, "offline", t.Offline)
	t.Receipts = cut(&t, "receipts", t.Receipts)
	return t
}

// cut bounds a list of t and notes that there is more.
func cut[T any](t *traced, name string, list []T) []T {
	if len(list) <= maxTraceRows {
		return list
	}
	t.Cut = append(t.Cut, name)
	return list[:maxTraceRows]
}

func (t *traced) known() bool {
	return len(t.Messages)+len(t.Remembered)+len(t.Receipts)+len(t.Offline)+len(t.Pushes)+len(t.Files) > 0
}

// print writes one line per row, under what it is.
func (t *traced) print(out io.Writer) error {
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
		line("more", "only the first %d of %s are shown", maxTraceRows, what)
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
