// Package component is what the product does: it takes chat messages in, decides by their kind, stores them, and says who
// gets a copy. It has no sockets, no SQL text and no HTTP; it sees the server as a [Sender] and the database as a [Store].
//
// # The way of a message
//
//  1. [Service.Stanza] takes a stanza from the link's reader and puts it into one bounded queue. It never waits: what
//     does not fit is answered with error-013.
//  2. One conveyor goroutine takes whatever waits and decides for each message in order. The table of kinds (kinds.go)
//     says what a kind is; a kind's function says what it changes and who gets it.
//  3. The batch is one transaction of the store.
//  4. After the commit: server receipts, then copies, then what is owed to mobiles.
//
// Commit, then acknowledge, then deliver. What was not committed gets error-013 and is the sender's to repeat; what was
// committed is delivered, by [replay] if need be, after a restart or a reconnect.
//
// Calls of the HTTP API that change a conversation take the same conveyor, so there is one total order.
//
// [replay]: replay.go
package component
