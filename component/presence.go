package component

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tlim/component/stanza"
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
	users    map[string][]Device // by prepared local part
	complete bool                // a snapshot of this connection is in the table
	asked    time.Time           // when the newest snapshot was asked for
	period   time.Duration       // between snapshots, as it is stretched now
	changes  []presenceChange
	queued   map[string]struct{} // what is in changes: a full JID that came, a local part of which one went
	comings  map[string]int      // mobiles that came since the time below, by local part
	since    time.Time
	wake     chan struct{} // room for one: something is in changes
}

// presenceChange tells the conveyor that a mobile came or went.
type presenceChange struct {
	local string
	came  *Device // nil: one went away
}

func newPresence(domain string, now func() time.Time) *presence {
	return &presence{domain: domain, now: now, users: map[string][]Device{}, queued: map[string]struct{}{}, comings: map[string]int{},
		wake: make(chan struct{}, 1)}
}

func isMobile(resource string) bool { return !strings.Contains(resource, "[web]") }

// devices returns the known devices of a user; the caller must not change the list.
func (p *presence) devices(local string) []Device {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.users[local]
}

// known says whether the absence of a device means anything.
func (p *presence) known() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.complete
}

// fresh says whether a user of whom no device is known has none: a snapshot tells, which is not older than three questions that
// came too late.
func (p *presence) fresh() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.complete && p.now().Sub(p.asked) < 3*p.period+time.Second
}

// count is the number of known devices.
func (p *presence) count() (n int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, list := range p.users {
		n += len(list)
	}
	return n
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

// maxComings is of how many mobiles of one user the conveyor is told in a second that they have come: each has what waits read
// and sent. Those beyond are known, and what waits for them is a row, so their clients' getOffline has it.
const maxComings = 10

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
	if list := p.users[jid.Local]; len(list) >= maxDevices && !slices.ContainsFunc(list, func(old Device) bool { return old.Full == d.Full }) {
		return
	}
	p.put(jid.Local, d, true)
	if list := p.users[jid.Local]; !p.complete && len(list) > maxHeard {
		silent := slices.MinFunc(list, func(a, b Device) int { return a.heard.Compare(b.heard) }).Full
		p.remove(jid.Local, func(d Device) bool { return d.Full == silent })
	}
}

// put adds or replaces a device; news says whether a new mobile is told to the conveyor. The caller holds mu.
func (p *presence) put(local string, d Device, news bool) {
	list := p.users[local]
	at := slices.IndexFunc(list, func(old Device) bool { return old.Full == d.Full })
	fresh := slices.Clone(list)
	if at >= 0 {
		d.seen = list[at].seen
		fresh[at] = d
	} else {
		fresh = append(fresh, d)
		if d.Mobile && news {
			p.changed(presenceChange{local: local, came: &d})
		}
	}
	p.users[local] = fresh
}

// gone removes a device that said so.
func (p *presence) gone(jid stanza.JID) {
	full := jid.String()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(jid.Local, func(d Device) bool { return d.Full == full })
}

func (p *presence) remove(local string, match func(Device) bool) {
	list := p.users[local]
	var kept []Device
	mobile := false
	for _, d := range list {
		if match(d) {
			mobile = mobile || d.Mobile
		} else {
			kept = append(kept, d)
		}
	}
	if len(kept) == len(list) {
		return
	}
	if mobile {
		p.changed(presenceChange{local: local})
	}
	if len(kept) == 0 {
		delete(p.users, local)
	} else {
		p.users[local] = kept
	}
}

// changed notes a change once until it is taken, however often it happens: nothing bounds how often a client comes and goes. The
// caller holds mu.
func (p *presence) changed(c presenceChange) {
	key := c.local
	if c.came != nil {
		key = c.came.Full
	}
	if _, twice := p.queued[key]; twice || c.came != nil && !p.mayCome(c.local) {
		return
	}
	p.queued[key] = struct{}{}
	p.changes = append(p.changes, c)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// mayCome counts a mobile that came; false when too many of its user's have in this second.
func (p *presence) mayCome(local string) bool {
	if now := p.now(); now.Sub(p.since) >= time.Second {
		p.since = now
		clear(p.comings)
	}
	p.comings[local]++
	return p.comings[local] <= maxComings
}

// takeChanges hands over what came and went since the last call, in order.
func (p *presence) takeChanges() []presenceChange {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.changes
	p.changes = nil
	clear(p.queued)
	return taken
}

// giveBack puts changes back that could not be acted on.
func (p *presence) giveBack(changes []presenceChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range changes {
		_, again := p.queued[c.came.Full]
		if !again && slices.ContainsFunc(p.users[c.local], func(d Device) bool { return d.Full == c.came.Full }) {
			p.queued[c.came.Full] = struct{}{}
			p.changes = append(p.changes, c)
		}
	}
}

// forget drops everything: after the link was down nobody knows who left meanwhile. Unknown counts as offline.
func (p *presence) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.users = map[string][]Device{}
	p.changes = nil
	clear(p.queued)
	p.complete = false
	p.asked = time.Time{}
}

