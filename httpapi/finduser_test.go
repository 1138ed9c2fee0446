package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tlim/store"
)

// names are the ids that an answer has.
func names(t *testing.T, a answer) (ids []string, next string) {
	t.Helper()
	v := a.object(t)
	if a.status != 200 || v["result"] != "ok" {
		t.Fatalf("got %d %s, want ok", a.status, a.body)
	}
	for _, row := range v["users"].([]any) {
		ids = append(ids, row.(map[string]any)["user_id"].(string))
	}
	next, _ = v["next"].(string)
	return ids, next
}

// directory are users beside those of the groups.
func directory(t *testing.T, s *store.Store) {
	t.Helper()
	users := store.Change{Users: []store.User{
		{ID: "zhangsan", JID: "zhangsan", Name: "张三", Login: "Zs01", Pic: "/z.png"}, {ID: "zhaoliu", JID: "zhaoliu", Name: "赵 六"},
		{ID: "percent%_", JID: "percent%_", Name: "100%_['"}, {ID: "gone", JID: "gone", Name: "离职"}, {ID: "admin", JID: "admin", Name: "Administrator"},
		{ID: "Amy", JID: "amy", Name: "Émilie Zola"},
	}}
	apply(t, s, []store.Change{users})
	apply(t, s, []store.Change{{DropUsers: []string{"gone"}}})
}

func TestFindUsers(t *testing.T) {
	s := seeded(t)
	directory(t, s)
	all := newLabOver(t, s)
	groups := newLabOver(t, s, func(c *Config) { c.FindUsers = FindGroups })
	off := newLabOver(t, s, func(c *Config) { c.FindUsers = FindOff })
	for query, want := range map[string]string{
		"":           "Amy lisi percent%25_ sunqi wangwu zhangsan zhaoliu",
		"text=张":     "zhangsan",
		"text=ZS":    "zhangsan",
		"text=z s":   "zhangsan",
		"text=zl":    "zhaoliu",
		"text=s0":    "zhangsan", // of the login
		"text=%25":   "percent%25_",
		"text=_":     "percent%25_",
		"text=['":    "percent%25_",
		"text=émi":   "Amy",
		"text=admin": "",
		"text=lz":    "", // who has left
		"text=ANG":   "wangwu zhangsan",
		"after=lisi": "percent%25_ sunqi wangwu zhangsan zhaoliu",
		"after=zz":   "",
		"after=lisa": "lisi percent%25_ sunqi wangwu zhangsan zhaoliu", // nobody's id
		"text=   ":   "Amy lisi percent%25_ sunqi wangwu zhangsan zhaoliu",
	} {
		t.Run(fmt.Sprintf("%q", query), func(t *testing.T) {
			ids, next := names(t, all.as(t, "lisi", "findUsers", query+"&length=max"))
			if got := strings.ReplaceAll(strings.Join(ids, " "), "%", "%25"); got != want || next != "" {
				t.Errorf("got %q, next %q, want %q", got, next, want)
			}
		})
	}
	t.Run("page by page", func(t *testing.T) {
		var got []string
		after := ""
		for range 10 {
			ids, next := names(t, all.as(t, "lisi", "findUsers", "length=2&after="+strings.ReplaceAll(after, "%", "%25")))
			if got = append(got, ids...); next == "" {
				break
			}
			after = next
		}
		if fmt.Sprint(got) != "[Amy lisi percent%_ sunqi wangwu zhangsan zhaoliu]" {
			t.Errorf("got %v, want each once", got)
		}
	})
	// Lisi is in g1 with zhangsan, owns g2, and talks to zhangsan; zhangsan also talks to wangwu.
	for user, want := range map[string]string{"lisi": "[lisi zhangsan]", "zhangsan": "[lisi wangwu zhangsan]", "zhaoliu": "[zhaoliu]"} {
		t.Run(user, func(t *testing.T) {
			if ids, _ := names(t, groups.as(t, user, "findUsers", "length=max")); fmt.Sprint(ids) != want {
				t.Errorf("groups, %s: got %v, want %s", user, ids, want)
			}
		})
	}
	if ids, _ := names(t, groups.do(t, http.MethodGet, "findUsers", "length=max", "", "Authorization", "Bearer "+adminKey)); len(ids) != 7 {
		t.Errorf("groups, by an admin key: got %v, want everybody", ids)
	}
	if a := off.as(t, "lisi", "findUsers", "length=max"); a.status != http.StatusForbidden || a.object(t)["result_detail"] != textFindOff.zh {
		t.Errorf("off: got %d %s, want 403 and why", a.status, a.body)
	}
	if ids, _ := names(t, off.do(t, http.MethodGet, "findUsers", "length=max", "", "Authorization", "Bearer "+adminKey)); len(ids) != 7 {
		t.Errorf("off, by an admin key: got %v, want everybody", ids)
	}
	if _, err := New(Config{FindUsers: "some", Keys: []Key{{Name: "root", Key: adminKey, Scopes: []string{"admin"}}}}, nil, nil, nil, all.API.log); err == nil || !strings.Contains(err.Error(), "http.find_users") {
		t.Errorf("another value: got %v, want an error", err)
	}
}

