package directory

import (
	"context"
	"slices"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// Learn notes users of the server who were seen, so that a site which only adds the component can make groups at once. It never
// blocks, and does nothing where a source says who is a user. Whoever writes the messages writes them, see [Directory.TakeUnlearned].
func (d *Directory) Learn(locals []string) {
	if !d.sourceRules() {
		d.learn(locals)
	}
}

// TakeUnlearned hands over the local parts of at most n users who were seen, for the caller to write who of them is new; met are those whom the
// caller has just seen itself. A caller who cannot write them gives them back to [Directory.Learn].
func (d *Directory) TakeUnlearned(n int, met []string) []string {
	if d.sourceRules() {
		met = nil
	}
	return d.takeUnlearned(n, met)
}

// FindAccounts asks the server about those whom ids name and the directory does not have; with left, also about those who have left it. Who
// turns out to have an account is learned. It is for a call that has not yet taken its place in the order of messages, because the server
// may take seconds to answer. caller is who asks, "" for one who may ask without a budget. Its error is protocol.ErrUnavailable.
func (d *Directory) FindAccounts(ctx context.Context, caller string, ids []string, left bool) (map[string]Verdict, error) {
	locals := Localparts(ids)
	found, err := d.lookupMany(ctx, locals)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	locals = slices.DeleteFunc(locals, func(local string) bool {
		u, known := found[local]
		return known && !(left && u.Left) || local == protocol.AdminID || utf8.RuneCountInString(local) > protocol.MaxID
	})
	if len(locals) == 0 || !left && d.sourceDecides() {
		return nil, nil
	}
	verdicts := d.finder.find(ctx, caller, locals)
	var there []string
	for local, v := range verdicts {
		if _, known := found[local]; v == Found && !known {
			there = append(there, local)
		}
	}
	d.Learn(there)
	return verdicts, nil
}

// Admit judges who of ids can be a member of a group: users are those who can, each once, in the given order, and skipped those who cannot.
// verdicts are those of FindAccounts. Its error is the store's.
func (d *Directory) Admit(ctx context.Context, ids []string, verdicts map[string]Verdict) (users []store.User, skipped []protocol.Skipped, err error) {
	found, _, err := d.Known(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	judged := make(map[string]bool, len(ids))
	for _, id := range ids {
		local, err := stanza.Localpart(id)
		if err != nil || judged[local] {
			continue
		}
		judged[local] = true
		u, known := found[local]
		var reason protocol.SkipReason
		switch {
		case known && u.Left:
			reason = protocol.SkipLeft
		case known:
		case local == protocol.AdminID:
			reason = protocol.SkipReserved
		case verdicts[local] == Missing, d.sourceDecides(), utf8.RuneCountInString(local) > protocol.MaxID:
			reason = protocol.SkipUnknown
		default:
			u = Learned(local)
		}
		if reason != "" {
			skipped = append(skipped, protocol.Skipped{UserID: id, Reason: reason})
		} else {
			users = append(users, u)
		}
	}
	return users, skipped, nil
}
