package component

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tlim/component/directory"
	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

func mustUsers(t *testing.T, h *harness, locals ...string) map[string]store.User {
	t.Helper()
	return must(h.db.UsersByJID(t.Context(), locals))(t)
}

// listed shows who was left out: "nobody unknown, x left".
func listed(skipped []protocol.Skipped) string {
	var list []string
	for _, s := range skipped {
		list = append(list, s.UserID+" "+string(s.Reason))
	}
	return strings.Join(list, ", ")
}

// asking starts with a server that has these accounts.
func asking(t *testing.T, there ...string) (*harness, *doubles.Finder, *doubles.Log) {
	t.Helper()
	h, server, log := newHarness(t), &doubles.Finder{There: there}, &doubles.Log{}
	h.asked, h.logged = server, log
	return h.begin(nil), server, log
}

// A colleague whom tlim has not yet seen gets into the group; who does not exist is named in the answer, in the log and in a
// metric.
func TestGroupTakesWhoExists(t *testing.T) {
	h, server, log := asking(t, "newcomer", "admin", "lisi")
	if err := h.RemoveUsers(t.Context(), []string{"zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 65)
	g, members, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "zhangsan",
		Members: []string{"zhangsan", "NewComer", "newcomer", "Ghost", "zhaoliu", "admin", long}})
	if err != nil || h.members(g.ID) != "newcomer zhangsan" || g.Name != "Zhangsan,newcomer" {
		t.Errorf(`got %v, name %q, members %s, want no error, "Zhangsan,newcomer", "newcomer zhangsan"`, err, g.Name, h.members(g.ID))
	}
	if got := listed(members.Skipped); got != "Ghost unknown, zhaoliu left, admin reserved, "+long+" unknown" {
		t.Errorf("left out: got %s, want %s", got, "Ghost unknown, zhaoliu left, admin reserved, "+long+" unknown")
	}
	if got := server.Questions(); got != "ghost newcomer" {
		t.Errorf(`asked about %s, want "ghost newcomer"`, got)
	}
	if log.Count("a call names users who were left out") != 1 || log.Count("users=4") != 1 || log.Count("Ghost (unknown), zhaoliu (left)") != 1 || log.Count(g.ID) != 1 {
		t.Errorf("the log: got %s, want one line with the group, 4 users, and each who was left out", log.String())
	}
	for reason, want := range map[protocol.SkipReason]float64{protocol.SkipUnknown: 2, protocol.SkipLeft: 1, protocol.SkipReserved: 1} {
		if got := counter(t, h.metrics.skipped.WithLabelValues("group", string(reason))); got != want {
			t.Errorf("%s: got %v counted, want %v", reason, got, want)
		}
	}

	// Who exists is a user from now on, and gets what is sent.
	h.sync()
	if u := mustUsers(t, h, "newcomer")["newcomer"]; !u.Learned {
		t.Errorf("newcomer: got %+v, want one who is learned", u)
	}
	h.online("newcomer/p")
	h.send("zhangsan/p", groupText("m1", "zhangsan", g.ID, "hello"))
	d, _ := h.sender.take()
	if !strings.Contains(copiesOf(d), "newcomer@im.test") {
		t.Errorf("copies: got %s, want one to newcomer@im.test", copiesOf(d))
	}

	edited, err := h.ModifyGroup(t.Context(), GroupEdit{ID: g.ID, Add: []string{"newcomer", "wangwu", "ghost"}, Remove: []string{"nobody"}})
	if err != nil || listed(edited.Skipped) != "ghost unknown" || h.members(g.ID) != "newcomer wangwu zhangsan" {
		t.Errorf("got %v, left out %s, members %s, want no error, ghost unknown, newcomer wangwu zhangsan", err, listed(edited.Skipped), h.members(g.ID))
	}

	// Nobody else: nothing is made.
	_, members, err = h.CreateGroup(t.Context(), GroupSpec{Owner: "zhangsan", Members: []string{"ghost", "zhaoliu"}})
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != protocol.GroupNotCreated || listed(refused.Skipped) != "ghost unknown, zhaoliu left" || members.Taken != nil {
		t.Errorf("got %v, %+v, want %v, ghost unknown, zhaoliu left, and nobody taken", err, members, protocol.GroupNotCreated)
	}
	server.Set(func(r *doubles.Finder) { r.There = append(r.There, "ghost") })
	h.clock.Move(time.Minute) // that there is no account is not remembered for so long
	if _, members, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "zhangsan", Members: []string{"ghost"}}); err != nil || len(members.Taken) != 1 {
		t.Errorf("an account that was made meanwhile: got %v, want no error, 1 member", err)
	}
}

