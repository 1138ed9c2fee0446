package tracking

import (
	"cmp"
	"context"
	"time"

	"github.com/tidwall/gjson"

	"tlim/component/calls"
	"tlim/component/outbox"
	"tlim/component/protocol"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// Call is what is known of a call that pushed a notice.
type Call struct {
	CallID string
	Open   bool // some receivers are still to be served
	Total  int  // receivers; those whose messages are forgotten (cleanup.ids) not counted, unless the call itself is remembered
}

// Receiver is what became of one receiver's message.
type Receiver struct {
	Number    int // within the call, from 1
	User      string
	MsgID     string
	Time      string // msg_time; "" while Stored is waiting
	Stored    string // waiting, stored, or removed (revoked, or cleaned up)
	Delivered string // queued for their phone, sent, routed by the server, confirmed by the phone; "" while Stored is not stored
	Pushed    string // what became of their phone's push: waiting, or an outcome as in tlim_push; "" when there was none
	Read      int    // 0, 1 on the web, 2 on a phone
}

// trackPage is how many receivers one read looks at.
const trackPage = 500

// Notice says whether there is a call, and what is known of it as a whole. Errors: ErrUnavailable.
func (t *Tracker) Notice(ctx context.Context, callID string) (n Call, found bool, err error) {
	if !calls.ValidID(callID) {
		return n, false, nil
	}
	n.CallID = callID
	row, found, err := t.Store.Call(ctx, callID)
	if err != nil {
		return n, false, protocol.ErrUnavailable
	}
	if found {
		n.Total, n.Open = row.Receivers, !row.Done
		return n, true, nil
	}
	if n.Total, err = t.Store.CountIDs(ctx, protocol.AdminID, callID[:calls.Stem]+calls.First, callID[:calls.Stem]+calls.Last); err != nil {
		return n, false, protocol.ErrUnavailable
	}
	return n, n.Total > 0, nil
}

// TrackNotice says what became of the messages of a call: of at most limit receivers (no more than 500) behind number after,
// in their order. An empty list is the end. What it says of one receiver may be a moment older than of another. Errors:
// ErrUnavailable.
func (t *Tracker) TrackNotice(ctx context.Context, n Call, after, limit int) ([]Receiver, error) {
	if after >= calls.MaxReceivers {
		return nil, nil
	}
	limit = min(limit, trackPage)
	ids, err := t.Store.IDsBetween(ctx, protocol.AdminID, calls.MessageID(n.CallID, after+1), n.CallID[:calls.Stem]+calls.Last, limit)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	list, err := t.tracked(ctx, ids)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	if !n.Open || len(list) == limit {
		return list, nil
	}
	// What was served while this was read is seen as waiting, and stored the next time.
	if len(list) > 0 {
		after = list[len(list)-1].Number
	}
	for from := max(0, after+2-calls.PartSize); len(list) < limit; {
		parts, err := t.Store.CallParts(ctx, n.CallID, from, 2)
		if err != nil {
			return nil, protocol.ErrUnavailable
		}
		if len(parts) == 0 {
			break
		}
		for _, part := range parts {
			for i, user := range part.To {
				if number := part.First + i; number > after && len(list) < limit {
					list = append(list, Receiver{Number: number, User: user, MsgID: calls.MessageID(n.CallID, number), Stored: "waiting"})
				}
			}
			from = part.First + 1
		}
	}
	return list, nil
}

// Summary is a call that pushed a notice, and how many of its receivers' messages are how far.
type Summary struct {
	CallID    string
	Caller    string
	Type      string
	Title     string // as the notice has it; "" when it has none, or its first message is gone
	Made      time.Time
	Open      bool
	Receivers int
	Stored    int // there still: not waiting, revoked or cleaned up
	Delivered int // of them: not queued for the phone any more
	Pushed    int // of them: a push went out, as far as the outbox remembers that, which is a day
	Read      int
}

// maxSummed is how many receivers one page of [Tracker.Notices] counts, unless its first call has more: some hundred milliseconds of the database.
const maxSummed = 100_000

// Notices lists the calls that pushed notices, newest first, behind the one with the id after ("" = from the newest): limit of them, or fewer with
// next, behind which there are more. Errors: ErrUnavailable.
func (t *Tracker) Notices(ctx context.Context, after string, limit int) (list []Summary, next string, err error) {
	rows, err := t.Store.ListCalls(ctx, after, limit)
	if err != nil {
		return nil, "", protocol.ErrUnavailable
	}
	if len(rows) == limit {
		next = rows[limit-1].ID
	}
	firsts, summed := make([]string, 0, len(rows)), 0
	for i, row := range rows {
		if summed += row.Receivers; i > 0 && summed > maxSummed {
			rows, next = rows[:i], rows[i-1].ID
			break
		}
		firsts = append(firsts, calls.MessageID(row.ID, 1))
	}
	bodies, err := t.Store.MessagesByID(ctx, firsts)
	if err != nil {
		return nil, "", protocol.ErrUnavailable
	}
	list = make([]Summary, len(rows))
	for i, row := range rows {
		n, err := t.Store.CountCall(ctx, protocol.AdminID, row.Type, firsts[i], calls.MessageID(row.ID, max(1, row.Receivers)))
		if err != nil {
			return nil, "", protocol.ErrUnavailable
		}
		list[i] = Summary{CallID: row.ID, Caller: row.Caller, Type: row.Type, Made: time.UnixMilli(row.Made), Open: !row.Done, Receivers: row.Receivers,
			Stored: n.Stored, Delivered: max(0, n.Stored-n.Queued), Pushed: min(n.Pushed, row.Receivers), Read: min(n.Read, n.Stored)}
		for _, m := range bodies[firsts[i]] {
			list[i].Title = t.title(m.Body)
		}
	}
	return list, next, nil
}

// title is what a notice calls itself: title of a system message, docTitle of an approval.
func (t *Tracker) title(body string) string {
	first := gjson.Parse(body).Get("0")
	return t.Title(cmp.Or(first.Get("title").String(), first.Get("docTitle").String()))
}

// tracked gathers what the tables and the memory say of messages.
func (t *Tracker) tracked(ctx context.Context, ids []store.ID) ([]Receiver, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.MsgID
	}
	// Memory first: what becomes a row, or is confirmed, meanwhile is then seen as it was.
	users := make([]protocol.Person, len(ids))
	copies := make(map[unconfirmed.RowKey]string, len(ids))
	for i, id := range ids {
		users[i] = protocol.NewPerson(protocol.ChatPeer(id.Conversation, protocol.AdminID), t.Server)
		copies[unconfirmed.RowKey{Owner: users[i].ID, MsgID: id.MsgID}] = users[i].Local
	}
	inMemory := t.Unconfirmed.Open(copies)
	delivered := t.Delivered()
	rows, err := t.Store.OfflineOwners(ctx, names)
	if err != nil {
		return nil, err
	}
	messages, err := t.Store.MessageHeads(ctx, names)
	if err != nil {
		return nil, err
	}
	pushes, err := t.Store.PushesOf(ctx, names)
	if err != nil {
		return nil, err
	}
	keys := make([]store.ReceiptKey, len(ids))
	for i, id := range ids {
		keys[i] = store.ReceiptKey{MsgID: id.MsgID, Reader: users[i].ID}
	}
	receipts, err := t.Store.Receipts(ctx, keys)
	if err != nil {
		return nil, err
	}

	list := make([]Receiver, len(ids))
	for i, id := range ids {
		r := Receiver{Number: calls.Number(id.MsgID), User: users[i].ID, MsgID: id.MsgID, Time: id.Time, Stored: "removed"}
		if _, there := messages[id.MsgID]; there {
			r.Stored = "stored"
			switch {
			case rows[store.OfflineKey{Owner: r.User, MsgID: r.MsgID}]:
				r.Delivered = "queued"
			case inMemory[unconfirmed.RowKey{Owner: r.User, MsgID: r.MsgID}] || protocol.TimeOrZero(id.Time) > delivered:
				r.Delivered = "sent"
			case t.Confirms(users[i].Local):
				r.Delivered = "confirmed"
			default:
				r.Delivered = "routed"
			}
		}
		for _, p := range pushes[id.MsgID] {
			r.Pushed = pushedState(r.Pushed, p)
		}
		for _, read := range receipts[keys[i]] {
			r.Read = max(r.Read, read.Status)
		}
		list[i] = r
	}
	return list, nil
}

// pushedState adds what an outbox row of a message to one receiver says: of several, one that was sent counts most, then one
// that waits.
func pushedState(known string, row store.Push) string {
	for _, to := range row.To {
		outcome := outbox.OutcomeOf(&row, to)
		if outcome == "" {
			outcome = "waiting"
		}
		switch {
		case known == outbox.Sent:
		case outcome == outbox.Sent, outcome == "waiting", known == "":
			known = outcome
		}
	}
	return known
}
