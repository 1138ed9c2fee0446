// Package directory knows who is a user and what they are called. A [Directory] answers that from a cache, takes in who is seen, and follows
// those who say who is a user: calls of the HTTP API, a source of users that others keep, and the server's own tables of accounts.
//
// # Who has the last word
//
// Without a source, users are those whom [Directory.AddUsers] named and those who were seen on the wire ([Directory.Learn]). With one, a user is
// whom the source has: what AddUsers and RemoveUsers say holds until the next poll, and nobody is learned. The server's tables only add and name
// users, as if each of them had been seen. Nobody is ever deleted; who leaves is marked as having left.
//
// Example: the source has anna and b, the directory b (with another name) and c. One poll adds anna, renames b and marks c as having left. Were
// more users missing than Config.MaxRemove allows, the poll would add and rename, mark nobody, and return an error that says so.
//
// # Jobs
//
// [Directory.Run] runs them; they end with their context and may be stopped anywhere, because each step is a transaction of its own and what
// is left to do stands in the database.
//
//   - A poll for each list of users that is followed: the source, or the server's tables.
//   - The accounts: who is added gets an account on the server, and who leaves loses it, where that is configured.
//   - The refresh: rows in groups and lists of conversations show names and pictures, and get the new ones.
//
// # Promises
//
// All methods are safe for concurrent use. What takes a place in the order of messages goes through Deps.Write. Reads of the cache block for
// the database at most; Learn, Drop and what concerns confirmations never block. Errors for callers are a *protocol.Error or
// protocol.ErrUnavailable where a method does not say otherwise.
package directory
