package httpapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/tracking"
	"tlim/store"
)

// evidence is all that is known of one message and one user.
type evidence struct {
	user    string // canonical id
	known   bool   // the directory has them
	account store.User
	trace   store.Trace
	sight   tracking.Sight
	routed  int64 // up to here the server has routed all, as memory and tables say
	devices []tracking.Device
	listed  bool // the absence of a device means something

	group    store.Group // of a group's message
	there    bool        // the group is
	member   *store.Member
	former   *store.Former
	queued   bool      // messages of this type wait for absent phones
	pushed   bool      // and wake them
	begun    time.Time // of this process: what came before is not remembered
	language Language
	zone     *time.Location
	outside  bool // it did not go to them: see outsideVerdicts
	offline  Offline
	now      time.Time

	refusals []component.Refusal         // of this id, newest first
	trouble  func(channel string) string // why no push goes out by a channel; "" where some do
}

// explanation says in words why a user's phone has a message, or has not.
type explanation struct {
	Facts   []fact `json:"facts"`
	Text    string `json:"text"`
	User    string `json:"user_id"`
	Verdict string `json:"verdict"`
}

// fact is one thing that is known, in words.
type fact struct {
	At   int64  `json:"at,omitempty"` // epoch milliseconds
	Text string `json:"text"`
	What string `json:"what"`
}

// verdict is what an explanation comes to.
type verdict struct {
	word string
	text text
	args []any
}

// message is the stored message. Legacy tables can have several of an id: the one that names the user counts.
func (e *evidence) message() *store.Message {
	for i := range e.trace.Messages {
		m := &e.trace.Messages[i]
		if protocol.SameUser(m.From, e.user) || protocol.SameUser(m.To, e.user) || e.member != nil && m.SessionID == e.member.SessionID {
			return m
		}
	}
	if len(e.trace.Messages) > 0 {
		return &e.trace.Messages[0]
	}
	return nil
}

// row is the user's offline message.
func (e *evidence) row() *store.OfflineMessage {
	for i := range e.trace.Offline {
		if protocol.SameUser(e.trace.Offline[i].Owner, e.user) {
			return &e.trace.Offline[i]
		}
	}
	return nil
}

// read is the status of the user's read receipt, 0 without one.
func (e *evidence) read() (status int) {
	for _, r := range e.trace.Receipts {
		if protocol.SameUser(r.Reader, e.user) {
			status = max(status, r.Status)
		}
	}
	return status
}

// revoke is what is remembered of the message's end; nil while it lives.
func (e *evidence) revoke() *store.ID {
	for i := range e.trace.IDs {
		if id := &e.trace.IDs[i]; id.Class == store.ClassMessage && id.State == store.Revoked {
			return id
		}
	}
	return nil
}

// nothing says that neither the tables nor memory know the id.
func (e *evidence) nothing() bool {
	t := e.trace
	return len(t.Messages)+len(t.IDs)+len(t.Receipts)+len(t.Offline)+len(t.Pushes)+len(t.Files) == 0 && e.sight.Where == "" && e.sight.Proof == tracking.ProofNone
}

func (e *evidence) say(t text, args ...any) string { return t.in(e.language, args) }

// explain comes to a verdict and lists the facts, those with a time first, in its order.
func (e *evidence) explain() explanation {
	v := e.conclude()
	x := explanation{Facts: []fact{}, User: e.user, Verdict: v.word, Text: e.say(v.text, v.args...)}
	if v.word == verdictUnknown {
		return x
	}
	e.outside = slices.Contains(outsideVerdicts, v.word)
	if v.word == verdictRefused {
		x.Facts = e.ofRefusals()
		return x
	}
	pushes, unwoken := e.ofPushes()
	if v.word == verdictWaits && unwoken != "" { // what waits is there until the phone is woken
		x.Text = e.say(textWaitsUnwoken, x.Text, unwoken)
	}
	for _, facts := range [...][]fact{e.ofRefusals(), e.ofMessage(), e.ofMembership(), e.ofPhone(), pushes, e.ofNow()} {
		x.Facts = append(x.Facts, facts...)
	}
	slices.SortStableFunc(x.Facts, func(a, b fact) int {
		switch {
		case a.At == 0 && b.At == 0:
			return 0
		case a.At == 0:
			return 1
		case b.At == 0:
			return -1
		}
		return cmp.Compare(a.At, b.At)
	})
	return x
}

