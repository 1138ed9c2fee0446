package unconfirmed

import (
	"time"

	"tlim/component/protocol"
)

// State is where a user's copy of a message is, as far as memory holds it.
type State string

// The states.
const (
	Waits    State = "waits"    // the server has to route others first
	Sent     State = "sent"     // it went out, and nothing proves yet that a phone has it
	Asked    State = "asked"    // likewise; pings around it are under way
	Answered State = "answered" // its pings are answered: it is settled when the grace is over
	Row      State = "row"      // it is about to become an offline message
	Follows  State = "follows"  // its offline message is to follow the message
)

// Where is a user's copy of a message in memory.
type Where struct {
	User  string // as rows name them
	State State
	Sent  time.Time // when the last copies of the message went out; zero while they wait, and of rows
}

// Where says of these users whose copy of a message is in memory, in their order.
func (t *Table) Where(msgID string, users []protocol.Person) (list []Where) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := map[string]bool{} // owners: there may be many rows, and many users are asked about
	for _, list := range [...][]waitingRow{t.taken, t.rows} {
		for _, r := range list {
			if r.message.Row.MsgID == msgID {
				rows[r.owner] = true
			}
		}
	}
	for _, p := range users {
		if w, there := t.where(msgID, p, rows); there {
			list = append(list, w)
		}
	}
	return list
}

func (t *Table) where(msgID string, p protocol.Person, rows map[string]bool) (Where, bool) {
	if u := t.users[p.Local]; u != nil && p.Local != "" {
		for i := len(u.copies) - 1; i >= 0; i-- {
			c := &u.copies[i]
			if c.message == nil || c.message.gone || c.message.Row.MsgID != msgID {
				continue
			}
			w := Where{User: p.ID, State: Sent, Sent: c.message.sent}
			switch {
			case c.held > 0:
				w.State = Answered
			case w.Sent.IsZero():
				w.State = Waits
			case c.asked > 0:
				w.State = Asked
			}
			return w, true
		}
	}
	if t.deferred.has(p.ID, msgID) {
		return Where{User: p.ID, State: Follows}, true
	}
	if rows[p.ID] {
		return Where{User: p.ID, State: Row}, true
	}
	return Where{}, false
}
