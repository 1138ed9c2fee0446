package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"tlim/component/cache"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
)

// TestArrivals: a device that becomes known, by a look, by presence or by what it sends, web or mobile, is sent what its user was sent
// since the last look in which it was absent, once and in order, as it was sent. Nothing of it is read from the database.
func TestArrivals(t *testing.T) {
	for _, how := range []string{"look", "presence", "stanza"} {
		for _, resource := range []string{"p", "w[web]"} {
			t.Run(how+" "+resource, func(t *testing.T) {
				h := start(t, nil)
				group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
				h.online("zhangsan/z", "lisi/old")
				h.send("zhangsan/z", text("m0", "zhangsan", "lisi", "before the look"))
				h.clock.Move(time.Second)
				h.snapshot()
				h.sender.take()
				h.send("zhangsan/z", text("m1", "zhangsan", "lisi", "x"))
				h.send("zhangsan/z", groupText("m2", "zhangsan", group, "x"))
				h.send("lisi/old", text("m3", "lisi", "zhangsan", "their own"))
				h.send("zhangsan/z", `{"msg_id":"c1","msg_type":"MTC-001","msg_from":"zhangsan","msg_to":"lisi","body":[]}`)
				h.send("zhangsan/z", text("m4", "zhangsan", "wangwu", "for another"))
				if _, err := h.Notify(t.Context(), Notice{Type: "MTB-100", Body: `[{"title":"t"}]`, Receivers: []string{"lisi"}}); err != nil {
					t.Fatal(err)
				}
				h.sync()
				d, _ := h.sender.take()
				notice := d[len(d)-1].ID
				reads := 0
				h.rec.set(func(r *recordingStore) { r.recent = func() { reads++ } })
				jid := "lisi@" + testServer + "/" + resource
				switch how {
				case "look":
					h.arrive("lisi/" + resource)
					h.clock.Move(time.Second)
					h.snapshot()
				case "presence":
					h.online("lisi/" + resource)
				case "stanza":
					h.send("lisi/"+resource, text("m5", "lisi", "zhangsan", "here I am"))
				}
				d, _ = h.sender.take()
				if how == "stanza" {
					d = slices.DeleteFunc(d, func(one stanza.Delivery) bool { return one.ID == "m5" })
				}
				want := fmt.Sprintf("m1>%[1]s m2>%[1]s m3>%[1]s c1>%[1]s %[2]s>%[1]s", jid, notice)
				if got := copiesOf(d); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
				for _, one := range d {
					if strings.Contains(string(one.Payload), "ASYNC") != (one.ID == "m3") {
						t.Errorf("%s: got %s, want it as ASYNC: %v", one.ID, one.Payload, one.ID == "m3")
					}
				}
				if reads != 0 {
					t.Errorf("got %d reads of the queue, want 0", reads)
				}

				// It is there now: nothing comes twice, whoever looks.
				h.clock.Move(time.Second)
				h.arrive("lisi/" + resource)
				h.snapshot()
				if d, _ := h.sender.take(); len(d) != 0 {
					t.Errorf("again: got %s, want nothing", copiesOf(d))
				}
			})
		}
	}
}

// TestArrivalAfterRemoval: who was removed gets nothing of after, who was added nothing of before, and nobody what was revoked.
func TestArrivalAfterRemoval(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi")
	h.online("zhangsan/z")
	h.send("zhangsan/z", groupText("m1", "zhangsan", group, "x"))
	h.send("zhangsan/z", groupText("m2", "zhangsan", group, "to be revoked"))
	if _, err := h.ModifyGroup(t.Context(), GroupEdit{ID: group, Add: []string{"wangwu"}, Remove: []string{"lisi"}}); err != nil {
		t.Fatal(err)
	}
	h.send("zhangsan/z", groupText("m3", "zhangsan", group, "x"))
	h.send("zhangsan/z", fmt.Sprintf(`{"msg_id":"v1","msg_type":"MTS-101","msg_from":"zhangsan","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m2"}]}`, group, group))
	h.sender.take()
	h.online("lisi/p", "wangwu/p")
	d, _ := h.sender.take()
	if got := copiesOf(d); got != "m1>lisi@im.test/p m3>wangwu@im.test/p v1>wangwu@im.test/p" {
		t.Errorf(`got %s, want "m1>lisi@im.test/p m3>wangwu@im.test/p v1>wangwu@im.test/p"`, got)
	}
}