// Chat does not wait for what is asked: the question is over before the call takes its place.
func TestChatDoesNotWaitForQuestions(t *testing.T) {
	h, server, _ := asking(t)
	h.online("lisi/p")
	server.Set(func(r *doubles.Finder) { r.Silent = []string{"quiet"} })
	done := make(chan error, 1)
	go func() {
		_, members, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "lisi", Members: []string{"quiet"}})
		if err == nil && len(members.Taken) != 1 {
			err = fmt.Errorf("took %v", members)
		}
		done <- err
	}()
	for server.Waiting() == 0 {
		time.Sleep(time.Millisecond)
	}
	h.send("zhangsan/p", text("m1", "zhangsan", "lisi", "meanwhile"))
	if d, _ := h.sender.take(); len(d) == 0 {
		t.Error("got no delivery while a question is open, want the message")
	}
	if server.Waiting() == 0 {
		t.Error("got no open question behind the message, want one")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A notice goes to everybody who may exist, and names who does not. One that goes to nobody is no success.
func TestNoticeToNobody(t *testing.T) {
	h, server, log := asking(t, "newcomer", "back")
	h.blind()
	server.Set(func(r *doubles.Finder) { r.Silent = []string{"quiet"} })
	if err := h.AddUsers(t.Context(), []store.User{{ID: "back"}, {ID: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveUsers(t.Context(), []string{"back", "gone"}); err != nil {
		t.Fatal(err)
	}
	empty := h.makeGroup("zhangsan", "lisi")
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: empty, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to          []string
		got, listed string
		code        protocol.Code
	}{
		"all kinds":       {[]string{"lisi", "newcomer", "Ghost", "back", "gone", "quiet", "ghost", "@session:" + empty, strings.Repeat("x", 65)}, "back lisi newcomer quiet", "@session:" + empty + " empty, Ghost unknown, gone left, " + strings.Repeat("x", 65) + " unknown", ""},
		"does not exist":  {[]string{"ghost", "gone"}, "", "ghost unknown, gone left", protocol.UserIDInvalid},
		"empty group":     {[]string{"@session:" + empty}, "", "@session:" + empty + " empty", protocol.UserIDInvalid},
		"group and ghost": {[]string{"@session:" + empty, "ghost"}, "", "@session:" + empty + " empty, ghost unknown", protocol.UserIDInvalid},
		"admin":           {[]string{"admin"}, "admin", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h.sender.take()
			noticed, err := h.Notify(t.Context(), asked(Notice{Receivers: c.to}))
			h.sync()
			d, _ := h.sender.take()
			skipped := noticed.Skipped
			var refused *protocol.Error
			if errors.As(err, &refused) {
				skipped = refused.Skipped
			}
			if codeOf(err) != c.code || receiversOf(d) != c.got || listed(skipped) != c.listed || (noticed.CallID == "") != (err != nil) {
				t.Errorf("got %v, to %q, left out %q, call %q; want %q, to %q, left out %q, a call if no error", err, receiversOf(d), listed(skipped), noticed.CallID, c.code, c.got, c.listed)
			}
		})
	}
	if log.Count("of=notice") != 4 {
		t.Errorf("the log: got %s, want of=notice 4 times", log.String())
	}
	if n := h.queued("quiet"); n != 1 { // stored and queued for whom nobody can tell of
		t.Errorf("quiet: got %d rows, want 1", n)
	}
}

// An empty directory is nobody.
func TestNoticeToAllOfNobody(t *testing.T) {
	h := start(t, nil)
	if err := h.RemoveUsers(t.Context(), []string{"zhangsan", "lisi", "wangwu", "zhaoliu"}); err != nil {
		t.Fatal(err)
	}
	_, err := h.Notify(t.Context(), asked(Notice{Receivers: []string{"@all"}}))
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != protocol.UserIDInvalid || listed(refused.Skipped) != "@all empty" {
		t.Errorf("got %v, want %v that leaves out @all and the empty id", err, protocol.UserIDInvalid)
	}
}

// A repeated call names those whom the first left out, whether or not they have an account by then.
func TestRepeatedNoticeNamesTheSame(t *testing.T) {
	for _, byBusiness := range []bool{false, true} {
		t.Run(fmt.Sprint("by business ", byBusiness), func(t *testing.T) {
			h := newHarness(t)
			server := &doubles.Finder{}
			h.asked = server
			h.begin(func(c *Config) { c.Calls.ByBusinessID = byBusiness })
			if byBusiness {
				h.notify(Notice{Receivers: []string{"lisi"}, Body: `[{"bizId":"1","taskId":"2"}]`})
			}
			call := asked(Notice{Receivers: []string{"lisi", "Ghost", "ghost", "wangwu"}, Body: `[{"bizId":"1","taskId":"2"}]`, Key: "k"})
			first, err := h.Notify(t.Context(), call)
			if err != nil || listed(first.Skipped) != "Ghost unknown" {
				t.Fatalf("got %v, left out %s, want no error, Ghost unknown", err, listed(first.Skipped))
			}
			server.Set(func(r *doubles.Finder) { r.There = []string{"ghost"} })
			h.clock.Move(time.Minute)
			again, err := h.Notify(t.Context(), call)
			if err != nil || again.CallID != first.CallID || listed(again.Skipped) != "Ghost unknown" {
				t.Errorf("got %v, the same call %v, left out %s, want no error, the same call, Ghost unknown", err, again.CallID == first.CallID, listed(again.Skipped))
			}
			h.sync()
			if n := h.queued("ghost"); n != 0 {
				t.Errorf("ghost: got %d rows, want 0", n)
			}
		})
	}
}

// Where a suite says who is a user, its word counts: accounts have other spellings.
func TestSuiteDecides(t *testing.T) {
	h, server := newHarness(t), &doubles.Finder{There: []string{"stranger"}}
	h.origin, h.asked = &testSource{users: []string{"zhangsan", "lisi", "wangwu", "zhaoliu"}}, server
	h.begin(func(c *Config) { c.Directory = directory.Config{Interval: time.Hour, MaxRemove: 100} })
	_, members, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "lisi", Members: []string{"lisi", "stranger"}})
	if err != nil || listed(members.Skipped) != "stranger unknown" || server.Questions() != "" {
		t.Errorf("got %v, left out %s, want no error, stranger unknown, and no questions", err, listed(members.Skipped))
	}
	if noticed, err := h.Notify(t.Context(), asked(Notice{Receivers: []string{"stranger", "ghost"}})); err != nil || listed(noticed.Skipped) != "ghost unknown" {
		t.Errorf("got %v, left out %s, want no error, ghost unknown", err, listed(noticed.Skipped))
	}
}

