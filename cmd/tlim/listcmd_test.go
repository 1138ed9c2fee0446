package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tlim/store"
)

// Users and groups are listed on the database of a process that serves, a page at a time, without a secret of the component.
func TestListCommands(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "{}\n")
	list := func(args ...string) (int, string, string) {
		t.Helper()
		return runCommand(t, append(args, "--config", config)...)
	}
	if code, _, errs := list("users"); code != exitFailed || errs == "" {
		t.Errorf("before the first start: got %d %q, want %d and why", code, errs, exitFailed)
	}
	db, epoch := ledStore(t, dir)
	change := store.Change{
		Users:   []store.User{{ID: "zhangsan", JID: "zhangsan", Name: "张三", Login: "zs"}, {ID: "lisi", JID: "lisi", Name: "李\x1b[2J四"}, {ID: "wangwu", JID: "wangwu", Name: "王五"}},
		Learn:   []store.User{{ID: "gast", JID: "gast", Learned: true}},
		Groups:  []store.Group{{ID: "g1", Name: "项目组", Owner: "zhangsan", CreateTime: "1544602320000"}, {ID: "g2", Name: "旧群", Owner: "lisi", Valid: 1}},
		Members: []store.Member{{SessionID: "g1", UserID: "zhangsan"}, {SessionID: "g1", UserID: "lisi"}},
	}
	for _, c := range []store.Change{change, {SetPush: []store.User{{ID: "lisi", PushCode: "code", PushOS: "android"}}}, {DropUsers: []string{"wangwu"}}} {
		if err := db.Apply(t.Context(), epoch, store.Positions{}, []store.Change{c}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args      string
		code      int
		out, errs string
	}{
		{"users", 0, "wangwu", ""},
		{"users --text 三", 0, "zhangsan  张三    zs     here", ""},
		{"users --text wangwu", 0, "left", ""},
		{"users --text gast", 0, "seen only", ""},
		{"users --text lisi", 0, "here   yes", ""},
		{"users --limit 2", 0, "there are more: --after \"lisi\"\n", ""},
		{"users --limit 0", exitUsage, "", "--limit is 1 to 10000"},
		{"users everybody", exitUsage, "", "wrong arguments"},
		{"groups", 0, "g2     旧群", ""},
		{"groups --text zhangsan", 0, "g1     项目组   0     zhangsan  2        open", ""},
		{"groups --after g1", 0, "closed", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, out, errs := list(strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || strings.Contains(out, "\x1b") || c.errs == "" && errs != "" {
				t.Errorf("%s: got %d %q %q, want %d, %q and %q", c.args, code, out, errs, c.code, c.out, c.errs)
			}
		})
	}

	// Programs go through all pages.
	var ids []string
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		code, out, errs := list("users", "--json", "--limit", "1", "--after", after)
		var got struct {
			Users []listedUser
			Next  string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || pages > 4 {
			t.Fatalf("page %d: got %d %q %q (%v), want one of four", pages, code, out, errs, err)
		}
		for _, u := range got.Users {
			ids = append(ids, u.ID)
		}
		after = got.Next
	}
	if want := []string{"gast", "lisi", "wangwu", "zhangsan"}; !slices.Equal(ids, want) {
		t.Errorf("by pages: got %q, want %q", ids, want)
	}
	var got struct{ Groups []listedGroup }
	if code, out, errs := list("groups", "--json"); code != 0 || json.Unmarshal([]byte(out), &got) != nil || len(got.Groups) != 2 || got.Groups[0].Members != 2 || !got.Groups[1].Closed ||
		got.Groups[0].Created.UnixMilli() != 1544602320000 || got.Groups[1].Created != nil {
		t.Errorf("groups: got %d %s %s, want g1 with two members and its time, and g2, which is closed", code, out, errs)
	}
}
