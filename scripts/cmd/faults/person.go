package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"tlim/scripts/cmd/faults/checker"
	"tlim/scripts/lab"
)

const (
	// maxOpen bounds what one person has sent without an acknowledgement.
	maxOpen = 6
	// sendEvery lies between two messages of one person at least; repeatAfter is when one without an answer is sent again.
	sendEvery   = 250 * time.Millisecond
	repeatAfter = 3 * time.Second
	// A session lasts so long, and then its person is away so long.
	minSession, maxSession = 5 * time.Second, 40 * time.Second
	maxAway                = 8 * time.Second
	dialTime               = 10 * time.Second
	askTime                = 5 * time.Second
)

// talk is a conversation: of a group, or of two.
type talk struct {
	name    string // in the history: the group's id, or both users
	group   string
	members []string
}

// open is a message without its acknowledgement.
type open struct {
	id, body string
	talk     *talk
	tried    time.Time // zero: send it now
}

// person is a user with one phone, who comes and goes. What was not acknowledged is sent again under its id, also in later sessions.
type person struct {
	name  string
	site  *site
	talks []*talk
	dice  *rand.Rand
	page  bool // no phone but a page, which sends nothing

	mu       sync.Mutex
	open     map[string]*open
	quiet    bool // make nothing new
	sessions int
}

// run comes and goes until ctx ends.
func (p *person) run(ctx context.Context) {
	resource := ""
	for ctx.Err() == nil {
		if resource == "" || p.dice.IntN(2) == 0 {
			resource = fmt.Sprintf("%d[android]", p.dice.IntN(1_000_000))
			if p.page {
				resource = fmt.Sprintf("%d[web]", p.dice.IntN(1_000_000))
			}
		}
		length := minSession + p.upTo(maxSession-minSession)
		if p.session(ctx, resource, length) != nil && pause(ctx, 200*time.Millisecond) != nil {
			return
		}
		if p.dice.IntN(3) > 0 && pause(ctx, p.upTo(maxAway)) != nil { // else back at once
			return
		}
	}
}

func (p *person) upTo(d time.Duration) time.Duration { return time.Duration(p.dice.Int64N(int64(d))) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session logs in, asks for what waits, sends and reads until the time is over or the connection is.
func (p *person) session(ctx context.Context, resource string, length time.Duration) error {
	dialing, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := lab.Dial(dialing, p.site.server.C2S, p.site.server.Domain, p.name, password, resource, lab.WithPresence("", 0), lab.WithDirected(p.site.component), lab.WithAck(), lab.WithConfirm())
	if err != nil {
		return err
	}
	p.sessions++
	name := fmt.Sprintf("%s/%s#%d", p.name, resource, p.sessions)
	p.site.journal.add(checker.Event{Kind: checker.Login, User: p.name, Session: name})
	var work sync.WaitGroup
	lasting, stop := context.WithTimeout(ctx, length)
	defer stop()
	work.Go(func() {
		defer stop()
		for { // also what had arrived when the connection ended: its library answered pings behind it
			m, err := c.Recv(context.Background())
			if err != nil {
				return
			}
			p.got(name, m)
		}
	})
	if !p.page {
		work.Go(func() { p.fetch(lasting, c) })
		p.send(lasting, c)
	}
	<-lasting.Done()
	if p.dice.IntN(2) == 0 {
		c.Kill() // as a phone that lost its network
	} else {
		c.Close() // an error says that the server did not end it in order, as one does that is broken here
	}
	work.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		o.tried = time.Time{}
	}
	return nil
}

