package component

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"tlim/component/stanza"
	"tlim/store"
)

// Source is a directory of users that others keep. *store.Source implements it; the promises are documented there.
type Source interface {
	Users(ctx context.Context, after string, limit int) ([]store.SourceUser, bool, error)
	KeepsPush() bool
	SetPush(ctx context.Context, id, code string) error
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
	namedUsers = 10   // ids that a log line gives as examples
)

// sourceSync keeps the directory as its source has it: each poll is compared with tlim_user, and the difference goes through
// the conveyor. Nothing is ever deleted; who is no longer in the source is marked as having left.
type sourceSync struct {
	s      *Service
	source Source
	cfg    DirectoryConfig
	poked  *poked

	mu         sync.Mutex
	registered map[string]bool // local parts whose push code was written while a poll runs: what it read of them is old

	// Of the one goroutine that polls.
	said string // the last trouble, to log it once
	bad  string // the last ids that cannot be users, likewise
}

func newSourceSync(s *Service, source Source, cfg DirectoryConfig) *sourceSync {
	return &sourceSync{s: s, source: source, cfg: cfg, poked: newPoked(), registered: map[string]bool{}}
}

// run polls until ctx ends: at once, at each interval, and when poked.
func (y *sourceSync) run(ctx context.Context) {
	y.poked.loop(ctx, y.cfg.Interval, func(ctx context.Context) {
		if err := y.poll(ctx); ctx.Err() == nil {
			y.note(err)
		}
	})
}

// poke asks for a poll soon: somebody spoke of users whom the source may have by now. A nil one has nothing to poll.
func (y *sourceSync) poke() {
	if y != nil {
		y.poked.poke()
	}
}

// note logs when polls begin to fail, for another reason than before, and when they work again.
func (y *sourceSync) note(err error) {
	m, text := y.s.metrics.directory, ""
	if err != nil {
		text = err.Error()
		m.polls.WithLabelValues("failed").Inc()
	} else {
		m.polls.WithLabelValues("ok").Inc()
		m.synced.Set(float64(y.s.now().Unix()))
	}
	switch {
	case text == y.said:
	case text != "":
		y.s.log.Error("the directory could not be read or written; users stay as they are known, and it is tried again", "error", err)
	default:
		y.s.log.Info("the directory is in step again")
	}
	y.said = text
}

// difference is what one poll changes.
type difference struct {
	put     []store.User // new, changed, or back
	added   int          // of put: not known before
	push    []store.User // with another PushCode
	left    []store.User
	known   int // users whom the directory has of the source
	invalid []string
}

// poll reads the source, compares and applies. Its error is ErrUnavailable or one of the source; what was applied stays, and
// the next poll finds the rest.
func (y *sourceSync) poll(ctx context.Context) error {
	y.mu.Lock()
	clear(y.registered)
	y.mu.Unlock()

	// 1. Both sides, whole: half a source would look like half of the users having left.
	theirs, invalid, err := y.read(ctx)
	if err != nil {
		return err
	}
	d := difference{invalid: invalid}
	if err := y.compare(ctx, theirs, &d); err != nil {
		return err
	}
	y.s.metrics.directory.users.Set(float64(len(theirs)))
	y.reportInvalid(d.invalid)

	// 2. How many may leave at once?
	allowed := int(math.Ceil(float64(d.known) * y.cfg.MaxRemove / 100))
	var refused error
	y.s.metrics.directory.held.Set(0)
	if len(d.left) > allowed {
		y.s.metrics.directory.held.Set(float64(len(d.left)))
		refused = fmt.Errorf("%d of %d users are no longer in the source (%s): more than directory.max_remove lets leave at once (%d), so nobody was removed; is the source whole? If it is, raise max_remove for one poll",
			len(d.left), d.known, names(d.left), allowed)
		d.left = nil
	}
	if y.cfg.DryRun {
		y.sayDryRun(&d)
		return refused
	}

	// 3. Apply.
	if err := y.apply(ctx, &d); err != nil {
		return err
	}
	return refused
}

