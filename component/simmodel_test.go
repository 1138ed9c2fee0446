package component

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

type simGroup struct {
	id, name, owner string
	members         []string
	formers         map[string]bool
	ever            map[string]bool // who was to get something of it, at any time
	state           simGroupState
}

type simGroupState string

const (
	simAlive     simGroupState = ""
	simDeleted   simGroupState = "deleted"
	simDissolved simGroupState = "dissolved"
)

// simMessage is what is remembered of a msg_id.
type simMessage struct {
	store.Message
	conversation string
	group        *simGroup
	revoked      bool
	early        bool // a revoke came before it
	row          bool // it is in the history
	to           []string
	unrouted     map[simCopy]bool // copies that the server has not routed yet
}

func (m *simMessage) pos() int64 { return protocol.ParseTime(m.Time) }

// simState is where an entry of a queue is.
type simState string

const (
	simUndecided   simState = ""
	simRow         simState = "row"         // in the table
	simUnconfirmed simState = "unconfirmed" // sent to a phone, kept in memory
	simPerhaps     simState = "perhaps"     // a row, unconfirmed or gone: the story does not tell
)

// simEntry is a message in a user's queue.
type simEntry struct {
	state              simState
	status             int  // -1 any
	settle             bool // only a confirmation settles it
	unsure             bool // or not: his first confirmation was in the same batch
	sent               time.Time
	at                 string // msg_time, "" for receipts
	fresh              bool   // became a row in this step
	old                bool   // it was in the queue before this step
	asked              []*simPing
	session, typ, from string
}

// simCopy is a copy on the wire.
type simCopy struct {
	id, jid string
	async   bool
}

type simCount struct{ least, most int }

// simArrival is a device that became known, and when the last look was asked for in which it was absent.
type simArrival struct {
	simDevice
	since time.Time
}

// simRecent is a message to one user, for devices of his that become known.
type simRecent struct {
	user, id, session, typ string
	async                  bool
	from, to               time.Time // it was committed then
	reached                map[string]bool
	unsure                 bool
}

// sentTo remembers a message to a user, that was sent to the devices that are known, but for one that sent it.
func (m *simulation) sentTo(user, id, session, typ string, async bool, except string, least int) {
	if m.mode == sendsNothing {
		return
	}
	e := &simRecent{user: user, id: id, session: session, typ: typ, async: async, from: m.clock.now().Add(-m.late), to: m.clock.now(),
		reached: map[string]bool{except: true}, unsure: least == 0 || m.mode == sendsPerhaps || m.troubled}
	for res := range m.known[user] {
		e.reached[simDevice{user, res}.full()] = true
	}
	m.recent = append(m.recent, e)
}

// forgets drops messages that were removed.
func (m *simulation) forgets(gone func(*simRecent) bool) {
	m.stepFrom -= len(slices.DeleteFunc(slices.Clone(m.recent[:m.stepFrom]), func(e *simRecent) bool { return !gone(e) }))
	m.recent = slices.DeleteFunc(m.recent, gone)
}

func simPair(a, b string) string { return min(a, b) + " and " + max(a, b) }

// age settles what is old enough.
func (m *simulation) age() {
	now := m.clock.now()
	for _, queue := range m.queues {
		for _, e := range queue {
			if e.state != simUnconfirmed || now.Sub(e.sent) < m.cfg.Grace {
				continue
			}
			if e.settle && !e.unsure {
				e.state, e.fresh = simRow, true
			} else if e.unsure || m.asof.After(e.sent) {
				e.state, e.status = simPerhaps, -1
			}
		}
	}
}

// hear notes a device that we heard of; nil does not tell its show.
func (m *simulation) hear(d simDevice, show *string) {
	_, known := m.known[d.user][d.resource]
	if show != nil {
		m.known[d.user][d.resource] = *show
	} else if !known {
		m.known[d.user][d.resource] = ""
	}
	if !known {
		m.came = append(m.came, simArrival{d, m.asof})
	}
}

func (m *simulation) gone(d simDevice) {
	if _, known := m.known[d.user][d.resource]; !known {
		return
	}
	delete(m.known[d.user], d.resource)
	delete(m.answers, d)
	if simMobile(d.resource) {
		m.underWay = slices.DeleteFunc(m.underWay, func(p *simPing) bool {
			if p.to == d {
				m.unask(m.queues[d.user], p)
			}
			return p.to == d
		})
		m.lose(d.user)
	}
}

// lose makes rows of what is owed to a user.
func (m *simulation) lose(user string) {
	for _, e := range m.queues[user] {
		if e.state == simUnconfirmed && len(e.asked) == 0 {
			e.state, e.fresh = simRow, true
		}
	}
}

