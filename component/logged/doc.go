// Package logged keeps the log short: what is tried again and again is logged when it changes, and not each time.
//
// A zero [Text] and a [Health] with its two lines are ready for use. They are for one goroutine, or for what a lock guards.
package logged