// as calls by a user's token.
func (l *lab) as(t *testing.T, user, endpoint, query string) answer {
	t.Helper()
	return l.do(t, http.MethodPost, endpoint, "", query, "Authorization", "Bearer "+l.token(t, user))
}

// crowd are more users than one call looks at.
type crowd struct {
	*store.Store
	total, reads int
}

func (c *crowd) ListUsers(_ context.Context, after string, limit int) (page []store.User, err error) {
	c.reads++
	n := 0
	if after != "" {
		if _, err := fmt.Sscanf(after, "u%d", &n); err != nil {
			return nil, err
		}
	}
	for n++; n <= c.total && len(page) < limit; n++ {
		page = append(page, store.User{ID: fmt.Sprintf("u%06d", n), Name: "某人"})
	}
	return page, nil
}

// A call looks so far and no further, and says where it stopped; what it answers is bounded, too.
func TestFindUsersInACrowd(t *testing.T) {
	s := seeded(t)
	people := &crowd{Store: s, total: 45_000}
	l := newLabOver(t, s)
	l.API.reads = people
	var found []string
	calls, after := 0, ""
	for calls < 10 {
		ids, next := names(t, l.do(t, http.MethodGet, "findUsers", "text=u04500&length=max&after="+after, "", "Authorization", "Bearer "+adminKey))
		calls++
		if found = append(found, ids...); next == "" {
			break
		}
		after = next
	}
	if fmt.Sprint(found) != "[u045000]" || calls != 3 || people.reads != 46 { // the last read finds nobody behind the last full page
		t.Errorf("got %v by %d calls and %d reads, want [u045000] by 3 and 46", found, calls, people.reads)
	}
	people.reads = 0
	ids, next := names(t, l.do(t, http.MethodGet, "findUsers", "length=max", "", "Authorization", "Bearer "+adminKey))
	if len(ids) != maxFoundUsers || next != "u000500" || people.reads != 1 {
		t.Errorf("all: got %d, next %s, by %d reads, want %d, u000500, 1", len(ids), next, people.reads, maxFoundUsers)
	}
}

