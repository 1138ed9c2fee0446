package component

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/stanza"
	"tlim/component/trigger"
)

// Device is one available resource of a user.
type Device struct {
	Full     string // full JID, prepared
	Mobile   bool   // web is what holds "[web]" in its resource; everything else is mobile
	Show     string // "" is what the offline rule calls available; away, xa, dnd and chat are not
	Priority int
	seen     time.Time // when we learned of it
	heard    time.Time // when it last said something; kept only while there is no snapshot
}

// Snapshotter asks the server for all available sessions.
type Snapshotter interface {
	// Snapshot blocks for the server's answer. ErrNoSnapshots means that this server cannot tell.
	Snapshot(ctx context.Context) ([]Session, error)
}

// Session is an available session as the server reports it.
type Session struct {
	JID      stanza.JID
	Show     string
	Priority int
}

// ErrNoSnapshots is what a Snapshotter answers for a server that has no such command. Presence is then what clients send us.
var ErrNoSnapshots = errors.New("the server gives no presence snapshots")

// presence is the table of known devices. Lists in it are never changed in place, so readers keep what they got.
type presence struct {
	domain string // D
	now    func() time.Time

	mu       sync.RWMutex
	users    map[string]*presentUser // by prepared local part
	total    int                     // devices of them all
	complete bool                    // a snapshot of this connection is in the table
	asked    time.Time               // when the newest snapshot was asked for
	asking   time.Time               // when the one that is under way was; zero: none is
	period   time.Duration           // between snapshots, as it is stretched now
	merges   uint64
	changes  []presenceChange
	queued   map[string]struct{} // what is in changes: a full JID that came, a local part of which one went
	began    time.Time           // of the connection
	wake     trigger.Trigger     // room for one: something is in changes
}

// presentUser are the devices of one user, and which of them the snapshot has that is being merged.
type presentUser struct {
	list  []Device
	merge uint64                         // the merge that listed is of
	has   [(maxDevices + 63) / 64]uint64 // a bit for each of list
}

// find says where a device is in the list; -1: nowhere.
func (u *presentUser) find(jid stanza.JID) int {
	head := len(jid.Local) + len(jid.Domain) + 2 // all have this user's bare JID
	for i := range u.list {
		if u.list[i].Full[head:] == jid.Resource {
			return i
		}
	}
	return -1
}

// mark notes that the snapshot has device i; false when it was noted before.
func (u *presentUser) mark(i int) bool {
	bit := uint64(1) << (i % 64)
	if u.has[i/64]&bit != 0 {
		return false
	}
	u.has[i/64] |= bit
	return true
}

// marked says whether the snapshot has device i.
func (u *presentUser) marked(i int) bool { return u.has[i/64]&(1<<(i%64)) != 0 }

// presenceChange tells the conveyor that a device came, or that a mobile went.
type presenceChange struct {
	local string
	came  *Device   // nil: one went away
	since time.Time // when it was absent last, as far as a snapshot tells: when that was asked for
}

func newPresence(domain string, now func() time.Time) *presence {
	return &presence{domain: domain, now: now, users: map[string]*presentUser{}, queued: map[string]struct{}{}, began: now(),
		wake: trigger.New()}
}

func isMobile(resource string) bool { return !strings.Contains(resource, "[web]") }

// devices returns the known devices of a user; the caller must not change the list.
func (p *presence) devices(local string) []Device {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.list(local)
}

// list is devices; the caller holds mu.
func (p *presence) list(local string) []Device {
	if u := p.users[local]; u != nil {
		return u.list
	}
	return nil
}

// known says whether the absence of a device means anything.
func (p *presence) known() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.complete
}

// fresh says whether a user of whom no device is known has none: a snapshot tells, which is not older than three questions that
// came too late. A question that the server is at counts as answered for a while: when it is slow it needs no copies for the absent.
func (p *presence) fresh() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	now := p.now()
	if !p.asking.IsZero() && now.Sub(p.asking) < askedPatience {
		now = p.asking
	}
	return p.complete && now.Sub(p.asked) < 3*p.period+time.Second
}

