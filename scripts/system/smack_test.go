package system

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// smackPhone is a phone made with an unmodified Smack, as the Android apps are, and what its app has: what it was given live, and what it
// fetched by getOffline. Its network is a proxy, so that it can lose its connection in the ways that phones do.
type smackPhone struct {
	*lab.SmackPhone
	w       *world
	user    string
	network *proxy
	login   lab.SmackLogin

	got     *arrivals
	fetched map[string]int // by getOffline
}

// newSmackPhone makes a phone of the user and logs it in. What it gets is held against the ledger.
func newSmackPhone(w *world, s *lab.Smack, user string, l *ledger, login lab.SmackLogin) *smackPhone {
	w.t.Helper()
	p := &smackPhone{w: w, user: user, network: newProxy(w.t, w.server.C2S), login: login, got: newArrivals(user + " with Smack " + s.Version), fetched: map[string]int{}}
	p.login.Addr, p.login.Domain, p.login.User, p.login.Password = p.network.addr, w.server.Domain, user, password(user)
	p.SmackPhone = s.Phone(user, func(m lab.Message, _ time.Time) {
		if m.Type != "error" && m.Body != "" {
			p.got.take(m, l)
		}
	})
	check(w.t, p.Connect(within(w.t, smackPatience), p.login))
	return p
}

// fetch is what apps do when they have logged in, some at each login and some only when they are started.
func (s *smackPhone) fetch() {
	s.w.t.Helper()
	for _, id := range s.w.takeQueue(s.user).ids() {
		s.fetched[id]++
	}
}

// lacks lists which of these messages its app has neither seen nor fetched, and does not find in the queue either.
func (s *smackPhone) lacks(ids []string) []string {
	s.w.t.Helper()
	queued := s.w.queue(s.user).ids()
	return slices.DeleteFunc(s.got.lacks(ids, false), func(id string) bool { return s.fetched[id] > 0 || slices.Contains(queued, id) })
}

// reconnection is how a phone comes back.
type reconnection struct {
	sm      bool // with stream management
	another bool // under another resource each time, else the same
}

func (r reconnection) String() string {
	name := "no stream management"
	if r.sm {
		name = "stream management"
	}
	if r.another {
		return name + ", another resource"
	}
	return name + ", the same resource"
}

// answering is what a library does with pings.
type answering string

const (
	answers answering = "pings only"
	refuses answering = "own errors to pings" // without its part for pings
	ignores answering = "neither"             // without it, and told not to answer what it does not know
)

// start starts a Smack that answers pings in that way. The caller ends it.
func (a answering) start(version string) (*lab.Smack, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := lab.SmackOptions{Version: version, Silent: a == ignores}
	if a != answers {
		o.Without = []string{lab.SmackPings}
	}
	return lab.StartSmack(ctx, o)
}

// smacks are the Java processes that the tests share: a phone needs none of its own.
var smacks struct {
	sync.Mutex
	list map[string]*lab.Smack
}

// smack is a shared process.
func smack(t *testing.T, version string, a answering) *lab.Smack {
	t.Helper()
	smacks.Lock()
	defer smacks.Unlock()
	kind := version + string(a)
	if s := smacks.list[kind]; s != nil {
		return s
	}
	s := must[*lab.Smack](t)(a.start(version))
	endLater(s.Stop)
	if smacks.list == nil {
		smacks.list = map[string]*lab.Smack{}
	}
	smacks.list[kind] = s
	return s
}

// smackCase is a phone that loses its connection again and again under load.
type smackCase struct {
	version  string
	receipts string // as in lab.SmackLogin
	pings    answering
	reconnection
	fetches bool // at each login, else only at the end
	lossy   bool // it confirms nothing: what it loses is only told
}

func (s smackCase) String() string {
	kind := string(s.pings)
	switch {
	case s.receipts != "always":
	case s.pings == ignores:
		kind = "receipts only"
	default:
		kind = "receipts"
	}
	if s.fetches {
		kind += ", fetching"
	}
	return fmt.Sprintf("%s, %s, %s", s.version, kind, s.reconnection)
}

const (
	smackReconnects = 10
	smackRate       = 200 // messages a second to each phone
	smackGrace      = 2 * time.Second
	smackPatience   = time.Minute // for one step: all phones are at it at once
)

var smackAll = flag.Bool("smack.all", false, "TestSmackReconnects: all versions, kinds of clients and reconnects, instead of those that CI runs")

var smackProsody = flag.Bool("smack.prosody", false, "TestSmackReconnects, TestSmackSender: with Prosody instead of Openfire")