// send makes messages, and repeats those without an answer, until ctx ends.
func (p *person) send(ctx context.Context, c *lab.Client) {
	again := time.NewTicker(sendEvery)
	defer again.Stop()
	for {
		p.mu.Lock()
		if len(p.open) < maxOpen && !p.quiet {
			o := p.message()
			p.open[o.id] = o
		}
		var due []*open
		for _, o := range p.open {
			if time.Since(o.tried) > repeatAfter {
				o.tried = time.Now()
				due = append(due, o)
			}
		}
		p.mu.Unlock()
		for _, o := range due {
			p.site.journal.add(checker.Event{Kind: checker.Sent, User: p.name, Message: o.id, Conversation: o.talk.name})
			if c.SendMessage(p.site.component, o.id, o.body) != nil {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *person) message() *open {
	o := &open{id: lab.NewID(), talk: p.talks[p.dice.IntN(len(p.talks))]}
	text := fmt.Sprintf("%s %d", p.name, p.dice.IntN(1000))
	if o.talk.group != "" {
		o.body = lab.GroupText(p.name, o.talk.group, o.id, text)
		return o
	}
	for _, other := range o.talk.members {
		if other != p.name {
			o.body = lab.Text(p.name, other, o.id, text)
		}
	}
	return o
}

// got notes what came.
func (p *person) got(session string, m lab.Message) {
	if m.Type == "error" {
		_, kind, code := m.Failure()
		p.mu.Lock()
		defer p.mu.Unlock()
		o := p.open[m.ID]
		switch {
		case o == nil: // of one that was acknowledged meanwhile, or of our confirmations
		case code == "" || code == "error-013" && kind == "wait": // the server's own: tlim is away. Both mean: later
			o.tried = time.Now().Add(time.Second - repeatAfter)
		default:
			p.site.odd("%s was refused %s: %s", p.name, m.ID, m.Raw)
			o.tried = time.Now()
		}
		return
	}
	e, err := m.Envelope()
	if err != nil {
		if m.Body != "" {
			p.site.odd("%s got what is no envelope: %s", p.name, m.Raw)
		}
		return
	}
	switch e.Type {
	case "MTC-100":
		objects, err := e.Objects()
		if err != nil {
			p.site.odd("%s got an acknowledgement that cannot be read: %s", p.name, m.Raw)
		}
		for _, object := range objects {
			id, _ := object["msg_id"].(string)
			at, _ := object["msg_time"].(string)
			p.mu.Lock()
			delete(p.open, id)
			p.mu.Unlock()
			p.site.journal.add(checker.Event{Kind: checker.Acknowledged, User: p.name, Message: id, Time: at})
		}
	case "MTT-000":
		p.site.journal.add(checker.Event{Kind: checker.Seen, User: p.name, Session: session, Message: e.ID, Conversation: pair(e.From, e.To), Page: p.page})
	case "MTS-000":
		group := ""
		if objects, err := e.Objects(); err == nil && len(objects) > 0 {
			group, _ = objects[0]["session_id"].(string)
		}
		p.site.journal.add(checker.Event{Kind: checker.Seen, User: p.name, Session: session, Message: e.ID, Conversation: group, Page: p.page})
	}
}

// pair names the conversation of two.
func pair(a, b string) string { return min(a, b) + " " + max(a, b) }

// fetch asks for what waits until it is told, and confirms it, as a phone does at each login.
func (p *person) fetch(ctx context.Context, c *lab.Client) {
	for ctx.Err() == nil {
		list, err := p.site.queue(ctx, p.name)
		if err != nil {
			if pause(ctx, 200*time.Millisecond) != nil {
				return
			}
			continue
		}
		for _, row := range list {
			p.site.journal.add(checker.Event{Kind: checker.Fetched, User: p.name, Message: row.ID})
		}
		for _, row := range list { // its rows go by this
			if c.Send(`<message type="chat" to="`+lab.Escape(row.From+"@"+p.site.component)+`"><received xmlns="urn:xmpp:receipts" id="`+lab.Escape(row.ID)+`"/></message>`) != nil {
				return
			}
		}
		return
	}
}

// setQuiet makes the person send nothing new.
func (p *person) setQuiet(quiet bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet = quiet
}