// read gathers the users of the source by local part. The first of two that are one user counts.
func (y *sourceSync) read(ctx context.Context) (users map[string]store.User, invalid []string, err error) {
	users = map[string]store.User{}
	for after := ""; ; {
		page, done, err := y.source.Users(ctx, after, sourcePage)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range page {
			local, err := stanza.Localpart(u.ID)
			if local == adminID { // Openfire's own account: reserved
				continue
			}
			entry := store.User{ID: u.ID, JID: local, Name: cut(orDefault(u.Name, u.ID), maxWideName), Login: u.Login, Email: u.Email, Pic: u.Pic, PushCode: u.PushCode}
			if err != nil || !fitsDirectory(entry) {
				invalid = append(invalid, cut(u.ID, maxID))
				continue
			}
			if _, twice := users[local]; !twice {
				users[local] = entry
			}
		}
		if done || len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	return users, invalid, nil
}

// fitsDirectory says whether tlim_user and the wire can hold a user.
func fitsDirectory(u store.User) bool {
	return utf8.RuneCountInString(u.ID) <= maxID && utf8.RuneCountInString(u.Login) <= maxID &&
		utf8.RuneCountInString(u.Email) <= maxWideName && utf8.RuneCountInString(u.Pic) <= maxWideName &&
		utf8.RuneCountInString(u.PushCode) <= maxPushCode && stanza.ValidXML(u.ID+u.Name+u.Login+u.Email+u.Pic+u.PushCode)
}

// compare finds what the directory lacks and what it has too much. It takes users out of a copy of theirs as it meets them.
func (y *sourceSync) compare(ctx context.Context, theirs map[string]store.User, d *difference) error {
	missing := make(map[string]bool, len(theirs))
	for local := range theirs {
		missing[local] = true
	}
	held := map[string]string{} // push code, local part of who has it here
	var ours []store.User
	for after := ""; ; {
		page, err := y.s.store.AllUsers(ctx, after, sourcePage)
		if err != nil {
			return err
		}
		for _, u := range page {
			if u.PushCode != "" {
				held[u.PushCode] = u.JID
			}
			ours = append(ours, u)
		}
		if len(page) < sourcePage {
			break
		}
		after = page[len(page)-1].ID
	}
	codes := y.codes(theirs, held)
	for _, u := range ours {
		their, there := theirs[u.JID]
		if !u.Learned {
			d.known++
		}
		switch {
		case there:
			delete(missing, u.JID)
			if u.Learned || u.ID != their.ID || u.Name != their.Name || u.Login != their.Login || u.Email != their.Email || u.Pic != their.Pic {
				d.put = append(d.put, their)
			}
			if y.source.KeepsPush() && u.PushCode != codes[u.JID] {
				their.PushCode = codes[u.JID]
				d.push = append(d.push, their)
			}
		case !u.Learned: // who was only seen on the wire was never of the source
			d.left = append(d.left, u)
		}
	}
	for local := range missing {
		u := theirs[local]
		d.put, d.added = append(d.put, u), d.added+1
		if code := codes[local]; y.source.KeepsPush() && code != "" {
			u.PushCode = code
			d.push = append(d.push, u)
		}
	}
	byID := func(a, b store.User) int { return strings.Compare(a.ID, b.ID) }
	slices.SortFunc(d.put, byID)
	slices.SortFunc(d.push, byID)
	return nil
}

// codes gives each push code of the source to one user: a device has one user, and the old plugin never took it from the one
// before. Who has it here keeps it, else the first by name has it.
func (y *sourceSync) codes(theirs map[string]store.User, held map[string]string) map[string]string {
	owner := map[string]string{}
	for local, u := range theirs {
		if u.PushCode == "" {
			continue
		}
		now, taken := owner[u.PushCode]
		if !taken || held[u.PushCode] == local || held[u.PushCode] != now && local < now {
			owner[u.PushCode] = local
		}
	}
	codes := make(map[string]string, len(owner))
	for code, local := range owner {
		codes[local] = code
	}
	return codes
}

// apply writes the difference through the conveyor, in slices that chat may pass.
func (y *sourceSync) apply(ctx context.Context, d *difference) error {
	s, m := y.s, y.s.metrics.directory
	unstorable := 0
	for slice := range slices.Chunk(d.put, noticeSlice) {
		n, err := y.put(ctx, slice)
		unstorable += n
		if err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(d.push, noticeSlice) {
		if err := y.putPush(ctx, slice); err != nil {
			return err
		}
	}
	for slice := range slices.Chunk(d.left, noticeSlice) {
		if err := s.markLeft(ctx, slice); err != nil {
			return err
		}
	}
	changed := len(d.put) - d.added
	m.changes.WithLabelValues("added").Add(float64(d.added))
	m.changes.WithLabelValues("changed").Add(float64(changed))
	m.changes.WithLabelValues("left").Add(float64(len(d.left)))
	m.changes.WithLabelValues("push").Add(float64(len(d.push)))
	if len(d.put)+len(d.left) > 0 {
		s.log.Info("the directory follows its source", "added", d.added, "changed", changed, "left", len(d.left), "push_codes", len(d.push))
		s.usersChanged()
	}
	if unstorable > 0 {
		return fmt.Errorf("%d users of the source cannot be stored: the database does not hold their names (character set?)", unstorable)
	}
	return nil
}

// put writes users; one that the database cannot hold is counted and does not keep the others out.
func (y *sourceSync) put(ctx context.Context, users []store.User) (unstorable int, err error) {
	err = y.s.putUsers(ctx, users)
	var refusal *Error
	if !errors.As(err, &refusal) {
		return 0, err
	}
	if len(users) == 1 {
		y.s.log.Debug("a user of the source cannot be stored", "user_id", users[0].ID, "error", err)
		return 1, nil
	}
	half := len(users) / 2
	for _, part := range [][]store.User{users[:half], users[half:]} {
		n, err := y.put(ctx, part)
		unstorable += n
		if err != nil {
			return unstorable, err
		}
	}
	return unstorable, nil
}

// putPush writes push codes of the source, but those that were registered here since the poll began to read.
func (y *sourceSync) putPush(ctx context.Context, users []store.User) error {
	return y.s.do(ctx, &call{alone: true, plan: func(ctx context.Context, b *batch) error {
		found, err := b.s.users.lookup(ctx, localsOf(users))
		if err != nil {
			return err
		}
		y.mu.Lock()
		defer y.mu.Unlock()
		var change store.Change
		for _, u := range users {
			row, ok := found[u.JID]
			if !ok || y.registered[u.JID] {
				continue
			}
			row.PushCode, row.PushOS, row.Confirms = u.PushCode, "", b.s.users.confirms(u.JID)
			change.SetPush = append(change.SetPush, row)
			b.restale = append(b.restale, u.JID)
		}
		if len(change.SetPush) > 0 {
			b.changes = append(b.changes, change)
		}
		return nil
	}})
}

// writePush hands a registration on to the source, before it is written here: after a crash in between the next poll brings
// it. It does nothing where the source keeps no codes.
func (y *sourceSync) writePush(ctx context.Context, p person, code string) error {
	if y == nil || !y.source.KeepsPush() {
		return nil
	}
	y.mu.Lock()
	y.registered[p.Local] = true
	y.mu.Unlock()
	if err := y.source.SetPush(ctx, p.ID, code); err != nil {
		y.s.log.Warn("a push code could not be written back", "user_id", p.ID, "error", err)
		return ErrUnavailable
	}
	return nil
}

func (y *sourceSync) sayDryRun(d *difference) {
	if len(d.put)+len(d.left)+len(d.push) == 0 {
		return
	}
	y.s.log.Info("directory.dry_run: a poll would change the directory", "added", d.added, "changed", len(d.put)-d.added, "left", len(d.left),
		"push_codes", len(d.push), "of_put", names(d.put), "of_left", names(d.left))
}

// reportInvalid says which ids cannot be users, when that changes.
func (y *sourceSync) reportInvalid(ids []string) {
	y.s.metrics.directory.invalid.Set(float64(len(ids)))
	text := strings.Join(ids[:min(len(ids), namedUsers)], " ")
	if text != y.bad && text != "" {
		y.s.log.Warn("users of the source are left out: their ids cannot be addresses, or a field is too long", "users", len(ids), "some", text)
	}
	y.bad = text
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

func localsOf(users []store.User) []string {
	locals := make([]string, len(users))
	for i, u := range users {
		locals[i] = u.JID
	}
	return locals
}
