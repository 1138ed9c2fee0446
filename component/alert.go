package component

import (
	"strings"

	"github.com/tidwall/gjson"

	"tlim/component/lenient"
	"tlim/component/protocol"
)

const (
	alertText   = 30  // characters of a message's text that a push shows
	alertGroup  = 6   // of the group's name beside it
	alertLength = 400 // of the whole, which is what the outbox holds: names can be long
	alertHidden = "收到了一条新消息"
)

// alertOf is the text that a phone shows for a message (PROTOCOL.md section 9). Approvals, payslips and all other business
// messages show nothing of their content.
func alertOf(env *protocol.Envelope, sender, group string) string {
	if group != "" {
		sender += "(" + cutMarked(group, alertGroup) + ")"
	}
	switch env.Type {
	case "MTT-000", "MTS-000":
		if text, ok := firstField(env, "text"); ok {
			return tidy(sender + ":" + cutMarked(strings.ReplaceAll(text, "<br>", ""), alertText))
		}
	case "MTT-001", "MTS-001":
		return "发送了一个图片消息"
	case "MTT-002", "MTS-002":
		return "发送了一个文件消息"
	case "MTT-003", "MTS-003":
		return "发送了一条语音消息"
	case "MTT-101":
		return tidy(sender + "撤回了一条消息")
	case "MTS-101":
		return tidy(sender + ":撤回了一条消息")
	case "MTT-200":
		return tidy(sender + ":向您发起清空消息请求")
	case "MTT-201":
		switch status, ok := firstField(env, "status"); {
		case !ok:
		case status == "0":
			return tidy(sender + ":同意清空消息")
		default:
			return tidy(sender + ":拒绝清空消息")
		}
	case "MTS-102", "MTS-103", "MTS-104", "MTS-105", "MTS-106", "MTS-107":
		return "收到一条系统消息"
	case "MTB-000":
		return "收到了一条审批消息"
	case "MTB-001":
		return "收到了一条朋友圈转发消息"
	}
	return alertHidden
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
