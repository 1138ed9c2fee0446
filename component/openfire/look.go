package openfire

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tlim/component/stanza"
)

// What an administrator's check asks. Nothing of it changes anything on the server.

const (
	nsVersion = "jabber:iq:version"
	nsPing    = "urn:xmpp:ping"
)

// Version is what the server calls itself, and which version it says it is.
func (s *Server) Version(ctx context.Context) (name, version string, err error) {
	answer, err := s.ask.IQ(ctx, "get", s.domain, []byte(`<query xmlns="`+nsVersion+`"/>`))
	if err != nil {
		return "", "", fmt.Errorf("version: %w", err)
	}
	query, ok := answer.Child("query", nsVersion)
	if !ok {
		return "", "", errors.New("version: the answer holds none")
	}
	for c := range query.Children() {
		switch c.Name {
		case "name":
			name = strings.TrimSpace(c.Text())
		case "version":
			version = strings.TrimSpace(c.Text())
		}
	}
	return name, version, nil
}

// MayKeepAccounts says whether we may make and remove accounts; ErrUnsupported says that we may not.
func (s *Server) MayKeepAccounts(ctx context.Context) error {
	return errors.Join(s.may(ctx, "add-user"), s.may(ctx, "delete-user"))
}

// MayCopy says whether we may have packet copies; ErrUnsupported says that we may not.
func (s *Server) MayCopy(ctx context.Context) error { return s.may(ctx, "packets_notification") }

// may begins a command, for whose form a right is asked already, and cancels it.
func (s *Server) may(ctx context.Context, node string) error {
	node = adminNode + node
	command, err := s.stage(ctx, appendCommand(nil, node, "", nil))
	if err != nil {
		return fmt.Errorf("%s: %w", node, err)
	}
	s.cancel(ctx, node, command.Attr("sessionid"))
	return nil
}

// Federation is whether the server asks other servers.
type Federation string

// The answers of Federates.
const (
	Federated Federation = "on"
	Alone     Federation = "off"
	Untold    Federation = "" // the server's answer does not tell
)

// Federates says whether the server asks other servers, by what it says of a domain that nobody has. It must be a bare domain: on 4.2
// an address with a user halts our own stream for 60 s where servers are not asked.
func (s *Server) Federates(ctx context.Context, nobody string) (Federation, error) {
	_, err := s.ask.IQ(ctx, "get", nobody, []byte(`<ping xmlns="`+nsPing+`"/>`))
	var refused *stanza.IQError
	if !errors.As(err, &refused) {
		return Untold, err
	}
	switch refused.Condition {
	case "remote-server-not-found", "remote-server-timeout":
		return Federated, nil
	case "service-unavailable", "not-allowed", "item-not-found":
		return Alone, nil
	}
	return Untold, nil
}
