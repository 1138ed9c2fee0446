package component

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"tlim/component/directory"
	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/trigger"
	"tlim/store"
)

// A robot is a user as whom a key of the HTTP API speaks. What it says goes the way of a client's message: the same intake with its rate, the
// same order, kinds and exactly-once rules. It has no account and no session: nothing is sent to it, and what people write to it waits in its
// queue, of which the newest maxRobotQueue are kept. Of groups it gets no queue rows: what is said there is in their history.

// Speech is a message that a robot sends.
type Speech struct {
	Robot  protocol.Robot
	Caller string // whose Key it is; two callers may use the same
	Type   string // MTT-000
	To     string // the user's id, or the group's
	Body   string // strict JSON text of the array of objects
	MsgID  string // the caller's own; "" for one that is made of Key, or a fresh one
	Key    string // a repeated call has the same, among those of the Caller; "" for none
}

// Spoken is what became of a Speech.
type Spoken struct {
	MsgID string
	Time  string // its place in the order, in epoch milliseconds
}

// KeepRobot is [directory.Directory.KeepRobot]. Before the database is taken over it waits, because nobody is known as a robot until then.
// While there is no link it makes no new one (protocol.ErrUnavailable): the server could not say whose account has that name.
func (s *Service) KeepRobot(ctx context.Context, r protocol.Robot) error {
	if err := s.robotsKnown(ctx, r); err != nil {
		return err
	}
	return s.users.KeepRobot(ctx, r)
}

// KeepRobots is [directory.Directory.KeepRobots], likewise. Their ids are kept for them from the call on.
func (s *Service) KeepRobots(ctx context.Context, declared []protocol.Robot) error {
	s.users.DeclareRobots(declared)
	if err := s.robotsKnown(ctx, declared...); err != nil {
		return err
	}
	return s.users.KeepRobots(ctx, declared)
}

func (s *Service) robotsKnown(ctx context.Context, declared ...protocol.Robot) error {
	select {
	case <-s.started:
	case <-s.ended:
		return protocol.ErrUnavailable
	case <-ctx.Done():
		return protocol.ErrUnavailable
	}
	if slices.ContainsFunc(declared, func(r protocol.Robot) bool { return !s.IsRobot(r.ID) }) && s.Ready() != nil {
		return protocol.ErrUnavailable
	}
	return nil
}

// IsRobot says whether a user, in any spelling, is a robot.
func (s *Service) IsRobot(user string) bool { return s.users.IsRobot(protocol.UserKey(user)) }

// speech is a message of a robot on its way: whoever called waits for it.
type speech struct {
	barred error  // why it cannot be sent; one that was sent before is answered all the same
	time   string // of the message, once it was decided; the conveyor's until the completion is told
	*completion
}

// Speak sends a message as a robot, and returns after the commit. A message with the MsgID, or the Key, of an earlier one that is the same is
// answered as that was, and goes nowhere again. Its errors are a *protocol.Error (error-013: the robot sends more than one user may, or its
// conversation is too busy) and protocol.ErrUnavailable: then repeating the call is right, under the same MsgID or Key.
func (s *Service) Speak(ctx context.Context, sp Speech) (Spoken, error) {
	// 1. who speaks, and to whom. Its rate comes before the server and the database are asked.
	local, err := stanza.Localpart(sp.Robot.ID)
	if err != nil {
		return Spoken{}, protocol.Refuse(protocol.UserIDInvalid, "the robot's id cannot be part of an address")
	}
	if s.intake.sender(local).spent(s.now()) {
		return Spoken{}, protocol.Refuse(protocol.TryLater, tooFast)
	}
	if err := s.KeepRobot(ctx, sp.Robot); err != nil {
		return Spoken{}, err
	}
	kind := s.kinds.of(sp.Type)
	if kind == nil {
		return Spoken{}, protocol.Refuse(protocol.TypeInvalid, "there is no such type")
	}
	said := &speech{completion: newCompletion(nil)}
	if kind.scope != scopeGroup {
		if said.barred, err = s.barred(ctx, sp.Robot.ID, sp.To); err != nil {
			return Spoken{}, err
		}
	}

	// 2. the message
	msgID, err := s.speechID(ctx, sp)
	if err != nil {
		return Spoken{}, err
	}
	text := protocol.NewEnvelope(sp.Type, msgID, sp.Robot.ID, sp.To, protocol.FormatTime(s.now().UnixMilli()), sp.Body, s.cfg.ArrayBodies)
	env, long, err := protocol.ParseEnvelope(text, s.kinds.rules, s.cfg.Limits)
	if err != nil {
		return Spoken{}, err
	}
	s.metrics.longFields.Add(float64(long))
	a := &arrival{from: stanza.JID{Local: local, Domain: s.cfg.Server}, size: int64(len(text)) + 200, decoded: true, speech: said,
		content: content{env: env, kind: kind}}
	if kind.names != namesNothing {
		a.targets = env.MsgIDs()
	}

	// 3. its place in the order
	if s.draining.Load() {
		return Spoken{}, protocol.ErrUnavailable
	}
	if err := s.intake.offer(a); err != nil {
		return Spoken{}, err
	}
	if err := said.wait(ctx, s.ended); err != nil {
		return Spoken{}, err
	}
	return Spoken{MsgID: msgID, Time: said.time}, nil
}