// loseAll makes rows of all that is owed: the link was lost, and with it all questions.
func (m *simulation) loseAll() {
	life := 0
	m.link.set(func() { life = m.link.life })
	m.underWay = slices.DeleteFunc(m.underWay, func(p *simPing) bool {
		old := p.life < life // the next connection may be there already
		if old {
			m.unask(m.queues[p.to.user], p)
		}
		return old
	})
	maps.DeleteFunc(m.answers, func(_ simDevice, of int) bool { return of < life })
	for _, queue := range m.queues {
		for _, e := range queue {
			if e.state == simUnconfirmed {
				e.state, e.fresh = simRow, true
			}
		}
	}
}

// lookedAt takes a snapshot into the model.
func (m *simulation) lookedAt(asked time.Time) {
	for _, u := range simUsers {
		for _, r := range simResources {
			show, real := m.real[u][r]
			if real {
				m.hear(simDevice{u, r}, &show)
			} else {
				m.gone(simDevice{u, r})
			}
		}
	}
	m.asof = asked
	m.age()
}

// down is what the loss of the link does.
func (m *simulation) down() {
	m.loseAll()
	m.linked, m.ready, m.asof, m.came = false, false, time.Time{}, nil
	for _, u := range simUsers {
		m.known[u] = map[string]string{}
	}
}

// plugged is what the model expects of a new connection: what the server may have lost comes again.
func (m *simulation) plugged() {
	m.linked, m.ready, m.asof, m.came = true, true, m.clock.now(), nil
	if m.mode == sends {
		m.recent, m.stepFrom = nil, 0
	}
	for _, e := range m.recent { // what a link was lost amid may have been sent on it or on the next one
		e.unsure = true
	}
	for _, u := range simUsers {
		m.known[u] = maps.Clone(m.real[u])
	}
	for _, r := range m.ids {
		if !r.row || r.pos() <= m.from {
			continue
		}
		r.unrouted = map[simCopy]bool{}
		notice := r.Type == "MTS-107" && r.From == r.To
		if r.group != nil && r.group.state == simDissolved && !notice {
			r.row = false
			continue
		}
		for _, u := range r.to {
			m.copies(r, r.MsgID, r.SessionID, r.Type, u, 1)
		}
		if r.group != nil && !notice {
			for u := range r.group.ever {
				if !slices.Contains(r.to, u) {
					m.copies(nil, r.MsgID, r.SessionID, r.Type, u, 0)
				}
			}
		}
		if strings.HasPrefix(r.Type, "MTT-") && r.From != r.To {
			for res := range m.known[r.From] {
				m.expect(simCopy{r.MsgID, simDevice{r.From, res}.full(), true}, 0)
			}
			m.sentTo(r.From, r.MsgID, r.SessionID, r.Type, true, "", 0)
		}
	}
}

// missed takes back that a device that was found to be gone amid a step must have been sent what came later in it: the copies of a step
// may be decided in several batches.
func (m *simulation) missed(d simDevice) {
	if !m.several {
		return
	}
	if mobile, _ := m.available(d.user); !mobile { // what was decided without it are rows
		for _, of := range m.decided {
			if of.user != d.user {
				continue
			}
			if e := m.queues[d.user][of.id]; e == nil {
				e := of.simEntry
				e.state, e.status = simPerhaps, -1
				m.queues[d.user][of.id] = &e
			} else if e.state == simUnconfirmed {
				e.state, e.status = simPerhaps, -1
			}
		}
	}
	for c, n := range m.want {
		if c.jid != d.full() {
			continue
		}
		n.least = 0
		for _, class := range []store.Class{store.ClassMessage, store.ClassRevoke} {
			if r := m.ids[store.IDKey{MsgID: c.id, Class: class}]; r != nil && !slices.Contains(m.copied, c) {
				delete(r.unrouted, c)
			}
		}
	}
	for _, e := range m.recent[m.stepFrom:] {
		if e.user == d.user && e.reached[d.full()] {
			delete(e.reached, d.full())
			e.unsure = true
		}
	}
}

// copies expects a message at all known devices of a user; the snapshots of a story never grow old, so others are absent.
// r is nil for what is not stored.
func (m *simulation) copies(r *simMessage, id, session, typ, user string, least int) {
	m.sentTo(user, id, session, typ, false, "", least)
	for res := range m.known[user] {
		c := simCopy{id, simDevice{user, res}.full(), false}
		m.expect(c, least)
		if r != nil {
			r.unrouted[c] = true
		}
	}
}

func (m *simulation) expect(c simCopy, least int) {
	switch {
	case m.mode == sendsNothing:
		return
	case m.mode == sendsPerhaps:
		least = 0
	}
	if m.want[c] == nil {
		m.want[c] = &simCount{}
	}
	m.want[c].least += least
	m.want[c].most++
}

