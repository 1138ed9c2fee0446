package component

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component/calls"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/unconfirmed"
	"tlim/store"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "play this story of TestSimulation only")
	simRuns  = flag.Uint64("sim.runs", 0, "play as many stories of TestSimulation, from sim.first on")
	simFirst = flag.Uint64("sim.first", 1, "see sim.runs")
	simSteps = flag.Int("sim.steps", 70, "length of a story")
	simStory = flag.Bool("sim.v", false, "print stories that end well, too")
)

// TestSimulation plays stories: clients that send, repeat, confirm, read, revoke, come and go, calls of the API, a link that
// stalls and breaks, a database that is away or loses the answer to a COMMIT, kills at any step of the way. After each step
// the tables, queues, answers and copies are held against a small model of PROTOCOL.md, and at the end every message must
// have reached a phone of each receiver, or wait for him. A story is its seed: -run TestSimulation -sim.seed N plays it again,
// -sim.runs N plays many.
func TestSimulation(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 32, 4391, 4451, 20034, 20264, 1049, 20025} // from 32 on they have found a fault of the product or of the model
	switch {
	case *simSeed != 0:
		seeds = []uint64{*simSeed}
	case *simRuns != 0:
		seeds = nil
		for i := range *simRuns {
			seeds = append(seeds, *simFirst+i)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed) })
	}
}

var (
	simUsers     = []string{"lisi", "wangwu", "zhangsan", "zhaoliu"}
	simResources = []string{"p", "q", "w[web]"}
)

// simulation is one story, with the model of what must be true.
type simulation struct {
	*harness
	rnd   *rand.Rand
	odd   *rand.Rand // for what came to the stories later: those before stay as they were
	tight int        // copies that may be in flight to a server that routes slowly; 0: to one that is never busy
	above int        // rows that a group message may write itself; those of others follow it, two at a time
	cfg   Config
	link  *simLink
	disk  *simStore
	looks *simLooks
	story []string

	// The world.
	real map[string]map[string]string // user, resource, show: who is at the server
	got  map[string]map[string]bool   // user, msg_id: what his phones and getOffline have shown him

	// The model.
	linked, ready bool
	asof          time.Time                    // of the newest snapshot
	known         map[string]map[string]string // as real, as far as we were told
	came          []simArrival                 // devices that have just become known
	recent        []*simRecent                 // what was sent on this connection
	stepFrom      int                          // where that of the step begins
	groups        map[string]*simGroup
	ids           map[store.IDKey]*simMessage
	queues        map[string]map[string]*simEntry // owner, msg_id
	read          map[store.ReceiptKey]store.Receipt
	confirming    map[string]store.Confirms
	underWay      []*simPing        // under way, of phones that are known
	answers       map[simDevice]int // phones that have answered one, and on which connection
	bounced       map[simDevice]int // how many were sent back in a row
	chats         map[store.ChatKey]bool

	sent   []*simItem // for repetitions
	serial int

	// The step under way.
	want      map[simCopy]*simCount // copies
	mode      simMode
	owing     bool // something new is owed
	killed    bool
	first     map[string]bool // who has confirmed for the first time
	log       []store.Change
	troubled  bool
	poisoned  bool
	decided   []simDecision // about queues
	several   bool          // batches, perhaps
	late      time.Duration // how long ago copies went out
	copied    []simCopy
	pinged    []*simPing
	answered  []simAnswer
	proven    map[simCopy]*simEntry // what left the queues by that
	posts     []string
	from      int64 // position of the replay
	settledTo int64 // position of the start
}

// simMode says whether what is accepted in a step is sent.
type simMode string

const (
	sends        simMode = ""
	sendsPerhaps simMode = "perhaps"
	sendsNothing simMode = "nothing"
)

type simDevice struct{ user, resource string }

func (d simDevice) full() string { return d.user + "@" + testServer + "/" + d.resource }

// simItem is a message of a client.
type simItem struct {
	n       int
	from    simDevice
	id, typ string
	to      string // user or group
	group   *simGroup
	body    string
	targets []string
	named   []string
}

func (it *simItem) String() string {
	return fmt.Sprintf("%s: %s %s to %s %s", it.from.full(), it.typ, it.id, it.to, it.body)
}

func (it *simItem) class() store.Class {
	if it.typ == "MTT-101" || it.typ == "MTS-101" {
		return store.ClassRevoke
	}
	return store.ClassMessage
}

func (it *simItem) stored() bool {
	return !strings.HasPrefix(it.typ, "MTC-") && !strings.HasPrefix(it.typ, "MTB-") && it.typ != "MTT-100" && it.typ != "MTS-100"
}

