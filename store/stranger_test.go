package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"tlim/store"
)

// tableKinds are ways in which the tables can stand in a database, by the equality of their columns.
var tableKinds = []struct {
	name   string
	e      engine
	alters func(t *testing.T, raw *sql.DB) // after the tables were made
}{
	{"sqlite", sqliteEngine, nil},
	{"sqlite NOCASE", sqliteEngine, func(t *testing.T, raw *sql.DB) {
		run(t, raw, "PRAGMA writable_schema = 1", "UPDATE sqlite_master SET sql = REPLACE(REPLACE(sql, 'varchar(64)', 'varchar(64) COLLATE NOCASE'), 'varchar(255)', 'varchar(255) COLLATE NOCASE') WHERE type = 'table'",
			"PRAGMA writable_schema = RESET", "REINDEX")
	}},
	{"legacy utf8_general_ci", mysqlEngine, converted("utf8 COLLATE utf8_general_ci")},
	{"utf8mb4 without a collation named", mysqlEngine, converted("utf8mb4 COLLATE utf8mb4_general_ci")},
	{"utf8mb4_unicode_ci", mysqlEngine, converted("utf8mb4 COLLATE utf8mb4_unicode_ci")},
	{"as printed, utf8mb4_bin", mysqlEngine, converted("utf8mb4 COLLATE utf8mb4_bin")},
	{"gbk", mysqlEngine, converted("gbk")},
}

func converted(to string) func(*testing.T, *sql.DB) {
	return func(t *testing.T, raw *sql.DB) {
		for _, table := range tableNames(t, raw, "SHOW TABLES") {
			run(t, raw, "ALTER TABLE "+table+" CONVERT TO CHARACTER SET "+to)
		}
	}
}

func tableNames(t *testing.T, raw *sql.DB, query string) (list []string) {
	t.Helper()
	rows := must[*sql.Rows](t)(raw.Query(query))
	defer rows.Close()
	for rows.Next() {
		var name string
		must[any](t)(nil, rows.Scan(&name))
		list = append(list, name)
	}
	must[any](t)(nil, rows.Err())
	return list
}

