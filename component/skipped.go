package component

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// tellSkipped writes down whom a call has left out. what is "group" or "notice".
func (s *Service) tellSkipped(what, id string, skipped []protocol.Skipped) {
	if len(skipped) == 0 {
		return
	}
	var some []string
	for _, one := range skipped {
		s.metrics.skipped.WithLabelValues(what, string(one.Reason)).Inc()
		if len(some) < namedUsers {
			some = append(some, protocol.Shorten(one.UserID, protocol.MaxID)+" ("+string(one.Reason)+")")
		}
	}
	s.log.Info("a call names users who were left out", "of", what, "id", id, "users", len(skipped), "some", strings.Join(some, ", "))
}

// lookFor finds out about those of ids whom the directory does not have, before the call of which they are a part takes its
// place in the conveyor. With left, also about those who have left it. Who turns out to have an account is learned.
func (s *Service) lookFor(ctx context.Context, caller string, ids []string, left bool) (map[string]verdict, error) {
	locals := localparts(ids)
	found := make(map[string]store.User, len(locals))
	for chunk := range slices.Chunk(locals, noticeSlice) {
		some, err := s.users.lookup(ctx, chunk)
		if err != nil {
			return nil, protocol.ErrUnavailable
		}
		maps.Copy(found, some)
	}
	locals = slices.DeleteFunc(locals, func(local string) bool {
		u, known := found[local]
		return known && !(left && u.Left) || local == protocol.AdminID || utf8.RuneCountInString(local) > protocol.MaxID
	})
	if len(locals) == 0 || !left && s.sourceDecides() {
		return nil, nil
	}
	verdicts := s.finder.find(ctx, caller, locals)
	var there []string
	for local, v := range verdicts {
		if _, known := found[local]; v == accountFound && !known {
			there = append(there, local)
		}
	}
	s.learn(there)
	return verdicts, nil
}

// admitted are those of ids who can be members of a group, each once, in the given order, and those who cannot. verdicts are
// those of lookFor.
func (b *batch) admitted(ctx context.Context, ids []string, verdicts map[string]verdict) (users []store.User, skipped []protocol.Skipped, err error) {
	found, _, err := b.knownUsers(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		local, err := stanza.Localpart(id)
		if err != nil || seen[local] {
			continue
		}
		seen[local] = true
		u, known := found[local]
		var reason protocol.SkipReason
		switch {
		case known && u.Left:
			reason = protocol.SkipLeft
		case known:
		case local == protocol.AdminID:
			reason = protocol.SkipReserved
		case verdicts[local] == accountMissing, b.s.sourceDecides(), utf8.RuneCountInString(local) > protocol.MaxID:
			reason = protocol.SkipUnknown
		default:
			u = learned(local)
		}
		if reason != "" {
			skipped = append(skipped, protocol.Skipped{UserID: id, Reason: reason})
		} else {
			users = append(users, u)
		}
	}
	return users, skipped, nil
}

// sourceDecides says whether nobody is a user whom the source does not have. Where it has the server's accounts, the server
// knows better: the source is read now and then. A suite's users have spellings of its own.
func (s *Service) sourceDecides() bool {
	return s.source != nil && !s.source.cfg.DryRun && !s.source.source.OwnsAccounts()
}

// localparts prepares ids, each person once, in the given order. What cannot be one is left out.
func localparts(ids []string) []string {
	var locals []string
	seen := make(map[string]bool, len(ids)) // a call may name tens of thousands
	for _, id := range ids {
		if local, err := stanza.Localpart(id); err == nil && !seen[local] {
			seen[local] = true
			locals = append(locals, local)
		}
	}
	return locals
}
