// Package tokens gives users' own clients the credentials of the HTTP API. An [Issuer] makes and checks them; a [Desk] answers clients that ask
// for one over XMPP, where the server has authenticated them.
//
// A token is signed, and nothing is kept of it: it ends by time, when its user's tokens are revoked, or when the user leaves the directory. Each
// check reads the user's row, so that a revocation holds at once. The desk never blocks the reader of the link that hands it questions.
package tokens
