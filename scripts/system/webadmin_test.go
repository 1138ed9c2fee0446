package system

import (
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlim/scripts/lab"
)

// A name as nobody should have it: markup, and marks that turn the direction.
const hostileName = `"><img src=x onerror="document.title='hurt'"><script>alert(1)</script>` + "\u202eevil"

// TestWebAdmin has an administrator use the console in a real browser, on the shared Openfire with real traffic: above all they find out why somebody's
// phone did not get a message. The steps are httpapi/web/e2e/admin.mjs; their pictures stay in .run/web/admin.
func TestWebAdmin(t *testing.T) {
	root, chromium := pageTools(t)
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	t.Cleanup(vendor.Close)
	w := newWorld(t, openfire, map[string]any{"push.webhook.url": vendor.URL, "push.webhook.secret": "the-secret-of-the-webhook", "cleanup.offline_days": 1})
	users := people(t, 6)
	writer, absent, there, asleep, gone, long := users[0], users[1], users[2], users[3], users[4], users[5]
	check(t, w.tlim.AddUsers(within(t, soon), map[string]string{writer: "张三", absent: "李四", there: hostileName, asleep: "王五", gone: "赵六", long: "孙七"}))
	users = users[:3]
	group := must[string](t)(w.tlim.AddSession(within(t, soon), writer, users...))
	w.get("modifySession", "session_id", group, "session_name", hostileName)

	// Somebody writes to a phone that is there, which confirms, and to one that is not.
	from, phone := w.online(writer, "1[web]"), w.online(there, "2[android]", lab.WithConfirm())
	w.looks(writer)
	waits, confirmed := lab.NewID(), lab.NewID()
	w.send(from, waits, lab.Text(writer, absent, waits, "how are you"))
	w.send(from, confirmed, lab.GroupText(writer, group, confirmed, "good morning"))
	w.receive(phone, confirmed)
	for _, of := range []struct{ user, id, verdict string }{{absent, waits, "waits"}, {there, confirmed, "confirmed"}} {
		t.Run(of.verdict, func(t *testing.T) {
			await(t, within(t, soon), of.verdict, func() (bool, error) {
				why, _ := w.in(t).get("admin/trace", "msg_id", of.id, "user_id", of.user)["explanation"].(map[string]any)
				return why["verdict"] == of.verdict, fmt.Errorf("%v", why)
			})
		})
	}
	// And to four more: one whose push fails, one whose phone goes before it confirms, one who is away for longer than the queue is kept, and with a mistake.
	say := func(to, body string) string {
		id := lab.NewID()
		w.send(from, id, lab.Text(writer, to, id, body))
		return id
	}
	w.get("registerAppPushCode", "user_id", asleep, "registrationId", code(asleep))
	unwoken := say(asleep, "wake up")
	mute := w.online(gone, "3[android]", lab.WithPings(lab.HoldPings))
	dropped := say(gone, "are you there")
	w.receive(mute, dropped)
	mute.Kill()
	expired := say(long, "it was long ago")
	db := must[*sql.DB](t)(sql.Open("sqlite", filepath.Join(w.tlim.Dir, "tlim.db")+"?_pragma=busy_timeout(5000)"))
	before := time.Now().AddDate(0, 0, -2).UnixMilli()
	must[sql.Result](t)(db.Exec("UPDATE ofmessage SET msg_time = ? WHERE msg_id = ?", strconv.FormatInt(before, 10), expired))
	must[sql.Result](t)(db.Exec("UPDATE ofcustomoffline SET msg_time = ? WHERE msg_id = ?", strconv.FormatInt(before, 10), expired))
	check(t, db.Close())
	refused := lab.NewID()
	check(t, from.SendMessage(w.component, refused, lab.Text(writer, absent, refused, strings.Repeat("长", 3001))))
	if code, _, _ := w.refused(from, refused); code != "error-012" {
		t.Errorf("got %s, want error-012", code)
	}
	w.get("systemMessage", "params", `[{"title":"工资条","content":"已发","ts":"1600000000000","url":"http://oa.example/1","type":"2"}]`, "msgTo", absent+","+there)

	p := &pages{t: t, server: w.server, tlim: w.tlim}
	control := httptest.NewServer(http.HandlerFunc(p.control))
	t.Cleanup(control.Close)
	p.run(map[string]any{
		"url": w.tlim.URL, "key": adminKey, "control": control.URL, "shots": shotsOf(t, root, "admin"), "chromium": chromium, "brief": !*webAll,
		"writer": writer, "absent": absent, "there": there, "group": group, "waits": waits, "confirmed": confirmed,
		"asleep": asleep, "unwoken": unwoken, "gone": gone, "dropped": dropped, "long": long, "expired": expired, "refused": refused, "hostile": hostileName,
	}, filepath.Join(root, "httpapi", "web", "e2e", "admin.mjs"))
}