func smackServer() (*lab.Server, error) {
	if *smackProsody {
		return prosody()
	}
	return openfire()
}

// smackCases are what CI runs, or all that there is.
func smackCases() []smackCase {
	same, another := reconnection{}, reconnection{another: true}
	managed, both := reconnection{sm: true}, reconnection{sm: true, another: true}
	of := func(version string, pings answering, receipts string, r reconnection) smackCase {
		return smackCase{version: version, pings: pings, receipts: receipts, reconnection: r, lossy: pings == ignores && receipts == "off"}
	}
	if !*smackAll {
		return []smackCase{
			of("4.4.8", answers, "off", managed), of("4.4.8", answers, "off", both), of("4.4.8", answers, "off", same), of("4.4.8", answers, "off", another),
			of("4.2.4", answers, "off", same), of("4.1.9", answers, "off", same),
			of("4.4.8", answers, "always", same), of("4.4.8", ignores, "always", same), of("4.4.8", ignores, "off", same),
		}
	}
	// All kinds of the newest version, and of the others whether their own answers do.
	var list []smackCase
	for _, r := range []reconnection{same, another, managed, both} {
		for _, c := range []smackCase{of("4.4.8", answers, "always", r), of("4.4.8", answers, "off", r), of("4.4.8", refuses, "off", r), of("4.4.8", ignores, "always", r),
			of("4.4.8", ignores, "off", r)} {
			list = append(list, c)
			c.fetches = true
			list = append(list, c)
		}
		for _, version := range []string{"4.2.4", "4.1.9"} {
			list = append(list, of(version, answers, "off", r), of(version, refuses, "off", r))
		}
	}
	return list
}

// The apps that are out there: an unmodified Smack that sends no receipts at all loses its connection ten times while messages stream to it, and each message is
// seen live or fetched by getOffline, whatever its configuration. Every second time the server does not hear of it.
func TestSmackReconnects(t *testing.T) {
	w := newWorld(t, smackServer, map[string]any{"offline.grace": smackGrace.String()})
	// Side by side: each phone has a sender and a ledger of its own.
	for _, c := range smackCases() {
		s := smack(t, c.version, c.pings)
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			smackReconnecting(t, w.in(t), s, c)
		})
	}
}

func smackReconnecting(t *testing.T, w *world, s *lab.Smack, c smackCase) {
	users := people(t, 2)
	sender, l := users[0], newLedger()
	p := newSmackPhone(w, s, users[1], l, lab.SmackLogin{Resource: "0[android]", SM: c.sm, Resume: c.sm, Receipts: c.receipts})
	came := func() {
		if *smackProsody { // which tells nobody who is there: the app does
			check(t, p.Active(within(t, smackPatience), w.component))
		}
	}
	came()
	crew := newCrew(t, l)
	crew.add(&actor{w: w, user: sender, resource: "a[android]", compose: text(sender, conversation{partner: p.user}), window: 60, pace: time.Second / smackRate})
	// Who has confirmed once loses nothing.
	w.present(p.user)
	close(crew.begin)
	await(t, within(t, smackPatience), "a message to be seen", func() (bool, error) { return p.got.count() > 0, nil })
	if !c.lossy {
		w.confirmed(p.user)
	}

	resumed := 0
	for i := range smackReconnects {
		crew.more(smackRate / 3)
		if i%2 == 0 {
			p.network.cut()
		} else {
			p.network.strand()
		}
		_, err := p.Broken(within(t, smackPatience))
		check(t, err)
		crew.more(1 + i*smackRate/50) // it is away for a moment
		anew := !c.sm || c.another || i%4 >= 2
		if !anew { // Openfire 4.2 may have miscounted, which the library refuses: then the app begins anew
			again, err := p.Reconnect(within(t, smackPatience))
			if again {
				resumed++
			}
			anew = err != nil
		}
		if anew {
			if c.another {
				p.login.Resource = fmt.Sprint(i+1, "[android]")
			}
			check(t, p.Connect(within(t, smackPatience), p.login))
			came()
		}
		if c.fetches {
			p.fetch()
		}
	}
	crew.more(smackRate / 3)
	crew.settle(within(t, smackPatience))
	order := l.judge(t, "the history", w.chatHistory(sender, p.user), l.in(between(sender, p.user)))
	lost := p.settled(order)
	p.fetch()
	l.faultless(t)
	twice := p.got.sound(t)
	seenAndFetched := 0
	for id := range p.fetched {
		if p.got.seen[id] > 0 {
			seenAndFetched++
		}
	}
	note := ""
	if c.lossy {
		note = ", as is expected of a phone that answers nothing"
	} else if len(lost) > 0 {
		t.Errorf("LOST %d of %d: %s, want none; what tlim knows of them:\n%s", len(lost), len(order), spans(order, lost), w.traces(p.user, lost))
	}
	t.Logf("%s: %d reconnects (%d resumed), %d messages, %d lost%s, %d live more than once, %d live and fetched",
		c, smackReconnects, resumed, len(order), len(lost), note, twice, seenAndFetched)
}

