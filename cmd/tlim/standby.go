package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/standby"
	"tlim/store"
	"tlim/store/blob"
)

// newRole makes what decides whether this process leads.
func (a *App) newRole(ctx context.Context, db *store.Store, blobs blob.Blobs) (*standby.Role, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	me := store.Leader{Process: blob.NewID(), Host: fit(host, 255), PID: int64(os.Getpid()), Version: fit(version(), 64), Address: fit(a.cfg.HTTP.Listen, 255),
		Domain: a.cfg.XMPP.Domain, Component: a.cfg.XMPP.Component, Standby: a.cfg.Standby.Enabled}
	if me.Standby {
		me.Marker = a.mark(ctx, blobs, me.Process)
	}
	cfg := standby.Config{Me: me, Store: db, Log: a.log, Fits: func(ctx context.Context, leader store.Leader) error { return a.fits(ctx, blobs, leader) }}
	if a.cfg.Standby.Enabled && db.File() == "" { // nobody stands by on a file, and a heartbeat would take turns with messages there
		cfg.Heart = db.NewHeart()
	}
	role := standby.New(cfg)
	return role, a.registerRole(role)
}

// fit is as much of a text as a column takes.
func fit(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}

// mark writes the file by which a standby sees that it has the same files. Where the store of files is away, the start goes on, as ever: nobody
// compares then.
func (a *App) mark(ctx context.Context, blobs blob.Blobs, process string) string {
	ctx, cancel := context.WithTimeout(ctx, markTime)
	defer cancel()
	id, err := blob.PutMarker(ctx, blobs, process)
	if err != nil {
		a.log.Error("standby.enabled: no marker can be written to the files, so that nobody can tell whether two processes share them", "error", err)
		return ""
	}
	a.onStop("marker", func(ctx context.Context) error {
		if err := blobs.Remove(ctx, id); err != nil { // it is a few bytes that stay
			a.log.Warn("the marker in the files was not removed", "file", id, "error", err)
		}
		return nil
	})
	return id
}

// markTime bounds the writing of the marker.
const markTime = 10 * time.Second

// fits says in words why this process could not go on where that leader ends.
func (a *App) fits(ctx context.Context, blobs blob.Blobs, leader store.Leader) error {
	who := fmt.Sprintf("the tlim that leads (%s, process %d, %s)", leader.Host, leader.PID, leader.Address)
	switch {
	case leader.Domain != a.cfg.XMPP.Domain:
		return &standby.RefusedError{Text: fmt.Sprintf("xmpp.domain: %s has %s, this one has %s; a standby needs the same configuration", who, leader.Domain, a.cfg.XMPP.Domain)}
	case leader.Component != a.cfg.XMPP.Component:
		return &standby.RefusedError{Text: fmt.Sprintf("xmpp.component: %s has %s, this one has %s; a standby needs the same configuration", who, leader.Component, a.cfg.XMPP.Component)}
	case !leader.Standby:
		return &standby.RefusedError{Text: fmt.Sprintf("standby.enabled: %s runs without it, and would take the database back at its next start; set it there as well, restart that one, then start this one", who)}
	case leader.Marker == "":
		a.log.Warn("the leader could write no marker to its files when it started; it is not known whether both have the same ones")
		return nil
	}
	err := blob.ReadMarker(ctx, blobs, leader.Marker, leader.Process)
	if errors.Is(err, blob.ErrNotFound) {
		key, remedy := "files.dir", "it has to be a folder that both machines share, or files have to lie in S3 (files.s3)"
		if a.cfg.Files.S3.Endpoint.Reveal() != "" {
			key, remedy = "files.s3", "both need the same endpoint and bucket"
		}
		return &standby.RefusedError{Text: fmt.Sprintf("%s: %s has other files than this one: its marker %s is not there; %s", key, who, leader.Marker, remedy)}
	}
	return err
}

// turned is the store, which is taken over as the role says.
type turned struct {
	*store.Store
	role *standby.Role
}

// TakeOver is the role's.
func (d turned) TakeOver(ctx context.Context) (store.State, error) { return d.role.TakeOver(ctx) }

// registerRole makes the metrics of the role.
func (a *App) registerRole(role *standby.Role) error {
	number := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	for _, g := range []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_leader", Help: "1 when this process leads, 0 while it stands by."},
			func() float64 { return number(role.Leading()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tlim_standby_seen", Help: "1 when this process leads and sees that another one stands by."},
			func() float64 { _, alive := role.Other(); return number(role.Leading() && alive) }),
	} {
		if err := a.registry.Register(g); err != nil {
			return err
		}
	}
	return nil
}

// standBy serves refusals until this process leads.
func (a *App) standBy(ctx context.Context) error {
	a.api.Stand(true)
	if err := a.startHTTP(); err != nil {
		return err
	}
	a.role.Listens(fit(a.HTTPAddr(), 255))
	if len(a.cfg.HTTP.Keys) == 0 {
		a.log.Warn("standby.enabled without http.keys: each machine has the admin key of its own http.key_file; copy that file, so that both take the same one", "http.key_file", a.cfg.HTTP.KeyFile)
	}
	close(a.waiting)
	if err := a.role.Await(ctx); err != nil {
		return err
	}
	if err := a.api.LoadKeys(ctx); err != nil { // what was read at the start may be old
		a.log.Warn("the keys of the HTTP API could not be read; they are read again in seconds", "error", err)
	}
	return nil
}

// Waiting tells that all is made and only the role is missing.
func (a *App) Waiting() <-chan struct{} { return a.waiting }

// roleState is the role as /readyz has it.
type roleState struct {
	Role  string     `json:"role"`            // leader, standby or starting
	Other *roleOther `json:"other,omitempty"` // of a standby the leader, of a leader the standby
}

// roleOther is the other process.
type roleOther struct {
	Role    string `json:"role"` // leader or standby
	Host    string `json:"host"`
	PID     int64  `json:"pid"`
	Address string `json:"address"` // of its HTTP API
	Version string `json:"version"`
	Alive   bool   `json:"alive"` // it has moved in the last seconds
}

// roleNow is the role of now.
func (a *App) roleNow() roleState {
	if !a.parts.Load() {
		return roleState{Role: "starting"}
	}
	s, others := roleState{Role: "standby"}, "leader"
	if !a.cfg.Standby.Enabled || a.role.Leading() {
		s.Role, others = "leader", "standby"
	}
	if other, alive := a.role.Other(); other.Process != "" && (alive || s.Role == "standby") {
		s.Other = &roleOther{Role: others, Host: other.Host, PID: other.PID, Address: other.Address, Version: other.Version, Alive: alive}
	}
	return s
}

// sentence says of a standby who leads.
func (s roleState) sentence() string {
	switch {
	case s.Other == nil:
		return "standby: no leader has told of itself yet"
	case !s.Other.Alive:
		return fmt.Sprintf("standby: %s (process %d, %s) led, and is silent", s.Other.Host, s.Other.PID, s.Other.Address)
	}
	return fmt.Sprintf("standby: %s (process %d, %s, tlim %s) leads", s.Other.Host, s.Other.PID, s.Other.Address, s.Other.Version)
}
