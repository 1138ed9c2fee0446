package component

import (
	"database/sql"
	"errors"
	"testing"

	"tlim/component/protocol"
	"tlim/store"
)

// TestIDsThatTheDatabaseTakesForOne: the first is taken, the other is refused for good, as a conflict, and what came with it is
// taken. (SQLite's RTRIM takes "x " for "x", as MySQL's collations do.)
func TestIDsThatTheDatabaseTakesForOne(t *testing.T) {
	h := startOn(t, nil, func(file string) {
		db, err := sql.Open("sqlite", "file:"+file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, table := range []string{
			`CREATE TABLE tlim_id (msg_id varchar(64) NOT NULL COLLATE RTRIM, class varchar(1) NOT NULL, msg_from varchar(64), conversation varchar(200),
				msg_time varchar(20), digest varchar(64), state varchar(10) NOT NULL, PRIMARY KEY (msg_id, class))`,
			`CREATE TABLE ofsubscriber (user_id varchar(64) NOT NULL COLLATE NOCASE, user_name varchar(256), acct_login varchar(64), pic varchar(256),
				session_id varchar(64) NOT NULL, ts varchar(20), PRIMARY KEY (user_id, session_id))`,
		} {
			if _, err := db.Exec(table); err != nil {
				t.Fatal(err)
			}
		}
	})
	h.send("zhangsan/p", text("x", "zhangsan", "lisi", "one"))
	h.sender.take()
	for range 2 {
		h.send("wangwu/p", text("x ", "wangwu", "lisi", "two"))
		if d, posts := h.sender.take(); refusals(posts) != "error-014" || len(d) != 0 {
			t.Errorf("the other: got %s, %d copies, want error-014, no copies", refusals(posts), len(d))
		}
	}
	h.send("zhangsan/p", text("x", "zhangsan", "lisi", "one"))
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement" {
		t.Errorf("the first again: got %s, want acknowledgement", refusals(posts))
	}
	h.together(func() {
		h.post("zhangsan/p", text("y", "zhangsan", "lisi", "three"))
		h.post("wangwu/p", text("y ", "wangwu", "lisi", "four"))
		h.post("zhaoliu/p", text("z", "zhaoliu", "lisi", "five"))
	})
	if _, posts := h.sender.take(); refusals(posts) != "acknowledgement error-014 acknowledgement" {
		t.Errorf(`a batch of both: got %s, want "acknowledgement error-014 acknowledgement"`, refusals(posts))
	}
	if err := h.Ready(); err != nil {
		t.Errorf("Ready: got %v, want no error: the database is there", err)
	}

	// A call hears it as well, once and for all.
	var refused *protocol.Error
	err := h.AddUsers(t.Context(), []store.User{{ID: "Anna"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{`INSERT INTO ofsubscriber (user_id, session_id) VALUES ('ANNA', 'G')`, `INSERT INTO ofsession (session_id, session_valid, session_user) VALUES ('G', 0, 'zhangsan')`} {
		if _, err := h.raw().Exec(row); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.ModifyGroup(t.Context(), GroupEdit{ID: "G", Add: []string{"Anna"}})
	if !errors.As(err, &refused) || refused.Code != protocol.UserIDInvalid {
		t.Errorf("a member: got %v, want %v", err, protocol.UserIDInvalid)
	}
}
