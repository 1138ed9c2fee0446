package conformance

import (
	"fmt"
	"strings"

	"tlim/store"
)

var groups = []Behaviour{
	{"groups are made, renamed, closed, opened by a message and removed", groupLife},
	{"groups of a user: open, closed, hidden", groupsOfUser},
	{"members come, change, leave and come back", membersLife},
	{"1:1 conversations move each to its own time", chatsMove},
	{"announcements and styles", announcements},
	{"users are learned, named, robbed of a device, and leave", users},
}

func groupLife(c *check) {
	name, pic, closed := "改名 😀", "/p", 1
	if !c.apply(store.Change{
		Groups:  []store.Group{{ID: "g", Name: "n", CreateTime: at(0), Valid: 1, Owner: "z"}, {ID: "h", CreateTime: at(0), Owner: "z"}, {ID: "G", Name: "other", Owner: "l"}},
		Members: []store.Member{{UserID: "z", SessionID: "g", Since: at(1)}, {UserID: "z", SessionID: "G", Since: at(1)}},
	}) {
		return
	}
	touch := say(7, "z", "g", "[]")
	touch.TouchGroup = "g"
	c.apply(touch, store.Change{EditGroups: []store.GroupEdit{{ID: "g", Name: &name, Pic: &pic}, {ID: "h", Valid: &closed}, {ID: "nobody", Name: &name}}})
	want(c, "groups", map[string]store.Group{
		"g": {ID: "g", Name: name, Pic: pic, CreateTime: at(0), ModifyTime: at(7), Owner: "z"},
		"h": {ID: "h", CreateTime: at(0), Valid: 1, Owner: "z"},
		"G": {ID: "G", Name: "other", Owner: "l"}})(c.s.Groups(c.ctx, []string{"g", "h", "G", "nobody"}))
	want(c, "owned", 2)(c.s.CountGroupsOwned(c.ctx, "z"))
	c.apply(store.Change{DropGroups: []string{"g"}, Formers: []store.Former{{SessionID: "g", UserID: "z", Time: at(9)}}, Purges: []store.Purge{{SessionID: "g", Time: at(9)}}})
	size[string, store.Group](c, "after the end of g", 2)(c.s.Groups(c.ctx, []string{"g", "h", "G"}))
	want(c, "members", map[string][]store.Member{"G": {{UserID: "z", SessionID: "G", Since: at(1)}}})(c.s.Members(c.ctx, []string{"g", "G"}))
	want(c, "its messages are to be removed", []store.Purge{{SessionID: "g", Time: at(9)}})(c.s.Purges(c.ctx))
}

func groupsOfUser(c *check) {
	var change store.Change
	for _, g := range []store.Group{{ID: "open", CreateTime: at(2)}, {ID: "closed", Valid: 1, CreateTime: at(1)}, {ID: "hidden", Type: 99, CreateTime: at(3)},
		{ID: "foreign", CreateTime: at(4)}, {ID: "older", CreateTime: at(1)}} {
		change.Groups = append(change.Groups, g)
		if g.ID != "foreign" {
			change.Members = append(change.Members, store.Member{UserID: "z", SessionID: g.ID, Since: at(1)})
		}
	}
	c.apply(change)
	want(c, "open", []store.Group{{ID: "older", CreateTime: at(1)}, {ID: "open", CreateTime: at(2)}})(c.s.GroupsOf(c.ctx, "z"))
	want(c, "closed", []store.Group{{ID: "closed", Valid: 1, CreateTime: at(1)}})(c.s.WebGroupsOf(c.ctx, "z", 1))
	want(c, "nobody's", []store.Group{})(c.s.GroupsOf(c.ctx, "Z"))
}

func membersLife(c *check) {
	member := store.Member{UserID: "z", UserName: "old", SessionID: "g", Since: at(1)}
	if !c.apply(store.Change{Members: []store.Member{member, {UserID: "l", SessionID: "g", Since: at(2)}}}) {
		return
	}
	changed := store.Member{UserID: "z", UserName: "新名", Login: "zhang", Pic: "/p", SessionID: "g", Since: at(8)}
	c.apply(store.Change{Members: []store.Member{changed}})
	changed.Since = at(1)
	want(c, "changed, and since when stays", map[string][]store.Member{"g": {changed, {UserID: "l", SessionID: "g", Since: at(2)}}})(c.s.Members(c.ctx, []string{"g"}))
	// Removals of all changes come before what is added: one change adds whom another one removes.
	again := store.Member{UserID: "z", UserName: "back", SessionID: "g", Since: at(9)}
	c.apply(store.Change{Members: []store.Member{again}}, store.Change{DropMembers: []store.Member{member}, Formers: []store.Former{{SessionID: "g", UserID: "z", Time: at(8)}}})
	want(c, "back", map[string][]store.Member{"g": {{UserID: "l", SessionID: "g", Since: at(2)}, again}})(c.s.Members(c.ctx, []string{"g"}))
	c.apply(store.Change{Formers: []store.Former{{SessionID: "g", UserID: "z", Time: at(10)}}})
	want(c, "left last", []store.Former{{SessionID: "g", UserID: "z", Time: at(10)}})(c.s.Formers(c.ctx, []string{"g"}, 0))
	long := store.Member{UserID: "w", UserName: strings.Repeat("名", 300), Login: strings.Repeat("l", 65), SessionID: "h", Since: at(1)}
	c.apply(store.Change{Members: []store.Member{long}})
	long.UserName, long.Login = strings.Repeat("名", 256), ""
	want(c, "a long name is cut, a long login left out", map[string][]store.Member{"h": {long}})(c.s.Members(c.ctx, []string{"h"}))
}

