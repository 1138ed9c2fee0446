package openfire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tlim/component/stanza"
)

// Asker sends an IQ from the bare component domain and waits for its answer; an answer of type error is a *stanza.IQError.
// stream.Links implements it.
type Asker interface {
	IQ(ctx context.Context, typ, to string, payload []byte) (stanza.Stanza, error)
}

// Server asks one Openfire. Its methods may be called from several goroutines.
type Server struct {
	ask       Asker
	domain    string
	snapshots snapshots
}

// New returns the Openfire of that domain.
func New(ask Asker, domain string) *Server { return &Server{ask: ask, domain: domain} }

// ErrUnsupported means that the server has no such command, or not for us: it is another server, or one that forbids it.
var ErrUnsupported = errors.New("the server does not offer this command")

const (
	nsCommands = "http://jabber.org/protocol/commands"
	nsData     = "jabber:x:data"
	adminNode  = "http://jabber.org/protocol/admin#"
	formType   = "http://jabber.org/protocol/admin"
)

// field is one answer of a form.
type field struct {
	name   string
	values []string
}

// execute runs a command in its two stages: the server hands out a form, and takes it back filled in.
func (s *Server) execute(ctx context.Context, node string, form []field) (stanza.Child, error) {
	node = adminNode + node
	command, err := s.stage(ctx, appendCommand(nil, node, "", nil))
	if err != nil {
		return command, err
	}
	if command.Attr("status") != "executing" {
		return command, fmt.Errorf("command %s: status %q instead of executing", node, command.Attr("status"))
	}
	session := command.Attr("sessionid")
	command, err = s.stage(ctx, appendCommand(nil, node, session, form))
	if err != nil {
		s.cancel(ctx, node, session)
		return command, err
	}
	if note, ok := command.Child("note", nsCommands); ok && note.Attr("type") == "error" {
		return command, &NoteError{Text: note.Text()}
	}
	if command.Attr("status") != "completed" {
		s.cancel(ctx, node, session)
		return command, fmt.Errorf("command %s: status %q instead of completed", node, command.Attr("status"))
	}
	return command, nil
}

// cancelTime bounds the cancellation of a command that did not end.
const cancelTime = 5 * time.Second

// cancel ends a command that was begun. The server forgets none that is neither completed nor cancelled, and takes no more
// when 100 are open.
func (s *Server) cancel(ctx context.Context, node, session string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	payload := append([]byte(`<command xmlns="`+nsCommands+`" node="`), node...)
	payload = append(payload, `" action="cancel" sessionid="`...)
	payload = append(stanza.AppendAttr(payload, session), `"/>`...)
	_, _ = s.ask.IQ(ctx, "set", s.domain, payload) // an attempt: the command's own error is what counts
}

// NoteError is a command's own word that it failed; its text is in the server's language.
type NoteError struct{ Text string }

func (n *NoteError) Error() string { return "the server refused: " + n.Text }

func (s *Server) stage(ctx context.Context, payload []byte) (stanza.Child, error) {
	answer, err := s.ask.IQ(ctx, "set", s.domain, payload)
	var refused *stanza.IQError
	if errors.As(err, &refused) {
		switch refused.Condition {
		case "item-not-found", "feature-not-implemented", "service-unavailable", "forbidden", "not-authorized":
			return stanza.Child{}, fmt.Errorf("%w: %s", ErrUnsupported, refused.Condition)
		}
	}
	if err != nil {
		return stanza.Child{}, err
	}
	command, ok := answer.Child("command", nsCommands)
	if !ok {
		return stanza.Child{}, errors.New("the answer holds no command")
	}
	return command, nil
}

func appendCommand(b []byte, node, session string, form []field) []byte {
	b = append(b, `<command xmlns="`+nsCommands+`" node="`...)
	b = stanza.AppendAttr(b, node)
	if session == "" {
		return append(b, `"/>`...)
	}
	b = append(b, `" sessionid="`...)
	b = stanza.AppendAttr(b, session)
	b = append(b, `" action="complete"><x xmlns="`+nsData+`" type="submit"><field var="FORM_TYPE"><value>`+formType+`</value></field>`...)
	for _, f := range form {
		b = append(b, `<field var="`...)
		b = stanza.AppendAttr(b, f.name)
		b = append(b, `">`...)
		for _, v := range f.values {
			b = append(b, `<value>`...)
			b = stanza.AppendEscaped(b, v)
			b = append(b, `</value>`...)
		}
		b = append(b, `</field>`...)
	}
	return append(b, `</x></command>`...)
}

// AddUser makes an account. A *NoteError says that the server did not, for example because there is one.
func (s *Server) AddUser(ctx context.Context, jid stanza.JID, password, name, email string) error {
	_, err := s.execute(ctx, "add-user", []field{
		{"accountjid", []string{jid.Bare()}}, {"password", []string{password}}, {"password-verify", []string{password}},
		{"email", []string{email}}, {"given_name", []string{name}}, // Openfire joins given_name and surname without a blank
	})
	if err != nil {
		return fmt.Errorf("add account %s: %w", jid.Bare(), err)
	}
	return nil
}

// DeleteUser removes an account. On 4.2 a session of it that is open stays open (measured).
func (s *Server) DeleteUser(ctx context.Context, jid stanza.JID) error {
	_, err := s.execute(ctx, "delete-user", []field{
		{"accountjid", []string{jid.Bare()}}, {"accountjids", []string{jid.Bare()}}, // 4.2 reads the first, later ones the second
	})
	if err != nil {
		return fmt.Errorf("delete account %s: %w", jid.Bare(), err)
	}
	return nil
}
