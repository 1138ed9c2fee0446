package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tlim/store"
)

// BenchmarkApply measures what decides the speed: 1:1 messages of 400 bytes, by batch size, with their tlim_id
// rows; with two ofchat rows moved; with an offline row inserted and the one of the batch before deleted. The figure
// to compare is msgs/s.
func BenchmarkApply(b *testing.B) {
	for _, e := range engines {
		for _, kind := range []string{"message", "chats", "offline"} {
			for _, size := range []int{1, 32, 128} {
				b.Run(fmt.Sprintf("%s/%s/%d", e.name, kind, size), func(b *testing.B) { benchApply(b, e, kind, size) })
			}
		}
	}
}

func benchApply(b *testing.B, e engine, kind string, size int) {
	s, epoch := owned(b, e.fresh(b))
	body := `[{"text":"` + strings.Repeat("x", 388) + `"}]`
	const users = 200
	user := func(i int) string { return fmt.Sprintf("user%04d", i%users) }
	if kind == "chats" {
		var c store.Change
		for i := range users {
			c.Chats = append(c.Chats,
				store.Chat{ID: uuid.NewString(), Partner: user(i), Owner: user(i + 1), CreateTime: clock(0)},
				store.Chat{ID: uuid.NewString(), Partner: user(i + 1), Owner: user(i), CreateTime: clock(0)})
		}
		apply(b, s, epoch, c)
	}
	var before []store.OfflineKey
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		changes := make([]store.Change, size)
		var waiting []store.OfflineKey
		for i := range changes {
			n++
			m := store.Message{ID: uuid.Must(uuid.NewV7()).String(), MsgID: uuid.NewString(), Type: "MTT-000", From: user(n), To: user(n + 1),
				Time: clock(n), Body: body, SessionID: user(n)}
			c := &changes[i]
			c.Message = &m
			c.IDs = []store.ID{{MsgID: m.MsgID, Class: store.ClassMessage, From: m.From, Conversation: m.From + "/" + m.To,
				Time: m.Time, Digest: "0123456789abcdef0123456789abcdef", State: store.Live}}
			switch kind {
			case "chats":
				c.Chats = []store.Chat{{Partner: m.From, Owner: m.To, ModifyTime: m.Time}, {Partner: m.To, Owner: m.From, ModifyTime: m.Time}}
			case "offline":
				c.Offline = []store.OfflineMessage{{Message: m, Owner: m.To}}
				c.Offline[0].ID = uuid.Must(uuid.NewV7()).String()
				waiting = append(waiting, store.OfflineKey{Owner: m.To, MsgID: m.MsgID})
				if i < len(before) {
					c.DropOffline = before[i : i+1]
				}
			}
		}
		if err := s.Apply(context.Background(), epoch, store.Positions{Clock: int64(n)}, changes); err != nil {
			b.Fatal(err)
		}
		before = waiting
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
}

// clock is the n-th millisecond of the tests' time.
func clock(n int) string { return fmt.Sprintf("%013d", 1700000000000+n) }
