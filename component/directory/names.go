package directory

import (
	"strings"

	"tlim/store"
)

const maxNamedUsers = 10 // ids that a log line gives as examples

// names gives a few ids as examples.
func names(users []store.User) string {
	var some []string
	for _, u := range users[:min(len(users), maxNamedUsers)] {
		some = append(some, u.ID)
	}
	if len(users) > maxNamedUsers {
		some = append(some, "...")
	}
	return strings.Join(some, " ")
}
