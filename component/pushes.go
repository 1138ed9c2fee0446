package component

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"tlim/component/calls"
	"tlim/component/directory"
	"tlim/component/events"
	"tlim/component/lenient"
	"tlim/component/outbox"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/tracking"
	"tlim/store"
)

// push remembers a message that phones are to be woken for. Without channels it costs one comparison.
func (d *decision) push() {
	if d.b.s.outbox != nil && d.kind.Pushed && len(d.to) > 0 {
		d.b.wakers = append(d.b.wakers, d)
	}
}

// pushes writes the outbox rows of the batch into its transaction.
func (b *batch) pushes(ctx context.Context) {
	b.wake(ctx)
	if len(b.outgoing) > 0 {
		b.changes = append(b.changes, store.Change{Pushes: b.outgoing})
	}
}

// wake makes the outbox rows of the batch's messages: one per message and channel, for those receivers who have a push code. It
// never fails: a message matters more than its push.
func (b *batch) wake(ctx context.Context) {
	if len(b.wakers) == 0 {
		return
	}
	var locals []string
	for _, d := range b.wakers {
		for _, p := range d.to {
			if d.wakes(p) {
				locals = append(locals, p.Local)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	users, err := b.s.users.Lookup(ctx, locals)
	if err != nil {
		b.s.outbox.Unwritten(len(b.wakers), err, b.count)
		return
	}
	for _, d := range b.wakers {
		b.outgoing = append(b.outgoing, d.pushRows(users)...)
	}
}

// events writes the rows of what business systems are told into the transaction of what they tell of. Without a webhook it costs one comparison.
// Its error is the store's: who came or left could not be told from who was there.
func (b *batch) events(ctx context.Context) error {
	if b.s.events == nil || len(b.changes) == 0 {
		return nil
	}
	var failed error
	b.told = b.s.events.Rows(b.changes, events.View{Now: b.now, Stored: func(msgID string) []store.Message { return b.stored[msgID] },
		Known: func(ids []string) map[string]bool {
			there, err := b.present(ctx, ids)
			failed = cmp.Or(failed, err)
			return there
		}})
	if failed == nil && len(b.told) > 0 {
		b.changes = append(b.changes, store.Change{Events: b.told})
	}
	return failed
}

// present are the people of these ids who were in the directory before the batch, and have not left it. Robots neither come nor leave.
func (b *batch) present(ctx context.Context, ids []string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	there := map[string]bool{}
	for chunk := range slices.Chunk(ids, noticeSlice) {
		users, err := b.s.users.Lookup(ctx, directory.Localparts(chunk))
		if err != nil {
			return nil, err
		}
		for _, id := range chunk {
			local, err := stanza.Localpart(id)
			if u, known := users[local]; err == nil && known && !u.Left && !u.Robot {
				there[id] = true
			}
		}
	}
	return there, nil
}

// wakes says whether a receiver may get a push at all: the sender of a message gets none. A message that the server made in a
// user's name, as a dissolution's notices are, has no such sender.
func (d *decision) wakes(p protocol.Person) bool {
	return p.Local != "" && (d.serverMade() || p.Local != d.sender.Local)
}

// pushRows makes the outbox rows of one message.
func (d *decision) pushRows(users map[string]store.User) []store.Push {
	s := d.b.s
	var everywhere, android []store.PushTo
	seen := map[string]bool{} // two users of a legacy directory can have one device
	for _, p := range d.to {
		u := users[p.Local]
		if !d.wakes(p) || u.PushCode == "" || u.Left || seen[u.PushCode] {
			continue
		}
		seen[u.PushCode] = true
		to := store.PushTo{User: p.ID, Code: u.PushCode}
		switch {
		case !iPhoneAvailable(s.presence.Devices(p.Local)):
			everywhere = append(everywhere, to)
		case u.PushOS != "ios":
			android = append(android, to)
		}
	}
	if len(everywhere)+len(android) == 0 {
		return nil
	}

	title, alert := "", alertHidden
	if !s.cfg.PushHidden {
		if d.group != nil {
			title = tidy(d.group.Name)
		}
		name := d.sender.ID
		if u := d.b.users[d.sender.Local]; u.Name != "" {
			name = u.Name
		}
		alert = d.kind.alertOf(d.env, alertSender(name, title))
	}
	return s.outbox.Rows(outbox.Message{MsgID: d.env.MsgID, Type: d.env.Type, Title: protocol.Shorten(title, maxTitle), Alert: alert,
		All: everywhere, Android: android, Made: d.b.now}, d.b.count)
}

const maxTitle = 256 // characters, as ofsession.session_name holds

// iPhoneAvailable says whether an iPhone has the message by its own connection. Android apps are pushed always.
func iPhoneAvailable(devices []presence.Device) bool {
	return slices.ContainsFunc(devices, func(d presence.Device) bool {
		_, resource, _ := strings.Cut(d.Full, "/")
		return d.Show == "" && strings.Contains(resource, "[ios]")
	})
}

// Reminded is what became of the receivers of a notice who were to be reminded of it.
type Reminded struct {
	Pushed      int // another push of theirs is in the outbox
	Read        int // they have read it
	Recent      int // a push of theirs waits, or went out less than outbox.Spacing ago
	Unreachable int // they have left, or no device of theirs is registered
	Removed     int // their message was revoked or cleaned up
	Dropped     int // too many pushes wait already
}

// ErrNoPushes says that no channel takes pushes of a type of message.
var ErrNoPushes = errors.New("no push channel takes messages of this type")

// Remind wakes the phones of those receivers of a call who have not read its message, by another push. It works through them in slices, between
// which chat passes, and the pushes of each are in the database when it is through; after an error (ErrNoPushes, ErrUnavailable) those are sent
// all the same, and repeating it tells nobody twice within outbox.Spacing. It goes to all devices, wherever the message is already: it was not read.
func (s *Service) Remind(ctx context.Context, n tracking.Call) (r Reminded, err error) {
	for from := calls.MessageID(n.CallID, 1); ; {
		ids, err := s.queries.IDsBetween(ctx, protocol.AdminID, from, n.CallID[:calls.Stem]+calls.Last, noticeSlice)
		if err != nil {
			return r, protocol.ErrUnavailable
		}
		if err := s.remind(ctx, ids, &r); err != nil {
			return r, err
		}
		if len(ids) < noticeSlice || calls.Number(ids[len(ids)-1].MsgID) == calls.MaxReceivers {
			return r, nil
		}
		from = calls.MessageID(n.CallID, calls.Number(ids[len(ids)-1].MsgID)+1)
	}
}

// remind pushes to the receivers of these messages, in one transaction.
func (s *Service) remind(ctx context.Context, ids []store.ID, r *Reminded) error {
	// 1. who has not read it
	names, keys, people := make([]string, len(ids)), make([]store.ReceiptKey, len(ids)), make([]protocol.Person, len(ids))
	for i, id := range ids {
		people[i] = protocol.NewPerson(protocol.ChatPeer(id.Conversation, protocol.AdminID), s.cfg.Server)
		names[i], keys[i] = id.MsgID, store.ReceiptKey{MsgID: id.MsgID, Reader: people[i].ID}
	}
	heads, err := s.queries.MessageHeads(ctx, names)
	if err != nil {
		return protocol.ErrUnavailable
	}
	receipts, err := s.store.Receipts(ctx, keys)
	if err != nil {
		return protocol.ErrUnavailable
	}
	pushes, err := s.queries.PushesOf(ctx, names)
	if err != nil {
		return protocol.ErrUnavailable
	}
	now := s.now()
	var unread []protocol.Person
	var locals, unreadIDs []string
	for i, p := range people {
		switch {
		case heads[names[i]].MsgID == "":
			r.Removed++
		case len(receipts[keys[i]]) > 0:
			r.Read++
		case slices.ContainsFunc(pushes[names[i]], func(row store.Push) bool { return pushedLately(&row, now) }):
			r.Recent++
		default:
			unread, locals, unreadIDs = append(unread, p), append(locals, p.Local), append(unreadIDs, names[i])
		}
	}

	// 2. who of them can be reached
	users, err := s.users.Lookup(ctx, locals)
	if err != nil {
		return protocol.ErrUnavailable
	}
	var messages []outbox.Message
	for i, p := range unread {
		u := users[p.Local]
		if u.PushCode == "" || u.Left {
			r.Unreachable++
			continue
		}
		kind := heads[unreadIDs[i]].Type
		if !s.outbox.Takes(kind) {
			return ErrNoPushes
		}
		alert := alertHidden
		if !s.cfg.PushHidden {
			alert = s.kindOf(kind).alertOf(&protocol.Envelope{Type: kind}, protocol.AdminID)
		}
		messages = append(messages, outbox.Message{MsgID: unreadIDs[i], Type: kind, Alert: alert, All: []store.PushTo{{User: p.ID, Code: u.PushCode}}, Made: now})
	}
	if len(messages) == 0 {
		return nil
	}

	// 3. their pushes
	dropped := 0
	err = s.do(ctx, &task{size: int64(len(messages) * 400), about: aboutNotices, cost: len(messages), plan: func(_ context.Context, b *batch) error {
		dropped = 0
		for _, m := range messages {
			rows := s.outbox.Rows(m, b.count)
			if b.outgoing = append(b.outgoing, rows...); len(rows) == 0 {
				dropped++
			}
		}
		return nil
	}})
	if err != nil {
		return err
	}
	r.Pushed += len(messages) - dropped
	r.Dropped += dropped
	return nil
}

// pushedLately says whether a row of the outbox waits, or woke somebody a moment ago.
func pushedLately(row *store.Push, now time.Time) bool {
	return !row.Done || now.Sub(time.UnixMilli(row.Due)) < outbox.Spacing &&
		slices.ContainsFunc(row.To, func(to store.PushTo) bool { return outbox.OutcomeOf(row, to) == outbox.Sent })
}

// dropPushCodes takes registrations that a vendor does not know any more from their users: from the directory's source first, whose next poll
// would bring them back, then from the database and from memory.
func (s *Service) dropPushCodes(ctx context.Context, codes, users []string) error {
	if err := s.users.DropPush(ctx, codes); err != nil {
		return err
	}
	if err := s.queries.DeletePushCodes(ctx, codes); err != nil {
		return err
	}
	for _, id := range users {
		s.users.Drop(protocol.NewPerson(id, s.cfg.Server).Local)
	}
	return nil
}

const (
	maxAlertText  = 30  // characters of a message's text that a push shows
	maxAlertGroup = 6   // of the group's name beside it
	maxAlert      = 400 // of the whole, which is what the outbox holds: names can be long
	alertHidden   = "收到了一条新消息"
)

// alert makes the text that a phone shows for a message (PROTOCOL.md section 9); "" when nothing can be told of it. Approvals,
// payslips and all other business messages show nothing of their content. sender has the group's name behind it.
type alert func(env *protocol.Envelope, sender string) string

// says is an alert that is the same for everybody.
func says(text string) alert { return func(*protocol.Envelope, string) string { return text } }

// saysOfSender begins with who did it.
func saysOfSender(text string) alert {
	return func(_ *protocol.Envelope, sender string) string { return tidy(sender + text) }
}

// alertText shows the beginning of a text.
func alertText(env *protocol.Envelope, sender string) string {
	text, ok := firstField(env, "text")
	if !ok {
		return ""
	}
	return tidy(sender + ":" + cutMarked(strings.ReplaceAll(text, "<br>", ""), maxAlertText))
}

// alertCleared tells how somebody has answered the wish to clear a conversation.
func alertCleared(env *protocol.Envelope, sender string) string {
	switch status, ok := firstField(env, "status"); {
	case !ok:
		return ""
	case status == "0":
		return tidy(sender + ":同意清空消息")
	}
	return tidy(sender + ":拒绝清空消息")
}

// alertSender is how an alert calls a sender, in a group with its name.
func alertSender(sender, group string) string {
	if group == "" {
		return sender
	}
	return sender + "(" + cutMarked(group, maxAlertGroup) + ")"
}

// firstField reads a field of the first body object; false when the body is not the server's to read or lacks it.
func firstField(env *protocol.Envelope, name string) (string, bool) {
	if env.Opaque {
		return "", false
	}
	strict, err := lenient.JSON(env.Body)
	if err != nil {
		return "", false
	}
	value := gjson.Parse(strict).Get("0." + name)
	return value.String(), value.Type == gjson.String || value.Type == gjson.Number
}

// cutMarked shortens a text that is too long, and shows that it did.
func cutMarked(text string, characters int) string {
	if short := protocol.Shorten(text, characters); short != text {
		return short + "..."
	}
	return text
}

// tidy makes a text that every table and every vendor takes.
func tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return protocol.Shorten(text, maxAlert)
}

// PushTrouble says why nothing goes out by a way of pushes, as its vendor or the network said it last; "" where something does.
func (s *Service) PushTrouble(channel string) string { return s.outbox.Trouble(channel) }
