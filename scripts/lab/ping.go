package lab

import "context"

// PingAnswer is how a client answers the XEP-0199 pings of others. Those of its server it always answers by a result.
type PingAnswer int

const (
	// AnswerPings is by a result, at once: what client libraries do by themselves.
	AnswerPings PingAnswer = iota
	// IgnorePings is never.
	IgnorePings
	// HoldPings is when SetPings says so.
	HoldPings
	// RefusePings is by an error of the client's own, feature-not-implemented, as Smack 4.1.9 answers what it does not know.
	RefusePings
	// DenyPings is likewise by service-unavailable, as Smack 4.2.4 does.
	DenyPings
)

// WithPings makes the client answer pings in that way; without it, it does by AnswerPings.
func WithPings(how PingAnswer) Option { return func(o *dialOptions) { o.pings = how } }

// pings is what a client was asked. The client's mu guards it.
type pings struct {
	how  PingAnswer
	held []ping
	all  int
}

type ping struct{ from, id string }

// SetPings changes how pings are answered from now on, and answers those that were held in the new way.
func (c *Client) SetPings(how PingAnswer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pings.how = how
	held := c.pings.held
	c.pings.held = nil
	for _, p := range held {
		c.unwritten = c.pings.answer(c.unwritten, p)
	}
	c.change.Broadcast()
}

// AwaitPings returns when the client was asked n pings by others, however it answers.
func (c *Client) AwaitPings(ctx context.Context, n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.awaitChange(ctx, func() bool { return c.pings.all >= n })
}

func (c *Client) pinged(answers []byte, p ping) []byte {
	if p.from == "" || p.from == c.options.domain {
		return append(answers, pong(p)...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pings.all++
	c.change.Broadcast()
	return c.pings.answer(answers, p)
}

func (p *pings) answer(answers []byte, question ping) []byte {
	switch p.how {
	case AnswerPings:
		return append(answers, pong(question)...)
	case RefusePings:
		return append(answers, refusal(` to="`+Escape(question.from)+`"`, question.id, "feature-not-implemented")...)
	case DenyPings:
		return append(answers, refusal(` to="`+Escape(question.from)+`"`, question.id, "service-unavailable")...)
	case HoldPings:
		p.held = append(p.held, question)
	}
	return answers
}

func pong(p ping) string {
	if p.from == "" {
		return `<iq type="result" id="` + Escape(p.id) + `"/>`
	}
	return `<iq type="result" id="` + Escape(p.id) + `" to="` + Escape(p.from) + `"/>`
}