// crashed is what a kill does: memory is gone.
func (m *simulation) crashed() {
	for c, e := range m.proven { // a row that a phone has confirmed, and that was not deleted yet
		if e.state != simRow || m.queues[c.jid][c.id] != nil || slices.ContainsFunc(m.log, func(change store.Change) bool {
			return slices.Contains(change.DropOffline, store.OfflineKey{Owner: c.jid, MsgID: c.id})
		}) {
			continue
		}
		if e.status = -1; m.groups[e.session] != nil && m.above < len(simUsers) { // or not written yet
			e.state = simPerhaps
		}
		m.queues[c.jid][c.id] = e
	}
	for _, queue := range m.queues {
		for id, e := range queue {
			if e.state == simRow && m.groups[e.session] != nil && m.above < len(simUsers) { // it may not have been written yet
				e.status = -1
			}
			if e.state == simUnconfirmed || e.state == simRow && e.fresh {
				e.state, e.status = simRow, -1
				if strings.HasPrefix(id, "c") { // it was nowhere else, and nobody had a receipt for it
					e.state = simPerhaps
				}
			}
		}
	}
	m.down()
}

func (m *simulation) leaveAll(g *simGroup) {
	for _, u := range append(slices.Clone(g.members), g.owner) {
		g.formers[u], g.ever[u] = true, true
	}
}

// dissolve is a group's end: its queues go, every member gets a notice.
func (m *simulation) dissolve(g *simGroup) {
	m.leaveAll(g)
	g.state = simDissolved
	m.forgets(func(e *simRecent) bool { return e.session == g.id && e.typ != "MTS-107" })
	for _, queue := range m.queues {
		for id, e := range queue {
			if e.session == g.id {
				delete(queue, id)
			}
		}
	}
	for _, u := range g.members {
		i := slices.IndexFunc(m.log, func(c store.Change) bool {
			return c.Message != nil && c.Message.Type == "MTS-107" && c.Message.SessionID == g.id && c.Message.From == u && c.Message.To == u
		})
		if i < 0 {
			m.fault("no notice to %s that %s is dissolved", u, g.name)
			continue
		}
		m.noticed(*m.log[i].Message, g)
	}
}

// noticed is a message that the server made.
func (m *simulation) noticed(msg store.Message, g *simGroup) {
	key := store.IDKey{MsgID: msg.MsgID, Class: store.ClassMessage}
	msg.ID, msg.Time = "", m.timeOf(key)
	if msg.Time == "" {
		m.fault("%s was not stored", msg.MsgID)
		return
	}
	r := &simMessage{Message: msg, group: g, conversation: simPair(msg.From, msg.To), row: true, to: []string{msg.To}, unrouted: map[simCopy]bool{}}
	if g != nil {
		r.conversation = g.id
	}
	m.ids[key] = r
	m.copies(r, r.MsgID, r.SessionID, r.Type, msg.To, 1)
	m.receive(msg.To, r.MsgID, &simEntry{settle: true, at: msg.Time, session: msg.SessionID, typ: msg.Type, from: msg.From})
}

// timeOf is the msg_time under which an id was committed in this step.
func (m *simulation) timeOf(key store.IDKey) string {
	for _, c := range m.log {
		for _, id := range slices.Concat(c.IDs, c.SetIDs) {
			if id.MsgID == key.MsgID && id.Class == key.Class && id.State == store.Live {
				return id.Time
			}
		}
	}
	return ""
}

// simDecision is one about a user's queue, with what an entry of it looks like.
type simDecision struct {
	user, id string
	simEntry
}

// receive decides about a receiver's queue.
func (m *simulation) receive(user, id string, e *simEntry) {
	m.decided = append(m.decided, simDecision{user, id, *e})
	mobile, web := m.available(user)
	if web {
		e.status = 1
	}
	switch {
	case !mobile:
		e.state = simRow
	case m.cfg.Confirm == ConfirmByPresence:
		return
	default:
		e.state, e.sent = simUnconfirmed, m.clock.now().Add(-m.late)
		e.unsure = e.settle && m.first[user]
		how := m.confirming[user]
		e.settle = how == store.ConfirmsByPings || e.settle && (m.cfg.Confirm == ConfirmByReceipt || how != store.ConfirmsNot)
		m.owing = true
	}
	m.queues[user][id] = e
}

func (m *simulation) available(user string) (mobile, web bool) {
	for r, show := range m.known[user] {
		if show == "" {
			mobile = mobile || simMobile(r)
			web = web || !simMobile(r)
		}
	}
	return mobile, web
}

