package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/cmd/tlim/standby"
	"tlim/component/stream"
	"tlim/store"
	"tlim/store/blob"
)

// newRole makes what decides whether this process leads.
func (a *App) newRole(ctx context.Context, db *store.Store, blobs blob.Blobs, links *stream.Links) (*standby.Role, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	me := store.Leader{Process: blob.NewID(), Host: fit(host, 255), PID: int64(os.Getpid()), Version: fit(version(), 64), Address: fit(a.cfg.HTTP.Listen, 255),
		Domain: a.cfg.XMPP.Domain, Component: a.cfg.XMPP.Component, Standby: a.cfg.Standby.Enabled}
	me.Settings = a.cfg.Digests(me.Process)
	shared := &sharedFiles{app: a, blobs: blobs, process: me.Process}
	if me.Standby {
		if err := shared.claim(ctx, db); err != nil {
			return nil, err
		}
		me.Marker = shared.mark(ctx)
		a.onStop("marker", shared.unmark)
	}
	cfg := standby.Config{Me: me, Store: db, Log: a.log, Sees: shared.sees, Cut: func() bool { return links.Status().Cut() }, Reach: links.Reach, Taken: func(ctx context.Context) error { return a.taken(ctx, links) }}
	cfg.Fits = func(ctx context.Context, leader store.Leader) error {
		if err := shared.fits(ctx, leader); err != nil {
			return err
		}
		return a.compareSettings(ctx, db, leader)
	}
	if a.cfg.Standby.Enabled && db.File() == "" { // nobody stands by on a file, and a heartbeat would take turns with messages there
		cfg.Heart = db.NewHeart()
	}
	role := standby.New(cfg)
	return role, a.registerRole(role, db)
}

// compareSettings says in words which keys are not the leader's. It is no refusal: whoever changes a key restarts one process after the other.
func (a *App) compareSettings(ctx context.Context, db *store.Store, leader store.Leader) error {
	theirs, err := db.LeaderSettings(ctx, leader.Process)
	if err != nil {
		return err
	}
	text := ""
	if keys := a.cfg.Differing(leader.Process, theirs); theirs != "" && len(keys) > 0 {
		text = fmt.Sprintf("standby.enabled: this process and the leader (%s, process %d) differ in %s; what a client meets would change with the leader: give both the same tlim.yaml, and restart the one that has the older",
			leader.Host, leader.PID, strings.Join(keys, ", "))
		a.log.Warn(text)
	}
	a.differs.Store(text)
	return nil
}

// taken says in words that the component's name at the server is another connection's.
func (a *App) taken(ctx context.Context, links *stream.Links) error {
	err := links.Taken(ctx)
	if err == nil {
		return nil
	}
	return fmt.Errorf("store.dsn: nobody leads this database, and another connection has %s at the server: a tlim on another database, of which this one may be a copy (Openfire's console names its host: Sessions > Component Sessions); "+
		"or that of a machine that died, for xmpp.component.idle at most; or the server does not allow the name (%w)", a.cfg.XMPP.Component, err)
}

// fit is as much of a text as a column takes.
func fit(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}

// sharedFiles is how two processes see that they have the same files: each writes a marker, and the other one reads it.
type sharedFiles struct {
	app     *App
	blobs   blob.Blobs
	process string
	marker  atomic.Value // string: that was written
	denied  error        // why there is none, where the files are there and take nothing
}

const (
	// markTime bounds the writing and reading of markers at the start.
	markTime = 10 * time.Second
	// markerDenied is told in the place of a marker by a process whose files are there and take nothing from it.
	markerDenied = "denied"
)

// key is the key of the configuration that says where files lie, with what to do where two processes have different ones.
func (s *sharedFiles) key() (key, remedy string) {
	if s.app.cfg.Files.S3.Endpoint.Reveal() != "" {
		return "files.s3", "both need the same endpoint and bucket"
	}
	return "files.dir", "it has to be a folder that both machines share, or files have to lie in S3 (files.s3)"
}

// claim refuses files that a tlim on another database has: each of the two would lead, and clean up what the other one stored. Where the store of
// files is away nobody can tell, and the start goes on, as ever.
func (s *sharedFiles) claim(ctx context.Context, db *store.Store) error {
	id, err := db.Secret(ctx, "database", blob.NewID())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, markTime)
	defer cancel()
	whose, err := blob.Claim(ctx, s.blobs, id)
	switch key, _ := s.key(); {
	case err != nil:
		s.app.log.Error("standby.enabled: it is not known whether the files are those of this database", "error", err)
	case whose != id:
		return &standby.RefusedError{Text: fmt.Sprintf("%s: a tlim on another database has these files; two that take turns need the same store.dsn. If that database is gone for good, remove %s there, and start again",
			key, blob.OwnerFile(key == "files.s3"))}
	}
	return nil
}

// mark writes the marker of this process. Where the store of files is away, the start goes on, as ever: a standby tries it again.
func (s *sharedFiles) mark(ctx context.Context) (told string) {
	ctx, cancel := context.WithTimeout(ctx, markTime)
	defer cancel()
	err := s.put(ctx)
	if err == nil {
		return loadString(&s.marker)
	}
	s.app.log.Error("standby.enabled: no marker can be written to the files, so that nobody can tell whether two processes share them", "error", err)
	if s.denied != nil {
		return markerDenied
	}
	return ""
}

