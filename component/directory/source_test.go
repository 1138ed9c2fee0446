package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/component/protocol"
	"tlim/store"
)

func TestPollFollowsTheSource(t *testing.T) {
	h := startSourced(t, nil, "Anna=Anna", "b=B", "c=C")
	h.holds("begin", "Anna=Anna b=B c=C")
	h.polled()
	h.wrote("no difference", "")

	h.from.have("Anna=Anna", "b=B2", "d")
	h.polled()
	h.wrote("one of each", "put d, put b, left c")
	h.holds("one of each", "Anna=Anna b=B2 d=d")
	h.from.have("Anna=Anna", "b=B2", "c=C", "d")
	h.polled()
	h.wrote("back", "put c")
	h.holds("back", "Anna=Anna b=B2 c=C d=d")
	if found := must(h.db.UsersByID(t.Context(), []string{"c"}))(t); found["c"].Left {
		t.Error("c has left, want c back")
	}

	h.from.have("anna=Anna", "b=B2", "c=C", "d")
	h.polled()
	h.holds("another spelling is the same user", "anna=Anna b=B2 c=C d=d")
	if h.log.Count("another spelling of their id now") != 1 || h.log.Count("users=1 some=anna") != 1 {
		t.Errorf("the log: got %s, want each line once", h.log)
	}
	m := h.metrics
	for what, want := range map[string]float64{"added": 5, "changed": 2, "left": 1} { // with the three of the begin
		if got := value(t, m.changes.WithLabelValues(what)); got != want {
			t.Errorf("%s: got %v counted, want %v", what, got, want)
		}
	}
}

// What cannot be a user is left out and counted; the administrator is Openfire's; of two rows of one user one counts, always
// the same.
func TestPollTakesOnlyWhatCanBeAUser(t *testing.T) {
	h := startSourced(t, nil)
	h.from.set(func(f *testSource) {
		f.users = []store.SourceUser{{ID: "admin"}, {ID: "ADMIN"}, {ID: "\u00ad"}, {ID: "tab\t"}, {ID: strings.Repeat("x", 65)}, {ID: "ctrl\x01"},
			{ID: "pic", Pic: strings.Repeat("p", 257)}, {ID: "mail", Email: strings.Repeat("m", 257)}, {ID: "code", PushCode: strings.Repeat("c", 129)},
			{ID: "xml", Name: "a\x02b"}, {ID: "long", Name: strings.Repeat("名", 300)}, {ID: "张三", Name: "Z"}, {ID: "LiSi", Name: "upper"}, {ID: "lisi", Name: "lower"}, {ID: "emoji", Name: "😀"}}
	})
	h.polled()
	h.holds("the rest", "LiSi=upper emoji=😀 long="+strings.Repeat("名", 256)+" 张三=Z")
	if h.log.Count("users of the source are left out") != 1 || h.log.Count("users=8") != 1 {
		t.Errorf("the log: got %s, want each line once", h.log)
	}
	h.wrote("the rest", "put LiSi, put emoji, put long, put 张三")
	h.polled()
	h.wrote("again", "")
	if h.log.Count("users of the source are left out") != 1 {
		t.Error("the users that are left out: not logged once, want once")
	}
}

