package openfire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tlim/component/stanza"
)

// script answers questions one after the other, and has nothing to say to more.
type script struct {
	t       *testing.T
	answers []any // a command's status and content, or an error
	asked   []string
	expired bool // whether the last question came with a context that had ended
}

func (s *script) IQ(ctx context.Context, _, _ string, payload []byte) (stanza.Stanza, error) {
	s.expired = ctx.Err() != nil
	s.asked = append(s.asked, string(payload))
	if len(s.answers) == 0 {
		s.t.Fatalf("got one question more, %s, want none", payload)
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	if err, ok := answer.(error); ok {
		return stanza.Stanza{}, err
	}
	return stanza.Parse(fmt.Appendf(nil, `<iq type="result"><command xmlns="http://jabber.org/protocol/commands" sessionid="A&quot;C" status=%s</command></iq>`, answer))
}

// A command that was begun and did not complete is cancelled, even when the caller's time is up: the server keeps it
// otherwise, and at 100 takes no more.
func TestCancel(t *testing.T) {
	const executing = `"executing"><x xmlns="jabber:x:data" type="form"/>`
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		answers []any
		cancels bool
	}{
		"first stage fails":           {[]any{broken}, false},
		"nothing to fill in":          {[]any{`"completed">`}, false},
		"second stage fails":          {[]any{executing, broken, `"canceled">`}, true},
		"second stage and cancel":     {[]any{executing, broken, broken}, true},
		"another form":                {[]any{executing, executing, `"canceled">`}, true},
		"refused by a note":           {[]any{executing, `"completed"><note type="error">no</note>`}, false},
		"done":                        {[]any{executing, `"completed"><note type="info">ok</note>`}, false},
		"an answer without a form":    {[]any{executing, `"completed">`}, false},
		"unsupported at the begin":    {[]any{&stanza.IQError{Condition: "item-not-found"}}, false},
		"forbidden at the second":     {[]any{executing, &stanza.IQError{Condition: "forbidden"}, `"canceled">`}, true},
		"too many open on the server": {[]any{&stanza.IQError{Condition: "not-allowed"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{t: t, answers: c.answers}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			err := New(s, "im.test").SubscribeCopies(ctx)
			if (err == nil) != (name == "done" || name == "an answer without a form") {
				t.Errorf("got error %v, want one unless the command is done or has no form", err)
			}
			if len(s.answers) != 0 {
				t.Errorf("%d answers were not asked for, want none left", len(s.answers))
			}
			last := s.asked[len(s.asked)-1]
			if cancelled := strings.Contains(last, `action="cancel"`); cancelled != c.cancels {
				t.Errorf("got last question %s, want it to cancel: %v", last, c.cancels)
			}
			if c.cancels && (s.expired || !strings.Contains(last, `sessionid="A&quot;C"`)) {
				t.Errorf("cancelled by %s, too late: %v, want the same session in time", last, s.expired)
			}
		})
	}
}

// Only what SubscribeCopies asked for is a copy.
func TestOtherCopies(t *testing.T) {
	for _, s := range []string{
		`<message from="im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="false" processed="false"><message xmlns=""/></copy></message>`,
		`<message from="im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="true"><message xmlns=""/></copy></message>`,
		`<message from="im.test"><copy xmlns="urn:other" incoming="true" processed="false"><message xmlns=""/></copy></message>`,
		`<message from="im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false"><presence xmlns=""/></copy></message>`,
		`<message from="im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false"><message xmlns="urn:x"/></copy></message>`,
		`<message from="im.test"><body>x</body></message>`, `<message from="im.test"/>`,
		`<message from="im.test" type="error"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false"><message xmlns=""/></copy></message>`,
		`<presence from="im.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false"><message xmlns=""/></copy></presence>`,
		`<message from="IM.test"><copy xmlns="http://jabber.org/protocol/packet#event" incoming="true" processed="false"><message xmlns=""/></copy></message>`,
	} {
		t.Run(s, func(t *testing.T) {
			st, err := stanza.Parse([]byte(s))
			if err != nil {
				t.Fatal(err)
			}
			if inner, ok := Copy(st, "im.test"); ok {
				t.Errorf("%s was unpacked as %+v, want it refused", s, inner)
			}
		})
	}
}
