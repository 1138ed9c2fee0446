package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

func named(id string) store.User {
	return store.User{ID: id, JID: strings.ToLower(id), Name: "Name of " + id, Login: id}
}

// walkUsers reads all pages of that length by id.
func walkUsers(t *testing.T, limit int, list func(after string, limit int) ([]store.User, error)) string {
	t.Helper()
	var all []string
	for after := ""; ; {
		page := must[[]store.User](t)(list(after, limit))
		for _, u := range page {
			all = append(all, u.ID)
		}
		if len(page) < limit {
			return strings.Join(all, " ")
		}
		after = page[len(page)-1].ID
	}
}

// Accounts are wanted for whom the directory has, and unwanted for who has left it; what was done is not done again.
func TestAccounts(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		state := func() string {
			t.Helper()
			var both []string
			for _, limit := range []int{1, 2, 100} {
				wanted := walkUsers(t, limit, func(after string, n int) ([]store.User, error) { return s.AccountsWanted(ctx, after, n) })
				unwanted := walkUsers(t, limit, func(after string, n int) ([]store.User, error) { return s.AccountsUnwanted(ctx, after, n) })
				both = append(both, wanted+" / "+unwanted)
			}
			if both[0] != both[1] || both[1] != both[2] {
				t.Errorf("pages of 1, 2 and 100: got %q, want the same", both)
			}
			return both[0]
		}
		set := func(a store.Account, ids ...string) { must[any](t)(nil, s.SetAccount(ctx, epoch, ids, a)) }

		apply(t, s, epoch, store.Change{Users: []store.User{named("A"), named("b"), named("c"), named("d")}, Learn: []store.User{{ID: "seen", JID: "seen"}}})
		equal(t, "new", state(), "A b c d / ")
		set(store.AccountThere, "A", "b", "nobody")
		equal(t, "made", state(), "c d / ")
		apply(t, s, epoch, store.Change{DropUsers: []string{"b", "c", "seen"}})
		equal(t, "left", state(), "d / b c seen")
		set(store.AccountGone, "b", "c", "seen")
		equal(t, "removed", state(), "d / ")
		apply(t, s, epoch, store.Change{Users: []store.User{named("b")}})
		equal(t, "back", state(), "b d / ")
		apply(t, s, epoch, store.Change{Users: []store.User{{ID: "A", JID: "a", Name: "another name"}}})
		equal(t, "a new name is no new account", state(), "b d / ")
		if err := s.SetAccount(ctx, epoch-1, []string{"d"}, store.AccountThere); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a deposed process: got %v, want %v", err, store.ErrFenced)
		}
		equal(t, "fenced", state(), "b d / ")
	})
}

// A user whom the directory has written is stale until their rows were looked at, and again when they were written meanwhile.
func TestStaleUsers(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		s, epoch := owned(t, e.fresh(t))
		stale := func() (list []store.StaleUser) {
			for after := ""; ; {
				page := must[[]store.StaleUser](t)(s.StaleUsers(ctx, after, 2))
				list = append(list, page...)
				if len(page) < 2 {
					return list
				}
				after = page[len(page)-1].ID
			}
		}
		names := func(list []store.StaleUser) string {
			var all []string
			for _, u := range list {
				all = append(all, u.ID+"="+u.Name)
			}
			return strings.Join(all, ", ")
		}
		apply(t, s, epoch, store.Change{Users: []store.User{named("A"), named("b"), named("c")}, Learn: []store.User{{ID: "seen", JID: "seen"}}})
		first := stale()
		equal(t, "new", names(first), "A=Name of A, b=Name of b, c=Name of c")
		apply(t, s, epoch, store.Change{Users: []store.User{{ID: "b", JID: "b", Name: "B2"}}})
		must[any](t)(nil, s.Fresh(ctx, epoch, first))
		equal(t, "written meanwhile", names(stale()), "b=B2")
		must[any](t)(nil, s.Fresh(ctx, epoch, stale()))
		equal(t, "all fresh", names(stale()), "")
		if err := s.Fresh(ctx, epoch-1, first); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a deposed process: got %v, want %v", err, store.ErrFenced)
		}
	})
}

