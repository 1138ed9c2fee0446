package component

import (
	"context"

	"tlim/component/retention"
)

// jobs makes what works beside the conveyor.
func (s *Service) jobs(deps Deps) {
	epoch := func() int64 { return s.epoch }
	s.cleaner = retention.New(s.cfg.Cleanup, retention.Deps{Store: s.store, Files: deps.Files, Epoch: epoch, Forgetting: s.lookUpIDs,
		Registry: deps.Registry, Log: s.log, Now: s.now})
	s.purger = retention.NewPurger(s.store, epoch, s.from, s.log)
}

// startJobs lets them work until ctx ends; the end of Run waits for them. Each step of theirs is a transaction of its own, so
// they may be stopped anywhere.
func (s *Service) startJobs(ctx context.Context) {
	s.users.Start(ctx, &s.background)
	s.background.Go(func() { s.cleaner.Run(ctx) })
	s.background.Go(func() { s.calls.Run(ctx) })
}

// lookUpIDs makes the conveyor look among messages for ids that are not remembered, from its next batch on.
func (s *Service) lookUpIDs(ctx context.Context) error {
	return s.do(ctx, &task{plan: func(_ context.Context, b *batch) error { b.s.legacy = true; return nil }})
}
