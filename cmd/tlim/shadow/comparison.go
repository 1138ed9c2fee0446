package shadow

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

const (
	lookPeriod    = time.Second
	settleTime    = time.Second      // between a copy and the first look
	maxWait       = 15 * time.Second // between a copy and the last look: the plugin writes on a pool of threads
	lateWait      = 2 * time.Minute  // the same where rows are missing: a plugin that is behind writes them later
	latePeriod    = 10 * time.Second // between two looks for those
	equalLooks    = 3                // that find no difference end the looking, where there are rows: one too many comes with the others
	copyDelay     = 7 * time.Second  // in which the server hands out the copy of a message; it does each 5 s
	maxLook       = 5000             // messages of one look
	maxScan       = 200_000          // rows of one scan
	clockSkew     = 10 * time.Minute // by which a sender's clock may be wrong for rows without a copy to be found
	keepTime      = clockSkew + 5*time.Minute
	clockSlack    = time.Second      // between the server's clock and this one
	presenceSlack = 5 * time.Second  // until a snapshot has told of who came or went
	maxOpen       = 50_000           // messages that wait for their rows: more do only where the tables cannot be read
	unreadLooks   = 3                // in a row that failed: what happened meanwhile is not known any more
	siteTime      = 30 * time.Second // of one read
)

// Service decides about copies: that of package component.
type Service interface {
	Up()
	Down(error)
}

// Comparison holds what tlim would have written against what the plugin has written. Its methods may be called from any goroutine.
type Comparison struct {
	site     Site
	presence *Presence
	service  Service // set by Follow
	log      *slog.Logger
	now      func() time.Time
	metrics  *metrics

	mu        sync.Mutex
	sent      map[*byte]copied    // copies that are not decided, by the first byte of their content
	open      map[string]*message // by msg_id
	known     map[string]time.Time
	closed    map[string]time.Time            // of those that were compared
	memory    map[string]map[string]time.Time // who was a member of a group, by local part, and when that was read last
	read      map[string]time.Time            // when its members were read last
	revoked   map[string]time.Time            // ids that tlim knows as revoked
	tally     tally
	began     time.Time // of the copies
	linkedAt  time.Time // since when there have been copies without a break; zero: there are none now
	gap       time.Time // when copies began anew last, after the first time
	taken     int
	losses    int
	finishing bool // nobody waits for what is late any more
	skew      skew
	skewed    bool      // it was told
	failed    int       // looks in a row
	unread    time.Time // until when the tables could not be read, the last time

	revokedInVain map[string]time.Time // ids that a revoke named which tlim refuses

	scanning  sync.Mutex
	before    map[string]bool      // id_ of rows that the last scan has seen
	baseline  bool                 // there was a whole scan
	nextFirst time.Time            // when the first is tried again
	uncopied  map[string]*uncopied // by id_
}

// copied is a copy that waits for its decision.
type copied struct{ sent, came time.Time }

// New makes a Comparison. Nothing is looked at before Run.
func New(site Site, p *Presence, m *Metrics, log *slog.Logger, now func() time.Time) *Comparison {
	return &Comparison{site: site, presence: p, log: log, now: now, metrics: m.metrics,
		sent: map[*byte]copied{}, open: map[string]*message{}, known: map[string]time.Time{}, closed: map[string]time.Time{},
		memory: map[string]map[string]time.Time{}, read: map[string]time.Time{}, revoked: map[string]time.Time{}, revokedInVain: map[string]time.Time{},
		tally: newTally(m.metrics), before: map[string]bool{}, uncopied: map[string]*uncopied{}}
}

// Follow names the service that decides, before the link runs.
func (c *Comparison) Follow(s Service) { c.service = s }

// LinkUp lets the service ask who is there.
func (c *Comparison) LinkUp() { c.service.Up() }