// The verdicts, for programs.
const (
	verdictUnknown      = "unknown"       // nothing is known of the id
	verdictRefused      = "refused"       // its sender was told why, and nothing of it was stored
	verdictRevoked      = "revoked"       // by its author or the group's owner
	verdictRemoved      = "removed"       // it was stored, and is not any more
	verdictNotAddressed = "not_addressed" // it is a message of others
	verdictNotMember    = "not_member"    // of the group
	verdictFormerMember = "former_member" // they were removed before it
	verdictJoinedLater  = "joined_later"  // than it
	verdictGroupGone    = "group_gone"
	verdictSender       = "sender" // it is their own, and nothing of it waits for their phone
	verdictForeign      = "foreign"
	verdictNotQueued    = "not_queued" // messages of this type do not wait for absent phones
	verdictRead         = "read"
	verdictConfirmed    = "confirmed" // a phone has it
	verdictFetched      = "fetched"   // by getOffline
	verdictWaits        = "waits"     // an offline message waits
	verdictUnconfirmed  = "unconfirmed"
	verdictNotRouted    = "not_routed" // it has not left, or nothing proves that the server has passed it on
	verdictRobot        = "robot"      // nothing waits for it, which is no person
	verdictCleaned      = "cleaned"    // nothing waits, and clean-up may have removed what did
	verdictSettled      = "settled"    // nothing waits: their phones confirm, so one of them has it
	verdictUnproved     = "unproved"   // nothing waits: it went to a device that confirms nothing
)

// outsideVerdicts say that it did not go to them: why no phone was woken for it is no question then.
var outsideVerdicts = []string{verdictNotAddressed, verdictNotMember, verdictFormerMember, verdictJoinedLater, verdictGroupGone, verdictSender, verdictForeign}

// conclude finds the first reason that holds.
func (e *evidence) conclude() verdict {
	m := e.message()
	at := int64(0)
	if m != nil {
		at = protocol.TimeOrZero(m.Time)
	}
	row, read := e.row(), e.read()

	// 1. Is there such a message still, and is it theirs?
	switch {
	case e.nothing() && len(e.refusals) > 0:
		r := e.refusals[0]
		return verdict{verdictRefused, textIsRefused, []any{cmp.Or(r.From, "?"), e.moment(r.At.UnixMilli()), whyRefused(r, e.language), r.Why.Code}}
	case e.nothing():
		return verdict{verdictUnknown, textNothingKnown, []any{e.trace.MsgID}}
	case e.revoke() != nil && row == nil:
		return verdict{verdictRevoked, textIsRevoked, []any{e.user}}
	case m == nil && row == nil && e.sight.Where == "" && e.sight.Proof == tracking.ProofNone:
		return verdict{verdictRemoved, textIsRemoved, nil}
	}

	// 2. What proves that a phone has it.
	switch {
	case read >= readOnPhone:
		return verdict{verdictRead, textIsRead, []any{e.user}}
	case row != nil && row.Status > 0:
		return verdict{verdictWaits, textWaitsWebHadIt, []any{e.user, e.since(row)}}
	case row != nil && len(e.devices) == 0 && !e.listed:
		return verdict{verdictWaits, textWaitsUnseen, []any{e.user, e.since(row)}}
	case row != nil && len(e.devices) == 0:
		return verdict{verdictWaits, textWaitsAbsent, []any{e.user, e.since(row)}}
	case row != nil:
		return verdict{verdictWaits, textWaitsThere, []any{e.user, e.since(row)}}
	}
	switch e.sight.Where {
	case tracking.CopyWaits:
		return verdict{verdictNotRouted, textInBacklog, []any{e.user}}
	case tracking.CopySent, tracking.CopyAsked:
		return verdict{verdictUnconfirmed, textIsUnconfirmed, []any{e.user, e.moment(e.sight.Sent.UnixMilli()), e.offline.Grace}}
	case tracking.CopyAnswered:
		return verdict{verdictUnconfirmed, textIsAnswered, []any{e.user, e.offline.Grace}}
	case tracking.CopyRow, tracking.CopyFollows:
		return verdict{verdictWaits, textRowComes, []any{e.user}}
	}
	switch e.sight.Proof {
	case tracking.ProofPings:
		return verdict{verdictConfirmed, textProvedByPings, []any{e.user, e.moment(e.sight.At.UnixMilli())}}
	case tracking.ProofReceipt:
		return verdict{verdictConfirmed, textProvedByReceipt, []any{e.user, e.moment(e.sight.At.UnixMilli())}}
	case tracking.ProofFetched:
		return verdict{verdictFetched, textIsFetched, []any{e.user, e.moment(e.sight.At.UnixMilli())}}
	}

	// 3. Nothing waits and nothing proves: did it go to them at all?
	if m == nil {
		return verdict{verdictRemoved, textIsRemoved, nil}
	}
	switch { // whatever the group's members are today
	case protocol.SameUser(m.From, e.user):
		return verdict{verdictSender, textIsSender, []any{e.user}}
	case read > 0:
		return verdict{verdictRead, textIsReadOnWeb, []any{e.user}}
	}
	switch store.FamilyOf(m.Type) {
	case store.FamilyGroup:
		if v, no := e.outsideGroup(m, at); no {
			return v
		}
	default:
		if !protocol.SameUser(m.To, e.user) {
			return verdict{verdictNotAddressed, textNotAddressed, []any{e.user, m.From, m.To}}
		}
	}
	switch {
	case at == 0 || at > max(e.trace.State.Clock, e.trace.State.Delivered, e.routed):
		return verdict{verdictForeign, textIsForeign, nil}
	case at > e.routed:
		return verdict{verdictNotRouted, textIsNotRouted, []any{e.user}}
	case !e.queued:
		return verdict{verdictNotQueued, textIsNotQueued, []any{m.Type, e.user}}
	case e.account.Robot && store.FamilyOf(m.Type) == store.FamilyGroup:
		return verdict{verdictRobot, textRobotInGroup, []any{e.user}}
	case e.account.Robot:
		return verdict{verdictRobot, textRobotQueue, []any{e.user}}
	case e.offline.Days > 0 && e.now.Sub(time.UnixMilli(at)) >= time.Duration(e.offline.Days)*24*time.Hour:
		return verdict{verdictCleaned, textMayBeCleaned, []any{e.user, e.offline.Days}}
	}
	return e.delivered(store.FamilyOf(m.Type) == store.FamilyBusiness)
}