// spans says where in an order some ids are: "3 to 17, 40".
func spans(order, ids []string) string {
	var list []string
	for i := 0; i < len(order); i++ {
		first := i
		for i < len(order) && slices.Contains(ids, order[i]) {
			i++
		}
		switch i - first {
		case 0:
		case 1:
			list = append(list, fmt.Sprint(first+1))
		default:
			list = append(list, fmt.Sprint(first+1, " to ", i))
		}
	}
	return strings.Join(list, ", ")
}

// traces says what tlim knows of the first of these messages and the phone of the user: what proved to it that the phone has them.
func (w *world) traces(user string, ids []string) string {
	w.t.Helper()
	var b strings.Builder
	for _, id := range ids[:min(len(ids), 3)] {
		var known map[string]any
		err := w.tlim.Call(within(w.t, smackPatience), "GET", "admin/trace", pairs("msg_id", id, "user_id", user, "language", "en"), &known)
		fmt.Fprintln(&b, id, known["explanation"], err)
	}
	return b.String()
}

// settled waits until nothing sent to the phone is unconfirmed any more and lists which of these messages its app does not have.
func (s *smackPhone) settled(ids []string) []string {
	t := s.w.t
	t.Helper()
	s.w.noneUnconfirmed(s.user) // getOffline answers what is unconfirmed too
	// What is on its way to it now comes within a moment; what does not come then is lost.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	lost := s.lacks(ids)
	for len(lost) > 0 {
		select {
		case <-ctx.Done():
			return lost
		case <-ticker.C:
		}
		lost = s.lacks(ids)
	}
	return lost
}

// present waits until tlim knows the phone of an unchanged client.
func (w *world) present(user string) {
	w.t.Helper()
	session := w.group(user)
	await(w.t, within(w.t, smackPatience), "tlim to know the phone of "+user, func() (bool, error) {
		var list []struct {
			Status string `json:"status"`
		}
		err := w.tlim.Call(within(w.t, smackPatience), "GET", "findPresence", pairs("session_id", session), &list)
		return len(list) == 1 && list[0].Status == "available", err
	})
}

// confirmed waits until a phone of the user has answered a ping or sent a receipt.
func (w *world) confirmed(user string) {
	w.t.Helper()
	await(w.t, within(w.t, smackPatience), "a first answer of a phone of "+user, func() (bool, error) {
		known, _ := w.get("admin/user", "user_id", user)["user"].(map[string]any)
		return known["confirms"] == "pings" || known["confirms"] == "receipts", fmt.Errorf("it is %v", known)
	})
}

// noneUnconfirmed waits until each copy to the user's phone is confirmed, or a row, or given up. Other phones may be sent to still.
func (w *world) noneUnconfirmed(user string) {
	w.t.Helper()
	await(w.t, within(w.t, smackPatience), "tlim to settle all copies to "+user, func() (bool, error) {
		known, _ := w.get("admin/user", "user_id", user)["user"].(map[string]any)
		queue, _ := known["queue"].(map[string]any)
		return queue["unconfirmed"] == 0.0, fmt.Errorf("it is %v", known)
	})
}

// chat sends that many messages and returns their ids when they are stored.
func (w *world) chat(l *ledger, from *lab.Client, to string, n int) []string {
	w.t.Helper()
	sender, _, _ := strings.Cut(from.JID, "@")
	compose := text(sender, conversation{partner: to})
	ids := make([]string, n)
	for i := range ids {
		e := compose(i)
		l.add(e)
		w.send(from, e.id, e.body)
		ids[i] = e.id
	}
	return ids
}

// sees waits until the phone was given all these messages live.
func (s *smackPhone) sees(ids []string) {
	s.w.t.Helper()
	await(s.w.t, within(s.w.t, smackPatience), fmt.Sprintf("%s to see all of %d messages", s.got.name, len(ids)), func() (bool, error) {
		lack := s.got.lacks(ids, false)
		return len(lack) == 0, fmt.Errorf("it lacks %d", len(lack))
	})
}

