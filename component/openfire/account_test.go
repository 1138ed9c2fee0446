package openfire

import (
	"context"
	"errors"
	"testing"

	"tlim/component/stanza"
)

// account answers a look for an account.
type account struct {
	t   *testing.T
	err error
}

func (a account) IQ(_ context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	if typ != "get" || to != `a\20b@im.test` || string(payload) != `<query xmlns="http://jabber.org/protocol/disco#info"/>` {
		a.t.Errorf("asked %s %s %s", typ, to, payload)
	}
	return stanza.Stanza{}, a.err
}

func TestHasUser(t *testing.T) {
	lost := errors.New("lost")
	for _, c := range []struct {
		name   string
		answer error
		there  bool
		failed bool
	}{
		{"there", nil, true, false},
		{"not there", &stanza.IQError{Condition: "item-not-found"}, false, false},
		{"not there, in other words", &stanza.IQError{Condition: "service-unavailable"}, false, false},
		{"nobody knows", &stanza.IQError{Condition: "internal-server-error"}, false, true},
		{"no answer", lost, false, true},
	} {
		there, err := New(account{t, c.answer}, "im.test").HasUser(t.Context(), stanza.JID{Local: `a\20b`, Domain: "im.test"})
		if there != c.there || (err != nil) != c.failed || c.failed && !errors.Is(err, c.answer) {
			t.Errorf("%s: %v, %v", c.name, there, err)
		}
	}
}
