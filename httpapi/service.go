package httpapi

import (
	"context"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/component/tracking"
	"tlim/store"
)

// Service does what changes a conversation, and answers what is only known in memory. Its methods return after the
// commit. Errors are [protocol.Error] for a refusal that changed nothing, [protocol.ErrUnavailable] when repeating the call
// later is right; anything else is a fault of ours.
type Service interface {
	CreateGroup(ctx context.Context, g component.GroupSpec) (store.Group, component.GroupMembers, error)
	ModifyGroup(ctx context.Context, e component.GroupEdit) (component.GroupEdited, error)
	DeleteGroup(ctx context.Context, id string) (deleteTime string, err error)
	SetGroupPicture(ctx context.Context, id, pic string) error
	Dissolve(ctx context.Context, id string) error
	// Notify maps its receivers to their canonical ids, all at once; error-008 does not say which of them is none. error-014: its
	// key was used for another request.
	Notify(ctx context.Context, n component.Notice) (component.Noticed, error)
	// Speak sends a message as a robot. error-014: its msg_id or key was used for another one; error-013: the robot sends too much.
	Speak(ctx context.Context, sp component.Speech) (component.Spoken, error)
	// KeepRobot makes a robot, or names it; KeepRobots also marks all others as having left. error-008: the id is a person's.
	KeepRobot(ctx context.Context, r protocol.Robot) error
	KeepRobots(ctx context.Context, declared []protocol.Robot) error
	IsRobot(user string) bool
	// Notice says whether there is such a call. TrackNotice answers at most limit of its receivers, behind number after; none is
	// the end.
	Notice(ctx context.Context, callID string) (n tracking.Call, found bool, err error)
	TrackNotice(ctx context.Context, n tracking.Call, after, limit int) ([]tracking.Receiver, error)
	// Notices lists calls, newest first: fewer than limit are the end only when next is "".
	Notices(ctx context.Context, after string, limit int) (list []tracking.Summary, next string, err error)
	// Remind works in slices: after an error some may be reminded. component.ErrNoPushes: nobody can be.
	Remind(ctx context.Context, n tracking.Call) (component.Reminded, error)

	// Offline gives visit, in pages, what waits for a user's phone, oldest first: rows, and what is unconfirmed, in memory. At
	// most limit of them, all when it is 0.
	Offline(ctx context.Context, user, sinceMsgID string, limit int, visit func([]store.OfflineMessage) error) error
	// ClearOffline removes exactly these. A row without an ID stands for everything of its Owner and MsgID.
	ClearOffline(ctx context.Context, user string, rows []store.OfflineMessage) error
	HasUnread(ctx context.Context, user string) (bool, error)

	RegisterPush(ctx context.Context, user, code string) error
	// AddUsers takes all or none; error-008 when an id is reserved or cannot be the local part of a JID.
	AddUsers(ctx context.Context, users []store.User) error
	RemoveUsers(ctx context.Context, ids []string) error

	SwitchGroup(ctx context.Context, id string, valid int) error
	// RemoveMessage and EditPost say whether there is what they were asked for.
	RemoveMessage(ctx context.Context, msgID string) (found bool, err error)
	// ClearChat works in slices: after an error some messages may be gone.
	ClearChat(ctx context.Context, user, other string) error
	Unread(ctx context.Context, user string) ([]store.Unread, error)
	// Post and SetStyle are bounded in number where the caller has no key.
	Post(ctx context.Context, a store.Announcement, bounded bool) error
	EditPost(ctx context.Context, e store.AnnouncementEdit) (found bool, err error)
	DeletePost(ctx context.Context, id string) error
	SetStyle(ctx context.Context, y store.Style, bounded bool) error

	Presence(ctx context.Context, groupID string) ([]component.MemberPresence, error)
	// UserPresence is available, away or offline.
	UserPresence(user string) string

	// Look, Devices, Waiting, CountWaiting, Unasking, Treatment, Refusals and PushTrouble answer from memory, at once. Users are given by canonical id.
	Look(msgID string, users []string) (list []tracking.Sight, delivered int64)
	Devices(users []string) (list [][]tracking.Device, known bool)
	Waiting(user string) []store.OfflineMessage
	CountWaiting(users []string) []int
	Unasking(n int) []component.Client
	Treatment(msgType string) (stored, queued, pushed bool)
	// Refusals are those of an id or, with "", those that concern a user; PushTrouble is why nothing goes out by a channel.
	Refusals(msgID, user string) []component.Refusal
	PushTrouble(channel string) string

	// CanonicalID maps any spelling of a user id to the canonical one. It refuses (error-008) what cannot be the local part of a JID.
	CanonicalID(ctx context.Context, id string) (string, error)
}

