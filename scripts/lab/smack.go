package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// SmackOptions say which Smack it is.
type SmackOptions struct {
	Version string // of the library: 4.1.9, 4.2.4 or 4.4.8
	// Without are classes that it is not to load. Without SmackPings a ping is an unknown question, to which the library answers by an error of its own.
	Without []string
	// Silent makes it answer no unknown question. 4.1.9 cannot.
	Silent bool
	// Log is the file that gets what Java prints, "" for nowhere.
	Log string
}

// SmackPings is the part of Smack that answers pings.
const SmackPings = "org.jivesoftware.smackx.ping.PingManager"

// Smack is a Java process that holds phones made with an unmodified Smack, any number: one process for each would be dear. It
// dies with this process.
type Smack struct {
	Version string

	cmd    *exec.Cmd
	exited chan struct{} // closed when all that it said has been read and it is gone

	writing sync.Mutex
	stdin   io.WriteCloser

	mu      sync.Mutex
	last    int
	waiting map[int]chan smackLine // by number of the command
	phones  map[string]*SmackPhone
	fault   error // what it said and nobody understands
}

// SmackLogin is a phone's connection as an app configures it.
type SmackLogin struct {
	Addr     string // host:port, of the server or of a proxy before it
	Domain   string
	User     string
	Password string
	Resource string
	SM       bool   // stream management (XEP-0198)
	Resume   bool   // and resumption, by Reconnect
	Receipts string // always, off, or "" for what the library does by itself
	Carbons  bool
}

// SmackPhone is a user's phone. Its methods may be called from any goroutine; the process does them in turn.
type SmackPhone struct {
	JID string // of the last login

	s      *Smack
	name   string
	each   func(m Message, at time.Time)
	broken chan error // room for one: the last break that nobody has asked for
	chats  []string   // what chat2.ChatManager has shown, by id; of s.mu
}

// smackLine is a line that the process prints.
type smackLine struct {
	N       int    `json:"n"`
	Error   string `json:"error"`
	JID     string `json:"jid"`
	Resumed bool   `json:"resumed"`

	Phone   string `json:"phone"`
	At      int64  `json:"at"`
	Message string `json:"message"`
	Chat    string `json:"chat2"`
	Broken  string `json:"broken"`
}

// StartSmack starts the process. The first time on a machine it gets the library. The caller ends it by Stop or Kill.
func StartSmack(ctx context.Context, o SmackOptions) (*Smack, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	s := &Smack{Version: o.Version, exited: make(chan struct{}), waiting: map[int]chan smackLine{}, phones: map[string]*SmackPhone{}}
	args := append([]string{o.Version}, o.Without...)
	if o.Silent {
		args = append(args, "--silent")
	}
	s.cmd = exec.Command(filepath.Join(root, "scripts", "smack"), args...)
	EndsWithUs(s.cmd)
	if o.Log != "" {
		log, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("start smack: %w", err)
		}
		defer log.Close()
		s.cmd.Stderr = log
	}
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start smack: %w", err)
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start smack: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start smack: %w", err)
	}
	go s.read(stdout) // ends with the process, for which Stop and Kill wait
	if _, err := s.do(ctx, "", "hello", nil); err != nil {
		return nil, errors.Join(fmt.Errorf("start smack: %w", err), s.Kill())
	}
	return s, nil
}

func (s *Smack) read(stdout io.Reader) {
	defer close(s.exited)
	lines := bufio.NewReader(stdout)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var line smackLine
		if err := json.Unmarshal(text, &line); err != nil {
			s.mu.Lock()
			s.fault = errors.Join(s.fault, fmt.Errorf("smack said %q: %w", text, err))
			s.mu.Unlock()
			continue
		}
		s.mu.Lock()
		answer, phone := s.waiting[line.N], s.phones[line.Phone]
		delete(s.waiting, line.N)
		s.mu.Unlock()
		switch {
		case answer != nil:
			answer <- line // has room for the only answer
		case phone == nil: // an answer that nobody waits for any more
		case line.Broken != "":
			select {
			case <-phone.broken:
			default:
			}
			phone.broken <- errors.New(line.Broken)
		case line.Chat != "":
			s.mu.Lock()
			phone.chats = append(phone.chats, line.Chat)
			s.mu.Unlock()
		case phone.each != nil:
			phone.each(parseMessage([]byte(line.Message)), time.UnixMilli(line.At))
		}
	}
	_ = s.cmd.Wait() // killed or not: Stop tells
}

