package system

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
	"tlim/scripts/lab/jpush"
)

// pushing is a world with a push vendor, and a sender in it.
type pushing struct {
	*world
	vendor *jpush.Double
	user   string
	from   *lab.Client
}

// Phones are woken by the vendor: whose, for what, and how often, also when a process is killed or the vendor is not well.
func TestPush(t *testing.T) {
	d := jpush.Start()
	t.Cleanup(d.Close)
	own := newOwnSender(t)
	w := newWorld(t, openfire, map[string]any{"push.jpush.enabled": true, "push.jpush.app_key": d.Key, "push.jpush.master_secret": d.Secret, "push.jpush.base_url": d.URL,
		"push.webhook.url": own.url, "push.webhook.secret": own.secret, "push.webhook.kinds": []string{"MTS-"}})
	users := people(t, 4)
	p := &pushing{world: w, vendor: d, user: users[0]}
	group := w.group(users...)
	absent, iphone, dead := users[1], users[2], users[3]
	for _, user := range users[:2] {
		p.register(user)
	}
	p.from = w.online(p.user, "1[android]")

	// The first call is the one for names: there is none yet.
	for _, c := range []struct {
		name     string
		fault    jpush.Fault
		repeated int
	}{
		{"killed before the call", jpush.Fault{Path: "/v3/push/cid", Hold: true}, 0},
		{"killed in the call", jpush.Fault{Hold: true}, 0},
		{"killed before the record", jpush.Fault{Hold: true, Taken: true}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := p.in(t)
			_, before := d.Calls()
			d.Fail(c.fault)
			p.say(absent, c.name) // it has the receipt: the message is committed
			await(t, within(t, soon), "the call", func() (bool, error) { return d.Held() == 1, nil })
			check(t, w.tlim.Kill())
			check(t, w.tlim.Start(within(t, time.Minute)))
			p.rings(absent, p.name()+":"+c.name)
			p.fence(absent)
			p.rang(absent, p.name()+":"+c.name, 1)
			if _, repeated := d.Calls(); repeated-before != c.repeated {
				t.Errorf("the vendor knew %d calls again, want %d", repeated-before, c.repeated)
			}
		})
	}

	t.Run("receivers", func(t *testing.T) {
		p := p.in(t)
		id := lab.NewID()
		p.send(p.from, id, lab.GroupText(p.user, group, id, "to all"))
		name := string([]rune(p.get("findSession", "session_id", group)["session_name"].(string))[:6]) + "..."
		p.rings(absent, p.name()+"("+name+"):to all")
		p.fence(absent)
		p.rang(absent, p.name()+"("+name+"):to all", 1)
		p.rang(p.user, p.name()+"("+name+"):to all", 0) // the sender has a code too

		// The other channel takes messages of groups only.
		select {
		case got := <-own.calls:
			want := ownCall{Type: "MTS-000", Title: p.get("findSession", "session_id", group)["session_name"].(string), Alert: p.name() + "(" + name + "):to all", Platforms: []string{"android", "ios"}}
			want.Receivers = []map[string]string{{"user_id": absent, "registration_id": code(absent), "msg_id": id}}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the site's own sender got %v, want %v", got, want)
			}
		case <-within(t, soon).Done():
			t.Error("the site's own sender got nothing, want the group's message")
		}
	})

	t.Run("an iPhone", func(t *testing.T) {
		p := p.in(t)
		phone := p.online(iphone, "2[ios]")
		p.online(iphone, "3[web]")
		p.register(iphone)
		id := lab.NewID()
		p.send(p.from, id, lab.Text(p.user, iphone, id, "while it is there"))
		p.receive(phone, id)
		p.fence(absent)
		check(t, phone.Presence(within(t, soon), lab.Presence{Type: "unavailable", To: p.component}))
		check(t, phone.Ping(within(t, soon), p.component))
		p.say(iphone, "while only the web is")
		p.rings(iphone, p.name()+":while only the web is")
		p.rang(iphone, p.name()+":while it is there", 0)
	})

	t.Run("the vendor is not well", func(t *testing.T) {
		p := p.in(t)
		web := p.online(absent, "4[web]")
		withdrawn := p.metric(`tlim_pushes_total{channel="jpush",outcome="withdrawn"}`)
		d.Fail(jpush.Fault{Status: 500, Code: 1000})
		d.Limit(0, 1) // and from then on 429
		p.say(absent, "kept")
		read, revoked := p.say(absent, "read"), p.say(absent, "revoked")
		for _, id := range []string{read, revoked} {
			p.receive(web, id) // the messages themselves are not held up
		}
		receipt, revocation := lab.NewID(), lab.NewID()
		check(t, web.SendMessage(p.component, receipt, lab.ReadReceipt(absent, p.user, receipt, read)))
		p.receive(p.from, receipt)
		p.send(p.from, revocation, lab.Revoke(p.user, absent, revocation, revoked))
		await(t, within(t, soon), "the limit to be felt", func() (bool, error) {
			calls, _ := d.Calls()
			return calls >= 2 && p.metric("tlim_pushes_failing") == 1, nil
		})
		d.Limit(-1, 0)
		p.rings(absent, p.name()+":kept")
		p.rings(absent, p.name()+"撤回了一条消息")
		p.fence(absent)
		p.rang(absent, p.name()+":kept", 1)
		p.rang(absent, p.name()+":read", 0)
		p.rang(absent, p.name()+":revoked", 0)
		if n := p.metric(`tlim_pushes_total{channel="jpush",outcome="withdrawn"}`) - withdrawn; n != 2 {
			t.Errorf("%v withdrawn, want 2", n)
		}
		if p.metric("tlim_pushes_failing") != 0 || p.metric("tlim_pushes_waiting") != 0 {
			t.Errorf("got %v pushes failing, %v waiting, want none of both: they work again", p.metric("tlim_pushes_failing"), p.metric("tlim_pushes_waiting"))
		}
	})

	t.Run("a dead registration", func(t *testing.T) {
		p := p.in(t)
		p.register(dead)
		d.Kill(code(dead))
		p.say(dead, "nobody hears it")
		await(t, within(t, soon), "the registration to be found dead", func() (bool, error) {
			return p.metric(`tlim_pushes_total{channel="jpush",outcome="dead"}`) == 1, nil
		})
		before, _ := d.Calls()
		p.say(dead, "nobody is asked about it")
		p.fence(absent)
		if after, _ := d.Calls(); after != before+1 { // the fence
			t.Errorf("%d calls, want that for the fence alone", after-before)
		}
	})

	select {
	case got := <-own.calls:
		t.Errorf("the site's own sender got %v too, want the one message of a group alone", got)
	default:
	}
	log := string(must[[]byte](t)(os.ReadFile(w.tlim.Log)))
	for _, secret := range []string{d.Secret, d.Key, own.secret, code(absent), code(dead), "Basic ", "killed before", "nobody hears"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q, want no trace of it", secret)
		}
	}
	if n := strings.Count(log, "pushes fail"); n == 0 || strings.Count(log, "pushes work again") != 1 {
		t.Errorf("the log says %d times that pushes fail, %d times that they work again, want some and one:\n%s", n, strings.Count(log, "pushes work again"), logTail(w.tlim.Log))
	}
}

