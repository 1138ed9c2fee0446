package component

import (
	"context"

	"tlim/component/retention"
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
	epoch := func() int64 { return s.epoch }
	s.cleaner = retention.New(s.cfg.Cleanup, retention.Deps{Store: s.store, Files: deps.Files, Epoch: epoch, Forgetting: s.lookUpIDs,
		Registry: deps.Registry, Log: s.log, Now: s.now})
	s.purger = retention.NewPurger(s.store, epoch, s.from, s.log)
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
	s.background.Go(func() { s.cleaner.Run(ctx) })
	s.background.Go(func() { s.calls.run(ctx) })
}

// lookUpIDs makes the conveyor look among messages for ids that are not remembered, from its next batch on.
func (s *Service) lookUpIDs(ctx context.Context) error {
	return s.do(ctx, &task{plan: func(_ context.Context, b *batch) error { b.s.adopted = true; return nil }})
}

// linkUp says whether there is a link to the server.
func (s *Service) linkUp() bool {
	s.link.Lock()
	defer s.link.Unlock()
	return s.link.cancel != nil
}
