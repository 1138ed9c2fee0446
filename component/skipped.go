package component

import (
	"strings"

	"tlim/component/protocol"
)

const namedUsers = 10 // whom a log line gives as examples

// tellSkipped writes down whom a call has left out. what is "group" or "notice".
func (s *Service) tellSkipped(what, id string, skipped []protocol.Skipped) {
	if len(skipped) == 0 {
		return
	}
	var some []string
	for _, one := range skipped {
		s.metrics.skipped.WithLabelValues(what, string(one.Reason)).Inc()
		if len(some) < namedUsers {
			some = append(some, protocol.Shorten(one.UserID, protocol.MaxID)+" ("+string(one.Reason)+")")
		}
	}
	s.log.Info("a call names users who were left out", "of", what, "id", id, "users", len(skipped), "some", strings.Join(some, ", "))
}
