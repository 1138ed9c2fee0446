// Package fairqueue shares a bounded resource between conversations: a [Queue] keeps what waits in order within each, and lets each in turn spend
// the same. It never blocks, and belongs to one goroutine.
package fairqueue
