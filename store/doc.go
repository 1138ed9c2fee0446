// Package store keeps the tables of tlim, on SQLite, MySQL/MariaDB, SQL Server and Oracle. All that differs between engines is in their dialects.
//
// It knows records and verbs, not messages: what a message kind means is decided above. It guarantees three things.
//
//   - [Store.Apply] is the only writer of conversations. One call is one transaction, and that transaction starts with
//     the row tlim_state: a process whose epoch was taken over by another writes nothing and gets [ErrFenced].
//   - A COMMIT whose answer was lost is not an error yet: Apply says [*UnknownError], and [Store.Committed] tells later.
//   - No value is cut, replaced or ignored: what a column cannot hold comes back as [ErrData].
//
// Where things are: store.go opens and closes; write.go is the one write transaction; apply.go the order in which a batch
// is written; one file per noun (message, offline, group, receipt, chat, user, id, purge) has that noun's SQL, reads
// and writes; query.go is how everything is read, walk.go how it is read page by page; table.go how everything is inserted;
// command.go explains the operators that our statements use; dialect.go and dialect_*.go hold all that differs between
// engines; engine.go and address.go are the engines by name and by address; migrate.go creates and adopts the tables of schema/<engine>
// at a start, migrator.go at an administrator's word; examine.go looks and changes nothing.
//
// Times are epoch milliseconds. The wire and the tables hold them as decimal text of 13 digits, which sorts as numbers do
// until the year 2286. Text that is absent is "" here and NULL in the tables, on every engine alike (Oracle knows no other
// way), and a NULL of a legacy table reads as "" or 0.
//
// All methods of [Store] may be called from any goroutine. Writes take turns; reads run beside them.
package store
