package logged

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestHealthIsLoggedWhenItChanges(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	away, full := errors.New("away"), errors.New("full")
	h := Health{Failing: "it fails", Again: "it works again"}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"well from the start", nil, ""},
		{"it begins to fail", away, "level=ERROR msg=\"it fails\" error=away\n"},
		{"for the same reason", errors.New("away"), ""},
		{"for another reason", full, "level=ERROR msg=\"it fails\" error=full\n"},
		{"for the first reason again", away, "level=ERROR msg=\"it fails\" error=away\n"},
		{"it works", nil, "level=INFO msg=\"it works again\"\n"},
		{"it still works", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out.Reset()
			if h.Note(log, c.err); out.String() != c.want {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
		})
	}
}

func TestTextChanges(t *testing.T) {
	var said Text
	for i, c := range []struct {
		text string
		want bool
	}{{"", false}, {"a", true}, {"a", false}, {"b", true}, {"", true}, {"", false}} {
		if got := said.Changes(c.text); got != c.want {
			t.Errorf("step %d, %q: got %v, want %v", i, c.text, got, c.want)
		}
	}
}