// delivered says what it means that nothing waits for a phone any more, which depends on what settles a copy. Of notices no receipt is asked for.
func (e *evidence) delivered(notice bool) verdict {
	switch how := e.account.Confirms; {
	case e.offline.Confirm == component.ConfirmByPresence:
		return verdict{verdictUnproved, textIsUnasked, []any{e.user}}
	case how == store.ConfirmsByPings, how == store.ConfirmsByReceipts && !notice:
		return verdict{verdictSettled, textIsSettled, []any{e.user}}
	case e.offline.Confirm == component.ConfirmByReceipt && !notice:
		return verdict{verdictSettled, textHasToConfirm, []any{e.user}}
	case how == store.ConfirmsByReceipts:
		return verdict{verdictUnproved, textIsUnprovedNotice, []any{e.user}}
	}
	return verdict{verdictUnproved, textIsUnproved, []any{e.user}}
}

// readOnPhone is the status of a receipt of a phone.
const readOnPhone = 2

// outsideGroup says why a group's message did not go to them; false when it did.
func (e *evidence) outsideGroup(m *store.Message, at int64) (verdict, bool) {
	name := e.groupName(m.SessionID)
	switch {
	case e.former != nil && protocol.TimeOrZero(e.former.Time) > at:
		return verdict{}, false // they were a member then, and may be one again
	case e.member != nil:
		if since := protocol.TimeOrZero(e.member.Since); since > at && at > 0 {
			return verdict{verdictJoinedLater, textJoinedLater, []any{e.user, e.moment(since), name, e.moment(at)}}, true
		}
		return verdict{}, false
	case e.former != nil:
		return verdict{verdictFormerMember, textFormerMember, []any{e.user, e.moment(protocol.TimeOrZero(e.former.Time)), name}}, true
	case !e.there:
		return verdict{verdictGroupGone, textGroupGone, []any{m.SessionID, e.user}}, true
	}
	return verdict{verdictNotMember, textNotMember, []any{e.user, name}}, true
}

func (e *evidence) groupName(id string) string {
	if e.group.Name == "" {
		return id
	}
	return e.group.Name + " (" + id + ")"
}

// since is when a row was written, or its message's time where the row does not tell.
func (e *evidence) since(row *store.OfflineMessage) string {
	return e.moment(cmp.Or(madeAt(row.ID), protocol.TimeOrZero(row.Time)))
}

// moment is a time for people, of this host.
func (e *evidence) moment(ms int64) string {
	if ms == 0 {
		return e.say(textSomeTime)
	}
	return time.UnixMilli(ms).In(e.zone).Format("2006-01-02 15:04:05")
}

// maxRefusalFacts bounds the attempts that are told: a client may repeat for hours.
const maxRefusalFacts = 5

// ofRefusals are the attempts that were refused, the last ones.
func (e *evidence) ofRefusals() (list []fact) {
	for _, r := range slices.Backward(e.refusals[:min(len(e.refusals), maxRefusalFacts)]) {
		at := r.At.UnixMilli()
		list = append(list, fact{At: at, What: "refused", Text: e.say(textFactRefused, e.moment(at), cmp.Or(r.From, "?"), whyRefused(r, e.language), r.Why.Code)})
	}
	return list
}

