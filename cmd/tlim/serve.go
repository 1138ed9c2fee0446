package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/standby"
	"tlim/store"
)

func serveCommand(from *config.Sources) *cobra.Command {
	how := shadowing{}
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run the component and the HTTP API until SIGTERM or SIGINT",
		Long: "Run the component and the HTTP API until SIGTERM or SIGINT: what was accepted is then finished, for at most shutdown_timeout; " +
			"a second signal aborts. SIGHUP reads the keys of the HTTP API and its certificate again. " +
			"With --shadow it runs beside the old plugin instead, compares what that stores with what tlim would have stored, and writes and sends nothing: " +
			"the exit code is 1 when a difference is unexplained.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			notified, done := make(chan os.Signal, signalRoom), make(chan struct{})
			signal.Notify(notified, syscall.SIGTERM, syscall.SIGINT)
			if how.on {
				signal.Ignore(syscall.SIGHUP) // there is nothing to be read again
			} else {
				signal.Notify(notified, syscall.SIGHUP)
			}
			defer signal.Stop(notified)
			defer close(done)
			signals := withoutEchoes(notified, done)
			if err := how.problem(); err != nil {
				return err
			}
			return asService(notified, cmd.ErrOrStderr(), func(stderr io.Writer) error {
				if how.on {
					return serveShadow(*from, cmd.OutOrStdout(), stderr, signals, how)
				}
				return serve(*from, stderr, signals)
			})
		},
	}
	command.Flags().BoolVar(&how.on, "shadow", false, "compare with the running old plugin by packet copies; write and send nothing")
	command.Flags().BoolVar(&how.asJSON, "json", false, "of a shadow run: print the last report as JSON")
	command.Flags().DurationVar(&how.every, "report", shadowEvery, "of a shadow run: how often the log has a report")
	return command
}

// signalRoom holds the signals that come while one is acted upon; more of the same say nothing new.
const signalRoom = 8

// fencedStop is the time for closing sockets once another process owns the database: nothing is left to be finished.
const fencedStop = 2 * time.Second

// handOverStop is the time for an orderly end without a link: nothing more leaves, and clients wait for the next leader.
const handOverStop = 5 * time.Second

// errAborted is the end by a second signal.
var errAborted = exitError{errors.New("aborted by a second signal; what was not finished comes again at the next start"), exitAbort}

// serve runs the product until a signal or a fatal fault.
func serve(from config.Sources, stderr io.Writer, signals <-chan os.Signal) error {
	cfg, path, err := config.Load(from)
	if err != nil {
		_, unread := problemsOf(err)
		return cmp.Or(unread, err)
	}
	log := newLogger(stderr, cfg.Log)
	systemd := newSupervisor(log)
	app := New(cfg, log)
	app.from = from
	app.start(part{name: "watchdog", run: func(ctx context.Context) error { systemd.watch(ctx, app.alive); return nil }}) // first in, so last out

	// 1. start, which a signal ends
	log.Info("starting", "version", version(), "configuration", named(path), "component", cfg.XMPP.Component, "server", cfg.XMPP.Server,
		"database", cfg.Store.DSN)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan error, 1) // Start's one result
	go func() { started <- app.Start(ctx) }()

	// 2. run
	limit, waiting := time.Duration(cfg.ShutdownTimeout), app.Waiting()
	for {
		select {
		case err := <-started:
			if refused := new(standby.RefusedError); errors.As(err, &refused) {
				return errors.Join(exitError{refused, exitUsage}, app.Stop(limit))
			}
			if err != nil {
				return errors.Join(err, app.Stop(limit))
			}
			started = nil
			log.Info("started", "http", app.HTTPAddr(), "metrics", app.AdminAddr())
			systemd.ready()
		case <-waiting:
			waiting = nil
			log.Info("standing by until the leader ends or is silent", "http", app.HTTPAddr(), "metrics", app.AdminAddr())
			systemd.ready()
		case err := <-app.Failed():
			return failed(app, log, err, limit)
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				reload(app, from, log)
				continue
			}
			log.Info("stopping", "signal", sig.String(), "within", limit)
			systemd.stopping(limit)
			cancel()
			return stopping(app, log, signals, limit)
		}
	}
}

// failed ends a product of which a part has ended by itself.
func failed(app *App, log *slog.Logger, cause error, limit time.Duration) error {
	deposed := errors.Is(cause, store.ErrFenced)
	if app.cfg.Standby.Enabled && (deposed || errors.Is(cause, standby.ErrGivenUp)) {
		err := errors.New("another process leads now; this one stopped at once and writes nothing more. Started again, it stands by")
		if !deposed {
			err = fmt.Errorf("this process gives its place up: %w. Started again, it stands by", cause)
		}
		log.Error(err.Error())
		_ = app.Stop(fencedStop) // what could not be finished is the other process's to deliver
		return exitError{err, exitDeposed}
	}
	if errors.Is(cause, standby.ErrHandedOver) {
		err := fmt.Errorf("this process hands over: %w. Started again, it stands by", cause)
		log.Error(err.Error())
		return exitError{errors.Join(err, app.Stop(min(limit, handOverStop))), exitDeposed}
	}
	if deposed {
		err := errors.New("another process has taken the database over; this one stopped at once and writes nothing more")
		log.Error(err.Error(), "remedy", "run one tlim per database, or stop the other one first")
		_ = app.Stop(fencedStop) // what could not be finished is the other process's to deliver
		return exitError{err, exitFenced}
	}
	log.Error("a part failed; stopping", "error", cause)
	return errors.Join(cause, app.Stop(limit))
}

// stopping stops in order unless a second signal comes.
func stopping(app *App, log *slog.Logger, signals <-chan os.Signal, limit time.Duration) error {
	begin := time.Now()
	done := make(chan error, 1) // Stop's one result; nobody takes it after a second signal
	go func() { done <- app.Stop(limit) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("the stop was not complete; what is missing comes again at the next start: %w", err)
			}
			log.Info("stopped", "after", time.Since(begin).Round(time.Millisecond))
			return nil
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return errAborted
			}
		}
	}
}

// reload reads the configuration again for what can change while running.
func reload(app *App, from config.Sources, log *slog.Logger) {
	cfg, _, err := config.Load(from)
	if err == nil {
		err = app.Reload(cfg)
	}
	if err != nil {
		log.Error("the keys were not read again; the old ones stay", "error", err)
		return
	}
	log.Info("HTTP keys and certificate were read again; other changes take a restart", "keys", len(cfg.HTTP.Keys))
}
