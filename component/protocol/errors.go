package protocol

import (
	"errors"
	"fmt"

	"tlim/component/stanza"
)

// Code is an error code of PROTOCOL.md section 8, as senders and HTTP callers see it.
type Code string

// The error codes.
const (
	BodyEmpty         Code = "error-000"
	TypeInvalid       Code = "error-001"
	GroupTypeInvalid  Code = "error-002"
	GroupNameEmpty    Code = "error-003"
	GroupOwnerInvalid Code = "error-004"
	NotJSON           Code = "error-005"
	NotArray          Code = "error-006"
	GroupIDEmpty      Code = "error-007"
	UserIDInvalid     Code = "error-008"
	NoSuchGroup       Code = "error-009"
	GroupNotCreated   Code = "error-010"
	NotAllowed        Code = "error-011"
	TooLarge          Code = "error-012"
	TryLater          Code = "error-013"
	IDConflict        Code = "error-014"
)

// Error is a refusal: a code for programs and a sentence for people. Nothing was changed.
type Error struct {
	Code Code
	Text string // English, one sentence without a full stop

	Skipped []Skipped // when there is nobody else: who was left out, and why
	Chinese string    // the sentence in Chinese; "": there is that of the code alone
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Text }

// Refuse makes an Error.
func Refuse(code Code, format string, args ...any) error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...), Chinese: inChinese(format, args)}
}

// ErrUnavailable means that the work could not be done now and was not done: the database is away, the queue is full, or
// the process is shutting down. Repeating the call later is right. It is error-013 to chat senders and 503 to HTTP callers.
var ErrUnavailable = errors.New("not available now, try again later")

// Conditions are the stanza errors (RFC 6120 section 8.3.3) that go with the codes: condition and error type.
var Conditions = map[Code][2]string{
	BodyEmpty:         {"bad-request", "modify"},
	TypeInvalid:       {"bad-request", "modify"},
	GroupTypeInvalid:  {"bad-request", "modify"},
	GroupNameEmpty:    {"bad-request", "modify"},
	GroupOwnerInvalid: {"bad-request", "modify"},
	NotJSON:           {"bad-request", "modify"},
	NotArray:          {"bad-request", "modify"},
	GroupIDEmpty:      {"bad-request", "modify"},
	UserIDInvalid:     {"bad-request", "modify"},
	NoSuchGroup:       {"item-not-found", "cancel"},
	GroupNotCreated:   {"internal-server-error", "cancel"},
	NotAllowed:        {"forbidden", "auth"},
	TooLarge:          {"policy-violation", "modify"},
	TryLater:          {"resource-constraint", "wait"},
	IDConflict:        {"conflict", "cancel"},
}

// unknownRefusal tells nothing of an error that was not meant for its sender.
const unknownRefusal = "cannot be taken now, send it again later"

// AsError turns any error into what its sender is told.
func AsError(err error) *Error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Error{Code: TryLater, Text: unknownRefusal, Chinese: sentences[unknownRefusal]}
}

// Skipped is somebody, or a list of receivers, whom a call named and who was left out of it.
type Skipped struct {
	UserID string // as the caller wrote it
	Reason SkipReason
}

// SkipReason is a word for programs; HTTP.md has them all.
type SkipReason string

// Why a call leaves somebody out.
const (
	SkipUnknown  SkipReason = "unknown"  // there is no such user, nor an account of that name
	SkipLeft     SkipReason = "left"     // has left the directory, see RemoveUsers
	SkipReserved SkipReason = "reserved" // the id sends the server's own messages
	SkipEmpty    SkipReason = "empty"    // a group or @all in which there is nobody
	SkipFull     SkipReason = "full"     // the group would have more members than limits.group_members
)

// ErrorStanza answers without a body: shipped web clients JSON.parse the body of every message, and Strophe drops a handler
// that throws, so one error text would deafen the page. The sentence is in the given language where it has that, else in English; it begins with the code.
func ErrorStanza(st *stanza.Stanza, e *Error, language Language) []byte {
	condition := Conditions[e.Code]
	b := make([]byte, 0, 512)
	b = append(b, `<message type="error" from="`...)
	b = stanza.AppendAttr(b, st.To)
	b = append(b, `" to="`...)
	b = stanza.AppendAttr(b, st.From)
	if st.ID != "" && stanza.ValidXML(st.ID) {
		b = append(b, `" id="`...)
		b = stanza.AppendAttr(b, st.ID)
	}
	b = append(b, `">`...)
	sentence := e.Chinese
	if language != Chinese || sentence == "" {
		language, sentence = English, e.Text
	}
	text := append([]byte(`<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas" xml:lang="`), language...)
	text = stanza.AppendEscaped(append(text, `">`...), string(e.Code)+": "+sentence)
	b = stanza.AppendError(b, condition[1], condition[0], string(text), `</text><code xmlns="urn:tlim:errors">`, string(e.Code), `</code>`)
	return append(b, `</message>`...)
}
