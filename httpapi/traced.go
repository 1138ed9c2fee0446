package httpapi

import (
	"cmp"
	"encoding/hex"
	"strconv"
	"strings"

	"tlim/store"
)

// Traced is what the tables say of one message id, as admin/trace and `tlim trace` show it. Lists that were cut at [MaxTraceRows] say so
// in Cut.
type Traced struct {
	Cut        []string        `json:"cut"`
	Files      []string        `json:"files"`
	Messages   []TracedMessage `json:"messages"` // several only in tables of the old system
	MsgID      string          `json:"msg_id"`
	Offline    []TracedOffline `json:"offline"`
	Pushes     []TracedPush    `json:"pushes"`
	Receipts   []TracedReceipt `json:"receipts"`
	Remembered []TracedID      `json:"remembered"` // what a repeated message is recognised by
}

// TracedMessage is a row of ofmessage.
type TracedMessage struct {
	Body    string `json:"body,omitempty"`
	Bytes   int    `json:"bytes"`
	Foreign bool   `json:"foreign"` // another program stored it: its time is none that was given out here
	Row     string `json:"id_,omitempty"`
	From    string `json:"msg_from,omitempty"`
	Time    string `json:"msg_time,omitempty"`
	To      string `json:"msg_to,omitempty"`
	Type    string `json:"msg_type,omitempty"`
	Routed  bool   `json:"routed"` // the server proved it
	Session string `json:"session_id,omitempty"`
	Settled bool   `json:"settled"` // nothing is unconfirmed in memory only
}

// TracedID is a row of tlim_id.
type TracedID struct {
	Conversation string `json:"conversation,omitempty"`
	From         string `json:"msg_from,omitempty"`
	Time         string `json:"msg_time,omitempty"`
	State        string `json:"state,omitempty"`
	What         string `json:"what"` // message or revoke
}

// TracedOffline is a row of ofcustomoffline.
type TracedOffline struct {
	Row    string `json:"id_,omitempty"`
	Status int    `json:"msg_status"`
	Since  int64  `json:"since,omitempty"` // when the row was made, where its id tells
	User   string `json:"user_id,omitempty"`
}

// TracedReceipt is a row of ofstatus.
type TracedReceipt struct {
	Reader string `json:"reader,omitempty"`
	Sender string `json:"sender,omitempty"`
	Status int    `json:"status"`
}

// TracedPush is a row of tlim_push.
type TracedPush struct {
	Alert   string         `json:"alert,omitempty"`
	Channel string         `json:"channel"`
	Done    bool           `json:"done"`
	Due     int64          `json:"due"` // of one that is done, when that was
	Made    int64          `json:"made"`
	Title   string         `json:"title,omitempty"`
	To      []TracedPushTo `json:"to"`
	Tries   int            `json:"tries"` // failed so far
}

// TracedPushTo is one of its receivers.
type TracedPushTo struct {
	Outcome string `json:"outcome"` // waits, or what became of it
	User    string `json:"user_id"`
}

// MaxTraceRows bounds the receipts and the offline rows that are listed, each.
const MaxTraceRows = 1000

// pushWaits is the outcome of a push that has none yet.
const pushWaits = "waits"

// NewTraced makes it of what was read, at most MaxTraceRows+1 rows of each kind; with body also what people wrote.
func NewTraced(f store.Trace, body bool) Traced {
	t := Traced{Cut: []string{}, MsgID: f.MsgID, Messages: []TracedMessage{}, Remembered: []TracedID{}, Offline: []TracedOffline{}, Receipts: []TracedReceipt{},
		Pushes: []TracedPush{}, Files: append([]string{}, f.Files...)}
	for _, m := range f.Messages {
		at, err := strconv.ParseInt(m.Time, 10, 64)
		one := TracedMessage{Row: m.ID, Type: m.Type, From: m.From, To: m.To, Session: m.SessionID, Time: m.Time, Bytes: len(m.Body),
			Routed: err == nil && at <= f.State.Delivered, Settled: err == nil && at <= f.State.Settled}
		one.Foreign = err != nil || at > max(f.State.Clock, f.State.Delivered)
		if body {
			one.Body = m.Body
		}
		t.Messages = append(t.Messages, one)
	}
	for _, id := range f.IDs {
		what := "message"
		if id.Class == store.ClassRevoke {
			what = "revoke"
		}
		t.Remembered = append(t.Remembered, TracedID{What: what, State: string(id.State), From: id.From, Conversation: id.Conversation, Time: id.Time})
	}
	for _, p := range f.Offline {
		t.Offline = append(t.Offline, TracedOffline{User: p.Owner, Status: p.Status, Row: p.ID, Since: madeAt(p.ID)})
	}
	for _, r := range f.Receipts {
		t.Receipts = append(t.Receipts, TracedReceipt{Reader: r.Reader, Sender: r.Sender, Status: r.Status})
	}
	for _, p := range f.Pushes {
		one := TracedPush{Channel: p.Channel, Done: p.Done, Tries: p.Tries, Made: p.Made, Due: p.Due, To: pushedTo(&p)}
		if body {
			one.Title, one.Alert = p.Title, p.Alert
		}
		t.Pushes = append(t.Pushes, one)
	}
	t.Offline = cut(&t, "offline", t.Offline)
	t.Receipts = cut(&t, "receipts", t.Receipts)
	return t
}

// pushedTo are the receivers of an outbox row, each with what became of it.
func pushedTo(p *store.Push) []TracedPushTo {
	list := make([]TracedPushTo, 0, len(p.To))
	for _, to := range p.To {
		list = append(list, TracedPushTo{User: to.User, Outcome: cmp.Or(to.Outcome, p.Outcome, pushWaits)})
	}
	return list
}

// cut bounds a list of t and notes that there is more.
func cut[T any](t *Traced, name string, list []T) []T {
	if len(list) <= MaxTraceRows {
		return list
	}
	t.Cut = append(t.Cut, name)
	return list[:MaxTraceRows]
}

// Known says whether the tables know anything of the id.
func (t *Traced) Known() bool {
	return len(t.Messages)+len(t.Remembered)+len(t.Receipts)+len(t.Offline)+len(t.Pushes)+len(t.Files) > 0
}

// madeAt is when the id of a row was made, in epoch milliseconds: ids of version 7 begin with that. 0 for others, as of the old system.
func madeAt(id string) int64 {
	if len(id) != 36 || id[14] != '7' || strings.Count(id, "-") != 4 {
		return 0
	}
	var b [8]byte
	if _, err := hex.Decode(b[2:], []byte(id[:8]+id[9:13])); err != nil {
		return 0
	}
	ms := int64(0)
	for _, c := range b {
		ms = ms<<8 | int64(c)
	}
	return ms
}