// LinkDown tells it that it cannot.
func (c *Comparison) LinkDown() {
	c.mu.Lock()
	c.linkedAt = time.Time{}
	c.losses++
	c.mu.Unlock()
	c.presence.Lost()
	c.service.Down(nil)
}

// Subscribed notes that there are copies from now on.
func (c *Comparison) Subscribed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linkedAt = c.now()
	if c.began.IsZero() {
		c.began = c.linkedAt
	} else {
		c.gap = c.linkedAt
	}
}

// Linked says whether there are copies.
func (c *Comparison) Linked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.linkedAt.IsZero()
}

// FinishTime is how long Finish takes at most.
const FinishTime = copyDelay + maxWait + 5*time.Second

// Copied notes when the server got a message.
func (c *Comparison) Copied(st stanza.Stanza, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken++
	now := c.now()
	if at.IsZero() {
		at = now
	}
	apart := c.skew.of(now.Sub(at), now)
	if told := apart.Abs() > copyDelay; told != c.skewed {
		if c.skewed = told; told {
			c.log.Warn("the server's clock is not this machine's: the times of its copies are put right by that", "behind", apart.Round(time.Second), "remedy", "let a time server set both")
		}
	}
	if at = at.Add(apart); at.After(now) {
		at = now
	}
	if len(st.Inner) > 0 {
		c.sent[&st.Inner[0]] = copied{at, now}
	}
}

// Judged notes what tlim made of a message. It is the Judged of component.Deps.
func (c *Comparison) Judged(v component.Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	at := now
	if len(v.Stanza.Inner) > 0 {
		if copy, ok := c.sent[&v.Stanza.Inner[0]]; ok {
			at = copy.sent
			delete(c.sent, &v.Stanza.Inner[0])
		}
	}
	id, msgType, from, to := "", "", "", ""
	if env := v.Envelope; env != nil {
		id, msgType, from, to = env.MsgID, env.Type, env.From, env.To
	} else {
		id, msgType, from = guess(v.Stanza)
	}
	switch {
	case id == "" && v.Envelope == nil && msgType == "":
		c.tally.not(NotEnvelope, 1, "")
		return
	case id == "":
		c.tally.not(NotID, 1, msgType+" of "+from)
		return
	}
	if _, done := c.closed[id]; done {
		c.tally.not(NotAgain, 1, id)
		return
	}
	c.known[id] = now
	if !c.room(id) {
		c.tally.not(NotRead, 1, id)
		return
	}
	m := c.message(id)
	if m.copies > 0 && m.address != v.Stanza.To {
		return // what clients address to the server alone it passes on to its administrators, and that has a copy too
	}
	m.copies++
	m.came = now
	if m.copies > 1 {
		return
	}
	m.address = v.Stanza.To
	m.sent, m.msgType, m.from, m.to = at, msgType, from, to
	if jid, err := stanza.ParsePrepared(v.Stanza.From); err == nil {
		m.sender, m.resource = jid.Local, jid.Resource
	}
	if v.Envelope != nil {
		m.named = v.Envelope.Named()
	}
	if v.Err != nil {
		m.code = protocol.AsError(v.Err).Code
		if component.TraitsOf(msgType).Revoke && v.Envelope != nil {
			for _, named := range v.Envelope.MsgIDs() {
				c.revokedInVain[named] = now
			}
		}
	}
	if _, revoked := c.revoked[id]; revoked && m.want != nil {
		m.revoked = true
	}
}

var (
	guessedID   = regexp.MustCompile(`msg_id["']?\s*:\s*["']([^"']{1,64})["']`)
	guessedType = regexp.MustCompile(`msg_type["']?\s*:\s*["']([^"']{1,20})["']`)
	guessedFrom = regexp.MustCompile(`msg_from["']?\s*:\s*["']([^"']{1,64})["']`)
)

