package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const (
	chatColumns = `chat_id, chat_name, chat_user, chat_other, chat_create_time, chat_modify_time, chat_pic`
	chatByKey   = `SELECT chat_user, chat_other FROM ofchat WHERE (chat_user == ? AND chat_other == ?)*`
	chatsOf     = `SELECT ` + chatColumns + ` FROM ofchat WHERE chat_other == ? ORDER BY chat_id`
)

// Chats says which of these sides of conversations have a row.
func (s *Store) Chats(ctx context.Context, keys []ChatKey) (map[ChatKey]bool, error) {
	found := make(map[ChatKey]bool, len(keys))
	named := make([]pair, len(keys))
	for i, k := range keys {
		named[i] = pair{k.Partner, k.Owner}
	}
	err := s.pairs(ctx, chatByKey, named, func(scan scanner) error {
		var k ChatKey
		if err := scan((*text)(&k.Partner), (*text)(&k.Owner)); err != nil {
			return err
		}
		found[k] = true
		return nil
	})
	return found, err
}

// ChatsOf reads the 1:1 conversations on owner's list.
func (s *Store) ChatsOf(ctx context.Context, owner string) ([]Chat, error) {
	found := []Chat{}
	err := s.all(ctx, chatsOf, []any{owner}, func(scan scanner) error {
		var c Chat
		if err := scan((*text)(&c.ID), (*text)(&c.Name), (*text)(&c.Partner), (*text)(&c.Owner), (*text)(&c.CreateTime),
			(*text)(&c.ModifyTime), (*text)(&c.Pic)); err != nil {
			return err
		}
		found = append(found, c)
		return nil
	})
	return found, err
}

// putChats inserts the new ones and moves the time of the others.
func (t *tx) putChats(ctx context.Context, chats []Chat) error {
	r := t.s.rowsOf(tChat, len(chats))
	at := map[ChatKey]int{}
	var moved []*Chat
	for i := range chats {
		c := &chats[i]
		if c.CreateTime != "" {
			r.add(c.ID, c.Name, c.Partner, c.Owner, c.CreateTime, c.ModifyTime, c.Pic)
			continue
		}
		k := ChatKey{c.Partner, c.Owner}
		if n, ok := at[k]; ok {
			moved[n] = c // the last time counts
			continue
		}
		at[k] = len(moved)
		moved = append(moved, c)
	}
	if err := t.insertFree(ctx, r); err != nil {
		return err
	}
	return t.moveChats(ctx, moved)
}

// moveChats sets chat_modify_time of many rows with few statements: two rows of each 1:1 message are the most frequent
// update there is, and on a server a round trip costs more than the comparisons.
func (t *tx) moveChats(ctx context.Context, chats []*Chat) error {
	for len(chats) > 0 {
		take, size := chunk(len(chats), chatSizes)
		set, where := make([]any, 0, 5*size), make([]any, 0, 2*size)
		for i := range size {
			c := chats[min(i, take-1)]
			set = append(set, c.Partner, c.Owner, c.ModifyTime)
			where = append(where, c.Partner, c.Owner)
		}
		_, err := t.exec(ctx, "move ofchat", size, func() string { return chatMove(size) }, append(set, where...))
		if errors.As(err, new(*unheldError)) { // no list entry has that name; the others are moved one by one
			err = nil
			for i := 0; take > 1 && i < take && err == nil; i++ {
				err = t.moveChats(ctx, chats[i:i+1])
			}
		}
		if err != nil {
			return fmt.Errorf("update ofchat: %w", err)
		}
		chats = chats[take:]
	}
	return nil
}

// chatMove sets the time of n list entries, each its own.
func chatMove(n int) string {
	return `UPDATE ofchat SET chat_modify_time = CASE` + strings.Repeat(` WHEN chat_user == ? AND chat_other == ? THEN ?`, n) +
		` ELSE chat_modify_time END WHERE ` + strings.TrimSuffix(strings.Repeat(`(chat_user == ? AND chat_other == ?) OR `, n), " OR ")
}

// chatSizes are the row counts of moveChats; the comparisons grow with the square.
var chatSizes = []int{2, 8, 16}
