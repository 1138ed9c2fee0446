// Package outbox wakes phones. The outbox is the table tlim_push: its rows are written in the transactions of their messages and survive a
// restart. An [Outbox] sends them by its [Channel]s, each by itself, to vendors that implement [Pusher].
//
// A row is sent once: the names of requests are written down before the requests are made, so that a crash between any two steps repeats a request
// under its old name, by which the vendor knows it again. What the vendor cannot take now is tried again for an hour. A push is withdrawn when its
// message was read or revoked before it left, and a device gets one push for a message. Nothing here holds a message up or fails one.
package outbox
