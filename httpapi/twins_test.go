package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// Spellings of one account in rows, and accounts that look like it.
var (
	lisis = []string{"lisi", "LISI", "liſi", "ｌisi", "ˡisi"}
	twins = []string{"lísi", "lİsi", "lisi ", "lisı", "1isi", "zhangsan"}
)

// TestTwins walks over every rule about a group, with the caller in its rows under each spelling: what is the same account
// to the server has their rights, and nobody else has, however alike the names are to a database or to Unicode.
func TestTwins(t *testing.T) {
	l := newLab(t)
	names := append(slices.Clone(lisis), twins...)
	for i, name := range names {
		owned, joined := fmt.Sprint("o", i), fmt.Sprint("j", i)
		apply(t, l.store, []store.Change{{
			Groups:        []store.Group{{ID: owned, Owner: name}, {ID: joined, Owner: "nobody"}},
			Members:       []store.Member{{SessionID: joined, UserID: name, Since: "1"}},
			Announcements: []store.Announcement{{ID: owned + "-post", SessionID: owned, UserID: "nobody"}, {ID: joined + "-post", SessionID: joined, UserID: name}},
			Message:       &store.Message{ID: "row" + joined, MsgID: joined + "-msg", Type: "MTS-000", From: "nobody", To: joined, SessionID: joined, Time: "1"},
		}})
	}
	rules := 0
	for _, caller := range []string{"lisi", "lísi"} {
		t.Run(fmt.Sprintf("%+q", caller), func(t *testing.T) {
			header := []string{"Authorization", "Bearer " + l.token(t, caller)}
			for _, rt := range l.routes() {
				query := strings.ReplaceAll(rightsQuery[rt.path], "U", caller)
				of := func(group string) string {
					return strings.NewReplacer("session_id=g1", "session_id="+group, "id_=a1", "id_="+group+"-post", "msg_id=m1", "msg_id="+group+"-msg").Replace(query)
				}
				if rt.callers.user == nil || of("x") == query {
					continue
				}
				rules++
				says := ""
				for _, rule := range rt.callers.user {
					says += rule.says.in(asItIs)
				}
				for i, name := range names {
					want := 403
					if name == caller || caller == "lisi" && slices.Contains(lisis, name) {
						want = 200
					}
					for _, group := range []string{fmt.Sprint("o", i), fmt.Sprint("j", i)} {
						form := of(group)
						switch {
						case group[0] == 'j' && !strings.Contains(says, "member"): // the owner's alone
							continue
						case group[0] == 'o' && strings.Contains(form, "-msg"):
							continue
						case group[0] == 'j' && rt.path == "modifySession": // members remove only themselves
							form = "session_id=" + group + "&session_name=x"
						}
						if a := l.do(t, http.MethodPost, rt.path, "", form, header...); a.status != want {
							t.Errorf("%s?%s by %+q, where the row says %+q: got %d %s, want %d", rt.path, form, caller, name, a.status, a.body, want)
						}
						l.svc.taken()
					}
				}
			}
		})
	}
	if rules < 2*14 {
		t.Errorf("%d rules, want at least %d", rules, 2*14)
	}
}

// TestTwinsOfFiles: likewise who may read a file.
func TestTwinsOfFiles(t *testing.T) {
	l := newWhole(t)
	for _, name := range append(slices.Clone(lisis), twins...) {
		for _, caller := range []string{"lisi", "lísi"} {
			t.Run(fmt.Sprintf("%+q reads a file of %+q", caller, name), func(t *testing.T) {
				want := name == caller || caller == "lisi" && slices.Contains(lisis, name)
				if may, err := l.mayRead(t.Context(), caller, store.File{ID: strings.Repeat("0", 32), Owner: name}); may != want || err != nil {
					t.Errorf("got %v, %v, want %v, no error", may, err, want)
				}
			})
		}
	}
}

// TestTwinsOfReaders: a receipt of somebody whose name is alike hides nobody who has not read.
func TestTwinsOfReaders(t *testing.T) {
	l := newLab(t)
	names := append(slices.Clone(lisis), twins...)
	var members []store.Member
	for _, name := range append([]string{"lisi"}, twins...) {
		members = append(members, store.Member{SessionID: "readers", UserID: name, Since: "1"})
	}
	apply(t, l.store, []store.Change{{Groups: []store.Group{{ID: "readers", Owner: "wangwu"}}, Members: members}})
	for i, name := range names {
		msgID := fmt.Sprint("read", i)
		apply(t, l.store, []store.Change{{
			Message:  &store.Message{ID: "row" + msgID, MsgID: msgID, Type: "MTS-000", From: "wangwu", To: "readers", SessionID: "readers", Time: "1"},
			Receipts: []store.Receipt{{ID: "r" + msgID, MsgID: msgID, Sender: "wangwu", Reader: name, Status: 1}},
		}})
		a := l.post(t, "findStatusList", "sender=wangwu&unread=1&msg_id="+msgID)
		var missing []string
		for _, row := range a.object(t)["ofStatusList"].([]any) {
			missing = append(missing, row.(map[string]any)["reader"].(string))
		}
		want := slices.DeleteFunc(append([]string{"lisi"}, twins...), func(member string) bool {
			return member == name || member == "lisi" && slices.Contains(lisis, name)
		})
		if slices.Sort(missing); !slices.Equal(missing, slices.Sorted(slices.Values(want))) {
			t.Errorf("read by %+q, missing are %+q, want %+q", name, missing, want)
		}
	}
}
