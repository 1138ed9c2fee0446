package logged

import (
	"context"
	"errors"
	"fmt"
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
		{"given up by ourselves", fmt.Errorf("away: %w", context.Canceled), ""},
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

// A database that is away answers each try with another port of ours, and after another time.
func TestReasonsThatAreTheSame(t *testing.T) {
	for _, c := range []struct {
		one, other string
		same       bool
	}{
		{"read tcp 127.0.0.1:40112->127.0.0.1:3306: connection reset by peer", "read tcp 127.0.0.1:51000->127.0.0.1:3306: connection reset by peer", true},
		{"read tcp [::1]:40112->[::1]:3306: EOF", "read tcp [::1]:7->[::1]:3306: EOF", true},
		{"write tcp [fe80::1%eth0]:40112->[fe80::2%eth0]:3306: broken pipe", "write tcp [fe80::1%eth0]:7->[fe80::2%eth0]:3306: broken pipe", true},
		{"the database gave no answer within 2.1s", "the database gave no answer within 980ms", true},
		{"no answer within 1m2.5s", "no answer within 59s", true},
		{"dial tcp 127.0.0.1:3306: connection refused", "dial tcp 127.0.0.1:3307: connection refused", false},
		{"read tcp 127.0.0.1:1->127.0.0.1:3306: EOF", "read tcp 127.0.0.1:1->127.0.0.1:3307: EOF", false},
		{"Error 1047 (08S01): WSREP has not yet prepared node", "Error 1053 (08S01): Server shutdown in progress", false},
	} {
		t.Run(c.one, func(t *testing.T) {
			if one, other := Reason(errors.New(c.one)), Reason(errors.New(c.other)); (one == other) != c.same {
				t.Errorf("%q and %q: got the reasons %q and %q, want them the same: %v", c.one, c.other, one, other, c.same)
			}
		})
	}
	var out strings.Builder
	h := Health{Failing: "it fails"}
	for port := range 3 {
		h.Note(slog.New(slog.NewTextHandler(&out, nil)), fmt.Errorf("read tcp 10.0.0.1:4%d->10.0.0.2:3306: EOF", port))
	}
	if got := out.String(); strings.Count(got, "it fails") != 1 || !strings.Contains(got, "10.0.0.1:40->") {
		t.Errorf("got the log\n%s\nwant one line, with the error as it was", got)
	}
}

// TestHealthOnce: the log is told of the first reason alone, as a warning.
func TestHealthOnce(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h := Health{Failing: "it fails", Again: "it works again", Once: true, Warns: true}
	for _, err := range []error{errors.New("batch 1"), errors.New("batch 2"), nil, errors.New("batch 3")} {
		h.Note(log, err)
	}
	if got := out.String(); strings.Count(got, "level=WARN msg=\"it fails\"") != 2 || strings.Contains(got, "batch 2") {
		t.Errorf("got %q, want batches 1 and 3 as warnings", got)
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
