// Package component is what the product does: it takes chat messages in, decides by their kind, stores them, and says who
// gets a delivery. It has no sockets, no SQL text and no HTTP; it sees the server as a [Sender] and the database as a [Store].
//
// # The way of a message
//
//  1. [Service.Stanza] takes a stanza from the link's reader and puts it into one bounded queue (intake.go). It never waits: what
//     does not fit is answered with error-013.
//  2. The conveyor, one goroutine (conveyor.go), sorts what has come by conversation (arrange.go). What waits there is a request
//     (request.go): a message, a signal without an envelope, or a task of the API.
//  3. It takes a batch (batch.go) and decides about each message in order (decision.go). The row of the table of kinds (kinds.go)
//     says what is special about a kind; its function gets a view and returns effects.
//  4. The batch is one transaction of the store.
//  5. After the commit, in batch.finish: caches, unconfirmed copies, acknowledgements, deliveries, pushes. Until
//     then memory and metrics are as they were, or put back (batch.undo).
//
// Commit, then acknowledge, then deliver. What was not committed gets error-013 and is the sender's to repeat; what was
// committed is delivered, by [replay] if need be, after a restart or a reconnect.
//
// Calls of the HTTP API that change a conversation take the same conveyor, so there is one total order.
//
// [replay]: replay.go
package component
