package lab

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Envelope is the JSON object in a message's body (PROTOCOL.md, "Envelope").
type Envelope struct {
	Compress string          `json:"compress"`
	Encode   string          `json:"encode"`
	Encrypt  string          `json:"encrypt"`
	Version  string          `json:"version"`
	ID       string          `json:"msg_id"`
	Type     string          `json:"msg_type"`
	From     string          `json:"msg_from"`
	To       string          `json:"msg_to"`
	Time     string          `json:"msg_time"`
	Body     json.RawMessage `json:"body"` // an array, or a string that holds one: Objects reads both
}

// Objects decodes the body's objects.
func (e Envelope) Objects() ([]map[string]any, error) {
	array := []byte(e.Body)
	var inString string
	if json.Unmarshal(array, &inString) == nil {
		array = []byte(inString)
	}
	var objects []map[string]any
	if err := json.Unmarshal(array, &objects); err != nil {
		return nil, fmt.Errorf("body of %s %s: %w", e.Type, e.ID, err)
	}
	return objects, nil
}

// NewID returns a new msg_id: a random UUID.
func NewID() string { return uuid.NewString() }

// NewEnvelope returns the text of an envelope with the given body objects, as a current client writes it. An empty id becomes a NewID; body is
// anything that encodes to JSON, usually a slice of maps.
func NewEnvelope(kind, from, to, id string, body any) string {
	if id == "" {
		id = NewID()
	}
	objects, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("lab: a body that is no JSON: %v", err)) // a mistake in the test itself
	}
	envelope, err := json.Marshal(Envelope{
		Compress: "0", Encode: "1", Encrypt: "0", Version: "2.1.0", ID: id, Type: kind, From: from, To: to,
		Time: strconv.FormatInt(time.Now().UnixMilli(), 10), Body: objects,
	})
	if err != nil {
		panic(fmt.Sprintf("lab: envelope: %v", err))
	}
	return string(envelope)
}

// Text returns a 1:1 text message (MTT-000).
func Text(from, to, id, text string) string {
	return NewEnvelope("MTT-000", from, to, id, []map[string]string{{"text": text}})
}

// GroupText returns a text message to a group (MTS-000).
func GroupText(from, session, id, text string) string {
	return NewEnvelope("MTS-000", from, session, id, []map[string]string{{"text": text, "session_id": session}})
}

// ReadReceipt returns a read receipt (MTT-100) for messages of a 1:1 conversation.
func ReadReceipt(from, to, id string, msgIDs ...string) string {
	var objects []map[string]string
	for _, msgID := range msgIDs {
		objects = append(objects, map[string]string{"msg_id": msgID})
	}
	return NewEnvelope("MTT-100", from, to, id, objects)
}

// GroupReadReceipt returns a read receipt (MTS-100) for messages of a group.
func GroupReadReceipt(from, session, id string, msgIDs ...string) string {
	var objects []map[string]string
	for _, msgID := range msgIDs {
		objects = append(objects, map[string]string{"session_id": session, "msg_id": msgID})
	}
	return NewEnvelope("MTS-100", from, session, id, objects)
}

// Revoke returns the revocation (MTT-101) of a message of a 1:1 conversation.
func Revoke(from, to, id, msgID string) string {
	return NewEnvelope("MTT-101", from, to, id, []map[string]string{{"msg_id": msgID}})
}

// GroupRevoke returns the revocation (MTS-101) of a message of a group.
func GroupRevoke(from, session, id, msgID string) string {
	return NewEnvelope("MTS-101", from, session, id, []map[string]string{{"session_id": session, "msg_id": msgID}})
}
