package component

import (
	"fmt"
	"testing"

	"tlim/component/protocol"
	"tlim/store"
)

// TestPostLimits: a group has so many announcements and a user so many settings where the caller has no key; what is there can be
// changed, and what is deleted makes room.
func TestPostLimits(t *testing.T) {
	h := start(t, func(c *Config) { c.Limits.GroupPosts, c.Limits.UserStyles = 2, 2 })
	g := h.makeGroup("zhangsan", "zhangsan", "lisi")
	post := store.Announcement{SessionID: g, UserID: "lisi", Title: "x"}
	for i, bounded := range []bool{true, true} {
		if err := h.Post(t.Context(), post, bounded); err != nil {
			t.Fatalf("post %d: got %v, want no error", i+1, err)
		}
		if err := h.SetStyle(t.Context(), store.Style{Name: fmt.Sprint("s", i), UserID: "lisi"}, bounded); err != nil {
			t.Fatalf("style %d: got %v, want no error", i+1, err)
		}
	}
	if err := h.Post(t.Context(), post, true); code(err) != protocol.TooLarge {
		t.Errorf("one announcement too many: got %v, want %v", err, protocol.TooLarge)
	}
	if err := h.SetStyle(t.Context(), store.Style{Name: "s2", UserID: "lisi"}, true); code(err) != protocol.TooLarge {
		t.Errorf("one setting too many: got %v, want %v", err, protocol.TooLarge)
	}
	if err := h.SetStyle(t.Context(), store.Style{Name: "s1", UserID: "lisi", Value: 7}, true); err != nil {
		t.Errorf("a setting that is there: got %v, want no error", err)
	}
	if err := h.SetStyle(t.Context(), store.Style{Name: "s2", UserID: "zhangsan"}, true); err != nil {
		t.Errorf("another user: got %v, want no error", err)
	}
	list, err := h.db.Announcements(t.Context(), g, "", 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("got %v, %v, want 2 announcements", list, err)
	}
	if err := h.DeletePost(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := h.Post(t.Context(), post, true); err != nil {
		t.Errorf("room again: got %v, want no error", err)
	}
	if err := h.Post(t.Context(), post, false); err != nil {
		t.Errorf("a key: got %v, want no error", err)
	}
	if err := h.SetStyle(t.Context(), store.Style{Name: "s3", UserID: "lisi"}, false); err != nil {
		t.Errorf("a key: got %v, want no error", err)
	}
}
