package openfire

import (
	"context"
	"errors"
	"fmt"

	"tlim/component/stanza"
)

const nsInfo = "http://jabber.org/protocol/disco#info"

// HasUser says whether there is an account of that name: the server answers for its users' bare addresses, and knows no
// other. It is how a refused AddUser is understood, whose text is in the server's language.
func (s *Server) HasUser(ctx context.Context, jid stanza.JID) (bool, error) {
	_, err := s.ask.IQ(ctx, "get", jid.Bare(), []byte(`<query xmlns="`+nsInfo+`"/>`))
	var refused *stanza.IQError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &refused) && (refused.Condition == "item-not-found" || refused.Condition == "service-unavailable"):
		return false, nil
	}
	return false, fmt.Errorf("look for account %s: %w", jid.Bare(), err)
}
