package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/standby"
	"tlim/component"
	"tlim/component/logged"
	"tlim/component/openfire"
	"tlim/component/pause"
	"tlim/component/stream"
	"tlim/component/tokens"
	"tlim/httpapi"
	"tlim/store"
	"tlim/store/blob"
)

// App is the whole product: the only place that knows every part. Make it with [New], then Start, then Stop; a part that
// ends by itself is reported by Failed.
type App struct {
	lifecycle
	cfg      config.Config
	from     config.Sources // of cfg
	log      *slog.Logger
	registry *prometheus.Registry

	// Set by Start before parts is, and not changed afterwards.
	store   *store.Store
	links   *stream.Links
	service interface{ Ready() error }
	api     *httpapi.API
	cert    *certificate // nil: plain HTTP
	users   string       // where they come from, in a word
	role    *standby.Role
	parts   atomic.Bool // the seven above are there
	waiting chan struct{}

	differs             atomic.Value // string: in what a standby's configuration is not the leader's
	httpAddr, adminAddr atomic.Value // string: where they listen in fact
	storeWait           atomic.Pointer[string]
	stopping            atomic.Bool
}

// New makes an App; nothing runs and nothing is opened yet.
func New(cfg config.Config, log *slog.Logger) *App {
	a := &App{lifecycle: newLifecycle(log), cfg: cfg, log: log, registry: prometheus.NewRegistry(), waiting: make(chan struct{})}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "tlim_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version()}})
	build.Set(1)
	a.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return a
}

// Start brings the parts up in order and returns when the API listens; the link to the server may come later, /readyz
// tells. It blocks while the database server cannot be reached, until ctx ends. After an error, Stop ends what was begun.
func (a *App) Start(ctx context.Context) error {
	// 1. for operators, so that they see what the rest waits for
	if err := a.startAdmin(a.health); err != nil {
		return err
	}
	if err := checkListen("http.listen", a.cfg.HTTP.Listen); err != nil {
		return err
	}
	// 2. the database
	db, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	a.onStop("database", func(context.Context) error { return db.Close() })
	if stored, err := db.State(ctx); err == nil { // else the parts find that the database went away
		if text := clockAhead(stored, time.Now()); text != "" {
			a.log.Error("the stored clock runs ahead of this machine's", "text", text)
		}
	}

	// 3. the parts
	in := &switchboard{}
	linkConfig, err := streamConfig(a.cfg, a.registry, a.log)
	if err != nil {
		return err
	}
	var links *stream.Links
	issuer := tokens.New(db, time.Duration(a.cfg.HTTP.TokenLife), nil)
	desk := tokens.NewDesk(issuer, a.cfg.XMPP.Domain, a.cfg.XMPP.Component, func(to string, b []byte) bool { return links.Answer(to, b) })
	answering := linkConfig // the copies' link answers nothing
	answering.IQ, answering.Features = desk.Question, tokens.Features()
	links = stream.New(answering, in)
	server := openfire.New(links, a.cfg.XMPP.Domain)
	people, err := openUsers(ctx, a.cfg.Directory, sourcesOf(db), a.log)
	if err != nil {
		return err
	}
	a.onStop("source of users", func(context.Context) error { return people.close() })
	blobs, closeFiles, err := openFiles(ctx, a.cfg.Files, a.log)
	if err != nil {
		return err
	}
	a.onStop("files", func(context.Context) error { return closeFiles() })
	role, err := a.newRole(ctx, db, blobs, links)
	if err != nil {
		return err
	}
	service, err := component.New(componentConfig(a.cfg), component.Deps{
		Store: turned{db, role}, Sender: links, Snapshots: snapshots{server}, Source: people.source, Imports: people.imports, Accounts: accountsOf(a.cfg, server), Finder: finder{server, a.cfg.XMPP.Domain},
		Files: blobs, Push: pushChannels(a.cfg), Events: eventsConfig(a.cfg), Registry: a.registry, Log: a.log,
	})
	if err != nil {
		return err
	}
	in.Handler = service
	callers := httpConfig(a.cfg)
	callers.Tokens = issuer
	callers.Files = fileConfig(a.cfg, blobs, db, a.log)
	if callers.Web, err = webConfig(a.cfg, passedConnections(a.cfg, descriptors())); err != nil {
		return err
	}
	watching, err := a.newConsole(ctx, db)
	if err != nil {
		return err
	}
	callers.Console, callers.Cleanup = watching, service.Cleaner()
	api, err := httpapi.New(callers, service, db, a.registry, a.log)
	if err != nil {
		return err
	}
	if err := api.LoadKeys(ctx); err != nil {
		return fmt.Errorf("keys of the HTTP API: %w", err)
	}
	var cert *certificate
	if files := a.cfg.HTTP.TLS; files.CertFile != "" {
		cert = &certificate{certFile: string(files.CertFile), keyFile: string(files.KeyFile)}
		if err := cert.load(); err != nil {
			return err
		}
	}
	a.store, a.links, a.service, a.api, a.cert, a.users = db, links, service, api, cert, people.from
	a.role = role
	a.parts.Store(true)

	// 4. the term of this process. It tells that it lives from the moment in which it leads.
	a.start(part{name: "look at the standby", run: role.Look})
	a.start(part{name: "heartbeat", run: role.Run, drain: role.Release}) // when all else has ended, another process may lead
	if a.cfg.Standby.Enabled {
		if err := a.standBy(ctx); err != nil {
			return err
		}
	}

	// 5. they run, and end in the reverse order: the conveyor before the link, so that its last copies and refusals still leave
	parts := []part{
		{name: "link", run: links.Run, drain: func(ctx context.Context) error { return flush(ctx, links) }},
	}
	for _, p := range service.Parts() { // the conveyor, and what works for it and beside it
		parts = append(parts, part{name: p.Name, run: p.Run})
	}
	parts = append(parts, []part{
		{name: "tokens", run: desk.Run},
		{name: "keys", run: api.WatchKeys},
		{name: "console", run: watching.Run},
		{name: "sweep of files", run: blob.NewSweeper(blobs, db.KnownFiles, a.log).Run},
	}...)
	if a.cfg.XMPP.Copies {
		linkConfig.First = func() string { // the copies are those of one node
			if status := links.Status(); status.Up {
				return status.Server
			}
			return ""
		}
		parts = append(parts, part{name: "packet copies", run: openfire.NewCopyLink(linkConfig, a.cfg.XMPP.CopiesMax, service).Run})
	}
	for _, p := range parts {
		a.start(p)
	}
	// 6. callers
	if a.cfg.Standby.Enabled {
		a.first("HTTP")
		a.api.Stand(false)
		return nil
	}
	return a.startHTTP()
}

