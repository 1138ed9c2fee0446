package openfire

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tlim/component/stanza"
)

// answering gives one answer to all questions.
type answering struct {
	answer string
	err    error
	asked  []string
}

func (a *answering) IQ(_ context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	a.asked = append(a.asked, typ+" "+to+" "+string(payload))
	if a.err != nil {
		return stanza.Stanza{}, a.err
	}
	return stanza.Parse([]byte(a.answer))
}

func TestVersion(t *testing.T) {
	a := &answering{answer: `<iq type="result"><query xmlns="jabber:iq:version"><name>Openfire</name><version>4.2.0</version><os>x</os></query></iq>`}
	name, version, err := New(a, "im.test").Version(t.Context())
	if name != "Openfire" || version != "4.2.0" || err != nil {
		t.Errorf("got %s %s %v, want Openfire 4.2.0", name, version, err)
	}
	if _, _, err := New(&answering{answer: `<iq type="result"/>`}, "im.test").Version(t.Context()); err == nil {
		t.Error("an empty answer: got no error, want one")
	}
}

// A right is asked for by beginning, and nothing is left begun.
func TestRights(t *testing.T) {
	a := &answering{answer: `<iq type="result"><command xmlns="http://jabber.org/protocol/commands" sessionid="AbC" status="executing"/></iq>`}
	if err := New(a, "im.test").MayKeepAccounts(t.Context()); err != nil {
		t.Error(err)
	}
	if all := strings.Join(a.asked, "\n"); len(a.asked) != 4 || strings.Count(all, `action="cancel" sessionid="AbC"`) != 2 || strings.Contains(all, "complete") {
		t.Errorf("asked\n%s\nwant two commands, each begun and cancelled", all)
	}
	refused := &answering{err: &stanza.IQError{Condition: "forbidden"}}
	if err := New(refused, "im.test").MayCopy(t.Context()); !errors.Is(err, ErrUnsupported) || len(refused.asked) != 1 {
		t.Errorf("got %v, asked %q; want ErrUnsupported after one question", err, refused.asked)
	}
}

func TestFederates(t *testing.T) {
	late := errors.New("late")
	for name, c := range map[string]struct {
		err  error
		want Federation
		fail error
	}{
		"it asked":   {&stanza.IQError{Condition: "remote-server-not-found"}, Federated, nil},
		"it did not": {&stanza.IQError{Condition: "service-unavailable"}, Alone, nil},
		"else":       {&stanza.IQError{Condition: "internal-server-error"}, Untold, nil},
		"an answer":  {nil, Untold, nil},
		"none":       {late, Untold, late},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answering{answer: `<iq type="result"/>`, err: c.err}
			got, err := New(a, "im.test").Federates(t.Context(), "nobody.im.test")
			if got != c.want || !errors.Is(err, c.fail) {
				t.Errorf("got %q %v, want %q %v", got, err, c.want, c.fail)
			}
		})
	}
}
