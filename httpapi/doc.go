// Package httpapi is the HTTP API of tlim, below /plugins/tlim/.
//
// A call goes through one pipeline (pipeline.go): cross-origin headers, decoding with limits, who is calling, whether
// that caller may call this endpoint (routes.go is the table), then the endpoint's handler. What changes a conversation
// is done by a [Service], plain reads come from [Reads].
//
// It guarantees three things.
//
//   - "ok" is said only when the work was done and committed.
//   - An answer of an endpoint, failures included, is one JSON object with its keys in alphabetical order. Exceptions are those of
//     the old server: findPresence answers a bare array, one of the uploads a link as text, a download the bytes of its file (and net/http's
//     text where a range or a condition does not hold). Documents, pages and openapi.json are files, no answers.
//   - Bodies, keys and secrets are never logged, and no answer tells more of a fault than one sentence.
package httpapi