// guess finds in a text that tlim does not take for an envelope what the plugin, which read more, may have stored it by.
func guess(st stanza.Stanza) (id, msgType, from string) {
	for child := range st.Children() {
		if child.Name != "body" {
			continue
		}
		text := child.Text()
		if m := guessedID.FindStringSubmatch(text); m != nil {
			id = m[1]
		}
		if m := guessedType.FindStringSubmatch(text); m != nil {
			msgType = m[1]
		}
		if m := guessedFrom.FindStringSubmatch(text); m != nil {
			from = m[1]
		}
	}
	return id, msgType, from
}

// room says whether a message can wait for its rows. The caller holds mu.
func (c *Comparison) room(id string) bool { return c.open[id] != nil || len(c.open) < maxOpen }

// message is the one of an id. The caller holds mu.
func (c *Comparison) message(id string) *message {
	m := c.open[id]
	if m == nil {
		now := c.now()
		m = &message{id: id, sent: now, came: now, owners: map[string]int{}, rows: map[string]store.Message{}, queue: map[string]store.OfflineMessage{}}
		c.open[id] = m
	}
	return m
}

// applied notes what tlim has written, before it is told what it is an answer to.
func (c *Comparison) applied(changes []store.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for i := range changes {
		change := &changes[i]
		if w := change.Message; w != nil {
			if _, done := c.closed[w.MsgID]; !done && c.room(w.MsgID) {
				c.message(w.MsgID).want = w
			}
		}
		for _, row := range change.Offline {
			if _, done := c.closed[row.MsgID]; !done && c.room(row.MsgID) {
				c.message(row.MsgID).owners[localpart(row.Owner)]++
			}
		}
		for _, d := range change.DropMessages {
			c.revoke(d.MsgID, now)
		}
		for _, ids := range [][]store.ID{change.IDs, change.SetIDs} {
			for _, id := range ids {
				if id.State == store.Revoked {
					c.revoke(id.MsgID, now)
				}
			}
		}
	}
}

func (c *Comparison) revoke(id string, now time.Time) {
	c.revoked[id] = now
	if m := c.open[id]; m != nil {
		m.revoked = true
	}
}

// members notes who is in groups.
func (c *Comparison) members(groups map[string][]store.Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for id, list := range groups {
		if c.memory[id] == nil {
			c.memory[id] = map[string]time.Time{}
		}
		for _, m := range list {
			c.memory[id][localpart(m.UserID)] = now
		}
		c.read[id] = now
	}
}

// wasMember says whether a user was ever seen as a member of a group.
func (c *Comparison) wasMember(group, local string) bool {
	_, was := c.memory[group][local]
	return was
}

// left says whether a user was seen as a member of a message's group, and not when its members were read last.
func (c *Comparison) left(want *store.Message, local string) bool {
	if want == nil {
		return false
	}
	seen, was := c.memory[want.SessionID][local]
	return was && seen.Before(c.read[want.SessionID])
}

// Run looks until ctx ends.
func (c *Comparison) Run(ctx context.Context, every time.Duration, tell func(Report)) error {
	ticker := time.NewTicker(lookPeriod)
	defer ticker.Stop()
	reported := c.now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		c.scanFirst(ctx)
		c.look(ctx)
		if now := c.now(); now.Sub(reported) >= every {
			reported = now
			c.scan(ctx)
			tell(c.Report(false))
		}
	}
}

// Finish waits for the copies of what was sent until now, and for the plugin's rows, and has the last word. The link still runs.
func (c *Comparison) Finish(ctx context.Context) Report {
	c.scan(ctx)
	c.mu.Lock()
	c.finishing = true
	c.mu.Unlock()
	end := c.now().Add(copyDelay)
	ticker := time.NewTicker(lookPeriod)
	defer ticker.Stop()
	for {
		c.look(ctx)
		c.mu.Lock()
		waiting, linked := len(c.open), !c.linkedAt.IsZero()
		c.mu.Unlock()
		if now := c.now(); (waiting == 0 || now.Sub(end) > maxWait+settleTime) && (!linked || now.After(end)) {
			break
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			continue
		}
		break
	}
	c.mu.Lock()
	for id, m := range c.open {
		if m.copies > 0 {
			c.tally.not(NotUndecided, 1, id)
		}
		delete(c.open, id)
	}
	c.mu.Unlock()
	c.settleUncopied(true)
	return c.Report(true)
}

