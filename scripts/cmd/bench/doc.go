// Command bench measures what the product's speed goals speak of, on a real Openfire; see scripts/bench.
//
// Every goal is a ratio or a difference between figures of one run: all ways of doing the same thing take turns within each
// round, in an order that rotates, after rounds that warm the server up and do not count. What is printed is the median
// of the rounds; a ratio is the median of the rounds' ratios, so a slow spell of the machine hits both of its sides.
//
// A round fails, and with it the run, when a client gets an error, a copy too many, or one too few: what is not right has no speed.
package main