// dump is every row of every table but the one of positions, as text.
func dump(t *testing.T, e engine, raw *sql.DB) map[string]int {
	t.Helper()
	query := "SHOW TABLES"
	if e.name == "sqlite" {
		query = "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	found := map[string]int{}
	for _, table := range tableNames(t, raw, query) {
		if table == "tlim_state" {
			continue
		}
		rows := must[*sql.Rows](t)(raw.Query("SELECT * FROM " + table))
		columns := must[[]string](t)(rows.Columns())
		for rows.Next() {
			values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			must[any](t)(nil, rows.Scan(into...))
			found[fmt.Sprintf("%s %+q", table, fmt.Sprint(values))]++
		}
		must[any](t)(nil, rows.Err())
		rows.Close()
	}
	return found
}

// names are the names that one probe uses.
type names struct{ user, other, msg, group, thing string }

// twins are what collations take for the names of ours, each by another rule: case, accent, width, blanks at the end.
var twins = []names{
	{"LISI", "WANG", "MSG-1", "GRP", "THING"},
	{"lísi", "wáng", "mśg-1", "grṕ", "thíng"},
	{"ｌisi", "ｗang", "ｍsg-1", "ｇrp", "ｔhing"},
	{"lisi ", "wang ", "msg-1 ", "grp ", "thing "},
}

var (
	ours   = names{"lisi", "wang", "msg-1", "grp", "thing"}
	nobody = names{"xx", "yy", "zz", "vv", "ww"}
)

// rowsOf is a change that gives a name each row that there is.
func rowsOf(n names) store.Change {
	direct := store.Message{ID: "row-1", MsgID: n.msg, Type: "MTT-000", From: n.user, To: n.other, Time: clock(1), Body: `[{"text":"secret"}]`, SessionID: n.user}
	return store.Change{
		IDs:           []store.ID{{MsgID: n.msg, Class: store.ClassMessage, From: n.user, Conversation: n.user + " " + n.other, Time: clock(1), Digest: "d", State: store.Live}},
		Message:       &direct,
		Offline:       []store.OfflineMessage{{Message: store.Message{ID: "row-2", MsgID: n.msg, Type: "MTT-000", From: n.other, To: n.other, Time: clock(1), Body: "[]", SessionID: n.other}, Owner: n.user}},
		Receipts:      []store.Receipt{{ID: "row-3", MsgID: n.msg, Sender: n.user, Reader: n.other, Status: 1}},
		Chats:         []store.Chat{{ID: "row-4", Name: "n", Partner: n.user, Owner: n.other, CreateTime: "1"}, {ID: "row-5", Name: "n", Partner: n.other, Owner: n.user, CreateTime: "1"}},
		Groups:        []store.Group{{ID: n.group, Name: "g", CreateTime: "1", Owner: n.user}},
		Members:       []store.Member{{UserID: n.user, UserName: "u", SessionID: n.group, Since: "1"}},
		Formers:       []store.Former{{SessionID: n.group, UserID: n.user, Time: clock(1)}},
		Users:         []store.User{{ID: n.user, JID: n.user, Name: "u", Login: n.user}},
		SetPush:       []store.User{{ID: n.user, JID: n.user, PushCode: n.thing, PushOS: "android"}},
		Purges:        []store.Purge{{SessionID: n.group, Time: "1"}},
		Announcements: []store.Announcement{{ID: n.thing, Title: "t", Content: "c", UserID: n.user, Time: "1", SessionID: n.group}},
		Styles:        []store.Style{{ID: "row-6", Name: "theme", Value: 1, UserID: n.user}},
		FileUses:      []store.FileUse{{FileID: n.thing, MsgID: n.msg}},
		Pushes:        []store.Push{{ID: n.thing, Channel: "c", MsgID: n.msg, Request: n.thing, Due: 1, To: []store.PushTo{{User: n.user, Code: n.thing}}}},
		Calls:         []store.Call{{ID: n.thing, Key: n.thing, Business: n.thing, Type: "MTB-000", Made: 1, Done: true}},
		CallParts:     []store.CallPart{{CallID: n.thing, First: 1, To: []string{n.user}}},
		Events:        []store.Event{{ID: n.thing, Kind: "message.stored", Conversation: n.group, Body: "{}", Dead: true}},
	}
}

// moreRows are a message of a group and a notice.
func moreRows(n names) []store.Change {
	group := store.Message{ID: "row-7", MsgID: n.msg, Type: "MTS-000", From: n.user, To: n.group, Time: clock(2), Body: `[{"text":"secret"}]`, SessionID: n.group}
	notice := store.Message{ID: "row-8", MsgID: n.msg, Type: "MTB-100", From: n.other, To: n.user, Time: clock(3), Body: "[]", SessionID: n.other}
	return []store.Change{{Message: &group}, {Message: &notice}}
}

var all = store.Page{Length: 100}

// reads are the methods of a Store that answer about somebody or something, by their name.
var reads = map[string]func(s *store.Store, n names) (any, error){
	"MessagesByID": func(s *store.Store, n names) (any, error) { return s.MessagesByID(ctx, []string{n.msg, "other"}) },
	"MessageHeads": func(s *store.Store, n names) (any, error) { return s.MessageHeads(ctx, []string{n.msg}) },
	"IDs":          func(s *store.Store, n names) (any, error) { return s.IDs(ctx, []string{n.msg}) },
	"MessageTime": func(s *store.Store, n names) (any, error) {
		v, ok, err := s.MessageTime(ctx, n.msg)
		return fmt.Sprint(v, ok), err
	},
	"Offline":       func(s *store.Store, n names) (any, error) { return s.Offline(ctx, n.user, "", "", "", 9) },
	"RecentOffline": func(s *store.Store, n names) (any, error) { return s.RecentOffline(ctx, n.user, 0, 9) },
	"HasOffline":    func(s *store.Store, n names) (any, error) { return s.HasOffline(ctx, n.user) },
	"OfflineMarks":  func(s *store.Store, n names) (any, error) { return s.OfflineMarks(ctx, []string{n.msg}) },
	"OfflineOwners": func(s *store.Store, n names) (any, error) { return s.OfflineOwners(ctx, []string{n.msg}) },
	"UnreadCounts":  func(s *store.Store, n names) (any, error) { return s.UnreadCounts(ctx, n.user) },
	"Receipts": func(s *store.Store, n names) (any, error) {
		return s.Receipts(ctx, []store.ReceiptKey{{MsgID: n.msg, Reader: n.other}})
	},
	"ReceiptsOf":    func(s *store.Store, n names) (any, error) { return s.ReceiptsOf(ctx, n.msg, n.user) },
	"ReceiptCounts": func(s *store.Store, n names) (any, error) { return s.ReceiptCounts(ctx, []string{n.msg}) },
	"ReadersOf":     func(s *store.Store, n names) (any, error) { return s.ReadersOf(ctx, n.msg) },
	"ReadCounts":    func(s *store.Store, n names) (any, error) { return s.ReadCounts(ctx, n.user, []string{n.msg}) },
	"Chats": func(s *store.Store, n names) (any, error) {
		return s.Chats(ctx, []store.ChatKey{{Partner: n.user, Owner: n.other}})
	},
	"ChatsOf":   func(s *store.Store, n names) (any, error) { return s.ChatsOf(ctx, n.user) },
	"ChatsWith": func(s *store.Store, n names) (any, error) { return s.ChatsWith(ctx, n.user, store.Chat{}, 9) },
	"Groups":    func(s *store.Store, n names) (any, error) { return s.Groups(ctx, []string{n.group}) },
	"Group": func(s *store.Store, n names) (any, error) {
		g, ok, err := s.Group(ctx, n.group)
		return fmt.Sprint(g, ok), err
	},
	"GroupsOf":           func(s *store.Store, n names) (any, error) { return s.GroupsOf(ctx, n.user) },
	"CountGroupsOwned":   func(s *store.Store, n names) (any, error) { return s.CountGroupsOwned(ctx, n.user) },
	"WebGroupsOf":        func(s *store.Store, n names) (any, error) { return s.WebGroupsOf(ctx, n.user, 0) },
	"Members":            func(s *store.Store, n names) (any, error) { return s.Members(ctx, []string{n.group}) },
	"MemberRows":         func(s *store.Store, n names) (any, error) { return s.MemberRows(ctx, n.user, "", 9) },
	"Formers":            func(s *store.Store, n names) (any, error) { return s.Formers(ctx, []string{n.group}, 0) },
	"UsersByJID":         func(s *store.Store, n names) (any, error) { return s.UsersByJID(ctx, []string{n.user}) },
	"UsersByID":          func(s *store.Store, n names) (any, error) { return s.UsersByID(ctx, []string{n.user}) },
	"PushOwners":         func(s *store.Store, n names) (any, error) { return s.PushOwners(ctx, n.thing) },
	"CountMembers":       func(s *store.Store, n names) (any, error) { return s.CountMembers(ctx, []string{n.group}) },
	"CountGroups":        func(s *store.Store, n names) (any, error) { return s.CountGroups(ctx, n.user) },
	"NewestChats":        func(s *store.Store, n names) (any, error) { return s.NewestChats(ctx, []string{n.other}) },
	"QueueSizes":         func(s *store.Store, n names) (any, error) { return s.QueueSizes(ctx, []string{n.user}) },
	"QueueHeads":         func(s *store.Store, n names) (any, error) { return s.QueueHeads(ctx, n.user, store.RowPlace{}, 9) },
	"TokenState":         func(s *store.Store, n names) (any, error) { return s.TokenState(ctx, n.user) },
	"StylesOf":           func(s *store.Store, n names) (any, error) { return s.StylesOf(ctx, n.user) },
	"AccountsGone":       func(s *store.Store, n names) (any, error) { return s.AccountsGone(ctx, []string{n.thing}) },
	"CountAnnouncements": func(s *store.Store, n names) (any, error) { return s.CountAnnouncements(ctx, n.group) },
	"StoredBytes":        func(s *store.Store, n names) (any, error) { return s.StoredBytes(ctx, n.user) },
	"Announcement": func(s *store.Store, n names) (any, error) {
		a, ok, err := s.Announcement(ctx, n.thing)
		return fmt.Sprint(a, ok), err
	},
	"Announcements": func(s *store.Store, n names) (any, error) { return s.Announcements(ctx, n.group, "", 9) },
	"GroupHistory": func(s *store.Store, n names) (any, error) {
		m, total, err := s.GroupHistory(ctx, n.group, all)
		return fmt.Sprint(m, total), err
	},
	"GroupHeads": func(s *store.Store, n names) (any, error) {
		m, total, err := s.GroupHeads(ctx, n.group, all)
		return fmt.Sprint(m, total), err
	},
	"ChatHistory": func(s *store.Store, n names) (any, error) {
		m, total, err := s.ChatHistory(ctx, n.user, n.other, all)
		return fmt.Sprint(m, total), err
	},
	"ChatHeads": func(s *store.Store, n names) (any, error) {
		m, total, err := s.ChatHeads(ctx, n.user, n.other, all)
		return fmt.Sprint(m, total), err
	},
	"NoticeHistory": func(s *store.Store, n names) (any, error) {
		m, total, err := s.NoticeHistory(ctx, n.user, "", all)
		return fmt.Sprint(m, total), err
	},
	"NewestNotice": func(s *store.Store, n names) (any, error) {
		m, ok, err := s.NewestNotice(ctx, n.user)
		return fmt.Sprint(m, ok), err
	},
	"MessagesTo": func(s *store.Store, n names) (any, error) {
		m, _, err := s.MessagesTo(ctx, n.user, clock(0), "", 100, 100)
		return m, err
	},
	"SearchGroup": func(s *store.Store, n names) (any, error) {
		m, _, err := s.SearchGroup(ctx, n.group, "secret", all, 9)
		return m, err
	},
	"SearchChat": func(s *store.Store, n names) (any, error) {
		m, _, err := s.SearchChat(ctx, n.user, n.other, "secret", all, 9)
		return m, err
	},
	"ChatRows": func(s *store.Store, n names) (any, error) { return s.ChatRows(ctx, n.user, n.other, 1<<41, 1<<41, 9) },
	"AuthorRows": func(s *store.Store, n names) (any, error) {
		return s.AuthorRows(ctx, store.Author{SessionID: n.group, UserID: n.user}, 9)
	},
	"GetFile": func(s *store.Store, n names) (any, error) {
		f, ok, err := s.GetFile(ctx, n.thing)
		return fmt.Sprint(f, ok), err
	},
	"KnownFiles":       func(s *store.Store, n names) (any, error) { return s.KnownFiles(ctx, []string{n.thing}) },
	"FileMessages":     func(s *store.Store, n names) (any, error) { return s.FileMessages(ctx, n.thing, 9) },
	"PushesOf":         func(s *store.Store, n names) (any, error) { return s.PushesOf(ctx, []string{n.msg}) },
	"PushesOfRequests": func(s *store.Store, n names) (any, error) { return s.PushesOfRequests(ctx, "c", []string{n.thing}) },
	"Call": func(s *store.Store, n names) (any, error) {
		c, ok, err := s.Call(ctx, n.thing)
		return fmt.Sprint(c, ok), err
	},
	"CallByKey": func(s *store.Store, n names) (any, error) {
		c, ok, err := s.CallByKey(ctx, n.thing)
		return fmt.Sprint(c, ok), err
	},
	"CallsAbout": func(s *store.Store, n names) (any, error) { return s.CallsAbout(ctx, n.thing, "0") },
	"CallParts":  func(s *store.Store, n names) (any, error) { return s.CallParts(ctx, n.thing, 0, 9) },
	"LastAudit":  func(s *store.Store, n names) (any, error) { return s.LastAudit(ctx, "tokens/revoke", []string{n.user}) },
	"Trace": func(s *store.Store, n names) (any, error) {
		v, err := s.Trace(ctx, n.msg, 9)
		v.State = store.State{}
		return v, err
	},
}

// writes are the methods of a Store that change rows of somebody or something.
var writes = map[string]func(s *store.Store, epoch int64, n names) error{
	"RevokeTokens": func(s *store.Store, _ int64, n names) error { return s.RevokeTokens(ctx, n.user, did(1, n.user)) },
	"SetAccount": func(s *store.Store, epoch int64, n names) error {
		return s.SetAccount(ctx, epoch, []string{n.user}, store.AccountGone)
	},
	"Refresh": func(s *store.Store, epoch int64, n names) error {
		return s.Refresh(ctx, epoch, []store.Member{{UserID: n.user, SessionID: n.group, UserName: "new"}}, []store.Chat{{ID: n.thing, Name: "new"}})
	},
	"Fresh": func(s *store.Store, epoch int64, n names) error {
		return s.Fresh(ctx, epoch, []store.StaleUser{{User: store.User{ID: n.user}, Mark: 1}})
	},
	"PurgeQueue": func(s *store.Store, epoch int64, n names) error {
		_, err := s.PurgeQueue(ctx, epoch, store.Purge{SessionID: n.group, Time: clock(9_000_000)}, "MTS-107")
		return err
	},
	"PurgeSome": func(s *store.Store, epoch int64, n names) error {
		for range 4 {
			if _, err := s.PurgeSome(ctx, epoch, store.Purge{SessionID: n.group}, 9); err != nil {
				return err
			}
		}
		return nil
	},
	"DeleteMessages": func(s *store.Store, epoch int64, n names) error {
		_, err := s.DeleteMessages(ctx, epoch, []store.Old{{Key: "none", MsgID: n.msg, From: n.user}})
		return err
	},
	"DeleteOffline": func(s *store.Store, epoch int64, n names) error {
		return s.DeleteOffline(ctx, epoch, []store.Old{{Key: n.thing}})
	},
	"DeleteIDs": func(s *store.Store, epoch int64, n names) error {
		return s.DeleteIDs(ctx, epoch, []store.Old{{Key: n.msg, Second: "m"}})
	},
	"DeleteFormers": func(s *store.Store, epoch int64, n names) error {
		return s.DeleteFormers(ctx, epoch, []store.Old{{Key: n.group, Second: n.user}})
	},
	"DeleteFiles": func(s *store.Store, _ int64, n names) error { return s.DeleteFiles(ctx, []string{n.thing}) },
	"AddFile": func(s *store.Store, _ int64, n names) error {
		return s.AddFile(ctx, store.File{ID: n.thing, Owner: n.user, Time: clock(1)})
	},
	"UpdatePushes": func(s *store.Store, epoch int64, n names) error {
		return s.UpdatePushes(ctx, epoch, []store.PushUpdate{{IDs: []string{n.thing}, Outcome: "sent"}, {IDs: []string{n.thing}, Request: "c2"}, {IDs: []string{n.thing}, Delay: true}})
	},
	"AddKey": func(s *store.Store, _ int64, n names) error {
		return s.AddKey(ctx, store.Key{Name: n.thing, Digest: "e", Made: 1}, store.AuditEvent{ID: "key " + n.user, What: "w", Outcome: "o"})
	},
	"EndKey": func(s *store.Store, _ int64, n names) error {
		_, _, err := s.EndKey(ctx, n.thing, store.AuditEvent{ID: "end " + n.user, What: "w", Outcome: "o", Time: 5})
		return err
	},
	"AddAudit": func(s *store.Store, _ int64, n names) error { return s.AddAudit(ctx, event(n)) },
	"AddAuditOnce": func(s *store.Store, _ int64, n names) error {
		_, err := s.AddAuditOnce(ctx, event(n), 0)
		return err
	},
	"UpdateEvents": func(s *store.Store, epoch int64, n names) error {
		return s.UpdateEvents(ctx, epoch, []store.EventUpdate{{IDs: []string{n.thing}, Due: 5}, {IDs: []string{n.thing}, Dead: true, Due: 5}})
	},
	"DeleteEvents": func(s *store.Store, epoch int64, n names) error { return s.DeleteEvents(ctx, epoch, []string{n.thing}) },
	"ReplayEvents": func(s *store.Store, _ int64, n names) error {
		_, err := s.ReplayEvents(ctx, []string{n.thing}, 5, store.AuditEvent{ID: "replay " + n.user, What: "w", Outcome: "o"})
		return err
	},
	"EndAudit":        func(s *store.Store, _ int64, n names) error { return s.EndAudit(ctx, n.thing, "new", "new") },
	"DeleteAudit":     func(s *store.Store, epoch int64, n names) error { return s.DeleteAudit(ctx, epoch, []string{n.thing}) },
	"DeletePushCodes": func(s *store.Store, _ int64, n names) error { return s.DeletePushCodes(ctx, []string{n.thing}) },
}

// aboutNobody are the methods that name neither a person nor a group nor a message.
var aboutNobody = strings.Fields(`Events FailingEvents CountCall ListCalls CountEvents LastEvent ExpireEvents DeleteDeadEvents AccountsUnwanted AccountsWanted AuditBefore AuditEvents CountAuditBefore Keys ListUsers Robots Apply Close Committed CountFilesBefore CountIDs CountPushes DeleteCalls DeleteChannel
	DeletePushes DuePushes File FilesBefore IDsBetween MessagesAfter Moves NextPush Node OddMessages OldMessages OpenCalls Ping PushChannels Purges Report Secret DonePushes StaleUsers
	State TakeOver Lead LeaderSettings LookAtLeader LookAtStandby NewHeart Release Sit Stand WalkFormers WalkIDs WalkOffline EndedPushes EveryGroup EveryUser Version WaitingPushes`)

// changes are what one field of a Change does when it names somebody; those that insert are in rowsOf as well.
var changes = map[string]func(n names) store.Change{
	"DropMessages": func(n names) store.Change {
		return store.Change{DropMessages: []store.Drop{{MsgID: n.msg, From: n.user, To: n.other}, {MsgID: n.msg, SessionID: n.group}}}
	},
	"DropOffline": func(n names) store.Change {
		return store.Change{DropOffline: []store.OfflineKey{{Owner: n.user, MsgID: n.msg}, {RowID: n.thing}}}
	},
	"DropGroups": func(n names) store.Change { return store.Change{DropGroups: []string{n.group}} },
	"DropQueues": func(n names) store.Change { return store.Change{DropQueues: []string{n.group, n.other}} },
	"DropMembers": func(n names) store.Change {
		return store.Change{DropMembers: []store.Member{{SessionID: n.group, UserID: n.user}}}
	},
	"Erase": func(n names) store.Change {
		return store.Change{Erase: []store.Erased{{ID: "none", MsgID: n.msg, From: n.user}}}
	},
	"DropAuthors": func(n names) store.Change {
		return store.Change{DropAuthors: []store.Author{{SessionID: n.group, UserID: n.user}}}
	},
	"DropUsers":         func(n names) store.Change { return store.Change{DropUsers: []string{n.user}} },
	"DropAnnouncements": func(n names) store.Change { return store.Change{DropAnnouncements: []string{n.thing}} },
	"FreeCalls":         func(n names) store.Change { return store.Change{FreeCalls: []string{n.thing}} },
	"DropCallParts": func(n names) store.Change {
		return store.Change{DropCallParts: []store.CallPart{{CallID: n.thing, First: 1}}}
	},
	"SetIDs": func(n names) store.Change {
		return store.Change{SetIDs: []store.ID{{MsgID: n.msg, Class: store.ClassMessage, State: store.Revoked}}}
	},
	"Receipts": func(n names) store.Change {
		return store.Change{Receipts: []store.Receipt{{MsgID: n.msg, Reader: n.other, Status: 2}, {ID: "new", MsgID: n.msg, Reader: n.other}}}
	},
	"Chats": func(n names) store.Change {
		return store.Change{Chats: []store.Chat{{Partner: n.user, Owner: n.other, ModifyTime: "9"}, {ID: "new", Partner: n.user, Owner: n.other, CreateTime: "1"}}}
	},
	"TouchGroup": func(n names) store.Change {
		return store.Change{TouchGroup: n.group, Message: &store.Message{ID: "new", MsgID: "new", Time: "9"}}
	},
	"EditGroups": func(n names) store.Change {
		v, one := "new", 1
		return store.Change{EditGroups: []store.GroupEdit{{ID: n.group, Name: &v, Pic: &v, ModifyTime: &v}, {ID: n.group, Valid: &one}}}
	},
	"Learn": func(n names) store.Change {
		return store.Change{Learn: []store.User{{ID: n.user, JID: n.user, Name: "new"}}}
	},
	"SetPush": func(n names) store.Change {
		return store.Change{SetPush: []store.User{{ID: "another", JID: "another", PushCode: n.thing}, {ID: n.user, JID: n.user, PushCode: "new"}}}
	},
	"Confirming": func(n names) store.Change {
		return store.Change{Confirming: []store.Confirming{{UserID: n.user, How: store.ConfirmsByPings}}}
	},
	"EditAnnouncements": func(n names) store.Change {
		v := "new"
		return store.Change{EditAnnouncements: []store.AnnouncementEdit{{ID: n.thing, Title: &v, Content: &v}}}
	},
	"Robots": func(n names) store.Change {
		return store.Change{Robots: []store.User{{ID: "new", JID: n.thing, Name: "new"}}}
	},
	"Relearn": func(n names) store.Change {
		return store.Change{Relearn: []store.User{{ID: n.thing, JID: n.thing, Name: "new"}}}
	},
	"EditCalls": func(n names) store.Change {
		return store.Change{EditCalls: []store.CallEdit{{ID: n.thing, Answer: "new", Done: true}}}
	},
	"Message": func(n names) store.Change {
		return store.Change{Message: &store.Message{ID: "new", MsgID: n.msg, From: n.user}}
	},
}

// TestStrangersGetNothing: somebody or something whose name a collation takes for another's reads none of their rows and changes
// none, by any method, whatever the tables are made of.
func TestStrangersGetNothing(t *testing.T) {
	// 1. Nothing is left out here.
	known := map[string]bool{}
	for _, name := range aboutNobody {
		known[name] = true
	}
	for name := range reads {
		known[name] = true
	}
	for name := range writes {
		known[name] = true
	}
	for method := range reflect.TypeFor[*store.Store]().Methods() {
		if !known[method.Name] {
			t.Errorf("Store.%s is in none of the lists, want it in one", method.Name)
		}
	}
	inserted := reflect.ValueOf(rowsOf(ours))
	probes := map[string]func(n names) store.Change{}
	for i := range inserted.NumField() {
		name := inserted.Type().Field(i).Name
		if !inserted.Field(i).IsZero() {
			probes["insert "+name] = func(n names) (c store.Change) {
				reflect.ValueOf(&c).Elem().Field(i).Set(reflect.ValueOf(rowsOf(n)).Field(i))
				return renamed(c)
			}
		} else if changes[name] == nil {
			t.Errorf("Change.%s is in none of the lists, want it in one", name)
		}
	}
	for name, probe := range changes {
		probes[name] = probe
	}

	for _, kind := range tableKinds {
		t.Run(kind.name, func(t *testing.T) {
			cfg := kind.e.fresh(t)
			raw := kind.e.raw(t, cfg)
			open(t, cfg)
			if kind.alters != nil {
				kind.alters(t, raw)
			}
			s, epoch := owned(t, cfg)
			for _, c := range append([]store.Change{rowsOf(ours)}, moreRows(ours)...) {
				apply(t, s, epoch, c)
			}
			must[any](t)(nil, s.AddFile(ctx, store.File{ID: ours.thing, Owner: ours.user, Size: 7, Time: clock(1)}))
			must[any](t)(nil, s.AddKey(ctx, store.Key{Name: ours.thing, Digest: "d", Made: 1}, event(ours)))

			apply(t, s, epoch, store.Change{Learn: []store.User{{ID: ours.thing, JID: ours.thing}}})
			apply(t, s, epoch, store.Change{DropUsers: []string{ours.thing}})
			must[any](t)(nil, s.SetAccount(ctx, epoch, []string{ours.thing}, store.AccountGone))

			// 2. Reads.
			for name, read := range reads {
				t.Run(name, func(t *testing.T) {
					answer := func(n names) string {
						v, err := read(s, n)
						if err != nil {
							t.Fatalf("%s of %q: got %v, want no error", name, n.user, err)
						}
						text := fmt.Sprintf("%+v", v)
						for _, name := range []string{n.user, n.other, n.msg, n.group, n.thing} {
							text = strings.ReplaceAll(text, name, "*")
						}
						return text
					}
					nothing := answer(nobody)
					if answer(ours) == nothing {
						t.Errorf("%s answers nothing, want what is there: the probe proves nothing", name)
					}
					for _, twin := range twins {
						if got := answer(twin); got != nothing {
							t.Errorf("%s of %q: got %s, want %s", name, twin.user, got, nothing)
						}
					}
				})
			}

			// 3. Writes.
			before := dump(t, kind.e, raw)
			unchanged := func(what string, twin names) {
				t.Helper()
				after := dump(t, kind.e, raw)
				for row, n := range before {
					if after[row] < n {
						t.Errorf("%s of %q changed a row of another: %s: there are %d, want %d", what, twin.user, row, after[row], n)
					}
				}
			}
			for _, twin := range twins {
				for name, write := range writes {
					if err := write(s, epoch, twin); err != nil && !errors.Is(err, store.ErrDuplicate) && !errors.Is(err, store.ErrData) {
						t.Errorf("%s of %q: got %v, want no error or a refusal of the key or the text", name, twin.user, err)
					}
				}
				for name, probe := range probes {
					err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{probe(twin)})
					if err != nil && !errors.Is(err, store.ErrDuplicate) && !errors.Is(err, store.ErrData) {
						t.Errorf("%s of %q: got %v, want no error or a refusal of the key or the text", name, twin.user, err)
					}
				}
				unchanged("a write", twin)
			}
		})
	}
}