// look compares what may have its rows by now.
func (c *Comparison) look(ctx context.Context) {
	now := c.now()
	var ids []string
	c.mu.Lock()
	for id, m := range c.open {
		late := now.Sub(m.came) > maxWait && !c.finishing
		if now.Sub(m.came) < settleTime || late && now.Sub(m.looked) < latePeriod || len(ids) == maxLook {
			continue
		}
		m.looked = now
		ids = append(ids, id)
	}
	c.mu.Unlock()
	c.settleUncopied(false)
	c.forget(now)
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, siteTime)
	defer cancel()
	rows, err := c.site.StoredMessages(ctx, ids)
	var queue map[string][]store.OfflineMessage
	if err == nil {
		queue, err = c.site.QueueRows(ctx, ids)
	}
	c.mu.Lock()
	if err == nil {
		c.failed = 0
	} else if c.failed++; c.failed >= unreadLooks {
		c.unread = c.now()
	}
	c.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded {
			c.log.Warn("the plugin's tables could not be read; it is tried again", "error", err)
		}
		return
	}
	for _, id := range ids {
		c.compare(ctx, id, rows[id], queue[id], now)
	}
}

// compare closes a message whose rows are as they should be in two looks, or whose time is over.
func (c *Comparison) compare(ctx context.Context, id string, rows []store.Message, queue []store.OfflineMessage, now time.Time) {
	c.mu.Lock()
	m := c.open[id]
	if m == nil {
		c.mu.Unlock()
		return
	}
	m.saw(rows, queue)
	findings := c.judgeMessage(m, answers{true, true})
	owners, queued := c.judgeQueue(m, answers{true, true})
	limit := maxWait
	if !c.finishing && (lacks(findings) || lacks(queued)) {
		limit = lateWait
	}
	over := now.Sub(m.came) >= limit
	if len(findings)+len(queued) > 0 && !over {
		m.equal = 0
		c.mu.Unlock()
		return
	}
	if len(findings)+len(queued) == 0 {
		if m.equal++; m.equal >= equalLooks && m.expectsRows() || over {
			c.close(m, findings, owners, queued, now)
		}
		c.mu.Unlock()
		return
	}
	body := m.body()
	c.mu.Unlock()
	site, err := ask(ctx, c.site, body)
	if err != nil {
		c.log.Warn("it cannot be told whether the plugin's columns hold a message", "msg_id", id, "error", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	owners, queued = c.judgeQueue(m, site)
	findings = c.judgeMessage(m, site)
	if c.unread.After(m.sent) { // the plugin could not write either, and who came and went since is forgotten
		for _, list := range [][]finding{findings, queued} {
			for i := range list {
				list[i] = finding{not: NotRead}
			}
		}
	}
	c.close(m, findings, owners, queued, now)
}

// close counts what was found. The caller holds mu.
func (c *Comparison) close(m *message, findings []finding, owners int, queued []finding, now time.Time) {
	delete(c.open, m.id)
	c.closed[m.id] = now
	c.known[m.id] = now
	c.tally.message(m, findings)
	c.tally.queue(m, owners, queued)
}

// forget drops what nobody asks for any more.
func (c *Comparison) forget(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, copy := range c.sent { // signals and confirmations have no verdict
		if now.Sub(copy.came) > time.Minute {
			delete(c.sent, key)
		}
	}
	for _, list := range []map[string]time.Time{c.known, c.closed, c.revoked, c.revokedInVain} {
		if len(list) < 1000 {
			continue
		}
		for id, at := range list {
			if now.Sub(at) > keepTime {
				delete(list, id)
			}
		}
	}
}
