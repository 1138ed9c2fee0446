package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tlim/component/stanza"
	"tlim/component/stream"
)

// externalComponents is where Openfire keeps what it wants to know of components.
const externalComponents = "Openfire's console: Server > Server Settings > External Components"

// linkChecks are about the stream to the server.
func (s *Site) linkChecks() []Check {
	return []Check{
		{ID: "openfire.port", Name: "the component port", After: []string{"process"}, Run: s.checkPort},
		{ID: "openfire.secret", Name: "the component's name and secret", Needs: []string{"openfire.port"}, Run: s.checkSecret},
		{ID: "openfire.domain", Name: "the server's domain", Needs: []string{"openfire.secret"}, Run: s.checkDomain},
		{ID: "openfire.nodes", Name: "the other servers of xmpp.server", Needs: []string{"openfire.domain"}, Run: s.checkNodes},
		{ID: "process.link", Name: "the link of tlim serve", After: []string{"process", "openfire.port"}, Run: s.checkProcessLink},
	}
}

// portReasons keep a stream from being begun at all.
var portReasons = []stream.Reason{stream.ReasonConnecting, stream.ReasonRefused, stream.ReasonDNS, stream.ReasonUnreachable, stream.ReasonTLS,
	stream.ReasonNoComponent, stream.ReasonSyntax, stream.ReasonLost, stream.ReasonDeaf, stream.ReasonStalled, stream.ReasonClosed, stream.ReasonStreamEnd}

// checkPort makes the one attempt whose outcome it and the two checks behind it judge, unless a process has the link. Beside a process
// without one the name is given back at once: that process tries to get it.
func (s *Site) checkPort(ctx context.Context) []Finding {
	if s.Config.XMPP.Domain == "" {
		return failure("set it to the XMPP Domain Name that the first page of Openfire's console shows", "xmpp.domain is not set")
	}
	if kept(s, &s.mute) {
		return skipped("process (tlim serve) comes first: what has metrics.listen may be the process that has the link")
	}
	status, by := stream.Status{}, "this command"
	p, secret := kept(s, &s.process), s.Config.XMPP.Secret.Reveal()
	switch {
	case s.linkedProcess(), p != nil && secret == "" && p.Link.Text != "":
		status, by = p.status(), "the process that serves"
	case secret == "":
		return skipped("this command has no xmpp.secret, so it cannot link: give it as the process gets it (TLIM_XMPP_SECRET_FILE)")
	default:
		cfg, err := s.Link()
		if err != nil {
			return failure("correct the file that xmpp.ca_file names", "%v", err)
		}
		if p.standsBy() { // the name is the leader's
			cfg.Domain = named(cfg.Domain, "doctor")
		}
		var own *linked
		own, status = connect(ctx, cfg)
		if own != nil && p != nil {
			own.close()
		}
		keep(s, &s.own, own)
	}
	keep(s, &s.attempt, status)
	for _, reason := range portReasons {
		if !status.Up && status.Reason == reason {
			return s.because(status)
		}
	}
	return ok("%s answers as a component port, seen by %s", cmp.Or(status.Server, s.Config.XMPP.Server.String()), by)
}

// checkProcessLink compares what this command saw with the word of the process that serves, which may have been started with something else.
func (s *Site) checkProcessLink(context.Context) []Finding {
	p, seen := kept(s, &s.process), kept(s, &s.attempt)
	switch {
	case p == nil:
		return ok("no process serves")
	case p.Role == "standby":
		return ok("it stands by: the link is the leader's")
	case p.Link.OK:
		return ok("it is linked as %s", s.Config.XMPP.Component)
	case seen.Up:
		return failure("it tries again by itself; where it goes on saying so, restart it: it has another xmpp.server, xmpp.domain, xmpp.secret or xmpp.connections than this command, or a further link is refused (openfire.links)",
			"this command can link as %s, and the process that serves cannot: %s", s.Config.XMPP.Component, p.status().Text)
	}
	return failure("mend what the checks above name", "it has no link: %s", p.status().Text)
}

// status is the process's word on its link.
func (p *process) status() stream.Status {
	text := strings.TrimPrefix(p.Link.Text, "link: ")
	if text == "" {
		text = "it starts"
	}
	return stream.Status{Up: p.Link.OK, Reason: stream.Reason(p.Link.State), Text: text, Server: p.Link.Server}
}

// because makes a failure of a status, whose text says what is wrong and, behind a colon, what to do.
func (s *Site) because(status stream.Status) []Finding {
	seen, remedy, _ := strings.Cut(status.Text, ": ")
	var more string
	if said, found := errors.AsType[*stream.Error](status.Err); found {
		more = fmt.Sprintf(" (%v)", said.Err)
	}
	switch status.Reason {
	case stream.ReasonRefused, stream.ReasonUnreachable, stream.ReasonNoComponent, stream.ReasonSecret, stream.ReasonConflict, stream.ReasonHostUnknown, stream.ReasonStreamError:
		remedy += "; " + externalComponents
	}
	return failure(remedy, "%s%s", seen, more)
}