// event is one whose id is the name of a thing.
func event(n names) store.AuditEvent {
	e := did(1, n.user)
	e.ID = n.thing
	return e
}

// renamed gives the rows keys of their own, where those are no names.
func renamed(c store.Change) store.Change {
	if c.Message != nil {
		m := *c.Message
		m.ID = "twin-" + m.ID
		c.Message = &m
	}
	for i := range c.Offline {
		c.Offline[i].ID = "twin-" + c.Offline[i].ID
	}
	for i := range c.Receipts {
		c.Receipts[i].ID = "twin-" + c.Receipts[i].ID
	}
	for i := range c.Chats {
		c.Chats[i].ID = "twin-" + c.Chats[i].ID
	}
	for i := range c.Styles {
		c.Styles[i].ID = "twin-" + c.Styles[i].ID
	}
	return c
}

// TestKeysThatACollationTakesForOne: what nothing depends on is left out, everything else is refused by its own error, and a key
// that is there is another matter.
func TestKeysThatACollationTakesForOne(t *testing.T) {
	for _, kind := range tableKinds[1:4] {
		t.Run(kind.name, func(t *testing.T) {
			cfg := kind.e.fresh(t)
			raw := kind.e.raw(t, cfg)
			open(t, cfg)
			kind.alters(t, raw)
			var log bytes.Buffer
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			s, epoch := owned(t, cfg)
			apply(t, s, epoch, rowsOf(ours))

			id := func(msgID string) store.ID {
				return store.ID{MsgID: msgID, Class: store.ClassMessage, State: store.Live}
			}
			var many []store.ID
			for i := range 20 {
				many = append(many, id(fmt.Sprint("other-", i)))
			}
			twin := twins[0]
			for what, test := range map[string]struct {
				change store.Change
				want   error
			}{
				"a message's id":            {store.Change{IDs: []store.ID{id(twin.msg)}}, store.ErrCollation},
				"among many":                {store.Change{IDs: append(append([]store.ID{}, many...), id(twin.msg))}, store.ErrCollation},
				"both new":                  {store.Change{IDs: append(append([]store.ID{}, many...), id("OTHER-0"))}, store.ErrCollation},
				"a tombstone":               {store.Change{SetIDs: []store.ID{id(twin.msg)}}, store.ErrCollation},
				"the id itself":             {store.Change{IDs: []store.ID{id(ours.msg)}}, store.ErrDuplicate},
				"a member":                  {store.Change{Members: []store.Member{{UserID: twin.user, SessionID: ours.group}}}, store.ErrCollation},
				"a user":                    {store.Change{Users: []store.User{{ID: twin.user, JID: "j", Name: "n"}}}, store.ErrCollation},
				"a user of the same JID":    {store.Change{Users: []store.User{{ID: "i", JID: strings.ToUpper(ours.user), Name: "n"}}}, store.ErrCollation},
				"a group":                   {store.Change{Groups: []store.Group{{ID: twin.group}}}, store.ErrCollation},
				"where a phone's pushes go": {store.Change{SetPush: []store.User{{ID: twin.user, PushCode: "c"}}}, store.ErrCollation},
			} {
				t.Run(what, func(t *testing.T) {
					err := s.Apply(ctx, epoch, store.Positions{}, []store.Change{test.change})
					if !errors.Is(err, test.want) || !errors.Is(err, store.ErrDuplicate) || !errors.Is(test.want, store.ErrCollation) && errors.Is(err, store.ErrCollation) {
						t.Errorf("got %v, want %v", err, test.want)
					}
				})
			}
			equal(t, "left out", strings.Count(log.String(), "a row was left out"), 0)

			// A message with such rows is taken, and its other rows are there.
			c := store.Change{
				IDs:      many,
				Chats:    []store.Chat{{ID: "c1", Partner: twin.user, Owner: ours.other, CreateTime: "1"}, {ID: "c2", Partner: "a", Owner: "b", CreateTime: "1"}},
				Receipts: []store.Receipt{{ID: "r1", MsgID: ours.msg, Reader: twin.other, Status: 1}, {ID: "r2", MsgID: ours.msg, Reader: "b", Status: 1}},
				Formers:  []store.Former{{SessionID: ours.group, UserID: twin.user, Time: clock(1)}, {SessionID: ours.group, UserID: "b", Time: clock(1)}},
				FileUses: []store.FileUse{{FileID: ours.thing, MsgID: twin.msg}, {FileID: ours.thing, MsgID: "b"}},
				Learn:    []store.User{{ID: twin.user, JID: twin.user}, {ID: "b", JID: "b"}},
			}
			apply(t, s, epoch, c)
			equal(t, "chats", fmt.Sprint(must[map[store.ChatKey]bool](t)(s.Chats(ctx, []store.ChatKey{{Partner: twin.user, Owner: ours.other}, {Partner: "a", Owner: "b"}}))), "map[{a b}:true]")
			equal(t, "readers", must[[]string](t)(s.ReadersOf(ctx, ours.msg)), []string{"b", ours.other})
			equal(t, "formers", len(must[[]store.Former](t)(s.Formers(ctx, []string{ours.group}, 0))), 2)
			equal(t, "users", len(must[map[string]store.User](t)(s.UsersByID(ctx, []string{twin.user, "b"}))), 1)
			equal(t, "ids", len(must[map[store.IDKey]store.ID](t)(s.IDs(ctx, []string{"other-0", "other-19"}))), 2)
			for _, table := range []string{"ofchat", "ofstatus", "tlim_former", "tlim_file_use", "tlim_user"} {
				equal(t, "told of "+table, strings.Count(log.String(), "table="+table+" "), 1)
			}
		})
	}
}

