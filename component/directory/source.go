package directory

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// Source is a list of users that others keep. *store.Source implements it; the promises are documented there.
type Source interface {
	Users(ctx context.Context, after string, limit int) (users []store.SourceUser, done bool, err error)
	OwnsAccounts() bool
	KeepsPush() bool
	SetPush(ctx context.Context, id, code string) error
	DeletePushCodes(ctx context.Context, codes []string) error
}

// MaxPushCode is how long a push code may be, in characters. A registration id of JPush has 19.
const MaxPushCode = 128

const sourcePage = 2000 // users of one read

// readSource gathers the users of a source by local part, and the ids of those who cannot be users here.
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
			entry := store.User{ID: u.ID, JID: local, Name: protocol.Shorten(cmp.Or(u.Name, u.ID), protocol.MaxName), Login: u.Login, Email: u.Email, Pic: u.Pic, PushCode: u.PushCode}
			if err != nil || !fits(entry) {
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

// before orders the rows of one user, so that each poll takes the same.
func before(a, b store.User) bool {
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.Name, b.Name), strings.Compare(a.Login, b.Login),
		strings.Compare(a.Email, b.Email), strings.Compare(a.Pic, b.Pic), strings.Compare(a.PushCode, b.PushCode)) < 0
}

// fits says whether tlim_user and the wire can hold a user.
func fits(u store.User) bool {
	return utf8.RuneCountInString(u.ID) <= protocol.MaxID && utf8.RuneCountInString(u.Login) <= protocol.MaxID &&
		utf8.RuneCountInString(u.Email) <= protocol.MaxName && utf8.RuneCountInString(u.Pic) <= protocol.MaxName &&
		utf8.RuneCountInString(u.PushCode) <= MaxPushCode && stanza.ValidXML(u.ID+u.Name+u.Login+u.Email+u.Pic+u.PushCode)
}
