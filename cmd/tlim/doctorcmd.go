package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/doctor"
	"tlim/component/push"
	"tlim/component/stream"
	"tlim/httpapi"
)

func doctorCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Check Openfire, database and host, and say of each fault what to do",
		Long: "Check Openfire's settings, the database and this host, and print a line for each check: ok, warning or failure with the remedy, or skipped " +
			"and why. It changes nothing, works beside a process that serves, and ends within 30 seconds. The exit code is 0 when there is no failure, else 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return examine(cmd.Context(), cmd.OutOrStdout(), *from, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// examine makes all checks and prints what they found.
func examine(ctx context.Context, out io.Writer, from config.Sources, asJSON bool) error {
	cfg, path, err := config.LoadForOperator(from)
	problems, unread := problemsOf(err)
	if unread != nil {
		return unread
	}
	report, err := diagnosed(ctx, cfg, path, problems)
	if cfg.HTTP.Language != httpapi.English {
		report = report.InChinese()
	}
	printed := report.Print
	if asJSON {
		printed = func(out io.Writer) error { return printJSON(out, report) }
	}
	if err := errors.Join(printed(out), err); err != nil {
		return err
	}
	if len(problems) > 0 {
		return exitError{errors.New("the configuration is wrong, so nothing else was looked at"), exitUsage}
	}
	if report.Failures > 0 {
		return fmt.Errorf("%d of %d checks failed", report.Failures, len(report.Checks))
	}
	return nil
}

// diagnosed makes all checks of a configuration that was read from path, with problems.
func diagnosed(ctx context.Context, cfg config.Config, path string, problems config.Problems) (doctor.Report, error) {
	quiet := slog.New(slog.DiscardHandler)
	site := &doctor.Site{
		Config: cfg, File: path, Places: config.Places(), Problems: problems, Store: storeConfig(cfg, quiet), Metrics: "http://" + reachable(cfg.Metrics.Listen),
		Link:       func() (stream.Config, error) { return streamConfig(cfg, nil, quiet) },
		PageTLS:    func() (*tls.Config, error) { return pageTLS(cfg) },
		ClockAhead: clockAhead, CanListen: checkListen,
		Keyless: func(ctx context.Context) ([]string, error) { return keyless(ctx, cfg.Metrics.Listen) },
		PushKey: func(ctx context.Context) error {
			j := cfg.Push.JPush
			return push.NewJPush(push.JPushConfig{AppKey: j.AppKey.Reveal(), MasterSecret: j.MasterSecret.Reveal(), BaseURL: j.BaseURL.Reveal()}).Check(ctx)
		},
	}
	for _, host := range cfg.XMPP.Server.Hosts() {
		site.Consoles = append(site.Consoles, net.JoinHostPort(host, "9090"), net.JoinHostPort(host, consolePort))
	}
	results := doctor.Run(ctx, site.Checks())
	return doctor.Conclude(version(), site.Serving(), results), site.Close()
}