func (s *Smack) do(ctx context.Context, phone, what string, fields map[string]any) (smackLine, error) {
	answer := make(chan smackLine, 1)
	s.mu.Lock()
	s.last++
	n := s.last
	s.waiting[n] = answer
	s.mu.Unlock()
	command := map[string]any{"n": n, "phone": phone, "do": what}
	for name, value := range fields {
		command[name] = value
	}
	s.writing.Lock()
	_, err := io.WriteString(s.stdin, marshal(command)+"\n")
	s.writing.Unlock()
	if err != nil {
		return smackLine{}, fmt.Errorf("%s %s: %w", what, phone, err)
	}
	select {
	case line := <-answer:
		if line.Error != "" {
			return line, fmt.Errorf("%s %s: %s", what, phone, line.Error)
		}
		return line, nil
	case <-s.exited:
		return smackLine{}, fmt.Errorf("%s %s: Java has ended", what, phone)
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waiting, n)
		s.mu.Unlock()
		return smackLine{}, fmt.Errorf("%s %s: %w", what, phone, ctx.Err())
	}
}

// Phone makes a phone of that name, which the process must not have yet. each is called with every message stanza, in the order in
// which the library gave them to the app, on the reader's goroutine: it must not wait for the process. It goes on until the process ends.
func (s *Smack) Phone(name string, each func(m Message, at time.Time)) *SmackPhone {
	p := &SmackPhone{s: s, name: name, each: each, broken: make(chan error, 1)}
	s.mu.Lock()
	s.phones[name] = p
	s.mu.Unlock()
	return p
}

// Connect logs in on a new connection, as an app does that was started again. What the one before has read still comes.
func (s *SmackPhone) Connect(ctx context.Context, o SmackLogin) error {
	host, port, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return fmt.Errorf("connect %s: %w", s.name, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("connect %s: %w", s.name, err)
	}
	line, err := s.s.do(ctx, s.name, "connect", map[string]any{
		"host": host, "port": number, "domain": o.Domain, "user": o.User, "password": o.Password, "resource": o.Resource,
		"sm": o.SM, "resume": o.Resume, "receipts": o.Receipts, "carbons": o.Carbons,
	})
	s.JID = line.JID
	return err
}

// Reconnect logs in once more with the connection that broke, as an app does that lives on: the library resumes where it can.
// It waits until the library has noticed that its connection is broken.
func (s *SmackPhone) Reconnect(ctx context.Context) (resumed bool, err error) {
	line, err := s.s.do(ctx, s.name, "reconnect", nil)
	s.JID = line.JID
	return line.Resumed, err
}

// Broken waits until the connection breaks, unless it has since the last call.
func (s *SmackPhone) Broken(ctx context.Context) (why error, err error) {
	select {
	case why := <-s.broken:
		return why, nil
	case <-s.s.exited:
		return nil, errors.New("the Java process has ended")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Send sends a chat message, with ack asking for tlim's acknowledgement. It returns when the library has taken it.
func (s *SmackPhone) Send(ctx context.Context, to, id, body string, ack bool) error {
	_, err := s.s.do(ctx, s.name, "send", map[string]any{"to": to, "id": id, "body": body, "ack": ack})
	return err
}

// SendPrivate sends one that asks for tlim's acknowledgement, and of which the server is to make no carbons.
func (s *SmackPhone) SendPrivate(ctx context.Context, to, id, body string) error {
	_, err := s.s.do(ctx, s.name, "send", map[string]any{"to": to, "id": id, "body": body, "ack": true, "private": true})
	return err
}

// Active sends the chat state of that name.
func (s *SmackPhone) Active(ctx context.Context, to string) error {
	_, err := s.s.do(ctx, s.name, "active", map[string]any{"to": to})
	return err
}

// Chats are the ids of what the library's chat2.ChatManager has shown until now. 4.1.9 has none.
func (s *SmackPhone) Chats() []string {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	return slices.Clone(s.chats)
}

// Kill ends the process as a phone does whose battery is empty. All its phones are gone, and what they told has been handed on.
func (s *Smack) Kill() error {
	select {
	case <-s.exited: // and its pid may be somebody else's
	default:
		if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill smack: %w", err)
		}
	}
	<-s.exited
	return nil
}

// Stop ends the process and returns when it is gone; its connections are not logged out. Its error tells what it said and nobody understood.
func (s *Smack) Stop() error {
	_ = s.stdin.Close() // what counts is that it ends
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.exited:
	case <-timer.C:
		return errors.Join(errors.New("smack did not end and was killed"), s.Kill())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Delayed says whether the server kept the message before it was delivered (XEP-0203).
func (m Message) Delayed() bool { return m.Has("delay", "urn:xmpp:delay") }
