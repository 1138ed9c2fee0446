package directory

import (
	"log/slog"
	"strings"

	"tlim/store"
)

// lastText is what the log was last told of something, to tell it again only when that has changed.
type lastText string

// changes takes the text of now and says whether it is another one.
func (l *lastText) changes(text string) bool {
	old := *l
	*l = lastText(text)
	return string(old) != text
}

// health is whether something works, for the log.
type health struct {
	failing, again string // what the log is told when it begins to fail, and when it works again
	last           lastText
}

// note tells the log when it begins to fail, for another reason than before, and when it works again.
func (h *health) note(log *slog.Logger, err error) {
	switch {
	case err != nil && h.last.changes(err.Error()):
		log.Error(h.failing, "error", err)
	case err == nil && h.last.changes(""):
		log.Info(h.again)
	}
}

const namedUsers = 10 // ids that a log line gives as examples

// names gives a few ids as examples.
func names(users []store.User) string {
	var some []string
	for _, u := range users[:min(len(users), namedUsers)] {
		some = append(some, u.ID)
	}
	if len(users) > namedUsers {
		some = append(some, "...")
	}
	return strings.Join(some, " ")
}
