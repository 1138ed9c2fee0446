// Package events tells business systems what happens: messages stored, read and revoked, groups changed, users who came or left. The outbox is the
// table tlim_event: its rows are made by [Events.Rows] of what a transaction changes, are written in that transaction and survive a restart.
//
// An event is told at least once, under one id. Events of one conversation arrive in the order in which they happened. Calls of many events are
// made one after another. When one is refused its events are sent one by one, a few conversations at a time, apart from these requests, and so is
// an event that was refused by itself: what that costs, in time and waits, is its conversation's. One that the receiver refuses again and
// again while it takes others becomes a dead letter, and its conversation goes on; while it takes nothing, all wait. Their
// number is bounded: beyond it the oldest become dead letters. Dead letters are kept for some days and can be replayed. Nothing here holds a
// message up or fails one.
package events