// ownSender is a sender of a site's own, written by what deploy/README.md says of push.webhook.
type ownSender struct {
	url, secret string
	calls       chan ownCall
}

type ownCall struct {
	Type      string              `json:"msg_type"`
	Title     string              `json:"title"`
	Alert     string              `json:"alert"`
	Platforms []string            `json:"platforms"`
	Receivers []map[string]string `json:"receivers"`
}

func newOwnSender(t *testing.T) *ownSender {
	o := &ownSender{secret: "the-secret-of-the-site", calls: make(chan ownCall, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(o.secret))
		fmt.Fprintf(mac, "%s.%s", r.Header.Get("X-Tlim-Timestamp"), body)
		seconds, _ := strconv.ParseInt(r.Header.Get("X-Tlim-Timestamp"), 10, 64)
		var call ownCall
		switch {
		case err != nil, !hmac.Equal([]byte("sha256="+hex.EncodeToString(mac.Sum(nil))), []byte(r.Header.Get("X-Tlim-Signature"))),
			time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute, r.Header.Get("X-Tlim-Id") == "", json.Unmarshal(body, &call) != nil:
			t.Errorf("got a call with %v, %s, want it signed and timed as documented", r.Header, body)
			w.WriteHeader(http.StatusForbidden)
		default:
			o.calls <- call
		}
	}))
	t.Cleanup(server.Close)
	o.url = server.URL
	return o
}

func (p *pushing) in(t *testing.T) *pushing {
	c := *p
	c.world = p.world.in(t)
	return &c
}

// name is the sender's.
func (p *pushing) name() string { return "Name of " + p.user }

// code is the registration of a user's phone.
func code(user string) string { return "1a0018970a" + user }

func (p *pushing) register(user string) {
	p.t.Helper()
	p.get("registerAppPushCode", "user_id", user, "registrationId", code(user))
}

// say sends a text and waits for the receipt.
func (p *pushing) say(to, text string) (id string) {
	p.t.Helper()
	id = lab.NewID()
	p.send(p.from, id, lab.Text(p.user, to, id, text))
	return id
}

// rings waits until a user's phone has shown a text.
func (p *pushing) rings(user, text string) {
	p.t.Helper()
	await(p.t, within(p.t, soon), text, func() (bool, error) {
		counts := p.vendor.Counts()
		return counts[code(user)+" "+text] > 0, errors.New(fmt.Sprint(counts))
	})
}

// rang says how often it has to have shown it by now.
func (p *pushing) rang(user, text string, times int) {
	p.t.Helper()
	if n := p.vendor.Counts()[code(user)+" "+text]; n != times {
		p.t.Errorf("%s: %q rang %d times, want %d", user, text, n, times)
	}
}

// fence waits for a push that was written after all others, when nothing of them waits any more.
func (p *pushing) fence(user string) {
	p.t.Helper()
	text := "fence " + lab.NewID()[:8]
	p.say(user, text)
	p.rings(user, p.name()+":"+text)
	await(p.t, within(p.t, soon), "an empty outbox", func() (bool, error) { return p.metric("tlim_pushes_waiting") == 0, nil })
}
