// Package trigger wakes goroutines.
package trigger