// merge takes a snapshot that was asked for at asked, and says which users have more than maxDevices in it. A device that we heard of after that is kept even when the snapshot
// lacks it: the snapshot may be older. The devices of a connection's first snapshot are no news: replay serves them.
func (p *presence) merge(sessions []Session, asked time.Time) (crowded []string) {
	seen := make(map[string][]Device, len(sessions))
	for _, s := range sessions {
		if s.JID.Domain != p.domain || s.JID.Local == "" || s.JID.Resource == "" {
			continue
		}
		seen[s.JID.Local] = append(seen[s.JID.Local], Device{
			Full: s.JID.String(), Mobile: isMobile(s.JID.Resource), Show: s.Show, Priority: s.Priority, seen: asked,
		})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for local, listed := range seen {
		if len(listed) > maxDevices {
			seen[local] = p.fewer(local, listed)
			crowded = append(crowded, local)
		}
	}
	for local := range p.users {
		listed := seen[local]
		p.remove(local, func(d Device) bool {
			return !d.seen.After(asked) && !slices.ContainsFunc(listed, func(l Device) bool { return l.Full == d.Full })
		})
	}
	for local, listed := range seen {
		for _, d := range listed {
			if !slices.ContainsFunc(p.users[local], func(old Device) bool { return old.Full == d.Full && old.Show == d.Show && old.Priority == d.Priority }) {
				p.put(local, d, p.complete)
			}
		}
	}
	p.complete = true
	p.asked = asked
	return crowded
}

// fewer leaves maxDevices of a list, those that are known already before others, so that the same stay. The caller holds mu.
func (p *presence) fewer(local string, listed []Device) []Device {
	known := make(map[string]bool, len(p.users[local]))
	for _, d := range p.users[local] {
		known[d.Full] = true
	}
	slices.SortFunc(listed, func(a, b Device) int {
		if known[a.Full] != known[b.Full] {
			if known[a.Full] {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Full, b.Full)
	})
	return listed[:maxDevices]
}

// asof says when the newest snapshot was asked for; zero when there is none.
func (p *presence) asof() (asked time.Time, period time.Duration) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.asked, p.period
}

// watcher keeps the table fresh by snapshots while the link is up.
type watcher struct {
	table    *presence
	source   Snapshotter
	interval time.Duration
	log      *slog.Logger
	learn    func(locals []string) // users seen; must not block
	request  chan struct{}         // room for one: a fresh snapshot is wanted
	failed   bool
	crowded  time.Time // when the log last named users with too many devices
}

// crowdedPause lies between two lines about users with too many devices.
const crowdedPause = 10 * time.Minute

// snapshotTimeout bounds one question: a server of 10,000 sessions answers in well under a second.
const snapshotTimeout = 10 * time.Second

// stretch keeps the question's cost below a twentieth of the server's time.
const stretch = 20

// unansweredCost is what a question counts for that got no answer, at most: nothing is known of what an answer would cost, and one
// that was lost must not blind the table for minutes.
const unansweredCost = time.Second

// wantedSpacing is how soon after a snapshot the next one may be asked for on request.
const wantedSpacing = 200 * time.Millisecond

// run asks until ctx, the life of one connection, ends. first is closed after the first answer, good or bad.
func (w *watcher) run(ctx context.Context, first chan<- struct{}) {
	took, err := w.ask(ctx)
	close(first)
	for err == nil || !errors.Is(err, ErrNoSnapshots) {
		pause := max(w.interval, stretch*took)
		w.table.mu.Lock()
		w.table.period = pause
		w.table.mu.Unlock()
		if !sleep(ctx, max(wantedSpacing, stretch*took/4)) {
			return
		}
		timer := time.NewTimer(pause - max(wantedSpacing, stretch*took/4))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.request:
			timer.Stop()
		case <-timer.C:
		}
		took, err = w.ask(ctx)
	}
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (w *watcher) ask(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	asked := w.table.now()
	sessions, err := w.source.Snapshot(ctx)
	took := w.table.now().Sub(asked)
	switch {
	case err == nil:
		if w.failed {
			w.log.Info("presence snapshots work again")
			w.failed = false
		}
		if crowded := w.table.merge(sessions, asked); len(crowded) > 0 && asked.Sub(w.crowded) >= crowdedPause {
			w.crowded = asked
			slices.Sort(crowded)
			w.log.Warn("users have more sessions than messages are copied to; those beyond get nothing", "most", maxDevices, "users", len(crowded),
				"for example", strings.Join(crowded[:min(len(crowded), unaskedNames)], ", "))
		}
		locals := make([]string, 0, len(sessions))
		for _, s := range sessions {
			if s.JID.Domain == w.table.domain && s.JID.Local != "" {
				locals = append(locals, s.JID.Local)
			}
		}
		w.learn(locals)
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
	return took, err
}

// refresh asks for a snapshot at once; it does not wait for it.
func (w *watcher) refresh() {
	select {
	case w.request <- struct{}{}:
	default: // one is wanted already
	}
}
