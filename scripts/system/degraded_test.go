package system

import (
	"database/sql"
	"encoding/json"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

// A queue table that refuses Chinese does not keep tlim from being ready, but it is the first thing that /readyz and the log say.
func TestQueueThatRefusesChinese(t *testing.T) {
	s := must[*lab.Server](t)(mariadb())
	dsn := newDatabase(t, s)
	db := must[*sql.DB](t)(sql.Open("mysql", dsn))
	defer db.Close()
	// as the old plugin's script made it on a server whose default is latin1
	_, err := db.ExecContext(within(t, soon), `CREATE TABLE ofcustomoffline (id_ varchar(64) PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64),
		msg_time varchar(20), body varchar(3920), session_id varchar(64), msg_status int, delete_user varchar(64)) CHARACTER SET latin1`)
	check(t, err)
	w := newWorld(t, openfire, map[string]any{"store.driver": "mariadb", "store.dsn": dsn})
	status, text, err := w.tlim.Ready(within(t, soon))
	check(t, err)
	var answer struct {
		Ready, Degraded bool
		Warnings        []string
	}
	check(t, json.Unmarshal([]byte(text), &answer))
	const first = "ofcustomoffline has the character set latin1: every Chinese message to somebody whose phone is away is refused"
	if status != 200 || !answer.Ready || !answer.Degraded || len(answer.Warnings) == 0 || !strings.HasPrefix(answer.Warnings[0], first) {
		t.Errorf("/readyz: got %d %s, want 200, ready but degraded, with a first warning that begins with %q", status, text, first)
	}
	log := logTail(w.tlim.Log)
	if at := strings.Index(log, "database: "); at < 0 || !strings.HasPrefix(log[at+len("database: "):], first) {
		t.Errorf("got the log\n%s\nwant it to say first of the database %q", log, first)
	}

	// and it is so: what waits for a phone is refused by name, what arrives is not
	users := people(t, 2)
	sender, absent := users[0], users[1]
	w.known(users...)
	phone := w.online(sender, "1")
	id := lab.NewID()
	check(t, phone.SendMessage(w.component, id, lab.Text(sender, absent, id, "你好")))
	if code, _, _ := w.refused(phone, id); code != "error-012" {
		t.Errorf("refused with %s, want error-012", code)
	}
	_, err = db.ExecContext(within(t, soon), "ALTER TABLE ofcustomoffline CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	check(t, err)
	check(t, w.tlim.Stop())
	check(t, w.tlim.Start(within(t, patience)))
	if _, text, err = w.tlim.Ready(within(t, soon)); err != nil || !strings.Contains(text, `"degraded": false`) {
		t.Errorf("after what was advised: got %v, %s, want %q in it", err, text, `"degraded": false`)
	}
	again := w.online(sender, "2")
	id = lab.NewID()
	w.send(again, id, lab.Text(sender, absent, id, "你好"))
}
