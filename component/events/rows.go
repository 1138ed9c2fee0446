package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tlim/component/protocol"
	"tlim/store"
)

// The kinds of events.
const (
	Stored  = "message.stored"
	Read    = "message.read"
	Revoked = "message.revoked"
	Group   = "group.changed"
	Came    = "user.came"
	Left    = "user.left"
)

// Kinds are all of them.
var Kinds = []string{Stored, Read, Revoked, Group, Came, Left}

// View is what a batch knows of what its changes name.
type View struct {
	Now    time.Time
	Stored func(msgID string) []store.Message     // messages that were read
	Known  func(userIDs []string) map[string]bool // who of them is in the directory, and has not left it
}

// told is an event as it is sent.
type told struct {
	ID      string   `json:"id"`
	Kind    string   `json:"kind"`
	At      int64    `json:"at"`
	MsgID   string   `json:"msg_id,omitempty"`
	MsgType string   `json:"msg_type,omitempty"`
	From    string   `json:"msg_from,omitempty"`
	To      string   `json:"msg_to,omitempty"`
	Time    string   `json:"msg_time,omitempty"`
	Session string   `json:"session_id,omitempty"`
	Body    string   `json:"body,omitempty"`
	Reader  string   `json:"reader,omitempty"`
	Device  string   `json:"device,omitempty"`
	By      string   `json:"revoked_by,omitempty"`
	Change  string   `json:"change,omitempty"`
	Name    *string  `json:"session_name,omitempty"`
	Picture *string  `json:"session_pic,omitempty"`
	Owner   string   `json:"owner,omitempty"`
	Joined  []string `json:"joined,omitempty"`
	Gone    []string `json:"left,omitempty"`
	User    string   `json:"user_id,omitempty"`
	Called  string   `json:"user_name,omitempty"`
}

// Rows makes the rows of what changes say, for the transaction that writes them; [Events.Committed] is called after that. It is for one
// goroutine.
func (e *Events) Rows(changes []store.Change, v View) (rows []store.Event) {
	add := func(conversation string, t told) {
		if !e.takes(t.Kind) {
			return
		}
		t.ID, t.At = e.ids.next(v.Now.UnixMilli()), v.Now.UnixMilli()
		rows = append(rows, store.Event{ID: t.ID, Kind: t.Kind, Conversation: protocol.Shorten(conversation, maxConversation), Body: encode(t),
			Made: t.At, Due: t.At})
	}
	for i := range changes {
		c := &changes[i]
		users(c, v, add)
		groups(c, add)
		e.message(c, add)
		for _, r := range c.Receipts {
			if r.ID != "" { // else it was read already, on another device
				read(r, v, add)
			}
		}
	}
	return rows
}

const maxConversation = 200 // characters of its column

// message tells of a message, or of those that it revokes.
func (e *Events) message(c *store.Change, add func(string, told)) {
	m := c.Message
	if m == nil {
		return
	}
	group := store.FamilyOf(m.Type) == store.FamilyGroup
	if group && m.To != m.SessionID { // the server's word to one member that the group is gone: the group's event says it
		return
	}
	conversation, session := protocol.ChatName(m.From, m.To), ""
	if group {
		conversation, session = m.SessionID, m.SessionID
	}
	revokes := false
	for _, id := range c.SetIDs {
		if id.State == store.Revoked {
			revokes = true
			add(conversation, told{Kind: Revoked, MsgID: id.MsgID, From: id.From, Session: session, By: m.From})
		}
	}
	if revokes {
		return
	}
	t := told{Kind: Stored, MsgID: m.MsgID, MsgType: m.Type, From: m.From, To: m.To, Time: m.Time, Session: session}
	if e.Content {
		t.Body = m.Body
	}
	add(conversation, t)
}

// read tells of the first receipt of a reader.
func read(r store.Receipt, v View, add func(string, told)) {
	t := told{Kind: Read, MsgID: r.MsgID, From: r.Sender, Reader: r.Reader, Device: "web"}
	if r.Status > 1 {
		t.Device = "mobile"
	}
	conversation := protocol.ChatName(r.Sender, r.Reader)
	for _, m := range v.Stored(r.MsgID) {
		if m.From == r.Sender && store.FamilyOf(m.Type) == store.FamilyGroup {
			conversation, t.Session = m.SessionID, m.SessionID
		}
	}
	add(conversation, t)
}

// groups tells of each group that a change makes, edits or removes, in one event.
func groups(c *store.Change, add func(string, told)) {
	var list []*told
	of := func(id string) *told {
		i := slices.IndexFunc(list, func(t *told) bool { return t.Session == id })
		if i < 0 {
			i, list = len(list), append(list, &told{Kind: Group, Session: id, Change: "edited"})
		}
		return list[i]
	}
	for _, g := range c.Groups {
		t := of(g.ID)
		t.Change, t.Name, t.Owner = "created", &g.Name, g.Owner
	}
	for _, id := range c.DropGroups {
		of(id).Change = "dissolved"
	}
	for _, edit := range c.EditGroups {
		if edit.Name != nil || edit.Pic != nil {
			t := of(edit.ID)
			t.Name, t.Picture = edit.Name, edit.Pic
		}
	}
	for _, m := range c.Members {
		t := of(m.SessionID)
		t.Joined = append(t.Joined, m.UserID)
	}
	for _, m := range c.DropMembers {
		t := of(m.SessionID)
		t.Gone = append(t.Gone, m.UserID)
	}
	for _, t := range list {
		add(t.Session, *t)
	}
}

// users tells who came into the directory and who left it.
func users(c *store.Change, v View, add func(string, told)) {
	come := slices.Concat(c.Users, c.Learn, c.Relearn)
	if len(come)+len(c.DropUsers) == 0 {
		return
	}
	ids := slices.Clone(c.DropUsers)
	for _, u := range come {
		ids = append(ids, u.ID)
	}
	known := v.Known(ids)
	for _, id := range c.DropUsers {
		if known[id] {
			add("user "+id, told{Kind: Left, User: id})
		}
	}
	for _, u := range come {
		if !known[u.ID] {
			add("user "+u.ID, told{Kind: Came, User: u.ID, Called: u.Name})
		}
	}
}

func encode(t told) string {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	_ = to.Encode(t) // texts and numbers
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// ids gives out ids that rise, also when the clock is set back and after a restart.
type ids struct {
	at int64 // epoch milliseconds
	n  int
}

const maxPerMilli = 99999

// next is an id: where it stands in the order, and something that no other event ever had.
func (i *ids) next(now int64) string {
	switch {
	case now > i.at:
		i.at, i.n = now, 0
	case i.n == maxPerMilli:
		i.at, i.n = i.at+1, 0
	default:
		i.n++
	}
	return fmt.Sprintf("%013d-%05d-%08x", i.at, i.n, rand.Uint32())
}

// follow makes the next id higher than this one.
func (i *ids) follow(id string) error {
	if id == "" {
		return nil
	}
	var rest string
	if _, err := fmt.Sscanf(id, "%013d-%05d-%s", &i.at, &i.n, &rest); err != nil {
		return fmt.Errorf("tlim_event holds an event_id that is none of tlim's: %q", id)
	}
	return nil
}
