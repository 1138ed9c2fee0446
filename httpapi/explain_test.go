package httpapi

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/tracking"
	"tlim/store"
)

// TestExplain: each reason why a phone has a message, or has not, is found and said in both languages.
func TestExplain(t *testing.T) {
	const at = 1600000000000
	before, later := "1599999000000", "1600000001000"
	chat := store.Message{ID: "r", MsgID: "m", Type: "MTT-000", From: "zhangsan", To: "lisi", SessionID: "zhangsan", Time: fmt.Sprint(at)}
	group := store.Message{ID: "r", MsgID: "m", Type: "MTS-000", From: "zhangsan", To: "g1", SessionID: "g1", Time: fmt.Sprint(at)}
	notice := store.Message{ID: "r", MsgID: "m", Type: "MTB-100", From: "admin", To: "lisi", SessionID: "admin", Time: fmt.Sprint(at)}
	row := func(status int) []store.OfflineMessage {
		return []store.OfflineMessage{{Message: store.Message{ID: "0174876e-8000-7000-8000-000000000001", MsgID: "m", Type: chat.Type, Time: chat.Time}, Owner: "lisi", Status: status}}
	}
	android := []tracking.Device{{Resource: "[android]1", Class: "android", Since: testTime}}
	push := func(outcome string, tries int) []store.Push {
		return []store.Push{{ID: "p", Channel: "jpush", MsgID: "m", Made: at, Due: at + 9000, Done: outcome != "", Outcome: outcome, Tries: tries, To: []store.PushTo{{User: "lisi", Code: "c"}}}}
	}
	of := func(m store.Message, change ...func(*evidence)) evidence {
		e := evidence{user: "lisi", known: true, account: store.User{ID: "lisi", PushCode: "c"}, listed: true, routed: at + 5000, queued: true, pushed: true, begun: testTime.Add(-time.Hour), now: testTime, trouble: func(string) string { return "" }, offline: Offline{Confirm: component.ConfirmAuto, Grace: 7 * time.Second},
			trace: store.Trace{MsgID: "m", State: store.State{Clock: at + 5000, Delivered: at + 5000}}}
		if m.ID != "" {
			e.trace.Messages = []store.Message{m}
		}
		if m.Type == group.Type {
			e.group, e.there = store.Group{ID: "g1", Name: "项目组"}, true
			e.member = &store.Member{SessionID: "g1", UserID: "lisi", Since: before}
		}
		for _, c := range change {
			c(&e)
		}
		return e
	}
	none := store.Message{}
	refusal := component.Refusal{At: time.UnixMilli(at - 60_000), MsgID: "m", From: "zhangsan", To: "lisi", Why: protocol.AsError(protocol.Refuse(protocol.TooLarge, "text is longer than %d characters", 3000))}
	refusals := []component.Refusal{refusal, refusal}
	for name, c := range map[string]struct {
		e       evidence
		verdict string
		facts   string // whats, in order
		says    string // the sentence, or a fact, holds it
	}{
		"nothing is known":         {of(none), "unknown", "", "Nothing is known of message m"},
		"refused":                  {of(none, func(e *evidence) { e.refusals = refusals }), "refused", "refused refused", "refused: it was not stored and went to nobody. The reason: text is longer than 3000 characters (error-012)"},
		"refused, and taken later": {of(chat, func(e *evidence) { e.trace.Offline, e.refusals = row(0), refusals[1:] }), "waits", "refused stored row routed push confirms devices", "an attempt of zhangsan was refused: text is longer"},
		"revoked": {of(none, func(e *evidence) {
			e.trace.IDs = []store.ID{{MsgID: "m", Class: store.ClassMessage, State: store.Revoked, From: "zhangsan"}}
		}), "revoked", "stored revoked confirms devices", "Written by zhangsan, and revoked by them or the group's owner"},
		"removed": {of(none, func(e *evidence) {
			e.trace.IDs = []store.ID{{MsgID: "m", Class: store.ClassMessage, State: store.Live, From: "zhangsan"}}
		}), "removed", "stored confirms devices", "cleaned up"},
		"read on a phone":         {of(chat, func(e *evidence) { e.trace.Receipts = []store.Receipt{{MsgID: "m", Reader: "LiSi", Status: 2}} }), "read", "stored routed read push confirms devices", "has read the message on a phone"},
		"read on the web":         {of(chat, func(e *evidence) { e.trace.Receipts = []store.Receipt{{MsgID: "m", Reader: "lisi", Status: 1}} }), "read", "stored routed read push confirms devices", "on the web"},
		"waits, absent":           {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.trace.Pushes = push("dead", 0) }), "waits", "stored row push routed confirms devices", "no device of theirs is there"},
		"waits, there":            {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.devices = android }), "waits", "stored row routed push confirms devices", "a device of theirs is there now"},
		"waits, nobody can tell":  {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.listed = false }), "waits", "stored row routed push confirms devices", "nobody knows whether"},
		"waits, the web had it":   {of(chat, func(e *evidence) { e.trace.Offline = row(1) }), "waits", "stored row routed push confirms devices", "The web client of lisi had it"},
		"a row of the old system": {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.trace.Offline[0].ID = "42" }), "waits", "stored routed row push confirms devices", "when it was written is not known"},
		"a row that came later":   {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.trace.Offline[0].Time = "1599999990000" }), "waits", "stored row routed push confirms devices", "10 s after the message"},
		"the push fails":          {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.trace.Pushes = push("", 3) }), "waits", "stored row push routed confirms devices", "failed 3 times"},
		"the push fails, and why": {of(chat, func(e *evidence) {
			e.trace.Offline, e.trace.Pushes, e.trouble = row(0), push("", 3), func(channel string) string { return channel + ": status 500" }
		}), "waits", "stored row push routed confirms devices", "no device of theirs is there. Their phone gets it when it comes back and calls getOffline. The push by jpush failed 3 times; the next attempt is due at 2020-09-13 12:26:49. The reason: jpush: status 500."},
		"the push was refused":               {of(chat, func(e *evidence) { e.trace.Offline, e.trace.Pushes = row(0), push("refused", 0) }), "waits", "stored row push routed confirms devices", "calls getOffline. The push by jpush was refused by the vendor."},
		"the phone went before it confirmed": {of(chat, func(e *evidence) { e.trace.Offline, e.sight.Missed = row(0), testTime }), "waits", "stored row routed push confirms devices", "it had been sent to a phone, which went before it confirmed"},
		"the phone did not confirm": {of(chat, func(e *evidence) {
			e.trace.Offline, e.sight.Missed = row(0), testTime
			e.trace.Offline[0].Time = "1599999990000"
		}), "waits", "stored row routed push confirms devices", "did not confirm it within 7s (offline.grace)"},
		"no phone is registered":  {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.account.PushCode = "" }), "waits", "stored row routed push confirms devices", "has registered no phone"},
		"an outcome of tomorrow":  {of(chat, func(e *evidence) { e.trace.Offline = row(0); e.trace.Pushes = push("eaten", 0) }), "waits", "stored row push routed confirms devices", "eaten"},
		"in the backlog":          {of(chat, func(e *evidence) { e.sight.Where = tracking.CopyWaits }), "not_routed", "stored routed copy push confirms devices", "waits in tlim"},
		"unconfirmed":             {of(chat, func(e *evidence) { e.sight.Where, e.sight.Sent = tracking.CopySent, testTime }), "unconfirmed", "stored copy routed push confirms devices", "is not confirmed yet"},
		"asked":                   {of(chat, func(e *evidence) { e.sight.Where, e.sight.Sent = tracking.CopyAsked, testTime }), "unconfirmed", "stored copy routed push confirms devices", "answers to pings are awaited"},
		"answered":                {of(chat, func(e *evidence) { e.sight.Where, e.sight.Sent = tracking.CopyAnswered, testTime }), "unconfirmed", "stored copy routed push confirms devices", "has answered the pings"},
		"about to be a row":       {of(chat, func(e *evidence) { e.sight.Where = tracking.CopyRow }), "waits", "stored routed copy push confirms devices", "about to be written"},
		"its row follows":         {of(group, func(e *evidence) { e.sight.Where = tracking.CopyFollows }), "waits", "member stored routed copy push confirms devices", "large groups"},
		"proved by pings":         {of(chat, func(e *evidence) { e.sight.Proof, e.sight.At = tracking.ProofPings, testTime }), "confirmed", "stored proof routed push confirms devices", "answered the pings around it at 2020-09-13 12:26:40"},
		"proved by a receipt":     {of(chat, func(e *evidence) { e.sight.Proof, e.sight.At = tracking.ProofReceipt, testTime }), "confirmed", "stored proof routed push confirms devices", "by a receipt"},
		"fetched":                 {of(chat, func(e *evidence) { e.sight.Proof, e.sight.At = tracking.ProofFetched, testTime }), "fetched", "stored proof routed push confirms devices", "getOffline"},
		"proved, of what is gone": {of(none, func(e *evidence) { e.sight.Proof, e.sight.At = tracking.ProofFetched, testTime }), "fetched", "proof stored confirms devices", "getOffline"},
		"of others":               {of(chat, func(e *evidence) { e.user = "wangwu" }), "not_addressed", "stored routed confirms devices", "zhangsan sent it to lisi"},
		"their own":               {of(chat, func(e *evidence) { e.user = "zhangsan" }), "sender", "stored routed confirms devices", "zhangsan sent it"},
		"no member":               {of(group, func(e *evidence) { e.member = nil }), "not_member", "stored routed not_member confirms devices", "is no member of the group 项目组 (g1)"},
		"a member who left before": {of(group, func(e *evidence) {
			e.member, e.former = nil, &store.Former{SessionID: "g1", UserID: "lisi", Time: before}
		}), "former_member", "former_member stored routed confirms devices", "before the message"},
		"a member who left after": {of(group, func(e *evidence) {
			e.member, e.former = nil, &store.Former{SessionID: "g1", UserID: "lisi", Time: later}
		}), "unproved", "stored former_member routed push confirms devices", "never confirm anything"},
		"a member who joined later": {of(group, func(e *evidence) { e.member.Since = later }), "joined_later", "stored member routed confirms devices", "after the message"},
		"a member who was removed and came back": {of(group, func(e *evidence) {
			e.member.Since, e.former = "1600000002000", &store.Former{SessionID: "g1", UserID: "lisi", Time: later}
		}), "unproved", "stored member routed push confirms devices", "never confirm anything"},
		"the author, who came back": {of(group, func(e *evidence) { e.user, e.member.Since = "zhangsan", later }), "sender", "stored member routed confirms devices", "zhangsan sent it"},
		"a reader who left long ago": {of(group, func(e *evidence) {
			e.member, e.trace.Receipts = nil, []store.Receipt{{MsgID: "m", Reader: "lisi", Status: 1}}
		}), "read", "stored routed not_member read push confirms devices", "on the web"},
		"the group is gone":         {of(group, func(e *evidence) { e.member, e.there = nil, false }), "group_gone", "stored routed group_gone confirms devices", "is gone"},
		"of another program":        {of(chat, func(e *evidence) { e.trace.Messages[0].Time = "2018-12-12" }), "foreign", "stored confirms devices", "Another program"},
		"not routed":                {of(chat, func(e *evidence) { e.routed, e.trace.State.Delivered = at-1, at-1 }), "not_routed", "stored push confirms devices", "Nothing proves yet"},
		"of a kind without a queue": {of(chat, func(e *evidence) { e.queued = false }), "not_queued", "stored routed kind push confirms devices", "wait for nobody"},
		"settled":                   {of(chat, func(e *evidence) { e.account.Confirms = store.ConfirmsByPings }), "settled", "stored routed push confirms devices", "whose phones confirm"},
		"settled by receipts":       {of(chat, func(e *evidence) { e.account.Confirms = store.ConfirmsByReceipts }), "settled", "stored routed push confirms devices", "confirm by receipts"},
		"unproved, after a restart": {of(chat, func(e *evidence) { e.begun = testTime.Add(time.Hour) }), "unproved", "stored restart routed push confirms devices", "was started at 2020-09-13 13:26:40"},
		"settled, but it can have been cleaned up": {of(chat, func(e *evidence) {
			e.account.Confirms, e.offline.Days, e.now = store.ConfirmsByPings, 30, testTime.AddDate(0, 0, 30)
		}), "cleaned", "stored routed push confirms devices", "30 days (cleanup.offline_days)"},
		"settled, and too young to be cleaned up": {of(chat, func(e *evidence) {
			e.account.Confirms, e.offline.Days, e.now = store.ConfirmsByPings, 30, testTime.AddDate(0, 0, 29)
		}), "settled", "stored routed push confirms devices", "whose phones confirm"},
		"nobody is asked to confirm": {of(chat, func(e *evidence) {
			e.account.Confirms, e.offline.Confirm = store.ConfirmsByPings, component.ConfirmByPresence
		}), "unproved", "stored routed push confirms devices", "offline.confirm is presence"},
		"everybody has to confirm":         {of(chat, func(e *evidence) { e.offline.Confirm = component.ConfirmByReceipt }), "settled", "stored routed push confirms devices", "offline.confirm is receipt"},
		"everybody but of notices":         {of(notice, func(e *evidence) { e.offline.Confirm = component.ConfirmByReceipt }), "unproved", "stored routed push confirms devices", "never confirm anything"},
		"a notice is asked no receipt of":  {of(notice, func(e *evidence) { e.account.Confirms = store.ConfirmsByReceipts }), "unproved", "stored routed push confirms devices", "of notices none is asked for"},
		"a notice to who answers pings":    {of(notice, func(e *evidence) { e.account.Confirms = store.ConfirmsByPings }), "settled", "stored routed push confirms devices", "whose phones confirm"},
		"a robot":                          {of(chat, func(e *evidence) { e.account.Robot = true }), "robot", "stored routed devices", "newest 10,000"},
		"a robot in a group":               {of(group, func(e *evidence) { e.account.Robot = true }), "robot", "member stored routed devices", "findSessionHistory"},
		"how long a confirmation may take": {of(chat, func(e *evidence) { e.sight.Where, e.sight.Sent = tracking.CopySent, testTime }), "unconfirmed", "stored copy routed push confirms devices", "within 7s (offline.grace)"},
		"when an answer counts":            {of(chat, func(e *evidence) { e.sight.Where, e.sight.Sent = tracking.CopyAnswered, testTime }), "unconfirmed", "stored copy routed push confirms devices", "counts 7s later (offline.grace)"},
		"a row at once":                    {of(chat, func(e *evidence) { e.trace.Offline = row(0) }), "waits", "stored row routed push confirms devices", "as far as the server's list told, which is some seconds old"},
		"a row within the grace, which is short": {of(chat, func(e *evidence) {
			e.trace.Offline, e.offline.Grace = row(0), time.Second
			e.trace.Offline[0].Time = "1599999998500"
		}), "waits", "stored row routed push confirms devices", "did not confirm in time"},
		"who left the directory": {of(chat, func(e *evidence) { e.account.Left = true }), "unproved", "stored routed directory push confirms devices", "has left the directory"},
		"who is no user":         {of(chat, func(e *evidence) { e.known, e.account, e.listed = false, store.User{}, false }), "unproved", "stored routed directory push confirms devices", "The directory has no user lisi"},
	} {
		t.Run(name, func(t *testing.T) {
			c.e.zone, c.e.language = time.UTC, English
			x := c.e.explain()
			var whats []string
			whole := x.Text
			for _, f := range x.Facts {
				whats, whole = append(whats, f.What), whole+"\n"+f.Text
			}
			if x.Verdict != c.verdict || strings.Join(whats, " ") != c.facts || !strings.Contains(whole, c.says) {
				t.Errorf("got %s, %q:\n%s\nwant %s, %q, with %q in it", x.Verdict, strings.Join(whats, " "), whole, c.verdict, c.facts, c.says)
			}
			c.e.language = Chinese
			chinese := c.e.explain()
			for _, f := range append(chinese.Facts, fact{Text: chinese.Text}) {
				if f.Text == "" || strings.Contains(f.Text, "%!") || !strings.Contains(f.Text, "。") {
					t.Errorf("got %q, want a whole sentence of Chinese", f.Text)
				}
			}
			if strings.Contains(whole, "%!") || len(chinese.Facts) != len(x.Facts) {
				t.Errorf("got %s, %d facts in Chinese, want whole sentences, %d", whole, len(chinese.Facts), len(x.Facts))
			}
		})
	}
}

