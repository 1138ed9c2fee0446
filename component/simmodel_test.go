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

func (s *simMessage) pos() int64 { return protocol.TimeOrZero(s.Time) }

// simState is where an entry of a queue is.
type simState string

const (
	simUndecided   simState = ""
	simRow         simState = "row"         // in the table
	simUnconfirmed simState = "unconfirmed" // sent to a phone, kept in memory
	simPerhaps     simState = "perhaps"     // a row, unconfirmed or gone: the story does not tell
)

// What msg_status of an entry of a queue is, beside 0: nobody was there.
const (
	simSeenOnWeb = 1  // a web page was there when it was written
	simAnyStatus = -1 // the story does not tell
)

// What a receipt says of its reader.
const (
	simReadOnWeb   = 1
	simReadOnPhone = 2
)

// simSettling says what settles an entry that is unconfirmed.
type simSettling string

const (
	simByGrace        simSettling = ""
	simByConfirmation simSettling = "confirmation"
)

// simEntry is a message in a user's queue.
type simEntry struct {
	state              simState
	status             int
	confirmable        bool // phones may confirm it by XEP-0184
	own                bool // its user wrote it
	settles            simSettling
	sent               time.Time
	at                 string // msg_time, "" for read receipts
	fresh              bool   // became a row in this step
	old                bool   // it was in the queue before this step
	asked              []*simPing
	held               []simHold
	session, typ, from string
}

