package store_test

import (
	"fmt"
	"testing"

	"tlim/store"
)

// TestTrace: all that the tables hold of an id, of twins in legacy tables too, and nothing of ids that a collation takes for it.
func TestTrace(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		cfg := e.fresh(t)
		s, epoch := owned(t, cfg)
		c := tell(1, "z", "l")
		c.Offline = []store.OfflineMessage{waiting(c.Message, "l"), waiting(c.Message, "k")}
		c.FileUses = []store.FileUse{{FileID: fileID(2), MsgID: "m1"}, {FileID: fileID(1), MsgID: "m1"}, {FileID: fileID(3), MsgID: "M1"}}
		c.Receipts = []store.Receipt{{ID: "r2", MsgID: "m1", Sender: "z", Reader: "l", Status: 2}, {ID: "r1", MsgID: "m1", Sender: "z", Reader: "a", Status: 1}, {ID: "r3", MsgID: "M2", Sender: "z", Reader: "l", Status: 1}}
		c.IDs = append(c.IDs, store.ID{MsgID: "m1", Class: store.ClassRevoke, From: "z", Conversation: "z", Time: clock(2), State: store.Live})
		c.Pushes = []store.Push{{ID: "p", Channel: "jpush", MsgID: "m1", Made: 1, Due: 2, To: []store.PushTo{{User: "l", Code: "c"}}}, {ID: "q", Channel: "jpush", MsgID: "M1"}}
		apply(t, s, epoch, c)
		run(t, e.raw(t, cfg), "INSERT INTO ofmessage (id_, msg_id, msg_type, msg_from, msg_to, msg_time) VALUES ('twin', 'm1', 'MTT-000', 'w', 'x', '"+clock(9)+"'), ('upper', 'M1', 'MTT-000', 'w', 'x', '"+clock(9)+"')",
			"INSERT INTO ofcustomoffline (id_, msg_id, delete_user) VALUES ('upper', 'M1', 'l')")

		got := must[store.Trace](t)(s.Trace(ctx, "m1", 100))
		equal(t, "messages", ids(got.Messages), []string{"m1", "m1"})
		equal(t, "ids", fmt.Sprint(len(got.IDs), got.IDs[0].Class, got.IDs[1].Class), "2mr")
		equal(t, "receipts", fmt.Sprint(got.Receipts[0].Reader, got.Receipts[1].Reader, len(got.Receipts)), "al2")
		equal(t, "offline", fmt.Sprint(got.Offline[0].Owner, got.Offline[1].Owner, len(got.Offline), got.Offline[0].Body), "kl2")
		equal(t, "files", got.Files, []string{fileID(1), fileID(2)})
		equal(t, "pushes", fmt.Sprint(len(got.Pushes), got.Pushes[0].ID), "1p")
		equal(t, "state", got.State, must[store.State](t)(s.State(ctx)))
		few := must[store.Trace](t)(s.Trace(ctx, "m1", 1))
		equal(t, "at most", fmt.Sprint(len(few.Receipts), len(few.Offline)), "1 1")
		none := must[store.Trace](t)(s.Trace(ctx, "m1 ", 100))
		none.State = store.State{}
		equal(t, "nothing", none, store.Trace{MsgID: "m1 "})
	})
}
