package component

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/trigger"
	"tlim/store"
)

// Source is a directory of users that others keep. *store.Source implements it; the promises are documented there.
type Source interface {
	Users(ctx context.Context, after string, limit int) (users []store.SourceUser, done bool, err error)
	OwnsAccounts() bool
	KeepsPush() bool
	SetPush(ctx context.Context, id, code string) error
	DeletePushCodes(ctx context.Context, codes []string) error
}

// DirectoryConfig is directory.* of CONFIG.md.
type DirectoryConfig struct {
	Interval       time.Duration // between two polls of the source, and between two looks at accounts that failed
	DryRun         bool          // polls and accounts say what they would do, and do nothing
	MaxRemove      float64       // percent of the directory that one poll may mark as left, rounded up
	CreateAccounts bool
	RemoveAccounts bool
	Password       string // of new accounts; "" = a random one each, which nobody knows
}

const (
	sourcePage = 2000 // users of one read
	userSlice  = 100  // of one write: some hundredths of a second for which chat waits
	namedUsers = 10   // ids that a log line gives as examples
)

// sourceSync keeps the directory as its source has it: each poll is compared with tlim_user, and the difference goes through
// the conveyor. Nothing is ever deleted; who is no longer in the source is marked as having left.
type sourceSync struct {
	s       *Service
	source  Source
	cfg     DirectoryConfig
	trigger trigger.Trigger
	fresh   registrations

	// Of the one goroutine that polls.
	held    bool   // the last poll would have removed more than may leave,
	allowed int    // which was so many
	said    string // the last trouble, to log it once
	bad     string // the last ids that cannot be users, likewise
	dry     string // the last word of a dry run, likewise
}

func newSourceSync(s *Service, source Source, cfg DirectoryConfig) *sourceSync {
	return &sourceSync{s: s, source: source, cfg: cfg, trigger: trigger.New()}
}

// run polls until ctx ends: at once, at each interval, and when poked.
func (y *sourceSync) run(ctx context.Context) {
	if y.cfg.DryRun {
		y.s.log.Warn("directory.dry_run is on: the source of users is read and compared, and nothing is changed; users are those of source api")
	}
	y.trigger.Loop(ctx, y.cfg.Interval, func(ctx context.Context) {
		if err := y.poll(ctx); ctx.Err() == nil {
			y.note(err)
		}
		y.s.accounts.trigger.Fire() // after the source has had its say
	})
}

func (y *sourceSync) note(err error) { y.said = y.s.notePoll(y.said, err) }

// notePoll logs when polls begin to fail, for another reason than before, and when they work again. said is the last trouble;
// it returns this one.
func (s *Service) notePoll(said string, err error) (text string) {
	m := s.metrics.directory
	if err != nil {
		text = err.Error()
		m.polls.WithLabelValues("failed").Inc()
	} else {
		m.polls.WithLabelValues("ok").Inc()
		m.synced.Set(float64(s.now().Unix()))
	}
	switch {
	case text == said:
	case text != "":
		s.log.Error("the directory does not follow its source; it is tried again", "error", err)
	default:
		s.log.Info("the directory follows its source again")
	}
	return text
}

// poll reads the source, compares and applies. Its error is ErrUnavailable or one of the source; what was applied stays, and
// the next poll finds the rest.
func (y *sourceSync) poll(ctx context.Context) error {
	y.fresh.forget()

	// 1. Both sides, whole: half a source would look like half of the users having left. Ours first, so that nobody does who
	// is added to both in the meantime.
	ours, err := y.ours(ctx)
	if err != nil {
		return err
	}
	theirs, invalid, err := readSource(ctx, y.source)
	if err != nil {
		return err
	}
	d := y.compare(ours, theirs)
	y.s.metrics.directory.users.Set(float64(len(theirs)))
	y.bad = y.s.reportInvalid(y.bad, invalid)

	// 2. How many may leave at once?
	refused := y.guard(d)
	if y.cfg.DryRun {
		y.sayDryRun(d, len(theirs))
		return refused
	}

	// 3. Apply.
	if err := y.apply(ctx, d); err != nil {
		return err
	}
	return refused
}

