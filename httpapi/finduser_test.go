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
		t.Run(query, func(t *testing.T) {
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
		if ids, _ := names(t, groups.as(t, user, "findUsers", "length=max")); fmt.Sprint(ids) != want {
			t.Errorf("groups, %s: got %v, want %s", user, ids, want)
		}
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
