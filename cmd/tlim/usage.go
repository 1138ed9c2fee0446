package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
)

func keysCommand(from *config.Sources) *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Who may call the HTTP API, and who does",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var asJSON bool
	usage := &cobra.Command{
		Use:   "usage",
		Short: "Count the calls of each key since the process started, and name who still calls without one",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := config.LoadForOperator(*from)
			if err != nil {
				return err
			}
			return keysUsage(cmd.Context(), cmd.OutOrStdout(), cfg.Metrics.Listen, asJSON)
		},
	}
	usage.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	keys.AddCommand(usage, keysNewCommand(from), keysListCommand(from), keysEndCommand(from))
	return keys
}

// usageTime bounds the question to the process that serves.
const usageTime = 10 * time.Second

// keysUsage prints what the process that listens on address counted.
func keysUsage(ctx context.Context, out io.Writer, address string, asJSON bool) error {
	families, err := scrape(ctx, address)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(out, struct {
			Calls   []map[string]any `json:"calls"`
			Without []map[string]any `json:"without_key"`
		}{counts(families["tlim_http_requests_total"], "caller", "endpoint", "status"), counts(families["tlim_http_keyless_total"], "address", "endpoint", "allowed")})
	}
	return printUsage(out, families)
}

// scrape asks the metrics of the process that listens on address.
func scrape(ctx context.Context, address string) (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(ctx, usageTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("does tlim serve run, with this metrics.listen? %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics.listen: %s answers %s", address, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("metrics.listen: what %s answers are no metrics: %w", address, err)
	}
	return families, nil
}

// keyless names who called without a key: address, endpoint and how often.
func keyless(ctx context.Context, address string) (callers []string, err error) {
	families, err := scrape(ctx, address)
	for _, row := range counted(families["tlim_http_keyless_total"], "address", "endpoint") {
		callers = append(callers, strings.ReplaceAll(row, "\t", " "))
	}
	return callers, err
}

// reachable is where something that listens on address is reached from this host.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// printUsage writes two tables: by key, and by address without a key.
func printUsage(out io.Writer, families map[string]*dto.MetricFamily) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CALLER\tENDPOINT\tSTATUS\tCALLS")
	for _, row := range counted(families["tlim_http_requests_total"], "caller", "endpoint", "status") {
		fmt.Fprintln(w, row)
	}
	without := counted(families["tlim_http_keyless_total"], "address", "endpoint", "allowed")
	if len(without) == 0 {
		fmt.Fprintln(w, "\nnobody called without a key")
		return w.Flush()
	}
	fmt.Fprintln(w, "\nWITHOUT A KEY, FROM\tENDPOINT\tALLOWED\tCALLS")
	for _, row := range without {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

// series is one of a counter, with the values of the labels that were asked for.
type series struct {
	labels []string
	value  float64
}

// sorted lists a counter's series by these labels.
func sorted(family *dto.MetricFamily, labels ...string) []series {
	var rows []series
	for _, m := range family.GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		r := series{value: m.GetCounter().GetValue()}
		for _, name := range labels {
			r.labels = append(r.labels, have[name])
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b series) int {
		return cmp.Or(cmp.Compare(a.labels[0], b.labels[0]), cmp.Compare(b.value, a.value), slices.Compare(a.labels, b.labels))
	})
	return rows
}

// counted are lines with tabs.
func counted(family *dto.MetricFamily, labels ...string) []string {
	rows := sorted(family, labels...)
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = fmt.Sprintf("%s\t%.0f", strings.Join(r.labels, "\t"), r.value)
	}
	return lines
}

// counts are rows of JSON: the labels by name, and the calls.
func counts(family *dto.MetricFamily, labels ...string) []map[string]any {
	list := []map[string]any{}
	for _, r := range sorted(family, labels...) {
		row := map[string]any{"calls": int64(r.value)}
		for i, name := range labels {
			row[name] = r.labels[i]
		}
		list = append(list, row)
	}
	return list
}
