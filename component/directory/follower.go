package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tlim/component/logged"
	"tlim/component/trigger"
	"tlim/store"
)

// follower keeps the directory in step with a list of users that others keep. A poll reads the list, compares it with tlim_user, and writes
// the difference in the order of messages. What a difference means depends on whose list it is: the policy says that.
type follower struct {
	d       *Directory
	source  Source
	policy  policy
	trigger trigger.Trigger
	fresh   registrations

	// Of the one goroutine that polls.
	health  logged.Health
	invalid logged.Text // ids that cannot be users
	dry     logged.Text // what a dry run would do
}

// policy is what a list of users may do to the directory.
type policy interface {
	// ours reads the directory, before the list is read.
	ours(ctx context.Context) (*known, error)

	// compare says what the list changes.
	compare(ctx context.Context, ours *known, theirs map[string]store.User) (*difference, error)

	// limit takes out of d.left the users who are to stay. refused says why, for the log and the metrics; the rest of the difference is
	// written nevertheless. An err ends the poll.
	limit(ctx context.Context, d *difference) (refused, err error)

	// change writes users. known says whether the directory has them.
	change(users []store.User, known bool) store.Change

	// accountsGone says whether the list proves that users who left have no account on the server any more.
	accountsGone() bool

	// words are what logs say.
	words() words
}

// words are a follower's own in the log.
type words struct {
	whose   string                  // what the log calls the origin of the users: "the source"
	wrote   string                  // the line after a poll that changed something
	dry     string                  // the line of a dry run
	whole   bool                    // both lines count push codes, too
	dryMore func(*difference) []any // further attributes of the line of a dry run
}

// known is the directory before a poll.
type known struct {
	users  []store.User    // who have not left
	coming map[string]bool // local parts of users whose accounts are still to be made; only where the accounts are the source and we keep them
	going  map[string]bool // local parts of users whose accounts are still to be removed; likewise
}

// difference is what one poll changes, each list ordered by id.
type difference struct {
	added       []store.User // new, or back
	changed     []store.User
	newIDs      []store.User // those of changed whose id the list spells otherwise
	push        []store.User // with another PushCode
	left        []store.User
	withAccount []store.User // users with an account that the directory does not know of
	known       int          // how many users of the directory the list should have
	listed      int          // how many users the list has
}

func newFollower(d *Directory, source Source, p policy) *follower {
	return &follower{d: d, source: source, policy: p, trigger: trigger.New(),
		health: logged.Health{Failing: "the directory does not follow its source; it is tried again", Again: "the directory follows its source again"}}
}

// run polls until ctx ends: at once, at each interval, and when triggered. It calls then after each poll.
func (f *follower) run(ctx context.Context, then func()) {
	f.trigger.Loop(ctx, f.d.cfg.Interval, func(ctx context.Context) {
		if err := f.poll(ctx); ctx.Err() == nil {
			f.note(err)
		}
		then()
	})
}

// note counts a poll, and logs when polls begin to fail and when they work again.
func (f *follower) note(err error) {
	if err != nil {
		f.d.metrics.polls.WithLabelValues("failed").Inc()
	} else {
		f.d.metrics.polls.WithLabelValues("ok").Inc()
		f.d.metrics.synced.Set(float64(f.d.deps.Now().Unix()))
	}
	f.health.Note(f.d.log, err)
}

// poll reads the list, compares and writes. Its error is protocol.ErrUnavailable or one of the source; what was written stays, and the
// next poll finds the rest.
func (f *follower) poll(ctx context.Context) error {
	f.fresh.forget()

	// 1. Both sides, whole: half of the list would look as if half of the users had left. Ours first, so that a user who is
	// added to both in the meantime is not missing in the list.
	ours, err := f.policy.ours(ctx)
	if err != nil {
		return err
	}
	theirs, invalid, err := readSource(ctx, f.source)
	if err != nil {
		return err
	}
	f.d.metrics.users.Set(float64(len(theirs)))
	f.reportInvalid(invalid)
	d, err := f.policy.compare(ctx, ours, theirs)
	if err != nil {
		return err
	}

	// 2. Who may leave?
	refused, err := f.policy.limit(ctx, d)
	if err != nil {
		return err
	}
	if f.d.cfg.DryRun {
		f.sayDryRun(d)
		return refused
	}

	// 3. Write.
	if err := f.write(ctx, d); err != nil {
		return err
	}
	return refused
}