// settle holds what a step did against the model.
func (m *simulation) settle(items []*simItem) {
	m.mode = sends
	if !m.ready {
		m.mode = sendsNothing
	}
	m.troubled, m.poisoned, m.several, m.late = false, false, false, 0
	m.settleWith(items, nil)
}

func (m *simulation) settleWith(items []*simItem, hook *simHook) {
	m.collect()
	confirms := slices.ContainsFunc(items, func(it *simItem) bool { return it.typ == "MTC-000" })
	if hook == nil && !m.poisoned && !confirms { // else a confirmation may come before what it confirms comes again
		m.arrived(1)
	} else {
		m.arrived(0)
	}
	for _, it := range items {
		if it.typ == "MTC-000" && simMobile(it.from.resource) && m.cfg.Confirm == ConfirmAuto && m.confirming[it.from.user] == store.ConfirmsNot {
			m.first[it.from.user] = true // perhaps before what else comes for him
		}
	}
	posts := m.posts
	refused := map[string]protocol.Code{}
	receipts := map[string]map[string]string{} // device, msg_id
	for _, p := range posts {
		st, err := stanza.Parse([]byte(p))
		if err != nil {
			m.fault("%s: %v", p, err)
			continue
		}
		if st.Type == "error" {
			refused[st.ID] = protocol.Code(refusals([]string{p}))
			continue
		}
		var acknowledged []string
		for _, entry := range simReceipt(p) {
			if receipts[st.To] == nil {
				receipts[st.To] = map[string]string{}
			}
			if slices.Contains(acknowledged, entry[0]) {
				m.fault("%s is acknowledged twice in a receipt", entry[0])
			}
			acknowledged = append(acknowledged, entry[0])
			receipts[st.To][entry[0]] = entry[1]
		}
	}
	for i, it := range items {
		code, r, apply := m.judge(it)
		answer, key := refused[fmt.Sprintf("s%d", it.n)], store.IDKey{MsgID: it.id, Class: it.class()}
		at := receipts[it.from.full()][it.id]
		committed := m.timeOf(key)
		name := fmt.Sprintf("s%d %s", it.n, it.id)
		isNew := code == "" && r == nil && it.stored()
		poison := isNew && strings.Contains(it.body, "poison") && m.poisoned
		switch {
		case answer == protocol.TryLater:
			if !m.troubled {
				m.fault("%s is told to come later without a reason", name)
			}
			if isNew && committed != "" && !slices.ContainsFunc(items[i+1:], func(next *simItem) bool { // one that came after it may be stored
				return next.id == it.id && next.class() == it.class() && refused[fmt.Sprintf("s%d", next.n)] == ""
			}) {
				m.fault("%s is told to come later, and is stored", name)
			}
			if it.typ == "MTC-000" {
				m.fault("%s is a confirmation, and is refused", name)
			}
			continue
		case poison:
			if answer != protocol.TooLarge {
				m.fault("%s cannot be stored, and is answered %q", name, answer)
			}
			continue
		case m.killed && answer == "" && at == "":
			if !isNew || committed == "" {
				continue
			}
			at = committed
		case answer != code:
			m.fault("%s is answered %q, want %q", name, answer, code)
			continue
		case code != "":
			continue
		case (it.stored() || it.typ == "MTT-100" || it.typ == "MTS-100") && at == "":
			m.fault("%s has no receipt", name)
			continue
		case r != nil && r.Time != at && !r.early:
			m.fault("%s has a receipt of %s, the first was of %s", name, at, r.Time)
		case isNew && committed != at:
			m.fault("%s has a receipt of %s, and is stored with %q", name, at, committed)
		}
		if apply != nil {
			apply(at)
		}
	}
	switch {
	case m.owing && m.mode == sendsPerhaps && m.tight > 0: // the last copies were perhaps not sent into a link that was lost
		for _, u := range simUsers {
			for _, e := range m.queues[u] {
				if e.state == simUnconfirmed {
					e.state, e.status = simPerhaps, -1
				}
			}
		}
	case m.owing && m.mode != sends: // sent into a link that was lost
		m.loseAll()
	}
	m.proofs()
	if hook != nil {
		hook.effect()
	}
	m.finish()
}

// collect takes what the step left behind.
func (m *simulation) collect() {
	var faults, more []string
	m.copied, m.posts, faults, m.pinged, m.answered = m.link.take()
	m.log, more = m.disk.take()
	for _, f := range append(faults, more...) {
		m.fault("%s", f)
	}
	m.decided = nil
	m.owing, m.first, m.proven = false, map[string]bool{}, map[simCopy]*simEntry{}
}

