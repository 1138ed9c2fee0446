package component

import (
	"context"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/directory"
	"tlim/component/events"
	"tlim/component/lenient"
	"tlim/component/outbox"
	"tlim/component/presence"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/store"
)

// push remembers a message that phones are to be woken for. Without channels it costs one comparison.
func (d *decision) push() {
	if d.b.s.outbox != nil && d.kind.Pushed && len(d.to) > 0 {
		d.b.wakers = append(d.b.wakers, d)
	}
}

// pushes writes the outbox rows of the batch's messages into its transaction: one per message and channel, for those receivers
// who have a push code. It never fails: a message matters more than its push.
func (b *batch) pushes(ctx context.Context) {
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
	if len(b.outgoing) > 0 {
		b.changes = append(b.changes, store.Change{Pushes: b.outgoing})
	}
}

// events writes the rows of what business systems are told into the transaction of what they tell of. Without a webhook it costs one comparison.
func (b *batch) events(ctx context.Context) {
	if b.s.events == nil || len(b.changes) == 0 {
		return
	}
	b.told = b.s.events.Rows(b.changes, events.View{Now: b.now, Stored: func(msgID string) []store.Message { return b.stored[msgID] },
		Known: func(ids []string) map[string]bool { return b.present(ctx, ids) }})
	if len(b.told) > 0 {
		b.changes = append(b.changes, store.Change{Events: b.told})
	}
}

// present are those of these ids who were in the directory before the batch, and have not left it. When it cannot be read nobody is: the
// database is away, and the batch will not be written.
func (b *batch) present(ctx context.Context, ids []string) map[string]bool {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	there := map[string]bool{}
	for chunk := range slices.Chunk(ids, noticeSlice) {
		users, err := b.s.users.Lookup(ctx, directory.Localparts(chunk))
		if err != nil {
			return there
		}
		for _, id := range chunk {
			local, err := stanza.Localpart(id)
			if u, known := users[local]; err == nil && known && !u.Left {
				there[id] = true
			}
		}
	}
	return there
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
