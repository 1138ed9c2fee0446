package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/store"
)

// TestDecorationNeverTakesAMessageWithIt: names, logins, pictures and titles are cut, or written with "?", or left out, as their
// columns and character sets demand, by every change that writes them; content stays an error.
func TestDecorationNeverTakesAMessageWithIt(t *testing.T) {
	const name, pic = "王𬭎 😀é", "/pic/😀.png"
	for charset, want := range map[string][2]string{
		"utf8":    {"王? ?é", ""},
		"gbk":     {"王? ?é", ""},
		"latin1":  {"?? ?é", ""},
		"gb18030": {name, pic}, // not on MariaDB
		"utf8mb4": {name, pic},
	} {
		t.Run(charset, func(t *testing.T) {
			cfg := mysqlEngine.fresh(t)
			raw := mysqlEngine.raw(t, cfg)
			var known int
			if err := raw.QueryRow("SELECT COUNT(*) FROM information_schema.character_sets WHERE character_set_name = ?", charset).Scan(&known); err != nil {
				t.Fatal(err)
			}
			if known == 0 && charset == "gb18030" {
				return
			}
			open(t, cfg)
			converted(charset)(t, raw) // our own tables as well: a site may have done so
			run(t, raw, "ALTER TABLE ofsubscriber MODIFY pic varchar(20), MODIFY user_name varchar(40)")
			s, epoch := owned(t, cfg)
			long := strings.Repeat("n", 70)

			c := say(1, "z", "g", "[]")
			c.Chats = []store.Chat{{ID: "1", Name: name, Pic: pic, Partner: "z", Owner: "l", CreateTime: "1"}, {ID: "2", Name: long, Pic: long, Partner: "l", Owner: "z", CreateTime: "1"}}
			c.Groups = []store.Group{{ID: "g", Name: name, Pic: pic, CreateTime: "1"}}
			c.Members = []store.Member{{UserID: "z", UserName: name, Login: name, Pic: pic, SessionID: "g"}, {UserID: "l", UserName: long, Login: long, Pic: long, SessionID: "g"}}
			c.Users = []store.User{{ID: "z", JID: "z", Name: name, Email: pic, Pic: pic}}
			c.Learn = []store.User{{ID: "l", JID: "l", Name: name, Login: name}}
			c.SetPush = []store.User{{ID: "k", Name: name, PushCode: "c"}}
			c.Pushes = []store.Push{{ID: "p", Channel: "c", Title: name, Alert: name + strings.Repeat("n", 400)}}
			apply(t, s, epoch, c)

			check := func(what string) {
				t.Helper()
				chats := must[[]store.Chat](t)(s.ChatsOf(ctx, "l"))
				equal(t, what+": list entry", fmt.Sprint(chats[0].Name, chats[0].Pic), want[0]+want[1])
				members := must[map[string][]store.Member](t)(s.Members(ctx, []string{"g"}))["g"]
				login := want[0]
				if login != name {
					login = ""
				}
				equal(t, what+": member", fmt.Sprint(members[1].UserName, "|", members[1].Login, "|", members[1].Pic), fmt.Sprint(want[0], "|", login, "|", want[1]))
				equal(t, what+": long", fmt.Sprint(members[0].UserName, "|", members[0].Login, "|", members[0].Pic), strings.Repeat("n", 40)+"||")
				group, _, err := s.Group(ctx, "g")
				equal(t, what+": group", fmt.Sprint(group.Name, err), want[0]+"<nil>")
				user := must[map[string]store.User](t)(s.UsersByID(ctx, []string{"z"}))["z"]
				equal(t, what+": user", fmt.Sprint(user.Name, user.Email, user.Pic), want[0]+want[1]+want[1])
			}
			check("inserted")
			users := must[map[string]store.User](t)(s.UsersByID(ctx, []string{"l", "k"}))
			equal(t, "learned", fmt.Sprint(users["l"].Name, users["k"].Name), want[0]+want[0])
			push := must[[]store.Push](t)(s.DuePushes(ctx, "c", 1, 9))[0]
			equal(t, "push", fmt.Sprint(push.Title, " ", len([]rune(push.Alert)), strings.HasPrefix(push.Alert, want[0])), want[0]+" 400 true")
			equal(t, "long list entry", must[[]store.Chat](t)(s.ChatsOf(ctx, "z"))[0].Name, strings.Repeat("n", 64))

			// The same by updates.
			run(t, raw, "UPDATE ofchat SET chat_name = 'old', chat_pic = 'old'", "UPDATE ofsubscriber SET user_name = 'old', acct_login = 'old', pic = 'old'",
				"UPDATE ofsession SET session_name = 'old'", "UPDATE tlim_user SET user_name = 'old', user_email = 'old', pic_url = 'old'")
			title := name
			apply(t, s, epoch, store.Change{Members: c.Members, Users: c.Users, EditGroups: []store.GroupEdit{{ID: "g", Name: &title}}})
			must[any](t)(nil, s.Refresh(ctx, epoch, nil, []store.Chat{{ID: "1", Name: name, Pic: pic}, {ID: "2", Name: long, Pic: long}}))
			check("updated")
			must[any](t)(nil, s.Refresh(ctx, epoch, c.Members, nil))
			check("refreshed")

			// Content, and a picture that is all a call wants.
			if want[0] == name {
				return
			}
			emoji := "😀"
			for what, c := range map[string]store.Change{
				"body":                say(2, "z", "g", emoji),
				"announcement":        {Announcements: []store.Announcement{{ID: "a", Title: emoji, SessionID: "g"}}},
				"announcement's text": {Announcements: []store.Announcement{{ID: "a", Content: emoji, SessionID: "g"}}},
				"picture":             {EditGroups: []store.GroupEdit{{ID: "g", Pic: &emoji}}},
				"style":               {Styles: []store.Style{{ID: "s", Name: emoji, UserID: "z"}}},
				"member":              {Members: []store.Member{{UserID: emoji, SessionID: "g"}}},
			} {
				t.Run(what, func(t *testing.T) {
					if err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{c}); !errors.Is(err, store.ErrData) {
						t.Errorf("got %v, want %v", err, store.ErrData)
					}
				})
			}
		})
	}
}
