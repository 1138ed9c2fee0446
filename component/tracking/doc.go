// Package tracking tells callers and administrators what became of messages: of a notice, receiver by receiver, and of one message and one user,
// as far as tables and memory know. It promises this.
//
//   - It changes nothing and holds no lock of anybody while it reads the database.
//   - Memory is looked at before the tables: what becomes a row, or is confirmed, meanwhile is seen as it was, and never as missing.
//   - What it says of one receiver may be a moment older than of another.
//   - A read that failed is [protocol.ErrUnavailable].
package tracking
