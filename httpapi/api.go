package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tlim/httpapi/web"
	"tlim/store"
)

// API is the HTTP API. It is safe for concurrent use.
type API struct {
	cfg     Config
	svc     Service
	reads   Reads
	admin   Audited
	watched Watched
	begun   time.Time
	log     *slog.Logger

	keys       keys
	refusals   *rates   // of changes by administrators, as far as they are written down
	reminding  sync.Map // call_ids of notices whose receivers are being reminded
	calls      shares   // of each payer, all kinds of calls together
	inflight   *pool    // one slot per request in a handler, Limits.Inflight of them; full: 503
	transfers  *pool    // one slot per file transfer, Files.Transfers of them; full: 503
	bodies     *pool    // one slot per body that is more than a few bytes and comes from no key, maxBodies of them; full: 503
	large      shares   // of each payer, large answers that are being written
	turns      shares   // of each payer, to change something
	rates      *rates   // calls, by user
	uploads    *rates   // bytes, by payer
	metrics    *metrics
	keyless    *keyless
	handler    http.Handler
	unstored   atomic.Bool // the last file could not be stored
	quotas     quotas
	full       atomic.Bool   // the last look found less than Files.MinFree
	lingerers  *pool         // connections whose body is read on after its answer
	standing   atomic.Bool   // this process stands by, see Stand
	stopping   atomic.Bool   // nobody is read on any more
	shrinking  chan struct{} // one slot: a small picture is being made
	thumbnails *lru.Cache[thumbnailKey, thumbnail]
	unshrunk   *lru.Cache[string, struct{}] // files of which no small picture can be made
	proxy      *web.Proxy                   // nil: no page is served

	ownHosts                     []string // names for which calls without a key are taken, see [Config].Hosts
	refusedHosts, refusedOrigins firsts   // of calls without a key, as far as they are logged

	countWait time.Duration                       // for a count of what a clean-up would remove
	secret    func(store.Key) (store.Key, string) // tests: what is made instead of a fresh secret; nil otherwise
	asked     func(endpoint, parameter string)    // tests: hears what handlers read; nil otherwise
}

// New makes the API. With no key configured it reads the admin key of cfg.KeyFile, or makes one. The error names everything
// that is wrong with cfg.
func New(cfg Config, svc Service, db Database, reg prometheus.Registerer, log *slog.Logger) (*API, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &API{cfg: cfg, svc: svc, reads: db, admin: db, watched: db, begun: cfg.Clock(), log: log, refusals: newRates(refusalRate, 1), countWait: shortCount, inflight: newPool(cfg.Limits.Inflight),
		transfers: newPool(cfg.Files.Transfers), bodies: newPool(maxBodies), rates: userRates(cfg.UserRate), uploads: newRates(maxUploadRate, maxUploadRate),
		ownHosts: ownHosts(cfg), lingerers: newPool(maxLingering), shrinking: make(chan struct{}, 1)}
	if a.thumbnails, err = lru.New[thumbnailKey, thumbnail](maxKeptThumbnails); err != nil {
		return nil, err
	}
	if a.unshrunk, err = lru.New[string, struct{}](maxKeptFailures); err != nil {
		return nil, err
	}
	if err := a.ReloadKeys(cfg.Keys); err != nil {
		return nil, err
	}
	if a.metrics, err = newMetrics(reg); err != nil {
		return nil, fmt.Errorf("http metrics: %w", err)
	}
	if a.keyless, err = newKeyless(reg); err != nil {
		return nil, fmt.Errorf("http metrics: %w", err)
	}
	if cfg.AllowAnonymous != AnonymousNone {
		log.Warn("HTTP calls without a key are allowed", "allow_anonymous", string(cfg.AllowAnonymous), "allow_from", fmt.Sprint(cfg.AllowFrom),
			"hosts", strings.Join(append([]string{"IP addresses", "localhost"}, a.ownHosts...), ", "))
		if slices.Contains(cfg.CORSOrigins, "*") {
			log.Warn("with calls without a key, * in http.cors_origins stands for no origin: name those of this site's pages there")
		}
	}
	served, err := a.mount()
	if err != nil {
		return nil, err
	}
	answering := served.handler(a.refusing(&failure{status: http.StatusNotFound, result: resultFail, text: textNoPath}))
	answering = a.unlessStanding(answering)
	if cfg.AccessLog {
		answering = a.logged(answering)
	}
	a.handler = a.lingering(answering)
	return a, nil
}

// Handler serves the API. It sets deadlines of its own on bodies and answers; the head of a request and idle connections
// are the server's to limit, see [API.Server].
func (a *API) Handler() http.Handler { return a.handler }

// Server returns a server for [API.Handler] with the limits that only a server can enforce. Serving and stopping it is the
// caller's.
func (a *API) Server() *http.Server {
	server := &http.Server{
		Handler:           a.handler,
		ReadHeaderTimeout: a.cfg.Limits.HeadTime,
		IdleTimeout:       a.cfg.Limits.IdleTime,
		MaxHeaderBytes:    a.cfg.Limits.Header,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // what strangers send is no event
	}
	server.RegisterOnShutdown(func() {
		a.stopping.Store(true)
		if a.proxy != nil {
			a.proxy.Stop()
		}
	})
	return server
}