// TestExplainNamesEveryOutcome: what can become of a push has its sentence.
func TestExplainNamesEveryOutcome(t *testing.T) {
	for _, outcome := range []string{"waits", "sent", "withdrawn", "repeated", "dead", "unmeant", "refused", "expired"} {
		if s := pushTexts[outcome]; !strings.Contains(s.zh, "%s") || !strings.Contains(s.en, "%s") {
			t.Errorf("%s: got %q and %q, want sentences that name the channel", outcome, s.zh, s.en)
		}
	}
}

// TestLasting: a length of time is told by its two largest units.
func TestLasting(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0:                             {"0 秒", "0 s"},
		1400 * time.Millisecond:       {"1 秒", "1 s"},
		10*time.Minute + time.Second:  {"10 分钟 1 秒", "10 min 1 s"},
		time.Hour + 30*time.Second:    {"1 小时", "1 h"},
		54520*time.Hour + time.Minute: {"2271 天 16 小时", "2271 d 16 h"},
	} {
		t.Run(want[1], func(t *testing.T) {
			for i, language := range []Language{Chinese, English} {
				if got := (&evidence{language: language}).lasting(d); got != want[i] {
					t.Errorf("%v in %s: got %q, want %q", d, language, got, want[i])
				}
			}
		})
	}
}