// ofMessage are the facts of the message itself.
func (e *evidence) ofMessage() (list []fact) {
	add := func(what string, at int64, t text, args ...any) {
		list = append(list, fact{At: at, Text: e.say(t, args...), What: what})
	}
	m := e.message()
	if m != nil {
		at := protocol.TimeOrZero(m.Time)
		add("stored", at, textFactStored, e.moment(at), m.From, m.Type, m.To)
		if at > 0 && at <= e.routed {
			add("routed", 0, textFactRouted)
		}
	} else {
		add("stored", 0, textFactNotStored)
	}
	if id := e.revoke(); id != nil {
		add("revoked", 0, textFactRevoked, id.From)
	}
	if m != nil && !e.queued {
		add("kind", 0, textIsNotQueued, m.Type, e.user)
	}
	return list
}

// ofMembership are the facts of the user: in the directory, and in the group.
func (e *evidence) ofMembership() (list []fact) {
	add := func(what string, at int64, t text, args ...any) {
		list = append(list, fact{At: at, Text: e.say(t, args...), What: what})
	}
	switch {
	case !e.known:
		add("directory", 0, textFactNoUser, e.user)
	case e.account.Left:
		add("directory", 0, textFactLeft, e.user)
	}
	if m := e.message(); m == nil || store.FamilyOf(m.Type) != store.FamilyGroup {
		return list
	}
	name := e.groupName(e.message().SessionID)
	switch {
	case e.member != nil:
		since := protocol.TimeOrZero(e.member.Since)
		add("member", since, textFactMember, e.user, e.moment(since), name)
	case e.former != nil:
		at := protocol.TimeOrZero(e.former.Time)
		add("former_member", at, textFactFormer, e.user, e.moment(at), name)
	case e.there:
		add("not_member", 0, textFactNoMember, e.user, name)
	default:
		add("group_gone", 0, textFactGroupGone, e.message().SessionID)
	}
	return list
}

// ofPhone are the facts of the user's copy: what waits, what is unconfirmed, what proves that a phone has it.
func (e *evidence) ofPhone() (list []fact) {
	add := func(what string, at int64, t text, args ...any) {
		list = append(list, fact{At: at, Text: e.say(t, args...), What: what})
	}
	if row := e.row(); row != nil {
		made := madeAt(row.ID)
		switch late := time.Duration(made-protocol.TimeOrZero(row.Time)) * time.Millisecond; {
		case made == 0:
			add("row", 0, textFactOldRow)
		case !e.sight.Missed.IsZero() && late < e.offline.Grace:
			add("row", made, textFactRowGone, e.moment(made))
		case !e.sight.Missed.IsZero():
			add("row", made, textFactRowUnanswered, e.moment(made), e.offline.Grace)
		case late < min(absentWithin, e.offline.Grace):
			add("row", made, textFactRowAtOnce, e.moment(made))
		default:
			add("row", made, textFactRowLater, e.moment(made), e.lasting(late))
		}
	}
	if where := e.sight.Where; where != "" {
		at := int64(0)
		if !e.sight.Sent.IsZero() {
			at = e.sight.Sent.UnixMilli()
		}
		add("copy", at, textFactCopy, e.say(copyTexts[string(where)]))
	}
	if e.sight.Proof != tracking.ProofNone {
		add("proof", e.sight.At.UnixMilli(), proofTexts[e.sight.Proof], e.moment(e.sight.At.UnixMilli()))
	} else if m := e.message(); m != nil && !e.outside && protocol.TimeOrZero(m.Time) < e.begun.UnixMilli() {
		add("restart", e.begun.UnixMilli(), textFactRestart, e.moment(e.begun.UnixMilli()))
	}
	switch e.read() {
	case 0:
	case 1:
		add("read", 0, textFactReadOnWeb, e.user)
	default:
		add("read", 0, textFactRead, e.user)
	}
	return list
}

// absentWithin is how soon after its message a row is written for a phone that was not there; later ones are of phones that did not confirm.
const absentWithin = 2 * time.Second

// lasting is a length of time for people, to its two largest units.
func (e *evidence) lasting(d time.Duration) string {
	units := [...]struct {
		of   time.Duration
		name text
	}{{24 * time.Hour, text{" 天", " d"}}, {time.Hour, text{" 小时", " h"}}, {time.Minute, text{" 分钟", " min"}}, {time.Second, text{" 秒", " s"}}}
	d = d.Round(time.Second)
	var said []string
	for i := range units {
		if n := d / units[i].of; n > 0 && len(said) < 2 {
			said = append(said, strconv.Itoa(int(n))+e.say(units[i].name))
			d -= n * units[i].of
		} else if len(said) > 0 {
			break
		}
	}
	if len(said) == 0 {
		return "0" + e.say(units[len(units)-1].name)
	}
	return strings.Join(said, " ")
}

