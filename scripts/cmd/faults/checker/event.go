package checker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The kinds of events.
const (
	Talk         = "conversation" // Conversation has these Members
	Sent         = "sent"         // User sent Message to Conversation, the first time or again
	Login        = "login"        // User's Session is there from now on
	Acknowledged = "acknowledged" // User was told that Message is stored, at Time
	Seen         = "seen"         // User got Message live, in Session; Page says that the device is no phone
	Fetched      = "fetched"      // User's phone asked for what waits, and Message was there
	Queued       = "queued"       // at the end: Message waits for User
	Listed       = "listed"       // at the end: Reader's history of Conversation has Message at Time; oldest first
	Row          = "row"          // at the end: Node has a row of Message of Conversation at Time
	Batch        = "batch"        // at the end: transaction Number was of term Epoch, by Writer
	Wrote        = "wrote"        // at the end: Writer wrote Message to Table in term Epoch; in the order of commits
	Odd          = "odd"          // something happened that never should, told by Text
	Fault        = "fault"        // for readers: what was broken, told by Text
)

// Event is one line of a history. Which fields count says its kind.
type Event struct {
	At           int64    `json:"at,omitempty"` // of the clock, in milliseconds; for readers
	Kind         string   `json:"kind"`
	User         string   `json:"user,omitempty"`
	Message      string   `json:"message,omitempty"`
	Conversation string   `json:"conversation,omitempty"`
	Members      []string `json:"members,omitempty"`
	Session      string   `json:"session,omitempty"`
	Page         bool     `json:"page,omitempty"`
	Reader       string   `json:"reader,omitempty"`
	Node         string   `json:"node,omitempty"`
	Time         string   `json:"time,omitempty"`
	Number       int64    `json:"number,omitempty"`
	Epoch        int64    `json:"epoch,omitempty"`
	Writer       string   `json:"writer,omitempty"`
	Table        string   `json:"table,omitempty"`
	Text         string   `json:"text,omitempty"`
}

// Read reads a history: a JSON object for each event.
func Read(r io.Reader) ([]Event, error) {
	var list []Event
	for decoder := json.NewDecoder(r); ; {
		var e Event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", len(list)+1, err)
		}
		list = append(list, e)
	}
}