func (s *sharedFiles) put(ctx context.Context) error {
	id, err := blob.PutMarker(ctx, s.blobs, s.process)
	if err == nil {
		s.marker.Store(id)
	} else if blob.Denied(err) {
		s.denied = err
	}
	return err
}

// unmark removes the marker at the end.
func (s *sharedFiles) unmark(ctx context.Context) error {
	id := loadString(&s.marker)
	if id == "" {
		return nil
	}
	if err := s.blobs.Remove(ctx, id); err != nil { // it is a few bytes that stay
		s.app.log.Warn("the marker in the files was not removed", "file", id, "error", err)
	}
	return nil
}

// fits says in words why this process could not go on where that leader ends.
func (s *sharedFiles) fits(ctx context.Context, leader store.Leader) error {
	x := s.app.cfg.XMPP
	who := fmt.Sprintf("the tlim that leads (%s, process %d, %s)", leader.Host, leader.PID, leader.Address)
	refused := func(text string, args ...any) error {
		return &standby.RefusedError{Text: fmt.Sprintf(text, args...)}
	}
	key, remedy := s.key()
	switch {
	case leader.Domain != x.Domain:
		return refused("xmpp.domain: %s has %s, this one has %s; a standby needs the same configuration", who, leader.Domain, x.Domain)
	case leader.Component != x.Component:
		return refused("xmpp.component: %s has %s, this one has %s; a standby needs the same configuration", who, leader.Component, x.Component)
	case !leader.Standby:
		return refused("standby.enabled: %s runs without it, and would take the database back at its next start; set it there as well, restart that one, then start this one", who)
	case leader.Marker == markerDenied:
		return refused("%s: %s cannot write to its files (its log says why); mend that, restart it, then start this one", key, who)
	case s.denied != nil:
		return refused("%s: this process cannot write to the files that %s has: %v", key, who, s.denied)
	case leader.Marker == "":
		s.app.log.Warn("the leader could write no marker to its files when it started; it is not known whether both have the same ones")
		return nil
	}
	if loadString(&s.marker) == "" { // they were away when this process started
		if err := s.put(ctx); s.denied != nil {
			return s.fits(ctx, leader)
		} else if err != nil {
			return err
		}
	}
	err := blob.ReadMarker(ctx, s.blobs, leader.Marker, leader.Process)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return refused("%s: %s has other files than this one: its marker %s is not there; %s", key, who, leader.Marker, remedy)
	case err != nil && blob.Denied(err):
		return refused("%s: this process cannot read what %s writes: %v; both need the same rights", key, who, err)
	}
	return err
}

// sees reads the marker of the process that stands by, which has read that of the leader.
func (s *sharedFiles) sees(ctx context.Context, other store.Leader) error {
	if other.Marker == "" || other.Marker == markerDenied {
		return nil
	}
	if err := blob.ReadMarker(ctx, s.blobs, other.Marker, other.Process); err != nil {
		key, remedy := s.key()
		return fmt.Errorf("%s: what %s (process %d) writes cannot be read here: %w; %s", key, other.Host, other.PID, err, remedy)
	}
	return nil
}

// turned is the store, which is taken over as the role says.
type turned struct {
	*store.Store
	role *standby.Role
}

// TakeOver is the role's.
func (t turned) TakeOver(ctx context.Context) (store.State, error) { return t.role.TakeOver(ctx) }

// registerRole makes the metrics of the role, and of which node of the database does the work.
func (a *App) registerRole(role *standby.Role, db *store.Store) error {
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
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "tlim_database_moves_total", Help: "How often the work went to another node of store.dsn."},
			func() float64 { return float64(db.Moves()) }),
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
	Role     string     `json:"role"`               // leader, standby or starting
	Other    *roleOther `json:"other,omitempty"`    // of a standby the leader, of a leader the standby
	Taken    string     `json:"taken,omitempty"`    // of a standby: why it does not lead although nobody does
	Hindered string     `json:"hindered,omitempty"` // of a standby: why the database does not let it see the leader, or lead
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
	} else {
		s.Taken, s.Hindered = a.role.Taken(), a.role.Hindered()
	}
	if other, alive := a.role.Other(); other.Process != "" && (alive || s.Role == "standby") {
		s.Other = &roleOther{Role: others, Host: other.Host, PID: other.PID, Address: other.Address, Version: other.Version, Alive: alive}
	}
	return s
}

// sentence says of a standby who leads.
func (r roleState) sentence() string {
	switch {
	case r.Hindered != "":
		return "standby: " + r.Hindered
	case r.Taken != "":
		return "standby: " + r.Taken
	case r.Other == nil:
		return "standby: no leader has told of itself yet"
	case !r.Other.Alive:
		return fmt.Sprintf("standby: %s (process %d, %s) led, and is silent", r.Other.Host, r.Other.PID, r.Other.Address)
	}
	return fmt.Sprintf("standby: %s (process %d, %s, tlim %s) leads", r.Other.Host, r.Other.PID, r.Other.Address, r.Other.Version)
}