// askedPatience is for how long a question that has no answer yet does not make the last snapshot an old one.
const askedPatience = 5 * time.Second

// count is the number of known devices.
func (p *presence) count() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.total
}

// available sums up what the offline rule looks at.
func available(devices []Device) (mobile, web bool) {
	for i := range devices {
		if devices[i].Show == "" {
			mobile = mobile || devices[i].Mobile
			web = web || !devices[i].Mobile
		}
	}
	return mobile, web
}

// maxDevices bounds the devices of one user that are known: each gets a copy of each message, and a client can log in as often as
// it likes. More are as if they were not there.
const maxDevices = 100

// maxHeard bounds the devices of one user on a server without snapshots: nobody tells of those that leave, clients make a new
// resource at each login, and to each that is known a copy is sent.
const maxHeard = 16

// heard notes a device that sent us a stanza. show is nil when the stanza does not tell.
func (p *presence) heard(jid stanza.JID, show *string, priority int) {
	if jid.Resource == "" || jid.Domain != p.domain || jid.Local == "" {
		return
	}
	now := p.now()
	d := Device{Full: jid.String(), Mobile: isMobile(jid.Resource), Priority: priority, seen: now, heard: now}
	if show != nil {
		d.Show = *show
	}
	for _, old := range p.devices(jid.Local) {
		if old.Full != d.Full {
			continue
		}
		if show == nil {
			d.Show, d.Priority = old.Show, old.Priority
		}
		if p.known() && old.Show == d.Show && old.Priority == d.Priority {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.put(jid.Local, d, true) {
		return
	}
	if list := p.list(jid.Local); !p.complete && len(list) > maxHeard {
		silent := slices.MinFunc(list, func(a, b Device) int { return a.heard.Compare(b.heard) }).Full
		p.remove(jid.Local, func(_ int, d *Device) bool { return d.Full == silent })
	}
}

// lastAbsent is when a device that becomes known now was absent, as far as anybody can tell. The caller holds mu.
func (p *presence) lastAbsent() time.Time {
	if p.asked.IsZero() {
		return p.began
	}
	return p.asked
}

// put adds or replaces a device; false when its user has too many. news says whether a new one is told to the conveyor. The caller
// holds mu.
func (p *presence) put(local string, d Device, news bool) bool {
	u := p.users[local]
	if u == nil {
		u = &presentUser{}
		p.users[local] = u
	}
	at := slices.IndexFunc(u.list, func(old Device) bool { return old.Full == d.Full })
	if at < 0 && len(u.list) >= maxDevices {
		return false
	}
	fresh := slices.Clone(u.list)
	if at >= 0 {
		d.seen = fresh[at].seen
		fresh[at] = d
	} else {
		fresh = append(fresh, d)
		p.total++
		if news {
			p.changed(presenceChange{local: local, came: &d, since: p.lastAbsent()})
		}
	}
	u.list = fresh
	return true
}

// gone removes a device that said so.
func (p *presence) gone(jid stanza.JID) {
	full := jid.String()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(jid.Local, func(_ int, d *Device) bool { return d.Full == full })
}

// remove drops the devices that match; the caller holds mu.
func (p *presence) remove(local string, match func(i int, d *Device) bool) {
	list := p.list(local)
	var kept []Device
	mobile, left := false, 0
	for i := range list {
		if !match(i, &list[i]) {
			if left > 0 {
				kept = append(kept, list[i])
			}
			continue
		}
		if left == 0 {
			kept = slices.Clone(list[:i])
		}
		left++
		mobile = mobile || list[i].Mobile
	}
	if left == 0 {
		return
	}
	p.total -= left
	if mobile {
		p.changed(presenceChange{local: local})
	}
	if len(kept) == 0 {
		delete(p.users, local)
	} else {
		p.users[local].list = kept
	}
}

// changed notes a change once until it is taken, however often it happens: nothing bounds how often a client comes and goes. The
// caller holds mu.
func (p *presence) changed(c presenceChange) {
	key := c.local
	if c.came != nil {
		key = c.came.Full
	}
	if _, twice := p.queued[key]; twice { // the first one is absent since earlier
		return
	}
	p.queued[key] = struct{}{}
	p.changes = append(p.changes, c)
	p.wake.Fire()
}

// takeChanges hands over what came and went since the last call, in order, and what the later ones are absent since at the earliest:
// when the newest snapshot was asked for; where there is none, when the connection began.
func (p *presence) takeChanges() (changes []presenceChange, later time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.changes
	p.changes = nil
	clear(p.queued)
	return taken, p.lastAbsent()
}

// giveBack puts changes back that could not be acted on.
func (p *presence) giveBack(changes []presenceChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		if !slices.ContainsFunc(p.list(c.local), func(d Device) bool { return d.Full == c.came.Full }) {
			continue
		}
		if _, again := p.queued[c.came.Full]; !again {
			p.queued[c.came.Full] = struct{}{}
			p.changes = append(p.changes, c)
			continue
		}
		for i := range p.changes {
			if now := &p.changes[i]; now.came != nil && now.came.Full == c.came.Full {
				now.since = c.since
			}
		}
	}
}

// forget drops everything: after the link was down nobody knows who left meanwhile. Unknown counts as offline.
func (p *presence) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users, p.total = map[string]*presentUser{}, 0
	p.changes = nil
	clear(p.queued)
	p.complete = false
	p.asked, p.asking, p.began = time.Time{}, time.Time{}, p.now()
}

