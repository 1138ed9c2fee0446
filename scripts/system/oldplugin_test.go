package system

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	link "tlim/component/openfire"
	"tlim/component/stanza"
	"tlim/component/stream"
	"tlim/scripts/lab"
)

// oldPlugin plays the Java plugin 2.3.0: it sees what clients send, and writes by that one's own statements, on a pool of threads and without an
// order. It delivers nothing; that the server does here.
type oldPlugin struct {
	t      *testing.T
	db     *sql.DB
	online map[string]presentOn // how users are there; the others are not
	faults map[string]fault     // by msg_id
	pool   sync.WaitGroup

	mu      sync.Mutex
	handled map[string]int // stanzas by msg_id
}

// presentOn is a presence without <show/>.
type presentOn struct{ mobile, web bool }

// fault is what the player does wrong with one message.
type fault string

const (
	lostRow      fault = "lost row"
	otherBody    fault = "other body"
	otherTo      fault = "other msg_to"
	otherFrom    fault = "other msg_from"
	otherType    fault = "other msg_type"
	doubleRow    fault = "double row"
	lostQueue    fault = "lost queue row"
	extraQueue   fault = "extra queue row"
	otherOwner   fault = "queue row of another"
	doubleQueue  fault = "double queue row"
	lateRows     fault = "late rows" // no fault: after 8 s
	strangeOwner       = "nobody-at-all"
)

// oldTables are those of its script for MySQL, with the character set of such a site.
var oldTables = []string{
	"CREATE TABLE ofmessage (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64)) CHARACTER SET utf8",
	"CREATE TABLE ofcustomoffline (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64), msg_status int, delete_user varchar(64)) CHARACTER SET utf8",
	"CREATE TABLE ofsession (session_id varchar(64) NOT NULL PRIMARY KEY, session_type int, session_name varchar(256), session_create_time varchar(20), session_modify_time varchar(20), session_delete_time varchar(20), session_valid int, session_user varchar(64), session_pic varchar(256)) CHARACTER SET utf8",
	"CREATE TABLE ofsubscriber (user_id varchar(64) NOT NULL, user_name varchar(256), acct_login varchar(64), pic varchar(128), session_id varchar(64) NOT NULL, ts varchar(20), PRIMARY KEY (user_id, session_id)) CHARACTER SET utf8",
	"CREATE TABLE ofstatus (id_ varchar(64) NOT NULL PRIMARY KEY, msg_id varchar(64), sender varchar(64), reader varchar(64), status int) CHARACTER SET utf8",
	"CREATE TABLE ofchat (chat_id varchar(64) NOT NULL PRIMARY KEY, chat_name varchar(64), chat_user varchar(64), chat_other varchar(64), chat_create_time varchar(64), chat_modify_time varchar(64), chat_pic varchar(64)) CHARACTER SET utf8",
	"CREATE TABLE ofpubact (id_ varchar(64) NOT NULL PRIMARY KEY, title varchar(256), content varchar(3920), user_id varchar(64), ts varchar(64), session_id varchar(64)) CHARACTER SET utf8",
	"CREATE TABLE ofstyle (style_id varchar(64) NOT NULL PRIMARY KEY, style_name varchar(64), style_value int, user_id varchar(64)) CHARACTER SET utf8",
}

// playOldPlugin runs until the test ends.
func playOldPlugin(t *testing.T, server *lab.Server, db *sql.DB, online map[string]presentOn, faults map[string]fault) *oldPlugin {
	t.Helper()
	p := &oldPlugin{t: t, db: db, online: online, faults: faults, handled: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	copies := link.NewCopyLink(stream.Config{Addresses: []string{server.Component}, Domain: "plugin." + server.Domain, Server: server.Domain, Secret: server.Secret,
		Registerer: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}, link.MaxCopyRate, p)
	subscribed := make(chan struct{})
	copies.Watch(&subscriptions{done: subscribed})
	ran := make(chan error, 1) // one result
	go func() { ran <- copies.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		p.pool.Wait()
	})
	select {
	case <-subscribed:
	case <-within(t, soon).Done():
		t.Fatal("got no packet copies for the plugin's player, want them")
	}
	return p
}

