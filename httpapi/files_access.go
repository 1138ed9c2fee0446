package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"tlim/component/protocol"
	"tlim/store"
	"tlim/store/blob"
)

// maxFileMessages is how many of the messages that name a file are asked who may read it; a file that was passed on more often
// is readable by those of the first thousand.
const maxFileMessages = 1000

// fileFor finds a file that this caller may read, or errNoFile. pic is set when it is asked for as a session's picture.
func (a *API) fileFor(ctx context.Context, r *request, id, pic string) (store.File, error) {
	known := !a.cfg.Files.Strict || r.caller.scopes&scopeAdmin != 0
	if !known && r.caller.user == "" { // an anonymous mode opens endpoints, but it names nobody who could have been sent a file
		return store.File{}, forbidden(http.StatusUnauthorized, textNoCaller)
	}
	if !blob.Valid(id) {
		return store.File{}, errNoFile
	}
	f, found, err := a.cfg.Files.Rows.GetFile(ctx, id)
	if err != nil {
		return store.File{}, err
	}
	if !found || f.ID != id {
		return store.File{}, errNoFile
	}
	if known {
		return f, nil
	}
	may, err := a.mayRead(ctx, r.caller.user, f)
	if err == nil && !may && pic != "" {
		may, err = a.showsPicture(ctx, r.caller.user, f)
	}
	if err != nil {
		return store.File{}, err
	}
	if !may {
		return store.File{}, errNoFile
	}
	return f, nil
}

// mayRead says whether a user uploaded a file or was sent it: as the partner of a 1:1 message that names it, or as a member
// of the group of one. A message counts only when its sender could read the file themselves, so that knowing an id is no
// way to open the file for others.
func (a *API) mayRead(ctx context.Context, user string, f store.File) (bool, error) {
	if user == "" || protocol.SameUser(user, f.Owner) {
		return user != "", nil
	}
	messages, err := a.cfg.Files.Rows.FileMessages(ctx, f.ID, maxFileMessages)
	if err != nil {
		return false, fmt.Errorf("who was sent file %s: %w", f.ID, err)
	}
	var groups []string
	for _, m := range messages {
		if store.FamilyOf(m.Type) == store.FamilyGroup {
			groups = append(groups, m.SessionID)
		}
	}
	members, err := a.reads.Members(ctx, groups)
	if err != nil {
		return false, fmt.Errorf("members of those who were sent file %s: %w", f.ID, err)
	}

	readers := map[string]bool{protocol.UserKey(f.Owner): f.Owner != ""}
	opened := map[string]bool{} // groups whose members were added
	for _, m := range messages {
		// What the business suite sends it sends with a key. Only the author says that: a type is the sender's own word.
		if !readers[protocol.UserKey(m.From)] && m.From != reservedUser {
			continue
		}
		switch {
		case store.FamilyOf(m.Type) != store.FamilyGroup:
			readers[protocol.UserKey(m.To)] = true
		case !opened[m.SessionID]:
			opened[m.SessionID] = true
			for _, member := range members[m.SessionID] {
				readers[protocol.UserKey(member.UserID)] = true
			}
		}
	}
	return readers[protocol.UserKey(user)], nil
}

// hexRun finds what may be a file's id in the text of a picture.
var hexRun = regexp.MustCompile(`[0-9a-f]+`)

// filesIn are the ids that a group's picture names.
func filesIn(pic string) []string {
	return slices.DeleteFunc(hexRun.FindAllString(pic, -1), func(id string) bool { return !blob.Valid(id) })
}

// showable: the parameter is a picture that the caller may show. Whoever could show others a file by its bare id would see it
// that way themselves.
func showable(name string) rule {
	return rule{say("with files.access strict, a file that %s names is one that the token's user may read", verbatim(name)), func(ctx context.Context, a *API, _ *route, r *request) error {
		pic := r.text(name, maxName)
		if r.err != nil || !a.cfg.Files.Strict || a.cfg.Files.Blobs == nil {
			return r.err
		}
		for _, id := range filesIn(pic) {
			f, found, err := a.cfg.Files.Rows.GetFile(ctx, id)
			if err != nil {
				return err
			}
			if !found { // of the old system
				continue
			}
			may, err := a.mayRead(ctx, r.caller.user, f)
			if err == nil && !may {
				may, err = a.showsPicture(ctx, r.caller.user, f)
			}
			if err == nil && !may {
				err = forbidden(http.StatusForbidden, textNotYours)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}}
}

// showsPicture says whether a file is the picture of a group to which both the user and the file's uploader belong. Only who
// may read it themselves has made it one, see [showable].
func (a *API) showsPicture(ctx context.Context, user string, f store.File) (bool, error) {
	if f.Owner == "" {
		return false, nil
	}
	groups, err := a.reads.GroupsOf(ctx, user)
	if err != nil {
		return false, err
	}
	for _, g := range groups {
		if !slices.Contains(filesIn(g.Pic), f.ID) {
			continue
		}
		if protocol.SameUser(g.Owner, f.Owner) {
			return true, nil
		}
		members, err := a.reads.Members(ctx, []string{g.ID})
		if err != nil {
			return false, err
		}
		for _, m := range members[g.ID] {
			if protocol.SameUser(m.UserID, f.Owner) {
				return true, nil
			}
		}
	}
	return false, nil
}
