package component

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"tlim/component/protocol"
	"tlim/component/stanza"
)

// Who compares is told once of each message: what was read of it, and why it was refused or left alone. What was taken is committed by then.
func TestVerdicts(t *testing.T) {
	h := newHarness(t)
	var mu sync.Mutex
	var told []string
	h.tune = func(s *Service) {
		s.judged = func(v Verdict) {
			mu.Lock()
			defer mu.Unlock()
			id, code := "none", "taken"
			if v.Envelope != nil {
				id = v.Envelope.MsgID
			}
			if v.Err != nil {
				code = string(protocol.AsError(v.Err).Code)
			}
			told = append(told, fmt.Sprint(v.Stanza.ID, " ", id, " ", code))
		}
	}
	h.begin(nil)
	message := func(id, from, text string) stanza.Stanza {
		return stanza.Stanza{Name: "message", Type: "chat", ID: id, From: from + "@" + testServer + "/phone", To: testServer,
			Inner: []byte("<body>" + strings.ReplaceAll(text, "<", "&lt;") + "</body>")}
	}
	envelope := func(id, from, to string) string {
		return fmt.Sprintf(`{"msg_id":%q,"msg_type":"MTT-000","msg_from":%q,"msg_to":%q,"body":[{"text":"x"}]}`, id, from, to)
	}
	h.CopiedMessage(message("s1", "zhangsan", envelope("m1", "zhangsan", "lisi")))
	h.CopiedMessage(message("s2", "zhangsan", envelope("m2", "lisi", "zhangsan"))) // in another's name
	h.CopiedMessage(message("s3", "zhangsan", "no envelope"))
	h.Stanza(message("s4", "zhangsan", envelope("m1", "zhangsan", "lisi"))) // again
	h.Stanza(message("s5", "zhangsan", envelope("m1", "zhangsan", "wangwu")))
	h.CopiedMessage(stanza.Stanza{Name: "message", ID: "s6", From: "zhangsan@" + testServer + "/phone", To: "lisi@" + testServer,
		Inner: []byte(`<active xmlns="http://jabber.org/protocol/chatstates"/>`)}) // no message
	h.sync()
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(told)
	if want := []string{"s1 m1 taken", "s2 m2 error-011", "s3 none error-005", "s4 m1 taken", "s5 m1 error-014"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}