// Who may find their acquaintances alone learns nobody else's id from where a call stopped, however many people lie in between.
func TestFindUsersNamesNoStranger(t *testing.T) {
	s := seeded(t)
	directory(t, s)
	people := &crowd{Store: s, total: 45_000}
	l := newLabOver(t, s, func(c *Config) { c.FindUsers = FindGroups })
	l.API.reads = people
	for _, query := range []string{"length=max", "length=max&text=zhang", "length=max&after=u000001", "length=1&text=none", "length=1&after=lisi"} {
		t.Run(query, func(t *testing.T) {
			ids, next := names(t, l.as(t, "lisi", "findUsers", query))
			for _, id := range append(ids, next) {
				if id != "lisi" && id != "zhangsan" && id != "" {
					t.Errorf("%s: got %v, next %q, want Lisi and Zhangsan at most", query, ids, next)
				}
			}
		})
	}
	if people.reads != 0 {
		t.Errorf("got %d reads of the whole directory, want none", people.reads)
	}
	var got []string
	for after, calls := "", 0; calls < 5; calls++ {
		ids, next := names(t, l.as(t, "lisi", "findUsers", "length=1&after="+after))
		if got = append(got, ids...); next == "" {
			break
		}
		after = next
	}
	if fmt.Sprint(got) != "[lisi zhangsan]" {
		t.Errorf("page by page: got %v, want both once", got)
	}
}

// What a group says of its members' presence it says of those alone whom the caller finds.
func TestFindUserPresence(t *testing.T) {
	s := seeded(t)
	all := newLabOver(t, s)
	groups := newLabOver(t, s, func(c *Config) { c.FindUsers = FindGroups })
	off := newLabOver(t, s, func(c *Config) { c.FindUsers = FindOff })
	shown := func(a answer) string {
		t.Helper()
		v := a.object(t)
		if v["result"] != "ok" {
			t.Fatalf("got %d %s, want ok", a.status, a.body)
		}
		var out []string
		for _, row := range v["presence"].([]any) {
			row := row.(map[string]any)
			out = append(out, fmt.Sprint(row["user_id"], "=", row["status"]))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		lab        *lab
		user, want string
	}{
		{all, "lisi", "zhangsan=away wangwu=offline nobody=offline"},
		{groups, "lisi", "zhangsan=away"},
		{groups, "zhangsan", "zhangsan=away wangwu=offline"},
		{groups, "zhaoliu", ""},
	} {
		t.Run(string(c.lab.API.cfg.FindUsers)+", "+c.user, func(t *testing.T) {
			if got := shown(c.lab.as(t, c.user, "findUserPresence", "user_ids=zhangsan,wangwu,nobody")); got != c.want {
				t.Errorf("%s, as %s: got %q, want %q", c.user, c.lab.API.cfg.FindUsers, got, c.want)
			}
		})
	}
	if a := off.as(t, "lisi", "findUserPresence", "user_ids=zhangsan"); a.status != http.StatusForbidden {
		t.Errorf("off: got %d %s, want 403", a.status, a.body)
	}
	if got := shown(off.do(t, http.MethodGet, "findUserPresence", "user_ids=zhangsan", "", "Authorization", "Bearer "+adminKey)); got != "zhangsan=away" {
		t.Errorf("off, by an admin key: got %q, want Zhangsan", got)
	}
	many := "user_ids=0"
	for i := range 200 {
		many += fmt.Sprint(",", i+1)
	}
	if a := all.as(t, "lisi", "findUserPresence", many); a.object(t)["result"] != "error-012" {
		t.Errorf("201: got %s, want error-012", a.body)
	}
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"张三": "zs", "李四": "ls", "王五": "ww", "赵六": "zl", "欧阳娜娜": "oynn", "阿": "a", "芭": "b", "擦": "c", "搭": "d", "蛾": "e", "发": "f", "噶": "g", "哈": "h", "击": "j", "喀": "k",
		"垃": "l", "妈": "m", "拿": "n", "哦": "o", "啪": "p", "期": "q", "然": "r", "撒": "s", "塌": "t", "挖": "w", "昔": "x", "压": "y", "匝": "z", "座": "z",
		"Wang 五 2": "wangw2", "": "", "-": "", "瑮": ".", "犇": ".", "😀": ".", "é": ".", "龍": ".", "。": ".", "ａ": ".",
	} {
		t.Run(name, func(t *testing.T) {
			if got := initials(name); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