// guard takes those who left out of the difference when they are more than may leave at once, and says so.
func (y *sourceSync) guard(d *difference) error {
	allowed := int(math.Ceil(float64(d.known) * y.cfg.MaxRemove / 100))
	if y.held { // those who were added meanwhile do not make it right
		allowed = min(allowed, y.allowed)
	}
	y.held, y.allowed = len(d.left) > allowed, allowed
	if !y.held {
		y.s.metrics.directory.held.Set(0)
		return nil
	}
	y.s.metrics.directory.held.Set(float64(len(d.left)))
	err := fmt.Errorf("%d of %d users are no longer in the source (%s), and directory.max_remove lets %d leave at once: nobody was removed; is the source whole? If it is, raise max_remove until they are gone",
		len(d.left), d.known, names(d.left), allowed)
	d.left = nil
	return err
}

// readSource gathers the users of a source by local part.
func readSource(ctx context.Context, source Source) (users map[string]store.User, invalid []string, err error) {
	users = map[string]store.User{}
	for after := ""; ; {
		page, done, err := source.Users(ctx, after, sourcePage)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range page {
			local, err := stanza.Localpart(u.ID)
			if local == protocol.AdminID { // Openfire's own account: reserved
				continue
			}
			entry := store.User{ID: u.ID, JID: local, Name: protocol.Shorten(cmp.Or(u.Name, u.ID), maxWideName), Login: u.Login, Email: u.Email, Pic: u.Pic, PushCode: u.PushCode}
			if err != nil || !fitsDirectory(entry) {
				invalid = append(invalid, protocol.Shorten(u.ID, protocol.MaxID))
				continue
			}
			if other, twice := users[local]; !twice || before(entry, other) {
				users[local] = entry
			}
		}
		switch {
		case done:
			return users, invalid, nil
		case len(page) == 0:
			return nil, nil, errors.New("the source has thousands of users without an id")
		}
		after = page[len(page)-1].ID
	}
}

// before orders rows of one user, so that each poll takes the same.
func before(a, b store.User) bool {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Name, b.Name), strings.Compare(a.Login, b.Login),
		strings.Compare(a.Email, b.Email), strings.Compare(a.Pic, b.Pic), strings.Compare(a.PushCode, b.PushCode)) < 0
}

// fitsDirectory says whether tlim_user and the wire can hold a user.
func fitsDirectory(u store.User) bool {
	return utf8.RuneCountInString(u.ID) <= protocol.MaxID && utf8.RuneCountInString(u.Login) <= protocol.MaxID &&
		utf8.RuneCountInString(u.Email) <= maxWideName && utf8.RuneCountInString(u.Pic) <= maxWideName &&
		utf8.RuneCountInString(u.PushCode) <= maxPushCode && stanza.ValidXML(u.ID+u.Name+u.Login+u.Email+u.Pic+u.PushCode)
}

// sayDryRun says what a poll would do, when that has changed.
func (y *sourceSync) sayDryRun(d *difference, users int) {
	attrs := []any{"users", users, "added", len(d.added), "changed", len(d.changed), "left", len(d.left), "push_codes", len(d.push),
		"respelt", len(d.respelt),
		"of_added", names(d.added), "of_changed", names(d.changed), "of_left", names(d.left), "of_respelt", names(d.respelt)}
	if y.cfg.CreateAccounts && !y.source.OwnsAccounts() {
		attrs = append(attrs, "accounts_to_make", len(d.added)) // at most: some may be there
	}
	if y.cfg.RemoveAccounts && !y.source.OwnsAccounts() {
		attrs = append(attrs, "accounts_to_remove", len(d.left))
	}
	if text := fmt.Sprint(attrs...); text != y.dry {
		y.dry = text
		y.s.log.Info("directory.dry_run: a poll would do this", attrs...)
	}
}

// reportInvalid says which ids cannot be users, when that changes. said is what it said before; it returns this.
func (s *Service) reportInvalid(said string, ids []string) string {
	s.metrics.directory.invalid.Set(float64(len(ids)))
	text := strings.Join(ids[:min(len(ids), namedUsers)], " ")
	if text != said && text != "" {
		s.log.Warn("users of the source are left out: their ids cannot be addresses, or a field is too long", "users", len(ids), "some", text)
	}
	return text
}

// names gives a few ids as examples.
func names(users []store.User) string {
	var some []string
	for _, u := range users[:min(len(users), namedUsers)] {
		some = append(some, u.ID)
	}
	if len(users) > namedUsers {
		some = append(some, "...")
	}
	return strings.Join(some, " ")
}
