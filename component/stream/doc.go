// Package stream is the connection to an XMPP server as an external component (XEP-0114): dial, handshake, cutting of stanzas,
// buffered writing, pings, questions and reconnecting. It knows stanzas, not messages.
//
// [Links] is one intake link, which carries the component's domain, and any number of sending links on subdomains of their own
// that only write: a server routes one connection's stanzas one after the other, so several connections send faster. A member
// is bound to one link by its bare JID, so what one member gets stays in order. The loss of any link is the loss of all: what
// was written and not yet proven routed has to be sent again, and that is decided for the product as a whole.
//
// What holds:
//
//   - The reader never waits for work: a server drops everything for a component that reads too slowly, without telling anyone.
//   - Writing is one goroutine per link with two buffers; callers append under a lock, no timer holds anything back. A write
//     without progress for the time limit means that the link is dead.
//   - Sending is no proof of anything. [Links.Barrier] is proof of routing: the server answers a ping behind all that was
//     written before it. A stream can go deaf without an error while stanzas still come in, so each link also pings on its own
//     when no such answer came for a while, and is dead when none comes. Pings also lie between deliveries, close enough
//     for a busy server to be told from a deaf one.
//   - Nothing is handed over or delivered before the server has answered a ping to its domain: a component that has the domain
//     wrong is taken all the same, and what it sends would go to whoever has that name.
//   - A dead link is closed first and dialled again after: the server refuses a name that is still in use.
//
// There is no clock to inject: tests run in testing/synctest, where time is theirs.
package stream