func chatsMove(c *check) {
	const n = 203 // several statements of each prepared size, and a rest
	var made, moved store.Change
	wanted := map[string]string{}
	for i := range n {
		p := fmt.Sprintf("u%d", i)
		made.Chats = append(made.Chats, store.Chat{ID: p, Partner: p, Owner: "z", CreateTime: at(0)})
		moved.Chats = append(moved.Chats, store.Chat{Partner: p, Owner: "z", ModifyTime: at(i)})
		wanted[p] = at(i)
	}
	made.Chats = append(made.Chats, store.Chat{ID: "other", Partner: "z", Owner: "u1", CreateTime: at(0)})
	if !c.apply(made) {
		return
	}
	c.apply(moved)
	got := map[string]string{}
	chats, err := c.s.ChatsOf(c.ctx, "z")
	for _, chat := range chats {
		got[chat.Partner] = chat.ModifyTime
	}
	want(c, "times", wanted)(got, err)
	want(c, "the other side", []store.Chat{{ID: "other", Partner: "z", Owner: "u1", CreateTime: at(0)}})(c.s.ChatsOf(c.ctx, "u1"))
}

func announcements(c *check) {
	a := store.Announcement{ID: "a1", Title: "放假 😀", Content: strings.Repeat("明天", 2000), UserID: "z", Time: at(1), SessionID: "g"}
	b, other := a, a
	b.ID, other.ID, other.SessionID = "a2", "a3", "other"
	if !c.apply(store.Change{Announcements: []store.Announcement{b, a, other}}) {
		return
	}
	want(c, "of g", []store.Announcement{a, b})(c.s.Announcements(c.ctx, "g", "", 10))
	want(c, "behind the first", []store.Announcement{b})(c.s.Announcements(c.ctx, "g", "a1", 10))
	title, empty := "新", ""
	c.apply(store.Change{EditAnnouncements: []store.AnnouncementEdit{{ID: "a1", Title: &title}, {ID: "a2", Content: &empty}, {ID: "A1", Title: &empty}}})
	a.Title, b.Content = title, ""
	want(c, "changed", []store.Announcement{a, b})(c.s.Announcements(c.ctx, "g", "", 10))
	c.apply(store.Change{DropAnnouncements: []string{"a1", "A2"}})
	want(c, "counted", 1)(c.s.CountAnnouncements(c.ctx, "g"))

	c.apply(store.Change{Styles: []store.Style{{ID: "1", Name: "theme", Value: 3, UserID: "z"}, {ID: "2", Name: "font", Value: -1, UserID: "z"}}},
		store.Change{Styles: []store.Style{{ID: "3", Name: "theme", Value: 4, UserID: "z"}, {ID: "4", Name: "theme", Value: 5, UserID: "Z"}}})
	want(c, "styles", []store.Style{{ID: "2", Name: "font", Value: -1, UserID: "z"}, {ID: "1", Name: "theme", Value: 4, UserID: "z"}})(c.s.StylesOf(c.ctx, "z"))
}

func users(c *check) {
	one := func(what, id string, wanted store.User) {
		found, err := c.s.UsersByID(c.ctx, []string{id})
		want(c, what, wanted)(found[id], err)
	}
	learn := store.User{ID: "bob", JID: "bob", Name: "bob"}
	if !c.apply(store.Change{Learn: []store.User{learn, learn, {ID: "amy", JID: "amy"}}}) {
		return
	}
	c.apply(store.Change{Learn: []store.User{{ID: "BOB", JID: "bob"}}})
	learn.Learned = true
	one("learned", "bob", learn)
	c.apply(store.Change{SetPush: []store.User{{ID: "bob", PushCode: "code", PushOS: "android"}}})
	c.apply(store.Change{Users: []store.User{{ID: "Bob", JID: "bob", Name: "Robert"}}})
	bob := store.User{ID: "Bob", JID: "bob", Name: "Robert", PushCode: "code", PushOS: "android"}
	one("named", "Bob", bob)
	one("by the old spelling", "bob", store.User{})
	c.apply(store.Change{SetPush: []store.User{{ID: "new", JID: "new", PushCode: "code", PushOS: "ios"}}})
	bob.PushCode, bob.PushOS = "", ""
	one("the device is another's", "Bob", bob)
	one("whose it is", "new", store.User{ID: "new", JID: "new", PushCode: "code", PushOS: "ios", Learned: true})
	want(c, "owners of the device", []string{"new"})(c.s.PushOwners(c.ctx, "code"))
	c.apply(store.Change{DropUsers: []string{"Bob", "nobody"}})
	bob.Left = true
	one("left", "Bob", bob)
	want(c, "listed behind amy", []store.User{{ID: "new", JID: "new", PushCode: "code", PushOS: "ios", Learned: true}})(c.s.ListUsers(c.ctx, "amy", 10))
	want(c, "rights of a token", store.TokenState{UserID: "Bob", Left: true})(c.s.TokenState(c.ctx, "bob"))
}
