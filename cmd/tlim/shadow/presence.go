package shadow

import (
	"context"
	"sync"
	"time"

	"tlim/component/presence"
)

// Presence is a Snapshotter that remembers for a while who came and went. A copy comes up to 5 s after its message, so tlim decides by another
// list than the plugin did where somebody came or went meanwhile: that is the copies' fault, and not compared.
type Presence struct {
	from presence.Snapshotter
	now  func() time.Time

	mu    sync.Mutex
	users map[string]*available
	asked time.Time // of the last snapshot; zero: there is none on this connection
	ever  time.Time // since when there have been snapshots without a break
}

// available is how a user was there, and when that changed.
type available struct {
	mobile, web bool            // without <show/>, as the offline rule has it
	phones      map[string]bool // mobile resources, whatever their show
	changed     []time.Time     // when mobile or web changed, as far as snapshots tell
	arrived     []time.Time     // when a phone came
}

// presenceAge is how long changes are remembered: longer than a message waits for its rows.
const presenceAge = 3 * time.Minute

// NewPresence remembers what from answers.
func NewPresence(from presence.Snapshotter, now func() time.Time) *Presence {
	return &Presence{from: from, now: now, users: map[string]*available{}}
}

// Snapshot asks the server.
func (p *Presence) Snapshot(ctx context.Context) ([]presence.Session, error) {
	list, err := p.from.Snapshot(ctx)
	if err == nil {
		p.note(list)
	}
	return list, err
}

func (p *Presence) note(list []presence.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, first := p.now(), p.asked.IsZero()
	if first {
		p.ever = now
	}
	p.asked = now
	there := map[string]*available{}
	for _, s := range list {
		u := there[s.JID.Local]
		if u == nil {
			u = &available{phones: map[string]bool{}}
			there[s.JID.Local] = u
		}
		mobile := presence.IsMobile(s.JID.Resource)
		if mobile {
			u.phones[s.JID.Resource] = true
		}
		if s.Show == "" {
			u.mobile, u.web = u.mobile || mobile, u.web || !mobile
		}
	}
	for local, old := range p.users {
		u := there[local]
		if u == nil {
			u = &available{}
			there[local] = u
		}
		u.changed, u.arrived = recent(old.changed, now), recent(old.arrived, now)
	}
	for local, u := range there {
		old := p.users[local]
		if old == nil {
			old = &available{}
		}
		if !first && (old.mobile != u.mobile || old.web != u.web) {
			u.changed = append(u.changed, now)
		}
		for phone := range u.phones {
			if !first && !old.phones[phone] {
				u.arrived = append(u.arrived, now)
				break
			}
		}
		if len(u.phones) == 0 && !u.mobile && !u.web && len(u.changed)+len(u.arrived) == 0 {
			delete(there, local)
		}
	}
	p.users = there
}

func recent(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) > presenceAge {
		times = times[1:]
	}
	return times
}

// Lost tells that the link was lost: who comes and goes meanwhile is not seen.
func (p *Presence) Lost() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked, p.ever = time.Time{}, time.Time{}
	clear(p.users)
}

// Known says whether all that happened since a time was seen.
func (p *Presence) Known(since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ever.IsZero() && !p.ever.After(since)
}

// Steady says whether nobody saw a user come or go between two times.
func (p *Presence) Steady(local string, from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[local]; u != nil {
		for _, at := range u.changed {
			if !at.Before(from) && !at.After(to) {
				return false
			}
		}
	}
	return true
}

// PhoneCame says whether a phone of a user has come since a time: it fetches what waits for it.
func (p *Presence) PhoneCame(local string, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[local]
	return u != nil && len(u.arrived) > 0 && !u.arrived[len(u.arrived)-1].Before(since)
}

// On says how a user is there now.
func (p *Presence) On(local string) (mobile, web bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[local]; u != nil {
		return u.mobile, u.web
	}
	return false, false
}
