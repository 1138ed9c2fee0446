package lab

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

const managementNS = "urn:xmpp:sm:3"

// ErrNotResumed is in the error of a Dial whose session the server did not keep.
var ErrNotResumed = errors.New("session not resumed")

// WithStreamManagement makes the client count and acknowledge stanzas by XEP-0198, so that the server keeps its session when the connection
// breaks (Kill): what is sent to it meanwhile waits there for WithResumption. What the client itself sent and the server had not read is not
// sent again.
func WithStreamManagement() Option { return func(o *dialOptions) { o.managed = true } }

// WithResumption makes Dial go on with the session of a killed client of WithStreamManagement, with its resource and presence. Of the other
// options those count that say how the client behaves; the new client may be killed and resumed in turn.
func WithResumption(killed *Client) Option { return func(o *dialOptions) { o.resumed = killed } }

// management is what a session of XEP-0198 knows. It belongs to the reader, and after its end to who resumes it.
type management struct {
	on      bool
	id      string
	handled uint32
	answer  chan error // of the question to enable it; has room for the one answer
}

func (m *management) handle() {
	if m.on {
		m.handled++
	}
}

// enable asks for stream management and returns when the server has granted it.
func (c *Client) enable(ctx context.Context) error {
	if err := c.Send(`<enable xmlns="` + managementNS + `" resume="true"/>`); err != nil {
		return err
	}
	select {
	case err := <-c.managed.answer:
		return err
	case <-c.over:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// management takes an element of XEP-0198 on the reader's goroutine.
func (c *Client) management(answers []byte, kind string, raw []byte) []byte {
	switch kind {
	case "r":
		return fmt.Appendf(answers, `<a xmlns="%s" h="%d"/>`, managementNS, c.managed.handled)
	case "enabled":
		c.managed.on, c.managed.id = true, attribute(raw, "id")
		c.managed.enabled(nil)
	case "failed":
		c.managed.enabled(fmt.Errorf("the server refuses: %s", raw))
	}
	return answers
}

func (m *management) enabled(err error) {
	select {
	case m.answer <- err:
	default: // nobody asked for a second one
	}
}

// resume goes on with the session of another client, before reader and writer run.
func (c *Client) resume(killed *Client) error {
	select {
	case <-killed.over:
		killed.workers.Wait()
	default:
		return errors.New("the session to resume is in use: kill its client first")
	}
	h := strconv.FormatUint(uint64(killed.managed.handled), 10)
	answer, err := c.ask(`<resume xmlns="` + managementNS + `" previd="` + Escape(killed.managed.id) + `" h="` + h + `"/>`)
	if err != nil {
		return err
	}
	if name(answer) != "resumed" {
		return fmt.Errorf("%w: %s", ErrNotResumed, answer)
	}
	c.JID = killed.JID
	c.managed.on, c.managed.id, c.managed.handled = true, killed.managed.id, killed.managed.handled
	return nil
}
