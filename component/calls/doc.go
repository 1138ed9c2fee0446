// Package calls keeps the notice calls that are under way, each of which gives many users a message: no two of one key or about one business at the
// same time, and what is begun is finished, whether its caller waits or not and after a crash as well.
//
// The ids of a call's messages are made of the call's own, so that none can be stored twice ([MessageID]). Who serves receivers, and in which
// transaction, is the user's ([Deps]). A [Table] is safe for concurrent use; [Table.Run] is called once.
package calls
