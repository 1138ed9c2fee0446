// Package unasked tells administrators whose clients never ask for an acknowledgement: what is lost on the way to us they cannot know of, nor repeat.
package unasked
