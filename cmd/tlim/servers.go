package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/config"
)

// startAdmin serves operators; ready is the answer of /readyz.
func (a *App) startAdmin(ready func(context.Context) health) error {
	listener, err := listen("metrics.listen", a.cfg.Metrics.Listen)
	if err != nil {
		return err
	}
	a.adminAddr.Store(listener.Addr().String())
	server := &http.Server{Handler: adminHandler(a.registry, ready, a.cfg.HTTP.Language), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	limited := limit(listener, maxAdminConnections, maxAdminConnections)
	server.ConnState = limited.state
	a.serve("metrics", server, limited, 0)
	if !loopback(listener.Addr()) {
		a.log.Warn("metrics and profiles are served beyond this host, without keys", "metrics.listen", listener.Addr().String())
	}
	return nil
}

// startHTTP serves callers of the API.
func (a *App) startHTTP() error {
	listener, err := listen("http.listen", a.cfg.HTTP.Listen)
	if err != nil {
		return err
	}
	a.httpAddr.Store(listener.Addr().String())
	allowed := descriptors()
	maxOpen, enough := httpConnections(a.cfg, allowed)
	if !enough {
		a.log.Warn("the process may have few open files: HTTP connections can take those of the database", "limit", allowed, "connections", maxOpen,
			"remedy", "raise LimitNOFILE of the unit, or ulimit -n, to 4096 or more; or lower store.max_open")
	}
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "tlim_http_connections_refused_total",
		Help: "Connections to the API that were closed at once because their address had its part."})
	if err := a.registry.Register(refused); err != nil {
		return err
	}
	limited := limit(listener, maxOpen, maxOpen/2)
	limited.shared, limited.refused = trusted(a.cfg.HTTP.TrustedProxies), refused.Inc
	server := a.api.Server()
	server.ConnState = limited.state
	listener = limited
	if a.cert != nil {
		listener = tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.cert.get, NextProtos: []string{"h2", "http/1.1"}})
	} else if !loopback(limited.Addr()) {
		a.log.Warn("the HTTP API is served beyond this host without TLS: its keys can be read on the way", "http.listen", listener.Addr().String())
	}
	// A caller that takes its answer slowly may cost a quarter of the time for the stop, the conveyor needs the rest.
	a.serve("HTTP", server, listener, time.Duration(a.cfg.ShutdownTimeout)/4)
	return nil
}

// trusted says whether an address is a proxy's.
func trusted(proxies []config.CIDR) func(netip.Addr) bool {
	return func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(c config.CIDR) bool { return c.Contains(addr) })
	}
}

// serve answers on listener until the stop, and then waits patience for the calls under way.
func (a *App) serve(name string, server *http.Server, listener net.Listener, patience time.Duration) {
	run := func(context.Context) error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	a.start(part{name: name, run: run, drain: func(ctx context.Context) error {
		patient, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		err := server.Shutdown(patient)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			err = server.Close() // who has not taken the answer by now loses it
		}
		return err
	}})
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// certificate is the API's, read again by Reload.
type certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("http.tls: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}
