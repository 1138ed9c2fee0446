// Package pause waits for a while, or for less when there is no more reason to.
package pause