// exactly fails the test unless the queue of the user holds just these.
func (w *world) exactly(user string, ids []string) {
	w.t.Helper()
	got := w.queue(user).ids()
	if !slices.Equal(got, ids) {
		missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(got, id) })
		w.t.Errorf("the queue of %s: got %d rows, want %d: LOST %d, %d beyond", user, len(got), len(ids), len(missing), len(got)+len(missing)-len(ids))
	}
}

// A phone whose session the server keeps for its return (XEP-0198): what is sent to it becomes rows, and what it gets after all does not stay.
func TestSmackDetached(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"offline.grace": smackGrace.String()})
	begin := func(t *testing.T, w *world, s *lab.Smack) (*smackPhone, *ledger, *lab.Client) {
		users := people(t, 2)
		l := newLedger()
		p := newSmackPhone(w, s, users[1], l, lab.SmackLogin{Resource: "1[android]", SM: true, Resume: true, Receipts: "off"})
		w.present(p.user)
		sender := w.online(users[0], "2[android]")
		p.sees(w.chat(l, sender, p.user, 10))
		w.noneUnconfirmed(p.user)
		p.fetch() // what came before its first answer may stand there too
		return p, l, sender
	}

	// The process is killed, and the phone never comes back.
	t.Run("never back", func(t *testing.T) {
		t.Parallel()
		w := w.in(t)
		s := must[*lab.Smack](t)(answers.start("4.4.8"))
		t.Cleanup(func() { check(t, s.Kill()) })
		p, l, sender := begin(t, w, s)
		check(t, s.Kill())
		ids := w.chat(l, sender, p.user, 30)
		w.noneUnconfirmed(p.user)
		w.exactly(p.user, ids)
	})

	for name, lose := range map[string]func(*proxy){"closed": (*proxy).cut, "unheard": (*proxy).strand} {
		t.Run("back late, "+name, func(t *testing.T) {
			t.Parallel()
			w := w.in(t)
			p, l, sender := begin(t, w, smack(t, "4.4.8", answers))
			lose(p.network)
			ids := w.chat(l, sender, p.user, 30)
			w.noneUnconfirmed(p.user)
			w.exactly(p.user, ids)
			if resumed, err := p.Reconnect(within(t, smackPatience)); err != nil || !resumed {
				t.Fatalf("not resumed: got %v, want the session resumed and no error", err)
			}
			p.sees(ids)
			await(t, within(t, smackPatience), "its late answers to delete the rows", func() (bool, error) { return len(w.queue(p.user).List) == 0, nil })
		})
	}
}

// With xmpp.sender: user the receipts of a phone go to the sender's client, which can do nothing with them. Pings reach us all the same.
func TestSmackReceiptsGoToTheSender(t *testing.T) {
	w := newWorld(t, openfire, map[string]any{"offline.grace": smackGrace.String(), "xmpp.sender": "user"})
	s := smack(t, "4.4.8", answers)
	users := people(t, 2)
	l := newLedger()
	p := newSmackPhone(w, s, users[1], l, lab.SmackLogin{Resource: "1[android]", Receipts: "always"})
	w.present(p.user)

	// The sender is such a client too.
	confirmed, acknowledged := make(chan string, 100), make(chan string, 100)
	from := s.Phone(users[0], func(m lab.Message, _ time.Time) {
		if id := m.Confirms(); id != "" {
			confirmed <- id
		}
		if env, err := m.Envelope(); err == nil && env.Type == "MTC-100" {
			objects, err := env.Objects()
			if err != nil {
				t.Error(err)
			}
			for _, o := range objects {
				acknowledged <- fmt.Sprint(o["msg_id"])
			}
		}
	})
	check(t, from.Connect(within(t, smackPatience), lab.SmackLogin{Addr: w.server.C2S, Domain: w.server.Domain, User: users[0], Password: password(users[0]), Resource: "1[android]"}))
	compose := text(users[0], conversation{partner: p.user})
	told := func(ids []string, by <-chan string, what string) {
		t.Helper()
		wanted := slices.Clone(ids)
		for ctx := within(t, smackPatience); len(wanted) > 0; {
			select {
			case id := <-by:
				wanted = slices.DeleteFunc(wanted, func(w string) bool { return w == id })
			case <-ctx.Done():
				t.Fatalf("the sender: got %d %s, want %d", len(ids)-len(wanted), what, len(ids))
			}
		}
	}
	send := func(n int) (ids []string) {
		t.Helper()
		for i := range n {
			e := compose(i)
			l.add(e)
			check(t, from.Send(within(t, smackPatience), w.component, e.id, e.body, true))
			ids = append(ids, e.id)
		}
		told(ids, acknowledged, "MTC-100")
		return ids
	}
	ids := send(10)
	p.sees(ids)
	told(ids[:1], confirmed, "receipts of the phone") // of the first: one that answers pings is not asked for more
	w.noneUnconfirmed(p.user)
	w.exactly(p.user, nil)

	p.network.strand()
	ids = send(20)
	w.noneUnconfirmed(p.user)
	w.exactly(p.user, ids)
}