// TestArrivalAfterVainRevoke: a revoke of an id that nobody has used takes nothing away from whoever else uses it right behind, in the same batch.
func TestArrivalAfterVainRevoke(t *testing.T) {
	h := start(t, nil)
	group := h.makeGroup("zhangsan", "zhangsan", "lisi", "wangwu")
	h.online("lisi/p", "wangwu/p")
	h.together(func() {
		h.post("lisi/p", fmt.Sprintf(`{"msg_id":"v1","msg_type":"MTS-101","msg_from":"lisi","msg_to":%q,"body":[{"session_id":%q,"msg_id":"m1"}]}`, group, group))
		h.post("wangwu/p", groupText("m1", "wangwu", group, "x"))
	})
	h.sender.take()
	h.online("zhangsan/b[web]")
	d, _ := h.sender.take()
	if got := copiesOf(d); got != "v1>zhangsan@im.test/b[web] m1>zhangsan@im.test/b[web]" {
		t.Errorf(`got %s, want "v1>zhangsan@im.test/b[web] m1>zhangsan@im.test/b[web]"`, got)
	}
}

// TestArrivalWithoutLooks: where nobody tells who is there, a phone that is heard is sent what went to its user's bare JID a moment ago.
func TestArrivalWithoutLooks(t *testing.T) {
	h := newHarness(t)
	h.server.err = presence.ErrNoSnapshots
	h.begin(nil)
	h.send("zhangsan/z", text("m1", "zhangsan", "lisi", "x"))
	h.clock.Move(unheardTime + 1)
	h.send("zhangsan/z", text("m2", "zhangsan", "lisi", "x"))
	h.clock.Move(time.Second)
	h.sender.take()
	h.online("lisi/p")
	if d, _ := h.sender.take(); copiesOf(d) != "m2>lisi@im.test/p" {
		t.Errorf(`the phone: got %s, want "m2>lisi@im.test/p"`, copiesOf(d))
	}
	h.send("zhangsan/z", text("m3", "zhangsan", "lisi", "x"))
	h.sender.take()
	h.clock.Move(time.Second)
	h.online("lisi/w[web]")
	if d, _ := h.sender.take(); copiesOf(d) != "m2>lisi@im.test/w[web]" {
		t.Errorf(`the web: got %s, want "m2>lisi@im.test/w[web]"`, copiesOf(d))
	}
}

// TestArrivalInBareMode: where the server routes to all, what went to the bare JID is not sent again.
func TestArrivalInBareMode(t *testing.T) {
	h := start(t, func(c *Config) { c.Delivery = DeliverToBare })
	h.send("zhangsan/z", text("m1", "zhangsan", "lisi", "nobody is there"))
	h.online("lisi/p")
	h.send("zhangsan/z", text("m2", "zhangsan", "lisi", "x"))
	h.online("lisi/q")
	d, _ := h.sender.take()
	if got := copiesOf(d); got != "m1>lisi@im.test/p m2>lisi@im.test m1>lisi@im.test/q" {
		t.Errorf(`got %s, want "m1>lisi@im.test/p m2>lisi@im.test m1>lisi@im.test/q"`, got)
	}
}

// TestCatchUpThatWaited: a phone that came while the server had no room gets what waited for it when it came, however late.
func TestCatchUpThatWaited(t *testing.T) {
	const bound, members = 100, 500
	h, server, g := busyStart(t, bound, members, nil, nil)
	server.fillUp(h, bound)
	h.post("member0001/p", groupText("g0", "member0001", g, "x"))
	h.turns(3)
	h.post("zhangsan/p", text("m0", "zhangsan", "lisi", "x"))
	h.turns(3)
	h.Stanza(stanza.Stanza{Name: "presence", From: "lisi@" + testServer + "/p", To: testComponent})
	h.turns(3)
	h.clock.Move(10 * time.Hour)
	h.turns(3)
	if got := copiesOfSome(h.sender, "m0"); got != "" {
		t.Fatalf(`copies before there was room: got %s, want ""`, got)
	}
	server.routeAll(h)
	h.turns(3)
	server.routeAll(h)
	if got := strings.Fields(copiesOfSome(h.sender, "m0")); !slices.Contains(got, "lisi@"+testServer+"/p") {
		t.Errorf("got copies %q, want one to %s", got, "lisi@"+testServer+"/p")
	}
}

