package shadow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tlim/component"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// message is one msg_id: what clients sent, what tlim made of it, and what is in the plugin's tables.
type message struct {
	id string

	// Of the copies.
	copies   int       // 0: no client sent it, tlim made it
	sent     time.Time // when the server got the first
	came     time.Time // when the last was decided
	sender   string    // whom the server authenticated, and by which resource
	resource string
	address  string // that it was sent to
	msgType  string
	from, to string
	named    map[string]bool // local parts of users whom the body names

	// What tlim made of it.
	code    protocol.Code // why it was refused; "": it was not
	want    *store.Message
	owners  map[string]int // who gets an offline message, by local part
	revoked bool           // by a later revoke, or one that came first

	// What the plugin has written, in any look.
	rows   map[string]store.Message        // by id_
	queue  map[string]store.OfflineMessage // by id_
	looked time.Time                       // the last time
	equal  int                             // looks in a row that found no difference

	before bool // its id was in the table before the copies began
}

func (m *message) is() component.Traits { return component.TraitsOf(m.msgType) }

// saw adds what a look has found. A row that was there once has been written, even where somebody has fetched or deleted it since.
func (m *message) saw(rows []store.Message, queue []store.OfflineMessage) {
	for _, r := range rows {
		m.rows[r.ID] = r
	}
	for _, r := range queue {
		m.queue[r.ID] = r
	}
}

// finding is one difference, or why something cannot be compared.
type finding struct {
	what   string
	rule   Rule
	not    string // why it is not compared; "": it is a difference
	detail string
}

// lacks says whether the plugin's rows are still missing.
func lacks(list []finding) bool {
	return slices.ContainsFunc(list, func(f finding) bool { return f.what == MessageMissing || f.what == QueueMissing })
}

// What differs.
const (
	MessageMissing  = "message: missing in the table"
	MessageTwice    = "message: twice in the table"
	MessageRefused  = "message: in the table, refused by tlim"
	MessageUnstored = "message: in the table, and tlim stores none"
	MessageGone     = "message: in the table, and revoked"
	MessageBody     = "message: other body"
	MessageFrom     = "message: other msg_from"
	MessageTo       = "message: other msg_to"
	MessageType     = "message: other msg_type"
	MessageOurs     = "message: made by tlim alone"
	QueueMissing    = "offline message: missing in the table"
	QueueExtra      = "offline message: in the table, and tlim makes none"
	QueueTwice      = "offline message: twice in the table"
)

// Why something is not compared.
const (
	NotEnvelope  = "no envelope: other traffic of the server"
	NotID        = "no msg_id: nothing tells the rows apart"
	NotTaken     = "tlim could not take it just then"
	NotAgain     = "the same msg_id again, after it had been compared"
	NotPresence  = "somebody came or went between the message and its copy"
	NotBlind     = "no list of who is there"
	NotFetched   = "the phone has come since, and may have fetched it"
	NotMember    = "the group's members have changed since the message"
	NotFormer    = "a notice about members by somebody who may have just left: only their HTTP call tells, which is not seen"
	NotHTTP      = "made by an HTTP call: no client has sent it"
	NotBegun     = "sent before the copies began"
	NotScanned   = "looking for rows without a copy took too long, or found too many"
	NotRead      = "the plugin's tables could not be read for a while"
	NotUndecided = "the run ended before it was decided"
)

// answers are what judging a message needs of the site, and is asked only where something is missing.
type answers struct{ holdsMessage, holdsQueued bool }

