package system

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// previous is the commit of the release before this one: the first in which a second tlim can stand by. Its tables lack columns that this one adds.
const previous = "59de8306fb5ebcf10c74dcb4e1f3632e3bac6f6e"

var upgradeAll = flag.Bool("upgrade.all", false, "TestUpgradeWithoutAnOutage: build the previous release and change between it and this one, under load")

// A newer tlim stands by beside an older leader, whose tables it adds to, and takes over; the older one comes back beside the newer, and takes over
// from that. Each works on tables and rows of the other one, under load: nothing that was acknowledged is lost or stored twice.
func TestUpgradeWithoutAnOutage(t *testing.T) {
	if !*upgradeAll {
		t.Log("NOT TESTED: it builds the previous release of the history, which a clone may lack; by hand: -args -upgrade.all")
		return
	}
	older := must[string](t)(lab.BuildCommit(within(t, 10*time.Minute), previous))
	p := newTwinsOf(t, older, "")
	old, fresh := p.tlim, p.standby
	c := newCast(t, p.world, 10*time.Millisecond)
	own := people(t, 3)
	p.known(own...)
	client := p.login(own[0], "token", lab.WithPresence("", 0), lab.WithDirected(p.component))
	token := p.token(client)
	u := &upgrade{processes: p, people: own, token: token, groups: map[string]string{}}
	c.more(100)
	u.works("the older one, on what the newer one has added to")

	for i, change := range []struct {
		name string
		lead *lab.Tlim // afterwards
		end  func(leader *lab.Tlim) error
	}{
		{"the newer one takes over from one that is stopped", fresh, (*lab.Tlim).Stop},
		{"and back", old, (*lab.Tlim).Stop},
		{"the newer one takes over from one that is killed", fresh, (*lab.Tlim).Kill},
		{"and back", old, (*lab.Tlim).Kill},
		{"the upgrade, once more", fresh, (*lab.Tlim).Stop},
	} {
		p.stands()
		if p.tlim == change.lead { // they have changed by themselves
			continue
		}
		began := time.Now()
		check(t, change.end(p.tlim))
		p.turn()
		check(t, p.tlim.AwaitReady(within(t, time.Minute)))
		c.more(1)
		_, last := c.ledger.receipts()
		t.Logf("%s: the next receipt after %s", change.name, last.Sub(began).Round(time.Millisecond))
		check(t, p.standby.Start(within(t, time.Minute)))
		p.stands()
		u.works(fmt.Sprint(i, ": ", change.name))
		c.more(100)
	}
	c.verdict(true)
	if rows := p.queue(own[1]).ids(); len(rows) != 1+u.notices {
		t.Errorf("got %d notices of %s, want the one that was repeated and %d more", len(rows), own[1], u.notices)
	}
}

// upgrade is what callers do at each leader.
type upgrade struct {
	*processes
	people  []string
	token   string
	first   string            // answer to the call that is repeated
	notices int               // calls beside it
	groups  map[string]string // by the leader that made them
}

// works calls what writes to the tables, and what reads what other leaders have written.
func (u *upgrade) works(when string) {
	t := u.t
	t.Helper()
	approve := func(key, business string) string {
		t.Helper()
		return must[string](t)(u.post(u.tlim.URL, "approval", key, "params", `[{"bizId":"`+business+`","docTitle":"请假单","taskId":"9"}]`, "msgTo", u.people[1]))
	}
	// 1. a call that was made at the first leader, and new ones
	again := approve("k-1", "1")
	if u.first == "" {
		u.first = again
	}
	if again != u.first {
		t.Errorf("%s: the call is repeated with its key: got %s, want what it was answered first, %s", when, again, u.first)
	}
	u.notices++
	approve(fmt.Sprint("n-", u.notices), fmt.Sprint("n", u.notices))
	// 2. users, push codes, keys, groups
	u.known(u.people...)
	u.get("registerAppPushCode", "user_id", u.people[2], "registrationId", fmt.Sprint("1a0018970aaf27", u.notices))
	var key struct{ Result, Secret string }
	check(t, u.tlim.Call(within(t, soon), "POST", "admin/keys/new", pairs("name", fmt.Sprint("key-", u.notices), "scopes", "business"), &key))
	if key.Result != "ok" || key.Secret == "" {
		t.Errorf("%s: a new key: got %+v, want ok and a secret", when, key)
	}
	u.groups[when] = u.group(u.people...)
	for made, id := range u.groups {
		if got := u.get("findSubscribers", "session_id", id); fmt.Sprint(got["total"]) == "0" {
			t.Errorf("%s: the group that was made %s: got %v, want its members", when, made, got)
		}
	}
	// 3. a token of the first leader
	if text := u.as(u.token, "findSessions", "user_id", u.people[0]); !strings.Contains(text, `"result":"ok"`) || !strings.Contains(text, u.groups[when]) {
		t.Errorf("%s: the user's token gets %s, want ok, and the group that was just made", when, text)
	}
}
