package component

import (
	"context"
	"strings"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/store"
)

// directory makes the part that knows users.
func (s *Service) directory(deps Deps) *directory.Directory {
	return directory.New(s.cfg.Directory, directory.Deps{
		Store: deps.Store, Domain: s.cfg.Server, Source: deps.Source, Imports: deps.Imports, Accounts: deps.Accounts, Finder: deps.Finder,
		Write: s.writeUsers, Epoch: func() int64 { return s.epoch }, LinkUp: s.linkUp, Ended: s.ended,
		Online: func(local string) bool { return len(s.presence.Devices(local)) > 0 }, PushOS: s.pushOS,
		Registry: deps.Registry, Log: deps.Log, Now: deps.Now,
	})
}

// writeUsers runs a plan of the directory in a batch of its own.
func (s *Service) writeUsers(ctx context.Context, plan directory.Plan) error {
	return s.do(ctx, &task{alone: true, plan: func(ctx context.Context, b *batch) error {
		w, err := plan(ctx)
		if err != nil {
			return err
		}
		b.changes = append(b.changes, w.Changes...)
		b.staleUsers = append(b.staleUsers, w.Users...)
		return nil
	}})
}

// linkUp says whether there is a link to the server.
func (s *Service) linkUp() bool {
	s.link.Lock()
	defer s.link.Unlock()
	return s.link.cancel != nil
}

// CanonicalID is the id of [directory.Cache.Canonical].
func (s *Service) CanonicalID(ctx context.Context, id string) (string, error) {
	p, err := s.users.Canonical(ctx, id)
	return p.ID, err
}

// AddUsers is [directory.Directory.AddUsers].
func (s *Service) AddUsers(ctx context.Context, users []store.User) error {
	return s.users.AddUsers(ctx, users)
}

// RemoveUsers is [directory.Directory.RemoveUsers].
func (s *Service) RemoveUsers(ctx context.Context, ids []string) error {
	return s.users.RemoveUsers(ctx, ids)
}

const maxNamedUsers = 10 // whom a log line gives as examples

// tellSkipped writes down whom a call has left out. what is "group" or "notice".
func (s *Service) tellSkipped(what, id string, skipped []protocol.Skipped) {
	if len(skipped) == 0 {
		return
	}
	var some []string
	for _, one := range skipped {
		s.metrics.skipped.WithLabelValues(what, string(one.Reason)).Inc()
		if len(some) < maxNamedUsers {
			some = append(some, protocol.Shorten(one.UserID, protocol.MaxID)+" ("+string(one.Reason)+")")
		}
	}
	s.log.Info("a call names users who were left out", "of", what, "id", id, "users", len(skipped), "some", strings.Join(some, ", "))
}
