package openfire

import (
	"context"
	"errors"
	"fmt"

	"tlim/component/stanza"
)

const nsInfo = "http://jabber.org/protocol/disco#info"

// ErrUntold means that the server does not say whether there is an account. Openfire 5 tells only those whom the account's owner
// has let see its presence, and other servers as well (XEP-0030 section 8).
var ErrUntold = errors.New("the server does not say whether there is an account")

// HasUser says whether there is an account of that name, by what the server says of its bare address (XEP-0030). An error
// says nothing of the account: ErrUntold, or no answer, as of Openfire 5 about an account that it does not have.
func (s *Server) HasUser(ctx context.Context, jid stanza.JID) (bool, error) {
	answer, err := s.ask.IQ(ctx, "get", jid.Bare(), []byte(`<query xmlns="`+nsInfo+`"/>`))
	var refused *stanza.IQError
	switch {
	case err == nil && isAccount(answer):
		return true, nil
	case err == nil:
		err = fmt.Errorf("%w: its answer names none", ErrUntold)
	case errors.As(err, &refused):
		switch refused.Condition {
		case "item-not-found":
			return false, nil
		case "service-unavailable", "forbidden", "not-allowed", "not-authorized", "feature-not-implemented", "subscription-required":
			err = fmt.Errorf("%w: %s", ErrUntold, refused.Condition)
		}
	}
	return false, fmt.Errorf("look for account %s: %w", jid.Bare(), err)
}

// isAccount says whether an answer is that of an account: identity account/registered, or account/admin.
func isAccount(answer stanza.Stanza) bool {
	query, ok := answer.Child("query", nsInfo)
	if !ok {
		return false
	}
	for c := range query.Children() {
		if c.Name == "identity" && c.Space == nsInfo && c.Attr("category") == "account" && (c.Attr("type") == "registered" || c.Attr("type") == "admin") {
			return true
		}
	}
	return false
}
