package logged

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
)

// Text is what the log was last told of something; "" is nothing, or that all is well.
type Text string

// Changes takes the text of now and says whether it is another one.
func (t *Text) Changes(text string) bool {
	old := *t
	*t = Text(text)
	return string(old) != text
}

// Health is whether something works. What was never noted works.
type Health struct {
	Failing, Again string // what the log is told when it begins to fail, and when it works again
	Once           bool   // the log is not told of another reason
	Warns          bool   // failing is a warning, and no error
	last           Text
}

// Note tells the log when it begins to fail, for another reason than before, and when it works again. A nil err says that it works, and that of
// a context that was cancelled says nothing: we gave it up ourselves.
func (h *Health) Note(log *slog.Logger, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if err == nil {
		if h.last.Changes("") {
			log.Info(h.Again)
		}
		return
	}
	reason := Reason(err)
	if h.Once {
		reason = h.Failing
	}
	if !h.last.Changes(reason) {
		return
	}
	level := slog.LevelError
	if h.Warns {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, h.Failing, "error", err)
}

// passing are the parts of an error that differ from one try to the next while its reason is the same: the port of our own side, which each
// connection has anew, and how long a wait took.
var passing = regexp.MustCompile(`(?:\[[0-9a-fA-F:.%\w]*\]|[0-9.]+):[0-9]+->|\b(?:[0-9.]+(?:ns|µs|ms|s|m|h))+\b`)

// Reason is the text of an error without what differs at each try, for [Text.Changes].
func Reason(err error) string { return passing.ReplaceAllString(err.Error(), "") }