// merge takes a snapshot that was asked for at asked. It says which users have more than maxDevices in it: those that are known stay
// known; and who is there now of whom no device has stayed. A device that we heard of after that is kept even when the snapshot
// lacks it: the snapshot may be older. The devices of a connection's first snapshot are no news: replay serves them.
//
// Snapshots come several times a second, and next to nothing changes between two: what is as it was costs no memory.
func (p *presence) merge(sessions []Session, asked time.Time) (crowded, came []string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	// 1. What is known and there; the rest is put aside.
	p.merges++
	listed := 0
	var other []*Session
	for i := range sessions {
		s := &sessions[i]
		if s.JID.Domain != p.domain || s.JID.Local == "" || s.JID.Resource == "" {
			continue
		}
		if u := p.users[s.JID.Local]; u != nil {
			if u.merge != p.merges {
				u.merge, u.has = p.merges, [len(u.has)]uint64{}
			}
			if at := u.find(s.JID); at >= 0 {
				if u.mark(at) {
					listed++
				}
				if d := &u.list[at]; d.Show == s.Show && d.Priority == s.Priority {
					continue
				}
			}
		}
		other = append(other, s)
	}

	// 2. Who has gone.
	if listed < p.total {
		for local, u := range p.users {
			p.remove(local, func(i int, d *Device) bool {
				return (u.merge != p.merges || !u.marked(i)) && !d.seen.After(asked)
			})
		}
	}

	// 3. Who has come or changed.
	for _, s := range other {
		local := s.JID.Local
		if p.users[local] == nil {
			came = append(came, local)
		}
		d := Device{Full: s.JID.String(), Mobile: isMobile(s.JID.Resource), Show: s.Show, Priority: s.Priority, seen: asked}
		if !p.put(local, d, p.complete) && (len(crowded) == 0 || crowded[len(crowded)-1] != local) {
			crowded = append(crowded, local)
		}
	}
	p.complete, p.asked, p.asking = true, asked, time.Time{}
	slices.Sort(crowded)
	return slices.Compact(crowded), came
}

// ask notes when the question was asked that is under way; the zero time: none is.
func (p *presence) ask(asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking = asked
}

func (p *presence) setPeriod(period time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.period = period
}

// locals are all users of whom a device is known.
func (p *presence) locals() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Collect(maps.Keys(p.users))
}

