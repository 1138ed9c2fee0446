package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/shadow"
	"tlim/component"
	"tlim/component/openfire"
	"tlim/store"
)

// shadowing is what the command line says of a shadow run.
type shadowing struct {
	on     bool
	asJSON bool
	every  time.Duration // between two reports
}

// problem says what of the command line does not fit together.
func (s shadowing) problem() error {
	switch {
	case !s.on && (s.asJSON || s.every != shadowEvery):
		return exitError{errors.New("--json and --report are for a shadow run: add --shadow"), exitUsage}
	case s.on && s.every < time.Second:
		return exitError{errors.New("--report: at least 1s"), exitUsage}
	}
	return nil
}

// shadowEvery is how often a shadow run reports.
const shadowEvery = time.Minute

// shadowWarning is the first line of a shadow run.
const shadowWarning = "shadow run: packet copies load the server, which loses them without a sign above about 300 messages a second in all; " +
	"nothing is written into the database, and nothing is sent to anybody but questions to the server itself"

// shadowConfig is the configuration with what a shadow run takes otherwise, and says what that is.
func shadowConfig(cfg config.Config) (config.Config, []string) {
	var told []string
	take := func(differs bool, what string) {
		if differs {
			told = append(told, what)
		}
	}
	take(!bool(cfg.XMPP.Copies), "xmpp.copies: on")
	take(cfg.Store.Migrate != store.MigrateOff, "store.migrate: off, no table or column is made")
	take(cfg.Offline.Confirm != component.ConfirmByPresence, "offline.confirm: presence, because nothing is sent that a phone could confirm")
	take(cfg.Limits.PerUserRate != 0, "limits.per_user_rate: 0, because copies come in bursts")
	take(cfg.Receipts.Server != component.AcknowledgementsNever, "receipts.server: never")
	take(true, "http.listen: not opened, there is no API")
	take(cfg.Push.JPush.Enabled || cfg.Push.Webhook.URL.Reveal() != "", "push: nobody is pushed")
	take(cfg.Directory.CreateAccounts || cfg.Directory.RemoveAccounts, "directory.create_accounts and remove_accounts: false")
	take(cfg.Cleanup.Enabled, "cleanup.enabled: false")
	take(cfg.XMPP.Connections > 1 || bool(cfg.XMPP.Multicast), "xmpp.connections: the copies' link alone")
	cfg.XMPP.Copies, cfg.XMPP.Connections, cfg.XMPP.Multicast = true, 1, false
	cfg.Store.Migrate, cfg.Offline.Confirm, cfg.Limits.PerUserRate = store.MigrateOff, component.ConfirmByPresence, 0
	cfg.Receipts.Server = component.AcknowledgementsNever
	cfg.Push.JPush.Enabled = false
	cfg.Directory.CreateAccounts, cfg.Directory.RemoveAccounts = false, false
	cfg.Cleanup.Enabled = false
	return cfg, told
}

// shadowRun is a shadow run: tlim's service on packet copies, a scratch database and a sender that sends nothing.
type shadowRun struct {
	*App // of which only what operators see and the lifecycle are used
	site *store.Examination
	link *openfire.CopyLink

	comparison *shadow.Comparison
	ready      atomic.Bool // the parts are there
}

// serveShadow compares until a signal, and prints what was found.
func serveShadow(from config.Sources, stdout, stderr io.Writer, signals <-chan os.Signal, how shadowing) error {
	cfg, path, err := config.Load(from)
	if err != nil {
		_, unread := problemsOf(err)
		return cmp.Or(unread, err)
	}
	log := newLogger(stderr, cfg.Log)
	log.Warn(shadowWarning)
	cfg, taken := shadowConfig(cfg)
	log.Info("starting a shadow run", "version", version(), "configuration", named(path), "server", cfg.XMPP.Server, "database", cfg.Store.DSN,
		"taken otherwise than configured", strings.Join(taken, "; "))
	run := &shadowRun{App: New(cfg, log)}
	systemd := newSupervisor(log)
	run.start(part{name: "watchdog", run: func(ctx context.Context) error { systemd.watch(ctx, run.status); return nil }})
	limit := time.Duration(cfg.ShutdownTimeout)

	// 1. start, which a signal ends
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := make(chan error, 1) // one result
	go func() { started <- run.begin(ctx) }()
	select {
	case err := <-started:
		if err != nil {
			return errors.Join(err, run.Stop(limit))
		}
	case <-signals:
		cancel()
		<-started
		return run.Stop(limit)
	}
	log.Info("started", "metrics", run.AdminAddr())
	systemd.ready()

	// 2. compare
	looking, stopLooking := context.WithCancel(ctx)
	looked := make(chan error, 1) // one result
	go func() {
		looked <- run.comparison.Run(looking, how.every, func(r shadow.Report) { tellShadow(log, r) })
	}()
	failed := error(nil)
	select {
	case failed = <-run.Failed():
		log.Error("a part failed; stopping", "error", failed)
	case <-signals:
	}
	stopLooking()
	lookErr := <-looked

	// 3. the last word, for which copies and rows of what was sent until now are waited for
	log.Info("stopping: waiting for the last copies, and for the plugin's rows; a second signal ends that at once")
	systemd.stopping(limit + shadow.FinishTime)
	why := run.linkText()
	last := make(chan shadow.Report, 1) // one result
	go func() { last <- run.comparison.Finish(ctx) }()
	var report shadow.Report
	select {
	case report = <-last:
	case <-signals:
		cancel()
		report = <-last
	}
	err = errors.Join(failed, lookErr, run.Stop(limit))
	printed := report.Print
	if how.asJSON {
		printed = func(out io.Writer) error { return printJSON(out, report) }
	}
	if err = errors.Join(err, printed(stdout)); err != nil {
		return err
	}
	if report.Began.IsZero() {
		return fmt.Errorf("nothing was compared: no packet copies came (%s)", why)
	}
	if report.Unexplained > 0 {
		return fmt.Errorf("%d differences are unexplained", report.Unexplained)
	}
	return nil
}

