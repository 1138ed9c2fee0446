// Package presence knows who is there: a [Table] of users' devices, kept by what clients send us and, where the server gives them, by snapshots of
// all its sessions, for which a [Watcher] asks as often as they cost at most a twentieth of one of the server's cores.
//
// Reading the table never blocks on the network. What is told of each device that came, and of each mobile that went, waits in the table until
// it is taken, once for each device however often it came and went. After a lost link nobody counts as there ([Table.Forget]).
package presence