// asof says when the newest snapshot was asked for; zero when there is none.
func (p *presence) asof() (asked time.Time, period time.Duration) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.asked, p.period
}

// lookedAt is when the newest snapshot was asked for; zero when there is none.
func (p *presence) lookedAt() time.Time {
	asked, _ := p.asof()
	return asked
}

// watcher keeps the table fresh by snapshots while the link is up.
type watcher struct {
	table    *presence
	source   Snapshotter
	interval time.Duration // between two at least
	log      *slog.Logger
	learn    func(locals []string) // users seen; must not block
	request  trigger.Trigger       // room for one: a fresh snapshot is wanted
	answered trigger.Trigger       // room for one: there was an answer, good or bad
	failed   bool
	crowded  time.Time // when the log last named users with too many devices
	learned  time.Time // when all users of a snapshot were last told to learn
}

const (
	// crowdedPause lies between two lines about users with too many devices.
	crowdedPause = 10 * time.Minute
	// learnPause lies between two times that everybody who is there is told to learn, not only who has come: it takes so many at once.
	learnPause = time.Minute
	// snapshotTimeout bounds one question: a server of 10,000 sessions answers in well under a second.
	snapshotTimeout = 10 * time.Second
	// stretch keeps the question's cost below a twentieth of one of the server's cores.
	stretch = 20
	// unansweredCost is what a question counts for that got no answer, at most: nothing is known of what an answer would cost, and one
	// that was lost must not blind the table for minutes.
	unansweredCost = time.Second
	// leastPause lies between two snapshots, however cheap they are.
	leastPause = 200 * time.Millisecond
)

// run asks until ctx, the life of one connection, ends. first is closed after the first answer, good or bad.
func (w *watcher) run(ctx context.Context, first chan<- struct{}) {
	w.learned = time.Time{}
	took, err := w.ask(ctx)
	close(first)
	for err == nil || !errors.Is(err, ErrNoSnapshots) {
		least := max(leastPause, stretch*took) // a request does not shorten it
		if !trigger.Sleep(ctx, least) {
			return
		}
		if rest := w.interval - least; rest > 0 {
			timer := time.NewTimer(rest)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-w.request:
				timer.Stop()
			case <-timer.C:
			}
		}
		took, err = w.ask(ctx)
	}
}

func (w *watcher) ask(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	select { // what was wanted until now is this one
	case <-w.request:
	default:
	}
	asked := w.table.now()
	w.table.ask(asked)
	sessions, err := w.source.Snapshot(ctx)
	took := w.table.now().Sub(asked)
	switch {
	case err == nil:
		if w.failed {
			w.log.Info("presence snapshots work again")
			w.failed = false
		}
		crowded, came := w.table.merge(sessions, asked)
		took = w.table.now().Sub(asked)
		w.table.setPeriod(took + max(w.interval, leastPause, stretch*took))
		if len(crowded) > 0 && asked.Sub(w.crowded) >= crowdedPause {
			w.crowded = asked
			w.log.Warn("users have more sessions than messages are copied to; those beyond get nothing", "most", maxDevices, "users", len(crowded),
				"for example", strings.Join(crowded[:min(len(crowded), unaskedNames)], ", "))
		}
		if asked.Sub(w.learned) >= learnPause {
			w.learned, came = asked, w.table.locals()
		}
		w.learn(came)
	case errors.Is(err, ErrNoSnapshots):
		w.log.Info("this server gives no presence snapshots: users count as offline until they send the component a stanza", "reason", err)
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
	default:
		took = min(took, unansweredCost)
		if !w.failed {
			w.log.Warn("presence snapshot failed; the last one stands", "error", err)
			w.failed = true
		}
	}
	w.table.ask(time.Time{})
	w.answered.Fire()
	return took, err
}

// refresh asks for a snapshot as soon as it may be; it does not wait for it.
func (w *watcher) refresh() {
	w.request.Fire()
}