// A poll that would remove more than max_remove removes nobody, says so once, and does the rest.
func TestPollRemovesFewAtOnce(t *testing.T) {
	var all []string
	for i := range 20 {
		all = append(all, fmt.Sprintf("u%02d", i))
	}
	for _, c := range []struct {
		name    string
		percent float64
		missing int
		refused bool
	}{{"as many as may", 10, 2, false}, {"one too many", 10, 3, true}, {"a share is rounded up", 6, 2, false}, {"none may", 0, 1, true}, {"all may", 100, 20, false}, {"an empty source", 90, 20, true}} {
		t.Run(c.name, func(t *testing.T) {
			h := startSourced(t, func(d *Config) { d.MaxRemove = c.percent }, all...)
			h.from.have(append(all[c.missing:], "u99=new")...)
			if c.missing == 20 {
				h.from.have()
			}
			err := h.poll(h.source)
			again := h.poll(h.source) // its total is another one, so it is said again
			said := h.log.Count("the directory does not follow its source")
			h.poll(h.source)
			left := 0
			for _, id := range all[:c.missing] {
				if must(h.db.UsersByID(t.Context(), []string{id}))(t)[id].Left {
					left++
				}
			}
			switch {
			case c.refused != (err != nil) || c.refused != (again != nil):
				t.Errorf("got %v, then %v, want a refusal both times or never", err, again)
			case c.refused && (left != 0 || !strings.Contains(err.Error(), fmt.Sprintf("%d of 2", c.missing))):
				t.Errorf("refused: got %d left, %v, want none, an error with %d of 2…", left, err, c.missing)
			case !c.refused && left != c.missing:
				t.Errorf("got %d left, want %d", left, c.missing)
			}
			if c.missing < 20 && !strings.Contains(h.listed(), "u99=new") {
				t.Errorf("got %s, want who is new in it", h.listed())
			}
			if n := h.log.Count("the directory does not follow its source"); n != said || c.refused != (said > 0) {
				t.Errorf("logged %d times, then %d, want no more at the second time, and only a refusal", said, n)
			}
			if held := value(t, h.metrics.held); c.refused != (held == float64(c.missing)) {
				t.Errorf("got %v held, want %d if refused", held, c.missing)
			}
		})
	}
}

// A source that fails midway is no source with half of the users.
func TestPollOfABrokenSource(t *testing.T) {
	h := startSourced(t, nil, "a", "b", "c")
	h.from.have("a=new", "b", "c", "d")
	h.from.set(func(f *testSource) { f.fail = errors.New("connection lost") })
	for range 2 {
		if err := h.poll(h.source); err == nil || !strings.Contains(err.Error(), "connection lost") {
			t.Fatal(err)
		}
	}
	h.wrote("half a source", "")
	if h.log.Count("the directory does not follow its source") != 1 {
		t.Error("a trouble that lasts: not logged once, want once")
	}
	h.from.set(func(f *testSource) { f.fail = nil })
	h.polled()
	h.holds("whole again", "a=new b=b c=c d=d")
	if h.log.Count("the directory follows its source again") != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	h.rec.set(func(r *recorder) { r.fail = store.ErrUnavailable })
	h.from.have("a=newer")
	if err := h.poll(h.source); !errors.Is(err, protocol.ErrUnavailable) {
		t.Errorf("without a database: got %v, want %v", err, protocol.ErrUnavailable)
	}
	h.rec.set(func(r *recorder) { r.fail = nil })
}

// A user whom the database cannot hold keeps nobody out, and is said.
func TestPollOfUnstorableUsers(t *testing.T) {
	h := startSourced(t, nil, "a")
	h.rec.set(func(r *recorder) {
		r.guilty = func(c store.Change) error {
			for _, u := range c.Users {
				if u.Name == "bad" {
					return store.ErrData
				}
			}
			return nil
		}
	})
	h.from.have("a", "b", "c=bad", "d", "e=bad", "f")
	for range 2 {
		if err := h.poll(h.source); err == nil || !strings.Contains(err.Error(), "2 users of the source cannot be stored") {
			t.Errorf(`got %v, want an error with "2 users of the source cannot be stored"`, err)
		}
	}
	h.holds("the others", "a=a b=b d=d f=f")
	if n := h.log.Count("msg=\"the directory follows its source\""); n != 2 { // the begin, and the three
		t.Errorf("logged %d times, want 2", n)
	}
}

// Who was seen before the source had a say becomes the source's; whom it does not have is not taken for its own.
func TestUsersSeenBeforeTheSource(t *testing.T) {
	h := startSourced(t, nil, "a")
	if err := h.register("stranger", "s"); err != nil { // the app of somebody who is no user of the source, or not yet
		t.Fatal(err)
	}
	h.holds("seen", "a=a stranger=stranger/s?")
	h.polled()
	h.holds("not the source's", "a=a stranger=stranger/s?")
	h.from.have("a", "Stranger=Known/s")
	h.polled()
	h.holds("the source's", "Stranger=Known/s a=a")
	h.from.have("a")
	h.polled()
	h.holds("and left", "a=a")

	h.Learn([]string{"newcomer"})
	if taken := h.TakeUnlearned(10, nil); len(taken) > 0 {
		t.Errorf("got %q to be learned, want nobody: the source says who is a user", taken)
	}
}