// arrived expects what devices have missed that have just become known.
func (m *simulation) arrived(least int) {
	mode := m.mode
	m.mode = sends
	defer func() { m.mode = mode }()
	for _, d := range m.came {
		if !m.ready {
			break
		}
		for _, e := range m.recent {
			if e.user != d.user || e.reached[d.full()] || e.to.Before(d.since) {
				continue
			}
			n := least
			if e.unsure || e.from.Before(d.since) {
				n = 0
			}
			m.expect(simCopy{e.id, d.full(), e.async}, n)
			if n == 0 { // it may have been sent, and then is not again
				e.unsure = true
			} else {
				e.reached[d.full()] = true
			}
		}
	}
	m.came = nil
}

// finish compares the copies, and shows to the phones what was routed.
func (m *simulation) finish() {
	if m.owing && m.mode == sendsNothing {
		m.loseAll()
	}
	m.proofs()
	counts := map[simCopy]int{}
	for _, c := range m.copied {
		counts[c]++
	}
	for c, w := range m.want {
		if n := counts[c]; n < w.least || n > w.most {
			m.fault("%d copies %+v, want %d to %d", n, c, w.least, w.most)
		}
		delete(counts, c)
	}
	for c, n := range counts {
		m.fault("%d copies %+v that nobody was to get", n, c)
	}
	m.want = map[simCopy]*simCount{}
	if !m.troubled {
		m.ordered()
	}
	for _, c := range m.link.done() {
		for _, class := range []store.Class{store.ClassMessage, store.ClassRevoke} {
			if r := m.ids[store.IDKey{MsgID: c.id, Class: class}]; r != nil {
				delete(r.unrouted, c)
			}
		}
		user, resource, _ := strings.Cut(c.jid, "@"+testServer)
		resource = strings.TrimPrefix(resource, "/")
		for r := range m.real[user] {
			if simMobile(r) && (resource == "" || r == resource) && m.link.reached(c, simDevice{user, r}) {
				m.got[user][c.id] = true
			}
		}
	}
	m.link.set(func() { clear(m.link.lost) })
}

// ordered says that every address got the messages of each conversation in their order.
func (m *simulation) ordered() {
	type line struct{ jid, conversation string }
	last := map[line]*simMessage{}
	for _, c := range m.copied {
		r := m.ids[store.IDKey{MsgID: c.id, Class: store.ClassMessage}]
		if r == nil {
			r = m.ids[store.IDKey{MsgID: c.id, Class: store.ClassRevoke}]
		}
		if r == nil || !r.row {
			continue
		}
		l := line{c.jid, r.conversation}
		if before := last[l]; before != nil && before.pos() > r.pos() {
			m.fault("%s gets %s before %s", c.jid, before.MsgID, r.MsgID)
		}
		last[l] = r
	}
}

// judge says what PROTOCOL.md wants of a message: an error, or a receipt again (of the message returned), or what it does.
func (m *simulation) judge(it *simItem) (protocol.Code, *simMessage, func(at string)) {
	sender, g := it.from.user, it.group
	conversation := simPair(sender, it.to)
	if g != nil {
		conversation = g.id
	}
	alive := g != nil && g.state == simAlive
	key := store.IDKey{MsgID: it.id, Class: it.class()}

	// Exactly once.
	if old := m.ids[key]; old != nil && it.stored() {
		mine := old.From == sender && old.conversation == conversation
		switch {
		case old.revoked && old.conversation == conversation && (mine || old.early && alive && old.From == g.owner):
			return "", old, nil
		case old.revoked && old.early:
		case mine && old.Type == it.typ && old.Body == it.body:
			return "", old, nil
		default:
			return protocol.IDConflict, nil, nil
		}
	}

	// Rights.
	member := alive && slices.Contains(g.members, sender)
	former := false
	if g != nil {
		late := slices.Contains([]string{"MTS-101", "MTS-103", "MTS-104", "MTS-106", "MTS-107"}, it.typ)
		switch {
		case !alive && late && g.formers[sender]:
			return "", nil, func(at string) { m.remember(it, conversation, at, nil).row = false }
		case !alive:
			return protocol.NoSuchGroup, nil, nil
		case member || g.owner == sender:
		case late && g.formers[sender]:
			former = true
		default:
			return protocol.NotAllowed, nil, nil
		}
	}

	switch it.typ {
	case "MTC-100", "MTB-100":
		return protocol.NotAllowed, nil, nil
	case "MTC-001", "MTB-001":
		return "", nil, func(string) { m.copies(nil, it.id, sender, it.typ, it.to, 1) }
	case "MTC-000":
		return "", nil, func(string) {
			least := 1
			if m.troubled { // it has settled, and may not be passed on
				least = 0
			}
			m.copies(nil, it.id, sender, it.typ, it.to, least)
			if simMobile(it.from.resource) && m.cfg.Confirm != ConfirmByPresence {
				m.first[sender] = m.first[sender] || m.confirming[sender] == store.ConfirmsNot && m.cfg.Confirm == ConfirmAuto
				m.confirming[sender] = max(m.confirming[sender], store.ConfirmsByReceipts)
				for _, id := range it.targets {
					delete(m.queues[sender], id)
				}
			}
		}
	case "MTT-100", "MTS-100":
		return m.judgeRead(it)
	case "MTS-107":
		if former || sender != g.owner {
			return protocol.NotAllowed, nil, nil
		}
		return "", nil, func(at string) {
			m.remember(it, conversation, at, nil).row = false
			m.dissolve(g)
		}
	case "MTT-101", "MTS-101":
		if code := m.judgeRevoke(it, conversation, alive && !former && g.owner == sender); code != "" {
			return code, nil, nil
		}
	}
	return "", nil, func(at string) {
		if it.class() == store.ClassRevoke {
			m.revoke(it, conversation)
		}
		to := []string{it.to}
		if g != nil {
			to = slices.Clone(g.members)
			for _, u := range it.named {
				if it.typ == "MTS-103" && g.formers[u] && !slices.Contains(to, u) {
					to = append(to, u)
				}
			}
		}
		r := m.remember(it, conversation, at, to)
		m.deliver(it, r, to, g == nil && sender != it.to, true)
		if g == nil && sender != it.to {
			m.chats[store.ChatKey{Partner: sender, Owner: it.to}], m.chats[store.ChatKey{Partner: it.to, Owner: sender}] = true, true
		}
	}
}

