package httpapi

import (
	"context"

	"tlim/component"
	"tlim/store"
)

// Service does what changes a conversation, and answers what is only known in memory. Its methods return after the
// commit. Errors are [component.Error] for a refusal that changed nothing, [component.ErrUnavailable] when repeating the call
// later is right; anything else is a fault of ours.
type Service interface {
	CreateGroup(ctx context.Context, g component.NewGroup) (store.Group, []store.Member, error)
	ModifyGroup(ctx context.Context, e component.GroupEdit) (modifyTime string, err error)
	DeleteGroup(ctx context.Context, id string) (deleteTime string, err error)
	SetGroupPicture(ctx context.Context, id, pic string) error
	Dissolve(ctx context.Context, id string) error
	// Notify maps its receivers to their one spelling, all at once; error-008 does not say which of them is none.
	Notify(ctx context.Context, n component.Notice) error

	// Offline answers what waits for a user's phone, oldest first: rows, and what is still owed in memory. At most limit of
	// them, all when it is 0.
	Offline(ctx context.Context, user, sinceMsgID string, limit int) ([]store.Pending, error)
	// ClearOffline removes exactly these. A row without an ID stands for everything of its Owner and MsgID.
	ClearOffline(ctx context.Context, user string, rows []store.Pending) error
	HasUnread(ctx context.Context, user string) (bool, error)

	RegisterPush(ctx context.Context, user, code string) error
	// AddUsers takes all or none; error-008 when an id is reserved or cannot be the local part of a JID.
	AddUsers(ctx context.Context, users []store.User) error
	RemoveUsers(ctx context.Context, ids []string) error

	Presence(ctx context.Context, groupID string) ([]component.MemberPresence, error)
	// Spell maps any spelling of a user id to the directory's. It refuses (error-008) what cannot be the local part of a JID.
	Spell(ctx context.Context, id string) (string, error)
}

// Reads are the plain reads of the API, straight from the tables.
type Reads interface {
	Group(ctx context.Context, id string) (store.Group, bool, error)
	Members(ctx context.Context, groupIDs []string) (map[string][]store.Member, error)
	GroupsOf(ctx context.Context, user string) ([]store.Group, error)
	Purges(ctx context.Context) ([]store.Purge, error)

	GroupHistory(ctx context.Context, group string, p store.Page) ([]store.Message, int64, error)
	ChatHistory(ctx context.Context, a, b string, p store.Page) ([]store.Message, int64, error)
	NoticeHistory(ctx context.Context, user, typePrefix string, p store.Page) ([]store.Message, int64, error)

	GroupReadCounts(ctx context.Context, group, sender string, p store.Page) ([]store.ReadCount, error)
	ChatReadCounts(ctx context.Context, from, to string, p store.Page) ([]store.ReadCount, error)
	ReceiptsOf(ctx context.Context, msgID, sender string) ([]store.Receipt, error)
}
