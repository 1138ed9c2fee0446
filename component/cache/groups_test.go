package cache

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tlim/store"
)

// tables answers groups and members, and counts how often it is asked.
type tables struct {
	name  string
	size  int // members of every group
	asked int
}

func (t *tables) Groups(_ context.Context, ids []string) (map[string]store.Group, error) {
	t.asked++
	found := map[string]store.Group{}
	for _, id := range ids {
		found[id] = store.Group{ID: id, Name: t.name}
	}
	return found, nil
}

func (t *tables) Members(_ context.Context, ids []string) (map[string][]store.Member, error) {
	found := map[string][]store.Member{}
	for _, id := range ids {
		for i := range t.size {
			found[id] = append(found[id], store.Member{SessionID: id, UserID: fmt.Sprint("u", i)})
		}
	}
	return found, nil
}

func TestGroupsAge(t *testing.T) {
	now := time.Unix(1700000000, 0)
	rows := &tables{name: "before", size: 1}
	c := NewGroups(func() time.Time { return now }, "im.test")
	name := func() string {
		t.Helper()
		found, err := c.Get(t.Context(), rows, []string{"g", "g"})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(found["g"].Name, " ", rows.asked)
	}
	check := func(want string) {
		t.Helper()
		if got := name(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	check("before 1")
	rows.name = "after" // another process wrote
	now = now.Add(GroupAge - 1)
	check("before 1")
	now = now.Add(1)
	check("after 2")
	rows.name = "ours"
	c.Drop("g") // we wrote
	check("ours 3")
}

// TestGroupCacheIsBounded: in members, because one group of all staff weighs more than a thousand small ones, and in groups.
func TestGroupCacheIsBounded(t *testing.T) {
	c := NewGroups(time.Now, "im.test")
	fill := func(n, size int) {
		t.Helper()
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprint(size, "-", i)
		}
		found, err := c.Get(t.Context(), &tables{size: size}, ids)
		if err != nil || len(found) != n {
			t.Fatalf("got %d of %d groups, %v, want all", len(found), n, err)
		}
		held := 0
		for _, id := range c.lru.Keys() {
			g, _ := c.lru.Peek(id)
			held += len(g.Members)
		}
		if held != c.members || held > maxMembers || c.lru.Len() > maxGroups {
			t.Errorf("got %d groups with %d members, %d counted; want all members counted, at most %d groups, %d members", c.lru.Len(), held, c.members, maxGroups, maxMembers)
		}
	}
	fill(6, 100_000)
	fill(maxGroups+10, 1)
}