// remember notes a stored message.
func (m *simulation) remember(it *simItem, conversation, at string, to []string) *simMessage {
	key := store.IDKey{MsgID: it.id, Class: it.class()}
	r := &simMessage{conversation: conversation, group: it.group, row: true, to: to, unrouted: map[simCopy]bool{},
		Message: store.Message{MsgID: it.id, Type: it.typ, From: it.from.user, To: it.to, Time: at, Body: it.body, SessionID: it.from.user}}
	if it.group != nil {
		r.SessionID = it.group.id
		for _, u := range to {
			it.group.ever[u] = true
		}
	}
	if old := m.ids[key]; old != nil {
		r.early = old.early
	}
	m.ids[key] = r
	return r
}

// deliver expects the copies of a client's message and what they do to the queues. async: the sender's other devices get a
// copy of their own.
func (m *simulation) deliver(it *simItem, r *simMessage, to []string, async, settle bool) {
	sender := it.from.user
	row := func(user string) *simEntry {
		e := &simEntry{settle: settle, session: sender, typ: it.typ, from: sender}
		if r != nil {
			e.at = r.Time
		}
		if it.group != nil {
			e.session = it.group.id
		}
		return e
	}
	mobile, web := m.available(sender)
	catchUp := func() { // the phone of a sender who is on the web only
		e := row(sender)
		e.state, e.status = simRow, 1
		if it.group == nil {
			e.session = it.to
		}
		if !simMobile(it.from.resource) {
			m.decided = append(m.decided, simDecision{sender, it.id, *e})
		}
		if web && !mobile && !simMobile(it.from.resource) {
			m.queues[sender][it.id] = e
		}
	}
	for _, u := range to {
		m.copies(r, it.id, row(u).session, it.typ, u, 1)
		if u == sender && (it.group != nil || sender != it.to) {
			catchUp()
		} else {
			m.receive(u, it.id, row(u))
		}
	}
	if !async {
		return
	}
	m.sentTo(sender, it.id, row(sender).session, it.typ, it.group == nil, it.from.full(), 1)
	for res := range m.known[sender] {
		if res == it.from.resource {
			continue
		}
		m.expect(simCopy{it.id, simDevice{sender, res}.full(), it.group == nil}, 1)
	}
	catchUp()
}

