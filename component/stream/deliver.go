package stream

import (
	"context"
	"fmt"
	"strings"

	"tlim/component/stanza"
)

const (
	// From this many targets on, one XEP-0033 stanza is cheaper than copies.
	minMulticast = 5
	// Addresses of one such stanza: 21,000 were accepted once, but the server holds a stanza whole, to 1 MiB.
	maxMulticast = 1000
	// Room for what all copies of a delivery begin with; a longer one is allocated.
	headRoom = 512
	// Targets of one delivery whose links are computed without allocating.
	placesRoom = 256
)

// Deliver queues one copy of each delivery for each of its targets, and then the runs, in order for each bare JID. It blocks while a
// buffer is full, but never within a run: nothing of others comes between its copies and its pings. With multicast all runs are one piece: one stanza
// for many costs the server less than copies that stand together, so the pings in front come before all copies, and those behind after them.
// [ErrDown] means that the link is down or went down: nothing of later deliveries leaves, and of this one and earlier ones nobody knows. After an
// error of ctx the copies that were queued leave all the same. Answers to the pings go to [Handler.Answered].
func (l *Links) Deliver(ctx context.Context, d []stanza.Delivery, runs ...stanza.Run) error {
	s := l.current.Load()
	if s == nil {
		return ErrDown
	}
	if len(runs) > 0 && l.cfg.Multicast {
		if err := s.together(ctx, stanza.Joined(d, runs), runs); err != nil {
			return fmt.Errorf("deliver to %d devices: %w", len(runs), err)
		}
		return nil
	}
	for i := range d {
		if err := s.deliver(ctx, &d[i]); err != nil {
			return fmt.Errorf("deliver %s: %w", d[i].ID, err)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	heads := make([][]byte, len(d))
	for i := range runs {
		k := s.links[place(runs[i].JID, len(s.links))]
		if err := k.run(ctx, d, heads, &runs[i]); err != nil {
			return fmt.Errorf("deliver to %s: %w", runs[i].JID, err)
		}
	}
	return nil
}

// together appends deliveries and the pings around them, in one piece for each link.
func (s *session) together(ctx context.Context, d []stanza.Delivery, runs []stanza.Run) error {
	places := make([][]uint8, len(d))
	for i := range d {
		places[i] = s.places(nil, &d[i])
	}
	for at, k := range s.links {
		if err := k.out.acquire(ctx); err != nil {
			return err
		}
		stanzas := 0
		pings := func(id func(r *stanza.Run) string) {
			for i := range runs {
				if r := &runs[i]; id(r) != "" && place(r.JID, len(s.links)) == uint8(at) {
					k.appendPing(id(r), r.JID)
					stanzas++
				}
			}
		}
		pings(func(r *stanza.Run) string { return r.Front })
		for i := range d {
			n, err := k.appendCopies(&d[i], d[i].AppendHead(make([]byte, 0, headRoom)), places[i], uint8(at), nil)
			if stanzas += n; err != nil {
				return err
			}
		}
		pings(func(r *stanza.Run) string { return r.Ping })
		k.out.release()
		k.s.l.metrics.out.Add(float64(stanzas))
		k.mark()
	}
	return nil
}

// appendPing appends a ping to a device. The lock of the buffer is held.
func (l *link) appendPing(id, jid string) {
	l.out.buf = stanza.AppendIQ(l.out.buf, "get", id, l.domain, jid, []byte(pingPayload))
	l.out.stanzas++
}

// run appends what one device gets, in one piece.
func (l *link) run(ctx context.Context, d []stanza.Delivery, heads [][]byte, r *stanza.Run) error {
	if err := l.out.acquire(ctx); err != nil {
		return err
	}
	if r.Front != "" {
		l.appendPing(r.Front, r.JID)
	}
	for _, c := range r.Of {
		if heads[c.Delivery] == nil {
			heads[c.Delivery] = d[c.Delivery].AppendHead(make([]byte, 0, headRoom))
		}
		l.out.buf = d[c.Delivery].AppendCopy(l.out.buf, heads[c.Delivery], c.Target)
		l.out.stanzas++
	}
	if r.Ping != "" {
		l.appendPing(r.Ping, r.JID)
	}
	l.out.release()
	l.s.l.metrics.out.Add(float64(len(r.Of) + r.Pings()))
	l.mark()
	return nil
}

func (s *session) deliver(ctx context.Context, d *stanza.Delivery) error {
	if len(d.To) == 0 {
		return nil
	}
	var room [placesRoom]uint8
	places := s.places(room[:], d)
	head := d.AppendHead(make([]byte, 0, headRoom))
	for i, k := range s.links {
		if err := k.copies(ctx, d, head, places, uint8(i)); err != nil {
			return err
		}
	}
	return nil
}

// places are the links that the targets are bound to; none where there is one link. room may be used for them.
func (s *session) places(room []uint8, d *stanza.Delivery) []uint8 {
	if len(s.links) == 1 {
		return nil
	}
	if len(d.To) > len(room) {
		room = make([]uint8, len(d.To))
	}
	for i := range d.To {
		room[i] = place(d.To[i].JID, len(s.links))
	}
	return room[:len(d.To)]
}

// place binds a member to a link by a hash (FNV-1a) of its bare JID, so that what one member gets stays in order.
func place(jid string, links int) uint8 {
	hash := uint32(2166136261)
	for i := 0; i < len(jid) && jid[i] != '/'; i++ {
		hash = (hash ^ uint32(jid[i])) * 16777619
	}
	return uint8(hash % uint32(links))
}

// countAt is how many of these targets are at this place; no places means all.
func countAt(d *stanza.Delivery, places []uint8, at uint8) int {
	if places == nil {
		return len(d.To)
	}
	n := 0
	for _, p := range places {
		if p == at {
			n++
		}
	}
	return n
}

// copies appends the copies for the targets that are at this place.
func (l *link) copies(ctx context.Context, d *stanza.Delivery, head []byte, places []uint8, at uint8) error {
	if countAt(d, places, at) == 0 {
		return nil
	}
	if err := l.out.acquire(ctx); err != nil {
		return err
	}
	stanzas, err := l.appendCopies(d, head, places, at, func() error {
		l.out.release()
		l.mark()
		return l.out.acquire(ctx)
	})
	if err != nil {
		return err
	}
	l.out.release()
	l.s.l.metrics.out.Add(float64(stanzas))
	l.mark()
	return nil
}

// appendCopies appends them while the lock of the buffer is held, and says how many stanzas that were. Where the buffer is full it calls pause, which gives
// the lock up for a while, and does not hold it when it fails. nil: it does not stop.
func (l *link) appendCopies(d *stanza.Delivery, head []byte, places []uint8, at uint8, pause func() error) (stanzas int, err error) {
	var one *multicast
	if l.s.l.cfg.Multicast && countAt(d, places, at) >= minMulticast {
		one = &multicast{d: d, head: head, server: l.s.l.cfg.Server, kind: mostOf(d.To)}
	}
	for i := range d.To {
		if places != nil && places[i] != at {
			continue
		}
		if pause != nil && (l.out.full() || l.out.stanzas >= maxPingStanzas) {
			if err := pause(); err != nil {
				return stanzas, err
			}
		}
		if one != nil && one.takes(d.To[i]) {
			if len(one.to) == maxMulticast {
				one.appendTo(l.out)
				stanzas++
			}
			continue
		}
		l.out.buf = d.AppendCopy(l.out.buf, head, d.To[i])
		l.out.stanzas++
		stanzas++
	}
	if one != nil && len(one.to) > 0 {
		one.appendTo(l.out)
		stanzas++
	}
	return stanzas, nil
}

// mark pings when much was appended since the last one.
func (l *link) mark() {
	if l.out.due() {
		l.ping(nil) // when it is not taken, so many are under way that this one is not needed
	}
}

// multicast gathers the targets of one XEP-0033 stanza.
type multicast struct {
	d      *stanza.Delivery
	head   []byte
	server string
	kind   stanza.Target // what all of its copies have behind the payload
	to     []string
}

// mostOf is what most targets have behind the payload.
func mostOf(to []stanza.Target) stanza.Target {
	counts := map[stanza.Target]int{}
	var most stanza.Target
	for i := range to {
		kind := to[i]
		kind.JID = ""
		if counts[kind]++; counts[kind] > counts[most] {
			most = kind
		}
	}
	return most
}

// takes says whether a target may go along. One bad address ends the whole stream, and one in a foreign domain may stop it
// for a minute (measured); and all copies are the same.
func (m *multicast) takes(t stanza.Target) bool {
	if strings.ContainsAny(t.JID, "\"&<>\t\r\n") || t.Private != m.kind.Private || t.Request != m.kind.Request {
		return false
	}
	jid, err := stanza.ParseJID(t.JID)
	if err != nil || jid.Domain != m.server || jid.Local == "" {
		return false
	}
	m.to = append(m.to, t.JID)
	return true
}

// appendTo renders the stanza into a buffer whose lock is held, and begins a new one. Recipients of type bcc do not see
// each other.
func (m *multicast) appendTo(w *writer) {
	b := append(w.buf, m.head...)
	b = append(b, m.server...)
	b = append(b, `"><addresses xmlns="http://jabber.org/protocol/address">`...)
	for _, jid := range m.to {
		b = append(b, `<address type="bcc" jid="`...)
		b = append(b, jid...)
		b = append(b, `"/>`...)
	}
	b = append(b, `</addresses>`...)
	b = append(b, m.d.Payload...)
	w.buf = stanza.AppendEnd(b, m.kind)
	w.stanzas += len(m.to) // as much work as so many copies
	m.to = m.to[:0]
}

// Post queues one whole stanza on the intake link without blocking, using a reserve that deliveries do not touch and of which
// answers take half at most: for acknowledgements, which are no more than what was accepted. False means that there is no link
// or no room. The bytes are copied.
func (l *Links) Post(b []byte) bool {
	s := l.current.Load()
	if s == nil || !s.intake().out.post(b) {
		return false
	}
	l.metrics.out.Inc()
	s.intake().mark()
	return true
}

// Flushed blocks until all that was queued before is on the wire. Without a link there is nothing to wait for; [ErrDown]
// means that it was lost meanwhile.
func (l *Links) Flushed(ctx context.Context) error {
	s := l.current.Load()
	if s == nil {
		return nil
	}
	for _, k := range s.links {
		if err := k.out.flushed(ctx); err != nil {
			return fmt.Errorf("flush %s: %w", k.domain, err)
		}
	}
	return nil
}
