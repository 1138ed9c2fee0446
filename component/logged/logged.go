package logged

import "log/slog"

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
	last           Text
}

// Note tells the log when it begins to fail, for another reason than before, and when it works again. A nil err says that it works.
func (h *Health) Note(log *slog.Logger, err error) {
	switch {
	case err != nil && h.last.Changes(err.Error()):
		log.Error(h.Failing, "error", err)
	case err == nil && h.last.Changes(""):
		log.Info(h.Again)
	}
}
