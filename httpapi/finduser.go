package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"tlim/component/protocol"
	"tlim/store"
)

// Finding says whom the holder of a user token finds.
type Finding string

// The values of http.find_users.
const (
	FindAll    Finding = "all"    // everybody in the directory (default)
	FindGroups Finding = "groups" // those with whom they share a group or a 1:1 conversation
	FindOff    Finding = "off"    // nobody
)

// A search reads the directory in pages, in the order of ids. One call looks so far and no further; where it stopped, its answer
// holds next, which the client sends as after to go on.
const (
	maxFoundUsers = 500  // of one answer
	userPage      = 1000 // of one read
	maxUserReads  = 20   // of one call
)

// foundUser is a row of the answer.
type foundUser struct {
	Login string `json:"acct_login,omitempty"`
	Pic   string `json:"pic,omitempty"`
	Robot bool   `json:"robot,omitempty"`
	ID    string `json:"user_id"`
	Name  string `json:"user_name,omitempty"`
}

func (a *API) findUsers(ctx context.Context, r *request) (any, error) {
	text, after, length := r.text("text", maxSearch), r.text("after", maxID), min(r.length(), maxFoundUsers)
	if r.err != nil {
		return nil, r.err
	}
	if r.caller.user != "" && a.cfg.FindUsers == FindOff {
		return nil, forbidden(http.StatusForbidden, textFindOff)
	}
	var (
		found []foundUser
		next  string
		err   error
	)
	if a.narrow(r) {
		known := acquaintances{}
		if err = a.addPartners(ctx, r, known); err == nil {
			err = a.addMembers(ctx, r, known)
		}
		if err == nil {
			found, next, err = a.knownLike(ctx, r, newSought(text), known, after, length)
		}
	} else {
		found, next, err = a.usersLike(ctx, r, newSought(text), after, length)
	}
	if err != nil {
		return nil, err
	}
	return object{"users": found, "next": next}, nil
}

// row makes a row of the answer; false when it is nobody to be found.
func (s sought) row(u store.User) (foundUser, bool) {
	if u.Left || u.ID == reservedUser || !s.in(u) {
		return foundUser{}, false
	}
	return foundUser{Login: u.Login, Pic: u.Pic, Robot: u.Robot, ID: u.ID, Name: u.Name}, true
}

// usersLike looks for users behind after; next is where it stopped, "" at the end.
func (a *API) usersLike(ctx context.Context, r *request, what sought, after string, length int) (found []foundUser, next string, err error) {
	found = []foundUser{}
	page := userPage
	if what.everybody() {
		page = length
	}
	for reads := 0; len(found) < length; reads++ {
		if reads == maxUserReads {
			return found, after, nil
		}
		if reads > 0 {
			r.charge(readWeight)
		}
		users, err := a.reads.ListUsers(ctx, after, page)
		if err != nil {
			return nil, "", err
		}
		for _, u := range users {
			after = u.ID
			row, ok := what.row(u)
			if !ok {
				continue
			}
			if found = append(found, row); len(found) == length {
				return found, after, nil
			}
		}
		if len(users) < page {
			return found, "", nil
		}
	}
	return found, "", nil
}

