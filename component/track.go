package component

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tlim/component/calls"
	"tlim/component/outbox"
	"tlim/component/protocol"
	"tlim/component/unasked"
	"tlim/component/unconfirmed"
	"tlim/store"
)

// NoticeState is what is known of a call that pushed a notice.
type NoticeState struct {
	CallID string
	Open   bool // some receivers are still to be served
	Total  int  // receivers; those whose messages are forgotten (cleanup.ids) not counted, unless the call itself is remembered
}

// NoticeReceiver is what became of one receiver's message.
type NoticeReceiver struct {
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
func (s *Service) Notice(ctx context.Context, callID string) (n NoticeState, found bool, err error) {
	if !calls.ValidID(callID) {
		return n, false, nil
	}
	n.CallID = callID
	row, found, err := s.queries.Call(ctx, callID)
	if err != nil {
		return n, false, protocol.ErrUnavailable
	}
	if found {
		n.Total, n.Open = row.Receivers, !row.Done
		return n, true, nil
	}
	if n.Total, err = s.queries.CountIDs(ctx, protocol.AdminID, callID[:calls.Stem]+calls.First, callID[:calls.Stem]+calls.Last); err != nil {
		return n, false, protocol.ErrUnavailable
	}
	return n, n.Total > 0, nil
}

// TrackNotice says what became of the messages of a call: of at most limit receivers (no more than 500) behind number after,
// in their order. An empty list is the end. What it says of one receiver may be a moment older than of another. Errors:
// ErrUnavailable.
func (s *Service) TrackNotice(ctx context.Context, n NoticeState, after, limit int) ([]NoticeReceiver, error) {
	if after >= calls.MaxReceivers {
		return nil, nil
	}
	limit = min(limit, trackPage)
	ids, err := s.queries.IDsBetween(ctx, protocol.AdminID, calls.MessageID(n.CallID, after+1), n.CallID[:calls.Stem]+calls.Last, limit)
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	list, err := s.tracked(ctx, ids)
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
	for from := max(0, after+2-noticeSlice); len(list) < limit; {
		parts, err := s.queries.CallParts(ctx, n.CallID, from, 2)
		if err != nil {
			return nil, protocol.ErrUnavailable
		}
		if len(parts) == 0 {
			break
		}
		for _, part := range parts {
			for i, user := range part.To {
				if number := part.First + i; number > after && len(list) < limit {
					list = append(list, NoticeReceiver{Number: number, User: user, MsgID: calls.MessageID(n.CallID, number), Stored: "waiting"})
				}
			}
			from = part.First + 1
		}
	}
	return list, nil
}

// NoticeSummary is a call that pushed a notice, and how many of its receivers' messages are how far.
type NoticeSummary struct {
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

// maxSummed is how many receivers one page of [Service.Notices] counts, unless its first call has more: some hundred milliseconds of the database.
const maxSummed = 100_000

// Notices lists the calls that pushed notices, newest first, behind the one with the id after ("" = from the newest): limit of them, or fewer with
// next, behind which there are more. Errors: ErrUnavailable.
func (s *Service) Notices(ctx context.Context, after string, limit int) (list []NoticeSummary, next string, err error) {
	rows, err := s.queries.ListCalls(ctx, after, limit)
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
	bodies, err := s.store.MessagesByID(ctx, firsts)
	if err != nil {
		return nil, "", protocol.ErrUnavailable
	}
	list = make([]NoticeSummary, len(rows))
	for i, row := range rows {
		n, err := s.queries.CountCall(ctx, protocol.AdminID, firsts[i], calls.MessageID(row.ID, max(1, row.Receivers)))
		if err != nil {
			return nil, "", protocol.ErrUnavailable
		}
		list[i] = NoticeSummary{CallID: row.ID, Caller: row.Caller, Type: row.Type, Made: time.UnixMilli(row.Made), Open: !row.Done, Receivers: row.Receivers,
			Stored: n.Stored, Delivered: max(0, n.Stored-n.Queued), Pushed: min(n.Pushed, row.Receivers), Read: min(n.Read, n.Stored)}
		for _, m := range bodies[firsts[i]] {
			list[i].Title = noticeTitle(m.Body)
		}
	}
	return list, next, nil
}

// noticeTitle is what a notice calls itself: title of a system message, docTitle of an approval.
func noticeTitle(body string) string {
	first := gjson.Parse(body).Get("0")
	return protocol.Shorten(tidy(cmp.Or(first.Get("title").String(), first.Get("docTitle").String())), maxTitle)
}

// tracked gathers what the tables and the memory say of messages.
func (s *Service) tracked(ctx context.Context, ids []store.ID) ([]NoticeReceiver, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.MsgID
	}
	// Memory first: what becomes a row, or is confirmed, meanwhile is then seen as it was.
	users := make([]protocol.Person, len(ids))
	copies := make(map[unconfirmed.RowKey]string, len(ids))
	for i, id := range ids {
		users[i] = protocol.NewPerson(protocol.ChatPeer(id.Conversation, protocol.AdminID), s.cfg.Server)
		copies[unconfirmed.RowKey{Owner: users[i].ID, MsgID: id.MsgID}] = users[i].Local
	}
	inMemory := s.unconfirmed.Open(copies)
	delivered := s.delivered.Load()
	rows, err := s.store.OfflineOwners(ctx, names)
	if err != nil {
		return nil, err
	}
	messages, err := s.queries.MessageHeads(ctx, names)
	if err != nil {
		return nil, err
	}
	pushes, err := s.queries.PushesOf(ctx, names)
	if err != nil {
		return nil, err
	}
	keys := make([]store.ReceiptKey, len(ids))
	for i, id := range ids {
		keys[i] = store.ReceiptKey{MsgID: id.MsgID, Reader: users[i].ID}
	}
	receipts, err := s.store.Receipts(ctx, keys)
	if err != nil {
		return nil, err
	}

	list := make([]NoticeReceiver, len(ids))
	for i, id := range ids {
		r := NoticeReceiver{Number: calls.Number(id.MsgID), User: users[i].ID, MsgID: id.MsgID, Time: id.Time, Stored: "removed"}
		if _, there := messages[id.MsgID]; there {
			r.Stored = "stored"
			switch {
			case rows[store.OfflineKey{Owner: r.User, MsgID: r.MsgID}]:
				r.Delivered = "queued"
			case inMemory[unconfirmed.RowKey{Owner: r.User, MsgID: r.MsgID}] || protocol.TimeOrZero(id.Time) > delivered:
				r.Delivered = "sent"
			case s.cfg.Confirm != ConfirmByPresence && s.users.Confirms(users[i].Local) != store.ConfirmsNot:
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

// Where a user's copy of a message is, as far as memory holds it; see [unconfirmed.State].
const (
	CopyWaits    = unconfirmed.Waits
	CopySent     = unconfirmed.Sent
	CopyAsked    = unconfirmed.Asked
	CopyAnswered = unconfirmed.Answered
	CopyRow      = unconfirmed.Row
	CopyFollows  = unconfirmed.Follows
)

// Sight is what memory knows of one user and one message.
type Sight struct {
	User  string
	Where unconfirmed.State // "" when no copy of theirs is in memory
	Sent  time.Time         // when that went out; zero when it did not
	Proof Proof             // how a phone of theirs got it
	At    time.Time         // when that was; zero without a Proof
}

// Look says of these users, in the directory's spelling, what memory knows of a message, and how far deliveries are known to be routed. It
// knows what came since the process started, and of the proofs the last ones.
func (s *Service) Look(msgID string, users []string) (list []Sight, delivered int64) {
	people := make([]protocol.Person, len(users))
	for i, user := range users {
		people[i] = protocol.NewPerson(user, s.cfg.Server)
	}
	delivered = s.delivered.Load()
	where := map[string]unconfirmed.Where{}
	for _, w := range s.unconfirmed.Where(msgID, people) {
		where[w.User] = w
	}
	list = make([]Sight, len(users))
	for i, p := range people {
		list[i] = Sight{User: p.ID, Where: where[p.ID].State, Sent: where[p.ID].Sent}
		if how, at := s.proved.of(p.Local, msgID); how != ProofNone {
			list[i].Proof, list[i].At = how, at
		}
	}
	return list, delivered
}

// Device is a device that is known to be there.
type Device struct {
	Resource string
	Class    string // web, android, ios or other
	Show     string // "" is available
	Since    time.Time
}

// Devices lists the devices of each of these users, in the directory's spelling. known says whether the absence of a device means anything: a
// snapshot of the server is there.
func (s *Service) Devices(users []string) (list [][]Device, known bool) {
	known = s.presence.Known()
	list = make([][]Device, len(users))
	for i, user := range users {
		list[i] = []Device{}
		p := protocol.NewPerson(user, s.cfg.Server)
		for _, d := range s.presence.Devices(p.Local) {
			_, resource, _ := strings.Cut(d.Full, "/")
			list[i] = append(list[i], Device{Resource: resource, Class: unasked.ClassOf(resource), Show: d.Show, Since: d.Seen})
		}
		slices.SortFunc(list[i], func(a, b Device) int { return cmp.Compare(a.Resource, b.Resource) })
	}
	return list, known
}

// Waiting is what waits for a user and is in memory alone: copies that nothing proves to be received, and rows that are still to be written, in the
// order of time.
func (s *Service) Waiting(user string) []store.OfflineMessage {
	p := protocol.NewPerson(user, s.cfg.Server)
	return entryRows(p.ID, s.unconfirmed.Queue(p))
}

// Client is one user with one class of client.
type Client = unasked.Client

// Unasking lists at most n clients that send without ever asking for an acknowledgement, those that sent last first.
func (s *Service) Unasking(n int) []Client {
	if s.conveyor.unasked == nil {
		return nil
	}
	return s.conveyor.unasked.Silent(n)
}

// Treatment says what is done with messages of a type: are they stored, do they wait for absent phones, do they wake them.
func (s *Service) Treatment(msgType string) (stored, queued, pushed bool) {
	k := s.kinds.of(msgType)
	switch {
	case k == nil:
		return false, false, false
	case k.scope == scopeBusiness: // what is stored of them is made by the server; clients' own pass without a trace
		k = s.kinds.notice
	}
	return k.Stored, k.Queued, k.Pushed
}
