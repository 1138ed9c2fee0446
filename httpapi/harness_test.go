package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tlim/component"
	"tlim/component/doubles"
	"tlim/component/protocol"
	"tlim/component/retention"
	"tlim/component/tokens"
	"tlim/component/tracking"
	"tlim/store"
)

// The keys of the tests.
const (
	adminKey    = "admin-key-0123456789"
	businessKey = "business-key-0123456789"
)

// testTime is what the clock of the tests says.
var testTime = time.UnixMilli(1600000000000)

// patience is how long a test waits for what must come: 10,000 receivers take half a minute under the race detector on a busy machine.
const patience = 2 * time.Minute

// lab is an API over a real store, with a recording Service, behind a real server.
type lab struct {
	*API
	url      string
	registry *prometheus.Registry
	svc      *recorder
	store    *store.Store
	log      *doubles.Log
	file     string      // of a whole: its tables
	over     chan string // paths of the calls that are over; more than its room are not remembered
}

func newLab(t testing.TB, change ...func(*Config)) *lab {
	t.Helper()
	return newLabOver(t, seeded(t), change...)
}

func newLabOver(t testing.TB, s *store.Store, change ...func(*Config)) *lab {
	t.Helper()
	svc := &recorder{}
	l := newLabOf(t, s, svc, append([]func(*Config){func(c *Config) { c.Cleanup = recordedCleanup{svc} }}, change...)...)
	l.svc = svc
	return l
}

