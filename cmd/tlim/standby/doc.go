// Package standby decides which of two processes on one database leads.
//
// It guarantees four things.
//
//   - A process that stands by takes over from the leader that it has watched, and from no other one: the epoch is raised by compare-and-set on
//     what it saw last. A leader that lives in that moment stays.
//   - No clock of two machines is compared. A standby counts on its own monotonic clock how long the leader's row has not changed, and only
//     while the database answers.
//   - A leader that is cut off from the server alone ends in order, so that the other one leads: the standby asks the server and tells in its
//     row that it answers. Where it answers neither, nobody hands over.
//   - Two never write: that is the store's fence ([store.ErrFenced]), and rests on nothing here. A leader that was paused finds out with its
//     first heartbeat or its first write, whichever comes first.
//
// A process that does not stand by takes over at once, as ever; it tells of itself and lives by the same row, so that another one can stand by.
package standby
