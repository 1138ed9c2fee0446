package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component/doubles"
	"tlim/store"
)

// importing is a harness that learns users from the server's tables.
type importing struct {
	*harness
	from   *testSource
	server *doubles.Finder
}

// startImporting starts with four users whom somebody has named.
func startImporting(t *testing.T, change func(*Config), users ...string) *importing {
	t.Helper()
	h := &importing{from: &testSource{keepsNone: true, owns: true}, server: &doubles.Finder{}}
	cfg := Config{Interval: time.Hour, MaxRemove: 100}
	if change != nil {
		change(&cfg)
	}
	h.harness = newHarness(t, cfg, with{imports: h.from, registry: h.server})
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "lisi", Name: "Lisi"}, {ID: "wangwu", Name: "Wangwu"}, {ID: "zhangsan", Name: "Zhangsan"}, {ID: "zhaoliu", Name: "Zhaoliu"}}))
	h.from.have(users...)
	return h
}

func (i *importing) polled() {
	i.t.Helper()
	check(i.t, i.poll(i.imports))
}

// The server's tables add users and name those who were only seen; whom somebody has spoken of keeps the name that they were given.
func TestImport(t *testing.T) {
	h := startImporting(t, nil, "admin=Administrator", "LiSi=Other", "anna=Anna", "zhaoliu=Z", "seen=李四")
	if err := h.RemoveUsers(t.Context(), []string{"zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	h.server.Set(func(r *doubles.Finder) { r.There = []string{"elsewhere"} })
	h.change(store.Change{Learn: []store.User{Learned("seen"), Learned("elsewhere"), Learned("here")}}, "seen", "elsewhere", "here")
	h.online["here"] = true
	h.polled()
	h.holds("first", "anna=Anna? elsewhere=elsewhere? here=here? lisi=Lisi seen=李四? wangwu=Wangwu zhangsan=Zhangsan")
	if h.log.Count(`users were learned from the server's tables" added=1 changed=1 left=0`) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	h.rec.take()
	h.polled()
	h.wrote("no difference", "")

	h.from.have("anna=Anna B", "lisi=Other", "seen=李四")
	h.polled()
	h.holds("a new name", "anna=Anna B? elsewhere=elsewhere? here=here? lisi=Lisi seen=李四? wangwu=Wangwu zhangsan=Zhangsan")
	if err := h.AddUsers(t.Context(), []store.User{{ID: "anna", Name: "told"}}); err != nil {
		t.Fatal(err)
	}
	h.polled()
	h.holds("told", "anna=told elsewhere=elsewhere? here=here? lisi=Lisi seen=李四? wangwu=Wangwu zhangsan=Zhangsan")
}

// Who was learned leaves when the tables and the server say so, both, and comes back. Nobody else ever leaves.
func TestImportOfWhoIsGone(t *testing.T) {
	h := startImporting(t, nil, "a", "b", "c", "d")
	h.server.There, h.server.Silent = []string{"b"}, nil
	h.polled()
	all := "a=a? b=b? c=c? d=d? lisi=Lisi wangwu=Wangwu zhangsan=Zhangsan zhaoliu=Zhaoliu"
	h.holds("begin", all)
	h.server.Set(func(r *doubles.Finder) { r.Fail = fmt.Errorf("ask: %w", ErrUntold) })
	h.from.have("d")
	h.polled()
	h.holds("nobody can tell", all)
	if got := h.server.Questions(); got != "a b c" {
		t.Errorf(`asked about %s, want "a b c"`, got)
	}
	h.server.Set(func(r *doubles.Finder) { r.Fail = nil })
	h.clock.Move(untoldAge)
	h.polled()
	h.holds("two are gone", "b=b? d=d? lisi=Lisi wangwu=Wangwu zhangsan=Zhangsan zhaoliu=Zhaoliu")
	if h.log.Count(`left=2 of_left="a c"`) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	if err := h.RemoveUsers(t.Context(), []string{"d"}); err != nil {
		t.Fatal(err)
	}
	h.from.have("a=Anna", "d")
	h.polled()
	h.holds("one is back; who was sent away is not", "a=Anna? b=b? lisi=Lisi wangwu=Wangwu zhangsan=Zhangsan zhaoliu=Zhaoliu")
	if err := h.RemoveUsers(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	h.polled()
	h.holds("nor is a, once sent away", "b=b? lisi=Lisi wangwu=Wangwu zhangsan=Zhangsan zhaoliu=Zhaoliu")
}

// Tables that are empty, hold the administrator only, lack many or cannot be read take nobody away.
func TestImportLosesNobody(t *testing.T) {
	var users []string
	for i := range 30 {
		users = append(users, fmt.Sprintf("u%02d", i))
	}
	h := startImporting(t, func(d *Config) { d.MaxRemove = 5 }, users...) // of 34 users two may leave at once
	h.polled()
	before := h.listed()
	for name, change := range map[string]func(*testSource){
		"empty":         func(f *testSource) { f.users = nil },
		"administrator": func(f *testSource) { f.users = []store.SourceUser{{ID: "Admin"}} },
		"many missing":  func(f *testSource) { f.users = f.users[3:] },
		"broken":        func(f *testSource) { f.users, f.fail = f.users[28:], errors.New("connection lost") },
	} {
		t.Run(name, func(t *testing.T) {
			h.from.have(users...)
			h.from.set(change)
			for range 2 {
				if err := h.poll(h.imports); (err != nil) != (name == "broken") || err != nil && !strings.Contains(fmt.Sprint(err), "connection lost") {
					t.Errorf("got %v, want the error of the source if it is broken, else none", err)
				}
			}
			if h.listed() != before {
				t.Errorf("the directory holds %s, want %s", h.listed(), before)
			}
			if got := h.server.Questions(); got != "" {
				t.Errorf(`asked about %s, want ""`, got)
			}
			h.from.set(func(f *testSource) { f.fail = nil })
		})
	}
	if n := h.log.Count("they stay users"); n < 1 {
		t.Errorf("got log %s, want \"they stay users\" at least once", h.log)
	}
	h.from.have(users[2:]...)
	h.polled()
	if got := h.listed(); strings.Contains(got, "u00") || strings.Contains(got, "u01") || !strings.Contains(got, "u02") {
		t.Errorf("as many as may leave: got %s, want u02, without u00 and u01", got)
	}
}

// How many stay users although the tables lack them is told when it changes, while there are any.
func TestImportTellsWhoStays(t *testing.T) {
	users := []string{"a", "b", "c", "d", "e", "f"}
	h := startImporting(t, func(d *Config) { d.MaxRemove = 5 }, users...)
	h.polled()
	for i, c := range []struct{ missing, told int }{{0, 0}, {3, 1}, {3, 1}, {4, 2}, {0, 2}, {0, 2}, {4, 3}} {
		h.from.have(users[c.missing:]...)
		h.polled()
		if got := h.log.Count("they stay users"); got != c.told {
			t.Errorf("step %d, %d missing: got %d lines, want %d of\n%s", i, c.missing, got, c.told, h.log)
		}
	}
}

func TestImportDry(t *testing.T) {
	h := startImporting(t, func(d *Config) { d.DryRun = true }, "anna")
	h.rec.take()
	h.polled()
	h.polled()
	h.wrote("a dry run", "")
	if h.log.Count(`directory.dry_run: a poll of the server's tables would do this" added=1 changed=0 left=0 of_added=anna`) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
}

// One name that the database cannot hold keeps nobody else out, and is said.
func TestImportOfWhatCannotBeStored(t *testing.T) {
	h := startImporting(t, nil, "anna", "bad", "cleo")
	h.rec.set(func(r *recorder) {
		r.guilty = func(c store.Change) error {
			for _, u := range c.Learn {
				if u.ID == "bad" {
					return store.ErrData
				}
			}
			return nil
		}
	})
	if err := h.poll(h.imports); err == nil || !strings.Contains(err.Error(), "1 users of the server's tables cannot be stored") {
		t.Errorf("got %v, want an error that one user cannot be stored", err)
	}
	h.holds("the others", "anna=anna? cleo=cleo? lisi=Lisi wangwu=Wangwu zhangsan=Zhangsan zhaoliu=Zhaoliu")
}
