// Package checker judges what clients saw of a product that was broken on purpose. It reads a history of events and knows nothing of how they
// came about, and nothing of the product beside its promises:
//
//   - What was acknowledged is in the history and in the database, once, at the time that the acknowledgement told.
//   - Each receiver has seen it, was told of it when their phone asked for what waits, or it waits there still.
//   - A conversation has one order: all who read its history read the same, and no session gets messages live in another one.
//   - All nodes of the database hold the same rows.
//   - No two leaders write at a time: of the transactions in their order each belongs to one term of one process, and no term goes on after the
//     next has begun.
//
// Allowed is what the protocol allows: a message may come again under its id after a crash or a lost link, a message that was seen may wait in
// the queue as well, and what nobody acknowledged may be stored or not.
package checker