// judgeMessage holds the row of ofmessage against tlim's.
func (c *Comparison) judgeMessage(m *message, site answers) []finding {
	rows := m.list()
	switch {
	case m.copies == 0:
		return []finding{{what: MessageOurs, rule: RuleDissolve}}
	case m.code == protocol.TryLater:
		return []finding{{not: NotTaken}}
	case m.code == protocol.NotAllowed && m.is().Late && len(rows) > 0:
		return []finding{{not: NotFormer}}
	case m.code != "" && len(rows) > 0:
		return []finding{{what: MessageRefused, rule: m.ruleOf(m.code), detail: string(m.code)}}
	case m.code != "":
		return nil
	case m.want == nil && len(rows) == 0:
		return nil
	case m.want == nil:
		return []finding{{what: MessageUnstored, rule: c.ruleOfUnstored(m)}}
	case m.revoked && len(rows) > 0:
		return []finding{{what: MessageGone, rule: RuleRevoke}}
	case m.revoked:
		return nil
	case len(rows) == 0 && !c.revokedInVain[m.id].IsZero():
		return []finding{{what: MessageMissing, rule: RuleRevoke, detail: "the plugin has taken it away for somebody who may not"}}
	case len(rows) == 0 && !site.holdsMessage:
		return []finding{{what: MessageMissing, rule: RuleErrors, detail: "its column cannot hold the body: tlim says error-012 until the tables are converted"}}
	case len(rows) == 0:
		return []finding{{what: MessageMissing}}
	}
	var list []finding
	if len(rows) > 1 {
		f := finding{what: MessageTwice, detail: fmt.Sprintf("%d rows", len(rows))}
		if m.copies > 1 || m.before {
			f.rule = RuleOnce
		}
		list = append(list, f)
	}
	return append(list, m.fields(rows[0])...)
}

// fields compares one row.
func (m *message) fields(have store.Message) (list []finding) {
	want := m.want
	if want.Type != have.Type {
		list = append(list, finding{what: MessageType, detail: want.Type + " here, " + have.Type + " there"})
	}
	for _, f := range []struct{ what, ours, theirs string }{{MessageFrom, want.From, have.From}, {MessageTo, want.To, have.To}} {
		switch {
		case f.ours == f.theirs:
		case protocol.SameUser(f.ours, f.theirs):
			list = append(list, finding{what: f.what, rule: RuleIDs, detail: f.ours + " here, " + f.theirs + " there"})
		default:
			list = append(list, finding{what: f.what, detail: f.ours + " here, " + f.theirs + " there"})
		}
	}
	if rule, same := sameBody(want.Body, have.Body); !same || rule != "" {
		list = append(list, finding{what: MessageBody, rule: rule, detail: difference(want.Body, have.Body)})
	}
	return list
}

// difference tells where two texts part, and nothing of what people wrote.
func difference(a, b string) string {
	x, y := []rune(a), []rune(b)
	at := 0
	for at < len(x) && at < len(y) && x[at] == y[at] {
		at++
	}
	return fmt.Sprintf("%d characters here, %d there, the same up to the %d. one", len(x), len(y), at)
}

// ruleOfUnstored is for what tlim took and stored nowhere.
func (c *Comparison) ruleOfUnstored(m *message) Rule {
	_, revoked := c.revoked[m.id]
	switch {
	case revoked && !m.is().Receipt:
		return RuleRevoke // its revoke came first
	case m.before || m.copies > 1:
		return RuleOnce
	case m.is().ByServer:
		return RuleDissolve
	case m.is().Late:
		return RuleGroups // of a group that is gone
	}
	return Unexplained
}

// expectsRows says whether there is to be a row of anything.
func (m *message) expectsRows() bool { return !m.revoked && (m.want != nil || len(m.owners) > 0) }