func tellShadow(log *slog.Logger, r shadow.Report) {
	log.Info("compared until now", "messages", r.Messages.Compared, "same", r.Messages.Same, "offline_messages", r.OfflineMessages.Compared,
		"offline_same", r.OfflineMessages.Same, "unexplained", r.Unexplained, "explained", r.Explained, "missing_in_table", r.MissingInTable,
		"missing_among_copies", r.MissingAmongCopies, "not_compared", r.NotCompared, "waiting", r.Waiting)
}

// begin opens and starts all parts.
func (s *shadowRun) begin(ctx context.Context) error {
	if err := s.startAdmin(s.health); err != nil {
		return err
	}
	// 1. the site's database, which is only read, and the scratch one
	site, err := store.Examine(ctx, storeConfig(s.cfg, s.log))
	if err != nil {
		return err
	}
	s.onStop("database", func(context.Context) error { return site.Close() })
	if err := site.Observable(ctx); err != nil {
		return fmt.Errorf("a shadow run compares with the old plugin's tables: %w", err)
	}
	if site.Adopted() {
		s.log.Warn("a tlim has had these tables before: while one serves on them, its rows are compared too")
	}
	if slow := site.Unindexed(); len(slow) > 0 {
		s.log.Warn("columns have no index: each look at the rows, one a second while messages come, reads a whole table, as the plugin does for each message",
			"columns", strings.Join(slow, ", "))
	}
	scratch, err := s.openScratch(ctx)
	if err != nil {
		return err
	}

	// 2. the parts
	linkConfig, err := streamConfig(s.cfg, s.registry, s.log)
	if err != nil {
		return err
	}
	people, err := openUsers(ctx, s.cfg.Directory, site.Source, s.log)
	if err != nil {
		return err
	}
	s.onStop("source of users", func(context.Context) error { return people.close() })
	deps := component.Deps{Sender: shadow.Sender{}, Registry: s.registry, Log: s.log}
	if people.source != nil {
		deps.Source = shadow.Users{From: people.source}
	}
	if people.imports != nil {
		deps.Imports = shadow.Users{From: people.imports}
	}
	asker := &latelink{}
	presence := shadow.NewPresence(snapshots{openfire.New(asker, s.cfg.XMPP.Domain)}, time.Now)
	comparison := shadow.New(site, presence, shadow.NewMetrics(s.registry), s.log, time.Now)
	deps.Store, deps.Snapshots, deps.Judged = shadow.NewDatabase(scratch, site, comparison), presence, comparison.Judged
	service, err := component.New(componentConfig(s.cfg), deps)
	if err != nil {
		return err
	}
	comparison.Follow(service)
	link := openfire.NewCopyLink(linkConfig, s.cfg.XMPP.CopiesMax, service)
	link.Watch(comparison)
	asker.CopyLink = link
	s.site, s.link, s.comparison = site, link, comparison

	// 3. they run
	for _, p := range service.Parts() {
		s.start(part{name: p.Name, run: p.Run})
	}
	s.start(part{name: "packet copies", run: link.Run})
	s.ready.Store(true)
	return nil
}

// latelink asks on a link that is made after who asks.
type latelink struct{ *openfire.CopyLink }

// openScratch makes the database into which the service writes, in a folder that goes with the process.
func (s *shadowRun) openScratch(ctx context.Context) (*store.Store, error) {
	dir, err := os.MkdirTemp("", "tlim-shadow-")
	if err != nil {
		return nil, fmt.Errorf("a folder for what would be written: %w", err)
	}
	s.onStop("scratch folder", func(context.Context) error { return os.RemoveAll(dir) })
	scratch, err := store.Open(ctx, store.Config{Driver: "sqlite", DSN: filepath.Join(dir, "scratch.db"), Migrate: store.MigrateAuto,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	s.onStop("scratch database", func(context.Context) error { return scratch.Close() })
	return scratch, nil
}

// health is ready while copies come.
func (s *shadowRun) health(context.Context) (h health) {
	defer h.conclude()
	h.Component = s.cfg.XMPP.Component
	if !s.ready.Load() {
		h.Link, h.Database, h.Users, h.Messages = partState{State: "starting", Text: "starting"}, partState{State: "starting"}, partState{State: "starting"}, partState{State: "starting"}
		return h
	}
	h.Database, h.Users = partState{OK: true, State: "shadow"}, partState{OK: true, State: "shadow"}
	h.Messages = partState{OK: true, State: "shadow"}
	if !s.comparison.Linked() {
		h.Link = partState{State: "waiting", Text: "copies: " + s.linkText()}
		return h
	}
	h.Link = partState{OK: true, State: "up"}
	return h
}

func (s *shadowRun) linkText() string {
	status, known := s.link.Status()
	switch {
	case !known:
		return "the link is closed"
	case status.Up:
		return "the server has not begun to send them"
	}
	return status.Text
}

// status is the line of `systemctl status`.
func (s *shadowRun) status() string {
	switch {
	case !s.ready.Load():
		return "starting a shadow run"
	case !s.comparison.Linked():
		return "shadow run: " + s.linkText()
	}
	report := s.comparison.Report(false)
	return fmt.Sprintf("shadow run: %d messages compared, %d differences unexplained", report.Messages.Compared, report.Unexplained)
}
