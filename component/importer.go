package component

import (
	"context"
	"fmt"
	"math"
	"slices"

	"tlim/component/trigger"
	"tlim/store"
)

// importer learns users from the server's own tables, as if each of them had been seen: with the names that they have there.
// Unlike a sourceSync it has no last word. Whom AddUsers has named keeps that name, whom RemoveUsers has removed stays so, and
// who is seen on the wire is a user whether or not the tables have him, as those of a server that reads its users elsewhere do
// not. Who was learned leaves only when he is no longer in the tables and the server says that there is no such account.
type importer struct {
	trigger trigger.Trigger // it has a run of its own soon
	s       *Service
	source  Source
	cfg     DirectoryConfig

	// Of the one goroutine that polls.
	said string // the last trouble, to log it once
	bad  string // the last ids that cannot be users, likewise
	kept int    // the last number of users who are not looked for, likewise
	dry  string // the last word of a dry run, likewise
}

func newImporter(s *Service, source Source, cfg DirectoryConfig) *importer {
	return &importer{trigger: trigger.New(), s: s, source: source, cfg: cfg}
}

// run polls until ctx ends: at once, and at each interval.
func (m *importer) run(ctx context.Context) {
	m.trigger.Loop(ctx, m.cfg.Interval, func(ctx context.Context) {
		if err := m.poll(ctx); ctx.Err() == nil {
			m.said = m.s.notePoll(m.said, err)
		}
	})
}

// imported is what one poll changes, each list ordered by id.
type imported struct {
	learn   []store.User // new
	relearn []store.User // with another name, or back
	gone    []store.User // no longer in the tables
}

// poll reads the tables, compares and applies. What was applied stays at an error, and the next poll finds the rest.
func (m *importer) poll(ctx context.Context) error {
	// 1. Both sides, whole, ours first: who is seen meanwhile is not missing in the tables.
	var ours []store.User
	if err := walkUsers(ctx, m.s.store.ListUsers, func(u store.User) { ours = append(ours, u) }); err != nil {
		return err
	}
	theirs, invalid, err := readSource(ctx, m.source)
	if err != nil {
		return err
	}
	m.s.metrics.directory.users.Set(float64(len(theirs)))
	m.bad = m.s.reportInvalid(m.bad, invalid)
	d, err := m.compare(ctx, ours, theirs)
	if err != nil {
		return err
	}

	// 2. Who is no longer there?
	if err := m.look(ctx, d, len(ours), len(theirs)); err != nil {
		return err
	}
	if m.cfg.DryRun {
		m.sayDryRun(d)
		return nil
	}

	// 3. Apply.
	return m.apply(ctx, d)
}

