// Package openfire is what only Openfire has, asked over a component's IQs: presence snapshots, packet copies and accounts,
// all of them ad-hoc commands (XEP-0050) that a bare component domain may execute.
//
// Openfire leaves an IQ without any answer when a handler of its own fails, so every call needs a context with a deadline.
package openfire