// list is the rows in the order of their keys.
func (m *message) list() []store.Message {
	list := make([]store.Message, 0, len(m.rows))
	for _, r := range m.rows {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b store.Message) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// judgeQueue holds the rows of ofcustomoffline against tlim's, owner by owner. owners is how many were compared.
func (c *Comparison) judgeQueue(m *message, site answers) (owners int, list []finding) {
	have := map[string]int{}
	for _, r := range m.queue {
		have[localpart(r.Owner)]++
	}
	if m.copies == 0 || m.code == protocol.TryLater {
		return 0, nil
	}
	all := map[string]bool{}
	for o := range have {
		all[o] = true
	}
	for o := range m.owners {
		all[o] = true
	}
	for o := range all {
		owners++
		ours, theirs := m.owners[o], have[o]
		if m.revoked {
			ours = 0
		}
		var f finding
		switch {
		case ours > 0 && theirs == 0:
			f = c.missing(m, o, site)
		case ours == 0 && theirs > 0:
			f = c.extra(m, o)
		case theirs > ours:
			f = finding{what: QueueTwice}
			if m.copies > 1 || m.before {
				f.rule = RuleOnce
			} else if o == m.sender {
				f.rule = RuleOffline // one for each receiver, and one of the receiver's own
			}
		default:
			continue
		}
		if f.what == "" && f.not == "" {
			continue
		}
		f.detail = strings.TrimSpace("of " + o + " " + f.detail)
		list = append(list, f)
	}
	return owners, list
}

// missing says why the plugin has no row.
func (c *Comparison) missing(m *message, owner string, site answers) finding {
	switch {
	case !c.presence.Known(m.sent):
		return finding{not: NotBlind}
	case !c.presence.Steady(owner, m.sent.Add(-clockSlack), m.came.Add(presenceSlack)):
		return finding{not: NotPresence}
	case c.presence.PhoneCame(owner, m.sent.Add(-clockSlack)):
		return finding{not: NotFetched}
	case m.is().TellsNamed && m.named[owner]:
		return finding{what: QueueMissing, rule: RuleGroups, detail: "who is named in the notice"}
	case m.is().Group && c.left(m.want, owner):
		return finding{not: NotMember}
	case !site.holdsQueued:
		return finding{what: QueueMissing, rule: RuleErrors, detail: "the queue's column cannot hold the body"}
	}
	return finding{what: QueueMissing}
}

// extra says why the plugin has a row.
func (c *Comparison) extra(m *message, owner string) finding {
	f := finding{what: QueueExtra}
	switch {
	case m.code == protocol.NotAllowed && m.is().Late:
		return finding{not: NotFormer}
	case m.code != "":
		f.rule, f.detail = m.ruleOf(m.code), string(m.code)
	case m.revoked:
		f.rule = RuleRevoke
	case !c.presence.Known(m.sent):
		return finding{not: NotBlind}
	case !c.presence.Steady(owner, m.sent.Add(-clockSlack), m.came.Add(presenceSlack)):
		return finding{not: NotPresence}
	case m.is().Receipt && (m.is().Group || owner == m.sender):
		f.rule = RuleReceipts
	case m.is().ByServer:
		f.rule = RuleDissolve
	case owner == m.sender:
		if mobile, web := c.presence.On(owner); !mobile && (!web || presence.IsMobile(m.resource)) {
			f.rule = RuleOffline // only who sends from the web gets their own
		}
	case m.want != nil && m.is().Group && c.wasMember(m.want.SessionID, owner) && c.left(m.want, owner):
		return finding{not: NotMember}
	case m.want == nil && m.rowsKnown():
		f.rule = c.ruleOfUnstored(m)
	}
	return f
}

// rowsKnown says whether the plugin has stored the message too.
func (m *message) rowsKnown() bool { return len(m.rows) > 0 }

// localpart is a user id as addresses have it.
func localpart(id string) string {
	local, err := stanza.Localpart(id)
	if err != nil {
		return id
	}
	return local
}

// body is what the tables were to hold.
func (m *message) body() string {
	switch {
	case m.want != nil:
		return m.want.Body
	case len(m.rows) > 0:
		return m.list()[0].Body
	}
	return ""
}

// ask learns of the site what explains missing rows.
func ask(ctx context.Context, site Site, body string) (a answers, err error) {
	if a.holdsMessage, err = site.HoldsMessage(ctx, body); err != nil {
		return answers{true, true}, err
	}
	a.holdsQueued, err = site.HoldsQueued(ctx, body)
	return a, err
}