func simulate(t *testing.T, seed uint64) {
	m := &simulation{
		harness: &harness{t: t, dir: t.TempDir(), clock: &testClock{t: time.UnixMilli(1_600_000_000_000)}},
		rnd:     rand.New(rand.NewPCG(seed, 1)), odd: rand.New(rand.NewPCG(seed, 2)),
		real: map[string]map[string]string{}, got: map[string]map[string]bool{}, known: map[string]map[string]string{},
		groups: map[string]*simGroup{}, ids: map[store.IDKey]*simMessage{}, queues: map[string]map[string]*simEntry{},
		read: map[store.ReceiptKey]store.Receipt{}, confirming: map[string]store.Confirms{}, chats: map[store.ChatKey]bool{}, want: map[simCopy]*simCount{},
		answers: map[simDevice]int{}, bounced: map[simDevice]int{},
	}
	for _, u := range simUsers {
		m.real[u], m.got[u], m.known[u], m.queues[u] = map[string]string{}, map[string]bool{}, map[string]string{}, map[string]*simEntry{}
	}
	m.cfg = testConfig()
	m.cfg.ShutdownTimeout = 2 * time.Second
	m.above = []int{unconfirmed.DeferAbove, 2, 1, 1}[seed%4]
	switch m.rnd.IntN(8) {
	case 0:
		m.cfg.Confirm = ConfirmByPresence
	case 1:
		m.cfg.Confirm = ConfirmByReceipt
	}
	m.link = &simLink{m: m, there: map[simDevice]*simPhone{}, lost: map[string]bool{}, prosody: m.odd.IntN(3) == 0, curt: m.odd.IntN(2) == 0}
	if m.chance(40) {
		m.tight = 1 + m.rnd.IntN(4)
		m.link.slow = make(chan struct{}, 1)
		go m.link.crawl(t.Context())
	}
	m.disk = &simStore{m: m, committed: map[store.IDKey]bool{}, last: map[string]int64{}}
	m.looks = &simLooks{m: m}
	defer func() {
		if m.stop != nil {
			m.halt()
		}
		if t.Failed() || *simStory {
			story := strings.Join(m.story, "\n")
			for _, g := range m.groups {
				story = strings.ReplaceAll(story, g.id, g.name)
			}
			t.Logf("the story of seed %d, confirm %s, in flight %d, own rows %d:\n%s", seed, m.cfg.Confirm, m.tight, m.above, story)
		}
	}()
	m.open()
	var users []store.User
	for _, u := range simUsers {
		users = append(users, store.User{ID: u, Name: strings.ToUpper(u)})
	}
	if err := m.AddUsers(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	m.up()
	m.check()
	for range *simSteps {
		if t.Failed() {
			return
		}
		m.step()
		m.check()
	}
	m.end()
}

// fault is a violation of the model.
func (m *simulation) fault(format string, args ...any) {
	m.t.Helper()
	m.t.Errorf(format, args...)
}

func (m *simulation) tell(format string, args ...any) {
	m.story = append(m.story, fmt.Sprintf("%3d %s ", len(m.story), m.clock.now().UTC().Format("04:05.000"))+fmt.Sprintf(format, args...))
}

func (m *simulation) chance(percent int) bool { return m.rnd.IntN(100) < percent }

func oneOf[T any](m *simulation, list []T) T { return list[m.rnd.IntN(len(list))] }

// open starts the process.
func (m *simulation) open() {
	db, err := store.Open(m.t.Context(), store.Config{Driver: "sqlite", DSN: m.file(), Migrate: "auto", MaxOpen: 4, MaxIdle: 4, MaxWait: time.Minute, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		m.t.Fatal(err)
	}
	m.db = db
	m.settledTo = m.state().Settled
	m.disk.open(db)
	m.link.open()
	m.metered = prometheus.NewRegistry()
	m.Service, err = New(m.cfg, Deps{Store: m.disk, Sender: m.link, Snapshots: m.looks, Registry: m.metered, Log: slog.New(slog.DiscardHandler), Now: m.clock.now})
	if err != nil {
		m.t.Fatal(err)
	}
	m.conveyor.spacing, m.conveyor.mostComings = 0, 1<<20 // devices come and go at one time of the clock
	m.conveyor.deferring.above, m.conveyor.deferring.most = m.above, 2
	if m.tight > 0 {
		m.conveyor.inFlight.Min, m.conveyor.inFlight.Bound, m.conveyor.inFlight.Max = 1, m.tight, m.tight
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop, m.stopped = cancel, make(chan error, 1)
	go func() { m.stopped <- m.Run(ctx) }()
	m.quiet()
}

// quiet returns when all that was begun is done.
func (m *simulation) quiet() {
	for n := 0; n < 4; { // that many times in a row: what the conveyor is at between two looks is nowhere
		if m.do(context.Background(), &task{plan: func(context.Context, *batch) error { return nil }}) != nil {
			continue // an answer to a COMMIT that is looked up keeps others away
		}
		if n++; m.intake.items.Load() > 0 || m.intake.passedBytes.Load() > 0 || m.confirmations.waits() || m.conveyor.backlog.copies.Load() > 0 || !m.link.idle() {
			n = 0
		}
	}
}

func simMobile(resource string) bool { return resource != "w[web]" }

func (m *simulation) sessions() (list []presence.Session) {
	for _, u := range simUsers {
		for _, r := range slices.Sorted(maps.Keys(m.real[u])) {
			list = append(list, presence.Session{JID: stanza.JID{Local: u, Domain: testServer, Resource: r}, Show: m.real[u][r]})
		}
	}
	return list
}

func (m *simulation) step() {
	m.stepFrom = len(m.recent)
	for u := range m.queues {
		for _, e := range m.queues[u] {
			e.fresh, e.old = false, true
		}
	}
	switch n := m.rnd.IntN(100); {
	case n < 45:
		m.talk()
	case n < 60:
		m.wait()
	case n < 76:
		m.move()
	case n < 84:
		m.network()
	case n < 96:
		m.call()
	default:
		m.restart()
	}
}

// wait lets time pass.
func (m *simulation) wait() {
	d := oneOf(m, []time.Duration{250 * time.Millisecond, time.Second, 3 * time.Second, m.cfg.Grace, 8 * time.Second})
	away := m.chance(20)
	m.tell("wait %s, the database away: %v", d, away)
	m.disk.set(func() { m.disk.away = away })
	m.clock.move(d)
	m.sync()
	m.disk.set(func() { m.disk.away = false })
	m.quiet()
	m.age()
	m.settle(nil)
}

// move lets a device come, go, or change.
func (m *simulation) move() {
	d := simDevice{oneOf(m, simUsers), oneOf(m, simResources)}
	switch n := m.rnd.IntN(13); {
	case n >= 10:
		m.phones()
	case n < 4:
		show := oneOf(m, []string{"", "", "away", "dnd"})
		m.tell("%s is there %s", d.full(), show)
		m.appear(d, show)
		if m.linked && m.chance(80) { // else nobody told us
			m.presenceOf(d, show)
			m.hear(d, &show)
		}
	case n < 6:
		m.tell("%s leaves", d.full())
		m.exit(d)
		if m.linked {
			m.leave(d)
			m.gone(d)
		}
	case n < 8:
		m.tell("%s dies", d.full())
		m.exit(d)
	default:
		if !m.linked || m.link.stalled { // the answer would come behind what stalls
			return
		}
		m.tell("a look at who is there")
		asked := m.clock.now()
		m.presence.Merge(m.sessions(), asked)
		m.lookedAt(asked)
	}
	m.quiet()
	m.settle(nil)
}

// appear lets a device connect. When it had died before anybody noticed, and has its old address now, nobody can tell that it
// was away: so it asks for its queue, as clients do.
func (m *simulation) appear(d simDevice, show string) {
	_, known := m.known[d.user][d.resource]
	if _, real := m.real[d.user][d.resource]; known && !real {
		m.asksQueue(d)
	}
	m.enter(d, show)
}

// asksQueue shows a device its queue.
func (m *simulation) asksQueue(d simDevice) {
	rows, err := m.waits(d.user, "", 0)
	if err != nil {
		m.disk.fault("queue of %s: %v", d.user, err)
	}
	for _, row := range rows {
		m.got[d.user][row.MsgID] = true
	}
}

func (m *simulation) presenceOf(d simDevice, show string) {
	inner := ""
	if show != "" {
		inner = "<show>" + show + "</show>"
	}
	m.Stanza(stanza.Stanza{Name: "presence", From: d.full(), To: testComponent, Inner: []byte(inner)})
}

func (m *simulation) leave(d simDevice) {
	m.Stanza(stanza.Stanza{Name: "presence", Type: "unavailable", From: d.full(), To: testComponent})
}

// network lets the link stall, work, break, and come back.
func (m *simulation) network() {
	switch n := m.rnd.IntN(10); {
	case !m.linked:
		m.tell("the link comes up")
		m.up()
		return
	case n < 4 && m.tight > 0: // what a stall keeps back would come in a later step
		return
	case n < 4:
		m.link.set(func() { m.link.stalled = !m.link.stalled })
		m.tell("the link stalls: %v", m.link.stalled)
		m.link.work()
	case n < 5:
		m.tell("the link breaks, and we do not know")
		m.link.cut()
		m.ready = false
	case n < 7:
		m.tell("the link is lost")
		m.unplug()
		m.down()
	default:
		m.tell("the link is lost and comes up")
		m.unplug()
		m.down()
		m.up()
		return
	}
	m.quiet()
	m.settle(nil)
}

// up connects.
func (m *simulation) up() {
	m.plug()
	m.quiet()
	m.mode = sends
	m.plugged()
	m.settle(nil)
}

func (m *simulation) plug() {
	m.link.set(func() { m.link.broken, m.link.stalled = false, false; m.link.life++ })
	m.looks.mu.Lock()
	m.looks.first = true
	m.looks.mu.Unlock()
	m.from = m.Service.from()
	m.Up()
}

// restart ends the process and starts it again.
func (m *simulation) restart() {
	if m.chance(60) {
		m.tell("the process is killed")
		m.die()
		m.halt()
		clear(m.proven)
		m.crashed()
	} else {
		m.tell("the process ends in order")
		if m.link.stalled || m.chance(30) {
			m.link.cut()
		}
		m.halt()
		m.link.set(func() { m.link.life++ })
		m.down()
	}
	m.begun()
}

// die lets nothing more reach the database or the server.
func (m *simulation) die() {
	m.disk.set(func() { m.disk.dead = true })
	m.link.set(func() { m.link.dead = true; m.link.life++ })
}

// begun starts the process again: what was not settled is queued for all who were to receive it.
func (m *simulation) begun() {
	clear(m.bounced)
	m.settle(nil)
	m.open()
	for _, r := range m.ids {
		if !r.row || r.pos() <= m.settledTo {
			continue
		}
		users := r.to
		if r.group != nil && r.To == r.SessionID {
			if r.group.state == simDissolved {
				continue
			}
			users = slices.AppendSeq(slices.Clone(users), maps.Keys(r.group.ever))
		}
		for _, u := range users {
			if m.queues[u][r.MsgID] == nil && (u != r.From || r.To == r.From) {
				m.queues[u][r.MsgID] = &simEntry{state: simPerhaps, status: -1, session: r.SessionID, typ: r.Type, from: r.From}
			}
		}
	}
	m.settle(nil)
	if m.chance(70) {
		m.tell("the link comes up")
		m.up()
	}
}

// talk lets clients send, perhaps while something goes wrong.
func (m *simulation) talk() {
	if !m.linked {
		return
	}
	var items []*simItem
	for range 1 + m.rnd.IntN(5) {
		if it := m.newItem(); it != nil {
			items = append(items, it)
		}
	}
	trouble, hook := "", (*simHook)(nil)
	if m.chance(35) {
		trouble = oneOf(m, []string{"away", "blind", string(simHappens), string(simFails), "poison", "hook", "hook", "hook", "hook"})
	}
	if trouble == "hook" {
		hook = m.newHook()
		fresh := map[string]bool{}
		items = slices.DeleteFunc(items, func(it *simItem) bool {
			k := m.kinds.of(it.typ)
			if hook.where == "before the commit" { // the first attempt to commit must be the one that counts
				if fresh[it.id] || m.ids[store.IDKey{MsgID: it.id, Class: it.class()}] != nil {
					return true
				}
				fresh[it.id] = true
			}
			return k.first || hook.name == "kill" && !k.Stored || hook.name == "look" && k.Name == "MTC-000"
		})
		trouble += ": " + hook.name + " " + hook.where
	}
	items = m.apart(items)
	m.tell("messages %s", trouble)
	for _, it := range items {
		m.serial++
		it.n = m.serial
		m.tell("    s%d %s", it.n, it)
		m.sent = append(m.sent, it)
		m.hear(it.from, nil)
	}
	m.gather(func() {
		m.disk.set(func() {
			switch trouble {
			case "away":
				m.disk.away = true
			case "blind":
				m.disk.blind = true
			case string(simHappens), string(simFails):
				m.disk.unknown = simLostCommit(trouble)
				if m.chance(20) {
					m.disk.doubt = 1
				}
			case "poison":
				m.disk.poison = true
			}
		})
		hook.arm(m)
		m.link.set(func() { m.link.swaps = trouble == "" && m.odd.IntN(2) == 0 })
		for _, it := range items {
			m.hand(it)
		}
	})
	m.sync()
	m.disk.set(func() {
		m.disk.away, m.disk.blind, m.disk.unknown, m.disk.poison, m.disk.before, m.disk.after = false, false, "", false, nil, nil
	})
	m.link.disarm()
	if m.killed {
		m.halt()
	} else {
		m.quiet()
		m.back()
	}
	m.troubled, m.poisoned, m.late = trouble != "" || m.tight > 0 && len(items) > waitLeast, trouble == "poison", 0
	m.several = m.tight > 0 || m.poisoned || len(items) > 1 && slices.ContainsFunc(items, func(it *simItem) bool { return m.kinds.of(it.typ).first })
	if !hook.done() {
		hook = nil
	} else if hook.name == "clock" && strings.HasSuffix(hook.where, "copies") {
		m.late = 6 * time.Second
	}
	m.mode = sends
	if hook != nil && (m.ready || hook.mode == sendsPerhaps) {
		m.mode = hook.mode
	} else if !m.ready {
		m.mode = sendsNothing
	}
	m.settleWith(items, hook)
	if m.killed {
		m.killed = false
		m.begun()
	}
}

// apart leaves out items that would be judged by another one of the step in another conversation: those may be decided in any order.
func (m *simulation) apart(items []*simItem) (list []*simItem) {
	where := map[string]string{}
	for _, it := range items {
		conversation := simPair(it.from.user, it.to)
		if it.group != nil {
			conversation = it.group.id
		}
		ids := append([]string{it.id}, it.targets...)
		if slices.ContainsFunc(ids, func(id string) bool { c, there := where[id]; return there && c != conversation }) {
			continue
		}
		for _, id := range ids {
			where[id] = conversation
		}
		list = append(list, it)
	}
	return list
}

func (m *simulation) hand(it *simItem) {
	env := fmt.Sprintf(`{"msg_id":%q,"msg_type":%q,"msg_from":%q,"msg_to":%q,"body":%s}`, it.id, it.typ, it.from.user, it.to, it.body)
	m.Stanza(stanza.Stanza{Name: "message", Type: "chat", ID: fmt.Sprintf("s%d", it.n), From: it.from.full(), To: testComponent,
		Inner: append(stanza.AppendEscaped([]byte(`<tlim xmlns="im.itonglian.com" ack="1"/><body>`), env), "</body>"...)})
}

// gather lets what do posts wait until it is all there.
func (m *simulation) gather(do func()) {
	busy, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		once := sync.OnceFunc(func() { close(busy); <-release })
		done <- m.do(context.Background(), &task{alone: true, plan: func(context.Context, *batch) error { once(); return nil }})
	}()
	<-busy
	do()
	close(release)
	<-done
}

// newItem makes a message, or repeats one.
func (m *simulation) newItem() *simItem {
	var there []simDevice
	for _, u := range simUsers {
		for _, r := range slices.Sorted(maps.Keys(m.real[u])) {
			there = append(there, simDevice{u, r})
		}
	}
	if len(there) == 0 || m.chance(5) {
		d := simDevice{oneOf(m, simUsers), oneOf(m, simResources)}
		if _, real := m.real[d.user][d.resource]; !real {
			m.appear(d, "")
			there = append(there, d)
		}
	}
	it := &simItem{from: oneOf(m, there)}
	if len(m.sent) > 0 && m.chance(25) {
		old := *oneOf(m, m.sent[max(0, len(m.sent)-15):])
		devices := slices.DeleteFunc(slices.Clone(there), func(d simDevice) bool { return d.user != old.from.user })
		switch {
		case m.chance(15): // somebody else, under its id
			old.from = it.from
		case len(devices) == 0:
			return nil
		default:
			old.from = oneOf(m, devices)
		}
		if m.chance(10) && old.targets == nil {
			old.body = strings.Replace(old.body, `"a"`, `"b"`, 1)
		}
		if old.typ == "MTC-000" {
			return nil
		}
		if !old.stored() {
			m.serial++
			old.id = fmt.Sprintf("c%d", m.serial)
		}
		return &old
	}
	it.to = oneOf(m, simUsers)
	m.serial++
	it.id = fmt.Sprintf("m%d", m.serial)
	if m.chance(8) {
		it.id = fmt.Sprintf("m%d", 1+m.rnd.IntN(m.serial))
	}
	list := slices.SortedFunc(maps.Values(m.groups), func(a, b *simGroup) int { return strings.Compare(a.name, b.name) })
	var g *simGroup
	if len(list) > 0 {
		g = oneOf(m, list[max(0, len(list)-4):])
	}
	n := m.rnd.IntN(100)
	if g == nil && n >= 35 && n < 65 {
		n = 0
	}
	text := oneOf(m, []string{"a", "a", "a", "a", "poison"})
	switch {
	case n < 35:
		it.typ, it.body = "MTT-000", fmt.Sprintf(`[{"text":%q}]`, text)
	case n < 58:
		it.typ, it.group, it.to = "MTS-000", g, g.id
		it.body = fmt.Sprintf(`[{"session_id":%q,"text":%q}]`, g.id, text)
	case n < 65:
		it.typ, it.group, it.to = oneOf(m, []string{"MTS-103", "MTS-104", "MTS-106", "MTS-107"}), g, g.id
		it.named = []string{oneOf(m, simUsers)}
		it.body = fmt.Sprintf(`[{"session_id":%q,"subscribers":[{"user_id":%q}]}]`, g.id, it.named[0])
	case n < 75: // a revoke
		r := m.someMessage(func(r *simMessage) bool { return r.From == it.from.user })
		if r == nil {
			return nil
		}
		it.typ, it.id, it.targets = "MTT-101", fmt.Sprintf("r%d", m.serial), []string{r.MsgID}
		if m.chance(5) {
			it.targets = append(it.targets, fmt.Sprintf("m%d", m.serial+1+m.rnd.IntN(4)))
		}
		it.body = simIDs(it.targets, "")
		if r.group != nil {
			it.typ, it.group, it.to, it.body = "MTS-101", r.group, r.group.id, simIDs(it.targets, r.group.id)
		} else {
			it.to = r.To
		}
	case n < 85: // a read receipt
		r := m.someMessage(func(r *simMessage) bool { return slices.Contains(r.to, it.from.user) && r.From != it.from.user })
		if r == nil {
			return nil
		}
		it.typ, it.id, it.to, it.targets = "MTT-100", fmt.Sprintf("c%d", m.serial), r.From, []string{r.MsgID}
		if m.chance(30) {
			it.targets = append(it.targets, m.someMessage(func(*simMessage) bool { return true }).MsgID)
			it.targets = slices.Compact(it.targets)
		}
		it.body = simIDs(it.targets, "")
		if r.group != nil {
			it.typ, it.group, it.to, it.body = "MTS-100", r.group, r.group.id, simIDs(it.targets, r.group.id)
		}
		if it.to == protocol.AdminID {
			it.to = it.from.user
		}
	case n < 97: // a confirmation
		shown := slices.Sorted(maps.Keys(m.got[it.from.user]))
		if len(shown) == 0 {
			return nil
		}
		it.typ, it.id, it.targets = "MTC-000", fmt.Sprintf("c%d", m.serial), []string{oneOf(m, shown[max(0, len(shown)-8):])}
		it.body = simIDs(it.targets, "")
	default:
		it.typ, it.id, it.body = oneOf(m, []string{"MTC-001", "MTC-100", "MTB-001", "MTB-100"}), fmt.Sprintf("c%d", m.serial), "[]"
	}
	return it
}

func simIDs(list []string, group string) string {
	var b strings.Builder
	for _, id := range list {
		fmt.Fprintf(&b, `,{"msg_id":%q`, id)
		if group != "" {
			fmt.Fprintf(&b, `,"session_id":%q`, group)
		}
		b.WriteString("}")
	}
	return "[" + b.String()[1:] + "]"
}

// someMessage picks one of the newest messages, mostly of those that fit.
func (m *simulation) someMessage(fits func(*simMessage) bool) *simMessage {
	var all, some []*simMessage
	for _, r := range m.ids {
		if strings.HasPrefix(r.MsgID, "m") && !r.revoked && !(r.group != nil && r.group.state == simDissolved) {
			all = append(all, r)
			if fits(r) {
				some = append(some, r)
			}
		}
	}
	if m.chance(85) && len(some) > 0 {
		all = some
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *simMessage) int { return strings.Compare(a.Time+a.MsgID, b.Time+b.MsgID) })
	return oneOf(m, all[max(0, len(all)-8):])
}

// simHook is something that happens while a batch is on its way.
type simHook struct {
	name, where string
	act         func() // to the product
	effect      func() // to the model
	mode        simMode
	fired       bool
}

func (m *simulation) newHook() *simHook {
	h := &simHook{where: oneOf(m, []string{"before the commit", "after the commit", "before the copies", "after the copies"}), effect: func() {}}
	d := simDevice{oneOf(m, simUsers), oneOf(m, simResources)}
	h.name = oneOf(m, []string{"leave", "arrive", "clock", "look", "cut", "down", "flap", "kill", "kill"})
	if m.tight > 0 && h.name == "clock" { // copies that wait for the server are not sent yet
		h.name = "look"
	}
	switch h.name {
	case "leave":
		h.name += " " + d.full()
		h.act = func() { m.exit(d); m.leave(d) }
		h.effect = func() { m.gone(d) }
	case "arrive":
		h.name += " " + d.full()
		h.act = func() { m.appear(d, ""); m.presenceOf(d, "") }
		h.effect = func() { show := ""; m.hear(d, &show); m.arrived(0) }
	case "clock":
		h.act = func() { m.clock.move(6 * time.Second) }
		h.effect = m.age
	case "look":
		h.act = m.peek
	case "cut":
		h.act = m.link.cut
		h.effect = func() { m.ready = false }
	case "down":
		h.act = m.unplug
		h.effect = m.down
	case "flap":
		h.act = func() { m.unplug(); m.plug() }
		h.effect = func() { m.down(); m.mode = sendsPerhaps; m.plugged() }
	case "kill":
		h.act = func() { m.die(); m.killed = true }
		h.effect = m.crashed
	}
	switch h.name {
	case "cut", "down", "kill":
		h.mode = sendsNothing
		switch {
		case h.where == "after the copies" && m.tight > 0: // of which the first have gone
			h.mode = sendsPerhaps
		case h.where == "after the copies":
			h.mode = sends
		}
	case "flap":
		h.mode = sendsPerhaps
	}
	return h
}

// arm lets a hook happen once, with the commit of a message.
func (h *simHook) arm(m *simulation) {
	if h == nil {
		return
	}
	fire := func() { h.fired = true; h.act() }
	m.disk.set(func() {
		switch h.where {
		case "before the commit":
			m.disk.before = fire
		case "after the commit":
			m.disk.after = fire
		case "before the copies":
			m.disk.after = func() { m.link.set(func() { m.link.before = fire }) }
		default:
			m.disk.after = func() { m.link.set(func() { m.link.after = fire }) }
		}
	})
}

func (h *simHook) done() bool { return h != nil && h.fired }

// peek looks at the queues while a batch is on its way: they may lack nothing. (Its messages remove nothing.)
func (m *simulation) peek() {
	for _, u := range simUsers {
		rows, err := m.waits(u, "", 0)
		if err != nil {
			m.disk.fault("queue of %s: %v", u, err)
		}
		for id, e := range m.queues[u] {
			if (e.state == simRow || e.state == simUnconfirmed) && !slices.ContainsFunc(rows, func(row store.OfflineMessage) bool { return row.MsgID == id }) {
				m.disk.fault("the queue of %s lacks %s while a batch is written", u, id)
			}
		}
	}
}

// call makes a call of the API.
func (m *simulation) call() {
	away := m.chance(15)
	m.disk.set(func() { m.disk.away = away })
	effect, err := m.callOne(away)
	m.sync()
	m.disk.set(func() { m.disk.away = false })
	m.quiet()
	m.troubled, m.poisoned, m.several, m.late = away, false, false, 0
	m.mode = sends
	if !m.ready {
		m.mode = sendsNothing
	}
	if err != nil && !(away && errors.Is(err, protocol.ErrUnavailable)) {
		m.fault("the call: %v", err)
	}
	m.collect()
	m.arrived(1)
	if effect != nil {
		effect(err == nil)
	}
	m.finish()
}

func (m *simulation) callOne(away bool) (effect func(ok bool), err error) {
	ctx := m.t.Context()
	user := oneOf(m, simUsers)
	list := slices.SortedFunc(maps.Values(m.groups), func(a, b *simGroup) int { return strings.Compare(a.name, b.name) })
	n := m.rnd.IntN(100)
	switch {
	case len(list) == 0 || n < 15: // create a group
		members := slices.DeleteFunc(slices.Clone(simUsers), func(string) bool { return m.chance(30) })
		if len(members) == 0 {
			members = []string{user}
		}
		g, rows, err := m.CreateGroup(ctx, GroupSpec{Owner: user, Members: members})
		sg := &simGroup{id: g.ID, name: fmt.Sprintf("g%03d", len(m.groups)), owner: user, members: members, formers: map[string]bool{}, ever: map[string]bool{}}
		m.tell("%s makes %s (%s) of %v: %v", user, sg.name, g.ID, members, err)
		return func(ok bool) {
			if ok {
				m.groups[g.ID] = sg
				if len(rows.Taken) != len(members) {
					m.fault("%s has %d members", sg.name, len(rows.Taken))
				}
			}
		}, err
	case n < 30: // change its members
		g := oneOf(m, list)
		e := GroupEdit{ID: g.id, Add: []string{oneOf(m, simUsers)}, Remove: []string{oneOf(m, simUsers)}}
		switch m.rnd.IntN(3) {
		case 0:
			e.Add = nil
		case 1:
			e.Remove = nil
		}
		_, err := m.ModifyGroup(ctx, e)
		m.tell("%s: add %v, remove %v: %v", g.name, e.Add, e.Remove, err)
		if g.state != simAlive {
			return nil, m.must(err, protocol.NoSuchGroup, away)
		}
		return func(ok bool) {
			if !ok {
				return
			}
			var added []string
			for _, u := range e.Add {
				if !slices.Contains(g.members, u) {
					added = append(added, u)
				}
			}
			for _, u := range e.Remove {
				if i := slices.Index(g.members, u); i >= 0 {
					g.members = slices.Delete(slices.Clone(g.members), i, i+1)
					g.formers[u], g.ever[u] = true, true
				}
			}
			g.members = append(g.members, added...)
		}, err
	case n < 33:
		g := oneOf(m, list)
		_, err := m.DeleteGroup(ctx, g.id)
		m.tell("%s is deleted: %v", g.name, err)
		return func(ok bool) {
			if ok && g.state == simAlive {
				m.leaveAll(g)
				g.state = simDeleted
			}
		}, err
	case n < 38:
		g := oneOf(m, list)
		err := m.Dissolve(ctx, g.id)
		m.tell("%s is dissolved: %v", g.name, err)
		return func(ok bool) {
			if ok && g.state == simAlive {
				m.dissolve(g)
			}
		}, err
	case n < 60: // a notice
		to := slices.DeleteFunc(slices.Clone(simUsers), func(string) bool { return m.chance(50) })
		if len(to) == 0 {
			to = []string{user}
		}
		id, err := m.Notify(ctx, Notice{Type: "MTB-100", Body: `[{"title":"t"}]`, Receivers: to})
		m.tell("a notice %s to %v: %v", id.CallID, to, err)
		return func(ok bool) {
			for i, u := range to {
				if ok {
					m.noticed(store.Message{MsgID: calls.MessageID(id.CallID, i+1), Type: "MTB-100", From: protocol.AdminID, To: u, Body: `[{"title":"t"}]`, SessionID: protocol.AdminID}, nil)
				}
			}
		}, err
	case n < 90: // the queue
		rows, err := m.waits(user, "", 0)
		if err != nil {
			m.fault("the queue of %s: %v", user, err)
		}
		clears := m.chance(60)
		if clears {
			err = m.ClearOffline(ctx, user, rows)
		}
		m.tell("%s reads %d entries of the queue, and clears %v: %v", user, len(rows), clears, err)
		return func(ok bool) {
			for _, row := range rows {
				m.got[user][row.MsgID] = true
				e := m.queues[user][row.MsgID]
				switch {
				case clears && ok:
					delete(m.queues[user], row.MsgID)
				case clears && e != nil && row.ID == "":
					e.state = simPerhaps
				}
			}
		}, err
	case n < 93:
		if m.hangs(user) { // what it is sent then is lost, as of every client that confirms nothing
			return nil, nil
		}
		err := m.RegisterPush(ctx, user, "")
		m.tell("%s unregisters: %v", user, err)
		return func(ok bool) {
			if ok {
				delete(m.confirming, user)
			}
		}, err
	default:
		m.tell("what dissolved groups left is removed")
		return nil, m.purgeNext(ctx)
	}
}

// purgeNext does what the purge does between two of its pauses.
func (m *simulation) purgeNext(ctx context.Context) error {
	list, err := m.db.Purges(ctx)
	for _, p := range list {
		if err == nil && protocol.ParseTime(p.Time) <= m.Service.from() {
			_, err = m.db.PurgeSome(ctx, m.epoch, p, 500)
		}
	}
	return err
}

// must is for a call that has to be refused.
func (m *simulation) must(err error, code protocol.Code, away bool) error {
	if away && errors.Is(err, protocol.ErrUnavailable) || err != nil && protocol.AsError(err).Code == code {
		return nil
	}
	return fmt.Errorf("%v, want %s", err, code) //nolint:errorlint // err may be nil
}
