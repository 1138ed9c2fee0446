// Package inflight bounds what was handed to the server and is not known to be routed (PROTOCOL.md, "Back-pressure"): a server reads and queues
// without a bound of its own. A ping behind what was sent (XEP-0199) proves that it was routed. No method of a [Window] blocks.
package inflight
