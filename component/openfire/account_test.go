package openfire

import (
	"context"
	"errors"
	"testing"

	"tlim/component/stanza"
)

// account answers a look for an account.
type account struct {
	t      *testing.T
	answer string
	err    error
}

func (a account) IQ(_ context.Context, typ, to string, payload []byte) (stanza.Stanza, error) {
	if typ != "get" || to != `a\20b@im.test` || string(payload) != `<query xmlns="http://jabber.org/protocol/disco#info"/>` {
		a.t.Errorf(`asked %s %s %s, want a disco#info get of a\20b@im.test`, typ, to, payload)
	}
	if a.err != nil {
		return stanza.Stanza{}, a.err
	}
	return stanza.Parse([]byte(`<iq type="result" from="im.test">` + a.answer + `</iq>`))
}

func TestHasUser(t *testing.T) {
	const info = `<query xmlns="http://jabber.org/protocol/disco#info">`
	lost := errors.New("lost")
	refused := func(condition string) error { return &stanza.IQError{Condition: condition} }
	for name, c := range map[string]struct {
		answer string
		err    error
		there  bool
		want   error // nil: it is known
	}{
		"there":              {info + `<identity category="account" type="registered"/><feature var="msgoffline"/></query>`, nil, true, nil},
		"an administrator":   {info + `<identity category="client" type="pc"/><identity category="account" type="admin"/></query>`, nil, true, nil},
		"a passing session":  {info + `<identity category="account" type="anonymous"/></query>`, nil, false, ErrUntold},
		"another's identity": {info + `<identity xmlns="urn:x" category="account" type="registered"/></query>`, nil, false, ErrUntold},
		"something else":     {info + `<identity category="server" type="im"/></query>`, nil, false, ErrUntold},
		"nothing":            {``, nil, false, ErrUntold},
		"not there":          {``, refused("item-not-found"), false, nil},
		"to nobody":          {``, refused("service-unavailable"), false, ErrUntold},
		"not to us":          {``, refused("forbidden"), false, ErrUntold},
		"not at all":         {``, refused("feature-not-implemented"), false, ErrUntold},
		"a fault of its own": {``, refused("internal-server-error"), false, refused("internal-server-error")},
		"no answer":          {``, lost, false, lost},
		"no answer in time":  {``, context.DeadlineExceeded, false, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			there, err := New(account{t, c.answer, c.err}, "im.test").HasUser(t.Context(), stanza.JID{Local: `a\20b`, Domain: "im.test"})
			if there != c.there || (err == nil) != (c.want == nil) || c.want != nil && !errors.Is(err, c.want) && err.Error() != "look for account a\\20b@im.test: "+c.want.Error() {
				t.Errorf("got %v, %v, want %v, %v", there, err, c.there, c.want)
			}
		})
	}
}