// The rows that show a user are found page by page, and written as far as legacy columns hold what is to be shown.
func TestRefreshedRows(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		// Legacy: pic 128 in ofsubscriber, no emoji.
		s, epoch := owned(t, e.fresh(t, append(oldTables(e, varchar64, " CHARACTER SET utf8"),
			`INSERT INTO ofchat (chat_id, chat_name, chat_user, chat_other) VALUES ('c0', 'old', 'Z', 'o0'), ('c1', 'old', 'Z', 'o1'), ('c2', 'old', 'Z', 'o2'), ('c3', 'old', 'Z', 'o0'), ('c4', 'old', 'Z', 'o1'), ('x', 'old', 'o1', 'Z')`)...))
		var change store.Change
		for i := range 5 {
			change.Members = append(change.Members, store.Member{UserID: "Z", UserName: "old", SessionID: fmt.Sprint("g", i), Since: "1"})
		}
		change.Members = append(change.Members, store.Member{UserID: "other", UserName: "old", SessionID: "g1"})
		apply(t, s, epoch, change)

		read := func() (members []store.Member, chats []store.Chat) {
			for after := ""; ; {
				page := must[[]store.Member](t)(s.MemberRows(ctx, "Z", after, 2))
				if members = append(members, page...); len(page) < 2 {
					break
				}
				after = page[len(page)-1].SessionID
			}
			for after := (store.Chat{}); ; {
				page := must[[]store.Chat](t)(s.ChatsWith(ctx, "Z", after, 2))
				if chats = append(chats, page...); len(page) < 2 {
					return members, chats
				}
				after = page[len(page)-1]
			}
		}
		members, chats := read()
		equal(t, "rows", fmt.Sprint(len(members), len(chats)), "5 5")

		long := strings.Repeat("名", 300)
		for i := range members {
			members[i].UserName, members[i].Login, members[i].Pic = long, "zhang", strings.Repeat("p", 257)
		}
		for i := range chats {
			chats[i].Name, chats[i].Pic = long, "/pic"
		}
		members, chats = append(members, store.Member{UserID: "Z", SessionID: "gone"}), append(chats, store.Chat{ID: "gone"})
		must[any](t)(nil, s.Refresh(ctx, epoch, members, chats))
		members, chats = read()
		for i, m := range members {
			equal(t, "member", m, store.Member{UserID: "Z", UserName: long[:256*3], Login: "zhang", SessionID: fmt.Sprint("g", i)})
		}
		for i, c := range chats {
			equal(t, "chat", c, store.Chat{ID: c.ID, Name: long[:64*3], Partner: "Z", Owner: []string{"o0", "o0", "o1", "o1", "o2"}[i], Pic: "/pic"})
		}
		equal(t, "others", must[[]store.Member](t)(s.MemberRows(ctx, "other", "", 9)), []store.Member{{UserID: "other", UserName: "old", SessionID: "g1"}})
		equal(t, "their lists", must[[]store.Chat](t)(s.ChatsWith(ctx, "o1", store.Chat{}, 9)), []store.Chat{{ID: "x", Name: "old", Partner: "o1", Owner: "Z"}})

		must[any](t)(nil, s.Refresh(ctx, epoch, []store.Member{{UserID: "Z", SessionID: "g1", UserName: "😀"}}, nil))
		shown := "😀"
		if e.name == "mysql" { // an old table, which does not hold it
			shown = "?"
		}
		equal(t, "an emoji", must[[]store.Member](t)(s.MemberRows(ctx, "Z", "g0", 1))[0].UserName, shown)
		if err := s.Refresh(ctx, epoch-1, members, nil); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a deposed process: got %v, want %v", err, store.ErrFenced)
		}
	})
}
