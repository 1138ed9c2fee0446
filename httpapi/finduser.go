package httpapi

import (
	"context"
	"net/http"
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
	known, err := a.acquaintances(ctx, r)
	if err != nil {
		return nil, err
	}
	found, next, err := a.usersLike(ctx, r, newSought(text), known, after, length)
	if err != nil {
		return nil, err
	}
	return object{"users": found, "next": next}, nil
}

// usersLike looks for users behind after; next is where it stopped, "" at the end. known nil is everybody.
func (a *API) usersLike(ctx context.Context, r *request, what sought, known map[string]bool, after string, length int) (found []foundUser, next string, err error) {
	found = []foundUser{}
	page := userPage
	if what.everybody() && known == nil {
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
			if u.ID == reservedUser || known != nil && !known[protocol.UserKey(u.ID)] || !what.in(u) {
				continue
			}
			found = append(found, foundUser{Login: u.Login, Pic: u.Pic, ID: u.ID, Name: u.Name})
			if len(found) == length {
				return found, after, nil
			}
		}
		if len(users) < page {
			return found, "", nil
		}
	}
	return found, "", nil
}

// acquaintances are the keys of those whom a caller finds; nil is everybody.
func (a *API) acquaintances(ctx context.Context, r *request) (map[string]bool, error) {
	user := r.caller.user
	if user == "" || a.cfg.FindUsers != FindGroups {
		return nil, nil
	}
	groups, err := a.reads.GroupsOf(ctx, user)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{protocol.UserKey(user): true}
	var ids []string
	for _, g := range groups {
		ids = append(ids, g.ID)
		known[protocol.UserKey(g.Owner)] = true
	}
	members, err := a.reads.Members(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := 0
	for _, of := range members {
		for _, m := range of {
			known[protocol.UserKey(m.UserID)] = true
			rows++
		}
	}
	chats, err := a.reads.ChatsOf(ctx, user)
	if err != nil {
		return nil, err
	}
	for _, c := range chats {
		known[protocol.UserKey(c.Partner)] = true
	}
	r.charge((rows + len(chats)) / weighing)
	return known, nil
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
