package component

import (
	"context"

	"tlim/component/pause"
	"tlim/component/trigger"
	"tlim/store"
)

// DirectoryStore is what the jobs that follow the directory need of the database. *store.Store implements it.
type DirectoryStore interface {
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

// CleanStore is what clean-up needs of the database. *store.Store implements it.
type CleanStore interface {
	OldRows
	DeleteMessages(ctx context.Context, epoch int64, rows []store.Old) (int, error)
	DeleteOffline(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteIDs(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteFormers(ctx context.Context, epoch int64, rows []store.Old) error
	DeleteFiles(ctx context.Context, ids []string) error
}

// jobs makes what works beside the conveyor.
func (s *Service) jobs(deps Deps) {
	cfg := s.cfg.Directory
	if deps.Source != nil {
		s.source = newSourceSync(s, deps.Source, cfg)
	}
	if deps.Imports != nil {
		s.importer = newImporter(s, deps.Imports, cfg)
	}
	s.accounts = &accountKeeper{trigger: trigger.New(), s: s, server: deps.Accounts, cfg: cfg, failed: map[string]*accountFailure{}}
	s.refresher = &refresher{trigger: trigger.New(), s: s}
	s.cleaner = &cleaner{s: s, cfg: s.cfg.Cleanup, files: deps.Files, wait: pause.For, log: s.log}
}

// startJobs lets them work until ctx ends; the end of Run waits for them. Each step of theirs is a transaction of its own, so
// they may be stopped anywhere.
func (s *Service) startJobs(ctx context.Context) {
	if s.source != nil {
		s.background.Go(func() { s.source.run(ctx) })
	}
	if s.importer != nil {
		s.background.Go(func() { s.importer.run(ctx) })
	}
	s.background.Go(func() { s.accounts.run(ctx) })
	s.background.Go(func() { s.refresher.run(ctx) })
	s.background.Go(func() { s.cleaner.run(ctx) })
	s.background.Go(func() { s.calls.run(ctx) })
}

// linkUp says whether there is a link to the server.
func (s *Service) linkUp() bool {
	s.link.Lock()
	defer s.link.Unlock()
	return s.link.cancel != nil
}