// newLabOf is a lab of any Service.
func newLabOf(t testing.TB, s *store.Store, svc Service, change ...func(*Config)) *lab {
	t.Helper()
	cfg := Config{
		Keys: []Key{
			{Name: "root", Key: adminKey, Scopes: []string{"admin"}, Robot: protocol.Robot{ID: "robot-root", Name: "值班机器人"}},
			{Name: "oa", Key: businessKey, Scopes: []string{"business"}},
		},
		CORSOrigins: []string{"*"},
		Tokens:      tokens.New(s, time.Hour, func() time.Time { return testTime }),
		Clock:       func() time.Time { return testTime },
		Zone:        time.UTC,
		Console:     stillConsole{},
		Offline:     Offline{Confirm: component.ConfirmAuto, Grace: 5 * time.Second},
	}
	for _, c := range change {
		c(&cfg)
	}
	l := &lab{store: s, registry: prometheus.NewRegistry(), log: &doubles.Log{}, over: make(chan string, 64)}
	var err error
	l.API, err = New(cfg, svc, s, l.registry, slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	l.countWait = patience
	l.secret = func(k store.Key) (store.Key, string) {
		secret := "secret-of-" + k.Name
		digest := sha256.Sum256([]byte(secret))
		k.Digest = hex.EncodeToString(digest[:])
		return k, secret
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = l.Server()
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			select {
			case l.over <- r.URL.Path:
			default:
			}
		}()
		l.Handler().ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// answer is what a call got.
type answer struct {
	status int
	header http.Header
	body   string
}

// object reads the answer's JSON.
func (a answer) object(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("got %d %q: %v, want a JSON object", a.status, a.body, err)
	}
	return v
}

// do sends a request; its header is set by pairs of name and value.
func (l *lab) do(t testing.TB, method, path, query, body string, header ...string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Written by hand: net/http would tidy up what integrators really send.
	target := base + path
	if strings.HasPrefix(path, "/") {
		target = path
	}
	if query != "" {
		target += "?" + query
	}
	var req bytes.Buffer
	fmt.Fprintf(&req, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, strings.TrimPrefix(l.url, "http://"))
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&req, "%s: %s\r\n", header[i], header[i+1])
	}
	if method == http.MethodPost {
		if !slices.Contains(header, "Content-Type") {
			req.WriteString("Content-Type: application/x-www-form-urlencoded\r\n")
		}
		fmt.Fprintf(&req, "Content-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(&req, "\r\n%s", body)
	return exchange(t, conn, req.Bytes(), method)
}

func exchange(t testing.TB, conn net.Conn, request []byte, method string) answer {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// The server may answer and close before it has read everything.
	_, writeErr := conn.Write(request)
	resp, err := http.ReadResponse(newReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("got no answer: %v (write: %v), want one", err, writeErr)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("got a part of the answer and %v, want the whole", err)
	}
	return answer{resp.StatusCode, resp.Header, string(content)}
}

// get calls with the admin key; query is sent as it is.
func (l *lab) get(t testing.TB, path, query string) answer {
	t.Helper()
	return l.do(t, http.MethodGet, path, query, "", "Authorization", "Bearer "+adminKey)
}

// post calls with the admin key and the form as body.
func (l *lab) post(t testing.TB, path, form string) answer {
	t.Helper()
	return l.do(t, http.MethodPost, path, "", form, "Authorization", "Bearer "+adminKey)
}

// token is the credential of a user.
func (l *lab) token(t testing.TB, user string) string {
	t.Helper()
	token, _, err := l.cfg.Tokens.(*tokens.Issuer).Issue(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// seeded is a store on SQLite with a little of everything.
func seeded(t testing.TB) *store.Store {
	t.Helper()
	s, _ := seededFile(t)
	return s
}

// seededFile is seeded, and the file of its tables.
func seededFile(t testing.TB) (s *store.Store, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "tlim.db")
	s = openStore(t, file)
	msg := func(id, kind, from, to, session, body string, at int) *store.Message {
		return &store.Message{ID: "row-" + id, MsgID: id, Type: kind, From: from, To: to, SessionID: session, Body: body, Time: strconv.Itoa(1544602393000 + at)}
	}
	text := func(s string) string { return `[{"text":"` + s + `"}]` }
	group := func(s string) string { return `[{"session_id":"g1","text":"` + s + `"}]` }
	opaque := msg("c4", "MTT-000", "zhangsan", "lisi", "zhangsan", "b3BhcXVl", 24)
	opaque.Flags = "1,1,2.1.0"
	squeezed := msg("q1", "MTS-000", "zhangsan", "closed", "closed", "b3BhcXVl", 6)
	squeezed.Flags = "1,1,2.1.0"
	changes := []store.Change{
		{
			Groups: []store.Group{
				{ID: "g1", Type: 0, Name: "张三,李四", CreateTime: "1544602300000", ModifyTime: "1544602401990", Owner: "zhangsan", Pic: "/uploader/loadImg?pic=1"},
				{ID: "g2", Type: 1, Name: "审批", CreateTime: "1544602310000", Owner: "lisi"},
				{ID: "closed", Type: 0, Name: "旧群", CreateTime: "1544602320000", Valid: 1, Owner: "zhangsan"},
				{ID: "one", Type: 99, Name: "1:1", CreateTime: "1544602330000", Owner: "zhangsan"},
			},
			Members: []store.Member{
				{SessionID: "g1", UserID: "zhangsan", UserName: "张三", Login: "zs", Pic: "/pic/z.png", Since: "1544602299998"},
				{SessionID: "g1", UserID: "lisi", UserName: "李四", Since: "1544602299999"},
				{SessionID: "g2", UserID: "zhangsan", UserName: "张三", Since: "1544602310000"},
				{SessionID: "closed", UserID: "zhangsan", UserName: "张三", Since: "1544602320000"},
				{SessionID: "one", UserID: "zhangsan", UserName: "张三", Since: "1544602330000"},
			},
			Purges: []store.Purge{{SessionID: "dissolved", Time: "1544602400000"}},
			Announcements: []store.Announcement{
				{ID: "a1", Title: "放假通知", Content: "明天 <b>&</b>", UserID: "lisi", Time: "1544602600000", SessionID: "g1"},
				{ID: "a2", Title: "old", SessionID: "g1"},
			},
			Styles: []store.Style{{ID: "y1", Name: "theme", Value: 3, UserID: "zhangsan"}, {ID: "y2", Name: "font", Value: -1, UserID: "zhangsan"}},
			Chats: []store.Chat{
				{ID: "h1", Name: "李四(旧)", Partner: "lisi", Owner: "zhangsan", CreateTime: "1544602393021", ModifyTime: "1544602393024", Pic: "/old.png"},
				{ID: "h2", Name: "王五", Partner: "wangwu", Owner: "zhangsan", CreateTime: "1544602393030"},
				{ID: "h3", Name: "张三", Partner: "zhangsan", Owner: "lisi", CreateTime: "1544602393021"},
			},
			Users: []store.User{{ID: "lisi", JID: "lisi", Name: "李四"}, {ID: "sunqi", JID: "sunqi", Name: "孙七", Login: "sq", Pic: "/pic/s.png"}},
			Learn: []store.User{{ID: "wangwu", JID: "wangwu", Name: "wangwu"}},
			Receipts: []store.Receipt{
				{ID: "r1", MsgID: "m1", Sender: "zhangsan", Reader: "lisi", Status: 2},
				{ID: "r2", MsgID: "m1", Sender: "zhangsan", Reader: "wangwu", Status: 1},
				{ID: "r3", MsgID: "c1", Sender: "zhangsan", Reader: "lisi", Status: 1},
			},
		},
		{Message: msg("m1", "MTS-000", "zhangsan", "g1", "g1", group("开会"), 1)},
		{Message: msg("m2", "MTS-000", "lisi", "g1", "g1", group("好 <b>&</b> 😀"), 2)},
		{Message: msg("m3", "MTS-103", "zhangsan", "g1", "g1", group("x"), 3)},
		{Message: msg("d1", "MTS-000", "zhangsan", "dissolved", "dissolved", text("x"), 4)},
		{Message: msg("e1", "MTS-000", "zhangsan", "deleted", "deleted", text("still there"), 5)},
		{Message: msg("c1", "MTT-000", "zhangsan", "lisi", "zhangsan", text("你好"), 21)},
		{Message: msg("c2", "MTT-000", "lisi", "zhangsan", "lisi", text("嗯"), 22)},
		{Message: msg("c3", "MTT-101", "zhangsan", "lisi", "zhangsan", `[{"msg_id":"x"}]`, 23)},
		{Message: opaque},
		{Message: squeezed},
		{Message: msg("n1", "MTB-000", "admin", "lisi", "admin", `[{"bizId":"1"}]`, 31)},
		{Message: msg("n0", "MTB-000", "admin", "zhaoliu", "admin", `[{"bizId":"2"}]`, 30)},
		{Message: msg("n2", "MTB-100", "admin", "lisi", "admin", `[{"title":"工资条"}]`, 32)},
	}
	apply(t, s, changes)
	seedKeys(t, s)
	apply(t, s, []store.Change{{Events: []store.Event{
		{ID: "1544602400000-00000-00000001", Kind: "message.stored", Conversation: "lisi zhangsan", Body: `{}`, Made: 1544602400000, Due: 1544602460000, Dead: true, Tries: 11, Reason: "status 500"},
		{ID: "1544602400000-00001-00000002", Kind: "group.changed", Conversation: "g1", Body: `{}`, Made: 1544602400000, Due: 1544602460000, Tries: 1, Reason: "status 500"},
		{ID: "1544602400001-00000-00000003", Kind: "message.read", Conversation: "g1", Body: `{}`, Made: 1544602400001, Due: 1544602400001}}}})
	return s, file
}

// seedRobot makes the robot of the admin key, a member of a group whom somebody has written to.
func seedRobot(t testing.TB, s *store.Store) {
	t.Helper()
	apply(t, s, []store.Change{{
		Robots:  []store.User{{ID: "robot-root", JID: "robot-root", Name: "值班机器人"}},
		Members: []store.Member{{SessionID: "g2", UserID: "robot-root", UserName: "值班机器人", Since: "1544602310001"}},
		Chats:   []store.Chat{{ID: "h4", Name: "值班机器人", Partner: "robot-root", Owner: "lisi", CreateTime: "1544602393031", ModifyTime: "1544602393031"}},
	}})
}

// seedKeys makes a key that holds and one that has ended, and with them what the audit log says of it, and of a reminder.
func seedKeys(t testing.TB, s *store.Store) {
	t.Helper()
	event := func(n int, what, target, detail string) store.AuditEvent {
		return store.AuditEvent{ID: fmt.Sprintf("01700000-0000-7000-8000-%012d", n), Time: 1544602400000 + int64(n), Who: "root", Address: "192.168.1.7",
			What: what, Target: target, Detail: detail, Outcome: store.AuditDone}
	}
	for i, name := range []string{"retired", "old"} {
		k := store.Key{Name: name, Digest: strings.Repeat(strconv.Itoa(i), 64), Scopes: []string{"business"}, Rate: 2.5, Made: 1544602400001 + int64(i), MadeBy: "root"}
		if err := s.AddKey(t.Context(), k, event(i+1, "keys/new", name, "scopes [business], at most 2.5 calls a second")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddAudit(t.Context(), event(4, remindedWhat, "01753ab9-4300-7000-8000-00000c000000", "reminded 2, read 1, recent 0, unreachable 0")); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.EndKey(t.Context(), "retired", event(3, "keys/end", "retired", "")); err != nil || !found {
		t.Fatalf("got %v, %v, want the key ended", found, err)
	}
}

func emptyStore(t testing.TB) *store.Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "tlim.db"))
}

func openStore(t testing.TB, file string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Config{Driver: "sqlite", DSN: file, Migrate: store.MigrateAuto,
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func apply(t testing.TB, s *store.Store, changes []store.Change) {
	t.Helper()
	state, err := s.TakeOver(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(context.Background(), state.Epoch, store.Positions{}, changes); err != nil {
		t.Fatal(err)
	}
}

// recorder is the Service of the tests: it writes down what it was asked. Ids make it fail: gone, away, broken.
type recorder struct {
	mu      sync.Mutex
	calls   []string
	offline []store.OfflineMessage

	cleaning bool              // a clean-up is under way
	countErr string            // of the last count of what one would remove
	away     bool              // everything that an id or nobody would make fail does: the database is away
	clearErr error             // of ClearOffline
	hook     func(call string) // runs in every call
	askers   []string          // of calls that look for users
}

func (r *recorder) asked(by string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.askers = append(r.askers, by)
}

func (r *recorder) note(name string, args ...any) {
	line := name
	for _, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		line += " " + string(text)
	}
	r.mu.Lock()
	r.calls = append(r.calls, line)
	r.mu.Unlock()
	if r.hook != nil {
		r.hook(line)
	}
}

func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.calls
	r.calls = nil
	return taken
}

func (r *recorder) outcome(id string) error {
	if r.away {
		return fmt.Errorf("apply: %w", protocol.ErrUnavailable)
	}
	switch id {
	case "gone", "@session:gone":
		return &protocol.Error{Code: protocol.NoSuchGroup, Text: "there is no such session"}
	case "away":
		return fmt.Errorf("apply: %w", protocol.ErrUnavailable)
	case "busy":
		return &protocol.Error{Code: protocol.TryLater, Text: "cannot be taken now"}
	case "broken":
		return errors.New("disk on fire, password=hunter2")
	case "panic":
		panic("at the disco, password=hunter2")
	case "fat":
		return fmt.Errorf("write: %w", store.ErrData)
	case "full":
		return &protocol.Error{Code: protocol.TooLarge, Text: "the session would have 3 members", Chinese: "会话将有 3 名成员",
			Skipped: []protocol.Skipped{{UserID: "lisi", Reason: protocol.SkipFull}}}
	case "strange":
		return &protocol.Error{Code: "error-999", Text: "100%s strange"}
	}
	return nil
}

func (r *recorder) Speak(_ context.Context, sp component.Speech) (component.Spoken, error) {
	r.note("Speak", sp)
	if err := r.outcome(sp.To); err != nil {
		return component.Spoken{}, err
	}
	switch {
	case sp.To == "stranger":
		return component.Spoken{}, &protocol.Error{Code: protocol.NotAllowed, Text: "only members may post"}
	case sp.MsgID == "used", sp.Key == "used":
		return component.Spoken{}, &protocol.Error{Code: protocol.IDConflict, Text: "msg_id is in use by another message"}
	case sp.MsgID == "":
		sp.MsgID = "5b3f1a52-8c0d-4e6f-9a7b-1c2d3e4f5a6b"
	}
	return component.Spoken{MsgID: sp.MsgID, Time: "1600000000000"}, nil
}

func (r *recorder) KeepRobot(_ context.Context, robot protocol.Robot) error {
	r.note("KeepRobot", robot)
	if robot.ID == "zhangsan" {
		return &protocol.Error{Code: protocol.UserIDInvalid, Text: "the robot zhangsan cannot have the id of a person", Chinese: "机器人 zhangsan 不能使用已有人员的 id"}
	}
	return r.outcome(robot.ID)
}

func (r *recorder) KeepRobots(_ context.Context, declared []protocol.Robot) error {
	r.note("KeepRobots", declared)
	return nil
}

// IsRobot: all whose ids begin so are.
func (r *recorder) IsRobot(user string) bool { return strings.HasPrefix(user, "robot") }

func (r *recorder) CreateGroup(_ context.Context, g component.GroupSpec) (store.Group, component.GroupMembers, error) {
	r.note("CreateGroup", struct {
		Type    int
		Owner   string
		Members []string
	}{g.Type, g.Owner, g.Members})
	r.asked(g.Asker)
	if err := r.outcome(g.Owner); err != nil {
		return store.Group{}, component.GroupMembers{}, err
	}
	var members component.GroupMembers
	for _, m := range g.Members {
		if m == "zhangsan" || m == "lisi" {
			members.Taken = append(members.Taken, store.Member{UserID: m, SessionID: "new"})
		} else {
			members.Skipped = append(members.Skipped, protocol.Skipped{UserID: m, Reason: protocol.SkipUnknown})
		}
	}
	if len(members.Taken) == 0 {
		return store.Group{}, component.GroupMembers{}, &protocol.Error{Code: protocol.GroupNotCreated, Text: "none of the members is known", Skipped: members.Skipped}
	}
	return store.Group{ID: "new", Type: g.Type, Name: "张三", CreateTime: "1600000000000", Owner: g.Owner}, members, nil
}

func (r *recorder) ModifyGroup(_ context.Context, e component.GroupEdit) (component.GroupEdited, error) {
	r.note("ModifyGroup", struct {
		ID, Name    string
		Add, Remove []string
	}{e.ID, e.Name, e.Add, e.Remove})
	r.asked(e.Asker)
	edited := component.GroupEdited{Time: "1600000000000"}
	for _, m := range e.Add {
		if m == "nobody" {
			edited.Skipped = append(edited.Skipped, protocol.Skipped{UserID: m, Reason: protocol.SkipUnknown})
		}
	}
	return edited, r.outcome(e.ID)
}

func (r *recorder) DeleteGroup(_ context.Context, id string) (string, error) {
	r.note("DeleteGroup", id)
	if err := r.outcome(id); err != nil {
		return "", err
	}
	return "1600000000001", nil
}

func (r *recorder) SetGroupPicture(_ context.Context, id, pic string) error {
	r.note("SetGroupPicture", id, pic)
	return r.outcome(id)
}

func (r *recorder) Dissolve(_ context.Context, id string) error {
	r.note("Dissolve", id)
	return r.outcome(id)
}

// Notify knows everybody but nobody.
func (r *recorder) Notify(_ context.Context, n component.Notice) (component.Noticed, error) {
	r.note("Notify", struct {
		Type, Body  string
		Receivers   []string
		Caller, Key string
	}{n.Type, n.Body, n.Receivers, n.Caller, n.Key})
	r.asked(n.Asker)
	if n.Key == "used" {
		return component.Noticed{}, &protocol.Error{Code: protocol.IDConflict, Text: "the key was used"}
	}
	var skipped []protocol.Skipped
	for _, name := range n.Receivers {
		if name == "nobody" {
			skipped = append(skipped, protocol.Skipped{UserID: name, Reason: protocol.SkipUnknown})
		}
	}
	if len(skipped) == len(n.Receivers) {
		return component.Noticed{}, &protocol.Error{Code: protocol.UserIDInvalid, Text: "nobody", Skipped: skipped}
	}
	return component.Noticed{CallID: testCall, Skipped: skipped}, cmp.Or(allCanonical(n.Receivers), r.outcome(n.Receivers[0]))
}

const testCall = "01753ab9-4400-7000-8000-00000c000000"

func (r *recorder) Notice(_ context.Context, id string) (tracking.Call, bool, error) {
	r.note("Notice", id)
	return tracking.Call{CallID: id, Open: true, Total: 600}, slices.Contains([]string{testCall, "notice", "torn", "silent", "revoked"}, id), r.outcome(id)
}

// Notices knows two calls.
func (r *recorder) Notices(_ context.Context, after string, limit int) (list []tracking.Summary, next string, err error) {
	r.note("Notices", after, limit)
	if after == testCall {
		return []tracking.Summary{{CallID: "01753ab9-4300-7000-8000-00000c000000", Caller: "oa", Type: "MTB-000", Made: time.UnixMilli(1599999990000), Open: true,
			Receivers: 600, Stored: 500, Delivered: 120, Pushed: 80, Read: 40}}, "", nil
	}
	return []tracking.Summary{{CallID: testCall, Caller: "oa", Type: "MTB-100", Title: "工资条", Made: time.UnixMilli(1600000000000),
		Receivers: 3, Stored: 3, Delivered: 2, Pushed: 1, Read: 1}}, testCall, r.outcome(after)
}

// Remind reminds two.
func (r *recorder) Remind(_ context.Context, n tracking.Call) (component.Reminded, error) {
	r.note("Remind", n.CallID)
	switch n.CallID {
	case "silent":
		return component.Reminded{}, component.ErrNoPushes
	case "revoked":
		return component.Reminded{Removed: 3}, nil
	case "torn":
		return component.Reminded{Pushed: 1}, protocol.ErrUnavailable
	}
	return component.Reminded{Pushed: 2, Read: 1, Recent: 1, Unreachable: 1}, r.outcome(n.CallID)
}

// TrackNotice knows 600 receivers, the last of whom waits, and answers at most 500 at once.
func (r *recorder) TrackNotice(_ context.Context, n tracking.Call, after, limit int) (list []tracking.Receiver, err error) {
	r.note("TrackNotice", n.CallID, after, limit)
	if n.CallID == "torn" {
		return nil, r.outcome("away")
	}
	for i := after + 1; i <= n.Total && len(list) < min(limit, 500); i++ {
		receiver := tracking.Receiver{Number: i, User: fmt.Sprint("u", i), MsgID: fmt.Sprint("m", i), Time: "1544602393031", Stored: "stored", Delivered: "confirmed", Pushed: "sent", Read: 2}
		switch i {
		case 2:
			receiver.Delivered, receiver.Pushed, receiver.Read = "queued", "", 0
		case 3:
			receiver.Stored, receiver.Delivered, receiver.Pushed, receiver.Read = "removed", "", "withdrawn", 0
		case n.Total:
			receiver = tracking.Receiver{Number: i, User: receiver.User, MsgID: receiver.MsgID, Stored: "waiting"}
		}
		list = append(list, receiver)
	}
	return list, nil
}

// recordedCleanup is the Cleanup of a recorder: it knows of a count and of the end of a nightly clean-up.
type recordedCleanup struct{ *recorder }

func (r recordedCleanup) State() retention.State {
	found := retention.Removed{Messages: 12, Receipts: 7, OddMessages: 1, IDs: 30}
	failed := retention.Progress{State: retention.Failed, Started: testTime, Ended: testTime.Add(time.Minute), Removed: retention.Removed{Messages: 2}, Err: "the database is away"}
	if r.cleaning {
		failed = retention.Progress{State: retention.Stopping, By: "root", Started: testTime, Table: "ofmessage"}
	}
	return retention.State{Config: retention.Config{Days: 30, IDs: 90}, Counted: &retention.Counted{At: testTime, Found: found, Err: r.countErr}, Run: &failed}
}

func (r recordedCleanup) Count(context.Context) error {
	r.note("CountCleanup")
	return r.outcome("")
}

// Start begins one, unless one is under way.
func (r recordedCleanup) Start(_ context.Context, e store.AuditEvent) (retention.Progress, error) {
	r.note("StartCleanup", e.Who, e.What)
	if r.cleaning {
		return retention.Progress{}, retention.ErrRunning
	}
	return retention.Progress{State: retention.Running, By: e.Who, Started: testTime, Table: "ofmessage", Removed: retention.Removed{Messages: 500, IDs: 2}}, r.outcome("")
}

func (r recordedCleanup) Stop(_ context.Context, e store.AuditEvent) error {
	r.note("StopCleanup", e.Who, e.What)
	return r.outcome("")
}

func (r *recorder) Offline(_ context.Context, user, since string, limit int, visit func([]store.OfflineMessage) error) error {
	r.note("Offline", user, since, limit)
	if err := r.outcome(user); err != nil {
		return err
	}
	if limit == 0 {
		limit = len(r.offline)
	}
	for page := range slices.Chunk(r.offline[:min(len(r.offline), limit)], 100) {
		if err := visit(page); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) ClearOffline(_ context.Context, user string, rows []store.OfflineMessage) error {
	var names []string
	for _, p := range rows {
		names = append(names, p.ID+"/"+p.Owner+"/"+p.MsgID)
	}
	r.note("ClearOffline", user, names)
	return cmp.Or(r.clearErr, r.outcome(user))
}

func (r *recorder) HasUnread(_ context.Context, user string) (bool, error) {
	r.note("HasUnread", user)
	return user == "lisi", r.outcome(user)
}

func (r *recorder) RegisterPush(_ context.Context, user, code string) error {
	r.note("RegisterPush", user, code)
	return r.outcome(user)
}

func (r *recorder) AddUsers(_ context.Context, users []store.User) error {
	r.note("AddUsers", users)
	var ids []string
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return cmp.Or(allCanonical(ids), r.outcome(users[0].ID))
}

func (r *recorder) RemoveUsers(_ context.Context, ids []string) error {
	r.note("RemoveUsers", ids)
	return cmp.Or(allCanonical(ids), r.outcome(ids[0]))
}

func (r *recorder) SwitchGroup(_ context.Context, id string, valid int) error {
	r.note("SwitchGroup", id, valid)
	return r.outcome(id)
}

func (r *recorder) RemoveMessage(_ context.Context, id string) (bool, error) {
	r.note("RemoveMessage", id)
	return id != "nope", r.outcome(id)
}

func (r *recorder) ClearChat(_ context.Context, user, other string) error {
	r.note("ClearChat", user, other)
	return r.outcome(other)
}

func (r *recorder) Unread(_ context.Context, user string) ([]store.Unread, error) {
	r.note("Unread", user)
	if err := r.outcome(user); user != "lisi" || err != nil {
		return nil, err
	}
	return []store.Unread{{SessionID: "g2", Family: "MTS", Count: 3, Newest: "1544602393040"}, {SessionID: "zhangsan", Family: "MTT", Count: 2, Newest: "1544602393024"},
		{SessionID: "admin", Family: "MTB", Count: 1, Newest: "1544602393001"}, {SessionID: "gone-group", Family: "MTS", Count: 1}}, nil
}

func (r *recorder) Post(_ context.Context, a store.Announcement, _ bool) error {
	r.note("Post", a)
	return r.outcome(a.SessionID)
}

func (r *recorder) EditPost(_ context.Context, e store.AnnouncementEdit) (bool, error) {
	r.note("EditPost", e)
	return e.ID != "nope", r.outcome(e.ID)
}

func (r *recorder) DeletePost(_ context.Context, id string) error {
	r.note("DeletePost", id)
	return r.outcome(id)
}

func (r *recorder) SetStyle(_ context.Context, y store.Style, _ bool) error {
	r.note("SetStyle", y)
	return r.outcome(y.UserID)
}

func (r *recorder) Presence(_ context.Context, id string) ([]component.MemberPresence, error) {
	r.note("Presence", id)
	if err := r.outcome(id); err != nil {
		return nil, err
	}
	if id == "g1" {
		return []component.MemberPresence{{UserID: "zhangsan", Status: "available"}, {UserID: "lisi", Status: "offline"}}, nil
	}
	return nil, nil
}

// UserPresence knows one user who is there.
func (r *recorder) UserPresence(user string) string {
	if user == "zhangsan" {
		return "away"
	}
	return "offline"
}

// CanonicalID knows two rules of addresses: no blank at either end (XEP-0106), no U+00A0 (nodeprep).
func (r *recorder) CanonicalID(_ context.Context, id string) (string, error) {
	if id == "" || strings.TrimSpace(id) != id || strings.Contains(id, "\u00a0") {
		return "", &protocol.Error{Code: protocol.UserIDInvalid, Text: "cannot be part of an address"}
	}
	return strings.ToLower(id), nil
}

// allCanonical is what the component does with many ids at once: it does not say which is wrong.
func allCanonical(ids []string) error {
	for _, id := range ids {
		spelling, err := (*recorder)(nil).CanonicalID(context.Background(), id)
		if err != nil || spelling == "admin" {
			return &protocol.Error{Code: protocol.UserIDInvalid, Text: "one of the ids cannot be"}
		}
	}
	return nil
}

// serveOnce calls the handler without a network, as an admin. GET has the form in its URL.
func serveOnce(l *lab, method, path, form string) answer {
	r := httptest.NewRequest(method, base+path, strings.NewReader(form))
	if method == http.MethodGet {
		r = httptest.NewRequest(method, base+path+"?"+form, nil)
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Authorization", "Bearer "+adminKey)
	w := httptest.NewRecorder()
	l.Handler().ServeHTTP(w, r)
	return answer{w.Code, w.Result().Header, w.Body.String()}
}
