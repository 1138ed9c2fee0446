// Package doubles has what tests put in the place of the world: a clock that stands, a log that can be read while it is written, a server that tells
// of accounts. All of it may be used from several goroutines. Nothing but tests imports it.
package doubles