// ofPushes are the facts of the pushes to the user's phone, and the one that says why the phone was not woken; "" where it may have been.
func (e *evidence) ofPushes() (list []fact, unwoken string) {
	for i := range e.trace.Pushes {
		p := &e.trace.Pushes[i]
		for _, to := range pushedTo(p) {
			if !protocol.SameUser(to.User, e.user) {
				continue
			}
			t, known := pushTexts[to.Outcome]
			at := p.Due
			switch {
			case to.Outcome == pushWaits && p.Tries > 0:
				text := e.say(textPushFails, p.Channel, p.Tries, e.moment(p.Due))
				if why := e.trouble(p.Channel); why != "" {
					text = e.say(textPushFailsWhy, p.Channel, p.Tries, e.moment(p.Due), why)
				}
				list, unwoken = append(list, fact{At: p.Made, What: "push", Text: text}), text
				continue
			case !known:
				t = textPushOther
				list = append(list, fact{At: at, What: "push", Text: e.say(t, p.Channel, to.Outcome)})
				continue
			}
			list = append(list, fact{At: at, What: "push", Text: e.say(t, p.Channel)})
			if failedPush(to.Outcome) {
				unwoken = e.say(t, p.Channel)
			}
		}
	}
	m := e.message()
	if len(list) > 0 || m == nil || !e.pushed || e.account.Robot || e.outside || protocol.SameUser(m.From, e.user) {
		return list, unwoken
	}
	t := textPushNone
	if e.account.PushCode == "" {
		t = textPushUnregistered
		unwoken = e.say(t, e.user)
	}
	return []fact{{What: "push", Text: e.say(t, e.user)}}, unwoken
}

// ofNow are the facts of the user's devices.
func (e *evidence) ofNow() (list []fact) {
	how := map[store.Confirms]text{store.ConfirmsNot: textConfirmsNot, store.ConfirmsByReceipts: textConfirmsByReceipts, store.ConfirmsByPings: textConfirmsByPings}
	switch {
	case e.account.Robot:
	case e.offline.Confirm == component.ConfirmByPresence:
		list = append(list, fact{What: "confirms", Text: e.say(textConfirmsUnasked, e.user)})
	default:
		list = append(list, fact{What: "confirms", Text: e.say(how[e.account.Confirms], e.user)})
	}
	var names []string
	for _, d := range e.devices {
		names = append(names, d.Resource)
	}
	t, args := textNoDevices, []any{e.user}
	switch {
	case len(names) > 0:
		t, args = textDevices, []any{e.user, strings.Join(names, ", ")}
	case !e.listed:
		t = textDevicesUnknown
	}
	return append(list, fact{What: "devices", Text: e.say(t, args...)})
}