// TestExactnessKeepsTheIndex: MySQL reads what it compares exactly by the same index, on tables that need it.
func TestExactnessKeepsTheIndex(t *testing.T) {
	cfg := mysqlEngine.fresh(t)
	raw := mysqlEngine.raw(t, cfg)
	open(t, cfg)
	converted("utf8 COLLATE utf8_general_ci")(t, raw)
	s, epoch := owned(t, cfg)
	for i := range 300 {
		n := func(name string) string { return fmt.Sprintf("%s%d", name, i) }
		c := rowsOf(names{n("u"), n("o"), n("m"), n("g"), n("t")})
		c.Message.ID, c.Offline[0].ID, c.Receipts[0].ID, c.Chats[0].ID, c.Chats[1].ID, c.Styles[0].ID = n("r"), n("r"), n("r"), n("r"), n("q"), n("r")
		apply(t, s, epoch, c)
	}
	for _, table := range tableNames(t, raw, "SHOW TABLES") {
		run(t, raw, "ANALYZE TABLE "+table)
	}
	plan := func(query string) string {
		rows, err := raw.Query("EXPLAIN " + query)
		if err != nil {
			t.Fatalf("got %v, want a plan of: %s", err, query)
		}
		defer rows.Close()
		columns := must[[]string](t)(rows.Columns())
		var steps []string
		for rows.Next() {
			values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			must[any](t)(nil, rows.Scan(into...))
			for i, column := range columns {
				if column == "type" || column == "key" {
					steps = append(steps, values[i].String)
				}
			}
		}
		must[any](t)(nil, rows.Err())
		return strings.Join(steps, " ")
	}
	exact, loose := store.MySQLPlans()
	compared := 0
	for i := range exact {
		if exact[i] == loose[i] {
			continue
		}
		compared++
		if got, want := plan(exact[i]), plan(loose[i]); got != want {
			t.Errorf("got plan %s, want %s as of the loose one: %s", got, want, exact[i])
		}
	}
	if !regexp.MustCompile(`^1\d\d$`).MatchString(fmt.Sprint(compared)) {
		t.Errorf("got %d statements compared, want 100 to 199", compared)
	}
}