// A dry run changes nothing, says once what it would do, and leaves users as they are without a source.
func TestDryRunOfASource(t *testing.T) {
	h := startSourced(t, func(d *Config) { d.DryRun, d.CreateAccounts, d.RemoveAccounts = true, true, true }, "a", "b/cb")
	h.from.have("a=new", "c", "d/cd")
	h.polled()
	h.polled()
	h.wrote("dry", "")
	want := `msg="directory.dry_run: a poll would do this" users=3 added=2 changed=1 left=1 push_codes=1 respelt=0 of_added="c d" of_changed=a of_left=b of_respelt="" accounts_to_make=2 accounts_to_remove=1`
	if h.log.Count(want) != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
	if err := h.register("a", "ca"); err != nil {
		t.Fatal(err)
	}
	h.holds("a registration", "a=a/ca b=b/cb")
	h.Learn([]string{"newcomer"})
	if taken := h.TakeUnlearned(10, nil); len(taken) != 1 {
		t.Errorf("got %q to be learned, want one: there is no source", taken)
	}
	if len(h.from.calledOver) > 0 {
		t.Errorf("written into the source: got %q, want none", h.from.calledOver)
	}
	stop := h.start()
	stop()
	if h.log.Count("directory.dry_run is on") != 1 {
		t.Errorf("the log: got %s, want one such line", h.log)
	}
}

// The loop polls at the start and when somebody speaks of users, and what the source says holds in the end.
func TestSourceHasTheLastWord(t *testing.T) {
	h := startSourced(t, nil, "a")
	if err := h.AddUsers(t.Context(), []store.User{{ID: "x"}, {ID: "a", Name: "by call"}}); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveUsers(t.Context(), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if len(h.source.trigger) != 1 || len(h.accounts.trigger) != 0 {
		t.Error("got accounts asked before the source, or neither, want the source alone")
	}
	h.holds("until the next poll", "x=x")
	h.polled()
	h.holds("after it", "a=a")

	<-h.source.trigger
	polls := make(chan struct{}, 10)
	h.from.set(func(f *testSource) { f.during = func() { polls <- struct{}{} } })
	h.start()
	<-polls
	check(t, h.AddUsers(t.Context(), []store.User{{ID: "y"}}))
	<-polls
	<-h.accounts.trigger // after the first poll
}

// Where the accounts are the source, a user is added by making their account, and removed by removing it.
func TestSourceOfAccounts(t *testing.T) {
	h := startSourced(t, func(d *Config) { d.CreateAccounts, d.RemoveAccounts = true, true })
	h.from.set(func(f *testSource) { f.owns, f.keepsNone = true, true })
	wanted := func(want string) {
		t.Helper()
		var got []string
		for _, u := range must(h.db.AccountsWanted(t.Context(), "", 100))(t) {
			got = append(got, "+"+u.ID)
		}
		for _, u := range must(h.db.AccountsUnwanted(t.Context(), "", 100))(t) {
			got = append(got, "-"+u.ID)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("accounts: %q, want %q", text, want)
		}
	}
	h.from.have("a", "b")
	h.polled()
	h.holds("two accounts", "a=a b=b")
	wanted("")

	check(t, h.AddUsers(t.Context(), []store.User{{ID: "new"}}))
	check(t, h.RemoveUsers(t.Context(), []string{"b"}))
	h.polled()
	h.holds("neither is undone", "a=a new=new")
	wanted("+new -b")

	h.from.have("a", "new") // the keeper has been there
	check(t, h.db.SetAccount(t.Context(), h.epoch, []string{"b"}, store.AccountGone))
	h.polled()
	wanted("")
	h.from.have("a", "b") // made and removed by the server's administrator
	h.polled()
	h.holds("the administrator's word", "a=a b=b")
	wanted("")
}