// Of whom nobody can tell is taken, and is no user because of that.
func TestNobodyCanTell(t *testing.T) {
	h := newHarness(t)
	h.asked = &doubles.Finder{Fail: errors.New("no such thing")}
	h.begin(nil)
	g, members, err := h.CreateGroup(t.Context(), GroupSpec{Owner: "lisi", Members: []string{"lisi", "stranger"}})
	if err != nil || h.members(g.ID) != "lisi stranger" || members.Skipped != nil {
		t.Errorf("got %v, members %q, left out %v, want no error, lisi stranger, nobody", err, h.members(g.ID), members.Skipped)
	}
	h.sync()
	if _, known := mustUsers(t, h, "stranger")["stranger"]; known {
		t.Error("stranger is learned, want that not: nobody knows them")
	}
}

// receiversOf are the users whom copies go to.
func receiversOf(d []stanza.Delivery) string {
	var to []string
	for _, copied := range d {
		for _, target := range copied.To {
			local, _, _ := strings.Cut(target.JID, "@")
			to = append(to, local)
		}
	}
	slices.Sort(to)
	return strings.Join(slices.Compact(to), " ")
}

// queued counts what waits for a user's phone.
func (h *harness) queued(user string) int {
	h.t.Helper()
	rows, err := h.waits(user, "", 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(rows)
}
