package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
)

// exitSilent is the exit code of `tlim status` when nobody answers.
const exitSilent = 4

func statusCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "status",
		Short: "Ask the process that serves how it is",
		Long: "Ask the process that serves, by its metrics.listen, for its version, its start, its link to the server, its database and what is refused. " +
			"The exit code is 0 when messages are taken, stored and delivered, and for a standby whose leader lives; 1 when they are not, and 4 when nobody answers.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := config.LoadForOperator(*from)
			if err != nil {
				return err
			}
			return status(cmd.Context(), cmd.OutOrStdout(), cfg.Metrics.Listen, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// running is the document of `tlim status --json`: what /readyz answers, and which process that is.
type running struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	health
}

// status prints how the process is that listens on address.
func status(ctx context.Context, out io.Writer, address string, asJSON bool) error {
	r := running{}
	var err error
	if r.health, err = askReady(ctx, address); err != nil {
		return exitError{fmt.Errorf("no tlim answers on %s (metrics.listen): %w", address, err), exitSilent}
	}
	families, err := scrape(ctx, address)
	if err != nil {
		return exitError{err, exitSilent}
	}
	r.Version = labelOf(families["tlim_build_info"], "version")
	for _, m := range families["process_start_time_seconds"].GetMetric() {
		r.Started = time.UnixMilli(int64(m.GetGauge().GetValue() * 1000))
	}
	printed := r.print
	if asJSON {
		printed = func(out io.Writer) error { return printJSON(out, r) }
	}
	if err := printed(out); err != nil {
		return err
	}
	if !r.Ready && !r.standsBy() {
		return errors.New("not ready: messages are not taken, or not delivered")
	}
	return nil
}

// askReady asks /readyz, which answers with 503 and the same document when not all parts are ready.
func askReady(ctx context.Context, address string) (h health, err error) {
	ctx, cancel := context.WithTimeout(ctx, usageTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/readyz", nil)
	if err != nil {
		return h, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return h, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusServiceUnavailable {
		return h, fmt.Errorf("it answers %s", response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&h); err != nil {
		return h, fmt.Errorf("what it answers is not tlim's: %w", err)
	}
	if h.Component == "" {
		return h, errors.New("what it answers is not tlim's")
	}
	return h, nil
}

func labelOf(family *dto.MetricFamily, label string) string {
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				return l.GetValue()
			}
		}
	}
	return ""
}

// standsBy says that nothing is wrong with a process that serves nobody: it waits, its database answers and there is a leader.
func (r running) standsBy() bool {
	return r.Role == "standby" && r.Database.OK && r.Other != nil && r.Other.Alive
}

func (r running) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	word := "not ready"
	switch {
	case r.standsBy():
		word = "standing by"
	case r.Ready && r.Degraded:
		word = "ready, degraded"
	case r.Ready:
		word = "ready"
	}
	fmt.Fprintf(w, "status\t%s\n", word)
	if r.Role != "" {
		fmt.Fprintf(w, "role\t%s\n", r.Role)
	}
	if o := r.Other; o != nil {
		state := "alive"
		switch {
		case o.Alive:
		case r.Hindered != "":
			state = "not seen"
		default:
			state = "silent"
		}
		fmt.Fprintf(w, "%s\t%s, process %d, %s, tlim %s: %s\n", o.Role, o.Host, o.PID, o.Address, o.Version, state)
	}
	fmt.Fprintf(w, "component\t%s\n", r.Component)
	fmt.Fprintf(w, "version\t%s\n", r.Version)
	if !r.Started.IsZero() {
		fmt.Fprintf(w, "started\t%s, %s ago\n", r.Started.Format(time.RFC3339), time.Since(r.Started).Round(time.Second))
	}
	for _, p := range []struct {
		name  string
		state partState
	}{{"link", r.Link}, {"database", r.Database}, {"users", r.Users}, {"messages", r.Messages}} {
		text := p.state.State
		if text == "" && p.state.OK {
			text = "ok"
		}
		if p.state.Since != nil {
			text += " since " + p.state.Since.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\n", p.name, text)
	}
	for _, reason := range r.Reasons {
		fmt.Fprintf(w, "reason\t%s\n", reason)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(w, "warning\t%s\n", warning)
	}
	return w.Flush()
}