// reportInvalid counts the ids that cannot be users, and logs them when they are others than before.
func (f *follower) reportInvalid(ids []string) {
	f.d.metrics.invalid.Set(float64(len(ids)))
	text := strings.Join(ids[:min(len(ids), maxNamedUsers)], " ")
	if f.invalid.Changes(text) && text != "" {
		f.d.log.Warn("users of the source are left out: their ids cannot be addresses, or a field is too long", "users", len(ids), "some", text)
	}
}

// sayDryRun logs what a poll would do, when that has changed.
func (f *follower) sayDryRun(d *difference) {
	w := f.policy.words()
	attrs := []any{"added", len(d.added), "changed", len(d.changed), "left", len(d.left)}
	if w.whole {
		attrs = slices.Concat([]any{"users", d.listed}, attrs, []any{"push_codes", len(d.push), "respelt", len(d.newIDs)})
	}
	attrs = append(attrs, "of_added", names(d.added), "of_changed", names(d.changed), "of_left", names(d.left))
	if w.dryMore != nil {
		attrs = append(attrs, w.dryMore(d)...)
	}
	if f.dry.Changes(fmt.Sprint(attrs...)) {
		f.d.log.Info(w.dry, attrs...)
	}
}

// written counts what a poll has written.
type written struct {
	added, changed, left, push int
	unstorable                 int // users whom the database cannot hold
}

// write writes the difference, in slices that messages may pass. What was written before an error is counted and logged.
func (f *follower) write(ctx context.Context, d *difference) error {
	var n written
	err := f.writeAll(ctx, d, &n)
	for what, users := range map[string]int{"added": n.added, "changed": n.changed, "left": n.left, "push": n.push} {
		if users > 0 {
			f.d.metrics.changes.WithLabelValues(what).Add(float64(users))
		}
	}
	w := f.policy.words()
	if n.added+n.changed+n.left > 0 {
		attrs := []any{"added", n.added, "changed", n.changed, "left", n.left}
		if w.whole {
			attrs = append(attrs, "push_codes", n.push)
		}
		f.d.log.Info(w.wrote, append(attrs, "of_left", names(d.left[:n.left]))...)
		f.d.refresh.trigger.Fire()
	}
	switch {
	case err != nil:
		return err
	case len(d.newIDs) > 0:
		f.d.log.Warn("users have another spelling of their id now; the database may not find groups and messages of the old one", "users", len(d.newIDs), "some", names(d.newIDs))
	}
	if n.unstorable > 0 {
		return fmt.Errorf("%d users of %s cannot be stored: the database does not hold their names (character set?)", n.unstorable, w.whose)
	}
	return nil
}

const writeSlice = 100 // users of one transaction: some hundredths of a second for which messages wait

func (f *follower) writeAll(ctx context.Context, d *difference, n *written) error {
	put := func(users []store.User, known bool, count *int) error {
		for slice := range slices.Chunk(users, writeSlice) {
			stored, err := f.d.writeStorable(ctx, slice, func(users []store.User) store.Change { return f.policy.change(users, known) })
			*count += stored
			if err != nil {
				return err
			}
			n.unstorable += len(slice) - stored
		}
		return nil
	}
	if err := put(d.added, false, &n.added); err != nil {
		return err
	}
	if err := put(d.changed, true, &n.changed); err != nil {
		return err
	}
	for slice := range slices.Chunk(d.withAccount, writeSlice) {
		if err := f.d.setAccount(ctx, idsOf(slice), store.AccountThere); err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(d.push, writeSlice) {
		if err := f.writePush(ctx, slice); err != nil {
			return err
		}
		n.push += len(slice)
	}
	for slice := range slices.Chunk(d.left, writeSlice) {
		if err := f.d.write(ctx, left(slice), slice); err != nil {
			return err
		}
		n.left += len(slice)
		if f.policy.accountsGone() { // an account of that name that is made anew must not be removed
			if err := f.d.setAccount(ctx, idsOf(slice), store.AccountGone); err != nil {
				return err
			}
		}
	}
	return nil
}

// setAccount notes whether users have accounts.
func (d *Directory) setAccount(ctx context.Context, ids []string, a store.Account) error {
	return d.deps.Store.SetAccount(ctx, d.deps.Epoch(), ids, a)
}