// Failed tells of a part that ended by itself: there is nothing left to do but to stop. store.ErrFenced says that another
// process owns the database now.
func (a *App) Failed() <-chan error { return a.failed }

// Stop ends the product in order: no more calls, what was accepted is finished while what still comes is refused with
// error-013, the buffers leave, the stream is closed, then the database. It takes at most limit and a little, and may be
// called at any time and again.
func (a *App) Stop(limit time.Duration) error {
	a.stopping.Store(true)
	return a.stop(limit)
}

// Reload takes new keys of the HTTP API and the certificate from its files. On an error the old ones stay.
func (a *App) Reload(cfg config.Config) error {
	if !a.parts.Load() {
		return errors.New("not started yet")
	}
	err := a.api.ReloadKeys(httpKeys(cfg.HTTP))
	if a.cert != nil {
		err = errors.Join(err, a.cert.load())
	}
	return err
}

// flush waits until what was queued for the server has left.
func flush(ctx context.Context, links *stream.Links) error {
	if err := links.Flushed(ctx); !errors.Is(err, stream.ErrDown) {
		return err
	}
	return nil // there is no link to write to; the next start delivers again
}

// openStore waits for a database server that cannot be reached or does not answer, because one that boots later is no mistake; all else (a wrong
// password, missing tables) is for an administrator to mend, at once.
func (a *App) openStore(ctx context.Context) (*store.Store, error) {
	const maxWait = 5 * time.Second
	health := logged.Health{Failing: "waiting for the database", Again: "the database is there"}
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, maxWait) {
		db, err := store.Open(ctx, storeConfig(a.cfg, a.log))
		if err == nil {
			a.storeWait.Store(nil)
			health.Note(a.log, nil)
			return db, nil
		}
		var network *net.OpError
		reached := !errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, store.ErrNoNode)
		if ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) || reached {
			return nil, err
		}
		text := err.Error()
		a.storeWait.Store(&text)
		health.Note(a.log, err)
		if pause.For(ctx, wait) != nil {
			return nil, err
		}
	}
}

// HTTPAddr is where the API listens; "" before the start.
func (a *App) HTTPAddr() string { return loadString(&a.httpAddr) }

// AdminAddr is where metrics and readiness are served; "" before the start.
func (a *App) AdminAddr() string { return loadString(&a.adminAddr) }

func loadString(v *atomic.Value) string {
	text, _ := v.Load().(string)
	return text
}
