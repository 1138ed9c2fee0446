package httpapi

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tlim/component"
)

// Anonymous says what a caller without a key may do.
type Anonymous string

// The anonymous modes.
const (
	AnonymousNone    Anonymous = "none"    // nothing (default)
	AnonymousClients Anonymous = "clients" // everything but what needs the scope business or admin: shipped clients have no credentials
	AnonymousAll     Anonymous = "all"     // everything, as the old system
)

// Config is the section http of the configuration.
type Config struct {
	AllowAnonymous Anonymous      // "" is none
	AllowFrom      []netip.Prefix // where anonymous callers may come from; empty is everywhere
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Host count
	Hosts          []string       // host names for which calls without a key are taken, beside addresses, localhost and the hosts of Files.BaseURL and CORSOrigins; "*" is any
	Keys           []Key          // when empty, KeyFile holds the one admin key
	KeyFile        string         // made with a new admin key when Keys is empty and it does not exist; absolute or relative to the working directory
	CORSOrigins    []string       // "*" (which is nobody where AllowAnonymous lets callers in) or origins; empty is none
	Language       Language       // "" is Chinese
	AccessLog      bool           // one line for each call
	Limits         Limits
	FindUsers      Finding // whom the holders of user tokens find; "" is all
	UserRate       float64 // calls a second of one user token's holder, limits.per_user_http; 0 is no limit
	Files          Files
	Web            Web
	Tokens         Tokens           // nil: there are no user tokens
	Clock          func() time.Time // nil is time.Now
	Zone           *time.Location   // of times in sentences for people; nil is that of this host
	Console        Console          // nil: the endpoints about the process answer HTTP 503
	Cleanup        Cleanup          // nil: those of the clean-up do
	Offline        Offline          // what explanations say of queues
}

// Offline is how messages come to wait for a phone, and how long they do.
type Offline struct {
	Confirm component.ConfirmMode // what proves that a phone has a message
	Grace   time.Duration         // how long a phone has to prove it
	Days    int                   // after which clean-up removes what waits; 0 is never
}

// Limits bound what one caller costs. A zero field takes its default.
type Limits struct {
	Header    int           // bytes of the request's head, URL included (256 KiB: a message body of 64 KiB, escaped, fits); only [API.Server] can enforce it
	Body      int64         // bytes of a form (1 MiB: 10,000 receivers fit)
	HeadTime  time.Duration // for the whole head (10 s); only [API.Server]
	BodyTime  time.Duration // for the whole body of a form; that an upload may be behind MinRate (30 s)
	WorkTime  time.Duration // for a handler to answer, and for each page of a streamed answer (60 s)
	WriteTime time.Duration // that a caller who takes an answer may be behind MinRate (30 s)
	MinRate   int64         // bytes a second that a file, and any answer, has to move (8 KiB)
	IdleTime  time.Duration // between two requests of a connection (60 s); only [API.Server]
	Inflight  int           // requests in handlers at once, 503 beyond (512)
}

func (l Limits) withDefaults() Limits {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	orInt(&l.Header, 256<<10)
	orInt(&l.Inflight, 512)
	if l.Body == 0 {
		l.Body = 1 << 20
	}
	if l.MinRate == 0 {
		l.MinRate = 8 << 10
	}
	orTime(&l.HeadTime, 10*time.Second)
	orTime(&l.BodyTime, 30*time.Second)
	orTime(&l.WorkTime, 60*time.Second)
	orTime(&l.WriteTime, 30*time.Second)
	orTime(&l.IdleTime, 60*time.Second)
	return l
}

// withDefaults fills in what is empty and says everything that is wrong.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	switch c.AllowAnonymous {
	case "":
		c.AllowAnonymous = AnonymousNone
	case AnonymousNone, AnonymousClients, AnonymousAll:
	default:
		errs = append(errs, fmt.Errorf("http.allow_anonymous: %q is none of none, clients, all", c.AllowAnonymous))
	}
	switch c.FindUsers {
	case "":
		c.FindUsers = FindAll
	case FindAll, FindGroups, FindOff:
	default:
		errs = append(errs, fmt.Errorf("http.find_users: %q is none of all, groups, off", c.FindUsers))
	}
	switch c.Language {
	case "":
		c.Language = Chinese
	case Chinese, English:
	default:
		errs = append(errs, fmt.Errorf("http.language: %q is neither zh nor en", c.Language))
	}
	if len(c.Keys) == 0 && c.KeyFile == "" {
		errs = append(errs, errors.New("http.keys and http.key_file are both empty: nobody could call"))
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	c.Limits = c.Limits.withDefaults()
	var err error
	if c.Files, err = c.Files.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}