func (m *importer) compare(ctx context.Context, ours []store.User, theirs map[string]store.User) (*imported, error) {
	d := &imported{}
	missing := make(map[string]bool, len(theirs))
	for local := range theirs {
		missing[local] = true
	}
	for _, u := range ours {
		their, there := theirs[u.JID]
		delete(missing, u.JID)
		switch {
		case !u.Learned: // somebody has said who he is
		case !there && len(m.s.presence.Devices(u.JID)) > 0: // he is here
		case !there:
			d.gone = append(d.gone, u)
		case u.Name != their.Name || u.Login != their.Login || u.Email != their.Email:
			d.relearn = append(d.relearn, asLearned(u.ID, their))
		}
	}
	var locals []string
	for local := range missing {
		locals = append(locals, local)
	}
	slices.Sort(locals)
	for chunk := range slices.Chunk(locals, sourcePage) {
		left, err := m.s.store.UsersByJID(ctx, chunk)
		if err != nil {
			return nil, err
		}
		gone, err := m.s.store.AccountsGone(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, local := range chunk {
			switch u, known := left[local]; {
			case !known:
				d.learn = append(d.learn, asLearned(local, theirs[local])) // the spelling that he has on the wire
			case gone[local]: // by look, below
				d.relearn = append(d.relearn, asLearned(u.ID, theirs[local]))
			}
		}
	}
	return d, nil
}

// asLearned is what the tables say of a user, under the id that the directory has for him.
func asLearned(id string, their store.User) store.User {
	return store.User{ID: id, JID: their.JID, Name: their.Name, Login: their.Login, Email: their.Email, Learned: true}
}

// look keeps in gone those who have no account any more. Tables that were emptied, or that lack more users than may leave at
// once, are no reason to ask: a server that reads its users elsewhere has few of them there, or it is being restored.
func (m *importer) look(ctx context.Context, d *imported, ours, theirs int) error {
	allowed := int(math.Ceil(float64(ours) * m.cfg.MaxRemove / 100))
	kept := 0
	if len(d.gone) > allowed || theirs == 0 {
		kept = len(d.gone)
		d.gone = nil
	}
	if kept != m.kept {
		m.s.log.Info("users who were seen are not in the server's tables, and more of them than directory.max_remove lets leave at once: they stay users", "users", kept)
	}
	m.kept = kept
	if len(d.gone) == 0 {
		return nil
	}
	verdicts := map[string]verdict{}
	for chunk := range slices.Chunk(localsOf(d.gone), userSlice) {
		for local, v := range m.s.finder.find(ctx, "", chunk) {
			verdicts[local] = v
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	d.gone = slices.DeleteFunc(d.gone, func(u store.User) bool { return verdicts[u.JID] != accountMissing })
	return nil
}

// apply writes through the conveyor, in slices that chat may pass.
func (m *importer) apply(ctx context.Context, d *imported) error {
	s, unstorable := m.s, 0
	counts := map[string]int{}
	err := func() error {
		for _, part := range []struct {
			what   string
			users  []store.User
			change func([]store.User) store.Change
		}{
			{"added", d.learn, func(users []store.User) store.Change { return store.Change{Learn: users} }},
			{"changed", d.relearn, func(users []store.User) store.Change { return store.Change{Relearn: users} }},
		} {
			for slice := range slices.Chunk(part.users, userSlice) {
				stored, err := m.put(ctx, slice, part.change)
				counts[part.what] += stored
				if err != nil {
					return err
				}
				unstorable += len(slice) - stored
			}
		}
		for slice := range slices.Chunk(d.gone, userSlice) {
			if err := s.markLeft(ctx, slice); err != nil {
				return err
			}
			counts["left"] += len(slice)
			if err := s.store.SetAccount(ctx, s.epoch, idsOf(slice), store.AccountGone); err != nil {
				return err
			}
		}
		return nil
	}()
	for what, n := range counts {
		s.metrics.directory.changes.WithLabelValues(what).Add(float64(n))
	}
	if len(counts) > 0 {
		s.log.Info("users were learned from the server's tables", "added", counts["added"], "changed", counts["changed"], "left", counts["left"], "of_left", names(d.gone[:counts["left"]]))
		s.refresher.trigger.Fire()
	}
	if err == nil && unstorable > 0 {
		err = fmt.Errorf("%d users of the server's tables cannot be stored: the database does not hold their names (character set?)", unstorable)
	}
	return err
}

// put writes users and says how many; one that the database cannot hold does not keep the others out.
func (m *importer) put(ctx context.Context, users []store.User, change func([]store.User) store.Change) (stored int, err error) {
	err = m.s.do(ctx, &task{alone: true, plan: func(_ context.Context, b *batch) error {
		b.changes = append(b.changes, change(users))
		b.restale = append(b.restale, localsOf(users)...)
		return nil
	}})
	return m.s.putHalves(users, err, func(part []store.User) (int, error) { return m.put(ctx, part, change) })
}

// sayDryRun says what a poll would do, when that has changed.
func (m *importer) sayDryRun(d *imported) {
	attrs := []any{"added", len(d.learn), "changed", len(d.relearn), "left", len(d.gone), "of_added", names(d.learn), "of_changed", names(d.relearn), "of_left", names(d.gone)}
	if text := fmt.Sprint(attrs...); text != m.dry {
		m.dry = text
		m.s.log.Info("directory.dry_run: a poll of the server's tables would do this", attrs...)
	}
}
