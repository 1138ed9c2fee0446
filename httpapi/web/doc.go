// Package web is what browsers get from tlim beside the API: the pages of this folder, which npm builds, and the way to
// the XMPP server, so that a page needs one address and one certificate.
//
// It guarantees three things.
//
//   - [Proxy] passes on to the one configured address, whatever a request says, and passes on no field of a request or an
//     answer that XMPP does not need: no key, no cookie.
//   - What a page may load and who may frame it is said by its head fields: its own files and this origin, nobody.
//   - A binary that was built without the pages says so to who opens one, and is whole otherwise.
//
// It knows neither the API nor messages.
package web
