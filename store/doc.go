// Package store is the floor of tlim: the tables, on SQLite and MySQL/MariaDB, behind one dialect seam.
//
// It knows records and verbs, not messages: what a message kind means is decided above. It guarantees three things.
//
//   - [Store.Apply] is the only writer of conversations. One call is one transaction, and that transaction starts with
//     the row tlim_state: a process whose epoch was taken over by another writes nothing and gets [ErrFenced].
//   - A COMMIT whose answer was lost is not an error yet: Apply says [ErrUnknown], and [Store.Committed] tells later.
//   - No value is cut, replaced or ignored: what a column cannot hold comes back as [ErrData].
//
// Times are epoch milliseconds. The wire and the tables hold them as decimal text; this package converts.
package store
