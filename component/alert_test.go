package component

import (
	"strings"
	"testing"
	"unicode/utf8"

	"tlim/component/protocol"
)

// The texts of PROTOCOL.md section 9, word for word.
func TestAlerts(t *testing.T) {
	for _, c := range []struct{ kind, group, body, want string }{
		{"MTT-000", "", `[{"text":"你好"}]`, "张三:你好"},
		{"MTT-000", "", `[{"text":"` + strings.Repeat("长", 30) + `"}]`, "张三:" + strings.Repeat("长", 30)},
		{"MTT-000", "", `[{"text":"` + strings.Repeat("长", 31) + `"}]`, "张三:" + strings.Repeat("长", 30) + "..."},
		{"MTT-000", "", `[{"text":"` + strings.Repeat("😀", 31) + `"}]`, "张三:" + strings.Repeat("😀", 30) + "..."},
		{"MTT-000", "", `[{"text":"one<br>two<br>"}]`, "张三:onetwo"},
		{"MTT-000", "", `[{text:'lenient',}]`, "张三:lenient"},
		{"MTT-000", "", `[{"text":5}]`, "张三:5"},
		{"MTT-000", "", `[{"text":"a\u0000b\u001bc\nd"}]`, "张三:abc\nd"},
		{"MTT-000", "", `[{"other":"x"}]`, "收到了一条新消息"},
		{"MTT-000", "", `[]`, "收到了一条新消息"},
		{"MTS-000", "项目组", `[{"session_id":"g","text":"hi"}]`, "张三(项目组):hi"},
		{"MTS-000", "六个字的名字", `[{"text":"hi"}]`, "张三(六个字的名字):hi"},
		{"MTS-000", "七个字的群名字", `[{"text":"hi"}]`, "张三(七个字的群名...):hi"},
		{"MTT-001", "", `[{"fileId":"secret"}]`, "发送了一个图片消息"},
		{"MTS-001", "g", `[{}]`, "发送了一个图片消息"},
		{"MTT-002", "", `[{}]`, "发送了一个文件消息"},
		{"MTS-002", "g", `[{}]`, "发送了一个文件消息"},
		{"MTT-003", "", `[{}]`, "发送了一条语音消息"},
		{"MTS-003", "g", `[{}]`, "发送了一条语音消息"},
		{"MTT-004", "", `[{"confName":"secret"}]`, "收到了一条新消息"},
		{"MTS-004", "g", `[{}]`, "收到了一条新消息"},
		{"MTT-101", "", `[{"msg_id":"m"}]`, "张三撤回了一条消息"},
		{"MTS-101", "项目组", `[{}]`, "张三(项目组):撤回了一条消息"},
		{"MTT-102", "", `[]`, "收到了一条新消息"},
		{"MTT-200", "", `[{"info":"secret"}]`, "张三:向您发起清空消息请求"},
		{"MTT-201", "", `[{"status":"0"}]`, "张三:同意清空消息"},
		{"MTT-201", "", `[{"status":0}]`, "张三:同意清空消息"},
		{"MTT-201", "", `[{"status":"1"}]`, "张三:拒绝清空消息"},
		{"MTT-201", "", `[{}]`, "收到了一条新消息"},
		{"MTT-999", "", `[{"text":"secret"}]`, "收到了一条新消息"},
		{"MTS-102", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-103", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-104", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-105", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-106", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-107", "g", `[{}]`, "收到一条系统消息"},
		{"MTS-999", "g", `[{"text":"secret"}]`, "收到了一条新消息"},
		{"MTB-000", "", `[{"docTitle":"secret"}]`, "收到了一条审批消息"},
		{"MTB-001", "", `[{"text":"secret"}]`, "收到了一条朋友圈转发消息"},
		{"MTB-100", "", `[{"type":3,"title":"secret","content":"secret"}]`, "收到了一条新消息"}, // a payslip
	} {
		t.Run(c.kind+" "+c.group+" "+c.body, func(t *testing.T) {
			got := alertOf(&protocol.Envelope{Type: c.kind, Body: c.body}, "张三", c.group)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if got := alertOf(&protocol.Envelope{Type: "MTT-000", Opaque: true, Body: `[{"text":"x"}]`}, "a", ""); got != alertHidden {
		t.Errorf("what the server cannot read: got %q, want %q", got, alertHidden)
	}
	long := alertOf(&protocol.Envelope{Type: "MTT-000", Body: `[{"text":"` + strings.Repeat("x", 3000) + `"}]`}, strings.Repeat("名", 1000), "")
	if n := utf8.RuneCountInString(long); n != maxAlert {
		t.Errorf("a name of 1000 characters makes %d, want %d", n, maxAlert)
	}
}

// alertOf is what a push says of an envelope.
func alertOf(env *protocol.Envelope, sender, group string) string {
	return (&Service{kinds: newKinds()}).kindOf(env.Type).alertOf(env, alertSender(sender, group))
}
