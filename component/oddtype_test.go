package component

import (
	"database/sql"
	"slices"
	"testing"

	"tlim/store"
)

// TestLegacyTypes: what the old system queued under a type that is none now is still answered, counted, and sent to a phone
// that comes.
func TestLegacyTypes(t *testing.T) {
	h := startOn(t, nil, func(file string) {
		db, err := sql.Open("sqlite", file)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, q := range []string{
			`CREATE TABLE ofcustomoffline (id_ varchar(64) PRIMARY KEY, msg_id varchar(64), msg_type varchar(20), msg_from varchar(64), msg_to varchar(64), msg_time varchar(20), body varchar(3920), session_id varchar(64), msg_status int, delete_user varchar(64))`,
			`INSERT INTO ofcustomoffline VALUES ('1', 'm1', 'X-MTT', 'zhangsan', 'zhangsan', '1599999999000', '[{"text":"x"}]', 'zhangsan', 0, 'lisi'),
				('2', 'm2', 'MTB-MTT', 'zhangsan', 'zhangsan', '1599999999001', '[{"text":"y"}]', 'zhangsan', 0, 'lisi'),
				('3', 'm3', '', 'zhangsan', 'zhangsan', '1599999999002', '[{"text":"z"}]', 'zhangsan', 0, 'lisi')`,
		} {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
	})
	rows, err := h.waits("lisi", "", 10)
	if err != nil || len(rows) != 3 || rows[0].Type != "X-MTT" || rows[1].Type != "MTB-MTT" || rows[2].Type != "" {
		t.Errorf(`the queue: got %+v, %v, want the types X-MTT, MTB-MTT and none`, rows, err)
	}
	unread, err := h.Unread(t.Context(), "lisi")
	slices.SortFunc(unread, func(a, b store.Unread) int { return b.Count - a.Count })
	if err != nil || len(unread) != 2 || unread[0].Family != "" || unread[0].Count != 2 || unread[1].Family != store.FamilyBusiness {
		t.Errorf(`unread: got %+v, %v, want 2 without a family, then one of %v`, unread, err, store.FamilyBusiness)
	}
	h.forgetRecent()
	h.online("lisi/p")
	h.snapshot()
	d, _ := h.sender.take()
	for _, id := range []string{"m1", "m2", "m3"} {
		if addresses(d, id) != "lisi@im.test/p" {
			t.Errorf("%s to the phone that came: got %q, want lisi@im.test/p", id, addresses(d, id))
		}
	}
}
