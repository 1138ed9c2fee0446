package directory

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/store"
)

// Config is directory.* of CONFIG.md.
type Config struct {
	Interval       time.Duration // between two polls of the source, and between two looks at accounts that failed
	DryRun         bool          // polls and accounts say what they would do, and do nothing
	MaxRemove      float64       // percent of the directory that one poll may mark as left, rounded up
	CreateAccounts bool
	RemoveAccounts bool
	Password       string // of new accounts; "" = a random one each, which nobody knows
}

// Store is what the directory needs of the database. *store.Store implements it; the promises are documented there.
type Store interface {
	UsersByJID(ctx context.Context, jids []string) (map[string]store.User, error)
	ListUsers(ctx context.Context, after string, limit int) ([]store.User, error)
	Robots(ctx context.Context) ([]store.User, error)
	StaleUsers(ctx context.Context, after string, limit int) ([]store.StaleUser, error)
	MemberRows(ctx context.Context, user, after string, limit int) ([]store.Member, error)
	ChatsWith(ctx context.Context, partner string, after store.Chat, limit int) ([]store.Chat, error)
	Refresh(ctx context.Context, epoch int64, members []store.Member, chats []store.Chat) error
	Fresh(ctx context.Context, epoch int64, users []store.StaleUser) error
	AccountsWanted(ctx context.Context, after string, limit int) ([]store.User, error)
	AccountsUnwanted(ctx context.Context, after string, limit int) ([]store.User, error)
	AccountsGone(ctx context.Context, jids []string) (map[string]bool, error)
	SetAccount(ctx context.Context, epoch int64, ids []string, a store.Account) error
}

// Plan says what to write, by what the database holds when its turn in the order of messages has come.
type Plan func(ctx context.Context) (Writes, error)

// Writes are what a plan wants written in one transaction.
type Writes struct {
	Changes []store.Change
	Users   []string // local parts of the users concerned: after the commit the writer calls [Cache.Drop] for each
}

// Deps are the parts that a Directory works with.
type Deps struct {
	Store    Store
	Domain   string                                     // of the users' addresses
	Source   Source                                     // nil: users are whom AddUsers names and who is seen on the wire
	Imports  Source                                     // the server's own tables of users, who are learned from there; nil: nobody is
	Accounts Accounts                                   // nil: accounts are somebody else's
	Finder   Finder                                     // nil: nobody can tell whether there is an account
	Write    func(ctx context.Context, plan Plan) error // runs a plan in the order of messages, in a transaction of its own, and waits for the commit
	Epoch    func() int64                               // of this process, for what is written beside the order; asked once jobs run
	LinkUp   func() bool                                // whether there is a link to the server
	Ended    <-chan struct{}                            // closed when nobody works for callers any more
	Online   func(local string) bool                    // whether a device of a user is there
	PushOS   func(local string) string                  // the class of the device that a user's push code belongs to; "" = unknown
	Registry prometheus.Registerer
	Log      *slog.Logger
	Now      func() time.Time
}

// Directory is the one face of all that knows users. Create it with [New], run its jobs with [Directory.Run].
type Directory struct {
	*Cache
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics

	finder   *finder
	source   *follower // nil: there is no source
	imports  *follower // nil: nobody is learned from the server's tables
	accounts *accountKeeper
	refresh  *refresher
	robots   robots
}

// New makes a Directory. Nothing runs yet.
func New(cfg Config, deps Deps) *Directory {
	d := &Directory{Cache: NewCache(deps.Store, deps.Domain), cfg: cfg, deps: deps, log: deps.Log,
		metrics: newMetrics(deps.Registry), finder: newFinder(deps.Finder, deps.Now)}
	if deps.Source != nil {
		d.source = newFollower(d, deps.Source, &sourcePolicy{d: d, source: deps.Source})
	}
	if deps.Imports != nil {
		d.imports = newFollower(d, deps.Imports, &importPolicy{d: d})
	}
	d.accounts = newAccountKeeper(d, deps.Accounts)
	d.refresh = newRefresher(d)
	return d
}

// Run lets the jobs work until ctx ends, and returns when they have ended. The database must be this process's own by then.
func (d *Directory) Run(ctx context.Context) {
	var jobs sync.WaitGroup
	if d.source != nil {
		if d.cfg.DryRun {
			d.log.Warn("directory.dry_run is on: the source of users is read and compared, and nothing is changed; users are those of source api")
		}
		jobs.Go(func() { d.source.run(ctx, d.accounts.trigger.Fire) }) // accounts follow once the source has had its say
	}
	if d.imports != nil {
		jobs.Go(func() { d.imports.run(ctx, func() {}) })
	}
	jobs.Go(func() { d.accounts.run(ctx) })
	jobs.Go(func() { d.refresh.run(ctx) })
	jobs.Wait()
}

// LinkReady tells that the link to the server came up: accounts that were waiting for it can be made. It never blocks.
func (d *Directory) LinkReady() { d.accounts.trigger.Fire() }

// sourceDecides says whether nobody is a user whom the source does not have. Where the source has the server's accounts, the
// server knows better: the source is read only now and then.
func (d *Directory) sourceDecides() bool {
	return d.sourceRules() && !d.deps.Source.OwnsAccounts()
}

// sourceRules says whether the directory follows a source.
func (d *Directory) sourceRules() bool { return d.source != nil && !d.cfg.DryRun }