func (m *simulation) judgeRead(it *simItem) (protocol.Code, *simMessage, func(string)) {
	sender := it.from.user
	status := 1
	if simMobile(it.from.resource) {
		status = 2
	}
	var authors []string
	taken := map[string]string{} // message, author
	own, foreign, unknown := 0, 0, 0
	for _, id := range it.targets {
		r := m.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}]
		here := r != nil && (it.group == nil && r.To == sender || it.group != nil && r.SessionID == it.group.id)
		switch {
		case r == nil || r.revoked || !r.row: // it is not in the history, and gets no receipt
			unknown++
		case r.From == sender:
			own++
		case !here:
			foreign++
		default:
			taken[id] = r.From
			if !slices.Contains(authors, r.From) && r.From != protocol.AdminID {
				authors = append(authors, r.From)
			}
		}
	}
	if foreign > 0 && len(taken)+unknown == 0 {
		return protocol.NotAllowed, nil, nil
	}
	return "", nil, func(string) {
		if own > 0 && own == len(it.targets) {
			return
		}
		for id, author := range taken {
			key := store.ReceiptKey{MsgID: id, Reader: sender}
			old, ok := m.read[key]
			if !ok {
				old.Sender = author
			}
			old.Status = max(old.Status, status)
			m.read[key] = old
		}
		switch {
		case it.group == nil && len(authors) == 0:
			m.deliver(it, nil, []string{it.to}, sender != it.to, false)
		case it.group == nil:
			m.deliver(it, nil, authors, sender != it.to, false)
		case len(authors) > 0:
			m.deliver(it, nil, slices.DeleteFunc(authors, func(u string) bool { // who has left learns nothing of those who are there
				return !slices.Contains(it.group.members, u) && u != it.group.owner
			}), true, false)
		default:
			m.deliver(it, nil, it.group.members, false, false)
		}
	}
}

func (m *simulation) judgeRevoke(it *simItem, conversation string, owner bool) protocol.Code {
	for _, id := range it.targets {
		r := m.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}]
		switch {
		case r == nil || r.revoked && r.early:
		case r.conversation != conversation:
			return protocol.NotAllowed
		case r.From != it.from.user && !owner:
			return protocol.NotAllowed
		}
	}
	return ""
}

func (m *simulation) revoke(it *simItem, conversation string) {
	for _, id := range it.targets {
		key := store.IDKey{MsgID: id, Class: store.ClassMessage}
		r := m.ids[key]
		if r == nil {
			r = &simMessage{early: true, Message: store.Message{MsgID: id, Time: m.tombstone(key)}}
			m.ids[key] = r
		}
		if r.revoked && r.early || r.From == "" {
			r.From, r.conversation = it.from.user, conversation
		}
		r.revoked, r.row = true, false
		m.forgets(func(e *simRecent) bool { return e.id == id })
		for _, u := range simUsers {
			if e := m.queues[u][id]; e != nil {
				delete(m.queues[u], id)
			}
			delete(m.read, store.ReceiptKey{MsgID: id, Reader: u})
		}
	}
}

// tombstone is the time of a revoke that came before its message.
func (m *simulation) tombstone(key store.IDKey) string {
	for _, c := range m.log {
		for _, id := range c.SetIDs {
			if id.MsgID == key.MsgID && id.Class == key.Class {
				return id.Time
			}
		}
	}
	return ""
}

// check holds queues, tables and positions against the model.
func (m *simulation) check() {
	m.t.Helper()
	later := m.owed.Count().Deferred
	for _, user := range simUsers {
		rows, err := m.waits(user, "", 0)
		if err != nil {
			m.fault("queue of %s: %v", user, err)
		}
		seen := map[string]bool{}
		last := ""
		for _, row := range rows {
			if seen[row.MsgID] {
				m.fault("%s has %s twice in his queue", user, row.MsgID)
			}
			seen[row.MsgID] = true
			if row.Time < last {
				m.fault("the queue of %s is not in order", user)
			}
			last = row.Time
			e := m.queues[user][row.MsgID]
			switch {
			case e == nil:
				m.fault("%s has %s in his queue (%+v)", user, row.MsgID, row)
			case m.tight > 0 && m.linked && !m.ready && e.state == simUnconfirmed: // a row when somebody has noticed
			case e.state == simRow && row.ID == "" && !(later > 0 && m.groups[e.session] != nil), e.state == simUnconfirmed && row.ID != "":
				m.fault("%s in the queue of %s: row %q, want %s", row.MsgID, user, row.ID, e.state)
			case e.status >= 0 && e.state != simPerhaps && row.Status != e.status:
				m.fault("%s in the queue of %s has msg_status %d, want %d", row.MsgID, user, row.Status, e.status)
			case row.SessionID != e.session || row.To != e.session || row.From != e.from || row.Type != e.typ || e.at != "" && row.Time != e.at:
				m.fault("%s in the queue of %s: %+v, want %+v", row.MsgID, user, row, e)
			}
		}
		for id, e := range m.queues[user] {
			if !seen[id] && e.state != simPerhaps {
				m.fault("%s lacks %s in his queue (want %s)", user, id, e.state)
			}
		}
	}
	delivered := m.delivered.Load()
	for _, r := range m.ids {
		if r.row && r.pos() <= delivered && len(r.unrouted) > 0 && !(r.group != nil && r.group.state != simAlive) {
			m.fault("%s counts as delivered; the server has not routed %v", r.MsgID, r.unrouted)
		}
	}
	if m.rnd.IntN(5) == 0 {
		m.tables()
	}
}