// barred says why a user cannot be written to, if that is so. Its second value is why nobody can tell.
func (s *Service) barred(ctx context.Context, asker, user string) (why, err error) {
	local, err := stanza.Localpart(user)
	if err != nil {
		return nil, protocol.Refuse(protocol.UserIDInvalid, "the user id is empty or cannot be part of an address")
	}
	verdicts, err := s.users.FindAccounts(ctx, asker, []string{user}, true)
	if err != nil {
		return nil, err
	}
	found, err := s.users.Lookup(ctx, []string{local})
	if err != nil {
		return nil, protocol.ErrUnavailable
	}
	u, known := found[local]
	shown := protocol.Shorten(user, protocol.MaxID)
	switch {
	case local == protocol.AdminID:
		return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the user id admin is reserved: nobody reads what is sent to it", Chinese: "用户 id admin 是保留的，没有人会读发给它的消息"}, nil
	case known && u.Left && verdicts[local] != directory.Found:
		return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the user " + shown + " has left", Chinese: "用户 " + shown + " 已离开"}, nil
	case !known && verdicts[local] == directory.Missing:
		return &protocol.Error{Code: protocol.UserIDInvalid, Text: "there is no user " + shown, Chinese: "没有用户 " + shown}, nil
	}
	return nil, nil
}

// speechSecret names the key in tlim_secret by which ids are made of idempotency keys: nobody else can make them, and take them before.
const speechSecret = "speech-1"

// speechID is the id of a message that a robot sends.
func (s *Service) speechID(ctx context.Context, sp Speech) (string, error) {
	switch {
	case sp.MsgID != "":
		return sp.MsgID, nil
	case sp.Key == "":
		return protocol.NewID(), nil
	}
	fresh := make([]byte, sha256.Size)
	rand.Read(fresh) // never fails
	secret, err := s.queries.Secret(ctx, speechSecret, hex.EncodeToString(fresh))
	if err != nil {
		return "", protocol.ErrUnavailable
	}
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(mac, hashed(sp.Caller, protocol.UserKey(sp.Robot.ID), sp.Key))
	id := uuid.UUID(mac.Sum(nil)[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8 of RFC 9562: made by a rule of our own
	return id.String(), nil
}

// unqueued says whether a member of a group has no queue for it: a robot, which reads the history if it reads at all.
func (s *Service) unqueued(msgType string, p protocol.Person) bool {
	return s.users.IsRobot(p.Local) && s.kindOf(msgType).scope == scopeGroup
}

const (
	// maxRobotQueue is how much of what people write to a robot waits for whoever reads it. Beyond, the oldest rows go; the messages stay in
	// the history.
	maxRobotQueue = 10_000
	// robotQueueStep is how many rows are added to a queue between two looks at its length.
	robotQueueStep = 500
)

// robotQueues notices when the queue of a robot may have become too long. It is safe for concurrent use.
type robotQueues struct {
	mu    sync.Mutex
	rows  map[string]int // by the robot's id: until the next look; the first row of a process is a look, too
	due   map[string]bool
	wake  trigger.Trigger
	limit int // maxRobotQueue, but in tests
}

func newRobotQueues() *robotQueues {
	return &robotQueues{rows: map[string]int{}, due: map[string]bool{}, wake: trigger.New(), limit: maxRobotQueue}
}

// note counts rows that were written.
func (r *robotQueues) note(list []protocol.Person) {
	if len(list) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range list {
		if r.rows[p.ID]--; r.rows[p.ID] < 0 {
			r.rows[p.ID], r.due[p.ID] = robotQueueStep, true
		}
	}
	if len(r.due) > 0 {
		r.wake.Fire()
	}
}

// take hands over whose queues are to be looked at.
func (r *robotQueues) take() (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.due {
		ids = append(ids, id)
	}
	clear(r.due)
	slices.Sort(ids)
	return ids
}

// trimRobotQueues keeps the queues of robots that nobody reads from growing, until ctx ends.
func (s *Service) trimRobotQueues(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.robotQueues.wake:
		}
		for _, id := range s.robotQueues.take() {
			n, err := s.trimRobotQueue(ctx, id)
			switch {
			case err != nil && ctx.Err() == nil:
				s.log.Warn("the queue of a robot could not be shortened; it is tried again when more has come", "robot", id, "error", err)
			case n > 0:
				s.log.Info("nobody reads the queue of a robot: its oldest entries are gone, their messages are in the history", "robot", id, "entries", n)
			}
		}
	}
}

// trimRobotQueue removes what is too much of one queue, and says how much that was.
func (s *Service) trimRobotQueue(ctx context.Context, id string) (int, error) {
	sizes, err := s.queries.QueueSizes(ctx, []string{id})
	if err != nil {
		return 0, err
	}
	excess := sizes[id].Rows - s.robotQueues.limit
	if excess <= 0 {
		return 0, nil
	}
	var rows []store.OfflineMessage
	err = s.Offline(ctx, id, "", excess, func(page []store.OfflineMessage) error {
		for i := range page {
			page[i].Body = "" // not needed, and may be large
		}
		rows = append(rows, page...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(rows), s.dropOffline(ctx, id, rows, func(string, string) {}) // nobody has fetched them
}