// The sentences of explanations.
var (
	textSomeTime = text{"未知时间", "a time that is not known"}

	textNothingKnown     = text{"数据库和内存中都没有消息 %s 的记录：它没有到达 tlim、被拒绝、属于不保存的类型，或者已被清理。请核对消息标识。", "Nothing is known of message %s: it never reached tlim, was refused, is of a kind that is not kept, or was cleaned up. Check the id."}
	textIsRefused        = text{"%s 于 %s 发送的这条消息被 tlim 拒绝，没有保存，也没有发给任何人。原因：%s（%s）。发送方的客户端收到了这个错误。", "What %s sent at %s was refused: it was not stored and went to nobody. The reason: %s (%s). The sender's client got this error."}
	textWaitsUnwoken     = text{"%s%s", "%s %s"}
	textIsRevoked        = text{"消息已被撤回，所以不会再到达 %s 的手机。", "The message was revoked, so it does not reach %s any more."}
	textIsRemoved        = text{"消息曾经存在，现已不在数据库中：被删除（revokeMessage、清空聊天、解散群）或被定期清理。", "The message was there and is not any more: it was removed (revokeMessage, clearChatHistory, a dissolved group) or cleaned up."}
	textIsRead           = text{"%s 已经在手机上读过这条消息，所以手机收到了。", "%s has read the message on a phone, so that phone has it."}
	textIsReadOnWeb      = text{"%s 已经在网页端读过这条消息；没有消息在等待手机。", "%s has read the message on the web; nothing waits for a phone."}
	textWaitsAbsent      = text{"消息在 %s 的离线队列中，自 %s 起等待：手机没有在线。手机上线并调用 getOffline（或收到补发）后才会得到它。", "It waits in the queue of %s since %s: no device of theirs is there. Their phone gets it when it comes back and calls getOffline."}
	textWaitsUnseen      = text{"消息在 %s 的离线队列中，自 %s 起等待；没有服务器的在线列表，不知道手机现在是否在线。", "It waits in the queue of %s since %s; the server's list of sessions is not there, so nobody knows whether their phone is."}
	textWaitsThere       = text{"消息在 %s 的离线队列中，自 %s 起等待：现在有设备在线，但没有设备确认收到，也没有调用 getOffline 取走它。", "It waits in the queue of %s since %s: a device of theirs is there now, but none has confirmed it or fetched it by getOffline."}
	textWaitsWebHadIt    = text{"%s 的网页端收到了消息，手机没有：它自 %s 起在离线队列中等待手机。", "The web client of %s had it, their phone has not: it waits in their queue since %s."}
	textRowComes         = text{"%s 的离线消息正在写入：手机当时不在线，或没有按时确认。", "The offline message of %s is about to be written: their phone was absent, or did not confirm in time."}
	textInBacklog        = text{"给 %s 的消息还在 tlim 中排队，等待服务器转发前面的消息。", "The copy for %s waits in tlim until the server has routed others."}
	textIsUnconfirmed    = text{"给 %s 的消息已于 %s 发到手机，还没有得到确认；%v（offline.grace）内没有确认就会进入离线队列。", "It went to the phone of %s at %s and is not confirmed yet; unless it is within %v (offline.grace), it becomes an offline message."}
	textIsAnswered       = text{"%s 的手机已应答消息前后的 ping，再过 %v（offline.grace）即视为收到。", "The phone of %s has answered the pings around it, which counts %v later (offline.grace)."}
	textProvedByPings    = text{"%s 的手机在 %s 应答了消息前后的 ping，所以手机的 XMPP 库收到了它；如果界面上没有，请检查 App 本身。", "The phone of %s answered the pings around it at %s, so its library has it; if nobody sees it there, look into the app."}
	textProvedByReceipt  = text{"%s 的手机在 %s 发来了收到回执，所以 App 收到了它。", "The phone of %s confirmed it at %s by a receipt, so the app has it."}
	textIsFetched        = text{"%s 的客户端在 %s 用 getOffline 取走了它；如果界面上没有，请检查 App 对 getOffline 结果的处理。", "A client of %s fetched it at %s by getOffline; if nobody sees it there, look at what the app does with that answer."}
	textNotAddressed     = text{"这条消息不是发给 %s 的：它由 %s 发给 %s。", "The message is not for %s: %s sent it to %s."}
	textJoinedLater      = text{"%s 在 %s 才加入群 %s，晚于这条消息（%s）：之前的消息只在历史记录中，不会发到手机。", "%s joined at %s the group %s, which is after the message (%s): what was before stands in the history and is not sent to phones."}
	textFormerMember     = text{"%s 在 %s 已离开群 %s，早于这条消息。", "%s left at %s the group %s, which is before the message."}
	textNotMember        = text{"%s 不是群 %s 的成员，所以收不到它的消息。", "%s is no member of the group %s, so its messages do not go to them."}
	textGroupGone        = text{"群 %s 已不存在，无法得知 %s 当时是否为成员。", "The group %s is gone, so nobody can say whether %s was a member then."}
	textIsSender         = text{"%s 就是发送者：自己的消息只发给其他在线设备，没有在等待手机的内容。", "%s sent it: their own messages go to their other devices, and nothing of it waits for their phone."}
	textIsForeign        = text{"消息是其他程序写入数据库的，tlim 不会投递它。", "Another program stored the message, and tlim does not deliver what others store."}
	textIsNotRouted      = text{"还不能证明服务器已转发给 %s：连接断开或服务器繁忙。连接恢复后会重新投递。", "Nothing proves yet that the server has routed it to %s: the link is down, or the server is busy. It is delivered again when the link is back."}
	textIsNotQueued      = text{"%s 类型的消息不进入离线队列：当时不在线的手机收不到，%s 也一样。", "Messages of type %s wait for nobody: a phone that was absent does not get them, nor does that of %s."}
	textIsSettled        = text{"没有消息在等待 %s，而且其手机会确认收到：所以手机已确认或用 getOffline 取走了它，时间已不在内存中。", "Nothing waits for %s, whose phones confirm what they get: so one has confirmed it or fetched it by getOffline, at a time that is not remembered any more."}
	textHasToConfirm     = text{"没有消息在等待 %s，而 offline.confirm 为 receipt：没有回执的消息会一直等待。所以其手机已确认或用 getOffline 取走了它，时间已不在内存中。", "Nothing waits for %s, and offline.confirm is receipt: what nobody confirms goes on waiting. So a phone has confirmed it or fetched it by getOffline, at a time that is not remembered any more."}
	textMayBeCleaned     = text{"没有消息在等待 %s：手机已确认或取走了它，或者它在离线队列中等满 %d 天（cleanup.offline_days）后被清理。消息本身仍在历史记录中。", "Nothing waits for %s: a phone has confirmed or fetched it, or clean-up removed it from their queue, where messages wait for %d days (cleanup.offline_days). The message itself is in the history."}
	textIsUnasked        = text{"没有消息在等待 %s：消息发给了当时在线的设备，或被 getOffline 取走。offline.confirm 为 presence，所以没有要求手机确认，断线瞬间丢失的消息不会被发现。", "Nothing waits for %s: it went to a device that was there, or was fetched by getOffline. offline.confirm is presence, so no phone is asked to confirm, and what a dying connection loses is not noticed."}
	textIsUnprovedNotice = text{"没有消息在等待 %s：通知发给了当时在线的设备，或被 getOffline 取走。其手机只发回执，而通知不要求回执，所以断线瞬间丢失的消息不会被发现。", "Nothing waits for %s: the notice went to a device that was there, or was fetched by getOffline. Their phones confirm by receipts alone, and of notices none is asked for, so what a dying connection loses is not noticed."}
	textRobotInGroup     = text{"%s 是机器人：群消息不为机器人排队，请用 findSessionHistory 读取。", "%s is a robot: messages of groups do not wait for robots, which read them by findSessionHistory."}
	textRobotQueue       = text{"%s 是机器人，没有消息在等待它：它的密钥用 getOffline 取走了，或者之后又来了很多消息——机器人的队列只保留最新 10,000 条，更早的仍在历史记录中。", "%s is a robot, and nothing waits for it: its key fetched it by getOffline, or many came later, for a robot's queue keeps the newest 10,000; the history has the others."}
	textIsUnproved       = text{"没有消息在等待 %s：消息发给了当时在线的设备，或被 getOffline 取走。其手机从不确认收到，所以断线瞬间丢失的消息不会被发现。", "Nothing waits for %s: it went to a device that was there, or was fetched by getOffline. Their phones never confirm anything, so what a dying connection loses is not noticed."}

	textFactStored    = text{"%s 存入数据库：发送者 %s，类型 %s，发给 %s。", "Stored at %s: from %s, of type %s, to %s."}
	textFactNotStored = text{"消息不在数据库中。", "The message is not in the database."}
	textFactRouted    = text{"服务器已转发。", "The server has routed it."}
	textFactRevoked   = text{"%s 写的这条消息已被撤回（由其本人或群主）；何时没有记录。", "Written by %s, and revoked by them or the group's owner; when is not remembered."}
	textFactRefused   = text{"%s，%s 的一次发送被拒绝：%s（%s）。", "At %s an attempt of %s was refused: %s (%s)."}
	textFactNoUser    = text{"用户目录中没有 %s。", "The directory has no user %s."}
	textFactLeft      = text{"%s 已离开用户目录。", "%s has left the directory."}
	textFactMember    = text{"%s 自 %s 起是群 %s 的成员。", "%s is a member since %s of the group %s."}
	textFactFormer    = text{"%s 于 %s 离开群 %s。", "%s left at %s the group %s."}
	textFactNoMember  = text{"%s 现在不是群 %s 的成员（离开超过一天的不再记录）。", "%s is no member now of the group %s (who left more than a day ago is not remembered)."}
	textFactGroupGone = text{"群 %s 已不存在。", "The group %s is gone."}
	textFactOldRow    = text{"离线消息在等待；写入时间未知。", "An offline message waits; when it was written is not known."}
	textFactRowAtOnce = text{"离线消息于 %s 随消息一起写入：据当时服务器的在线列表（可能是几秒前的），没有可用的手机。", "The offline message was written with the message at %s: as far as the server's list told, which is some seconds old, no phone was there."}
	textFactRowGone   = text{"离线消息于 %s 写入：消息已发给手机，但手机在确认之前断开，或 tlim 与服务器的连接中断。", "The offline message was written at %s: it had been sent to a phone, which went before it confirmed, or the link to the server was lost."}

	textFactRowUnanswered = text{"离线消息于 %s 写入：消息已发给手机，但手机没有在 %v（offline.grace）内确认，多半是网络已断而服务器尚未察觉。", "The offline message was written at %s: it had been sent to a phone, which did not confirm it within %v (offline.grace); it has probably lost its network, and the server has not noticed."}

	textFactRowLater  = text{"离线消息于 %s 写入，比消息晚 %s：手机没有按时确认，或者是大群的后续写入。", "The offline message was written at %s, %s after the message: a phone did not confirm in time, or it is one of a large group, whose rows follow."}
	textFactCopy      = text{"内存中：%s。", "In memory: %s."}
	textFactRestart   = text{"tlim 于 %s 启动：之前手机收到什么已不在内存中。", "tlim was started at %s: what phones got before is not remembered."}
	textFactReadOnWeb = text{"%s 在网页端读过。", "%s has read it on the web."}
	textFactRead      = text{"%s 在手机上读过。", "%s has read it on a phone."}

	textPushFails        = text{"推送（%s）失败 %d 次，下次尝试：%s。", "The push by %s failed %d times; the next attempt is due at %s."}
	textPushFailsWhy     = text{"推送（%s）失败 %d 次，下次尝试：%s；原因：%s。", "The push by %s failed %d times; the next attempt is due at %s. The reason: %s."}
	textPushOther        = text{"推送（%s）：%s。", "The push by %s: %s."}
	textPushUnregistered = text{"%s 没有登记推送（registerAppPushCode），所以手机没有被唤醒。", "%s has registered no phone for pushes (registerAppPushCode), so none was woken."}
	textPushNone         = text{"没有给 %s 的推送记录：推送只保留一天，手机在线时不推送，或没有配置推送。", "No push to %s is remembered: they are kept for a day, who is there gets none, or none are configured."}

	textConfirmsNot        = text{"%s 的手机从未确认过任何消息。", "The phones of %s have never confirmed anything."}
	textConfirmsUnasked    = text{"offline.confirm 为 presence：不要求 %s 的手机确认。", "offline.confirm is presence: the phones of %s are not asked to confirm."}
	textConfirmsByReceipts = text{"%s 的手机用回执确认收到。", "The phones of %s confirm by receipts."}
	textConfirmsByPings    = text{"%s 的手机用 ping 应答确认收到。", "The phones of %s confirm by answering pings."}
	textDevices            = text{"%s 现在在线的设备：%s。", "Devices of %s that are there now: %s."}
	textNoDevices          = text{"%s 现在没有在线设备。", "No device of %s is there now."}
	textDevicesUnknown     = text{"没有服务器的在线列表，不知道 %s 是否在线。", "The server's list of sessions is not there, so nobody knows whether %s is."}
)

