package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/component/openfire"
	"tlim/component/stream"
	"tlim/store"
)

// Site is what is looked at. It is used for one [Site.Checks], and closed after them.
type Site struct {
	Config   config.Config
	File     string   // from which Config was read; "": there is none
	Places   []string // in which one was looked for then
	Problems []string // what is wrong with Config; then nothing else is looked at
	Link     func() (stream.Config, error)
	PageTLS  func() (*tls.Config, error) // of web.xmpp_url; nil: the system's authorities
	Store    store.Config
	Metrics  string // where the process that serves answers: http://host:port
	// ClockAhead says what a stored clock means that runs ahead of the time; "" when it does not.
	ClockAhead func(state store.State, now time.Time) string
	// Consoles are where the old plugin may answer, as host:port: the ports of Openfire's own console.
	Consoles []string
	// CanListen says whether the address of a key can be listened on.
	CanListen func(key, address string) error
	// Keyless are the callers without a key since the start of the process that serves.
	Keyless func(ctx context.Context) ([]string, error)
	// PushKey says why the vendor of pushes does not take the key.
	PushKey func(ctx context.Context) error

	// What checks got and later ones need. A check that was left behind may still write.
	mu      sync.Mutex
	process *process      // that serves; nil: none does
	mute    bool          // something has metrics.listen and says nothing: it may be the process that serves
	foreign bool          // something else has metrics.listen
	own     *linked       // our link in the component's own name; nil: there is none
	attempt stream.Status // what became of it
	beside  *linked       // one in another name, where the component's is taken
	asker   *openfire.Server
	version version
	db      *store.Examination
	console *store.OpenfireSettings // nil: they cannot be seen
}

// Checks are all questions, in the order in which people read them.
func (s *Site) Checks() []Check {
	var checks []Check
	for _, part := range [][]Check{s.hostChecks(), s.linkChecks(), s.serverChecks(), s.consoleChecks(), s.webChecks(), s.databaseChecks(), s.fileChecks()} {
		checks = append(checks, part...)
	}
	for i := range checks {
		if checks[i].ID != configuration {
			checks[i].Needs = append([]string{configuration}, checks[i].Needs...)
		}
	}
	return checks
}

const configuration = "configuration"

// Close ends what the checks have opened.
func (s *Site) Close() error {
	s.mu.Lock()
	links, db := []*linked{s.own, s.beside}, s.db
	s.mu.Unlock()
	var errs []error
	for _, l := range links {
		if l != nil {
			l.close()
		}
	}
	if db != nil {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// linkedProcess says whether a process serves and has the link.
func (s *Site) linkedProcess() bool {
	p := kept(s, &s.process)
	return p != nil && p.Link.OK
}

// Serving says whether a process serves with this configuration. It is known after the checks.
func (s *Site) Serving() bool { return kept(s, &s.process) != nil }

func keep[T any](s *Site, where *T, what T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*where = what
}

func kept[T any](s *Site, where *T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *where
}