func (s *Site) checkSecret(context.Context) []Finding {
	status, beside := kept(s, &s.attempt), named(s.Config.XMPP.Component, "doctor")
	if standsBy := kept(s, &s.process).standsBy(); standsBy && status.Up {
		return ok("beside the leader's link, the server takes %s with this secret", beside)
	} else if standsBy {
		return skipped("the leader has %s, so that this command cannot try the secret there, and the server takes no %s: %s", s.Config.XMPP.Component, beside, status.Text)
	}
	switch {
	case status.Up, status.Reason == stream.ReasonDomain:
		return ok("the server takes %s with this secret", s.Config.XMPP.Component)
	case status.Reason == stream.ReasonStreamError:
		// Openfire 4.2 answers so where no secret is set at all.
		status.Text = "the server ends the stream at the handshake: set a secret, or allow the subdomain with one of its own"
		return s.because(status)
	case status.Reason == stream.ReasonConflict:
		// Openfire from 4.8 on says of none of these which it is.
		var said string
		if status.Err != nil { // a process's word has none
			said = fmt.Sprintf(" (%v)", status.Err)
		}
		return failure("see who has it (Openfire's console: Sessions > Component Sessions) and stop that one; after a crash it goes within xmpp.component.idle. Else allow the name, with the secret; "+externalComponents,
			"the server refuses %s: another connection has this name, or it is not allowed, or no secret is set%s", s.Config.XMPP.Component, said)
	default:
		return s.because(status)
	}
}

func (s *Site) checkDomain(context.Context) []Finding {
	if status := kept(s, &s.attempt); !status.Up {
		return s.because(status)
	}
	return ok("the server answers for %s", s.Config.XMPP.Domain)
}

// checkNodes tries the servers to which the link does not go, in a name of its own: the component's is taken in the whole cluster. That this
// name is not allowed says that a component port answers.
func (s *Site) checkNodes(ctx context.Context) []Finding {
	all := s.Config.XMPP.Server
	if len(all) < 2 {
		return ok("none: xmpp.server names one")
	}
	used := kept(s, &s.attempt).Server
	if s.Config.XMPP.Secret.Reveal() == "" {
		return skipped("this command has no xmpp.secret, so it cannot link: give it as the process gets it (TLIM_XMPP_SECRET_FILE)")
	}
	found := make([][]Finding, len(all))
	var asked sync.WaitGroup
	for i, address := range all {
		if address == used {
			continue
		}
		cfg, err := s.Link()
		if err != nil {
			return skipped("%v", err)
		}
		cfg.Addresses, cfg.Domain = []string{address}, named(cfg.Domain, "doctor"+strconv.Itoa(i+1))
		asked.Go(func() {
			link, status := connect(ctx, cfg)
			if link != nil {
				link.close()
				return
			}
			if status.Reason == stream.ReasonDomain || slices.Contains(portReasons, status.Reason) {
				found[i] = s.because(status)
			}
		})
	}
	asked.Wait()
	if failures := slices.Concat(found...); failures != nil {
		return failures
	}
	return ok("the links go to %s; the others of %s answer", used, all)
}

// linked is a link of ours that is up.
type linked struct {
	*stream.Links
	*bouncer
	since  time.Time
	held   time.Duration // the link; known when done is closed
	cancel context.CancelFunc
	done   chan struct{} // closed when the name is given back
}

// dialTime bounds connecting, and the handshake again.
const dialTime = 3 * time.Second

// connect links once, and says what came of it; the link is nil unless it is up.
func connect(ctx context.Context, cfg stream.Config) (*linked, stream.Status) {
	cfg.DialTimeout, cfg.Connections, cfg.Multicast = dialTime, 1, false
	bounce := &bouncer{}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it ends by close
	l := &linked{Links: stream.New(cfg, bounce), bouncer: bounce, since: time.Now(), cancel: cancel, done: make(chan struct{})}
	bounce.links = l.Links
	go func() { // close waits for it
		defer close(l.done)
		_ = l.Run(running) // it has no error
		l.held = time.Since(l.since)
	}()
	status := l.Settled(ctx)
	if !status.Up {
		l.close()
		return nil, status
	}
	return l, status
}

func (l *linked) close() {
	l.cancel()
	<-l.done
}

func (l *linked) closed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// bouncer gives back what clients send to the component while this command has its name: their messages would be lost
// without a sign otherwise.
type bouncer struct {
	links   *stream.Links
	bounced atomic.Int64
}

var unavailable = string(stanza.AppendError(nil, "wait", "service-unavailable"))

func (b *bouncer) Stanza(st stanza.Stanza) {
	if st.Name != "message" || st.Type == "error" || st.From == "" {
		return
	}
	b.bounced.Add(1)
	answer := append([]byte(`<message type="error" id="`), stanza.AppendAttr(nil, st.ID)...)
	answer = append(stanza.AppendAttr(append(answer, `" from="`...), st.To), `" to="`...)
	answer = append(append(stanza.AppendAttr(answer, st.From), `">`...), unavailable...)
	_ = b.links.Answer(st.From, append(answer, `</message>`...)) // without a link there is nobody to tell
}

func (b *bouncer) Answered(stanza.Stanza, stanza.JID) bool { return false }

func (b *bouncer) Up() {}

func (b *bouncer) Down(error) {}