// subscriptions tells of the first subscription.
type subscriptions struct {
	sync.Once
	done chan struct{}
}

func (s *subscriptions) Subscribed()                   { s.Do(func() { close(s.done) }) }
func (*subscriptions) LinkUp()                         {}
func (*subscriptions) LinkDown()                       {}
func (*subscriptions) Copied(stanza.Stanza, time.Time) {}
func (o *oldPlugin) note(err error, what string) { // as the plugin: logged, and gone on
	if err != nil {
		o.t.Logf("the plugin's player: %s: %v", what, err)
	}
}

// count is how many stanzas it has worked off.
func (o *oldPlugin) count() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.handled {
		n += k
	}
	return n
}

// CopiedMessage is the interceptor: incoming, not processed.
func (o *oldPlugin) CopiedMessage(st stanza.Stanza) {
	if strings.HasPrefix(st.To, "admin@") { // the server passes on what is addressed to it alone; the plugin keeps it from doing so
		return
	}
	for child := range st.Children() {
		if child.Name == "subject" && child.Text() == "ASYNC" {
			return
		}
		if child.Name != "body" {
			continue
		}
		var env lab.Envelope
		if json.Unmarshal([]byte(child.Text()), &env) != nil {
			return
		}
		objects, err := env.Objects()
		if err != nil {
			return
		}
		if revoke := env.Type == "MTT-101" || env.Type == "MTS-101"; revoke {
			for _, one := range objects { // M12, before the pool
				o.exec("DELETE FROM ofmessage WHERE msg_id = ?", one["msg_id"])
			}
		}
		o.pool.Go(func() {
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // a busy pool; nothing waits for this time
			if o.faults[env.ID] == lateRows {
				time.Sleep(8 * time.Second)
			}
			o.handle(env, objects)
			o.mu.Lock()
			o.handled[env.ID]++
			o.mu.Unlock()
		})
	}
}

func (o *oldPlugin) handle(env lab.Envelope, objects []map[string]any) {
	body := storedBody(env.Body)
	switch {
	case strings.HasPrefix(env.Type, "MTT-"):
		if env.Type != "MTT-100" {
			o.chat(env.From, env.To)
			o.chat(env.To, env.From)
			o.store(env, body, env.To, env.From)
		}
		o.offline(env, body, env.From, env.To)
	case strings.HasPrefix(env.Type, "MTS-") && len(objects) > 0:
		group, _ := objects[0]["session_id"].(string)
		if group == "" {
			return
		}
		if env.Type != "MTS-100" {
			o.store(env, body, group, group)
			o.exec("UPDATE ofsession SET session_modify_time = ? WHERE session_id = ?", stamp(), group) // S7
		}
		for _, member := range o.members(group) { // B3
			o.offline(env, body, group, member)
		}
	}
	if env.Type == "MTT-100" || env.Type == "MTS-100" {
		for _, one := range objects {
			o.status(one["msg_id"], env.To, env.From)
		}
	}
}

// store is M2, then M1 where there is none, in one transaction.
func (o *oldPlugin) store(env lab.Envelope, body, to, session string) {
	what, from, msgType := o.faults[env.ID], env.From, env.Type
	rows := 1
	switch what {
	case lostRow:
		return
	case otherBody:
		body = strings.Replace(body, "text", "t3xt", 1)
	case otherTo:
		to = strangeOwner
	case otherFrom:
		from = strangeOwner
	case otherType:
		msgType = "MTT-001"
	case doubleRow:
		rows = 2
	}
	ctx := context.Background()
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		o.note(err, "M2")
		return
	}
	var n int
	err = tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ofmessage WHERE msg_id = ?", null(env.ID)).Scan(&n)
	for range rows {
		if err == nil && n == 0 {
			_, err = tx.ExecContext(ctx, "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				lab.NewID(), null(env.ID), msgType, from, to, env.Time, body, session)
		}
	}
	if err != nil {
		err = errors.Join(err, tx.Rollback())
	} else {
		err = tx.Commit()
	}
	o.note(err, "M1")
}