// A Smack app that sends while its connection breaks again and again, and sends again what has no MTC-100: each message is stored once and seen.
func TestSmackSender(t *testing.T) {
	const breaks, perLife = 10, 40
	w := newWorld(t, smackServer, nil)
	s := smack(t, "4.4.8", answers)
	for _, sm := range []bool{true, false} {
		t.Run(reconnection{sm: sm}.String(), func(t *testing.T) {
			t.Parallel()
			w := w.in(t)
			users := people(t, 2)
			l := newLedger()
			crew := newCrew(t, l)
			got := crew.add(&actor{w: w, user: users[1], resource: "1[android]", options: []lab.Option{lab.WithConfirm()}})

			network := newProxy(t, w.server.C2S)
			acknowledged := make(chan struct{}, 1) // one more
			p := s.Phone(users[0], func(m lab.Message, _ time.Time) {
				env, err := m.Envelope()
				if err != nil || env.Type != "MTC-100" {
					return
				}
				objects, err := env.Objects()
				if err != nil {
					l.fault("got %v of %s, want a list of objects", err, m.Raw)
				}
				for _, o := range objects {
					l.receipt(fmt.Sprint(o["msg_id"]), fmt.Sprint(o["msg_time"]))
				}
				select {
				case acknowledged <- struct{}{}:
				default:
				}
			})
			login := lab.SmackLogin{Addr: network.addr, Domain: w.server.Domain, User: users[0], Password: password(users[0]), Resource: "1[android]", SM: sm, Resume: sm}
			check(t, p.Connect(within(t, smackPatience), login))
			compose := text(users[0], conversation{partner: users[1]})
			send := func(e *entry) { _ = p.Send(within(t, smackPatience), w.component, e.id, e.body, true) } // what a broken connection did not take is sent again
			waiting := func() (list []*entry) {
				l.mu.Lock()
				defer l.mu.Unlock()
				return slices.DeleteFunc(slices.Clone(l.order), func(e *entry) bool { return e.msgTime != "" })
			}
			again, resumes := 0, 0
			for i := range breaks {
				for n := range perLife {
					if n == perLife*2/3 { // the rest is sent into the break
						if i%2 == 0 {
							network.cut()
						} else {
							network.strand()
						}
					}
					e := compose(n)
					l.add(e)
					send(e)
				}
				_, err := p.Broken(within(t, smackPatience))
				check(t, err)
				resumed := false
				if sm { // Openfire 4.2 may have miscounted, which the library refuses: then the app begins anew
					resumed, err = p.Reconnect(within(t, smackPatience))
				}
				if !sm || err != nil {
					check(t, p.Connect(within(t, smackPatience), login))
				}
				if resumed {
					resumes++
				}
				for _, e := range waiting() {
					again++
					send(e)
				}
			}
			// Openfire 4.2 may take a session for detached whose old connection ended while it was resumed or replaced: nothing reaches it then, and
			// nobody is told. An app that gets no receipts logs in again.
			deaf := time.NewTicker(3 * resendAfter)
			defer deaf.Stop()
			for ctx := within(t, time.Minute); len(waiting()) > 0; {
				select {
				case <-acknowledged:
					deaf.Reset(3 * resendAfter)
				case <-deaf.C:
					network.cut()
					check(t, p.Connect(within(t, smackPatience), login))
					for _, e := range waiting() {
						again++
						send(e)
					}
				case <-ctx.Done():
					t.Fatalf("%d messages have no receipt after a minute, want one for each", len(waiting()))
				}
			}
			order := l.judge(t, "the history", w.chatHistory(users[0], users[1]), l.in(between(users[0], users[1])))
			crew.arrived(within(t, smackPatience), got, order, false)
			got.inOrder(t, order)
			l.faultless(t)
			t.Logf("%d breaks (%d resumed), %d messages, %d sent again, %d seen more than once", breaks, resumes, len(order), again, got.sound(t))
		})
	}
}
