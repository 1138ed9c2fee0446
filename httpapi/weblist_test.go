package httpapi

import (
	"context"
	"strings"
	"testing"

	"tlim/store"
)

// oldChats are the reads of a table from before its pairs were unique.
type oldChats struct {
	Reads
	chats []store.Chat
}

func (o oldChats) ChatsOf(context.Context, string) ([]store.Chat, error) { return o.chats, nil }

// TestPartnersOfOldTables: a partner is one row, in the place of their first, with the times of the one that moved last.
func TestPartnersOfOldTables(t *testing.T) {
	l := newLab(t)
	chat := func(partner, created, moved string) store.Chat {
		return store.Chat{Partner: partner, Owner: "zhangsan", CreateTime: created, ModifyTime: moved}
	}
	older, newer, never := chat("lisi", "1544602393001", "1544602393002"), chat("lisi", "1544602393003", "1544602393004"), chat("lisi", "1544602393005", "")
	other := chat("qianqi", "1544602393006", "1544602393007")
	for name, chats := range map[string][]store.Chat{
		"the newer one last":  {older, other, newer},
		"the newer one first": {newer, older, other},
		"one never moved":     {never, other, newer},
	} {
		t.Run(name, func(t *testing.T) {
			l.reads = oldChats{l.store, chats}
			rows, err := l.partners(t.Context(), "zhangsan", nil)
			var got []string
			for _, row := range rows {
				got = append(got, row.ID+" "+row.CreateTime+" "+row.ModifyTime)
			}
			if want := "lisi 1544602393003 1544602393004, qianqi 1544602393006 1544602393007"; err != nil || strings.Join(got, ", ") != want {
				t.Errorf("got %q, %v, want %v, no error", got, err, want)
			}
		})
	}
}