// offline is the offline rule with O1. session is the sender of a 1:1 message, or the group.
func (o *oldPlugin) offline(env lab.Envelope, body, session, receiver string) {
	insert := func(owner string, status int) {
		o.exec("INSERT INTO ofcustomoffline (id_, msg_id, msg_type, msg_from, msg_to, msg_time, body, session_id, msg_status, delete_user) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			lab.NewID(), null(env.ID), env.Type, env.From, session, env.Time, body, session, status, owner)
	}
	there, sender := o.online[receiver], o.online[env.From]
	if !there.mobile {
		switch o.faults[env.ID] {
		case lostQueue:
		case otherOwner:
			insert(strangeOwner, 0)
		case doubleQueue:
			insert(receiver, 0)
			insert(receiver, 0)
		default:
			status := 0
			if there.web {
				status = 1
			}
			insert(receiver, status) // row A
		}
	}
	if o.faults[env.ID] == extraQueue {
		insert(strangeOwner, 0)
	}
	if sender.web && !sender.mobile {
		status := 0
		if there.web && there.mobile {
			status = 1
		}
		insert(env.From, status) // row B
	}
}

// chat is C2, then C3 or C4.
func (o *oldPlugin) chat(user, other string) {
	if user == other || o.number("SELECT COUNT(*) FROM ofchat WHERE chat_user = ? AND chat_other = ?", user, other) > 0 {
		o.exec("UPDATE ofchat SET chat_modify_time = ? WHERE chat_user = ? AND chat_other = ?", stamp(), user, other)
		return
	}
	o.exec("INSERT INTO ofchat (chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_modify_time, chat_pic) VALUES (?, ?, ?, ?, ?, NULL, NULL)",
		lab.NewID(), user, user, other, stamp())
}

// status is T4, then T1 or T2.
func (o *oldPlugin) status(msgID any, sender, reader string) {
	if o.number("SELECT COUNT(*) FROM ofstatus WHERE msg_id = ? AND reader = ?", msgID, reader) > 0 {
		o.exec("UPDATE ofstatus SET status = 1 WHERE msg_id = ? AND reader = ?", msgID, reader)
		return
	}
	o.exec("INSERT INTO ofstatus (id_, msg_id, sender, reader, status) VALUES (?, ?, ?, ?, 1)", lab.NewID(), msgID, sender, reader)
}

func (o *oldPlugin) members(group string) (list []string) {
	rows, err := o.db.QueryContext(context.Background(), "SELECT * FROM ofsubscriber WHERE session_id = ?", group)
	if err != nil {
		o.note(err, "B3")
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var user, session string
		var name, login, pic, ts sql.NullString
		if err := rows.Scan(&user, &name, &login, &pic, &session, &ts); err != nil {
			o.note(err, "B3")
		}
		list = append(list, user)
	}
	o.note(rows.Err(), "B3")
	slices.Sort(list)
	return list
}

func (o *oldPlugin) exec(query string, args ...any) {
	_, err := o.db.ExecContext(context.Background(), query, args...)
	o.note(err, query)
}

func (o *oldPlugin) number(query string, args ...any) (n int) {
	o.note(o.db.QueryRowContext(context.Background(), query, args...).Scan(&n), query)
	return n
}

// storedBody is a string's content, and an array as the plugin's parser wrote it, whose keys may come in another order.
func storedBody(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var array []map[string]any
	if json.Unmarshal(raw, &array) != nil {
		return string(raw)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(array) != nil {
		return string(raw)
	}
	return strings.TrimSpace(b.String())
}

func null(id string) any {
	if id == "" {
		return nil
	}
	return id
}

func stamp() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }
