package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Message is a message stanza that arrived.
type Message struct {
	From, To, ID string
	Type         string // "" when the stanza had none
	Subject      string // ASYNC on copies for the sender's other devices
	Body         string // unescaped
	Raw          []byte // the whole stanza, the receiver's to keep
}

func parseMessage(raw []byte) Message {
	m := Message{Raw: bytes.Clone(raw)}
	m.From, m.To = attribute(m.Raw, "from"), attribute(m.Raw, "to")
	m.ID, m.Type = attribute(m.Raw, "id"), attribute(m.Raw, "type")
	children(m.Raw, func(name, _ string, c []byte) bool {
		switch name {
		case "subject":
			m.Subject = text(c)
		case "body":
			m.Body = text(c)
		}
		return true
	})
	return m
}

// Has says whether the stanza has that child element; an empty namespace means any.
func (m Message) Has(name, namespace string) bool { return child(m.Raw, name, namespace) != nil }

// Child returns that child element of the stanza as it came, nil when it has none.
func (m Message) Child(name, namespace string) []byte { return child(m.Raw, name, namespace) }

// Confirms returns the id that an XEP-0184 <received/> in the stanza confirms, "" when there is none.
func (m Message) Confirms() string { return attribute(child(m.Raw, "received", receiptsNS), "id") }

// Failure returns what a stanza of type error says: the XMPP condition, the XMPP error type (wait, cancel ...) and tlim's code
// (error-013; "" when the XMPP server made the error).
func (m Message) Failure() (condition, errorType, code string) { return failure(m.Raw) }

func failure(stanza []byte) (condition, errorType, code string) {
	e := child(stanza, "error", "")
	children(e, func(name, ns string, c []byte) bool {
		switch {
		case ns == "urn:tlim:errors":
			code = text(c)
		case name != "text" && condition == "":
			condition = name
		}
		return true
	})
	return condition, attribute(e, "type"), code
}

// Envelope decodes the body. It is strict JSON in all that tlim makes; what others sent comes as they sent it.
func (m Message) Envelope() (Envelope, error) {
	var e Envelope
	if err := json.Unmarshal([]byte(m.Body), &e); err != nil {
		return e, fmt.Errorf("message %s from %s: %w", m.ID, m.From, err)
	}
	return e, nil
}

// Is says whether the body is an envelope of that kind ("MTC-100"), and of that msg_id unless id is "".
func (m Message) Is(kind, id string) bool {
	e, err := m.Envelope()
	return err == nil && e.Type == kind && (id == "" || e.ID == id)
}

// Acknowledges says whether the message is an acknowledgement (MTC-100) that names msg_id id, and returns the
// stored msg_time that it tells.
func (m Message) Acknowledges(id string) (msgTime string, yes bool) {
	e, err := m.Envelope()
	if err != nil || e.Type != "MTC-100" {
		return "", false
	}
	objects, err := e.Objects()
	if err != nil {
		return "", false
	}
	for _, o := range objects {
		if o["msg_id"] == id {
			msgTime, _ = o["msg_time"].(string)
			return msgTime, true
		}
	}
	return "", false
}