// Database is what the API asks of the database itself. *store.Store implements it.
type Database interface {
	Reads
	Audited
	Watched
}

// Watched is what administrators look at in the tables, a page at a time.
type Watched interface {
	EveryUser(ctx context.Context, after string, limit int) ([]store.User, error)
	EveryGroup(ctx context.Context, after string, limit int) ([]store.Group, error)
	CountMembers(ctx context.Context, groups []string) (map[string]int, error)
	CountGroups(ctx context.Context, user string) (int, error)
	NewestChats(ctx context.Context, users []string) (map[string]string, error)

	QueueSizes(ctx context.Context, users []string) (map[string]store.QueueSize, error)
	QueueHeads(ctx context.Context, owner string, after store.RowPlace, limit int) ([]store.OfflineMessage, error)
	Trace(ctx context.Context, msgID string, limit int) (store.Trace, error)
	Formers(ctx context.Context, groupIDs []string, since int64) ([]store.Former, error)

	PushChannels(ctx context.Context) ([]string, error)
	WaitingPushes(ctx context.Context, channel string, after store.Push, limit int) ([]store.Push, error)
	EndedPushes(ctx context.Context, channel string, before store.Push, limit int) ([]store.Push, error)
}

// Audited are the changes of administrators. Each writes what the audit log says of it in its own transaction.
type Audited interface {
	RevokeTokens(ctx context.Context, jid string, e store.AuditEvent) error
	TokenState(ctx context.Context, jid string) (store.TokenState, error)

	Keys(ctx context.Context) ([]store.Key, error)
	AddKey(ctx context.Context, k store.Key, e store.AuditEvent) error
	EndKey(ctx context.Context, name string, e store.AuditEvent) (k store.Key, found bool, err error)

	AddAudit(ctx context.Context, e store.AuditEvent) error
	AddAuditOnce(ctx context.Context, e store.AuditEvent, since int64) (before int64, err error)
	EndAudit(ctx context.Context, id, outcome, detail string) error
	LastAudit(ctx context.Context, what string, targets []string) (map[string]int64, error)
	AuditEvents(ctx context.Context, after string, limit int) ([]store.AuditEvent, error)

	FailingEvents(ctx context.Context, after string, limit int) ([]store.Event, error)
	CountEvents(ctx context.Context, dead bool) (int, error)
	Replayer
}

// Reads are the plain reads of the API, straight from the tables.
type Reads interface {
	Group(ctx context.Context, id string) (store.Group, bool, error)
	Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error)
	Groups(ctx context.Context, ids []string) (map[string]store.Group, error)
	GroupsOf(ctx context.Context, user string) ([]store.Group, error)
	WebGroupsOf(ctx context.Context, user string, valid int) ([]store.Group, error)
	ChatsOf(ctx context.Context, owner string) ([]store.Chat, error)
	ListUsers(ctx context.Context, after string, limit int) ([]store.User, error)
	UsersByID(ctx context.Context, ids []string) (map[string]store.User, error)
	UsersByJID(ctx context.Context, jids []string) (map[string]store.User, error)
	Purges(ctx context.Context) ([]store.Purge, error)

	GroupHistory(ctx context.Context, group string, p store.Page) ([]store.Message, int64, error)
	ChatHistory(ctx context.Context, a, b string, p store.Page) ([]store.Message, int64, error)
	NoticeHistory(ctx context.Context, user, msgType string, p store.Page) ([]store.Message, int64, error)

	NewestNotice(ctx context.Context, user string) (store.Message, bool, error)
	SearchGroup(ctx context.Context, group, text string, p store.Page, window int) ([]store.Message, store.Place, error)
	SearchChat(ctx context.Context, a, b, text string, p store.Page, window int) ([]store.Message, store.Place, error)
	MessagesByID(ctx context.Context, msgIDs []string) (map[string][]store.Message, error)
	MessageTime(ctx context.Context, msgID string) (string, bool, error)
	MessagesTo(ctx context.Context, user, time, after string, window, limit int) ([]store.Message, store.Place, error)

	GroupHeads(ctx context.Context, group string, p store.Page) ([]store.Message, int64, error)
	ChatHeads(ctx context.Context, from, to string, p store.Page) ([]store.Message, int64, error)
	ReadCounts(ctx context.Context, sender string, msgIDs []string) (map[string]int, error)
	ReceiptsOf(ctx context.Context, msgID, sender string) ([]store.Receipt, error)
	ReadersOf(ctx context.Context, msgID string) ([]string, error)

	Announcement(ctx context.Context, id string) (store.Announcement, bool, error)
	Announcements(ctx context.Context, group, after string, limit int) ([]store.Announcement, error)
	StylesOf(ctx context.Context, user string) ([]store.Style, error)
}
