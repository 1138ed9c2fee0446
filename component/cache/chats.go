package cache

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"

	"tlim/store"
)

// Chats remembers which 1:1 list entries exist and when they were last moved: chat_modify_time is written at most once
// a second (two upserts per message cost 40 % of the rate). It belongs to the conveyor.
type Chats struct {
	lru *simplelru.LRU[store.ChatKey, int64]
}

const maxChats = 200_000

// NewChats makes an empty cache.
func NewChats() *Chats {
	c := &Chats{}
	c.lru, _ = simplelru.NewLRU[store.ChatKey, int64](maxChats, nil) // fails for a size below 1 only
	return c
}

// Moved is when an entry was last written by us, and whether it is known to exist.
func (c *Chats) Moved(key store.ChatKey) (int64, bool) { return c.lru.Get(key) }

// Note remembers that an entry was written at t, in milliseconds.
func (c *Chats) Note(key store.ChatKey, t int64) { c.lru.Add(key, t) }