var copyTexts = map[string]text{
	string(tracking.CopyWaits):    {"等待服务器转发前面的消息", "it waits for the server to route others"},
	string(tracking.CopySent):     {"已发给手机，未确认", "sent to a phone, not confirmed"},
	string(tracking.CopyAsked):    {"已发给手机，正在等待 ping 应答", "sent to a phone, whose answers to pings are awaited"},
	string(tracking.CopyAnswered): {"手机已应答 ping，offline.grace 之后生效", "the phone has answered the pings, which counts when offline.grace is over"},
	string(tracking.CopyRow):      {"即将写入离线队列", "about to become an offline message"},
	string(tracking.CopyFollows):  {"离线消息随后写入（大群）", "its offline message follows, as of large groups"},
}

var proofTexts = map[tracking.Proof]text{
	tracking.ProofPings:   {"手机于 %s 应答了消息前后的 ping。", "A phone answered the pings around it; that counted at %s."},
	tracking.ProofReceipt: {"手机于 %s 发来收到回执。", "A phone confirmed it by a receipt at %s."},
	tracking.ProofFetched: {"客户端于 %s 用 getOffline 取走。", "A client fetched it by getOffline at %s."},
}

// pushTexts say what became of a push, by the outcomes of tlim_push.
var pushTexts = map[string]text{
	pushWaits:   {"推送（%s）等待发送。", "The push by %s waits to be sent."},
	"sent":      {"推送（%s）已交给厂商。", "The push by %s was handed to the vendor."},
	"withdrawn": {"推送（%s）已取消：消息在推送前已读或已撤回。", "The push by %s was withdrawn: the message was read or revoked before it left."},
	"repeated":  {"推送（%s）未发：该设备刚为这条消息收到过推送。", "The push by %s was left out: the device just had one for this message."},
	"dead":      {"推送（%s）失败：厂商已不认识该登记（App 被卸载或重新安装），需要 App 重新登记。", "The push by %s failed: the vendor does not know the registration any more; the app has to register again."},
	"unmeant":   {"推送（%s）未发：只给 Android，而该设备不是。", "The push by %s was left out: it was for Android only, and the device is none."},
	"refused":   {"推送（%s）被厂商拒绝。", "The push by %s was refused by the vendor."},
	"expired":   {"推送（%s）在一小时内没能发出，已放弃。", "The push by %s could not be sent for an hour and was given up."},
}