// knownLike is usersLike among these alone. It never looks at others, so that next names none of them.
func (a *API) knownLike(ctx context.Context, r *request, what sought, known acquaintances, after string, length int) (found []foundUser, next string, err error) {
	found = []foundUser{}
	if length == 0 {
		return found, "", nil
	}
	var ids []string
	for _, id := range known {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	page := userPage
	if what.everybody() {
		page = min(page, length)
	}
	for reads := 0; len(ids) > 0; reads++ {
		if reads == maxUserReads {
			return found, after, nil
		}
		if reads > 0 {
			r.charge(readWeight)
		}
		some := ids[:min(page, len(ids))]
		ids = ids[len(some):]
		users, err := a.usersOf(ctx, some)
		if err != nil {
			return nil, "", err
		}
		for i, id := range some {
			after = id
			row, ok := what.row(users[id])
			if !ok || users[id].ID == "" {
				continue
			}
			if found = append(found, row); len(found) == length {
				if i == len(some)-1 && len(ids) == 0 {
					after = ""
				}
				return found, after, nil
			}
		}
	}
	return found, "", nil
}

// usersOf are the users of ids in any spelling, who left included.
func (a *API) usersOf(ctx context.Context, ids []string) (map[string]store.User, error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = protocol.UserKey(id)
	}
	byKey, err := a.reads.UsersByJID(ctx, keys)
	if err != nil {
		return nil, err
	}
	users := make(map[string]store.User, len(ids))
	var rest []string
	for i, id := range ids {
		if u, ok := byKey[keys[i]]; ok {
			users[id] = u
		} else {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 {
		return users, nil
	}
	byID, err := a.reads.UsersByID(ctx, rest) // of a directory that knows no addresses
	for id, u := range byID {
		users[id] = u
	}
	return users, err
}

// acquaintances are people by their keys, in a spelling of theirs.
type acquaintances map[string]string

func (a acquaintances) add(id string) {
	if key := protocol.UserKey(id); a[key] == "" {
		a[key] = id
	}
}

func (a acquaintances) has(id string) bool { return a[protocol.UserKey(id)] != "" }

// narrow says whether a caller finds acquaintances alone.
func (a *API) narrow(r *request) bool { return r.caller.user != "" && a.cfg.FindUsers == FindGroups }

// addPartners adds those with whom the caller has a 1:1 conversation, and themselves.
func (a *API) addPartners(ctx context.Context, r *request, known acquaintances) error {
	known.add(r.caller.user)
	chats, err := a.reads.ChatsOf(ctx, r.caller.user)
	for _, c := range chats {
		known.add(c.Partner)
	}
	r.charge(len(chats) / weighing)
	return err
}

// addMembers adds those with whom the caller shares a group.
func (a *API) addMembers(ctx context.Context, r *request, known acquaintances) error {
	groups, err := a.reads.GroupsOf(ctx, r.caller.user)
	if err != nil {
		return err
	}
	var ids []string
	for _, g := range groups {
		ids = append(ids, g.ID)
		known.add(g.Owner)
	}
	members, err := a.reads.Members(ctx, ids)
	rows := 0
	for _, of := range members {
		for _, m := range of {
			known.add(m.UserID)
			rows++
		}
	}
	r.charge(rows / weighing)
	return err
}

// findUserPresence says of each of these users whom the caller finds what their best device shows. Of others it says nothing.
// Pages ask often, and most of those whom they ask about are partners: groups are read for the others alone.
func (a *API) findUserPresence(ctx context.Context, r *request) (any, error) {
	ids := r.list("user_ids", protocol.UserIDInvalid)
	for _, id := range ids {
		r.fits("user_ids", id, maxID)
	}
	if r.err != nil {
		return nil, r.err
	}
	if r.caller.user != "" && a.cfg.FindUsers == FindOff {
		return nil, forbidden(http.StatusForbidden, textFindOff)
	}
	if a.narrow(r) {
		known := acquaintances{}
		if err := a.addPartners(ctx, r, known); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(ids, func(id string) bool { return !known.has(id) }) {
			if err := a.addMembers(ctx, r, known); err != nil {
				return nil, err
			}
		}
		ids = slices.DeleteFunc(ids, func(id string) bool { return !known.has(id) })
	}
	type row struct {
		Status string `json:"status"`
		UserID string `json:"user_id"`
	}
	rows := make([]row, 0, len(ids))
	for _, id := range ids {
		rows = append(rows, row{a.svc.UserPresence(id), id})
	}
	return object{"presence": rows}, nil
}

// sought is what is looked for in users.
type sought struct{ text, letters string } // letters: the same without blanks, when it is of ASCII letters alone

func newSought(text string) sought {
	s := sought{text: strings.ToLower(strings.TrimSpace(text))}
	letters := strings.ReplaceAll(s.text, " ", "")
	if letters != "" && !strings.ContainsFunc(letters, func(r rune) bool { return r < 'a' || r > 'z' }) {
		s.letters = letters
	}
	return s
}

func (s sought) everybody() bool { return s.text == "" }

// in says whether a user's name, id or login holds it, or the initials of the name's pinyin do.
func (s sought) in(u store.User) bool {
	for _, text := range []string{u.Name, u.ID, u.Login} {
		if strings.Contains(strings.ToLower(text), s.text) {
			return true
		}
	}
	return s.letters != "" && strings.Contains(initials(u.Name), s.letters)
}
