package component

import (
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/protocol"
)

const (
	alertTextLength = 30  // characters of a message's text that a push shows
	alertGroup      = 6   // of the group's name beside it
	alertLength     = 400 // of the whole, which is what the outbox holds: names can be long
	alertHidden     = "收到了一条新消息"
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
	return tidy(sender + ":" + cutMarked(strings.ReplaceAll(text, "<br>", ""), alertTextLength))
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
	return sender + "(" + cutMarked(group, alertGroup) + ")"
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
	return protocol.Shorten(text, alertLength)
}