// TestOrderForWhoCame: who came while the server had no room for what they missed gets nothing newer before it, on the web or a phone, and
// replay would begin before it. Who missed nothing waits for nobody.
func TestOrderForWhoCame(t *testing.T) {
	for _, resource := range []string{"p", "w[web]"} {
		t.Run(resource, func(t *testing.T) {
			const bound, members = 100, 500
			h, server, g := busyStart(t, bound, members, func(h *harness) { h.server.err = nil }, nil)
			look := func() {
				t.Helper()
				h.clock.Move(time.Second)
				h.presence.Merge(must(h.server.Snapshot(t.Context()))(t), h.clock.Now())
				h.turns(3)
			}
			for i := range members {
				h.arrive(fmt.Sprintf("member%04d/p", i))
			}
			h.arrive("zhangsan/p")
			look()
			server.routeAll(h)
			h.clock.Move(time.Second)
			h.post("zhangsan/p", text("m1", "zhangsan", "lisi", "x"))
			h.post("zhangsan/p", text("m2", "zhangsan", "lisi", "x"))
			h.turns(3)
			server.fillUp(h, bound)
			h.post("member0001/p", groupText("g", "member0001", g, "x"))
			h.turns(3)
			if h.conveyor.backlogTakes(true) {
				t.Fatal("there is room for large messages, want none")
			}
			h.arrive("lisi/"+resource, "wangwu/"+resource)
			h.clock.Move(time.Second)
			look()
			h.post("zhangsan/p", text("m3", "zhangsan", "lisi", "x"))
			h.turns(3)
			if len(h.presence.Served("wangwu")) != 1 {
				t.Error("wangwu's device is not served, want it to be: it has missed nothing")
			}
			look()
			if at := h.timeOf("m1"); h.covered.Load() >= at {
				t.Errorf("covered up to %d, want less than m1 at %d", h.covered.Load(), at)
			}
			server.routeAll(h)
			h.turns(3)
			server.routeAll(h)
			var got []string
			d, _ := h.sender.take()
			for _, one := range d {
				if slices.ContainsFunc(one.To, func(to stanza.Target) bool { return to.JID == "lisi@"+testServer+"/"+resource }) {
					got = append(got, one.ID)
				}
			}
			if want := []string{"m1", "m2", "m3"}; !slices.Equal(got, want) {
				t.Errorf("copies to lisi: got %q, want %q", got, want)
			}
		})
	}
}

// TestRecentIsBounded: what is remembered takes no more memory than it may; a device of which it has lost something is sent the rows of
// the queue, and no more than that a second time.
func TestRecentIsBounded(t *testing.T) {
	h := newHarness(t)
	h.tune = func(s *Service) { s.conveyor.recent.maxBytes = 5000 }
	h.begin(nil)
	for i := range 20 {
		h.send("zhangsan/z", text(fmt.Sprint("m", i), "zhangsan", "lisi", strings.Repeat("x", 300)))
	}
	h.turns(1)
	h.sender.take()
	h.online("lisi/p")
	d, _ := h.sender.take()
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprintf("m%d>lisi@im.test/p", i))
	}
	if got := copiesOf(d); got != strings.Join(want, " ") {
		t.Errorf("got %s, want %s", got, strings.Join(want, " "))
	}
	if n := valueOf(h.metrics.caughtUpByRows); n != 1 {
		t.Errorf("got %v reads, want 1", n)
	}
}

// valueOf reads a counter.
func valueOf(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m) // never fails
	return m.GetCounter().GetValue()
}

// TestRecent: it is what was added, less what is too old, too much or gone.
func TestRecent(t *testing.T) {
	r := newRecent()
	at := func(n int) time.Time { return time.UnixMilli(int64(n)) }
	for i := range 5000 {
		r.add(&sentMessage{Delivery: stanza.Delivery{ID: fmt.Sprint("m", i)}, at: at(i), people: []protocol.Person{{Local: "lisi"}}, session: "s"})
		r.expire(at(i - 10))
	}
	r.forget(unconfirmed.Removal{IDs: map[string]bool{"m4995": true}})
	var got []string
	r.visit("lisi", "lisi@d/p", at(4992), func(m *sentMessage) { got = append(got, m.ID) })
	if !slices.Equal(got, []string{"m4992", "m4993", "m4994", "m4996", "m4997", "m4998", "m4999"}) || len(r.sent) > 2100 {
		t.Errorf(`got %v, %d kept, want ["m4992" "m4993" "m4994" "m4996" "m4997" "m4998" "m4999"], at most 2100`, got, len(r.sent))
	}
	if r.expire(at(6000)); r.bytes != 0 || !r.cut.IsZero() {
		t.Errorf("expired: got %d bytes, cut at %v, want none, no cut", r.bytes, r.cut)
	}
}

// BenchmarkArrival is a device that comes after a second of a busy server: 1,000 messages of which it is to get one in ten.
func BenchmarkArrival(b *testing.B) {
	r := newRecent()
	g := &cache.Group{Index: map[string]int{}}
	for i := range 1000 {
		g.Index[fmt.Sprint("user", i)] = i
	}
	var to []stanza.Target
	for i := range 50 {
		to = append(to, stanza.Target{JID: fmt.Sprintf("user%d@im.test/phone", i)})
	}
	for i := range 1000 {
		m := &sentMessage{Delivery: stanza.Delivery{ID: fmt.Sprint("m", i), To: to}, at: time.Unix(1, 0), people: []protocol.Person{{Local: "somebody"}}}
		if i%10 == 0 {
			m.group = g
		}
		r.add(m)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		r.visit("user999", "user999@im.test/phone", time.Unix(1, 0), func(*sentMessage) { n++ })
		if n != 100 {
			b.Fatalf("got %v, want 100", n)
		}
	}
}
