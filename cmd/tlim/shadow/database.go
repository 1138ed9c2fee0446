package shadow

import (
	"context"
	"errors"

	"tlim/component/directory"
	"tlim/component/stanza"
	"tlim/store"
)

// Site is what the old plugin reads and writes; it is only read. *store.Examination implements it.
type Site interface {
	StoredMessages(ctx context.Context, msgIDs []string) (map[string][]store.Message, error)
	QueueRows(ctx context.Context, msgIDs []string) (map[string][]store.OfflineMessage, error)
	StoredSince(ctx context.Context, since, until int64, limit int, visit func(store.Message)) (more bool, err error)
	Groups(ctx context.Context, ids []string) (map[string]store.Group, error)
	Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error)
	HoldsMessage(ctx context.Context, body string) (bool, error)
	HoldsQueued(ctx context.Context, body string) (bool, error)
}

// Database is the service's: groups and old messages are the site's, and everything else, also all that is written, is in a scratch
// database.
type Database struct {
	*store.Store // the scratch one
	site         Site
	comparison   *Comparison
}

// NewDatabase tells the comparison of what is written.
func NewDatabase(scratch *store.Store, site Site, c *Comparison) *Database {
	return &Database{scratch, site, c}
}

// Groups are the site's.
func (d *Database) Groups(ctx context.Context, ids []string) (map[string]store.Group, error) {
	return d.site.Groups(ctx, ids)
}

// Members are the site's.
func (d *Database) Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error) {
	found, err := d.site.Members(ctx, groupIDs)
	if err == nil {
		d.comparison.members(found)
	}
	return found, err
}

// MessagesByID are those of this run, and the site's where they are older. The plugin may have deleted one since.
func (d *Database) MessagesByID(ctx context.Context, msgIDs []string) (map[string][]store.Message, error) {
	found, err := d.Store.MessagesByID(ctx, msgIDs)
	if err != nil {
		return nil, err
	}
	var older []string
	for _, id := range msgIDs {
		if len(found[id]) == 0 {
			older = append(older, id)
		}
	}
	rows, err := d.site.StoredMessages(ctx, older)
	for id, list := range rows {
		found[id] = list
	}
	return found, err
}

// Apply writes into the scratch database.
func (d *Database) Apply(ctx context.Context, epoch int64, pos store.Positions, changes []store.Change) error {
	err := d.Store.Apply(ctx, epoch, pos, changes)
	if err == nil {
		d.comparison.applied(changes)
	}
	return err
}

// Sender sends nothing, and says that all of it was taken. The service is none the wiser.
type Sender struct{}

// Deliver drops copies.
func (Sender) Deliver(context.Context, []stanza.Delivery, ...stanza.Run) error { return nil }

// Post drops an acknowledgement.
func (Sender) Post([]byte) bool { return true }

// Answer drops an error.
func (Sender) Answer(string, []byte) bool { return true }

// Barrier says that everything was routed.
func (Sender) Barrier(done func(error)) { go done(nil) }

// Users reads users of the site, and writes nothing back.
type Users struct{ From directory.Source }

// Users are the site's.
func (u Users) Users(ctx context.Context, after string, limit int) ([]store.SourceUser, bool, error) {
	return u.From.Users(ctx, after, limit)
}

// OwnsAccounts is the source's word.
func (u Users) OwnsAccounts() bool { return u.From.OwnsAccounts() }

// KeepsPush is false: nobody is pushed.
func (Users) KeepsPush() bool { return false }

// SetPush is refused.
func (Users) SetPush(context.Context, string, string) error { return errReadOnly }

// DeletePushCodes is refused.
func (Users) DeletePushCodes(context.Context, []string) error { return errReadOnly }

var errReadOnly = errors.New("a shadow run writes nothing")
