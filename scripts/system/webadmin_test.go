package system

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"tlim/scripts/lab"
)

// A name as nobody should have it: markup, and marks that turn the direction.
const hostileName = `"><img src=x onerror="document.title='hurt'"><script>alert(1)</script>` + "\u202eevil"

// TestWebAdmin has an administrator use the console in a real browser, on the shared Openfire with real traffic: above all they find out why somebody's
// phone did not get a message. The steps are httpapi/web/e2e/admin.mjs; their pictures stay in .run/web/admin.
func TestWebAdmin(t *testing.T) {
	root, chromium := pageTools(t)
	w := newWorld(t, openfire, nil)
	users := people(t, 3)
	writer, absent, there := users[0], users[1], users[2]
	check(t, w.tlim.AddUsers(within(t, soon), map[string]string{writer: "张三", absent: "李四", there: hostileName}))
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
	w.get("systemMessage", "params", `[{"title":"工资条","content":"已发","ts":"1600000000000","url":"http://oa.example/1","type":"2"}]`, "msgTo", absent+","+there)

	p := &pages{t: t, server: w.server, tlim: w.tlim}
	control := httptest.NewServer(http.HandlerFunc(p.control))
	t.Cleanup(control.Close)
	p.run(map[string]any{
		"url": w.tlim.URL, "key": adminKey, "control": control.URL, "shots": shotsOf(t, root, "admin"), "chromium": chromium, "brief": !*webAll,
		"writer": writer, "absent": absent, "there": there, "group": group, "waits": waits, "confirmed": confirmed, "hostile": hostileName,
	}, filepath.Join(root, "httpapi", "web", "e2e", "admin.mjs"))
}