// tables holds the history, the receipts and the list entries against the model.
func (m *simulation) tables() {
	m.t.Helper()
	ctx := m.t.Context()
	rows, err := m.db.MessagesAfter(ctx, "", "", 10_000)
	if err != nil {
		m.t.Fatal(err)
	}
	seen := map[store.IDKey]bool{}
	for _, row := range rows {
		key := store.IDKey{MsgID: row.MsgID, Class: store.ClassMessage}
		if row.Type == "MTT-101" || row.Type == "MTS-101" {
			key.Class = store.ClassRevoke
		}
		r := m.ids[key]
		row.ID = ""
		switch {
		case seen[key]:
			m.fault("%s is stored twice", row.MsgID)
		case r == nil || !r.row && !(r.group != nil && r.group.state == simDissolved && !r.revoked):
			m.fault("%s is in the history: %+v", row.MsgID, row)
		case row != r.Message:
			m.fault("%s is stored as %+v, want %+v", row.MsgID, row, r.Message)
		}
		seen[key] = true
	}
	var keys []store.ReceiptKey
	for key, r := range m.ids {
		if r.row && !seen[key] && !(r.group != nil && r.group.state == simDissolved) {
			m.fault("%s is not in the history", r.MsgID)
		}
		for _, u := range simUsers {
			if key.Class == store.ClassMessage && !r.revoked && !(r.group != nil && r.group.state == simDissolved) {
				keys = append(keys, store.ReceiptKey{MsgID: key.MsgID, Reader: u})
			}
		}
	}
	read, err := m.db.Receipts(ctx, keys)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, key := range keys {
		want, ok := m.read[key]
		got := read[key]
		if len(got) > 1 || len(got) == 1 != ok || ok && (got[0].Status != want.Status || got[0].Sender != want.Sender) {
			m.fault("receipts of %v: %+v, want %+v", key, got, want)
		}
	}
	var entries []store.ChatKey
	for _, a := range simUsers {
		for _, b := range simUsers {
			entries = append(entries, store.ChatKey{Partner: a, Owner: b})
		}
	}
	chats, err := m.db.Chats(ctx, entries)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, key := range entries {
		if chats[key] != m.chats[key] {
			m.fault("list entry %v: %v, want %v", key, chats[key], m.chats[key])
		}
	}
	for _, u := range simUsers {
		owners := map[string]bool{}
		list, err := m.db.ChatsWith(ctx, u, store.Chat{}, 100)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, c := range list {
			if owners[c.Owner] {
				m.fault("list entry of %s for %s is there twice", c.Owner, u)
			}
			owners[c.Owner] = true
		}
	}
	for _, g := range m.groups {
		members, err := m.db.Members(ctx, []string{g.id})
		if err != nil {
			m.t.Fatal(err)
		}
		want := g.members
		if g.state != simAlive {
			want = nil
		}
		var got []string
		for _, row := range members[g.id] {
			got = append(got, row.UserID)
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			m.fault("%s has members %v, want %v", g.name, got, want)
		}
	}
}

// end lets all become well, and then every message must have reached each receiver, or wait for him.
func (m *simulation) end() {
	m.tell("the end")
	for d, phone := range m.link.there { // no session is resumed any more
		if phone.hung {
			m.exit(d)
		}
	}
	if m.linked {
		m.unplug()
		m.down()
	}
	m.up()
	m.clock.move(time.Second)
	m.quiet()
	for rows := m.owed.Count().Deferred; rows > 0; rows = m.owed.Count().Deferred {
		m.quiet()
	}
	m.age()
	m.settle(nil)
	m.check()
	m.tables()
	if m.cfg.Confirm == ConfirmByPresence {
		return // what a phone loses that dies is lost, the old way
	}
	for _, r := range m.ids {
		notice := r.Type == "MTS-107" && r.From == r.To
		if !r.row || r.group != nil && r.group.state == simDissolved && !notice {
			continue
		}
		for _, u := range r.to {
			if e := m.queues[u][r.MsgID]; m.got[u][r.MsgID] || e != nil && e.state != simPerhaps || u == r.From && r.To != r.From {
				continue
			}
			rows, err := m.waits(u, "", 0)
			if err != nil {
				m.t.Fatal(err)
			}
			if !slices.ContainsFunc(rows, func(row store.OfflineMessage) bool { return row.MsgID == r.MsgID }) {
				m.fault("%s was accepted, and is lost for %s", r.MsgID, u)
			}
		}
	}
}
