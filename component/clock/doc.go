// Package clock gives out msg_time, the place of a message in the one total order. Example, with the server's clock standing at 100 ms: messages of two
// conversations get 100 and 100, a second one of the first gets 101, and so does whatever comes next. A [Clock] belongs to the goroutine of the
// conveyor.
package clock
