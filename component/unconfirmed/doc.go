// Package unconfirmed keeps what was sent to phones until it is known what became of it (PROTOCOL.md, section 5).
//
// "Available" is no proof: a phone that just died, or that the server keeps for stream resumption, takes messages and loses them without an error
// to anyone. So each copy of a message that goes to a user's phones is in the [Table] until it is settled in one of two ways: it was received, or it
// becomes an offline message, a row of the user's queue.
//
//   - Received: a phone of the user has confirmed it (XEP-0184, MTC-000), or has answered the pings around it and is not gone a grace later. For a user whose phones have never confirmed anything
//     it counts as received once the grace is over and they were still there in a later snapshot.
//   - A row: the grace is over without a confirmation, the phones are gone, or the link was lost ([Table.LinkLost]). Rows are handed over by
//     [Table.Take] and stay visible to [Table.Queue] until they are written. The rows for the absent members of large groups follow their
//     message the same way ([Table.Follow]).
//
// Example: m1 goes to lisi's phone between two pings. The phone answers both: m1 is held, and settled a grace later. m2 goes out and the
// server answers the pings for a session that is gone: m2 becomes a row at once, and so does m1 if it is held still. A ping's answer that comes
// late, from a session that was resumed, deletes such a row.
//
// [Table.Settled] says up to which place in the order nothing is open, so that a restart finds the rest by replay. All methods may be called from any
// goroutine and never block on anything but the table's lock; hooks are called with that lock held.
package unconfirmed