// simHold is a phone that has answered about a copy, which is not settled yet.
type simHold struct {
	ping *simPing
	at   time.Time
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

// simRecent is a message to one user, for devices of theirs that become known.
type simRecent struct {
	user, id, session, typ string
	async                  bool
	from, to               time.Time // it was committed then
	reached                map[string]bool
	unsure                 bool
}

// sentTo remembers a message to a user, that was sent to the devices that are known, but for one that sent it.
func (s *simulation) sentTo(user, id, session, typ string, async bool, except string, least int) {
	if s.mode == sendsNothing {
		return
	}
	e := &simRecent{user: user, id: id, session: session, typ: typ, async: async, from: s.clock.Now().Add(-s.late), to: s.clock.Now(),
		reached: map[string]bool{except: true}, unsure: least == 0 || s.mode == sendsPerhaps || s.troubled}
	for res := range s.known[user] {
		e.reached[simDevice{user, res}.full()] = true
	}
	s.recent = append(s.recent, e)
}

// forgets drops messages that were removed.
func (s *simulation) forgets(gone func(*simRecent) bool) {
	s.stepFrom -= len(slices.DeleteFunc(slices.Clone(s.recent[:s.stepFrom]), func(e *simRecent) bool { return !gone(e) }))
	s.recent = slices.DeleteFunc(s.recent, gone)
}

func simPair(a, b string) string { return min(a, b) + " and " + max(a, b) }

// age settles what is old enough; away is the database meanwhile.
func (s *simulation) age(away bool) {
	now := s.clock.Now()
	for _, queue := range s.queues {
		for id, e := range queue {
			if len(e.held) > 0 {
				switch {
				case now.Sub(e.held[0].at) < s.cfg.Grace:
				case s.cfg.SenderAsUser && !s.asof.After(e.held[0].at): // the session may not have sent its presence yet
				case away, s.cfg.SenderAsUser: // the tick may come after what happens next
					e.state, e.status, e.held = simPerhaps, simAnyStatus, nil
				default:
					delete(queue, id)
					s.proven[simCopy{id: id, jid: e.held[0].ping.to.user}] = e
				}
				continue
			}
			if e.state != simUnconfirmed || now.Sub(e.sent) < s.cfg.Grace {
				continue
			}
			if e.settles == simByConfirmation {
				e.state, e.fresh = simRow, true
			} else if s.asof.After(e.sent) {
				e.state, e.status = simPerhaps, simAnyStatus
			}
		}
	}
}

// hear notes a device that we heard of; nil does not tell its show.
func (s *simulation) hear(d simDevice, show *string) {
	_, known := s.known[d.user][d.resource]
	if show != nil {
		s.known[d.user][d.resource] = *show
	} else if !known {
		s.known[d.user][d.resource] = ""
	}
	if !known {
		s.came = append(s.came, simArrival{d, s.asof})
	}
}

func (s *simulation) gone(d simDevice) {
	if _, known := s.known[d.user][d.resource]; !known {
		return
	}
	delete(s.known[d.user], d.resource)
	delete(s.answers, d)
	if simMobile(d.resource) {
		s.underWay = slices.DeleteFunc(s.underWay, func(p *simPing) bool {
			if p.to == d {
				s.unask(s.queues[d.user], p)
			}
			return p.to == d
		})
		for _, e := range s.queues[d.user] {
			held := len(e.held) > 0
			e.held = slices.DeleteFunc(e.held, func(h simHold) bool { return h.ping.to == d })
			if held && len(e.held) == 0 && e.state == simUnconfirmed && s.clock.Now().Sub(e.sent) >= s.cfg.Grace { // a row with the next tick
				e.state, e.status = simPerhaps, simAnyStatus
			}
		}
		s.lose(d.user)
	}
}

// lose makes rows of what a user's phones have not confirmed.
func (s *simulation) lose(user string) {
	for _, e := range s.queues[user] {
		if e.state == simUnconfirmed && len(e.asked) == 0 && len(e.held) == 0 {
			e.state, e.fresh = simRow, true
		}
	}
}

// loseAll makes rows of all that is unconfirmed: the link was lost, and with it all questions.
func (s *simulation) loseAll() {
	life := 0
	s.link.set(func() { life = s.link.life })
	s.underWay = slices.DeleteFunc(s.underWay, func(p *simPing) bool {
		old := p.life < life // the next connection may be there already
		if old {
			s.unask(s.queues[p.to.user], p)
		}
		return old
	})
	maps.DeleteFunc(s.answers, func(_ simDevice, of int) bool { return of < life })
	for _, queue := range s.queues {
		for _, e := range queue {
			e.held = slices.DeleteFunc(e.held, func(h simHold) bool { return h.ping.life < life })
			if e.state == simUnconfirmed {
				e.state, e.fresh = simRow, true
			}
		}
	}
}

// lookedAt takes a snapshot into the model.
func (s *simulation) lookedAt(asked time.Time) {
	for _, u := range simUsers {
		for _, r := range simResources {
			show, real := s.real[u][r]
			if real {
				s.hear(simDevice{u, r}, &show)
			} else {
				s.gone(simDevice{u, r})
			}
		}
	}
	s.asof = asked
	s.age(false)
}

// down is what the loss of the link does.
func (s *simulation) down() {
	s.loseAll()
	s.connection, s.asof, s.came = simDown, time.Time{}, nil
	for _, u := range simUsers {
		s.known[u] = map[string]string{}
	}
}

// plugged is what the model expects of a new connection: what the server may have lost comes again.
func (s *simulation) plugged() {
	s.connection, s.asof, s.came = simUp, s.clock.Now(), nil
	if s.mode == sends {
		s.recent, s.stepFrom = nil, 0
	}
	for _, e := range s.recent { // what a link was lost amid may have been sent on it or on the next one
		e.unsure = true
	}
	for _, u := range simUsers {
		s.known[u] = maps.Clone(s.real[u])
	}
	for _, r := range s.ids {
		if !r.row || r.pos() <= s.from {
			continue
		}
		r.unrouted = map[simCopy]bool{}
		notice := r.Type == "MTS-107" && r.From == r.To
		if r.group != nil && r.group.state == simDissolved && !notice {
			continue
		}
		for _, u := range r.to {
			s.copies(r, r.MsgID, r.SessionID, r.Type, u, 1)
		}
		if r.group != nil && !notice {
			for u := range r.group.ever {
				if !slices.Contains(r.to, u) {
					s.copies(nil, r.MsgID, r.SessionID, r.Type, u, 0)
				}
			}
		}
		if strings.HasPrefix(r.Type, "MTT-") && r.From != r.To {
			for res := range s.known[r.From] {
				s.expect(simCopy{r.MsgID, simDevice{r.From, res}.full(), true}, 0)
			}
			s.sentTo(r.From, r.MsgID, r.SessionID, r.Type, true, "", 0)
		}
	}
}

// missed takes back that a device that was found to be gone amid a step must have been sent what came later in it: the copies of a step
// may be decided in several batches.
func (s *simulation) missed(d simDevice) {
	if !s.several {
		return
	}
	if mobile, _ := s.available(d.user); !mobile { // what was decided without it are rows
		for _, of := range s.decided {
			if of.user != d.user {
				continue
			}
			if e := s.queues[d.user][of.id]; e == nil {
				e := of.simEntry
				e.state, e.status = simPerhaps, simAnyStatus
				s.queues[d.user][of.id] = &e
			} else if e.state == simUnconfirmed {
				e.state, e.status = simPerhaps, simAnyStatus
			}
		}
	}
	for c, n := range s.want {
		if c.jid != d.full() {
			continue
		}
		n.least = 0
		for _, class := range []store.Class{store.ClassMessage, store.ClassRevoke} {
			if r := s.ids[store.IDKey{MsgID: c.id, Class: class}]; r != nil && !slices.Contains(s.copied, c) {
				delete(r.unrouted, c)
			}
		}
	}
	for _, e := range s.recent[s.stepFrom:] {
		if e.user == d.user && e.reached[d.full()] {
			delete(e.reached, d.full())
			e.unsure = true
		}
	}
}

// copies expects a message at all known devices of a user; the snapshots of a story never grow old, so others are absent.
// r is nil for what is not stored.
func (s *simulation) copies(r *simMessage, id, session, typ, user string, least int) {
	s.sentTo(user, id, session, typ, false, "", least)
	for res := range s.known[user] {
		c := simCopy{id, simDevice{user, res}.full(), false}
		s.expect(c, least)
		if r != nil {
			r.unrouted[c] = true
		}
	}
}

func (s *simulation) expect(c simCopy, least int) {
	switch {
	case s.mode == sendsNothing:
		return
	case s.mode == sendsPerhaps:
		least = 0
	}
	if s.want[c] == nil {
		s.want[c] = &simCount{}
	}
	s.want[c].least += least
	s.want[c].most++
}

// crashed is what a kill does: memory is gone.
func (s *simulation) crashed() {
	for c, e := range s.proven { // a row that a phone has confirmed, and that was not deleted yet
		if e.state != simRow || s.queues[c.jid][c.id] != nil || slices.ContainsFunc(s.log, func(change store.Change) bool {
			return slices.Contains(change.DropOffline, store.OfflineKey{Owner: c.jid, MsgID: c.id})
		}) {
			continue
		}
		if e.status = simAnyStatus; s.groups[e.session] != nil && s.above < len(simUsers) { // or not written yet
			e.state = simPerhaps
		}
		s.queues[c.jid][c.id] = e
	}
	for _, queue := range s.queues {
		for id, e := range queue {
			if e.state == simRow && s.groups[e.session] != nil && s.above < len(simUsers) { // it may not have been written yet
				e.status = simAnyStatus
			}
			if e.state == simUnconfirmed || e.state == simRow && e.fresh {
				e.state, e.status = simRow, simAnyStatus
				if strings.HasPrefix(id, "c") || e.own && s.marked[e.from] != store.ConfirmsByPings { // it was nowhere else and nobody had an acknowledgement of it, or nothing tells who had written on the web
					e.state = simPerhaps
				}
			}
		}
	}
	s.down()
}

func (s *simulation) leaveAll(g *simGroup) {
	for _, u := range append(slices.Clone(g.members), g.owner) {
		g.formers[u], g.ever[u] = true, true
	}
}

// dissolve is a group's end: its queues go, every member gets a notice.
func (s *simulation) dissolve(g *simGroup) {
	s.leaveAll(g)
	g.state = simDissolved
	s.forgets(func(e *simRecent) bool { return e.session == g.id && e.typ != "MTS-107" })
	for _, queue := range s.queues {
		for id, e := range queue {
			if e.session == g.id {
				delete(queue, id)
			}
		}
	}
	for _, u := range g.members {
		i := slices.IndexFunc(s.log, func(c store.Change) bool {
			return c.Message != nil && c.Message.Type == "MTS-107" && c.Message.SessionID == g.id && c.Message.From == u && c.Message.To == u
		})
		if i < 0 {
			s.fault("%s is dissolved: got no notice to %s, want one", g.name, u)
			continue
		}
		s.noticed(*s.log[i].Message, g)
	}
}

// purged takes out of the history what is no longer there of dissolved groups: how much of it one purge removes depends on what was
// settled, and who reads a message of it from then on names one that nobody knows.
func (s *simulation) purged() {
	s.t.Helper()
	rows, err := s.db.MessagesAfter(s.t.Context(), "", "", 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	there := map[string]bool{}
	for _, row := range rows {
		there[row.MsgID] = true
	}
	for _, r := range s.ids {
		if r.group != nil && r.group.state == simDissolved && r.row && !there[r.MsgID] {
			if notice := r.Type == dissolved && r.From == r.To; notice && len(r.unrouted) > 0 {
				s.fault("%s: got a notice of a dissolution removed, want it there, for the server has not routed %v", r.MsgID, r.unrouted)
			}
			r.row = false
		}
	}
}

// noticed is a message that the server made.
func (s *simulation) noticed(msg store.Message, g *simGroup) {
	key := store.IDKey{MsgID: msg.MsgID, Class: store.ClassMessage}
	msg.ID, msg.Time = "", s.timeOf(key)
	if msg.Time == "" {
		s.fault("%s: got it not stored, want it stored", msg.MsgID)
		return
	}
	r := &simMessage{Message: msg, group: g, conversation: simPair(msg.From, msg.To), row: true, to: []string{msg.To}, unrouted: map[simCopy]bool{}}
	if g != nil {
		r.conversation = g.id
	}
	s.ids[key] = r
	s.copies(r, r.MsgID, r.SessionID, r.Type, msg.To, 1)
	s.receive(msg.To, r.MsgID, &simEntry{confirmable: true, at: msg.Time, session: msg.SessionID, typ: msg.Type, from: msg.From})
}

// timeOf is the msg_time under which an id was committed in this step.
func (s *simulation) timeOf(key store.IDKey) string {
	for _, c := range s.log {
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
func (s *simulation) receive(user, id string, e *simEntry) {
	s.decided = append(s.decided, simDecision{user, id, *e})
	mobile, web := s.available(user)
	if web {
		e.status = simSeenOnWeb
	}
	switch {
	case !mobile:
		e.state = simRow
	case s.cfg.Confirm == ConfirmByPresence:
		return
	default:
		e.state, e.sent = simUnconfirmed, s.clock.Now().Add(-s.late)
		if how := s.confirming[user]; how == store.ConfirmsByPings || e.confirmable && (s.cfg.Confirm == ConfirmByReceipt || how != store.ConfirmsNot) {
			e.settles = simByConfirmation
		}
		s.newUnconfirmed = true
	}
	s.queues[user][id] = e
}

// raise notes how a user's phones confirm: it counts for what they were sent before, too.
func (s *simulation) raise(user string, how store.Confirms) {
	if s.confirming[user] >= how {
		return
	}
	s.confirming[user] = how
	for _, e := range s.queues[user] {
		if e.state != simUnconfirmed || how == store.ConfirmsByReceipts && !e.confirmable {
			continue
		}
		e.settles = simByConfirmation
		if s.clock.Now().Sub(e.sent) >= s.cfg.Grace { // a row with the next tick
			e.state, e.status = simPerhaps, simAnyStatus
		}
	}
}

func (s *simulation) available(user string) (mobile, web bool) {
	for r, show := range s.known[user] {
		if show == "" {
			mobile = mobile || simMobile(r)
			web = web || !simMobile(r)
		}
	}
	return mobile, web
}

// settle holds what a step did against the model.
func (s *simulation) settle(items []*simItem) {
	s.mode = sends
	if s.connection != simUp {
		s.mode = sendsNothing
	}
	s.troubled, s.poisoned, s.several, s.late = false, false, false, 0
	s.settleWith(items, nil)
}

func (s *simulation) settleWith(items []*simItem, hook *simHook) {
	s.collect()
	confirms := slices.ContainsFunc(items, func(it *simItem) bool { return it.typ == "MTC-000" })
	if hook == nil && !s.poisoned && !confirms { // else a confirmation may come before what it confirms comes again
		s.arrived(1)
	} else {
		s.arrived(0)
	}
	posts := s.posts
	refused := map[string]protocol.Code{}
	ackTimes := map[string]map[string]string{} // device, msg_id
	for _, p := range posts {
		st, err := stanza.Parse([]byte(p))
		if err != nil {
			s.fault("got %s, %v, want a stanza", p, err)
			continue
		}
		if st.Type == "error" {
			refused[st.ID] = protocol.Code(refusals([]string{p}))
			continue
		}
		var acknowledged []string
		for _, entry := range simAcknowledged(p) {
			if ackTimes[st.To] == nil {
				ackTimes[st.To] = map[string]string{}
			}
			if slices.Contains(acknowledged, entry[0]) {
				s.fault("got %s twice in an acknowledgement, want it once", entry[0])
			}
			acknowledged = append(acknowledged, entry[0])
			ackTimes[st.To][entry[0]] = entry[1]
		}
	}
	for i, it := range items {
		code, r, apply := s.judge(it)
		answer, key := refused[fmt.Sprintf("s%d", it.n)], store.IDKey{MsgID: it.id, Class: it.class()}
		at := ackTimes[it.from.full()][it.id]
		committed := s.timeOf(key)
		name := fmt.Sprintf("s%d %s", it.n, it.id)
		isNew := code == "" && r == nil && it.stored()
		poison := isNew && strings.Contains(it.body, simPoisonText) && s.poisoned
		switch {
		case answer == protocol.TryLater:
			if !s.troubled {
				s.fault("%s: got %s without a reason, want %q", name, answer, code)
			}
			if isNew && committed != "" && !slices.ContainsFunc(items[i+1:], func(next *simItem) bool { // one that came after it may be stored
				return next.id == it.id && next.class() == it.class() && refused[fmt.Sprintf("s%d", next.n)] == ""
			}) {
				s.fault("%s: got %s and stored with %s, want one of them", name, answer, committed)
			}
			if it.typ == "MTC-000" {
				s.fault("%s: got %s, want no error of a confirmation", name, answer)
			}
			continue
		case poison:
			if answer != protocol.TooLarge {
				s.fault("%s cannot be stored: got %q, want %s", name, answer, protocol.TooLarge)
			}
			continue
		case s.killed && answer == "" && at == "":
			if !isNew || committed == "" {
				continue
			}
			at = committed
		case answer != code:
			s.fault("%s: got %q, want %q", name, answer, code)
			continue
		case code != "":
			continue
		case (it.stored() || it.typ == "MTT-100" || it.typ == "MTS-100") && at == "":
			s.fault("%s: got no acknowledgement, want one", name)
			continue
		case r != nil && r.Time != at && !r.early:
			s.fault("%s: got an acknowledgement of %s, want that of the first, %s", name, at, r.Time)
		case isNew && committed != at:
			s.fault("%s: got an acknowledgement of %s, want that of the row, %q", name, at, committed)
		}
		if apply != nil {
			apply(at)
		}
	}
	switch {
	case s.newUnconfirmed && s.mode == sendsPerhaps && s.tight > 0: // the last copies were perhaps not sent into a link that was lost
		for _, u := range simUsers {
			for _, e := range s.queues[u] {
				if e.state == simUnconfirmed {
					e.state, e.status = simPerhaps, simAnyStatus
				}
			}
		}
	case s.newUnconfirmed && s.mode != sends: // sent into a link that was lost
		s.loseAll()
	}
	s.proofs()
	if hook != nil {
		hook.effect()
	}
	s.finish()
}

// collect takes what the step left behind.
func (s *simulation) collect() {
	var faults, more []string
	s.copied, s.posts, faults, s.pinged, s.answered, s.unsent = s.link.take()
	s.log, more = s.disk.take()
	for _, f := range append(faults, more...) {
		s.fault("%s", f)
	}
	s.decided = nil
	s.newUnconfirmed, s.proven = false, map[simCopy]*simEntry{}
}

// arrived expects what devices have missed that have just become known.
func (s *simulation) arrived(least int) {
	mode := s.mode
	s.mode = sends
	defer func() { s.mode = mode }()
	for _, d := range s.came {
		if s.connection != simUp {
			break
		}
		for _, e := range s.recent {
			if e.user != d.user || e.reached[d.full()] || e.to.Before(d.since) {
				continue
			}
			n := least
			if e.unsure || e.from.Before(d.since) {
				n = 0
			}
			s.expect(simCopy{e.id, d.full(), e.async}, n)
			if n == 0 { // it may have been sent, and then is not again
				e.unsure = true
			} else {
				e.reached[d.full()] = true
			}
		}
	}
	s.came = nil
}

// finish compares the copies, and shows to the phones what was routed.
func (s *simulation) finish() {
	switch {
	case s.newUnconfirmed && s.mode == sendsNothing:
		s.loseAll()
	case s.unsent && s.connection == simBroken: // it may know by this that the link was lost, and then answers settle nothing
		for _, queue := range s.queues {
			for _, e := range queue {
				if len(e.held) > 0 {
					e.state, e.status, e.held = simPerhaps, simAnyStatus, nil
				}
			}
		}
	}
	s.proofs()
	counts := map[simCopy]int{}
	for _, c := range s.copied {
		counts[c]++
	}
	for c, w := range s.want {
		if n := counts[c]; n < w.least || n > w.most {
			s.fault("got %d copies %+v, want %d to %d", n, c, w.least, w.most)
		}
		delete(counts, c)
	}
	for c, n := range counts {
		s.fault("got %d copies %+v, want none", n, c)
	}
	s.want = map[simCopy]*simCount{}
	if !s.troubled {
		s.ordered()
	}
	for _, c := range s.link.done() {
		for _, class := range []store.Class{store.ClassMessage, store.ClassRevoke} {
			if r := s.ids[store.IDKey{MsgID: c.id, Class: class}]; r != nil {
				delete(r.unrouted, c)
			}
		}
		user, resource, _ := strings.Cut(c.jid, "@"+testServer)
		resource = strings.TrimPrefix(resource, "/")
		for r := range s.real[user] {
			if simMobile(r) && (resource == "" || r == resource) && s.link.reached(c, simDevice{user, r}) {
				s.got[user][c.id] = true
			}
		}
	}
	s.link.set(func() { clear(s.link.lost) })
}

// ordered says that every address got the messages of each conversation in their order.
func (s *simulation) ordered() {
	type line struct{ jid, conversation string }
	last := map[line]*simMessage{}
	for _, c := range s.copied {
		r := s.ids[store.IDKey{MsgID: c.id, Class: store.ClassMessage}]
		if r == nil {
			r = s.ids[store.IDKey{MsgID: c.id, Class: store.ClassRevoke}]
		}
		if r == nil || !r.row {
			continue
		}
		l := line{c.jid, r.conversation}
		if before := last[l]; before != nil && before.pos() > r.pos() {
			s.fault("%s: got %s before %s, want the order of their places, %s and %s", c.jid, before.MsgID, r.MsgID, r.Time, before.Time)
		}
		last[l] = r
	}
}

// judge says what PROTOCOL.md wants of a message: an error, or an acknowledgement again (of the message returned), or what it does.
func (s *simulation) judge(it *simItem) (protocol.Code, *simMessage, func(at string)) {
	sender, g := it.from.user, it.group
	conversation := simPair(sender, it.to)
	if g != nil {
		conversation = g.id
	}
	alive := g != nil && g.state == simAlive
	key := store.IDKey{MsgID: it.id, Class: it.class()}

	// Exactly once.
	if old := s.ids[key]; old != nil && it.stored() {
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
			return "", nil, func(at string) { s.remember(it, conversation, at, nil).row = false }
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
		return "", nil, func(string) { s.copies(nil, it.id, sender, it.typ, it.to, 1) }
	case "MTC-000":
		return "", nil, func(string) {
			least := 1
			if s.troubled { // it has settled, and may not be passed on
				least = 0
			}
			s.copies(nil, it.id, sender, it.typ, it.to, least)
			if simMobile(it.from.resource) && s.cfg.Confirm != ConfirmByPresence {
				s.raise(sender, store.ConfirmsByReceipts)
				for _, id := range it.targets {
					delete(s.queues[sender], id)
				}
			}
		}
	case "MTT-100", "MTS-100":
		return s.judgeRead(it)
	case "MTS-107":
		if former || sender != g.owner {
			return protocol.NotAllowed, nil, nil
		}
		return "", nil, func(at string) {
			s.remember(it, conversation, at, nil).row = false
			s.dissolve(g)
		}
	case "MTT-101", "MTS-101":
		if code := s.judgeRevoke(it, conversation, alive && !former && g.owner == sender); code != "" {
			return code, nil, nil
		}
	}
	return "", nil, func(at string) {
		if it.class() == store.ClassRevoke {
			s.revoke(it, conversation)
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
		r := s.remember(it, conversation, at, to)
		s.deliver(it, r, to, g == nil && sender != it.to, true)
		if g == nil && sender != it.to {
			s.chats[store.ChatKey{Partner: sender, Owner: it.to}], s.chats[store.ChatKey{Partner: it.to, Owner: sender}] = true, true
		}
	}
}

// remember notes a stored message.
func (s *simulation) remember(it *simItem, conversation, at string, to []string) *simMessage {
	key := store.IDKey{MsgID: it.id, Class: it.class()}
	r := &simMessage{conversation: conversation, group: it.group, row: true, to: to, unrouted: map[simCopy]bool{},
		Message: store.Message{MsgID: it.id, Type: it.typ, From: it.from.user, To: it.to, Time: at, Body: it.body, SessionID: it.from.user}}
	if it.group != nil {
		r.SessionID = it.group.id
		for _, u := range to {
			it.group.ever[u] = true
		}
	}
	if old := s.ids[key]; old != nil {
		r.early = old.early
	}
	s.ids[key] = r
	return r
}

// deliver expects the copies of a client's message and what they do to the queues. async: the sender's other devices get a
// copy of their own.
func (s *simulation) deliver(it *simItem, r *simMessage, to []string, async, confirmable bool) {
	sender := it.from.user
	row := func(user string) *simEntry {
		e := &simEntry{confirmable: confirmable, session: sender, typ: it.typ, from: sender}
		if r != nil {
			e.at = r.Time
		}
		if it.group != nil {
			e.session = it.group.id
		}
		return e
	}
	catchUp := func() { // the phones of a sender who writes on the web: no app confirms by itself what its user wrote
		if simMobile(it.from.resource) {
			return
		}
		e := row(sender)
		e.own, e.confirmable = true, false
		if it.group == nil {
			e.session = it.to
		}
		s.receive(sender, it.id, e)
		e.status = simSeenOnWeb
	}
	for _, u := range to {
		s.copies(r, it.id, row(u).session, it.typ, u, 1)
		if u == sender && (it.group != nil || sender != it.to) {
			catchUp()
		} else {
			s.receive(u, it.id, row(u))
		}
	}
	if !async {
		return
	}
	s.sentTo(sender, it.id, row(sender).session, it.typ, it.group == nil, it.from.full(), 1)
	for res := range s.known[sender] {
		if res == it.from.resource {
			continue
		}
		s.expect(simCopy{it.id, simDevice{sender, res}.full(), it.group == nil}, 1)
	}
	catchUp()
}

func (s *simulation) judgeRead(it *simItem) (protocol.Code, *simMessage, func(string)) {
	sender := it.from.user
	status := simReadOnWeb
	if simMobile(it.from.resource) {
		status = simReadOnPhone
	}
	var authors []string
	taken := map[string]string{} // message, author
	own, foreign, unknown := 0, 0, 0
	for _, id := range it.targets {
		r := s.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}]
		here := r != nil && (it.group == nil && r.To == sender || it.group != nil && r.SessionID == it.group.id)
		switch {
		case r == nil || r.revoked || !r.row: // it is not in the history, and gets no acknowledgement
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
			old, ok := s.read[key]
			if !ok {
				old.Sender = author
			}
			old.Status = max(old.Status, status)
			s.read[key] = old
		}
		switch {
		case it.group == nil && len(authors) == 0:
			s.deliver(it, nil, []string{it.to}, sender != it.to, false)
		case it.group == nil:
			s.deliver(it, nil, authors, sender != it.to, false)
		case len(authors) > 0:
			s.deliver(it, nil, slices.DeleteFunc(authors, func(u string) bool { // who has left learns nothing of those who are there
				return !slices.Contains(it.group.members, u) && u != it.group.owner
			}), true, false)
		default:
			s.deliver(it, nil, it.group.members, false, false)
		}
	}
}

func (s *simulation) judgeRevoke(it *simItem, conversation string, owner bool) protocol.Code {
	for _, id := range it.targets {
		r := s.ids[store.IDKey{MsgID: id, Class: store.ClassMessage}]
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

func (s *simulation) revoke(it *simItem, conversation string) {
	for _, id := range it.targets {
		key := store.IDKey{MsgID: id, Class: store.ClassMessage}
		r := s.ids[key]
		if r == nil {
			r = &simMessage{early: true, Message: store.Message{MsgID: id, Time: s.tombstone(key)}}
			s.ids[key] = r
		}
		if r.revoked && r.early || r.From == "" {
			r.From, r.conversation = it.from.user, conversation
		}
		r.revoked, r.row = true, false
		s.forgets(func(e *simRecent) bool { return e.id == id })
		for _, u := range simUsers {
			if e := s.queues[u][id]; e != nil {
				delete(s.queues[u], id)
			}
			delete(s.read, store.ReceiptKey{MsgID: id, Reader: u})
		}
	}
}

// tombstone is the time of a revoke that came before its message.
func (s *simulation) tombstone(key store.IDKey) string {
	for _, c := range s.log {
		for _, id := range c.SetIDs {
			if id.MsgID == key.MsgID && id.Class == key.Class {
				return id.Time
			}
		}
	}
	return ""
}

// check holds queues, tables and positions against the model.
func (s *simulation) check() {
	s.t.Helper()
	later := s.unconfirmed.Count().Deferred
	for _, user := range simUsers {
		rows, err := s.waits(user, "", 0)
		if err != nil {
			s.fault("queue of %s: got %v, want its rows", user, err)
		}
		seen := map[string]bool{}
		last := ""
		for _, row := range rows {
			if seen[row.MsgID] {
				s.fault("queue of %s: got %s twice, want it once", user, row.MsgID)
			}
			seen[row.MsgID] = true
			if row.Time < last {
				s.fault("queue of %s: got %s of %s behind %s, want the order of time", user, row.MsgID, row.Time, last)
			}
			last = row.Time
			e := s.queues[user][row.MsgID]
			switch {
			case e == nil:
				s.fault("queue of %s: got %s, want it not there: %+v", user, row.MsgID, row)
			case s.tight > 0 && s.connection == simBroken && e.state == simUnconfirmed: // a row when somebody has noticed
			case e.state == simRow && row.ID == "" && !(later > 0 && s.groups[e.session] != nil), e.state == simUnconfirmed && row.ID != "":
				s.fault("queue of %s: got %s with the id %q, want %s", user, row.MsgID, row.ID, e.state)
			case e.status != simAnyStatus && e.state != simPerhaps && row.Status != e.status:
				s.fault("queue of %s: got %s with msg_status %d, want %d", user, row.MsgID, row.Status, e.status)
			case row.SessionID != e.session || row.To != e.session || row.From != e.from || row.Type != e.typ || e.at != "" && row.Time != e.at:
				s.fault("queue of %s: got %s as %+v, want %+v", user, row.MsgID, row, e)
			}
		}
		for id, e := range s.queues[user] {
			if !seen[id] && e.state != simPerhaps {
				s.fault("queue of %s: got no %s, want it (%s)", user, id, e.state)
			}
		}
	}
	delivered := s.delivered.Load()
	for _, r := range s.ids {
		if r.row && r.pos() <= delivered && len(r.unrouted) > 0 && !(r.group != nil && r.group.state != simAlive) {
			s.fault("%s: got it counted as delivered, want it not, for the server has not routed %v", r.MsgID, r.unrouted)
		}
	}
	if s.rnd.IntN(5) == 0 {
		s.tables()
	}
}

// tables holds the history, the receipts and the list entries against the model.
func (s *simulation) tables() {
	s.t.Helper()
	ctx := s.t.Context()
	rows, err := s.db.MessagesAfter(ctx, "", "", 10_000)
	if err != nil {
		s.t.Fatal(err)
	}
	seen := map[store.IDKey]bool{}
	for _, row := range rows {
		key := store.IDKey{MsgID: row.MsgID, Class: store.ClassMessage}
		if row.Type == "MTT-101" || row.Type == "MTS-101" {
			key.Class = store.ClassRevoke
		}
		r := s.ids[key]
		row.ID = ""
		switch {
		case seen[key]:
			s.fault("history: got %s twice, want it once", row.MsgID)
		case r == nil || !r.row && !(r.group != nil && r.group.state == simDissolved && !r.revoked):
			s.fault("history: got %s, want it not there: %+v", row.MsgID, row)
		case row != r.Message:
			s.fault("history: got %s as %+v, want %+v", row.MsgID, row, r.Message)
		}
		seen[key] = true
	}
	var keys []store.ReceiptKey
	for key, r := range s.ids {
		if r.row && !seen[key] && !(r.group != nil && r.group.state == simDissolved) {
			s.fault("history: got no %s, want it", r.MsgID)
		}
		for _, u := range simUsers {
			if key.Class == store.ClassMessage && !r.revoked && !(r.group != nil && r.group.state == simDissolved) {
				keys = append(keys, store.ReceiptKey{MsgID: key.MsgID, Reader: u})
			}
		}
	}
	read, err := s.db.Receipts(ctx, keys)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, key := range keys {
		want, ok := s.read[key]
		got := read[key]
		if len(got) > 1 || len(got) == 1 != ok || ok && (got[0].Status != want.Status || got[0].Sender != want.Sender) {
			s.fault("receipts of %v: got %+v, want %+v", key, got, want)
		}
	}
	var entries []store.ChatKey
	for _, a := range simUsers {
		for _, b := range simUsers {
			entries = append(entries, store.ChatKey{Partner: a, Owner: b})
		}
	}
	chats, err := s.db.Chats(ctx, entries)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, key := range entries {
		if chats[key] != s.chats[key] {
			s.fault("list entry %v: got %v, want %v", key, chats[key], s.chats[key])
		}
	}
	for _, u := range simUsers {
		owners := map[string]bool{}
		list, err := s.db.ChatsWith(ctx, u, store.Chat{}, 100)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, c := range list {
			if owners[c.Owner] {
				s.fault("list entry of %s for %s: got it twice, want it once", c.Owner, u)
			}
			owners[c.Owner] = true
		}
	}
	for _, g := range s.groups {
		members, err := s.db.Members(ctx, []string{g.id})
		if err != nil {
			s.t.Fatal(err)
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
			s.fault("%s: got members %v, want %v", g.name, got, want)
		}
	}
}

// end lets all become well, and then every message must have reached each receiver, or wait for them.
func (s *simulation) end() {
	s.tell("the end")
	for d, phone := range s.link.there { // no session is resumed any more
		if phone.hung {
			s.exit(d)
		}
	}
	if s.connection != simDown {
		s.unplug()
		s.down()
	}
	s.up()
	s.clock.Move(time.Second)
	s.quiet()
	for rows := s.unconfirmed.Count().Deferred; rows > 0; rows = s.unconfirmed.Count().Deferred {
		s.quiet()
	}
	s.age(false)
	s.settle(nil)
	s.check()
	s.tables()
	if s.cfg.Confirm == ConfirmByPresence {
		return // what a phone loses that dies is lost, the old way
	}
	for _, r := range s.ids {
		notice := r.Type == "MTS-107" && r.From == r.To
		if !r.row || r.group != nil && r.group.state == simDissolved && !notice {
			continue
		}
		for _, u := range r.to {
			if e := s.queues[u][r.MsgID]; s.got[u][r.MsgID] || e != nil && e.state != simPerhaps || u == r.From && r.To != r.From {
				continue
			}
			rows, err := s.waits(u, "", 0)
			if err != nil {
				s.t.Fatal(err)
			}
			if !slices.ContainsFunc(rows, func(row store.OfflineMessage) bool { return row.MsgID == r.MsgID }) {
				s.fault("%s was accepted: got it lost for %s, want it on a phone or in the queue", r.MsgID, u)
			}
		}
	}
}
